//! How a failure is told: one message with its stable code, and what to do next.

use super::answering::AnsweringError;
use super::channel::NoAdministrator;
use super::profile::{DiffError, ExchangeError};
use super::reprovision::ReprovisionError;
use super::schema::NoRegister;
use super::setup::SetupError;
use super::verify::VerifyError;
use crate::carry::fault::CarryError;
use crate::fault::FlowError;
use crate::front_door::DoorError;
use crate::settings::password::PasswordError;
use crate::settings::reader::Mistakes;
use crate::snapshot::fault::SnapshotError;
use std::io::Write as _;
use std::process::ExitCode;
use tillhold_channel::ChannelError;
use tillhold_demo::DemoError;
use tillhold_embedded::{EngineError, ServerError};
use tillhold_kit::KitError;
use tillhold_local::LocalError;
use tillhold_plugin::PluginError;
use tillhold_toolchain::ToolchainError;

/// sysexits does not tell faults apart as finely as our codes do: every failure ends with 2.
const FAILED: u8 = 2;

/// Code and hint of an error that a person can meet.
struct Told {
    code: String,
    hint: Option<String>,
}

/// What was done is done, but for its answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be written: {0}")]
pub struct Unwritten(pub std::io::Error);

impl Unwritten {
    fn code(&self) -> &'static str {
        "answer-unwritten"
    }

    fn hint(&self) -> Option<String> {
        Some("free space where stdout goes; what the command was to do is done".to_string())
    }
}

/// Writes the complaint to stderr.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    let told =
        error.chain().find_map(told).unwrap_or(Told { code: "failed".to_string(), hint: None });
    let mut stderr = std::io::stderr();
    // A closed stderr leaves the exit status to tell it.
    let _ = writeln!(stderr, "error[{}]: {}", told.code, words(error));
    if let Some(hint) = told.hint {
        let _ = writeln!(stderr, "  next: {hint}");
    }
    ExitCode::from(FAILED)
}

/// With its causes. Many a message ends with its cause already, for logs: that one is not told twice.
fn words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

fn told(error: &(dyn std::error::Error + 'static)) -> Option<Told> {
    macro_rules! coded {
        ($($kind:ty),*) => {
            $(if let Some(error) = error.downcast_ref::<$kind>() {
                return Some(Told { code: error.code().to_string(), hint: error.hint() });
            })*
        };
    }
    coded!(
        NoAdministrator,
        FlowError,
        ChannelError,
        LocalError,
        PluginError,
        ToolchainError,
        DemoError
    );
    coded!(EngineError, ServerError, DoorError, AnsweringError, Mistakes);
    coded!(SnapshotError, CarryError, PasswordError, KitError, NoRegister);
    coded!(DiffError, ExchangeError, SetupError, ReprovisionError, VerifyError, Unwritten);
    None
}

impl DoorError {
    fn code(&self) -> &'static str {
        match self {
            DoorError::Listen { .. } => "door-listen",
            DoorError::Socket { .. } => "door-socket",
            DoorError::File { .. } => "door-file",
            DoorError::TokenTwice { .. } => "door-token-twice",
            DoorError::TokenExposed { .. } => "door-token-exposed",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            DoorError::Listen { .. } => {
                "choose another [front_door] listen address, or stop what uses it"
            }
            DoorError::Socket { .. } => {
                "choose another [front_door] socket, or move away what is there; its folder must be there and writable"
            }
            DoorError::TokenExposed { .. } => {
                "chmod o-rwx it (in a container give the mounted secret the mode 0440); empty it too if others had the time to read it: a new token is made in it"
            }
            DoorError::TokenTwice { .. } => "empty one of the two files: a new token is made in it",
            DoorError::File { cause, .. } if cause.kind() == std::io::ErrorKind::StorageFull => {
                "free space on the disk"
            }
            DoorError::File { .. } => "give the agent's user the right to write there",
        };
        Some(hint.to_string())
    }
}

impl AnsweringError {
    fn code(&self) -> &str {
        match self {
            AnsweringError::NotRunning(_) => "agent-not-running",
            AnsweringError::Silent(_) => "agent-silent",
            AnsweringError::Refused { code, .. } => code,
            AnsweringError::Unreadable(_) => "agent-answer",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            AnsweringError::NotRunning(_) => {
                Some("start it with `tillhold run --config …`".to_string())
            }
            AnsweringError::Silent(_) => Some(
                "it runs, but is stopped or hangs: look at its process and its log; if it stays silent, end it and start it again"
                    .to_string(),
            ),
            AnsweringError::Refused { hint, .. } => hint.clone(),
            AnsweringError::Unreadable(_) => Some(
                "the agent may be of another version: compare `tillhold --version`".to_string(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::words;
    use anyhow::Context as _;
    use tillhold_plugin::PluginError;

    #[test]
    fn a_cause_is_told_once() {
        let source = std::io::Error::other("Read-only file system (os error 30)");
        let error = PluginError::Cache { path: "c".into(), source };
        let told = words(&anyhow::Error::from(error));
        assert_eq!(told.matches("os error 30").count(), 1, "{told}");
        let outer = Err::<(), _>(std::io::Error::other("inner")).context("outer");
        assert_eq!(words(&outer.expect_err("an error")), "outer: inner");
    }
}
