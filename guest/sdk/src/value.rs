//! Cells as an author sees them: SQL Server's values, lossless.

use crate::generated::transformer::tillhold::plugin::types as wire;
use std::cmp::Ordering;
use std::fmt;

/// One cell. Made from plain Rust values with `.into()`; `None` becomes NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    /// bit
    Boolean(bool),
    /// tinyint, smallint, int, bigint
    Integer(i64),
    /// real, float
    Float(f64),
    /// decimal, numeric, money, smallmoney
    Decimal(Decimal),
    /// every character type, and xml
    Text(String),
    /// binary, varbinary, image
    Binary(Vec<u8>),
    /// date: days since 1970-01-01
    Date(i32),
    /// time: 100-nanosecond ticks since midnight
    Time(u64),
    /// datetime, smalldatetime, datetime2: 100-nanosecond ticks since 0001-01-01 00:00
    Timestamp(i64),
    /// datetimeoffset: ticks as above, in UTC, and minutes east of UTC
    OffsetTimestamp {
        utc: i64,
        offset_minutes: i16,
    },
    /// uniqueidentifier, in the order in which its text is read
    Guid([u8; 16]),
    /// A type that this version of the contract has no case for, in canonical text.
    Other {
        sql_type: String,
        text: String,
    },
}

/// An exact number: `unscaled * 10^-scale`, up to 38 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub unscaled: i128,
    pub scale: u8,
}

impl Decimal {
    pub const fn new(unscaled: i128, scale: u8) -> Decimal {
        Decimal { unscaled, scale }
    }

    /// Reads `-12.50`; `None` for anything that is not plain digits with at most one point.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return None;
        }
        let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal::new(sign * unscaled, u8::try_from(fraction.len()).ok()?))
    }

    /// With `scale` decimals, rounded half away from zero as SQL Server does; `None` past 128 bits.
    pub fn rounded(self, scale: u8) -> Option<Decimal> {
        if scale >= self.scale {
            let factor = 10i128.checked_pow(u32::from(scale - self.scale))?;
            return Some(Decimal::new(self.unscaled.checked_mul(factor)?, scale));
        }
        let divisor = 10i128.checked_pow(u32::from(self.scale - scale))?;
        let (quotient, rest) = (self.unscaled / divisor, self.unscaled % divisor);
        let away = i128::from(rest.unsigned_abs() * 2 >= divisor.unsigned_abs()) * rest.signum();
        Some(Decimal::new(quotient + away, scale))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!(
            "{:0>width$}",
            self.unscaled.unsigned_abs(),
            width = usize::from(self.scale) + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(self.scale));
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Value::Decimal(decimal) => Some(*decimal),
            _ => None,
        }
    }

    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Value::Boolean(bit) => Some(*bit),
            _ => None,
        }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Ticks of 100 ns since 0001-01-01 00:00.
    pub fn as_timestamp(&self) -> Option<i64> {
        match self {
            Value::Timestamp(ticks) => Some(*ticks),
            _ => None,
        }
    }

    /// The name of the value's shape, for messages.
    pub fn shape(&self) -> &'static str {
        match self {
            Value::Null => "NULL",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Float(_) => "float",
            Value::Decimal(_) => "decimal",
            Value::Text(_) => "text",
            Value::Binary(_) => "binary",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Timestamp(_) => "timestamp",
            Value::OffsetTimestamp { .. } => "timestamp with offset",
            Value::Guid(_) => "guid",
            Value::Other { .. } => "other",
        }
    }

    /// Order between two values of one column; `None` where there is none (NULL, text, guids: collations differ).
    pub fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::OffsetTimestamp { utc: a, .. }, Value::OffsetTimestamp { utc: b, .. }) => {
                Some(a.cmp(b))
            }
            (Value::Decimal(a), Value::Decimal(b)) => {
                let scale = a.scale.max(b.scale);
                Some(a.rounded(scale)?.unscaled.cmp(&b.rounded(scale)?.unscaled))
            }
            _ => None,
        }
    }
}

macro_rules! from {
    ($($given:ty => |$value:ident| $into:expr;)*) => {
        $(impl From<$given> for Value {
            fn from($value: $given) -> Value {
                $into
            }
        })*
    };
}

from! {
    &str => |text| Value::Text(text.to_string());
    String => |text| Value::Text(text);
    bool => |bit| Value::Boolean(bit);
    i64 => |number| Value::Integer(number);
    i32 => |number| Value::Integer(i64::from(number));
    f64 => |number| Value::Float(number);
    Decimal => |decimal| Value::Decimal(decimal);
    Vec<u8> => |bytes| Value::Binary(bytes);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

pub(crate) fn of_halves(low: u64, high: i64, scale: u8) -> Decimal {
    Decimal::new(i128::from(high) << 64 | i128::from(low), scale)
}

pub(crate) fn halves(decimal: Decimal) -> (u64, i64) {
    (decimal.unscaled as u64, (decimal.unscaled >> 64) as i64)
}

impl From<wire::Value> for Value {
    fn from(value: wire::Value) -> Value {
        match value {
            wire::Value::Null => Value::Null,
            wire::Value::Boolean(bit) => Value::Boolean(bit),
            wire::Value::Integer(number) => Value::Integer(number),
            wire::Value::Float(number) => Value::Float(number),
            wire::Value::Decimal(d) => Value::Decimal(of_halves(d.low, d.high, d.scale)),
            wire::Value::Text(text) => Value::Text(text),
            wire::Value::Binary(bytes) => Value::Binary(bytes),
            wire::Value::Date(days) => Value::Date(days),
            wire::Value::Time(ticks) => Value::Time(ticks),
            wire::Value::Timestamp(ticks) => Value::Timestamp(ticks),
            wire::Value::OffsetTimestamp(moment) => {
                Value::OffsetTimestamp { utc: moment.utc, offset_minutes: moment.offset_minutes }
            }
            // The host writes 16 bytes; anything else is no guid that a rule could use.
            wire::Value::Guid(bytes) => bytes.try_into().map_or(Value::Null, Value::Guid),
            wire::Value::Other(o) => Value::Other { sql_type: o.sql_type, text: o.text },
        }
    }
}

impl From<Value> for wire::Value {
    fn from(value: Value) -> wire::Value {
        match value {
            Value::Null => wire::Value::Null,
            Value::Boolean(bit) => wire::Value::Boolean(bit),
            Value::Integer(number) => wire::Value::Integer(number),
            Value::Float(number) => wire::Value::Float(number),
            Value::Decimal(decimal) => {
                let (low, high) = halves(decimal);
                wire::Value::Decimal(wire::Decimal { scale: decimal.scale, low, high })
            }
            Value::Text(text) => wire::Value::Text(text),
            Value::Binary(bytes) => wire::Value::Binary(bytes),
            Value::Date(days) => wire::Value::Date(days),
            Value::Time(ticks) => wire::Value::Time(ticks),
            Value::Timestamp(ticks) => wire::Value::Timestamp(ticks),
            Value::OffsetTimestamp { utc, offset_minutes } => {
                wire::Value::OffsetTimestamp(wire::OffsetTimestamp { utc, offset_minutes })
            }
            Value::Guid(bytes) => wire::Value::Guid(bytes.to_vec()),
            Value::Other { sql_type, text } => wire::Value::Other(wire::Other { sql_type, text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Value, halves, of_halves, wire};

    #[test]
    fn decimals_read_write_and_round() {
        for text in ["0", "-0.50", "12345678901234567890.1234567890123456", "0.001"] {
            assert_eq!(Decimal::parse(text).map(|d| d.to_string()).as_deref(), Some(text));
        }
        for wrong in ["", ".", "1e5", "1,5", "1.2.3", "--1"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong} was taken");
        }
        let rounded = |unscaled, scale| Decimal::new(unscaled, 2).rounded(scale);
        assert_eq!(rounded(125, 1), Some(Decimal::new(13, 1)));
        assert_eq!(rounded(-125, 1), Some(Decimal::new(-13, 1)));
        assert_eq!(rounded(124, 1), Some(Decimal::new(12, 1)));
        assert_eq!(rounded(1, 4), Some(Decimal::new(100, 4)));
    }

    #[test]
    fn decimals_cross_the_border_whole() {
        for unscaled in [0, 1, -1, i128::from(u64::MAX), -(1 << 64), 10i128.pow(38) - 1] {
            let decimal = Decimal::new(unscaled, 16);
            let (low, high) = halves(decimal);
            assert_eq!(of_halves(low, high, 16), decimal);
        }
    }

    #[test]
    fn values_cross_the_border_unchanged() {
        for value in [
            Value::Null,
            true.into(),
            i64::MIN.into(),
            0.1.into(),
            Decimal::new(-10i128.pow(37), 38).into(),
            "ä€\u{1F600}".into(),
            vec![0u8, 255].into(),
            Value::Date(-719_162),
            Value::Time(863_999_999_999),
            Value::Timestamp(i64::MAX),
            Value::OffsetTimestamp { utc: 1, offset_minutes: -840 },
            Value::Guid([7; 16]),
            Value::Other { sql_type: "xml".into(), text: "<a/>".into() },
        ] {
            assert_eq!(Value::from(wire::Value::from(value.clone())), value);
        }
    }
}
