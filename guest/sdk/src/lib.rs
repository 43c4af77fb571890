//! Write Tillhold plugins as plain functions over a row.
//!
//! A plugin is a library crate with `crate-type = ["cdylib", "rlib"]` that names this crate and calls one macro:
//!
//! * [`transformer!`]: rows on their way between the channel database and the register. A rule gets a [`Row`], reads
//!   the columns that the plugin declared, changes those that it declared, and gives a [`Verdict`].
//! * [`resolver!`]: rows that were changed on both sides. A decision gets a [`Conflict`] with its three sides and
//!   gives a [`Resolution`]; [`Conflict::merge`] goes column by column.
//!
//! What a plugin can count on, and what it cannot do:
//! * It sees [`Context`] and the declared columns, and nothing else: no clock, no file, no network, no randomness.
//! * Each batch gets a fresh instance: a `static` remembers nothing from batch to batch.
//! * What it does not set stays as it was, to the last bit.
//! * A panic refuses the batch; the profile says what then becomes of it. Selling goes on.
//!
//! `tillhold plugin build` makes the component; [`testing`] runs the plugin in `cargo test`, without any of it.

mod cells;
mod conflict;
mod context;
#[doc(hidden)]
pub mod generated;
pub mod log;
mod macros;
#[cfg(any(target_arch = "wasm32", test))]
mod memory;
mod resolve;
mod row;
#[doc(hidden)]
pub mod runtime;
pub mod testing;
mod transform;
mod value;

pub use conflict::{Changed, Conflict, Resolution, Side, Winner};
pub use context::{Check, Context, Flow, Settings};
pub use resolve::{Decision, Resolver};
pub use row::{Row, Verdict};
pub use transform::{Rule, Transformer};
pub use value::{Decimal, Value};
