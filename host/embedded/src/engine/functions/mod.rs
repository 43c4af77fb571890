//! T-SQL's operations as functions inside SQLite, one set for each connection.
//!
//! * An error of a function travels as its own text (`Msg 245, Level 16, …`) and is read back by [`read_error`].
//! * What a function needs to know of its session (the time, the change being tracked) is in [`Running`].

mod aggregate;
pub mod collation;
mod moment;
mod number;
mod text;
mod tracking;

pub use tracking::mask_of;

use super::running::Running;
use super::types::decode as type_of;
use super::values;
use crate::answer::SqlError;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, Error};
use std::sync::Arc;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// Functions of nothing but their arguments: SQLite may call them once for many rows.
const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);
/// Functions that look at the session: triggers may call them too.
const SESSION: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_INNOCUOUS);

type Answered = rusqlite::Result<Cell>;

pub fn register(connection: &Connection, running: &Arc<Running>) -> rusqlite::Result<()> {
    collation::register(connection)?;
    conversions(connection)?;
    number::register(connection)?;
    text::register(connection)?;
    moment::register(connection)?;
    aggregate::register(connection)?;
    tracking::register(connection, running)
}

/// The message of a failed function as the error that it was.
pub fn read_error(message: &str) -> Option<SqlError> {
    let rest = message.strip_prefix("Msg ")?;
    let (number, rest) = rest.split_once(", Level ")?;
    let (severity, rest) = rest.split_once(", State ")?;
    let (state, rest) = rest.split_once(", Line ")?;
    let (line, text) = rest.split_once(": ")?;
    Some(SqlError {
        number: number.parse().ok()?,
        severity: severity.parse().ok()?,
        state: state.parse().ok()?,
        line: line.parse().ok()?,
        message: text.to_string(),
    })
}

fn failed(error: SqlError) -> Error {
    Error::UserFunctionError(Box::new(error))
}

fn argument_type(context: &Context<'_>, at: usize) -> rusqlite::Result<SqlType> {
    let code: i64 = context.get(at)?;
    type_of(code).ok_or_else(|| failed(super::refusal::below(&format!("type code {code}"))))
}

fn argument(context: &Context<'_>, at: usize, of: SqlType) -> rusqlite::Result<Value> {
    values::decode(context.get_raw(at), of).map_err(failed)
}

fn text_argument<'a>(context: &'a Context<'_>, at: usize) -> Option<&'a str> {
    context.get_raw(at).as_str().ok()
}

fn is_null(context: &Context<'_>, at: usize) -> bool {
    context.get_raw(at) == ValueRef::Null
}

fn pure(
    connection: &Connection,
    name: &str,
    arguments: i32,
    function: impl Fn(&Context<'_>) -> Answered + Send + 'static,
) -> rusqlite::Result<()> {
    connection.create_scalar_function(name, arguments, PURE, function)
}

/// `ts_cast(x, from, to, style)`, `ts_try(...)` and `ts_assign(x, from, to, table, column)`.
fn conversions(connection: &Connection) -> rusqlite::Result<()> {
    pure(connection, "ts_cast", 4, |context| cast(context).map_err(failed_or(context)))?;
    pure(connection, "ts_try", 4, |context| match cast(context) {
        Ok(cell) => Ok(cell),
        // TRY_CAST hides values that do not convert, never types that cannot (529).
        Err(CastError::Sql(error)) if error.number != 529 => Ok(Cell::Null),
        Err(error) => Err(failed_or(context)(error)),
    })?;
    pure(connection, "ts_assign", 5, assign)
}

enum CastError {
    Sql(SqlError),
    Sqlite(Error),
}

fn failed_or(_context: &Context<'_>) -> impl Fn(CastError) -> Error {
    |error| match error {
        CastError::Sql(error) => failed(error),
        CastError::Sqlite(error) => error,
    }
}

fn cast(context: &Context<'_>) -> Result<Cell, CastError> {
    if is_null(context, 0) {
        return Ok(Cell::Null);
    }
    let from = argument_type(context, 1).map_err(CastError::Sqlite)?;
    let to = argument_type(context, 2).map_err(CastError::Sqlite)?;
    if let Some(same) = unchanged(context, from, to) {
        return Ok(same);
    }
    let style = context.get_raw(3).as_i64().unwrap_or(values::NO_STYLE);
    let value = argument(context, 0, from).map_err(CastError::Sqlite)?;
    let converted = values::convert(value, from, to, style).map_err(CastError::Sql)?;
    Ok(values::encode(converted, to))
}

/// A text that is short enough for a varying type, seen without counting: it has no more units than bytes.
fn unchanged(context: &Context<'_>, from: SqlType, to: SqlType) -> Option<Cell> {
    let (SqlType::VarChar { length: Some(most) } | SqlType::NVarChar { length: Some(most) }) = to
    else {
        return None;
    };
    let text = text_argument(context, 0)
        .filter(|text| from.is_text() && text.len() <= usize::from(most))?;
    Some(Cell::Text(text.to_string()))
}

/// As a cast, but what is too long is error 2628 with the column's name.
fn assign(context: &Context<'_>) -> Answered {
    if is_null(context, 0) {
        return Ok(Cell::Null);
    }
    let (from, to) = (argument_type(context, 1)?, argument_type(context, 2)?);
    if let Some(same) = unchanged(context, from, to) {
        return Ok(same);
    }
    let value = argument(context, 0, from)?;
    let wide = match to {
        // The value as the target's family writes it, before anything is cut.
        _ if to.is_text() && !from.is_text() => to,
        _ => from,
    };
    let shown = values::convert(value.clone(), from, wide, values::NO_STYLE).map_err(failed)?;
    if !values::fits(&shown, to) {
        let text = match &shown {
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => tillhold_core::text::hexadecimal(bytes),
            _ => String::new(),
        };
        let (table, column): (String, String) = (context.get(3)?, context.get(4)?);
        return Err(failed(super::refusal::truncated(&table, &column, &text)));
    }
    let converted = values::convert(value, from, to, values::NO_STYLE).map_err(failed)?;
    Ok(values::encode(converted, to))
}
