//! Rows from a seed: of each type its extremes, and what lies between.
//!
//! * The same seed and table give the same rows on every machine.
//! * Every value is one that the column holds: it is its own canonical form.
//! * Left out on purpose: subnormal floats (outside the documented range of float), U+0000 and lone surrogates
//!   (each has a case of its own), and letters that a column's code page lacks.

use std::collections::BTreeSet;
use tillhold_core::draw::Draw;
use tillhold_core::fit::fit;
use tillhold_core::moment::{
    Date, OffsetTimestamp, TICKS_PER_DAY, TICKS_PER_SECOND, Time, Timestamp,
};
use tillhold_core::row::Row;
use tillhold_core::table::{Column, Table};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// Rows with different keys, as the table compares them; fewer when its key has fewer values.
pub fn rows(random: &mut Draw, table: &Table, count: usize) -> Vec<Row> {
    let mut keys = BTreeSet::new();
    let mut rows = Vec::new();
    for _ in 0..count * 8 {
        let row = row(random, table);
        if rows.len() < count && keys.insert(distinct(&row, table)) {
            rows.push(row);
        }
    }
    rows
}

/// The key as the server tells rows apart: blind to trailing blanks under every collation, and of a
/// datetimeoffset only the instant.
pub fn distinct(row: &Row, table: &Table) -> Vec<String> {
    let key = row.key(table);
    let one = |(text, value): (String, &Value)| match value {
        Value::OffsetTimestamp(moment) => moment.utc.0.to_string(),
        _ => text.trim_end_matches(' ').to_lowercase(),
    };
    key.folded(table).into_iter().zip(&key.0).map(one).collect()
}

pub fn row(random: &mut Draw, table: &Table) -> Row {
    let one = |(at, column): (usize, &Column)| {
        let is_null = column.nullable && !table.is_key(at) && random.below(5) == 0;
        if is_null { Value::Null } else { value(random, column) }
    };
    Row(table.columns.iter().enumerate().map(one).collect())
}

/// Never NULL.
pub fn value(random: &mut Draw, column: &Column) -> Value {
    let of = column.of;
    let raw = match of {
        SqlType::Bit => Value::Bool(random.below(2) == 1),
        SqlType::TinyInt => whole(random, 0, 255),
        SqlType::SmallInt => whole(random, i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => whole(random, i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => whole(random, i64::MIN, i64::MAX),
        SqlType::Decimal { precision, scale } => decimal(random, precision, scale),
        SqlType::Money => money(random, i64::MIN, i64::MAX),
        SqlType::SmallMoney => money(random, i32::MIN.into(), i32::MAX.into()),
        SqlType::Float => float(random),
        SqlType::Real => real(random),
        SqlType::Date => Value::Date(Timestamp(moment(random, 0, YEAR_10000)).date()),
        SqlType::Time { .. } => Value::Time(Time(within_a_day(random) as u64)),
        SqlType::DateTime2 { .. } => Value::Timestamp(Timestamp(moment(random, 0, YEAR_10000))),
        SqlType::DateTime => Value::Timestamp(Timestamp(moment(random, year_1753(), YEAR_10000))),
        SqlType::SmallDateTime => {
            Value::Timestamp(Timestamp(moment(random, year_1900(), year_2079())))
        }
        SqlType::DateTimeOffset { .. } => offset(random),
        SqlType::UniqueIdentifier => Value::Guid(guid(random)),
        SqlType::Xml => {
            Value::Text(format!("<a b=\"{}\">{}</a>", random.below(9), letters(random, 9, WIDE)))
        }
        of if of.is_text() => text(random, column),
        _ => Value::Bytes(bytes(random, of)),
    };
    cut_to_grain(raw, of)
}

fn whole(random: &mut Draw, low: i64, high: i64) -> Value {
    let between =
        low.wrapping_add((random.number() % (high.wrapping_sub(low) as u64).max(1)) as i64);
    Value::Int(*random.pick(&[low, high, 0, 1, between, between]))
}

fn decimal(random: &mut Draw, precision: u8, scale: u8) -> Value {
    let most = 10i128.pow(precision.into()) - 1;
    let between = (i128::from(random.number()) << 63 | i128::from(random.number() >> 1)) % most;
    let unscaled = *random.pick(&[most, -most, 0, 1, -1, between, -between]);
    Value::Decimal(Decimal::new(unscaled, scale).expect("38 digits at most"))
}

/// Ten-thousandths, as the server counts them.
fn money(random: &mut Draw, low: i64, high: i64) -> Value {
    let Value::Int(unscaled) = whole(random, low, high) else { return Value::Null };
    Value::Decimal(Decimal::new(unscaled.into(), 4).expect("19 digits"))
}

fn float(random: &mut Draw) -> Value {
    let between = f64::from_bits(random.number());
    let between = if between.is_normal() { between } else { 0.1 };
    Value::Float(*random.pick(&[f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, 0.1, between, between]))
}

fn real(random: &mut Draw) -> Value {
    let between = f32::from_bits(random.number() as u32);
    let between = if between.is_normal() { between } else { 0.1 };
    let single = *random.pick(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0, 0.1, between]);
    Value::Float(single.into())
}

/// Ticks from 0001-01-01 to the end of 9999.
const YEAR_10000: i64 = 3_652_059 * TICKS_PER_DAY;

fn year_1753() -> i64 {
    639_905 * TICKS_PER_DAY
}

fn year_1900() -> i64 {
    693_595 * TICKS_PER_DAY
}

/// 65,536 days after 1900-01-01.
fn year_2079() -> i64 {
    year_1900() + 65_536 * TICKS_PER_DAY
}

fn moment(random: &mut Draw, start: i64, end: i64) -> i64 {
    let between = start + (random.number() % (end - start) as u64) as i64;
    *random.pick(&[start, end - 1, between, between])
}

fn within_a_day(random: &mut Draw) -> i64 {
    let between = random.below(TICKS_PER_DAY as u64) as i64;
    *random.pick(&[0, TICKS_PER_DAY - 1, between, between])
}

/// Both the local and the universal date are within the years 1 to 9999.
fn offset(random: &mut Draw) -> Value {
    let between = random.below(1_681) as i16 - 840;
    let offset_minutes = *random.pick(&[840, -840, 0, 330, between]);
    let utc = Timestamp(moment(random, TICKS_PER_DAY, YEAR_10000 - TICKS_PER_DAY));
    Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes })
}

fn guid(random: &mut Draw) -> [u8; 16] {
    let (a, b) = (random.number().to_le_bytes(), random.number().to_le_bytes());
    let mut between = [0; 16];
    between[..8].copy_from_slice(&a);
    between[8..].copy_from_slice(&b);
    *random.pick(&[[0; 16], [0xFF; 16], between, between])
}

/// A letter of two UTF-16 units, one that combines with the letter before it, a blank, and plain ones.
const WIDE: &[char] =
    &['a', 'Z', '0', ' ', '\'', '"', '\\', '/', '\n', 'ß', 'é', '€', '\u{301}', '中', '\u{1F600}'];
/// All of them are in code page 1252.
const NARROW: &[char] =
    &['a', 'Z', '0', ' ', '\'', '"', '\\', '%', '_', '[', '\n', 'ß', 'é', '€', 'Ÿ'];
/// A max column is not filled to two gigabytes.
const MAX_SHOWN: usize = 9_000;

fn text(random: &mut Draw, column: &Column) -> Value {
    let is_utf8 = column.collation.as_ref().is_some_and(|c| c.to_uppercase().contains("UTF8"));
    let (most, letters_of) = match column.of {
        SqlType::NChar { length } | SqlType::NVarChar { length: Some(length) } => {
            (length.into(), WIDE)
        }
        // A byte a letter in code page 1252, four at most in UTF-8.
        SqlType::Char { length } | SqlType::VarChar { length: Some(length) } if is_utf8 => {
            (usize::from(length) / 4, WIDE)
        }
        SqlType::Char { length } | SqlType::VarChar { length: Some(length) } => {
            (length.into(), NARROW)
        }
        SqlType::NVarChar { .. } | SqlType::NText => (MAX_SHOWN, WIDE),
        _ if is_utf8 => (MAX_SHOWN, WIDE),
        _ => (MAX_SHOWN, NARROW),
    };
    let between = random.below(most as u64 + 1) as usize;
    let units = *random.pick(&[0, 1, most, between.min(12), between]);
    Value::Text(letters(random, units, letters_of))
}

/// As many UTF-16 units as asked for, one fewer where the last letter would take two.
fn letters(random: &mut Draw, units: usize, of: &[char]) -> String {
    let mut text = String::new();
    let mut left = units;
    while left > 0 {
        let letter = *random.pick(of);
        if letter.len_utf16() > left {
            break;
        }
        left -= letter.len_utf16();
        text.push(letter);
    }
    text
}

fn bytes(random: &mut Draw, of: SqlType) -> Vec<u8> {
    let most = match of {
        SqlType::Binary { length } | SqlType::VarBinary { length: Some(length) } => length.into(),
        _ => MAX_SHOWN,
    };
    let between = random.below(most as u64 + 1) as usize;
    let length = *random.pick(&[0, 1, most, between]);
    (0..length).map(|_| random.number() as u8).collect()
}

/// The column's own grain, downwards: rounding up could leave the range.
fn cut_to_grain(raw: Value, of: SqlType) -> Value {
    let cut = |ticks: i64, unit: i64| ticks.div_euclid(unit) * unit;
    let unit = |scale: u8| 10i64.pow(7 - u32::from(scale));
    let raw = match (raw, of) {
        (Value::Time(t), SqlType::Time { scale }) => {
            Value::Time(Time(cut(t.0 as i64, unit(scale)) as u64))
        }
        (Value::Timestamp(m), SqlType::DateTime2 { scale }) => {
            Value::Timestamp(Timestamp(cut(m.0, unit(scale))))
        }
        // The last tick of a second is .997; the next would be the second after it.
        (Value::Timestamp(m), SqlType::DateTime) => {
            let within = m.0.rem_euclid(TICKS_PER_SECOND).min(TICKS_PER_SECOND - 40_000);
            Value::Timestamp(Timestamp(cut(m.0, TICKS_PER_SECOND) + within))
        }
        (Value::Timestamp(m), SqlType::SmallDateTime) => {
            Value::Timestamp(Timestamp(cut(m.0, 60 * TICKS_PER_SECOND)))
        }
        (Value::OffsetTimestamp(m), SqlType::DateTimeOffset { scale }) => {
            let utc = Timestamp(cut(m.utc.0, unit(scale)));
            Value::OffsetTimestamp(OffsetTimestamp { utc, ..m })
        }
        (raw, _) => raw,
    };
    fit(raw, of).expect("a value of the column's own range")
}

/// The days' count and the calendar agree on where `datetime` begins.
pub fn assert_calendar() {
    let days = |ticks: i64| Timestamp(ticks).date();
    assert_eq!(Some(days(year_1753())), Date::from_civil(1753, 1, 1));
    assert_eq!(Some(days(year_1900())), Date::from_civil(1900, 1, 1));
    assert_eq!(Some(days(year_2079() - 1)), Date::from_civil(2079, 6, 6));
    assert_eq!(Some(days(YEAR_10000 - 1)), Date::from_civil(9999, 12, 31));
}
