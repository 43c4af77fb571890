//! Cuts a failing plan down: halves, quarters, single faults are left out as long as what is left still fails.

use crate::plan::{Plan, Planned};
use crate::world::{Outcome, run};

/// Runs that a shrinking may take: it is for a person who waits.
const RUNS_MAX: u32 = 80;

/// The smallest plan found that still fails, and how; `None` when the plan passes.
pub fn shrunk(plan: &Plan) -> Option<(Plan, Outcome)> {
    let mut failing = fails(plan)?;
    let mut few = plan.clone();
    let mut runs = 0;
    let mut size = few.events.len().div_ceil(2);
    while size > 0 && runs < RUNS_MAX {
        let mut at = 0;
        while at < few.events.len() && runs < RUNS_MAX {
            let left: Vec<Planned> = without(&few.events, at, size);
            let candidate = few.with(left);
            runs += 1;
            match fails(&candidate) {
                Some(outcome) => (few, failing) = (candidate, outcome),
                None => at += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Some((few, failing))
}

fn fails(plan: &Plan) -> Option<Outcome> {
    Some(run(plan, false)).filter(|outcome| !outcome.broken.is_empty())
}

fn without(events: &[Planned], at: usize, many: usize) -> Vec<Planned> {
    let is_left = |index: &usize| !(at..at + many).contains(index);
    (0..events.len()).filter(is_left).map(|index| events[index].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::without;
    use crate::plan::{Event, Planned};

    #[test]
    fn what_is_left_out_is_what_was_named() {
        let event = |at_ms| Planned { at_ms, what: Event::ForgetChanges };
        let events: Vec<Planned> = (0..5).map(event).collect();
        let at = |left: Vec<Planned>| left.iter().map(|event| event.at_ms).collect::<Vec<_>>();
        assert_eq!(at(without(&events, 1, 2)), [0, 3, 4]);
        assert_eq!(at(without(&events, 4, 2)), [0, 1, 2, 3]);
    }
}
