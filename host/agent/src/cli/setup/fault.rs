//! What can stop `tillhold setup`; nothing is written then.

use crate::settings::password::PasswordError;
use crate::snapshot::fault::SnapshotError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{} is of register {register} of store {store}", .file.display())]
    OtherRegister { file: PathBuf, store: String, register: String },
    #[error("{} cannot be written into: {reason}", .file.display())]
    Unreadable { file: PathBuf, reason: String },
    #[error("the answers ended before all was asked; nothing was written")]
    Ended,
    #[error("the terminal: {0}")]
    Terminal(std::io::Error),
    #[error("{0}")]
    File(SnapshotError),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl SetupError {
    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            SetupError::OtherRegister { .. } => "setup-other-register",
            SetupError::Unreadable { .. } => "setup-unreadable",
            SetupError::Ended => "setup-ended",
            SetupError::Terminal(_) => "setup-terminal",
            SetupError::File(_) => "setup-file",
            SetupError::Password(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            SetupError::OtherRegister { .. } => {
                "name another file with --config; or --replace, which keeps the old one beside it as register.toml.replaced"
                    .to_string()
            }
            SetupError::Unreadable { .. } => {
                "mend it by hand, or --replace it: the old one is kept beside it as register.toml.replaced".to_string()
            }
            SetupError::Ended => "every answer can also be given as a flag: `tillhold setup --help`".to_string(),
            SetupError::Terminal(_) => "give every answer as a flag: `tillhold setup --help`".to_string(),
            SetupError::File(_) => "give this account the right to write there, or name another file with --config".to_string(),
            SetupError::Password(error) => return error.hint(),
        })
    }
}
