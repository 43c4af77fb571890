//! What a database administrator sets up once: change tracking or triggers, Tillhold's own schema,
//! and the least rights that a register needs.
//!
//! * [`script`] is what [`prepare`] runs, word for word, to be read first: each step says why.
//! * Both may run again at any time; nothing is removed and no data is touched. Said to be of a restored database, each run
//!   begins another life of it.
//! * [`check`] asks right by right as the register's own account, and needs none of the
//!   administrator's.

pub(crate) mod check;
mod steps;
pub(crate) mod triggers;

use crate::error::ChannelError;
use crate::link::{Ask, Link};
pub use check::{Missing, check, check_published};
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::table::Table;

/// A table of the profile with the direction it travels in.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    /// The full shape, as the catalogue has it.
    pub table: &'a Table,
    /// The columns that the register reads: those that travel, and those that its filter goes by. Where one is left
    /// out, rights are granted by column.
    pub travelling: &'a Table,
    pub direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareOptions {
    /// How changed rows are noted, by the profile.
    pub capture: Capture,
    /// How long the channel keeps changes; a register that was away longer is loaded afresh.
    pub retention_days: u16,
    /// The role that holds the rights.
    pub role: String,
    /// Database users that become members of the role; the administrator can add them by hand just
    /// as well.
    pub members: Vec<String>,
    /// The database was restored from a backup: it begins another life, and registers load their tables anew.
    pub is_restored: bool,
}

impl Default for PrepareOptions {
    fn default() -> PrepareOptions {
        PrepareOptions {
            capture: Capture::default(),
            retention_days: 14,
            role: "tillhold_register".to_string(),
            members: Vec::new(),
            is_restored: false,
        }
    }
}

/// T-SQL for `sqlcmd` or Management Studio, to run in the channel database.
pub fn script(tables: &[Prepared<'_>], options: &PrepareOptions) -> String {
    written(steps::steps(tables, options))
}

/// The part of the script by which a register's account may read the channel's own profile: without it nobody knows the
/// tables that the rest is about.
pub fn script_of_published(options: &PrepareOptions) -> String {
    written(steps::steps_of_published(options))
}

fn written(steps: Vec<steps::Step>) -> String {
    steps.into_iter().map(|step| format!("-- {}\n{}GO\n", step.why, step.sql)).collect()
}

/// Runs the script's batches; the account needs the rights that the script itself uses.
pub async fn prepare(
    link: &mut Link,
    tables: &[Prepared<'_>],
    options: &PrepareOptions,
) -> Result<(), ChannelError> {
    for step in steps::steps(tables, options) {
        link.ask(Ask::batch("be prepared", &step.sql)).await?;
    }
    Ok(())
}
