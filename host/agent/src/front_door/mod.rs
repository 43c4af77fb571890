//! The front door: HTTP/1.1 and JSON on loopback, for points of sale and for the operator's commands.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /v1/transactions/{uuid}` | 201 with where it was committed; 200 when it was there already; 409 other content; 422 bad rows |
//! | `GET /v1/transactions/{uuid}` | what the register knows of it |
//! | `GET /v1/tables/{schema.TABLE}/rows?COLUMN=value` | a page of rows, its source and version |
//! | `GET /v1/status` | state, scopes, what is pending |
//! | `GET /v1/selection` | which products and customers are offline; `?would_change=true` |
//! | `GET /v1/events` | Server-Sent Events, one a state change |
//! | `GET /v1/quarantine`, `/v1/quarantine/{id}`, `POST …/retry` | what was refused and set aside |
//! | `GET /v1/conflicts`, `/v1/conflicts/{id}`, `POST /v1/conflicts/{id}/resolve` | what waits for a person, and the decision |
//! | `GET /v1/decisions` | what was decided, newest first |
//! | `GET /v1/size` | how large the offline database is, table by table, and when it will be full |
//! | `POST /v1/size/compact` | rewrites the files without their free pages |
//! | `POST /v1/sync?scope=…` | push and pull now; `selection=true` chooses anew |
//! | `POST /v1/incarnation/renew` | a new life of a database that was restored or copied |
//! | `POST /v1/hold`, `/v1/release`, `/v1/reconnect` | by hand |
//!
//! * Loopback is no boundary: every request needs the bearer token, a Host of this machine and no foreign Origin.
//! * Errors are problem details (RFC 9457) with a stable `code` and a `hint`.
//! * Everything is bounded: bodies, rows, requests in work (503 with Retry-After past that).

mod conflicts;
mod decisions;
mod events;
mod guard;
mod images;
pub mod json;
mod named;
mod problem;
mod quarantine;
mod rows;
mod selection;
mod size;
mod snapshots;
mod status;
mod transactions;
mod unsent;

use crate::agent::Agent;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_env::{BoxStream, Listener};

/// Shared by all requests.
#[derive(Clone)]
pub struct Door {
    pub agent: Arc<Agent>,
    token: Arc<str>,
    places: Arc<tokio::sync::Semaphore>,
}

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("the front door cannot listen on {at}: {cause}")]
    Listen { at: SocketAddr, cause: std::io::Error },
    #[error("{file} cannot be written: {cause}")]
    File { file: String, cause: std::io::Error },
    #[error("the front door stopped: {0}")]
    Serve(std::io::Error),
}

/// A door that listens but does not answer yet.
pub struct OpenDoor {
    listener: Box<dyn Listener>,
    pub address: SocketAddr,
    router: Router,
}

/// Binds the address of the settings and writes it, as bound, into the register's folder.
pub async fn open(agent: &Arc<Agent>) -> Result<OpenDoor, DoorError> {
    let register = agent.register();
    let file = &register.file;
    let token = guard::token(&register.env, &file.front_door.token_file)?;
    let at = file.front_door.listen;
    let refused = |cause| DoorError::Listen { at, cause };
    let listener = register.env.network.listen(at).await.map_err(refused)?;
    let address = listener.address().map_err(refused)?;
    write(&file.address_file(), &format!("{address}\n"))?;
    let door = Door { agent: agent.clone(), token: token.into(), places: places() };
    Ok(OpenDoor { listener, address, router: router(door) })
}

impl OpenDoor {
    /// Serves until the agent stops, and then finishes the requests that it has begun.
    pub async fn serve(self, agent: Arc<Agent>) -> Result<(), DoorError> {
        let stopped = async move { agent.stopped().await };
        axum::serve(Bound(self.listener), self.router)
            .with_graceful_shutdown(stopped)
            .await
            .map_err(DoorError::Serve)
    }
}

/// What the door answers, without its guard: for the operator's own process, when no agent runs.
pub fn unguarded(agent: &Arc<Agent>) -> Router {
    routes().with_state(Door { agent: agent.clone(), token: "".into(), places: places() })
}

fn router(door: Door) -> Router {
    routes()
        .layer(axum::middleware::from_fn_with_state(door.clone(), guard::admit))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(door)
}

fn places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(limits::REQUESTS_MAX))
}

fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/transactions/{id}", put(transactions::put).get(transactions::get))
        .route("/v1/tables/{table}/rows", get(rows::get))
        .route("/v1/status", get(status::get))
        .route("/v1/selection", get(selection::get))
        .route("/v1/events", get(events::get))
        .route("/v1/quarantine", get(quarantine::list))
        .route("/v1/quarantine/retry", post(quarantine::retry_several))
        .route("/v1/quarantine/{id}", get(quarantine::show))
        .route("/v1/quarantine/{id}/retry", post(quarantine::retry))
        .route("/v1/conflicts", get(conflicts::list))
        .route("/v1/conflicts/{id}", get(conflicts::show))
        .route("/v1/conflicts/{id}/resolve", post(conflicts::resolve))
        .route("/v1/decisions", get(decisions::list))
        .route("/v1/sync", post(status::sync))
        .route("/v1/unsent-export", post(unsent::export))
        .route("/v1/unsent-import", post(unsent::bring_in))
        .route("/v1/images", get(images::status))
        .route("/v1/images/{*name}", get(images::get))
        .route("/v1/images-prefetch", post(images::prefetch))
        .route("/v1/images-prune", post(images::prune))
        .route("/v1/snapshots", post(snapshots::export))
        .route("/v1/new-database", post(snapshots::look))
        .route("/v1/size", get(size::get))
        .route("/v1/size/compact", post(size::compact))
        .route("/v1/incarnation/renew", post(status::renew))
        .route("/v1/hold", post(status::hold))
        .route("/v1/release", post(status::release))
        .route("/v1/reconnect", post(status::reconnect))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
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
