//! When the register sells on the channel and when on its offline database: one pure function.
//!
//! ```text
//!            trouble            offline timeout passed
//!   Online ───────────► Doubtful ───────────► Offline ◄──────┐ trouble, return failed
//!     ▲  ◄───────────────┘ answered            │             │
//!     │                                        │ answered, dwell passed
//!     └────────────── Returning ◄──────────────┘─────────────┘
//!          returned (pushed, then pulled)          hold: Held, from anywhere; release: Offline
//! ```
//!
//! * `now_ms` is monotonic time, so clock jumps change nothing.
//! * Doubtful already sells on the offline database: the cashier does not wait for the verdict.
//! * Online is entered only through Returning: everything local is pushed before anything is pulled over it.

use crate::retry;
use std::time::Duration;

/// Where the register stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The channel answers.
    Online,
    /// The channel did not answer once; the offline timeout runs.
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
    /// A probe or a request was answered by the channel.
    Answered,
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

impl Event {
    pub const ALL: [Event; 8] = [
        Event::Answered,
        Event::Trouble,
        Event::Tick,
        Event::Returned,
        Event::ReturnFailed,
        Event::Reconnect,
        Event::Hold,
        Event::Release,
    ];
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
}

/// A state with its times, in monotonic milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    pub state: State,
    pub since_ms: u64,
    /// Offline: when the channel is tried next.
    pub attempt_at_ms: u64,
    /// Offline: the earliest moment of a return, by the dwell (at once after a start or a release).
    pub return_from_ms: u64,
}

impl Machine {
    /// A register starts Offline and tries the channel at once: it is Online only after a return.
    pub fn at_start(now_ms: u64) -> Machine {
        Machine {
            state: State::Offline,
            since_ms: now_ms,
            attempt_at_ms: now_ms,
            return_from_ms: now_ms,
        }
    }

    /// Offline because the channel failed: the next attempt waits for the interval, a return for the dwell.
    fn lost(self, now_ms: u64, rules: &Rules, random: u64) -> Machine {
        Machine {
            state: State::Offline,
            since_ms: now_ms,
            attempt_at_ms: now_ms + pause(rules, random),
            return_from_ms: now_ms + rules.dwell.as_millis() as u64,
        }
    }

    fn enter(self, state: State, now_ms: u64) -> Machine {
        Machine { state, since_ms: now_ms, ..self }
    }
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

        (State::Online, Event::Trouble) => {
            (machine.enter(State::Doubtful, now_ms), vec![Effect::Probe])
        }
        (State::Online, Event::Reconnect) => (machine, vec![Effect::Probe]),
        (State::Online, _) => (machine, vec![]),

        (State::Doubtful, Event::Answered) => (machine.enter(State::Online, now_ms), vec![]),
        (State::Doubtful, Event::Trouble | Event::Tick) => doubt(machine, now_ms, rules, random),
        (State::Doubtful, Event::Reconnect) => (machine, vec![Effect::Probe]),
        (State::Doubtful, _) => (machine, vec![]),

        (State::Offline, Event::Answered) if now_ms < machine.return_from_ms => (machine, vec![]),
        (State::Offline, Event::Answered) => {
            (machine.enter(State::Returning, now_ms), vec![Effect::BeginReturn])
        }
        (State::Offline, Event::Tick) => attempt_when_due(machine, now_ms, rules, random),
        (State::Offline, Event::Reconnect) => (machine, vec![Effect::Probe]),
        (State::Offline, _) => (machine, vec![]),

        (State::Returning, Event::Returned) => (machine.enter(State::Online, now_ms), vec![]),
        (State::Returning, Event::ReturnFailed | Event::Trouble) => {
            (machine.lost(now_ms, rules, random), vec![])
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

fn doubt(machine: Machine, now_ms: u64, rules: &Rules, random: u64) -> (Machine, Vec<Effect>) {
    let doubted_ms = now_ms.saturating_sub(machine.since_ms);
    if u128::from(doubted_ms) < rules.offline_timeout.as_millis() {
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
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        offline_timeout: Duration::from_millis(2_000),
        reconnect_interval: Duration::from_millis(10_000),
        dwell: Duration::from_millis(3_000),
    };

    /// Every state under every event, before and after its time has come. `-` stays as it is; a word is the next
    /// state; `+` names what the agent does beside announcing a new state.
    const TABLE: &str = "
        state      event         early                    late
        online     answered      -                        -
        online     trouble       doubtful+probe           doubtful+probe
        online     tick          -                        -
        online     returned      -                        -
        online     returnfailed  -                        -
        online     reconnect     -+probe                  -+probe
        online     hold          held                     held
        online     release       -                        -
        doubtful   answered      online                   online
        doubtful   trouble       -+probe                  offline
        doubtful   tick          -+probe                  offline
        doubtful   returned      -                        -
        doubtful   returnfailed  -                        -
        doubtful   reconnect     -+probe                  -+probe
        doubtful   hold          held                     held
        doubtful   release       -                        -
        offline    answered      -                        returning+beginreturn
        offline    trouble       -                        -
        offline    tick          -                        -+probe
        offline    returned      -                        -
        offline    returnfailed  -                        -
        offline    reconnect     -+probe                  -+probe
        offline    hold          held                     held
        offline    release       -                        -
        returning  answered      -                        -
        returning  trouble       offline                  offline
        returning  tick          -                        -
        returning  returned      online                   online
        returning  returnfailed  offline                  offline
        returning  reconnect     -                        -
        returning  hold          held                     held
        returning  release       -                        -
        held       answered      -                        -
        held       trouble       -                        -
        held       tick          -                        -
        held       returned      -                        -
        held       returnfailed  -                        -
        held       reconnect     -                        -
        held       hold          -                        -
        held       release       offline+probe            offline+probe
    ";

    fn outcome(state: State, event: Event, waited_ms: u64) -> String {
        let before =
            Machine { state, since_ms: 1_000, attempt_at_ms: 11_000, return_from_ms: 4_000 };
        let (after, effects) = step(before, event, 1_000 + waited_ms, &RULES, 7);
        let name = if after.state == state { "-" } else { after.state.name() };
        let announced = effects.contains(&Effect::Announce);
        assert_eq!(
            announced,
            after.state != state,
            "{state:?} {event:?}: a new state is announced"
        );
        let others = effects.iter().filter(|effect| **effect != Effect::Announce);
        others.fold(name.to_string(), |text, effect| format!("{text}+{effect:?}").to_lowercase())
    }

    #[test]
    fn every_cell_of_the_table_holds() {
        let mut cells = 0;
        for line in TABLE.lines().map(str::trim).filter(|line| !line.is_empty()).skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let state = State::ALL.into_iter().find(|s| s.name() == words[0]).expect("a state");
            let event = Event::ALL
                .into_iter()
                .find(|e| format!("{e:?}").to_lowercase() == words[1])
                .expect("an event");
            assert_eq!(outcome(state, event, 1_999), words[2], "early: {line}");
            assert_eq!(outcome(state, event, 10_000), words[3], "late: {line}");
            cells += 1;
        }
        assert_eq!(cells, State::ALL.len() * Event::ALL.len(), "a cell is missing");
    }

    #[test]
    fn a_register_that_starts_goes_online_without_waiting_for_the_dwell() {
        let machine = Machine::at_start(50);
        let (machine, effects) = step(machine, Event::Tick, 50, &RULES, 3);
        assert_eq!(effects, [Effect::Probe]);
        let (machine, effects) = step(machine, Event::Answered, 60, &RULES, 3);
        assert_eq!((machine.state, effects.len()), (State::Returning, 2));
    }

    #[test]
    fn reconnect_attempts_come_between_half_and_all_of_the_interval() {
        for random in 0..1_000 {
            let before = Machine {
                state: State::Offline,
                since_ms: 0,
                attempt_at_ms: 20_000,
                return_from_ms: 0,
            };
            let (after, _) = step(before, Event::Tick, 20_000, &RULES, random * 7_919);
            let pause = after.attempt_at_ms - 20_000;
            assert!((5_000..=10_000).contains(&pause), "a pause of {pause} ms");
        }
    }
}
