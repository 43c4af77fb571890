//! Values as the cases write them, and back: canonical text, quoted where it would be misread.
//!
//! * `NULL` is NULL; `'NULL'`, `''` and `' a '` are texts; `'\u{1F600}'` names a letter; `'x'*4000` repeats.
//! * Cells of one row stand between ` | `.

use tiberius::ColumnData;
use tillhold_channel::convert;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::text::{canonical, parse};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// Longer texts are shown by their beginning and length, or as a repetition.
const SHOWN_MAX: usize = 80;

pub fn row_text(row: &Row, table: &Table) -> String {
    joined(row.0.iter().zip(&table.columns))
}

pub fn key_text(key: &Key, table: &Table) -> String {
    joined(key.0.iter().zip(table.key_columns()))
}

fn joined<'a>(cells: impl Iterator<Item = (&'a Value, &'a Column)>) -> String {
    cells.map(|(value, column)| value_text(value, column.of)).collect::<Vec<_>>().join(" | ")
}

pub fn value_text(value: &Value, of: SqlType) -> String {
    match canonical(value, of) {
        Some(text) => shown(&text),
        None => "NULL".to_string(),
    }
}

/// Of a plain batch's answer, where only the wire says what a column is.
pub fn cell_text(cell: &ColumnData<'static>) -> String {
    let of = shape(cell);
    match convert::value(cell.clone(), of) {
        Ok(value) => value_text(&value, of),
        Err(misfit) => format!("!{misfit}"),
    }
}

fn shape(cell: &ColumnData<'_>) -> SqlType {
    match cell {
        ColumnData::Bit(_) => SqlType::Bit,
        ColumnData::U8(_) => SqlType::TinyInt,
        ColumnData::I16(_) => SqlType::SmallInt,
        ColumnData::I32(_) => SqlType::Int,
        ColumnData::I64(_) => SqlType::BigInt,
        ColumnData::F32(_) => SqlType::Real,
        ColumnData::F64(_) => SqlType::Float,
        ColumnData::Numeric(number) => {
            SqlType::Decimal { precision: 38, scale: number.map_or(0, |n| n.scale()) }
        }
        ColumnData::String(_) => SqlType::NVarChar { length: None },
        ColumnData::Xml(_) => SqlType::Xml,
        ColumnData::Binary(_) => SqlType::VarBinary { length: None },
        ColumnData::Guid(_) => SqlType::UniqueIdentifier,
        ColumnData::Date(_) => SqlType::Date,
        ColumnData::Time(time) => SqlType::Time { scale: time.map_or(0, |t| t.scale()) },
        ColumnData::DateTime2(moment) => {
            SqlType::DateTime2 { scale: moment.map_or(0, |m| m.time().scale()) }
        }
        ColumnData::DateTimeOffset(moment) => {
            SqlType::DateTimeOffset { scale: moment.map_or(0, |m| m.datetime2().time().scale()) }
        }
        ColumnData::DateTime(_) => SqlType::DateTime,
        ColumnData::SmallDateTime(_) => SqlType::SmallDateTime,
    }
}

pub fn shown(text: &str) -> String {
    let count = text.chars().count();
    if let Some(letter) = text.chars().next().filter(|_| count > SHOWN_MAX) {
        if text.chars().all(|one| one == letter) {
            return format!("{}*{count}", quoted(&letter.to_string()));
        }
        let start: String = text.chars().take(SHOWN_MAX / 2).collect();
        return format!("{}… {count} letters", quoted(&start));
    }
    let is_plain = !text.is_empty()
        && text != "NULL"
        && text.trim() == text
        && !text.starts_with('\'')
        && !text.contains('|')
        && !text.chars().any(is_hidden);
    if is_plain { text.to_string() } else { quoted(text) }
}

/// What a reader of the case would not see.
fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{FFFD}' | '\u{300}'..='\u{36F}' | '\u{FEFF}')
}

fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            letter if is_hidden(letter) => out.push_str(&format!("\\u{{{:X}}}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out + "'"
}

/// A row in the table's travelling order.
pub fn read_row(text: &str, table: &Table) -> Result<Row, String> {
    let columns: Vec<&Column> = table.columns.iter().collect();
    read_cells(text, &columns).map(Row)
}

pub fn read_key(text: &str, table: &Table) -> Result<Key, String> {
    let columns: Vec<&Column> = table.key_columns().collect();
    read_cells(text, &columns).map(Key)
}

fn read_cells(text: &str, columns: &[&Column]) -> Result<Vec<Value>, String> {
    let cells: Vec<&str> = text.split(" | ").map(str::trim).collect();
    if cells.len() != columns.len() {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        return Err(format!("{} cells, but {} columns: {names:?}", cells.len(), names.len()));
    }
    cells.iter().zip(columns).map(|(cell, column)| read_value(cell, column.of)).collect()
}

pub fn read_value(cell: &str, of: SqlType) -> Result<Value, String> {
    if cell == "NULL" {
        return Ok(Value::Null);
    }
    let text = unquoted(cell)?;
    parse(&text, of).map_err(|misfit| format!("{cell}: {misfit}"))
}

fn unquoted(cell: &str) -> Result<String, String> {
    let Some(rest) = cell.strip_prefix('\'') else { return Ok(cell.to_string()) };
    let (inside, after) = rest.rsplit_once('\'').ok_or(format!("{cell}: no closing quote"))?;
    let text = unescaped(&inside.replace("''", "'"))?;
    match after.strip_prefix('*') {
        Some(times) => {
            let times: usize = times.parse().map_err(|_| format!("{cell}: how often?"))?;
            Ok(text.repeat(times))
        }
        None => Ok(text),
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        if let Some(after) = escape.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let named = escape.strip_prefix("u{").and_then(|named| named.split_once('}'));
        let (digits, after) = named.ok_or(format!("{text}: an unknown escape"))?;
        let letter = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        out.push(letter.ok_or(format!("{digits} is no letter"))?);
        rest = after;
    }
    Ok(out + rest)
}
