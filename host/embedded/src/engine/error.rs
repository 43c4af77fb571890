//! What goes wrong when the engine is opened or filled: not what a statement answers, which is a `SqlError`.

use crate::answer::SqlError;
use std::path::PathBuf;
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the embedded channel's file: {0}")]
    File(#[from] rusqlite::Error),
    #[error("the embedded channel's file holds {what}, which this program never writes")]
    Corrupt { what: String },
    #[error("{} still has its log beside it: somebody reads it", .file.display())]
    Unfolded { file: PathBuf },
    #[error("{0}")]
    Sql(#[from] SqlError),
    #[error("row {row} for {table} has {given} values instead of {wanted}")]
    RowWidth { table: String, row: u64, given: usize, wanted: usize },
    #[error("row {row} for {table}, column {column}: {reason}")]
    Misfit { table: String, column: String, row: u64, reason: String },
}

impl EngineError {
    pub fn class(&self) -> Class {
        match self {
            EngineError::File(_) | EngineError::Unfolded { .. } => Class::Retry,
            EngineError::Corrupt { .. } => Class::Stop,
            EngineError::Sql(_) | EngineError::RowWidth { .. } | EngineError::Misfit { .. } => {
                Class::Park
            }
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            EngineError::File(_) => "embedded-file",
            EngineError::Corrupt { .. } => "embedded-corrupt",
            EngineError::Unfolded { .. } => "embedded-unfolded",
            EngineError::Sql(_) => "embedded-sql",
            EngineError::RowWidth { .. } => "embedded-row-width",
            EngineError::Misfit { .. } => "embedded-misfit",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            EngineError::File(_) => "check that the folder exists and can be written, and that no other program holds the file",
            EngineError::Corrupt { .. } => "put its backup in its place, or delete the file and make the channel anew",
            EngineError::Unfolded { .. } => "copy it together with its -wal, or stop who reads it and serve and stop it once more",
            EngineError::Sql(_) => return None,
            EngineError::RowWidth { .. } => "give each row one value for each named column",
            EngineError::Misfit { .. } => "correct the value in the data that is loaded",
        }.to_string())
    }

    /// For a client, which knows only SQL Server's numbers.
    pub fn into_sql(self) -> SqlError {
        match self {
            EngineError::Sql(error) => error,
            other => super::refusal::below(&other.to_string()),
        }
    }
}
