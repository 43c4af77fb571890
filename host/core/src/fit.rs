//! What a column makes of a value (scale adjusted, time rounded to its grain, blanks put behind it), or why it cannot hold
//! it.

use crate::moment::{OffsetTimestamp, TICKS_PER_SECOND, Time, Timestamp};
use crate::types::SqlType;
use crate::value::{Decimal, Value};

/// A value that its column cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong, in words a person can act on.
    pub reason: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Misfit {}

/// The refusal of a value.
pub(crate) fn misfit<T>(reason: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { reason: reason.into() })
}

/// The value as the column would hold it (scale adjusted, time rounded to its grain), or why it cannot.
/// NULL always fits here; nullability is the table's matter.
pub fn fit(value: Value, of: SqlType) -> Result<Value, Misfit> {
    if is_fitted(&value, of) {
        return Ok(value);
    }
    let fitted = rounded(value, of)?;
    let is_in_range = match &fitted {
        Value::Date(date) => date.is_in_range(),
        Value::Time(time) => time.is_in_range(),
        Value::Timestamp(moment) => match of {
            SqlType::DateTime => moment.is_in_datetime(),
            SqlType::SmallDateTime => moment.is_in_smalldatetime(),
            _ => moment.is_in_range(),
        },
        Value::OffsetTimestamp(moment) => moment.is_in_range(),
        _ => true,
    };
    match is_in_range {
        true => Ok(fitted),
        // Its text would be that of another moment.
        false => misfit(format!("a date or time outside of what {of} holds")),
    }
}

/// Whether [`fit`] would give the value back as it is, as far as a glance tells: `false` says nothing.
pub fn is_fitted(value: &Value, of: SqlType) -> bool {
    match (value, of) {
        (Value::Null, _) | (Value::Int(_), SqlType::BigInt) => true,
        (Value::Int(number), SqlType::Int) => i32::try_from(*number).is_ok(),
        (Value::Decimal(decimal), SqlType::Decimal { precision, scale }) => {
            decimal.scale() == scale && decimal.has_at_most(precision)
        }
        // A character takes no fewer bytes here than UTF-16 has units of it.
        (Value::Text(text), SqlType::NVarChar { length: Some(most) }) => {
            text.len() <= usize::from(most)
        }
        _ => false,
    }
}

fn rounded(value: Value, of: SqlType) -> Result<Value, Misfit> {
    let shape = value.shape();
    let wrong_shape = || misfit(format!("a {shape} does not fit {of}"));
    Ok(match (value, of) {
        (Value::Null, _) => Value::Null,
        (Value::Bool(bit), SqlType::Bit) => Value::Bool(bit),
        (Value::Int(number), SqlType::Bit) if number == 0 || number == 1 => {
            Value::Bool(number == 1)
        }
        (Value::Int(number), SqlType::TinyInt) => in_range(number, 0, 255, of)?,
        (Value::Int(number), SqlType::SmallInt) => {
            in_range(number, i64::from(i16::MIN), i64::from(i16::MAX), of)?
        }
        (Value::Int(number), SqlType::Int) => {
            in_range(number, i64::from(i32::MIN), i64::from(i32::MAX), of)?
        }
        (Value::Int(number), SqlType::BigInt) => Value::Int(number),
        (Value::Int(number), SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney) => {
            fit_decimal(Decimal::new(i128::from(number), 0).unwrap_or(Decimal::ZERO), of)?
        }
        (Value::Decimal(d), SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney) => {
            fit_decimal(d, of)?
        }
        (Value::Int(number), SqlType::Float | SqlType::Real) => Value::Float(number as f64),
        (Value::Float(number), SqlType::Float) if number.is_finite() => Value::Float(number + 0.0),
        (Value::Float(number), SqlType::Real) if (number as f32).is_finite() => {
            Value::Float(f64::from(number as f32) + 0.0)
        }
        (Value::Date(date), SqlType::Date) => Value::Date(date),
        (Value::Time(time), SqlType::Time { scale }) => {
            // Past the last tick of an i64 it is out of range either way.
            let ticks = i64::try_from(time.0).unwrap_or(i64::MAX);
            Value::Time(Time(round_to_digits(ticks, scale) as u64))
        }
        (Value::Timestamp(moment), SqlType::SmallDateTime) => {
            let minute = 60 * TICKS_PER_SECOND;
            Value::Timestamp(Timestamp(rounded_to(moment.0, minute)))
        }
        (Value::Timestamp(moment), SqlType::DateTime) => Value::Timestamp(datetime_grain(moment)),
        (Value::Timestamp(moment), SqlType::DateTime2 { scale }) => {
            Value::Timestamp(Timestamp(round_to_digits(moment.0, scale)))
        }
        (Value::OffsetTimestamp(moment), SqlType::DateTimeOffset { scale }) => {
            let utc = Timestamp(round_to_digits(moment.utc.0, scale));
            Value::OffsetTimestamp(OffsetTimestamp { utc, ..moment })
        }
        (Value::Guid(bytes), SqlType::UniqueIdentifier) => Value::Guid(bytes),
        (Value::Text(text), of) if of.is_text() => fit_text(text, of)?,
        (Value::Bytes(bytes), of) if of.is_binary() => fit_bytes(bytes, of)?,
        _ => return wrong_shape(),
    })
}

fn in_range(number: i64, low: i64, high: i64, of: SqlType) -> Result<Value, Misfit> {
    if (low..=high).contains(&number) {
        return Ok(Value::Int(number));
    }
    misfit(format!("{number} is outside {of} ({low} to {high})"))
}

fn fit_decimal(decimal: Decimal, of: SqlType) -> Result<Value, Misfit> {
    let (precision, scale) = match of {
        SqlType::Decimal { precision, scale } => (precision, scale),
        SqlType::SmallMoney => (10, 4),
        _ => (19, 4),
    };
    // Money counts ten-thousandths in 64 or 32 bits.
    let is_counted = |fitted: &Decimal| match of {
        SqlType::Money => i64::try_from(fitted.unscaled()).is_ok(),
        SqlType::SmallMoney => i32::try_from(fitted.unscaled()).is_ok(),
        _ => true,
    };
    let fitted = decimal.rescale(scale).filter(|fitted| fitted.has_at_most(precision));
    match fitted.filter(is_counted) {
        Some(fitted) => Ok(Value::Decimal(fitted)),
        None => misfit(format!("{decimal} has too many digits for {of}")),
    }
}

fn fit_text(text: String, of: SqlType) -> Result<Value, Misfit> {
    let (length, most) = match of.travels_as() {
        SqlType::NChar { length } | SqlType::NVarChar { length: Some(length) } => {
            (text.encode_utf16().count(), usize::from(length))
        }
        SqlType::Char { length } | SqlType::VarChar { length: Some(length) } => {
            (text.chars().count(), usize::from(length))
        }
        _ => (0, usize::MAX),
    };
    if length > most {
        return misfit(format!("{length} characters do not fit {of}"));
    }
    match of {
        SqlType::NChar { .. } | SqlType::Char { .. } => {
            let padding = most - length;
            Ok(Value::Text(text + &" ".repeat(padding)))
        }
        _ => Ok(Value::Text(text)),
    }
}

fn fit_bytes(mut bytes: Vec<u8>, of: SqlType) -> Result<Value, Misfit> {
    let most = match of.travels_as() {
        SqlType::Binary { length } | SqlType::VarBinary { length: Some(length) } => {
            usize::from(length)
        }
        SqlType::RowVersion => 8,
        _ => usize::MAX,
    };
    if bytes.len() > most {
        return misfit(format!("{} bytes do not fit {of}", bytes.len()));
    }
    if matches!(of, SqlType::Binary { .. }) {
        bytes.resize(most, 0);
    }
    Ok(Value::Bytes(bytes))
}

fn round_to_digits(ticks: i64, digits: u8) -> i64 {
    let unit = 10i64.pow(7 - u32::from(digits.min(7)));
    rounded_to(ticks, unit)
}

/// A number near the ends of what 64 bits hold stays there: out of range, like all beyond it.
fn rounded_to(ticks: i64, unit: i64) -> i64 {
    ticks.saturating_add(unit / 2).div_euclid(unit).saturating_mul(unit)
}

/// `datetime` counts 1/300 s; its text shows them as milliseconds ending in 0, 3 or 7.
fn datetime_grain(moment: Timestamp) -> Timestamp {
    let second = moment.0.div_euclid(TICKS_PER_SECOND);
    let within = moment.0.rem_euclid(TICKS_PER_SECOND);
    let three_hundredths = (within * 300 + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
    let ms = (three_hundredths * 10 + 1) / 3;
    let ticks = ms * (TICKS_PER_SECOND / 1000);
    Timestamp(second.saturating_mul(TICKS_PER_SECOND).saturating_add(ticks))
}

#[cfg(test)]
mod tests {
    use super::{fit, is_fitted, rounded};
    use crate::moment::{OffsetTimestamp, Timestamp};
    use crate::text::{canonical, parse};
    use crate::types::SqlType;
    use crate::value::{Decimal, Value};

    fn of(declaration: &str) -> SqlType {
        SqlType::parse(declaration).expect("a type of the test")
    }

    #[test]
    fn what_fits_at_a_glance_is_what_rounding_leaves_alone() {
        let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
        let ints = [i64::MIN, least - 1, least, 0, most, most + 1, i64::MAX].map(Value::Int);
        let decimals = [(9_999, 2), (-9_999, 2), (10_000, 2), (999, 1), (9_999, 3), (0, 2)]
            .map(|(unscaled, scale)| Decimal::new(unscaled, scale).expect("few digits"))
            .map(Value::Decimal);
        let texts = ["", "abcd", "abcde", "äöüß", "€€€€", "😀😀", "😀😀😀"]
            .map(|text| Value::Text(text.into()));
        for (declaration, values, fitted) in [
            ("int", &ints[..], 3),
            ("bigint", &ints, 7),
            ("numeric(4,2)", &decimals, 3),
            ("nvarchar(4)", &texts, 2),
            // Blanks are put behind it, and what SQL Server counts there is not bytes.
            ("nchar(4)", &texts, 0),
            ("varchar(4)", &texts, 0),
        ] {
            let of = of(declaration);
            let here = values.iter().filter(|value| is_fitted(value, of));
            let left = here.map(|value| match rounded(value.clone(), of) {
                Ok(left) => {
                    assert_eq!((&left, canonical(&left, of)), (value, canonical(value, of)))
                }
                Err(refusal) => panic!("{declaration} refuses {value:?}: {refusal}"),
            });
            assert_eq!(left.count(), fitted, "{declaration}");
        }
        assert!(
            is_fitted(&Value::Null, of("xml")) && !is_fitted(&Value::Int(1), of("numeric(4,0)"))
        );
    }

    /// Transact-SQL reference: the first and the last that each type holds, and what is one grain further.
    #[test]
    fn what_is_beyond_a_types_own_ends_is_refused() {
        for (declaration, first, last, before, after) in [
            (
                "datetime",
                "1753-01-01 00:00:00.000",
                "9999-12-31 23:59:59.997",
                "1752-12-31 23:59:59.997",
                "9999-12-31 23:59:59.999",
            ),
            (
                "smalldatetime",
                "1900-01-01 00:00:00",
                "2079-06-06 23:59:29",
                "1899-12-31 23:59:29",
                "2079-06-06 23:59:30",
            ),
            (
                "money",
                "-922337203685477.5808",
                "922337203685477.5807",
                "-922337203685477.5809",
                "922337203685477.5808",
            ),
            ("smallmoney", "-214748.3648", "214748.3647", "-214748.3649", "214748.3648"),
        ] {
            let of = of(declaration);
            for within in [first, last] {
                assert!(parse(within, of).is_ok(), "{declaration} {within}");
            }
            for beyond in [before, after] {
                assert!(parse(beyond, of).is_err(), "{declaration} {beyond}");
            }
        }
    }

    #[test]
    fn the_furthest_moments_are_refused_and_none_is_another() {
        let columns = (0..=7).flat_map(|scale| {
            ["datetime2", "datetimeoffset"].map(|name| format!("{name}({scale})"))
        });
        let others = ["datetime", "smalldatetime"].map(String::from);
        for of in columns.chain(others).map(|name| SqlType::parse(&name).expect("a type")) {
            for utc in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX].map(Timestamp) {
                let value = match of {
                    SqlType::DateTimeOffset { .. } => {
                        Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes: -840 })
                    }
                    _ => Value::Timestamp(utc),
                };
                let refusal = fit(value, of).expect_err("no calendar has it").to_string();
                assert!(refusal.contains("outside of what"), "{of} of {utc:?}: {refusal}");
            }
        }
    }
}
