//! `tillhold plugin build`: a Rust plugin into a component.

use crate::cli::Done;
use crate::settings::reader::{Mistake, Mistakes, Source};
use anyhow::Context as _;
use clap::Args;
use std::path::{Path, PathBuf};
use tillhold_toolchain::{Built, GuestSource, Progress, cache_folder, find};

#[derive(Args)]
pub struct BuildArgs {
    /// The plugin's crate
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the component goes; NAME.wasm in the present folder by default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn build(args: BuildArgs) -> anyhow::Result<Done> {
    let (package, built) = built(&args.folder)?;
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("{package}.wasm")));
    std::fs::write(&output, &built.component)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{}\t{} bytes\tsha256:{}", output.display(), built.size, built.digest);
    Ok(Done::Yes)
}

/// The crate's name, and its component as it is now.
pub fn built(folder: &Path) -> anyhow::Result<(String, Built)> {
    let package = package_of(folder)?;
    // Where this machine keeps the folder is cut out of the component, so it must be the whole path.
    let folder = std::path::absolute(folder)?;
    let toolchain = find(&cache_folder()?, &mut talk)?;
    let source = GuestSource::new(&folder, &package);
    let built = toolchain.build(&source, &folder.join("target"), &mut talk)?;
    Ok((package, built))
}

/// The crate's name, from its Cargo.toml.
fn package_of(folder: &Path) -> Result<String, Mistakes> {
    let file = folder.join("Cargo.toml");
    let source = Source::read(&file)?;
    let wrong = |message: &str| {
        Mistakes(vec![Mistake { file: file.clone(), line: None, message: message.to_string() }])
    };
    let manifest: toml::Table =
        source.text().parse().map_err(|_| wrong("is not a manifest that cargo reads"))?;
    let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
    name.map(str::to_string).ok_or_else(|| wrong("names no [package]: give a plugin's own crate"))
}

/// Progress as lines on stderr; what the compiler itself prints is left out.
fn talk(progress: Progress) {
    match progress {
        Progress::Begin { what, usual } => {
            eprintln!("building {what} (usually {} s)", usual.as_secs());
        }
        Progress::Waiting { what } => eprintln!("waiting for another build of {what}"),
        Progress::End { what } => eprintln!("built {what}"),
        Progress::Line(_) => {}
    }
}
