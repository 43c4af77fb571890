//! The front door from outside: what a point of sale, `tillhold status` and the demonstration's cashier all do.
//!
//! ```text
//! Client::request -> one kept-alive HTTP/1.1 connection over env.network -> Answer { status, body }
//! Client::events  -> a connection of its own -> one Event a state change
//! ```
//!
//! * One request at a time a client; the connection leaves its slot for the call and returns only after a whole
//!   answer, so that a late answer can never be taken for the next request's.
//! * Every call is bounded by the caller's limit. After a timeout the outcome is unknown: ask again with the same
//!   transaction id.
//! * A request that fails on a connection kept from an earlier call is sent once more on a fresh one only when it
//!   reads; whether a write is repeated is the caller's decision, because only the caller knows its transaction id.
//! * [`web`] reads files from any web server.
//! * Answers are bounded ([`ANSWER_BYTES_MAX`]); status codes are not errors here, the caller reads them.

mod connection;
mod error;
mod events;
mod query;
pub mod web;

pub use error::ClientError;
pub use events::{Event, Events};
pub use query::query;

use connection::Connection;
use hyper::{Method, StatusCode};
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_env::Env;
use tokio::sync::Mutex;

/// The largest answer is a page of a thousand wide rows, about two kilobytes each.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// One Server-Sent Event: a state and a few numbers.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

/// Where a front door listens and what opens it.
#[derive(Clone)]
pub struct Door {
    pub host: String,
    pub port: u16,
    /// The bearer token; never shown by `Debug`.
    pub token: String,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({}:{})", self.host, self.port)
    }
}

impl Door {
    /// Reads `127.0.0.1:4711`, as the agent writes it into `front-door.address`; `None` without a port.
    pub fn parse(address: &str, token: &str) -> Option<Door> {
        let (host, port) = address.trim().rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok()?;
        (!host.is_empty()).then(|| Door {
            host: host.to_string(),
            port,
            token: token.trim().to_string(),
        })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// What the front door said. The body is `Json::Null` when the answer has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Json,
    /// Of a 503: how long to wait before asking again.
    pub retry_after: Option<Duration>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// A short text of a refusal, from problem+json's members, for messages.
    pub fn reason(&self) -> String {
        let member = |name: &str| self.body.get(name).and_then(Json::as_str);
        let text = member("detail").or(member("title")).unwrap_or("no reason given");
        format!("{} {text}", self.status)
    }
}

/// One caller's way to one front door.
pub struct Client {
    env: Env,
    door: Door,
    kept: Mutex<Option<Connection>>,
}

impl Client {
    pub fn new(env: Env, door: Door) -> Client {
        Client { env, door, kept: Mutex::new(None) }
    }

    pub fn door(&self) -> &Door {
        &self.door
    }

    /// `path` with its query, already encoded (see [`query`]).
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Answer, ClientError> {
        self.request(Method::GET, path, None, limit).await
    }

    pub async fn put(
        &self,
        path: &str,
        body: &Json,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        self.request(Method::PUT, path, Some(body), limit).await
    }

    pub async fn post(
        &self,
        path: &str,
        body: &Json,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        self.request(Method::POST, path, Some(body), limit).await
    }

    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        match tokio::time::timeout(limit, self.unbounded(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout { after: limit }),
        }
    }

    /// The state changes from now on, over a connection of their own.
    pub async fn events(&self, path: &str, limit: Duration) -> Result<Events, ClientError> {
        let open = async {
            let mut connection = Connection::open(&self.env, &self.door).await?;
            connection.stream(&self.door, path).await
        };
        match tokio::time::timeout(limit, open).await {
            Ok(events) => events,
            Err(_) => Err(ClientError::Timeout { after: limit }),
        }
    }

    async fn unbounded(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Answer, ClientError> {
        let mut slot = self.kept.lock().await;
        if let Some(mut connection) = slot.take().filter(Connection::is_open) {
            match connection.call(&self.door, &method, path, body).await {
                Ok(answer) => {
                    *slot = Some(connection);
                    return Ok(answer);
                }
                Err(error) if method != Method::GET => return Err(error),
                // A kept connection may have died while it was idle; reading twice changes nothing.
                Err(_) => {}
            }
        }
        let mut connection = Connection::open(&self.env, &self.door).await?;
        let answer = connection.call(&self.door, &method, path, body).await?;
        *slot = Some(connection);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
