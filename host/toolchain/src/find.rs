//! Finds a compiler for guests, or gets one.
//!
//! 1. the active toolchain has the target;
//! 2. a sysroot that was built here before (no network for what is already on the disk);
//! 3. `rustup target add`, bounded in time;
//! 4. a compiler with its own standard library source: one that is here, else Debian's, installed if we are root.
//!
//! What did not work is remembered: when nothing does, one message tells the whole story and what to install.

use crate::apt;
use crate::child::{Bound, run};
use crate::error::{Step, ToolchainError, Tried};
use crate::guest::Toolchain;
use crate::machine::Machine;
use crate::progress::{Listener, Progress};
use crate::rustc::{Rustc, TARGET};
use crate::surroundings;
use crate::sysroot;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::RUSTUP_TIMEOUT;

/// Looks on one machine, keeps what it builds in one cache folder.
#[derive(Clone, Debug)]
pub struct Finder {
    pub machine: Machine,
    pub cache: PathBuf,
    /// How long `rustup target add` may take.
    pub rustup_limit: Duration,
}

impl Finder {
    pub fn new(cache: &Path) -> Self {
        Self { machine: Machine::here(), cache: cache.to_owned(), rustup_limit: RUSTUP_TIMEOUT }
    }

    pub fn find(&self, listener: Listener<'_>) -> Result<Toolchain, ToolchainError> {
        let cargo = self.machine.cargo.as_deref().ok_or(ToolchainError::NoCargo)?;
        let mut tried = Vec::new();
        for step in [Step::Installed, Step::Kept, Step::Rustup, Step::OwnSource] {
            match self.attempt(step, cargo, listener) {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => tried.push(Tried { step, error }),
            }
        }
        Err(ToolchainError::NoTarget { tried })
    }

    fn attempt(
        &self,
        step: Step,
        cargo: &Path,
        listener: Listener<'_>,
    ) -> Result<Toolchain, ToolchainError> {
        let rustc = match step {
            Step::Installed => self.installed()?,
            Step::Kept => self.kept()?,
            Step::Rustup => self.rustup(listener)?,
            Step::OwnSource => self.own_source(cargo, listener)?,
        };
        Ok(Toolchain { cargo: cargo.to_owned(), rustc, step })
    }

    fn installed(&self) -> Result<PathBuf, ToolchainError> {
        let path = self.machine.rustc.as_deref().ok_or(ToolchainError::NoSource)?;
        let rustc = Rustc::ask(path)?;
        if rustc.has_target()? {
            return Ok(rustc.path);
        }
        Err(ToolchainError::TargetMissing { rustc: format!("Rust {}", rustc.release) })
    }

    fn kept(&self) -> Result<PathBuf, ToolchainError> {
        let kept = self.with_source().find_map(|rustc| sysroot::kept(&self.cache, &rustc));
        kept.ok_or(ToolchainError::NoKeptSysroot)
    }

    fn rustup(&self, listener: Listener<'_>) -> Result<PathBuf, ToolchainError> {
        let rustup = self.machine.rustup.as_deref().ok_or(ToolchainError::NoRustup)?;
        let what = format!("rustup target add {TARGET}");
        listener(Progress::Begin { what: what.clone(), usual: Duration::from_secs(10) });
        let mut command = Command::new(rustup);
        surroundings::shed(&mut command);
        command.args(["target", "add", TARGET]);
        run(&mut command, &Bound::new(what.clone(), self.rustup_limit), listener)?.expect_ok()?;
        listener(Progress::End { what });
        self.installed()
    }

    fn own_source(&self, cargo: &Path, listener: Listener<'_>) -> Result<PathBuf, ToolchainError> {
        let compiler = self.or_install(&apt::COMPILER, || self.with_source().next(), listener)?;
        let rustc = compiler.ok_or(ToolchainError::NoSource)?;
        let linker = self.or_install(&apt::LINKER, || self.linker(&rustc), listener)?;
        let linker = linker.ok_or(ToolchainError::NoLinker)?;
        sysroot::make(&self.cache, cargo, &rustc, &linker, listener)
    }

    /// What is there, else what is there after an installation. Where apt-get is not, there is nothing to install.
    fn or_install<T>(
        &self,
        packages: &apt::Packages,
        look: impl Fn() -> Option<T>,
        listener: Listener<'_>,
    ) -> Result<Option<T>, ToolchainError> {
        if let Some(there) = look() {
            return Ok(Some(there));
        }
        match apt::install(&self.machine, packages, listener) {
            Ok(()) => Ok(look()),
            Err(ToolchainError::NoAptGet) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The compilers here that bring their library source; one that does not answer is none.
    fn with_source(&self) -> impl Iterator<Item = Rustc> {
        let paths = self.machine.rustc.iter().chain(&self.machine.system_rustcs);
        let asked = paths.filter_map(|path| Rustc::ask(path).ok());
        asked.filter(|rustc| rustc.library_source().is_some())
    }

    /// Its own, else the active toolchain's, else LLVM's.
    fn linker(&self, rustc: &Rustc) -> Option<PathBuf> {
        let active = || Rustc::ask(self.machine.rustc.as_deref()?).ok()?.linker();
        let system = || self.machine.linkers.iter().find(|file| file.is_file()).cloned();
        rustc.linker().or_else(active).or_else(system)
    }
}

#[cfg(all(test, unix))]
mod tests;
