//! Builds one guest crate: cargo to a core module, and that to a component, in this process.
//!
//! * The guest is built fast and alone (`opt-level = 3`, one unit, link-time optimisation, no unwinding, stripped),
//!   whatever its own profile says.
//! * Nothing of the cargo that runs around us reaches the build, and no path of this machine reaches the plugin.
//! * The component is written aside and renamed: a reader sees the old one or the new one.

use crate::child;
use crate::component;
use crate::error::{Step, ToolchainError};
use crate::progress::{Listener, Progress};
use crate::rustc::TARGET;
use crate::surroundings;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A cargo and a compiler that has the guests' target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub cargo: PathBuf,
    pub rustc: PathBuf,
    /// How it was found.
    pub step: Step,
}

/// A guest crate: the folder to run cargo in (the crate's own or its workspace's) and the package's name.
#[derive(Clone, Debug)]
pub struct GuestSource {
    pub folder: PathBuf,
    pub package: String,
}

impl GuestSource {
    pub fn new(folder: impl Into<PathBuf>, package: impl Into<String>) -> Self {
        Self { folder: folder.into(), package: package.into() }
    }
}

/// A plugin, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    pub component: Vec<u8>,
    /// SHA-256 of the component, in lower-case hexadecimal.
    pub digest: String,
    pub size: usize,
    pub path: PathBuf,
}

const USUAL: Duration = Duration::from_secs(10);
/// Memory that a component begins with: enough for most batches, so that an instance need not ask for more, which costs
/// the host two calls of the operating system. What is not touched is not there.
const INITIAL_HEAP: &str = "\x1f-Clink-arg=--initial-heap=524288";
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

/// How plugins are built, beside what they are built from.
pub(crate) fn manner() -> String {
    let settings = PROFILE.map(|(name, value)| format!("{name}={value}"));
    settings.join(" ") + INITIAL_HEAP
}

impl Toolchain {
    /// Builds into `target`, a cargo target folder of the guest's own.
    pub fn build(
        &self,
        source: &GuestSource,
        target: &Path,
        listener: Listener<'_>,
    ) -> Result<Built, ToolchainError> {
        let what = format!("the guest {}", source.package);
        listener(Progress::Begin { what: what.clone(), usual: USUAL });
        let module = self.compile(source, target, listener)?;
        let core = fs::read(&module).map_err(ToolchainError::io("read", &module))?;
        let component = component::encode(&source.package, &core)?;
        let path = target.join(format!("{}.wasm", source.package));
        component::write(&path, &component)?;
        listener(Progress::End { what });
        Ok(Built::new(component, path))
    }

    /// The core module that cargo made.
    fn compile(
        &self,
        source: &GuestSource,
        target: &Path,
        listener: Listener<'_>,
    ) -> Result<PathBuf, ToolchainError> {
        if !source.folder.join("Cargo.toml").is_file() {
            return Err(ToolchainError::NoGuest { folder: source.folder.clone() });
        }
        let mut command = self.command(source, target);
        let ended = child::build(&source.package, &mut command, listener, str::to_owned)?;
        let module = ended.stdout.lines().rev().find_map(module_of);
        module.ok_or_else(|| ToolchainError::NoModule { package: source.package.clone() })
    }

    fn command(&self, source: &GuestSource, target: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        surroundings::shed(&mut command);
        let mut flags =
            surroundings::without_paths(&[(&source.folder, "guest"), (target, "target")]);
        flags.push(INITIAL_HEAP);
        command
            .args(["build", "--release", "--target", TARGET, "--package", &source.package])
            .args(["--message-format", "json-render-diagnostics", "--target-dir"])
            .arg(target)
            .current_dir(&source.folder)
            .envs(PROFILE)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_WRAPPER", "")
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("CARGO_TERM_COLOR", "never");
        command
    }
}

impl Built {
    pub(crate) fn new(component: Vec<u8>, path: PathBuf) -> Self {
        Self { digest: component::digest(&component), size: component.len(), component, path }
    }
}

/// The module in one of cargo's messages. The package itself is built last, so its message is the last with one.
fn module_of(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let files = message.get("filenames")?.as_array()?;
    let module = files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".wasm"));
    module.map(PathBuf::from)
}

#[cfg(test)]
pub(crate) mod tests;
