//! The client's cells into values and back, lossless or refused.
//!
//! * From the channel: by matching the cell's own shape, never by asking for a type (which panics
//!   on a mismatch). What arrives in a shape that may have lost digits (`money` through a float) is
//!   refused: every statement casts it.
//! * To the channel: a value travels as its canonical text and is cast there to the column's exact
//!   type ([`crate::statement::from_text`]); numbers and bytes that are no column's value travel as
//!   they are.

use std::borrow::Cow;
use tiberius::time as wire;
use tiberius::{ColumnData, IntoSql, ToSql};
use tillhold_core::fit::{Misfit, fit};
use tillhold_core::moment::{
    Date, EPOCH_DAYS, OffsetTimestamp, TICKS_PER_DAY, TICKS_PER_SECOND, Time, Timestamp,
};
use tillhold_core::row::Key;
use tillhold_core::table::Table;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_core::version::ChannelVersion;

/// Days from 0001-01-01 to 1900-01-01, where `datetime` and `smalldatetime` count from.
const DAYS_TO_1900: i64 = 693_595;

/// A cell as the value of a column of that type.
pub fn value(cell: ColumnData<'_>, of: SqlType) -> Result<Value, Misfit> {
    let Some(value) = shape(cell)? else { return Ok(Value::Null) };
    fit(value, of)
}

/// `None` is NULL, whatever the shape.
fn shape(cell: ColumnData<'_>) -> Result<Option<Value>, Misfit> {
    Ok(match cell {
        ColumnData::Bit(bit) => bit.map(Value::Bool),
        ColumnData::U8(number) => number.map(|n| Value::Int(n.into())),
        ColumnData::I16(number) => number.map(|n| Value::Int(n.into())),
        ColumnData::I32(number) => number.map(|n| Value::Int(n.into())),
        ColumnData::I64(number) => number.map(Value::Int),
        ColumnData::F32(number) => number.map(|n| Value::Float(n.into())),
        ColumnData::F64(number) => number.map(Value::Float),
        ColumnData::Numeric(number) => number.map(decimal).transpose()?,
        ColumnData::String(text) => text.map(|t| Value::Text(t.into_owned())),
        ColumnData::Xml(text) => text.map(|t| Value::Text(t.to_string())),
        ColumnData::Binary(bytes) => bytes.map(|b| Value::Bytes(b.into_owned())),
        ColumnData::Guid(guid) => guid.map(|g| Value::Guid(g.into_bytes())),
        ColumnData::Date(date) => date.map(days).map(Value::Date),
        ColumnData::Time(time) => time.map(ticks).transpose()?.map(|t| Value::Time(Time(t as u64))),
        ColumnData::DateTime2(moment) => moment.map(timestamp).transpose()?.map(Value::Timestamp),
        ColumnData::DateTimeOffset(moment) => moment.map(offset_timestamp).transpose()?,
        ColumnData::DateTime(moment) => moment.map(datetime),
        ColumnData::SmallDateTime(moment) => moment.map(small_datetime),
    })
}

fn decimal(number: tiberius::numeric::Numeric) -> Result<Value, Misfit> {
    let exact = Decimal::new(number.value(), number.scale());
    exact.map(Value::Decimal).ok_or_else(|| misfit("a decimal of more than 38 digits"))
}

fn misfit(reason: &str) -> Misfit {
    Misfit { reason: reason.to_string() }
}

fn days(date: wire::Date) -> Date {
    Date((i64::from(date.days()) - EPOCH_DAYS) as i32)
}

/// The wire counts in units of 10^-scale seconds.
fn ticks(time: wire::Time) -> Result<i64, Misfit> {
    let unit = 7u32.checked_sub(time.scale().into()).map(|digits| 10i64.pow(digits));
    let ticks = unit.and_then(|unit| i64::try_from(time.increments()).ok()?.checked_mul(unit));
    ticks
        .filter(|t| (0..TICKS_PER_DAY).contains(t))
        .ok_or_else(|| misfit("a time outside of a day"))
}

fn timestamp(moment: wire::DateTime2) -> Result<Timestamp, Misfit> {
    Ok(at(moment.date().days().into(), ticks(moment.time())?))
}

/// The wire has room for more days than ticks can count; the furthest moment is out of range like all beyond it.
fn at(day: i64, ticks: i64) -> Timestamp {
    Timestamp(day.saturating_mul(TICKS_PER_DAY).saturating_add(ticks))
}

/// The wire holds UTC and the offset beside it (MS-TDS 2.2.5.5.1.9).
fn offset_timestamp(moment: wire::DateTimeOffset) -> Result<Value, Misfit> {
    let utc = timestamp(moment.datetime2())?;
    Ok(Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes: moment.offset() }))
}

/// 1/300 seconds, shown as milliseconds that end in 0, 3 or 7: the canonical text of `datetime`.
fn datetime(moment: wire::DateTime) -> Value {
    let ms = (i64::from(moment.seconds_fragments()) * 10 + 1) / 3;
    let day = DAYS_TO_1900 + i64::from(moment.days());
    Value::Timestamp(at(day, ms * (TICKS_PER_SECOND / 1000)))
}

/// The client calls them fragments; they are minutes.
fn small_datetime(moment: wire::SmallDateTime) -> Value {
    let day = DAYS_TO_1900 + i64::from(moment.days());
    let minutes = i64::from(moment.seconds_fragments());
    Value::Timestamp(at(day, minutes * 60 * TICKS_PER_SECOND))
}

/// What a statement is given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl Parameter {
    /// A bigint there; it came from one.
    pub(crate) fn version(version: ChannelVersion) -> Parameter {
        Parameter::Number(i64::try_from(version.0).unwrap_or(i64::MAX))
    }
}

impl ToSql for Parameter {
    fn to_sql(&self) -> ColumnData<'_> {
        match self {
            Parameter::Text(text) => ColumnData::String(Some(Cow::Borrowed(text))),
            Parameter::Number(number) => ColumnData::I64(Some(*number)),
            Parameter::Bytes(bytes) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
        }
    }
}

impl<'a> IntoSql<'a> for &'a Parameter {
    fn into_sql(self) -> ColumnData<'a> {
        self.to_sql()
    }
}

/// A key's values as parameters, in key order.
pub(crate) fn key_parameters(key: &Key, table: &Table) -> Vec<Parameter> {
    let one = |(value, column): (&Value, &tillhold_core::table::Column)| {
        Parameter::Text(text::canonical(value, column.of).unwrap_or_default())
    };
    key.0.iter().zip(table.key_columns()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::value;
    use tiberius::ColumnData;
    use tiberius::numeric::Numeric;
    use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};
    use tillhold_core::text::canonical;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    /// A cell of a column of that type, and its canonical text, or `!` and the refusal.
    fn check(cell: ColumnData<'static>, of: &str, expected: &str) {
        let of = SqlType::parse(of).expect("a type of the test");
        let shown = format!("{cell:?}");
        let answer = match value(cell, of) {
            Ok(Value::Null) => "NULL".to_string(),
            Ok(value) => canonical(&value, of).expect("not NULL"),
            Err(refusal) => format!("!{refusal}"),
        };
        assert_eq!(answer, expected, "{shown} as {of}");
    }

    #[test]
    fn every_cell_keeps_its_last_digit() {
        let last_day = Date::new(3_652_058);
        let last_tick = Time::new(863_999_999_999, 7);
        let numeric =
            |value, scale| ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale)));
        check(ColumnData::Bit(Some(true)), "bit", "1");
        check(ColumnData::U8(Some(255)), "tinyint", "255");
        check(ColumnData::I64(Some(i64::MIN)), "bigint", "-9223372036854775808");
        // The engine of a test may send a narrower integer than the column's.
        check(ColumnData::I32(Some(7)), "bigint", "7");
        check(numeric(-5, 1), "decimal(32,16)", "-0.5000000000000000");
        check(
            numeric(99_999_999_999_999_999_999_999_999_999_999_999_999, 38),
            "decimal(38,38)",
            "0.99999999999999999999999999999999999999",
        );
        check(numeric(9_223_372_036_854_775_807, 4), "money", "922337203685477.5807");
        check(ColumnData::F64(Some(900_719_925_474.099_2)), "money", "!a float does not fit money");
        check(ColumnData::F64(Some(0.1)), "float", "0.1");
        check(ColumnData::F32(Some(0.1)), "real", "0.10000000149011612");
        check(ColumnData::Date(Some(last_day)), "date", "9999-12-31");
        check(ColumnData::Date(Some(Date::new(0))), "date", "0001-01-01");
        check(ColumnData::Time(Some(Time::new(86_399_999, 3))), "time(3)", "23:59:59.999");
        check(
            ColumnData::Time(Some(Time::new(864_000_000_000, 7))),
            "time(7)",
            "!a time outside of a day",
        );
        check(
            ColumnData::DateTime2(Some(DateTime2::new(last_day, last_tick))),
            "datetime2(7)",
            "9999-12-31 23:59:59.9999999",
        );
        check(
            ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                DateTime2::new(Date::new(719_162), Time::new(19_800, 0)),
                -330,
            ))),
            "datetimeoffset(0)",
            "1970-01-01 00:00:00 -05:30",
        );
        check(
            ColumnData::DateTime(Some(DateTime::new(0, 1))),
            "datetime",
            "1900-01-01 00:00:00.003",
        );
        check(
            ColumnData::DateTime(Some(DateTime::new(-53_690, 25_919_999))),
            "datetime",
            "1753-01-01 23:59:59.997",
        );
        check(
            ColumnData::SmallDateTime(Some(SmallDateTime::new(65_535, 1_439))),
            "smalldatetime",
            "2079-06-06 23:59:00",
        );
        check(ColumnData::String(Some("ab".into())), "nchar(4)", "ab  ");
        check(ColumnData::Binary(Some(vec![0, 255].into())), "varbinary(max)", "00FF");
        check(ColumnData::Binary(Some(vec![0x58].into())), "hierarchyid", "58");
        check(ColumnData::String(Some("{\"a\":1}".into())), "json", "{\"a\":1}");
        check(ColumnData::String(Some("[1.0e+000]".into())), "vector(1)", "[1.0e+000]");
        check(ColumnData::String(None), "int", "NULL");
        check(ColumnData::String(Some("1".into())), "int", "!a text does not fit int");
    }

    #[test]
    fn a_day_that_sql_server_does_not_have_is_refused() {
        // The wire has room for 45,000 years; the text of such a day would be that of another.
        let date = "!a date or time outside of what date holds";
        check(ColumnData::Date(Some(Date::new(3_652_059))), "date", date);
        let day = |days| DateTime2::new(Date::new(days), Time::new(0, 7));
        let moment = "!a date or time outside of what datetime2(7) holds";
        for days in [3_652_059, 16_777_215] {
            check(ColumnData::DateTime2(Some(day(days))), "datetime2(7)", moment);
        }
        let moment = "!a date or time outside of what datetime holds";
        for days in [i32::MIN, i32::MAX] {
            check(ColumnData::DateTime(Some(DateTime::new(days, 0))), "datetime", moment);
        }
        let far = DateTimeOffset::new(DateTime2::new(Date::new(719_162), Time::new(0, 0)), 841);
        let moment = "!a date or time outside of what datetimeoffset(7) holds";
        check(ColumnData::DateTimeOffset(Some(far)), "datetimeoffset(7)", moment);
    }

    #[test]
    fn every_datetime_tick_of_a_day_has_its_own_text() {
        let of = SqlType::DateTime;
        let mut last = String::new();
        for fragment in 0..25_920_000u32 {
            // All of them take minutes unoptimised; 7,919 is prime to 300, so every phase of a
            // second is met.
            if fragment % 7_919 != 0 && fragment > 3_000 {
                continue;
            }
            let cell = ColumnData::DateTime(Some(DateTime::new(40_000, fragment)));
            let text = canonical(&value(cell, of).expect("a datetime"), of).expect("not NULL");
            assert!(text > last, "{fragment}: {text} after {last}");
            last = text;
        }
    }
}
