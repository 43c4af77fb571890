//! What can keep a guest from being found a compiler, built or made a component.
//!
//! Each error carries what the tool itself said (its last lines), a stable code and the next step.

use crate::apt;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    #[error("cargo is not on this machine")]
    NoCargo,
    #[error("no compiler for WebAssembly guests was found\n{}", list(.tried))]
    NoTarget { tried: Vec<Tried> },
    #[error("{rustc} has no wasm32-unknown-unknown target")]
    TargetMissing { rustc: String },
    #[error("rustup is not on this machine")]
    NoRustup,
    #[error("no sysroot was built here before")]
    NoKeptSysroot,
    #[error("there is no rustc, or none that brings its own standard library source")]
    NoSource,
    #[error("apt-get is not on this machine")]
    NoAptGet,
    #[error("installing needs root: {command}")]
    NotRoot { command: String },
    #[error("no linker for WebAssembly (rust-lld or wasm-ld)")]
    NoLinker,
    #[error("{what} failed{}\n{said}", code_text(.code))]
    Failed { what: String, code: Option<i32>, said: String },
    #[error("{what} did not end within {seconds} s and was stopped\n{said}")]
    TimedOut { what: String, seconds: u64, said: String },
    #[error("{what} is still busy in another program after {seconds} s ({})", .lock.display())]
    Locked { what: String, lock: PathBuf, seconds: u64 },
    #[error("there is no Cargo.toml in {}", .folder.display())]
    NoGuest { folder: PathBuf },
    #[error("{} {}", .folder.display(), no_project(.folder, .manifests))]
    NoProject { folder: PathBuf, manifests: String },
    #[error("{what} is not on this machine")]
    NoProgram { what: &'static str, install: &'static str },
    #[error("the guest {package} does not build\n{said}")]
    GuestBuild { package: String, said: String },
    #[error("the guest {package} builds no WebAssembly module")]
    NoModule { package: String },
    #[error("the guest {package} exports nothing of a contract")]
    NoContract { package: String },
    #[error("the guest {package} cannot become a component: {reason}")]
    Component { package: String, reason: String },
    #[error("no plugin named {name} is shipped; there are: {known}")]
    NotShipped { name: String, known: String },
    #[error("neither XDG_CACHE_HOME nor HOME names a folder for caches")]
    NoCacheFolder,
    #[error("cannot {what} {}: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// One way of getting a compiler, and why it did not work here.
#[derive(Debug)]
pub struct Tried {
    pub step: Step,
    pub error: ToolchainError,
}

/// The ways of getting a compiler, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Installed,
    Kept,
    Rustup,
    OwnSource,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Installed => "the target of the active toolchain",
            Step::Kept => "a sysroot built here before",
            Step::Rustup => "rustup target add",
            Step::OwnSource => "a compiler with its own standard library source",
        })
    }
}

impl ToolchainError {
    pub fn class(&self) -> Class {
        match self {
            Self::TimedOut { .. } | Self::Locked { .. } => Class::Retry,
            Self::GuestBuild { .. }
            | Self::NoModule { .. }
            | Self::NoContract { .. }
            | Self::Component { .. } => Class::Park,
            Self::NoCargo
            | Self::NoTarget { .. }
            | Self::TargetMissing { .. }
            | Self::NoRustup
            | Self::NoKeptSysroot
            | Self::NoSource
            | Self::NoAptGet
            | Self::NotRoot { .. }
            | Self::NoLinker
            | Self::Failed { .. }
            | Self::NoGuest { .. }
            | Self::NoProject { .. }
            | Self::NoProgram { .. }
            | Self::NotShipped { .. }
            | Self::NoCacheFolder
            | Self::Io { .. } => Class::Reconfigure,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCargo => "guest-cargo",
            Self::NoTarget { .. }
            | Self::TargetMissing { .. }
            | Self::NoRustup
            | Self::NoKeptSysroot
            | Self::NoSource
            | Self::NoAptGet
            | Self::NotRoot { .. } => "guest-target",
            Self::NoLinker => "guest-linker",
            Self::Failed { .. } => "guest-tool",
            Self::TimedOut { .. } => "guest-timeout",
            Self::Locked { .. } => "guest-locked",
            Self::NoGuest { .. } | Self::NoProject { .. } => "guest-folder",
            Self::NoProgram { .. } => "guest-program",
            Self::GuestBuild { .. } => "guest-build",
            Self::NoModule { .. } => "guest-module",
            Self::NoContract { .. } => "guest-contract",
            Self::Component { .. } => "guest-component",
            Self::NotShipped { .. } => "guest-name",
            Self::NoCacheFolder => "guest-cache",
            Self::Io { .. } => "guest-file",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoCargo => "install Rust from https://rustup.rs, then try again",
            // All that is missing is a linker: that is the shortest way.
            Self::NoTarget { tried } if tried.iter().any(Tried::is_linker) => NO_LINKER,
            Self::NoTarget { .. }
            | Self::TargetMissing { .. }
            | Self::NoRustup
            | Self::NoKeptSysroot
            | Self::NoSource
            | Self::NoAptGet => return Some(install_hint()),
            Self::NotRoot { command } => return Some(format!("run: sudo {command}")),
            Self::NoLinker => NO_LINKER,
            Self::TimedOut { .. } => "try again; if it hangs again, look at the network",
            Self::Locked { .. } => "wait for the other program, or end it, then try again",
            Self::NoProgram { install, .. } => return Some(format!("install {install}")),
            Self::NoGuest { .. } => "name the folder that holds the guest's Cargo.toml",
            Self::NoProject { .. } => {
                "name the plugin's own folder; `tillhold plugin new NAME` begins one"
            }
            Self::Io { what: "read", .. } => {
                "see that it is there, and that this account may read it"
            }
            Self::Io { .. } => {
                "let this account write there; for what lies in the folder for caches, XDG_CACHE_HOME names another"
            }
            Self::GuestBuild { .. } => "mend what the compiler says, then build again",
            Self::NoModule { .. } => {
                "its Cargo.toml needs: [lib] crate-type = [\"cdylib\"]; is the package name right?"
            }
            Self::NoContract { .. } => "export it with the SDK: a plugin without it says nothing",
            Self::Component { .. } => {
                "use the SDK's own version of the contract and import nothing else"
            }
            Self::NoCacheFolder => "set XDG_CACHE_HOME to a folder that you may write to",
            Self::Failed { .. } | Self::NotShipped { .. } => return None,
        };
        Some(text.to_owned())
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

const NO_LINKER: &str = "install LLVM's linker lld, version 16 or newer, then try again";

impl Tried {
    fn is_linker(&self) -> bool {
        matches!(self.error, ToolchainError::NoLinker)
    }
}

fn no_project(folder: &Path, manifests: &str) -> String {
    match folder.is_dir() {
        true => format!("is no plugin's project: it has none of {manifests}"),
        false => "is no folder".to_owned(),
    }
}

fn install_hint() -> String {
    format!(
        "install one of these, then try again:\n  \
         rustup target add wasm32-unknown-unknown\n  \
         {}   (Debian, as root)",
        apt::COMPILER.command()
    )
}

/// A few lines a way, so that the whole story fits on a screen.
fn list(tried: &[Tried]) -> String {
    let paragraph = |tried: &Tried| {
        let error = tried.error.to_string();
        let lines: Vec<&str> = error.lines().filter(|line| !line.trim().is_empty()).collect();
        let kept = &lines[..lines.len().min(LINES_A_WAY)];
        format!("  {}: {}", tried.step, kept.join("\n    "))
    };
    tried.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

const LINES_A_WAY: usize = 10;

fn code_text(code: &Option<i32>) -> String {
    match code {
        Some(code) => format!(" (exit {code})"),
        None => " (killed by a signal)".to_owned(),
    }
}
