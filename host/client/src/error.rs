//! What can go wrong between a caller and the front door.

use std::io;
use std::time::Duration;
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no agent answers at {address}: {cause}")]
    Unreachable { address: String, cause: io::Error },
    #[error("the front door gave no whole answer within {} ms", after.as_millis())]
    Timeout { after: Duration },
    #[error("the connection to the front door broke: {cause}")]
    Broken { cause: hyper::Error },
    #[error("the connection to the front door broke in the middle of an answer: {cause}")]
    Cut { cause: Box<dyn std::error::Error + Send + Sync> },
    #[error("the path {path} cannot be asked for: {cause}")]
    Path { path: String, cause: hyper::http::Error },
    #[error("the front door answered {status} with something that is not JSON: {cause}")]
    NotJson { status: u16, cause: serde_json::Error },
    #[error("the front door refused the event stream with {status}")]
    Refused { status: u16 },
    #[error("an event is longer than {limit} bytes")]
    EventTooLong { limit: usize },
}

impl ClientError {
    pub fn class(&self) -> Class {
        match self {
            ClientError::Unreachable { .. }
            | ClientError::Timeout { .. }
            | ClientError::Broken { .. }
            | ClientError::Cut { .. } => Class::Retry,
            ClientError::Refused { .. } => Class::Reconfigure,
            ClientError::Path { .. } => Class::Park,
            ClientError::NotJson { .. } | ClientError::EventTooLong { .. } => Class::Stop,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Unreachable { .. } => "front-door-unreachable",
            ClientError::Timeout { .. } => "front-door-timeout",
            ClientError::Broken { .. } => "front-door-broken",
            ClientError::Cut { .. } => "front-door-cut",
            ClientError::Path { .. } => "front-door-path",
            ClientError::NotJson { .. } => "front-door-not-json",
            ClientError::Refused { .. } => "front-door-refused",
            ClientError::EventTooLong { .. } => "front-door-event-length",
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ClientError::Unreachable { .. } => {
                "start the agent (`tillhold run --config register.toml`), or name the register file it runs with"
            }
            ClientError::Timeout { .. } | ClientError::Broken { .. } | ClientError::Cut { .. } => {
                "ask again with the same transaction id: it is answered once, whatever happened to the first try"
            }
            ClientError::Refused { .. } => "check the token file that the register file names",
            ClientError::Path { .. } => "encode the query's values",
            ClientError::NotJson { .. } | ClientError::EventTooLong { .. } => {
                "something else listens there: compare the address with front-door.address"
            }
        };
        Some(hint.to_string())
    }
}
