//! What a transaction does to rows, step by step: into their tables, each change of a row that is there logged at once.
//!
//! * Triggers are silent here.
//! * A key that the channel takes for another one is that one's: text outside ASCII is looked for in either case.

use crate::cell::{self, bind_key, bind_row, read_row};
use crate::deferred_log::{self, Late};
use crate::error::LocalError;
use crate::file::Trouble;
use crate::load::key_twice;
use crate::record::RowWrite;
use crate::registry::{Entry, Registry};
use rusqlite::Connection;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tillhold_core::row::{Key, Row};
use tillhold_core::transaction::TransactionId;
use tillhold_core::value::Value;

/// Checks the writes before they take the writer's time. Neighbours are mostly of one table, which is looked up once, and
/// what is done to its rows is one step.
pub(crate) fn steps(registry: &Registry, writes: Vec<RowWrite>) -> Result<Vec<Step>, LocalError> {
    let mut steps: Vec<Step> = Vec::new();
    for write in writes {
        let entry = match steps.last().map(Step::entry) {
            Some(entry) if entry.table.name == *write.table() => entry.clone(),
            _ => registry.get(write.table())?.clone(),
        };
        if !entry.direction.is_pushed() {
            return Err(LocalError::ReadOnly { table: entry.table.name.clone() });
        }
        let change = match write {
            RowWrite::Insert { row, .. } => {
                let row = cell::fit_row(&entry.table, row)?;
                match steps.last_mut() {
                    Some(Step::Insert(rows, last)) if last.id == entry.id => rows.push(row),
                    _ => steps.push(Step::Insert(vec![row], entry)),
                }
                continue;
            }
            RowWrite::Update { row, .. } => Change::Update(cell::fit_row(&entry.table, row)?),
            RowWrite::Amend { key, cells, .. } => {
                require_columns(&entry, &cells)?;
                Change::Amend(key, cells)
            }
            RowWrite::Delete { key, .. } => Change::Delete(key),
        };
        match steps.last_mut() {
            Some(Step::Change(changes, last)) if last.id == entry.id => changes.push(change),
            _ => steps.push(Step::Change(vec![change], entry)),
        }
    }
    Ok(steps)
}

fn require_columns(entry: &Entry, cells: &[(usize, Value)]) -> Result<(), LocalError> {
    let expected = entry.table.columns.len();
    match cells.iter().find(|(at, _)| *at >= expected) {
        None => Ok(()),
        Some((at, _)) => {
            Err(LocalError::Width { table: entry.table.name.clone(), given: at + 1, expected })
        }
    }
}

/// What is done to rows of one table, one after the other.
pub(crate) enum Step {
    Insert(Vec<Row>, Arc<Entry>),
    Change(Vec<Change>, Arc<Entry>),
}

pub(crate) enum Change {
    Update(Row),
    Amend(Key, Vec<(usize, Value)>),
    Delete(Key),
}

impl Step {
    fn entry(&self) -> &Arc<Entry> {
        match self {
            Step::Insert(_, entry) | Step::Change(_, entry) => entry,
        }
    }
}

/// Changes of rows that are there, each logged at once. What this sale or others of the transaction have inserted into the
/// same table is before.
pub(crate) fn change(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    changes: &[Change],
    late: &Late,
) -> Result<(), Trouble> {
    if deferred_log::is_of(conn, entry)? {
        late.log(conn)?;
    }
    changes.iter().try_for_each(|change| write(conn, id, entry, change))
}

/// The log gets new rows later, neighbours together. `given` is the last number in the log, and so is the answer.
pub(crate) fn insert(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    rows: &[Row],
    given: i64,
) -> Result<i64, Trouble> {
    insert_rows(conn, entry, rows)?.into_iter().try_fold(given, |given, rowids| {
        deferred_log::note(conn, id, entry, &rowids, given + 1)?;
        Ok(given + rowids.end() - rowids.start() + 1)
    })
}

/// Those of new rows that follow each other, in the order in which they were made.
type Rowids = Vec<RangeInclusive<i64>>;

/// One table's rows by one statement: to look it up for each costs a sale of 20 lines a twentieth of its time.
fn insert_rows(conn: &Connection, entry: &Entry, rows: &[Row]) -> Result<Rowids, Trouble> {
    let mut statement = conn.prepare_cached(&entry.sql.insert)?;
    let mut rowids = Rowids::new();
    for row in rows {
        if has_letters(entry, row) && find_otherwise(conn, entry, &row.key(&entry.table))?.is_some()
        {
            return Err(exists(entry, row).into());
        }
        bind_row(&mut statement, &entry.table, row)?;
        statement.raw_execute().map_err(|source| match key_twice(entry, source) {
            Trouble::Told(LocalError::KeyTwice { .. }) => exists(entry, row).into(),
            other => other,
        })?;
        let rowid = conn.last_insert_rowid();
        match rowids.last_mut() {
            Some(last) if rowid == last.end() + 1 => *last = *last.start()..=rowid,
            _ => rowids.push(rowid..=rowid),
        }
    }
    Ok(rowids)
}

/// Whether its key has text outside ASCII: of that SQLite does not fold the case.
fn has_letters(entry: &Entry, row: &Row) -> bool {
    let mut cells = entry.table.key.iter().map(|at| &row.0[*at]);
    cells.any(|cell| matches!(cell, Value::Text(text) if !text.is_ascii()))
}

fn exists(entry: &Entry, row: &Row) -> LocalError {
    let key = row.key(&entry.table).named(&entry.table).to_string();
    LocalError::RowExists { table: entry.table.name.clone(), key }
}

/// Triggers are silent here.
fn write(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    change: &Change,
) -> Result<(), Trouble> {
    match change {
        Change::Update(row) => update(conn, id, entry, row),
        Change::Amend(key, cells) => {
            let mut row = present(conn, entry, key)?;
            // The key stays as the row that is there spells it.
            for (at, value) in cells.iter().filter(|(at, _)| !entry.table.key.contains(at)) {
                row.0[*at] = value.clone();
            }
            update(conn, id, entry, &cell::fit_row(&entry.table, row)?)
        }
        Change::Delete(key) => {
            let key = &present(conn, entry, key)?.key(&entry.table);
            log_before(conn, id, entry, key, "delete")?;
            let mut statement = conn.prepare_cached(&entry.sql.delete)?;
            bind_key(&mut statement, &entry.table, key, 1)?;
            statement.raw_execute()?;
            Ok(())
        }
    }
}

/// A row that is already so is not logged.
fn update(conn: &Connection, id: TransactionId, entry: &Entry, row: &Row) -> Result<(), Trouble> {
    let (last, key) = (last_number(conn)?, row.key(&entry.table));
    let seq = log_before(conn, id, entry, &key, "update")?;
    let mut statement = conn.prepare_cached(&entry.sql.update)?;
    bind_row(&mut statement, &entry.table, row)?;
    statement.raw_execute()?;
    let mut statement = conn.prepare_cached(&entry.sql.log_after)?;
    bind_key(&mut statement, &entry.table, &key, 1)?;
    statement.raw_bind_parameter(key.0.len() + 1, seq)?;
    statement.raw_execute()?;
    let unchanged = "DELETE FROM tillhold_log WHERE seq = ?1 AND new_row = old_row";
    if conn.prepare_cached(unchanged)?.execute([seq])? > 0 {
        give_numbers(conn, last)?;
    }
    Ok(())
}

/// The number that the log gives the change of this row, which must be there.
fn log_before(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    key: &Key,
    operation: &str,
) -> Result<i64, Trouble> {
    let mut statement = conn.prepare_cached(&entry.sql.log_before)?;
    bind_key(&mut statement, &entry.table, key, 1)?;
    statement.raw_bind_parameter(key.0.len() + 1, &id.0[..])?;
    statement.raw_bind_parameter(key.0.len() + 2, operation)?;
    match statement.raw_execute()? {
        1 => Ok(conn.last_insert_rowid()),
        _ => Err(missing(entry, key).into()),
    }
}

/// The row as it is now, inside the transaction that will change it.
fn present(conn: &Connection, entry: &Entry, key: &Key) -> Result<Row, Trouble> {
    match find_row(conn, entry, key)? {
        Some(row) => Ok(row),
        None => find_otherwise(conn, entry, key)?.ok_or_else(|| missing(entry, key).into()),
    }
}

/// The row whose key the channel takes for this one and SQLite does not.
fn find_otherwise(conn: &Connection, entry: &Entry, key: &Key) -> Result<Option<Row>, Trouble> {
    for other in key.other_spellings(&entry.table) {
        if let Some(row) = find_row(conn, entry, &other)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

pub(crate) fn find_row(
    conn: &Connection,
    entry: &Entry,
    key: &Key,
) -> Result<Option<Row>, Trouble> {
    let mut select = conn.prepare_cached(&entry.sql.select_by_key)?;
    bind_key(&mut select, &entry.table, key, 1)?;
    let mut rows = select.raw_query();
    rows.next()?.map(|row| read_row(row, &entry.table, 0)).transpose()
}

fn missing(entry: &Entry, key: &Key) -> LocalError {
    let key = key.named(&entry.table).to_string();
    LocalError::RowMissing { table: entry.table.name.clone(), key }
}

/// The last number that the log has given.
pub(crate) fn last_number(conn: &Connection) -> Result<i64, Trouble> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tillhold_log'";
    Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
}

/// All numbers up to this one are given.
pub(crate) fn give_numbers(conn: &Connection, last: i64) -> Result<(), Trouble> {
    let sql = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'tillhold_log'";
    if conn.prepare_cached(sql)?.execute([last])? == 0 {
        conn.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('tillhold_log', ?1)",
            [last],
        )?;
    }
    Ok(())
}
