//! Builds WebAssembly guests: finds or gets a compiler, builds a guest crate, and makes a component of it.
//!
//! ```text
//! Project::build, in any of the languages -> Built { component, digest }
//! Finder::find -> Toolchain::build(GuestSource) -> Built: what a project in Rust does
//!                                     ^
//! shipped(name): the plugins that live in this program, written out, built once, kept
//! ```
//! * Serves `tillhold plugin build`, the demo and the tests alike, on the command line's side: it starts real
//!   programs and takes real time, so it is no part of the simulated system and takes no `Env`.
//! * Everything is bounded in time; what is kept is made aside and renamed; two builders never race.
//! * Refuses to guess: when no way leads to a compiler, one error lists the ways and what to install.

mod apt;
mod c;
mod child;
mod component;
mod error;
mod find;
mod guest;
mod javascript;
mod kept_tools;
mod language;
mod lock;
mod machine;
mod progress;
mod project;
mod python;
mod rustc;
mod shipped;
mod surroundings;
mod sysroot;

pub use error::{Step, ToolchainError, Tried};
pub use find::Finder;
pub use guest::{Built, GuestSource, Toolchain};
pub use language::{Language, World};
pub use machine::Machine;
pub use progress::{Listener, Progress};
pub use project::Project;
pub use shipped::{SHIPPED, sdk_sources, shipped};

use std::env;
use std::path::{Path, PathBuf};

/// Finds a compiler for guests on this machine, or gets one.
pub fn find(cache: &Path, listener: Listener<'_>) -> Result<Toolchain, ToolchainError> {
    Finder::new(cache).find(listener)
}

/// `XDG_CACHE_HOME`/tillhold, else `HOME`/.cache/tillhold (XDG Base Directory Specification).
pub fn cache_folder() -> Result<PathBuf, ToolchainError> {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let base = xdg.or_else(home).ok_or(ToolchainError::NoCacheFolder)?;
    Ok(base.join("tillhold"))
}
