//! GET rows: by equality and prefix, a page at a time, from whichever database is in use.
//!
//! * Rows from the channel go through the scope's transformer too: what a rule masks or drops on the way down is
//!   masked or dropped here as well.
//! * The answer says which database gave it, and how fresh that is.

use super::asked::Part;
use super::problem::Problem;
use super::{Door, json};
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::freshness::Shown;
use crate::numbers;
use crate::register::ScopeRun;
use crate::rules::{self, Ruled};
use crate::settings::register_file::RegisterFile;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Map, Value as Json, json};
use std::pin::pin;
use std::sync::Arc;
use tillhold_channel::ChannelError;
use tillhold_channel::Link;
use tillhold_channel::read::read;
use tillhold_core::filter::Filter;
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_local::Page;
use tillhold_plugin::Flow;

pub async fn get(
    State(door): State<Door>,
    Part(table): Part,
    Query(asked): Query<Vec<(String, String)>>,
) -> Result<JsonBody<Json>, Problem> {
    let agent = &door.agent;
    let unknown = || {
        Problem::new(404, "table-unknown", format!("{table} is in no scope of the profile"))
            .hint("GET /v1/status lists the scopes")
    };
    let name = TableName::parse(&table).ok_or_else(unknown)?;
    let register = agent.register();
    let (run, table) = register.table(&name).ok_or_else(unknown)?;
    let filter = filter(table, &asked)?;
    if agent.reads_channel(run)
        && let Some(rows) = from_channel(agent, run, table, &filter).await?
    {
        let source = json!({ "source": "channel", "version": null, "age_s": null, "stale": false });
        return Ok(JsonBody(page(source, table, &filter, rows)));
    }
    // Before the rows are read: what lands meanwhile is younger than what is said.
    let Shown { age_s, is_stale, .. } = Shown::of(agent, run);
    let Page { version, rows } =
        register.local.page(&table.name, &filter).await.map_err(FlowError::from)?;
    let version = version.map(|version| version.to_string());
    let source =
        json!({ "source": "offline", "version": version, "age_s": age_s, "stale": is_stale });
    Ok(JsonBody(page(source, table, &filter, rows)))
}

/// `None` when the channel does not answer in time, or is left meanwhile.
async fn from_channel(
    agent: &Agent,
    run: &ScopeRun,
    table: &Arc<Table>,
    filter: &Filter,
) -> Result<Option<Vec<Row>>, Problem> {
    let Some(rows) = asked_in_time(agent, run, table, filter).await else { return Ok(None) };
    let register = agent.register();
    let (file, env) = (&register.file, &register.env);
    let till = (file.store.as_str(), file.register.as_str());
    let context = rules::context(till, &run.scope.name, Flow::Pull, rules::now(env));
    let ruled = rules::transform(env, run, &context, table, rows).await?;
    let kept = ruled.into_iter().filter_map(|ruled| match ruled {
        Ruled::Kept(row) => Some(row),
        Ruled::Dropped(_) | Ruled::Quarantined(..) => None,
    });
    let mut kept: Vec<Row> = kept.collect();
    numbers::keep_seeds(&register, table, &mut kept).await?;
    Ok(Some(kept))
}

/// One time for the wait for a lane and for the question, so that there is time left for the offline database.
async fn asked_in_time(
    agent: &Agent,
    run: &ScopeRun,
    table: &Table,
    filter: &Filter,
) -> Option<Vec<Row>> {
    let limit = RegisterFile::request_deadline(agent.register().profile.offline_timeout);
    let limit = limit.min(limits::CHANNEL_READ_TIME_MAX);
    let late = || ChannelError::Timeout { what: "answer a question", limit };
    let (mut patience, mut left) = (pin!(tokio::time::sleep(limit)), pin!(left(agent, run)));
    let mut link = tokio::select! {
        biased;
        link = agent.lanes.front() => link,
        () = &mut left => return None,
        // Whoever has the lanes finds out what is wrong with the channel.
        () = &mut patience => return None,
    };
    let trouble = tokio::select! {
        biased;
        rows = filtered(agent, &mut link, run, table, filter) => match rows {
            Ok(rows) => return Some(rows),
            Err(FlowError::Channel(error)) => error,
            Err(_) => late(),
        },
        () = &mut left => return None,
        () = &mut patience => late(),
    };
    agent.suffer(trouble);
    None
}

/// Until the register does not read this scope from the channel any more.
async fn left(agent: &Agent, run: &ScopeRun) {
    let mut steps = agent.steps();
    // The sender lives as long as the agent, so the wait cannot fail.
    while agent.reads_channel(run) && steps.changed().await.is_ok() {}
}

/// What passes the profile's filter: the till sees the same rows online and offline.
async fn filtered(
    agent: &Agent,
    link: &mut Link,
    run: &ScopeRun,
    table: &Table,
    filter: &Filter,
) -> Result<Vec<Row>, FlowError> {
    let condition = agent.register().filter(link, run, &table.name).await?;
    Ok(read(link, table, filter, condition.as_deref()).await?)
}

/// `page` says where the rows come from and how fresh they are.
fn page(mut page: Json, table: &Table, filter: &Filter, rows: Vec<Row>) -> Json {
    let next = match rows.last() {
        Some(last) if rows.len() == filter.limit => Json::String(token(table, &last.key(table))),
        _ => Json::Null,
    };
    let rows: Vec<Json> = rows.iter().map(|row| row_json(table, row)).collect();
    (page["rows"], page["next"]) = (Json::Array(rows), next);
    page
}

fn row_json(table: &Table, row: &Row) -> Json {
    let cell = |(value, column): (&_, &tillhold_core::table::Column)| {
        (column.name.clone(), json::to_json(value, column))
    };
    Json::Object(row.0.iter().zip(&table.columns).map(cell).collect::<Map<String, Json>>())
}

/// The last key as one text for `after=`: hexadecimal of its JSON, opaque to callers.
fn token(table: &Table, key: &Key) -> String {
    let parts = key.0.iter().zip(table.key_columns());
    let parts: Vec<Json> = parts.map(|(value, column)| json::to_json(value, column)).collect();
    text::hexadecimal(Json::Array(parts).to_string().as_bytes())
}

fn read_token(table: &Table, token: &str) -> Option<Key> {
    let bytes = text::parse_hexadecimal(token)?;
    let parts: Vec<Json> = serde_json::from_slice(&bytes).ok()?;
    if parts.len() != table.key.len() {
        return None;
    }
    let part = |(part, column)| json::from_json(part, column).ok();
    parts.iter().zip(table.key_columns()).map(part).collect::<Option<_>>().map(Key)
}

fn filter(table: &Table, asked: &[(String, String)]) -> Result<Filter, Problem> {
    let mut filter = Filter { limit: 100, ..Filter::default() };
    for (name, value) in asked {
        match (name.as_str(), name.strip_prefix("prefix.")) {
            ("limit", _) => filter.limit = limit(value)?,
            ("after", _) => {
                let key = read_token(table, value).ok_or_else(|| {
                    wrong("after", "is not a token of this table's earlier page".to_string())
                })?;
                filter.after = Some(key);
            }
            (_, Some(column)) => filter.prefix = Some((text_column(table, column)?, value.clone())),
            (column, None) => {
                let at = position(table, column)?;
                let value = text::parse(value, table.columns[at].of)
                    .map_err(|misfit| wrong(column, misfit.to_string()))?;
                filter.equals.push((at, value));
            }
        }
    }
    Ok(filter)
}

fn limit(value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=limits::READ_ROWS_MAX).contains(limit));
    limit.ok_or_else(|| wrong("limit", format!("is a number from 1 to {}", limits::READ_ROWS_MAX)))
}

fn position(table: &Table, column: &str) -> Result<usize, Problem> {
    let at = table.position(column);
    at.ok_or_else(|| wrong(column, format!("is not a column of {} that travels", table.name)))
}

fn text_column(table: &Table, column: &str) -> Result<usize, Problem> {
    let at = position(table, column)?;
    match table.columns[at].of.is_text() {
        true => Ok(at),
        false => Err(wrong(column, "is not a text column: prefix. does not apply".to_string())),
    }
}

fn wrong(what: &str, how: String) -> Problem {
    Problem::new(422, "rows-query", format!("{what} {how}"))
}
