//! Transactions: T-SQL's counting, SQLite's real ones, and the two kinds of reading.
//!
//! * READ COMMITTED: each statement reads the newest committed state; SQLite's transaction begins with the first
//!   write (or UPDLOCK), after waiting for the write lock.
//! * SNAPSHOT: SQLite's read transaction begins with the first access and stays (see `snapshot` for writing in it).
//! * REPEATABLE READ and SERIALIZABLE take the write lock with the first access: coarse, but what they promise.

use super::EngineSession;
use crate::answer::{Answer, Answers, SqlError};
use crate::engine::catalogue::kept::{set_state, state};
use crate::engine::locks::{Mode, Outcome, Resource};
use crate::engine::refusal;
use crate::engine::running::locked;
use crate::engine::syntax::Level;
use crate::engine::tracking;
use crate::engine::translate::Uses;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Transaction {
    /// @@TRANCOUNT
    pub count: u32,
    pub number: u64,
    level: Option<Level>,
    pub below: Below,
    /// It can only be rolled back.
    pub doomed: bool,
    /// Tables that it has looked at, that it has changed, and that others changed before its snapshot was moved.
    pub seen: BTreeSet<i32>,
    pub changed: BTreeSet<i32>,
    pub passed: BTreeSet<i32>,
    /// Rows of temporary tables were written within the snapshot.
    pub wrote_temporary: bool,
    /// A statement's own, around its triggers: no client hears of it.
    pub unseen: bool,
    savepoints: Vec<String>,
}

/// What SQLite is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Below {
    #[default]
    Nothing,
    Read,
    Write,
}

impl Transaction {
    pub fn is_snapshot(&self) -> bool {
        self.level == Some(Level::Snapshot)
    }

    pub fn open(&self) -> Option<u64> {
        (self.count > 0).then_some(self.number)
    }

    /// SQLite itself is in a transaction.
    pub fn in_sqlite(&self) -> bool {
        self.below != Below::Nothing
    }
}

impl EngineSession {
    pub(super) fn begin_transaction(&mut self, out: &mut Answers<'_>) {
        self.transaction.count += 1;
        if self.transaction.count == 1 {
            let number =
                self.engine.next_transaction.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.transaction.number = number;
            self.transaction.level = Some(self.settings.level);
            let _told = out(Answer::TransactionBegun(number));
        }
    }

    /// SET IMPLICIT_TRANSACTIONS ON: a statement that touches data begins a transaction.
    pub(super) fn begin_implicitly(&mut self, uses: Uses, out: &mut Answers<'_>) {
        let touches = uses.database || uses.writes_database || uses.writes_temporary;
        if self.settings.implicit_transactions && self.transaction.count == 0 && touches {
            self.begin_transaction(out);
        }
    }

    pub(super) fn commit_transaction(&mut self, out: &mut Answers<'_>) -> Result<(), SqlError> {
        match self.transaction.count {
            0 => Err(refusal::no_transaction("COMMIT")),
            _ if self.transaction.doomed => Err(refusal::doomed()),
            1 => {
                if let Err(error) = self.commit_below() {
                    self.roll_back_all(out);
                    return Err(error);
                }
                self.end_transaction();
                let _told = out(Answer::TransactionCommitted(self.transaction.number));
                Ok(())
            }
            _ => {
                self.transaction.count -= 1;
                Ok(())
            }
        }
    }

    pub(super) fn roll_back(
        &mut self,
        savepoint: Option<&str>,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        if self.transaction.count == 0 {
            return Err(refusal::no_transaction("ROLLBACK"));
        }
        let Some(name) = savepoint else {
            self.roll_back_all(out);
            return Ok(());
        };
        let at =
            self.transaction.savepoints.iter().rposition(|known| known.eq_ignore_ascii_case(name));
        let Some(at) = at else { return Err(refusal::no_savepoint(name)) };
        if self.transaction.doomed {
            return Err(refusal::doomed());
        }
        self.transaction.savepoints.truncate(at + 1);
        let sql = format!("ROLLBACK TO \"p{at}\"");
        self.captures.rolled_back();
        self.connection.execute_batch(&sql).map_err(|error| self.refused(error, None))
    }

    pub(super) fn save_point(&mut self, name: &str) -> Result<(), SqlError> {
        if self.transaction.count == 0 {
            return Err(SqlError::new(
                628,
                "Cannot issue SAVE TRANSACTION when there is no active transaction.",
            ));
        }
        if self.transaction.doomed {
            return Err(refusal::doomed());
        }
        self.begin_write()?;
        let sql = format!("SAVEPOINT \"p{}\"", self.transaction.savepoints.len());
        self.connection.execute_batch(&sql).map_err(|error| self.refused(error, None))?;
        self.transaction.savepoints.push(name.to_string());
        Ok(())
    }

    /// Ends every level of the transaction, if one is open.
    pub(super) fn roll_back_all(&mut self, out: &mut Answers<'_>) {
        if self.transaction.count == 0 {
            return;
        }
        self.roll_back_below();
        let number = self.transaction.number;
        self.drop_temporaries_of_transaction(number);
        let unseen = self.transaction.unseen;
        self.end_transaction();
        if !unseen {
            let _told = out(Answer::TransactionRolledBack(number));
        }
    }

    fn end_transaction(&mut self) {
        self.engine
            .locks
            .release_all(self.id, |resource| matches!(resource, Resource::Application(_)));
        let number = self.transaction.number;
        self.transaction = Transaction { number, ..Transaction::default() };
    }

    /// Brings SQLite to where a statement may do what it does.
    pub(super) fn access(&mut self, uses: Uses) -> Result<(), SqlError> {
        let snapshot = match self.transaction.count {
            0 => self.settings.level == Level::Snapshot,
            _ => self.transaction.is_snapshot(),
        };
        if self.catalogue.read_only && uses.writes_database && !self.opens_database {
            return Err(refusal::read_only(&self.catalogue.database));
        }
        if self.transaction.doomed && (uses.writes_database || uses.locks) {
            return Err(refusal::doomed());
        }
        if uses.database && snapshot && !self.catalogue.snapshot_allowed {
            return Err(refusal::snapshot_not_allowed(&self.catalogue.database));
        }
        if self.transaction.count == 0 {
            return Ok(());
        }
        if uses.database && self.settings.level == Level::Snapshot && !snapshot {
            return Err(SqlError::new(
                3951,
                format!(
                    "Transaction failed in database '{}' because the statement was run under snapshot isolation but the \
                     transaction did not start in snapshot isolation.",
                    self.catalogue.database
                ),
            ));
        }
        let strict =
            matches!(self.transaction.level, Some(Level::RepeatableRead | Level::Serializable));
        if uses.writes_database || uses.locks || (strict && uses.database) {
            return self.begin_write();
        }
        if snapshot
            && self.transaction.below == Below::Nothing
            && (uses.database || uses.writes_temporary)
        {
            self.begin_snapshot()?;
        }
        self.transaction.wrote_temporary |= uses.writes_temporary;
        Ok(())
    }

    /// Takes the write lock and begins SQLite's write transaction, or turns a snapshot into one.
    pub(super) fn begin_write(&mut self) -> Result<(), SqlError> {
        if self.transaction.below == Below::Write {
            return Ok(());
        }
        self.take_write_lock()?;
        let begun = match self.transaction.below {
            Below::Read => self.upgrade_snapshot(),
            _ => {
                self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.refused(e, None))
            }
        };
        if let Err(error) = begun {
            self.engine.locks.release(self.id, &Resource::Write);
            return Err(error);
        }
        let base = match state(&self.connection, "change_version") {
            Ok(base) => base,
            Err(error) => {
                let _ended = self.connection.execute_batch("ROLLBACK");
                self.engine.locks.release(self.id, &Resource::Write);
                return Err(self.refused(error, None));
            }
        };
        self.transaction.below = Below::Write;
        self.running.begin(base);
        Ok(())
    }

    fn take_write_lock(&self) -> Result<(), SqlError> {
        let outcome = self.engine.locks.acquire(
            self.id,
            Resource::Write,
            Mode::Exclusive,
            self.lock_timeout(),
            &self.interrupt.cancelled,
        );
        match outcome {
            Outcome::Granted | Outcome::GrantedLater => Ok(()),
            Outcome::TimedOut => Err(refusal::lock_timeout()),
            Outcome::Deadlock => Err(refusal::deadlock(self.id)),
            Outcome::Cancelled => Err(refusal::cancelled()),
        }
    }

    pub(super) fn lock_timeout(&self) -> Option<Duration> {
        u64::try_from(self.settings.lock_timeout_ms).ok().map(Duration::from_millis)
    }

    /// Runs a change within the open transaction, or within one of its own.
    pub(in crate::engine) fn within_write<T, E: From<SqlError>>(
        &mut self,
        uses: Uses,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.drop_stale_captures()?;
        self.access(uses)?;
        if self.transaction.count > 0 || !uses.writes_database {
            return work(self);
        }
        self.begin_write()?;
        let answer = work(self);
        let ended = match &answer {
            Ok(_) => self.commit_below(),
            Err(_) => Ok(()),
        };
        if answer.is_err() || ended.is_err() {
            self.roll_back_below();
        }
        ended?;
        answer
    }

    /// Makes the transaction's changes lasting and seen: with its change version, row versions and identities.
    fn commit_below(&mut self) -> Result<(), SqlError> {
        if self.transaction.below == Below::Write {
            self.write_counters().map_err(|error| self.refused(error, None))?;
        }
        if self.transaction.below != Below::Nothing {
            self.connection.execute_batch("COMMIT").map_err(|error| self.refused(error, None))?;
        }
        if self.transaction.below == Below::Write {
            self.enter_commit();
        }
        if self.redefining {
            *locked(&self.engine.catalogue) = self.catalogue.clone();
            self.redefining = false;
        }
        self.temporaries_stay();
        self.leave_below();
        Ok(())
    }

    fn write_counters(&self) -> rusqlite::Result<()> {
        if let Some(version) = self.running.version_to_commit() {
            tracking::commit(&self.connection, version, self.engine.env.clock.wall_ms())?;
        }
        if let Some(rowversion) = self.running.rowversion_to_keep() {
            set_state(&self.connection, "rowversion", rowversion)?;
        }
        for (table, last) in self.running.identities_to_commit() {
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO tsql_identity VALUES (?1, ?2)")?
                .execute([i64::from(table), last])?;
        }
        Ok(())
    }

    fn roll_back_below(&mut self) {
        if self.transaction.below != Below::Nothing {
            // SQLite may have rolled back by itself (a full disk, an interrupt); then there is nothing to do.
            let _ended = self.connection.execute_batch("ROLLBACK");
            self.temporaries_gone();
        }
        if let Some(last) = self.running.rowversion_to_keep() {
            // A reader may already stand past what this transaction gave: it must never be given again.
            let _kept = set_state(&self.connection, "rowversion", last);
        }
        if self.redefining {
            self.redefining = false;
            self.catalogue = self.engine.catalogue();
            self.captures.redefined();
            self.plans.clear();
        }
        self.leave_below();
    }

    fn leave_below(&mut self) {
        self.running.settle_rowversions();
        self.engine.commits.close_snapshot(self.id);
        self.transaction.changed.clear();
        if self.transaction.below == Below::Write {
            self.engine.locks.release(self.id, &Resource::Write);
        }
        self.transaction.below = Below::Nothing;
    }
}
