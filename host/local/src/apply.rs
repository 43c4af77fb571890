//! Pulled changes: staged in small transactions, landed in one.
//!
//! ```text
//! discard_staged -> stage, stage ... -> land
//!                   (crash: old state)  (crash: old state or new state, never half)
//! ```
//!
//! * Landing moves the rows of every table of the scope and their positions in one SQLite transaction.
//! * A row whose key has unsent changes is skipped and counted as dropped: its upload decides it, with the base version
//!   of its first unsent change.
//! * Triggers are silent meanwhile: what pull writes, push never sends back.

use crate::cell::{bind_key, bind_row, read_row};
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble, repeatable};
use crate::registry::{Entry, LoadState, Progress, StoredPosition};
use rusqlite::{CachedStatement, Connection, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_core::version::Position;

impl LocalDatabase {
    /// Forgets changes that were staged and never landed; the next pass brings them again. A load that is under way, or
    /// finished and waiting to land, stays.
    pub async fn discard_staged(&self, scope: &str) -> Result<(), LocalError> {
        for kind in [Kind::Journal, Kind::Catalogue] {
            let entries = self.pulled_in(scope, kind);
            if !entries.is_empty() {
                self.writer(kind).run(move |conn| discard(conn, &entries)).await?;
            }
        }
        Ok(())
    }

    /// Sets changes of one loaded table aside until its scope lands. Of several changes of one row the last counts.
    pub async fn stage(&self, table: &TableName, changes: Vec<Change>) -> Result<(), LocalError> {
        let entry = self.pulled(table)?;
        let room = self.room(entry.kind);
        let work = move |conn: &mut Connection| {
            room.refuse_full(conn)?;
            repeatable(conn, entry.kind, |conn| stage(conn, &entry, &changes))
        };
        self.writer_of(table)?.run(work).await
    }

    /// Lands the named tables of `scope` with their new positions, whole. (A table that waits in the other file for its
    /// unsent rows to be sent lands there, after the rest.) Answers for all changes staged since the last
    /// landing: `applied` and, for rows with unsent changes, `dropped`.
    pub async fn land(
        &self,
        scope: &str,
        positions: Vec<(TableName, impl Into<Position>)>,
        epoch: [u8; 16],
    ) -> Result<Tally, LocalError> {
        let mut landing = Vec::with_capacity(positions.len());
        for (table, position) in positions {
            let entry = self.pulled(&table)?;
            if entry.scope != scope {
                return Err(LocalError::OutsideScope { table, scope: scope.to_string() });
            }
            let position = entry.stored(position.into())?;
            landing.push((entry, position));
        }
        let now_ms = self.env().clock.wall_ms();
        let mut tally = Tally::default();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let here = landing.iter().filter(|(entry, _)| entry.kind == kind);
            let here: Vec<(Arc<Entry>, StoredPosition)> = here.cloned().collect();
            if !here.is_empty() {
                let work = move |conn: &mut Connection| land(conn, kind, &here, epoch, now_ms);
                tally += self.writer(kind).run(work).await?;
            }
        }
        Ok(tally)
    }

    fn pulled_in(&self, scope: &str, kind: Kind) -> Vec<Arc<Entry>> {
        let registry = self.registry();
        let wanted =
            |e: &&Arc<Entry>| e.scope == scope && e.kind == kind && e.direction.is_pulled();
        registry.all().filter(wanted).cloned().collect()
    }
}

/// Runs `work` with the journal's triggers silent.
pub(crate) fn quietly<T>(
    conn: &Connection,
    kind: Kind,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    if kind == Kind::Catalogue {
        return work(conn);
    }
    conn.prepare_cached("INSERT INTO tillhold_applying VALUES (1)")?.execute(())?;
    let answer = work(conn)?;
    conn.prepare_cached("DELETE FROM tillhold_applying WHERE one = 1")?.execute(())?;
    Ok(answer)
}

/// Writes into one table's stage.
pub(crate) struct Stager<'a> {
    entry: &'a Entry,
    present: CachedStatement<'a>,
    gone: CachedStatement<'a>,
}

impl<'a> Stager<'a> {
    pub(crate) fn new(conn: &'a Connection, entry: &'a Entry) -> Result<Stager<'a>, Trouble> {
        Stager::with(conn, entry, &entry.sql.stage_row)
    }

    /// For the pages of a load: they may have been read before a settlement staged one of their rows.
    pub(crate) fn of_pages(conn: &'a Connection, entry: &'a Entry) -> Result<Stager<'a>, Trouble> {
        Stager::with(conn, entry, &entry.sql.stage_page_row)
    }

    fn with(conn: &'a Connection, entry: &'a Entry, present: &str) -> Result<Stager<'a>, Trouble> {
        let present = conn.prepare_cached(present)?;
        let gone = conn.prepare_cached(&entry.sql.stage_gone)?;
        Ok(Stager { entry, present, gone })
    }

    /// The row as it is, standing for `changes` changes; whether it was taken.
    pub(crate) fn present(&mut self, row: &Row, changes: u32) -> Result<bool, Trouble> {
        bind_row(&mut self.present, &self.entry.table, row)?;
        self.present.raw_bind_parameter(self.entry.table.columns.len() + 1, changes)?;
        Ok(self.present.raw_execute()? > 0)
    }

    pub(crate) fn gone(&mut self, key: &Key, changes: u32) -> Result<(), Trouble> {
        bind_key(&mut self.gone, &self.entry.table, key, 1)?;
        self.gone.raw_bind_parameter(self.entry.table.key.len() + 1, changes)?;
        self.gone.raw_execute()?;
        Ok(())
    }
}

/// Stages rows of the table itself as they are, or as gone when they are not there.
pub(crate) fn stage_as_they_are(
    conn: &Connection,
    entry: &Entry,
    keys: &[Key],
) -> Result<(), Trouble> {
    let mut stager = Stager::new(conn, entry)?;
    let mut select = conn.prepare_cached(&entry.sql.select_by_key)?;
    for key in keys {
        bind_key(&mut select, &entry.table, key, 1)?;
        let mut rows = select.raw_query();
        let now = match rows.next()? {
            Some(row) => Some(read_row(row, &entry.table, 0)?),
            None => None,
        };
        drop(rows);
        match now {
            Some(row) => stager.present(&row, 0).map(drop)?,
            None => stager.gone(key, 0)?,
        }
    }
    Ok(())
}

/// Stages what a settlement left of rows of a table that is being loaded, so that no page that was read earlier
/// replaces it.
pub(crate) fn stage_settled(conn: &Connection, entry: &Entry, keys: &[Key]) -> Result<(), Trouble> {
    stage_as_they_are(conn, entry, keys)?;
    let mut mark = conn.prepare_cached(&entry.sql.stage_settled)?;
    for key in keys {
        bind_key(&mut mark, &entry.table, key, 1)?;
        mark.raw_execute()?;
    }
    Ok(())
}

fn discard(conn: &mut Connection, entries: &[Arc<Entry>]) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for entry in entries {
        match entry.progress(&transaction)?.state {
            LoadState::IntoStage | LoadState::Staged => {}
            LoadState::NotStarted | LoadState::IntoTable | LoadState::Loaded => {
                clear_stage(&transaction, entry)?;
            }
        }
    }
    Ok(transaction.commit()?)
}

/// Only where there is something: emptying an empty table writes its pages all the same, and a profile has hundreds.
pub(crate) fn clear_stage(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    let filled: bool =
        conn.prepare_cached(&entry.sql.stage_has_rows)?.query_row((), |row| row.get(0))?;
    if filled {
        conn.execute(&entry.sql.stage_clear, ())?;
    }
    Ok(())
}

fn stage(conn: &mut Connection, entry: &Entry, changes: &[Change]) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    landable(entry, &entry.progress(&transaction)?)?;
    let mut stager = Stager::new(&transaction, entry)?;
    for change in changes {
        match change {
            Change::Present(row) => stager.present(row, 1).map(drop)?,
            Change::Gone(key) => stager.gone(key, 1)?,
        }
    }
    drop(stager);
    Ok(transaction.commit()?)
}

fn landable(entry: &Entry, progress: &Progress) -> Result<(), LocalError> {
    let table = entry.table.name.clone();
    match progress.state {
        LoadState::Loaded | LoadState::Staged => Ok(()),
        LoadState::NotStarted => Err(LocalError::NoLoad { table }),
        LoadState::IntoTable | LoadState::IntoStage => Err(LocalError::LoadUnfinished { table }),
    }
}

fn land(
    conn: &mut Connection,
    kind: Kind,
    landing: &[(Arc<Entry>, StoredPosition)],
    epoch: [u8; 16],
    now_ms: i64,
) -> Result<Tally, Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tally = quietly(&transaction, kind, |conn| land_tables(conn, landing, epoch, now_ms))?;
    let tally = tally.balanced().map_err(LocalError::from)?;
    transaction.commit()?;
    Ok(tally)
}

/// Within the caller's transaction.
pub(crate) fn land_tables(
    conn: &Connection,
    landing: &[(Arc<Entry>, StoredPosition)],
    epoch: [u8; 16],
    now_ms: i64,
) -> Result<Tally, Trouble> {
    let mut tally = Tally::default();
    for (entry, position) in landing {
        tally += land_table(conn, entry)?;
        set_position(conn, entry, position, epoch, now_ms)?;
    }
    Ok(tally)
}

fn land_table(conn: &Connection, entry: &Entry) -> Result<Tally, Trouble> {
    let progress = entry.progress(conn)?;
    landable(entry, &progress)?;
    let (rows_in, dropped): (i64, i64) = conn
        .prepare_cached(&entry.sql.stage_count)?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let gone = match progress.state {
        LoadState::Staged => {
            note_reread(conn, entry)?;
            &entry.sql.land_missing
        }
        _ if rows_in == 0 => return Ok(Tally::default()),
        _ => &entry.sql.land_gone,
    };
    conn.prepare_cached(gone)?.execute(())?;
    conn.prepare_cached(&entry.sql.land_rows)?.execute(())?;
    clear_stage(conn, entry)?;
    let (rows_in, dropped) = (rows_in as u64, dropped as u64);
    Ok(Tally { rows_in, applied: rows_in - dropped, dropped, quarantined: 0 })
}

/// A table that was read again is done with that, but for rows that were unsent meanwhile: nothing was written over them,
/// so that what is new in them is read when they are sent.
fn note_reread(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    let met_unsent = match entry.kind {
        Kind::Catalogue => false,
        Kind::Journal => conn.query_row(&entry.sql.stage_met_unsent, (), |row| row.get(0))?,
    };
    conn.execute(
        "UPDATE tillhold_table SET reread = CASE WHEN ?2 THEN 'unsent-met' END \
         WHERE table_id = ?1 AND reread IS NOT NULL",
        (entry.id, met_unsent),
    )?;
    Ok(())
}

fn set_position(
    conn: &Connection,
    entry: &Entry,
    (version, mark): &StoredPosition,
    epoch: [u8; 16],
    now_ms: i64,
) -> Result<(), Trouble> {
    conn.prepare_cached(
        "UPDATE tillhold_table SET version = ?2, epoch = ?3, positioned_ms = ?4, ready = 1, \
         mark = ?5, filter = CASE load_state WHEN 'staged' THEN load_filter ELSE filter END, \
         load_state = 'loaded', load_from = NULL, load_epoch = NULL, load_after = NULL, \
         load_mark = NULL, load_filter = NULL WHERE table_id = ?1",
    )?
    .execute((entry.id, version, epoch, now_ms, mark))?;
    Ok(())
}
