//! How the register stands, and the operator's hand on it.

use super::Door;
use super::problem::Problem;
use crate::agent::{Agent, ScopeReport};
use crate::fault::FlowError;
use crate::selecting;
use crate::sync;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tillhold_core::failover::Event;
use tillhold_core::profile::{Direction, WritePath};
use tillhold_core::stage::Tally;
use tillhold_local::{Load, TableState};

pub async fn get(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    Ok(JsonBody(status(&door.agent).await?))
}

pub async fn status(agent: &Agent) -> Result<Json, FlowError> {
    let register = agent.register();
    let counts = register.local.counts().await?;
    let states = register.local.tables().await?;
    let standing = agent.standing();
    let write_path = match register.profile.write_path {
        WritePath::ChannelFirst => "channel-first",
        WritePath::LocalFirst => "local-first",
    };
    let scopes: Vec<Json> = register.scopes.iter().map(|run| scope(agent, run, &states)).collect();
    let left_out: Vec<String> = register.left_out.iter().map(ToString::to_string).collect();
    Ok(json!({
        "state": standing.machine.state.name(),
        "since_ms": standing.entered_at_ms,
        "store": register.file.store,
        "register": register.file.register,
        "incarnation": register.local.incarnation().to_string(),
        "profile": register.profile.name,
        "write_path": write_path,
        "started_at_ms": agent.started_ms,
        "version": env!("CARGO_PKG_VERSION"),
        "pending": { "transactions": counts.pending_transactions, "rows": counts.pending_rows },
        "quarantined": counts.quarantined,
        "rows_aside": counts.rows_aside,
        "conflicts": counts.deferred,
        "tables_without_key": left_out,
        "selection": selecting::shown(&register).await?,
        "selection_fault": fault(agent.scope_report(sync::SELECTION)),
        "push_fault": fault(agent.scope_report(sync::PUSH)),
        "snapshots": agent.snapshots.shown(),
        "size": crate::upkeep::told(agent).await?,
        "scopes": scopes,
    }))
}

fn scope(agent: &Agent, run: &crate::register::ScopeRun, states: &[TableState]) -> Json {
    let states: Vec<&TableState> = states
        .iter()
        .filter(|state| run.tables.iter().any(|table| table.name == state.table.name))
        .collect();
    let loaded = states.iter().filter(|state| state.load == Load::Loaded).count();
    let version = states.iter().filter_map(|state| state.version).min();
    let report = agent.scope_report(&run.scope.name);
    let direction = match run.scope.direction {
        Direction::Download => "download",
        Direction::Upload => "upload",
        Direction::Bidirectional => "bidirectional",
    };
    json!({
        "name": run.scope.name,
        "direction": direction,
        "tables": run.tables.len(),
        "ready": !run.is_pulled() || loaded == run.tables.len(),
        "version": version.map(|version| version.to_string()),
        "frequency_s": run.scope.frequency.as_secs(),
        "last_sync_ms": report.synchronised_at_ms,
        "took_ms": report.took_ms,
        "last": tally(report.last),
        "total": tally(report.total),
        "fault": fault(report),
    })
}

/// Why the scope (or push) stands still; null when it does not.
fn fault(report: ScopeReport) -> Json {
    match report.fault {
        Some((code, message, hint)) => json!({ "code": code, "message": message, "hint": hint }),
        None => Json::Null,
    }
}

fn tally(tally: Tally) -> Json {
    json!({
        "rows_in": tally.rows_in,
        "applied": tally.applied,
        "dropped": tally.dropped,
        "quarantined": tally.quarantined,
    })
}

/// Push, then pull one scope (`?scope=NAME`) or all; answers when it is done.
pub async fn sync(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let agent = &door.agent;
    let scope = asked.get("scope").map(String::as_str);
    let register = agent.register();
    let known = |name: &str| register.scopes.iter().any(|run| run.scope.name == name);
    if let Some(name) = scope.filter(|name| !known(name)) {
        return Err(Problem::new(404, "scope-unknown", format!("the profile has no scope {name}"))
            .hint("GET /v1/status lists the scopes"));
    }
    if !agent.state().sells_on_channel() {
        return Err(Problem::new(503, "sync-offline", "the register is not online")
            .hint("POST /v1/reconnect tries the channel now"));
    }
    let done = sync::now(agent, scope, asked.contains_key("selection")).await?;
    let done: Vec<Json> = done
        .into_iter()
        .map(|(scope, rows)| json!({ "scope": scope, "rows": tally(rows) }))
        .collect();
    Ok(JsonBody(json!({ "scopes": done })))
}

pub async fn hold(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    by_hand(&door.agent, Event::Hold).await
}

pub async fn release(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    by_hand(&door.agent, Event::Release).await
}

pub async fn reconnect(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    by_hand(&door.agent, Event::Reconnect).await
}

async fn by_hand(agent: &Agent, event: Event) -> Result<JsonBody<Json>, Problem> {
    agent.say(&format!("by hand: {event:?}"));
    agent.tell(event);
    Ok(JsonBody(json!({ "asked": format!("{event:?}").to_lowercase() })))
}
