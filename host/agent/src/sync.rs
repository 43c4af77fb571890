//! When push and pull run: on the way back, on a nudge after a sale, and by each scope's frequency.
//!
//! * Push always runs before pull, so that nothing local is overwritten unseen.
//! * A scope that fails for a reason of its own (a plugin, a right) stands still and says so; the others go on.
//! * Trouble with the channel itself ends the round and goes to the supervisor.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::pull::{self, Progress};
use crate::push;
use crate::quiet;
use crate::register::ScopeRun;
use crate::selecting;
use crate::snapshot::keep;
use std::sync::Arc;
use std::time::Duration;
use tillhold_channel::Link;
use tillhold_core::failover::{Event, State};
use tillhold_core::stage::Tally;
use tillhold_local::{Flow, SyncEntry, SyncFailure};

/// How often a loop looks for due scopes and unsent sales when nobody nudges it.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Push everything, pull every scope, and push what was sold meanwhile.
pub async fn come_back(agent: &Arc<Agent>) -> Result<(), FlowError> {
    push_pending(agent).await?;
    keep::look_before_load(agent).await?;
    let mut link = agent.pull_lane().await;
    select(agent, &mut link, Chosen::First).await?;
    for run in &agent.register().scopes {
        pull_scope(agent, &mut link, run).await?;
    }
    select(agent, &mut link, Chosen::Due).await?;
    push_pending(agent).await
}

/// One scope or all, now, whatever their frequency; for `tillhold sync`.
pub async fn now(
    agent: &Arc<Agent>,
    scope: Option<&str>,
    chooses: bool,
) -> Result<Vec<(String, Tally)>, FlowError> {
    push_pending(agent).await?;
    let mut link = agent.pull_lane().await;
    let mut done = Vec::new();
    select(agent, &mut link, Chosen::First).await?;
    for run in &agent.register().scopes {
        if scope.is_none_or(|name| name == run.scope.name) {
            done.push((run.scope.name.clone(), pull_scope(agent, &mut link, run).await?));
        }
    }
    select(agent, &mut link, if chooses { Chosen::Anew } else { Chosen::Due }).await?;
    Ok(done)
}

/// Runs until the agent stops; works only while Online. Its own loop, so that a long pull delays no sale.
pub async fn keep_pushed(agent: Arc<Agent>) {
    loop {
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = agent.nudge.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        if agent.state() == State::Online {
            let pushed = push_pending(&agent).await;
            doubt_on_trouble(&agent, pushed);
        }
    }
}

/// Runs until the agent stops; works only while Online.
pub async fn keep_pulled(agent: Arc<Agent>) {
    loop {
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        if agent.state() == State::Online {
            let pulled = pull_due(&agent).await;
            doubt_on_trouble(&agent, pulled);
        }
    }
}

fn doubt_on_trouble(agent: &Agent, result: Result<(), FlowError>) {
    if let Err(error) = result {
        agent.say(&format!("synchronisation broke off: {error}"));
        agent.tell(Event::Trouble);
    }
}

async fn pull_due(agent: &Agent) -> Result<(), FlowError> {
    let mut link = agent.pull_lane().await;
    for run in &agent.register().scopes {
        if is_due(agent, run) {
            pull_if_changed(agent, &mut link, run).await?;
        }
    }
    select(agent, &mut link, Chosen::Due).await
}

/// Which choices of products and customers are computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// Those without which nothing may be loaded.
    First,
    Due,
    Anew,
}

/// Under this name choices report, beside the scopes.
pub const SELECTION: &str = "selection";

async fn select(agent: &Agent, link: &mut Link, which: Chosen) -> Result<(), FlowError> {
    let register = agent.register();
    let done = match which {
        Chosen::First => selecting::begin(&register, link).await.map(|()| Vec::new()),
        Chosen::Due | Chosen::Anew => {
            selecting::refresh(&register, link, which == Chosen::Anew).await
        }
    };
    let done = match done {
        Err(error) if !error.is_channel_trouble() => {
            agent.say(&format!("the offline choice stands still: [{}] {error}", error.code()));
            agent.report(SELECTION, &Err(error), 0);
            return Ok(());
        }
        done => done?,
    };
    agent.report(SELECTION, &Ok(Tally::default()), 0);
    for one in done {
        let (domain, rows, left) = (one.domain.name(), one.rows, one.left);
        agent.say(&format!("offline {domain} were chosen: {rows} rows came, {left} left"));
    }
    Ok(())
}

/// A due scope of a channel on which nothing happened is up to date without a pass.
async fn pull_if_changed(agent: &Agent, link: &mut Link, run: &ScopeRun) -> Result<(), FlowError> {
    match quiet::is_unchanged(agent, link, run).await {
        Ok(true) => {
            agent.report(&run.scope.name, &Ok(Tally::default()), 0);
            Ok(())
        }
        Err(error) if error.is_channel_trouble() => Err(error),
        // What else is wrong the pass says, by name.
        Ok(false) | Err(_) => pull_scope(agent, link, run).await.map(drop),
    }
}

fn is_due(agent: &Agent, run: &ScopeRun) -> bool {
    let now = agent.register().env.clock.wall_ms();
    let last = agent.scope_report(&run.scope.name).synchronised_at_ms;
    // A clock that jumped back makes a scope due rather than late by the jump.
    let since = last.map(|last| now.saturating_sub(last));
    since.is_none_or(|since| since < 0 || since as u128 >= run.scope.frequency.as_millis())
}

/// Under this name push reports, beside the scopes that pull.
pub const PUSH: &str = "push";

async fn push_pending(agent: &Agent) -> Result<(), FlowError> {
    let mut link = agent.push_lane().await;
    let settled = || agent.note_settlement();
    let result = push::push(&agent.register(), &mut link, &settled).await.map(|_| Tally::default());
    agent.report(PUSH, &result, 0);
    match result {
        Err(error) if error.is_channel_trouble() => Err(error),
        Err(error) => {
            agent.say(&format!("push stands still: [{}] {error}", error.code()));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

async fn pull_scope(agent: &Agent, link: &mut Link, run: &ScopeRun) -> Result<Tally, FlowError> {
    if !run.is_pulled() {
        return Ok(Tally::default());
    }
    let register = agent.register();
    let clock = &register.env.clock;
    let (started_ms, started_us) = (clock.wall_ms(), clock.monotonic_us());
    let result = pull::pull(&register, link, run, &pull::Unwatched as &dyn Progress).await;
    let took_ms = (clock.monotonic_us() - started_us) / 1000;
    agent.report(&run.scope.name, &result, took_ms);
    match result {
        Ok(tally) => {
            agent.passes.note(&register, &run.scope.name);
            note(agent, run, started_ms, tally, None).await?;
            Ok(tally)
        }
        Err(error) => {
            let failure =
                SyncFailure { code: error.code().to_string(), message: error.to_string() };
            note(agent, run, started_ms, Tally::default(), Some(failure)).await?;
            if error.is_channel_trouble() {
                return Err(error);
            }
            let scope = &run.scope.name;
            agent.say(&format!("scope {scope} stands still: [{}] {error}", error.code()));
            Ok(Tally::default())
        }
    }
}

/// Into the offline database's own sync log. A pull that brought nothing is not worth a line.
async fn note(
    agent: &Agent,
    run: &ScopeRun,
    started_ms: i64,
    tally: Tally,
    failure: Option<SyncFailure>,
) -> Result<(), FlowError> {
    if tally.rows_in == 0 && failure.is_none() {
        return Ok(());
    }
    let entry = SyncEntry {
        flow: Flow::Pull,
        scope: run.scope.name.clone(),
        started_ms,
        finished_ms: agent.register().env.clock.wall_ms(),
        tally,
        version: None,
        failure,
    };
    Ok(agent.register().local.sync_log(entry).await?)
}
