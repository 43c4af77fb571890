//! The author's kit: what `tillhold plugin …` does where there is neither a database nor an agent.
//!
//! ```text
//! schema file -> Schema -> Table ----.
//! rows as CSV or JSON -> RowReader --+-> the very host of production (tillhold-plugin) -> rows, verdicts, resolutions
//! ```
//!
//! * Cells are read and written here for all who show them as text: test cases, exports, the front door.
//! * Runs nothing but plugins, in their sandbox, with its limits on.

pub mod cells;
pub mod csv;
mod error;
mod schema;

pub use error::KitError;
pub use schema::{Schema, schema_text};
