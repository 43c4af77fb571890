//! The ways to the channel.
//!
//! Four lanes keep a long pull from ever delaying a sale: probes, the front door's reads, push and pull each have
//! connections of their own.

use crate::register::Register;
use std::sync::Arc;
use std::time::Duration;
use tillhold_channel::{Line, Link};
use tokio::sync::{Mutex, MutexGuard};

pub struct Lanes {
    pub probe: Lane,
    pub push: Lane,
    pub pull: Lane,
    front: [Lane; 2],
}

/// One connection, for one at a time.
pub struct Lane {
    pub link: Mutex<Link>,
    /// What passes on it, seen by whoever does not have it.
    line: Arc<Line>,
}

impl Lanes {
    pub fn of(register: &Register) -> Lanes {
        let lane = || {
            let link = register.link();
            Lane { line: link.line(), link: Mutex::new(link) }
        };
        Lanes { probe: lane(), push: lane(), pull: lane(), front: [lane(), lane()] }
    }

    /// A free lane of the front door, or the first that becomes free.
    pub async fn front(&self) -> MutexGuard<'_, Link> {
        first_free(self.front.each_ref().map(|lane| &lane.link)).await
    }

    /// After trouble, connections that lie idle may be dead without knowing it; busy ones find out by themselves.
    pub fn drop_idle(&self) {
        for lane in self.all() {
            if let Ok(mut idle) = lane.link.try_lock() {
                idle.disconnect();
            }
        }
    }

    /// The channel answers since that moment: who waits for it since before, and nothing has passed for so long, waits in
    /// vain.
    pub fn give_up_silent(&self, before_ms: u64, silence: Duration) {
        for lane in self.all() {
            lane.line.give_up(before_ms, silence);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Lane> {
        [&self.probe, &self.push, &self.pull].into_iter().chain(&self.front)
    }
}

async fn first_free<T>([one, other]: [&Mutex<T>; 2]) -> MutexGuard<'_, T> {
    tokio::select! {
        biased;
        free = one.lock() => free,
        free = other.lock() => free,
    }
}

#[cfg(test)]
mod tests {
    use super::{Mutex, first_free};

    #[tokio::test]
    async fn whichever_lane_becomes_free_first_is_taken() {
        let lanes = [Mutex::new(0), Mutex::new(1)];
        for freed in [1, 0] {
            let mut held = [Some(lanes[0].lock().await), Some(lanes[1].lock().await)];
            let mut waiting = Box::pin(first_free(lanes.each_ref()));
            assert!(futures_util::poll!(&mut waiting).is_pending());
            held[freed] = None;
            let got = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
            assert_eq!(*got.expect("a lane is free"), freed);
        }
    }
}
