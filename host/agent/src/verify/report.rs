//! What a comparison found: counts for every table, and the differences by name as far as an answer may be long.

use crate::fault::FlowError;
use crate::front_door::conflicts::key_json;
use serde_json::{Value as Json, json};
use tillhold_core::comparison::{Expected, Held, Here, Kind, Verdict};
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Table, TableName};
use tillhold_kit::cells::text_json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Compared,
    /// Its first load, or its load under the profile's filter, has not landed.
    NotLoaded,
    /// The channel no longer has every change since the register's position: the next pull loads it anew.
    Outdated,
    /// Personal data that the profile keeps away: nothing of it is read.
    Withheld,
}

impl Standing {
    fn name(self) -> &'static str {
        match self {
            Standing::Compared => "compared",
            Standing::NotLoaded => "not-loaded",
            Standing::Outdated => "outdated",
            Standing::Withheld => "withheld",
        }
    }
}

/// One table's comparison.
#[derive(Debug)]
pub struct TableReport {
    pub scope: String,
    pub table: TableName,
    pub standing: Standing,
    /// Rows that the register should have, and those that it has.
    pub rows_expected: u64,
    pub rows_offline: u64,
    pub ranges: u64,
    pub ranges_differing: u64,
    pub behind: u64,
    pub moving: u64,
    pub own: u64,
    pub unsent: u64,
    pub deferred: u64,
    pub aside: u64,
    /// Keys in doubt past the bound.
    pub unexamined: u64,
    pub differences: Vec<Difference>,
}

/// One key on which the two sides differ, ready to be told.
#[derive(Debug)]
pub struct Difference {
    kind: &'static str,
    key: Json,
    /// Name, the channel's value, the offline one.
    columns: Vec<(String, Json, Json)>,
    reason: Option<String>,
}

impl Difference {
    pub fn of(
        table: &Table,
        key: &Key,
        kind: &Kind,
        expected: &Expected,
        here: &Here,
    ) -> Difference {
        let columns = match (kind, expected, here) {
            (Kind::Differs(at), Expected::Row(there), Here::Row(here)) => {
                at.iter().map(|at| column(table, *at, there, here)).collect()
            }
            _ => Vec::new(),
        };
        let reason = match kind {
            Kind::Unreadable(reason) => Some(reason.clone()),
            _ => None,
        };
        Difference { kind: kind.name(), key: key_json(table, key), columns, reason }
    }

    fn told(&self, scope: &str, table: &TableName) -> Json {
        let column = |(name, channel, offline): &(String, Json, Json)| json!({ "column": name, "channel": channel, "offline": offline });
        json!({
            "scope": scope,
            "table": table.to_string(),
            "kind": self.kind,
            "key": self.key,
            "columns": self.columns.iter().map(column).collect::<Vec<_>>(),
            "reason": self.reason,
        })
    }
}

fn column(table: &Table, at: usize, there: &Row, here: &Row) -> (String, Json, Json) {
    let column = &table.columns[at];
    let [channel, offline] = [there, here].map(|row| short(text_json(&row.0[at], column)));
    (column.name.clone(), channel, offline)
}

fn short(value: Json) -> Json {
    match value {
        Json::String(text) if text.chars().count() > limits::VERIFY_VALUE_CHARS_MAX => {
            let kept = text.chars().take(limits::VERIFY_VALUE_CHARS_MAX - 1);
            Json::String(kept.chain(['…']).collect())
        }
        other => other,
    }
}

impl TableReport {
    pub fn of(scope: &str, table: &TableName, standing: Standing) -> TableReport {
        TableReport {
            scope: scope.to_string(),
            table: table.clone(),
            standing,
            rows_expected: 0,
            rows_offline: 0,
            ranges: 0,
            ranges_differing: 0,
            behind: 0,
            moving: 0,
            own: 0,
            unsent: 0,
            deferred: 0,
            aside: 0,
            unexamined: 0,
            differences: Vec::new(),
        }
    }

    /// Counts a key that was looked at; `Some` when it is a difference to be named.
    pub fn count(&mut self, verdict: Verdict) -> Option<Kind> {
        match verdict {
            Verdict::Equal => {}
            Verdict::Behind => self.behind += 1,
            Verdict::Moving => self.moving += 1,
            Verdict::Own => self.own += 1,
            Verdict::Held(Held::Unsent) => self.unsent += 1,
            Verdict::Held(Held::Deferred) => self.deferred += 1,
            Verdict::Held(Held::Aside) => self.aside += 1,
            Verdict::Different(kind) => return Some(kind),
        }
        None
    }

    fn is_equal(&self) -> bool {
        let is_known = matches!(self.standing, Standing::Compared | Standing::Withheld);
        is_known && self.differences.is_empty() && self.unexamined == 0
    }

    fn told(&self) -> Json {
        json!({
            "scope": self.scope,
            "table": self.table.to_string(),
            "standing": self.standing.name(),
            "rows_expected": self.rows_expected,
            "rows_offline": self.rows_offline,
            "ranges": self.ranges,
            "ranges_differing": self.ranges_differing,
            "behind": self.behind,
            "moving": self.moving,
            "own": self.own,
            "unsent": self.unsent,
            "deferred": self.deferred,
            "set_aside": self.aside,
            "unexamined": self.unexamined,
            "different": self.differences.len(),
        })
    }
}

#[derive(Debug, Default)]
pub struct Report {
    tables: Vec<Json>,
    named: Vec<Json>,
    named_bytes: usize,
    unnamed: u64,
    is_different: bool,
    /// Of the last ones that the channel took; it has them no more.
    pub sales_lost: usize,
    /// Scopes that could not be compared.
    pub faults: Vec<(String, FlowError)>,
}

impl Report {
    pub fn add(&mut self, table: TableReport) {
        self.is_different |= !table.is_equal();
        for difference in &table.differences {
            let told = difference.told(&table.scope, &table.table);
            self.named_bytes += told.to_string().len();
            match self.named_bytes <= limits::VERIFY_ANSWER_BYTES_MAX {
                true => self.named.push(told),
                false => self.unnamed += 1,
            }
        }
        self.tables.push(table.told());
    }

    pub fn told(self) -> Json {
        let fault = |(scope, error): &(String, FlowError)| {
            json!({
                "scope": scope, "code": error.code(), "message": error.to_string(), "hint": error.hint(),
            })
        };
        json!({
            "equal": !self.is_different && self.faults.is_empty() && self.sales_lost == 0,
            "tables": self.tables,
            "differences": self.named,
            "differences_unnamed": self.unnamed,
            "sales_lost": self.sales_lost,
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
        })
    }
}
