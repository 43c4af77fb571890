//! The plugins that this program carries: their sources lie in it and are built on the machine where it runs.
//!
//! ```text
//! SOURCES --written to the cache--> Toolchain::build --> kept under the sources' digest --> Built
//! ```
//! * Built once: what is kept is found by the digest of all sources, so a changed plugin is built anew and an
//!   unchanged one starts at once, without any compiler.
//! * A kept component carries its own digest in its name; a damaged one is built again, never handed out.
//! * One builder at a time; what it keeps is renamed into place.

use crate::component;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::guest::{self, Built, GuestSource};
use crate::lock::Lock;
use crate::progress::Listener;
use std::fs;
use std::path::{Path, PathBuf};

/// A file's path in the repository and its text.
type Source<'a> = (&'a str, &'a str);

/// The packages that stand beside each other as guests; the checkout's own workspace is not carried.
const WORKSPACE: Source<'static> = (
    "guest/Cargo.toml",
    "[workspace]\nresolver = \"3\"\nmembers = [\"sdk\", \"store-customers\", \"customer-merge\"]\n",
);

/// Packages in guest/.
pub const SHIPPED: &[&str] = &["store-customers", "customer-merge"];

/// A plugin that this program carries, built here or found in the cache.
pub fn shipped(name: &str, cache: &Path, listener: Listener<'_>) -> Result<Built, ToolchainError> {
    let sources = [SOURCES, &[WORKSPACE]].concat();
    let (folder, finder) = (cache.join("plugins"), Finder::new(cache));
    Shelf { sources: &sources, names: SHIPPED, folder, finder }.take(name, listener)
}

/// The Rust kit: places in its own folder, and texts.
pub fn sdk_sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    SOURCES.iter().filter_map(|(path, text)| Some((path.strip_prefix("guest/sdk/")?, *text)))
}

struct Shelf<'a> {
    sources: &'a [Source<'a>],
    names: &'a [&'a str],
    folder: PathBuf,
    finder: Finder,
}

impl Shelf<'_> {
    fn take(&self, name: &str, listener: Listener<'_>) -> Result<Built, ToolchainError> {
        if !self.names.contains(&name) {
            let known = self.names.join(", ");
            return Err(ToolchainError::NotShipped { name: name.to_owned(), known });
        }
        if let Some(built) = self.kept(name) {
            return Ok(built);
        }
        let _lock = Lock::take(self.folder.join("build.lock"), "the plugins", listener)?;
        match self.kept(name) {
            Some(built) => Ok(built),
            None => self.build(name, listener),
        }
    }

    fn kept(&self, name: &str) -> Option<Built> {
        let prefix = self.prefix(name);
        let entries = fs::read_dir(&self.folder).ok()?.flatten();
        entries.filter_map(|entry| intact(entry.path(), &prefix)).next()
    }

    fn build(&self, name: &str, listener: Listener<'_>) -> Result<Built, ToolchainError> {
        let toolchain = self.finder.find(listener)?;
        let sources = self.folder.join("sources");
        self.write_sources(&sources)?;
        let guest = GuestSource::new(sources.join("guest"), name);
        let built = toolchain.build(&guest, &self.folder.join("target"), listener)?;
        let path = self.folder.join(format!("{}{}.wasm", self.prefix(name), built.digest));
        component::write(&path, &built.component)?;
        Ok(Built { path, ..built })
    }

    /// Only what differs is written, so that cargo builds only that anew; what is no longer carried goes.
    fn write_sources(&self, folder: &Path) -> Result<(), ToolchainError> {
        for (path, text) in self.sources {
            let file = folder.join(path);
            if fs::read_to_string(&file).is_ok_and(|there| there == *text) {
                continue;
            }
            let parent = file.parent().expect("a source lies in a folder");
            fs::create_dir_all(parent).map_err(ToolchainError::io("make", parent))?;
            fs::write(&file, text).map_err(ToolchainError::io("write", &file))?;
        }
        self.remove_strangers(folder, folder)
    }

    fn remove_strangers(&self, root: &Path, folder: &Path) -> Result<(), ToolchainError> {
        for entry in fs::read_dir(folder).map_err(ToolchainError::io("read", folder))? {
            let path = entry.map_err(ToolchainError::io("read", folder))?.path();
            if path.is_dir() {
                self.remove_strangers(root, &path)?;
            } else if !self.is_carried(root, &path) {
                fs::remove_file(&path).map_err(ToolchainError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Cargo's own lock file stays: without it an unchanged guest would be resolved anew.
    fn is_carried(&self, root: &Path, path: &Path) -> bool {
        let carried = self.sources.iter().map(|(source, _)| *source);
        carried.chain(["guest/Cargo.lock"]).any(|source| root.join(source) == path)
    }

    /// The plugin's name and the digest of all sources, since one plugin may be built on another's files, and of how they
    /// are built.
    fn prefix(&self, name: &str) -> String {
        let mut all = guest::manner();
        for (path, text) in self.sources {
            all.push_str(&format!("{path} {}\n{text}", text.len()));
        }
        format!("{name}-{}-", &component::digest(all.as_bytes())[..16])
    }
}

/// The component at `path` if it is one of these and its bytes are what its name says.
fn intact(path: PathBuf, prefix: &str) -> Option<Built> {
    let name = path.file_name()?.to_str()?;
    let digest = name.strip_prefix(prefix)?.strip_suffix(".wasm")?.to_owned();
    let component = fs::read(&path).ok()?;
    let built = Built::new(component, path);
    (built.digest == digest).then_some(built)
}

/// One line a file; a test holds the list against the folders.
macro_rules! sources {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

const SOURCES: &[Source<'static>] = sources![
    "guest/customer-merge/Cargo.toml"
    "guest/customer-merge/src/lib.rs"
    "guest/sdk/Cargo.toml"
    "guest/sdk/src/cells.rs"
    "guest/sdk/src/conflict.rs"
    "guest/sdk/src/context.rs"
    "guest/sdk/src/generated/mod.rs"
    "guest/sdk/src/generated/resolver.rs"
    "guest/sdk/src/generated/transformer.rs"
    "guest/sdk/src/lib.rs"
    "guest/sdk/src/log.rs"
    "guest/sdk/src/macros.rs"
    "guest/sdk/src/memory.rs"
    "guest/sdk/src/resolve.rs"
    "guest/sdk/src/row.rs"
    "guest/sdk/src/runtime.rs"
    "guest/sdk/src/testing.rs"
    "guest/sdk/src/transform.rs"
    "guest/sdk/src/value.rs"
    "guest/store-customers/Cargo.toml"
    "guest/store-customers/src/lib.rs"
];

#[cfg(test)]
mod tests;
