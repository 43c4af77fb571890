//! What differs between what was expected and what came out, cell by cell.

use crate::KitError;
use crate::rows::{Entry, Said};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::row::Key;
use tillhold_core::table::{Column, Table};
use tillhold_core::text::canonical;
use tillhold_core::value::Value;

/// Cells of one row, or of the case as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `row 2 (ACCOUNTNUM=C000002)`
    pub place: String,
    pub cells: Vec<CellDifference>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellDifference {
    /// A column, or `verdict` and the like.
    pub name: String,
    pub expected: String,
    pub came: String,
}

/// Whether a terminal looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

impl Difference {
    /// Lines for an eye: `-` is what was expected, `+` what came out.
    pub fn told(&self, paint: Paint) -> String {
        let mut text = String::new();
        for cell in &self.cells {
            let (expected, came) = (format!("- {}", cell.expected), format!("+ {}", cell.came));
            let name = paint.bold(&cell.name);
            let _ = writeln!(text, "  {}: {name}", self.place);
            let _ = writeln!(text, "    {}\n    {}", paint.red(&expected), paint.green(&came));
        }
        text
    }
}

pub(crate) fn no_error(expected: &str) -> Difference {
    whole("error", expected.to_string(), "none: it answered".to_string())
}

pub(crate) fn other_error(expected: &str, came: &KitError) -> Difference {
    whole("error", expected.to_string(), format!("{}: {came}", came.code()))
}

fn whole(name: &str, expected: String, came: String) -> Difference {
    let cell = CellDifference { name: name.to_string(), expected, came };
    Difference { place: "the case".to_string(), cells: vec![cell] }
}

fn count(what: &str, expected: usize, came: usize) -> Option<Difference> {
    (expected != came).then(|| whole(what, expected.to_string(), came.to_string()))
}

pub(crate) fn entries(shape: &Table, expected: &[Entry], came: &[Entry]) -> Vec<Difference> {
    let mut found: Vec<Difference> =
        count("rows", expected.len(), came.len()).into_iter().collect();
    for (at, (expected, came)) in expected.iter().zip(came).enumerate() {
        let mut cells = Vec::new();
        if expected.said != came.said {
            let said = |entry: &Entry| entry.said.as_ref().map_or("none".to_string(), Said::text);
            let name = "verdict".to_string();
            cells.push(CellDifference { name, expected: said(expected), came: said(came) });
        }
        for column in expected.row.differences(&came.row) {
            let declared = &shape.columns[column];
            cells.push(CellDifference {
                name: declared.name.clone(),
                expected: shown(&expected.row.0[column], declared),
                came: shown(&came.row.0[column], declared),
            });
        }
        if !cells.is_empty() {
            found.push(Difference { place: place("row", at, &came.row.key(shape), shape), cells });
        }
    }
    found
}

pub(crate) fn resolutions(
    conflicts: &[Conflict],
    expected: &[Resolution],
    came: &[Resolution],
) -> Vec<Difference> {
    let mut found: Vec<Difference> =
        count("conflicts", expected.len(), came.len()).into_iter().collect();
    for (at, ((expected, came), conflict)) in expected.iter().zip(came).zip(conflicts).enumerate() {
        let cells = match (expected, came) {
            (Resolution::Merge(expected), Resolution::Merge(came)) => {
                merged(expected, came, &conflict.table)
            }
            (expected, came) if expected == came => Vec::new(),
            (expected, came) => vec![CellDifference {
                name: "resolution".to_string(),
                expected: resolved(expected, &conflict.table),
                came: resolved(came, &conflict.table),
            }],
        };
        if !cells.is_empty() {
            let place = place("conflict", at, &conflict.key, &conflict.table);
            found.push(Difference { place, cells });
        }
    }
    found
}

/// The order in which a merge names its cells is no difference.
fn merged(
    expected: &[(usize, Value)],
    came: &[(usize, Value)],
    table: &Table,
) -> Vec<CellDifference> {
    let positions: BTreeSet<usize> = expected.iter().chain(came).map(|(at, _)| *at).collect();
    let cell = |cells: &[(usize, Value)], at: usize| {
        let found = cells.iter().find(|(position, _)| *position == at);
        found.map(|(_, value)| shown(value, &table.columns[at]))
    };
    let difference = |at: usize| {
        let (expected, came) = (cell(expected, at), cell(came, at));
        let or = |text: Option<String>| text.unwrap_or_else(|| "not merged".to_string());
        (expected != came).then(|| CellDifference {
            name: table.columns[at].name.clone(),
            expected: or(expected),
            came: or(came),
        })
    };
    positions.into_iter().filter_map(difference).collect()
}

fn resolved(resolution: &Resolution, table: &Table) -> String {
    crate::cells::resolution_json(table, resolution).to_string()
}

pub(crate) fn place(what: &str, at: usize, key: &Key, table: &Table) -> String {
    match key.0.is_empty() {
        true => format!("{what} {}", at + 1),
        false => format!("{what} {} ({})", at + 1, key.named(table)),
    }
}

/// Texts in quotes, so that blanks and nothing at all are seen.
fn shown(value: &Value, column: &Column) -> String {
    match (value, canonical(value, column.of)) {
        (Value::Text(text), _) => serde_json::Value::from(text.as_str()).to_string(),
        (_, Some(text)) => text,
        (_, None) => "NULL".to_string(),
    }
}
