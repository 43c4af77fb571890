//! Plugins: WebAssembly components that transform rows and decide conflicts. The one crate that names wasmtime.
//!
//! ```text
//! PluginHost::load -> Plugin::check_against (each table of the scope) -> transform | resolve, batch by batch
//! ```
//!
//! Promises, each with its test:
//! * A plugin imports nothing but log lines: no clock, network, file or randomness.
//! * It sees the columns that it declared and can change only those it declared; never a key, a row or a position.
//! * Where the profile has grants for it, a value that is not granted never enters its memory.
//! * Where the operator trusts keys, nothing runs that none of them signed.
//! * Same rows in, same answer out: a fresh instance a call, canonical NaN, no threads, no relaxed SIMD.
//! * A call that finds all places taken waits for one; a limit of the host never reads as a failure of a plugin.
//! * A trap, an endless loop, a flood of memory or of answers and every wrong answer end as a [`PluginError`] that
//!   names the plugin and its digest; no row is lost by it, for rows only leave with a whole answer.
//!
//! The contract is `wit/`; why it has this shape is in `docs/decisions/0001-plugin-abi.md`.

mod admit;
mod answer;
mod cache;
mod columns;
mod conflicts;
mod contract;
mod error;
mod gate;
mod host;
pub mod outside;
mod plugin;
mod run;
mod signature;
#[cfg(test)]
mod tests;
mod ticker;
mod trusted;
mod uses;
mod wire;

pub use answer::Verdict;
pub use cache::Stored;
pub use error::{PluginError, PluginId};
pub use host::{ComponentSource, PluginHost, PluginLimits, PluginSource, digest_of};
pub use plugin::{BatchContext, Flow, Kind, Plugin};
pub use run::{LogLine, LogSink};
pub use signature::{Beside, key_number, signature_file};
pub use tillhold_core::grant::EVERY_COLUMN;
pub use uses::{Role, TableUse};
