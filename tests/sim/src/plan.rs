//! What goes wrong in a run, drawn up front from its seed: a list that can be shown, cut down and run again.
//!
//! Each run has a subset of the kinds of trouble, so that none of them hides behind another; some have nearly none and
//! go on for long instead.

use crate::entropy::Dice;
use crate::event::{Event, Kind, Planned, When};
use crate::rule;
use clap::ValueEnum;

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
        events.extend(drawn_apart(seed, list, registers, sells_ms));
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
        events.extend(drawn_apart(seed, &weighed, registers, sells_ms));
        for event in &mut events {
            // Up again at once, to fall again.
            if let Event::Kill { down_ms, .. } = &mut event.what {
                *down_ms = (*down_ms).min(100);
            }
        }
        let has_rule = weighed.contains(&Kind::Plugin);
        Plan { seed, registers, sells_ms, pause_ms: 15, office_ms: 1_500, has_rule, events }
    }

    /// Barcodes that are there before anybody pulls, beside those of the products.
    pub fn first_barcodes(&self) -> u64 {
        let of_event = |planned: &Planned| match planned.what {
            Event::Assortment { barcodes, from_the_first_day: true } => barcodes,
            _ => 0,
        };
        self.events.iter().map(of_event).sum()
    }

    /// Whether a register's calendar jumps so far that it takes its sales for old ones.
    pub fn skips_years(&self) -> bool {
        let is_far = |planned: &Planned| matches!(planned.what, Event::SetClock { by_ms, .. } if by_ms > YEAR_MS);
        self.events.iter().any(is_far)
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

/// What came to the plan later, each by draws of its own.
fn drawn_apart(
    seed: u64,
    kinds: &[Kind],
    registers: u64,
    sells_ms: u64,
) -> impl Iterator<Item = Planned> {
    let locks = locks(seed, kinds, sells_ms).into_iter();
    let tills = second_tills(seed, registers, sells_ms);
    let people = people(seed, registers, sells_ms);
    let channel = lives(seed, sells_ms).into_iter().chain(lost_channel(seed, sells_ms));
    locks.chain(tills).chain(assortment(seed, sells_ms)).chain(people).chain(channel)
}

const YEAR_MS: i64 = 365 * 86_400_000;

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

fn assortment(seed: u64, sells_ms: u64) -> Option<Planned> {
    let mut dice = Dice::of(seed, "assortment");
    let barcodes = *dice.of_list(&[1_001, 2_400, 4_100]);
    let from_the_first_day = dice.one_in(2);
    let at_ms = if from_the_first_day { 0 } else { dice.between(1, sells_ms / 2) };
    let what = Event::Assortment { barcodes, from_the_first_day };
    dice.one_in(4).then_some(Planned { at_ms, what })
}

fn people(seed: u64, registers: u64, sells_ms: u64) -> Vec<Planned> {
    let mut dice = Dice::of(seed, "people");
    let mut one = |register| {
        let planned =
            Planned { at_ms: dice.between(0, sells_ms / 2), what: Event::AskPerson { register } };
        dice.one_in(4).then_some(planned)
    };
    (1..=registers).filter_map(&mut one).collect()
}

fn lives(seed: u64, sells_ms: u64) -> Option<Planned> {
    let mut dice = Dice::of(seed, "lives");
    let at_ms = dice.between(1, sells_ms);
    dice.one_in(4).then_some(Planned { at_ms, what: Event::AnotherLife })
}

fn lost_channel(seed: u64, sells_ms: u64) -> Option<Planned> {
    let mut dice = Dice::of(seed, "the channel's backup");
    let (at_ms, after_ms) =
        (dice.between(1, sells_ms / 2), dice.between(sells_ms / 8, sells_ms / 2));
    dice.one_in(4).then_some(Planned { at_ms, what: Event::ChannelRestored { after_ms } })
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
        Kind::Bulk => Event::Assortment { barcodes: 2_000, from_the_first_day: false },
        Kind::Person => Event::AskPerson { register },
        Kind::Restore => Event::Restore { register, after_ms: dice.between(100, 6_000) },
        Kind::Profile => Event::OtherProfile {
            register,
            frequency_s: dice.between(1, 6),
            batch: *dice.of_list(&[1, 5, 200]),
        },
    }
}
