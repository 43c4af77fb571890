//! The running agent: one register, its standing, and the lanes to its channel.

use crate::channel_epoch::Life;
use crate::channel_report::Reports;
use crate::claiming::Claim;
use crate::fault::FlowError;
use crate::freshness::DataAges;
use crate::history::History;
use crate::hold::Hold;
use crate::images::keep::Images;
use crate::lanes::Lanes;
use crate::numbers::Numbers;
use crate::register::{Register, ScopeRun};
use crate::renewal::Renewal;
use crate::report;
use crate::resend::Lost;
use crate::retry::Again;
use crate::rounds::Rounds;
use crate::said_once::SaidOnce;
use crate::skip_unchanged::Passes;
use crate::snapshot::board::Board;
use crate::sync;
use crate::trouble::{LastTrouble, Trouble};
use crate::upkeep::Upkeep;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tillhold_channel::Link;
use tillhold_core::failover::reason::reason;
use tillhold_core::failover::{Event, Machine, Rules, State};
use tillhold_core::limits;
use tillhold_core::pace::Debt;
use tillhold_core::profile::WritePath;
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_env::Locked as _;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify, RwLock as AsyncRwLock, mpsc, watch};

pub struct Agent {
    register: RwLock<Arc<Register>>,
    /// Asks the synchronisation to push now.
    pub nudge: Notify,
    /// Turns true once, when the agent is to stop.
    pub stopping: watch::Sender<bool>,
    pub started_ms: i64,
    /// Exports and new databases: how they went, and one at a time.
    pub snapshots: Board,
    /// The offline database's size, and what was done about it.
    pub upkeep: Upkeep,
    /// So that a quiet channel is asked little.
    pub passes: Passes,
    pub again: Again,
    pub life: Life,
    /// Reads that the channel could not answer, however often a till asks.
    pub unanswered: SaidOnce<TableName>,
    /// Pushes and pulls that break off.
    pub broken_off: SaidOnce<&'static str>,
    pub lost: Lost,
    pub images: Images,
    pub renewal: Renewal,
    /// Whoever writes rows of the tables' present shapes holds it for reading; who changes the shapes, for writing.
    shape_lock: AsyncRwLock<()>,
    /// Comparisons with the channel, one at a time.
    pub verifying: AsyncMutex<()>,
    standing: watch::Sender<Standing>,
    events: mpsc::Sender<Event>,
    /// The last changes of the state.
    pub history: History,
    scope_reports: Mutex<BTreeMap<String, ScopeReport>>,
    /// Who holds the register offline.
    pub hold: Hold,
    /// How old the scopes' rows are.
    pub ages: DataAges,
    pub last_trouble: LastTrouble,
    pub claim: Claim,
    pub numbers: Numbers,
    pub reports: Reports,
    debt: Mutex<Debt>,
    pub lanes: Lanes,
    /// By the monotonic clock, when the last sale came.
    sold_at_ms: AtomicU64,
    /// By the monotonic clock, when what was pending was last uploaded, by the interval, a return or a person.
    uploaded_at_ms: AtomicU64,
    /// Counts settled transactions, so that a sale can wait for its own.
    settled: watch::Sender<u64>,
    pub rounds: Rounds,
    /// Since the start.
    broken_loops: AtomicU64,
}

/// The failover state, with the wall-clock moment at which it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub machine: Machine,
    pub entered_at_ms: i64,
}

/// How a scope's synchronisation last went.
#[derive(Clone, Debug, Default)]
pub struct ScopeReport {
    /// By the monotonic clock: a scope is due when its time has passed, whatever is made of the computer's clock.
    pub synchronised_at_ms: Option<u64>,
    pub took_ms: u64,
    pub last: Tally,
    pub total: Tally,
    /// Synchronisations that failed, since the agent started.
    pub errors: u64,
    /// Why the scope stands still: code, message, hint.
    pub fault: Option<(String, String, Option<String>)>,
    /// A table is no more what the register knows: the renewal's business.
    pub is_altered: bool,
    /// The log says that it stands still.
    is_told: bool,
}

impl Agent {
    /// The agent and the queue that its supervisor empties.
    pub fn new(register: Register) -> (Arc<Agent>, mpsc::Receiver<Event>) {
        let clock = &register.env.clock;
        let standing = Standing {
            machine: Machine::at_start(clock.monotonic_us() / 1000),
            entered_at_ms: clock.wall_ms(),
        };
        let (events, queue) = mpsc::channel(limits::EVENTS_KEPT);
        let agent = Agent {
            nudge: Notify::new(),
            stopping: watch::Sender::new(false),
            started_ms: clock.wall_ms(),
            snapshots: Board::default(),
            upkeep: Upkeep::default(),
            passes: Passes::default(),
            again: Again::default(),
            life: Life::default(),
            unanswered: SaidOnce::default(),
            broken_off: SaidOnce::default(),
            lost: Lost::default(),
            images: Images::new(&register),
            renewal: Renewal::of(&register),
            shape_lock: AsyncRwLock::default(),
            verifying: AsyncMutex::default(),
            standing: watch::Sender::new(standing),
            events,
            history: History::default(),
            scope_reports: Mutex::default(),
            hold: Hold::default(),
            ages: DataAges::default(),
            last_trouble: LastTrouble::default(),
            claim: Claim::default(),
            numbers: Numbers::default(),
            reports: Reports::default(),
            debt: Mutex::default(),
            lanes: Lanes::of(&register),
            sold_at_ms: AtomicU64::new(clock.monotonic_us() / 1000),
            uploaded_at_ms: AtomicU64::new(clock.monotonic_us() / 1000),
            settled: watch::Sender::new(0),
            rounds: Rounds::default(),
            broken_loops: AtomicU64::new(0),
            register: RwLock::new(Arc::new(register)),
        };
        (Arc::new(agent), queue)
    }

    /// The register as it is now. A changed profile makes another of it, so whoever keeps one keeps one state.
    pub fn register(&self) -> Arc<Register> {
        self.register.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The register as its profile makes it from now on. For the renewal alone, which holds everyone else back.
    pub fn become_register(&self, register: Register) {
        *self.register.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(register);
    }

    pub fn shape_lock(&self) -> &AsyncRwLock<()> {
        &self.shape_lock
    }

    pub fn rules(&self) -> Rules {
        let register = self.register();
        let profile = &register.profile;
        Rules {
            offline_timeout: profile.offline_timeout,
            reconnect_interval: profile.reconnect_interval,
            dwell: profile.dwell,
            steadiness: profile.conduct.steadiness,
        }
    }

    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Changes whenever the standing does.
    pub fn steps(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub fn state(&self) -> State {
        self.standing().machine.state
    }

    /// A downloaded table is complete on the register; what only the channel has (other registers' sales) is read there.
    pub fn reads_channel(&self, run: &ScopeRun) -> bool {
        let channel_first = self.register().profile.write_path == WritePath::ChannelFirst;
        channel_first && self.state().sells_on_channel() && run.is_pushed()
    }

    pub fn now_ms(&self) -> u64 {
        self.register().env.clock.monotonic_us() / 1000
    }

    /// Before the supervisor begins: a register that was held is held on.
    pub fn begin_held(&self, since_ms: i64) {
        let machine = Machine::still_held(self.now_ms());
        self.standing.send_replace(Standing { machine, entered_at_ms: since_ms });
    }

    /// For the supervisor alone: state changes in one place.
    pub fn enter(&self, machine: Machine, event: Event) {
        let before = self.standing();
        let entered_at_ms = match before.machine.state == machine.state {
            true => before.entered_at_ms,
            false => self.register().env.clock.wall_ms(),
        };
        let after = Standing { machine, entered_at_ms };
        self.standing.send_if_modified(|standing| std::mem::replace(standing, after) != after);
        if before.machine.state != machine.state {
            let (from, to) = (before.machine.state, machine.state);
            self.history.note(entered_at_ms, from, to, reason(from, to, event));
        }
    }

    /// A person's word to the supervisor, which a full queue delays and never drops.
    pub async fn tell_surely(&self, event: Event) {
        // An error would mean that the supervisor is gone, and with it the agent.
        let _ = self.events.send(event).await;
    }

    /// Tells the supervisor. A full queue means that it is about to look anyway.
    pub fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// The channel failed: what it was is kept for whoever asks, and the supervisor hears of it.
    pub fn suffer(&self, trouble: impl Into<Trouble>) {
        self.note_trouble(trouble.into());
        self.tell(Event::Trouble);
    }

    /// A line for the operator when the register is offline already and something else keeps it there.
    pub fn note_trouble(&self, trouble: Trouble) {
        let is_news = self.last_trouble.note(self.register().env.clock.wall_ms(), trouble);
        if is_news
            && self.state() == State::Offline
            && let Some(words) = self.last_trouble.words()
        {
            self.say(&format!("the channel is not there yet: {words}"));
        }
    }

    pub async fn push_lane(&self) -> MutexGuard<'_, Link> {
        self.lanes.push.link.lock().await
    }

    pub async fn pull_lane(&self) -> MutexGuard<'_, Link> {
        self.lanes.pull.link.lock().await
    }

    /// Changes whenever push has settled or set aside something.
    pub fn settlements(&self) -> watch::Receiver<u64> {
        self.settled.subscribe()
    }

    pub fn note_settlement(&self) {
        self.settled.send_modify(|count| *count += 1);
    }

    /// One of the agent's own loops panicked.
    pub fn note_broken_loop(&self) {
        self.broken_loops.fetch_add(1, Ordering::Relaxed);
    }

    pub fn broken_loops(&self) -> u64 {
        self.broken_loops.load(Ordering::Relaxed)
    }

    pub fn note_sale(&self) {
        self.sold_at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    pub fn note_upload(&self) {
        self.uploaded_at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    pub fn uploaded_at_ms(&self) -> u64 {
        self.uploaded_at_ms.load(Ordering::Relaxed)
    }

    /// No sale came for so long that none is likely to come within the next seconds.
    pub fn is_till_quiet(&self) -> bool {
        let since_ms = self.now_ms().saturating_sub(self.sold_at_ms.load(Ordering::Relaxed));
        u128::from(since_ms) >= limits::QUIET_TILL.as_millis()
    }

    /// How work under this name went. What stands still for a reason of its own is told once, and so is that it goes on;
    /// trouble with the channel tells itself. Whether it failed otherwise than before.
    pub fn report(&self, scope: &str, result: &Result<Tally, FlowError>, took_ms: u64) -> bool {
        let now_ms = self.now_ms();
        let mut reports = self.scope_reports.locked();
        let report = reports.entry(scope.to_string()).or_default();
        let (is_news, line) = match result {
            Ok(tally) => {
                report.synchronised_at_ms = Some(now_ms);
                report.took_ms = took_ms;
                report.last = *tally;
                report.total += *tally;
                report.fault = None;
                report.is_altered = false;
                let was_told = std::mem::take(&mut report.is_told);
                (false, was_told.then(|| "goes on".to_string()))
            }
            Err(error) => {
                report.errors += 1;
                if error.is_given_up() {
                    return false;
                }
                let is_news = report.fault.as_ref().is_none_or(|(code, ..)| code != error.code());
                report.is_altered = error.is_alteration();
                report.fault = Some((error.code().to_string(), error.to_string(), error.hint()));
                // An agent that stops closes its files under what is under way.
                let is_told = is_news && !error.is_channel_trouble() && !self.is_stopping();
                report.is_told |= is_told;
                (is_news, is_told.then(|| format!("stands still: [{}] {error}", error.code())))
            }
        };
        drop(reports);
        if let (Some(line), Some(what)) = (line, sync::told_as(scope)) {
            self.say(&format!("{what} {line}"));
        }
        is_news
    }

    pub fn scope_report(&self, scope: &str) -> ScopeReport {
        let reports = self.scope_reports.locked();
        reports.get(scope).cloned().unwrap_or_default()
    }

    /// What pulls have to wait for.
    pub fn debt(&self) -> Debt {
        *self.debt.locked()
    }

    /// A pull took place.
    pub fn pay(&self, rows: u64) {
        let (pace, now_ms) = (self.register().profile.conduct.pace, self.now_ms());
        self.debt.locked().pay(&pace, now_ms, rows);
    }

    /// One line for the operator.
    pub fn say(&self, message: &str) {
        report::line(&self.register().env, message);
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the agent is told to stop.
    pub async fn stopped(&self) {
        // An error would mean that the sender is gone, which is the agent itself.
        let _ = self.stopping.subscribe().wait_for(|stop| *stop).await;
    }
}
