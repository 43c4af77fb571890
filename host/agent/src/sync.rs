//! When push and pull run: on the way back, on a nudge after a sale, and by each scope's frequency.
//!
//! * Push always runs before pull, so that nothing local is overwritten unseen.
//! * A scope that fails for a reason of its own (a plugin, a right) stands still and says so; the others go on.
//! * Trouble with the channel itself ends the round and goes to the supervisor.
//! * A register that is put on hold ends what is under way before its next batch or scope; what a person asks for by hand
//!   goes on.

use crate::agent::Agent;
use crate::channel_report::REPORT;
use crate::fault::FlowError;
use crate::pull::{self, Progress};
use crate::push::{self, Push, PushEnd, Pushed};
use crate::register::{Register, ScopeRun};
use crate::resend::LOST;
use crate::selecting;
use crate::skip_unchanged;
use crate::snapshot::keep;
use crate::{channel_epoch, channel_report, claiming, discarding, numbers, renewal, retry};
use std::sync::Arc;
use std::time::Duration;
use tillhold_channel::{ChannelError, Link};
use tillhold_core::failover::State;
use tillhold_core::pace;
use tillhold_core::profile::WritePath;
use tillhold_core::stage::Tally;
use tillhold_local::{Flow, SyncEntry, SyncFailure};

/// How often a loop looks for due scopes, and for unsent rows when nobody nudges it: a scope's frequency is in seconds,
/// and only other programs write without a nudge.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Push everything, pull every scope, and push what was sold meanwhile. Ends before its next scope when the channel was
/// lost and another return has begun.
pub async fn come_back(agent: &Arc<Agent>, began_ms: u64) -> Result<(), FlowError> {
    let is_over = || is_held(agent) || agent.standing().machine.has_returned_since(began_ms);
    {
        // Whoever asks sees what comes back, before it is gone.
        let mut link = agent.pull_lane().await;
        channel_report::tell_if_due(agent, &mut link).await;
    }
    push_pending(agent, false).await?;
    if is_over() {
        return Ok(());
    }
    let mut link = agent.pull_lane().await;
    renewal::renew_if_due(agent, &mut link).await?;
    drop(link);
    keep::look_before_load(agent).await?;
    let mut link = agent.pull_lane().await;
    select(agent, &mut link, Chosen::First).await?;
    let register = agent.register();
    for run in &register.scopes {
        if is_over() {
            return Ok(());
        }
        pull_scope(agent, &mut link, run).await?;
    }
    select(agent, &mut link, Chosen::Due).await?;
    numbers::refresh(agent, &register, &mut link).await?;
    drop(link);
    push_pending(agent, false).await.map(drop)
}

fn is_held(agent: &Agent) -> bool {
    agent.state() == State::Held
}

/// The agent's own look at a push.
struct Onlooker<'a> {
    agent: &'a Agent,
    /// A person asked for it: a hold does not end it.
    is_by_hand: bool,
}

impl push::Watch for Onlooker<'_> {
    fn settled(&self) {
        self.agent.note_settlement();
    }

    fn goes_on(&self) -> bool {
        self.is_by_hand || !is_held(self.agent)
    }
}

/// What `tillhold sync` did.
pub struct Synchronised {
    pub pushed: Pushed,
    pub pulled: Vec<(String, Tally)>,
}

/// What a person asks for beside the rest.
#[derive(Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// One scope only.
    pub scope: Option<&'a str>,
    /// Products and customers are chosen anew.
    pub chooses: bool,
    /// Also to a channel that has none of the register's sales they are sent once more.
    pub resends: bool,
}

/// One scope or all, now, whatever their frequency; for `tillhold sync`.
pub async fn now(agent: &Arc<Agent>, wanted: Wanted<'_>) -> Result<Synchronised, FlowError> {
    let Wanted { scope, chooses, resends } = wanted;
    agent.again.ask();
    if resends {
        agent.lost.ask();
    }
    agent.rounds.doubt_arrivals();
    let pushed = push_pending(agent, true).await?;
    let mut link = agent.pull_lane().await;
    renewal::renew(agent, &mut link).await?;
    let register = agent.register();
    let mut pulled = Vec::new();
    select(agent, &mut link, Chosen::First).await?;
    for run in register.scopes.iter().filter(|run| scope.is_none_or(|name| name == run.scope.name))
    {
        let mut tally = pull_scope(agent, &mut link, run).await?;
        if renewal::is_altered(agent, run) {
            renewal::renew(agent, &mut link).await?;
            let register = agent.register();
            if let Some(run) = register.scopes.iter().find(|one| one.scope.name == run.scope.name) {
                tally = pull_scope(agent, &mut link, run).await?;
            }
        }
        pulled.push((run.scope.name.clone(), tally));
    }
    let register = agent.register();
    select(agent, &mut link, if chooses { Chosen::Anew } else { Chosen::Due }).await?;
    numbers::refresh(agent, &register, &mut link).await?;
    channel_report::tell(agent, &mut link).await;
    Ok(Synchronised { pushed, pulled })
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
        if agent.state() == State::Online && is_upload_due(&agent) {
            let began_ms = agent.now_ms();
            let pushed = push_pending(&agent, false).await;
            doubt_on_trouble(&agent, "upload", began_ms, pushed.map(drop));
        }
    }
}

/// A channel-first sale waits for its own upload, so there is no interval to wait for.
fn is_upload_due(agent: &Agent) -> bool {
    let register = agent.register();
    let interval = register.profile.conduct.upload.interval.as_millis() as u64;
    let at_once = register.profile.write_path == WritePath::ChannelFirst || interval == 0;
    at_once || agent.now_ms() >= agent.uploaded_at_ms() + interval
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
            let began_ms = agent.now_ms();
            let pulled = pull_due(&agent).await;
            doubt_on_trouble(&agent, "download", began_ms, pulled);
        } else if agent.state() == State::Held {
            // Held by a person, who may well have the channel within reach.
            let mut link = agent.pull_lane().await;
            channel_report::tell_if_due(&agent, &mut link).await;
        }
    }
}

/// Work that hung since before the register came back says nothing of the channel as it is now, and neither does trouble of
/// the register's own, such as a full disk.
fn doubt_on_trouble(
    agent: &Agent,
    flow: &'static str,
    began_ms: u64,
    result: Result<(), FlowError>,
) {
    let Err(error) = result else { return agent.broken_off.is_over(&flow) };
    let is_channels = matches!(error, FlowError::Channel(_));
    if agent.broken_off.is_news(&flow, error.code()) || is_channels {
        agent.say(&format!("the {flow} broke off: [{}] {error}", error.code()));
    }
    if error.is_given_up() || agent.standing().machine.has_returned_since(began_ms) {
        return;
    }
    if let FlowError::Channel(error) = error {
        agent.suffer(error);
    }
}

async fn pull_due(agent: &Agent) -> Result<(), FlowError> {
    let mut link = agent.pull_lane().await;
    renewal::renew_if_due(agent, &mut link).await?;
    let register = agent.register();
    let asked_again = register.local.scopes_to_ask_again().await?;
    for run in &register.scopes {
        if is_held(agent) {
            return Ok(());
        }
        if !agent.debt().admits(agent.now_ms()) {
            continue;
        }
        let stands = agent.scope_report(&run.scope.name).fault.is_some();
        let is_early =
            asked_again.contains(&run.scope.name) || agent.life.is_behind(&run.scope.name);
        if is_early && !stands {
            pull_scope(agent, &mut link, run).await?;
        } else if is_due(agent, run) {
            pull_if_changed(agent, &mut link, run).await?;
        }
    }
    numbers::refresh_if_seeds_came(agent, &register, &mut link).await?;
    select(agent, &mut link, Chosen::Due).await?;
    channel_report::tell_if_due(agent, &mut link).await;
    Ok(())
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
    let waiting = selecting::waiting(&register).await;
    let done = match which {
        Chosen::First => selecting::begin(&register, link).await.map(|()| Vec::new()),
        Chosen::Due | Chosen::Anew => {
            selecting::refresh(&register, link, which == Chosen::Anew).await
        }
    };
    let (waiting, done) = match waiting.and_then(|waiting| Ok((waiting, done?))) {
        Err(error) if !error.is_channel_trouble() => {
            agent.report(SELECTION, &Err(error), 0);
            return Ok(());
        }
        done => done?,
    };
    agent.report(SELECTION, &Ok(Tally::default()), 0);
    for one in &done {
        let (domain, rows, left) = (one.domain.name(), one.rows, one.left);
        agent.say(&format!("offline {domain} were chosen: {rows} rows came, {left} left"));
    }
    let has_waited = |run: &&ScopeRun| run.tables.iter().any(|t| waiting.contains(&t.name));
    for run in register.scopes.iter().filter(has_waited).filter(|_| !done.is_empty()) {
        pull_scope(agent, link, run).await?;
    }
    Ok(())
}

/// A due scope of a channel on which nothing happened is up to date without a pass.
async fn pull_if_changed(agent: &Agent, link: &mut Link, run: &ScopeRun) -> Result<(), FlowError> {
    let (register, started_us) = (agent.register(), agent.register().env.clock.monotonic_us());
    match skip_unchanged::is_unchanged(agent, link, run).await {
        Ok(true) => {
            agent.ages.pulled(&register, &run.scope.name, started_us);
            agent.report(&run.scope.name, &Ok(Tally::default()), 0);
            Ok(())
        }
        Err(error) if error.is_channel_trouble() => Err(error),
        // What else is wrong the pass says, by name.
        Ok(false) | Err(_) => pull_scope(agent, link, run).await.map(drop),
    }
}

fn is_due(agent: &Agent, run: &ScopeRun) -> bool {
    due_in_ms(agent, run).is_none_or(|left_ms| left_ms <= 0)
}

/// As the log calls it when it stands still and when it goes on; what is lost is told of itself.
pub fn told_as(report: &str) -> Option<String> {
    match report {
        LOST => None,
        PUSH => Some(PUSH.to_string()),
        SELECTION => Some("the offline choice".to_string()),
        REPORT => Some("the report to the channel".to_string()),
        scope => Some(format!("scope {scope}")),
    }
}

/// In how long the scope is pulled next by its frequency, a little earlier on each register; below 0 it is late, `None` is
/// now.
pub fn due_in_ms(agent: &Agent, run: &ScopeRun) -> Option<i64> {
    let register = agent.register();
    let last_ms = agent.scope_report(&run.scope.name).synchronised_at_ms?;
    let seed = pace::seed(&[&register.file.register, &run.scope.name], last_ms);
    let jitter = register.profile.conduct.pace.jitter_percent;
    let interval = pace::interval(run.scope.frequency, jitter, seed);
    let since_ms = agent.now_ms().saturating_sub(last_ms);
    Some(interval.as_millis() as i64 - since_ms as i64)
}

/// Under this name push reports, beside the scopes that pull.
pub const PUSH: &str = "push";

async fn push_pending(agent: &Agent, is_by_hand: bool) -> Result<Pushed, FlowError> {
    let watch = Onlooker { agent, is_by_hand };
    let mut link = agent.push_lane().await;
    if !link.is_connected() {
        // What is connected to now may be another state of the channel than the one of before.
        agent.rounds.doubt_arrivals();
    }
    let round = agent.rounds.begin();
    let register = agent.register();
    let started_ms = agent.now_ms();
    let mut pushed = Pushed::default();
    let mut result =
        push_claimed(agent, &register, &mut link, (&watch, round.knows_arrivals), &mut pushed)
            .await;
    if matches!(result, Err(FlowError::Channel(ChannelError::Unclaimed))) {
        // Another database claimed, or the channel forgot, as one that was restored: the claim says which.
        agent.claim.lose();
        result = push_claimed(agent, &register, &mut link, (&watch, false), &mut pushed).await;
    }
    agent.note_upload();
    agent.claim.note_head(pushed.head);
    if result.is_ok() {
        agent.rounds.note_arrivals(round);
    }
    if let Ok(PushEnd::NothingLeft) = result {
        agent.rounds.end(round);
        // A sale that it has left pending is not waited for.
        agent.note_settlement();
    }
    let result = result.map(|_| Tally::default());
    agent.report(PUSH, &result, 0);
    let took_ms = agent.now_ms().saturating_sub(started_ms);
    note_pushed(agent, took_ms, &pushed, result.as_ref().err()).await?;
    match result {
        Err(error) if error.is_channel_trouble() => Err(error),
        Err(_) => {
            // Sales that wait for their own need not wait for this.
            agent.note_settlement();
            Ok(pushed)
        }
        Ok(_) => Ok(pushed),
    }
}

async fn push_claimed(
    agent: &Agent,
    register: &Arc<Register>,
    link: &mut Link,
    (watch, knows_arrivals): (&dyn push::Watch, bool),
    pushed: &mut Pushed,
) -> Result<PushEnd, FlowError> {
    let speaker = claiming::hold(agent, register, link).await?;
    if !knows_arrivals {
        push::take_stock(agent, register, link, pushed).await?;
    }
    retry::look_if_due(agent, register, link).await?;
    discarding::tell(register, link).await?;
    Push { register, link, speaker: &speaker, pushed }.run(watch).await
}

/// A line for each scope whose rows were sent; one for a push that stands still, when it begins to.
async fn note_pushed(
    agent: &Agent,
    took_ms: u64,
    pushed: &Pushed,
    error: Option<&FlowError>,
) -> Result<(), FlowError> {
    let register = agent.register();
    let finished_ms = register.env.clock.wall_ms();
    for (scope, rows) in &pushed.scopes {
        let tally = Tally { rows_in: *rows, applied: *rows, dropped: 0, quarantined: 0 };
        let entry = SyncEntry {
            flow: Flow::Push,
            scope: scope.clone(),
            started_ms: finished_ms - took_ms as i64,
            finished_ms,
            tally,
            version: None,
            failure: error.map(failure),
        };
        agent.reports.note(agent.now_ms(), entry.clone());
        register.local.sync_log(entry).await?;
    }
    Ok(())
}

fn failure(error: &FlowError) -> SyncFailure {
    SyncFailure { code: error.code().to_string(), message: error.to_string() }
}

/// Rows that this database is said to have written may be another's while its claim is in doubt.
async fn pull_unless_doubted(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
    run: &ScopeRun,
) -> Result<Tally, FlowError> {
    match agent.claim.doubt().filter(|_| run.is_pushed()) {
        Some(doubt) => Err(FlowError::doubted(&doubt)),
        None => {
            let run = selecting::without_waiting(register, run).await?;
            pull::pull(register, link, &run, &pull::Unwatched as &dyn Progress).await
        }
    }
}

async fn pull_scope(agent: &Agent, link: &mut Link, run: &ScopeRun) -> Result<Tally, FlowError> {
    if !run.is_pulled() {
        return Ok(Tally::default());
    }
    let register = agent.register();
    let clock = &register.env.clock;
    let started_us = clock.monotonic_us();
    let result = pull_unless_doubted(agent, &register, link, run).await;
    let took_ms = (clock.monotonic_us() - started_us) / 1000;
    let is_news = agent.report(&run.scope.name, &result, took_ms);
    agent.pay(result.as_ref().map_or(0, |tally| tally.rows_in));
    match result {
        Ok(tally) => {
            agent.ages.pulled(&register, &run.scope.name, started_us);
            agent.passes.note(&register, &run.scope.name);
            channel_epoch::note(agent, &register, run).await?;
            note(agent, run, took_ms, tally, None).await?;
            Ok(tally)
        }
        Err(error) => {
            if is_news {
                note(agent, run, took_ms, Tally::default(), Some(failure(&error))).await?;
            }
            match error.is_channel_trouble() {
                true => Err(error),
                false => Ok(Tally::default()),
            }
        }
    }
}

/// Into the offline database's own sync log. A pull that brought nothing is not worth a line.
async fn note(
    agent: &Agent,
    run: &ScopeRun,
    took_ms: u64,
    tally: Tally,
    failure: Option<SyncFailure>,
) -> Result<(), FlowError> {
    if tally.rows_in == 0 && failure.is_none() {
        return Ok(());
    }
    let finished_ms = agent.register().env.clock.wall_ms();
    let entry = SyncEntry {
        flow: Flow::Pull,
        scope: run.scope.name.clone(),
        started_ms: finished_ms - took_ms as i64,
        finished_ms,
        tally,
        version: None,
        failure,
    };
    agent.reports.note(agent.now_ms(), entry.clone());
    Ok(agent.register().local.sync_log(entry).await?)
}
