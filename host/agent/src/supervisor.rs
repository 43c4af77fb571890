//! HOLD: notices by itself that the channel is gone or back, and carries out what the failover rules say.
//!
//! ```text
//! channel/probe ─► Event ─► core/failover::step ─► Effect ─► probe, return, announce
//! ```
//!
//! It needs no request to notice: while Online it probes on a connection of its own, each probe with a deadline,
//! so that a dead, half-open or stalled channel is seen within the offline timeout. When it asks and for how long it
//! waits is core's `rhythm`, which is simulated there.

use crate::agent::Agent;
use crate::detached::carry_out;
use crate::fault::FlowError;
use crate::sync;
use crate::trouble::Trouble;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tillhold_channel::probe;
use tillhold_core::failover::reason::reason;
use tillhold_core::failover::rhythm;
use tillhold_core::failover::{self, Effect, Event, State};
use tokio::sync::{Mutex, mpsc};

/// Runs until the agent stops.
pub async fn supervise(agent: Arc<Agent>, events: Arc<Mutex<mpsc::Receiver<Event>>>) {
    let mut events = events.lock().await;
    let mut watch = Watch::new(agent.clone());
    loop {
        let event = tokio::select! {
            biased;
            () = agent.stopped() => return,
            event = events.recv() => event.unwrap_or(Event::Tick),
            () = tokio::time::sleep(watch.until_look()) => Event::Tick,
        };
        watch.take(event);
        // However fast events come, the time is looked at.
        if watch.until_look().is_zero() {
            watch.take(Event::Tick);
        }
    }
}

struct Watch {
    agent: Arc<Agent>,
    probing: Arc<AtomicBool>,
    /// A person asked for an attempt while one was under way: there is another when that has failed.
    asked_meanwhile: bool,
    probed_at_ms: u64,
    looked_at_ms: u64,
}

impl Watch {
    fn new(agent: Arc<Agent>) -> Watch {
        Watch {
            agent,
            probing: Arc::default(),
            asked_meanwhile: false,
            probed_at_ms: 0,
            looked_at_ms: 0,
        }
    }

    fn until_look(&self) -> Duration {
        let (machine, rules) = (self.agent.standing().machine, self.agent.rules());
        let rest = rhythm::rest(&machine, self.probed_at_ms, self.looked_at_ms, &rules);
        let passed_ms = self.agent.now_ms().saturating_sub(self.looked_at_ms);
        rest.saturating_sub(Duration::from_millis(passed_ms))
    }

    fn take(&mut self, event: Event) {
        let agent = &self.agent;
        let (now_ms, random) = (agent.now_ms(), agent.register().env.random.number());
        if event == Event::Tick {
            self.looked_at_ms = now_ms;
        }
        let before = agent.standing().machine;
        let rules = agent.rules();
        let (machine, effects) = failover::step(before, event, now_ms, &rules, random);
        if let (Event::Answered { took }, Some(slow)) = (event, rules.steadiness.slow)
            && machine.is_slow
            && !before.is_slow
        {
            let (took_ms, most_ms) = (took.as_millis(), slow.as_millis());
            agent.note_trouble(Trouble::Slow { took_ms, most_ms });
        }
        agent.enter(machine, event);
        if effects.contains(&Effect::Announce) {
            announce(agent, before.state, event);
        }
        if let (Event::Answered { .. }, State::Online) | (_, State::Returning) =
            (event, machine.state)
        {
            // Half of it, so that a sale which waits behind such a one has the other half.
            agent.lanes.give_up_silent(machine.answered_again_ms, rules.offline_timeout / 2);
        }
        if effects.contains(&Effect::BeginReturn) {
            begin_return(agent, now_ms);
        }
        let is_probing = self.probing.load(Ordering::Acquire);
        self.asked_meanwhile |= event == Event::Reconnect && is_probing;
        self.asked_meanwhile &= machine.state == State::Offline;
        let is_owed = self.asked_meanwhile && !is_probing;
        if is_owed || rhythm::is_due(&machine, &effects, self.probed_at_ms, now_ms, &rules) {
            self.probe(now_ms, machine.state, rhythm::deadline(&rules));
        }
    }

    /// Offline no sale waits for it.
    fn probe(&mut self, now_ms: u64, state: State, deadline: Duration) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.probed_at_ms = now_ms;
        self.asked_meanwhile = false;
        let (agent, probing) = (self.agent.clone(), self.probing.clone());
        self.agent.register().env.spawn(async move {
            let under_way = UnderWay(probing);
            let mut lane = agent.lanes.probe.link.lock().await;
            let answer = match state {
                State::Offline => probe::probe_unhurried(&mut lane, deadline).await,
                _ => probe::probe(&mut lane, deadline).await,
            };
            drop(lane);
            drop(under_way);
            match answer {
                Ok(answer) => agent.tell(Event::Answered { took: answer.took }),
                Err(error) => agent.suffer(error),
            }
        });
    }
}

/// However a probe ends, there may be another.
struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn announce(agent: &Arc<Agent>, from: State, event: Event) {
    let state = agent.state();
    let is_lost = matches!(
        (from, state),
        (_, State::Doubtful) | (State::Online | State::Doubtful | State::Returning, State::Offline)
    );
    let why = agent.last_trouble.words().filter(|_| is_lost);
    let why = why.map(|words| format!(", {words}")).unwrap_or_default();
    agent.say(&format!("the register is {}: {}{why}", state.name(), reason(from, state, event)));
    if state != State::Online {
        agent.lanes.drop_idle();
        agent.rounds.doubt_arrivals();
    }
}

fn begin_return(agent: &Arc<Agent>, began_ms: u64) {
    let agent = agent.clone();
    let env = agent.register().env.clone();
    env.clone().spawn(async move {
        let returns = agent.clone();
        let end = carry_out(&env, async move { sync::come_back(&returns, began_ms).await }).await;
        let end = end.unwrap_or(Err(FlowError::BrokeOff("the return")));
        // How an earlier one ends says nothing of the one that is under way.
        if agent.standing().machine.has_returned_since(began_ms) {
            return;
        }
        match end {
            Ok(()) => agent.tell(Event::Returned),
            Err(error) => {
                agent.say(&format!("the return broke off: {error}"));
                agent.tell(Event::ReturnFailed);
            }
        }
    });
}
