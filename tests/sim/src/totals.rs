//! What many runs come to together.

use crate::event::Kind;
use crate::world::Outcome;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub runs: u64,
    pub failed: u64,
    pub acknowledged: u64,
    pub starts: u64,
    pub simulated_ms: u64,
    pub longest_sale_ms: u64,
    pub happened: BTreeMap<Kind, u64>,
}

impl Totals {
    pub fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.failed += u64::from(!outcome.broken.is_empty());
        self.acknowledged += outcome.acknowledged;
        self.starts += outcome.starts;
        self.simulated_ms += outcome.simulated_ms;
        self.longest_sale_ms = self.longest_sale_ms.max(outcome.longest_sale_ms);
        for (kind, count) in &outcome.happened {
            *self.happened.entry(*kind).or_default() += count;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs, {} failed", self.runs, self.failed)?;
        writeln!(
            f,
            "{} sales promised and looked for, {} starts of agents, {:.1} simulated hours",
            self.acknowledged,
            self.starts,
            self.simulated_ms as f64 / 3.6e6
        )?;
        writeln!(
            f,
            "the longest wait for a promise on a register that ran: {} ms",
            self.longest_sale_ms
        )?;
        for (kind, count) in &self.happened {
            writeln!(f, "  {kind:?}: {count}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} sales, {} starts, {} s, longest wait {} ms, {:?}, {:016x}",
            self.seed,
            self.acknowledged,
            self.starts,
            self.simulated_ms / 1000,
            self.longest_sale_ms,
            self.happened,
            self.hash
        )?;
        self.broken.iter().try_for_each(|broken| write!(f, "\n  BROKEN {broken}"))
    }
}
