//! The places for calls at once: who comes when all are taken waits, in the order in which they came.
//!
//! * A call more than the engine has room for would fail, and its rows be treated as a bad rule's: in clear, or set aside.
//! * The wait is bounded, since whoever is inside has a deadline.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Owned by the host and its plugins together.
pub(crate) struct Gate {
    places: u64,
    counts: Mutex<Counts>,
    left: Condvar,
}

/// Taken until it is dropped, which must come after the instance's own end.
pub(crate) struct Place<'a> {
    gate: &'a Gate,
}

#[derive(Default)]
struct Counts {
    came: u64,
    left: u64,
}

impl Gate {
    pub(crate) fn with_places(places: u32) -> Gate {
        Gate { places: places.into(), counts: Mutex::default(), left: Condvar::new() }
    }

    pub(crate) fn enter(&self) -> Place<'_> {
        let mut counts = self.lock();
        let before_me = counts.came;
        counts.came += 1;
        while before_me >= counts.left + self.places {
            counts = self.left.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
        Place { gate: self }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Two counts are never half changed, so a panic elsewhere does not spoil them.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().left += 1;
        // All: only the one whose turn it is goes on, and which that is the system does not know.
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Returns when so many have asked for a place.
    fn until_came(gate: &Gate, count: u64) {
        while gate.lock().came < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_comes_when_all_places_are_taken_waits_and_nobody_is_forgotten() {
        const PLACES: u32 = 3;
        const MORE: u64 = 24;
        let gate = Gate::with_places(PLACES);
        let (inside, most, ended) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let taken = [gate.enter(), gate.enter(), gate.enter()];
            for _ in 0..MORE {
                scope.spawn(|| {
                    let place = gate.enter();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Inside until another one could come too, if the gate let it.
                    (0..100).for_each(|_| std::thread::yield_now());
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            until_came(&gate, u64::from(PLACES) + MORE);
            assert_eq!(inside.load(Ordering::SeqCst), 0, "somebody came in without a place");
            drop(taken);
        });
        assert_eq!(ended.load(Ordering::SeqCst), MORE);
        assert!(most.load(Ordering::SeqCst) <= u64::from(PLACES), "{most:?} at once");
    }

    #[test]
    fn they_come_in_as_they_came() {
        const WAITING: u64 = 8;
        let gate = Gate::with_places(1);
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let taken = gate.enter();
            for number in 0..WAITING {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _place = gate.enter();
                    order.lock().expect("no test panics while holding it").push(number);
                });
                until_came(gate, number + 2);
            }
            drop(taken);
        });
        let order = order.into_inner().expect("no test panics while holding it");
        assert_eq!(order, (0..WAITING).collect::<Vec<_>>());
    }
}
