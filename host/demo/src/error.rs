//! What can stop a demonstration, and what to do about it.

use std::io;
use std::path::PathBuf;
use tillhold_client::ClientError;
use tillhold_core::fault::Class;
use tillhold_core::table::TableName;
use tillhold_embedded::answer::SqlError;
use tillhold_embedded::{EngineError, ServerError};
use tillhold_kit::KitError;
use tillhold_kit::csv::Problem;
use tillhold_toolchain::ToolchainError;

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{file} cannot be used:\n{}", .problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
    Data { file: String, problems: Vec<Problem> },
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{} has {length} bytes, more than {}", path.display(), crate::shop::FILE_BYTES_MAX)]
    FileTooLong { path: PathBuf, length: u64 },
    #[error("{table}.{column} cannot hold what a sale wants to write: {reason}")]
    Unfit { table: TableName, column: String, reason: String },
    #[error("head office could not {doing}: {cause}")]
    Channel { doing: String, cause: SqlError },
    #[error("{} cannot be checked: {cause}", path.display())]
    OfflineFile { path: PathBuf, cause: rusqlite::Error },
    #[error("the register does not have the row of {table} with {filter}")]
    NoRow { table: String, filter: String },
    #[error("the register's {what} is '{value}', which no till can use")]
    OddAnswer { what: String, value: String },
    #[error("the front door refused {path}: {reason}")]
    Refused { path: String, reason: String },
    #[error("the cashier gave up on {path}: {reason}")]
    GaveUp { path: String, reason: String },
    #[error("{} {command} cannot be started: {cause}", program.display())]
    Start { program: PathBuf, command: String, cause: io::Error },
    #[error("the agent's `{command}` ended with {status}; its last lines:\n{log}")]
    Agent { command: String, status: String, log: String },
    #[error("{option} {reason}")]
    Option { option: String, reason: String },
    #[error("the register did not come to this in time: {what}; its status was {seen}")]
    Never { what: &'static str, seen: String },
    #[error("{0} broke off")]
    BrokeOff(&'static str),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Plugin(#[from] ToolchainError),
    #[error(transparent)]
    Schema(#[from] KitError),
    #[error("the front door: {0}")]
    FrontDoor(#[from] ClientError),
}

impl DemoError {
    pub fn class(&self) -> Class {
        match self {
            DemoError::Channel { .. }
            | DemoError::OfflineFile { .. }
            | DemoError::NoRow { .. }
            | DemoError::OddAnswer { .. }
            | DemoError::Refused { .. }
            | DemoError::GaveUp { .. }
            | DemoError::Start { .. }
            | DemoError::Agent { .. }
            | DemoError::Never { .. }
            | DemoError::BrokeOff(_) => Class::Stop,
            DemoError::Option { .. } => Class::Reconfigure,
            DemoError::Engine(error) => error.class(),
            DemoError::Server(error) => error.class(),
            DemoError::Plugin(error) => error.class(),
            DemoError::Schema(error) => error.class(),
            DemoError::Unfit { .. } => Class::Park,
            DemoError::Data { .. } | DemoError::File { .. } | DemoError::FileTooLong { .. } => {
                Class::Reconfigure
            }
            DemoError::FrontDoor(error) => error.class(),
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            DemoError::Data { .. } => "demo-data",
            DemoError::File { .. } => "demo-file",
            DemoError::FileTooLong { .. } => "demo-file-length",
            DemoError::Unfit { .. } => "demo-unfit",
            DemoError::Channel { .. } => "demo-channel",
            DemoError::OfflineFile { .. } => "demo-offline-file",
            DemoError::NoRow { .. } => "demo-no-row",
            DemoError::OddAnswer { .. } => "demo-odd-answer",
            DemoError::Refused { .. } => "demo-refused",
            DemoError::GaveUp { .. } => "demo-gave-up",
            DemoError::Start { .. } => "demo-start",
            DemoError::Agent { .. } => "demo-agent",
            DemoError::Option { .. } => "demo-option",
            DemoError::Never { .. } => "demo-never",
            DemoError::BrokeOff(_) => "demo-broke-off",
            DemoError::Engine(error) => error.code(),
            DemoError::Server(error) => error.code(),
            DemoError::Plugin(error) => error.code(),
            DemoError::Schema(error) => error.code(),
            DemoError::FrontDoor(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            DemoError::Data { .. } => "tests/data/README.md describes the columns of both files",
            DemoError::File { .. } => "check that the file is there and may be read",
            DemoError::FileTooLong { .. } => "give a part of the shop: a few weeks are enough",
            DemoError::Unfit { .. } => "look at this basket in the file that --baskets names",
            DemoError::Channel { .. } => {
                "this is a defect of the embedded channel: please report the statement"
            }
            DemoError::OfflineFile { .. }
            | DemoError::NoRow { .. }
            | DemoError::OddAnswer { .. }
            | DemoError::Refused { .. }
            | DemoError::GaveUp { .. } => "look at the agent's log in the demonstration's folder",
            DemoError::Start { .. } => "the program must be allowed to start itself",
            DemoError::Agent { .. } => {
                "the agent's own error is in these lines; `--folder` keeps all files for a look"
            }
            DemoError::Option { .. } => "`tillhold demo --help` lists the options",
            DemoError::Never { .. } | DemoError::BrokeOff(_) => {
                "the agent's log in the demonstration's folder says more"
            }
            DemoError::Engine(error) => return error.hint(),
            DemoError::Server(error) => return error.hint(),
            DemoError::Plugin(error) => return error.hint(),
            DemoError::Schema(error) => return error.hint(),
            DemoError::FrontDoor(error) => return error.hint(),
        };
        Some(hint.to_string())
    }
}
