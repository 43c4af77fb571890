//! Another catalogue in the place of this one, between two transactions.
//!
//! ```text
//! aside file -> its identity made this register's -> everything checked again
//!            -> no read is under way, no write       -> the old one's log is folded in and gone
//!            -> renamed over the old one             -> opened: the next read sees all of it
//! ```
//!
//! * A reader sees the old catalogue or the new one, never half; one that comes meanwhile waits some milliseconds.
//! * The journal is not touched: unsent sales, and all that registers write, are where they were.
//! * Killed at any step, the folder holds a whole catalogue: the old one up to the renaming, the new one from then on. A
//!   write-ahead log never stands beside a file that it does not belong to: the old one's is gone before.
//! * Another program that has the catalogue open keeps it: nothing is exchanged under its feet.
//!
//! The caller sees to it that no pull is under way: what it had read would land in another file than it began with.

use crate::copy::unusable;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, OfflineFile, Trouble, bring_to_disk};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use tillhold_core::table::TableName;

/// A piece of the exchange; told before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Prepare,
    FoldLogIn,
    Rename,
    Open,
    Done,
}

/// Told of each step. Only tests look.
pub(crate) type Watch = Box<dyn Fn(Step) + Send>;

/// What the aside file must say so that this register takes it for its own.
struct Belonging {
    register: String,
    store: String,
    incarnation: String,
    tables: Vec<Place>,
}

/// A table as the register's catalogue knows it.
struct Place {
    id: i64,
    name: TableName,
    scope: String,
    fingerprint: String,
}

impl LocalDatabase {
    /// Puts the catalogue file `aside` into the place of the register's own. It must hold `tables`, shaped as they are here;
    /// it stands in the same folder and is gone afterwards.
    pub async fn exchange_catalogue(
        &self,
        aside: PathBuf,
        tables: Vec<TableName>,
    ) -> Result<(), LocalError> {
        self.exchange_watched(aside, tables, Box::new(|_| ())).await
    }

    pub(crate) async fn exchange_watched(
        &self,
        aside: PathBuf,
        tables: Vec<TableName>,
        watch: Watch,
    ) -> Result<(), LocalError> {
        watch(Step::Prepare);
        let belonging = self.belonging(tables).await?;
        let file = OfflineFile::beside(self.env(), aside.clone());
        let prepare = move || {
            let path = file.path.clone();
            prepare(&file, &belonging).map_err(|trouble| trouble.at(&path))
        };
        let prepared = self.env().blocking("preparation of a catalogue", prepare).await;
        prepared.ok_or(LocalError::Closed)??;
        let readers = self.readers(Kind::Catalogue);
        let alone = readers.stand_still().await?;
        self.writer(Kind::Catalogue).exchange(aside, watch).await?;
        drop(alone);
        self.refresh_registry().await?;
        let names = self.catalogue_tables();
        self.forget_rows_aside(names).await
    }

    /// Who this register is, and where its catalogue keeps its tables.
    async fn belonging(&self, tables: Vec<TableName>) -> Result<Belonging, LocalError> {
        let registry = self.registry();
        let place = |name: &TableName| {
            let entry = registry.get(name)?;
            Ok(Place {
                id: entry.id,
                name: entry.table.name.clone(),
                scope: entry.scope.clone(),
                fingerprint: crate::shape::fingerprint(&entry.table),
            })
        };
        let tables = tables.iter().map(place).collect::<Result<Vec<Place>, LocalError>>()?;
        let read = move |conn: &Connection| {
            let meta = |name: &str| {
                conn.query_row("SELECT value FROM tillhold_meta WHERE name = ?1", [name], |row| {
                    row.get::<_, String>(0)
                })
            };
            let (register, store) = (meta("register")?, meta("store")?);
            Ok(Belonging { register, store, incarnation: meta("incarnation")?, tables })
        };
        self.readers(Kind::Catalogue).run(read).await
    }
}

/// Makes the aside file this register's, in one transaction of its own.
fn prepare(file: &OfflineFile, belonging: &Belonging) -> Result<(), Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = file.connect(flags)?;
    // Before it has the catalogue's name: whoever brought it here may have left it open to everybody.
    file.close_to_others();
    conn.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let store: String = transaction.query_row(
        "SELECT value FROM tillhold_meta WHERE name = 'store'",
        (),
        |row| row.get(0),
    )?;
    if store != belonging.store {
        return Err(unusable(&file.path, format!("it is of store {store}")));
    }
    for (name, value) in
        [("register", &belonging.register), ("incarnation", &belonging.incarnation)]
    {
        transaction
            .execute("UPDATE tillhold_meta SET value = ?2 WHERE name = ?1", (name, value))?;
    }
    // Out of the way first: the numbers of two files overlap.
    transaction.execute("UPDATE tillhold_table SET table_id = -table_id", ())?;
    for place in &belonging.tables {
        let taken = transaction.execute(
            "UPDATE tillhold_table SET table_id = ?1, scope = ?2 \
             WHERE name = ?3 AND fingerprint = ?4 AND direction = 'download' \
             AND load_state = 'loaded' AND ready = 1",
            (place.id, &place.scope, place.name.to_string(), &place.fingerprint),
        )?;
        if taken != 1 {
            let detail = format!("it has no {} of the shape that is asked for", place.name);
            return Err(unusable(&file.path, detail));
        }
    }
    let sql = "SELECT count(*) FROM tillhold_table WHERE table_id < 0";
    let others: i64 = transaction.query_row(sql, (), |row| row.get(0))?;
    if others > 0 {
        return Err(unusable(&file.path, "it has tables that nobody asked for".to_string()));
    }
    transaction.commit()?;
    drop(conn);
    bring_to_disk(&file.path)
}

/// Ends the old file's write-ahead log. Refused by SQLite while anyone else has the file open.
pub(crate) fn fold_log_in(conn: &Connection, file: &OfflineFile) -> Result<(), Trouble> {
    conn.busy_timeout(std::time::Duration::ZERO)?;
    let mode = conn.query_row("PRAGMA journal_mode = DELETE", (), |row| row.get::<_, String>(0));
    conn.busy_timeout(tillhold_core::limits::BUSY_TIMEOUT)?;
    if mode? == "delete" {
        return Ok(());
    }
    Err(LocalError::Locked { file: file.path.clone() }.into())
}

/// The new file under the old one's name, on the disk.
pub(crate) fn rename(aside: &Path, file: &Path) -> Result<(), LocalError> {
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let failed = |source| LocalError::Folder { folder: folder.clone(), source };
    std::fs::rename(aside, file).map_err(failed)?;
    // Directories cannot be opened everywhere; where they cannot, renaming is as durable as it gets.
    if let Ok(opened) = std::fs::File::open(&folder) {
        let _ = opened.sync_all();
    }
    Ok(())
}
