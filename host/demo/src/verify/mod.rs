//! The check from outside: both databases read with a few lines of SQL of its own, none of the agent's code.
//!
//! ```text
//! acknowledged sales --+
//! channel (T-SQL) -----+--> sales.rs   every sale there once and whole, no sale that nobody rang up, one ledger row
//!                      +--> tables.rs  register's tables = what the rules make of the channel's, row by row
//! journal.db, ---------+--> waiting    nothing unsent, nothing set aside
//! catalogue.db (SQLite)
//! ```
//!
//! * It counts what it looked at: a check that looked at nothing says so instead of passing.
//! * It has its own statement of the transformer's rules ([`rules`]), so that a wrong plugin is seen.
//! * Memory: two 64-bit digests a row of the largest table.

mod register;
mod rules;
mod sales;
mod tables;

pub(crate) use register::{Decision, RegisterFiles, quoted};
pub use sales::Acknowledged;

use crate::DemoError;
use crate::generate::DemoStore;
use crate::session::ChannelRows;
use std::collections::BTreeMap;
use tillhold_core::profile::Direction;
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::value::Value;

/// Differences told one by one; the rest is counted.
const TOLD_MAX: usize = 20;

/// What the check found. All counts, so that a summary can show that there was something to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    pub sales: u64,
    /// Rows of sales compared with the channel's.
    pub sale_rows: u64,
    /// Acknowledged, but not in the channel, or not whole.
    pub lost: u64,
    /// In the channel without having been rung up, or in the ledger more than once.
    pub duplicated: u64,
    /// Tables and rows of the register compared with the channel's.
    pub tables: u64,
    pub rows: u64,
    /// Rows that the rules keep from the register, and that it indeed does not have.
    pub kept_away: u64,
    /// Rows whose register's copy must differ from the channel's, such as masked e-mails.
    pub transformed: u64,
    /// Rows that are missing, too many or unlike.
    pub differing: u64,
    /// Transactions on the register that the channel does not have yet, or never will without a person.
    pub waiting: u64,
    /// The first differences in words.
    pub told: Vec<String>,
}

impl Findings {
    /// Whether everything holds, and there was something to hold.
    pub fn hold(&self) -> bool {
        let wrong = self.lost + self.duplicated + self.differing + self.waiting;
        wrong == 0 && self.told.is_empty() && self.sales > 0 && self.rows > 0
    }

    pub(crate) fn tell(&mut self, difference: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(difference);
        }
    }
}

/// Compares everything that was promised with everything that is there.
pub(crate) fn verify(
    store: &DemoStore,
    sold: &[Acknowledged],
    channel: &mut dyn ChannelRows,
    register: &RegisterFiles,
) -> Result<Findings, DemoError> {
    let mut findings = Findings::default();
    sales::check(store, sold, channel, &mut findings)?;
    for scope in store.scopes.iter().filter(|s| s.direction != Direction::Upload) {
        for name in &scope.tables {
            tables::check(store, name, channel, register, &mut findings)?;
        }
    }
    findings.waiting = register.waiting()?;
    if findings.waiting > 0 {
        findings.tell(format!("{} transactions of the register are not settled", findings.waiting));
    }
    Ok(findings)
}

/// One row's cells as canonical texts, in its table's order.
pub(crate) type Cells = Vec<Option<String>>;

pub(crate) fn cells(row: &[Value], table: &Table) -> Cells {
    row.iter()
        .zip(&table.columns)
        .map(|(value, column)| text::canonical(value, column.of))
        .collect()
}

/// A key for people: `STORE=S0343, TERMINAL=000002`.
fn named(table: &Table, cells: &Cells) -> String {
    let part = |at: &usize| {
        let text = cells.get(*at).and_then(Option::as_deref).unwrap_or("NULL");
        format!("{}={text}", table.columns[*at].name)
    };
    table.key.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The key as SQL Server compares it.
fn folded(table: &Table, cells: &Cells) -> Vec<String> {
    let part = |at: &usize| {
        let text = cells.get(*at).cloned().flatten().unwrap_or_default();
        if table.columns[*at].folds() { tillhold_core::row::fold(&text) } else { text }
    };
    table.key.iter().map(part).collect()
}

/// Columns where two rows differ, with both sides, for people.
fn differences(table: &Table, expected: &Cells, found: &Cells) -> String {
    let mut unlike = BTreeMap::new();
    for (at, column) in table.columns.iter().enumerate() {
        let side = |cells: &Cells| cells.get(at).cloned().flatten().unwrap_or("NULL".to_string());
        if expected.get(at) != found.get(at) {
            unlike.insert(
                &column.name,
                format!("{} is '{}', not '{}'", column.name, side(found), side(expected)),
            );
        }
    }
    unlike.into_values().take(3).collect::<Vec<_>>().join("; ")
}

fn ax(name: &str) -> TableName {
    TableName::new("ax", name)
}

#[cfg(test)]
mod tests;
