//! A standard library for guests, built once from a compiler's own source and kept.
//!
//! ```text
//! rustc with library source --build-std--> rlibs --copied--> SYSROOT --wrapper--> a rustc that has the target
//! ```
//! * Made aside and renamed: a killed build leaves a scratch folder, never half a sysroot.
//! * One builder at a time; whoever waited finds it ready.
//! * Named for the compiler's version and commit: an upgraded compiler gets a new one.
//! * The compiler's own folders are linked to, never written to.

use crate::child::{Bound, run};
use crate::error::ToolchainError;
use crate::lock::Lock;
use crate::progress::{Listener, Progress};
use crate::rustc::{Rustc, TARGET, holds_std};
use crate::surroundings;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::STD_BUILD_TIMEOUT;

/// Part of the key; raised when the recipe below changes.
const RECIPE: &str = "2";
const BUILD_STD: &str = "build-std=std,panic_abort,panic_unwind,test";
/// With bitcode in it, guests may use link-time optimisation through the standard library.
const BITCODE: &str = "\x1f-Cembed-bitcode=yes";
const USUAL: Duration = Duration::from_secs(90);

/// Where the sysroot of this compiler is or would be.
pub(crate) fn folder(cache: &Path, rustc: &Rustc) -> PathBuf {
    let key = format!("{RECIPE}\n{}\n{}", rustc.path.display(), rustc.identity);
    let key: String = Sha256::digest(key).iter().take(4).map(|b| format!("{b:02x}")).collect();
    cache.join(format!("sysroot-{}-{key}", rustc.release))
}

/// The wrapper around `rustc`, if its sysroot was built before and still stands.
pub(crate) fn kept(cache: &Path, rustc: &Rustc) -> Option<PathBuf> {
    let sysroot = folder(cache, rustc);
    let stands = holds_std(&target_folder(&sysroot))
        && linker_link(&sysroot, rustc).exists()
        && wrapper(&sysroot).is_file();
    stands.then(|| wrapper(&sysroot))
}

/// Builds it unless it is there; answers with the wrapper around `rustc`.
pub(crate) fn make(
    cache: &Path,
    cargo: &Path,
    rustc: &Rustc,
    linker: &Path,
    listener: Listener<'_>,
) -> Result<PathBuf, ToolchainError> {
    let what = format!("the guests' standard library for Rust {}", rustc.release);
    let _lock = Lock::take(cache.join("sysroot.lock"), &what, listener)?;
    if let Some(wrapper) = kept(cache, rustc) {
        return Ok(wrapper);
    }
    let scratch = Scratch::in_folder(cache)?;
    listener(Progress::Begin { what: what.clone(), usual: USUAL });
    let rlibs = build(&scratch.path, cargo, rustc, listener)?;
    let aside = scratch.path.join("sysroot");
    assemble(&aside, &rlibs, rustc, linker)?;
    let sysroot = folder(cache, rustc);
    remove_folder(&sysroot)?;
    fs::rename(&aside, &sysroot).map_err(ToolchainError::io("rename to", &sysroot))?;
    listener(Progress::End { what });
    Ok(wrapper(&sysroot))
}

/// A folder that goes away with its builder; the lock's next holder clears what a killed one left. Its name is its
/// builder's own: the compilers of a killed builder may write for a while yet.
struct Scratch {
    path: PathBuf,
}

const SCRATCH: &str = "sysroot.scratch-";

impl Scratch {
    fn in_folder(cache: &Path) -> Result<Self, ToolchainError> {
        clear_left_over(cache);
        let path = cache.join(format!("{SCRATCH}{}", std::process::id()));
        make_folder(&path.join("src"))?;
        Ok(Self { path })
    }
}

/// What cannot be removed now, because it is still written to, is removed by the next builder.
fn clear_left_over(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // As above: the next builder tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// An empty library makes cargo build the standard library for it; the folder of the rlibs is what we are after.
fn build(
    scratch: &Path,
    cargo: &Path,
    rustc: &Rustc,
    listener: Listener<'_>,
) -> Result<PathBuf, ToolchainError> {
    write(&scratch.join("Cargo.toml"), EMPTY_CRATE)?;
    write(&scratch.join("src/lib.rs"), "#![no_std]\n")?;
    let target = scratch.join("target");
    let mut flags =
        surroundings::without_paths(&[(&rustc.sysroot.join("lib/rustlib/src"), "rust")]);
    flags.push(BITCODE);
    let mut command = Command::new(cargo);
    surroundings::shed(&mut command);
    command
        .args(["build", "--release", "-Z", BUILD_STD, "--target", TARGET, "--target-dir"])
        .arg(&target)
        .current_dir(scratch)
        .env("RUSTC", &rustc.path)
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("CARGO_TERM_COLOR", "never");
    let bound = Bound::new("building the guests' standard library", STD_BUILD_TIMEOUT);
    run(&mut command, &bound, listener)?.expect_ok()?;
    Ok(target.join(TARGET).join("release/deps"))
}

const EMPTY_CRATE: &str = "[package]
name = \"tillhold-empty\"
version = \"0.0.0\"
edition = \"2021\"

[workspace]
";

fn assemble(
    aside: &Path,
    rlibs: &Path,
    rustc: &Rustc,
    linker: &Path,
) -> Result<(), ToolchainError> {
    copy_rlibs(rlibs, &target_folder(aside))?;
    let host = aside.join("lib/rustlib").join(&rustc.host);
    make_folder(&host.join("bin"))?;
    // Procedural macros and build scripts of guests link against the compiler's own library.
    link(&rustc.host_folder().join("lib"), &host.join("lib"))?;
    link(linker, &linker_link(aside, rustc))?;
    make_folder(&aside.join("bin"))?;
    write_wrapper(&wrapper(aside), &rustc.path)
}

fn target_folder(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn linker_link(sysroot: &Path, rustc: &Rustc) -> PathBuf {
    sysroot.join("lib/rustlib").join(&rustc.host).join("bin/rust-lld")
}

fn wrapper(sysroot: &Path) -> PathBuf {
    sysroot.join("bin/rustc")
}

fn copy_rlibs(from: &Path, to: &Path) -> Result<(), ToolchainError> {
    make_folder(to)?;
    let entries = fs::read_dir(from).map_err(ToolchainError::io("read", from))?;
    for entry in entries {
        let path = entry.map_err(ToolchainError::io("read", from))?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let copy = to.join(path.file_name().expect("an entry of a folder has a name"));
            fs::copy(&path, &copy).map_err(ToolchainError::io("write", &copy))?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), ToolchainError> {
    fs::create_dir_all(path).map_err(ToolchainError::io("make", path))
}

fn remove_folder(path: &Path) -> Result<(), ToolchainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ToolchainError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), ToolchainError> {
    fs::write(path, text).map_err(ToolchainError::io("write", path))
}

/// Cargo calls it by its full path, so the sysroot is where the wrapper is.
fn write_wrapper(path: &Path, rustc: &Path) -> Result<(), ToolchainError> {
    let quoted = rustc.display().to_string().replace('\'', r"'\''");
    write(path, &format!("#!/bin/sh\nexec '{quoted}' --sysroot=\"${{0%/bin/rustc}}\" \"$@\"\n"))?;
    make_executable(path).map_err(ToolchainError::io("make executable", path))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> Result<(), ToolchainError> {
    std::os::unix::fs::symlink(to, at).map_err(ToolchainError::io("link", at))
}

/// The wrapper is a shell script: elsewhere the steps before this one have to do.
#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn link(_: &Path, at: &Path) -> Result<(), ToolchainError> {
    Err(ToolchainError::io("link", at)(io::ErrorKind::Unsupported.into()))
}
