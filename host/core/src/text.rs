//! The canonical text of a value: one text for one value of a column, so that equal bytes mean equal values.
//!
//! The offline database, upload JSON, the front door and every listing write values this way:
//!
//! | type | text |
//! |---|---|
//! | `bit` | `0`, `1` |
//! | integers | `-42` |
//! | `decimal(p,s)`, `money` | exactly `s` (4) decimals: `-0.50` |
//! | `float`, `real` | the shortest digits that read back as the same number |
//! | `date` | `2026-02-28` |
//! | `time(n)` | `23:59:59.1234567`, exactly n digits |
//! | `datetime2(n)` | `2026-02-28 23:59:59.1234567`, exactly n digits |
//! | `datetime` | three digits that end in 0, 3 or 7, as its 1/300 s grain rounds |
//! | `smalldatetime` | `2026-02-28 23:59:00` |
//! | `datetimeoffset(n)` | local time, n digits, then `+02:00` |
//! | `uniqueidentifier` | 36 characters, lower case |
//! | binary types | hexadecimal, upper case, no prefix |
//! | character types, `xml` | as they are |

use crate::moment::{Date, OffsetTimestamp, TICKS_PER_SECOND, Time, Timestamp};
use crate::types::SqlType;
use crate::value::{Decimal, Value};
use std::fmt::Write as _;

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

fn misfit<T>(reason: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { reason: reason.into() })
}

/// The canonical text of a value that [`fit`] its type; `None` for NULL.
pub fn canonical(value: &Value, of: SqlType) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(bit) => if *bit { "1" } else { "0" }.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        Value::Decimal(decimal) => decimal.text(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => hexadecimal(bytes),
        Value::Date(date) => date_text(*date),
        Value::Time(time) => time_text(*time, fraction_digits(of)),
        Value::Timestamp(moment) => timestamp_text(*moment, fraction_digits(of)),
        Value::OffsetTimestamp(moment) => offset_text(*moment, fraction_digits(of)),
        Value::Guid(bytes) => guid_text(bytes),
    })
}

/// Reads canonical text, and the looser forms that people and JSON bring (a `T` between date and time, fewer
/// digits, upper-case guids), into the value that the column would hold.
pub fn parse(text: &str, of: SqlType) -> Result<Value, Misfit> {
    let value = match of {
        SqlType::Bit => match text {
            "0" | "false" => Value::Bool(false),
            "1" | "true" => Value::Bool(true),
            _ => return misfit(format!("'{text}' is not a bit: give 0 or 1")),
        },
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => match text.parse()
        {
            Ok(number) => Value::Int(number),
            Err(_) => return misfit(format!("'{text}' is not a whole number")),
        },
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            match Decimal::parse(text) {
                Some(decimal) => Value::Decimal(decimal),
                None => return misfit(format!("'{text}' is not a decimal number such as 12.50")),
            }
        }
        SqlType::Float | SqlType::Real => match text.parse::<f64>() {
            Ok(number) => Value::Float(number),
            Err(_) => return misfit(format!("'{text}' is not a number")),
        },
        SqlType::Date => match parse_date(text) {
            Some(date) => Value::Date(date),
            None => return misfit(format!("'{text}' is not a date such as 2026-02-28")),
        },
        SqlType::Time { .. } => match parse_time(text) {
            Some(time) => Value::Time(time),
            None => return misfit(format!("'{text}' is not a time such as 23:59:59.123")),
        },
        SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2 { .. } => {
            match parse_timestamp(text) {
                Some(moment) => Value::Timestamp(moment),
                None => {
                    return misfit(format!("'{text}' is not a moment such as 2026-02-28 23:59:59"));
                }
            }
        }
        SqlType::DateTimeOffset { .. } => match parse_offset(text) {
            Some(moment) => Value::OffsetTimestamp(moment),
            None => {
                return misfit(format!(
                    "'{text}' is not a moment such as 2026-02-28 23:59:59 +02:00"
                ));
            }
        },
        SqlType::UniqueIdentifier => match parse_guid(text) {
            Some(bytes) => Value::Guid(bytes),
            None => return misfit(format!("'{text}' is not a guid of 32 hexadecimal digits")),
        },
        _ if of.is_binary() => match parse_hexadecimal(text) {
            Some(bytes) => Value::Bytes(bytes),
            None => return misfit("binary values are written as pairs of hexadecimal digits"),
        },
        _ => Value::Text(text.to_string()),
    };
    fit(value, of)
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
        Value::Timestamp(moment) => moment.is_in_range(),
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
    match decimal.rescale(scale).filter(|fitted| fitted.has_at_most(precision)) {
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

fn fraction_digits(of: SqlType) -> u8 {
    match of {
        SqlType::Time { scale }
        | SqlType::DateTime2 { scale }
        | SqlType::DateTimeOffset { scale } => scale,
        SqlType::DateTime => 3,
        SqlType::SmallDateTime => 0,
        _ => 7,
    }
}

fn float_text(number: f64) -> String {
    // `{:?}` prints the shortest digits that round-trip, with an exponent where plain digits would be long.
    format!("{number:?}")
}

/// Upper-case pairs of hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Reads pairs of hexadecimal digits of either case, with or without `0x`.
pub fn parse_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

fn date_text(date: Date) -> String {
    let mut text = String::with_capacity(10);
    push_date(&mut text, date);
    text
}

fn time_text(time: Time, digits: u8) -> String {
    let mut text = String::with_capacity(16);
    push_time(&mut text, time, digits);
    text
}

fn timestamp_text(moment: Timestamp, digits: u8) -> String {
    let mut text = String::with_capacity(27);
    push_date(&mut text, moment.date());
    text.push(' ');
    push_time(&mut text, moment.time(), digits);
    text
}

fn push_date(text: &mut String, date: Date) {
    let (year, month, day) = date.civil();
    push_digits(text, year.unsigned_abs().into(), 4);
    text.push('-');
    push_digits(text, month.into(), 2);
    text.push('-');
    push_digits(text, day.into(), 2);
}

fn push_time(text: &mut String, time: Time, digits: u8) {
    let seconds = time.0 / TICKS_PER_SECOND as u64;
    push_digits(text, seconds / 3600, 2);
    text.push(':');
    push_digits(text, seconds / 60 % 60, 2);
    text.push(':');
    push_digits(text, seconds % 60, 2);
    let digits = u32::from(digits.min(7));
    if digits > 0 {
        let fraction = time.0 % TICKS_PER_SECOND as u64 / 10u64.pow(7 - digits);
        text.push('.');
        push_digits(text, fraction, digits);
    }
}

/// The last `width` digits; `format!` would take most of the time of writing a date.
fn push_digits(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        text.push(char::from(b'0' + (number / 10u64.pow(place) % 10) as u8));
    }
}

fn offset_text(moment: OffsetTimestamp, digits: u8) -> String {
    let local = Timestamp(moment.utc.0 + i64::from(moment.offset_minutes) * 60 * TICKS_PER_SECOND);
    let (sign, minutes) = if moment.offset_minutes < 0 {
        ('-', -moment.offset_minutes)
    } else {
        ('+', moment.offset_minutes)
    };
    format!("{} {sign}{:02}:{:02}", timestamp_text(local, digits), minutes / 60, minutes % 60)
}

/// 36 characters, lower case.
pub fn guid_text(bytes: &[u8; 16]) -> String {
    let hex = hexadecimal(bytes).to_ascii_lowercase();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Reads a guid with or without hyphens, in either case.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    parse_hexadecimal(&digits)?.try_into().ok()
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let mut next = || parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
    Date::from_civil(year, month, day)
}

fn parse_time(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let valid = hour < 24 && minute < 60 && second < 60 && fraction.len() <= 9;
    if !valid || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
    let ticks = ((hour * 60 + minute) * 60 + second) * TICKS_PER_SECOND as u64;
    Some(Time(ticks + nanoseconds / 100))
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let Some((date, time)) = text.split_once(['T', ' ']) else {
        return Some(Timestamp::new(parse_date(text)?, Time(0)));
    };
    Some(Timestamp::new(parse_date(date)?, parse_time(time)?))
}

fn parse_offset(text: &str) -> Option<OffsetTimestamp> {
    if let Some(utc) = text.strip_suffix('Z') {
        return Some(OffsetTimestamp { utc: parse_timestamp(utc.trim_end())?, offset_minutes: 0 });
    }
    let at = text.rfind(['+', '-']).filter(|at| *at > 10)?;
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let magnitude = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
    let offset_minutes = if text[at..].starts_with('-') { -magnitude } else { magnitude };
    let local = parse_timestamp(text[..at].trim_end())?;
    let utc = Timestamp(local.0 - i64::from(offset_minutes) * 60 * TICKS_PER_SECOND);
    Some(OffsetTimestamp { utc, offset_minutes })
}

#[cfg(test)]
mod tests {
    use super::{canonical, fit, is_fitted, parse, rounded};
    use crate::moment::{OffsetTimestamp, Timestamp};
    use crate::types::SqlType;
    use crate::value::{Decimal, Value};

    fn of(declaration: &str) -> SqlType {
        SqlType::parse(declaration).expect("a type of the test")
    }

    /// given text -> canonical text, or the start of the refusal after `!`
    fn check(declaration: &str, given: &str, expected: &str) {
        let answer = match parse(given, of(declaration)) {
            Ok(value) => canonical(&value, of(declaration)).expect("no NULL in this table"),
            Err(refusal) => format!("!{refusal}"),
        };
        assert_eq!(answer, expected, "{declaration} of {given}");
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

    #[test]
    fn every_type_has_one_canonical_text() {
        check("bit", "true", "1");
        check("tinyint", "256", "!256 is outside tinyint (0 to 255)");
        check("int", "-2147483648", "-2147483648");
        check("bigint", "9223372036854775807", "9223372036854775807");
        check("numeric(32,16)", "-0", "0.0000000000000000");
        check(
            "numeric(32,16)",
            "9999999999999999.9999999999999999",
            "9999999999999999.9999999999999999",
        );
        check("numeric(4,2)", "99.995", "!99.995 has too many digits for decimal(4,2)");
        check("money", "922337203685477.5807", "922337203685477.5807");
        check("float", "0.1", "0.1");
        check("float", "-0.0", "0.0");
        check("real", "0.1", "0.10000000149011612");
        check("date", "0001-01-01", "0001-01-01");
        check("date", "2023-02-29", "!'2023-02-29' is not a date such as 2026-02-28");
        check("time(3)", "23:59:59.9994", "23:59:59.999");
        check("datetime2(7)", "9999-12-31T23:59:59.9999999", "9999-12-31 23:59:59.9999999");
        check("time(0)", "23:59:59.9", "!a date or time outside of what time(0) holds");
        let end = "!a date or time outside of what datetime2(0) holds";
        check("datetime2(0)", "9999-12-31T23:59:59.9999999", end);
        let end = "!a date or time outside of what datetimeoffset(7) holds";
        check("datetimeoffset(7)", "0001-01-01 00:30:00 +01:00", end);
        check("datetime", "1900-01-01 00:00:00.002", "1900-01-01 00:00:00.003");
        check("datetime", "1900-01-01 00:00:00.999", "1900-01-01 00:00:01.000");
        check("smalldatetime", "2026-01-01 00:00:30", "2026-01-01 00:01:00");
        check("datetimeoffset(0)", "2026-03-29 23:30:00 -05:30", "2026-03-29 23:30:00 -05:30");
        check(
            "uniqueidentifier",
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        );
        check("nchar(4)", "ab", "ab  ");
        check("nvarchar(1)", "\u{1F600}", "!2 characters do not fit nvarchar(1)");
        check("binary(3)", "ff", "FF0000");
        check("varbinary(max)", "0x00fF", "00FF");
        check("nvarchar(max)", " blanks stay  ", " blanks stay  ");
    }

    #[test]
    fn every_datetime_tick_of_a_second_is_its_own_text() {
        let mut texts = std::collections::BTreeSet::new();
        for ms in 0..1000 {
            let given = format!("2026-01-01 00:00:00.{ms:03}");
            let value = parse(&given, SqlType::DateTime).expect("a datetime");
            let text = canonical(&value, SqlType::DateTime).expect("not NULL");
            assert_eq!(parse(&text, SqlType::DateTime), Ok(value), "{text} is not stable");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 301, "300 ticks and the next second's first");
    }
}
