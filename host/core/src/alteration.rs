//! What became of a table at the channel, compared with the shape that the register has: the differences that a
//! register cannot follow without being provisioned anew.
//!
//! * Compares travelling shapes: a column that never travels may come, go and change as it likes.
//! * The order of the columns and their defaults are no difference: rows travel by name, whole.

use crate::table::{Column, Table};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    Added {
        column: String,
        is: String,
    },
    /// Dropped, no longer written by anyone but the channel, or of a type now that does not travel.
    Dropped {
        column: String,
        was: String,
    },
    Changed {
        column: String,
        was: String,
        is: String,
    },
    Key {
        was: String,
        is: String,
    },
}

/// `known` as the register has it, `now` as it would travel today.
pub fn alterations(known: &Table, now: &Table) -> Vec<Alteration> {
    let mut found = Vec::new();
    for column in &known.columns {
        let was = declaration(column);
        match now.position(&column.name).map(|at| declaration(&now.columns[at])) {
            None => found.push(Alteration::Dropped { column: column.name.clone(), was }),
            Some(is) if is != was => {
                found.push(Alteration::Changed { column: column.name.clone(), was, is });
            }
            Some(_) => {}
        }
    }
    for column in now.columns.iter().filter(|column| known.position(&column.name).is_none()) {
        found.push(Alteration::Added { column: column.name.clone(), is: declaration(column) });
    }
    let (was, is) = (key_of(known), key_of(now));
    if !was.eq_ignore_ascii_case(&is) {
        found.push(Alteration::Key { was, is });
    }
    found
}

fn declaration(column: &Column) -> String {
    let collation = column.collation.as_ref().map(|name| format!(" collate {name}"));
    let null = if column.nullable { "null" } else { "not null" };
    format!("{}{} {null}", column.of, collation.unwrap_or_default())
}

fn key_of(table: &Table) -> String {
    table.key_columns().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alteration::Added { column, is } => write!(f, "column {column} {is} is new"),
            Alteration::Dropped { column, was } => {
                write!(f, "column {column} ({was}) no longer travels")
            }
            Alteration::Changed { column, was, is } => {
                write!(f, "column {column} was {was} and is {is}")
            }
            Alteration::Key { was, is } => write!(f, "the key was ({was}) and is ({is})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::alterations;
    use crate::table::{Assigned, Column, Table, TableName};
    use crate::types::SqlType;

    /// `NAME type, NAME type null | KEY, KEY`
    fn table(text: &str) -> Table {
        let (columns, key) = text.split_once(" | ").expect("columns and key");
        let column = |text: &str| {
            let (name, rest) = text.split_once(' ').expect("a name and a type");
            let of = SqlType::parse(rest.trim_end_matches(" null")).expect("a type");
            Column {
                name: name.to_string(),
                of,
                nullable: rest.ends_with(" null"),
                assigned: Assigned::ByWriter,
                default: None,
                collation: of.is_text().then(|| "Latin1_General_CI_AS".to_string()),
            }
        };
        let columns: Vec<Column> = columns.split("; ").map(column).collect();
        let position = |name: &str| columns.iter().position(|c| c.name == name).expect("a column");
        let key = key.split(", ").map(position).collect();
        Table { name: TableName::new("ax", "T"), columns, key }
    }

    #[test]
    fn each_difference_is_told_with_the_old_and_the_new_declaration() {
        let known = "A int; B nvarchar(10) null | A";
        for (now, expected) in [
            ("B nvarchar(10) null; A int | A", ""),
            ("a int; B nvarchar(10) null | a", ""),
            (
                "A bigint; B nvarchar(10) null | A",
                "column A was int not null and is bigint not null",
            ),
            (
                "A int; B nvarchar(10) | A",
                "column B was nvarchar(10) collate Latin1_General_CI_AS null and is nvarchar(10) \
                 collate Latin1_General_CI_AS not null",
            ),
            (
                "A int | A",
                "column B (nvarchar(10) collate Latin1_General_CI_AS null) no longer travels",
            ),
            ("A int; B nvarchar(10) null; C bit null | A", "column C bit null is new"),
            ("A int; B nvarchar(10) null | A, B", "the key was (A) and is (A, B)"),
        ] {
            let found: Vec<String> =
                alterations(&table(known), &table(now)).iter().map(ToString::to_string).collect();
            assert_eq!(found.join("; "), expected, "{now}");
        }
    }
}
