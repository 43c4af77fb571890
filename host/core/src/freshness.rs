//! How old the data are that a register sells from, and what the profile has done about it.
//!
//! ```text
//! pulled ─► age 0 ─(monotonic clock)─► kept beside the data ─► stopped ... started ─(wall clock, once)─► on
//! ```
//!
//! * A scope's age counts from the beginning of its last complete pull. It is stale when it is overdue: so long after the
//!   pull that its frequency asked for, never for its frequency alone.
//! * Within a run ages grow by the monotonic clock, so setting the computer's clock makes no data older or younger.
//! * Over a stop only the wall clock knows the time. One that was set back by hours counts the stop as no time: what was
//!   counted before stays counted. One that was set back further than any mistaken zone or hour is not believed: then
//!   nobody knows the age, and what cannot be shown to be fresh is stale.

use crate::limits;
use std::time::Duration;

/// What a register does that should not sell as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It sells, and says nothing at the till.
    Allow,
    /// It sells, and every answer says so.
    Warn,
    /// It takes no sale.
    Refuse,
}

impl Reaction {
    pub const fn name(self) -> &'static str {
        match self {
            Reaction::Allow => "allow",
            Reaction::Warn => "warn",
            Reaction::Refuse => "refuse",
        }
    }
}

/// The profile's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshnessRules {
    pub never_synchronised: Reaction,
    /// So long after a scope was due its data are stale; `None`: never.
    pub stale_after: Option<Duration>,
    pub stale: Reaction,
}

/// How long ago a pull began that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Known(Duration),
    /// The clock lost it.
    Unknown,
}

impl Age {
    /// Some time later.
    pub fn after(self, passed: Duration) -> Age {
        match self {
            Age::Known(age) => Age::Known(age.saturating_add(passed)),
            Age::Unknown => Age::Unknown,
        }
    }

    pub fn known(self) -> Option<Duration> {
        match self {
            Age::Known(age) => Some(age),
            Age::Unknown => None,
        }
    }

    /// What cannot be told is the oldest of all.
    fn for_the_worst(self) -> Duration {
        self.known().unwrap_or(Duration::MAX)
    }
}

/// An age as it is kept over a stop: so old when the wall clock said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptAge {
    pub age: Age,
    pub at_ms: i64,
}

impl KeptAge {
    /// At a start, by the wall clock.
    pub fn at_start(self, now_ms: i64) -> Age {
        let stopped_ms = now_ms.saturating_sub(self.at_ms);
        match u64::try_from(stopped_ms) {
            Ok(stopped_ms) => self.age.after(Duration::from_millis(stopped_ms)),
            Err(_) => {
                let set_back = Duration::from_millis(stopped_ms.unsigned_abs());
                if set_back <= limits::CLOCK_SET_BACK_MAX { self.age } else { Age::Unknown }
            }
        }
    }
}

/// A scope whose rows are read from the offline database.
#[derive(Clone, Copy, Debug)]
pub struct ScopeAge<'s> {
    pub scope: &'s str,
    pub frequency: Duration,
    /// `None`: it never came, and there is nothing of it that could be old.
    pub age: Option<Age>,
}

impl ScopeAge<'_> {
    /// The age from which on it is stale.
    pub fn bound(&self, rules: &FreshnessRules) -> Option<Duration> {
        rules.stale_after.map(|after| self.frequency.saturating_add(after))
    }

    /// By how much it is past its bound.
    fn excess(&self, rules: &FreshnessRules) -> Option<Duration> {
        let (bound, age) = (self.bound(rules)?, self.age?.for_the_worst());
        (age >= bound).then(|| age - bound)
    }

    pub fn is_stale(&self, rules: &FreshnessRules) -> bool {
        self.excess(rules).is_some()
    }
}

/// How the register's data stand, all in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// Not every scope has come once.
    NeverSynchronised,
    /// The scope that is furthest past its bound.
    Stale {
        scope: String,
        age: Age,
        bound: Duration,
    },
}

impl Freshness {
    /// `is_synchronised`: every scope had come once; one that the profile got later does not undo that.
    pub fn of(rules: &FreshnessRules, is_synchronised: bool, scopes: &[ScopeAge<'_>]) -> Freshness {
        if !is_synchronised {
            return Freshness::NeverSynchronised;
        }
        let stale = scopes.iter().filter_map(|one| Some((one.excess(rules)?, one)));
        let worst = stale.max_by_key(|(excess, _)| *excess).map(|(_, one)| one);
        match worst.and_then(|one| Some((one, one.age?, one.bound(rules)?))) {
            Some((one, age, bound)) => {
                Freshness::Stale { scope: one.scope.to_string(), age, bound }
            }
            None => Freshness::Fresh,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Freshness::Fresh => "fresh",
            Freshness::NeverSynchronised => "never-synchronised",
            Freshness::Stale { .. } => "stale",
        }
    }

    pub fn reaction(&self, rules: &FreshnessRules) -> Reaction {
        match self {
            Freshness::Fresh => Reaction::Allow,
            Freshness::NeverSynchronised => rules.never_synchronised,
            Freshness::Stale { .. } => rules.stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 1_700_000_000_000;
    const RULES: FreshnessRules = FreshnessRules {
        never_synchronised: Reaction::Refuse,
        stale_after: Some(HOUR.saturating_mul(4)),
        stale: Reaction::Warn,
    };

    fn scope(name: &str, frequency_h: u32, age_h: Option<u32>) -> ScopeAge<'_> {
        let age = age_h.map(|hours| Age::Known(HOUR * hours));
        ScopeAge { scope: name, frequency: HOUR * frequency_h, age }
    }

    /// The name of what stands out, and how far past what it may.
    fn of(rules: &FreshnessRules, is_synchronised: bool, scopes: &[ScopeAge<'_>]) -> String {
        match Freshness::of(rules, is_synchronised, scopes) {
            Freshness::Stale { scope, age, bound } => {
                let hours = |of: Duration| of.as_secs() / 3_600;
                let age = age.known().map_or("?".to_string(), |age| hours(age).to_string());
                format!("{scope} {age} of {}", hours(bound))
            }
            other => other.name().to_string(),
        }
    }

    #[test]
    fn a_scope_is_stale_when_it_is_overdue_and_not_for_its_frequency() {
        let daily = |age_h| scope("daily", 24, Some(age_h));
        let hourly = |age_h| scope("hourly", 1, Some(age_h));
        for (scopes, expected) in [
            (vec![], "fresh"),
            (vec![daily(24), hourly(1)], "fresh"),
            (vec![daily(27), hourly(4)], "fresh"),
            (vec![daily(28), hourly(4)], "daily 28 of 28"),
            (vec![daily(27), hourly(5)], "hourly 5 of 5"),
            // Both are, and the hourly one is further past.
            (vec![daily(29), hourly(8)], "hourly 8 of 5"),
            // What never came has no age.
            (vec![scope("new", 1, None), hourly(1)], "fresh"),
        ] {
            assert_eq!(of(&RULES, true, &scopes), expected, "{scopes:?}");
        }
        let lost = ScopeAge { age: Some(Age::Unknown), ..hourly(0) };
        assert_eq!(of(&RULES, true, &[daily(100), lost]), "hourly ? of 5");
        let patient = FreshnessRules { stale_after: None, ..RULES };
        assert_eq!(of(&patient, true, &[hourly(10_000), lost]), "fresh", "nothing is ever stale");
    }

    #[test]
    fn each_standing_has_the_reaction_that_the_profile_names() {
        let rules = FreshnessRules { stale: Reaction::Allow, ..RULES };
        for (is_synchronised, age_h, reaction) in [
            (true, 1, Reaction::Allow),
            (true, 9, Reaction::Warn),
            (false, 1, Reaction::Refuse),
            // Never synchronised weighs more than stale.
            (false, 9, Reaction::Refuse),
        ] {
            let standing = Freshness::of(&RULES, is_synchronised, &[scope("s", 1, Some(age_h))]);
            assert_eq!(standing.reaction(&RULES), reaction, "{is_synchronised} {age_h}");
        }
        let stale = Freshness::of(&rules, true, &[scope("s", 1, Some(9))]);
        assert_eq!((stale.name(), stale.reaction(&rules)), ("stale", Reaction::Allow));
    }

    #[test]
    fn a_stop_is_counted_by_the_wall_clock_as_far_as_it_can_be_believed() {
        let hours = |hours: u32| Age::Known(HOUR * hours);
        for (age, clock_h, expected) in [
            (hours(2), 0, hours(2)),
            (hours(2), 3, hours(5)),
            // Set back, or stamped in the future: nothing that was counted is taken back.
            (hours(2), -1, hours(2)),
            (hours(2), -14, hours(2)),
            (hours(2), -24, hours(2)),
            // A clock that lost its battery.
            (hours(2), -25, Age::Unknown),
            (hours(2), -400_000, Age::Unknown),
            (Age::Unknown, 3, Age::Unknown),
            (Age::Unknown, -3, Age::Unknown),
        ] {
            let kept = KeptAge { age, at_ms: NOW_MS };
            assert_eq!(kept.at_start(NOW_MS + clock_h * HOUR_MS), expected, "{age:?} {clock_h}");
        }
    }

    /// Clocks that are set at random between runs, never by more than half a day: data are never younger than all the
    /// time that the register ran with them.
    #[test]
    fn no_row_of_starts_makes_data_younger_than_the_time_that_was_run() {
        let mut number = 7u64;
        let mut draw = |below: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 33) % below
        };
        let (mut age, mut ran) = (Age::Known(Duration::ZERO), Duration::ZERO);
        for _ in 0..1_000 {
            let run = Duration::from_secs(draw(7_200));
            ran += run;
            let kept = KeptAge { age: age.after(run), at_ms: NOW_MS };
            let set_ms = draw(24 * 3_600_000) as i64 - 12 * HOUR_MS;
            age = kept.at_start(NOW_MS + set_ms);
            assert!(age.known() >= Some(ran), "{age:?} {ran:?}");
        }
    }
}
