//! Values in SQLite's storage classes and back, without loss.
//!
//! Integers and bits are INTEGER, float and real REAL, binary types BLOB; everything else (decimals, money, dates, times,
//! guids, text) is TEXT in [`tillhold_core::text`]'s canonical form, so that equal bytes mean equal values. SQLite's
//! affinities are never relied on: every table is STRICT.

use crate::error::LocalError;
use crate::file::Trouble;
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Row as SqlRow, Statement};
use std::borrow::Cow;
use std::mem;
use tillhold_core::fit::{Misfit, fit, is_fitted};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Integer,
    Real,
    Text,
    Blob,
}

pub(crate) fn storage(of: SqlType) -> Storage {
    match of {
        SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            Storage::Integer
        }
        SqlType::Float | SqlType::Real => Storage::Real,
        _ if of.is_binary() => Storage::Blob,
        _ => Storage::Text,
    }
}

/// The value as it is stored. What already has the column's shape is taken as it is; the rest is made to fit or refused.
pub(crate) fn stored(value: &Value, of: SqlType) -> Result<ToSqlOutput<'_>, Misfit> {
    Ok(match (value, of) {
        (Value::Null, _) => ToSqlOutput::Owned(Stored::Null),
        (Value::Bool(bit), SqlType::Bit) => ToSqlOutput::Owned(Stored::Integer(i64::from(*bit))),
        (
            Value::Int(number),
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt,
        ) => ToSqlOutput::Owned(Stored::Integer(*number)),
        (Value::Float(number), SqlType::Float | SqlType::Real) => {
            ToSqlOutput::Owned(Stored::Real(*number))
        }
        (Value::Decimal(decimal), _) if has_scale_of(*decimal, of) => {
            ToSqlOutput::Owned(Stored::Text(decimal.text()))
        }
        (Value::Text(text), of) if of.is_text() => {
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        (Value::Bytes(bytes), of) if of.is_binary() => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        (Value::Date(_), SqlType::Date)
        | (Value::Time(_), SqlType::Time { .. })
        | (Value::Timestamp(_), SqlType::SmallDateTime | SqlType::DateTime)
        | (Value::Timestamp(_), SqlType::DateTime2 { .. })
        | (Value::OffsetTimestamp(_), SqlType::DateTimeOffset { .. })
        | (Value::Guid(_), SqlType::UniqueIdentifier) => canonical(value, of),
        _ => canonical_fit(value, of)?,
    })
}

fn has_scale_of(decimal: Decimal, of: SqlType) -> bool {
    match of {
        SqlType::Decimal { scale, .. } => decimal.scale() == scale,
        SqlType::Money | SqlType::SmallMoney => decimal.scale() == 4,
        _ => false,
    }
}

fn canonical(value: &Value, of: SqlType) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(match text::canonical(value, of) {
        Some(text) => Stored::Text(text),
        None => Stored::Null,
    })
}

/// A value of a looser shape (a whole number for a decimal, a decimal of another scale), once it fits.
fn canonical_fit(value: &Value, of: SqlType) -> Result<ToSqlOutput<'static>, Misfit> {
    let fitted = fit(value.clone(), of)?;
    Ok(match (&fitted, storage(of)) {
        (Value::Bool(bit), Storage::Integer) => ToSqlOutput::Owned(Stored::Integer((*bit).into())),
        (Value::Float(number), Storage::Real) => ToSqlOutput::Owned(Stored::Real(*number)),
        _ => canonical(&fitted, of),
    })
}

/// The value of a stored cell, or why the column cannot hold it (another program wrote it).
pub(crate) fn loaded(cell: ValueRef<'_>, of: SqlType) -> Result<Value, Misfit> {
    let misfit = |reason: String| Err(Misfit { reason });
    match (cell, storage(of)) {
        (ValueRef::Null, _) => Ok(Value::Null),
        (ValueRef::Integer(number), Storage::Integer) => fit(Value::Int(number), of),
        (ValueRef::Real(number), Storage::Real) => fit(Value::Float(number), of),
        (ValueRef::Blob(bytes), Storage::Blob) => fit(Value::Bytes(bytes.to_vec()), of),
        (ValueRef::Text(bytes), Storage::Text) => match std::str::from_utf8(bytes) {
            Ok(text) if of.is_text() => Ok(Value::Text(text.to_string())),
            Ok(text) => text::parse(text, of),
            Err(_) => misfit("its text is not UTF-8".to_string()),
        },
        (other, _) => misfit(format!("a stored {} is no {of}", other.data_type())),
    }
}

/// Binds a whole row to parameters 1 and up, after its width and its NULLs are checked.
pub(crate) fn bind_row(
    statement: &mut Statement<'_>,
    table: &Table,
    row: &Row,
) -> Result<(), Trouble> {
    if row.0.len() != table.columns.len() {
        let (given, expected) = (row.0.len(), table.columns.len());
        return Err(LocalError::Width { table: table.name.clone(), given, expected }.into());
    }
    for (at, value) in row.0.iter().enumerate() {
        bind(statement, table, at, value, at + 1)?;
    }
    Ok(())
}

/// Binds a key to the parameters from `first` on.
pub(crate) fn bind_key(
    statement: &mut Statement<'_>,
    table: &Table,
    key: &Key,
    first: usize,
) -> Result<(), Trouble> {
    if key.0.len() != table.key.len() {
        let (given, expected) = (key.0.len(), table.key.len());
        return Err(LocalError::Width { table: table.name.clone(), given, expected }.into());
    }
    for (nth, (value, at)) in key.0.iter().zip(&table.key).enumerate() {
        bind(statement, table, *at, value, first + nth)?;
    }
    Ok(())
}

fn bind(
    statement: &mut Statement<'_>,
    table: &Table,
    at: usize,
    value: &Value,
    parameter: usize,
) -> Result<(), Trouble> {
    let column = &table.columns[at];
    let misfit = |reason: Cow<'static, str>| LocalError::Misfit {
        table: table.name.clone(),
        column: column.name.clone(),
        reason: reason.into_owned(),
    };
    if value.is_null() && !column.nullable {
        return Err(misfit("it may not be NULL".into()).into());
    }
    let cell = stored(value, column.of).map_err(|refusal| misfit(refusal.reason.into()))?;
    Ok(statement.raw_bind_parameter(parameter, cell)?)
}

/// Reads the table's columns from a result row, starting at its column `first`.
pub(crate) fn read_row(found: &SqlRow<'_>, table: &Table, first: usize) -> Result<Row, Trouble> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (at, column) in table.columns.iter().enumerate() {
        let value = loaded(found.get_ref(first + at)?, column.of)
            .map_err(|refusal| unreadable(table, &column.name, refusal.reason))?;
        values.push(value);
    }
    Ok(Row(values))
}

/// The same of its key's columns alone.
pub(crate) fn read_key(found: &SqlRow<'_>, table: &Table) -> Result<Key, Trouble> {
    let one = |(at, column): (usize, &Column)| {
        let refused = |refusal: Misfit| unreadable(table, &column.name, refusal.reason);
        Ok(loaded(found.get_ref(at)?, column.of).map_err(refused)?)
    };
    table.key_columns().enumerate().map(one).collect::<Result<_, Trouble>>().map(Key)
}

pub(crate) fn unreadable(table: &Table, column: &str, reason: String) -> LocalError {
    LocalError::Unreadable { table: table.name.clone(), column: column.to_string(), reason }
}

/// The row with every value as its column holds it, or the first column that cannot.
pub(crate) fn fit_row(table: &Table, mut row: Row) -> Result<Row, LocalError> {
    if row.0.len() != table.columns.len() {
        let (given, expected) = (row.0.len(), table.columns.len());
        return Err(LocalError::Width { table: table.name.clone(), given, expected });
    }
    for (value, column) in row.0.iter_mut().zip(&table.columns) {
        // Most do, and stay where they are.
        if is_fitted(value, column.of) {
            continue;
        }
        *value = fit(mem::replace(value, Value::Null), column.of).map_err(|refusal| {
            LocalError::Misfit {
                table: table.name.clone(),
                column: column.name.clone(),
                reason: refusal.reason,
            }
        })?;
    }
    Ok(row)
}
