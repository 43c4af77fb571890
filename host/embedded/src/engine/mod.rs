//! The SQL engine of the embedded channel: T-SQL, parsed by its own grammar, run on one SQLite file.
//!
//! ```text
//! text -> lexer -> parse -> syntax tree -> session (control flow, transactions)
//!                                            -> translate (types, collations) -> SQLite
//! ```
//! Promises:
//! * What it does not know it refuses, with SQL Server's own error numbers; it never guesses.
//! * A result's types come from the catalogue and the expression, never from what SQLite holds.
//! * Change tracking has commit-ordered versions; snapshot isolation is one moment over all tables.
//! * A commit that was answered survives the end of the process.
//!
//! Refuses: more than one database, more than [`TDS_SESSIONS_MAX`] sessions, stored procedures, views, cursors.
//! How it differs from SQL Server where it does answer:
//! * One writer at a time: whoever writes first holds off all other writers, not only those of the same row. A
//!   snapshot transaction that writes after another commit changed one of its *tables* gets 3960.
//! * READ COMMITTED reads the last committed state and never waits (as with READ_COMMITTED_SNAPSHOT ON, which it says).
//! * Text sorts by code point after folding case; SQL Server's collations sort punctuation and accents differently.
//! * An UPDATE that moves keys onto one another (`SET k = k + 1`) is 2627: rows are checked one by one.
//! * Change tracking cleans up when the file is opened and on command, not every half hour.
//! * Local time is UTC. `varchar` keeps characters outside its code page.

mod access;
mod bulk;
mod catalogue;
mod commits;
mod error;
mod functions;
mod json;
mod lexer;
mod locks;
mod parse;
mod refusal;
mod running;
mod session;
mod styles;
mod syntax;
mod temporary;
mod tracking;
mod translate;
mod types;
mod values;
mod views;

#[cfg(test)]
mod tests;

pub use error::EngineError;
pub use session::EngineSession;

use crate::answer::{Flow, SqlEngine, SqlError, SqlSession};
use catalogue::{Catalogue, kept};
use commits::Commits;
use locks::Locks;
use running::{Counters, locked};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tillhold_core::limits::TDS_SESSIONS_MAX;
use tillhold_core::table::{Table, TableName};
use tillhold_core::value::Value;
use tillhold_env::Env;

/// What `@@VERSION` says: nobody shall take it for the real one.
pub const VERSION: &str = concat!(
    "Tillhold embedded channel in the place of Microsoft SQL Server, version ",
    env!("CARGO_PKG_VERSION"),
    " (speaks TDS 7.4 and a part of Transact-SQL; SQLite below)"
);

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one database's name, taken when the file is new.
    pub database: String,
    /// Whether a commit survives a power cut and not only the end of the process.
    pub durable: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { database: "Channel".to_string(), durable: false }
    }
}

pub struct Engine {
    env: Env,
    file: PathBuf,
    durable: bool,
    locks: Locks,
    commits: Commits,
    counters: Arc<Counters>,
    catalogue: Mutex<Arc<Catalogue>>,
    next_session: AtomicU32,
    open_sessions: AtomicU32,
    next_transaction: AtomicU64,
    injected: Mutex<Vec<Injected>>,
}

/// An error that a test has ordered.
struct Injected {
    text: String,
    error: SqlError,
}

impl Engine {
    /// Opens the file, or makes it.
    pub fn open(env: &Env, file: &Path) -> Result<Arc<Engine>, EngineError> {
        Engine::open_with(env, file, &Options::default())
    }

    pub fn open_with(
        env: &Env,
        file: &Path,
        options: &Options,
    ) -> Result<Arc<Engine>, EngineError> {
        let counters = Arc::new(Counters::default());
        let engine = Engine {
            env: env.clone(),
            file: file.to_path_buf(),
            durable: options.durable,
            locks: Locks::new(env),
            commits: Commits::default(),
            counters: counters.clone(),
            catalogue: Mutex::default(),
            // SQL Server keeps the numbers up to 50 to itself.
            next_session: AtomicU32::new(51),
            open_sessions: AtomicU32::new(0),
            next_transaction: AtomicU64::new(1),
            injected: Mutex::default(),
        };
        engine.make_private();
        let connection = engine.connect()?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        kept::prepare(&connection, &options.database)?;
        connection.execute_batch("COMMIT")?;
        let catalogue = kept::read(&connection, 1)?;
        counters.start_row_versions(kept::state(&connection, "rowversion")?);
        for table in catalogue.by_id.values() {
            session::count_identity(&connection, &counters, table)?;
        }
        let cleans = catalogue.tracking.as_ref().is_some_and(|tracking| tracking.auto_cleanup);
        *locked(&engine.catalogue) = Arc::new(catalogue);
        let engine = Arc::new(engine);
        if cleans {
            engine.own_session()?.clean_up_tracking(None)?;
        }
        Ok(engine)
    }

    /// Lets a client in: 18456 for a wrong user or password, 4060 for another database, 17809 when all seats are taken.
    pub fn login(
        self: &Arc<Engine>,
        user: &str,
        password: &str,
        database: &str,
        application: &str,
    ) -> Result<EngineSession, SqlError> {
        let connection = self.connect().map_err(EngineError::into_sql)?;
        let is_owner = access::check_login(&connection, user, password)
            .map_err(EngineError::into_sql)?
            .ok_or_else(|| refusal::login_failed(user))?;
        let name = self.catalogue().database.clone();
        if !database.is_empty() && !database.eq_ignore_ascii_case(&name) {
            return Err(refusal::unknown_database(database, user));
        }
        if self.open_sessions.fetch_add(1, Ordering::Relaxed) as usize >= TDS_SESSIONS_MAX {
            self.open_sessions.fetch_sub(1, Ordering::Relaxed);
            let message = format!(
                "Could not connect because the maximum number of '{TDS_SESSIONS_MAX}' user connections has already been reached."
            );
            return Err(SqlError::new(17809, message).with_severity(20));
        }
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        EngineSession::new(self.clone(), connection, id, user, is_owner, application)
    }

    /// Makes a login, or gives an existing one a new password. An owner may do everything.
    pub fn create_login(
        &self,
        user: &str,
        password: &str,
        is_owner: bool,
    ) -> Result<(), EngineError> {
        let connection = self.connect()?;
        access::keep_login(&connection, self.env.random.as_ref(), user, password, is_owner)
    }

    /// Makes many tables at once, with their schemas: what filling an embedded channel begins with.
    pub fn create_tables(self: &Arc<Engine>, tables: &[Table]) -> Result<(), EngineError> {
        self.own_session()?.create_tables(tables)
    }

    /// Writes rows at the speed of a prepared insert, in one transaction: all of them or none. Columns that are not
    /// named get defaults, identities and row versions; tracked tables are tracked.
    pub fn load(
        self: &Arc<Engine>,
        table: &TableName,
        columns: &[&str],
        rows: &mut dyn Iterator<Item = Vec<Value>>,
    ) -> Result<u64, EngineError> {
        self.own_session()?.load(table, columns, rows)
    }

    /// Orders an error: the next statement whose text contains `text` fails with it, once, as if it had met it itself:
    /// 1205 and 3960 take their transaction with them, TRY catches, XACT_ABORT rolls back.
    pub fn fail_next(&self, text: &str, error: SqlError) {
        locked(&self.injected).push(Injected { text: text.to_string(), error });
    }

    /// The database takes only reads (3906), or writes again. Nothing is done where it is so already.
    pub fn set_read_only(self: &Arc<Engine>, is: bool) -> Result<(), EngineError> {
        if self.catalogue().read_only == is {
            return Ok(());
        }
        let word = if is { "READ_ONLY" } else { "READ_WRITE" };
        let sql = format!("ALTER DATABASE CURRENT SET {word} WITH ROLLBACK IMMEDIATE");
        let done = self.own_session()?.batch(&sql, &mut |_| Flow::Continue);
        done.map_err(EngineError::Sql)
    }

    /// Change tracking's clean-up on command, whatever the retention: forgets changes up to and with `version`.
    pub fn forget_changes(self: &Arc<Engine>, version: u64) -> Result<u64, EngineError> {
        self.own_session()?.forget_changes(version)
    }

    /// The version of the last commit that changed a tracked table.
    pub fn change_version(&self) -> Result<u64, EngineError> {
        Ok(kept::state(&self.connect()?, "change_version")? as u64)
    }

    /// Takes back every ordered error that has not struck.
    pub fn fail_no_more(&self) {
        locked(&self.injected).clear();
    }

    /// What [`SqlError`] a test ordered for this text, if any. T-SQL's words may be written in any case.
    fn injected(&self, is_here: impl Fn(&str) -> bool) -> Option<SqlError> {
        let mut injected = locked(&self.injected);
        let at = injected.iter().position(|one| is_here(&one.text))?;
        Some(injected.remove(at).error)
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        locked(&self.catalogue).clone()
    }

    /// A session of the engine's own, with all rights and no login.
    fn own_session(self: &Arc<Engine>) -> Result<EngineSession, EngineError> {
        let connection = self.connect()?;
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        self.open_sessions.fetch_add(1, Ordering::Relaxed);
        EngineSession::new(self.clone(), connection, id, "dbo", true, "embedded channel")
            .map_err(EngineError::Sql)
    }

    /// At the end: the file alone has everything, with no log beside it that a copy of it would miss. Waits a moment for
    /// sessions that are about to end; with one that does not, the log stays and SQLite reads it at the next start.
    pub fn fold_up(&self) -> Result<(), EngineError> {
        let connection = self.connect()?;
        let folded: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
        match folded {
            0 => Ok(()),
            _ => Err(EngineError::Unfolded { file: self.file.clone() }),
        }
    }

    /// A new file is for its owner's eyes, and SQLite gives its log the file's rights: customers' data are in it. Where that
    /// fails, opening it fails too and says why.
    fn make_private(&self) {
        #[cfg(unix)]
        if self.env.vfs.is_none() {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            drop(options.open(&self.file));
        }
    }

    fn connect(&self) -> Result<Connection, EngineError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = tillhold_vfs::connect(&self.file, flags, self.env.vfs.as_deref())?;
        // Writers queue in `locks`; only SQLite's own moments (recovery, checkpoint) are waited for here.
        connection.busy_timeout(Duration::from_secs(5))?;
        let synchronous = if self.durable { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA temp_store = MEMORY; \
             PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = OFF; PRAGMA cache_size = -16384;"
        ))?;
        connection.set_prepared_statement_cache_capacity(512);
        Ok(connection)
    }
}

impl SqlEngine for Arc<Engine> {
    fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
        application: &str,
    ) -> Result<Box<dyn SqlSession>, SqlError> {
        Ok(Box::new(Engine::login(self, user, password, database, application)?))
    }
}
