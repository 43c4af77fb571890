//! What goes wrong in a run, drawn up front from its seed: a list that can be shown, cut down and run again.
//!
//! Each run has a subset of the kinds of trouble, so that none of them hides behind another; some have nearly none and
//! go on for long instead.

use crate::entropy::Dice;
use crate::rule;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One thing that happens, whole: what it begins it also ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub at_ms: u64,
    pub what: Event,
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    /// At the so-manieth step of one of its tasks: between two awaits.
    Step(u64),
    /// At the so-manieth write, sync, truncation or deletion of SQLite's.
    FileOperation(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Kill {
        register: u64,
        when: When,
        dark: bool,
        down_ms: u64,
    },
    Stop {
        register: u64,
        down_ms: u64,
    },
    /// Another agent is started on the files of the one that runs.
    SecondAgent {
        register: u64,
    },
    Cut {
        register: u64,
        ms: u64,
    },
    Reset {
        register: u64,
    },
    Silence {
        register: u64,
        up: bool,
        down: bool,
        ms: u64,
    },
    Slow {
        register: u64,
        most_ms: u64,
        ms: u64,
    },
    Trickle {
        register: u64,
        bytes_per_ms: u64,
        ms: u64,
    },
    CutAfter {
        register: u64,
        bytes: u64,
    },
    LoseAnswer {
        register: u64,
        commits: u64,
    },
    HalfRow {
        register: u64,
        rows: u64,
    },
    RefuseLogins {
        register: u64,
        number: u32,
        keeps_sessions: bool,
        /// The agent is started again meanwhile.
        restarts: bool,
        ms: u64,
    },
    RefuseRequests {
        register: u64,
        number: u32,
        ms: u64,
    },
    Stall {
        register: u64,
        ms: u64,
    },
    /// Head office holds a lock on what requests with this text want; all others are answered.
    Lock {
        text: &'static str,
        ms: u64,
    },
    /// The channel's process dies with all its sessions.
    ChannelDies {
        down_ms: u64,
    },
    ReadOnly {
        ms: u64,
    },
    /// A statement with this word in it fails once.
    FailStatement {
        word: &'static str,
        number: u32,
    },
    /// Retention passes over the changes of the channel so far.
    ForgetChanges,
    DiskFull {
        register: u64,
        ms: u64,
    },
    FailWrite {
        register: u64,
        number: u64,
    },
    FailSync {
        register: u64,
        number: u64,
    },
    SetClock {
        register: u64,
        by_ms: i64,
    },
    /// A backup is made now, and put in place of the register's files a while later.
    Restore {
        register: u64,
        after_ms: u64,
    },
    /// The plugin of the prices does harm for a while, in a run that has one.
    Harm {
        register: u64,
        harm: &'static str,
        ms: u64,
    },
    /// The profile's text changes under way.
    OtherProfile {
        register: u64,
        frequency_s: u64,
        batch: u64,
    },
    /// From now on a second cashier of the register pays in the very moment in which the first does, now and then.
    SecondTill {
        register: u64,
    },
}

/// What kind of trouble an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Crash,
    PowerCut,
    Stop,
    Network,
    Channel,
    Answer,
    Disk,
    Clock,
    Retention,
    Profile,
    Restore,
    Plugin,
    /// No trouble, but sales that meet.
    Crowd,
}

impl Kind {
    /// What goes wrong.
    const ALL: [Kind; 12] = [
        Kind::Crash,
        Kind::PowerCut,
        Kind::Stop,
        Kind::Network,
        Kind::Channel,
        Kind::Answer,
        Kind::Disk,
        Kind::Clock,
        Kind::Retention,
        Kind::Profile,
        Kind::Restore,
        Kind::Plugin,
    ];
}

impl Event {
    pub fn kind(&self) -> Kind {
        match self {
            Event::Kill { dark: true, .. } => Kind::PowerCut,
            Event::Kill { .. } => Kind::Crash,
            Event::Stop { .. } | Event::SecondAgent { .. } => Kind::Stop,
            Event::Cut { .. }
            | Event::Reset { .. }
            | Event::Silence { .. }
            | Event::Slow { .. }
            | Event::Trickle { .. }
            | Event::CutAfter { .. } => Kind::Network,
            Event::LoseAnswer { .. } | Event::HalfRow { .. } => Kind::Answer,
            Event::RefuseLogins { .. }
            | Event::RefuseRequests { .. }
            | Event::Stall { .. }
            | Event::Lock { .. }
            | Event::ChannelDies { .. }
            | Event::ReadOnly { .. }
            | Event::FailStatement { .. } => Kind::Channel,
            Event::ForgetChanges => Kind::Retention,
            Event::DiskFull { .. } | Event::FailWrite { .. } | Event::FailSync { .. } => Kind::Disk,
            Event::SetClock { .. } => Kind::Clock,
            Event::OtherProfile { .. } => Kind::Profile,
            Event::Restore { .. } => Kind::Restore,
            Event::Harm { .. } => Kind::Plugin,
            Event::SecondTill { .. } => Kind::Crowd,
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_millis(self.at_ms);
        write!(f, "{:>4}.{:03} s  {:?}", at.as_secs(), at.subsec_millis(), self.what)
    }
}

/// How much a run is to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// What is drawn: seconds of a store, calm or stormy
    #[default]
    Usual,
    /// The first seconds of it, and fewer customers: for an agent that is not optimised
    Short,
    /// Four registers through minutes of crashes, power cuts and a broken network: for great numbers
    Busy,
}

/// A whole run, before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub registers: u64,
    /// How long the tills sell before everything is healed.
    pub sells_ms: u64,
    /// Between two customers at one till, on average.
    pub pause_ms: u64,
    /// Between two of head office's jobs, on average.
    pub office_ms: u64,
    /// A plugin sees every price that comes down.
    pub has_rule: bool,
    /// By their places; a later kind of event is drawn apart and comes behind, so that the seeds of before stay what they were.
    pub events: Vec<Planned>,
}

impl Plan {
    pub fn of(size: Size, seed: u64) -> Plan {
        match size {
            Size::Usual => Plan::drawn(seed),
            Size::Short => Plan::drawn(seed).short(),
            Size::Busy => Plan::busy(seed),
        }
    }

    fn drawn(seed: u64) -> Plan {
        let mut dice = Dice::of(seed, "plan");
        let registers = dice.between(1, 4);
        let sells_ms = *dice.of_list(&[8_000, 20_000, 20_000, 40_000]);
        let calm = dice.one_in(6);
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| !calm && dice.one_in(2)).collect();
        let gap_ms = if calm { 20_000 } else { *dice.of_list(&[250, 500, 1_000, 3_000]) };
        let list: &[Kind] = if calm { &Kind::ALL } else { &kinds };
        let mut events = events(&mut dice, list, registers, sells_ms, gap_ms);
        events.extend(locks(seed, list, sells_ms));
        events.extend(second_tills(seed, registers, sells_ms));
        Plan {
            seed,
            registers,
            sells_ms,
            pause_ms: *dice.of_list(&[20, 60, 150, 600]),
            office_ms: *dice.of_list(&[100, 400, 1_500]),
            has_rule: kinds.contains(&Kind::Plugin),
            events,
        }
    }

    fn short(mut self) -> Plan {
        self.sells_ms = self.sells_ms.min(8_000);
        self.pause_ms = self.pause_ms.max(150);
        self.events.retain(|event| event.at_ms < self.sells_ms);
        self
    }

    fn busy(seed: u64) -> Plan {
        let mut dice = Dice::of(seed, "busy");
        let (registers, sells_ms) = (4, 120_000);
        let weighed = [
            Kind::Crash,
            Kind::Crash,
            Kind::PowerCut,
            Kind::Network,
            Kind::Network,
            Kind::Network,
            *dice.of_list(&Kind::ALL),
        ];
        let gap_ms = *dice.of_list(&[30, 30, 60]);
        let mut events = events(&mut dice, &weighed, registers, sells_ms, gap_ms);
        events.extend(locks(seed, &weighed, sells_ms));
        events.extend(second_tills(seed, registers, sells_ms));
        for event in &mut events {
            // Up again at once, to fall again.
            if let Event::Kill { down_ms, .. } = &mut event.what {
                *down_ms = (*down_ms).min(100);
            }
        }
        let has_rule = weighed.contains(&Kind::Plugin);
        Plan { seed, registers, sells_ms, pause_ms: 15, office_ms: 1_500, has_rule, events }
    }

    /// As they happen.
    pub fn in_time(&self) -> Vec<Planned> {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.at_ms);
        events
    }

    /// The same run with those of its events alone that have these places.
    pub fn only(mut self, places: &[usize]) -> Plan {
        self.events = places.iter().filter_map(|place| self.events.get(*place).cloned()).collect();
        self
    }
}

/// One of the kinds every so often, until the store closes.
fn events(
    dice: &mut Dice,
    kinds: &[Kind],
    registers: u64,
    sells_ms: u64,
    gap_ms: u64,
) -> Vec<Planned> {
    let mut events = Vec::new();
    let mut at_ms = dice.between(0, 3_000);
    while at_ms < sells_ms && !kinds.is_empty() {
        let kind = *dice.of_list(kinds);
        let what = event(dice, kind, registers);
        events.push(Planned { at_ms, what });
        at_ms += dice.between(1, 2 * gap_ms);
    }
    events
}

/// Between two locks that head office takes, on average.
const LOCK_GAP_MS: u64 = 6_000;

fn locks(seed: u64, kinds: &[Kind], sells_ms: u64) -> Vec<Planned> {
    let (mut dice, mut locks) = (Dice::of(seed, "locks"), Vec::new());
    let mut at_ms = dice.between(1, 2 * LOCK_GAP_MS);
    while at_ms < sells_ms && kinds.contains(&Kind::Channel) {
        let text = dice.word(&["RETAILTRANSACTIONTABLE", "ledger", "CUSTTABLE", "PRICEDISCTABLE"]);
        let ms = *dice.of_list(&[1_000, 2_500, 6_000]);
        locks.push(Planned { at_ms, what: Event::Lock { text, ms } });
        at_ms += dice.between(1, 2 * LOCK_GAP_MS);
    }
    locks
}

fn second_tills(seed: u64, registers: u64, sells_ms: u64) -> Vec<Planned> {
    let mut dice = Dice::of(seed, "second tills");
    let mut one = |register| {
        let planned =
            Planned { at_ms: dice.between(0, sells_ms / 4), what: Event::SecondTill { register } };
        dice.one_in(2).then_some(planned)
    };
    (1..=registers).filter_map(&mut one).collect()
}

/// Errors of the channel that pass: deadlock, time-out, no memory, failover, a database that is not there.
const PASSING: [u32; 6] = [1205, 1222, 701, 40_613, 983, 3960];

fn event(dice: &mut Dice, kind: Kind, registers: u64) -> Event {
    let register = dice.between(1, registers);
    let ms = *dice.of_list(&[200, 1_000, 2_500, 6_000]);
    let down_ms = *dice.of_list(&[0, 100, 1_500, 5_000]);
    match kind {
        Kind::Crash | Kind::PowerCut => Event::Kill {
            register,
            when: match dice.between(1, 5) {
                1 => When::Now,
                2 | 3 => When::Step(dice.between(1, 400)),
                _ => When::FileOperation(dice.between(1, 120)),
            },
            dark: kind == Kind::PowerCut,
            down_ms,
        },
        Kind::Stop if dice.one_in(3) => Event::SecondAgent { register },
        Kind::Stop => Event::Stop { register, down_ms },
        Kind::Network => match dice.between(1, 8) {
            1 => Event::Cut { register, ms },
            2 => Event::Reset { register },
            3 => Event::Silence { register, up: true, down: true, ms },
            4 => Event::Silence { register, up: true, down: false, ms },
            5 => Event::Silence { register, up: false, down: true, ms },
            6 => Event::Slow { register, most_ms: dice.between(20, 2_500), ms },
            7 => Event::Trickle { register, bytes_per_ms: dice.between(1, 60), ms },
            _ => Event::CutAfter { register, bytes: dice.between(1, 30_000) },
        },
        Kind::Answer if dice.one_in(4) => Event::HalfRow { register, rows: dice.between(1, 20) },
        Kind::Answer => Event::LoseAnswer { register, commits: dice.between(1, 4) },
        Kind::Channel => match dice.between(1, 6) {
            1 => Event::ChannelDies { down_ms },
            2 => Event::RefuseLogins {
                register,
                number: *dice.of_list(&[18_456, 4060, 18_461, 40_613]),
                keeps_sessions: dice.one_in(2),
                restarts: dice.one_in(2),
                ms,
            },
            3 => Event::RefuseRequests { register, number: *dice.of_list(&PASSING), ms },
            4 => Event::Stall { register, ms },
            5 => Event::ReadOnly { ms },
            _ => Event::FailStatement {
                word: dice.word(&["INSERT", "UPDATE", "SELECT", "MERGE", "ledger"]),
                number: *dice.of_list(&PASSING),
            },
        },
        Kind::Disk => match dice.between(1, 4) {
            1 => Event::DiskFull { register, ms },
            2 => Event::FailSync { register, number: dice.between(1, 30) },
            _ => Event::FailWrite { register, number: dice.between(1, 120) },
        },
        Kind::Clock => Event::SetClock {
            register,
            by_ms: *dice.of_list(&[-3_600_000, 3_600_000, -86_400_000, 315_360_000_000, -900, 900]),
        },
        Kind::Retention => Event::ForgetChanges,
        Kind::Plugin => Event::Harm { register, harm: dice.word(&rule::HARMS), ms },
        Kind::Crowd => Event::SecondTill { register },
        Kind::Restore => Event::Restore { register, after_ms: dice.between(100, 6_000) },
        Kind::Profile => Event::OtherProfile {
            register,
            frequency_s: dice.between(1, 6),
            batch: *dice.of_list(&[1, 5, 200]),
        },
    }
}
