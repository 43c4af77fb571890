//! What can go wrong around the wire. Errors of statements are [`crate::answer::SqlError`]: a client sees those.

use crate::engine::EngineError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Fewer bytes than the structure announces. While a bulk load streams it only means: read on.
    #[error("the message ends before its content does")]
    Truncated,
    #[error("malformed TDS: {what}")]
    Malformed { what: &'static str },
    /// TDS that can be read, with a value that its type does not have.
    #[error("not a valid instance of its data type: {what}")]
    NoValue { what: &'static str },
    /// Correct TDS that this server does not speak.
    #[error("not supported by the embedded channel: {what}")]
    Unsupported { what: String },
    #[error("{what} of {bytes} bytes; at most {most} are taken")]
    TooLong { what: &'static str, bytes: usize, most: usize },
    #[error("the client sent nothing useful for {ms} ms during login")]
    LoginTimeout { ms: u128 },
    #[error("the client closed the connection")]
    Closed,
    #[error("a fault was injected: the connection is dropped")]
    Dropped,
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("the engine panicked while it worked for a client")]
    EngineLost,
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("the gate {address} did not become {wanted} in time")]
    Gate { address: SocketAddr, wanted: &'static str },
    #[error("{}: {cause}", path.display())]
    IdentityFile { path: PathBuf, cause: io::Error },
    #[error("{}: {cause}", path.display())]
    IdentityPem { path: PathBuf, cause: String },
    #[error("no certificate could be made: {cause}")]
    IdentityMade { cause: String },
    #[error("'{line}' is no order: {why}")]
    Order { line: String, why: &'static str },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ServerError {
    pub fn class(&self) -> Class {
        match self {
            ServerError::Truncated
            | ServerError::Malformed { .. }
            | ServerError::NoValue { .. }
            | ServerError::Unsupported { .. }
            | ServerError::TooLong { .. } => Class::Park,
            ServerError::LoginTimeout { .. }
            | ServerError::Closed
            | ServerError::Dropped
            | ServerError::Connection(_)
            | ServerError::Gate { .. } => Class::Retry,
            ServerError::EngineLost => Class::Stop,
            ServerError::Order { .. } => Class::Park,
            ServerError::Engine(error) => error.class(),
            ServerError::Listen { .. }
            | ServerError::IdentityFile { .. }
            | ServerError::IdentityPem { .. }
            | ServerError::IdentityMade { .. } => Class::Reconfigure,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            ServerError::Truncated => "embedded-truncated",
            ServerError::Malformed { .. } => "embedded-malformed",
            ServerError::NoValue { .. } => "embedded-no-value",
            ServerError::Unsupported { .. } => "embedded-unsupported",
            ServerError::TooLong { .. } => "embedded-too-long",
            ServerError::LoginTimeout { .. } => "embedded-login-timeout",
            ServerError::Closed => "embedded-closed",
            ServerError::Dropped => "embedded-dropped",
            ServerError::Connection(_) => "embedded-connection",
            ServerError::EngineLost => "embedded-engine-lost",
            ServerError::Listen { .. } => "embedded-listen",
            ServerError::Gate { .. } => "embedded-gate",
            ServerError::IdentityFile { .. } => "embedded-identity-file",
            ServerError::IdentityPem { .. } => "embedded-identity-pem",
            ServerError::IdentityMade { .. } => "embedded-identity-made",
            ServerError::Order { .. } => "embedded-order",
            ServerError::Engine(error) => error.code(),
        }
    }

    /// What a person can do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            ServerError::Listen { address, .. } => {
                Some(format!("choose another port than {}, or 0 for a free one", address.port()))
            }
            ServerError::IdentityFile { path, .. } => {
                Some(format!("let this account read and write {}", path.display()))
            }
            ServerError::IdentityPem { path, .. } => Some(format!(
                "remove {} and its neighbour; a new pair is made at the next start",
                path.display()
            )),
            ServerError::Order { .. } => Some("say help".to_string()),
            ServerError::Engine(error) => error.hint(),
            ServerError::Gate { .. } => Some("see which program holds the port".to_string()),
            _ => None,
        }
    }
}
