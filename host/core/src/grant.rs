//! Which columns the operator grants a plugin, held against what it asks for.
//!
//! * A column that is not granted for reading never reaches the plugin; one that is not granted for writing cannot be
//!   changed by it. A table without a grant is not shown to it at all.
//! * Several grants of one table add up, so that the text of what is missing can be added as it is.

use crate::table::TableName;
use std::fmt;

/// In `reads` or `writes`: every column that travels.
pub const EVERY_COLUMN: &str = "*";

/// Columns of one table, by name, blind to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub table: TableName,
    pub reads: Vec<String>,
    pub writes: Vec<String>,
}

/// All grants of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    pub fn reads(&self, table: &TableName, column: &str) -> bool {
        self.of(table).any(|grant| holds(&grant.reads, column))
    }

    pub fn writes(&self, table: &TableName, column: &str) -> bool {
        self.of(table).any(|grant| holds(&grant.writes, column))
    }

    /// What of `asked` is not granted; `None` when all of it is. Who asks for [`EVERY_COLUMN`] gets those that are granted,
    /// as long as any is for reading.
    pub fn missing(&self, asked: &Grant) -> Option<Grant> {
        let is_known = self.of(&asked.table).next().is_some();
        let any_read = self.of(&asked.table).any(|grant| !grant.reads.is_empty());
        let unread = |column: &&String| match column.as_str() {
            EVERY_COLUMN => !any_read,
            name => !self.reads(&asked.table, name),
        };
        let unwritten = |column: &&String| match column.as_str() {
            EVERY_COLUMN => !is_known,
            name => !self.writes(&asked.table, name),
        };
        let missing = Grant {
            table: asked.table.clone(),
            reads: asked.reads.iter().filter(unread).cloned().collect(),
            writes: asked.writes.iter().filter(unwritten).cloned().collect(),
        };
        let is_whole = is_known && missing.reads.is_empty() && missing.writes.is_empty();
        (!is_whole).then_some(missing)
    }

    fn of<'g>(&'g self, table: &'g TableName) -> impl Iterator<Item = &'g Grant> {
        self.0.iter().filter(|grant| grant.table.is_same(table))
    }
}

fn holds(columns: &[String], column: &str) -> bool {
    columns.iter().any(|one| one == EVERY_COLUMN || one.eq_ignore_ascii_case(column))
}

impl fmt::Display for Grant {
    /// As a profile writes it: `{ table = "ax.A", reads = ["B"] }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ table = {}", quoted(&self.table.to_string()))?;
        for (key, columns) in [("reads", &self.reads), ("writes", &self.writes)] {
            if !columns.is_empty() {
                let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
                write!(f, ", {key} = [{}]", columns.join(", "))?;
            }
        }
        f.write_str(" }")
    }
}

/// A name as a basic string of TOML.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{Grant, Grants};
    use crate::table::TableName;

    fn grant(table: &str, reads: &[&str], writes: &[&str]) -> Grant {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let table = TableName::parse(table).expect("a table's name");
        Grant { table, reads: owned(reads), writes: owned(writes) }
    }

    /// What is missing of `ax.A` with these columns, as text.
    fn missing(granted: &[Grant], reads: &[&str], writes: &[&str]) -> String {
        let missing = Grants(granted.to_vec()).missing(&grant("ax.A", reads, writes));
        missing.map_or(String::new(), |missing| missing.to_string())
    }

    #[test]
    fn what_is_missing_is_told_by_table_and_column() {
        let some = [grant("AX.a", &["b", "C"], &["C"]), grant("ax.A", &[], &["D"])];
        let every = [grant("ax.A", &["*"], &["*"])];
        let other = [grant("ax.B", &["*"], &["*"])];
        for (granted, reads, writes, expected) in [
            (&some[..], &["B", "C"][..], &["c", "D"][..], ""),
            (&some, &["B", "X"], &["B"], r#"{ table = "ax.A", reads = ["X"], writes = ["B"] }"#),
            (&some, &["*"], &["*"], ""),
            (&some[1..], &["*"], &["*"], r#"{ table = "ax.A", reads = ["*"] }"#),
            (&every, &["X"], &["Y"], ""),
            (&other, &["X"], &[], r#"{ table = "ax.A", reads = ["X"] }"#),
            (&other, &[], &[], r#"{ table = "ax.A" }"#),
            (&other, &["*"], &["*"], r#"{ table = "ax.A", reads = ["*"], writes = ["*"] }"#),
            (&[], &["a\"b"], &[], r#"{ table = "ax.A", reads = ["a\"b"] }"#),
        ] {
            assert_eq!(missing(granted, reads, writes), expected, "{granted:?} {reads:?}");
        }
    }
}
