//! Keeps the settings of a cargo that runs around us out of the guest's build.
//!
//! `cargo test` and `cargo run` hand their children the host's target folder, flags, profile and job server; with
//! them a guest would be built by the wrong compiler, with the wrong flags, or into the host's own folder.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person's settings of where crates come from and how much of the machine a build may use stay.
const KEPT: [&str; 10] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CARGO_BUILD_JOBS",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_DIST_SERVER",
];

const SHED: [&str; 11] = [
    "CARGO",
    "__CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "MAKEFLAGS",
    "MFLAGS",
    "OUT_DIR",
    "LLVM_PROFILE_FILE",
    // A tool's stack trace would push its reason off the screen.
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];

pub(crate) fn shed(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_shed) {
            command.env_remove(name);
        }
    }
}

/// Flags (in the form of `CARGO_ENCODED_RUSTFLAGS`) that keep this machine's folders out of what is built: panic
/// messages name source files, and the same guest must have the same digest wherever it is built.
pub(crate) fn without_paths(folders: &[(&Path, &str)]) -> OsString {
    let cargo_home = cargo_home();
    let cargo_home = cargo_home.iter().map(|home| (home.as_path(), "cargo"));
    let mut flags = OsString::new();
    for (folder, name) in folders.iter().copied().chain(cargo_home) {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    flags
}

fn cargo_home() -> Option<PathBuf> {
    let home = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn is_shed(name: &str) -> bool {
    let starts_with = |prefix: &&str| name.starts_with(*prefix);
    SHED.iter().any(starts_with) && !KEPT.iter().any(starts_with)
}

#[cfg(test)]
mod tests {
    use super::is_shed;

    #[test]
    fn only_what_a_person_set_for_every_build_stays() {
        let cases = [
            ("CARGO", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_BUILD_TARGET_DIR", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_BUILD_RUSTFLAGS", true),
            ("CARGO_MAKEFLAGS", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_PKG_NAME", true),
            ("CARGO_PROFILE_RELEASE_LTO", true),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", true),
            ("CARGO_INCREMENTAL", true),
            ("__CARGO_TEST_CHANNEL", true),
            ("RUSTC", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC_WORKSPACE_WRAPPER", true),
            ("RUSTC_BOOTSTRAP", true),
            ("RUSTDOCFLAGS", true),
            ("RUSTFLAGS", true),
            ("MAKEFLAGS", true),
            ("OUT_DIR", true),
            ("RUST_BACKTRACE", true),
            ("CARGO_HOME", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_REGISTRIES_CRATES_IO_PROTOCOL", false),
            ("CARGO_BUILD_JOBS", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("PATH", false),
            ("HOME", false),
        ];
        for (name, shed) in cases {
            assert_eq!(is_shed(name), shed, "{name}");
        }
    }
}
