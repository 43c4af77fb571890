//! The tables that the files hold, by name and by number, with their statements.

use crate::cell::unreadable;
use crate::error::LocalError;
use crate::file::{Kind, OfflineFile, Trouble};
use crate::image;
use crate::shape;
use crate::statements::Sql;
use rusqlite::{Connection, Row as SqlRow};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::profile::Direction;
use tillhold_core::row::Key;
use tillhold_core::table::{Table, TableName};
use tillhold_core::version::{ChannelVersion, Position, TableMark};

/// One synchronised table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) table: Arc<Table>,
    pub(crate) scope: String,
    pub(crate) direction: Direction,
    /// Of its shape, as the file had it when this was read.
    pub(crate) fingerprint: String,
    pub(crate) sql: Sql,
}

#[derive(Default, Debug)]
pub(crate) struct Registry {
    /// SQL Server's names are compared blind to case.
    by_name: BTreeMap<String, Arc<Entry>>,
    /// The journal's, by their numbers in the log.
    journal: BTreeMap<i64, Arc<Entry>>,
    /// The catalogue's copy of a table that the journal has too: what a move that was cut off has left.
    copies: Vec<Arc<Entry>>,
}

/// How far a table's first load, or its load anew, has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    NotStarted,
    /// Rows as of `from` and later, up to the key `after` (none yet when `None`).
    Loading {
        from: ChannelVersion,
        after: Option<Key>,
    },
    Loaded,
}

/// What the offline database knows of one table.
#[derive(Clone, Debug)]
pub struct TableState {
    pub table: Arc<Table>,
    pub scope: String,
    pub direction: Direction,
    /// How far the table has been pulled; the next changes are asked from here. `None` before its first load is done and
    /// for a table that is only pushed.
    pub version: Option<ChannelVersion>,
    /// The channel's epoch under which `version` was taken.
    pub epoch: Option<[u8; 16]>,
    /// What the table was at the channel when `version` was taken, or the version of the load that is under way.
    pub mark: Option<TableMark>,
    /// The row filter under which it was loaded, or is being loaded; `None` passes every row.
    pub filter: Option<String>,
    pub load: Load,
    /// Whether a POS may read it: after its first landing; always for a table that is only pushed.
    pub ready: bool,
}

/// A table's place in its load; how `tillhold_table.load_state` is spelled is known here only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadState {
    NotStarted,
    /// Straight into the empty table.
    IntoTable,
    /// Into the stage, beside rows that the POS goes on reading.
    IntoStage,
    /// The stage holds the whole table and waits to land.
    Staged,
    Loaded,
}

impl LoadState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            LoadState::NotStarted => "none",
            LoadState::IntoTable => "table",
            LoadState::IntoStage => "stage",
            LoadState::Staged => "staged",
            LoadState::Loaded => "loaded",
        }
    }

    fn parse(name: &str) -> Option<LoadState> {
        use LoadState::*;
        [NotStarted, IntoTable, IntoStage, Staged, Loaded].into_iter().find(|s| s.name() == name)
    }
}

/// Version and mark.
pub(crate) type StoredPosition = (i64, Option<String>);

/// A table's row in `tillhold_table`, as far as pull needs it.
pub(crate) struct Progress {
    pub(crate) state: LoadState,
    pub(crate) version: Option<u64>,
    pub(crate) epoch: Option<[u8; 16]>,
    pub(crate) from: Option<u64>,
    pub(crate) load_epoch: Option<[u8; 16]>,
    pub(crate) after: Option<String>,
    pub(crate) ready: bool,
    pub(crate) mark: Option<String>,
    pub(crate) load_mark: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) load_filter: Option<String>,
    pub(crate) fingerprint: String,
}

const PROGRESS: &str = "SELECT load_state, version, epoch, load_from, load_epoch, load_after, \
                        ready, mark, load_mark, filter, load_filter, fingerprint FROM tillhold_table \
                        WHERE table_id = ?1";

pub(crate) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Download => "download",
        Direction::Upload => "upload",
        Direction::Bidirectional => "bidirectional",
    }
}

fn direction(name: &str) -> Option<Direction> {
    [Direction::Download, Direction::Upload, Direction::Bidirectional]
        .into_iter()
        .find(|direction| direction_name(*direction) == name)
}

impl Entry {
    /// Keys that the channel calls equal are one row's.
    pub(crate) fn folded(&self, key: &Key) -> String {
        serde_json::Value::from(key.folded(&self.table)).to_string()
    }
}

impl Registry {
    pub(crate) fn get(&self, table: &TableName) -> Result<&Arc<Entry>, LocalError> {
        let unknown = || LocalError::UnknownTable { table: table.clone() };
        self.by_name.get(&folded_name(table)).ok_or_else(unknown)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_name.values()
    }

    /// All of both files, the copies that a move has left among them.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_name.values().chain(&self.copies)
    }

    /// A table of the journal by its number in the log.
    pub(crate) fn in_journal(&self, table_id: i64) -> Result<&Arc<Entry>, LocalError> {
        self.journal.get(&table_id).ok_or_else(|| LocalError::Damaged {
            file: crate::file::JOURNAL.into(),
            detail: format!("it names table {table_id}, which tillhold_table does not have"),
        })
    }

    /// Adds what `file` holds; the journal first.
    pub(crate) fn read(&mut self, conn: &Connection, file: &OfflineFile) -> Result<(), Trouble> {
        let mut statement = conn
            .prepare("SELECT table_id, shape, scope, direction, fingerprint FROM tillhold_table")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let entry = Arc::new(entry(row, file)?);
            let name = folded_name(&entry.table.name);
            match file.kind {
                Kind::Journal => {
                    self.journal.insert(entry.id, entry.clone());
                }
                // Only the journal's copy can hold unsent rows.
                Kind::Catalogue if self.by_name.contains_key(&name) => {
                    self.copies.push(entry);
                    continue;
                }
                Kind::Catalogue => {}
            }
            self.by_name.insert(name, entry);
        }
        Ok(())
    }
}

/// A till asks with every table of a sale: names of plain letters, which nearly all are, without going through a formatter.
fn folded_name(table: &TableName) -> String {
    let mut name = [&table.schema, ".", &table.name].concat();
    if !name.is_ascii() {
        return name.to_lowercase();
    }
    name.make_ascii_lowercase();
    name
}

fn entry(row: &SqlRow<'_>, file: &OfflineFile) -> Result<Entry, Trouble> {
    let id: i64 = row.get(0)?;
    let table = shape::decode(&row.get::<_, String>(1)?, &file.path)?;
    let direction =
        direction(&row.get::<_, String>(3)?).ok_or_else(|| damaged(&file.path, "direction"))?;
    let sql = Sql::of(&table, id, file.kind);
    Ok(Entry {
        id,
        kind: file.kind,
        table: Arc::new(table),
        scope: row.get(2)?,
        direction,
        fingerprint: row.get(4)?,
        sql,
    })
}

fn damaged(file: &Path, what: &str) -> LocalError {
    let detail = format!("tillhold_table.{what} has a value that no Tillhold writes");
    LocalError::Damaged { file: file.to_path_buf(), detail }
}

impl Entry {
    /// Refused where the file has another shape by now: what this entry's statements read is not what it says.
    pub(crate) fn progress_in_shape(&self, conn: &Connection) -> Result<Progress, Trouble> {
        let progress = self.progress(conn)?;
        if progress.fingerprint != self.fingerprint {
            return Err(LocalError::Reshaped { table: self.table.name.clone() }.into());
        }
        Ok(progress)
    }

    pub(crate) fn progress(&self, conn: &Connection) -> Result<Progress, Trouble> {
        let file = Path::new(self.kind.name());
        let mut statement = conn.prepare_cached(PROGRESS)?;
        let mut rows = statement.query([self.id])?;
        let row = rows.next()?.ok_or_else(|| damaged(file, "table_id"))?;
        let state = LoadState::parse(&row.get::<_, String>(0)?);
        let version = |at| row.get::<_, Option<i64>>(at).map(|v| v.map(|v| v as u64));
        Ok(Progress {
            state: state.ok_or_else(|| damaged(file, "load_state"))?,
            version: version(1)?,
            epoch: row.get(2)?,
            from: version(3)?,
            load_epoch: row.get(4)?,
            after: row.get(5)?,
            ready: row.get(6)?,
            mark: row.get(7)?,
            load_mark: row.get(8)?,
            filter: row.get(9)?,
            load_filter: row.get(10)?,
            fingerprint: row.get(11)?,
        })
    }

    pub(crate) fn state(&self, progress: &Progress) -> Result<TableState, LocalError> {
        let from = ChannelVersion(progress.from.unwrap_or_default());
        let after = match &progress.after {
            Some(image) => Some(image::decode_key(&self.table, image)?),
            None => None,
        };
        let landed = progress.version.map(ChannelVersion);
        let (mark, load_mark) = (&progress.mark, &progress.load_mark);
        let (version, epoch, mark, load) = match progress.state {
            LoadState::NotStarted => (None, None, &None, Load::NotStarted),
            LoadState::IntoTable | LoadState::IntoStage => {
                (landed, progress.epoch, load_mark, Load::Loading { from, after })
            }
            LoadState::Staged => (Some(from), progress.load_epoch, load_mark, Load::Loaded),
            LoadState::Loaded => (landed, progress.epoch, mark, Load::Loaded),
        };
        let filter = match progress.state {
            LoadState::NotStarted => &None,
            LoadState::IntoTable | LoadState::IntoStage | LoadState::Staged => {
                &progress.load_filter
            }
            LoadState::Loaded => &progress.filter,
        };
        let mark = match mark {
            Some(text) => {
                let file = Path::new(self.kind.name());
                Some(TableMark::parse(text).ok_or_else(|| damaged(file, "mark"))?)
            }
            None => None,
        };
        Ok(TableState {
            table: self.table.clone(),
            scope: self.scope.clone(),
            direction: self.direction,
            version,
            epoch,
            mark,
            filter: filter.clone(),
            load,
            ready: progress.ready,
        })
    }

    /// A position as SQLite stores it; past 63 bits a version cannot go.
    pub(crate) fn stored(&self, position: Position) -> Result<StoredPosition, LocalError> {
        let Position { version, mark } = position;
        let past = |_| unreadable(&self.table, "version", format!("{version} is past 63 bits"));
        let version = i64::try_from(version.0).map_err(past)?;
        Ok((version, mark.map(|mark| mark.to_string())))
    }
}
