//! Cells that columns can hold, invented: their edges often, anything else now and then.

use tillhold_core::conflict::Conflict;
use tillhold_core::draw::Draw;
use tillhold_core::fit::fit;
use tillhold_core::moment::{Date, OffsetTimestamp, TICKS_PER_DAY, Time, Timestamp};
use tillhold_core::row::Row;
use tillhold_core::table::{Column, Table};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// Where nothing else bounds a text or a binary value; now and then, so that batches stay within their bytes.
const LONG: usize = 4_000;

pub(crate) fn row(draw: &mut Draw, table: &Table) -> Row {
    Row(table.columns.iter().map(|column| cell(draw, column)).collect())
}

/// Two sides that share a base, mostly; now and then one side deleted the row, or both made it.
pub(crate) fn conflict(draw: &mut Draw, table: &std::sync::Arc<Table>) -> Conflict {
    let base = row(draw, table);
    let channel = changed(draw, table, &base);
    let offline = changed(draw, table, &base);
    let key = base.key(table);
    let kinds = [(true, true, true), (true, false, true), (true, true, false), (false, true, true)];
    let (has_base, has_channel, has_offline) = match draw.one_in(2) {
        true => kinds[0],
        false => *draw.pick(&kinds),
    };
    Conflict {
        table: table.clone(),
        key,
        base: has_base.then_some(base),
        channel: has_channel.then_some(channel),
        offline: has_offline.then_some(offline),
    }
}

/// Some cells anew; never the key.
fn changed(draw: &mut Draw, table: &Table, row: &Row) -> Row {
    let mut changed = row.clone();
    for (at, column) in table.columns.iter().enumerate() {
        if !table.is_key(at) && draw.one_in(3) {
            changed.0[at] = cell(draw, column);
        }
    }
    changed
}

fn cell(draw: &mut Draw, column: &Column) -> Value {
    if column.nullable && draw.one_in(6) {
        return Value::Null;
    }
    let invented = value(draw, column.of.travels_as());
    fit(invented, column.of).unwrap_or_else(|_| simplest(column))
}

/// What a cell is when nothing depends on it.
pub(crate) fn simplest(column: &Column) -> Value {
    if column.nullable {
        return Value::Null;
    }
    let first = Date::from_civil(1900, 1, 1).unwrap_or(Date(0));
    let midnight = Timestamp::new(first, Time(0));
    let value = match column.of.travels_as() {
        SqlType::Bit => Value::Bool(false),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Value::Int(0),
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            Value::Decimal(Decimal::ZERO)
        }
        SqlType::Float | SqlType::Real => Value::Float(0.0),
        SqlType::Date => Value::Date(first),
        SqlType::Time { .. } => Value::Time(Time(0)),
        SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2 { .. } => {
            Value::Timestamp(midnight)
        }
        SqlType::DateTimeOffset { .. } => {
            Value::OffsetTimestamp(OffsetTimestamp { utc: midnight, offset_minutes: 0 })
        }
        SqlType::UniqueIdentifier => Value::Guid([0; 16]),
        of if of.is_binary() => Value::Bytes(Vec::new()),
        SqlType::Xml => Value::Text("<a/>".to_string()),
        _ => Value::Text(String::new()),
    };
    // Fixed lengths are padded.
    fit(value.clone(), column.of).unwrap_or(value)
}

fn value(draw: &mut Draw, of: SqlType) -> Value {
    match of {
        SqlType::Bit => Value::Bool(draw.one_in(2)),
        SqlType::TinyInt => whole(draw, 0, 255),
        SqlType::SmallInt => whole(draw, i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => whole(draw, i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => whole(draw, i64::MIN, i64::MAX),
        SqlType::Decimal { precision, scale } => {
            decimal(draw, 10i128.pow(u32::from(precision)) - 1, scale)
        }
        SqlType::Money => decimal(draw, i64::MAX.into(), 4),
        SqlType::SmallMoney => decimal(draw, i32::MAX.into(), 4),
        SqlType::Float | SqlType::Real => float(draw, of),
        SqlType::Date => Value::Date(date(draw, 1, 9999)),
        SqlType::Time { .. } => Value::Time(time(draw)),
        SqlType::SmallDateTime => moment(draw, 1900, 2078),
        SqlType::DateTime => moment(draw, 1753, 9998),
        SqlType::DateTime2 { .. } => moment(draw, 1, 9998),
        SqlType::DateTimeOffset { .. } => {
            let utc = Timestamp::new(date(draw, 2, 9998), time(draw));
            let offset_minutes = *draw.pick(&[0, 60, -840, 840, 345]);
            Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes })
        }
        SqlType::UniqueIdentifier => {
            let halves = [draw.number(), draw.number()].map(u64::to_le_bytes);
            let random: [u8; 16] = std::array::from_fn(|at| halves[at / 8][at % 8]);
            Value::Guid(*draw.pick(&[[0; 16], [255; 16], random]))
        }
        of if of.is_binary() => bytes(draw, of),
        SqlType::Xml => Value::Text("<a b=\"\u{e4}\">&amp;</a>".to_string()),
        of => Value::Text(words(draw, of)),
    }
}

fn whole(draw: &mut Draw, least: i64, most: i64) -> Value {
    let span = (i128::from(most) - i128::from(least) + 1) as u128;
    let any = (i128::from(least) + (u128::from(draw.number()) % span) as i128) as i64;
    let small = draw.below(20) as i64;
    Value::Int(*draw.pick(&[least, most, 0, 1, small, small, any]))
}

fn decimal(draw: &mut Draw, most: i128, scale: u8) -> Value {
    let one = 10i128.pow(u32::from(scale)).min(most);
    let any = (i128::from(draw.number()) << 60 | i128::from(draw.number())) % (most + 1);
    let price = i128::from(draw.below(100_000)) * (one / 100).max(1);
    let half = one / 2;
    let unscaled = *draw.pick(&[0, one, -one, 1, -1, half, most, -most, any, -any, price, price]);
    Decimal::new(unscaled, scale).map_or(Value::Null, Value::Decimal)
}

fn float(draw: &mut Draw, of: SqlType) -> Value {
    let any = f64::from_bits(draw.number());
    let edges = match of {
        SqlType::Real => [f64::from(f32::MAX), f64::from(f32::MIN), f64::from(f32::MIN_POSITIVE)],
        _ => [f64::MAX, f64::MIN, 5e-324],
    };
    let usual = draw.below(1_000_000) as f64 / 100.0;
    Value::Float(*draw.pick(&[0.0, 0.1, -1.5, edges[0], edges[1], edges[2], usual, any]))
}

fn date(draw: &mut Draw, first: i32, last: i32) -> Date {
    let of = |year, month, day| Date::from_civil(year, month, day).unwrap_or(Date(0));
    let (least, most) = (of(first, 1, 1), of(last, 12, 31));
    let any = Date(least.0 + draw.below((most.0 - least.0) as u64) as i32);
    *draw.pick(&[least, most, of(1900, 1, 1), of(2024, 2, 29), of(2026, 12, 31), any])
}

fn time(draw: &mut Draw) -> Time {
    let last = TICKS_PER_DAY as u64 - 1;
    let any = draw.below(last);
    Time(*draw.pick(&[0, last / 2, last, any]))
}

fn moment(draw: &mut Draw, first: i32, last: i32) -> Value {
    Value::Timestamp(Timestamp::new(date(draw, first, last), time(draw)))
}

fn bytes(draw: &mut Draw, of: SqlType) -> Value {
    let most = match of {
        SqlType::Binary { length } | SqlType::VarBinary { length: Some(length) } => length.into(),
        _ => LONG,
    };
    let length = length(draw, most);
    Value::Bytes((0..length).map(|_| draw.number() as u8).collect())
}

/// Mostly short: a column's whole length takes a batch's bytes.
fn length(draw: &mut Draw, most: usize) -> usize {
    match draw.below(12) {
        0 => most,
        1 => 0,
        _ => draw.below(most.min(24) as u64 + 1) as usize,
    }
}

/// What people and other systems write, with what trips rules up: blanks, quotes, controls, letters of several bytes.
const WORDS: [&str; 20] = [
    "",
    " ",
    "a",
    "0",
    "-1",
    "12,50",
    "EUR",
    "S0001",
    "anna.smith@example.org",
    "@",
    "a@b@c",
    "\u{fc}ml\u{e4}ut@example.org",
    "O'Brien",
    "\"quoted\", and; more",
    "trailing  ",
    "  leading",
    "two\r\nlines\ttab",
    "\0",
    "\u{1F600}\u{1F468}\u{200D}\u{1F469}",
    "\u{0639}\u{0631}\u{0628} \u{4F60}\u{597D} e\u{0301}",
];

fn words(draw: &mut Draw, of: SqlType) -> String {
    // Types without an `n` have a code page: letters beyond it never come from a channel.
    let (most, is_wide) = match of {
        SqlType::NChar { length } | SqlType::NVarChar { length: Some(length) } => {
            (length.into(), true)
        }
        SqlType::Char { length } | SqlType::VarChar { length: Some(length) } => {
            (length.into(), false)
        }
        SqlType::VarChar { length: None } | SqlType::Text => (LONG, false),
        _ => (LONG, true),
    };
    let mut text = String::new();
    if draw.one_in(4) {
        let letter = *draw.pick(if is_wide {
            &["x", "\u{20AC}", "\u{1F600}"]
        } else {
            &["x", "\u{e4}", "9"]
        });
        text = letter.repeat(length(draw, most));
    } else {
        text.push_str(draw.pick::<&str>(&WORDS));
        if draw.one_in(5) {
            text.push_str(draw.pick::<&str>(&WORDS));
        }
    }
    if !is_wide {
        text.retain(|letter| letter < '\u{100}');
    }
    let units =
        |text: &str| if is_wide { text.encode_utf16().count() } else { text.chars().count() };
    while units(&text) > most {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{conflict, row, simplest};
    use crate::Schema;
    use std::sync::Arc;
    use tillhold_core::draw::Draw;
    use tillhold_core::fit::fit;
    use tillhold_core::text::{canonical, parse};
    use tillhold_core::value::Value;

    /// Every cell of every published table is one that its column can hold, and comes back from its text.
    #[test]
    fn what_is_invented_fits_its_column() {
        let schema = Schema::published().expect("the published schema");
        for (number, table) in schema.tables.iter().enumerate() {
            let table = table.travelling(&[]);
            for at in 0..20 {
                let mut draw = Draw::of(at, "row", number as u64);
                let row = row(&mut draw, &table);
                let simple = table.columns.iter().map(simplest).collect::<Vec<_>>();
                for (value, column) in
                    row.0.iter().zip(&table.columns).chain(simple.iter().zip(&table.columns))
                {
                    assert!(column.nullable || !value.is_null(), "{} {}", table.name, column.name);
                    assert_eq!(
                        fit(value.clone(), column.of).as_ref(),
                        Ok(value),
                        "{}",
                        column.name
                    );
                    if let Some(text) = canonical(value, column.of) {
                        assert_eq!(parse(&text, column.of).as_ref(), Ok(value), "{}", column.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_rows_and_the_edges_come_soon() {
        let schema = Schema::published().expect("the published schema");
        let table = Arc::new(schema.find("ax.CUSTTABLE").expect("a table").travelling(&[]));
        let some = |seed| {
            let mut draw = Draw::of(seed, "row", 0);
            (0..200).map(|_| row(&mut draw, &table)).collect::<Vec<_>>()
        };
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
        let at = table.position("BLOCKED").expect("a column");
        assert!(some(1).iter().any(|row| row.0[at] == Value::Int(i64::from(i32::MIN))));
        let mut draw = Draw::of(1, "conflict", 0);
        let conflicts: Vec<_> = (0..50).map(|_| conflict(&mut draw, &table)).collect();
        for side in 0..3 {
            let lacks = conflicts
                .iter()
                .filter(|one| [&one.base, &one.channel, &one.offline][side].is_none());
            assert!((1..40).contains(&lacks.count()), "side {side}");
        }
    }
}
