//! What can stop an author's work, with a stable code and what to do next.

use crate::csv::Problem;
use std::io;
use std::path::PathBuf;
use tillhold_core::fault::Class;
use tillhold_plugin::PluginError;
use tillhold_toolchain::ToolchainError;

#[derive(Debug, thiserror::Error)]
pub enum KitError {
    #[error("{} cannot be {done}: {cause}", path.display())]
    File { path: PathBuf, done: &'static str, cause: io::Error },
    #[error("{file} is no schema file: {place}: {reason}")]
    Schema { file: String, place: String, reason: String },
    #[error("{table} is not in {file}")]
    TableUnknown { table: String, file: String, nearest: Option<String> },
    #[error("{file} does not hold such rows:\n{}", .problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
    Rows { file: String, problems: Vec<Problem> },
    #[error("case {}: {reason}", folder.display())]
    Case { folder: PathBuf, reason: String },
    #[error("{} holds no case: a case is a folder with a case.toml", folder.display())]
    NoCases { folder: PathBuf },
    #[error("{} has neither a project's manifest nor one component alone, but {found}", folder.display())]
    WhichPlugin { folder: PathBuf, found: usize },
    #[error("'{name}' cannot be a plugin's name")]
    ProjectName { name: String },
    #[error("{} is there already", folder.display())]
    ProjectThere { folder: PathBuf },
    #[error("only a project in Rust can name a kit that lies elsewhere")]
    SdkElsewhere,
    #[error("an answer depends on more than its row and its context: {by}")]
    Unsteady { by: &'static str },
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
}

impl KitError {
    pub fn class(&self) -> Class {
        match self {
            KitError::File { .. }
            | KitError::Schema { .. }
            | KitError::TableUnknown { .. }
            | KitError::Rows { .. }
            | KitError::Case { .. }
            | KitError::NoCases { .. }
            | KitError::WhichPlugin { .. }
            | KitError::ProjectName { .. }
            | KitError::ProjectThere { .. }
            | KitError::SdkElsewhere => Class::Reconfigure,
            KitError::Unsteady { .. } => Class::Park,
            KitError::Plugin(error) => error.class(),
            KitError::Toolchain(error) => error.class(),
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            KitError::File { .. } => "kit-file",
            KitError::Schema { .. } => "kit-schema",
            KitError::TableUnknown { .. } => "kit-table",
            KitError::Rows { .. } => "kit-rows",
            KitError::Case { .. } => "kit-case",
            KitError::NoCases { .. } => "kit-no-cases",
            KitError::WhichPlugin { .. } => "kit-which-plugin",
            KitError::ProjectName { .. } => "kit-project-name",
            KitError::ProjectThere { .. } => "kit-project-there",
            KitError::SdkElsewhere => "kit-sdk-elsewhere",
            KitError::Unsteady { .. } => "kit-unsteady",
            KitError::Plugin(error) => error.code(),
            KitError::Toolchain(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KitError::Plugin(error) => return error.hint(),
            KitError::Toolchain(error) => return error.hint(),
            KitError::File { .. } => "check that it is there and may be used".to_string(),
            KitError::Rows { .. } => {
                "mend the lines above; docs/writing-plugins.md says how rows are written".to_string()
            }
            KitError::Case { .. } | KitError::NoCases { .. } => {
                "docs/writing-plugins.md says how a case is written".to_string()
            }
            KitError::WhichPlugin { .. } => "name the component: --plugin FILE.wasm".to_string(),
            KitError::ProjectName { .. } => {
                "lower-case letters, digits and hyphens, a letter first: price-rules".to_string()
            }
            KitError::ProjectThere { .. } => "choose another name, or remove it".to_string(),
            KitError::SdkElsewhere => {
                "leave --sdk out: the kit is written into the project".to_string()
            }
            KitError::Unsteady { .. } => {
                "an answer may depend on the rows and the context alone: no addresses, no order of a hash table".to_string()
            }
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
