//! Debian's packages of a compiler with its own standard library source, and of a linker.
//!
//! * Only as root; otherwise the exact command is the answer.
//! * Nothing on the machine is removed to make room (`--no-remove`).
//! * Downloading and unpacking are two commands: the bound on a hanging network never cuts dpkg short.

use crate::child::{Bound, run};
use crate::error::ToolchainError;
use crate::machine::Machine;
use crate::progress::{Listener, Progress};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::APT_TIMEOUT;

/// What is installed together, and why.
pub(crate) struct Packages {
    names: &'static [&'static str],
    what: &'static str,
    usual: Duration,
}

pub(crate) const COMPILER: Packages = Packages {
    names: &["rustc-web", "rust-web-src"],
    what: "Debian's rustc-web and rust-web-src (137 MB)",
    usual: Duration::from_secs(120),
};

pub(crate) const LINKER: Packages = Packages {
    names: &["lld-19"],
    what: "Debian's lld-19 (30 MB)",
    usual: Duration::from_secs(30),
};

pub(crate) const C: Packages = Packages {
    names: &["clang-19", "lld-19"],
    what: "Debian's clang-19 and lld-19 (120 MB)",
    usual: Duration::from_secs(60),
};

impl Packages {
    pub fn command(&self) -> String {
        format!("apt-get {} {}", INSTALL.join(" "), self.names.join(" "))
    }

    fn install(&self, apt_get: &Path, phase: &str, listener: Listener<'_>) -> ToolResult {
        apt(apt_get, &[&INSTALL[..], &[phase], self.names].concat(), listener)
    }
}

type ToolResult = Result<(), ToolchainError>;

pub(crate) fn install(
    machine: &Machine,
    packages: &Packages,
    listener: Listener<'_>,
) -> ToolResult {
    let apt_get = machine.apt_get.as_deref().ok_or(ToolchainError::NoAptGet)?;
    if !machine.root {
        return Err(ToolchainError::NotRoot { command: packages.command() });
    }
    let what = packages.what.to_owned();
    listener(Progress::Begin { what: what.clone(), usual: packages.usual });
    if packages.install(apt_get, "--download-only", listener).is_err() {
        // A fresh image knows no packages yet; an old one knows files that the mirrors no longer have.
        apt(apt_get, &["update"], listener)?;
        packages.install(apt_get, "--download-only", listener)?;
    }
    packages.install(apt_get, "--no-download", listener)?;
    listener(Progress::End { what });
    Ok(())
}

const INSTALL: [&str; 4] = ["install", "-y", "--no-install-recommends", "--no-remove"];
/// A mirror that says nothing and a package database in use by another program end in an error, not in a hang.
const PATIENCE: [&str; 8] = [
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "Acquire::https::Timeout=30",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "DPkg::Lock::Timeout=120",
];

fn apt(apt_get: &Path, arguments: &[&str], listener: Listener<'_>) -> ToolResult {
    let mut command = Command::new(apt_get);
    command.args(PATIENCE).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let what = format!("apt-get {}", arguments.join(" "));
    run(&mut command, &Bound::new(what, APT_TIMEOUT), listener)?.expect_ok()?;
    Ok(())
}
