//! How answers are told to eyes: columns that line up, moments, cells.

use serde_json::Value as Json;
use std::fmt;
use std::io::IsTerminal as _;
use tillhold_core::moment::Timestamp;
use tillhold_core::text::canonical;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::{errln, outln};
use tillhold_kit::Paint;

/// A longer cell is cut for eyes; `--json` has it whole.
const CELL_LETTERS_MAX: usize = 80;

/// Prints the whole answer as JSON, if that is wanted; whether it was.
pub fn shown(answer: &Json, json: bool) -> anyhow::Result<bool> {
    if json {
        outln!("{}", serde_json::to_string_pretty(answer)?);
    }
    Ok(json)
}

pub fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_string)
}

/// NULL as a dash, a text without line ends and no longer than eyes take.
pub fn cell(json: &Json) -> String {
    let whole = if json.is_null() { "-".to_string() } else { text(json) };
    let line: String = whole.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.chars().count() > CELL_LETTERS_MAX {
        true => line.chars().take(CELL_LETTERS_MAX - 1).chain(['…']).collect(),
        false => line,
    }
}

/// `2026-02-28 23:59:59Z`
pub fn moment(ms: &Json) -> String {
    let Some(ms) = ms.as_i64() else { return "-".to_string() };
    let moment = Value::Timestamp(Timestamp::from_unix_ms(ms));
    let text = canonical(&moment, SqlType::DateTime2 { scale: 0 }).unwrap_or_default();
    format!("{text}Z")
}

/// Colours only where a terminal looks on, and where nobody asked for none (https://no-color.org).
pub fn paint() -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Paint(!unwanted && std::io::stdout().is_terminal())
}

/// A table for eyes: every column as wide as its widest cell.
pub struct Grid {
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub fn of(titles: &[&str]) -> Grid {
        Grid { rows: vec![titles.iter().map(|title| title.to_string()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|text| cell(&Json::from(text))).collect());
    }

    /// On stdout; a list of nothing says so beside it.
    pub fn print(&self) {
        match self.rows.len() {
            1 => errln!("none"),
            _ => outln!("{self}"),
        }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let widest = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|at| widest(at).unwrap_or_default()).collect();
        for (at, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Grid, cell, moment};
    use serde_json::json;

    #[test]
    fn columns_line_up_and_cells_are_one_line() {
        let mut grid = Grid::of(&["ID", "WHY"]);
        grid.row(["1".to_string(), "é\nb".to_string()]);
        grid.row(["22".to_string(), "x".to_string()]);
        assert_eq!(grid.to_string(), "ID  WHY\n1   é b\n22  x");
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!("a".repeat(100))).chars().count(), 80);
        assert_eq!(moment(&json!(1_700_000_000_000i64)), "2023-11-14 22:13:20Z");
    }
}
