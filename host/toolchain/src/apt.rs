//! Debian's packages of a compiler with its own standard library source.
//!
//! * Only as root; otherwise the exact command is the answer.
//! * Nothing on the machine is removed to make room (`--no-remove`).
//! * Downloading and unpacking are two commands: the bound on a hanging network never cuts dpkg short.

use crate::child::{Bound, run};
use crate::error::{APT_COMMAND, ToolchainError};
use crate::machine::Machine;
use crate::progress::{Listener, Progress};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::APT_TIMEOUT;

const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
const WHAT: &str = "Debian's rustc-web and rust-web-src (137 MB)";
const USUAL: Duration = Duration::from_secs(120);

pub(crate) fn install(machine: &Machine, listener: Listener<'_>) -> Result<(), ToolchainError> {
    let apt_get = machine.apt_get.as_deref().ok_or(ToolchainError::NoSource)?;
    if !machine.root {
        return Err(ToolchainError::NotRoot { command: APT_COMMAND.to_owned() });
    }
    listener(Progress::Begin { what: WHAT.to_owned(), usual: USUAL });
    if download(apt_get, listener).is_err() {
        // A fresh image knows no packages yet; an old one knows files that the mirrors no longer have.
        apt(apt_get, "apt-get update", &["update"], listener)?;
        download(apt_get, listener)?;
    }
    unpack(apt_get, listener)?;
    listener(Progress::End { what: WHAT.to_owned() });
    Ok(())
}

fn download(apt_get: &Path, listener: Listener<'_>) -> Result<(), ToolchainError> {
    let arguments = [&INSTALL[..], &["--download-only"], &PACKAGES].concat();
    apt(apt_get, "apt-get download", &arguments, listener)
}

fn unpack(apt_get: &Path, listener: Listener<'_>) -> Result<(), ToolchainError> {
    let arguments = [&INSTALL[..], &["--no-download"], &PACKAGES].concat();
    apt(apt_get, "apt-get install", &arguments, listener)
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

fn apt(
    apt_get: &Path,
    what: &str,
    arguments: &[&str],
    listener: Listener<'_>,
) -> Result<(), ToolchainError> {
    let mut command = Command::new(apt_get);
    command.args(PATIENCE).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, &Bound::new(what, APT_TIMEOUT), listener)?.expect_ok()?;
    Ok(())
}
