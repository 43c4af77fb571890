//! When the register sells on the channel and when on its offline database: one pure function.
//!
//! ```text
//!            trouble            offline timeout passed
//!   Online ───────────► Doubtful ───────────► Offline ◄──────┐ trouble, return failed
//!     ▲  ◄───────────────┘ answered            │  ▲          │
//!     │                                        │  └ slow answers in a row, or doubted too often
//!     │                                        │ answered (quickly), dwell passed
//!     └────────────── Returning ◄──────────────┘─────────────┘
//!          returned (pushed, then pulled)          hold: Held, from anywhere; release: Offline
//! ```
//!
//! * `now_ms` is monotonic time, so clock jumps change nothing.
//! * Doubtful already sells on the offline database: the cashier does not wait for the verdict.
//! * Online is entered only through Returning: everything local is pushed before anything is pulled over it.
//! * A register that loses its channel again before it was steady dwells twice as long each time, up to a bound: the
//!   number of changes in an hour has one too, whatever the line does.
//! * A slow channel is left and come back to by a number of answers in a row, never by one.
//! * The offline timeout counts from the last answer, not from the first trouble: how long finding out takes is no
//!   reason to wait longer. [`rhythm`] says when the channel is asked, so that trouble comes before the time is up.

pub mod reason;
pub mod rhythm;

use crate::limits;
use crate::retry;
use std::time::Duration;

/// Where the register stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The channel answers.
    Online,
    /// The channel did not answer once; Offline follows when the offline timeout has passed since its last answer.
    Doubtful,
    /// The offline database is in use; the channel is tried by the reconnect interval.
    Offline,
    /// The channel answers again; local work is pushed, then scopes are pulled.
    Returning,
    /// Held offline by a person until released.
    Held,
}

impl State {
    pub const ALL: [State; 5] =
        [State::Online, State::Doubtful, State::Offline, State::Returning, State::Held];

    pub fn name(self) -> &'static str {
        match self {
            State::Online => "online",
            State::Doubtful => "doubtful",
            State::Offline => "offline",
            State::Returning => "returning",
            State::Held => "held",
        }
    }

    /// Whether a sale or a read may be sent to the channel now.
    pub fn sells_on_channel(self) -> bool {
        self == State::Online
    }
}

/// All that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A probe was answered by the channel, after so long.
    Answered { took: Duration },
    /// A probe or a request failed, or its deadline passed.
    Trouble,
    /// Time went on.
    Tick,
    /// The return is complete: pushed, then pulled.
    Returned,
    /// The return broke off.
    ReturnFailed,
    /// A person asks for an attempt to reconnect now.
    Reconnect,
    /// A person holds the register offline.
    Hold,
    /// A person releases it.
    Release,
}

/// What the agent has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the channel whether it is there.
    Probe,
    /// Push what is pending, then pull the scopes, then report Returned or ReturnFailed.
    BeginReturn,
    /// Tell everyone that the state changed.
    Announce,
}

/// The profile's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub offline_timeout: Duration,
    pub reconnect_interval: Duration,
    pub dwell: Duration,
    pub steadiness: Steadiness,
}

/// What keeps a slow or flapping channel from flapping the till.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    /// Answers that take longer are slow; `None` lets them take what the deadline allows.
    pub slow: Option<Duration>,
    /// So many slow answers in a row, and the channel is left.
    pub slow_answers: u32,
    /// So many quick answers in a row, and a channel that was slow is come back to.
    pub quick_answers: u32,
    /// Online for so long, the register forgets earlier losses.
    pub steady_after: Duration,
    /// What a growing dwell grows to; never less than the dwell itself.
    pub dwell_max: Duration,
}

/// A state with its times, in monotonic milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    pub state: State,
    pub since_ms: u64,
    /// Online or Doubtful: when the channel answered last.
    pub heard_at_ms: u64,
    /// Offline: when the channel is tried next.
    pub attempt_at_ms: u64,
    /// Offline: the earliest moment of a return, by the dwell (at once after a start or a release).
    pub return_from_ms: u64,
    /// When the last return began; 0 before the first one.
    pub returning_from_ms: u64,
    /// When the channel answered again after it was in doubt or lost; 0 before. Who waits for it since before may wait on a
    /// line that is gone.
    pub answered_again_ms: u64,
    /// Online or Doubtful: slow answers in a row; Offline: quick ones.
    pub in_a_row: u32,
    /// The channel was left for its slowness.
    pub is_slow: bool,
    /// Times that the channel failed, none of them after a steady time Online.
    pub losses: u32,
}

impl Machine {
    /// A register starts Offline and tries the channel at once: it is Online only after a return.
    pub fn at_start(now_ms: u64) -> Machine {
        Machine {
            state: State::Offline,
            since_ms: now_ms,
            heard_at_ms: now_ms,
            attempt_at_ms: now_ms,
            return_from_ms: now_ms,
            returning_from_ms: 0,
            answered_again_ms: 0,
            in_a_row: 0,
            is_slow: false,
            losses: 0,
        }
    }

    /// A register that a person held before it was stopped is still held.
    pub fn still_held(now_ms: u64) -> Machine {
        Machine { state: State::Held, ..Machine::at_start(now_ms) }
    }

    /// Whether a return has begun since that moment: trouble of work from before says nothing of the channel as it is now.
    pub fn has_returned_since(&self, moment_ms: u64) -> bool {
        self.returning_from_ms > moment_ms
    }

    /// Offline because the channel failed: the next attempt waits for the interval, a return for the dwell.
    fn lost(self, now_ms: u64, rules: &Rules, random: u64) -> Machine {
        Machine {
            state: State::Offline,
            since_ms: now_ms,
            attempt_at_ms: now_ms + pause(rules, random),
            return_from_ms: now_ms + dwell_ms(rules, self.losses),
            in_a_row: 0,
            ..self
        }
    }

    /// One more loss; the first again after a steady time Online.
    fn with_a_loss(self, now_ms: u64, rules: &Rules) -> Machine {
        let online_ms = match self.state {
            State::Online => now_ms.saturating_sub(self.since_ms),
            _ => 0,
        };
        let was_steady = u128::from(online_ms) >= rules.steadiness.steady_after.as_millis();
        let losses = if was_steady { 1 } else { self.losses.saturating_add(1) };
        Machine { losses, ..self }
    }

    fn enter(self, state: State, now_ms: u64) -> Machine {
        Machine { state, since_ms: now_ms, in_a_row: 0, ..self }
    }

    fn online(self, now_ms: u64) -> Machine {
        Machine { is_slow: false, heard_at_ms: now_ms, ..self.enter(State::Online, now_ms) }
    }
}

/// Doubled with each loss after the first.
fn dwell_ms(rules: &Rules, losses: u32) -> u64 {
    let most = rules.steadiness.dwell_max.max(rules.dwell);
    let doublings = losses.saturating_sub(1).min(20);
    let grown = rules.dwell.saturating_mul(1 << doublings);
    grown.min(most).as_millis() as u64
}

/// The next machine and what to do, for every state and event. `random` jitters the reconnect interval.
pub fn step(
    machine: Machine,
    event: Event,
    now_ms: u64,
    rules: &Rules,
    random: u64,
) -> (Machine, Vec<Effect>) {
    let (next, effects) = match (machine.state, event) {
        (State::Held, Event::Release) => (Machine::at_start(now_ms), vec![Effect::Probe]),
        (State::Held, _) => (machine, vec![]),
        (_, Event::Hold) => (machine.enter(State::Held, now_ms), vec![]),

        (State::Online, Event::Trouble) => trouble(machine, now_ms, rules, random),
        (State::Online, Event::Answered { took }) => paced(machine, took, now_ms, rules, random),
        (State::Online, Event::Reconnect) => (machine, vec![Effect::Probe]),
        (State::Online, _) => (machine, vec![]),

        (State::Doubtful, Event::Answered { took }) if !is_slow(took, rules) => {
            (Machine { answered_again_ms: now_ms, ..machine.online(now_ms) }, vec![])
        }
        // A slow answer settles no doubt.
        (State::Doubtful, Event::Answered { .. } | Event::Trouble | Event::Tick) => {
            doubt(machine, now_ms, rules, random)
        }
        (State::Doubtful, Event::Reconnect) => (machine, vec![Effect::Probe]),
        (State::Doubtful, _) => (machine, vec![]),

        (State::Offline, Event::Answered { took }) => back(machine, took, now_ms, rules),
        (State::Offline, Event::Trouble) => (Machine { in_a_row: 0, ..machine }, vec![]),
        (State::Offline, Event::Tick) => attempt_when_due(machine, now_ms, rules, random),
        // A person's word ends the dwell.
        (State::Offline, Event::Reconnect) => {
            (Machine { return_from_ms: now_ms, ..machine }, vec![Effect::Probe])
        }
        (State::Offline, _) => (machine, vec![]),

        (State::Returning, Event::Returned) => (machine.online(now_ms), vec![]),
        (State::Returning, Event::ReturnFailed | Event::Trouble) => {
            (machine.with_a_loss(now_ms, rules).lost(now_ms, rules, random), vec![])
        }
        (State::Returning, _) => (machine, vec![]),
    };
    announce(machine, next, effects)
}

fn announce(before: Machine, after: Machine, mut effects: Vec<Effect>) -> (Machine, Vec<Effect>) {
    if before.state != after.state {
        effects.insert(0, Effect::Announce);
    }
    (after, effects)
}

fn pause(rules: &Rules, random: u64) -> u64 {
    retry::jittered(rules.reconnect_interval, random).as_millis() as u64
}

fn is_slow(took: Duration, rules: &Rules) -> bool {
    rules.steadiness.slow.is_some_and(|slow| took > slow)
}

/// Doubt, or Offline at once for a channel that was in doubt too often of late.
fn trouble(machine: Machine, now_ms: u64, rules: &Rules, random: u64) -> (Machine, Vec<Effect>) {
    let machine = machine.with_a_loss(now_ms, rules);
    if machine.losses > limits::DOUBTS_MAX {
        return (machine.lost(now_ms, rules, random), vec![]);
    }
    (machine.enter(State::Doubtful, now_ms), vec![Effect::Probe])
}

/// An answer while Online: the last of too many slow ones ends it.
fn paced(
    before: Machine,
    took: Duration,
    now_ms: u64,
    rules: &Rules,
    random: u64,
) -> (Machine, Vec<Effect>) {
    let machine = Machine { heard_at_ms: now_ms, ..before };
    if !is_slow(took, rules) {
        return (Machine { in_a_row: 0, ..machine }, vec![]);
    }
    let in_a_row = machine.in_a_row.saturating_add(1);
    if in_a_row < rules.steadiness.slow_answers {
        return (Machine { in_a_row, ..machine }, vec![]);
    }
    let left = machine.with_a_loss(now_ms, rules).lost(now_ms, rules, random);
    (Machine { is_slow: true, ..left }, vec![])
}

/// An answer while Offline: after the dwell it begins a return; a channel that was slow has to be quick some times first.
fn back(machine: Machine, took: Duration, now_ms: u64, rules: &Rules) -> (Machine, Vec<Effect>) {
    if is_slow(took, rules) {
        return (Machine { in_a_row: 0, is_slow: true, ..machine }, vec![]);
    }
    if now_ms < machine.return_from_ms {
        return (machine, vec![]);
    }
    let in_a_row = machine.in_a_row.saturating_add(1);
    if machine.is_slow && in_a_row < rules.steadiness.quick_answers {
        let attempt_at_ms = now_ms + limits::QUICK_PROBE_PAUSE.as_millis() as u64;
        return (Machine { in_a_row, attempt_at_ms, ..machine }, vec![]);
    }
    let machine = machine.enter(State::Returning, now_ms);
    let machine = Machine { returning_from_ms: now_ms, answered_again_ms: now_ms, ..machine };
    (machine, vec![Effect::BeginReturn])
}

fn doubt(machine: Machine, now_ms: u64, rules: &Rules, random: u64) -> (Machine, Vec<Effect>) {
    let silent_ms = now_ms.saturating_sub(machine.heard_at_ms);
    if u128::from(silent_ms) < rules.offline_timeout.as_millis() {
        return (machine, vec![Effect::Probe]);
    }
    (machine.lost(now_ms, rules, random), vec![])
}

fn attempt_when_due(
    machine: Machine,
    now_ms: u64,
    rules: &Rules,
    random: u64,
) -> (Machine, Vec<Effect>) {
    if now_ms < machine.attempt_at_ms {
        return (machine, vec![]);
    }
    let attempt_at_ms = now_ms + pause(rules, random);
    (Machine { attempt_at_ms, ..machine }, vec![Effect::Probe])
}

#[cfg(test)]
mod tests;
