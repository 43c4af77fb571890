//! The last changes of the failover state, numbered, for whoever listens and for whoever comes back to listen on.

use std::collections::VecDeque;
use std::sync::Mutex;
use tillhold_core::failover::State;
use tillhold_core::limits;
use tillhold_env::Locked as _;
use tokio::sync::watch;

/// A state that was left and the one that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Counts from 1 since the agent started.
    pub number: u64,
    pub at_ms: i64,
    pub from: State,
    pub to: State,
    /// What led from the one to the other.
    pub reason: &'static str,
}

pub struct History {
    changes: Mutex<VecDeque<Change>>,
    /// The last change's number.
    newest: watch::Sender<u64>,
}

impl Default for History {
    fn default() -> History {
        History { changes: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl History {
    pub fn note(&self, at_ms: i64, from: State, to: State, reason: &'static str) {
        let mut changes = self.changes.locked();
        let number = *self.newest.borrow() + 1;
        if changes.len() == limits::EVENTS_KEPT {
            changes.pop_front();
        }
        changes.push_back(Change { number, at_ms, from, to, reason });
        self.newest.send_replace(number);
    }

    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Changes whenever the state does.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The first change after number `after` that is still known.
    pub fn next(&self, after: u64) -> Option<Change> {
        let changes = self.changes.locked();
        changes.iter().find(|change| change.number > after).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::History;
    use tillhold_core::failover::State;
    use tillhold_core::limits;

    #[test]
    fn changes_are_told_in_order_and_the_oldest_are_forgotten() {
        let history = History::default();
        assert_eq!(history.next(0), None);
        for at_ms in 1..=limits::EVENTS_KEPT as i64 + 1 {
            history.note(at_ms, State::Online, State::Doubtful, "trouble");
        }
        let first = history.next(0).expect("a change");
        assert_eq!((first.number, first.at_ms, first.reason), (2, 2, "trouble"));
        assert_eq!(history.next(2).map(|change| change.number), Some(3));
        assert_eq!(history.next(history.newest()), None);
    }
}
