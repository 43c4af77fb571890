//! A row of an answer, read from left to right: our own statements fix the order of their columns.
//!
//! Integers of any width are taken where a number is asked for; anything else that does not match
//! is an unexpected answer, named by the column.

use crate::convert;
use crate::error::ChannelError;
use crate::surrogate::Refused;
use tiberius::ColumnData;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

pub(crate) struct Cells {
    what: &'static str,
    cells: std::vec::IntoIter<ColumnData<'static>>,
}

impl Cells {
    pub(crate) fn new(what: &'static str, cells: Vec<ColumnData<'static>>) -> Cells {
        Cells { what, cells: cells.into_iter() }
    }

    pub(crate) fn of(what: &'static str, row: tiberius::Row) -> Cells {
        Cells { what, cells: row.into_iter() }
    }

    fn next(&mut self, column: &str) -> Result<ColumnData<'static>, ChannelError> {
        self.cells.next().ok_or_else(|| self.unexpected(column, "is missing"))
    }

    fn unexpected(&self, column: &str, problem: &str) -> ChannelError {
        ChannelError::Unexpected {
            what: format!("asked to {}, column {column} {problem}", self.what),
        }
    }

    pub(crate) fn optional_number(&mut self, column: &str) -> Result<Option<i64>, ChannelError> {
        match self.next(column)? {
            ColumnData::U8(number) => Ok(number.map(i64::from)),
            ColumnData::I16(number) => Ok(number.map(i64::from)),
            ColumnData::I32(number) => Ok(number.map(i64::from)),
            ColumnData::I64(number) => Ok(number),
            ColumnData::Bit(bit) => Ok(bit.map(i64::from)),
            other => Err(self.unexpected(column, &format!("is no number: {other:?}"))),
        }
    }

    pub(crate) fn number(&mut self, column: &str) -> Result<i64, ChannelError> {
        let number = self.optional_number(column)?;
        number.ok_or_else(|| self.unexpected(column, "is NULL"))
    }

    pub(crate) fn flag(&mut self, column: &str) -> Result<bool, ChannelError> {
        Ok(self.number(column)? != 0)
    }

    pub(crate) fn optional_version(
        &mut self,
        column: &str,
    ) -> Result<Option<ChannelVersion>, ChannelError> {
        let Some(number) = self.optional_number(column)? else { return Ok(None) };
        let version = u64::try_from(number).map_err(|_| self.unexpected(column, "is negative"))?;
        Ok(Some(ChannelVersion(version)))
    }

    pub(crate) fn version(&mut self, column: &str) -> Result<ChannelVersion, ChannelError> {
        let version = self.optional_version(column)?;
        version.ok_or_else(|| self.unexpected(column, "is NULL"))
    }

    pub(crate) fn optional_text(&mut self, column: &str) -> Result<Option<String>, ChannelError> {
        match self.next(column)? {
            ColumnData::String(text) => Ok(text.map(|t| t.into_owned())),
            other => Err(self.unexpected(column, &format!("is no text: {other:?}"))),
        }
    }

    pub(crate) fn text(&mut self, column: &str) -> Result<String, ChannelError> {
        let text = self.optional_text(column)?;
        text.ok_or_else(|| self.unexpected(column, "is NULL"))
    }

    pub(crate) fn optional_guid(&mut self, column: &str) -> Result<Option<[u8; 16]>, ChannelError> {
        match self.next(column)? {
            ColumnData::Guid(guid) => Ok(guid.map(|g| g.into_bytes())),
            other => Err(self.unexpected(column, &format!("is no guid: {other:?}"))),
        }
    }

    pub(crate) fn optional_bytes(&mut self, column: &str) -> Result<Option<Vec<u8>>, ChannelError> {
        match self.next(column)? {
            ColumnData::Binary(bytes) => Ok(bytes.map(|b| b.into_owned())),
            other => Err(self.unexpected(column, &format!("is no binary: {other:?}"))),
        }
    }

    fn value(&mut self, table: &Table, column: &Column) -> Result<Value, ChannelError> {
        let cell = self.next(&column.name)?;
        convert::value(cell, column.of).map_err(|misfit| undecodable(table, column, misfit.reason))
    }

    /// The rest of the row as a row of the table.
    pub(crate) fn row(mut self, table: &Table) -> Result<Row, ChannelError> {
        let values: Result<Vec<Value>, ChannelError> =
            table.columns.iter().map(|column| self.value(table, column)).collect();
        Ok(Row(values?))
    }

    /// The same, but a cell that cannot be carried costs its row alone: NULL stands in its place.
    /// Without its key a row could not be set aside, so a key's cell still costs the answer.
    pub(crate) fn row_or_refusal(
        mut self,
        table: &Table,
    ) -> Result<(Row, Option<Refused>), ChannelError> {
        let mut values = Vec::with_capacity(table.columns.len());
        let mut first = None;
        for (at, column) in table.columns.iter().enumerate() {
            let cell = self.next(&column.name)?;
            values.push(match convert::value(cell, column.of) {
                Ok(value) => value,
                Err(misfit) if table.is_key(at) => {
                    return Err(undecodable(table, column, misfit.reason));
                }
                Err(misfit) => {
                    first.get_or_insert((at, misfit.reason));
                    Value::Null
                }
            });
        }
        let row = Row(values);
        let refused =
            first.map(|(column, reason)| Refused { row: 0, key: row.key(table), column, reason });
        Ok((row, refused))
    }

    /// The next cells as a key of the table.
    pub(crate) fn key(&mut self, table: &Table) -> Result<Key, ChannelError> {
        let values: Result<Vec<Value>, ChannelError> =
            table.key_columns().map(|column| self.value(table, column)).collect();
        Ok(Key(values?))
    }
}

fn undecodable(table: &Table, column: &Column, reason: String) -> ChannelError {
    ChannelError::Undecodable { table: table.name.clone(), column: column.name.clone(), reason }
}
