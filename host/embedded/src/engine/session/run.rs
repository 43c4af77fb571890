//! Control flow: statements one after another, IF, WHILE, TRY and CATCH, RETURN.

use super::EngineSession;
use crate::answer::{Answer, Answers, Flow, SqlError};
use crate::engine::refusal;
use crate::engine::syntax::{Declaration, Expr, Level, SetOption, Statement, StatementKind as S};
use crate::engine::translate::{Bound, Fact, Translator};
use rusqlite::types::Value as Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tillhold_core::types::SqlType;

/// What comes after a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Next,
    Break,
    Continue,
    Return(i32),
}

const TEXT: SqlType = SqlType::NVarChar { length: None };

impl EngineSession {
    pub(super) fn run_all(
        &mut self,
        statements: &[Statement],
        out: &mut Answers<'_>,
    ) -> Result<Step, SqlError> {
        for statement in statements {
            match self.run(statement, out)? {
                Step::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Step::Next)
    }

    fn run(&mut self, statement: &Statement, out: &mut Answers<'_>) -> Result<Step, SqlError> {
        if self.interrupt.cancelled.load(Ordering::Relaxed) {
            return Err(refusal::cancelled());
        }
        match &statement.kind {
            S::Block(body) => self.run_all(body, out),
            S::Try { body, catch } => self.run_try(body, catch, out),
            S::If { condition, then, otherwise } => match self.holds(statement, condition, out)? {
                Some(true) => self.run(then, out),
                Some(false) => {
                    otherwise.as_ref().map_or(Ok(Step::Next), |other| self.run(other, out))
                }
                None => Ok(Step::Next),
            },
            S::While { condition, body } => self.run_while(statement, condition, body, out),
            S::Break => Ok(Step::Break),
            S::Continue => Ok(Step::Continue),
            S::Return(status) => self.run_return(statement, status.as_ref(), out),
            _ => match self.run_plain(statement, out) {
                Ok(()) => {
                    self.last_error = 0;
                    Ok(Step::Next)
                }
                Err(error) => self.failed(placed(error, statement.line), out).map(|()| Step::Next),
            },
        }
    }

    fn run_while(
        &mut self,
        statement: &Statement,
        condition: &Expr,
        body: &Statement,
        out: &mut Answers<'_>,
    ) -> Result<Step, SqlError> {
        while self.holds(statement, condition, out)? == Some(true) {
            match self.run(body, out)? {
                Step::Next | Step::Continue => {}
                Step::Break => break,
                returned @ Step::Return(_) => return Ok(returned),
            }
        }
        Ok(Step::Next)
    }

    fn run_return(
        &mut self,
        statement: &Statement,
        status: Option<&Expr>,
        out: &mut Answers<'_>,
    ) -> Result<Step, SqlError> {
        let Some(status) = status else { return Ok(Step::Return(0)) };
        match self.evaluate(statement.id, status, SqlType::Int) {
            Ok(Cell::Integer(number)) => Ok(Step::Return(number as i32)),
            Ok(_) => Ok(Step::Return(0)),
            Err(error) => self.failed(placed(error, statement.line), out).map(|()| Step::Next),
        }
    }

    /// CATCH runs for every error that a statement can make; not for one that the client or SQLite's file made.
    fn run_try(
        &mut self,
        body: &[Statement],
        catch: &[Statement],
        out: &mut Answers<'_>,
    ) -> Result<Step, SqlError> {
        self.trying += 1;
        let answer = self.run_all(body, out);
        self.trying = self.trying.saturating_sub(1);
        match answer {
            Err(error) if error.number != 0 && error.severity < 20 => {
                self.caught.push(error);
                let answer = self.run_all(catch, out);
                self.caught.pop();
                answer
            }
            other => other,
        }
    }

    /// `None` when the condition failed and the batch goes on.
    fn holds(
        &mut self,
        statement: &Statement,
        condition: &Expr,
        out: &mut Answers<'_>,
    ) -> Result<Option<bool>, SqlError> {
        if self.interrupt.cancelled.load(Ordering::Relaxed) {
            return Err(refusal::cancelled());
        }
        let plan = self
            .planned(statement.id, |around, id| Translator::new(around, id).condition(condition));
        let answer = plan.and_then(|plan| self.first_row(&plan));
        match answer {
            Ok(row) => Ok(Some(row.first() == Some(&Cell::Integer(1)))),
            Err(error) => self.failed(placed(error, statement.line), out).map(|()| None),
        }
    }

    fn run_plain(&mut self, statement: &Statement, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.refresh();
        self.ordered_here(statement)?;
        match &statement.kind {
            S::Declare(declarations) => self.declare(statement.id, declarations),
            S::SetVariable { name, operator, value } => {
                self.set_variable(statement.id, name, *operator, value)
            }
            S::SetOption(option) => {
                self.row_count = 0;
                self.set_option(option)
            }
            S::Throw(given) => Err(self.thrown(statement.id, given.as_ref())?),
            S::RaiseError { message, severity, state } => {
                self.raise(statement.id, [message, severity, state], out)
            }
            S::Print(value) => {
                let text = self.evaluate(statement.id, value, TEXT)?;
                let message = match text {
                    Cell::Text(text) => text,
                    _ => String::new(),
                };
                self.row_count = 0;
                flow(out(Answer::Info { number: 0, message }))
            }
            S::WaitDelay(time) => self.wait(statement.id, time),
            S::Use(database) => self.use_database(database, out),
            S::Begin => {
                self.begin_transaction(out);
                self.row_count = 0;
                flow(out(Answer::Done { rows: None }))
            }
            S::Commit => {
                self.commit_transaction(out)?;
                self.row_count = 0;
                flow(out(Answer::Done { rows: None }))
            }
            S::Rollback { savepoint } => {
                self.roll_back(savepoint.as_deref(), out)?;
                flow(out(Answer::Done { rows: None }))
            }
            S::Save { savepoint } => self.save_point(savepoint),
            S::Execute(execute) => self.execute_statement(statement.id, execute, out),
            S::ExecuteText(text) => {
                let text = self.evaluate(statement.id, text, TEXT)?;
                let Cell::Text(text) = text else { return Ok(()) };
                self.execute_text(&text, &[], out).map(|_| ())
            }
            S::Query(_) | S::Insert(_) | S::Update(_) | S::Delete(_) => {
                self.run_data(statement, out)
            }
            other => {
                self.define(other)?;
                self.row_count = 0;
                flow(out(Answer::Done { rows: None }))
            }
        }
    }

    fn run_data(&mut self, statement: &Statement, out: &mut Answers<'_>) -> Result<(), SqlError> {
        match &statement.kind {
            S::Query(query) => {
                let plan = self.planned(statement.id, |around, id| {
                    Translator::new(around, id).statement(query)
                })?;
                self.run_query(&plan, out)
            }
            S::Insert(insert) => {
                let plan = self.planned(statement.id, |around, id| {
                    Translator::new(around, id).insert(insert)
                })?;
                self.run_change(&plan, out)
            }
            S::Update(update) => {
                let plan = self.planned(statement.id, |around, id| {
                    Translator::new(around, id).update(update)
                })?;
                self.run_change(&plan, out)
            }
            S::Delete(delete) => {
                let plan = self.planned(statement.id, |around, id| {
                    Translator::new(around, id).delete(delete)
                })?;
                self.run_change(&plan, out)
            }
            _ => Err(refusal::syntax("this statement")),
        }
    }

    fn declare(&mut self, id: u64, declarations: &[Declaration]) -> Result<(), SqlError> {
        for (at, declaration) in declarations.iter().enumerate() {
            // The same statement run again (in a loop) declares nothing new.
            if self.frame.types.get(&declaration.name) != Some(&declaration.of) {
                self.frame.declare(&declaration.name, declaration.of)?;
            }
            if let Some(value) = &declaration.value {
                let part = part(id, at);
                let value = self.evaluate(part, value, declaration.of)?;
                self.frame.set(&declaration.name, value);
            }
        }
        Ok(())
    }

    fn set_variable(
        &mut self,
        id: u64,
        name: &str,
        operator: Option<crate::engine::syntax::BinaryOperator>,
        value: &Expr,
    ) -> Result<(), SqlError> {
        let of = *self.frame.types.get(name).ok_or_else(|| refusal::undeclared(name))?;
        let plan = self.planned(id, |around, id| {
            Translator::new(around, id).assigned(name, operator, value, of)
        })?;
        let value = self.first_row(&plan)?.into_iter().next().unwrap_or(Cell::Null);
        self.frame.set(name, value);
        self.row_count = 1;
        Ok(())
    }

    fn set_option(&mut self, option: &SetOption) -> Result<(), SqlError> {
        match option {
            SetOption::NoCount(on) => self.settings.no_count = *on,
            SetOption::XactAbort(on) => self.settings.xact_abort = *on,
            SetOption::LockTimeout(ms) => self.settings.lock_timeout_ms = *ms,
            SetOption::Isolation(level) => self.set_level(*level)?,
            SetOption::FormatOnly(on) => self.settings.format_only = *on,
            SetOption::ImplicitTransactions(on) => self.settings.implicit_transactions = *on,
            SetOption::IdentityInsert { table, on } => {
                let table = self.catalogue.find(table)?;
                if table.identity().is_none() {
                    return Err(SqlError::new(
                        8106,
                        format!(
                            "Table '{}' does not have the identity property. Cannot perform SET operation.",
                            table.name
                        ),
                    ));
                }
                self.settings.identity_insert = on.then_some(table.id);
                // What was translated under the other setting no longer holds.
                self.plans.clear();
            }
            SetOption::Accepted => {}
        }
        Ok(())
    }

    /// A snapshot cannot begin in the middle of a transaction (3951).
    fn set_level(&mut self, level: Level) -> Result<(), SqlError> {
        self.settings.level = level;
        Ok(())
    }

    fn thrown(&mut self, id: u64, given: Option<&[Expr; 3]>) -> Result<SqlError, SqlError> {
        let Some([number, message, state]) = given else {
            return self.caught.last().cloned().ok_or_else(|| {
                SqlError::new(
                    10704,
                    "To rethrow an error, a THROW statement must be used inside a CATCH block.",
                )
            });
        };
        let number = self.evaluate(part(id, 0), number, SqlType::Int)?;
        let message =
            self.evaluate(part(id, 1), message, SqlType::NVarChar { length: Some(2048) })?;
        let state = self.evaluate(part(id, 2), state, SqlType::TinyInt)?;
        let (Cell::Integer(number), Cell::Text(message)) = (number, message) else {
            return Err(refusal::syntax("THROW"));
        };
        if number < 50_000 {
            let message = format!(
                "Error number {number} in the THROW statement is outside the valid range. Specify an error \
                                   number in the valid range of 50000 to 2147483647."
            );
            return Err(SqlError::new(35_100, message));
        }
        let state = if let Cell::Integer(state) = state { state as u8 } else { 1 };
        Ok(SqlError { state, ..SqlError::new(number as u32, message) })
    }

    /// Up to severity 10 a message, from 11 an error that ends nothing but itself (and a TRY).
    fn raise(&mut self, id: u64, given: [&Expr; 3], out: &mut Answers<'_>) -> Result<(), SqlError> {
        let message =
            self.evaluate(part(id, 0), given[0], SqlType::NVarChar { length: Some(2047) })?;
        let severity = self.evaluate(part(id, 1), given[1], SqlType::Int)?;
        let state = self.evaluate(part(id, 2), given[2], SqlType::Int)?;
        let message = if let Cell::Text(message) = message { message } else { String::new() };
        let (Cell::Integer(severity), Cell::Integer(state)) = (severity, state) else {
            return Err(refusal::syntax("RAISERROR"));
        };
        if severity <= 10 {
            return flow(out(Answer::Info { number: 50_000, message }));
        }
        let state = state.clamp(0, 255) as u8;
        Err(SqlError { state, ..SqlError::new(50_000, message) }
            .with_severity(severity.clamp(11, 18) as u8))
    }

    fn wait(&mut self, id: u64, time: &Expr) -> Result<(), SqlError> {
        let text = self.evaluate(id, time, TEXT)?;
        let Cell::Text(text) = text else { return Ok(()) };
        let of = SqlType::Time { scale: 7 };
        let time = match tillhold_core::text::parse(&text, of) {
            Ok(tillhold_core::value::Value::Time(time)) => Duration::from_nanos(time.0 * 100),
            _ => {
                return Err(SqlError::new(
                    148,
                    format!("Incorrect time syntax in time string '{text}' used with WAITFOR."),
                ));
            }
        };
        if self.engine.locks.sleep(time, &self.interrupt.cancelled) {
            Ok(())
        } else {
            Err(refusal::cancelled())
        }
    }

    fn use_database(&mut self, name: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        if !name.eq_ignore_ascii_case(&self.catalogue.database) {
            return Err(refusal::no_database(name));
        }
        flow(out(Answer::DatabaseChanged(self.catalogue.database.clone())))
    }

    /// A value by itself, in the form in which its type is kept.
    pub(super) fn evaluate(
        &mut self,
        id: u64,
        value: &Expr,
        of: SqlType,
    ) -> Result<Cell, SqlError> {
        let plan =
            self.planned(id, |around, id| Translator::new(around, id).scalar(value, Some(of)))?;
        Ok(self.first_row(&plan)?.into_iter().next().unwrap_or(Cell::Null))
    }

    pub(in crate::engine) fn bound(&self, bound: &Bound) -> Cell {
        match bound {
            Bound::Variable(name) => self.frame.get(name),
            Bound::Fact(fact) => self.fact(*fact),
            Bound::Context(key) => {
                self.session_context.values.get(key).map_or(Cell::Null, |kept| kept.cell.clone())
            }
            // Bound by the loader, row by row.
            Bound::Given(_) => Cell::Null,
        }
    }

    fn fact(&self, fact: Fact) -> Cell {
        let caught = self.caught.last();
        let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
        match fact {
            Fact::RowCount => Cell::Integer(self.row_count),
            Fact::TransactionCount => Cell::Integer(i64::from(self.transaction.count)),
            Fact::Error => Cell::Integer(i64::from(self.last_error)),
            Fact::Session => Cell::Integer(i64::from(self.id)),
            Fact::Version => Cell::Text(crate::engine::VERSION.to_string()),
            Fact::Identity => {
                self.running.last_identity().map_or(Cell::Null, |last| Cell::Text(last.to_string()))
            }
            Fact::ScopeIdentity => self
                .running
                .scope_identity()
                .map_or(Cell::Null, |last| Cell::Text(last.to_string())),
            Fact::TriggerLevel => Cell::Integer(self.trigger_level),
            Fact::LastRowVersion => {
                Cell::Blob(self.engine.counters.last_row_version().to_be_bytes().to_vec())
            }
            Fact::MinActiveRowVersion => {
                Cell::Blob(self.engine.counters.min_active_row_version().to_be_bytes().to_vec())
            }
            Fact::TransactionState => {
                Cell::Integer(match (self.transaction.count, self.transaction.doomed) {
                    (0, _) => 0,
                    (_, true) => -1,
                    (_, false) => 1,
                })
            }
            Fact::ErrorNumber => number(caught.map(|error| i64::from(error.number))),
            Fact::ErrorSeverity => number(caught.map(|error| i64::from(error.severity))),
            Fact::ErrorState => number(caught.map(|error| i64::from(error.state))),
            Fact::ErrorLine => number(caught.map(|error| i64::from(error.line))),
            Fact::ErrorMessage => {
                caught.map_or(Cell::Null, |error| Cell::Text(error.message.clone()))
            }
            Fact::NowUtc(of) => self.now(of),
            Fact::Application => Cell::Text(self.application.clone()),
            Fact::User => Cell::Text(self.user.clone()),
            Fact::Database => Cell::Text(self.catalogue.database.clone()),
            Fact::LockTimeout => Cell::Integer(self.settings.lock_timeout_ms),
            Fact::ServerName => Cell::Text("TILLHOLD".to_string()),
        }
    }
}

/// The client that wants no more is a cancelled call.
pub(super) fn flow(flow: Flow) -> Result<(), SqlError> {
    match flow {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(refusal::cancelled()),
    }
}

/// A number for a part of a statement, under which its translation is remembered.
fn part(id: u64, at: usize) -> u64 {
    id | (at as u64 + 1) << 48
}

/// An error carries the line of its statement unless it knows a better one.
fn placed(error: SqlError, line: u32) -> SqlError {
    if error.line > 1 { error } else { SqlError { line, ..error } }
}
