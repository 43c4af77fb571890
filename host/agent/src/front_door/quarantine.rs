//! What was refused for good and set aside: sales that the channel or a rule refused, and pulled rows that a rule refused
//! or that cannot be carried.
//!
//! * A refused sale holds back no other but those that build on its rows; it waits for a person who mends the cause and
//!   has it sent again.
//! * A pulled row is asked for anew whenever it changes at the channel; here it is only shown.

use super::asked::{Maybe, Part, Whole};
use super::audit::Said;
use super::conflicts::written;
use super::problem::Problem;
use super::role::Role;
use super::{Door, named};
use crate::fault::FlowError;
use axum::extract::State;
use axum::{Extension, Json as JsonBody};
use serde_json::{Value as Json, json};
use tillhold_core::transaction::TransactionId;
use tillhold_local::{LocalDatabase, LocalError, QuarantineRecord, RowAside};

pub async fn list(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let local = &door.agent.register().local;
    let records = local.quarantined().await.map_err(FlowError::from)?;
    let rows = local.rows_aside().await.map_err(FlowError::from)?;
    let short = named::short(&ids(&records));
    let sales: Vec<Json> =
        records.iter().zip(short).map(|(record, short)| sale(record, &short)).collect();
    Ok(JsonBody(json!({ "sales": sales, "rows": rows.iter().map(row).collect::<Vec<_>>() })))
}

pub async fn show(State(door): State<Door>, Part(id): Part) -> Result<JsonBody<Json>, Problem> {
    let local = &door.agent.register().local;
    let records = local.quarantined().await.map_err(FlowError::from)?;
    let at = find(&records, &id)?;
    let mut shown = sale(&records[at], &named::short(&ids(&records))[at]);
    let id = records[at].transaction.id;
    let waiting = local.waiting_for(id).await.map_err(FlowError::from)?;
    let whole = local.whole(id).await.map_err(FlowError::from)?;
    let refused = whole.as_ref().and_then(|whole| whole.refused_table.as_ref());
    shown["refused_table"] = refused.map(ToString::to_string).into();
    shown["since_ms"] = whole.as_ref().and_then(|whole| whole.since_ms).into();
    shown["transaction_rows"] = whole.iter().flat_map(|whole| &whole.rows).map(written).collect();
    shown["waiting_transactions"] = waiting.iter().map(ToString::to_string).collect();
    Ok(JsonBody(shown))
}

pub async fn retry(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Part(id): Part,
    Maybe(body): Maybe,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    let local = &door.agent.register().local;
    let records = local.quarantined().await.map_err(FlowError::from)?;
    let id = records[find(&records, &id)?].transaction.id;
    again(&door, local, vec![id], role, said).await
}

/// All of them, or those with one code: `{"all": true}` or `{"code": "channel-refused"}`.
pub async fn retry_several(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    let code = body["code"].as_str();
    if code.is_none() && body["all"] != true {
        let detail = "which sales are to be sent again is not said";
        return Err(Problem::new(422, "quarantine-which", detail)
            .hint("name one by its id, or give --code CODE, or --all"));
    }
    let local = &door.agent.register().local;
    let records = local.quarantined().await.map_err(FlowError::from)?;
    let wanted = |record: &&QuarantineRecord| code.is_none_or(|code| reason(record).0 == code);
    let ids = records.iter().filter(wanted).map(|record| record.transaction.id).collect();
    again(&door, local, ids, role, said).await
}

async fn again(
    door: &Door,
    local: &LocalDatabase,
    ids: Vec<TransactionId>,
    role: Role,
    said: Said,
) -> Result<JsonBody<Json>, Problem> {
    let mut again: Vec<String> = Vec::new();
    for id in ids {
        match local.retry(id).await {
            Ok(()) => {
                said.clone().note(door, role, "quarantine-retry", Some(id.to_string())).await?;
                again.push(id.to_string());
            }
            // Another retry was faster, and it has arrived by now.
            Err(LocalError::WrongState { .. }) => {}
            Err(error) => return Err(FlowError::from(error).into()),
        }
    }
    door.agent.nudge.notify_one();
    Ok(JsonBody(json!({ "transactions": again, "state": "pending" })))
}

fn find(records: &[QuarantineRecord], asked: &str) -> Result<usize, Problem> {
    named::find(&ids(records), asked)?.ok_or_else(|| {
        let detail = format!("no sale {asked} is in quarantine here");
        Problem::new(404, "quarantine-unknown", detail)
            .hint("`tillhold quarantine list` shows those that are")
    })
}

fn ids(records: &[QuarantineRecord]) -> Vec<[u8; 16]> {
    records.iter().map(|record| record.transaction.id.0).collect()
}

fn reason(record: &QuarantineRecord) -> (&str, &str) {
    let reason = record.transaction.reason.as_ref();
    reason.map_or(("", ""), |(code, words)| (code.as_str(), words.as_str()))
}

fn sale(record: &QuarantineRecord, short: &str) -> Json {
    let (code, words) = reason(record);
    let tables: Vec<String> = record.tables.iter().map(ToString::to_string).collect();
    json!({
        "id": record.transaction.id.to_string(),
        "short": short,
        "code": code,
        "reason": words,
        "received_at_ms": record.transaction.received_at_ms,
        "rows": record.rows,
        "tables": tables,
    })
}

fn row(row: &RowAside) -> Json {
    json!({
        "scope": row.scope,
        "table": row.table.to_string(),
        "key": row.key,
        "reason": row.reason,
        "since_ms": row.since_ms,
    })
}
