//! Rows into columns: only those that the plugin declared, each as one run of memory (the measured choice:
//! 2.2 times native speed, where rows of variants take ten).

use crate::error::PluginError;
use crate::wire::{Column, Decimal as WireDecimal};
use crate::wire::{ColumnData, DecimalColumn, OffsetTimestampColumn, PackedColumn};
use tillhold_core::limits::{PLUGIN_BATCH_BYTES_MAX, PULL_PAGE_ROWS_MAX};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// The columns at `positions`, in that order, of all `rows`.
pub(crate) fn of_rows(
    table: &Table,
    positions: &[usize],
    rows: &[Row],
) -> Result<Vec<Column>, PluginError> {
    let column = |at: &usize| {
        let declared = &table.columns[*at];
        let cells = Cells { rows, at: *at };
        cells.column(declared.of).map_err(|found| PluginError::RowShape {
            table: table.name.clone(),
            column: declared.name.clone(),
            of: declared.of.to_string(),
            found,
        })
    };
    positions.iter().map(column).collect()
}

/// `rows` in runs that respect both limits of a batch; a single row above the limit in bytes goes alone.
pub(crate) fn batches<'a>(
    rows: &'a [Row],
    positions: &'a [usize],
) -> impl Iterator<Item = &'a [Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take(PULL_PAGE_ROWS_MAX).take_while(|row| {
            bytes += positions.iter().map(|at| weight(&row.0[*at])).sum::<usize>();
            bytes <= PLUGIN_BATCH_BYTES_MAX
        });
        let count = fitting.count().max(1).min(rest.len());
        let (batch, later) = rest.split_at(count);
        rest = later;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Bytes that a cell takes in a batch, about.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 16,
    }
}

/// 128 bits as the contract halves them.
pub(crate) fn halves(decimal: Decimal) -> WireDecimal {
    let unscaled = decimal.unscaled();
    WireDecimal { scale: decimal.scale(), low: unscaled as u64, high: (unscaled >> 64) as i64 }
}

struct Cells<'a> {
    rows: &'a [Row],
    at: usize,
}

/// The shape that was found where the column's type allows another.
type Found = &'static str;

impl Cells<'_> {
    fn column(&self, of: SqlType) -> Result<Column, Found> {
        match of {
            SqlType::Bit => self.fixed(ColumnData::Booleans, |value| match value {
                Value::Bool(bit) => Some(*bit),
                _ => None,
            }),
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
                self.fixed(ColumnData::Integers, |value| match value {
                    Value::Int(number) => Some(*number),
                    _ => None,
                })
            }
            SqlType::Decimal { scale, .. } => self.decimals(scale),
            SqlType::Money | SqlType::SmallMoney => self.decimals(4),
            SqlType::Float | SqlType::Real => self.fixed(ColumnData::Floats, |value| match value {
                Value::Float(number) => Some(*number),
                _ => None,
            }),
            SqlType::Date => self.fixed(ColumnData::Dates, |value| match value {
                Value::Date(date) => Some(date.0),
                _ => None,
            }),
            SqlType::Time { .. } => self.fixed(ColumnData::Times, |value| match value {
                Value::Time(time) => Some(time.0),
                _ => None,
            }),
            SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2 { .. } => {
                self.fixed(ColumnData::Timestamps, |value| match value {
                    Value::Timestamp(moment) => Some(moment.0),
                    _ => None,
                })
            }
            SqlType::DateTimeOffset { .. } => self.offset_timestamps(),
            SqlType::UniqueIdentifier => self.guids(),
            _ if of.is_binary() => self.packed(ColumnData::Binaries, |value| match value {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            }),
            _ => self.packed(ColumnData::Texts, |value| match value {
                Value::Text(text) => Some(text.as_bytes()),
                _ => None,
            }),
        }
    }

    /// Runs over the cells; `take` is given `None` for NULL. The answer is the validity.
    fn each<T>(
        &self,
        pick: impl Fn(&Value) -> Option<T>,
        mut take: impl FnMut(Option<T>),
    ) -> Result<Vec<u8>, Found> {
        let mut validity = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let value = &row.0[self.at];
            if value.is_null() {
                // Empty until the first NULL: most columns never pay for it.
                if validity.is_empty() {
                    validity = vec![1; self.rows.len()];
                }
                validity[number] = 0;
                take(None);
            } else {
                take(Some(pick(value).ok_or(value.shape())?));
            }
        }
        Ok(validity)
    }

    fn fixed<T: Default>(
        &self,
        data: impl FnOnce(Vec<T>) -> ColumnData,
        pick: impl Fn(&Value) -> Option<T>,
    ) -> Result<Column, Found> {
        let mut cells = Vec::with_capacity(self.rows.len());
        let validity = self.each(pick, |cell| cells.push(cell.unwrap_or_default()))?;
        Ok(Column { validity, data: data(cells) })
    }

    fn packed<'v>(
        &'v self,
        data: impl FnOnce(PackedColumn) -> ColumnData,
        pick: impl Fn(&'v Value) -> Option<&'v [u8]>,
    ) -> Result<Column, Found> {
        let mut packed = PackedColumn {
            offsets: Vec::with_capacity(self.rows.len() + 1),
            bytes: Vec::with_capacity(self.rows.iter().map(|row| weight(&row.0[self.at])).sum()),
        };
        packed.offsets.push(0);
        let mut validity = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let value = &row.0[self.at];
            if value.is_null() {
                if validity.is_empty() {
                    validity = vec![1; self.rows.len()];
                }
                validity[number] = 0;
            } else {
                packed.bytes.extend_from_slice(pick(value).ok_or(value.shape())?);
            }
            let end = u32::try_from(packed.bytes.len()).map_err(|_| "value of gigabytes")?;
            packed.offsets.push(end);
        }
        Ok(Column { validity, data: data(packed) })
    }

    fn decimals(&self, scale: u8) -> Result<Column, Found> {
        let (low, high) =
            (Vec::with_capacity(self.rows.len()), Vec::with_capacity(self.rows.len()));
        let mut column = DecimalColumn { scale, low, high };
        let pick = |value: &Value| match value {
            Value::Decimal(decimal) if decimal.scale() == scale => Some(*decimal),
            Value::Decimal(decimal) => decimal.rescale(scale),
            _ => None,
        };
        let validity = self.each(pick, |cell| {
            let WireDecimal { low, high, .. } = halves(cell.unwrap_or(Decimal::ZERO));
            column.low.push(low);
            column.high.push(high);
        })?;
        Ok(Column { validity, data: ColumnData::Decimals(column) })
    }

    fn offset_timestamps(&self) -> Result<Column, Found> {
        let mut column = OffsetTimestampColumn { utc: Vec::new(), offset_minutes: Vec::new() };
        let pick = |value: &Value| match value {
            Value::OffsetTimestamp(moment) => Some((moment.utc.0, moment.offset_minutes)),
            _ => None,
        };
        let validity = self.each(pick, |cell| {
            let (utc, minutes) = cell.unwrap_or_default();
            column.utc.push(utc);
            column.offset_minutes.push(minutes);
        })?;
        Ok(Column { validity, data: ColumnData::OffsetTimestamps(column) })
    }

    fn guids(&self) -> Result<Column, Found> {
        let mut bytes = Vec::with_capacity(16 * self.rows.len());
        let pick = |value: &Value| match value {
            Value::Guid(guid) => Some(*guid),
            _ => None,
        };
        let validity = self.each(pick, |cell| bytes.extend(cell.unwrap_or_default()))?;
        Ok(Column { validity, data: ColumnData::Guids(bytes) })
    }
}
