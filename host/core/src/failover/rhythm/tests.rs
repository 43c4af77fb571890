//! The bound that docs/failover.md names, with simulated time: whatever happens to the channel, and whenever in the
//! probes' rhythm it happens, the register is Offline within the offline timeout and [`SLACK_MS`].

use super::super::{Event, Steadiness, step};
use super::*;

/// What the bound leaves for looks at the time and for an answer that was on its way when the line went.
const SLACK_MS: u64 = 250;
const GRAIN_MS: u64 = GRAIN.as_millis() as u64;
/// A shop's line: from the question to the answer; a new connection takes four of them.
const WAY_MS: u64 = 20;
const HOUR_MS: u64 = 3_600_000;

/// How a channel fails, as its probes see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Connections are closed, new ones refused; also logins refused, or a database in single user: the server closes
    /// what is open, and says no to what comes.
    Refused,
    /// Nothing comes back any more, also to what was asked before.
    Silent,
    /// What was asked before is answered; afterwards nothing is.
    Hung,
    /// Out of resources or read-only: connections stay, each question is answered with an error.
    Errors,
    /// Every answer comes after the probe's deadline.
    TooLate,
}

const CUTS: [Cut; 5] = [Cut::Refused, Cut::Silent, Cut::Hung, Cut::Errors, Cut::TooLate];

/// When the line is down, and how it fails then.
#[derive(Clone, Copy, Debug)]
struct Line {
    cut: Cut,
    from_ms: u64,
    to_ms: u64,
    /// A register's own connection to the channel is open.
    way_ms: u64,
}

impl Line {
    fn is_down(&self, at_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }

    /// How and when a probe ends that is asked at `at_ms`.
    fn answer(&self, at_ms: u64, connected: bool, deadline_ms: u64) -> (u64, Event) {
        let way_ms = if connected { self.way_ms } else { 4 * self.way_ms };
        let given_up = (at_ms + deadline_ms, Event::Trouble);
        let answered = if way_ms <= deadline_ms {
            (at_ms + way_ms, Event::Answered { took: Duration::from_millis(way_ms) })
        } else {
            given_up
        };
        let is_caught = at_ms < self.from_ms && self.from_ms < answered.0;
        match self.cut {
            Cut::Refused if is_caught => (self.from_ms, Event::Trouble),
            Cut::Silent if is_caught => given_up,
            _ if !self.is_down(at_ms) => answered,
            Cut::Refused | Cut::Errors => (at_ms + way_ms.min(deadline_ms), Event::Trouble),
            Cut::Silent | Cut::Hung | Cut::TooLate => given_up,
        }
    }
}

/// The supervisor without its clock: looks at the time and asks, one probe at a time, by the rhythm.
struct Watched {
    machine: Machine,
    rules: Rules,
    line: Line,
    now_ms: u64,
    looked_at_ms: u64,
    asked_at_ms: u64,
    under_way: Option<(u64, Event)>,
    connected: bool,
}

impl Watched {
    /// Online since `start_ms`, at which moment a probe was answered.
    fn online(rules: Rules, line: Line) -> Watched {
        let machine = Machine { state: State::Online, ..Machine::at_start(0) };
        Watched {
            machine,
            rules,
            line,
            now_ms: 0,
            looked_at_ms: 0,
            asked_at_ms: 0,
            under_way: None,
            connected: true,
        }
    }

    /// The next moment at which anything happens: a probe's end, or a look at the time.
    fn advance(&mut self) {
        let rested = rest(&self.machine, self.asked_at_ms, self.looked_at_ms, &self.rules);
        let look_ms = (self.looked_at_ms + rested.as_millis() as u64).max(self.now_ms);
        let event = match self.under_way {
            Some((at_ms, event)) if at_ms <= look_ms => {
                (self.now_ms, self.under_way) = (at_ms, None);
                self.connected = event != Event::Trouble;
                event
            }
            _ => {
                (self.now_ms, self.looked_at_ms) = (look_ms, look_ms);
                Event::Tick
            }
        };
        let (machine, effects) = step(self.machine, event, self.now_ms, &self.rules, 7);
        self.machine = machine;
        let due = is_due(&machine, &effects, self.asked_at_ms, self.now_ms, &self.rules);
        if due && self.under_way.is_none() {
            self.asked_at_ms = self.now_ms;
            let deadline_ms = deadline(&self.rules).as_millis() as u64;
            self.under_way = Some(self.line.answer(self.now_ms, self.connected, deadline_ms));
        }
    }

    /// When `wanted` holds for the first time from now on; within an hour, or never.
    fn when(&mut self, wanted: impl Fn(State) -> bool) -> Option<u64> {
        while self.now_ms < HOUR_MS {
            if wanted(self.machine.state) {
                return Some(self.now_ms);
            }
            self.advance();
        }
        None
    }
}

fn rules(timeout_ms: u64) -> Rules {
    Rules {
        offline_timeout: Duration::from_millis(timeout_ms),
        reconnect_interval: Duration::from_millis(10_000),
        dwell: Duration::from_millis(3_000),
        steadiness: Steadiness {
            slow: None,
            slow_answers: 3,
            quick_answers: 3,
            steady_after: Duration::from_millis(60_000),
            dwell_max: Duration::from_millis(60_000),
        },
    }
}

/// Every moment of two rounds of the rhythm, after some rounds that went well.
fn phases(rules: &Rules) -> impl Iterator<Item = u64> {
    let round_ms = interval(rules).as_millis() as u64 + GRAIN_MS;
    let step_ms = (round_ms / 200).max(1);
    (3 * round_ms..5 * round_ms).step_by(step_ms as usize)
}

const TIMEOUTS_MS: [u64; 9] = [100, 250, 500, 1_000, 2_000, 5_000, 8_000, 20_000, 60_000];

/// The moments after the cut, in milliseconds, at which no more sale goes to the channel and at which it is Offline: the
/// latest of all phases.
fn latest(cut: Cut, timeout_ms: u64, way_ms: u64) -> (u64, u64) {
    let rules = rules(timeout_ms);
    let (mut doubtful, mut offline) = (0, 0);
    for from_ms in phases(&rules) {
        let mut watched = Watched::online(rules, Line { cut, from_ms, to_ms: u64::MAX, way_ms });
        let told = format!("{cut:?} at {from_ms}, timeout {timeout_ms}, way {way_ms}");
        let left = watched.when(|state| !state.sells_on_channel()).expect(&told);
        let lost = watched.when(|state| state == State::Offline).expect(&told);
        assert!(left >= from_ms, "{told}: a channel that answers was doubted at {left}");
        doubtful = doubtful.max(left - from_ms);
        offline = offline.max(lost - from_ms);
    }
    (doubtful, offline)
}

#[test]
fn every_kind_of_loss_in_every_phase_is_offline_within_the_timeout() {
    for timeout_ms in TIMEOUTS_MS {
        for cut in CUTS {
            // The shop's line, and one whose answers only just come in time.
            let slowest_ms = deadline(&rules(timeout_ms)).as_millis() as u64 - 1;
            for way_ms in [1, WAY_MS.min(slowest_ms), slowest_ms] {
                let (doubtful, offline) = latest(cut, timeout_ms, way_ms);
                let told = format!("{cut:?}, {timeout_ms} ms, answers in {way_ms} ms");
                // An answer on its way when the line went is the channel's last: it may be as late as its way is long.
                let way_ms = if way_ms == slowest_ms { way_ms } else { 0 };
                let most = timeout_ms + way_ms + SLACK_MS;
                assert!(offline <= most, "{told}: Offline after {offline} ms");
                let found_ms = (interval(&rules(timeout_ms)) * 3).as_millis() as u64;
                let most = found_ms + way_ms + 2 * GRAIN_MS;
                assert!(doubtful <= most, "{told}: sold on the channel for {doubtful} ms");
            }
        }
    }
}

/// The document's table of the latest moments is what the simulation finds.
#[test]
fn the_documents_bounds_are_those_of_the_simulation() {
    let document = include_str!("../../../../../docs/failover.md");
    let mut wrong = Vec::new();
    for cut in CUTS {
        let moments = [2_000, 5_000, 20_000].map(|timeout_ms| latest(cut, timeout_ms, WAY_MS));
        let seconds = |ms: u64| format!("{}.{:02}", ms / 1_000, ms % 1_000 / 10);
        let cells = moments.map(|(left, lost)| format!("{} / {}", seconds(left), seconds(lost)));
        let row = format!("| {} |", cells.join(" | "));
        let name = format!("{cut:?}").to_lowercase();
        let said = document.lines().find(|line| line.contains(&format!("<!-- {name} -->")));
        if !said.is_some_and(|line| line.ends_with(&row)) {
            wrong.push(format!("{name}: … {row}"));
        }
    }
    assert!(wrong.is_empty(), "the code says:\n{}", wrong.join("\n"));
}

/// A line that is back within a quarter of the timeout costs a doubt at most.
#[test]
fn a_short_break_is_never_offline() {
    for timeout_ms in TIMEOUTS_MS.into_iter().filter(|timeout_ms| *timeout_ms >= 1_000) {
        let rules = rules(timeout_ms);
        for cut in CUTS {
            for from_ms in phases(&rules) {
                let to_ms = from_ms + timeout_ms / 4;
                let line = Line { cut, from_ms, to_ms, way_ms: WAY_MS };
                let mut watched = Watched::online(rules, line);
                while watched.now_ms < to_ms + 3 * timeout_ms {
                    watched.advance();
                    assert_ne!(watched.machine.state, State::Offline, "{timeout_ms}: {line:?}");
                }
                assert_eq!(watched.machine.state, State::Online, "{timeout_ms}: {line:?}");
            }
        }
    }
}

/// Answers that are late but come are left by their number, each asked an interval after the last or when that has come.
#[test]
fn a_slow_channel_is_left_after_its_slow_answers() {
    for timeout_ms in [2_000, 8_000, 20_000] {
        let mut rules = rules(timeout_ms);
        let took_ms = deadline(&rules).as_millis() as u64 - 1;
        rules.steadiness.slow = Some(Duration::from_millis(took_ms - 1));
        let line = Line { cut: Cut::Hung, from_ms: u64::MAX, to_ms: u64::MAX, way_ms: took_ms };
        let left = Watched::online(rules, line).when(|state| state == State::Offline);
        let interval_ms = interval(&rules).as_millis() as u64;
        let most = interval_ms + u64::from(rules.steadiness.slow_answers) * (took_ms + GRAIN_MS);
        let left = left.expect("a slow channel is left");
        assert!(left <= most, "{timeout_ms}: left after {left} ms, at most {most}");
    }
}
