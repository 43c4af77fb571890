//! HOLD: notices by itself that the channel is gone or back, and carries out what the failover rules say.
//!
//! ```text
//! channel/probe ─► Event ─► core/failover::step ─► Effect ─► probe, return, announce
//! ```
//!
//! It needs no request to notice: while Online it probes on a connection of its own, each probe with a deadline,
//! so that a dead, half-open or stalled channel is seen within the offline timeout.

use crate::agent::Agent;
use crate::sync;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tillhold_channel::probe;
use tillhold_core::failover::{self, Effect, Event, State};
use tokio::sync::mpsc;

/// How often time is looked at: the grain of every time-out here.
const TICK: Duration = Duration::from_millis(50);

/// Runs until the agent stops.
pub async fn supervise(agent: Arc<Agent>, mut events: mpsc::Receiver<Event>) {
    let mut watch = Watch::new(agent.clone());
    loop {
        let event = tokio::select! {
            biased;
            () = agent.stopped() => return,
            event = events.recv() => event.unwrap_or(Event::Tick),
            () = tokio::time::sleep(TICK) => Event::Tick,
        };
        watch.take(event);
    }
}

struct Watch {
    agent: Arc<Agent>,
    probing: Arc<AtomicBool>,
    probed_at_ms: u64,
}

impl Watch {
    fn new(agent: Arc<Agent>) -> Watch {
        Watch { agent, probing: Arc::default(), probed_at_ms: 0 }
    }

    fn take(&mut self, event: Event) {
        let agent = &self.agent;
        let (now_ms, random) = (agent.now_ms(), agent.register().env.random.number());
        let before = agent.standing().machine;
        let (machine, effects) = failover::step(before, event, now_ms, &agent.rules(), random);
        agent.enter(machine);
        for effect in effects {
            match effect {
                Effect::Probe => self.probe(now_ms),
                Effect::BeginReturn => begin_return(&self.agent),
                Effect::Announce => announce(&self.agent),
            }
        }
        let due = now_ms.saturating_sub(self.probed_at_ms) >= self.probe_interval_ms();
        if machine.state == State::Online && due {
            self.probe(now_ms);
        }
    }

    /// A quarter of the offline timeout: two probes fit into it with their deadlines.
    fn probe_interval_ms(&self) -> u64 {
        let quarter = self.agent.rules().offline_timeout.as_millis() as u64 / 4;
        quarter.clamp(100, 2_000)
    }

    fn probe(&mut self, now_ms: u64) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.probed_at_ms = now_ms;
        let (agent, probing) = (self.agent.clone(), self.probing.clone());
        let deadline = Duration::from_millis(self.probe_interval_ms() * 2);
        self.agent.register().env.spawn(async move {
            let answer = probe::probe(&mut *agent.probe_lane().await, deadline).await;
            probing.store(false, Ordering::Release);
            agent.tell(match answer {
                Ok(answer) => Event::Answered { took: answer.took },
                Err(_) => Event::Trouble,
            });
        });
    }
}

fn announce(agent: &Arc<Agent>) {
    let standing = agent.standing();
    agent.say(&format!("the register is {}", standing.machine.state.name()));
    if standing.machine.state != State::Online {
        agent.drop_idle_connections();
    }
}

fn begin_return(agent: &Arc<Agent>) {
    let agent = agent.clone();
    agent.register().env.spawn(async move {
        let event = match sync::come_back(&agent).await {
            Ok(()) => Event::Returned,
            Err(error) => {
                agent.say(&format!("the return broke off: {error}"));
                Event::ReturnFailed
            }
        };
        agent.tell(event);
    });
}
