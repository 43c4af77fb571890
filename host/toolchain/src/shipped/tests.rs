//! A shelf of our own for the shelf's rules, and the real list held against the folders.

use super::{SHIPPED, SOURCES, Shelf, WORKSPACE};
use crate::cache_folder;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::guest::Built;
use crate::guest::tests::contract;
use crate::progress::Progress;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a shipped plugin is made of: its own crate's and the SDK's manifest and code.
fn carried(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for name in ["sdk"].iter().chain(SHIPPED) {
        files.push(format!("guest/{name}/Cargo.toml"));
        walk(root, &root.join(format!("guest/{name}/src")), &mut files);
    }
    files.sort();
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below the root");
            files.push(name.to_str().expect("our names are text").replace('\\', "/"));
        }
    }
}

#[test]
fn the_list_of_sources_is_the_folders() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed: Vec<&str> = SOURCES.iter().map(|(path, _)| *path).collect();
    let lines: String = carried(&root).iter().map(|path| format!("    {path:?}\n")).collect();
    assert_eq!(listed, carried(&root), "SOURCES should be:\n{lines}");
}

#[test]
fn the_carried_plugins_build_from_what_is_carried_alone() {
    for name in SHIPPED {
        let folder = tempfile::tempdir().expect("a folder without the checkout around it");
        let finder = Finder::new(&cache_folder().expect("a folder for caches"));
        let sources = [SOURCES, &[WORKSPACE]].concat();
        let shelf =
            Shelf { sources: &sources, names: SHIPPED, folder: folder.path().into(), finder };
        let built = shelf.take(name, &mut |_| {}).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(built.size < 150_000, "{name} has {} bytes", built.size);
    }
}

const MANIFEST: &str = "[package]\nname = \"proof\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
    [lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";

struct Carrying {
    folder: TempDir,
    library: String,
    with_compiler: bool,
}

impl Carrying {
    /// A program that carries one plugin, which answers with `number`.
    fn new(number: u32) -> Self {
        let folder = tempfile::tempdir().expect("a cache folder");
        let mut this = Self { folder, library: String::new(), with_compiler: true };
        this.change(number);
        this
    }

    fn change(&mut self, number: u32) {
        let contract = contract();
        self.library = format!(
            "#[unsafe(link_section = \"component-type:proof\")]\n\
             pub static CONTRACT: [u8; {}] = {contract:?};\n\
             #[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 {{ {number} }}\n",
            contract.len()
        );
    }

    /// The plugin, or why not; and what was said meanwhile.
    fn take(&self, name: &str) -> (Result<Built, ToolchainError>, Vec<Progress>) {
        let mut finder = Finder::new(&cache_folder().expect("a folder for caches"));
        if !self.with_compiler {
            finder.machine.cargo = None;
        }
        let sources = [("guest/Cargo.toml", MANIFEST), ("guest/src/lib.rs", &self.library)];
        let folder = self.folder.path().join("plugins");
        let shelf = Shelf { sources: &sources, names: &["proof"], folder, finder };
        let mut said = Vec::new();
        (shelf.take(name, &mut |progress| said.push(progress)), said)
    }

    fn built(&self) -> Built {
        self.take("proof").0.expect("it builds")
    }
}

#[test]
fn what_was_built_once_starts_at_once_without_a_compiler() {
    let mut program = Carrying::new(1);
    let (first, said) = program.take("proof");
    assert!(!said.is_empty());
    program.with_compiler = false;
    let (second, said) = program.take("proof");
    assert_eq!(first.expect("it builds"), second.expect("it is kept"));
    assert_eq!(said, []);
}

#[test]
fn a_changed_source_is_built_anew_and_the_old_plugin_still_found() {
    let mut program = Carrying::new(1);
    let one = program.built();
    let stranger = program.folder.path().join("plugins/sources/guest/src/old.rs");
    fs::write(&stranger, "a file of an older program").expect("writable");
    program.change(2);
    let other = program.built();
    assert_ne!(one.digest, other.digest);
    assert!(!stranger.exists());
    program.change(1);
    program.with_compiler = false;
    assert_eq!(program.built(), one);
}

#[test]
fn a_damaged_component_is_built_again_never_handed_out() {
    let program = Carrying::new(1);
    let built = program.built();
    fs::write(&built.path, &built.component[..built.size / 2]).expect("writable");
    assert_eq!(program.built(), built);
    assert_eq!(fs::read(&built.path).expect("it is back"), built.component);
}

#[test]
fn a_plugin_that_is_not_carried_is_refused_with_the_names_of_those_that_are() {
    let (taken, _) = Carrying::new(1).take("prof");
    let error = taken.expect_err("there is none").to_string();
    assert_eq!(error, "no plugin named prof is shipped; there are: proof");
}
