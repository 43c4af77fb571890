//! A transformer's answer into verdicts. Nothing that a plugin says is believed: every count, number, text and value
//! is checked here, and one wrong one refuses the whole answer, because a plugin that is wrong once is not understood.

use crate::wire::Verdict as Said;
use crate::wire::{Answer, Change, Column, ColumnData, Decimal as WireDecimal};
use crate::wire::{OtherColumn, PackedColumn};
use std::ops::Range;
use tillhold_core::fit::fit;
use tillhold_core::moment::{Date, OffsetTimestamp, TICKS_PER_DAY, Time, Timestamp};
use tillhold_core::table::{Column as Declared, Table};
use tillhold_core::text;
use tillhold_core::value::{Decimal, Value};

/// What becomes of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// As it is.
    Keep,
    /// With these cells changed: position in the table's columns, and the value as the column holds it.
    Replace(Vec<(usize, Value)>),
    /// Ends here, by rule.
    Drop,
    /// Set aside for a person, with the reason.
    Refuse(String),
}

/// One verdict for each of `rows` rows. `writes` are the positions that the plugin declared; the error says what is
/// wrong with the answer.
pub(crate) fn verdicts(
    table: &Table,
    writes: &[usize],
    rows: usize,
    reason_bytes_max: usize,
    answer: Answer,
) -> Result<Vec<Verdict>, String> {
    if answer.verdicts.len() != rows {
        return Err(format!("{} verdicts for {rows} rows", answer.verdicts.len()));
    }
    let mut reasons = answer.reasons.into_iter();
    let mut verdicts = Vec::with_capacity(rows);
    for (number, said) in answer.verdicts.iter().enumerate() {
        verdicts.push(match said {
            Said::Keep => Verdict::Keep,
            Said::Drop => Verdict::Drop,
            Said::Refuse => match reasons.next() {
                Some(reason) => Verdict::Refuse(plain(&reason, reason_bytes_max)),
                None => return Err(format!("row {} is refused without a reason", number + 1)),
            },
        });
    }
    if reasons.next().is_some() {
        return Err("more reasons than refused rows".to_string());
    }
    let mut changed = vec![false; writes.len()];
    for change in answer.changes {
        let at = usize::try_from(change.column).unwrap_or(usize::MAX);
        let Some(position) = writes.get(at) else {
            return Err(format!("a change in column {at}, but it declared {}", writes.len()));
        };
        if std::mem::replace(&mut changed[at], true) {
            return Err(format!("{} is changed twice", table.columns[*position].name));
        }
        apply(table, *position, change, &mut verdicts)?;
    }
    Ok(verdicts)
}

/// One line without control characters, for a person.
pub(crate) fn plain(text: &str, bytes_max: usize) -> String {
    let short = &text[..text.floor_char_boundary(bytes_max)];
    short.replace(|c: char| c.is_control(), " ")
}

fn apply(
    table: &Table,
    position: usize,
    change: Change,
    verdicts: &mut [Verdict],
) -> Result<(), String> {
    let column = &table.columns[position];
    let values = Values::new(&change.values, change.rows.len())?;
    let mut next = 0;
    for (at, row) in change.rows.iter().enumerate() {
        // For people, who count lines from one.
        let wrong = |what: &str| format!("row {}, {}: {what}", u64::from(*row) + 1, column.name);
        let number = *row as usize;
        if number < next {
            return Err(wrong("the numbers of the rows do not ascend"));
        }
        next = number + 1;
        let value = values.at(at, column).map_err(|what| wrong(&what))?;
        match verdicts.get_mut(number) {
            Some(verdict @ Verdict::Keep) => *verdict = Verdict::Replace(vec![(position, value)]),
            Some(Verdict::Replace(cells)) => cells.push((position, value)),
            Some(_) => return Err(wrong("changed, but not kept")),
            None => return Err(wrong("there is no such row")),
        }
    }
    Ok(())
}

/// The value as `column` holds it, or why it cannot.
pub(crate) fn fitted(value: Value, column: &Declared) -> Result<Value, String> {
    if value.is_null() && !column.nullable {
        return Err("it must not be NULL".to_string());
    }
    fit(value, column.of).map_err(|misfit| misfit.reason)
}

pub(crate) fn decimal(wire: WireDecimal) -> Result<Value, String> {
    let unscaled = i128::from(wire.high) << 64 | i128::from(wire.low);
    let decimal = Decimal::new(unscaled, wire.scale);
    decimal.map(Value::Decimal).ok_or_else(|| "a decimal of more than 38 digits".to_string())
}

pub(crate) fn date(days: i32) -> Result<Value, String> {
    let range = Date::from_civil(1, 1, 1)..=Date::from_civil(9999, 12, 31);
    let date = Date(days);
    in_range(range.contains(&Some(date)), Value::Date(date))
}

pub(crate) fn time(ticks: u64) -> Result<Value, String> {
    in_range(ticks < TICKS_PER_DAY as u64, Value::Time(Time(ticks)))
}

pub(crate) fn timestamp(ticks: i64) -> Result<Value, String> {
    moment(ticks).map(Value::Timestamp)
}

pub(crate) fn offset_timestamp(utc: i64, offset_minutes: i16) -> Result<Value, String> {
    let utc = moment(utc)?;
    // SQL Server's range is 14 hours either way ("datetimeoffset", Transact-SQL reference).
    let value = Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes });
    in_range(offset_minutes.unsigned_abs() <= 14 * 60, value)
}

fn moment(ticks: i64) -> Result<Timestamp, String> {
    const DAYS: i64 = 3_652_059;
    if (0..DAYS * TICKS_PER_DAY).contains(&ticks) {
        return Ok(Timestamp(ticks));
    }
    Err(OUT_OF_RANGE.to_string())
}

const OUT_OF_RANGE: &str = "a date or time outside years 1 to 9999";

fn in_range(is: bool, value: Value) -> Result<Value, String> {
    if is { Ok(value) } else { Err(OUT_OF_RANGE.to_string()) }
}

/// A column of an answer whose lengths have been checked.
struct Values<'a> {
    column: &'a Column,
    /// The bytes of a text column, if they are UTF-8 as a whole: then only the cuts are to be looked at.
    text: Option<&'a str>,
}

impl<'a> Values<'a> {
    fn new(column: &'a Column, rows: usize) -> Result<Values<'a>, String> {
        let validity = column.validity.len();
        if validity != 0 && validity != rows {
            return Err(format!("{validity} validity bytes for {rows} changed rows"));
        }
        if column.validity.iter().any(|byte| *byte > 1) {
            return Err("a validity byte is neither 0 nor 1".to_string());
        }
        let values = lengths(&column.data)?;
        if values != rows {
            return Err(format!("{values} values for {rows} changed rows"));
        }
        let text = match &column.data {
            ColumnData::Texts(cells) | ColumnData::Others(OtherColumn { texts: cells, .. }) => {
                std::str::from_utf8(&cells.bytes).ok()
            }
            _ => None,
        };
        Ok(Values { column, text })
    }

    fn at(&self, at: usize, declared: &Declared) -> Result<Value, String> {
        if self.column.validity.get(at) == Some(&0) {
            return fitted(Value::Null, declared);
        }
        let value = match &self.column.data {
            ColumnData::Booleans(cells) => Value::Bool(cells[at]),
            ColumnData::Integers(cells) => Value::Int(cells[at]),
            ColumnData::Floats(cells) => Value::Float(cells[at]),
            ColumnData::Decimals(cells) => {
                let (low, high) = (cells.low[at], cells.high[at]);
                decimal(WireDecimal { scale: cells.scale, low, high })?
            }
            ColumnData::Texts(cells) => Value::Text(self.utf8(cells, at)?.to_string()),
            ColumnData::Binaries(cells) => Value::Bytes(packed(cells, at).to_vec()),
            ColumnData::Dates(cells) => date(cells[at])?,
            ColumnData::Times(cells) => time(cells[at])?,
            ColumnData::Timestamps(cells) => timestamp(cells[at])?,
            ColumnData::OffsetTimestamps(cells) => {
                offset_timestamp(cells.utc[at], cells.offset_minutes[at])?
            }
            ColumnData::Guids(bytes) => {
                let guid = bytes[16 * at..16 * (at + 1)].try_into();
                Value::Guid(guid.expect("16 bytes a guid were counted"))
            }
            ColumnData::Others(cells) => {
                let text = self.utf8(&cells.texts, at)?;
                return text::parse(text, declared.of).map_err(|misfit| misfit.reason);
            }
        };
        fitted(value, declared)
    }

    fn utf8(&self, cells: &'a PackedColumn, at: usize) -> Result<&'a str, String> {
        match self.text.and_then(|text| text.get(span(cells, at))) {
            Some(text) => Ok(text),
            None => std::str::from_utf8(packed(cells, at)).map_err(|e| format!("not UTF-8: {e}")),
        }
    }
}

/// How many values there are, once all parts agree on it.
fn lengths(data: &ColumnData) -> Result<usize, String> {
    let equal = |a: usize, b: usize| match a == b {
        true => Ok(a),
        false => Err(format!("the halves of a column differ: {a} and {b}")),
    };
    match data {
        ColumnData::Booleans(cells) => Ok(cells.len()),
        ColumnData::Integers(cells) => Ok(cells.len()),
        ColumnData::Floats(cells) => Ok(cells.len()),
        ColumnData::Decimals(cells) => equal(cells.low.len(), cells.high.len()),
        ColumnData::Texts(cells) | ColumnData::Binaries(cells) => offsets(cells),
        ColumnData::Dates(cells) => Ok(cells.len()),
        ColumnData::Times(cells) => Ok(cells.len()),
        ColumnData::Timestamps(cells) => Ok(cells.len()),
        ColumnData::OffsetTimestamps(cells) => equal(cells.utc.len(), cells.offset_minutes.len()),
        ColumnData::Guids(bytes) if bytes.len() % 16 == 0 => Ok(bytes.len() / 16),
        ColumnData::Guids(bytes) => Err(format!("{} bytes of guids", bytes.len())),
        ColumnData::Others(cells) => offsets(&cells.texts),
    }
}

fn offsets(cells: &PackedColumn) -> Result<usize, String> {
    let ascending = cells.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let (first, last) = (cells.offsets.first(), cells.offsets.last());
    let whole = last.is_some_and(|last| *last as usize == cells.bytes.len());
    if first != Some(&0) || !ascending || !whole {
        return Err("the offsets of a packed column do not cut its bytes".to_string());
    }
    Ok(cells.offsets.len() - 1)
}

fn span(cells: &PackedColumn, at: usize) -> Range<usize> {
    cells.offsets[at] as usize..cells.offsets[at + 1] as usize
}

fn packed(cells: &PackedColumn, at: usize) -> &[u8] {
    &cells.bytes[span(cells, at)]
}
