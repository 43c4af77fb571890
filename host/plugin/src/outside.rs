//! Answers of a guest, made of bytes: what no tool chain would build, a hostile guest can still say. For whoever sends the
//! host input that means harm (tests/harm); what judges them is the code that judges every answer.

use crate::answer::{self, Verdict};
use crate::conflicts;
use crate::uses::Plan;
use crate::wire::{
    Answer, Cell, Change, Column, ColumnData, Decimal, DecimalColumn, OffsetTimestamp,
    OffsetTimestampColumn, Other, OtherColumn, PackedColumn, Resolution as SaidResolution, Value,
    Verdict as Said,
};
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::limits::PLUGIN_LOG_LINE_BYTES_MAX;
use tillhold_core::table::Table;

/// A transformer's answer for `rows` rows, of a plugin that may write the columns at `writes`.
pub fn verdicts(
    table: &Table,
    writes: &[usize],
    rows: usize,
    bytes: &[u8],
) -> Result<Vec<Verdict>, String> {
    let answer = Bytes(bytes).answer();
    answer::verdicts(table, writes, rows, PLUGIN_LOG_LINE_BYTES_MAX, answer)
}

/// A resolver's answer to one conflict, of a plugin that reads and writes the columns at these positions.
pub fn resolution(
    conflict: &Conflict,
    reads: &[usize],
    writes: &[usize],
    bytes: &[u8],
) -> Result<Resolution, String> {
    let plan = Plan {
        spelled: conflict.table.name.to_string(),
        reads: reads.to_vec(),
        writes: writes.to_vec(),
        writes_granted: false,
    };
    let said = Bytes(bytes).resolution(&conflict.table);
    conflicts::from_wire(&plan, conflict, PLUGIN_LOG_LINE_BYTES_MAX, said)
}

/// What is left of the bytes; noughts behind their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> i64 {
        // Small numbers are the usual ones, and the others are all extreme.
        match self.byte() {
            255 => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            254 => i64::MAX,
            253 => i64::MIN,
            252 => -1,
            small => i64::from(small),
        }
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.byte() % 16;
        (0..count).map(|_| one(self)).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.list(Bytes::byte)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn float(&mut self) -> f64 {
        match self.byte() {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -0.0,
            3 => f64::MAX,
            _ => self.number() as f64 / 7.0,
        }
    }

    fn packed(&mut self) -> PackedColumn {
        PackedColumn { offsets: self.list(|bytes| bytes.number() as u32), bytes: self.bytes() }
    }

    fn answer(&mut self) -> Answer {
        let verdict = |bytes: &mut Self| match bytes.byte() {
            1 => Said::Drop,
            2 => Said::Refuse,
            _ => Said::Keep,
        };
        Answer {
            verdicts: self.list(verdict),
            reasons: self.list(Bytes::text),
            changes: self.list(Bytes::change),
        }
    }

    fn change(&mut self) -> Change {
        Change {
            column: self.number() as u32,
            rows: self.list(|bytes| bytes.number() as u32),
            values: Column { validity: self.bytes(), data: self.data() },
        }
    }

    fn data(&mut self) -> ColumnData {
        match self.byte() % 12 {
            0 => ColumnData::Booleans(self.list(|bytes| bytes.byte() & 1 == 1)),
            1 => ColumnData::Integers(self.list(Bytes::number)),
            2 => ColumnData::Floats(self.list(Bytes::float)),
            3 => ColumnData::Decimals(DecimalColumn {
                scale: self.byte(),
                low: self.list(|bytes| bytes.number() as u64),
                high: self.list(Bytes::number),
            }),
            4 => ColumnData::Texts(self.packed()),
            5 => ColumnData::Binaries(self.packed()),
            6 => ColumnData::Dates(self.list(|bytes| bytes.number() as i32)),
            7 => ColumnData::Times(self.list(|bytes| bytes.number() as u64)),
            8 => ColumnData::Timestamps(self.list(Bytes::number)),
            9 => ColumnData::OffsetTimestamps(OffsetTimestampColumn {
                utc: self.list(Bytes::number),
                offset_minutes: self.list(|bytes| bytes.number() as i16),
            }),
            10 => ColumnData::Guids(self.bytes()),
            _ => ColumnData::Others(OtherColumn { sql_type: self.text(), texts: self.packed() }),
        }
    }

    fn resolution(&mut self, table: &Table) -> SaidResolution {
        match self.byte() % 4 {
            0 => SaidResolution::TakeChannel,
            1 => SaidResolution::TakeOffline,
            2 => SaidResolution::Deferred(self.text()),
            _ => SaidResolution::Merged(self.list(|bytes| {
                let column = match table.columns.get(usize::from(bytes.byte())) {
                    Some(column) => column.name.clone(),
                    None => bytes.text(),
                };
                Cell { column, value: bytes.value() }
            })),
        }
    }

    fn value(&mut self) -> Value {
        match self.byte() % 13 {
            0 => Value::Null,
            1 => Value::Boolean(self.byte() & 1 == 1),
            2 => Value::Integer(self.number()),
            3 => Value::Float(self.float()),
            4 => Value::Decimal(Decimal {
                scale: self.byte(),
                low: self.number() as u64,
                high: self.number(),
            }),
            5 => Value::Text(self.text()),
            6 => Value::Binary(self.bytes()),
            7 => Value::Date(self.number() as i32),
            8 => Value::Time(self.number() as u64),
            9 => Value::Timestamp(self.number()),
            10 => Value::OffsetTimestamp(OffsetTimestamp {
                utc: self.number(),
                offset_minutes: self.number() as i16,
            }),
            11 => Value::Guid(self.bytes()),
            _ => Value::Other(Other { sql_type: self.text(), text: self.text() }),
        }
    }
}
