//! A table as the channel's catalogue describes it.

use crate::types::SqlType;
use std::fmt;

/// `schema.NAME`. The schema is part of the name: `ax.RETAILTERMINALTABLE` is a table, `dbo.…` a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// Reads `schema.NAME`; without a schema it is `ax`, where the channel's own tables live.
    pub fn parse(text: &str) -> Option<TableName> {
        let (schema, name) = text.split_once('.').unwrap_or(("ax", text));
        let plain = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == '#')
        };
        (plain(schema) && plain(name)).then(|| TableName::new(schema, name))
    }

    /// Blind to case, as SQL Server compares names.
    pub fn is_same(&self, other: &TableName) -> bool {
        self.schema.eq_ignore_ascii_case(&other.schema)
            && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// `[schema].[NAME]` for T-SQL.
    pub fn bracketed(&self) -> String {
        format!("{}.{}", bracket(&self.schema), bracket(&self.name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A T-SQL identifier in brackets, `]` doubled.
pub fn bracket(identifier: &str) -> String {
    format!("[{}]", identifier.replace(']', "]]"))
}

/// Who gives a column its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// The writer of the row.
    ByWriter,
    /// The channel: rowversion, identity and computed columns are never copied either way.
    ByChannel,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub of: SqlType,
    pub nullable: bool,
    pub assigned: Assigned,
    /// The default's T-SQL expression as the catalogue shows it: `((0))`, `('')`, `(getutcdate())`.
    pub default: Option<String>,
    /// The collation of a text column; `None` for other types or where the catalogue names none.
    pub collation: Option<String>,
}

impl Column {
    /// Whether SQL Server compares this column's keys blind to case and trailing blanks.
    pub fn folds(&self) -> bool {
        let exact = |collation: &String| {
            let upper = collation.to_ascii_uppercase();
            upper.ends_with("_BIN") || upper.ends_with("_BIN2") || upper.contains("_CS_")
        };
        self.of.is_text() && !self.collation.as_ref().is_some_and(exact)
    }
}

/// A table's columns, in the catalogue's order, and its primary key as positions in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    pub columns: Vec<Column>,
    /// In key order; empty when the table has no primary key (then it cannot be tracked).
    pub key: Vec<usize>,
}

impl Table {
    /// SQL Server names are compared blind to case.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(column))
    }

    /// Whether a row of one is a row of the other: the same columns of the same types in the same order, and the same key.
    pub fn has_columns_of(&self, other: &Table) -> bool {
        self.key == other.key
            && self.columns.len() == other.columns.len()
            && self
                .columns
                .iter()
                .zip(&other.columns)
                .all(|(a, b)| a.name == b.name && a.of == b.of)
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|at| &self.columns[*at])
    }

    pub fn is_key(&self, position: usize) -> bool {
        self.key.contains(&position)
    }

    /// The table as it travels: without the columns that the channel assigns and without `excluded` ones.
    /// A key column is never left out by exclusion; if the channel assigns one, the projection has no key.
    pub fn travelling(&self, excluded: &[String]) -> Table {
        let left_out =
            |column: &Column| excluded.iter().any(|e| e.eq_ignore_ascii_case(&column.name));
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|at| self.columns[*at].assigned == Assigned::ByWriter)
            .filter(|at| self.is_key(*at) || !left_out(&self.columns[*at]))
            .collect();
        let key: Option<Vec<usize>> =
            self.key.iter().map(|at| kept.iter().position(|k| k == at)).collect();
        Table {
            name: self.name.clone(),
            columns: kept.iter().map(|at| self.columns[*at].clone()).collect(),
            key: key.unwrap_or_default(),
        }
    }

    /// A text that changes when the table's travelling shape changes; stored with its position in the channel.
    pub fn fingerprint(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|c| format!("{} {}{}", c.name, c.of, if c.nullable { "?" } else { "" }))
            .collect();
        let key: Vec<&str> = self.key_columns().map(|c| c.name.as_str()).collect();
        format!("{}({}) key({})", self.name, columns.join(","), key.join(","))
    }
}
