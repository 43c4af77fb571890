//! The SQLite tables of one channel table, and the statements that work on them.
//!
//! ```text
//! "ax.CUSTTABLE"                  the rows, column for column under their own names
//! "tillhold_key.ax.CUSTTABLE"     unique index on the key, text folded by lower(rtrim(x))
//! "tillhold_stage.ax.CUSTTABLE"   pulled rows that have not landed yet
//! ```
//!
//! 'ABC', 'abc' and 'abc ' are one key for SQL Server's usual collations; the index folds as
//! [`tillhold_core::row::fold`] does, in expressions that every SQLite has.

use crate::cell::{self, Storage};
use crate::file::Kind;
use crate::image;
use tillhold_core::table::{Column, Table};
use tillhold_core::text;

/// `"name"`, quotes doubled.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn folded(expression: &str) -> String {
    format!("lower(rtrim({expression}))")
}

/// A column as keys and filters compare it.
pub(crate) fn comparable(column: &Column, alias: &str) -> String {
    let name = match alias {
        "" => quoted(&column.name),
        alias => format!("{alias}.{}", quoted(&column.name)),
    };
    if column.folds() { folded(&name) } else { name }
}

/// Creates the table, its key index and, for a pulled one, its stage.
pub(crate) fn create(table: &Table, pulled: bool) -> String {
    let names = Names::of(table);
    let column = |column: &Column| column_sql(column, true);
    let mut sql = format!(
        "CREATE TABLE {} (\n  {}\n) STRICT;\nCREATE UNIQUE INDEX {} ON {} ({});\n",
        names.rows,
        table.columns.iter().map(column).collect::<Vec<_>>().join(",\n  "),
        names.key,
        names.rows,
        key_list(table),
    );
    if pulled {
        sql += &create_stage(table);
    }
    sql
}

/// No NOT NULL here: of a row that is gone only the key is known.
pub(crate) fn create_stage(table: &Table) -> String {
    let names = Names::of(table);
    let column = |column: &Column| column_sql(column, false);
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\n  {},\n  tillhold_gone INTEGER NOT NULL,\n  \
         tillhold_changes INTEGER NOT NULL\n) STRICT;\n\
         CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({});\n",
        names.stage,
        table.columns.iter().map(column).collect::<Vec<_>>().join(",\n  "),
        names.stage_key,
        names.stage,
        key_list(table),
    )
}

/// An index for a lookup that the till makes all day.
pub(crate) fn create_lookup(table: &Table, columns: &[usize]) -> String {
    let columns: Vec<&Column> = columns.iter().map(|at| &table.columns[*at]).collect();
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    let expressions: Vec<String> = columns.iter().map(|c| comparable(c, "")).collect();
    format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
        quoted(&format!("tillhold_lookup.{}.{}", table.name, names.join("."))),
        quoted(&table.name.to_string()),
        expressions.join(", "),
    )
}

fn key_list(table: &Table) -> String {
    table.key_columns().map(|c| comparable(c, "")).collect::<Vec<_>>().join(", ")
}

fn column_sql(column: &Column, constrained: bool) -> String {
    let class = match cell::storage(column.of) {
        Storage::Integer => "INTEGER",
        Storage::Real => "REAL",
        Storage::Text => "TEXT",
        Storage::Blob => "BLOB",
    };
    let name = quoted(&column.name);
    if !constrained {
        return format!("{name} {class}");
    }
    let mut sql = format!("{name} {class}");
    if !column.nullable {
        sql += " NOT NULL";
    }
    if let Some(literal) = default_literal(column) {
        sql += &format!(" DEFAULT {literal}");
    }
    if column.of == tillhold_core::types::SqlType::Bit {
        sql += &format!(" CHECK ({name} IN (0, 1))");
    }
    sql
}

/// A constant default such as `((0))` or `('')`, for other programs that write the file; functions are left out.
fn default_literal(column: &Column) -> Option<String> {
    let mut constant = column.default.as_deref()?.trim();
    while let Some(inner) = constant.strip_prefix('(').and_then(|c| c.strip_suffix(')')) {
        constant = inner.trim();
    }
    let constant = constant.strip_prefix('N').filter(|c| c.starts_with('\'')).unwrap_or(constant);
    let plain = match constant.strip_prefix('\'') {
        Some(rest) => rest.strip_suffix('\'')?.replace("''", "'"),
        None => constant.to_string(),
    };
    let is_number = plain.parse::<f64>().is_ok();
    if !constant.starts_with('\'') && !is_number {
        return None;
    }
    let value = text::parse(&plain, column.of).ok()?;
    let canonical = text::canonical(&value, column.of)?;
    Some(match cell::storage(column.of) {
        Storage::Integer | Storage::Real => canonical,
        Storage::Text => format!("'{}'", canonical.replace('\'', "''")),
        Storage::Blob => format!("x'{canonical}'"),
    })
}

/// The quoted names of a table's SQLite objects.
pub(crate) struct Names {
    pub(crate) rows: String,
    pub(crate) key: String,
    pub(crate) stage: String,
    pub(crate) stage_key: String,
}

impl Names {
    pub(crate) fn of(table: &Table) -> Names {
        let name = |prefix: &str| quoted(&format!("{prefix}{}", table.name));
        Names {
            rows: name(""),
            key: name("tillhold_key."),
            stage: name("tillhold_stage."),
            stage_key: name("tillhold_stage_key."),
        }
    }
}

/// Every statement on one table, made once. Rows bind to parameters 1..n in column order, keys to 1..k in key order.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) insert: String,
    pub(crate) upsert: String,
    /// All columns by the key that the row itself has.
    pub(crate) update: String,
    pub(crate) delete: String,
    pub(crate) select_by_key: String,
    pub(crate) has_rows: String,
    pub(crate) count: String,
    /// Whether the key has unsent changes; parameters 1..k. Journal only.
    pub(crate) is_pending: String,
    /// A row, then how many changes it stands for.
    pub(crate) stage_row: String,
    /// A key, then how many changes it stands for.
    pub(crate) stage_gone: String,
    pub(crate) stage_has_rows: String,
    pub(crate) stage_clear: String,
    /// How many changes are staged, and how many of them meet unsent changes.
    pub(crate) stage_count: String,
    pub(crate) land_gone: String,
    /// For a stage that holds the whole table: what it does not hold is gone.
    pub(crate) land_missing: String,
    pub(crate) land_rows: String,
    /// Empties the table but for rows with unsent changes.
    pub(crate) clear: String,
}

impl Sql {
    pub(crate) fn of(table: &Table, table_id: i64, kind: Kind) -> Sql {
        let names = Names::of(table);
        let (rows, stage) = (&names.rows, &names.stage);
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let list = columns.join(", ");
        let marks = marks(columns.len());
        let keys = key_list(table);
        let take_over = assignments(&columns, |c, _| format!("excluded.{c}"));
        let by_key = |parameter: &dyn Fn(usize, usize) -> usize| key_match(table, parameter);
        let (by_own, by_row) = (by_key(&|nth, _| nth + 1), by_key(&|_, at| at + 1));
        let insert = format!("INSERT INTO {rows} ({list}) VALUES ({marks})");
        let differs: Vec<String> =
            columns.iter().map(|c| format!("{rows}.{c} IS NOT excluded.{c}")).collect();
        let unsent = |alias: &str| match kind {
            Kind::Journal => is_pending_sql(table_id, &image::key_sql_of(table, alias)),
            Kind::Catalogue => "0".to_string(),
        };
        let (unsent_stage, unsent_row) = (unsent("s"), unsent(rows));
        let same_key = |left: &str, right: &str| {
            let pair = |c: &Column| format!("{} = {}", comparable(c, left), comparable(c, right));
            table.key_columns().map(pair).collect::<Vec<_>>().join(" AND ")
        };
        let key_columns: Vec<String> = table.key_columns().map(|c| quoted(&c.name)).collect();
        let changes = "tillhold_changes = tillhold_changes + excluded.tillhold_changes";
        Sql {
            upsert: format!("{insert} ON CONFLICT ({keys}) DO UPDATE SET {take_over}"),
            update: format!(
                "UPDATE {rows} SET {} WHERE {by_row}",
                assignments(&columns, |_, at| format!("?{}", at + 1))
            ),
            delete: format!("DELETE FROM {rows} WHERE {by_own}"),
            select_by_key: format!("SELECT {list} FROM {rows} WHERE {by_own}"),
            has_rows: format!("SELECT EXISTS (SELECT 1 FROM {rows})"),
            count: format!("SELECT count(*) FROM {rows}"),
            is_pending: format!(
                "SELECT {}",
                is_pending_sql(table_id, &image::key_sql(table, |nth, _| format!("?{}", nth + 1)))
            ),
            stage_row: format!(
                "INSERT INTO {stage} ({list}, tillhold_gone, tillhold_changes) \
                 VALUES ({marks}, 0, ?{}) \
                 ON CONFLICT ({keys}) DO UPDATE SET {take_over}, tillhold_gone = 0, {changes}",
                columns.len() + 1
            ),
            stage_gone: format!(
                "INSERT INTO {stage} ({}, tillhold_gone, tillhold_changes) \
                 VALUES ({}, 1, ?{}) ON CONFLICT ({keys}) DO UPDATE SET tillhold_gone = 1, {changes}",
                key_columns.join(", "),
                self::marks(key_columns.len()),
                key_columns.len() + 1
            ),
            stage_has_rows: format!("SELECT EXISTS (SELECT 1 FROM {stage})"),
            stage_clear: format!("DELETE FROM {stage}"),
            stage_count: format!(
                "SELECT coalesce(sum(tillhold_changes), 0), \
                 coalesce(sum(CASE WHEN {unsent_stage} THEN tillhold_changes ELSE 0 END), 0) \
                 FROM {stage} AS s"
            ),
            land_gone: format!(
                "DELETE FROM {rows} WHERE rowid IN (SELECT t.rowid FROM {stage} AS s \
                 CROSS JOIN {rows} AS t ON {} WHERE s.tillhold_gone = 1 AND NOT {unsent_stage})",
                same_key("t", "s")
            ),
            land_missing: format!(
                "DELETE FROM {rows} WHERE NOT EXISTS (SELECT 1 FROM {stage} AS s \
                 WHERE {} AND s.tillhold_gone = 0) AND NOT {unsent_row}",
                same_key("s", rows)
            ),
            land_rows: format!(
                "INSERT INTO {rows} ({list}) SELECT {list} FROM {stage} AS s \
                 WHERE s.tillhold_gone = 0 AND NOT {unsent_stage} \
                 ON CONFLICT ({keys}) DO UPDATE SET {take_over} WHERE {}",
                differs.join(" OR ")
            ),
            clear: match kind {
                Kind::Catalogue => format!("DELETE FROM {rows}"),
                Kind::Journal => format!("DELETE FROM {rows} WHERE NOT {unsent_row}"),
            },
            insert,
        }
    }
}

fn is_pending_sql(table_id: i64, key: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM tillhold_log AS l WHERE l.table_id = {table_id} AND l.key = {key})"
    )
}

fn marks(count: usize) -> String {
    (1..=count).map(|nth| format!("?{nth}")).collect::<Vec<_>>().join(", ")
}

fn assignments(columns: &[String], value: impl Fn(&str, usize) -> String) -> String {
    let one = |(at, column): (usize, &String)| format!("{column} = {}", value(column, at));
    columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// The key's condition; `parameter` numbers a key column by its place in the key and in the row.
fn key_match(table: &Table, parameter: &dyn Fn(usize, usize) -> usize) -> String {
    let one = |(nth, at): (usize, &usize)| {
        let column = &table.columns[*at];
        let mark = format!("?{}", parameter(nth, *at));
        let mark = if column.folds() { folded(&mark) } else { mark };
        format!("{} = {mark}", comparable(column, ""))
    };
    table.key.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
}
