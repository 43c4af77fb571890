//! A cell's value, lossless for every SQL Server type that travels.
//!
//! * A value carries no type of its own beyond its shape: the column says how it is written ([`crate::text`]).
//! * `Decimal` holds 38 digits: numeric(32,16) money does not fit a 96-bit decimal, let alone a float.

use crate::moment::{Date, OffsetTimestamp, Time, Timestamp};

/// One cell. Two values are equal when SQL Server's binary comparison would call them equal.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    /// `bit`
    Bool(bool),
    /// `tinyint` (unsigned), `smallint`, `int`, `bigint`
    Int(i64),
    /// `real` widened, `float`; never NaN or infinite (SQL Server has neither)
    Float(f64),
    /// `decimal`, `numeric`, `money`, `smallmoney`
    Decimal(Decimal),
    /// every character type, and `xml`
    Text(String),
    /// `binary`, `varbinary`, `image`
    Bytes(Vec<u8>),
    Date(Date),
    Time(Time),
    /// `datetime`, `smalldatetime`, `datetime2`
    Timestamp(Timestamp),
    OffsetTimestamp(OffsetTimestamp),
    /// `uniqueidentifier`, in the byte order of RFC 9562 (not SQL Server's mixed-endian wire order)
    Guid([u8; 16]),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The shape's name, for messages: never parsed.
    pub fn shape(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "float",
            Value::Decimal(_) => "decimal",
            Value::Text(_) => "text",
            Value::Bytes(_) => "binary",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Timestamp(_) => "timestamp",
            Value::OffsetTimestamp(_) => "timestamp with offset",
            Value::Guid(_) => "guid",
        }
    }
}

/// An exact decimal: `unscaled * 10^-scale`, at most 38 digits (SQL Server's maximum precision).
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    unscaled: i128,
    scale: u8,
}

/// Digits that SQL Server's widest decimal holds.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

/// A sign, a zero before the point, the point, and the digits.
const TEXT_BYTES_MAX: usize = DECIMAL_DIGITS_MAX as usize + 3;

/// Every decimal cell is held against one of these, and 128 bits are slow to multiply.
const POWERS_OF_TEN: [u128; DECIMAL_DIGITS_MAX as usize + 1] = {
    let mut powers = [1; DECIMAL_DIGITS_MAX as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

impl Decimal {
    pub const ZERO: Decimal = Decimal { unscaled: 0, scale: 0 };

    /// `None` past 38 digits or a scale above 38.
    pub fn new(unscaled: i128, scale: u8) -> Option<Decimal> {
        let decimal = Decimal { unscaled, scale };
        let fits = scale <= DECIMAL_DIGITS_MAX && decimal.has_at_most(DECIMAL_DIGITS_MAX);
        fits.then_some(decimal)
    }

    /// Whether so many digits hold it, those behind the point among them.
    pub fn has_at_most(self, digits: u8) -> bool {
        let bound = POWERS_OF_TEN.get(usize::from(digits));
        bound.is_none_or(|bound| self.unscaled.unsigned_abs() < *bound)
    }

    pub fn unscaled(self) -> i128 {
        self.unscaled
    }

    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The same number with `scale` decimals, rounded half away from zero as SQL Server does; `None` on overflow.
    pub fn rescale(self, scale: u8) -> Option<Decimal> {
        if scale == self.scale {
            return Some(self);
        }
        if scale > self.scale {
            let factor = 10i128.checked_pow(u32::from(scale - self.scale))?;
            return Decimal::new(self.unscaled.checked_mul(factor)?, scale);
        }
        let divisor = 10i128.checked_pow(u32::from(self.scale - scale))?;
        let (quotient, remainder) = (self.unscaled / divisor, self.unscaled % divisor);
        let away = if remainder.unsigned_abs() * 2 >= divisor.unsigned_abs() {
            remainder.signum()
        } else {
            0
        };
        Decimal::new(quotient + away, scale)
    }

    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale)?, other.rescale(scale)?);
        Decimal::new(a.unscaled.checked_add(b.unscaled)?, scale)
    }

    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(Decimal { unscaled: -other.unscaled, scale: other.scale })
    }

    /// The exact product; its scale is the sum of both scales.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.checked_add(other.scale)?;
        Decimal::new(self.unscaled.checked_mul(other.unscaled)?, scale)
    }

    /// Reads `-12.50`; no exponent, no thousands separator, at least one digit.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut unscaled: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = u8::try_from(fraction.len()).ok()?;
        Decimal::new(if negative { -unscaled } else { unscaled }, scale)
    }

    /// What [`Display`](std::fmt::Display) gives, without the way through a formatter: rows have dozens of them.
    pub fn text(self) -> String {
        String::from(self.written(&mut [0; TEXT_BYTES_MAX]))
    }

    fn written(self, text: &mut [u8; TEXT_BYTES_MAX]) -> &str {
        // Written from the end, 19 digits at a time: dividing 128 bits digit by digit takes most of a load's time.
        const CHUNK: u128 = 10u128.pow(19);
        let scale = usize::from(self.scale);
        let (mut start, mut written) = (text.len(), 0);
        let mut rest = self.unscaled.unsigned_abs();
        loop {
            let (above, mut chunk) = match u64::try_from(rest) {
                Ok(chunk) => (0, chunk),
                Err(_) => (rest / CHUNK, (rest % CHUNK) as u64),
            };
            let full = if above > 0 { written + 19 } else { scale + 1 };
            while chunk > 0 || written < full {
                if written == scale && scale > 0 {
                    start -= 1;
                    text[start] = b'.';
                }
                start -= 1;
                text[start] = b'0' + (chunk % 10) as u8;
                chunk /= 10;
                written += 1;
            }
            if above == 0 {
                break;
            }
            rest = above;
        }
        if self.unscaled < 0 {
            start -= 1;
            text[start] = b'-';
        }
        std::str::from_utf8(&text[start..]).expect("digits, a point and a sign")
    }
}

/// Fixed scale, no leading zeros, `-` only when the number is not zero: equal decimals of one column are equal bytes.
impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.written(&mut [0; TEXT_BYTES_MAX]))
    }
}

/// Numeric order, whatever the scales: 1.5 equals 1.50.
impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        // 76 digits would not fit an i128: compare whole parts, then fractions at 38 digits.
        let split = |d: &Decimal| {
            let unit = 10i128.pow(u32::from(d.scale));
            let fraction = d.unscaled % unit;
            (d.unscaled / unit, fraction * 10i128.pow(u32::from(DECIMAL_DIGITS_MAX - d.scale)))
        };
        split(self).cmp(&split(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

#[cfg(test)]
mod tests {
    use super::Decimal;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a decimal of the test")
    }

    #[test]
    fn text_round_trips_at_the_extremes() {
        for text in [
            "0.00",
            "-0.50",
            "12345678901234567890123456789012.123456",
            "-99999999999999999999999999999999999999",
            "0.00000000000000000000000000000000000001",
        ] {
            assert_eq!(decimal(text).to_string(), text);
        }
        for wrong in ["", ".", "-", "1e5", "1,5", "100000000000000000000000000000000000000"] {
            assert!(Decimal::parse(wrong).is_none(), "{wrong} was taken");
        }
    }

    /// Against the plain way of writing it, at every length and scale.
    #[test]
    fn text_is_exact_at_every_length_and_scale() {
        let mut unscaled = 0i128;
        for digit in 0..38u32 {
            unscaled = unscaled * 10 + i128::from((digit * 7 + 1) % 10);
            for number in [unscaled, -unscaled, 10i128.pow(digit), 10i128.pow(digit) - 1] {
                for scale in 0..=38u8 {
                    let sign = if number < 0 { "-" } else { "" };
                    let width = usize::from(scale) + 1;
                    let digits = format!("{:0width$}", number.unsigned_abs());
                    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
                    let point = if scale == 0 { "" } else { "." };
                    let expected = format!("{sign}{whole}{point}{fraction}");
                    let decimal = Decimal::new(number, scale).expect("38 digits at most");
                    assert_eq!(decimal.to_string(), expected);
                }
            }
        }
    }

    #[test]
    fn rescaling_rounds_half_away_from_zero() {
        for (from, scale, to) in [
            ("1.25", 1, "1.3"),
            ("-1.25", 1, "-1.3"),
            ("1.24", 1, "1.2"),
            ("2", 2, "2.00"),
            ("-0.04", 1, "0.0"),
        ] {
            assert_eq!(decimal(from).rescale(scale).map(|d| d.to_string()).as_deref(), Some(to));
        }
    }

    #[test]
    fn order_ignores_scale() {
        assert_eq!(decimal("1.5"), decimal("1.50"));
        assert!(decimal("-0.1") < decimal("0.01"));
        assert!(decimal("99999999999999999999.5") < decimal("99999999999999999999.50000000000001"));
    }
}
