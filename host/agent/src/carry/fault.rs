//! What can go wrong with unsent sales on their way by hand.

use std::path::PathBuf;
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    #[error("{} cannot be used: {cause}", file.display())]
    File { file: PathBuf, cause: std::io::Error },
    #[error("{} is there already: an export writes over nothing", file.display())]
    Exists { file: PathBuf },
    #[error("{} is in the folder of the offline database, {}: no export is written there", file.display(), folder.display())]
    Inside { file: PathBuf, folder: PathBuf },
    #[error("there is no offline database of this register in {}", folder.display())]
    NoJournal { folder: PathBuf },
    #[error("line {line} is no part of an export of unsent sales: {reason}")]
    Line { line: usize, reason: String },
    #[error("line {line} was changed after it was exported")]
    Changed { line: usize },
    #[error("the file has no end: it was cut off, or its export was")]
    Cut,
    #[error("the file's signature does not hold")]
    Signature,
    #[error("the file is signed by {found}, not by {expected}")]
    OtherKey { found: String, expected: String },
    #[error("the sales are of store {found}; this register is of store {expected}")]
    OtherStore { found: String, expected: String },
}

impl CarryError {
    pub fn class(&self) -> Class {
        match self {
            CarryError::File { .. } | CarryError::NoJournal { .. } => Class::Reconfigure,
            CarryError::Line { .. } | CarryError::Changed { .. } | CarryError::Cut => Class::Park,
            CarryError::Signature | CarryError::OtherKey { .. } => Class::Park,
            CarryError::OtherStore { .. } => Class::Park,
            CarryError::Exists { .. } | CarryError::Inside { .. } => Class::Park,
        }
    }

    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            CarryError::File { .. } => "unsent-file",
            CarryError::Exists { .. } => "unsent-file-exists",
            CarryError::Inside { .. } => "unsent-file-inside",
            CarryError::NoJournal { .. } => "unsent-no-journal",
            CarryError::Line { .. } => "unsent-line",
            CarryError::Changed { .. } => "unsent-changed",
            CarryError::Cut => "unsent-cut",
            CarryError::Signature => "unsent-signature",
            CarryError::OtherKey { .. } => "unsent-other-key",
            CarryError::OtherStore { .. } => "unsent-other-store",
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            CarryError::File { .. } => "give the account the right to it, and room on the disk",
            CarryError::Exists { .. } => {
                "name a new file, or move the one that is there away first"
            }
            CarryError::Inside { .. } => {
                "name a file elsewhere, or none: the export folder gets a new one"
            }
            CarryError::NoJournal { .. } => {
                "name the settings whose folder has the register's journal.db"
            }
            CarryError::Line { .. } | CarryError::Changed { .. } | CarryError::Cut => {
                "copy the file again from where it was exported, or export again: the register keeps its sales"
            }
            CarryError::Signature => "export again: the register keeps its sales",
            CarryError::OtherKey { .. } => {
                "ask who exported it; `tillhold export key` shows a register's key"
            }
            CarryError::OtherStore { .. } => {
                "import them with the settings of a register of that store"
            }
        };
        Some(hint.to_string())
    }
}
