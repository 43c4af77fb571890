//! Every statement on one synchronised table, made once when the table becomes known.
//!
//! Rows bind to parameters 1..n in column order, keys to 1..k in key order.

use crate::file::Kind;
use crate::schema::{Names, comparable, folded, key_list, quoted};
use crate::{capture, image};
use tillhold_core::table::{Column, Table};

#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) insert: String,
    /// Logs rows that were inserted silently ([`capture::log_late`]). Journal only.
    pub(crate) log_late: String,
    /// Logs the row of a key as it is before it is changed silently; behind the key's parameters the transaction's id and the
    /// operation. Journal only.
    pub(crate) log_before: String,
    /// Adds to that the row as it has become; behind the key's parameters the log's number. Journal only.
    pub(crate) log_after: String,
    pub(crate) upsert: String,
    /// All columns by the key that the row itself has.
    pub(crate) update: String,
    pub(crate) delete: String,
    pub(crate) select_by_key: String,
    pub(crate) has_rows: String,
    pub(crate) count: String,
    /// Empties the table but for rows with unsent changes.
    pub(crate) clear: String,
    /// Whether a row of the table itself has unsent changes: a condition.
    pub(crate) unsent: String,
    /// Whether the key has unsent changes. Journal only.
    pub(crate) is_pending: String,
    /// A row, then how many changes it stands for.
    pub(crate) stage_row: String,
    /// The same for a page of a load: what a settlement has staged stands.
    /// One more change of a key whose staged row is a settlement's.
    pub(crate) stage_count_on: String,
    /// The key, then whether its staged row is a settlement's: 2 or 0.
    pub(crate) stage_settled: String,
    /// Whether the key's staged row is a settlement's.
    pub(crate) is_settled: String,
    /// A key, then how many changes it stands for.
    pub(crate) stage_gone: String,
    pub(crate) stage_has_rows: String,
    pub(crate) stage_clear: String,
    /// How many changes are staged, and how many of them are not to land.
    pub(crate) stage_count: String,
    /// Keys that the stage has and that are not to land; with 0 only those of changes, with 1 those of a load's pages too.
    pub(crate) stage_passed_over: String,
    pub(crate) land_gone: String,
    /// For a stage that holds the whole table: what it does not hold is gone.
    pub(crate) land_missing: String,
    pub(crate) land_rows: String,
}

impl Sql {
    pub(crate) fn of(table: &Table, table_id: i64, kind: Kind) -> Sql {
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let list = columns.join(", ");
        let wording = Wording { table, table_id, kind, names: Names::of(table), columns, list };
        let (rows, stage) = (&wording.names.rows, &wording.names.stage);
        Sql {
            insert: wording.insert(),
            log_late: capture::log_late(table, table_id),
            log_before: wording.log_before(),
            log_after: wording.log_after(),
            upsert: wording.upsert(),
            update: wording.update(),
            delete: format!("DELETE FROM {rows} WHERE {}", wording.by_key(|nth, _| nth + 1)),
            select_by_key: wording.select_by_key(),
            has_rows: format!("SELECT EXISTS (SELECT 1 FROM {rows})"),
            count: format!("SELECT count(*) FROM {rows}"),
            clear: match kind {
                Kind::Journal => format!("DELETE FROM {rows} WHERE NOT {}", wording.unsent(rows)),
                // Without a condition SQLite frees whole pages.
                Kind::Catalogue => format!("DELETE FROM {rows}"),
            },
            unsent: wording.unsent(rows),
            is_pending: wording.is_pending(),
            stage_row: wording.stage_row(),
            stage_count_on: wording.stage_count_on(),
            stage_settled: wording.stage_settled(),
            is_settled: wording.is_settled(),
            stage_gone: wording.stage_gone(),
            stage_has_rows: format!("SELECT EXISTS (SELECT 1 FROM {stage})"),
            stage_clear: format!("DELETE FROM {stage}"),
            stage_count: wording.stage_count(),
            stage_passed_over: wording.stage_passed_over(),
            land_gone: wording.land_gone(),
            land_missing: wording.land_missing(),
            land_rows: wording.land_rows(),
        }
    }
}

/// A staged row stands for this many changes more when it is staged again.
const COUNT_ON: &str = "tillhold_changes = tillhold_changes + excluded.tillhold_changes";

/// Beside 0, there, and 1, gone: a settlement has put it so, and what was read earlier must not replace it.
pub(crate) const SETTLED: u8 = 2;

struct Wording<'a> {
    table: &'a Table,
    table_id: i64,
    kind: Kind,
    names: Names,
    columns: Vec<String>,
    /// The columns with commas.
    list: String,
}

impl Wording<'_> {
    fn insert(&self) -> String {
        let marks = marks(self.columns.len());
        format!("INSERT INTO {} ({}) VALUES ({marks})", self.names.rows, self.list)
    }

    fn upsert(&self) -> String {
        format!("{} {}", self.insert(), self.or_take_over())
    }

    /// The end of an insert that may meet a row of the same key.
    fn or_take_over(&self) -> String {
        let take_over = self.assignments(|column, _| format!("excluded.{column}"));
        format!("ON CONFLICT ({}) DO UPDATE SET {take_over}", key_list(self.table))
    }

    fn update(&self) -> String {
        let values = self.assignments(|_, at| format!("?{}", at + 1));
        format!("UPDATE {} SET {values} WHERE {}", self.names.rows, self.by_key(|_, at| at + 1))
    }

    fn log_before(&self) -> String {
        let parameters = self.table.key.len();
        format!(
            "{} WHERE {}",
            capture::log_before(self.table, self.table_id, parameters + 1, parameters + 2),
            self.by_key(|nth, _| nth + 1)
        )
    }

    fn log_after(&self) -> String {
        let key = image::key_sql_of(self.table, "t");
        format!(
            "UPDATE tillhold_log SET (key, new_row) = (SELECT {key}, {} FROM {} AS t WHERE {}) WHERE seq = ?{}",
            image::row_sql(self.table, "t"),
            self.names.rows,
            self.by_key(|nth, _| nth + 1),
            self.table.key.len() + 1,
        )
    }

    fn select_by_key(&self) -> String {
        let by_key = self.by_key(|nth, _| nth + 1);
        format!("SELECT {} FROM {} WHERE {by_key}", self.list, self.names.rows)
    }

    fn is_pending(&self) -> String {
        let key = image::key_sql(self.table, |nth, _| format!("?{}", nth + 1));
        format!("SELECT {}", self.in_log(&key))
    }

    fn stage_row(&self) -> String {
        let count = self.columns.len();
        format!(
            "INSERT INTO {stage} ({}, tillhold_gone, tillhold_changes) VALUES ({}, 0, ?{}) {}, \
             tillhold_gone = 0, {COUNT_ON} WHERE {stage}.tillhold_gone < {SETTLED}",
            self.list,
            marks(count),
            count + 1,
            self.or_take_over(),
            stage = self.names.stage,
        )
    }

    fn stage_count_on(&self) -> String {
        let (stage, by_key) = (&self.names.stage, self.by_key(|nth, _| nth + 1));
        format!("UPDATE {stage} SET tillhold_changes = tillhold_changes + 1 WHERE {by_key}")
    }

    fn stage_settled(&self) -> String {
        let (stage, by_key) = (&self.names.stage, self.by_key(|nth, _| nth + 1));
        let flag = self.table.key.len() + 1;
        format!("UPDATE {stage} SET tillhold_gone = tillhold_gone & 1 | ?{flag} WHERE {by_key}")
    }

    fn is_settled(&self) -> String {
        let (stage, by_key) = (&self.names.stage, self.by_key(|nth, _| nth + 1));
        format!(
            "SELECT EXISTS (SELECT 1 FROM {stage} WHERE {by_key} AND tillhold_gone >= {SETTLED})"
        )
    }

    fn stage_gone(&self) -> String {
        let columns: Vec<String> = self.table.key_columns().map(|c| quoted(&c.name)).collect();
        format!(
            "INSERT INTO {stage} ({}, tillhold_gone, tillhold_changes) VALUES ({}, 1, ?{}) \
             ON CONFLICT ({}) DO UPDATE SET tillhold_gone = 1, {COUNT_ON} \
             WHERE {stage}.tillhold_gone < {SETTLED}",
            columns.join(", "),
            marks(columns.len()),
            columns.len() + 1,
            key_list(self.table),
            stage = self.names.stage,
        )
    }

    fn stage_count(&self) -> String {
        format!(
            "SELECT coalesce(sum(tillhold_changes), 0), \
             coalesce(sum(CASE WHEN {} THEN tillhold_changes ELSE 0 END), 0) FROM {} AS s",
            self.passed_over(),
            self.names.stage
        )
    }

    fn stage_passed_over(&self) -> String {
        let columns: Vec<String> = self.table.key_columns().map(|c| quoted(&c.name)).collect();
        format!(
            "SELECT {} FROM {} AS s WHERE (tillhold_changes > 0 OR ?1) AND ({})",
            columns.join(", "),
            self.names.stage,
            self.passed_over()
        )
    }

    /// Whether the channel's row of a staged key is not to land: ours is unsent, or was sent after the pass began.
    fn passed_over(&self) -> String {
        format!("{} OR s.tillhold_gone >= {SETTLED}", self.unsent("s"))
    }

    fn land_gone(&self) -> String {
        let Names { rows, stage, .. } = &self.names;
        format!(
            "DELETE FROM {rows} WHERE rowid IN (SELECT t.rowid FROM {stage} AS s \
             CROSS JOIN {rows} AS t ON {} WHERE s.tillhold_gone & 1 = 1 AND NOT {})",
            self.same_key("t", "s"),
            self.unsent("s")
        )
    }

    fn land_missing(&self) -> String {
        let Names { rows, stage, .. } = &self.names;
        format!(
            "DELETE FROM {rows} WHERE NOT EXISTS (SELECT 1 FROM {stage} AS s \
             WHERE {} AND s.tillhold_gone & 1 = 0) AND NOT {}",
            self.same_key("s", rows),
            self.unsent(rows)
        )
    }

    /// Rows that are already so are not written again: a load anew mostly finds what is there.
    fn land_rows(&self) -> String {
        let Names { rows, stage, .. } = &self.names;
        let differs = |c: &String| format!("{rows}.{c} IS NOT excluded.{c}");
        format!(
            "INSERT INTO {rows} ({list}) SELECT {list} FROM {stage} AS s \
             WHERE s.tillhold_gone & 1 = 0 AND NOT {} {} WHERE {}",
            self.unsent("s"),
            self.or_take_over(),
            self.columns.iter().map(differs).collect::<Vec<_>>().join(" OR "),
            list = self.list,
        )
    }

    /// Whether the row known as `alias` has changes that the channel does not know. The catalogue has none.
    fn unsent(&self, alias: &str) -> String {
        match self.kind {
            Kind::Journal => self.in_log(&image::key_sql_of(self.table, alias)),
            Kind::Catalogue => "0".to_string(),
        }
    }

    fn in_log(&self, key: &str) -> String {
        let id = self.table_id;
        format!(
            "EXISTS (SELECT 1 FROM tillhold_log AS l WHERE l.table_id = {id} AND l.key = {key})"
        )
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        let pair = |c: &Column| format!("{} = {}", comparable(c, left), comparable(c, right));
        self.table.key_columns().map(pair).collect::<Vec<_>>().join(" AND ")
    }

    /// The key's condition; `parameter` numbers a key column by its place in the key and in the row.
    fn by_key(&self, parameter: impl Fn(usize, usize) -> usize) -> String {
        let one = |(nth, at): (usize, &usize)| {
            let column = &self.table.columns[*at];
            let mark = format!("?{}", parameter(nth, *at));
            let mark = if column.folds() { folded(&mark) } else { mark };
            format!("{} = {mark}", comparable(column, ""))
        };
        self.table.key.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
    }

    fn assignments(&self, value: impl Fn(&str, usize) -> String) -> String {
        let one = |(at, column): (usize, &String)| format!("{column} = {}", value(column, at));
        self.columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn marks(count: usize) -> String {
    (1..=count).map(|nth| format!("?{nth}")).collect::<Vec<_>>().join(", ")
}
