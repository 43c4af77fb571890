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

use crate::fit::{Misfit, fit, misfit};
use crate::moment::{Date, OffsetTimestamp, TICKS_PER_SECOND, Time, Timestamp};
use crate::types::SqlType;
use crate::value::{Decimal, Value};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The canonical text of a value that [`fit`] its type; `None` for NULL.
pub fn canonical(value: &Value, of: SqlType) -> Option<String> {
    canonical_text(value, of).map(Cow::into_owned)
}

/// The same, borrowed where the value is its own text.
pub fn canonical_text(value: &Value, of: SqlType) -> Option<Cow<'_, str>> {
    let made = match value {
        Value::Null => return None,
        Value::Text(text) => return Some(Cow::Borrowed(text)),
        Value::Bool(bit) => return Some(Cow::Borrowed(if *bit { "1" } else { "0" })),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        Value::Decimal(decimal) => decimal.text(),
        Value::Bytes(bytes) => hexadecimal(bytes),
        Value::Date(date) => date_text(*date),
        Value::Time(time) => time_text(*time, fraction_digits(of)),
        Value::Timestamp(moment) => timestamp_text(*moment, fraction_digits(of)),
        Value::OffsetTimestamp(moment) => offset_text(*moment, fraction_digits(of)),
        Value::Guid(bytes) => guid_text(bytes),
    };
    Some(Cow::Owned(made))
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
    use super::{canonical, parse};
    use crate::types::SqlType;

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
