//! The SQLite tables of one channel table.
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
use tillhold_core::default::DefaultValue;
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

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

/// What adds columns to a table where it is; `None` when anything else has changed as well, or when rows that are there
/// would have to be given a value that is no default.
pub(crate) fn additions(from: &Table, to: &Table) -> Option<String> {
    let rows = Names::of(from).rows;
    let mut sql = String::new();
    let key = |table: &Table| key_list(table).to_ascii_lowercase();
    if key(from) != key(to) || from.columns.iter().any(|column| to.position(&column.name).is_none())
    {
        return None;
    }
    for column in &to.columns {
        match from.position(&column.name).map(|at| &from.columns[at]) {
            Some(was) if was.of == column.of && was.nullable == column.nullable => {}
            Some(_) => return None,
            None if column.nullable || default_literal(column).is_some() => {
                sql += &format!("ALTER TABLE {rows} ADD COLUMN {};\n", column_sql(column, true));
            }
            None => return None,
        }
    }
    Some(sql)
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

/// The key as its unique index has it.
pub(crate) fn key_list(table: &Table) -> String {
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
    if column.of == SqlType::Bit {
        sql += &format!(" CHECK ({name} IN (0, 1))");
    }
    sql
}

/// For other programs that write the file; functions are left out.
fn default_literal(column: &Column) -> Option<String> {
    constant_default(column).map(|value| literal(&value, column.of))
}

/// A value as SQLite's own literal, in the form in which its column stores it.
pub(crate) fn literal(value: &Value, of: SqlType) -> String {
    let Some(canonical) = text::canonical(value, of) else { return "NULL".to_string() };
    match cell::storage(of) {
        Storage::Integer | Storage::Real => canonical,
        Storage::Text => format!("'{}'", canonical.replace('\'', "''")),
        Storage::Blob => format!("x'{canonical}'"),
    }
}

/// A constant default such as `((0))` or `('')`.
pub(crate) fn constant_default(column: &Column) -> Option<Value> {
    match column.default_value()? {
        DefaultValue::Constant(value) => Some(value),
        DefaultValue::UtcNow | DefaultValue::NewGuid | DefaultValue::Computed => None,
    }
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
