//! A Rust compiler, and what it says about itself.

use crate::child::{Bound, run};
use crate::error::ToolchainError;
use std::path::{Path, PathBuf};
use std::process::Command;
use tillhold_core::limits::COMPILER_ANSWER_TIMEOUT;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rustc {
    pub path: PathBuf,
    /// Such as "1.96.0".
    pub release: String,
    /// Such as "x86_64-unknown-linux-gnu".
    pub host: String,
    pub sysroot: PathBuf,
    /// All of `rustc -vV`: what a cache of its output is keyed by.
    pub identity: String,
}

impl Rustc {
    pub fn ask(path: &Path) -> Result<Self, ToolchainError> {
        let identity = answer(path, &["-vV"])?;
        let sysroot = answer(path, &["--print", "sysroot"])?;
        let field = |name: &str| {
            let line = identity.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or("unknown").trim().to_owned()
        };
        Ok(Self {
            path: path.to_owned(),
            release: field("release:"),
            host: field("host:"),
            sysroot: PathBuf::from(sysroot.trim()),
            identity: identity.clone(),
        })
    }

    /// Whether it can build guests as it is: rustc names the folder even when nothing is in it.
    pub fn has_target(&self) -> Result<bool, ToolchainError> {
        let folder = answer(&self.path, &["--print", "target-libdir", "--target", TARGET])?;
        Ok(holds_std(Path::new(folder.trim())))
    }

    pub fn library_source(&self) -> Option<PathBuf> {
        let folder = self.sysroot.join("lib/rustlib/src/rust/library");
        folder.join("std/Cargo.toml").is_file().then_some(folder)
    }

    /// The linker that a rustup toolchain brings.
    pub fn linker(&self) -> Option<PathBuf> {
        let file = self.host_folder().join("bin/rust-lld");
        file.is_file().then_some(file)
    }

    pub fn host_folder(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host)
    }
}

fn answer(rustc: &Path, arguments: &[&str]) -> Result<String, ToolchainError> {
    let what = format!("{} {}", rustc.display(), arguments.join(" "));
    let bound = Bound::new(what, COMPILER_ANSWER_TIMEOUT);
    let mut command = Command::new(rustc);
    command.args(arguments);
    crate::surroundings::shed(&mut command);
    Ok(run(&mut command, &bound, &mut |_| {})?.expect_ok()?.stdout)
}

pub(crate) fn holds_std(folder: &Path) -> bool {
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_str().is_some_and(is_std))
}
