//! Makes, empties and drops temporary tables.

use super::EngineSession;
use crate::answer::{ResultColumn, SqlError};
use crate::engine::catalogue::{Relation, definition, quote};
use crate::engine::refusal;
use crate::engine::syntax::{ColumnDefinition, CreateTable, ObjectName};
use crate::engine::temporary::TEMPORARY_MAX;
use crate::engine::translate::Uses;
use std::sync::Arc;

impl EngineSession {
    pub(super) fn create_temporary(&mut self, given: &CreateTable) -> Result<(), SqlError> {
        if self.temporary.find(&given.name.name).is_ok() {
            return Err(refusal::object_exists(&given.name.name));
        }
        if self.temporary.len() >= TEMPORARY_MAX {
            return Err(refusal::unsupported("so many temporary tables"));
        }
        let shape = format!("{:?}{:?}{}", given.columns, given.constraints, given.name.name);
        let table = match self.temporary.take_spare(&shape) {
            Some(table) => table,
            None => self.make(given)?,
        };
        // A table taken over is emptied here too: a rollback may have brought old rows back.
        self.empty(&table)?;
        if let Some(identity) = table.identity().and_then(|at| table.fields[at].identity) {
            self.running.start_temporary_identity(table.id, identity.seed, identity.step);
        }
        let open = self.transaction.open();
        self.temporary.add(&given.name.name, table, shape, self.depth, open);
        Ok(())
    }

    fn make(&mut self, given: &CreateTable) -> Result<Arc<Relation>, SqlError> {
        let (storage, id) = self.temporary.next(&given.name.name);
        let mut table = definition::temporary(&self.catalogue, given, storage)?;
        table.id = id;
        for sql in definition::statements(&table, &self.catalogue) {
            self.connection.execute_batch(&sql).map_err(|error| self.refused(error, None))?;
        }
        let table = Arc::new(table);
        if self.transaction.in_sqlite() {
            self.temporary.made_below.push(id);
        }
        Ok(table)
    }

    /// `SELECT … INTO #t`
    pub(super) fn create_from_columns(
        &mut self,
        name: &ObjectName,
        columns: &[ResultColumn],
    ) -> Result<Arc<Relation>, SqlError> {
        let mut definitions = Vec::with_capacity(columns.len());
        for column in columns {
            if column.name.is_empty() {
                return Err(SqlError::new(
                    1038,
                    "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name.",
                ));
            }
            definitions.push(ColumnDefinition {
                name: column.name.clone(),
                of: column.of,
                collation: Some("database_default".to_string()),
                nullable: Some(column.nullable),
                identity: None,
                default: None,
                computed: None,
            });
        }
        let given =
            CreateTable { name: name.clone(), columns: definitions, constraints: Vec::new() };
        self.create_temporary(&given)?;
        self.temporary.find(&name.name)
    }

    /// Rows of a temporary table that is older than the transaction must come back with a rollback; only SQLite's own
    /// transaction does that, and it begins with the write lock (or is there already, in a snapshot).
    pub(in crate::engine) fn returning_uses(&self, uses: Uses, table: &Relation) -> Uses {
        let older =
            self.transaction.open().is_some_and(|number| self.temporary.is_older(table, number));
        let locks =
            uses.locks || (uses.writes_temporary && older && !self.transaction.is_snapshot());
        Uses { locks, ..uses }
    }

    /// All of the work on a temporary table, or nothing of it.
    pub(in crate::engine) fn all_or_nothing<T, E: From<SqlError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let ask = |session: &Self, sql: &str| {
            session.connection.execute_batch(sql).map_err(|error| session.refused(error, None))
        };
        ask(self, "SAVEPOINT rows")?;
        let answer = work(self);
        if answer.is_err() {
            ask(self, "ROLLBACK TO rows")?;
        }
        ask(self, "RELEASE rows")?;
        answer
    }

    fn empty(&self, table: &Relation) -> Result<(), SqlError> {
        let sql = format!("DELETE FROM {}", table.quoted());
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|error| self.refused(error, None))
    }

    /// Out of reach: kept aside for the next table of its shape, or dropped.
    pub(super) fn drop_temporary(&mut self, name: &str) -> bool {
        let Some((table, shape)) = self.temporary.remove(name) else { return false };
        let spare = self.empty(&table).is_ok() && self.temporary.keep(table.clone(), shape);
        if !spare {
            let _dropped = self
                .connection
                .execute_batch(&format!("DROP TABLE IF EXISTS temp.{}", quote(&table.storage)));
        }
        true
    }

    pub(super) fn drop_temporaries_of_ended_calls(&mut self) {
        for name in self.temporary.made_deeper_than(self.depth) {
            self.drop_temporary(&name);
        }
    }

    /// What a rolled back transaction made is gone.
    pub(super) fn drop_temporaries_of_transaction(&mut self, number: u64) {
        for name in self.temporary.made_in(number) {
            self.drop_temporary(&name);
        }
    }

    pub(super) fn drop_all_temporaries(&mut self) {
        for name in self.temporary.all() {
            self.drop_temporary(&name);
        }
    }

    /// SQLite committed: what was made in it exists for good.
    pub(super) fn temporaries_stay(&mut self) {
        self.temporary.made_below.clear();
    }

    /// SQLite rolled back: what was made in it does not exist any more.
    pub(super) fn temporaries_gone(&mut self) {
        self.temporary.forget_made_below();
        self.captures.rolled_back();
        self.json_tables.clear();
        self.json_filled.clear();
    }
}
