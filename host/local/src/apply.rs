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
//! * So is one whose changes were sent and settled since the pass began: what was read before is older than they are, and
//!   the channel does not send this register its own changes. In the stage a settlement's row is not replaced.
//! * What was skipped may all the same be newer: the channel is asked for those rows again, once nothing of them is unsent.
//! * Triggers are silent meanwhile: what pull writes, push never sends back.

use crate::cell::{bind_key, bind_row, read_key, read_row};
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble, repeatable};
use crate::lineage;
use crate::registry::{Entry, LoadState, Progress, StoredPosition};
use crate::retry::{self, Asked};
use crate::statements::SETTLED;
use rusqlite::{CachedStatement, Connection, TransactionBehavior};
use std::collections::BTreeSet;
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
        self.land_asked(scope, positions, epoch, Vec::new()).await
    }

    /// The same when rows of `asked` were among the staged ones because they had been asked for: they are no longer.
    pub async fn land_asked(
        &self,
        scope: &str,
        positions: Vec<(TableName, impl Into<Position>)>,
        epoch: [u8; 16],
        asked: Vec<(TableName, Vec<Key>)>,
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
        let (of_journal, of_catalogue) = self.by_file(asked)?;
        let mut tally = Tally::default();
        for (kind, asked) in [(Kind::Journal, of_journal), (Kind::Catalogue, Vec::new())] {
            let here = landing.iter().filter(|(entry, _)| entry.kind == kind);
            let here: Vec<(Arc<Entry>, StoredPosition)> = here.cloned().collect();
            if !here.is_empty() {
                let work =
                    move |conn: &mut Connection| land(conn, kind, &here, &asked, (epoch, now_ms));
                tally += self.writer(kind).run(work).await?;
            }
        }
        // The list is the journal's: a row is taken off it once it has landed in the other file.
        if !of_catalogue.is_empty() {
            self.writer(Kind::Journal).run(move |conn| retry::forget(conn, &of_catalogue)).await?;
        }
        Ok(tally)
    }

    fn by_file(&self, asked: Vec<(TableName, Vec<Key>)>) -> Result<(Asked, Asked), LocalError> {
        let registry = self.registry();
        let mut found = Vec::with_capacity(asked.len());
        for (table, keys) in asked {
            found.push((registry.get(&table)?.clone(), keys));
        }
        Ok(found.into_iter().partition(|(entry, _)| entry.kind == Kind::Journal))
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
        let present = conn.prepare_cached(&entry.sql.stage_row)?;
        let gone = conn.prepare_cached(&entry.sql.stage_gone)?;
        Ok(Stager { entry, present, gone })
    }

    /// The row as it is, standing for `changes` changes; whether it was taken.
    pub(crate) fn present(&mut self, row: &Row, changes: u32) -> Result<bool, Trouble> {
        bind_row(&mut self.present, &self.entry.table, row)?;
        self.present.raw_bind_parameter(self.entry.table.columns.len() + 1, changes)?;
        Ok(self.present.raw_execute()? > 0)
    }

    pub(crate) fn gone(&mut self, key: &Key, changes: u32) -> Result<bool, Trouble> {
        bind_key(&mut self.gone, &self.entry.table, key, 1)?;
        self.gone.raw_bind_parameter(self.entry.table.key.len() + 1, changes)?;
        Ok(self.gone.raw_execute()? > 0)
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
            Some(row) => stager.present(&row, 0)?,
            None => stager.gone(key, 0)?,
        };
    }
    Ok(())
}

/// Stages what a settlement left of rows, so that nothing that was read earlier replaces it.
pub(crate) fn stage_settled(conn: &Connection, entry: &Entry, keys: &[Key]) -> Result<(), Trouble> {
    let mark = |settled: u8| -> Result<(), Trouble> {
        let mut mark = conn.prepare_cached(&entry.sql.stage_settled)?;
        for key in keys {
            bind_key(&mut mark, &entry.table, key, 1)?;
            mark.raw_bind_parameter(entry.table.key.len() + 1, settled)?;
            mark.raw_execute()?;
        }
        Ok(())
    };
    // An earlier settlement's row gives way to this one's.
    mark(0)?;
    stage_as_they_are(conn, entry, keys)?;
    mark(SETTLED)
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
        let is_taken = match change {
            Change::Present(row) => stager.present(row, 1)?,
            Change::Gone(key) => stager.gone(key, 1)?,
        };
        if !is_taken {
            let mut count_on = transaction.prepare_cached(&entry.sql.stage_count_on)?;
            bind_key(&mut count_on, &entry.table, &change.key(&entry.table), 1)?;
            count_on.raw_execute()?;
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
    asked: &Asked,
    (epoch, now_ms): ([u8; 16], i64),
) -> Result<Tally, Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    forget_landing(&transaction, asked)?;
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
        lineage::forget_former_life_of(conn, entry, position.0, epoch)?;
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
    let is_whole = progress.state == LoadState::Staged;
    let gone = match is_whole {
        true => {
            note_reread(conn, entry)?;
            &entry.sql.land_missing
        }
        false if rows_in == 0 => return Ok(Tally::default()),
        false => &entry.sql.land_gone,
    };
    if entry.kind == Kind::Journal && (dropped > 0 || is_whole) {
        for key in passed_over(conn, entry, is_whole)? {
            retry::ask_for(conn, entry, &key, Some(as_of(&progress)))?;
        }
    }
    conn.prepare_cached(gone)?.execute(())?;
    conn.prepare_cached(&entry.sql.land_rows)?.execute(())?;
    clear_stage(conn, entry)?;
    let (rows_in, dropped) = (rows_in as u64, dropped as u64);
    Ok(Tally { rows_in, applied: rows_in - dropped, dropped, quarantined: 0 })
}

/// Keys of staged rows that a landing leaves alone, of a load's pages too if it is one.
fn passed_over(conn: &Connection, entry: &Entry, is_load: bool) -> Result<Vec<Key>, Trouble> {
    let mut statement = conn.prepare_cached(&entry.sql.stage_passed_over)?;
    let mut rows = statement.query([is_load])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read_key(row, &entry.table)?);
    }
    Ok(keys)
}

/// Takes those of the asked rows off the list that are about to land.
fn forget_landing(conn: &Connection, asked: &Asked) -> Result<(), Trouble> {
    for (entry, keys) in asked {
        let passed_over = passed_over(conn, entry, false)?;
        let stay: BTreeSet<String> = passed_over.iter().map(|key| entry.folded(key)).collect();
        let landing = keys.iter().filter(|key| !stay.contains(&entry.folded(key)));
        retry::forget_here(conn, entry, landing)?;
    }
    Ok(())
}

/// The channel's version of which a table has the rows that a landing or a load leaves alone.
pub(crate) fn as_of(progress: &Progress) -> i64 {
    progress.version.map_or(0, |version| version as i64)
}

/// A table that was read again is done with that.
fn note_reread(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    let sql = "UPDATE tillhold_table SET reread = NULL WHERE table_id = ?1 AND reread IS NOT NULL";
    conn.execute(sql, [entry.id])?;
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
