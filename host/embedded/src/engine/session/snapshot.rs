//! Snapshots that write: moved to the present when nobody can tell the difference, refused when somebody could.
//!
//! SQLite lets a read transaction become a writing one only while nothing was committed since it began. Here:
//! 1. Nothing was committed since: it becomes one.
//! 2. What was committed touched no table that the transaction has looked at: its read transaction is ended and a
//!    writing one begun at the present. From then on a look at a table that was touched is 3960: its old rows are gone.
//! 3. Else 3960, even when other rows of the table were changed.

use super::EngineSession;
use super::transaction::Below;
use crate::answer::SqlError;
use crate::engine::catalogue::Relation;
use crate::engine::catalogue::kept::{set_state, state};
use crate::engine::commits::{TRACKING, Touched};
use crate::engine::refusal;
use std::collections::BTreeSet;
use std::sync::Arc;

impl EngineSession {
    /// Entered first, begun then: a commit in between counts as later.
    pub(super) fn begin_snapshot(&mut self) -> Result<(), SqlError> {
        self.engine.commits.open_snapshot(self.id);
        self.connection
            .execute_batch("BEGIN DEFERRED")
            .map_err(|error| self.refused(error, None))?;
        self.transaction.below = Below::Read;
        // SQLite's snapshot begins with the first read, SQL Server's with the first access: the same moment.
        state(&self.connection, "format").map_err(|error| self.refused(error, None))?;
        Ok(())
    }

    /// A statement is about to look at these tables: 3961 for one that was defined anew since the snapshot began.
    pub(in crate::engine) fn touch(&mut self, tables: &[i32]) -> Result<(), SqlError> {
        if self.transaction.count == 0 || !self.transaction.is_snapshot() {
            return Ok(());
        }
        if self.transaction.below == Below::Read {
            let defined = self.engine.commits.since(self.id).definitions;
            if tables.iter().any(|table| defined.contains(table)) {
                return Err(refusal::changed_under_snapshot(&self.catalogue.database));
            }
        }
        if let Some(table) = tables.iter().find(|table| self.transaction.passed.contains(table)) {
            return Err(self.conflict(*table));
        }
        self.transaction.seen.extend(tables);
        Ok(())
    }

    /// A statement is about to change this table, and those that its deletes cascade to.
    pub(in crate::engine) fn change_of(&mut self, table: &Relation, verb: &str) {
        if table.temporary {
            return;
        }
        let mut open = vec![table.id];
        while let Some(id) = open.pop() {
            if self.transaction.changed.insert(id) && verb == "DELETE" {
                let children = self.catalogue.by_id.values();
                let cascades = |child: &&Arc<Relation>| {
                    child.foreign.iter().any(|foreign| foreign.cascade && foreign.to == id)
                };
                open.extend(children.filter(cascades).map(|child| child.id));
            }
        }
    }

    /// The write lock is held: nobody commits meanwhile.
    pub(super) fn upgrade_snapshot(&mut self) -> Result<(), SqlError> {
        let Err(error) = set_state(&self.connection, "format", 1) else {
            self.engine.commits.close_snapshot(self.id);
            return Ok(());
        };
        let error = self.refused(error, None);
        if error.number != 3960 {
            return Err(error);
        }
        let Touched { rows, definitions } = self.engine.commits.since(self.id);
        let passed: BTreeSet<i32> = rows.union(&definitions).copied().collect();
        if let Some(table) = passed.intersection(&self.transaction.seen).next() {
            return Err(self.conflict(*table));
        }
        if self.transaction.wrote_temporary {
            // Ending SQLite's transaction would make those rows outlive a rollback.
            return Err(self.conflict(passed.first().copied().unwrap_or(TRACKING)));
        }
        self.connection
            .execute_batch("COMMIT; BEGIN IMMEDIATE")
            .map_err(|error| self.refused(error, None))?;
        self.temporaries_stay();
        self.transaction.passed = passed;
        self.engine.commits.close_snapshot(self.id);
        Ok(())
    }

    /// What this transaction changed, for the snapshots that are open.
    pub(super) fn enter_commit(&mut self) {
        let mut rows = std::mem::take(&mut self.transaction.changed);
        if self.running.version_to_commit().is_some() {
            rows.insert(TRACKING);
        }
        let mut definitions = BTreeSet::new();
        if self.redefining {
            let before = self.engine.catalogue();
            let (old, new) = (&before.by_id, &self.catalogue.by_id);
            let same = |id: &i32| match (old.get(id), new.get(id)) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                _ => false,
            };
            definitions.extend(old.keys().chain(new.keys()).filter(|id| !same(id)));
        }
        self.engine.commits.add(Touched { rows, definitions });
    }

    fn conflict(&self, table: i32) -> SqlError {
        let shown = self.catalogue.by_id.get(&table).map(|table| table.shown());
        let shown = shown.unwrap_or_else(|| "sys.syscommittab".to_string());
        refusal::snapshot_conflict(&shown, &self.catalogue.database)
    }
}
