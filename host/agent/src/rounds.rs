//! The rounds of push, counted, so that who waits for a sale knows when one has passed it over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One round at a time: whoever begins one has push's lane.
#[derive(Default)]
pub struct Rounds {
    begun: AtomicU64,
    ended: AtomicU64,
    knows_arrivals: AtomicBool,
}

impl Rounds {
    /// The next one to begin: it sees all that is on the disk now.
    pub fn next(&self) -> u64 {
        self.begun.load(Ordering::SeqCst) + 1
    }

    /// Its number, and whether all that has arrived before is settled: it is not at the start, nor after a round that broke
    /// off.
    pub fn begin(&self) -> (u64, bool) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        (number, self.knows_arrivals.swap(false, Ordering::SeqCst))
    }

    /// It came to its end: what it has left pending it cannot bring up now.
    pub fn end(&self, round: u64) {
        self.ended.fetch_max(round, Ordering::SeqCst);
    }

    /// The round had an answer to all that it sent.
    pub fn note_arrivals(&self) {
        self.knows_arrivals.store(true, Ordering::SeqCst);
    }

    /// Whether this one, or a later one, came to its end.
    pub fn has_ended(&self, round: u64) -> bool {
        self.ended.load(Ordering::SeqCst) >= round
    }
}

#[cfg(test)]
mod tests {
    use super::Rounds;

    #[test]
    fn a_round_under_way_says_nothing_of_what_came_after_its_beginning() {
        let rounds = Rounds::default();
        let (first, _) = rounds.begin();
        let mine = rounds.next();
        rounds.end(first);
        assert!(!rounds.has_ended(mine));
        // Broken off, the next one counts for it.
        rounds.begin();
        let (third, _) = rounds.begin();
        rounds.end(third);
        assert!(rounds.has_ended(mine));
    }

    #[test]
    fn what_has_arrived_is_asked_for_at_the_start_and_after_a_round_that_broke_off() {
        let rounds = Rounds::default();
        assert!(!rounds.begin().1);
        rounds.note_arrivals();
        assert!(rounds.begin().1);
        assert!(!rounds.begin().1);
    }
}
