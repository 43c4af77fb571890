//! The front door: HTTP/1.1 and JSON on loopback, and at a Unix socket, for points of sale and for the operator's commands.
//!
//! ```text
//! connection (a seat, a head in its time) ─► admit (Host, Origin, role of the token)
//!      ─► permit (rate, least role, a place, time) ─► an answer, which a change does not depend on
//! ```
//!
//! * Which routes there are, for whom and for how long, stands in one table: [`routes::all`].
//! * Loopback is no boundary: but for signs of life every request needs a bearer token, a Host of this machine and no
//!   foreign Origin.
//! * Errors are problem details (RFC 9457) with a stable `code` and a `hint`.
//! * Everything is bounded: connections, bodies, rows, requests in work (503) and in a second (429), a request's time (503), each with
//!   Retry-After.

mod audit;
pub mod conflicts;
mod connections;
mod decisions;
mod discard;
mod drain_body;
mod events;
mod extract;
mod guard;
mod health;
mod id_prefix;
mod images;
mod listing;
mod manual_hold;
mod metrics;
mod openapi;
mod permits;
mod plugins;
mod problem;
mod quarantine;
mod rate;
mod role;
mod routes;
mod rows;
mod selection;
mod size;
mod snapshots;
mod socket;
mod status;
mod transactions;
mod unsent;
mod verify;

use crate::agent::Agent;
use axum::Router;
use connections::Connections;
use metrics::Meters;
use permits::Places;
use rate::Rates;
use role::Tokens;
use socket::Socket;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::limits;
use tillhold_env::{BoxStream, Clock, Listener};
// Cells as JSON, as everywhere.
use tillhold_kit::cells as json;

/// Shared by all requests.
#[derive(Clone)]
pub struct Door {
    pub agent: Arc<Agent>,
    way: Way,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    places: Places,
    /// For listeners to events.
    seats: Arc<tokio::sync::Semaphore>,
    rates: Arc<Rates>,
    /// Held over a hold or a release: what is written of it and what the state makes of it are of the same hand.
    hand: Arc<tokio::sync::Mutex<()>>,
    /// By the way that they come.
    connections: [Arc<Connections>; 2],
    meters: Meters,
}

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcp,
    Socket,
}

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("the front door cannot listen on {at}: {cause}")]
    Listen { at: SocketAddr, cause: std::io::Error },
    #[error("the front door cannot listen at the socket {at}: {cause}")]
    Socket { at: String, cause: std::io::Error },
    #[error("{file} cannot be written: {cause}")]
    File { file: String, cause: std::io::Error },
    #[error("{one} and {other} hold the same token: a role could not be told by it")]
    TokenTwice { one: String, other: String },
    #[error("everyone on this machine may read the token in {file}")]
    TokenExposed { file: String },
}

impl DoorError {
    fn is_full_disk(&self) -> bool {
        matches!(self, DoorError::File { cause, .. } if cause.kind() == ErrorKind::StorageFull)
    }
}

/// A door that listens but does not answer yet.
pub struct OpenDoor {
    listener: Box<dyn Listener>,
    socket: Option<Socket>,
    pub address: SocketAddr,
    door: Door,
}

/// Binds the addresses of the settings and writes the one of TCP, as bound, into the register's folder.
pub async fn open(agent: &Arc<Agent>) -> Result<OpenDoor, DoorError> {
    let register = agent.register();
    let file = &register.file;
    let tokens = Tokens::read(&register.env, &file.front_door)?;
    let at = file.front_door.listen;
    let refused = |cause| DoorError::Listen { at, cause };
    let listener = register.env.network.listen(at).await.map_err(refused)?;
    let address = listener.address().map_err(refused)?;
    let socket = match &file.front_door.socket {
        Some(place) => Some(Socket::bind(place).await?),
        None => None,
    };
    tell_address(agent, address)?;
    Ok(OpenDoor { listener, socket, address, door: Door::of(agent, tokens) })
}

impl OpenDoor {
    /// Serves until the agent stops, and then finishes the requests that it has begun, as long as a sale may take.
    pub async fn serve(self) {
        let OpenDoor { listener, socket, door, .. } = self;
        let agent = door.agent.clone();
        let served = async {
            tokio::join!(serve_at(Bound(listener), &door, Way::Tcp), serve_socket(socket, &door));
            door.places.all_free().await;
        };
        let stopped_for_long = async {
            agent.stopped().await;
            tokio::time::sleep(door.sale_time()).await;
        };
        tokio::select! {
            () = served => {}
            // Who sends half a request does not keep the agent from stopping.
            () = stopped_for_long => {}
        }
    }
}

async fn serve_at(listener: impl axum::serve::Listener, door: &Door, way: Way) {
    let router = routes::guarded(Door { way, ..door.clone() });
    door.connections(way).serve(listener, router, &door.agent).await;
}

#[cfg(unix)]
async fn serve_socket(socket: Option<Socket>, door: &Door) {
    let Some(socket) = socket else { return };
    let (listener, _file) = socket.parts();
    serve_at(listener, door, Way::Socket).await;
}

#[cfg(not(unix))]
async fn serve_socket(_none: Option<Socket>, _door: &Door) {}

/// What the door answers, without its guard: for the operator's own process, when no agent runs.
pub fn unguarded(agent: &Arc<Agent>) -> Router {
    routes::unguarded(Door::of(agent, Tokens::none()))
}

impl Door {
    fn of(agent: &Arc<Agent>, tokens: Tokens) -> Door {
        Door {
            agent: agent.clone(),
            way: Way::Tcp,
            tokens: Arc::new(tokens),
            clock: agent.register().env.clock.clone(),
            places: Places::default(),
            seats: Arc::new(tokio::sync::Semaphore::new(limits::EVENT_LISTENERS_MAX)),
            rates: Arc::default(),
            hand: Arc::default(),
            connections: Default::default(),
            meters: Meters::default(),
        }
    }

    fn connections(&self, way: Way) -> &Arc<Connections> {
        &self.connections[way as usize]
    }

    /// The longest that a sale takes: its wait for the channel, and its way to the disk.
    fn sale_time(&self) -> Duration {
        self.agent.register().profile.offline_timeout + limits::SALE_WRITE_TIME_MAX
    }
}

/// On a full disk the space that is kept for sales is given up for it, and a door whose address cannot be written all the same
/// is open: selling is the last thing that stops.
fn tell_address(agent: &Arc<Agent>, address: SocketAddr) -> Result<(), DoorError> {
    let register = agent.register();
    let (file, text) = (register.file.address_file(), format!("{address}\n"));
    let mut written = write(&file, &text);
    if written.as_ref().is_err_and(DoorError::is_full_disk) {
        register.local.give_up_reserve();
        written = write(&file, &text);
    }
    match written {
        Err(error) if error.is_full_disk() => {
            agent.say(&format!("{error}; it is written when there is room, and sales are taken"));
            let agent = agent.clone();
            register.env.clone().spawn(async move {
                while write(&file, &text).is_err() {
                    tokio::select! {
                        () = tokio::time::sleep(limits::ADDRESS_INTERVAL) => {}
                        () = agent.stopped() => return,
                    }
                }
            });
            Ok(())
        }
        written => written,
    }
}

fn write(file: &Path, text: &str) -> Result<(), DoorError> {
    let wrong = |cause| DoorError::File { file: file.display().to_string(), cause };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    std::fs::write(file, text).map_err(wrong)
}

/// The environment's listener in axum's terms.
struct Bound(Box<dyn Listener>);

impl axum::serve::Listener for Bound {
    type Io = BoxStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoxStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // Out of file descriptors or a connection that went away: neither ends the door.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.address()
    }
}
