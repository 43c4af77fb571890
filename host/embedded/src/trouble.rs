//! Faults on command: what the connections of a gate ask on their way.
//!
//! * A fault concerns all connections of the gate, present and future, until it has struck or is healed.
//! * What a fault does to the bytes themselves is done in `line`, below TLS.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Faults on command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted and bytes are taken, nothing is answered: a hung process.
    Stall,
    /// The other side is gone and nobody says so: nothing is read, written or closed, and nobody is let in. Sessions
    /// keep their transactions and locks. The kernel still takes connections and bytes for us; a client must find
    /// out by its own deadlines. Healed, it knows the old connections no more and drops them.
    HalfOpen,
    /// Every answer begins so much later.
    Slow { delay: Duration },
    /// Answers go out with so many bytes a second, at least 1.
    Trickle { bytes_per_second: u32 },
    /// Every login is refused with this error: an account or the server is locked, the database is in single user,
    /// restoring, paused. The sessions that there are end, or live on as those of a disabled account do.
    RefuseLogins { number: u32, keeps_sessions: bool },
    /// Every request is answered with this error: the server has no time, memory or lock for it.
    RefuseRequests { number: u32 },
    /// Somebody holds a lock: requests with this text in them wait until it is healed or the client takes them back; all
    /// others are answered.
    Lock { text: String },
    /// The so-manieth commit from now (1: the next) is carried out and its connection dropped before the answer.
    DropAfterCommit { commits: u64 },
    /// The next result set that is long enough breaks off in the middle of the row after so many.
    HalfRow { rows: u64 },
}

/// The faults that are ordered at present.
pub struct Faults {
    stalled: watch::Sender<bool>,
    silence: watch::Sender<Silence>,
    /// The errors that logins and requests end with; 0 is none.
    logins: AtomicU32,
    requests: AtomicU32,
    /// What is locked, as requests carry it: UTF-16, little end first. Empty is nothing.
    locked: watch::Sender<Vec<u8>>,
    evictions: watch::Sender<u64>,
    delay_ms: AtomicU64,
    /// 0 is as many as there are.
    bytes_per_second: AtomicU64,
    /// Commits until the drop; 0 is none.
    commits: AtomicU64,
    /// The row that is cut in two; `u64::MAX` is none.
    half_row: AtomicU64,
}

/// Whether the gate is silent, and how often it was: even the shortest silence costs its connections.
#[derive(Clone, Copy, Default)]
struct Silence {
    now: bool,
    past: u64,
}

impl Faults {
    pub(crate) fn new() -> Faults {
        Faults {
            stalled: watch::Sender::new(false),
            silence: watch::Sender::default(),
            logins: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            locked: watch::Sender::default(),
            evictions: watch::Sender::new(0),
            delay_ms: AtomicU64::new(0),
            bytes_per_second: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            half_row: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn inject(&self, fault: Fault) {
        match fault {
            Fault::Stall => {
                self.stalled.send_replace(true);
            }
            Fault::HalfOpen => {
                self.silence.send_modify(|silence| silence.now = true);
            }
            Fault::Slow { delay } => {
                let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.delay_ms.store(ms, Ordering::Release);
            }
            Fault::Trickle { bytes_per_second } => {
                self.bytes_per_second.store(bytes_per_second.max(1).into(), Ordering::Release);
            }
            Fault::RefuseLogins { number, keeps_sessions } => {
                self.logins.store(number, Ordering::Release);
                self.evictions.send_modify(|evictions| *evictions += u64::from(!keeps_sessions));
            }
            Fault::RefuseRequests { number } => self.requests.store(number, Ordering::Release),
            Fault::Lock { text } => {
                self.locked.send_replace(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            }
            Fault::DropAfterCommit { commits } => self.commits.store(commits, Ordering::Release),
            Fault::HalfRow { rows } => self.half_row.store(rows, Ordering::Release),
        }
    }

    pub(crate) fn heal(&self) {
        self.logins.store(0, Ordering::Release);
        self.requests.store(0, Ordering::Release);
        self.locked.send_replace(Vec::new());
        self.delay_ms.store(0, Ordering::Release);
        self.bytes_per_second.store(0, Ordering::Release);
        self.commits.store(0, Ordering::Release);
        self.half_row.store(u64::MAX, Ordering::Release);
        self.stalled.send_replace(false);
        self.silence.send_modify(|silence| {
            silence.past += u64::from(silence.now);
            silence.now = false;
        });
    }

    /// Waits until the gate does not stall.
    pub async fn moving(&self) {
        settle(&self.stalled, |stalled| !stalled).await;
    }

    /// Whether nothing goes in or out.
    pub fn is_silent(&self) -> bool {
        self.silence.borrow().now
    }

    /// Waits until the gate is silent, or is not.
    pub async fn silence(&self, is: bool) {
        settle(&self.silence, |silence| silence.now == is).await;
    }

    pub fn silences_past(&self) -> u64 {
        self.silence.borrow().past
    }

    /// Waits until one more silence is past.
    pub async fn silence_after(&self, past: u64) {
        settle(&self.silence, |silence| silence.past > past).await;
    }

    pub fn refused_login(&self) -> Option<u32> {
        Some(self.logins.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    pub fn refused_request(&self) -> Option<u32> {
        Some(self.requests.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    /// Waits until nobody holds a lock on what this request asks for; at once where nobody does.
    pub async fn unlocked(&self, request: &[u8]) {
        let is_free = |text: &Vec<u8>| {
            text.is_empty() || !request.windows(text.len()).any(|part| part == text.as_slice())
        };
        settle(&self.locked, is_free).await;
    }

    pub fn evictions(&self) -> u64 {
        *self.evictions.borrow()
    }

    /// Waits until the sessions of this moment have to end.
    pub async fn eviction_after(&self, past: u64) {
        settle(&self.evictions, |evictions| *evictions > past).await;
    }

    /// For how long an answer is held back, if it is.
    pub fn delay(&self) -> Option<Duration> {
        let ms = self.delay_ms.load(Ordering::Acquire);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    pub fn bytes_per_second(&self) -> Option<u64> {
        Some(self.bytes_per_second.load(Ordering::Acquire)).filter(|rate| *rate > 0)
    }

    /// A transaction was committed: whether this connection must drop now.
    pub fn commit(&self) -> bool {
        let counted = self
            .commits
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        counted == Ok(1)
    }

    /// A row was written after `rows` others of its set: whether it must be cut.
    pub fn half_row(&self, rows: u64) -> bool {
        self.half_row.load(Ordering::Relaxed) == rows
            && self.half_row.swap(u64::MAX, Ordering::AcqRel) == rows
    }
}

async fn settle<T>(state: &watch::Sender<T>, wanted: impl FnMut(&T) -> bool) {
    // The sender is borrowed here: it cannot be gone.
    let _ = state.subscribe().wait_for(wanted).await;
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults};

    #[test]
    fn faults_strike_once_and_at_their_time() {
        let faults = Faults::new();
        assert!(!faults.commit() && !faults.half_row(0));
        faults.inject(Fault::DropAfterCommit { commits: 2 });
        assert_eq!([faults.commit(), faults.commit(), faults.commit()], [false, true, false]);
        faults.inject(Fault::HalfRow { rows: 1 });
        assert_eq!([0, 1, 1].map(|row| faults.half_row(row)), [false, true, false]);
        faults.inject(Fault::DropAfterCommit { commits: 1 });
        faults.inject(Fault::HalfOpen);
        faults.heal();
        assert!(!faults.commit() && !faults.is_silent());
    }
}
