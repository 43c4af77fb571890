//! Conflicts that wait for a person: the list, one with its three rows side by side, and the person's decision.
//!
//! * A decision is kept on disk before it is answered. It is carried out by push, once all conflicts of the sale are
//!   decided, and only while both rows are the ones that were shown.
//! * When the channel's row moves, the conflict is another one with another id.

use super::audit::Said;
use super::extract::{Part, Whole};
use super::problem::Problem;
use super::role::Role;
use super::{Door, id_prefix, json};
use crate::fault::FlowError;
use crate::register::Register;
use crate::settings::reader::nearest;
use axum::extract::State;
use axum::{Extension, Json as JsonBody};
use serde_json::{Map, Value as Json, json};
use tillhold_core::conflict::{Choice, Conflict, NoRow, Side};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Assigned, Column, Table};
use tillhold_core::text::guid_text;
use tillhold_core::value::Value;
use tillhold_local::{Choosing, Chosen, ConflictRecord, WholeRow};

pub async fn list(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let records = door.agent.register().local.conflicts().await.map_err(FlowError::from)?;
    let short = id_prefix::short(&ids(&records));
    let all: Vec<Json> =
        records.iter().zip(short).map(|(record, short)| summary(record, &short)).collect();
    Ok(JsonBody(json!({ "conflicts": all })))
}

pub async fn show(State(door): State<Door>, Part(id): Part) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let (record, short) = find(&register, &id).await?;
    let local = &register.local;
    let transaction = record.transaction;
    let whole = local.whole(transaction).await.map_err(FlowError::from)?;
    let waiting = local.waiting_for(transaction).await.map_err(FlowError::from)?;
    let beside = local.conflicts_of(transaction).await.map_err(FlowError::from)?;
    let beside = beside.iter().map(|one| one.deferred.id).filter(|id| *id != record.deferred.id);
    let mut shown = summary(&record, &short);
    let conflict = &record.deferred.conflict;
    shown["there"] = json!({
        "base": conflict.base.is_some(),
        "channel": conflict.channel.is_some(),
        "offline": conflict.offline.is_some(),
    });
    shown["columns"] = columns(conflict);
    shown["transaction_rows"] = whole.iter().flat_map(|w| &w.rows).map(written).collect();
    shown["received_at_ms"] = whole.map_or(Json::Null, |w| w.record.received_at_ms.into());
    shown["conflicts_beside"] = beside.map(|id| guid_text(&id)).collect();
    shown["waiting_transactions"] = waiting.iter().map(ToString::to_string).collect();
    Ok(JsonBody(shown))
}

pub async fn resolve(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Part(id): Part,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    // The choice names columns as they are now.
    let _shapes = door.agent.shape_lock().read().await;
    let register = door.agent.register();
    let (record, _) = find(&register, &id).await?;
    let conflict = &record.deferred.conflict;
    let said = Said::of(&body)?;
    let choice = choice(conflict, &body)?;
    let resolution = choice.resolution(conflict).map_err(no_row)?;
    let outcome = json::resolution_json(&conflict.table, &resolution);
    let id = record.deferred.id;
    let kept = register.local.choose(id, choice).await.map_err(FlowError::from)?;
    match kept {
        Choosing::Kept { transaction, waiting } => {
            said.note(&door, role, "conflict-resolve", Some(guid_text(&id))).await?;
            door.agent.nudge.notify_one();
            let state = if waiting == 0 { "pending" } else { "deferred" };
            Ok(JsonBody(json!({
                "id": guid_text(&id),
                "transaction": transaction.to_string(),
                "state": state,
                "conflicts_left": waiting,
                "outcome": outcome,
            })))
        }
        Choosing::Before(chosen) => Err(decided(&chosen)),
        Choosing::Gone => Err(gone(&register, id, &guid_text(&id)).await?),
    }
}

async fn find(register: &Register, asked: &str) -> Result<(ConflictRecord, String), Problem> {
    let mut records = register.local.conflicts().await.map_err(FlowError::from)?;
    let ids = ids(&records);
    match id_prefix::find(&ids, asked)? {
        Some(at) => Ok((records.swap_remove(at), id_prefix::short(&ids).swap_remove(at))),
        None => {
            let whole = tillhold_core::text::parse_guid(asked).unwrap_or_default();
            Err(gone(register, whole, asked).await?)
        }
    }
}

/// Why there is no conflict of this id.
async fn gone(register: &Register, id: [u8; 16], asked: &str) -> Result<Problem, Problem> {
    if register.local.is_decided(id).await.map_err(FlowError::from)? {
        let detail = format!("conflict {asked} is settled: it was decided and both sides have it");
        return Ok(Problem::new(409, "conflict-settled", detail)
            .hint("`tillhold decisions list` shows what was decided"));
    }
    Ok(Problem::new(404, "conflict-unknown", format!("no conflict {asked} waits here")).hint(
        "`tillhold conflicts list` shows those that wait; one whose channel row moved has another id",
    ))
}

fn decided(chosen: &Chosen) -> Problem {
    let Choice { who, take, .. } = &chosen.choice;
    let detail = format!("{who} has decided it already (take {})", take.name());
    Problem::new(409, "conflict-decided", detail)
        .hint("it goes up with the next push; if its row has moved, it comes back with another id")
}

fn no_row(NoRow(side): NoRow) -> Problem {
    let other = match side {
        Side::Channel => Side::Offline,
        Side::Offline => Side::Channel,
    };
    let detail = format!("there is no row on the {} side in which to set a column", side.name());
    Problem::new(422, "conflict-side", detail).hint(format!("start from --take {}", other.name()))
}

fn choice(conflict: &Conflict, body: &Json) -> Result<Choice, Problem> {
    let who = body["who"].as_str().map(str::trim).filter(|who| !who.is_empty());
    let who = who.ok_or_else(|| {
        Problem::new(422, "person-unnamed", "a decision needs the name of who decides")
            .hint("give --who NAME, or \"who\" in the body")
    })?;
    let set = set(&conflict.table, &body["set"])?;
    let take = match body["take"].as_str() {
        Some(side) => Side::parse(side).ok_or_else(|| {
            let detail = format!("'{side}' is no side of a conflict");
            Problem::new(422, "conflict-choice", detail).hint("take channel, or offline")
        })?,
        None if set.is_empty() => {
            return Err(Problem::new(422, "conflict-choice", "nothing is decided")
                .hint("give --take channel|offline, --set COLUMN=VALUE, or both"));
        }
        None if conflict.channel.is_some() => Side::Channel,
        None => Side::Offline,
    };
    let why = body["why"].as_str().map(str::trim).filter(|why| !why.is_empty());
    Ok(Choice { take, set, who: who.to_string(), why: why.map(str::to_string) })
}

/// Every column that is wrong is told at once.
fn set(table: &Table, given: &Json) -> Result<Vec<(usize, Value)>, Problem> {
    let (mut set, mut wrong) = (Vec::new(), Vec::new());
    for (name, value) in given.as_object().into_iter().flatten() {
        match cell(table, name, value) {
            Ok(cell) => set.push(cell),
            Err(reason) => wrong.push(format!("{name}: {reason}")),
        }
    }
    if wrong.is_empty() {
        return Ok(set);
    }
    let hint = format!("`tillhold conflicts show` lists the columns of {}", table.name);
    Err(Problem::new(422, "conflict-column", wrong.join("; ")).hint(hint))
}

fn cell(table: &Table, name: &str, value: &Json) -> Result<(usize, Value), String> {
    let Some(at) = table.position(name) else {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let meant = nearest(name, names);
        let meant = meant.map(|meant| format!(": {meant}?")).unwrap_or_default();
        return Err(format!("{} has no such column that travels{meant}", table.name));
    };
    let column = &table.columns[at];
    if table.is_key(at) {
        return Err("is part of the key, which says which row it is".to_string());
    }
    if column.assigned != Assigned::ByWriter {
        return Err("is the channel's own to assign".to_string());
    }
    let value = json::from_json(value, column).map_err(|misfit| misfit.to_string())?;
    Ok((at, value))
}

fn ids(records: &[ConflictRecord]) -> Vec<[u8; 16]> {
    records.iter().map(|record| record.deferred.id).collect()
}

fn summary(record: &ConflictRecord, short: &str) -> Json {
    let deferred = &record.deferred;
    let conflict = &deferred.conflict;
    let chosen = record.chosen.as_ref().map(|chosen| {
        let choice = &chosen.choice;
        let set =
            choice.set.iter().map(|(at, value)| json::named(value, &conflict.table.columns[*at]));
        json!({
            "take": choice.take.name(),
            "set": set.collect::<Map<_, _>>(),
            "who": choice.who,
            "why": choice.why,
            "at_ms": chosen.at_ms,
        })
    });
    json!({
        "id": guid_text(&deferred.id),
        "short": short,
        "state": if chosen.is_some() { "decided" } else { "waiting" },
        "transaction": record.transaction.to_string(),
        "table": conflict.table.name.to_string(),
        "key": key_json(&conflict.table, &conflict.key),
        "reason": deferred.reason,
        "rule": deferred.rule,
        "plugin": deferred.plugin,
        "since_ms": record.deferred_at_ms,
        "decision": chosen,
    })
}

/// Each column with its three cells and which sides changed it.
fn columns(conflict: &Conflict) -> Json {
    let cell = |row: &Option<Row>, at: usize| {
        row.as_ref().map(|row| json::text_json(&row.0[at], &conflict.table.columns[at]))
    };
    let changed = |row: &Option<Row>, at: usize| match (row, &conflict.base) {
        (Some(row), Some(base)) => row.0[at] != base.0[at],
        (row, base) => row.is_some() != base.is_some(),
    };
    let one = |(at, column): (usize, &Column)| {
        let sides = [(Side::Channel, &conflict.channel), (Side::Offline, &conflict.offline)];
        let by: Vec<&str> =
            sides.iter().filter(|(_, row)| changed(row, at)).map(|(side, _)| side.name()).collect();
        json!({
            "column": column.name,
            "type": column.of.to_string(),
            "is_key": conflict.table.is_key(at),
            "base": cell(&conflict.base, at),
            "channel": cell(&conflict.channel, at),
            "offline": cell(&conflict.offline, at),
            "changed_by": by,
        })
    };
    conflict.table.columns.iter().enumerate().map(one).collect()
}

pub fn written(row: &WholeRow) -> Json {
    let key = row.key().map(|key| key_json(&row.table, &key));
    json!({ "table": row.table.name.to_string(), "operation": row.operation.name(), "key": key })
}

pub fn key_json(table: &Table, key: &Key) -> Json {
    Json::Object(key.0.iter().zip(table.key_columns()).map(|(v, c)| json::named(v, c)).collect())
}
