//! What an error does to its statement, batch and transaction; and SQLite's errors as SQL Server's.

use super::EngineSession;
use crate::answer::{Answer, Answers, SqlError};
use crate::engine::catalogue::{Index, Relation, definition::index_storage};
use crate::engine::functions::read_error;
use crate::engine::refusal;
use crate::engine::running::locked;
use crate::engine::syntax::{Batch, Statement, StatementKind, contains};
use crate::engine::translate::Plan;
use rusqlite::ffi;

/// What ends by itself when an error is not caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The statement; the batch goes on.
    Statement,
    Batch,
    /// The batch, and the transaction is rolled back or can only be rolled back.
    Transaction,
}

/// As observed of SQL Server: constraint violations, truncation, NULLs and arithmetic end their statement only;
/// conversions, missing objects and THROW end the batch; deadlocks and snapshot conflicts the transaction.
fn reach(error: &SqlError) -> Reach {
    match error.number {
        1205 | 3960 | 3961 | 3952 | 3951 => Reach::Transaction,
        // The client cancelled: nothing of the batch goes on.
        0 => Reach::Batch,
        50_000 => Reach::Statement,
        245 | 241 | 8114 | 8169 | 208 | 207 | 102 | 137 | 195 | 107 | 209 | 4104 | 468 | 3930
        | 2812 | 266 | 22105 => Reach::Batch,
        number if number > 50_000 => Reach::Batch,
        _ if error.severity >= 19 => Reach::Batch,
        _ => Reach::Statement,
    }
}

impl EngineSession {
    /// Decides what an error of a plain statement ends: `Ok` when the batch goes on.
    pub(super) fn failed(
        &mut self,
        error: SqlError,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        self.last_error = error.number;
        self.row_count = 0;
        let open = self.transaction.count > 0;
        // Constants are converted when a statement is translated; those errors belong to its run.
        let compiling =
            std::mem::take(&mut self.untranslated) && !matches!(error.number, 8115 | 2628 | 281);
        let reach = match reach(&error) {
            _ if std::mem::take(&mut self.failed_in_trigger) => Reach::Transaction,
            Reach::Statement if compiling => Reach::Batch,
            other => other,
        };
        let ends_transaction = self.settings.xact_abort || reach == Reach::Transaction;
        if self.trying > 0 {
            let converts = matches!(error.number, 245 | 241 | 8114 | 8169);
            if open && error.number != 0 && (ends_transaction || converts) {
                self.transaction.doomed = true;
            }
            return Err(error);
        }
        if open && ends_transaction && error.number != 0 && error.number != 50_000 {
            self.roll_back_all(out);
        }
        if reach == Reach::Statement && !(self.settings.xact_abort && error.number != 50_000) {
            return super::run::flow(out(Answer::Error(error)));
        }
        Err(error)
    }

    /// An error that a test ordered for a call that is no text: a procedure's name, the request that commits.
    pub(super) fn ordered_call(
        &mut self,
        name: &str,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        self.strike(|wanted| contains(name, wanted), out)
    }

    /// An error that a test ordered for a text that no statement of the batch has by itself (a condition, say) ends
    /// the call before it begins; the others wait for their statement.
    pub(super) fn ordered_text(
        &mut self,
        sql: &str,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        if locked(&self.engine.injected).is_empty() {
            return Ok(());
        }
        match self.parsed(sql) {
            Ok(batch) => self.ordered_batch(&batch, out),
            Err(_) => self.strike(|wanted| contains(sql, wanted), out),
        }
    }

    /// The same of a batch.
    pub(super) fn ordered_batch(
        &mut self,
        batch: &Batch,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let of_a_statement =
            |wanted: &str| batch.statements.iter().any(|one| one.says(&batch.text, wanted));
        self.strike(|wanted| contains(&batch.text, wanted) && !of_a_statement(wanted), out)
    }

    fn strike(
        &mut self,
        is_here: impl Fn(&str) -> bool,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let Some(error) = self.engine.injected(is_here) else { return Ok(()) };
        let error = self.as_met(error);
        if reach(&error) == Reach::Transaction || self.settings.xact_abort {
            self.roll_back_all(out);
        }
        Err(error)
    }

    /// An error that a test ordered for this statement: it fails as if it had met the error itself, within its TRY
    /// and its transaction.
    pub(super) fn ordered_here(&mut self, statement: &Statement) -> Result<(), SqlError> {
        if locked(&self.engine.injected).is_empty() {
            return Ok(());
        }
        let Some(text) = self.text.clone() else { return Ok(()) };
        if matches!(statement.kind, StatementKind::CreateProcedure(_)) {
            // What it will say when it is called, it does not say yet.
            return Ok(());
        }
        match self.engine.injected(|wanted| statement.says(&text, wanted)) {
            Some(error) => Err(self.as_met(error)),
            None => Ok(()),
        }
    }

    /// A deadlock names its victim.
    fn as_met(&self, error: SqlError) -> SqlError {
        if error.number == 1205 { refusal::deadlock(self.id) } else { error }
    }

    /// What SQLite refused, in SQL Server's words.
    pub(super) fn refused(&self, error: rusqlite::Error, plan: Option<&Plan>) -> SqlError {
        let change = plan.and_then(|plan| plan.change.as_ref());
        let table = change.map(|change| change.table.as_ref());
        let verb = change.map_or("statement", |change| change.verb);
        self.refused_in(error, table, verb)
    }

    pub(in crate::engine) fn refused_in(
        &self,
        error: rusqlite::Error,
        table: Option<&Relation>,
        verb: &str,
    ) -> SqlError {
        let (code, message) = match &error {
            rusqlite::Error::SqliteFailure(code, message) => {
                (code.extended_code, message.clone().unwrap_or_default())
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg.clone()),
            other => return refusal::below(&other.to_string()),
        };
        if let Some(error) = read_error(&message) {
            return error;
        }
        let database = &self.catalogue.database;
        match code {
            ffi::SQLITE_INTERRUPT => refusal::cancelled(),
            ffi::SQLITE_BUSY_SNAPSHOT => refusal::snapshot_conflict(&shown(table), database),
            ffi::SQLITE_BUSY => refusal::lock_timeout(),
            ffi::SQLITE_CONSTRAINT_NOTNULL => {
                let column = message.rsplit('.').next().unwrap_or_default();
                refusal::null_refused(
                    &table.map_or_else(String::new, |table| table.full(database)),
                    column,
                    verb,
                )
            }
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_ROWID => duplicate(table, &message),
            ffi::SQLITE_CONSTRAINT_CHECK => self.check_failed(table, verb, &message),
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => refusal::foreign_key(verb, &shown(table)),
            _ if message.starts_with("no such table") && self.transaction.is_snapshot() => {
                refusal::changed_under_snapshot(database)
            }
            _ => refusal::below(&message),
        }
    }
}

impl EngineSession {
    /// SQLite names the constraint; it may be another table's when the statement cascades.
    fn check_failed(&self, table: Option<&Relation>, verb: &str, message: &str) -> SqlError {
        let name = message.strip_prefix("CHECK constraint failed: ").unwrap_or(message);
        let check = table.and_then(|table| table.checks.iter().find(|check| check.name == name));
        let column = check.and_then(|check| check.column).and_then(|id| {
            table.and_then(|table| table.fields.iter().find(|field| field.id == id))
        });
        let column = column.map(|field| field.name.as_str());
        refusal::check(verb, name, &self.catalogue.database, &shown(table), column)
    }
}

fn shown(table: Option<&Relation>) -> String {
    table.map_or_else(String::new, Relation::shown)
}

/// SQLite names the columns, or the index when it is one over expressions.
fn duplicate(table: Option<&Relation>, message: &str) -> SqlError {
    let failed = message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(message);
    let found = table.and_then(|table| {
        let prefix = format!("{}.", table.storage);
        let columns: Vec<&str> = failed
            .split(", ")
            .map(|column| column.strip_prefix(&prefix).unwrap_or(column))
            .collect();
        let named = |index: &&Index| {
            let names: Vec<&str> =
                index.columns.iter().map(|(at, _)| table.fields[*at].name.as_str()).collect();
            names == columns
                || failed.trim_end_matches("!'").ends_with(&index_storage(table, index))
        };
        table.indexes.iter().filter(|index| index.unique).find(named).map(|index| (table, index))
    });
    match found {
        Some((table, index)) if index.primary => {
            refusal::duplicate_constraint("PRIMARY KEY", &index.name, &table.shown())
        }
        Some((table, index)) if index.constraint => {
            refusal::duplicate_constraint("UNIQUE KEY", &index.name, &table.shown())
        }
        Some((table, index)) => refusal::duplicate_index(&index.name, &table.shown()),
        None => refusal::below(message),
    }
}
