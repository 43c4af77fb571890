//! The rounds of push, counted, so that who waits for a sale knows when one has passed it over.

use std::sync::atomic::{AtomicU64, Ordering};

/// One round at a time: whoever begins one has push's lane.
#[derive(Default)]
pub struct Rounds {
    begun: AtomicU64,
    ended: AtomicU64,
    /// How often it came in doubt what has arrived.
    doubts: AtomicU64,
    /// After which of the doubts all that had arrived was settled; one more, so that it is none at the start.
    settled: AtomicU64,
}

/// One that is under way.
#[derive(Clone, Copy)]
pub struct Round {
    number: u64,
    doubts: u64,
    /// Whether all that has arrived before is settled, and the channel is the one of before: neither is known at the start,
    /// after a round that broke off, nor after the channel was away.
    pub knows_arrivals: bool,
}

impl Rounds {
    /// The next one to begin: it sees all that is on the disk now.
    pub fn next(&self) -> u64 {
        self.begun.load(Ordering::SeqCst) + 1
    }

    pub fn begin(&self) -> Round {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let doubts = self.doubts.load(Ordering::SeqCst);
        let knows_arrivals = self.settled.swap(0, Ordering::SeqCst) == doubts + 1;
        Round { number, doubts, knows_arrivals }
    }

    /// It came to its end: what it has left pending it cannot bring up now.
    pub fn end(&self, round: Round) {
        self.ended.fetch_max(round.number, Ordering::SeqCst);
    }

    /// The round had an answer to all that it sent; that says nothing to a doubt that came meanwhile.
    pub fn note_arrivals(&self, round: Round) {
        self.settled.store(round.doubts + 1, Ordering::SeqCst);
    }

    /// The channel was away, or a person asks: it may have been restored meanwhile.
    pub fn doubt_arrivals(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
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
        let first = rounds.begin();
        let mine = rounds.next();
        rounds.end(first);
        assert!(!rounds.has_ended(mine));
        // Broken off, the next one counts for it.
        rounds.begin();
        let third = rounds.begin();
        rounds.end(third);
        assert!(rounds.has_ended(mine));
    }

    #[test]
    fn what_has_arrived_is_asked_for_at_the_start_and_after_a_round_that_broke_off() {
        let rounds = Rounds::default();
        let first = rounds.begin();
        assert!(!first.knows_arrivals);
        rounds.note_arrivals(first);
        assert!(rounds.begin().knows_arrivals);
        assert!(!rounds.begin().knows_arrivals);
    }

    #[test]
    fn what_has_arrived_is_asked_for_after_the_channel_was_away_also_during_a_round() {
        let rounds = Rounds::default();
        let first = rounds.begin();
        rounds.doubt_arrivals();
        rounds.note_arrivals(first);
        let second = rounds.begin();
        assert!(!second.knows_arrivals);
        rounds.note_arrivals(second);
        assert!(rounds.begin().knows_arrivals);
    }
}
