//! The languages that a plugin may be written in, and what each one's project carries: the kit and the contract.
//!
//! A kit lies in the project that uses it, with the contract that it speaks: a project stays with its version of the
//! contract, whatever the program that builds it.

use crate::sdk_sources;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    Python,
    JavaScript,
    C,
}

/// A world of the contract: what a component exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Transformer,
    Resolver,
    Both,
}

impl World {
    pub const ALL: [World; 3] = [World::Transformer, World::Resolver, World::Both];

    pub fn name(self) -> &'static str {
        match self {
            World::Transformer => "transformer",
            World::Resolver => "resolver",
            World::Both => "both",
        }
    }

    pub fn named(name: &str) -> Option<World> {
        World::ALL.into_iter().find(|world| world.name() == name)
    }

    pub(crate) fn transforms(self) -> bool {
        self != World::Resolver
    }

    pub(crate) fn resolves(self) -> bool {
        self != World::Transformer
    }
}

impl Language {
    /// Where its kit lies in a project.
    pub fn kit_folder(self) -> &'static str {
        match self {
            Language::Python => "tillhold_sdk",
            Language::Rust | Language::JavaScript | Language::C => "sdk",
        }
    }

    /// The kit's files: places in its folder, and texts.
    pub fn kit(self) -> Vec<(String, &'static str)> {
        let (root, sources) = match self {
            Language::Rust => {
                return sdk_sources().map(|(place, text)| (place.to_owned(), text)).collect();
            }
            Language::Python => ("guest/python/tillhold_sdk/", PYTHON),
            Language::JavaScript => ("guest/javascript/sdk/", JAVASCRIPT),
            Language::C => ("guest/c/sdk/", C),
        };
        let place = |path: &str| path.replacen(root, "", 1).replacen("wit/0.1.0/", "wit/", 1);
        sources.iter().chain(CONTRACT).map(|(path, text)| (place(path), *text)).collect()
    }
}

/// One line a file; a test holds the lists against the folders.
macro_rules! sources {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

type Sources = &'static [(&'static str, &'static str)];

const CONTRACT: Sources = sources![
    "wit/0.1.0/log.wit"
    "wit/0.1.0/resolve.wit"
    "wit/0.1.0/transform.wit"
    "wit/0.1.0/types.wit"
    "wit/0.1.0/worlds.wit"
];

const PYTHON: Sources = sources![
    "guest/python/tillhold_sdk/__init__.py"
    "guest/python/tillhold_sdk/cells.py"
    "guest/python/tillhold_sdk/component.py"
    "guest/python/tillhold_sdk/conflict.py"
    "guest/python/tillhold_sdk/context.py"
    "guest/python/tillhold_sdk/log.py"
    "guest/python/tillhold_sdk/registry.py"
    "guest/python/tillhold_sdk/row.py"
    "guest/python/tillhold_sdk/testing.py"
    "guest/python/tillhold_sdk/values.py"
    "guest/python/tillhold_sdk/wire.py"
];

const JAVASCRIPT: Sources = sources![
    "guest/javascript/sdk/cells.js"
    "guest/javascript/sdk/component.js"
    "guest/javascript/sdk/conflict.js"
    "guest/javascript/sdk/context.js"
    "guest/javascript/sdk/index.js"
    "guest/javascript/sdk/log.js"
    "guest/javascript/sdk/registry.js"
    "guest/javascript/sdk/row.js"
    "guest/javascript/sdk/sealed.js"
    "guest/javascript/sdk/testing.js"
    "guest/javascript/sdk/values.js"
];

const C: Sources = sources![
    "guest/c/sdk/abi.h"
    "guest/c/sdk/cells.c"
    "guest/c/sdk/freestanding/integers.c"
    "guest/c/sdk/freestanding/string.c"
    "guest/c/sdk/freestanding/string.h"
    "guest/c/sdk/memory.c"
    "guest/c/sdk/resolver.c"
    "guest/c/sdk/row.c"
    "guest/c/sdk/testing.c"
    "guest/c/sdk/testing.h"
    "guest/c/sdk/text.c"
    "guest/c/sdk/tillhold.h"
    "guest/c/sdk/transformer.c"
];

#[cfg(test)]
mod tests {
    use super::{C, CONTRACT, JAVASCRIPT, PYTHON, World};
    use std::path::{Path, PathBuf};

    fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.ends_with("__pycache__") {
                walk(root, &path, files);
            } else if path.is_file() {
                let name = path.strip_prefix(root).expect("below the root");
                files.push(name.to_str().expect("our names are text").replace('\\', "/"));
            }
        }
        files.sort();
    }

    #[test]
    fn the_lists_are_the_folders() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (folder, listed) in [
            ("wit/0.1.0", CONTRACT),
            ("guest/python/tillhold_sdk", PYTHON),
            ("guest/javascript/sdk", JAVASCRIPT),
            ("guest/c/sdk", C),
        ] {
            let mut there = Vec::new();
            walk(&root, &root.join(folder), &mut there);
            let listed: Vec<&str> = listed.iter().map(|(path, _)| *path).collect();
            let lines: String = there.iter().map(|path| format!("    {path:?}\n")).collect();
            assert_eq!(listed, there, "the list of {folder} should be:\n{lines}");
        }
    }

    #[test]
    fn a_world_is_found_by_its_name() {
        for world in World::ALL {
            assert_eq!(World::named(world.name()), Some(world));
            assert!(world.transforms() || world.resolves());
        }
        assert_eq!(World::named("Both"), None);
    }
}
