//! What was decided about contested rows and about sales that were let go of: newest first, a page at a time.

use super::Door;
use super::conflicts::key_json;
use super::listing::{self, Page};
use super::problem::Problem;
use crate::fault::FlowError;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text::guid_text;
use tillhold_kit::cells::text_json;
use tillhold_local::DecisionRecord;

pub async fn list(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let page = Page::of(&asked, wrong)?;
    let local = &door.agent.register().local;
    let found = local.decisions(page.before, page.limit).await.map_err(FlowError::from)?;
    let next = page.next(found.len(), found.last().map(|last| last.number));
    let all: Vec<Json> = found.iter().map(decision).collect();
    Ok(JsonBody(json!({ "decisions": all, "next": next })))
}

fn wrong(name: &str) -> Problem {
    let detail = format!("{name} is not a number that this listing takes");
    Problem::new(422, "decisions-query", detail).hint(listing::hint())
}

fn decision(record: &DecisionRecord) -> Json {
    let made = &record.decision;
    let table = &made.conflict.table;
    let side = |row: &Option<Row>| row.as_ref().map(|row| row_json(table, row));
    let discarded =
        record.released.as_ref().and_then(|text| serde_json::from_str::<Json>(text).ok());
    json!({
        "id": guid_text(&made.id),
        "number": record.number,
        "at_ms": record.decided_at_ms,
        "transaction": record.transaction.to_string(),
        "table": table.name.to_string(),
        "key": key_json(table, &made.conflict.key),
        "rule": made.rule,
        "plugin": made.plugin,
        "who": made.who,
        "why": made.why,
        "base": side(&made.conflict.base),
        "channel": side(&made.conflict.channel),
        "offline": side(&made.conflict.offline),
        "decided": side(&made.decided),
        "discarded": discarded,
    })
}

pub fn row_json(table: &Table, row: &Row) -> Json {
    let cell = |(value, column): (&_, &tillhold_core::table::Column)| {
        (column.name.clone(), text_json(value, column))
    };
    Json::Object(row.0.iter().zip(&table.columns).map(cell).collect::<Map<String, Json>>())
}
