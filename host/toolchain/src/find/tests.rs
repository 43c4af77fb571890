//! Made-up machines: one fake program stands for all tools and behaves as each case says.

use super::Finder;
use crate::error::{Step, ToolchainError};
use crate::machine::Machine;
use crate::progress::Progress;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/program");
const LIBRARY: &str = "lib/rustlib/src/rust/library/std";
const TARGET: &str = "lib/rustlib/wasm32-unknown-unknown/lib";

struct Case {
    story: &'static str,
    /// Programs by their path on the machine.
    programs: &'static [&'static str],
    /// Folders on it: a library source or a target that is there from the start.
    folders: &'static [&'static str],
    manners: &'static str,
    root: bool,
    /// The way that works, or what the error and its hint must say.
    expected: Result<Step, &'static [&'static str]>,
    /// Beginnings of the calls of rustup, apt-get and cargo, in order.
    calls: &'static [&'static str],
}

const LINKER: &str = "usr/bin/wasm-ld";
const ALL: &[&str] = &["active/bin/rustc", "active/bin/cargo", "active/bin/rustup"];
const DEBIAN: &[&str] =
    &["active/bin/rustc", "active/bin/cargo", "active/bin/rustup", "usr/bin/apt-get", LINKER];
const BUILD: &str = "cargo build --release -Z build-std=";
const DOWNLOAD: &str = "apt-get -o Acquire::http::Timeout=30";

const CASES: &[Case] = &[
    Case {
        story: "the target is there",
        programs: ALL,
        folders: &["active/lib/rustlib/wasm32-unknown-unknown/lib"],
        manners: "",
        root: false,
        expected: Ok(Step::Installed),
        calls: &[],
    },
    Case {
        story: "rustup reaches its server",
        programs: ALL,
        folders: &[],
        manners: "",
        root: false,
        expected: Ok(Step::Rustup),
        calls: &["rustup target add wasm32-unknown-unknown"],
    },
    Case {
        story: "rustup refuses, the system's compiler brings its source",
        programs: &[
            "active/bin/rustc",
            "active/bin/cargo",
            "active/bin/rustup",
            "system/bin/rustc",
            LINKER,
        ],
        folders: &["system/lib/rustlib/src/rust/library/std"],
        manners: "rustup: fail",
        root: false,
        expected: Ok(Step::OwnSource),
        calls: &["rustup", BUILD],
    },
    Case {
        story: "rustup hangs in a closed network",
        programs: &[
            "active/bin/rustc",
            "active/bin/cargo",
            "active/bin/rustup",
            "system/bin/rustc",
            LINKER,
        ],
        folders: &["system/lib/rustlib/src/rust/library/std"],
        manners: "rustup: hang",
        root: false,
        expected: Ok(Step::OwnSource),
        calls: &["rustup", BUILD],
    },
    Case {
        story: "the active compiler brings its own source",
        programs: &["active/bin/rustc", "active/bin/cargo", LINKER],
        folders: &["active/lib/rustlib/src/rust/library/std"],
        manners: "",
        root: false,
        expected: Ok(Step::OwnSource),
        calls: &[BUILD],
    },
    Case {
        story: "Debian's packages are installed by root",
        programs: DEBIAN,
        folders: &[],
        manners: "rustup: fail",
        root: true,
        expected: Ok(Step::OwnSource),
        calls: &["rustup", DOWNLOAD, DOWNLOAD, BUILD],
    },
    Case {
        story: "a fresh image knows no packages before apt-get update",
        programs: DEBIAN,
        folders: &[],
        manners: "rustup: fail\napt-get: stale",
        root: true,
        expected: Ok(Step::OwnSource),
        calls: &["rustup", DOWNLOAD, DOWNLOAD, DOWNLOAD, DOWNLOAD, BUILD],
    },
    Case {
        story: "no toolchain brings a linker",
        programs: &["active/bin/rustc", "active/bin/cargo", "usr/bin/apt-get"],
        folders: &["active/lib/rustlib/src/rust/library/std"],
        manners: "",
        root: true,
        expected: Ok(Step::OwnSource),
        calls: &[DOWNLOAD, DOWNLOAD, BUILD],
    },
    Case {
        story: "no linker and no way to one",
        programs: &["active/bin/rustc", "active/bin/cargo"],
        folders: &["active/lib/rustlib/src/rust/library/std"],
        manners: "",
        root: true,
        expected: Err(&["no linker for WebAssembly", "install LLVM's linker"]),
        calls: &[],
    },
    Case {
        story: "without root the command is the answer",
        programs: DEBIAN,
        folders: &[],
        manners: "rustup: fail",
        root: false,
        expected: Err(&[
            "rustup was told to fail",
            "installing needs root: apt-get install -y --no-install-recommends",
            "rustc-web rust-web-src",
        ]),
        calls: &["rustup"],
    },
    Case {
        story: "apt-get fails",
        programs: DEBIAN,
        folders: &[],
        manners: "rustup: fail\napt-get: fail",
        root: true,
        expected: Err(&["apt-get update failed (exit 1)", "apt-get was told to fail"]),
        calls: &["rustup", DOWNLOAD, DOWNLOAD],
    },
    Case {
        story: "nothing is there but a compiler",
        programs: &["active/bin/rustc", "active/bin/cargo", LINKER],
        folders: &[],
        manners: "",
        root: true,
        expected: Err(&[
            "Rust 1.96.0 has no wasm32-unknown-unknown target",
            "rustup is not on this machine",
            "no sysroot was built here before",
            "none that brings its own standard library source",
            "rustup target add wasm32-unknown-unknown",
        ]),
        calls: &[],
    },
    Case {
        story: "the standard library does not build",
        programs: &["active/bin/rustc", "active/bin/cargo", LINKER],
        folders: &["active/lib/rustlib/src/rust/library/std"],
        manners: "cargo: fail",
        root: false,
        expected: Err(&["building the guests' standard library failed", "cargo was told to fail"]),
        calls: &[BUILD],
    },
    Case {
        story: "no cargo",
        programs: &["active/bin/rustc"],
        folders: &["active/lib/rustlib/wasm32-unknown-unknown/lib"],
        manners: "",
        root: false,
        expected: Err(&["cargo is not on this machine", "https://rustup.rs"]),
        calls: &[],
    },
    Case {
        story: "a broken compiler",
        programs: &["active/bin/rustc", "active/bin/cargo", LINKER],
        folders: &[],
        manners: "rustc: fail",
        root: false,
        expected: Err(&["-vV failed (exit 1)", "rustc was told to fail"]),
        calls: &[],
    },
];

#[test]
fn each_machine_has_its_way() {
    for case in CASES {
        let machine = MadeUp::new(case);
        let found = machine.find();
        match (&found, &case.expected) {
            (Ok(toolchain), Ok(step)) => assert_eq!(toolchain, step, "{}", case.story),
            (Err(text), Err(parts)) => {
                for part in *parts {
                    assert!(text.contains(part), "{}: {part:?} is not in {text}", case.story);
                }
            }
            _ => panic!("{}: {found:?}", case.story),
        }
        machine.assert_calls(case);
        assert!(!machine.has_left_over(), "{}", case.story);
    }
}

#[test]
fn a_sysroot_is_built_once_and_links_to_the_compilers_own_files() {
    let machine = MadeUp::new(&OWN_SOURCE);
    assert_eq!(machine.find(), Ok(Step::OwnSource));
    assert_eq!(machine.find(), Ok(Step::Kept));
    machine.assert_calls(&OWN_SOURCE);
    let sysroot = machine.sysroot();
    let names = fs::read_dir(sysroot.join(TARGET)).expect("the target's folder is there");
    let names: Vec<_> = names.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(names, ["libstd-0.rlib"], "rlibs and nothing else");
    let host = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu");
    let linker = fs::read_link(host.join("bin/rust-lld")).expect("the linker is linked");
    assert_eq!(linker, machine.path("usr/bin/wasm-ld"));
    assert!(host.join("lib").is_symlink());
}

#[test]
fn what_a_killed_build_left_is_cleared_away() {
    let machine = MadeUp::new(&OWN_SOURCE);
    let left = machine.cache().join("sysroot.scratch-1/target/wasm32-unknown-unknown/release/deps");
    fs::create_dir_all(&left).expect("writable");
    fs::write(left.join("libstd-half.rlib"), "half").expect("writable");
    assert_eq!(machine.find(), Ok(Step::OwnSource));
    assert!(!machine.sysroot().join(TARGET).join("libstd-half.rlib").exists());
    assert!(!machine.has_left_over());
}

#[test]
fn a_sysroot_whose_linker_went_away_is_built_again() {
    let machine = MadeUp::new(&OWN_SOURCE);
    assert_eq!(machine.find(), Ok(Step::OwnSource));
    let linker = machine.sysroot().join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    fs::remove_file(&linker).expect("it is there");
    symlink(machine.path("gone"), &linker).expect("writable");
    assert_eq!(machine.find(), Ok(Step::OwnSource));
    assert_eq!(machine.find(), Ok(Step::Kept));
}

/// The network is closed: what is on the disk is found without asking for it again.
const OWN_SOURCE: Case = Case {
    story: "a compiler with its own source",
    programs: &["active/bin/rustc", "active/bin/cargo", "active/bin/rustup", LINKER],
    folders: &["active/lib/rustlib/src/rust/library/std"],
    manners: "rustup: fail",
    root: false,
    expected: Ok(Step::OwnSource),
    calls: &["rustup", BUILD],
};

struct MadeUp {
    folder: TempDir,
    root: bool,
}

impl MadeUp {
    fn new(case: &Case) -> Self {
        let machine =
            Self { folder: tempfile::tempdir().expect("a folder for the case"), root: case.root };
        fs::write(machine.path("manners"), case.manners).expect("writable");
        fs::write(machine.path("calls"), "").expect("writable");
        for program in case.programs {
            machine.install(program);
        }
        for folder in case.folders {
            machine.fill(folder);
        }
        machine
    }

    /// Linked, not copied: a program that was just written may be refused as busy.
    fn install(&self, program: &str) {
        let path = self.path(program);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("writable");
        symlink(FAKE, path).expect("writable");
    }

    fn fill(&self, folder: &str) {
        let file = if folder.ends_with(LIBRARY) { "Cargo.toml" } else { "libstd-0.rlib" };
        fs::create_dir_all(self.path(folder)).expect("writable");
        fs::write(self.path(folder).join(file), "").expect("writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().canonicalize().expect("the case's folder is there");
        folder.join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    fn sysroot(&self) -> PathBuf {
        let entries = fs::read_dir(self.cache()).expect("a cache folder");
        let mut paths = entries.map(|entry| entry.expect("readable").path());
        paths.find(|path| path.join("bin/rustc").is_file()).expect("a sysroot is kept")
    }

    fn has_left_over(&self) -> bool {
        let entries = fs::read_dir(self.cache()).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().contains("scratch"))
    }

    fn find(&self) -> Result<Step, String> {
        let there = |name: &str| Some(self.path(name)).filter(|path| path.exists());
        let machine = Machine {
            cargo: there("active/bin/cargo"),
            rustc: there("active/bin/rustc"),
            rustup: there("active/bin/rustup"),
            system_rustcs: vec![self.path("system/bin/rustc")],
            apt_get: there("usr/bin/apt-get"),
            linkers: vec![self.path("usr/bin/wasm-ld")],
            root: self.root,
            path: Vec::new(),
        };
        let finder =
            Finder { machine, cache: self.cache(), rustup_limit: Duration::from_millis(300) };
        let mut begun = 0;
        let found = finder.find(&mut |progress| {
            begun += usize::from(matches!(progress, Progress::Begin { .. }));
        });
        if matches!(&found, Ok(toolchain) if toolchain.step == Step::OwnSource) {
            assert!(begun > 0, "long work is announced");
        }
        found.map(|toolchain| toolchain.step).map_err(told)
    }

    fn assert_calls(&self, case: &Case) {
        let calls = read(&self.path("calls"));
        let calls: Vec<&str> = calls.lines().collect();
        assert_eq!(calls.len(), case.calls.len(), "{}: {calls:#?}", case.story);
        for (call, beginning) in calls.iter().zip(case.calls) {
            assert!(call.starts_with(beginning), "{}: {call}", case.story);
        }
    }
}

/// What a person reads: the message and the next step.
fn told(error: ToolchainError) -> String {
    format!("{error}\n{}", error.hint().expect("a person is told what to do next"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it was written")
}
