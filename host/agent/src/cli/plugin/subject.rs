//! Which plugin is tried, with what: the same words for each command that runs one.

use clap::Args;
use std::path::PathBuf;
use tillhold_kit::{Component, Sandbox, Schema};
use tillhold_plugin::Plugin;

#[derive(Args)]
pub struct Subject {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The tables' types (`tillhold channel schema`)
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The config that the profile would hand to it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub config: String,
}

impl Subject {
    pub fn open(&self, sandbox: &Sandbox) -> anyhow::Result<(Schema, Plugin)> {
        let schema = Schema::open(&self.schema)?;
        Ok((schema, sandbox.load(&Component::read(&self.file)?, &self.config)?))
    }
}
