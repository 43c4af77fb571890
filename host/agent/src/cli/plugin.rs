//! `tillhold plugin …`: for authors of rules, with no database and no agent running.

use super::Done;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tillhold_toolchain::{GuestSource, Progress, cache_folder, find};

#[derive(Subcommand)]
pub enum PluginCommand {
    /// Build a Rust plugin into a component, with a compiler that is found or fetched
    Build(BuildArgs),
}

#[derive(Args)]
pub struct BuildArgs {
    /// The plugin's crate
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the component goes; NAME.wasm in the present folder by default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub async fn plugin(command: PluginCommand) -> anyhow::Result<Done> {
    match command {
        PluginCommand::Build(args) => build(args),
    }
}

fn build(args: BuildArgs) -> anyhow::Result<Done> {
    let mut talk = |progress: Progress| eprintln!("{progress}");
    let toolchain = find(&cache_folder()?, &mut talk)?;
    let source = GuestSource::of_folder(&args.folder)?;
    let target = cache_folder()?.join("guests");
    let built = toolchain.build(&source, &target, &mut talk)?;
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", source.package)));
    std::fs::write(&output, &built.component)?;
    println!("{}\t{} bytes\t{}", output.display(), built.size, built.digest);
    Ok(Done::Yes)
}
