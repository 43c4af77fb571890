//! Conflicts: a row changed on the register and, since the register last saw it, by another at the channel.
//!
//! * Three sides: the base row (what the register last knew from the channel), the channel's row, the register's.
//! * A built-in policy decides by [`decide`]; a resolver plugin decides in its place; a deferred one waits for a
//!   person and blocks nothing but its own transaction.

use crate::row::{Key, Row};
use crate::table::Table;
use crate::value::Value;
use std::sync::Arc;

/// The three sides of one contested row, all in the table's travelling shape and as the register sees rows (after
/// the scope's transformer). `None`: the row does not exist on that side.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub table: Arc<Table>,
    pub key: Key,
    pub base: Option<Row>,
    pub channel: Option<Row>,
    pub offline: Option<Row>,
}

/// The policies that need no plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    ChannelWins,
    OfflineWins,
    /// The side whose `column` is greater; the channel when they are equal or either lacks it.
    Newest {
        column: String,
    },
    /// Each side's changed columns, when they do not overlap; deferred when they do.
    ColumnMerge,
    /// Numeric `columns` get the sum of both sides' changes, others are merged as by ColumnMerge.
    Delta {
        columns: Vec<String>,
    },
    /// A person decides.
    Defer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    TakeChannel,
    TakeOffline,
    /// The channel's row with these cells changed (position, value), for both sides.
    Merge(Vec<(usize, Value)>),
    /// Waits for a person, with the reason.
    Defer(String),
}

/// What `policy` says to `conflict`.
pub fn decide(policy: &Policy, conflict: &Conflict) -> Resolution {
    match policy {
        Policy::ChannelWins => Resolution::TakeChannel,
        Policy::OfflineWins => Resolution::TakeOffline,
        Policy::Newest { column } => newest(conflict, column),
        Policy::ColumnMerge => merge(conflict, &[]),
        Policy::Delta { columns } => merge(conflict, columns),
        Policy::Defer => Resolution::Defer("the scope leaves conflicts to a person".to_string()),
    }
}

fn newest(conflict: &Conflict, column: &str) -> Resolution {
    let at = conflict.table.position(column);
    let side = |row: &Option<Row>| at.and_then(|at| row.as_ref().map(|row| row.0[at].clone()));
    match (side(&conflict.channel), side(&conflict.offline)) {
        (Some(channel), Some(offline)) if is_greater(&offline, &channel) => Resolution::TakeOffline,
        _ => Resolution::TakeChannel,
    }
}

fn is_greater(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a > b,
        (Value::Decimal(a), Value::Decimal(b)) => a > b,
        (Value::Date(a), Value::Date(b)) => a > b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a > b,
        (Value::OffsetTimestamp(a), Value::OffsetTimestamp(b)) => a.utc > b.utc,
        _ => false,
    }
}

fn merge(conflict: &Conflict, counters: &[String]) -> Resolution {
    let (Some(base), Some(channel), Some(offline)) =
        (&conflict.base, &conflict.channel, &conflict.offline)
    else {
        return Resolution::Defer(
            "a row that one side deleted or both inserted cannot be merged".to_string(),
        );
    };
    let mut cells = Vec::new();
    for at in offline.differences(base) {
        let column = &conflict.table.columns[at];
        let counted = counters.iter().any(|c| c.eq_ignore_ascii_case(&column.name));
        let merged = match counted {
            true => sum_of_changes(&base.0[at], &channel.0[at], &offline.0[at]),
            false if channel.0[at] == base.0[at] || channel.0[at] == offline.0[at] => {
                Some(offline.0[at].clone())
            }
            false => None,
        };
        match merged {
            Some(value) => cells.push((at, value)),
            None => return Resolution::Defer(format!("both sides changed {}", column.name)),
        }
    }
    Resolution::Merge(cells)
}

/// channel + (offline - base): what both sides added since they agreed.
fn sum_of_changes(base: &Value, channel: &Value, offline: &Value) -> Option<Value> {
    match (base, channel, offline) {
        (Value::Int(base), Value::Int(channel), Value::Int(offline)) => {
            channel.checked_add(offline.checked_sub(*base)?).map(Value::Int)
        }
        (Value::Decimal(base), Value::Decimal(channel), Value::Decimal(offline)) => {
            channel.checked_add(offline.checked_sub(*base)?).map(Value::Decimal)
        }
        _ => None,
    }
}
