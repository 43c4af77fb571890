//! DATEADD, DATEDIFF and DATEPART.

use super::{Answered, argument, argument_type, failed, is_null, pure, text_argument};
use crate::answer::SqlError;
use crate::engine::{refusal, values};
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Cell;
use tillhold_core::moment::{Date, TICKS_PER_DAY, TICKS_PER_SECOND, Timestamp};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// What every date and time is brought to before it is counted with.
const WIDEST: SqlType = SqlType::DateTime2 { scale: 7 };

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    pure(connection, "ts_dateadd", 4, add)?;
    pure(connection, "ts_datediff", 4, difference)?;
    pure(connection, "ts_datepart", 3, part)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Quarter,
    Month,
    DayOfYear,
    Day,
    Week,
    Weekday,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

fn named(name: &str) -> Option<Part> {
    Some(match name {
        "year" | "yy" | "yyyy" => Part::Year,
        "quarter" | "qq" | "q" => Part::Quarter,
        "month" | "mm" | "m" => Part::Month,
        "dayofyear" | "dy" | "y" => Part::DayOfYear,
        "day" | "dd" | "d" => Part::Day,
        "week" | "wk" | "ww" => Part::Week,
        "weekday" | "dw" => Part::Weekday,
        "hour" | "hh" => Part::Hour,
        "minute" | "mi" | "n" => Part::Minute,
        "second" | "ss" | "s" => Part::Second,
        "millisecond" | "ms" => Part::Millisecond,
        "microsecond" | "mcs" => Part::Microsecond,
        "nanosecond" | "ns" => Part::Nanosecond,
        _ => return None,
    })
}

fn wanted(context: &Context<'_>) -> rusqlite::Result<Part> {
    let name = text_argument(context, 0).unwrap_or("");
    named(name).ok_or_else(|| {
        failed(
            SqlError::new(155, format!("'{name}' is not a recognized date option."))
                .with_severity(15),
        )
    })
}

/// Ticks of the parts that have a fixed length; nanoseconds are finer than a tick and counted apart.
fn ticks(part: Part) -> Option<i64> {
    Some(match part {
        Part::Day | Part::DayOfYear | Part::Weekday => TICKS_PER_DAY,
        Part::Week => 7 * TICKS_PER_DAY,
        Part::Hour => 3600 * TICKS_PER_SECOND,
        Part::Minute => 60 * TICKS_PER_SECOND,
        Part::Second => TICKS_PER_SECOND,
        Part::Millisecond => TICKS_PER_SECOND / 1000,
        Part::Microsecond => TICKS_PER_SECOND / 1_000_000,
        Part::Year | Part::Quarter | Part::Month | Part::Nanosecond => return None,
    })
}

fn moment(context: &Context<'_>, at: usize, of: SqlType) -> rusqlite::Result<Timestamp> {
    let value = argument(context, at, of)?;
    match values::convert(value, of, WIDEST, values::NO_STYLE).map_err(failed)? {
        Value::Timestamp(moment) => Ok(moment),
        _ => Err(failed(refusal::moment_conversion())),
    }
}

/// `ts_dateadd(part, number, moment, type)`
fn add(context: &Context<'_>) -> Answered {
    if is_null(context, 1) || is_null(context, 2) {
        return Ok(Cell::Null);
    }
    let part = wanted(context)?;
    let number: i64 = context.get(1)?;
    let of = argument_type(context, 3)?;
    let start = moment(context, 2, of)?;
    let overflow =
        || failed(SqlError::new(517, "Adding a value to a 'datetime' column caused an overflow."));
    let moved = moved(start, part, number).ok_or_else(overflow)?;
    let value =
        values::convert(Value::Timestamp(moved), WIDEST, of, values::NO_STYLE).map_err(failed)?;
    Ok(values::encode(value, of))
}

fn moved(start: Timestamp, part: Part, number: i64) -> Option<Timestamp> {
    let months = match part {
        Part::Year => number.checked_mul(12)?,
        Part::Quarter => number.checked_mul(3)?,
        Part::Month => number,
        Part::Nanosecond => return in_range(start.0.checked_add(number / 100)?),
        other => return in_range(start.0.checked_add(ticks(other)?.checked_mul(number)?)?),
    };
    let (year, month, day) = start.date().civil();
    let total = (i64::from(year) * 12 + i64::from(month) - 1).checked_add(months)?;
    let (year, month) =
        (i32::try_from(total.div_euclid(12)).ok()?, total.rem_euclid(12) as u32 + 1);
    // The last day of a shorter month stands for a day that it does not have.
    let date = (0..4).find_map(|back| Date::from_civil(year, month, day - back))?;
    Some(Timestamp::new(date, start.time()))
}

fn in_range(ticks: i64) -> Option<Timestamp> {
    let last =
        Date::from_civil(9999, 12, 31).map_or(0, |date| Timestamp::new(date, start_of_day()).0);
    (0..last + TICKS_PER_DAY).contains(&ticks).then_some(Timestamp(ticks))
}

fn start_of_day() -> tillhold_core::moment::Time {
    tillhold_core::moment::Time(0)
}

/// `ts_datediff(part, from, to, type)`: boundaries crossed, not time elapsed.
fn difference(context: &Context<'_>) -> Answered {
    if is_null(context, 1) || is_null(context, 2) {
        return Ok(Cell::Null);
    }
    let part = wanted(context)?;
    let of = argument_type(context, 3)?;
    let (from, to) = (moment(context, 1, of)?, moment(context, 2, of)?);
    let months = |moment: Timestamp| {
        let (year, month, _) = moment.date().civil();
        i64::from(year) * 12 + i64::from(month) - 1
    };
    let count = match part {
        Part::Year => months(to) / 12 - months(from) / 12,
        Part::Quarter => months(to) / 3 - months(from) / 3,
        Part::Month => months(to) - months(from),
        Part::Nanosecond => (to.0 - from.0).saturating_mul(100),
        // Weeks begin on Sunday; 0001-01-01 was a Monday.
        Part::Week => {
            (to.0 + TICKS_PER_DAY).div_euclid(7 * TICKS_PER_DAY)
                - (from.0 + TICKS_PER_DAY).div_euclid(7 * TICKS_PER_DAY)
        }
        other => {
            let unit = ticks(other).unwrap_or(1);
            to.0.div_euclid(unit) - from.0.div_euclid(unit)
        }
    };
    Ok(Cell::Integer(count))
}

/// `ts_datepart(part, moment, type)`
fn part(context: &Context<'_>) -> Answered {
    if is_null(context, 1) {
        return Ok(Cell::Null);
    }
    let part = wanted(context)?;
    let of = argument_type(context, 2)?;
    let moment = moment(context, 1, of)?;
    let (year, month, day) = moment.date().civil();
    let ticks = moment.time().0 as i64;
    let number = match part {
        Part::Year => i64::from(year),
        Part::Quarter => (i64::from(month) - 1) / 3 + 1,
        Part::Month => i64::from(month),
        Part::Day => i64::from(day),
        Part::DayOfYear => {
            let first = Date::from_civil(year, 1, 1).map_or(0, |date| date.0);
            i64::from(moment.date().0 - first) + 1
        }
        // Sunday is 1: DATEFIRST 7 of us_english.
        Part::Weekday => i64::from((moment.date().0 + 4).rem_euclid(7)) + 1,
        Part::Week => return Err(failed(refusal::unsupported("DATEPART with week"))),
        Part::Hour => ticks / (3600 * TICKS_PER_SECOND),
        Part::Minute => ticks / (60 * TICKS_PER_SECOND) % 60,
        Part::Second => ticks / TICKS_PER_SECOND % 60,
        Part::Millisecond => ticks % TICKS_PER_SECOND / 10_000,
        Part::Microsecond => ticks % TICKS_PER_SECOND / 10,
        Part::Nanosecond => ticks % TICKS_PER_SECOND * 100,
    };
    Ok(Cell::Integer(number))
}
