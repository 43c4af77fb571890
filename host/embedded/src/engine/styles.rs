//! Dates and times as text: CONVERT's styles.

use super::types::{Family, family};
use tillhold_core::moment::Timestamp;
use tillhold_core::text::canonical;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `None` for a style that the embedded channel does not know.
///
/// * 0: the default of each type (`datetime` in words, the others canonical)
/// * 23: the date, 112: the date without hyphens
/// * 120, 20: to the second, 121, 21, 25: with decimals, 126, 127: ISO 8601 with `T`
pub fn moment_text(value: &Value, from: SqlType, style: i64) -> Option<String> {
    if family(from) != Family::Moment {
        return None;
    }
    let full = canonical(value, from)?;
    let worded = matches!(from, SqlType::DateTime | SqlType::SmallDateTime);
    match style {
        0 if worded => in_words(value),
        0 => Some(full),
        23 => full.get(..10).map(str::to_string),
        112 => full.get(..10).map(|date| date.replace('-', "")),
        20 | 120 => Some(full.split('.').next().unwrap_or(&full).to_string()),
        21 | 25 | 121 => Some(full),
        126 | 127 => Some(iso(&full, from)),
        _ => None,
    }
}

/// `T` between date and time; no decimals when they are all zero, as SQL Server writes them.
fn iso(full: &str, from: SqlType) -> String {
    let joined = full.replacen(' ', "T", 1).replace(' ', "");
    match from {
        SqlType::DateTime => joined.strip_suffix(".000").unwrap_or(&joined).to_string(),
        _ => joined,
    }
}

/// `Jan  2 2026  3:04PM`
fn in_words(value: &Value) -> Option<String> {
    let Value::Timestamp(Timestamp(ticks)) = value else { return None };
    let moment = Timestamp(*ticks);
    let (year, month, day) = moment.date().civil();
    let minutes = moment.time().0 / 600_000_000;
    let (hour, minute) = (minutes / 60, minutes % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    let name = MONTHS[month as usize - 1];
    Some(format!("{name} {day:>2} {year:04} {hour:>2}:{minute:02}{half}"))
}
