//! The offline database held against the channel: ranges of rows by one sum each, then row by row.
//!
//! * A range whose sums are equal has equal rows; what is equal costs no look at its cells from both sides.
//! * Sums do not depend on the order of rows: the channel sorts by its collations, the offline database by folded bytes.
//! * What may differ for a reason (unsent, set aside, not pulled yet) is never called a difference.

use crate::row::{Key, Row};
use crate::table::Table;
use crate::value::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a range of rows amounts to, in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeSum {
    rows: u64,
    sum: u128,
}

impl RangeSum {
    pub fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash(|hasher| row.0.iter().for_each(|v| cell(v, hasher))));
    }

    /// A row that cannot be read: no range with it equals any other.
    pub fn add_unreadable(&mut self) {
        self.rows += 1 << 40;
    }

    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> RangeSum {
        let mut sum = RangeSum::default();
        rows.into_iter().for_each(|row| sum.add(row));
        sum
    }
}

/// Ranges that keys are counted in; 1 MiB of sums, and some fifteen keys each for a million rows.
const RANGES: usize = 1 << 16;

/// Which keys were met on one side and not on the other, in the memory of a megabyte whatever the table's size.
pub struct KeySums {
    sums: Vec<u128>,
}

impl Default for KeySums {
    fn default() -> KeySums {
        KeySums { sums: vec![0; RANGES] }
    }
}

impl KeySums {
    pub fn add(&mut self, table: &Table, key: &Key) {
        let hash = key_hash(table, key);
        let sum = &mut self.sums[place(hash)];
        *sum = sum.wrapping_add(hash);
    }

    pub fn take(&mut self, table: &Table, key: &Key) {
        let hash = key_hash(table, key);
        let sum = &mut self.sums[place(hash)];
        *sum = sum.wrapping_sub(hash);
    }

    /// Whether every key was added as often as it was taken.
    pub fn is_even(&self) -> bool {
        self.sums.iter().all(|sum| *sum == 0)
    }

    /// Whether the key's range holds one that was not.
    pub fn is_uneven_at(&self, table: &Table, key: &Key) -> bool {
        self.sums[place(key_hash(table, key))] != 0
    }
}

fn place(hash: u128) -> usize {
    (hash >> 64) as usize % RANGES
}

fn key_hash(table: &Table, key: &Key) -> u128 {
    hash(|hasher| key.folded(table).hash(hasher))
}

fn hash(write: impl Fn(&mut DefaultHasher)) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        write(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// Equal bytes only for equal values. Values that are equal in another spelling (1.5 and 1.50) only cost a second look.
fn cell(value: &Value, hasher: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(bit) => bit.hash(hasher),
        Value::Int(number) => number.hash(hasher),
        Value::Float(number) => number.to_bits().hash(hasher),
        Value::Decimal(decimal) => (decimal.unscaled(), decimal.scale()).hash(hasher),
        Value::Text(text) => text.hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::Date(date) => date.0.hash(hasher),
        Value::Time(time) => time.0.hash(hasher),
        Value::Timestamp(moment) => moment.0.hash(hasher),
        Value::OffsetTimestamp(moment) => (moment.utc.0, moment.offset_minutes).hash(hasher),
        Value::Guid(guid) => guid.hash(hasher),
    }
}

/// What the offline database should have under a key, by the channel and the scope's rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// The channel has no row that is this register's.
    Nothing,
    /// It has one, and the scope's rule drops it.
    Dropped,
    Row(Row),
    /// It has one that the rule refuses or that cannot be carried: the register keeps what it has.
    Refused,
}

/// What it has.
#[derive(Clone, Debug, PartialEq)]
pub enum Here {
    Nothing,
    Row(Row),
    /// Another program wrote what the column cannot hold.
    Unreadable(String),
}

/// Why a row may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It has changes that the channel does not know yet.
    Unsent,
    /// Its conflict waits for a person.
    Deferred,
    /// Its sale was refused, or the row was on its way down.
    Aside,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    MissingOffline,
    MissingAtChannel,
    DroppedByRule,
    /// The positions of the columns.
    Differs(Vec<usize>),
    Unreadable(String),
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::MissingOffline => "missing-offline",
            Kind::MissingAtChannel => "missing-at-channel",
            Kind::DroppedByRule => "dropped-by-rule",
            Kind::Differs(_) => "differs",
            Kind::Unreadable(_) => "unreadable",
        }
    }
}

/// How the two sides of one key differ, whatever the reason.
pub fn difference(expected: &Expected, here: &Here) -> Option<Kind> {
    match (expected, here) {
        (Expected::Refused, _) | (Expected::Nothing | Expected::Dropped, Here::Nothing) => None,
        (Expected::Nothing, _) => Some(Kind::MissingAtChannel),
        (Expected::Dropped, _) => Some(Kind::DroppedByRule),
        (Expected::Row(_), Here::Nothing) => Some(Kind::MissingOffline),
        (Expected::Row(_), Here::Unreadable(reason)) => Some(Kind::Unreadable(reason.clone())),
        (Expected::Row(there), Here::Row(here)) if there.0.len() != here.0.len() => {
            Some(Kind::Unreadable("its table has another shape by now".to_string()))
        }
        (Expected::Row(there), Here::Row(here)) => {
            let columns = there.differences(here);
            (!columns.is_empty()).then_some(Kind::Differs(columns))
        }
    }
}

/// One key, looked at before and after the channel was asked for it.
pub struct Looked<'a> {
    pub expected: &'a Expected,
    pub before: &'a Here,
    pub now: &'a Here,
    /// Before or after.
    pub held: Option<Held>,
    /// Changed at the channel, by others, since the register's position.
    pub is_changed: bool,
    /// The channel's row before the rule, where the register's own writes do not come back through it.
    pub unruled: Option<&'a Row>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Equal,
    Held(Held),
    /// The next pull brings it.
    Behind,
    /// The register itself changed it while it was looked at.
    Moving,
    /// As the register itself sent it: its own rows do not come back, so the rule never saw them.
    Own,
    Different(Kind),
}

impl Looked<'_> {
    pub fn verdict(&self) -> Verdict {
        if *self.expected == Expected::Refused {
            return Verdict::Held(Held::Aside);
        }
        let Some(kind) = difference(self.expected, self.now) else { return Verdict::Equal };
        match self.held {
            Some(held) => Verdict::Held(held),
            None if self.is_changed => Verdict::Behind,
            None if self.before != self.now => Verdict::Moving,
            None if self.is_as_sent(&kind) => Verdict::Own,
            None => Verdict::Different(kind),
        }
    }

    fn is_as_sent(&self, kind: &Kind) -> bool {
        let (Some(sent), Here::Row(here)) = (self.unruled, self.now) else { return false };
        match kind {
            Kind::Differs(columns) => columns.iter().all(|at| sent.0[*at] == here.0[*at]),
            Kind::DroppedByRule => sent == here,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Held, Here, KeySums, Kind, Looked, RangeSum, Verdict};
    use crate::row::{Key, Row};
    use crate::table::{Assigned, Column, Table, TableName};
    use crate::types::SqlType;
    use crate::value::{Decimal, Value};

    fn row(number: i64, name: &str) -> Row {
        Row(vec![Value::Int(number), Value::Text(name.to_string())])
    }

    fn table(collation: Option<&str>) -> Table {
        let column = Column {
            name: "NAME".to_string(),
            of: SqlType::parse("nvarchar(20)").expect("a type"),
            nullable: false,
            assigned: Assigned::ByWriter,
            default: None,
            collation: collation.map(str::to_string),
        };
        Table { name: TableName::new("ax", "T"), columns: vec![column], key: vec![0] }
    }

    #[test]
    fn a_sum_knows_no_order_and_sees_every_cell() {
        let (a, b) = (row(1, "a"), row(2, "b"));
        assert_eq!(RangeSum::of([&a, &b]), RangeSum::of([&b, &a]));
        for other in [row(1, "b"), row(2, "a"), row(1, "A"), row(1, "a ")] {
            assert_ne!(RangeSum::of([&a]), RangeSum::of([&other]), "{other:?}");
        }
        assert_ne!(RangeSum::of([&a, &a]), RangeSum::of([&a]));
        assert_ne!(RangeSum::of([&a, &a]), RangeSum::of([&b, &b]));
        let null = |cells: [Value; 2]| RangeSum::of([&Row(cells.to_vec())]);
        let text = || Value::Text(String::new());
        assert_ne!(null([Value::Null, text()]), null([text(), Value::Null]));
        let money = |text| Row(vec![Value::Decimal(Decimal::parse(text).expect("a decimal"))]);
        assert_ne!(RangeSum::of([&money("1.50")]), RangeSum::of([&money("1.51")]));
        let mut unreadable = RangeSum::of([&a]);
        unreadable.add_unreadable();
        assert_ne!(unreadable, RangeSum::of([&a, &b]));
    }

    #[test]
    fn a_key_without_its_other_side_leaves_its_range_uneven() {
        let table = table(None);
        let key = |at: usize| Key(vec![Value::Text(format!("K{at}"))]);
        let mut sums = KeySums::default();
        (0..1_000).for_each(|at| sums.add(&table, &key(at)));
        (0..1_001).for_each(|at| sums.take(&table, &key(at)));
        assert!(!sums.is_even());
        assert!(sums.is_uneven_at(&table, &key(1_000)));
        let others = (0..1_000).filter(|at| sums.is_uneven_at(&table, &key(*at))).count();
        assert!(others < 5, "{others} others are suspected");
        sums.add(&table, &Key(vec![Value::Text("k1000 ".to_string())]));
        assert!(sums.is_even(), "folded keys are one row's");
    }

    /// A customer that the cashier entered, under a rule that masks or drops what comes down.
    #[test]
    fn what_the_register_sent_itself_need_not_pass_the_rule() {
        let (clear, masked) = (row(1, "anna@x"), row(1, "a***@x"));
        for (expected, here, unruled, verdict) in [
            (Expected::Row(masked.clone()), &clear, Some(&clear), Verdict::Own),
            (Expected::Dropped, &clear, Some(&clear), Verdict::Own),
            (
                Expected::Row(masked.clone()),
                &clear,
                None,
                Verdict::Different(Kind::Differs(vec![1])),
            ),
            (
                Expected::Row(masked.clone()),
                &row(1, "z"),
                Some(&clear),
                Verdict::Different(Kind::Differs(vec![1])),
            ),
            (Expected::Dropped, &masked, Some(&clear), Verdict::Different(Kind::DroppedByRule)),
            (Expected::Nothing, &clear, None, Verdict::Different(Kind::MissingAtChannel)),
        ] {
            let here = Here::Row(here.clone());
            let (before, now, expected) = (&here, &here, &expected);
            let looked = Looked { expected, before, now, held: None, is_changed: false, unruled };
            assert_eq!(looked.verdict(), verdict);
        }
    }

    /// One key that stayed as it is while it was looked at.
    fn still(expected: Expected, here: &Here, held: Option<Held>, is_changed: bool) -> Verdict {
        let expected = &expected;
        Looked { expected, before: here, now: here, held, is_changed, unruled: None }.verdict()
    }

    #[test]
    fn a_row_that_differs_is_told_by_why_it_may() {
        let there = || Expected::Row(row(1, "a"));
        let (same, other) = (Here::Row(row(1, "a")), Here::Row(row(1, "b")));
        let differs = Verdict::Different(Kind::Differs(vec![1]));
        let (unsent, deferred) = (Some(Held::Unsent), Some(Held::Deferred));
        for (here, held, is_changed, verdict) in [
            (&same, None, false, Verdict::Equal),
            (&same, unsent, true, Verdict::Equal),
            (&other, None, false, differs),
            (&other, None, true, Verdict::Behind),
            (&other, unsent, true, Verdict::Held(Held::Unsent)),
            (&other, deferred, false, Verdict::Held(Held::Deferred)),
            (&Here::Nothing, None, false, Verdict::Different(Kind::MissingOffline)),
            (&Here::Nothing, None, true, Verdict::Behind),
        ] {
            assert_eq!(still(there(), here, held, is_changed), verdict, "{here:?} {held:?}");
        }
        for (before, now, verdict) in
            [(&same, &other, Verdict::Moving), (&other, &same, Verdict::Equal)]
        {
            let expected = &there();
            let looked =
                Looked { expected, before, now, held: None, is_changed: false, unruled: None };
            assert_eq!(looked.verdict(), verdict);
        }
    }

    #[test]
    fn a_row_that_should_not_be_here_is_told_by_why() {
        let here = Here::Row(row(1, "a"));
        let broken = || "no number".to_string();
        for (expected, here, verdict) in [
            (Expected::Nothing, &here, Verdict::Different(Kind::MissingAtChannel)),
            (Expected::Nothing, &Here::Nothing, Verdict::Equal),
            (Expected::Dropped, &here, Verdict::Different(Kind::DroppedByRule)),
            (Expected::Dropped, &Here::Nothing, Verdict::Equal),
            (Expected::Refused, &here, Verdict::Held(Held::Aside)),
            (
                Expected::Row(row(1, "a")),
                &Here::Unreadable(broken()),
                Verdict::Different(Kind::Unreadable(broken())),
            ),
        ] {
            assert_eq!(still(expected, here, None, false), verdict, "{here:?}");
        }
    }
}
