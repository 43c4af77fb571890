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
    #[error("{place}: {cause}")]
    AtRow { place: String, is_alone: bool, cause: Box<PluginError> },
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
            KitError::AtRow { cause, .. } => cause.class(),
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
            KitError::AtRow { cause, .. } => cause.code(),
            KitError::Plugin(error) => error.code(),
            KitError::Toolchain(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KitError::Plugin(error) => return for_author(error, true),
            KitError::AtRow { is_alone, cause, .. } => return for_author(cause, *is_alone),
            KitError::Toolchain(error) => return error.hint(),
            KitError::File { done: "written", .. } => {
                "its folder must be there, and this account may write in it".to_string()
            }
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

/// What the host says to an operator is "tell the author"; here it is the author who reads. `is_alone`: one row fails.
fn for_author(error: &PluginError, is_alone: bool) -> Option<String> {
    use PluginError as E;
    Some(match error {
        E::Trap { .. } => {
            "mend the rule: a case with this row repeats it (`tillhold plugin test`), and `tillhold plugin fuzz` looks for more"
        }
        E::Refused { .. } => "the rule refuses the whole batch: let it refuse the one row",
        E::BadAnswer { .. } => {
            "mend the rule: the columns' types are in the schema file, and `tillhold plugin fuzz` looks for more such rows"
        }
        E::Deadline { .. } if is_alone => {
            "look for a loop that does not end; --deadline-ms tries a longer time"
        }
        E::Memory { .. } if is_alone => {
            "look for what grows without an end; --memory-max-mb tries more memory"
        }
        E::AnswerTooLarge { .. } if is_alone => {
            "write less into one row; --answer-max-mb tries a longer answer"
        }
        E::Deadline { .. } | E::Memory { .. } | E::AnswerTooLarge { .. } => {
            "no row alone is too much, but they are together: `tillhold plugin bench` says what a row costs; --deadline-ms, \
             --memory-max-mb and --answer-max-mb try other limits"
        }
        E::Describe { .. } => "correct the config: --config, or `config` in case.toml",
        E::Cache { .. } => {
            "let this account write there, or name another folder for caches: XDG_CACHE_HOME"
        }
        other => return other.hint(),
    }
    .to_string())
}

#[cfg(test)]
mod tests {
    use super::KitError;
    use std::sync::Arc;
    use tillhold_plugin::{PluginError, PluginId};

    /// An author was told to tell the author.
    #[test]
    fn hints_are_for_whoever_writes_the_plugin() {
        let (name, digest) = ("p".to_string(), "sha256:".to_string());
        let plugin = Arc::new(PluginId { name, digest });
        let (call, what) = ("transform", "w".to_string());
        let (path, cause) = ("c".into(), std::io::Error::other("denied"));
        for (error, part) in [
            (PluginError::BadAnswer { plugin: plugin.clone(), call, what: what.clone() }, "fuzz"),
            (PluginError::Deadline { plugin: plugin.clone(), call, ticks: 1 }, "a loop"),
            (PluginError::Trap { plugin, call, what, said: None }, "a case with this row"),
            (PluginError::Cache { path, source: cause }, "XDG_CACHE_HOME"),
        ] {
            let hint = KitError::from(error).hint().expect("a hint");
            assert!(hint.contains(part) && !hint.contains("author"), "{hint}");
        }
    }
}
