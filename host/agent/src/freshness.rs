//! How old the register's data are: counted in memory, kept beside the data, told, and acted upon as the profile says.
//!
//! ```text
//! pull's beginning ─► age of its scope ─► core/freshness ─► sale refused or warned, status, metrics, one line of the log
//!                          └─► kept each minute and at the end, taken up at the next start
//! ```
//!
//! * A scope counts while its rows are read here. Downloaded ones always are; what registers write is read from the
//!   channel while it is online and channel-first.
//! * What is kept is never younger than the data: a crash makes them look older by a minute at most.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tillhold_core::freshness::{Age, Freshness, KeptAge, Reaction, ScopeAge};
use tillhold_core::limits;
use tillhold_env::Locked as _;
use tillhold_local::ScopePosition;
use tokio::sync::watch;

/// The fact's name in the offline database.
const KEPT: &str = "freshness";
/// How often it is looked whether the data have become stale.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the running agent knows.
pub struct DataAges {
    known: Mutex<Known>,
    told: watch::Sender<Told>,
}

/// How the data stand, in a word, and what the profile says about that.
pub type Told = (&'static str, Reaction);

impl Default for DataAges {
    fn default() -> DataAges {
        let fresh = (Freshness::Fresh.name(), Reaction::Allow);
        DataAges { known: Mutex::default(), told: watch::Sender::new(fresh) }
    }
}

#[derive(Default)]
struct Known {
    is_synchronised: bool,
    scopes: BTreeMap<String, Mark>,
    /// What is kept says much less than what is known.
    is_news: bool,
}

/// So old at that moment of the monotonic clock.
#[derive(Clone, Copy)]
struct Mark {
    age: Age,
    at_us: u64,
}

impl DataAges {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.locked()
    }

    /// Changes whenever the standing of the data does, and is news at once where they are not fresh.
    pub fn listen(&self) -> watch::Receiver<Told> {
        let mut told = self.told.subscribe();
        if told.borrow().0 != Freshness::Fresh.name() {
            told.mark_changed();
        }
        told
    }

    /// A pull of the scope that began then came to its end.
    pub fn pulled(&self, register: &Register, scope: &str, began_us: u64) {
        let fresh = Mark { age: Age::Known(Duration::ZERO), at_us: began_us };
        self.known().take(register, scope, fresh);
    }

    /// `None` when it never came.
    pub fn of(&self, register: &Register, scope: &str) -> Option<Age> {
        let now_us = register.env.clock.monotonic_us();
        self.known().scopes.get(scope).map(|mark| mark.now(now_us))
    }

    /// As it is kept.
    fn text(&self, register: &Register) -> String {
        let clock = &register.env.clock;
        let (now_us, known) = (clock.monotonic_us(), self.known());
        let ages: BTreeMap<&str, Age> =
            known.scopes.iter().map(|(scope, mark)| (scope.as_str(), mark.now(now_us))).collect();
        written(known.is_synchronised, clock.wall_ms(), &ages)
    }
}

impl Known {
    fn take(&mut self, register: &Register, scope: &str, mark: Mark) {
        let before = self.scopes.insert(scope.to_string(), mark);
        let before = before.and_then(|before| before.now(mark.at_us).known());
        self.is_news |= before.is_none_or(|age| age >= limits::AGES_KEPT_INTERVAL);
        self.is_synchronised |=
            pulled(register).all(|run| self.scopes.contains_key(&run.scope.name));
    }
}

impl Mark {
    fn now(self, now_us: u64) -> Age {
        self.age.after(Duration::from_micros(now_us.saturating_sub(self.at_us)))
    }
}

fn pulled(register: &Register) -> impl Iterator<Item = &ScopeRun> {
    register.scopes.iter().filter(|run| run.is_pulled())
}

fn written(is_synchronised: bool, at_ms: i64, ages: &BTreeMap<&str, Age>) -> String {
    let age = |age: &Age| age.known().map(|age| age.as_millis() as u64);
    let ages: Map<String, Json> =
        ages.iter().map(|(scope, of)| (scope.to_string(), json!(age(of)))).collect();
    json!({ "synchronised": is_synchronised, "at_ms": at_ms, "ages_ms": ages }).to_string()
}

/// What an earlier run kept.
struct Kept {
    is_synchronised: bool,
    ages: BTreeMap<String, KeptAge>,
}

impl Kept {
    /// `None` for a text that says nothing.
    fn read(text: &str) -> Option<Kept> {
        let fact: Json = serde_json::from_str(text).ok()?;
        let at_ms = fact["at_ms"].as_i64()?;
        let age = |of: &Json| {
            of.as_u64().map_or(Age::Unknown, |ms| Age::Known(Duration::from_millis(ms)))
        };
        let ages = fact["ages_ms"].as_object()?.iter();
        let ages = ages.map(|(scope, of)| (scope.clone(), KeptAge { age: age(of), at_ms }));
        Some(Kept { is_synchronised: fact["synchronised"].as_bool()?, ages: ages.collect() })
    }

    /// From the positions alone, as a file has them that no agent has run with yet.
    fn of_positions(register: &Register, positions: &BTreeMap<String, ScopePosition>) -> Kept {
        let landed = |at: &ScopePosition| {
            let at_ms = at.oldest_ms.filter(|_| at.is_ready)?;
            Some(KeptAge { age: Age::Known(Duration::ZERO), at_ms })
        };
        let ages = positions.iter().filter_map(|(scope, at)| Some((scope.clone(), landed(at)?)));
        let is_ready = |run: &ScopeRun| positions.get(&run.scope.name).is_none_or(|at| at.is_ready);
        Kept { is_synchronised: pulled(register).all(is_ready), ages: ages.collect() }
    }
}

/// Takes up the ages of before the start.
pub async fn begin(agent: &Agent) -> Result<(), FlowError> {
    let register = agent.register();
    let positions = register.local.scope_positions().await?;
    let found = Kept::of_positions(&register, &positions);
    let mut kept = match register.local.fact(KEPT).await? {
        Some(text) => Kept::read(&text),
        None => None,
    };
    if is_catalogue_lost(&register, &positions) {
        kept = None;
    }
    let now_ms = register.env.clock.wall_ms();
    let mut ages = found.ages;
    let mut is_synchronised = found.is_synchronised;
    if let Some(kept) = kept {
        is_synchronised |= kept.is_synchronised;
        ages.extend(kept.ages);
    }
    let at_us = register.env.clock.monotonic_us();
    let marks =
        ages.into_iter().map(|(scope, kept)| (scope, Mark { age: kept.at_start(now_ms), at_us }));
    *agent.ages.known() = Known { is_synchronised, scopes: marks.collect(), is_news: false };
    // Before anyone is told: an age that was said once is not taken back by a crash.
    keep_or_say(agent).await;
    Ok(())
}

/// The journal remembers ages of a catalogue that was removed since: there is nothing of it that could be so old.
fn is_catalogue_lost(register: &Register, positions: &BTreeMap<String, ScopePosition>) -> bool {
    let mut downloaded = pulled(register)
        .filter(|run| !run.is_pushed())
        .filter_map(|run| positions.get(&run.scope.name))
        .peekable();
    downloaded.peek().is_some() && downloaded.all(|at| at.is_empty)
}

/// After a first filling without an agent; when each scope's pull began.
pub async fn provisioned(
    register: &Register,
    began_us: &BTreeMap<String, u64>,
) -> Result<(), FlowError> {
    let ages = DataAges::default();
    for (scope, began_us) in began_us {
        ages.pulled(register, scope, *began_us);
    }
    Ok(register.local.set_fact(KEPT, &ages.text(register)).await?)
}

/// A prebuilt catalogue took the place of the register's own: its scopes are as old as its maker's pulls.
pub async fn exchanged(agent: &Agent) -> Result<(), FlowError> {
    let register = agent.register();
    let found = Kept::of_positions(&register, &register.local.scope_positions().await?);
    let (now_ms, at_us) = (register.env.clock.wall_ms(), register.env.clock.monotonic_us());
    let exchanged = pulled(&register).filter(|run| !run.is_pushed());
    for run in exchanged {
        let Some(kept) = found.ages.get(&run.scope.name) else { continue };
        let (age, mut known) = (kept.at_start(now_ms), agent.ages.known());
        let before = known.scopes.get(&run.scope.name).map(|mark| mark.now(at_us));
        // It is newer than what was here, whatever its maker's clock says.
        let age = match (age.known(), before.and_then(Age::known)) {
            (Some(age), Some(before)) => Age::Known(age.min(before)),
            (None, Some(before)) => Age::Known(before),
            _ => age,
        };
        known.take(&register, &run.scope.name, Mark { age, at_us });
    }
    keep_now(agent).await
}

/// Runs until the agent stops: says once when the data become stale or fresh, and keeps their ages.
pub async fn keep(agent: Arc<Agent>) {
    let (mut said, mut kept_at_ms) = (Said::default(), None);
    loop {
        said.look(&agent);
        let now_ms = agent.now_ms();
        let is_old =
            |kept: u64| u128::from(now_ms - kept) >= limits::AGES_KEPT_INTERVAL.as_millis();
        let is_news = std::mem::take(&mut agent.ages.known().is_news);
        if is_news || kept_at_ms.is_none_or(is_old) {
            kept_at_ms = Some(now_ms);
            keep_or_say(&agent).await;
        }
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

pub async fn keep_or_say(agent: &Agent) {
    if let Err(error) = keep_now(agent).await {
        agent.say(&format!("the ages of the data were not kept: [{}] {error}", error.code()));
    }
}

async fn keep_now(agent: &Agent) -> Result<(), FlowError> {
    let register = agent.register();
    Ok(register.local.set_fact(KEPT, &agent.ages.text(&register)).await?)
}

/// What was said last, so that nothing is said twice.
#[derive(Default)]
struct Said(Option<Told>);

impl Said {
    fn look(&mut self, agent: &Agent) {
        let standing = Standing::of(agent);
        let now = (standing.freshness.name(), standing.reaction);
        let before = self.0.replace(now);
        if before == Some(now) {
            return;
        }
        agent.ages.told.send_if_modified(|told| std::mem::replace(told, now) != now);
        match (standing.fault(), standing.reaction) {
            (Some(error), Reaction::Refuse) => agent.say(&format!("sales are refused: {error}")),
            (Some(error), _) => agent.say(&format!("sales go on, but {error}")),
            (None, _)
                if standing.freshness == Freshness::Fresh
                    && before.is_some_and(|(_, reaction)| reaction != Reaction::Allow) =>
            {
                agent.say("the data are fresh");
            }
            (None, _) => {}
        }
    }
}

/// How the data stand now, and what the profile says about that.
pub struct Standing {
    pub freshness: Freshness,
    pub reaction: Reaction,
    /// The oldest that counts.
    pub oldest: Option<(String, Age)>,
    is_synchronised: bool,
    waiting: usize,
}

impl Standing {
    pub fn of(agent: &Agent) -> Standing {
        let register = agent.register();
        let rules = &register.profile.conduct.freshness;
        let now_us = register.env.clock.monotonic_us();
        let known = agent.ages.known();
        let age = |run: &ScopeRun| known.scopes.get(&run.scope.name).map(|mark| mark.now(now_us));
        let counted = pulled(&register).filter(|run| !agent.reads_channel(run));
        let scopes: Vec<ScopeAge<'_>> = counted.map(|run| scope_age(run, age(run))).collect();
        let oldest = scopes.iter().filter_map(|one| Some((one.age?, one.scope)));
        let oldest = oldest.max_by_key(|(age, _)| age.known().unwrap_or(Duration::MAX));
        let freshness = Freshness::of(rules, known.is_synchronised, &scopes);
        Standing {
            reaction: freshness.reaction(rules),
            freshness,
            oldest: oldest.map(|(age, scope)| (scope.to_string(), age)),
            is_synchronised: known.is_synchronised,
            waiting: pulled(&register).filter(|run| age(run).is_none()).count(),
        }
    }

    /// What stands against selling, unless the profile allows it without a word.
    fn fault(&self) -> Option<FlowError> {
        if self.reaction == Reaction::Allow {
            return None;
        }
        match &self.freshness {
            Freshness::Fresh => None,
            Freshness::NeverSynchronised => {
                Some(FlowError::Unsynchronised { scopes: self.waiting })
            }
            Freshness::Stale { scope, age, bound } => {
                Some(FlowError::Stale { scope: scope.clone(), age: *age, bound: *bound })
            }
        }
    }
}

fn scope_age(run: &ScopeRun, age: Option<Age>) -> ScopeAge<'_> {
    ScopeAge { scope: &run.scope.name, frequency: run.scope.frequency, age }
}

/// Why no sale is taken now.
pub fn refusal(agent: &Agent) -> Option<FlowError> {
    let standing = Standing::of(agent);
    standing.fault().filter(|_| standing.reaction == Reaction::Refuse)
}

/// What goes with the answer to a sale.
pub fn warnings(agent: &Agent) -> Vec<Json> {
    Standing::of(agent).fault().iter().map(told).collect()
}

pub fn told(error: &FlowError) -> Json {
    json!({ "code": error.code(), "message": error.to_string(), "hint": error.hint() })
}

/// For the status.
pub fn shown(agent: &Agent) -> Json {
    let standing = Standing::of(agent);
    json!({
        "standing": standing.freshness.name(),
        "reaction": standing.reaction.name(),
        "synchronised": standing.is_synchronised,
        "age_s": standing.oldest.as_ref().map(|(_, age)| seconds(*age)),
        "oldest_scope": standing.oldest.as_ref().map(|(scope, _)| scope),
        "fault": standing.fault().as_ref().map(told),
    })
}

/// One scope's rows as they are here: how old, from which age on stale, and whether they are.
pub struct Shown {
    pub age_s: Option<u64>,
    pub stale_at_s: Option<u64>,
    pub is_stale: bool,
}

impl Shown {
    pub fn of(agent: &Agent, run: &ScopeRun) -> Shown {
        let register = agent.register();
        let rules = &register.profile.conduct.freshness;
        let age = scope_age(run, agent.ages.of(&register, &run.scope.name));
        let bound = if run.is_pulled() { age.bound(rules) } else { None };
        Shown {
            age_s: age.age.and_then(seconds),
            stale_at_s: bound.map(|bound| bound.as_secs()),
            is_stale: bound.is_some() && age.is_stale(rules),
        }
    }
}

fn seconds(age: Age) -> Option<u64> {
    age.known().map(|age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{Age, Kept, KeptAge, written};
    use std::time::Duration;

    #[test]
    fn ages_read_back_and_a_text_that_says_nothing_is_none() {
        let day = Age::Known(Duration::from_secs(86_400));
        let text = written(true, 1_700, &[("a \"b\"", day), ("c", Age::Unknown)].into());
        let kept = Kept::read(&text).expect("what was written");
        assert!(kept.is_synchronised);
        let at = |age| KeptAge { age, at_ms: 1_700 };
        let expected = [("a \"b\"".to_string(), at(day)), ("c".to_string(), at(Age::Unknown))];
        assert_eq!(kept.ages, expected.into());
        for torn in ["", "{}", "{\"synchronised\": true}", &text[..20]] {
            assert!(Kept::read(torn).is_none(), "{torn}");
        }
    }
}
