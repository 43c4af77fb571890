//! A conflict as a resolver sees it: one row, three sides, column by column.

use crate::generated::resolver::exports::tillhold::plugin::resolve as exported;
use crate::generated::transformer::tillhold::plugin::types as wire;
use crate::row::position;
use crate::value::{Decimal, Value};
use std::cmp::Ordering;

/// A row that changed at the register and, since the register last saw it, at the channel too.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    table: String,
    key: Vec<(String, Value)>,
    columns: Vec<String>,
    base: Option<Vec<Value>>,
    channel: Option<Vec<Value>>,
    offline: Option<Vec<Value>>,
}

/// One side of a conflict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side<'a> {
    table: &'a str,
    columns: &'a [String],
    values: &'a [Value],
}

/// Who changed a column since the base row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Neither,
    Channel,
    Offline,
    /// Both, to the same value.
    Alike,
    /// Both, to different values: somebody must win.
    Both,
}

/// Who wins a column that both sides changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    Channel,
    Offline,
    /// The greater of the two: for moments and counters that only grow. A person decides where there is no order.
    Later,
    /// A person decides.
    Person,
}

/// What becomes of a conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// The channel's row, whole; the register's changes are given up.
    TakeChannel,
    /// The register's changes win: each cell that it changed, over the channel's row; its deletion; its whole row
    /// where the channel has none.
    TakeOffline,
    /// The channel's row with these cells, for both sides.
    Merge(Vec<(String, Value)>),
    /// A person decides, for this reason.
    Defer(String),
}

impl Conflict {
    pub fn table(&self) -> &str {
        &self.table
    }

    pub fn key(&self, column: &str) -> Option<&Value> {
        self.key.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value)
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    /// The row as the register last knew it from the channel; `None` when both sides inserted it.
    pub fn base(&self) -> Option<Side<'_>> {
        self.side(&self.base)
    }

    /// The channel's row now; `None` when it was deleted.
    pub fn channel(&self) -> Option<Side<'_>> {
        self.side(&self.channel)
    }

    /// The register's row; `None` when it was deleted.
    pub fn offline(&self) -> Option<Side<'_>> {
        self.side(&self.offline)
    }

    pub fn changed(&self, column: &str) -> Changed {
        let of = |side: Option<Side>| side.map(|side| side.value(column).clone());
        let (base, channel, offline) = (of(self.base()), of(self.channel()), of(self.offline()));
        match (channel != base, offline != base) {
            (false, false) => Changed::Neither,
            (true, false) => Changed::Channel,
            (false, true) => Changed::Offline,
            (true, true) if channel == offline => Changed::Alike,
            (true, true) => Changed::Both,
        }
    }

    /// Both sides changed it, to different values.
    pub fn changed_by_both(&self, column: &str) -> bool {
        self.changed(column) == Changed::Both
    }

    /// Column by column: what one side changed is taken; for what both changed `winner` is asked. The conflict waits
    /// for a person when one of the sides is gone, or when a column is left to a person.
    pub fn merge(&self, winner: impl Fn(&str) -> Winner) -> Resolution {
        let (Some(channel), Some(offline)) = (self.channel(), self.offline()) else {
            let side = if self.channel.is_none() { "the channel" } else { "the register" };
            return Resolution::defer(format!("{side} deleted the row, the other side changed it"));
        };
        let mut cells = Vec::new();
        let mut left = Vec::new();
        for column in self.columns() {
            let (at_channel, at_offline) = (channel.value(column), offline.value(column));
            let taken = match self.changed(column) {
                Changed::Neither | Changed::Channel | Changed::Alike => at_channel,
                Changed::Offline => at_offline,
                Changed::Both => match winner(column).of(at_channel, at_offline) {
                    Some(value) => value,
                    None => {
                        left.push(column);
                        continue;
                    }
                },
            };
            if taken != at_channel {
                cells.push((column.to_string(), taken.clone()));
            }
        }
        if left.is_empty() {
            return Resolution::Merge(cells);
        }
        Resolution::defer(format!("both sides changed {}", left.join(", ")))
    }

    fn side<'a>(&'a self, values: &'a Option<Vec<Value>>) -> Option<Side<'a>> {
        let values = values.as_deref()?;
        Some(Side { table: &self.table, columns: &self.columns, values })
    }

    pub(crate) fn new(given: exported::Conflict) -> Conflict {
        let owned = |side: Option<Vec<wire::Value>>| {
            side.map(|values| values.into_iter().map(Value::from).collect())
        };
        Conflict {
            table: given.table,
            key: given.key.into_iter().map(|cell| (cell.column, cell.value.into())).collect(),
            columns: given.columns,
            base: owned(given.base),
            channel: owned(given.channel),
            offline: owned(given.offline),
        }
    }
}

impl Winner {
    fn of<'a>(self, channel: &'a Value, offline: &'a Value) -> Option<&'a Value> {
        match self {
            Winner::Channel => Some(channel),
            Winner::Offline => Some(offline),
            Winner::Person => None,
            Winner::Later => match offline.order(channel)? {
                Ordering::Greater => Some(offline),
                _ => Some(channel),
            },
        }
    }
}

impl<'a> Side<'a> {
    /// Panics on a column that the plugin did not declare under `reads`.
    #[track_caller]
    pub fn value(&self, column: &str) -> &'a Value {
        match position(self.columns, column) {
            Some(at) => &self.values[at],
            None => panic!("{column} of {} is not declared under `reads`", self.table),
        }
    }

    #[track_caller]
    pub fn text(&self, column: &str) -> Option<&'a str> {
        self.value(column).as_text()
    }

    #[track_caller]
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.value(column).as_integer()
    }

    #[track_caller]
    pub fn decimal(&self, column: &str) -> Option<Decimal> {
        self.value(column).as_decimal()
    }
}

impl Resolution {
    /// Nothing of the register's row yet; add cells with [`Resolution::set`].
    pub fn nothing() -> Resolution {
        Resolution::Merge(Vec::new())
    }

    /// A merge with one more cell; has no effect on a resolution that is no merge.
    pub fn set(mut self, column: &str, value: impl Into<Value>) -> Resolution {
        if let Resolution::Merge(cells) = &mut self {
            cells.retain(|(name, _)| !name.eq_ignore_ascii_case(column));
            cells.push((column.to_string(), value.into()));
        }
        self
    }

    pub fn defer(reason: impl Into<String>) -> Resolution {
        Resolution::Defer(reason.into())
    }

    pub(crate) fn into_wire(self) -> exported::Resolution {
        let cell = |(column, value): (String, Value)| wire::Cell { column, value: value.into() };
        match self {
            Resolution::TakeChannel => exported::Resolution::TakeChannel,
            Resolution::TakeOffline => exported::Resolution::TakeOffline,
            Resolution::Merge(cells) => {
                exported::Resolution::Merged(cells.into_iter().map(cell).collect())
            }
            Resolution::Defer(reason) => exported::Resolution::Deferred(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, Conflict, Resolution, Winner, exported, wire};
    use crate::Value;

    /// Columns A to E of one row; `-` is a side without it.
    fn conflict(base: &str, channel: &str, offline: &str) -> Conflict {
        let text = |value: &str| wire::Value::Text(value.to_string());
        let side = |cells: &str| (cells != "-").then(|| cells.split(' ').map(text).collect());
        Conflict::new(exported::Conflict {
            table: "ax.T".to_string(),
            key: vec![wire::Cell { column: "A".to_string(), value: text("1") }],
            columns: ["A", "B", "C", "D", "E"].map(String::from).to_vec(),
            base: side(base),
            channel: side(channel),
            offline: side(offline),
        })
    }

    #[test]
    fn who_changed_a_column() {
        let conflict = conflict("1 b c d e", "1 B c D E1", "1 b C D E2");
        let expected = [
            ("A", Changed::Neither),
            ("B", Changed::Channel),
            ("C", Changed::Offline),
            ("D", Changed::Alike),
            ("e", Changed::Both),
        ];
        for (column, changed) in expected {
            assert_eq!(conflict.changed(column), changed, "{column}");
        }
        assert_eq!(conflict.key("a"), Some(&"1".into()));
        assert_eq!(conflict.offline().and_then(|row| row.text("C")), Some("C"));
    }

    #[test]
    fn a_merge_asks_only_for_what_both_changed() {
        let merged = |winner| {
            conflict("1 b c d e", "1 B c D E1", "1 b C D E2").merge(|column| {
                assert_eq!(column, "E", "only it is contested");
                winner
            })
        };
        let cells = |cells: &[(&str, &str)]| {
            cells.iter().fold(Resolution::nothing(), |sum, (column, text)| sum.set(column, *text))
        };
        for (winner, expected) in [
            (Winner::Channel, cells(&[("C", "C")])),
            (Winner::Offline, cells(&[("C", "C"), ("E", "E2")])),
            (Winner::Person, Resolution::defer("both sides changed E")),
            // Text has no order that every collation shares.
            (Winner::Later, Resolution::defer("both sides changed E")),
        ] {
            assert_eq!(merged(winner), expected, "{winner:?}");
        }
    }

    #[test]
    fn a_row_that_both_inserted_is_contested_where_it_differs() {
        let both = conflict("-", "1 b c d e", "1 b c d E");
        assert_eq!(both.merge(|_| Winner::Channel), Resolution::nothing());
        assert_eq!(both.merge(|_| Winner::Offline), Resolution::nothing().set("E", "E"));
        let gone = conflict("1 b c d e", "-", "1 b c d E").merge(|_| Winner::Offline);
        assert_eq!(
            gone,
            Resolution::defer("the channel deleted the row, the other side changed it")
        );
    }

    #[test]
    fn later_is_the_greater_value() {
        for (channel, offline, wins) in [
            (Value::Timestamp(1), Value::Timestamp(2), Some(2)),
            (Value::Timestamp(3), Value::Timestamp(2), Some(3)),
            (Value::Timestamp(1), Value::Null, None),
        ] {
            let won = Winner::Later.of(&channel, &offline);
            assert_eq!(won, wins.map(Value::Timestamp).as_ref());
        }
        let last = Resolution::nothing().set("A", 1).set("a", 2);
        assert_eq!(last, Resolution::Merge(vec![("a".to_string(), 2.into())]));
        assert_eq!(Resolution::TakeChannel.set("A", 1), Resolution::TakeChannel);
    }
}
