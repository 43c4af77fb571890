//! Cuts a failing plan down: halves, quarters, single faults are left out as long as what is left still fails.

use crate::apart::{Wanted, run};
use crate::world::{HANGS, Outcome};
use std::path::Path;

/// Runs that a shrinking may take: it is for a person who waits.
const RUNS_MAX: u32 = 80;

/// The smallest run found that still fails, and how; `None` when it passes. One that hangs is left as it is: each try
/// would take minutes.
pub fn shrunk(program: &Path, wanted: &Wanted) -> Option<(Wanted, Outcome)> {
    let fails =
        |wanted: &Wanted| Some(run(program, wanted)).filter(|outcome| !outcome.broken.is_empty());
    let mut failing = fails(wanted)?;
    let mut few: Vec<usize> = match &wanted.only {
        Some(places) => places.clone(),
        None => (0..wanted.plan().events.len()).collect(),
    };
    let of = |places: &[usize]| Wanted { only: Some(places.to_vec()), ..wanted.clone() };
    let hangs = failing.broken.iter().any(|broken| broken.starts_with(HANGS));
    let mut runs = if hangs { RUNS_MAX } else { 0 };
    let mut size = few.len().div_ceil(2);
    while size > 0 && runs < RUNS_MAX {
        let mut at = 0;
        while at < few.len() && runs < RUNS_MAX {
            let candidate = without(&few, at, size);
            runs += 1;
            match fails(&of(&candidate)) {
                Some(outcome) => (few, failing) = (candidate, outcome),
                None => at += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Some((of(&few), failing))
}

fn without(places: &[usize], at: usize, many: usize) -> Vec<usize> {
    let is_left = |index: &usize| !(at..at + many).contains(index);
    (0..places.len()).filter(is_left).map(|index| places[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn what_is_left_out_is_what_was_named() {
        let places = [2, 3, 5, 7, 11];
        assert_eq!(without(&places, 1, 2), [2, 7, 11]);
        assert_eq!(without(&places, 4, 2), [2, 3, 5, 7]);
    }
}
