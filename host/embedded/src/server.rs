//! The server: one engine behind any number of gates.
//!
//! * Each gate accepts on its own address; all share the bound on connections.
//! * [`Server::stop`] ends it; tasks do not outlive a stopped server.

use crate::admission::Door;
use crate::answer::SqlEngine;
use crate::fault::ServerError;
use crate::gate::{Gate, GateState, Living, Phase, until};
use crate::line::Line;
use crate::session::Connection;
use crate::tls::TlsIdentity;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tillhold_core::limits::{TDS_DOOR_MAX, TDS_LOGIN_TIMEOUT, TDS_SESSIONS_MAX};
use tillhold_env::{BoxStream, Env, Listener, Locked as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

/// Between two attempts to bind a port again, and after an accept that failed for want of resources.
const PAUSE: Duration = Duration::from_millis(20);
/// SQL Server numbers user sessions from here.
const FIRST_SESSION: u16 = 51;

#[derive(Clone)]
pub struct ServerOptions {
    /// Without an identity nothing is encrypted, and clients that insist are refused.
    pub tls: Option<TlsIdentity>,
    /// The server's name in its messages.
    pub name: String,
    pub connections_max: usize,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        let name = "tillhold-channel".to_string();
        ServerOptions { tls: None, name, connections_max: TDS_SESSIONS_MAX + TDS_DOOR_MAX }
    }
}

impl ServerOptions {
    /// With the certificate that is kept in the folder of the database file.
    pub fn beside(database: &Path) -> Result<ServerOptions, ServerError> {
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        let identity = TlsIdentity::kept_in(folder.unwrap_or(Path::new(".")))?;
        Ok(ServerOptions { tls: Some(identity), ..ServerOptions::default() })
    }
}

#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    door: Door,
    places: Arc<Semaphore>,
    sessions: AtomicU16,
    gates: Mutex<Vec<Gate>>,
}

impl Server {
    pub fn start(env: &Env, engine: impl SqlEngine + 'static, options: ServerOptions) -> Server {
        let engine: Arc<dyn SqlEngine> = Arc::new(engine);
        let door = Door {
            env: env.clone(),
            engine,
            tls: options.tls,
            server: options.name.as_str().into(),
        };
        Server {
            shared: Arc::new(Shared {
                door,
                places: Arc::new(Semaphore::new(options.connections_max)),
                sessions: AtomicU16::new(FIRST_SESSION),
                gates: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Opens another address; port 0 takes a free one, which the gate tells.
    pub async fn listen(&self, address: SocketAddr) -> Result<Gate, ServerError> {
        let failed = |cause| ServerError::Listen { address, cause };
        let network = &self.shared.door.env.network;
        let listener = network.listen(address).await.map_err(failed)?;
        let gate = Gate::open(listener.address().map_err(failed)?);
        self.gates().push(gate.clone());
        let keeper = Keeper { shared: self.shared.clone(), gate: gate.state.clone() };
        self.shared.door.env.spawn(keeper.keep(listener));
        Ok(gate)
    }

    /// Accepts no one any more, lets requests in work end, then closes everything.
    pub async fn stop(&self) -> Result<(), ServerError> {
        let gates = std::mem::take(&mut *self.gates());
        for gate in &gates {
            gate.state.phase.send_replace(Phase::Stopping);
        }
        let mut outcome = Ok(());
        for gate in &gates {
            outcome = outcome.and(gate.stop().await);
        }
        outcome
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, Vec<Gate>> {
        self.shared.gates.locked()
    }
}

/// The task that listens for one gate.
struct Keeper {
    shared: Arc<Shared>,
    gate: Arc<GateState>,
}

impl Keeper {
    async fn keep(self, listener: Box<dyn Listener>) {
        let mut phase = self.gate.phase.subscribe();
        let mut listener = Some(listener);
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Open => {
                    if listener.is_none() {
                        listener = self.bind_again(&mut phase).await;
                    }
                    if let Some(listener) = &listener {
                        self.gate.listening.send_replace(true);
                        self.accept(listener.as_ref(), &mut phase).await;
                    }
                    continue;
                }
                Phase::Cut | Phase::Stopping => {
                    listener = None;
                    self.gate.listening.send_replace(false);
                }
            }
            // A stopped gate stays stopped, except that it may be cut when stopping takes too long.
            let changed = phase.changed().await;
            if now == Phase::Stopping || changed.is_err() {
                return;
            }
        }
    }

    /// Until the phase changes.
    async fn accept(&self, listener: &dyn Listener, phase: &mut watch::Receiver<Phase>) {
        loop {
            tokio::select! {
                accepted = self.accept_one(listener) => match accepted {
                    Ok((stream, _peer)) => self.receive(stream),
                    // Out of file handles, most likely: others will end.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                _ = phase.changed() => return,
            }
        }
    }

    /// While the gate is silent the kernel takes connections and no one else does.
    async fn accept_one(&self, listener: &dyn Listener) -> io::Result<(BoxStream, SocketAddr)> {
        let faults = &self.gate.faults;
        loop {
            faults.silence(false).await;
            tokio::select! {
                accepted = listener.accept() => return accepted,
                () = faults.silence(true) => {}
            }
        }
    }

    /// The same port, which may be in use for a moment after a cut. Whoever restores the gate bounds the time, by
    /// cutting it again.
    async fn bind_again(&self, phase: &mut watch::Receiver<Phase>) -> Option<Box<dyn Listener>> {
        let network = &self.shared.door.env.network;
        let attempts = async {
            loop {
                if let Ok(listener) = network.listen(self.gate.address).await {
                    return listener;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            listener = attempts => Some(listener),
            () = until(phase, |phase| *phase != Phase::Open) => None,
        }
    }

    /// A new connection gets its own task, or is closed at once when the house is full.
    fn receive(&self, stream: BoxStream) {
        let Ok(place) = self.shared.places.clone().try_acquire_owned() else {
            return;
        };
        let guest = Guest::new(self.shared.clone(), self.gate.clone(), place);
        self.shared.door.env.spawn(guest.stay(stream));
    }
}

/// One connection from accept to end.
struct Guest {
    shared: Arc<Shared>,
    gate: Arc<GateState>,
    living: Arc<Living>,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    fn new(shared: Arc<Shared>, gate: Arc<GateState>, place: OwnedSemaphorePermit) -> Guest {
        let living = Living::new(gate.clone());
        Guest { shared, gate, living, _place: place }
    }

    async fn stay(self, stream: BoxStream) {
        let mut phase = self.gate.phase.subscribe();
        let faults = &self.gate.faults;
        let past = faults.silences_past();
        let evicted = faults.evictions();
        tokio::select! {
            // First: what was said to a silent gate must not be heard when it is healed.
            biased;
            () = faults.silence_after(past) => {}
            () = until(&mut phase, |phase| *phase == Phase::Cut) => {}
            () = faults.eviction_after(evicted) => {}
            // How a connection ends is told to its client, where it can be; there is no one else to tell.
            _ = self.serve(stream) => {}
        }
    }

    async fn serve(&self, stream: BoxStream) -> Result<(), ServerError> {
        let shared = &self.shared;
        let faults = self.gate.faults.clone();
        let number = shared.sessions.fetch_add(1, Ordering::Relaxed).max(FIRST_SESSION);
        faults.moving().await;
        let line = Box::new(Line::new(stream, faults.clone()));
        let admission = shared.door.admit(line, number, &self.gate.faults);
        tokio::pin!(admission);
        let admitted = match timeout(TDS_LOGIN_TIMEOUT, &mut admission).await {
            Ok(admitted) => admitted?,
            Err(_) => {
                // Who has vanished does not hang up.
                faults.silence(false).await;
                let ms = TDS_LOGIN_TIMEOUT.as_millis();
                return Err(ServerError::LoginTimeout { ms });
            }
        };
        let Some(admitted) = admitted else {
            return Ok(());
        };
        let env = shared.door.env.clone();
        let server = shared.door.server.clone();
        let living = self.living.clone();
        let connection = Connection::new(env, server, number, faults, living, admitted);
        connection.serve(self.gate.phase.subscribe()).await
    }
}
