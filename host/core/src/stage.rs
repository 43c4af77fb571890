//! The count that every batch of every stage must balance: no row is ever unaccounted for.

use std::fmt;
use std::ops::AddAssign;

/// rows in = applied + dropped by rule + quarantined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows_in: u64,
    pub applied: u64,
    /// By a transformer, or because the row is this register's own coming back.
    pub dropped: u64,
    pub quarantined: u64,
}

impl Tally {
    /// A broken balance is a lost row: the flow that meets it stops.
    pub fn balanced(self) -> Result<Tally, Unbalanced> {
        if self.rows_in == self.applied + self.dropped + self.quarantined {
            return Ok(self);
        }
        Err(Unbalanced(self))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.rows_in += other.rows_in;
        self.applied += other.applied;
        self.dropped += other.dropped;
        self.quarantined += other.quarantined;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced(pub Tally);

impl fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { rows_in, applied, dropped, quarantined } = self.0;
        write!(
            f,
            "{rows_in} rows came in, but {applied} applied + {dropped} dropped + {quarantined} quarantined do not add up"
        )
    }
}

impl std::error::Error for Unbalanced {}
