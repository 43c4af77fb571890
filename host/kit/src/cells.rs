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
        Json::Number(number) => text::parse(&number.to_string(), column.of),
        Json::String(given) => text::parse(given, column.of),
        Json::Array(_) | Json::Object(_) => {
            Err(Misfit { reason: "must be a text, a number or null".to_string() })
        }
    }
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
