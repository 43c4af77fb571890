//! The handle that the agent holds: two files, a writer thread each, a few readers each.

use crate::deferred_log::Late;
use crate::disk_reserve::{self, Ballast};
use crate::error::LocalError;
use crate::file::{self, Kind, OfflineFile, Trouble};
use crate::reader::Readers;
use crate::registry::{Entry, Registry, TableState};
use crate::replacement;
use crate::size::Bounds;
use crate::writer::Writer;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::version::{Incarnation, Sequence};
use tillhold_env::Env;

/// Taken for as long as an agent has the files open. Nothing is written into it.
const LOCK: &str = "tillhold.lock";

/// Whose offline database it is; written at creation, compared at every opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub store: String,
    pub register: String,
}

impl Identity {
    /// What the channel's tables of Tillhold call the register: `STORE-REGISTER`.
    pub fn channel_name(&self) -> String {
        format!("{}-{}", self.store, self.register)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of store {}", self.register, self.store)
    }
}

/// One register's offline database. Clones share it; it closes when the last one is gone, or by
/// [`LocalDatabase::close`].
#[derive(Clone)]
pub struct LocalDatabase {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    folder: PathBuf,
    /// The writers keep it.
    lock: Weak<File>,
    incarnation: RwLock<Incarnation>,
    journal: Side,
    catalogue: Side,
    registry: Arc<RwLock<Arc<Registry>>>,
    late: Late,
    ballast: Arc<Ballast>,
    bounds: Bounds,
}

struct Side {
    file: OfflineFile,
    writer: Writer,
    readers: Readers,
}

struct Opened {
    lock: File,
    journal: (OfflineFile, Connection),
    catalogue: (OfflineFile, Connection),
    registry: Registry,
    incarnation: Incarnation,
}

impl LocalDatabase {
    /// Opens the two files in `folder`, or creates them. A damaged file, another register's or a newer program's is
    /// refused and left as it is; a folder that another agent uses is refused.
    pub async fn open(
        env: &Env,
        folder: &Path,
        identity: &Identity,
    ) -> Result<LocalDatabase, LocalError> {
        let (env, folder, identity) = (env.clone(), folder.to_path_buf(), identity.clone());
        let outside = env.clone();
        let open = move || {
            let opened = open_files(&env, &folder, &identity);
            let started = opened.and_then(|opened| start(&env, &folder, opened));
            started.map_err(|error| disk_reserve::named(error, &env, &folder))
        };
        outside.blocking("opening of the offline database", open).await.ok_or(LocalError::Closed)?
    }

    /// Whether opening the folder would find a register's files rather than make them.
    pub fn is_there(folder: &Path) -> bool {
        folder.join(file::JOURNAL).exists() || replacement::is_ready(folder)
    }

    pub(crate) fn lock(&self) -> Option<(PathBuf, Arc<File>)> {
        Some((self.inner.folder.clone(), self.inner.lock.upgrade()?))
    }

    /// Which life of the database this is: a new one for every newly created journal, and when a person says so.
    pub fn incarnation(&self) -> Incarnation {
        *self.inner.incarnation.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_incarnation(&self, new: Incarnation) {
        *self.inner.incarnation.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// The last number that the log has given, sent or not: an older one than the channel knows of means that the
    /// journal was restored from a backup.
    pub async fn last_sequence(&self) -> Result<Sequence, LocalError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tillhold_log'";
        self.readers(Kind::Journal)
            .run(|conn| Ok(Sequence(conn.query_row(sql, (), |row| row.get::<_, i64>(0))? as u64)))
            .await
    }

    /// Every table that the files hold, in the order of their names.
    pub async fn tables(&self) -> Result<Vec<TableState>, LocalError> {
        self.states(|_| true).await
    }

    /// These without looking at the others: a scope of a few asks every few seconds, and there may be hundreds. What the
    /// files do not hold is left out.
    pub async fn states_of(&self, tables: &[Arc<Table>]) -> Result<Vec<TableState>, LocalError> {
        let wanted: BTreeSet<&TableName> = tables.iter().map(|table| &table.name).collect();
        self.states(|table| wanted.contains(table)).await
    }

    /// One table, without looking at the others: a till asks for it with every price.
    pub async fn state_of(&self, table: &TableName) -> Result<TableState, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let kind = entry.kind;
        let read = move |conn: &Connection| Ok(entry.state(&entry.progress(conn)?)?);
        self.readers(kind).run(read).await
    }

    async fn states(
        &self,
        is_wanted: impl Fn(&TableName) -> bool,
    ) -> Result<Vec<TableState>, LocalError> {
        let mut states: Vec<TableState> = Vec::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let registry = self.registry();
            let wanted = |entry: &&Arc<Entry>| entry.kind == kind && is_wanted(&entry.table.name);
            let entries: Vec<Arc<Entry>> = registry.all().filter(wanted).cloned().collect();
            if entries.is_empty() {
                continue;
            }
            let read = move |conn: &Connection| {
                entries.iter().map(|entry| Ok(entry.state(&entry.progress(conn)?)?)).collect()
            };
            let found: Vec<TableState> = self.readers(kind).run(read).await?;
            states.extend(found);
        }
        states.sort_by(|a, b| a.table.name.cmp(&b.table.name));
        Ok(states)
    }

    /// The channel's epochs under which a scope's tables stand: more than one only between two lives of the channel, none
    /// before the first load. A table that was loaded anew and waits to land counts with the epoch of its load.
    pub async fn epochs_of(&self, scope: &str) -> Result<Vec<[u8; 16]>, LocalError> {
        let mut found = BTreeSet::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let scope = scope.to_string();
            let read = move |conn: &Connection| {
                let mut statement = conn.prepare_cached(
                    "SELECT DISTINCT CASE load_state WHEN 'staged' THEN load_epoch ELSE epoch END \
                     AS stands_under FROM tillhold_table \
                     WHERE stands_under IS NOT NULL AND scope = ?1",
                )?;
                let epochs = statement.query_map([scope], |row| row.get(0))?;
                Ok(epochs.collect::<Result<Vec<[u8; 16]>, _>>()?)
            };
            found.extend(self.readers(kind).run(read).await?);
        }
        Ok(found.into_iter().collect())
    }

    /// Reads the whole catalogue for damage. For large files open() leaves this to a quiet moment.
    pub async fn check_catalogue(&self) -> Result<(), LocalError> {
        let path = self.inner.catalogue.file.path.clone();
        let check = move |conn: &Connection| file::quick_check(conn, &path);
        self.readers(Kind::Catalogue).run_long(check).await
    }

    /// Closes both files and frees the folder; what is queued is done first, what comes later is refused.
    pub async fn close(&self) -> Result<(), LocalError> {
        for side in [&self.inner.journal, &self.inner.catalogue] {
            side.readers.close();
            side.writer.close().await?;
        }
        Ok(())
    }

    pub(crate) fn env(&self) -> &Env {
        &self.inner.env
    }

    pub(crate) fn writer(&self, kind: Kind) -> &Writer {
        &self.side(kind).writer
    }

    pub(crate) fn readers(&self, kind: Kind) -> &Readers {
        &self.side(kind).readers
    }

    pub(crate) fn path(&self, kind: Kind) -> &Path {
        &self.side(kind).file.path
    }

    pub(crate) fn ballast(&self) -> &Arc<Ballast> {
        &self.inner.ballast
    }

    pub(crate) fn late(&self) -> &Late {
        &self.inner.late
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.inner.bounds
    }

    fn side(&self, kind: Kind) -> &Side {
        match kind {
            Kind::Journal => &self.inner.journal,
            Kind::Catalogue => &self.inner.catalogue,
        }
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.inner.registry.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tables of the catalogue, as the files have them.
    pub(crate) fn catalogue_tables(&self) -> Vec<TableName> {
        let registry = self.registry();
        let here = registry.all().filter(|entry| entry.kind == Kind::Catalogue);
        here.map(|entry| entry.table.name.clone()).collect()
    }

    /// Reads the registry anew after an installation.
    pub(crate) async fn refresh_registry(&self) -> Result<(), LocalError> {
        let mut registry = Registry::default();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let file = self.side(kind).file.clone();
            registry = self
                .readers(kind)
                .run(move |conn| {
                    registry.read(conn, &file)?;
                    Ok(registry)
                })
                .await?;
        }
        *self.inner.registry.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registry);
        Ok(())
    }
}

fn open_files(env: &Env, folder: &Path, identity: &Identity) -> Result<Opened, LocalError> {
    let of_folder = |source| LocalError::Folder { folder: folder.to_path_buf(), source };
    std::fs::create_dir_all(folder).map_err(of_folder)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))
        .map_err(of_folder)?;
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => LocalError::InUse { folder: folder.to_path_buf() },
        TryLockError::Error(source) => of_folder(source),
    })?;
    replacement::recover(env, folder)?;
    let mut registry = Registry::default();
    let mut open = |kind| {
        let file = OfflineFile::new(env, folder, kind);
        let conn = file.open_checked(env, identity)?;
        registry.read(&conn, &file).map_err(|trouble| trouble.at(&file.path))?;
        Ok::<_, LocalError>((file, conn))
    };
    let (journal, catalogue) = (open(Kind::Journal)?, open(Kind::Catalogue)?);
    let incarnation = incarnation(&journal.1).map_err(|trouble| trouble.at(&journal.0.path))?;
    Ok(Opened { lock, journal, catalogue, registry, incarnation })
}

fn incarnation(conn: &Connection) -> Result<Incarnation, Trouble> {
    let sql = "SELECT value FROM tillhold_meta WHERE name = 'incarnation'";
    let written: String = conn.query_row(sql, (), |row| row.get(0))?;
    let damaged = || LocalError::Damaged {
        file: file::JOURNAL.into(),
        detail: format!("its incarnation '{written}' is no guid"),
    };
    Ok(Incarnation(text::parse_guid(&written).ok_or_else(damaged)?))
}

fn start(env: &Env, folder: &Path, opened: Opened) -> Result<LocalDatabase, LocalError> {
    let lock = Arc::new(opened.lock);
    let ballast = Arc::new(Ballast::new(env, folder));
    let registry = Arc::new(RwLock::new(Arc::new(opened.registry)));
    let late = Late::new(registry.clone());
    let side = |(file, conn): (OfflineFile, Connection)| {
        let of_folder = |source| LocalError::Folder { folder: folder.to_path_buf(), source };
        let is_journal = file.kind == Kind::Journal;
        let (lock, own) = (lock.clone(), is_journal.then(|| ballast.clone()));
        let late = is_journal.then(|| late.clone());
        let readers = Readers::new(env, file.clone(), late.clone());
        let writer = Writer::start(env, file.clone(), conn, lock, own, late).map_err(of_folder)?;
        Ok::<_, LocalError>(Side { readers, writer, file })
    };
    let inner = Inner {
        env: env.clone(),
        folder: folder.to_path_buf(),
        lock: Arc::downgrade(&lock),
        incarnation: RwLock::new(opened.incarnation),
        journal: side(opened.journal)?,
        catalogue: side(opened.catalogue)?,
        registry,
        late,
        bounds: Bounds::default(),
        ballast,
    };
    Ok(LocalDatabase { inner: Arc::new(inner) })
}
