//! Values on their way to a client (2.2.5.5), written straight into the packet buffer.
//!
//! * A value must be of its column's shape and fit it; a looser one is fitted once as the column would hold it,
//!   and what still does not fit is a fault of the engine, reported with the reason.

use super::codepage::put_1252;
use super::type_info::{decimal_size, is_bare};
use tillhold_core::fit::{Misfit, fit};
use tillhold_core::moment::{
    Date, EPOCH_DAYS, OffsetTimestamp, TICKS_PER_DAY, TICKS_PER_SECOND, Time, Timestamp,
};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// Days from 0001-01-01 to 1900-01-01, from which `datetime` counts.
pub const DAYS_TO_1900: i64 = 693_595;
/// The last day of 9999, counted from 0001-01-01.
pub const LAST_DAY: i64 = 3_652_058;

const PLP_NULL: u64 = u64::MAX;
/// A text pointer and its timestamp: old clients skip them (2.2.5.2.1).
const TEXT_POINTER: [u8; 25] = *b"\x10tillhold textptr\0\0\0\0\0\0\0\0";

/// One cell. On refusal the buffer holds part of it: the caller truncates.
pub fn put_value(
    buffer: &mut Vec<u8>,
    of: SqlType,
    nullable: bool,
    value: &Value,
) -> Result<(), Misfit> {
    if value.is_null() {
        return if nullable { put_null(buffer, of) } else { misfit("NULL in a NOT NULL column") };
    }
    let start = buffer.len();
    if put_exact(buffer, of, !is_bare(of, nullable), value)? {
        return Ok(());
    }
    buffer.truncate(start);
    let fitted = fit(value.clone(), of)?;
    match put_exact(buffer, of, !is_bare(of, nullable), &fitted)? {
        true => Ok(()),
        false => misfit(&format!("a {} does not fit {of}", fitted.shape())),
    }
}

fn misfit<T>(reason: &str) -> Result<T, Misfit> {
    Err(Misfit { reason: reason.to_string() })
}

fn put_null(buffer: &mut Vec<u8>, of: SqlType) -> Result<(), Misfit> {
    match of {
        SqlType::VarChar { length: None }
        | SqlType::NVarChar { length: None }
        | SqlType::VarBinary { length: None }
        | SqlType::Xml => buffer.extend(PLP_NULL.to_le_bytes()),
        SqlType::Text | SqlType::NText | SqlType::Image => buffer.push(0),
        _ if of.is_text() || of.is_binary() => buffer.extend([0xFF, 0xFF]),
        _ => buffer.push(0),
    }
    Ok(())
}

/// Writes the value; `false` when its shape is not the column's own.
fn put_exact(
    buffer: &mut Vec<u8>,
    of: SqlType,
    counted: bool,
    value: &Value,
) -> Result<bool, Misfit> {
    match (value, of) {
        (Value::Int(number), _) => return Ok(put_integer(buffer, of, counted, *number)),
        (Value::Text(text), _) if of.is_text() => put_text(buffer, of, text)?,
        (Value::Decimal(decimal), _) => return put_decimal(buffer, of, counted, *decimal),
        (Value::Bool(bit), SqlType::Bit) => put_counted(buffer, counted, &[u8::from(*bit)]),
        (Value::Bytes(bytes), _) if of.is_binary() => put_bytes(buffer, of, bytes)?,
        (Value::Timestamp(moment), _) => return put_timestamp(buffer, of, counted, *moment),
        (Value::Guid(bytes), SqlType::UniqueIdentifier) => {
            put_counted(buffer, true, &mixed_endian(*bytes));
        }
        (Value::Float(number), SqlType::Float) if number.is_finite() => {
            put_counted(buffer, counted, &number.to_le_bytes());
        }
        (Value::Float(number), SqlType::Real) if (*number as f32).is_finite() => {
            put_counted(buffer, counted, &(*number as f32).to_le_bytes());
        }
        (Value::Date(date), SqlType::Date) => {
            buffer.push(3);
            put_date(buffer, *date)?;
        }
        (Value::Time(time), SqlType::Time { scale }) => {
            buffer.push(time_size(scale));
            put_time(buffer, *time, scale)?;
        }
        (Value::OffsetTimestamp(moment), SqlType::DateTimeOffset { scale }) => {
            put_offset(buffer, *moment, scale)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn put_counted(buffer: &mut Vec<u8>, counted: bool, bytes: &[u8]) {
    if counted {
        buffer.push(bytes.len() as u8);
    }
    buffer.extend_from_slice(bytes);
}

fn put_integer(buffer: &mut Vec<u8>, of: SqlType, counted: bool, number: i64) -> bool {
    match of {
        SqlType::BigInt => put_counted(buffer, counted, &number.to_le_bytes()),
        SqlType::Int => match i32::try_from(number) {
            Ok(number) => put_counted(buffer, counted, &number.to_le_bytes()),
            Err(_) => return false,
        },
        SqlType::SmallInt => match i16::try_from(number) {
            Ok(number) => put_counted(buffer, counted, &number.to_le_bytes()),
            Err(_) => return false,
        },
        SqlType::TinyInt => match u8::try_from(number) {
            Ok(number) => put_counted(buffer, counted, &[number]),
            Err(_) => return false,
        },
        _ => return false,
    }
    true
}

/// Sign and magnitude (2.2.5.5.1.6); money is ten-thousandths in two halves, the high one first (2.2.5.5.1.2).
fn put_decimal(
    buffer: &mut Vec<u8>,
    of: SqlType,
    counted: bool,
    decimal: Decimal,
) -> Result<bool, Misfit> {
    match of {
        SqlType::Decimal { precision, scale } => {
            let unscaled = decimal.unscaled();
            let digits = 10u128.pow(u32::from(precision.min(38)));
            if decimal.scale() != scale || unscaled.unsigned_abs() >= digits {
                return Ok(false);
            }
            let size = decimal_size(precision);
            buffer.push(size);
            buffer.push(u8::from(unscaled >= 0));
            let magnitude = unscaled.unsigned_abs().to_le_bytes();
            buffer.extend_from_slice(&magnitude[..usize::from(size) - 1]);
            Ok(true)
        }
        SqlType::Money | SqlType::SmallMoney => {
            let Some(units) = decimal.rescale(4).map(Decimal::unscaled) else {
                return Ok(false);
            };
            put_money(buffer, of, counted, units)
        }
        _ => Ok(false),
    }
}

fn put_money(
    buffer: &mut Vec<u8>,
    of: SqlType,
    counted: bool,
    units: i128,
) -> Result<bool, Misfit> {
    if of == SqlType::SmallMoney {
        return match i32::try_from(units) {
            Ok(units) => {
                put_counted(buffer, counted, &units.to_le_bytes());
                Ok(true)
            }
            Err(_) => misfit("the amount is outside smallmoney"),
        };
    }
    let Ok(units) = i64::try_from(units) else {
        return misfit("the amount is outside money");
    };
    let bytes = units.to_le_bytes();
    let halves = [bytes[4], bytes[5], bytes[6], bytes[7], bytes[0], bytes[1], bytes[2], bytes[3]];
    put_counted(buffer, counted, &halves);
    Ok(true)
}

fn put_text(buffer: &mut Vec<u8>, of: SqlType, text: &str) -> Result<(), Misfit> {
    let (most, wide) = match of {
        SqlType::Char { length } => (Some(usize::from(length)), false),
        SqlType::VarChar { length } => (length.map(usize::from), false),
        SqlType::NChar { length } => (Some(usize::from(length) * 2), true),
        SqlType::NVarChar { length } => (length.map(|l| usize::from(l) * 2), true),
        SqlType::Text => return put_long(buffer, |buffer| put_1252(buffer, text)),
        SqlType::NText => return put_long(buffer, |buffer| put_utf16(buffer, text)),
        _ => (None, true),
    };
    let content = |buffer: &mut Vec<u8>| {
        if wide { put_utf16(buffer, text) } else { put_1252(buffer, text) }
    };
    match most {
        Some(most) => put_short(buffer, of, most, content),
        None => put_chunk(buffer, content),
    }
}

fn put_bytes(buffer: &mut Vec<u8>, of: SqlType, bytes: &[u8]) -> Result<(), Misfit> {
    let content = |buffer: &mut Vec<u8>| buffer.extend_from_slice(bytes);
    match of {
        SqlType::Binary { length } | SqlType::VarBinary { length: Some(length) } => {
            put_short(buffer, of, usize::from(length), content)
        }
        SqlType::RowVersion => put_short(buffer, of, 8, content),
        SqlType::Image => put_long(buffer, content),
        _ => put_chunk(buffer, content),
    }
}

/// Two bytes of length, then the content, whose length is known only afterwards.
fn put_short(
    buffer: &mut Vec<u8>,
    of: SqlType,
    most: usize,
    content: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Misfit> {
    let at = buffer.len();
    buffer.extend([0, 0]);
    content(buffer);
    let length = buffer.len() - at - 2;
    match u16::try_from(length).ok().filter(|_| length <= most) {
        Some(length) => {
            buffer[at..at + 2].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        None => misfit(&format!("{length} bytes do not fit {of}")),
    }
}

/// One chunk of known length (2.2.5.2.3); an empty value has no chunk.
fn put_chunk(buffer: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> Result<(), Misfit> {
    let at = buffer.len();
    buffer.extend([0; 12]);
    content(buffer);
    let length = buffer.len() - at - 12;
    let Ok(chunk) = u32::try_from(length) else {
        return misfit(&format!("{length} bytes in one value"));
    };
    buffer[at..at + 8].copy_from_slice(&u64::from(chunk).to_le_bytes());
    buffer[at + 8..at + 12].copy_from_slice(&chunk.to_le_bytes());
    if chunk > 0 {
        buffer.extend([0; 4]);
    }
    Ok(())
}

fn put_long(buffer: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> Result<(), Misfit> {
    buffer.extend(TEXT_POINTER);
    let at = buffer.len();
    buffer.extend([0; 4]);
    content(buffer);
    let length = buffer.len() - at - 4;
    match i32::try_from(length) {
        Ok(length) => {
            buffer[at..at + 4].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        Err(_) => misfit(&format!("{length} bytes in one value")),
    }
}

pub fn put_utf16(buffer: &mut Vec<u8>, text: &str) {
    buffer.reserve(text.len() * 2);
    if text.is_ascii() {
        buffer.extend(text.bytes().flat_map(|byte| [byte, 0]));
    } else {
        buffer.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    }
}

fn put_timestamp(
    buffer: &mut Vec<u8>,
    of: SqlType,
    counted: bool,
    moment: Timestamp,
) -> Result<bool, Misfit> {
    match of {
        SqlType::DateTime2 { scale } => {
            buffer.push(time_size(scale) + 3);
            put_time(buffer, moment.time(), scale)?;
            put_date(buffer, moment.date())?;
        }
        SqlType::DateTime => put_counted(buffer, counted, &datetime(moment)?),
        SqlType::SmallDateTime => put_counted(buffer, counted, &small_datetime(moment)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Days since 1900 and 1/300 seconds since midnight (2.2.5.5.1.8).
fn datetime(moment: Timestamp) -> Result<[u8; 8], Misfit> {
    let second = moment.0.div_euclid(TICKS_PER_SECOND);
    let within = moment.0.rem_euclid(TICKS_PER_SECOND);
    let grains = second * 300 + (within * 300 + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
    let days = grains.div_euclid(86_400 * 300) - DAYS_TO_1900;
    // 1753-01-01 to 9999-12-31.
    if !(-53_690..=2_958_463).contains(&days) {
        return misfit("the moment is outside datetime");
    }
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&(days as i32).to_le_bytes());
    bytes[4..].copy_from_slice(&(grains.rem_euclid(86_400 * 300) as u32).to_le_bytes());
    Ok(bytes)
}

/// Days since 1900 and minutes since midnight.
fn small_datetime(moment: Timestamp) -> Result<[u8; 4], Misfit> {
    let minutes = (moment.0 + 30 * TICKS_PER_SECOND).div_euclid(60 * TICKS_PER_SECOND);
    let days = minutes.div_euclid(1_440) - DAYS_TO_1900;
    let Ok(days) = u16::try_from(days) else {
        return misfit("the moment is outside smalldatetime");
    };
    let [a, b] = days.to_le_bytes();
    let [c, d] = (minutes.rem_euclid(1_440) as u16).to_le_bytes();
    Ok([a, b, c, d])
}

/// Instant in UTC, then the offset in minutes (2.2.5.5.1.9).
fn put_offset(buffer: &mut Vec<u8>, moment: OffsetTimestamp, scale: u8) -> Result<(), Misfit> {
    buffer.push(time_size(scale) + 5);
    put_time(buffer, moment.utc.time(), scale)?;
    put_date(buffer, moment.utc.date())?;
    buffer.extend(moment.offset_minutes.to_le_bytes());
    Ok(())
}

pub fn time_size(scale: u8) -> u8 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn put_time(buffer: &mut Vec<u8>, time: Time, scale: u8) -> Result<(), Misfit> {
    if time.0 >= TICKS_PER_DAY as u64 {
        return misfit("a time of day of 24 hours or more");
    }
    let units = time.0 / 10u64.pow(7 - u32::from(scale.min(7)));
    buffer.extend_from_slice(&units.to_le_bytes()[..usize::from(time_size(scale))]);
    Ok(())
}

fn put_date(buffer: &mut Vec<u8>, date: Date) -> Result<(), Misfit> {
    let days = i64::from(date.0) + EPOCH_DAYS;
    if !(0..=LAST_DAY).contains(&days) {
        return misfit("a date outside the years 1 to 9999");
    }
    buffer.extend_from_slice(&(days as u32).to_le_bytes()[..3]);
    Ok(())
}

/// RFC 9562 order to SQL Server's, and back: the first three fields are little-endian on the wire.
pub fn mixed_endian(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}
