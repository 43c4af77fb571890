//! A person lets go of a refused sale, which will not be sent any more, or of a pulled row, until it changes again.
//!
//! * Kept on disk with the whole sale before it is answered; carried out by push, when the channel has it on record.

use super::Door;
use super::audit::Said;
use super::conflicts::{key_json, written};
use super::decisions::row_json;
use super::extract::{Part, Whole};
use super::problem::Problem;
use super::quarantine::{Found, find, gone_already, reason, unknown};
use super::role::Role;
use crate::fault::FlowError;
use axum::extract::State;
use axum::{Extension, Json as JsonBody};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tillhold_core::row::Key;
use tillhold_core::table::Table;
use tillhold_core::text::guid_text;
use tillhold_core::value::Value;
use tillhold_local::{Image, Release, Releasing, WholeRow};

/// `{"why": …, "who": …}`: it will not be sent any more, or not asked for until it changes.
pub async fn discard(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Part(id): Part,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let found = find(&register.local, &id).await?;
    let said = Said::required(&body)?;
    let (who, why) = person(&said)?;
    let of = found.of();
    let (table, key) = first_row(&found).ok_or_else(|| unknown(&id))?;
    let document = document(&found, &key_json(&table, &key));
    let release = Release {
        id: register.env.random.uuid(),
        of,
        table: table.name.clone(),
        key,
        who,
        why,
        asked_at_ms: register.env.clock.wall_ms(),
        document: document.to_string(),
    };
    let number = guid_text(&release.id);
    match register.local.release(release).await.map_err(FlowError::from)? {
        Releasing::Kept => {}
        Releasing::Before { who } => return Err(gone_already(&format!("{who} let go of it"))),
        Releasing::Gone => return Err(unknown(&id)),
    }
    said.note(&door, role, "quarantine-discard", Some(guid_text(&of.id()))).await?;
    door.agent.nudge.notify_one();
    Ok(JsonBody(json!({
        "id": guid_text(&of.id()),
        "kind": of.kind(),
        "decision": number,
        "state": "discarding",
    })))
}

/// Both are kept at the channel too.
fn person(said: &Said) -> Result<(String, String), Problem> {
    let (who, why) = (said.who.clone().unwrap_or_default(), said.why.clone().unwrap_or_default());
    if who.encode_utf16().count() > NAME_UNITS_MAX {
        let detail = format!("who has at most {NAME_UNITS_MAX} letters");
        return Err(Problem::new(422, "person-text", detail).hint("give a shorter --who NAME"));
    }
    Ok((who, why))
}

/// The channel's column for it.
const NAME_UNITS_MAX: usize = 128;

/// The row; of a sale the first that can be read, or its table's without a key.
fn first_row(found: &Found) -> Option<(Arc<Table>, Key)> {
    match found {
        Found::Row(row) => Some((row.table.clone(), row.row_key.clone())),
        Found::Sale(_, whole) => {
            let with_key = |row: &WholeRow| Some((row.table.clone(), row.key()?));
            let without =
                |row: &WholeRow| (row.table.clone(), Key(vec![Value::Null; row.table.key.len()]));
            let readable = whole.rows.iter().find_map(with_key);
            readable.or_else(|| whole.rows.first().map(without))
        }
    }
}

/// What it was, whole, and why it was set aside.
fn document(found: &Found, key: &Json) -> Json {
    match found {
        Found::Row(row) => json!({
            "kind": "row",
            "table": row.table.name.to_string(),
            "key": key,
            "scope": row.scope,
            "code": row.code,
            "reason": row.reason,
            "since_ms": row.since_ms,
        }),
        Found::Sale(record, whole) => {
            let (code, words) = reason(record);
            json!({
                "kind": "sale",
                "key": key,
                "code": code,
                "reason": words,
                "since_ms": whole.since_ms,
                "received_at_ms": record.transaction.received_at_ms,
                "rows": whole.rows.iter().map(both_sides).collect::<Vec<_>>(),
            })
        }
    }
}

fn both_sides(row: &WholeRow) -> Json {
    let side = |image: &Option<Image>| match image {
        Some(Image::Row(cells)) => row_json(&row.table, cells),
        Some(Image::Unreadable(text)) => json!({ "unreadable": text }),
        None => Json::Null,
    };
    let mut json = written(row);
    json["base"] = side(&row.base);
    json["offline"] = side(&row.offline);
    json
}
