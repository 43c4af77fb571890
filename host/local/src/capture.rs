//! Every change of a pushed table is written into the log: another program's by triggers, the register's own by statements
//! in the same words.
//!
//! * Whole old and new rows, so that a conflict later has its base and the channel needs nothing else.
//! * Triggers are silent while `tillhold_applying` holds a row: what sync writes is not news. For sales they do not fire at
//!   all ([`crate::writer`]).
//! * An update that changes the key is a delete and an insert; one that changes nothing is not logged.
//! * `base_version` is how far the table had been pulled, or the base version of the row's first unsent change: a row
//!   that pull leaves alone keeps standing on what its first change stood on.
//! * Another program's INSERT OR REPLACE fires no delete trigger for the row it pushes out: that row is set aside before
//!   and becomes the old row of an update.
//! * Rows that the register itself inserts are logged right after their sale's answer ([`crate::deferred_log`]); whoever changes
//!   such a table before that logs them first.
//!
//! Only functions that every SQLite has (json_array, printf, hex, lower, rtrim): any `sqlite3` may write the file.

use crate::image::{key_sql_of, row_sql};
use crate::schema::{Names, comparable, quoted};
use tillhold_core::table::{Column, Table};

const OUTSIDE_SYNC: &str = "NOT EXISTS (SELECT 1 FROM tillhold_applying)";
const LOG_IS_LATE: &str = "EXISTS (SELECT 1 FROM tillhold_late)";

const TRIGGERS: [&str; 8] = [
    "before_insert",
    "before_update",
    "before_delete",
    "after_insert",
    "before_key_change",
    "after_key_change",
    "after_update",
    "after_delete",
];

/// All triggers of one table.
pub(crate) fn create(table: &Table, table_id: i64) -> String {
    let capture = Capture { table, table_id, rows: Names::of(table).rows };
    [
        capture.before_insert(),
        capture.before_change("before_update", "BEFORE UPDATE"),
        capture.before_change("before_delete", "BEFORE DELETE"),
        capture.after_insert(),
        capture.before_key_change(),
        capture.after_key_change(),
        capture.after_update(),
        capture.after_delete(),
    ]
    .concat()
}

/// The same, in the place of those that an earlier layout had.
pub(crate) fn create_again(table: &Table, table_id: i64) -> String {
    let drop = |name: &&str| format!("DROP TRIGGER IF EXISTS {};\n", trigger_name(name, table));
    TRIGGERS.iter().map(drop).chain([create(table, table_id)]).collect()
}

/// Logs the table's rows that `tillhold_late` names.
pub(crate) fn log_late(table: &Table, table_id: i64) -> String {
    let capture = Capture { table, table_id, rows: Names::of(table).rows };
    format!(
        "INSERT INTO tillhold_log \
         (seq, transaction_id, table_id, key, operation, old_row, new_row, base_version) \
         SELECT w.first_seq + (r.rowid - w.first_row), w.transaction_id, {table_id}, {}, 'insert', NULL, {}, {} \
         FROM tillhold_late AS w CROSS JOIN {} AS r \
         WHERE w.table_id = {table_id} AND r.rowid BETWEEN w.first_row AND w.last_row ORDER BY 1",
        key_sql_of(table, "r"),
        row_sql(table, "r"),
        capture.base_version("r"),
        capture.rows,
    )
}

/// Logs a row as it is before the register itself changes it, by the parameters of the transaction's id and of the
/// operation; which row it is, the caller adds.
pub(crate) fn log_before(table: &Table, table_id: i64, id: usize, operation: usize) -> String {
    let capture = Capture { table, table_id, rows: Names::of(table).rows };
    format!(
        "INSERT INTO tillhold_log \
         (transaction_id, table_id, key, operation, old_row, base_version) \
         SELECT ?{id}, {table_id}, {}, ?{operation}, {}, {} FROM {} AS t",
        key_sql_of(table, "t"),
        row_sql(table, "t"),
        capture.base_version("t"),
        capture.rows,
    )
}

fn trigger_name(name: &str, table: &Table) -> String {
    quoted(&format!("tillhold_{name}.{}", table.name))
}

struct Capture<'a> {
    table: &'a Table,
    table_id: i64,
    rows: String,
}

impl Capture<'_> {
    fn trigger(&self, name: &str, moment: &str, when: &str, body: &str) -> String {
        let name = trigger_name(name, self.table);
        let rows = &self.rows;
        format!(
            "CREATE TRIGGER {name} {moment} ON {rows} FOR EACH ROW\nWHEN {when}\nBEGIN\n{body}END;\n"
        )
    }

    fn before_insert(&self) -> String {
        let body = self.log_late() + &self.set_aside("");
        self.trigger("before_insert", "BEFORE INSERT", OUTSIDE_SYNC, &body)
    }

    /// The log's rows are made of the table's own, so before one of those becomes another.
    fn before_change(&self, name: &str, moment: &str) -> String {
        let when = format!("{OUTSIDE_SYNC} AND {LOG_IS_LATE}");
        self.trigger(name, moment, &when, &self.log_late())
    }

    fn log_late(&self) -> String {
        let id = self.table_id;
        format!(
            "  {};\n  DELETE FROM tillhold_late WHERE table_id = {id};\n",
            log_late(self.table, id)
        )
    }

    fn after_insert(&self) -> String {
        self.trigger("after_insert", "AFTER INSERT", OUTSIDE_SYNC, &self.log_new())
    }

    fn before_key_change(&self) -> String {
        let when = format!("{OUTSIDE_SYNC} AND NOT ({})", self.same_key());
        let body = self.set_aside(" AND t.rowid <> OLD.rowid");
        self.trigger("before_key_change", "BEFORE UPDATE", &when, &body)
    }

    fn after_key_change(&self) -> String {
        let when = format!("{OUTSIDE_SYNC} AND NOT ({})", self.same_key());
        let body = self.log_old() + &self.log_new();
        self.trigger("after_key_change", "AFTER UPDATE", &when, &body)
    }

    fn after_update(&self) -> String {
        let same = |c: &Column| format!("OLD.{0} IS NEW.{0}", quoted(&c.name));
        let unchanged = self.table.columns.iter().map(same).collect::<Vec<_>>().join(" AND ");
        let when = format!("{OUTSIDE_SYNC} AND {} AND NOT ({unchanged})", self.same_key());
        let (old, new) = (row_sql(self.table, "OLD"), row_sql(self.table, "NEW"));
        let body = self.log("NEW", "'update'", &old, &new);
        self.trigger("after_update", "AFTER UPDATE", &when, &body)
    }

    fn after_delete(&self) -> String {
        self.trigger("after_delete", "AFTER DELETE", OUTSIDE_SYNC, &self.log_old())
    }

    fn log_old(&self) -> String {
        self.log("OLD", "'delete'", &row_sql(self.table, "OLD"), "NULL")
    }

    /// A new row, or the update of one that was pushed out by it.
    fn log_new(&self) -> String {
        let displaced = format!(
            "(SELECT d.old_row FROM tillhold_displaced AS d WHERE d.table_id = {} AND d.key = {})",
            self.table_id,
            key_sql_of(self.table, "NEW")
        );
        let operation = format!("CASE WHEN {displaced} IS NULL THEN 'insert' ELSE 'update' END");
        self.log("NEW", &operation, &displaced, &row_sql(self.table, "NEW"))
    }

    fn log(&self, side: &str, operation: &str, old: &str, new: &str) -> String {
        let (id, key) = (self.table_id, key_sql_of(self.table, side));
        format!(
            "  INSERT INTO tillhold_log \
             (transaction_id, table_id, key, operation, old_row, new_row, base_version)\n  \
             VALUES (NULL, {id}, {key}, {operation},\n    \
             {old},\n    {new},\n    {});\n",
            self.base_version(side)
        )
    }

    fn base_version(&self, side: &str) -> String {
        let (id, key) = (self.table_id, key_sql_of(self.table, side));
        format!(
            "coalesce(\n      \
             (SELECT l.base_version FROM tillhold_log AS l WHERE l.table_id = {id} AND l.key = {key} \
             ORDER BY l.seq LIMIT 1),\n      \
             (SELECT v.version FROM tillhold_table AS v WHERE v.table_id = {id}), 0)"
        )
    }

    fn set_aside(&self, but: &str) -> String {
        let key = |c: &Column| format!("{} = {}", comparable(c, "t"), comparable(c, "NEW"));
        format!(
            "  DELETE FROM tillhold_displaced WHERE table_id IS NOT NULL;\n  \
             INSERT INTO tillhold_displaced SELECT {}, {}, {} FROM {} AS t WHERE {}{but};\n",
            self.table_id,
            key_sql_of(self.table, "t"),
            row_sql(self.table, "t"),
            self.rows,
            self.table.key_columns().map(key).collect::<Vec<_>>().join(" AND ")
        )
    }

    fn same_key(&self) -> String {
        let same = |c: &Column| format!("{} IS {}", comparable(c, "OLD"), comparable(c, "NEW"));
        self.table.key_columns().map(same).collect::<Vec<_>>().join(" AND ")
    }
}
