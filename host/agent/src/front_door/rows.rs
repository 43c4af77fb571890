//! GET rows: by equality and prefix, a page at a time, from whichever database is in use.
//!
//! * Rows from the channel go through the scope's transformer too: what a rule masks or drops on the way down is
//!   masked or dropped here as well.
//! * The answer says which database gave it, and how fresh that is.
//! * What the register has changed and the channel does not have yet comes first, and in place of what the channel has of it:
//!   a sale can be printed again right after it, whatever holds its upload up.
//! * A page goes on where the one before it was read. The two databases have orders of their own: pages of the channel end
//!   where it is left.

use super::extract::Part;
use super::problem::Problem;
use super::{Door, json};
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::freshness::Shown;
use crate::numbers;
use crate::register::{Register, ScopeRun};
use crate::rules::{self, RowOutcome};
use crate::settings::register_file::RegisterFile;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;
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
use tillhold_local::{LocalError, Page, UnsentRows};
use tillhold_plugin::Flow;

pub async fn get(
    State(door): State<Door>,
    Part(table): Part,
    Query(asked): Query<Vec<(String, String)>>,
) -> Result<JsonBody<Json>, Problem> {
    let agent = &door.agent;
    match look(agent, &table, &asked).await {
        // A changed profile, or channel, changes the table at this moment: read as it is when that is done.
        Err(problem) if problem.is(RESHAPED) => {
            drop(agent.shape_lock().read().await);
            look(agent, &table, &asked).await.map(JsonBody)
        }
        answer => answer.map(JsonBody),
    }
}

/// What a read of the offline database says whose table has other columns than the register in force knows.
const RESHAPED: &str = "local-reshaped";

async fn look(agent: &Agent, table: &str, asked: &[(String, String)]) -> Result<Json, Problem> {
    let unknown = || {
        Problem::new(404, "table-unknown", format!("{table} is in no scope of the profile"))
            .hint("GET /v1/status lists the scopes")
    };
    let name = TableName::parse(table).ok_or_else(unknown)?;
    let register = agent.register();
    let (run, table) = register.table(&name).ok_or_else(unknown)?;
    let (filter, place) = filter(table, asked)?;
    if place != Place::Offline
        && agent.reads_channel(run)
        && let Some(rows) = from_channel(agent, run, table, &filter, place).await?
    {
        let source = json!({ "source": "channel", "version": null, "age_s": null, "stale": false });
        return Ok(page(source, table, rows));
    }
    if matches!(place, Place::Own | Place::Channel) {
        let detail = "the pages before came from the channel, which is not read now";
        return Err(Problem::new(409, "rows-moved", detail)
            .hint("ask from the first page on: the offline database has an order of its own"));
    }
    // Before the rows are read: what lands meanwhile is younger than what is said.
    let Shown { age_s, is_stale, .. } = Shown::of(agent, run);
    let Page { version, rows } =
        register.local.page(table, &filter).await.map_err(FlowError::from)?;
    let version = version.map(|version| version.to_string());
    let source =
        json!({ "source": "offline", "version": version, "age_s": age_s, "stale": is_stale });
    let next = next(table, &filter, &rows, Place::Offline);
    Ok(page(source, table, Rows { rows, next }))
}

/// Where an earlier page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Among the rows that the channel does not have yet.
    Own,
    Channel,
    Offline,
}

/// A page's rows and the token of the next one.
struct Rows {
    rows: Vec<Row>,
    next: Option<String>,
}

/// `None` when the channel does not answer in time, or is left meanwhile.
async fn from_channel(
    agent: &Agent,
    run: &ScopeRun,
    table: &Arc<Table>,
    filter: &Filter,
    place: Place,
) -> Result<Option<Rows>, Problem> {
    let register = agent.register();
    // First: what goes up meanwhile the channel has when it is asked.
    let own = match register.local.unsent_of(table, filter).await {
        // Days of sales that wait, or a row that another program has spoilt: the channel's rows are better than none.
        Err(LocalError::ReadTooLong { .. } | LocalError::Unreadable { .. }) => {
            UnsentRows::default()
        }
        own => own.map_err(FlowError::from)?,
    };
    let mut rows = if place == Place::Channel { Vec::new() } else { own.rows };
    let left = filter.limit.saturating_sub(rows.len());
    if left == 0 {
        let next = next(table, filter, &rows, Place::Own);
        return Ok(Some(Rows { rows, next }));
    }
    let after = filter.after.clone().filter(|_| place == Place::Channel);
    let filter = Filter { after, limit: left, ..filter.clone() };
    let Some(there) = asked_in_time(agent, run, table, &filter).await else { return Ok(None) };
    let next = next(table, &filter, &there, Place::Channel);
    let (identity, env) = (register.file.identity(), &register.env);
    let context = rules::context(&identity, &run.scope.name, Flow::Pull, rules::now(env));
    let ruled = rules::transform(env, run, &context, table, there).await?;
    let kept = ruled.into_iter().filter_map(|ruled| match ruled {
        RowOutcome::Kept(row) => Some(row),
        RowOutcome::Dropped(_) | RowOutcome::Quarantined(..) => None,
    });
    let unsent: HashSet<Vec<String>> = own.keys.iter().map(|key| key.folded(table)).collect();
    let is_unsent = |row: &Row| unsent.contains(&row.key(table).folded(table));
    let mut kept: Vec<Row> = kept.collect();
    match place {
        // What was changed since the first page was among the rows of before on none.
        Place::Channel => put_in_place(&register, table, &filter, &mut kept, is_unsent).await?,
        _ => kept.retain(|row| !is_unsent(row)),
    }
    numbers::keep_seeds(&register, table, &mut kept).await?;
    rows.extend(kept);
    Ok(Some(Rows { rows, next }))
}

/// The register's own rows where it has changed what the channel has.
async fn put_in_place(
    register: &Register,
    table: &Arc<Table>,
    filter: &Filter,
    rows: &mut Vec<Row>,
    is_unsent: impl Fn(&Row) -> bool,
) -> Result<(), Problem> {
    let mut placed = Vec::new();
    for row in std::mem::take(rows) {
        if !is_unsent(&row) {
            placed.push(row);
            continue;
        }
        let key = table.key.iter().copied().zip(row.key(table).0);
        let equals = filter.equals.iter().cloned().chain(key).collect();
        let own = Filter { equals, prefix: filter.prefix.clone(), after: None, limit: 1 };
        placed.extend(register.local.read(table, &own).await.map_err(FlowError::from)?);
    }
    *rows = placed;
    Ok(())
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
            Ok(rows) => {
                agent.unanswered.is_over(&table.name);
                return Some(rows);
            }
            Err(error) if !error.is_channel_trouble() => return not_answered(agent, table, &error),
            Err(FlowError::Channel(error)) => error,
            Err(_) => late(),
        },
        () = &mut left => return None,
        () = &mut patience => late(),
    };
    agent.suffer(trouble);
    None
}

/// The channel is well, and cannot answer this: nobody is to sell offline for a question's sake.
fn not_answered(agent: &Agent, table: &Table, error: &FlowError) -> Option<Vec<Row>> {
    let name = &table.name;
    if agent.unanswered.is_news(name, error.code()) {
        agent.say(&format!("a read of {name} is answered offline: [{}] {error}", error.code()));
    }
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

/// The token of the page behind `rows`, if there is one.
fn next(table: &Table, filter: &Filter, rows: &[Row], place: Place) -> Option<String> {
    let last = rows.last().filter(|_| rows.len() == filter.limit)?;
    Some(token(table, &last.key(table), place))
}

/// `page` says where the rows come from and how fresh they are.
fn page(mut page: Json, table: &Table, Rows { rows, next }: Rows) -> Json {
    let rows: Vec<Json> = rows.iter().map(|row| row_json(table, row)).collect();
    (page["rows"], page["next"]) = (Json::Array(rows), next.map_or(Json::Null, Json::String));
    page
}

fn row_json(table: &Table, row: &Row) -> Json {
    let cell = |(value, column): (&_, &tillhold_core::table::Column)| {
        (column.name.clone(), json::to_json(value, column))
    };
    Json::Object(row.0.iter().zip(&table.columns).map(cell).collect::<Map<String, Json>>())
}

/// The last key as one text for `after=`, opaque to callers: a letter for the place, and hexadecimal of the key's JSON.
fn token(table: &Table, key: &Key, place: Place) -> String {
    let parts = key.0.iter().zip(table.key_columns());
    let parts: Vec<Json> = parts.map(|(value, column)| json::to_json(value, column)).collect();
    let letter = match place {
        Place::Own => 'u',
        Place::Channel => 'c',
        Place::Start | Place::Offline => 'o',
    };
    format!("{letter}{}", text::hexadecimal(Json::Array(parts).to_string().as_bytes()))
}

fn read_token(table: &Table, token: &str) -> Option<(Key, Place)> {
    let place = match token.chars().next()? {
        'u' => Place::Own,
        'c' => Place::Channel,
        'o' => Place::Offline,
        _ => return None,
    };
    let bytes = text::parse_hexadecimal(&token[1..])?;
    let parts: Vec<Json> = serde_json::from_slice(&bytes).ok()?;
    if parts.len() != table.key.len() {
        return None;
    }
    let part = |(part, column)| json::from_json(part, column).ok();
    let key = parts.iter().zip(table.key_columns()).map(part).collect::<Option<_>>().map(Key)?;
    Some((key, place))
}

fn filter(table: &Table, asked: &[(String, String)]) -> Result<(Filter, Place), Problem> {
    let (mut filter, mut place) = (Filter { limit: 100, ..Filter::default() }, Place::Start);
    for (at, (name, value)) in asked.iter().enumerate() {
        if asked[..at].iter().any(|(before, _)| before == name) {
            return Err(wrong(name, "is given twice".to_string()));
        }
        match (name.as_str(), name.strip_prefix("prefix.")) {
            ("limit", _) => filter.limit = limit(value)?,
            ("after", _) => {
                let (key, at) = read_token(table, value).ok_or_else(|| {
                    wrong("after", "is not a token of this table's earlier page".to_string())
                })?;
                (filter.after, place) = (Some(key), at);
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
    Ok((filter, place))
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
