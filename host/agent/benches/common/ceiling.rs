//! What bounds a register that writes rows: SQLite writing the same ones and nothing else.

use super::{Fallible, Shop};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text as canon;
use tillhold_core::value::Value;

/// Rows that wait in memory, and that are committed at once.
const PORTION_ROWS: usize = 2_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Ceiling {
    pub rows: u64,
    pub seconds: f64,
}

impl Ceiling {
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

/// A new file with these tables and indexes of another one, as durable as a register's.
pub fn empty(
    shop: &Shop,
    from: &Connection,
    name: &str,
    tables: &[String],
) -> Fallible<Connection> {
    let bare = Connection::open(shop.path(name))?;
    bare.pragma_update(None, "journal_mode", "WAL")?;
    bare.pragma_update(None, "synchronous", "FULL")?;
    for table in tables {
        let mut schema = from.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND type IN ('table', 'index') \
             AND sql IS NOT NULL ORDER BY type DESC",
        )?;
        for sql in schema.query_map([table], |row| row.get::<_, String>(0))? {
            bare.execute_batch(&sql?)?;
        }
    }
    Ok(bare)
}

/// How often the ceiling commits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// At its end, as a first load may.
    Once,
    /// After so many rows as an upload does.
    InPortions,
}

/// All rows of the tables in a file of the register, one prepared insert a table. The time to get them into memory does
/// not count.
pub fn inserted(
    shop: &Shop,
    (file, name): (&Path, &str),
    tables: &[String],
    commits: Commits,
) -> Fallible<Ceiling> {
    let from = Connection::open(file)?;
    let bare = empty(shop, &from, name, tables)?;
    let mut ceiling = Ceiling::default();
    bare.execute_batch("BEGIN")?;
    for table in tables {
        let mut select = from.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let width = select.column_count();
        let marks = vec!["?"; width].join(", ");
        let mut insert = bare.prepare(&format!("INSERT INTO \"{table}\" VALUES ({marks})"))?;
        let mut found = select.query(())?;
        loop {
            let mut waiting: Vec<Vec<Stored>> = Vec::with_capacity(PORTION_ROWS);
            while waiting.len() < PORTION_ROWS
                && let Some(row) = found.next()?
            {
                waiting.push((0..width).map(|at| row.get(at)).collect::<Result<_, _>>()?);
            }
            if waiting.is_empty() {
                break;
            }
            let started_us = shop.env.clock.monotonic_us();
            for row in &waiting {
                insert.execute(params_from_iter(row))?;
            }
            if commits == Commits::InPortions {
                bare.execute_batch("COMMIT; BEGIN")?;
            }
            ceiling.seconds += (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
            ceiling.rows += waiting.len() as u64;
        }
    }
    let started_us = shop.env.clock.monotonic_us();
    bare.execute_batch("COMMIT")?;
    ceiling.seconds += (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
    Ok(ceiling)
}

/// One sale in one transaction, its rows bound in their stored form; answers with the microseconds.
pub fn committed(shop: &Shop, bare: &mut Connection, rows: &[(&Table, Row)]) -> Fallible<u64> {
    let prepared: Vec<(String, Vec<Stored>)> = rows
        .iter()
        .map(|(table, row)| {
            let marks = vec!["?"; table.columns.len()].join(", ");
            (format!("INSERT INTO \"{}\" VALUES ({marks})", table.name), stored(table, row))
        })
        .collect();
    let began_us = shop.env.clock.monotonic_us();
    let transaction = bare.transaction()?;
    for (insert, row) in &prepared {
        transaction.prepare_cached(insert)?.execute(params_from_iter(row))?;
    }
    transaction.commit()?;
    Ok(shop.env.clock.monotonic_us() - began_us)
}

fn stored(table: &Table, row: &Row) -> Vec<Stored> {
    let cell = |(at, value): (usize, &Value)| match value {
        Value::Int(number) => Stored::Integer(*number),
        value => canon::canonical(value, table.columns[at].of).map_or(Stored::Null, Stored::Text),
    };
    row.0.iter().enumerate().map(cell).collect()
}
