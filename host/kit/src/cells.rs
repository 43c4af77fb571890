//! Cells as JSON, and what was decided about a contested row.
//!
//! * For programs: canonical text, but whole numbers that JSON's readers keep exactly, and null ([`to_json`]).
//! * For an eye: always text, so that no digit is lost on the way ([`text_json`]).

use serde_json::{Map, Value as Json, json};
use tillhold_core::conflict::Resolution;
use tillhold_core::fit::Misfit;
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::value::Value;

/// Integers that a double holds exactly (RFC 8259, section 6); others travel as text.
const EXACT_INTEGERS: std::ops::RangeInclusive<i64> = -(1 << 53)..=(1 << 53);

pub fn to_json(value: &Value, column: &Column) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bit) => Json::from(u8::from(*bit)),
        Value::Int(number) if EXACT_INTEGERS.contains(number) => Json::from(*number),
        _ => text::canonical(value, column.of).map_or(Json::Null, Json::String),
    }
}

/// The cell that `column` would hold, or why it cannot.
pub fn from_json(json: &Json, column: &Column) -> Result<Value, Misfit> {
    match json {
        Json::Null if column.nullable => Ok(Value::Null),
        Json::Null => Err(Misfit { reason: "must not be null".to_string() }),
        Json::Bool(bit) => text::parse(if *bit { "1" } else { "0" }, column.of),
        // serde_json keeps a number's digits (arbitrary_precision), so 12.10 stays exact.
        Json::Number(number) => {
            let given = number.to_string();
            let plain = || text::parse(&without_exponent(&given)?, column.of).ok();
            text::parse(&given, column.of).or_else(|misfit| plain().ok_or(misfit))
        }
        Json::String(given) => text::parse(given, column.of),
        Json::Array(_) | Json::Object(_) => {
            Err(Misfit { reason: "must be a text, a number or null".to_string() })
        }
    }
}

/// How far a number's point may be moved: no column but a float's has so many digits.
const EXPONENT_MAX: i32 = 64;

/// `1.5e-7`, as JavaScript writes small numbers, with all its digits.
fn without_exponent(number: &str) -> Option<String> {
    let (digits, exponent) = number.split_once(['e', 'E'])?;
    let exponent: i32 = exponent
        .parse()
        .ok()
        .filter(|by: &i32| by.unsigned_abs() <= EXPONENT_MAX.unsigned_abs())?;
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{0}{whole}{fraction}{0}", "0".repeat(EXPONENT_MAX as usize));
    let point = EXPONENT_MAX + whole.len() as i32 + exponent;
    let (whole, fraction) = padded.split_at_checked(usize::try_from(point).ok()?)?;
    let whole = whole.trim_start_matches('0');
    Some(match fraction.trim_end_matches('0') {
        "" => format!("{sign}0{whole}"),
        fraction => format!("{sign}0{whole}.{fraction}"),
    })
}

pub fn text_json(value: &Value, column: &Column) -> Json {
    text::canonical(value, column.of).map_or(Json::Null, Json::String)
}

/// A member of an object: the column's name and its cell for an eye.
pub fn named(value: &Value, column: &Column) -> (String, Json) {
    (column.name.clone(), text_json(value, column))
}

/// What the channel's row becomes.
pub fn resolution_json(table: &Table, resolution: &Resolution) -> Json {
    match resolution {
        Resolution::TakeChannel => json!({ "take": "channel" }),
        Resolution::TakeOffline => json!({ "take": "offline" }),
        Resolution::Merge(cells) => {
            let cells = cells.iter().map(|(at, value)| named(value, &table.columns[*at]));
            json!({ "merge": cells.collect::<Map<_, _>>() })
        }
        Resolution::Defer(reason) => json!({ "defer": reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::without_exponent;

    #[test]
    fn a_numbers_point_is_moved_by_its_exponent() {
        for (given, expected) in [
            ("1e3", Some("01000")),
            ("-1.5e-7", Some("-0.00000015")),
            ("12.50E+1", Some("0125")),
            ("1e400", None),
            ("1e-400", None),
            ("1e-2147483648", None),
            ("7", None),
        ] {
            assert_eq!(without_exponent(given).as_deref(), expected, "{given}");
        }
    }
}
