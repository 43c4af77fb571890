//! Rows and keys. A row's values stand in the order of its table's columns; a key's in key order.

use crate::table::Table;
use crate::text;
use crate::value::Value;
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

#[derive(Clone, Debug, PartialEq)]
pub struct Key(pub Vec<Value>);

impl Row {
    /// The row's key under its table; empty when the table has none.
    pub fn key(&self, table: &Table) -> Key {
        Key(table.key.iter().map(|at| self.0[*at].clone()).collect())
    }

    /// Positions where two rows of one table differ.
    pub fn differences(&self, other: &Row) -> Vec<usize> {
        (0..self.0.len()).filter(|at| self.0[*at] != other.0[*at]).collect()
    }
}

impl Key {
    /// `STORE=S0001, TERMINAL=000002`: for people, with the columns' names.
    pub fn named<'a>(&'a self, table: &'a Table) -> impl fmt::Display + 'a {
        NamedKey { key: self, table }
    }

    /// The key as SQL Server compares it: text folded where the column folds. Equal texts are one row.
    pub fn folded(&self, table: &Table) -> Vec<String> {
        let one = |(value, column): (&Value, &crate::table::Column)| {
            let text = text::canonical(value, column.of).unwrap_or_default();
            if column.folds() { fold(&text) } else { text }
        };
        self.0.iter().zip(table.key_columns()).map(one).collect()
    }
}

/// Case and trailing blanks folded away, ASCII only, exactly as SQLite's `lower(rtrim(x))` does it, so that the
/// offline database's indexes and the host agree. The channel stays the judge of everything finer.
pub fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_ascii_lowercase()
}

struct NamedKey<'a> {
    key: &'a Key,
    table: &'a Table,
}

impl fmt::Display for NamedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (value, column)) in self.key.0.iter().zip(self.table.key_columns()).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let text = text::canonical(value, column.of);
            write!(f, "{comma}{}={}", column.name, text.as_deref().unwrap_or("NULL"))?;
        }
        Ok(())
    }
}

/// What happened to a row on the other side. Existence is decided by the row itself, never by an operation letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The row as it is now.
    Present(Row),
    /// The row is no longer there.
    Gone(Key),
}

impl Change {
    pub fn key(&self, table: &Table) -> Key {
        match self {
            Change::Present(row) => row.key(table),
            Change::Gone(key) => key.clone(),
        }
    }
}
