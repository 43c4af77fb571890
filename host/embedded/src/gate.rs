//! A gate: one listening address of a server, which tests and the demo can cut, restore and make faulty.
//!
//! * Cut: live connections are dropped, the listening socket is closed, so clients are refused.
//! * Restored: the same port is bound again; if that fails for too long it is an error, never a half-open gate.
//! * Faults are in `trouble`.

use crate::fault::ServerError;
use crate::trouble::{Fault, Faults};
use std::net::SocketAddr;
use std::sync::Arc;
use tillhold_core::limits::{TDS_REBIND_TIMEOUT, TDS_STOP_TIMEOUT};
use tokio::sync::watch;

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

    /// Connections that are live now; one whose session is still rolling back is.
    pub fn connections(&self) -> usize {
        *self.state.live.borrow()
    }

    /// Drops every connection and refuses new ones; returns when both are so and all sessions have ended.
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

    /// As a server that is started anew: every connection is dropped, every session with its transaction and
    /// temporary tables is gone, and it listens again. Faults that are ordered stay ordered.
    pub async fn restart(&self) -> Result<(), ServerError> {
        self.cut().await?;
        self.restore().await
    }

    pub fn inject(&self, fault: Fault) {
        self.state.faults.inject(fault);
    }

    /// Takes back every fault that has not struck; what has stalled goes on.
    pub fn heal(&self) {
        self.state.faults.heal();
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

/// Counts a connection as long as it or its session lives.
pub(crate) struct Living(Arc<GateState>);

impl Living {
    pub(crate) fn new(gate: Arc<GateState>) -> Arc<Living> {
        gate.live.send_modify(|live| *live += 1);
        Arc::new(Living(gate))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.live.send_modify(|live| *live -= 1);
    }
}
