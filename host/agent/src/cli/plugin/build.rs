//! `tillhold plugin build`: a project into a component.

use super::manifest::{check_project, project};
use crate::cli::Done;
use clap::Args;
use std::path::{Path, PathBuf};
use tillhold_env::{errln, outln};
use tillhold_kit::KitError;
use tillhold_toolchain::{Built, Progress, cache_folder};

#[derive(Args)]
pub struct BuildArgs {
    /// The plugin's project
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the component goes; NAME.wasm in the present folder by default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn build(args: BuildArgs) -> anyhow::Result<Done> {
    let (package, built) = built(&args.folder)?;
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("{package}.wasm")));
    let unwritten = |cause| KitError::File { path: output.clone(), done: "written", cause };
    std::fs::write(&output, &built.component).map_err(unwritten)?;
    outln!("{}\t{} bytes\tsha256:{}", output.display(), built.size, built.digest);
    Ok(Done::Yes)
}

/// The project's name, and its component as it is now.
pub fn built(folder: &Path) -> anyhow::Result<(String, Built)> {
    // Where this machine keeps the folder is cut out of the component, so it must be the whole path.
    check_project(folder)?;
    let project = project(&std::path::absolute(folder)?)?;
    let built = project.build(&cache_folder()?, &mut talk)?;
    Ok((project.name, built))
}

/// Progress as lines on stderr; what the compiler itself prints is left out.
fn talk(progress: Progress) {
    match progress {
        Progress::Begin { what, usual } => {
            errln!("building {what} (usually {} s)", usual.as_secs());
        }
        Progress::Waiting { what } => errln!("waiting for another build of {what}"),
        Progress::End { what } => errln!("built {what}"),
        Progress::Line(_) => {}
    }
}
