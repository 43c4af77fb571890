//! Values between SQLite's five kinds of cell and T-SQL's types, and T-SQL's conversions between types.

use super::refusal;
use super::types::{Family, bare, family, is_national, length};
use crate::answer::SqlError;
use rusqlite::types::{Value as Cell, ValueRef};
use tillhold_core::fit::fit;
use tillhold_core::moment::{OffsetTimestamp, Time, Timestamp};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// How a value of the type is kept.
pub fn encode(value: Value, of: SqlType) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(bit) => Cell::Integer(i64::from(bit)),
        Value::Int(number) => Cell::Integer(number),
        Value::Float(number) => Cell::Real(number),
        Value::Text(text) => Cell::Text(text),
        Value::Bytes(bytes) => Cell::Blob(bytes),
        other => text::canonical(&other, of).map_or(Cell::Null, Cell::Text),
    }
}

/// The value of a kept cell; an error means that the file holds what the engine never writes.
pub fn decode(cell: ValueRef<'_>, of: SqlType) -> Result<Value, SqlError> {
    match cell {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) if of == SqlType::Bit => Ok(Value::Bool(number != 0)),
        ValueRef::Integer(number) if family(of) == Family::Integer => Ok(Value::Int(number)),
        ValueRef::Real(number) if family(of) == Family::Float => Ok(Value::Float(number)),
        ValueRef::Integer(number) if family(of) == Family::Float => Ok(Value::Float(number as f64)),
        ValueRef::Blob(bytes) if family(of) == Family::Binary => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Text(bytes) => {
            let text =
                std::str::from_utf8(bytes).map_err(|_| refusal::below("text that is not UTF-8"))?;
            if family(of) == Family::Text {
                return Ok(Value::Text(text.to_string()));
            }
            if family(of) == Family::Decimal {
                // Read as it stands: a result may carry fewer decimals than its type names.
                return match Decimal::parse(text) {
                    Some(decimal) => {
                        fit(Value::Decimal(decimal), of).map_err(|_| refusal::overflow(bare(of)))
                    }
                    None => Err(refusal::below(&format!("'{text}' kept as {of}"))),
                };
            }
            text::parse(text, of).map_err(|_| refusal::below(&format!("'{text}' kept as {of}")))
        }
        other => Err(refusal::below(&format!("a cell of kind {} kept as {of}", other.data_type()))),
    }
}

/// How CONVERT's third argument reads.
pub const NO_STYLE: i64 = 0;

/// CAST and CONVERT: text and binary are cut silently, numbers that do not fit are errors.
pub fn convert(value: Value, from: SqlType, to: SqlType, style: i64) -> Result<Value, SqlError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match family(to) {
        Family::Text => Ok(cut_text(to_text(value, from, to, style)?, to)),
        Family::Binary => Ok(cut_bytes(to_bytes(value, from, to, style)?, to)),
        Family::Integer => to_integer(value, from, to),
        Family::Decimal => to_decimal(value, from, to),
        Family::Float => to_float(value, from, to),
        Family::Moment => to_moment(value, from, to),
        Family::Guid => to_guid(value, from, to),
    }
}

/// What an INSERT or UPDATE does: as [`convert`], but text that is too long is an error, said by the caller.
pub fn fits(value: &Value, to: SqlType) -> bool {
    let Some(most) = length(to).map(usize::from) else { return true };
    match value {
        // Blanks past the end are dropped without a word; binary zeros are not.
        Value::Text(text) => measure(text.trim_end_matches(' '), to) <= most,
        Value::Bytes(bytes) => bytes.len() <= most,
        _ => true,
    }
}

/// Characters as the type counts them: UTF-16 units, or one for each character of a code page.
fn measure(text: &str, of: SqlType) -> usize {
    if is_national(of) { text.encode_utf16().count() } else { text.chars().count() }
}

fn cut_text(text: String, to: SqlType) -> Value {
    let Some(most) = length(to).map(usize::from) else { return Value::Text(text) };
    let text =
        if text.len() <= most || measure(&text, to) <= most { text } else { cut(&text, most, to) };
    match to {
        SqlType::Char { .. } | SqlType::NChar { .. } => {
            let padding = most.saturating_sub(measure(&text, to));
            Value::Text(text + &" ".repeat(padding))
        }
        _ => Value::Text(text),
    }
}

fn cut(text: &str, most: usize, of: SqlType) -> String {
    let mut used = 0;
    let fitting = |c: &char| {
        used += if is_national(of) { c.len_utf16() } else { 1 };
        used <= most
    };
    text.chars().take_while(fitting).collect()
}

fn cut_bytes(mut bytes: Vec<u8>, to: SqlType) -> Value {
    if let Some(most) = length(to).map(usize::from) {
        bytes.truncate(most);
        if matches!(to, SqlType::Binary { .. }) {
            bytes.resize(most, 0);
        }
    }
    Value::Bytes(bytes)
}

fn not_allowed(from: SqlType, to: SqlType) -> SqlError {
    refusal::no_explicit_conversion(bare(from), bare(to))
}

fn to_integer(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let number = match value {
        Value::Bool(bit) => i64::from(bit),
        Value::Int(number) => number,
        Value::Float(number) if number.abs() < 9.3e18 => number as i64,
        Value::Float(_) => return Err(refusal::overflow(bare(to))),
        Value::Decimal(decimal) => {
            let whole = decimal.unscaled() / 10i128.pow(u32::from(decimal.scale()));
            i64::try_from(whole).map_err(|_| refusal::overflow(bare(to)))?
        }
        Value::Text(text) => return integer_of_text(&text, from, to),
        Value::Bytes(bytes) => {
            let last = &bytes[bytes.len().saturating_sub(8)..];
            last.iter().fold(0i64, |number, byte| number << 8 | i64::from(*byte))
        }
        _ => return Err(not_allowed(from, to)),
    };
    in_range(number, from, to)
}

fn integer_of_text(given: &str, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let text = given.trim_matches(' ');
    if to == SqlType::Bit {
        match text.to_ascii_lowercase().as_str() {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return if to == SqlType::BigInt {
            Err(refusal::type_conversion(bare(from), bare(to)))
        } else {
            Err(refusal::conversion(given, bare(from), bare(to)))
        };
    }
    // Blank text is zero.
    if digits.is_empty() {
        return in_range(0, from, to);
    }
    let number = text.parse().map_err(|_| refusal::overflow(bare(to)))?;
    in_range(number, from, to)
}

fn in_range(number: i64, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let (low, high) = match to {
        SqlType::Bit => return Ok(Value::Bool(number != 0)),
        SqlType::TinyInt => (0, 255),
        SqlType::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        SqlType::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    if (low..=high).contains(&number) {
        return Ok(Value::Int(number));
    }
    Err(match family(from) {
        Family::Integer => refusal::overflow(bare(to)),
        _ => refusal::overflow_from(bare(from), bare(to)),
    })
}

fn to_decimal(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let decimal = match value {
        Value::Bool(bit) => Decimal::new(i128::from(bit), 0),
        Value::Int(number) => Decimal::new(i128::from(number), 0),
        Value::Decimal(decimal) => Some(decimal),
        Value::Float(number) => decimal_of_float(number, to),
        Value::Text(text) => match Decimal::parse(text.trim_matches(' ')) {
            Some(decimal) => Some(decimal),
            None => return Err(refusal::type_conversion(bare(from), bare(to))),
        },
        _ => return Err(not_allowed(from, to)),
    };
    decimal
        .and_then(|decimal| fit(Value::Decimal(decimal), to).ok())
        .ok_or_else(|| refusal::overflow_from(bare(from), bare(to)))
}

/// The decimal of a float at the target's scale, from its shortest exact digits.
fn decimal_of_float(number: f64, to: SqlType) -> Option<Decimal> {
    let scale = match to {
        SqlType::Decimal { scale, .. } => scale,
        _ => 4,
    };
    if number.abs() >= 1e38 {
        return None;
    }
    Decimal::parse(&format!("{number:.width$}", width = usize::from(scale)))
}

fn to_float(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let number = match value {
        Value::Bool(bit) => f64::from(u8::from(bit)),
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        Value::Decimal(decimal) => decimal.to_string().parse().unwrap_or(0.0),
        Value::Text(text) => match text.trim_matches(' ').parse() {
            Ok(number) => number,
            Err(_) => return Err(refusal::type_conversion(bare(from), bare(to))),
        },
        _ => return Err(not_allowed(from, to)),
    };
    fit(Value::Float(number), to).map_err(|_| refusal::overflow(bare(to)))
}

fn to_moment(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let value = match value {
        Value::Text(given) => return moment_of_text(&given, from, to),
        Value::Timestamp(moment)
            if from == SqlType::DateTime && !matches!(to, SqlType::DateTime) =>
        {
            Value::Timestamp(exact_datetime(moment))
        }
        other => other,
    };
    let moment = match value {
        Value::Date(date) => {
            OffsetTimestamp { utc: Timestamp::new(date, Time(0)), offset_minutes: 0 }
        }
        // A time alone stands on 1900-01-01.
        Value::Time(time) => OffsetTimestamp {
            utc: Timestamp::new(tillhold_core::moment::Date(-25_567), time),
            offset_minutes: 0,
        },
        Value::Timestamp(utc) => OffsetTimestamp { utc, offset_minutes: 0 },
        Value::OffsetTimestamp(moment) => moment,
        _ => return Err(not_allowed(from, to)),
    };
    let local = Timestamp(moment.utc.0 + i64::from(moment.offset_minutes) * 600_000_000);
    let (from_date, from_time) =
        (matches!(from, SqlType::Date), matches!(from, SqlType::Time { .. }));
    let shaped = match to {
        SqlType::Date if from_time => return Err(refusal::operand_clash("time", "date")),
        SqlType::Time { .. } if from_date => return Err(refusal::operand_clash("date", "time")),
        SqlType::Date => Value::Date(local.date()),
        SqlType::Time { .. } => Value::Time(local.time()),
        SqlType::DateTimeOffset { .. } => Value::OffsetTimestamp(moment),
        _ => Value::Timestamp(local),
    };
    fit(shaped, to).map_err(|_| match to {
        SqlType::DateTime | SqlType::SmallDateTime => refusal::beyond_moments(bare(from), bare(to)),
        _ => refusal::overflow_from(bare(from), bare(to)),
    })
}

/// A datetime counts 1/300 s: since compatibility level 130 its thirds survive a conversion (.003 is .0033333).
fn exact_datetime(moment: Timestamp) -> Timestamp {
    let second = moment.0.div_euclid(10_000_000);
    let ticks = (moment.0.rem_euclid(10_000_000) * 300 + 5_000_000) / 10_000_000;
    Timestamp(second * 10_000_000 + (ticks * 10_000_000 + 150) / 300)
}

fn moment_of_text(given: &str, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let text = given.trim_matches(' ');
    let text = if text.is_empty() { "1900-01-01".to_string() } else { with_hyphens(text) };
    let read = |of: SqlType| text::parse(&text, of);
    let value = match to {
        SqlType::Date => read(SqlType::DateTime2 { scale: 7 })
            .ok()
            .and_then(|value| convert(value, SqlType::DateTime2 { scale: 7 }, to, 0).ok()),
        SqlType::Time { .. } => read(to).ok().or_else(|| {
            let moment = read(SqlType::DateTime2 { scale: 7 }).ok()?;
            convert(moment, SqlType::DateTime2 { scale: 7 }, to, 0).ok()
        }),
        SqlType::DateTimeOffset { .. } => read(to).ok().or_else(|| {
            let moment = read(SqlType::DateTime2 { scale: 7 }).ok()?;
            convert(moment, SqlType::DateTime2 { scale: 7 }, to, 0).ok()
        }),
        // datetime and smalldatetime read no more than three decimals.
        SqlType::DateTime | SqlType::SmallDateTime if decimals(&text) > 3 => None,
        SqlType::DateTime | SqlType::SmallDateTime => {
            let is_moment = read(SqlType::DateTime2 { scale: 7 }).is_ok();
            let beyond = || refusal::beyond_moments(bare(from), bare(to));
            return read(to).map_err(|_| match is_moment {
                true => beyond(),
                false => refusal::moment_conversion(),
            });
        }
        _ => read(to).ok(),
    };
    value.ok_or_else(refusal::moment_conversion)
}

fn decimals(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('Z').len())
}

/// `20260228` and `20260228 12:00` as `2026-02-28…`.
fn with_hyphens(text: &str) -> String {
    let plain = text.len() >= 8
        && text.bytes().take(8).all(|byte| byte.is_ascii_digit())
        && text.as_bytes().get(8).is_none_or(|byte| matches!(byte, b' ' | b'T'));
    if plain { format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]) } else { text.to_string() }
}

fn to_guid(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    match value {
        Value::Guid(bytes) => Ok(Value::Guid(bytes)),
        Value::Text(given) => {
            let text = given.trim_matches(' ').trim_start_matches('{').trim_end_matches('}');
            let hyphenated =
                text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
            let bytes = if hyphenated { text::parse_guid(text) } else { None };
            bytes.map(Value::Guid).ok_or_else(refusal::guid_conversion)
        }
        // Bytes are SQL Server's own order: the first three groups little-endian.
        Value::Bytes(mut bytes) => {
            bytes.resize(16, 0);
            bytes[..4].reverse();
            bytes[4..6].reverse();
            bytes[6..8].reverse();
            let bytes: [u8; 16] = bytes.try_into().map_err(|_| not_allowed(from, to))?;
            Ok(Value::Guid(bytes))
        }
        _ => Err(not_allowed(from, to)),
    }
}

fn to_text(value: Value, from: SqlType, to: SqlType, style: i64) -> Result<String, SqlError> {
    Ok(match value {
        Value::Text(text) => text,
        // Money shows two decimals unless style 2 asks for its four.
        Value::Decimal(money)
            if matches!(from, SqlType::Money | SqlType::SmallMoney) && style == 0 =>
        {
            money.rescale(2).unwrap_or(money).to_string()
        }
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) => {
            let text = text::canonical(&value, from).unwrap_or_default();
            if length(to).is_some_and(|most| text.len() > usize::from(most)) {
                // SQL Server gives '*' for integers and 8115 for decimals; both are errors of the statement here.
                return Err(refusal::overflow_from(bare(from), bare(to)));
            }
            text
        }
        Value::Guid(_) => text::canonical(&value, from).unwrap_or_default().to_ascii_uppercase(),
        Value::Bytes(bytes) => text_of_bytes(&bytes, to, style)?,
        Value::Float(number) if style == 3 => format!("{number:.16e}"),
        Value::Float(_) => return Err(unknown_style(style, from)),
        other => super::styles::moment_text(&other, from, style)
            .ok_or_else(|| unknown_style(style, from))?,
    })
}

fn unknown_style(style: i64, from: SqlType) -> SqlError {
    SqlError::new(
        281,
        format!(
            "{style} is not a valid style number when converting from {} to a character string.",
            bare(from)
        ),
    )
}

fn text_of_bytes(bytes: &[u8], to: SqlType, style: i64) -> Result<String, SqlError> {
    match style {
        1 => Ok(format!("0x{}", text::hexadecimal(bytes))),
        2 => Ok(text::hexadecimal(bytes)),
        0 if is_national(to) => {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|pair| u16::from_le_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))
                .collect();
            String::from_utf16(&units).map_err(|_| refusal::type_conversion("varbinary", bare(to)))
        }
        0 if bytes.is_ascii() => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        0 => Err(refusal::unsupported("bytes of a code page as text")),
        _ => Err(unknown_style(style, SqlType::VarBinary { length: None })),
    }
}

fn to_bytes(value: Value, from: SqlType, to: SqlType, style: i64) -> Result<Vec<u8>, SqlError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Text(given) => bytes_of_text(&given, from, to, style),
        Value::Bool(bit) => Ok(vec![u8::from(bit)]),
        Value::Int(number) => {
            let width = match from {
                SqlType::TinyInt | SqlType::Bit => 1,
                SqlType::SmallInt => 2,
                SqlType::Int => 4,
                _ => 8,
            };
            let all = number.to_be_bytes();
            let bytes = all[8 - width..].to_vec();
            // A fixed length pads and cuts integers on the left.
            Ok(match to {
                SqlType::Binary { length } => at_the_right(bytes, usize::from(length)),
                _ => bytes,
            })
        }
        Value::Guid(mut bytes) => {
            bytes[..4].reverse();
            bytes[4..6].reverse();
            bytes[6..8].reverse();
            Ok(bytes.to_vec())
        }
        _ => Err(not_allowed(from, to)),
    }
}

fn at_the_right(bytes: Vec<u8>, width: usize) -> Vec<u8> {
    let mut padded = vec![0; width.saturating_sub(bytes.len())];
    padded.extend_from_slice(&bytes[bytes.len().saturating_sub(width)..]);
    padded
}

fn bytes_of_text(given: &str, from: SqlType, to: SqlType, style: i64) -> Result<Vec<u8>, SqlError> {
    let wrong = || refusal::type_conversion(bare(from), bare(to));
    match style {
        1 if !given.starts_with("0x") => Err(wrong()),
        2 if given.starts_with("0x") => Err(wrong()),
        1 | 2 => text::parse_hexadecimal(given).ok_or_else(wrong),
        0 if is_national(from) => Ok(given.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        0 if given.is_ascii() => Ok(given.as_bytes().to_vec()),
        0 => Err(refusal::unsupported("text of a code page as bytes")),
        _ => Err(SqlError::new(
            281,
            format!(
                "{style} is not a valid style number when converting from {} to varbinary.",
                bare(from)
            ),
        )),
    }
}
