//! Whole rows as one text: how the log, the conflicts and the decisions keep them.
//!
//! * A JSON array of the columns in the table's order: integers as numbers, binary values as hexadecimal, floats as 17
//!   digits in a string (JSON numbers would pass through a float of someone's), everything else as the stored text.
//! * SQLite's `json_array` takes 127 arguments in older programs, so a wider row is an array of arrays; reading
//!   flattens it.

use crate::cell::{self, Storage};
use crate::error::LocalError;
use crate::schema::{folded, quoted};
use serde_json::Value as Json;
use tillhold_core::fit::Misfit;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const ARGUMENTS_MAX: usize = 100;

/// SQL that makes the image of the row known as `of` (`NEW`, `OLD` or a table's alias).
pub(crate) fn row_sql(table: &Table, of: &str) -> String {
    let cell = |column: &Column| cell_sql(&format!("{of}.{}", quoted(&column.name)), column.of);
    array_sql(&table.columns.iter().map(cell).collect::<Vec<_>>())
}

/// SQL that makes the comparable text of a key, folded as the unique index folds it. Only ever compared with texts that
/// SQLite made by the same expression.
pub(crate) fn key_sql(table: &Table, of: impl Fn(usize, &Column) -> String) -> String {
    let cell = |(nth, column): (usize, &Column)| {
        let name = of(nth, column);
        if column.folds() { folded(&name) } else { cell_sql(&name, column.of) }
    };
    array_sql(&table.key_columns().enumerate().map(cell).collect::<Vec<_>>())
}

/// The key of the row known as `alias`.
pub(crate) fn key_sql_of(table: &Table, alias: &str) -> String {
    key_sql(table, |_, column| format!("{alias}.{}", quoted(&column.name)))
}

fn cell_sql(name: &str, of: SqlType) -> String {
    match cell::storage(of) {
        Storage::Integer | Storage::Text => name.to_string(),
        Storage::Real => {
            format!("CASE WHEN {name} IS NULL THEN NULL ELSE printf('%!.17g', {name}) END")
        }
        Storage::Blob => format!("CASE WHEN {name} IS NULL THEN NULL ELSE hex({name}) END"),
    }
}

fn array_sql(cells: &[String]) -> String {
    let parts: Vec<String> = cells
        .chunks(ARGUMENTS_MAX)
        .map(|part| format!("json_array({})", part.join(", ")))
        .collect();
    match parts.as_slice() {
        [one] => one.clone(),
        many => format!("'[' || {} || ']'", many.join(" || ',' || ")),
    }
}

/// SQL for one cell, as it is stored, out of an image; null where it has none. Of a wide table there are flat images too.
pub(crate) fn cell_sql_of(table: &Table, image: &str, at: usize) -> String {
    let flat = format!("{image} ->> '$[{at}]'");
    let cell = match table.columns.len() > ARGUMENTS_MAX {
        true => {
            let (part, at) = (at / ARGUMENTS_MAX, at % ARGUMENTS_MAX);
            format!("coalesce({image} ->> '$[{part}][{at}]', {flat})")
        }
        false => flat,
    };
    format!("CASE WHEN json_valid({image}) THEN {cell} END")
}

/// The image of a row, made here instead of by SQLite.
pub(crate) fn encode(table: &Table, row: &Row) -> String {
    encode_cells(row.0.iter().zip(&table.columns))
}

pub(crate) fn encode_key(table: &Table, key: &Key) -> String {
    encode_cells(key.0.iter().zip(table.key_columns()))
}

fn encode_cells<'a>(cells: impl Iterator<Item = (&'a Value, &'a Column)>) -> String {
    let one = |(value, column): (&Value, &Column)| match (value, cell::storage(column.of)) {
        (Value::Int(number), Storage::Integer) => Json::from(*number),
        (Value::Bool(bit), Storage::Integer) => Json::from(i64::from(*bit)),
        _ => text::canonical(value, column.of).map_or(Json::Null, Json::String),
    };
    Json::Array(cells.map(one).collect()).to_string()
}

pub(crate) fn decode(table: &Table, image: &str) -> Result<Row, LocalError> {
    decode_cells(table, &table.columns.iter().collect::<Vec<_>>(), image).map(Row)
}

pub(crate) fn decode_key(table: &Table, image: &str) -> Result<Key, LocalError> {
    decode_cells(table, &table.key_columns().collect::<Vec<_>>(), image).map(Key)
}

fn decode_cells(table: &Table, columns: &[&Column], image: &str) -> Result<Vec<Value>, LocalError> {
    let broken = |reason: String| cell::unreadable(table, "*", reason);
    let cells: Vec<Json> = serde_json::from_str(image)
        .map_err(|error| broken(format!("its image in the log is no JSON array: {error}")))?;
    let cells: Vec<Json> = cells.into_iter().flat_map(flattened).collect();
    if cells.len() != columns.len() {
        let (found, expected) = (cells.len(), columns.len());
        return Err(broken(format!("its image has {found} cells, the table {expected} columns")));
    }
    let one = |(cell, column): (Json, &&Column)| {
        decode_cell(cell, column.of)
            .map_err(|refusal| cell::unreadable(table, &column.name, refusal.reason))
    };
    cells.into_iter().zip(columns).map(one).collect()
}

fn flattened(cell: Json) -> Vec<Json> {
    match cell {
        Json::Array(cells) => cells,
        cell => vec![cell],
    }
}

fn decode_cell(cell: Json, of: SqlType) -> Result<Value, Misfit> {
    match cell {
        Json::Null => Ok(Value::Null),
        Json::String(text) if of.is_text() => Ok(Value::Text(text)),
        Json::String(text) => text::parse(&text, of),
        Json::Number(number) => text::parse(&number.to_string(), of),
        other => Err(Misfit { reason: format!("{other} is no cell") }),
    }
}

#[cfg(test)]
mod tests {
    use super::{ARGUMENTS_MAX, cell_sql_of, encode, row_sql};
    use crate::tests::{row, table};
    use rusqlite::Connection;

    /// Wider than SQLite's `json_array` takes at once, so that SQL makes it in parts; made here it is flat.
    #[test]
    fn a_cell_is_found_in_the_image_of_a_narrow_and_of_a_wide_row() {
        let conn = Connection::open_in_memory().expect("room");
        for width in [3, ARGUMENTS_MAX + 7] {
            let columns: Vec<String> = (0..width).map(|at| format!("C{at} nvarchar(9)")).collect();
            let table = table("WIDE", &columns.join(", ").replacen("(9)", "(9) key", 1));
            let values: Vec<String> = (0..width).map(|at| format!("v{at}")).collect();
            let flat =
                encode(&table, &row(&table, &values.iter().map(|v| &**v).collect::<Vec<_>>()));
            let cells = (0..width).map(|at| format!("'v{at}' AS C{at}"));
            let cells = cells.collect::<Vec<_>>().join(", ");
            let made = format!("SELECT {} FROM (SELECT {cells}) AS t", row_sql(&table, "t"));
            let made: String = conn.query_row(&made, (), |row| row.get(0)).expect("an image");
            assert_eq!(made == flat, width < ARGUMENTS_MAX, "{made}");
            let cell = |image: &str, at: usize| -> Option<String> {
                let sql = format!("SELECT {}", cell_sql_of(&table, "?1", at));
                conn.query_row(&sql, [image], |row| row.get(0)).expect("an answer")
            };
            for at in [0, 1, width - 1] {
                assert_eq!(cell(&made, at), Some(format!("v{at}")), "{at} of {width}");
                assert_eq!(cell(&flat, at), Some(format!("v{at}")), "{at} of {width}");
            }
            assert_eq!(cell("[null, null]", 1), None);
            assert_eq!(cell("no image", 1), None);
        }
    }
}
