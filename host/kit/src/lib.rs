//! The author's kit: what `tillhold plugin …` does where there is neither a database nor an agent.
//!
//! ```text
//! schema file -> Schema -> Table ----.
//! rows as CSV or JSON -> RowReader --+-> the very host of production (tillhold-plugin) -> rows, verdicts, resolutions
//! template -> a plugin's project, with the kit of its language in it
//! ```
//!
//! * Cells are read and written here for all who show them as text: test cases, exports, the front door.
//! * Runs nothing but plugins, in their sandbox, with its limits on.

mod bench;
mod bisect;
mod case;
mod case_runner;
pub mod cells;
mod check;
mod conflicts;
pub mod csv;
mod determinism;
mod diff;
mod error;
#[cfg(test)]
mod fixtures;
mod fuzz;
mod generate;
mod project;
mod rows;
mod sandbox;
mod schema;
mod stream;

pub use bench::{Bench, Cost};
pub use case_runner::{End, Ended, Trial};
pub use check::{Checked, Finding, UsedColumn, check};
pub use diff::{CellDifference, Difference, Paint};
pub use error::KitError;
pub use fuzz::{Answers, Asked, Found, Fuzz};
pub use project::Project;
pub use rows::{Entry, Format, RowReader, RowWriter, Said};
pub use sandbox::{Component, Sandbox, Terms};
pub use schema::{Schema, schema_text};
pub use stream::{Counts, stream};
