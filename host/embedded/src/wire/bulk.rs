//! The stream of a bulk load (2.2.6.1): column metadata, rows, an end; decoded as it arrives.
//!
//! * Memory: one portion of rows and one incomplete row, the latter at most
//!   [`TDS_MESSAGE_BYTES_MAX`](tillhold_core::limits::TDS_MESSAGE_BYTES_MAX) bytes.
//! * A row that is not there yet whole is not tried again before the bytes have doubled, so that a huge value in
//!   small packets costs no more than twice its length.

use super::reader::Reader;
use super::type_info::{Layout, WireType};
use super::value_in::{Place, take_value};
use crate::answer::{ResultColumn, SqlError};
use crate::fault::ServerError;
use tillhold_core::fit::fit;
use tillhold_core::limits::{TDS_BULK_BYTES_MAX, TDS_BULK_ROWS_MAX, TDS_MESSAGE_BYTES_MAX};
use tillhold_core::value::Value;

const COLMETADATA: u8 = 0x81;
const ROW: u8 = 0xD1;
const NBCROW: u8 = 0xD2;
const DONE: u8 = 0xFD;

/// Why a bulk load fails.
#[derive(Debug)]
pub enum BulkError {
    /// The stream cannot be read.
    Wire(ServerError),
    /// A value does not fit its column, with SQL Server's number.
    Sql(SqlError),
}

impl From<ServerError> for BulkError {
    fn from(error: ServerError) -> BulkError {
        BulkError::Wire(error)
    }
}

pub struct BulkDecoder {
    target: Vec<ResultColumn>,
    columns: Option<Vec<WireType>>,
    waiting: Vec<u8>,
    /// Bytes without which another try is in vain.
    worth_trying: usize,
    rows: Vec<Vec<Value>>,
    rows_bytes: usize,
    row_number: u64,
    ended: bool,
}

impl BulkDecoder {
    pub fn new(target: Vec<ResultColumn>) -> BulkDecoder {
        BulkDecoder {
            target,
            columns: None,
            waiting: Vec::new(),
            worth_trying: 0,
            rows: Vec::new(),
            rows_bytes: 0,
            row_number: 0,
            ended: false,
        }
    }

    /// Takes a packet's bytes and decodes the rows that are whole. `last`: nothing follows.
    pub fn feed(&mut self, bytes: &[u8], last: bool) -> Result<(), BulkError> {
        self.waiting.extend_from_slice(bytes);
        if !last && self.waiting.len() < self.worth_trying {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let decoded = self.decode(&waiting, last)?;
        self.waiting = waiting;
        self.waiting.drain(..decoded);
        self.worth_trying = self.waiting.len() * 2;
        if self.waiting.len() > TDS_MESSAGE_BYTES_MAX {
            let bytes = self.waiting.len();
            return Err(too_long(bytes).into());
        }
        if last && (!self.waiting.is_empty() || self.columns.is_none()) {
            return Err(ServerError::Truncated.into());
        }
        Ok(())
    }

    /// Rows for the engine, once a portion has come together or, at the end, what there is.
    pub fn portion(&mut self, last: bool) -> Option<Vec<Vec<Value>>> {
        let full = self.rows.len() >= TDS_BULK_ROWS_MAX || self.rows_bytes >= TDS_BULK_BYTES_MAX;
        if self.rows.is_empty() || !(full || last) {
            return None;
        }
        self.rows_bytes = 0;
        Some(std::mem::take(&mut self.rows))
    }

    /// Answers how many bytes are dealt with.
    fn decode(&mut self, bytes: &[u8], last: bool) -> Result<usize, BulkError> {
        let mut done = 0;
        while done < bytes.len() {
            if self.ended {
                return Err(ServerError::Malformed { what: "bulk data after its end" }.into());
            }
            let mut reader = Reader::new(&bytes[done..]);
            match self.token(&mut reader, last) {
                Ok(()) => done += reader.position(),
                Err(BulkError::Wire(ServerError::Truncated)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn token(&mut self, reader: &mut Reader<'_>, last: bool) -> Result<(), BulkError> {
        match (reader.u8()?, self.columns.is_some()) {
            (COLMETADATA, false) => {
                self.columns = Some(read_columns(reader, &self.target)?);
            }
            (ROW, true) => self.row(reader, false)?,
            (NBCROW, true) => self.row(reader, true)?,
            (DONE, true) => {
                read_done(reader, last)?;
                self.ended = true;
            }
            _ => {
                return Err(ServerError::Malformed { what: "an unknown token in bulk data" }.into());
            }
        }
        Ok(())
    }

    fn row(&mut self, reader: &mut Reader<'_>, with_null_bits: bool) -> Result<(), BulkError> {
        let columns = self.columns.as_deref().unwrap_or_default();
        let nulls = if with_null_bits { reader.take(columns.len().div_ceil(8))? } else { &[] };
        let mut row = Vec::with_capacity(columns.len());
        for (at, (wire, target)) in columns.iter().zip(&self.target).enumerate() {
            let is_null = nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            let value = if is_null { Value::Null } else { take_value(reader, wire, Place::Row)? };
            row.push(fitted(value, wire, target, self.row_number + 1, at + 1)?);
        }
        self.row_number += 1;
        self.rows_bytes += reader.position();
        self.rows.push(row);
        Ok(())
    }
}

/// Status, command and count. Microsoft's loaders count in four bytes, as before TDS 7.2; others in eight.
fn read_done(reader: &mut Reader<'_>, last: bool) -> Result<(), ServerError> {
    match reader.rest().len() {
        12 => Ok(()),
        8 if last => Ok(()),
        0..12 => Err(ServerError::Truncated),
        _ => Err(ServerError::Malformed { what: "bulk data after its end" }),
    }
}

fn too_long(bytes: usize) -> ServerError {
    ServerError::TooLong { what: "a bulk row", bytes, most: TDS_MESSAGE_BYTES_MAX }
}

fn read_columns(
    reader: &mut Reader<'_>,
    target: &[ResultColumn],
) -> Result<Vec<WireType>, ServerError> {
    let count = usize::from(reader.u16()?);
    if count != target.len() {
        return Err(ServerError::Malformed {
            what: "bulk data of another number of columns than INSERT BULK names",
        });
    }
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let _user_type_and_flags = reader.take(6)?;
        let wire = WireType::read(reader)?;
        if wire.layout == Layout::Long {
            // A bare table name, unlike the counted parts that a server sends.
            let _table = reader.us_varchar()?;
        }
        let _name = reader.b_varchar()?;
        columns.push(wire);
    }
    Ok(columns)
}

/// The value as the target column holds it.
fn fitted(
    value: Value,
    wire: &WireType,
    target: &ResultColumn,
    row: u64,
    column: usize,
) -> Result<Value, BulkError> {
    if wire.of == target.of || value.is_null() {
        return Ok(value);
    }
    fit(value, target.of).map_err(|misfit| {
        let message = format!(
            "Bulk load data conversion error for row {row}, column {column} ({}): {misfit}.",
            target.name
        );
        BulkError::Sql(SqlError::new(4_863, message))
    })
}

#[cfg(test)]
mod tests {
    use super::BulkDecoder;
    use crate::answer::ResultColumn;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    /// One nullable int column `v`, the rows 1 and NULL, and an end with so many bytes.
    fn stream(done: usize) -> Vec<u8> {
        let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'v', 0];
        bytes.extend([0xD1, 4, 1, 0, 0, 0, 0xD1, 0, 0xFD]);
        bytes.resize(bytes.len() + done, 0);
        bytes
    }

    /// The rows of a stream that comes in two packets, or that it is refused.
    fn load(stream: &[u8], first: usize) -> Option<Vec<Vec<Value>>> {
        let name = "v".to_string();
        let target = vec![ResultColumn { name, of: SqlType::Int, nullable: true }];
        let mut decoder = BulkDecoder::new(target);
        decoder.feed(&stream[..first], false).ok()?;
        decoder.feed(&stream[first..], true).ok()?;
        decoder.portion(true)
    }

    #[test]
    fn an_end_may_count_in_four_bytes_or_eight() {
        let rows = Some(vec![vec![Value::Int(1)], vec![Value::Null]]);
        for (done, expected) in [(8, &rows), (12, &rows), (7, &None), (9, &None), (13, &None)] {
            let stream = stream(done);
            for first in 0..stream.len() {
                assert_eq!(&load(&stream, first), expected, "{done} bytes, the first {first}");
            }
        }
    }
}
