//! The first load of a table, and its load anew when the channel no longer retains the changes since its version.
//!
//! ```text
//! empty table:  begin -> page, page ... (straight into the table, not ready) -> end -> stage changes -> land: ready
//! filled table: begin -> page, page ... (into the stage, the POS reads on)   -> end -> stage changes -> land: flipped
//! ```
//!
//! * A page's rows and the key to resume after commit together: a load goes on where it stopped.
//! * Beginning again from the same version goes on; from another version it starts anew.
//! * A row with unsent changes is left as it is and counted as dropped; so is one that was sent while the load ran,
//!   whose page may have been read before. Either is asked for again once it is sent.

use crate::apply::{self, Stager};
use crate::cell::{bind_key, bind_row};
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble, repeatable};
use crate::image;
use crate::registry::{Entry, LoadState};
use crate::retry;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::row::{Key, Row};
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_core::version::Position;

impl LocalDatabase {
    /// Begins or resumes loading `table` as of `from`, which was read before its first page; every row of it.
    pub async fn begin_load(
        &self,
        table: &TableName,
        epoch: [u8; 16],
        from: impl Into<Position>,
    ) -> Result<(), LocalError> {
        self.begin_filtered_load(table, epoch, from, None).await
    }

    /// The same for the rows that pass a filter, which is remembered beside the position. Under another filter than
    /// the one before, the load starts anew.
    pub async fn begin_filtered_load(
        &self,
        table: &TableName,
        epoch: [u8; 16],
        from: impl Into<Position>,
        filter: Option<String>,
    ) -> Result<(), LocalError> {
        let entry = self.pulled(table)?;
        let (version, mark) = entry.stored(from.into())?;
        let start = Start { epoch, version, mark, filter };
        let begin = move |conn: &mut Connection| begin(conn, &entry, &start);
        self.writer_of(table)?.run(begin).await
    }

    /// Adds one page in key order, and remembers `last_key` as the place to resume.
    pub async fn load_page(
        &self,
        table: &TableName,
        rows: Vec<Row>,
        last_key: Key,
    ) -> Result<Tally, LocalError> {
        let entry = self.pulled(table)?;
        let room = self.room(entry.kind);
        let add = move |conn: &mut Connection| {
            room.refuse_full(conn)?;
            repeatable(conn, entry.kind, |conn| add_page(conn, &entry, &rows, &last_key))
        };
        self.writer_of(table)?.run(add).await
    }

    /// Keeps what the register has of rows that the channel has but that may not come in: a load anew takes every row
    /// that it did not bring for gone. A first load has nothing to keep.
    pub async fn keep_while_loading(
        &self,
        table: &TableName,
        keys: Vec<Key>,
    ) -> Result<(), LocalError> {
        let entry = self.pulled(table)?;
        let keep = move |conn: &mut Connection| {
            repeatable(conn, entry.kind, |conn| {
                let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                if entry.progress(&transaction)?.state == LoadState::IntoStage {
                    apply::stage_as_they_are(&transaction, &entry, &keys)?;
                }
                Ok(transaction.commit()?)
            })
        };
        self.writer_of(table)?.run(keep).await
    }

    /// Loaded tables of `scope` whose rows are to be read once more, because a migration could not know them.
    pub async fn rereads(&self, scope: &str) -> Result<Vec<TableName>, LocalError> {
        let registry = self.registry();
        let mut due = Vec::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let here =
                |e: &&Arc<Entry>| e.scope == scope && e.kind == kind && e.direction.is_pulled();
            let entries: Vec<Arc<Entry>> = registry.all().filter(here).cloned().collect();
            let read = move |conn: &Connection| {
                let mut statement = conn.prepare_cached(REREAD)?;
                let mut due = Vec::new();
                for entry in entries {
                    if statement.exists([entry.id])? {
                        due.push(entry.table.name.clone());
                    }
                }
                Ok(due)
            };
            due.extend(self.readers(kind).run(read).await?);
        }
        Ok(due)
    }

    /// The last page is in. The table becomes readable, or is flipped, when its scope lands.
    pub async fn end_load(&self, table: &TableName) -> Result<(), LocalError> {
        let entry = self.pulled(table)?;
        let now_ms = self.env().clock.wall_ms();
        let end = move |conn: &mut Connection| end(conn, &entry, now_ms);
        self.writer_of(table)?.run(end).await
    }

    pub(crate) fn pulled(&self, table: &TableName) -> Result<Arc<Entry>, LocalError> {
        let entry = self.registry().get(table)?.clone();
        if entry.direction.is_pulled() {
            return Ok(entry);
        }
        Err(LocalError::NotPulled { table: table.clone() })
    }

    pub(crate) fn writer_of(
        &self,
        table: &TableName,
    ) -> Result<&crate::writer::Writer, LocalError> {
        Ok(self.writer(self.registry().get(table)?.kind))
    }
}

const REREAD: &str = "SELECT 1 FROM tillhold_table AS t \
                      WHERE t.table_id = ?1 AND t.load_state = 'loaded' AND t.reread IS NOT NULL";

/// What a load is begun with.
struct Start {
    epoch: [u8; 16],
    version: i64,
    mark: Option<String>,
    filter: Option<String>,
}

fn begin(conn: &mut Connection, entry: &Entry, start: &Start) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let progress = entry.progress(&transaction)?;
    let is_same = progress.from == Some(start.version as u64)
        && progress.load_epoch == Some(start.epoch)
        && progress.load_mark == start.mark
        && progress.load_filter == start.filter;
    let state = match progress.state {
        LoadState::IntoTable | LoadState::IntoStage if is_same => return Ok(()),
        LoadState::IntoTable => {
            apply::quietly(&transaction, entry.kind, |conn| {
                Ok(conn.execute(&entry.sql.clear, ())?)
            })?;
            LoadState::IntoTable
        }
        LoadState::NotStarted if !has_rows(&transaction, entry)? => LoadState::IntoTable,
        _ => LoadState::IntoStage,
    };
    apply::clear_stage(&transaction, entry)?;
    transaction.execute(
        "UPDATE tillhold_table SET load_state = ?2, load_from = ?3, load_epoch = ?4, \
         load_after = NULL, load_mark = ?5, load_filter = ?6 WHERE table_id = ?1",
        (entry.id, state.name(), start.version, start.epoch, &start.mark, &start.filter),
    )?;
    Ok(transaction.commit()?)
}

fn has_rows(conn: &Connection, entry: &Entry) -> Result<bool, Trouble> {
    Ok(conn.query_row(&entry.sql.has_rows, (), |row| row.get(0))?)
}

fn add_page(
    conn: &mut Connection,
    entry: &Entry,
    rows: &[Row],
    last_key: &Key,
) -> Result<Tally, Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let progress = entry.progress(&transaction)?;
    let as_of = Some(apply::as_of(&progress));
    let tally = match progress.state {
        LoadState::IntoTable if entry.kind == Kind::Catalogue => insert(&transaction, entry, rows)?,
        LoadState::IntoTable => {
            apply::quietly(&transaction, entry.kind, |conn| upsert(conn, entry, rows, as_of))?
        }
        LoadState::IntoStage => stage(&transaction, entry, rows, as_of)?,
        _ => return Err(LocalError::NoLoad { table: entry.table.name.clone() }.into()),
    };
    transaction
        .prepare_cached("UPDATE tillhold_table SET load_after = ?2 WHERE table_id = ?1")?
        .execute((entry.id, image::encode_key(&entry.table, last_key)))?;
    transaction.commit()?;
    Ok(tally.balanced().map_err(LocalError::from)?)
}

/// Two rows of one key are refused loudly: one of them would be lost.
fn insert(conn: &Connection, entry: &Entry, rows: &[Row]) -> Result<Tally, Trouble> {
    let mut statement = conn.prepare_cached(&entry.sql.insert)?;
    for row in rows {
        bind_row(&mut statement, &entry.table, row)?;
        statement.raw_execute().map_err(|source| key_twice(entry, source))?;
    }
    Ok(Tally { rows_in: rows.len() as u64, applied: rows.len() as u64, ..Tally::default() })
}

pub(crate) fn key_twice(entry: &Entry, source: rusqlite::Error) -> Trouble {
    let is_unique = source
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE);
    if is_unique && source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        return LocalError::KeyTwice { table: entry.table.name.clone() }.into();
    }
    source.into()
}

/// In the journal the register may have written rows of its own meanwhile.
fn upsert(
    conn: &Connection,
    entry: &Entry,
    rows: &[Row],
    as_of: Option<i64>,
) -> Result<Tally, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_log WHERE table_id = ?1)";
    let anything_unsent: bool = conn.query_row(sql, [entry.id], |row| row.get(0))?;
    let anything_settled: bool = conn.query_row(&entry.sql.stage_has_rows, (), |row| row.get(0))?;
    let mut statement = conn.prepare_cached(&entry.sql.upsert)?;
    let mut tally = Tally { rows_in: rows.len() as u64, ..Tally::default() };
    for row in rows {
        let key = row.key(&entry.table);
        if (anything_unsent && is_pending(conn, entry, &key)?)
            || (anything_settled && asks(conn, entry, &entry.sql.is_settled, &key)?)
        {
            retry::ask_for(conn, entry, &key, as_of)?;
            tally.dropped += 1;
            continue;
        }
        bind_row(&mut statement, &entry.table, row)?;
        statement.raw_execute()?;
        tally.applied += 1;
    }
    Ok(tally)
}

/// Whether the row of this key has changes that the channel does not know yet.
pub(crate) fn is_pending(conn: &Connection, entry: &Entry, key: &Key) -> Result<bool, Trouble> {
    asks(conn, entry, &entry.sql.is_pending, key)
}

/// A question about one key.
fn asks(conn: &Connection, entry: &Entry, sql: &str, key: &Key) -> Result<bool, Trouble> {
    let mut statement = conn.prepare_cached(sql)?;
    bind_key(&mut statement, &entry.table, key, 1)?;
    let mut rows = statement.raw_query();
    Ok(match rows.next()? {
        Some(row) => row.get(0)?,
        None => false,
    })
}

/// The page is accounted for here, so its rows count for nothing more when they land. One that is unsent now is left to
/// its settlement, which stages it; one that becomes unsent later is left alone by the landing.
fn stage(
    conn: &Connection,
    entry: &Entry,
    rows: &[Row],
    as_of: Option<i64>,
) -> Result<Tally, Trouble> {
    let mut stager = Stager::new(conn, entry)?;
    let mut tally = Tally { rows_in: rows.len() as u64, ..Tally::default() };
    for row in rows {
        let key = row.key(&entry.table);
        let is_unsent = entry.kind == Kind::Journal && is_pending(conn, entry, &key)?;
        if !is_unsent && stager.present(row, 0)? {
            tally.applied += 1;
        } else {
            retry::ask_for(conn, entry, &key, as_of)?;
            tally.dropped += 1;
        }
    }
    Ok(tally)
}

fn end(conn: &mut Connection, entry: &Entry, now_ms: i64) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = match entry.progress(&transaction)?.state {
        LoadState::IntoTable => {
            "UPDATE tillhold_table SET load_state = 'loaded', version = load_from, \
             epoch = load_epoch, mark = load_mark, filter = load_filter, positioned_ms = ?2 \
             WHERE table_id = ?1"
        }
        LoadState::IntoStage => {
            "UPDATE tillhold_table SET load_state = 'staged', positioned_ms = ?2 \
             WHERE table_id = ?1"
        }
        _ => return Err(LocalError::NoLoad { table: entry.table.name.clone() }.into()),
    };
    transaction.execute(sql, (entry.id, now_ms))?;
    Ok(transaction.commit()?)
}
