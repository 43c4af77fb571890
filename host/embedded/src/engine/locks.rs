//! Who may write, and application locks: one table of exclusive and shared locks, first come first served, with
//! time-outs and deadlock detection.
//!
//! The write lock of the file is one of them, so that a session that waits for the file while another waits for an
//! application lock is seen as the deadlock that it is (error 1205), instead of as two time-outs.

use super::running::locked;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tillhold_env::Env;
use tokio::sync::Notify;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The database file's one writer.
    Write,
    /// sp_getapplock, by folded name.
    Application(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Granted,
    /// After waiting for another to let go.
    GrantedLater,
    TimedOut,
    Deadlock,
    Cancelled,
}

/// A wait looks up at least this often, should a wake-up be lost.
const GLANCE: Duration = Duration::from_millis(100);

pub struct Locks {
    env: Env,
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    held: HashMap<Resource, Vec<Held>>,
    waiting: BTreeMap<u64, Wait>,
    next_ticket: u64,
}

struct Held {
    session: u32,
    mode: Mode,
    count: u32,
}

struct Wait {
    session: u32,
    resource: Resource,
}

impl Locks {
    pub fn new(env: &Env) -> Locks {
        Locks { env: env.clone(), table: Mutex::default(), changed: Notify::new() }
    }

    /// Waits until the lock is granted, `timeout` is over (`None`: never), or `cancelled` is set.
    pub fn acquire(
        &self,
        session: u32,
        resource: Resource,
        mode: Mode,
        timeout: Option<Duration>,
        cancelled: &AtomicBool,
    ) -> Outcome {
        let mut table = locked(&self.table);
        table.next_ticket += 1;
        let ticket = table.next_ticket;
        if table.grantable(session, &resource, mode, ticket) {
            table.grant(session, resource, mode);
            return Outcome::Granted;
        }
        if timeout == Some(Duration::ZERO) {
            return Outcome::TimedOut;
        }
        table.waiting.insert(ticket, Wait { session, resource: resource.clone() });
        if table.is_deadlock(session) {
            table.waiting.remove(&ticket);
            return Outcome::Deadlock;
        }
        let started = self.env.clock.monotonic_us();
        loop {
            let waited =
                Duration::from_micros(self.env.clock.monotonic_us().saturating_sub(started));
            let left = timeout.map(|timeout| timeout.saturating_sub(waited));
            let ended = if cancelled.load(Ordering::Relaxed) {
                Some(Outcome::Cancelled)
            } else if table.grantable(session, &resource, mode, ticket) {
                Some(Outcome::GrantedLater)
            } else {
                left.filter(Duration::is_zero).map(|_| Outcome::TimedOut)
            };
            if let Some(outcome) = ended {
                table.waiting.remove(&ticket);
                if outcome == Outcome::GrantedLater {
                    table.grant(session, resource, mode);
                }
                drop(table);
                self.changed.notify_waiters();
                return outcome;
            }
            let nap = left.map_or(GLANCE, |left| left.min(GLANCE));
            table = self.nap(table, nap);
        }
    }

    /// Whether the session held it. A lock taken twice is released twice.
    pub fn release(&self, session: u32, resource: &Resource) -> bool {
        let mut table = locked(&self.table);
        let Some(holders) = table.held.get_mut(resource) else { return false };
        let Some(at) = holders.iter().position(|held| held.session == session) else {
            return false;
        };
        holders[at].count -= 1;
        if holders[at].count == 0 {
            holders.remove(at);
        }
        if holders.is_empty() {
            table.held.remove(resource);
        }
        drop(table);
        self.changed.notify_waiters();
        true
    }

    /// The session is gone, or a transaction's application locks end with it.
    pub fn release_all(&self, session: u32, wanted: impl Fn(&Resource) -> bool) {
        let mut table = locked(&self.table);
        table.held.retain(|resource, holders| {
            holders.retain(|held| held.session != session || !wanted(resource));
            !holders.is_empty()
        });
        drop(table);
        self.changed.notify_waiters();
    }

    /// Wakes every waiter to look at its `cancelled`.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Until something changes, which nobody can do unseen between the look at the table and the wait.
    fn nap<'a>(&'a self, table: MutexGuard<'a, Table>, most: Duration) -> MutexGuard<'a, Table> {
        let changed = self.changed.notified();
        drop(table);
        self.env.wait(changed, Some(most));
        locked(&self.table)
    }

    /// Sleeps, unless cancelled.
    pub fn sleep(&self, time: Duration, cancelled: &AtomicBool) -> bool {
        let started = self.env.clock.monotonic_us();
        let mut table = locked(&self.table);
        loop {
            let slept =
                Duration::from_micros(self.env.clock.monotonic_us().saturating_sub(started));
            if cancelled.load(Ordering::Relaxed) {
                return false;
            }
            if slept >= time {
                return true;
            }
            let nap = (time - slept).min(GLANCE);
            table = self.nap(table, nap);
        }
    }
}

impl Table {
    /// Nobody else holds it in a way that matters, and nobody asked for it before.
    fn grantable(&self, session: u32, resource: &Resource, mode: Mode, ticket: u64) -> bool {
        let holders = self.held.get(resource).map(Vec::as_slice).unwrap_or_default();
        let clear = holders.iter().all(|held| {
            held.session == session || (held.mode == Mode::Shared && mode == Mode::Shared)
        });
        let mine = holders.iter().any(|held| held.session == session);
        clear && (mine || !self.waiting.range(..ticket).any(|(_, wait)| wait.resource == *resource))
    }

    fn grant(&mut self, session: u32, resource: Resource, mode: Mode) {
        let holders = self.held.entry(resource).or_default();
        match holders.iter_mut().find(|held| held.session == session) {
            Some(held) => {
                held.count += 1;
                if mode == Mode::Exclusive {
                    held.mode = mode;
                }
            }
            None => holders.push(Held { session, mode, count: 1 }),
        }
    }

    /// Whether following who waits for whom from `session` leads back to it.
    fn is_deadlock(&self, session: u32) -> bool {
        let (mut open, mut seen) = (vec![session], HashSet::new());
        while let Some(at) = open.pop() {
            for wait in self.waiting.values().filter(|wait| wait.session == at) {
                let holders = self.held.get(&wait.resource).map(Vec::as_slice).unwrap_or_default();
                for held in holders.iter().filter(|held| held.session != at) {
                    if held.session == session {
                        return true;
                    }
                    if seen.insert(held.session) {
                        open.push(held.session);
                    }
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Locks, Mode, Outcome, Resource};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;
    use tillhold_env::Env;

    fn application(name: &str) -> Resource {
        Resource::Application(name.to_string())
    }

    #[test]
    fn a_circle_of_waiters_is_a_deadlock_and_not_a_time_out() {
        let env = Env::real();
        let locks = Arc::new(Locks::new(&env));
        let calm = Arc::new(AtomicBool::new(false));
        let long = Some(Duration::from_secs(60));
        assert_eq!(
            locks.acquire(1, Resource::Write, Mode::Exclusive, long, &calm),
            Outcome::Granted
        );
        assert_eq!(
            locks.acquire(2, application("a"), Mode::Exclusive, long, &calm),
            Outcome::Granted
        );
        let (other, still) = (locks.clone(), calm.clone());
        let (told, waiting) = std::sync::mpsc::channel();
        env.tasks
            .thread(
                "waiter".to_string(),
                Box::new(move || {
                    let outcome = other.acquire(2, Resource::Write, Mode::Exclusive, long, &still);
                    if outcome == Outcome::Deadlock {
                        other.release_all(2, |_| true);
                    }
                    let _told = told.send(outcome);
                }),
            )
            .expect("a thread");
        // Whoever closes the circle is the victim, here or there; the other goes on when the victim lets go.
        let mine = locks.acquire(1, application("a"), Mode::Exclusive, long, &calm);
        if mine == Outcome::Deadlock {
            locks.release_all(1, |_| true);
        }
        let theirs = waiting.recv().expect("an outcome");
        let both = [mine, theirs];
        assert!(
            both.contains(&Outcome::Deadlock) && both.contains(&Outcome::GrantedLater),
            "{both:?}"
        );
    }

    #[test]
    fn shared_locks_go_together_and_time_outs_end() {
        let locks = Locks::new(&Env::real());
        let calm = AtomicBool::new(false);
        let none = Some(Duration::ZERO);
        assert_eq!(locks.acquire(1, application("x"), Mode::Shared, none, &calm), Outcome::Granted);
        assert_eq!(locks.acquire(2, application("x"), Mode::Shared, none, &calm), Outcome::Granted);
        assert_eq!(
            locks.acquire(3, application("x"), Mode::Exclusive, none, &calm),
            Outcome::TimedOut
        );
        assert!(locks.release(1, &application("x")) && locks.release(2, &application("x")));
        assert!(!locks.release(2, &application("x")));
        assert_eq!(
            locks.acquire(3, application("x"), Mode::Exclusive, none, &calm),
            Outcome::Granted
        );
    }
}
