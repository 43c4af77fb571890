//! Columns as cells and back: the one place of the kit that knows how a batch lies in memory.

use crate::generated::transformer::tillhold::plugin::types as wire;
use crate::value::{Decimal, Value, halves, of_halves};
use wire::{Column, ColumnData, DecimalColumn, OffsetTimestampColumn, OtherColumn, PackedColumn};

/// A column whose lengths and texts have been checked once, so that reading a cell is cheap and cannot go wrong.
pub(crate) struct Cells<'a> {
    validity: &'a [u8],
    data: &'a ColumnData,
    /// The bytes of a text column, checked as a whole.
    text: &'a str,
}

impl<'a> Cells<'a> {
    /// The error is a host that breaks the contract; it cannot be met with Tillhold's own.
    pub(crate) fn new(column: &'a Column, rows: usize) -> Result<Cells<'a>, String> {
        let text = match &column.data {
            ColumnData::Texts(cells) | ColumnData::Others(OtherColumn { texts: cells, .. }) => {
                std::str::from_utf8(&cells.bytes).map_err(|error| error.to_string())?
            }
            _ => "",
        };
        let counted = count(&column.data);
        if counted != rows || !(column.validity.is_empty() || column.validity.len() == rows) {
            return Err(format!("a column of {counted} cells for {rows} rows"));
        }
        Ok(Cells { validity: &column.validity, data: &column.data, text })
    }

    pub(crate) fn is_null(&self, at: usize) -> bool {
        self.validity.get(at) == Some(&0)
    }

    /// `None` for NULL and for a column that holds no text.
    pub(crate) fn text(&self, at: usize) -> Option<&'a str> {
        match self.data {
            ColumnData::Texts(cells) if !self.is_null(at) => self.cut(cells, at),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, at: usize) -> Option<i64> {
        match self.data {
            ColumnData::Integers(cells) if !self.is_null(at) => cells.get(at).copied(),
            _ => None,
        }
    }

    pub(crate) fn decimal(&self, at: usize) -> Option<Decimal> {
        match self.data {
            ColumnData::Decimals(cells) if !self.is_null(at) => {
                Some(of_halves(*cells.low.get(at)?, *cells.high.get(at)?, cells.scale))
            }
            _ => None,
        }
    }

    pub(crate) fn value(&self, at: usize) -> Value {
        if self.is_null(at) {
            return Value::Null;
        }
        self.known(at).unwrap_or(Value::Null)
    }

    fn known(&self, at: usize) -> Option<Value> {
        Some(match self.data {
            ColumnData::Booleans(cells) => Value::Boolean(*cells.get(at)?),
            ColumnData::Integers(cells) => Value::Integer(*cells.get(at)?),
            ColumnData::Floats(cells) => Value::Float(*cells.get(at)?),
            ColumnData::Decimals(_) => Value::Decimal(self.decimal(at)?),
            ColumnData::Texts(cells) => Value::Text(self.cut(cells, at)?.to_string()),
            ColumnData::Binaries(cells) => {
                Value::Binary(cells.bytes.get(span(cells, at)?)?.to_vec())
            }
            ColumnData::Dates(cells) => Value::Date(*cells.get(at)?),
            ColumnData::Times(cells) => Value::Time(*cells.get(at)?),
            ColumnData::Timestamps(cells) => Value::Timestamp(*cells.get(at)?),
            ColumnData::OffsetTimestamps(cells) => Value::OffsetTimestamp {
                utc: *cells.utc.get(at)?,
                offset_minutes: *cells.offset_minutes.get(at)?,
            },
            ColumnData::Guids(bytes) => {
                Value::Guid(bytes.get(16 * at..16 * (at + 1))?.try_into().ok()?)
            }
            ColumnData::Others(cells) => Value::Other {
                sql_type: cells.sql_type.clone(),
                text: self.cut(&cells.texts, at)?.to_string(),
            },
        })
    }

    fn cut(&self, cells: &PackedColumn, at: usize) -> Option<&'a str> {
        self.text.get(span(cells, at)?)
    }
}

fn span(cells: &PackedColumn, at: usize) -> Option<std::ops::Range<usize>> {
    Some(*cells.offsets.get(at)? as usize..*cells.offsets.get(at + 1)? as usize)
}

fn count(data: &ColumnData) -> usize {
    match data {
        ColumnData::Booleans(cells) => cells.len(),
        ColumnData::Integers(cells) => cells.len(),
        ColumnData::Floats(cells) => cells.len(),
        ColumnData::Decimals(cells) => cells.low.len(),
        ColumnData::Texts(cells) | ColumnData::Binaries(cells) => {
            cells.offsets.len().saturating_sub(1)
        }
        ColumnData::Dates(cells) => cells.len(),
        ColumnData::Times(cells) => cells.len(),
        ColumnData::Timestamps(cells) => cells.len(),
        ColumnData::OffsetTimestamps(cells) => cells.utc.len(),
        ColumnData::Guids(bytes) => bytes.len() / 16,
        ColumnData::Others(cells) => cells.texts.offsets.len().saturating_sub(1),
    }
}

/// The values as one column. Its case is that of the first value which is not NULL; the others must agree.
pub(crate) fn column_of(values: Vec<Value>) -> Result<Column, String> {
    let nulls = values.iter().any(Value::is_null);
    let validity = match nulls {
        true => values.iter().map(|value| u8::from(!value.is_null())).collect(),
        false => Vec::new(),
    };
    let model = values.iter().find(|value| !value.is_null()).cloned().unwrap_or(Value::Null);
    let data = data_of(&model, values)?;
    Ok(Column { validity, data })
}

fn data_of(model: &Value, values: Vec<Value>) -> Result<ColumnData, String> {
    let mixed = |value: &Value| format!("{} beside {}", value.shape(), model.shape());
    /// Each value by `pick`, a default for NULL.
    macro_rules! cells {
        ($pick:pat => $cell:expr, $null:expr) => {
            values
                .into_iter()
                .map(|value| match value {
                    $pick => Ok($cell),
                    Value::Null => Ok($null),
                    other => Err(mixed(&other)),
                })
                .collect::<Result<Vec<_>, String>>()?
        };
    }
    Ok(match model {
        Value::Null => ColumnData::Integers(vec![0; values.len()]),
        Value::Boolean(_) => ColumnData::Booleans(cells!(Value::Boolean(bit) => bit, false)),
        Value::Integer(_) => ColumnData::Integers(cells!(Value::Integer(n) => n, 0)),
        Value::Float(_) => ColumnData::Floats(cells!(Value::Float(n) => n, 0.0)),
        Value::Decimal(_) => decimals(cells!(Value::Decimal(d) => d, Decimal::new(0, 0)))?,
        Value::Text(_) => ColumnData::Texts(pack(cells!(Value::Text(t) => t, String::new()))?),
        Value::Binary(_) => ColumnData::Binaries(pack(cells!(Value::Binary(b) => b, Vec::new()))?),
        Value::Date(_) => ColumnData::Dates(cells!(Value::Date(days) => days, 0)),
        Value::Time(_) => ColumnData::Times(cells!(Value::Time(ticks) => ticks, 0)),
        Value::Timestamp(_) => ColumnData::Timestamps(cells!(Value::Timestamp(t) => t, 0)),
        Value::OffsetTimestamp { .. } => {
            let moments = cells!(
                Value::OffsetTimestamp { utc, offset_minutes } => (utc, offset_minutes), (0, 0)
            );
            let (utc, offset_minutes) = moments.into_iter().unzip();
            ColumnData::OffsetTimestamps(OffsetTimestampColumn { utc, offset_minutes })
        }
        Value::Guid(_) => ColumnData::Guids(cells!(Value::Guid(b) => b, [0; 16]).concat()),
        Value::Other { sql_type, .. } => {
            let texts = cells!(Value::Other { text, .. } => text, String::new());
            let (sql_type, texts) = (sql_type.clone(), pack(texts)?);
            ColumnData::Others(OtherColumn { sql_type, texts })
        }
    })
}

/// A column has one scale: the greatest, so that no digit is lost.
fn decimals(cells: Vec<Decimal>) -> Result<ColumnData, String> {
    let scale = cells.iter().map(|decimal| decimal.scale).max().unwrap_or(0);
    let mut column = DecimalColumn { scale, low: Vec::new(), high: Vec::new() };
    for decimal in cells {
        let widened =
            decimal.rounded(scale).ok_or_else(|| format!("{decimal} with {scale} decimals"))?;
        let (low, high) = halves(widened);
        column.low.push(low);
        column.high.push(high);
    }
    Ok(ColumnData::Decimals(column))
}

fn pack<T: AsRef<[u8]>>(cells: Vec<T>) -> Result<PackedColumn, String> {
    let bytes = cells.iter().map(|cell| cell.as_ref().len()).sum();
    let mut packed = PackedColumn {
        offsets: Vec::with_capacity(cells.len() + 1),
        bytes: Vec::with_capacity(bytes),
    };
    packed.offsets.push(0);
    for cell in cells {
        packed.bytes.extend_from_slice(cell.as_ref());
        let end = u32::try_from(packed.bytes.len()).map_err(|error| error.to_string())?;
        packed.offsets.push(end);
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::{Cells, column_of};
    use crate::value::{Decimal, Value};

    fn there_and_back(values: Vec<Value>) -> Vec<Value> {
        let column = column_of(values.clone()).expect("one shape a column");
        let cells = Cells::new(&column, values.len()).expect("a whole column");
        (0..values.len()).map(|at| cells.value(at)).collect()
    }

    #[test]
    fn every_shape_makes_a_column_with_nulls_and_comes_back() {
        for value in [
            Value::Boolean(true),
            Value::Integer(i64::MIN),
            Value::Float(-0.5),
            Value::Decimal(Decimal::new(-10i128.pow(37), 16)),
            Value::Text("ä€\u{1F600}".into()),
            Value::Binary(vec![0, 255]),
            Value::Date(-1),
            Value::Time(1),
            Value::Timestamp(i64::MAX),
            Value::OffsetTimestamp { utc: 5, offset_minutes: -60 },
            Value::Guid([9; 16]),
            Value::Other { sql_type: "xml".into(), text: "<a/>".into() },
            Value::Null,
        ] {
            for values in [vec![value.clone()], vec![Value::Null, value.clone(), Value::Null]] {
                assert_eq!(there_and_back(values.clone()), values);
            }
        }
        assert_eq!(there_and_back(Vec::new()), []);
    }

    #[test]
    fn a_column_takes_the_greatest_scale_and_refuses_mixed_shapes() {
        let values = there_and_back(vec![Decimal::new(15, 1).into(), Decimal::new(250, 2).into()]);
        assert_eq!(values, [Decimal::new(150, 2).into(), Decimal::new(250, 2).into()]);
        let mixed = column_of(vec!["a".into(), 1.into()]);
        assert_eq!(mixed.map_err(|what| what.to_string()), Err("integer beside text".to_string()));
    }
}
