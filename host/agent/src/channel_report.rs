//! What the register tells its channel about itself, with every round of scopes but not more often than the profile
//! says, and whenever it goes to or comes from selling offline.
//!
//! A report that cannot be made is told in the status and stops nothing: what waits is told with the next one.

use crate::agent::{Agent, Standing};
use crate::fault::FlowError;
use crate::register::Register;
use crate::resend::LOST;
use crate::sync::PUSH;
use std::collections::VecDeque;
use std::sync::Mutex;
use tillhold_channel::Link;
use tillhold_channel::report::{Moved, RegisterStanding, ScopeSync, Unsent, report};
use tillhold_core::failover::State;
use tillhold_core::limits;
use tillhold_core::numbering::AX;
use tillhold_core::stage::Tally;
use tillhold_core::value::Decimal;
use tillhold_env::Locked as _;
use tillhold_local::{Flow, SaleColumns, SyncEntry, UnsentSales};

/// Under this name reports that fail stand in the status.
pub const REPORT: &str = "report";

/// What waits to be told, and what was told last.
#[derive(Default)]
pub struct Reports(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Each with when it was noted, by the monotonic clock: the channel is told how long ago it was.
    syncs: VecDeque<(u64, SyncEntry)>,
    told_at_ms: Option<u64>,
    told: Option<State>,
}

impl Reports {
    /// A synchronisation that is worth a line of AX's log.
    pub fn note(&self, now_ms: u64, entry: SyncEntry) {
        let mut waiting = self.0.locked();
        if waiting.syncs.len() == limits::SYNC_REPORTS_WAITING_MAX {
            waiting.syncs.pop_front();
        }
        waiting.syncs.push_back((now_ms, entry));
    }

    fn is_due(&self, agent: &Agent) -> bool {
        let waiting = self.0.locked();
        let interval = agent.register().profile.conduct.report_interval.as_millis() as u64;
        let quiet = waiting.told_at_ms.is_none_or(|told| agent.now_ms() >= told + interval);
        quiet || waiting.told != Some(agent.state())
    }

    fn take(&self) -> Vec<(u64, SyncEntry)> {
        let mut waiting = self.0.locked();
        waiting.syncs.drain(..).collect()
    }

    fn tried(&self, agent: &Agent, state: State, untold: Vec<(u64, SyncEntry)>) {
        let mut waiting = self.0.locked();
        waiting.told_at_ms = Some(agent.now_ms());
        waiting.told = Some(state);
        untold.into_iter().rev().for_each(|entry| waiting.syncs.push_front(entry));
        waiting.syncs.truncate(limits::SYNC_REPORTS_WAITING_MAX);
    }
}

/// The columns by which a sale's amount is told.
pub fn sale_columns() -> SaleColumns {
    SaleColumns {
        table: AX.header(),
        amount: AX.header_amount.to_string(),
        currency: AX.header_currency.to_string(),
    }
}

/// Tells when it is time.
pub async fn tell_if_due(agent: &Agent, link: &mut Link) {
    if agent.reports.is_due(agent) {
        tell(agent, link).await;
    }
}

/// Tells now.
pub async fn tell(agent: &Agent, link: &mut Link) {
    let (register, state) = (agent.register(), agent.state());
    let syncs = agent.reports.take();
    let told = told(agent, &register, state, link, &syncs).await;
    let untold = if told.is_ok() { Vec::new() } else { syncs };
    agent.reports.tried(agent, state, untold);
    let result = told.map(|()| Tally::default());
    agent.report(REPORT, &result, 0);
}

async fn told(
    agent: &Agent,
    register: &Register,
    state: State,
    link: &mut Link,
    syncs: &[(u64, SyncEntry)],
) -> Result<(), FlowError> {
    agent.claim.keep_head(register).await?;
    let standing = standing(agent, register, state).await?;
    let now_ms = agent.now_ms();
    let told = |(noted_ms, entry): &(u64, SyncEntry)| {
        scope_sync(entry, now_ms.saturating_sub(*noted_ms), register.env.random.number())
    };
    let syncs: Vec<ScopeSync> = syncs.iter().map(told).collect();
    Ok(report(link, &standing, &syncs).await?)
}

async fn standing(
    agent: &Agent,
    register: &Register,
    state: State,
) -> Result<RegisterStanding, FlowError> {
    let counts = register.local.counts().await?;
    let unsent = register.local.unsent_sales(&sale_columns()).await?;
    let now_ms = register.env.clock.wall_ms();
    let age_s = |since: i64| u64::try_from(now_ms.saturating_sub(since)).unwrap_or(0) / 1_000;
    let since_s = |then_ms: u64| agent.now_ms().saturating_sub(then_ms) / 1_000;
    let Standing { machine, entered_at_ms } = agent.standing();
    // A hold may be older than this run.
    let state_age_s =
        if state == State::Held { age_s(entered_at_ms) } else { since_s(machine.since_ms) };
    let names: Vec<&str> =
        register.scopes.iter().map(|run| run.scope.name.as_str()).chain([LOST, PUSH]).collect();
    let reports = names.iter().map(|name| agent.scope_report(name));
    let reports: Vec<_> = reports.collect();
    let last = reports.iter().filter_map(|report| report.synchronised_at_ms).max();
    let of_work = reports.iter().rev().find_map(|report| report.fault.clone());
    let fault = of_work.map(|(code, words, _)| (code, words));
    Ok(RegisterStanding {
        store: register.file.store.clone(),
        terminal: register.file.register.clone(),
        incarnation: register.local.incarnation(),
        state: state.name().to_string(),
        state_age_s,
        is_offline: !state.sells_on_channel(),
        unsent: Unsent {
            transactions: unsent.transactions,
            rows: unsent.rows,
            oldest_age_s: unsent.oldest_ms.map(age_s),
            amounts: amounts(&unsent),
        },
        quarantined: counts.quarantined,
        conflicts: counts.deferred,
        rows_aside: counts.rows_aside,
        synchronised_age_s: last.map(since_s),
        fault: fault.or_else(|| agent.renewal.fault_words()),
        program: env!("CARGO_PKG_VERSION").to_string(),
        profile: register.profile.name.clone(),
    })
}

/// Currency and amount, with at least two decimals and no needless ones.
pub fn amounts(unsent: &UnsentSales) -> Vec<(String, String)> {
    let shown = |amount: &Decimal| {
        let mut scale = amount.scale();
        let mut plain = *amount;
        while scale > 2 && plain.rescale(scale - 1) == Some(plain) {
            scale -= 1;
            plain = plain.rescale(scale).unwrap_or(plain);
        }
        plain.to_string()
    };
    unsent.amounts.iter().map(|(currency, amount)| (currency.clone(), shown(amount))).collect()
}

fn scope_sync(entry: &SyncEntry, noted_ago_ms: u64, random: u64) -> ScopeSync {
    let Tally { rows_in, applied, dropped, quarantined } = entry.tally;
    let failed = u64::from(entry.failure.is_some());
    let moved = Moved { total: rows_in, ok: applied + dropped, errors: quarantined + failed };
    let took_ms = u64::try_from(entry.finished_ms - entry.started_ms).unwrap_or(0);
    ScopeSync {
        scope: entry.scope.clone(),
        downloaded: if entry.flow == Flow::Pull { moved } else { Moved::default() },
        uploaded: if entry.flow == Flow::Push { moved } else { Moved::default() },
        started_age_ms: noted_ago_ms + took_ms,
        took_ms,
        // From 2^62 on head office never comes.
        record: (1 << 62) | (random >> 2),
    }
}
