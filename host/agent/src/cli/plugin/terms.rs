//! What a profile says of the plugin that is tried: the same words for each command that runs one.
//!
//! * What is said here goes over what the profile says, and that over the limits of every plugin.
//! * Digest and signature are asked by `check` alone: it says what a register would say of this file. The others try what
//!   was built a moment ago, which nobody has pinned or signed yet.

use crate::settings::field::{Field, Number};
use crate::settings::plugin_fields as fields;
use crate::settings::profile_file::{ProfileChoice, ProfileFile};
use crate::settings::reader::Mistakes;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;
use std::time::Duration;
use tillhold_core::profile::PluginBounds;

#[derive(Args)]
pub struct Terms {
    /// Under what this profile says of the plugin of that name: grants and limits; to `check` also digest and keys
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[arg(long, value_name = "MB", value_parser = within(&fields::MEMORY))]
    #[arg(help = told("Megabytes of memory for one batch", &fields::MEMORY))]
    memory_max_mb: Option<u64>,
    #[arg(long, value_name = "MS", value_parser = within(&fields::DEADLINE))]
    #[arg(help = told("Milliseconds for one batch", &fields::DEADLINE))]
    deadline_ms: Option<u64>,
    #[arg(long, value_name = "MB", value_parser = within(&fields::ANSWER))]
    #[arg(help = told("Megabytes of an answer to one batch", &fields::ANSWER))]
    answer_max_mb: Option<u64>,
    #[arg(long, value_name = "LINES", value_parser = within(&fields::LOG_LINES))]
    #[arg(help = told("Log lines of one batch", &fields::LOG_LINES))]
    log_lines_max: Option<u64>,
}

impl Terms {
    /// For a file as it lies there: pinned and signed, where the profile asks for it.
    pub fn of_a_file(&self, plugin: &str) -> Result<tillhold_kit::Terms, Mistakes> {
        let Some(file) = &self.profile else {
            let bounds = self.over(PluginBounds::default());
            return Ok(tillhold_kit::Terms { bounds, ..tillhold_kit::Terms::default() });
        };
        let used = ProfileFile::open(&ProfileChoice::File(file.clone()))?.plugin(plugin)?;
        Ok(tillhold_kit::Terms {
            digest: used.pinned().cloned(),
            keys: used.keys,
            grants: used.terms.grants,
            bounds: self.over(used.terms.bounds),
        })
    }

    /// For a component that is under work.
    pub fn of_a_draft(&self, plugin: &str) -> Result<tillhold_kit::Terms, Mistakes> {
        let terms = self.of_a_file(plugin)?;
        Ok(tillhold_kit::Terms { digest: None, keys: Vec::new(), ..terms })
    }

    fn over(&self, said: PluginBounds) -> PluginBounds {
        let bytes = |mb: Option<u64>| mb.map(|mb| (mb as usize) << 20);
        PluginBounds {
            memory_bytes: bytes(self.memory_max_mb).or(said.memory_bytes),
            deadline: self.deadline_ms.map(Duration::from_millis).or(said.deadline),
            answer_bytes: bytes(self.answer_max_mb).or(said.answer_bytes),
            log_lines: self.log_lines_max.map(|lines| lines as u32).or(said.log_lines),
        }
    }
}

/// As the profile takes it.
fn within(field: &Field<Number>) -> RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(field.kind.least as u64..=field.kind.most as u64)
}

fn told(what: &str, field: &Field<Number>) -> String {
    format!("{what}; {} where neither this nor the profile says it", field.default())
}
