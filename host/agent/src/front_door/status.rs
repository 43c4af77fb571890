//! How the register stands, and the operator's hand on it.

use super::Door;
use super::audit::Said;
use super::extract::Whole;
use super::problem::Problem;
use super::role::Role;
use crate::agent::{Agent, ScopeReport};
use crate::fault::FlowError;
use crate::freshness::{self, Shown};
use crate::register::Register;
use crate::{channel_report, claiming, plugins, renewal, resend, selecting, sync};
use axum::extract::{Query, State};
use axum::{Extension, Json as JsonBody};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tillhold_core::failover::State as Failover;
use tillhold_core::profile::{Direction, WritePath};
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_local::{Load, TableState, UnsentSales};

/// `?rows=yes` counts the rows of every table as well, which takes its time.
pub async fn get(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let mut status = status(&door.agent).await?;
    if asked.get("rows").is_some_and(|asked| asked == "yes") {
        count_rows(&door.agent, &mut status).await?;
    }
    Ok(JsonBody(status))
}

async fn count_rows(agent: &Agent, status: &mut Json) -> Result<(), FlowError> {
    let register = agent.register();
    for (at, run) in register.scopes.iter().enumerate() {
        let mut rows = 0;
        for table in &run.tables {
            rows += register.local.count(&table.name).await?;
        }
        status["scopes"][at]["rows"] = json!(rows);
    }
    Ok(())
}

pub async fn status(agent: &Agent) -> Result<Json, FlowError> {
    let register = agent.register();
    let counts = register.local.counts().await?;
    let states: BTreeMap<TableName, TableState> = register
        .local
        .tables()
        .await?
        .into_iter()
        .map(|state| (state.table.name.clone(), state))
        .collect();
    let standing = agent.standing();
    let write_path = match register.profile.write_path {
        WritePath::ChannelFirst => "channel-first",
        WritePath::LocalFirst => "local-first",
    };
    let unsent = register.local.unsent_sales(&channel_report::sale_columns()).await?;
    let waiting = register.local.unsent_rows().await?;
    let scopes: Vec<Json> =
        register.scopes.iter().map(|run| scope(agent, run, &states, &waiting)).collect();
    let left_out: Vec<String> = register.left_out.iter().map(ToString::to_string).collect();
    Ok(json!({
        "state": standing.machine.state.name(),
        "since_ms": standing.entered_at_ms,
        "returns_from_ms": returns_from_ms(agent, &register),
        "held": agent.hold.shown(),
        "last_trouble": agent.last_trouble.shown(),
        "now_ms": register.env.clock.wall_ms(),
        "store": register.file.store,
        "register": register.file.register,
        "incarnation": register.local.incarnation().to_string(),
        "profile": register.profile.name,
        "profile_origin": renewal::origin(&register.file.profile),
        "profile_taken_at_ms": register.taken_at_ms,
        "profile_fault": agent.renewal.fault(),
        "write_path": write_path,
        "started_at_ms": agent.started_ms,
        "version": env!("CARGO_PKG_VERSION"),
        "data": freshness::shown(agent),
        "pending": { "transactions": counts.pending_transactions, "rows": counts.pending_rows },
        "unsent": unsent_json(&unsent),
        "quarantined": counts.quarantined,
        "rows_aside": counts.rows_aside,
        "tried_again": agent.again.shown(),
        "conflicts": counts.deferred,
        "tables_without_key": left_out,
        "selection": selecting::shown(&register).await?,
        "selection_fault": fault(agent.scope_report(sync::SELECTION)),
        "numbers": agent.numbers.shown(),
        "report_fault": fault(agent.scope_report(channel_report::REPORT)),
        "push_fault": fault(agent.scope_report(sync::PUSH)),
        "lost": agent.lost.waiting(),
        "lost_fault": fault(agent.scope_report(resend::LOST)),
        "snapshots": agent.snapshots.shown(),
        "size": crate::upkeep::told(agent).await?,
        "plugins": plugins::shown(&register),
        "scopes": scopes,
    }))
}

/// Offline: before this moment of the wall clock, by the dwell, no answer of the channel brings the register back.
fn returns_from_ms(agent: &Agent, register: &Register) -> Option<i64> {
    let machine = agent.standing().machine;
    let left_ms = machine.return_from_ms.checked_sub(agent.now_ms()).filter(|left| *left > 0)?;
    (machine.state == Failover::Offline).then(|| register.env.clock.wall_ms() + left_ms as i64)
}

fn unsent_json(unsent: &UnsentSales) -> Json {
    let amount =
        |(currency, amount): (String, String)| json!({ "currency": currency, "amount": amount });
    let amounts: Vec<Json> = channel_report::amounts(unsent).into_iter().map(amount).collect();
    json!({
        "transactions": unsent.transactions,
        "rows": unsent.rows,
        "oldest_ms": unsent.oldest_ms,
        "amounts": amounts,
    })
}

fn scope(
    agent: &Agent,
    run: &crate::register::ScopeRun,
    states: &BTreeMap<TableName, TableState>,
    waiting: &BTreeMap<TableName, u64>,
) -> Json {
    let pending: u64 = run.tables.iter().filter_map(|table| waiting.get(&table.name)).sum();
    let states: Vec<&TableState> =
        run.tables.iter().filter_map(|table| states.get(&table.name)).collect();
    let loaded = states.iter().filter(|state| state.load == Load::Loaded).count();
    let version = states.iter().filter_map(|state| state.version).min();
    let report = agent.scope_report(&run.scope.name);
    let data = Shown::of(agent, run);
    let wall_ms = agent.register().env.clock.wall_ms();
    let last_ago_ms = report.synchronised_at_ms.map(|then| agent.now_ms().saturating_sub(then));
    let due_in_ms = run.is_pulled().then(|| sync::due_in_ms(agent, run)).flatten();
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
        "last_sync_ms": last_ago_ms.map(|ago_ms| wall_ms - ago_ms as i64),
        "next_due_ms": due_in_ms.map(|left_ms| wall_ms + left_ms),
        "age_s": data.age_s,
        "stale_at_s": data.stale_at_s,
        "stale": data.is_stale,
        "pending": pending,
        "errors": report.errors,
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
    Extension(role): Extension<Role>,
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
        return Err(not_online(agent.state()));
    }
    let chooses = asked.contains_key("selection");
    let resends = asked.get("resend").is_some_and(|word| word == "true");
    if resends && role < Role::Operator {
        return Err(Problem::beyond(role, Role::Operator));
    }
    if resends {
        Said::default().note(&door, role, "resend", None).await?;
    }
    let done = sync::now(agent, sync::Wanted { scope, chooses, resends }).await?;
    let pushed = &done.pushed;
    let scopes: Vec<Json> = done
        .pulled
        .iter()
        .map(|(scope, rows)| {
            let stands = fault(agent.scope_report(scope));
            json!({ "scope": scope, "rows": tally(*rows), "fault": stands })
        })
        .collect();
    Ok(JsonBody(json!({
        "pushed": {
            "transactions": pushed.transactions,
            "rows": pushed.rows,
            "quarantined": pushed.quarantined,
            "deferred": pushed.deferred,
        },
        "push_fault": fault(agent.scope_report(sync::PUSH)),
        "lost_fault": fault(agent.scope_report(resend::LOST)),
        "scopes": scopes,
    })))
}

fn not_online(state: Failover) -> Problem {
    let hint = match state {
        Failover::Returning => {
            "it is on its way back and synchronises by itself; `tillhold status` shows how far it is"
        }
        Failover::Held => {
            "a person holds it offline: `tillhold release` (POST /v1/release) lets it go"
        }
        _ => "`tillhold reconnect` (POST /v1/reconnect) tries the channel now",
    };
    Problem::new(503, "sync-offline", format!("the register is {}, not online", state.name()))
        .hint(hint)
}

/// A new incarnation, by a person's decision (`{"who": "…", "why": "…"}`), when the database was restored or copied.
pub async fn renew(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    let Some(why) = said.why.clone() else {
        return Err(Problem::new(422, "incarnation-why", "a reason is missing")
            .hint("say why in \"why\": it is kept at the channel"));
    };
    if claiming::examine(&door.agent).await?.is_none() {
        return Err(Problem::new(409, "incarnation-sound", "nothing stands against this register")
            .hint("there is nothing to renew: it sends as it is"));
    }
    let renewed = claiming::renew(&door.agent, &why).await?;
    let incarnation = renewed["incarnation"].as_str().map(str::to_string);
    said.note(&door, role, "incarnation-renew", incarnation).await?;
    Ok(JsonBody(renewed))
}
