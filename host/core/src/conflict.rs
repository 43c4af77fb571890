//! Conflicts: a row changed on the register and, since the register last saw it, by another at the channel.
//!
//! * Three sides: the base row (what the register last knew from the channel), the channel's row, the register's.
//! * A built-in policy decides by [`decide`]; a resolver plugin decides in its place; a deferred one waits for a
//!   person and blocks nothing but its own transaction and those that build on its rows.

use crate::row::{Key, Row};
use crate::table::Table;
use crate::transaction::TransactionId;
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
    /// The channel's row with these cells changed (position, value), for both sides; the register's row where the channel
    /// has none.
    Merge(Vec<(usize, Value)>),
    /// Waits for a person, with the reason.
    Defer(String),
}

/// A decided conflict, as it is recorded on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Made by the register, so that recording it twice is recording it once.
    pub id: [u8; 16],
    /// Milliseconds since 1970-01-01 00:00 UTC, by the register's clock: for people, never compared.
    pub decided_at_ms: i64,
    /// `STORE-REGISTER`
    pub register: String,
    pub transaction: TransactionId,
    pub conflict: Conflict,
    /// The policy's name, the plugin's, or [`BY_PERSON`].
    pub rule: String,
    /// `sha256:…` of the plugin that decided.
    pub plugin_digest: Option<String>,
    /// The person who decided, and what they gave for a reason.
    pub who: Option<String>,
    pub why: Option<String>,
    pub resolution: Resolution,
}

/// The rule of a decision that a person made.
pub const BY_PERSON: &str = "person";

/// One side of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Channel,
    Offline,
}

/// What a person decides: the side to start from, and cells that become what the person says.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub take: Side,
    /// Position and value.
    pub set: Vec<(usize, Value)>,
    pub who: String,
    pub why: Option<String>,
}

/// A choice that starts from a row that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRow(pub Side);

impl Side {
    /// As commands spell it.
    pub fn name(self) -> &'static str {
        match self {
            Side::Channel => "channel",
            Side::Offline => "offline",
        }
    }

    pub fn parse(name: &str) -> Option<Side> {
        [Side::Channel, Side::Offline].into_iter().find(|side| side.name() == name)
    }
}

impl Choice {
    /// What the choice comes to for `conflict`. The register's side is its changes: what only the channel changed stays.
    pub fn resolution(&self, conflict: &Conflict) -> Result<Resolution, NoRow> {
        let row = match self.take {
            Side::Channel => &conflict.channel,
            Side::Offline => &conflict.offline,
        };
        match (self.take, row) {
            (Side::Channel, _) if self.set.is_empty() => Ok(Resolution::TakeChannel),
            (Side::Offline, _) if self.set.is_empty() => Ok(Resolution::TakeOffline),
            (side, None) => Err(NoRow(side)),
            (Side::Channel, Some(_)) => Ok(Resolution::Merge(self.set.clone())),
            (Side::Offline, Some(offline)) => {
                let mut cells = self.set.clone();
                for at in conflict.changed_offline(offline) {
                    if !self.set.iter().any(|(set, _)| *set == at) {
                        cells.push((at, offline.0[at].clone()));
                    }
                }
                cells.sort_by_key(|(at, _)| *at);
                Ok(Resolution::Merge(cells))
            }
        }
    }
}

impl Conflict {
    /// What the register has to say: the cells that it changed, or all of them where there is nothing to compare with.
    fn changed_offline(&self, offline: &Row) -> Vec<usize> {
        match (&self.base, &self.channel) {
            (Some(base), Some(_)) => offline.differences(base),
            _ => (0..offline.0.len()).collect(),
        }
    }
}

impl Policy {
    /// As profiles name it.
    pub fn name(&self) -> &'static str {
        match self {
            Policy::ChannelWins => "channel-wins",
            Policy::OfflineWins => "offline-wins",
            Policy::Newest { .. } => "newest",
            Policy::ColumnMerge => "column-merge",
            Policy::Delta { .. } => "delta",
            Policy::Defer => "defer",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Assigned, Column, TableName};
    use crate::types::SqlType;

    /// K is the key; A a plain column, N a counter, T the moment of the last change.
    fn table() -> Arc<Table> {
        let column = |name: &str| Column {
            name: name.to_string(),
            of: SqlType::BigInt,
            nullable: false,
            assigned: Assigned::ByWriter,
            default: None,
            collation: None,
        };
        Arc::new(Table {
            name: TableName::new("ax", "T"),
            columns: ["K", "A", "N", "T"].map(column).to_vec(),
            key: vec![0],
        })
    }

    /// `a n t` or `gone`.
    fn side(text: &str) -> Option<Row> {
        let numbers = text.split_whitespace().map(|word| word.parse().map(Value::Int));
        let values: Result<Vec<Value>, _> =
            std::iter::once(Ok(Value::Int(1))).chain(numbers).collect();
        values.ok().map(Row)
    }

    fn told(resolution: Resolution) -> String {
        match resolution {
            Resolution::TakeChannel => "channel".to_string(),
            Resolution::TakeOffline => "offline".to_string(),
            Resolution::Defer(_) => "defer".to_string(),
            Resolution::Merge(cells) => {
                let cell = |(at, value): &(usize, Value)| match value {
                    Value::Int(number) => format!("{}={number}", ["K", "A", "N", "T"][*at]),
                    other => format!("{other:?}"),
                };
                let cells: Vec<String> = cells.iter().map(cell).collect();
                format!("merge {}", cells.join(" "))
            }
        }
    }

    /// base | channel | offline -> channel-wins, offline-wins, newest by T, column-merge, delta of N
    const TABLE: &str = "
        1 5 1 | 2 5 2 | 1 6 1 -> channel; offline; channel; merge N=6; merge N=6
        1 5 1 | 2 5 2 | 3 5 3 -> channel; offline; offline; defer; defer
        1 5 1 | 1 7 1 | 1 6 1 -> channel; offline; channel; defer; merge N=8
        1 5 1 | 2 5 1 | 2 5 1 -> channel; offline; channel; merge A=2; merge A=2
        1 5 1 | gone  | 1 6 9 -> channel; offline; channel; defer; defer
        1 5 1 | 2 5 1 | gone  -> channel; offline; channel; defer; defer
        gone  | 2 5 2 | 1 6 3 -> channel; offline; offline; defer; defer
        gone  | 1 5 1 | gone  -> channel; offline; channel; defer; defer
        1 5 1 | gone  | gone  -> channel; offline; channel; defer; defer
        gone  | gone  | 1 6 3 -> channel; offline; channel; defer; defer
    ";

    /// base | channel | offline; the side taken, the cells set -> what it comes to
    const CHOICES: &str = "
        1 5 1 | 2 5 2 | 1 6 1; channel;     -> channel
        1 5 1 | 2 5 2 | 1 6 1; offline;     -> offline
        1 5 1 | 2 5 2 | 1 6 1; channel; N=9 -> merge N=9
        1 5 1 | 2 5 2 | 1 6 1; offline; A=9 -> merge A=9 N=6
        1 5 1 | 2 5 2 | 1 6 1; offline; N=9 -> merge N=9
        1 5 1 | gone  | 1 6 1; channel;     -> channel
        1 5 1 | gone  | 1 6 1; channel; N=9 -> no channel row
        1 5 1 | gone  | 1 6 1; offline; N=9 -> merge K=1 A=1 N=9 T=1
        1 5 1 | 2 5 2 | gone ; offline;     -> offline
        1 5 1 | 2 5 2 | gone ; offline; N=9 -> no offline row
        gone  | 2 5 2 | 1 6 1; offline; N=9 -> merge K=1 A=1 N=9 T=1
    ";

    #[test]
    fn a_persons_choice_starts_from_a_side_and_sets_cells() {
        for line in CHOICES.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (given, expected) = line.split_once("->").expect("an arrow");
            let parts: Vec<&str> = given.split(';').map(str::trim).collect();
            let sides: Vec<Option<Row>> = parts[0].split('|').map(side).collect();
            let conflict = Conflict {
                table: table(),
                key: Key(vec![Value::Int(1)]),
                base: sides[0].clone(),
                channel: sides[1].clone(),
                offline: sides[2].clone(),
            };
            let set = parts[2].split_once('=').map(|(column, number)| {
                let at = conflict.table.position(column).expect("a column");
                (at, Value::Int(number.parse().expect("a number")))
            });
            let take = Side::parse(parts[1]).expect("a side");
            let choice =
                Choice { take, set: set.into_iter().collect(), who: String::new(), why: None };
            let comes_to = match choice.resolution(&conflict) {
                Ok(resolution) => told(resolution),
                Err(NoRow(side)) => format!("no {} row", side.name()),
            };
            assert_eq!(comes_to, expected.trim(), "{line}");
        }
    }

    #[test]
    fn every_policy_decides_every_shape_of_conflict() {
        let policies = [
            Policy::ChannelWins,
            Policy::OfflineWins,
            Policy::Newest { column: "t".to_string() },
            Policy::ColumnMerge,
            Policy::Delta { columns: vec!["n".to_string()] },
        ];
        for line in TABLE.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (sides, expected) = line.split_once("->").expect("an arrow");
            let sides: Vec<Option<Row>> = sides.split('|').map(side).collect();
            let conflict = Conflict {
                table: table(),
                key: Key(vec![Value::Int(1)]),
                base: sides[0].clone(),
                channel: sides[1].clone(),
                offline: sides[2].clone(),
            };
            for (policy, expected) in policies.iter().zip(expected.split(';')) {
                let decided = told(decide(policy, &conflict));
                assert_eq!(decided, expected.trim(), "{policy:?} of {line}");
            }
            assert_eq!(told(decide(&Policy::Defer, &conflict)), "defer");
        }
    }
}
