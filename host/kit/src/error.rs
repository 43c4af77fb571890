//! What can stop an author's work, with a stable code and what to do next.

use std::io;
use std::path::PathBuf;
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum KitError {
    #[error("{} cannot be {done}: {cause}", path.display())]
    File { path: PathBuf, done: &'static str, cause: io::Error },
    #[error("{file} is no schema file: {place}: {reason}")]
    Schema { file: String, place: String, reason: String },
    #[error("{table} is not in {file}")]
    TableUnknown { table: String, file: String, nearest: Option<String> },
}

impl KitError {
    pub fn class(&self) -> Class {
        match self {
            KitError::File { .. } | KitError::Schema { .. } | KitError::TableUnknown { .. } => {
                Class::Reconfigure
            }
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            KitError::File { .. } => "kit-file",
            KitError::Schema { .. } => "kit-schema",
            KitError::TableUnknown { .. } => "kit-table",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KitError::File { .. } => "check that it is there and may be used".to_string(),
            KitError::Schema { .. } => {
                "`tillhold channel schema --tables … > schema.json` writes one".to_string()
            }
            KitError::TableUnknown { nearest: Some(nearest), .. } => {
                format!("did you mean {nearest}?")
            }
            KitError::TableUnknown { nearest: None, .. } => {
                "write the schema file anew with this table: `tillhold channel schema --tables …`"
                    .to_string()
            }
        })
    }
}
