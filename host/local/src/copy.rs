//! The catalogue as one file of its own, for other registers of the store: copied while the till sells and pull writes.
//!
//! 1. One read snapshot of the catalogue is copied page by page (SQLite's backup API) in small steps. Nothing waits for
//!    it; what is written meanwhile is not in it.
//! 2. In the copy alone: tables that nobody asked for and half-pulled rows are taken out, and free pages with them, so
//!    that no row that was deleted travels on.
//! 3. Rows are counted and digested, and the file is brought to the disk.
//!
//! * Nothing of the journal is in it: no sale, no log, no customer of a bidirectional scope.
//! * A table whose first load or load anew is under way refuses the whole copy: it would be half a price list.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{CATALOGUE, Kind, OfflineFile, Trouble};
use crate::layout;
use crate::registry::{Entry, LoadState};
use crate::schema::{Names, quoted};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_core::limits;
use tillhold_core::snapshot::TableAt;
use tillhold_core::table::TableName;
use tillhold_core::version::{ChannelVersion, TableMark};

/// What is in a catalogue file.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueContent {
    /// Tillhold's own numbering of what its tables look like.
    pub layout: i32,
    pub store: String,
    /// Who made it.
    pub register: String,
    /// In the order of their names.
    pub tables: Vec<CatalogueTable>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueTable {
    pub at: TableAt,
    pub mark: Option<TableMark>,
}

/// A finished copy.
#[derive(Clone, Debug)]
pub struct CatalogueCopy {
    pub content: CatalogueContent,
    /// One a table, in the content's order.
    pub rows: Vec<CopiedRows>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedRows {
    pub count: u64,
    /// Of all rows, whatever their order: equal while no row has changed.
    pub digest: [u8; 16],
}

impl LocalDatabase {
    /// Writes the catalogue's `tables` into the new file `to`. Ends early, with [`LocalError::Closed`], once `stop` is set;
    /// what is left behind then, or after an error, is the caller's to remove.
    pub async fn copy_catalogue(
        &self,
        to: PathBuf,
        tables: Vec<TableName>,
        stop: Arc<AtomicBool>,
    ) -> Result<CatalogueCopy, LocalError> {
        let registry = self.registry();
        let wanted: Vec<Arc<Entry>> =
            tables.iter().map(|name| registry.get(name).cloned()).collect::<Result<_, _>>()?;
        let target = OfflineFile::beside(self.env(), to);
        let path = target.path.clone();
        let copy = move |source: &Connection| {
            require_loaded(source, &wanted)?;
            copy(source, &target, &wanted, &stop).map_err(|trouble| trouble.at(&path).into())
        };
        self.readers(Kind::Catalogue).run_long(copy).await
    }

    /// Reads what a catalogue file from elsewhere holds, and the whole of it for damage; writes nothing.
    pub async fn inspect_catalogue(&self, file: PathBuf) -> Result<CatalogueContent, LocalError> {
        let file = OfflineFile::beside(self.env(), file);
        let inspect = move || {
            let path = file.path.clone();
            inspect(&file).map_err(|trouble| trouble.at(&path))
        };
        let done = self.env().blocking("inspection of a catalogue", inspect).await;
        done.ok_or(LocalError::Closed)?
    }
}

fn require_loaded(conn: &Connection, wanted: &[Arc<Entry>]) -> Result<(), Trouble> {
    for entry in wanted {
        let progress = entry.progress(conn)?;
        let is_whole = progress.state == LoadState::Loaded && progress.ready;
        if !is_whole || progress.version.is_none() || progress.epoch.is_none() {
            return Err(LocalError::NotReady { table: entry.table.name.clone() }.into());
        }
    }
    Ok(())
}

fn copy(
    source: &Connection,
    target: &OfflineFile,
    wanted: &[Arc<Entry>],
    stop: &AtomicBool,
) -> Result<CatalogueCopy, Trouble> {
    let mut conn = target.connect_to_new()?;
    copy_pages(source, &mut conn, stop)?;
    // Out of write-ahead mode: one file is all there is of it.
    conn.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    take_out(&mut conn, wanted)?;
    conn.execute_batch("VACUUM")?;
    let mut rows = Vec::with_capacity(wanted.len());
    let content = content(&conn, &target.path)?;
    for one in &content.tables {
        if stop.load(Ordering::Relaxed) {
            return Err(LocalError::Closed.into());
        }
        rows.push(digest(&conn, &one.at.table)?);
    }
    drop(conn);
    crate::file::bring_to_disk(&target.path)?;
    Ok(CatalogueCopy { content, rows })
}

fn copy_pages(source: &Connection, to: &mut Connection, stop: &AtomicBool) -> Result<(), Trouble> {
    let backup = Backup::new(source, to)?;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(LocalError::Closed.into());
        }
        match backup.step(limits::SNAPSHOT_STEP_PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Both files are this thread's own: neither can be busy for long.
            _ => std::thread::yield_now(),
        }
    }
}

fn take_out(conn: &mut Connection, wanted: &[Arc<Entry>]) -> Result<(), Trouble> {
    let transaction = conn.transaction()?;
    let is_wanted = |name: &str| wanted.iter().any(|entry| entry.table.name.to_string() == name);
    let names: Vec<String> = {
        let mut statement = transaction.prepare("SELECT name FROM tillhold_table")?;
        let names = statement.query_map((), |row| row.get(0))?;
        names.collect::<Result<_, _>>()?
    };
    for name in names.iter().filter(|name| !is_wanted(name)) {
        let stage = quoted(&format!("tillhold_stage.{name}"));
        let drop = format!("DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {stage}", quoted(name));
        transaction.execute_batch(&drop)?;
        transaction.execute("DELETE FROM tillhold_table WHERE name = ?1", [name])?;
    }
    for entry in wanted {
        let stage = Names::of(&entry.table).stage;
        transaction.execute_batch(&format!("DELETE FROM {stage}"))?;
    }
    Ok(transaction.commit()?)
}

/// A sum over the rows' hashes: SQLite gives them in any order it likes.
fn digest(conn: &Connection, table: &TableName) -> Result<CopiedRows, Trouble> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {}", quoted(&table.to_string())))?;
    let columns = statement.column_count();
    let mut rows = statement.query(())?;
    let (mut count, mut sum) = (0, 0u128);
    while let Some(row) = rows.next()? {
        let mut hash = Sha256::new();
        for at in 0..columns {
            let (tag, bytes): (u8, &[u8]) = match row.get_ref(at)? {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(number) => {
                    hash.update([1]);
                    hash.update(number.to_le_bytes());
                    continue;
                }
                ValueRef::Real(number) => {
                    hash.update([2]);
                    hash.update(number.to_bits().to_le_bytes());
                    continue;
                }
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(blob) => (4, blob),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        let whole: [u8; 32] = hash.finalize().into();
        let (half, _) = whole.split_at(16);
        sum = sum.wrapping_add(half.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte)));
        count += 1;
    }
    Ok(CopiedRows { count, digest: sum.to_le_bytes() })
}

fn inspect(file: &OfflineFile) -> Result<CatalogueContent, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = file.connect(flags)?;
    let number = |sql: &str| conn.query_row(sql, (), |row| row.get::<_, i64>(0));
    let application_id = number("PRAGMA application_id")? as i32;
    if application_id != layout::APPLICATION_ID {
        return Err(LocalError::Foreign { file: file.path.clone(), application_id }.into());
    }
    let found = number("PRAGMA user_version")? as i32;
    let known = layout::LAYOUT;
    match found {
        found if found > known => {
            return Err(LocalError::Newer { file: file.path.clone(), found, known }.into());
        }
        found if found < known => {
            let detail = format!("it has layout {found}; this program's has {known}");
            return Err(unusable(&file.path, detail));
        }
        _ => {}
    }
    crate::file::quick_check(&conn, &file.path)?;
    refuse_code(&conn, &file.path)?;
    content(&conn, &file.path)
}

/// A catalogue has tables and indexes. What runs by itself when it is read or written has no business in one.
fn refuse_code(conn: &Connection, file: &Path) -> Result<(), Trouble> {
    let sql = "SELECT type, name FROM sqlite_schema WHERE type NOT IN ('table', 'index') LIMIT 1";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query(())?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => {
            let (of, name): (String, String) = (row.get(0)?, row.get(1)?);
            Err(unusable(file, format!("it has a {of}, {name}")))
        }
    }
}

pub(crate) fn unusable(file: &Path, detail: String) -> Trouble {
    LocalError::NoCatalogue { file: file.to_path_buf(), detail }.into()
}

fn content(conn: &Connection, file: &Path) -> Result<CatalogueContent, Trouble> {
    let meta = |name: &str| {
        conn.query_row("SELECT value FROM tillhold_meta WHERE name = ?1", [name], |row| {
            row.get::<_, String>(0)
        })
    };
    let kind = meta("kind")?;
    if kind != CATALOGUE {
        return Err(unusable(file, format!("its content is that of {kind}")));
    }
    let mut statement = conn.prepare(
        "SELECT name, fingerprint, version, epoch, mark FROM tillhold_table ORDER BY name",
    )?;
    let mut rows = statement.query(())?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let wrong = |what: &str| unusable(file, format!("{what} of {name} cannot be read"));
        let table = TableName::parse(&name).ok_or_else(|| wrong("the name"))?;
        let mark = match row.get::<_, Option<String>>(4)? {
            Some(text) => Some(TableMark::parse(&text).ok_or_else(|| wrong("the mark"))?),
            None => None,
        };
        let version = row.get::<_, Option<i64>>(2)?.map(|version| ChannelVersion(version as u64));
        let at = TableAt { table, shape: row.get(1)?, version, epoch: row.get(3)? };
        tables.push(CatalogueTable { at, mark });
    }
    let layout = conn.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    Ok(CatalogueContent { layout, store: meta("store")?, register: meta("register")?, tables })
}
