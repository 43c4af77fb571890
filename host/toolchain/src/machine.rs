//! What is on this machine: the programs that a build may use, and whether we are root.
//!
//! A value, not a search spread over the code, so that a test can describe another machine.

use std::env;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Machine {
    pub cargo: Option<PathBuf>,
    /// The active compiler: what `cargo build` would use.
    pub rustc: Option<PathBuf>,
    pub rustup: Option<PathBuf>,
    /// Compilers of the system's own packages; the first that brings its library source is used.
    pub system_rustcs: Vec<PathBuf>,
    pub apt_get: Option<PathBuf>,
    /// Linkers for WebAssembly, should no Rust toolchain bring one; the first that is there is used.
    pub linkers: Vec<PathBuf>,
    pub root: bool,
    /// Where programs are looked for, in this order.
    pub path: Vec<PathBuf>,
}

/// Debian's names, newest first.
const LINKERS: [&str; 8] = [
    "wasm-ld",
    "wasm-ld-22",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "wasm-ld-18",
    "wasm-ld-17",
    "wasm-ld-16",
];

/// Where Debian's lld-19 would put it: it may be installed on the way.
const DEBIANS: &str = "/usr/bin/wasm-ld-19";

impl Machine {
    pub fn here() -> Self {
        let path: Vec<PathBuf> =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let find = |name: &str| search(&path, name);
        Self {
            cargo: cargo_around_us().or_else(|| find("cargo")),
            rustc: find("rustc"),
            rustup: find("rustup"),
            system_rustcs: vec![PathBuf::from("/usr/bin/rustc")],
            apt_get: find("apt-get"),
            linkers: LINKERS.iter().filter_map(|name| find(name)).chain([DEBIANS.into()]).collect(),
            root: is_root(),
            path,
        }
    }

    /// The first of these names that is a program here.
    pub(crate) fn program(&self, names: &[&str]) -> Option<PathBuf> {
        names.iter().find_map(|name| search(&self.path, name))
    }
}

/// `cargo run` and `cargo test` name themselves to what they start.
fn cargo_around_us() -> Option<PathBuf> {
    env::var_os("CARGO").map(PathBuf::from).filter(|cargo| cargo.is_file())
}

fn search(path: &[PathBuf], name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    path.iter().map(|folder| folder.join(&file)).find(|file| file.is_file())
}

/// Our own entry in /proc belongs to the effective user.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|entry| entry.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
