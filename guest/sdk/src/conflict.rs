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
    /// The channel's row, whole.
    TakeChannel,
    /// The register's row, whole. Not for tables whose rows came down masked: it would send the mask back.
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
    pub fn value(&self, column: &str) -> &'a Value {
        match position(self.columns, column) {
            Some(at) => &self.values[at],
            None => panic!("{column} of {} is not declared under `reads`", self.table),
        }
    }

    pub fn text(&self, column: &str) -> Option<&'a str> {
        self.value(column).as_text()
    }

    pub fn integer(&self, column: &str) -> Option<i64> {
        self.value(column).as_integer()
    }

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
