//! Plugins in C: clang and LLVM's linker make a module of the author's files and the kit's, and that becomes a component in
//! this process.
//!
//! * Freestanding: no C library and no WASI, so that the module can ask for nothing but the log.
//! * The contract comes from the WIT files in the project's kit; a module that does not fit them is refused here.
//! * No folder of this machine is named in the component.

use crate::apt;
use crate::child::{Bound, build, run};
use crate::component;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::language::World;
use crate::progress::Listener;
use crate::project::{Builds, Project};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::COMPILER_ANSWER_TIMEOUT;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Debian's names, and what others call it; older ones do not know what the kit asks for.
const CLANGS: [&str; 6] = ["clang-19", "clang-20", "clang-21", "clang-22", "clang-18", "clang"];
const USUAL: Duration = Duration::from_secs(5);
/// 64 KiB of stack instead of a megabyte: a plugin then begins with two pages of memory.
const LINK: [&str; 4] =
    ["-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"];

pub(crate) struct Builder {
    clang: PathBuf,
    linker: PathBuf,
    /// What the compiler says of itself: another one makes another module.
    version: String,
}

impl Builder {
    pub fn find(finder: &Finder, listener: Listener<'_>) -> Result<Self, ToolchainError> {
        let machine = &finder.machine;
        let look = || {
            let linker = machine.linkers.iter().find(|file| file.is_file()).cloned();
            Some((machine.program(&CLANGS)?, linker?))
        };
        let found = match look() {
            Some(found) => Some(found),
            // Where it cannot be installed, what to install is said.
            None => apt::install(machine, &apt::C, listener).ok().and_then(|()| look()),
        };
        let (clang, linker) = found.ok_or(ToolchainError::NoProgram {
            what: "clang for WebAssembly, or LLVM's linker wasm-ld",
            install: "clang and lld, 16 or newer (Debian: apt-get install clang-19 lld-19)",
        })?;
        let mut command = Command::new(&clang);
        command.arg("--version");
        let bound = Bound::new("clang --version", COMPILER_ANSWER_TIMEOUT);
        let version = run(&mut command, &bound, listener)?.expect_ok()?.stdout;
        Ok(Self { clang, linker, version })
    }
}

impl Builds for Builder {
    fn tool(&self) -> String {
        self.version.clone()
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".c", ".h", ".wit", "plugin.toml"]
    }

    fn usual(&self) -> Duration {
        USUAL
    }

    fn component(
        &self,
        project: &Project,
        listener: Listener<'_>,
    ) -> Result<Vec<u8>, ToolchainError> {
        let made = project.build_folder().join("made.wasm");
        let mut command = Command::new(&self.clang);
        command
            .args(["--target=wasm32", "-std=c11", "-Os", "-Wall", "-ffreestanding", "-fno-builtin"])
            .args(["-fno-ident", "-isystem", "sdk/freestanding"])
            .args(LINK)
            .arg(format!("-fuse-ld={}", self.linker.display()))
            .args(kit_files(project.world))
            .args(own_files(&project.folder)?)
            .arg("-o")
            .arg(&made)
            .current_dir(&project.folder);
        build(&project.name, &mut command, listener, str::to_owned)?;
        let mut module = fs::read(&made).map_err(ToolchainError::io("read", &made))?;
        embed(project, &mut module)?;
        component::encode(&project.name, &module)
    }
}

/// Only what the world exports: a module that exports more would not fit it.
fn kit_files(world: World) -> Vec<&'static str> {
    let mut files = vec![
        "sdk/cells.c",
        "sdk/memory.c",
        "sdk/row.c",
        "sdk/text.c",
        "sdk/freestanding/integers.c",
        "sdk/freestanding/string.c",
    ];
    if world.transforms() {
        files.push("sdk/transformer.c");
    }
    if world.resolves() {
        files.push("sdk/resolver.c");
    }
    files
}

/// In the order of their names, so that the same files make the same component everywhere.
fn own_files(folder: &Path) -> Result<Vec<PathBuf>, ToolchainError> {
    let source = folder.join("src");
    let mut files = Vec::new();
    for entry in fs::read_dir(&source).map_err(ToolchainError::io("read", &source))? {
        let name = entry.map_err(ToolchainError::io("read", &source))?.file_name();
        if Path::new(&name).extension().is_some_and(|ending| ending == "c") {
            files.push(Path::new("src").join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// The contract goes into a section of the module, as other languages' tools do it.
fn embed(project: &Project, module: &mut Vec<u8>) -> Result<(), ToolchainError> {
    let mut resolve = Resolve::default();
    let embedded = resolve.push_dir(project.kit_folder().join("wit")).and_then(|(package, _)| {
        let world = resolve.select_world(&[package], Some(project.world.name()))?;
        embed_component_metadata(module, &resolve, world, StringEncoding::UTF8, false)
    });
    embedded.map_err(|error| ToolchainError::Component {
        package: project.name.clone(),
        reason: format!("{error:#}"),
    })
}
