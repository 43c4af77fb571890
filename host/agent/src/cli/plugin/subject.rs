//! Which plugin is tried, with what: the same words for each command that runs one.

use super::terms::Terms;
use clap::Args;
use std::path::PathBuf;
use tillhold_env::{Env, errln};
use tillhold_kit::{Component, KitError, Sandbox, Schema};
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
    #[command(flatten)]
    terms: Terms,
}

impl Subject {
    pub fn open(&self, env: &Env) -> anyhow::Result<(Sandbox, Schema, Plugin)> {
        let schema = Schema::open(&self.schema)?;
        let component = Component::read(&self.file)?;
        let sandbox = Sandbox::open(env)?.under(self.terms.of_a_draft(&component.name)?);
        say_what_is_awaited(&sandbox, &component);
        let plugin = sandbox.load(&component, &self.config).map_err(KitError::from)?;
        Ok((sandbox, schema, plugin))
    }
}

/// The interpreter of a scripted language is compiled with the plugin: a still screen would look like a hang.
pub fn say_what_is_awaited(sandbox: &Sandbox, component: &Component) {
    let mb = component.wasm.len() / 1_000_000;
    if mb > 0 && sandbox.must_compile(component) {
        errln!(
            "compiling {} ({mb} MB) for this machine, up to half a minute; it is kept",
            component.name
        );
    }
}
