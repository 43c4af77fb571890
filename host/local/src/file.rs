//! One SQLite file: where it is, how it is opened, and what must be true of it before a row is trusted to it.
//!
//! 1. Look: is it ours, of this layout, undamaged, of this register? Until that is known nothing is written: not even
//!    the checkpoint that SQLite makes when a connection closes.
//! 2. Set: write-ahead log, synchronous=FULL (less loses acknowledged sales at a power cut), and the rest.
//! 3. Create the layout in a new file, or bring an older one to it, in one transaction.

use crate::capture;
use crate::database::Identity;
use crate::error::LocalError;
use crate::layout;
use crate::shape;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use tillhold_core::limits;
use tillhold_core::migration::Place;
use tillhold_env::Env;

pub(crate) const JOURNAL: &str = "journal.db";
pub(crate) const CATALOGUE: &str = "catalogue.db";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Journal,
    Catalogue,
}

impl Kind {
    pub(crate) fn place(self) -> Place {
        match self {
            Kind::Journal => Place::Journal,
            Kind::Catalogue => Place::Catalogue,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Journal => JOURNAL,
            Kind::Catalogue => CATALOGUE,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct OfflineFile {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    vfs: Option<String>,
}

/// An error on its way to the caller, who knows the file's name.
#[derive(Debug)]
pub(crate) enum Trouble {
    Sqlite(rusqlite::Error),
    Told(LocalError),
}

impl Trouble {
    pub(crate) fn at(self, file: &Path) -> LocalError {
        match self {
            Trouble::Sqlite(source) => LocalError::from_sqlite(file, source),
            Trouble::Told(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(source: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(source)
    }
}

impl From<LocalError> for Trouble {
    fn from(error: LocalError) -> Trouble {
        Trouble::Told(error)
    }
}

/// Prepared statements kept by a connection: the few of each of some dozen busy tables.
const STATEMENTS_KEPT: usize = 256;
/// The writer's page cache, in KiB: a load's index pages stay in memory.
const WRITER_CACHE_KIB: i64 = 32 << 10;
/// That of its connection for sales: the last pages of the tables that they go into.
const SILENT_CACHE_KIB: i64 = 4 << 10;
/// What the write-ahead log shrinks to after a large transaction.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Those who are neither the file's owner nor of its group do not read it. One that is not there is nobody's.
pub fn close_to_others(path: &Path) {
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
        if mode & 0o007 != 0 {
            // Another's file, in a group that may write it: that is its owner's business.
            let _ = std::fs::set_permissions(path, Permissions::from_mode(mode & !0o007));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

impl OfflineFile {
    pub(crate) fn new(env: &Env, folder: &Path, kind: Kind) -> OfflineFile {
        OfflineFile { kind, path: folder.join(kind.name()), vfs: env.vfs.clone() }
    }

    /// A catalogue file that is not in use: a copy that is made, or one that was fetched.
    pub(crate) fn beside(env: &Env, path: PathBuf) -> OfflineFile {
        OfflineFile { kind: Kind::Catalogue, path, vfs: env.vfs.clone() }
    }

    /// A new file's connection.
    pub(crate) fn connect_to_new(&self) -> Result<Connection, Trouble> {
        let conn = self.connect(writable())?;
        self.close_to_others();
        Ok(conn)
    }

    /// The writer's connection to a file that was checked as a whole before it came here.
    pub(crate) fn open_again(&self) -> Result<Connection, LocalError> {
        let at = |trouble: Trouble| trouble.at(&self.path);
        let conn = self.connect(writable()).map_err(at)?;
        settle_in(&conn, self).map_err(at)?;
        Ok(conn)
    }

    /// The writer's connection: the file checked, or created when there was none.
    pub(crate) fn open_checked(
        &self,
        env: &Env,
        identity: &Identity,
    ) -> Result<Connection, LocalError> {
        let at = |trouble: Trouble| trouble.at(&self.path);
        self.refuse_vanished_journal()?;
        let mut conn = self.connect(writable()).map_err(at)?;
        self.close_to_others();
        let found = self.look(&conn, identity).map_err(at)?;
        if found == Found::Nothing {
            // Before anything else is written: later it takes a rewrite of the whole file.
            conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(|e| at(e.into()))?;
        }
        settle_in(&conn, self).map_err(at)?;
        match found {
            Found::Nothing => self.create(&mut conn, env, identity).map_err(at)?,
            Found::Ours { layout } => {
                self.migrate(&mut conn, layout).map_err(at)?;
                self.rewrite_once(env, &conn).map_err(at)?;
            }
        }
        Ok(conn)
    }

    /// The writer's connection again, after trouble with the disk: the file was checked when the agent started.
    pub(crate) fn reopen(&self) -> Result<Connection, LocalError> {
        let at = |trouble: Trouble| trouble.at(&self.path);
        let conn = self.connect(writable()).map_err(at)?;
        quick_check(&conn, &self.path).map_err(at)?;
        settle_in(&conn, self).map_err(at)?;
        Ok(conn)
    }

    /// A second connection of the writer, on which no triggers fire. Only statements that were made on it know that.
    pub(crate) fn open_silent(&self) -> Result<Connection, LocalError> {
        let conn = self.open_again()?;
        let set = || {
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            conn.pragma_update(None, "cache_size", -SILENT_CACHE_KIB)
        };
        set().map_err(|source| Trouble::from(source).at(&self.path))?;
        Ok(conn)
    }

    pub(crate) fn open_reader(&self) -> Result<Connection, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = self.connect(flags)?;
        conn.pragma_update(None, "query_only", true)?;
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(conn)
    }

    /// Customers' data are in it. The write-ahead log gets its rights from the file.
    pub(crate) fn close_to_others(&self) {
        // Another VFS has files of its own.
        if self.vfs.is_none() {
            for suffix in ["", "-wal", "-shm"] {
                let mut path = self.path.clone().into_os_string();
                path.push(suffix);
                close_to_others(Path::new(&path));
            }
        }
    }

    pub(crate) fn connect(&self, flags: OpenFlags) -> Result<Connection, Trouble> {
        let conn = tillhold_vfs::connect(&self.path, flags, self.vfs.as_deref())?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        // A quoted name that is no column any more is an error, and no text.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        // Otherwise a statement is parsed and planned anew whenever other values are bound to it (SQLite with STAT4).
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.busy_timeout(limits::BUSY_TIMEOUT)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        conn.pragma_update(None, "cell_size_check", true)?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "mmap_size", 0)?;
        Ok(conn)
    }

    fn look(&self, conn: &Connection, identity: &Identity) -> Result<Found, Trouble> {
        let number = |sql: &str| conn.query_row(sql, (), |row| row.get::<_, i64>(0));
        let application_id = number("PRAGMA application_id")? as i32;
        let layout = number("PRAGMA user_version")? as i32;
        let objects = number("SELECT count(*) FROM sqlite_schema")?;
        if (application_id, layout, objects) == (0, 0, 0) {
            return Ok(Found::Nothing);
        }
        let file = self.path.clone();
        if application_id != layout::APPLICATION_ID {
            return Err(LocalError::Foreign { file, application_id }.into());
        }
        if !(1..=layout::LAYOUT).contains(&layout) {
            return Err(LocalError::Newer { file, found: layout, known: layout::LAYOUT }.into());
        }
        if self.is_checked_at_open() {
            quick_check(conn, &self.path)?;
        }
        self.check_identity(conn, identity)?;
        Ok(Found::Ours { layout })
    }

    /// A file of an earlier layout gives no page back until it is rewritten. A small one is at once, a large one when a person
    /// says so ([`LocalDatabase::compact`](crate::LocalDatabase::compact)): nobody waits for it in the morning.
    fn rewrite_once(&self, env: &Env, conn: &Connection) -> Result<(), Trouble> {
        let bytes = std::fs::metadata(&self.path).map_or(u64::MAX, |file| file.len());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let has_room = || env.disk.free_bytes(folder).is_ok_and(|free| free / 2 > bytes);
        if bytes <= limits::REWRITE_AT_OPEN_BYTES_MAX && !can_shrink(conn)? && has_room() {
            rewrite(conn)?;
        }
        Ok(())
    }

    /// The journal is created before the catalogue, so a catalogue without a journal means that one was lost. Looked at before
    /// SQLite would create an empty file in its place.
    fn refuse_vanished_journal(&self) -> Result<(), LocalError> {
        let used = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        if used(&self.path) || !used(&self.path.with_file_name(CATALOGUE)) {
            return Ok(());
        }
        let detail = format!("it is missing or empty beside a {CATALOGUE} that is in use");
        Err(LocalError::Damaged { file: self.path.clone(), detail })
    }

    fn is_checked_at_open(&self) -> bool {
        let bytes = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        self.kind == Kind::Journal || bytes <= limits::CATALOGUE_CHECK_BYTES_MAX
    }

    fn check_identity(&self, conn: &Connection, expected: &Identity) -> Result<(), Trouble> {
        let meta = |name: &str| {
            conn.query_row("SELECT value FROM tillhold_meta WHERE name = ?1", [name], |row| {
                row.get::<_, String>(0)
            })
        };
        let file = self.path.clone();
        if meta("kind")? != self.kind.name() {
            let detail = format!("its content is that of {}", meta("kind")?);
            return Err(LocalError::Damaged { file, detail }.into());
        }
        let found = Identity { store: meta("store")?, register: meta("register")? };
        if found != *expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(LocalError::OtherRegister { file, found, expected }.into());
        }
        Ok(())
    }

    /// From an older layout to the present one, whole or not at all.
    fn migrate(&self, conn: &mut Connection, from: i32) -> Result<(), Trouble> {
        let steps = &layout::MIGRATIONS[(from - 1) as usize..];
        if steps.is_empty() {
            return Ok(());
        }
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        for step in steps {
            transaction.execute_batch(step.both_files)?;
            if self.kind == Kind::Journal {
                for part in step.journal_only {
                    transaction.execute_batch(part)?;
                }
            }
        }
        if self.kind == Kind::Journal {
            renew_triggers(&transaction, &self.path)?;
        }
        transaction.pragma_update(None, "user_version", layout::LAYOUT)?;
        Ok(transaction.commit()?)
    }

    fn create(&self, conn: &mut Connection, env: &Env, identity: &Identity) -> Result<(), Trouble> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(layout::BOTH_FILES)?;
        transaction.execute_batch(layout::SELECTION)?;
        if self.kind == Kind::Journal {
            transaction.execute_batch(&layout::JOURNAL_ONLY.concat())?;
        }
        let incarnation = tillhold_core::text::guid_text(&env.random.uuid());
        for (name, value) in [
            ("kind", self.kind.name()),
            ("store", &identity.store),
            ("register", &identity.register),
            ("incarnation", &incarnation),
            ("created_ms", &env.clock.wall_ms().to_string()),
        ] {
            transaction.execute("INSERT INTO tillhold_meta VALUES (?1, ?2)", (name, value))?;
        }
        transaction.pragma_update(None, "application_id", layout::APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", layout::LAYOUT)?;
        Ok(transaction.commit()?)
    }
}

/// The pushed tables' triggers as they are now, in the place of those of an earlier layout.
fn renew_triggers(conn: &Connection, file: &Path) -> Result<(), Trouble> {
    let mut select = conn.prepare(
        "SELECT table_id, shape FROM tillhold_table WHERE direction IN ('upload', 'bidirectional')",
    )?;
    let tables = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (table_id, described) in tables.collect::<Result<Vec<(i64, String)>, _>>()? {
        let table = shape::decode(&described, file)?;
        conn.execute_batch(&capture::create_again(&table, table_id))?;
    }
    Ok(())
}

/// Rewrites a file so that it can give free pages back from now on. SQLite does it whole or not at all.
pub(crate) fn rewrite(conn: &Connection) -> Result<(), Trouble> {
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    Ok(conn.execute_batch("VACUUM")?)
}

/// Whether the file gives free pages back.
pub(crate) fn can_shrink(conn: &Connection) -> Result<bool, Trouble> {
    Ok(conn.query_row("PRAGMA auto_vacuum", (), |row| row.get::<_, i64>(0))? == 2)
}

#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    Ours { layout: i32 },
}

/// What SQLite has written to a file without a log of its own, and the file itself.
pub(crate) fn bring_to_disk(path: &Path) -> Result<(), Trouble> {
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let failed = |source| LocalError::Folder { folder: folder.clone(), source };
    let file = std::fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
    Ok(file.sync_all().map_err(failed)?)
}

/// One thread has the connection, so SQLite's own locks around it are not needed.
fn writable() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Every page and index is read once; the first finding is told.
pub(crate) fn quick_check(conn: &Connection, file: &Path) -> Result<(), Trouble> {
    let finding: String = conn.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(LocalError::Damaged { file: file.to_path_buf(), detail: finding }.into())
}

/// Pages in the write-ahead log after which a commit checkpoints. A load writes its index pages over and over: the fewer
/// checkpoints, the fewer of them reach the disk twice. A sale should not wait for a long one.
fn checkpoint_pages(kind: Kind) -> i64 {
    match kind {
        Kind::Journal => 1_000,
        Kind::Catalogue => 8_000,
    }
}

/// Commits of `work` that a power cut may undo, newest first: only for the catalogue, and only for what is repeated from
/// the position that commits with it.
pub(crate) fn repeatable<T>(
    conn: &mut Connection,
    kind: Kind,
    work: impl FnOnce(&mut Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    match kind {
        Kind::Journal => work(conn),
        Kind::Catalogue => unsynced(conn, work),
    }
}

/// Commits of `work` that a power cut may undo, newest first. The file stays consistent, and the next full commit makes all
/// before it durable.
pub(crate) fn unsynced<T>(
    conn: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    let answer = work(conn);
    conn.pragma_update(None, "synchronous", "FULL")?;
    answer
}

/// The writer's settings. Only from here on may the file change.
fn settle_in(conn: &Connection, file: &OfflineFile) -> Result<(), Trouble> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(LocalError::NoWriteAheadLog { file: file.path.clone() }.into());
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.pragma_update(None, "secure_delete", "FAST")?;
    conn.pragma_update(None, "wal_autocheckpoint", checkpoint_pages(file.kind))?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}
