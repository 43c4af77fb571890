//! A gate: one listening address of a server, which tests and the demo can cut, restore and make faulty.
//!
//! * Cut: live connections are dropped, the listening socket is closed, so clients are refused.
//! * Restored: the same port is bound again; if that fails for too long it is an error, never a half-open gate.
//! * Faults concern all connections of the gate, present and future, until they have struck or are healed.

use crate::fault::ServerError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tillhold_core::limits::{TDS_REBIND_TIMEOUT, TDS_STOP_TIMEOUT};
use tokio::sync::watch;

/// Faults on command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted and bytes are taken, nothing is answered: a hung process.
    Stall,
    /// The so-manieth commit from now (1: the next) is carried out and its connection dropped before the answer.
    DropAfterCommit { commits: u64 },
    /// The next result set that is long enough breaks off in the middle of the row after so many.
    HalfRow { rows: u64 },
}

/// What the connections of a gate ask on their way.
pub struct Faults {
    stalled: watch::Sender<bool>,
    /// Commits until the drop; 0 is none.
    commits: AtomicU64,
    /// The row that is cut in two; `u64::MAX` is none.
    half_row: AtomicU64,
}

impl Faults {
    fn new() -> Faults {
        Faults {
            stalled: watch::Sender::new(false),
            commits: AtomicU64::new(0),
            half_row: AtomicU64::new(u64::MAX),
        }
    }

    /// Waits until the gate does not stall.
    pub async fn moving(&self) {
        if *self.stalled.borrow() {
            let mut stalled = self.stalled.subscribe();
            // The sender lives in self: it cannot be gone.
            let _ = stalled.wait_for(|stalled| !stalled).await;
        }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Cut,
    /// Requests in work may end; then everything closes.
    Stopping,
}

/// Waits for a phase; also returns when the gate is gone.
pub(crate) async fn until(phase: &mut watch::Receiver<Phase>, wanted: impl FnMut(&Phase) -> bool) {
    let _ = phase.wait_for(wanted).await;
}

pub(crate) struct GateState {
    pub(crate) address: SocketAddr,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) listening: watch::Sender<bool>,
    pub(crate) live: watch::Sender<usize>,
    pub(crate) faults: Arc<Faults>,
}

#[derive(Clone)]
pub struct Gate {
    pub(crate) state: Arc<GateState>,
}

impl Gate {
    pub(crate) fn open(address: SocketAddr) -> Gate {
        Gate {
            state: Arc::new(GateState {
                address,
                phase: watch::Sender::new(Phase::Open),
                listening: watch::Sender::new(true),
                live: watch::Sender::new(0),
                faults: Arc::new(Faults::new()),
            }),
        }
    }

    /// With the port that was chosen when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// Connections that are live now.
    pub fn connections(&self) -> usize {
        *self.state.live.borrow()
    }

    /// Drops every connection and refuses new ones; returns when both are so.
    pub async fn cut(&self) -> Result<(), ServerError> {
        self.state.phase.send_replace(Phase::Cut);
        self.await_closed("cut").await
    }

    /// Listens again on the same port; returns when it does.
    pub async fn restore(&self) -> Result<(), ServerError> {
        let mut listening = self.state.listening.subscribe();
        self.state.phase.send_replace(Phase::Open);
        let open = listening.wait_for(|listening| *listening);
        match tokio::time::timeout(TDS_REBIND_TIMEOUT, open).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                self.state.phase.send_replace(Phase::Cut);
                Err(self.failed("restored"))
            }
        }
    }

    pub fn inject(&self, fault: Fault) {
        let faults = &self.state.faults;
        match fault {
            Fault::Stall => {
                faults.stalled.send_replace(true);
            }
            Fault::DropAfterCommit { commits } => faults.commits.store(commits, Ordering::Release),
            Fault::HalfRow { rows } => faults.half_row.store(rows, Ordering::Release),
        }
    }

    /// Takes back every fault that has not struck; what has stalled goes on.
    pub fn heal(&self) {
        let faults = &self.state.faults;
        faults.stalled.send_replace(false);
        faults.commits.store(0, Ordering::Release);
        faults.half_row.store(u64::MAX, Ordering::Release);
    }

    /// Lets requests in work end for a while, then drops what is left.
    pub(crate) async fn stop(&self) -> Result<(), ServerError> {
        self.state.phase.send_replace(Phase::Stopping);
        if self.await_closed("stopped").await.is_ok() {
            return Ok(());
        }
        self.state.phase.send_replace(Phase::Cut);
        self.await_closed("stopped").await
    }

    async fn await_closed(&self, wanted: &'static str) -> Result<(), ServerError> {
        let mut listening = self.state.listening.subscribe();
        let mut live = self.state.live.subscribe();
        let closed = async {
            // The senders live in the gate's state: they cannot be gone.
            let _ = listening.wait_for(|listening| !listening).await;
            let _ = live.wait_for(|live| *live == 0).await;
        };
        let ended = tokio::time::timeout(TDS_STOP_TIMEOUT, closed).await;
        ended.map_err(|_| self.failed(wanted))
    }

    fn failed(&self, wanted: &'static str) -> ServerError {
        ServerError::Gate { address: self.state.address, wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Gate};

    #[test]
    fn faults_strike_once_and_at_their_time() {
        let gate = Gate::open(([127, 0, 0, 1], 1).into());
        let faults = gate.state.faults.clone();
        assert!(!faults.commit() && !faults.half_row(0));
        gate.inject(Fault::DropAfterCommit { commits: 2 });
        assert_eq!([faults.commit(), faults.commit(), faults.commit()], [false, true, false]);
        gate.inject(Fault::HalfRow { rows: 1 });
        assert_eq!([0, 1, 1].map(|row| faults.half_row(row)), [false, true, false]);
        gate.inject(Fault::DropAfterCommit { commits: 1 });
        gate.heal();
        assert!(!faults.commit());
    }
}
