//! One logged-in client: its settings, variables, temporary tables and transaction.
//!
//! A call (`batch`, `execute`, …) parses its text once, then runs statement by statement (`run`), each translated
//! once and remembered (`plan`), within the transaction that `transaction` keeps.

mod column;
mod database;
mod definition;
mod failure;
mod firing;
mod frame;
mod plan;
mod procedures;
mod run;
mod security;
mod snapshot;
mod temporaries;
mod temporary_procedures;
mod transaction;
mod trigger;

use super::bulk::BulkTarget;
use super::catalogue::{Catalogue, Relation, fold};
use super::functions;
use super::parse;
use super::refusal;
use super::running::{Counters, Running, locked};
use super::syntax::{Batch, CreateProcedure, Level};
use super::temporary::Temporary;
use super::translate::{Inside, Plan, SessionContext, Surroundings};
use super::values;
use super::{Engine, EngineError};
use crate::answer::{Answer, Answers, Isolation, Parameter, ResultColumn, SqlError, SqlSession};
use firing::Captures;
use frame::{Frame, named};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, InterruptHandle, OptionalExtension};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_core::value::Value;
use transaction::Transaction;

/// Batches and translations that a session remembers; past it all are forgotten at once.
const BATCHES_KEPT: usize = 256;
const PLANS_KEPT: usize = 4096;
/// Longer texts are not worth remembering: they rarely come twice.
const REMEMBERED_BYTES_MAX: usize = 256 << 10;
/// Prepared handles of one session.
const PREPARED_MAX: usize = 4096;
/// Calls within calls (SQL Server: 32).
const NESTING_MAX: u32 = 32;

pub struct EngineSession {
    engine: Arc<Engine>,
    connection: Connection,
    running: Arc<Running>,
    id: u32,
    user: String,
    is_owner: bool,
    application: String,
    catalogue: Arc<Catalogue>,
    /// This transaction has changed definitions that others do not see yet.
    redefining: bool,
    temporary: Temporary,
    settings: Settings,
    transaction: Transaction,
    frame: Frame,
    depth: u32,
    /// The trigger whose body runs, and how many triggers deep that is.
    inside: Option<Arc<Inside>>,
    trigger_level: i64,
    captures: Captures,
    session_context: SessionContext,
    trying: u32,
    caught: Vec<SqlError>,
    row_count: i64,
    /// The last failure was of a translation: as if its batch had not compiled.
    untranslated: bool,
    /// The last failure was a trigger's: its transaction is lost.
    failed_in_trigger: bool,
    /// It changes whether the database is read-only, which a read-only one allows.
    opens_database: bool,
    last_error: u32,
    batches: HashMap<String, Arc<Batch>>,
    /// The text whose statements run; none within a trigger.
    text: Option<Arc<str>>,
    plans: HashMap<u64, (u64, Arc<Plan>)>,
    prepared: HashMap<i32, Arc<str>>,
    next_prepared: i32,
    procedures: HashMap<String, Arc<CreateProcedure>>,
    /// OPENJSON's temporary tables that exist, and those that hold rows of this call.
    json_tables: HashSet<String>,
    json_filled: HashSet<String>,
    json: Option<(String, Arc<serde_json::Value>)>,
    interrupt: Arc<Interrupt>,
    bulk: Option<BulkTarget>,
}

/// What SET changes; a call's changes end with it.
#[derive(Clone, Debug)]
struct Settings {
    no_count: bool,
    xact_abort: bool,
    /// -1 waits for ever.
    lock_timeout_ms: i64,
    level: Level,
    implicit_transactions: bool,
    format_only: bool,
    identity_insert: Option<i32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            no_count: false,
            xact_abort: false,
            lock_timeout_ms: -1,
            level: Level::ReadCommitted,
            implicit_transactions: false,
            format_only: false,
            identity_insert: None,
        }
    }
}

/// Reaches a running call from another thread.
struct Interrupt {
    running: AtomicBool,
    cancelled: AtomicBool,
    sqlite: Mutex<InterruptHandle>,
}

impl EngineSession {
    pub(super) fn new(
        engine: Arc<Engine>,
        connection: Connection,
        id: u32,
        user: &str,
        is_owner: bool,
        application: &str,
    ) -> Result<EngineSession, SqlError> {
        let running =
            Arc::new(Running::new(id, engine.counters.clone(), engine.env.random.clone()));
        functions::register(&connection, &running)
            .map_err(|error| EngineError::File(error).into_sql())?;
        let interrupt = Arc::new(Interrupt {
            running: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            sqlite: Mutex::new(connection.get_interrupt_handle()),
        });
        Ok(EngineSession {
            catalogue: engine.catalogue(),
            engine,
            connection,
            running,
            id,
            user: user.to_string(),
            is_owner,
            application: application.to_string(),
            redefining: false,
            temporary: Temporary::default(),
            settings: Settings::default(),
            transaction: Transaction::default(),
            frame: Frame::default(),
            depth: 0,
            inside: None,
            trigger_level: 0,
            captures: Captures::default(),
            session_context: SessionContext::default(),
            trying: 0,
            caught: Vec::new(),
            row_count: 0,
            untranslated: false,
            failed_in_trigger: false,
            opens_database: false,
            last_error: 0,
            batches: HashMap::new(),
            text: None,
            plans: HashMap::new(),
            prepared: HashMap::new(),
            next_prepared: 1,
            procedures: HashMap::new(),
            json_tables: HashSet::new(),
            json_filled: HashSet::new(),
            json: None,
            interrupt,
            bulk: None,
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn set_bulk(&mut self, target: Option<BulkTarget>) {
        self.bulk = target;
    }

    pub(super) fn take_bulk(&mut self) -> Option<BulkTarget> {
        self.bulk.take()
    }

    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            catalogue: &self.catalogue,
            temporary: &self.temporary,
            variables: &self.frame.types,
            identity_insert: self.settings.identity_insert,
            user: &self.user,
            // Objects of one owner: a trigger's body is asked for no rights (ownership chaining).
            is_owner: self.is_owner || self.inside.is_some(),
            inside: self.inside.as_deref(),
            session_context: &self.session_context,
        }
    }

    /// SQLite's plans of everything translated so far, each with its statement.
    #[cfg(test)]
    pub(super) fn explained(&self) -> Vec<(String, String)> {
        let one = |(_, plan): &(u64, Arc<Plan>)| {
            let mut statement = self
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", plan.sql))
                .expect("a statement");
            let mut rows = statement.raw_query();
            let mut lines = Vec::new();
            while let Some(row) = rows.next().expect("a line of the plan") {
                lines.push(row.get::<_, String>(3).expect("its text"));
            }
            (plan.sql.clone(), lines.join("\n"))
        };
        self.plans.values().map(one).collect()
    }

    fn parsed(&mut self, sql: &str) -> Result<Arc<Batch>, SqlError> {
        if let Some(batch) = self.batches.get(sql) {
            return Ok(batch.clone());
        }
        let batch = Arc::new(parse::batch(sql)?);
        if self.batches.len() >= BATCHES_KEPT {
            self.batches.clear();
            self.plans.clear();
        }
        if sql.len() <= REMEMBERED_BYTES_MAX {
            self.batches.insert(sql.to_string(), batch.clone());
        }
        Ok(batch)
    }

    /// Runs one call of the client: nothing of it is left over but what T-SQL leaves (settings of a batch, the
    /// transaction, temporary tables of a batch).
    fn call<T>(
        &mut self,
        out: &mut Answers<'_>,
        work: impl FnOnce(&mut Self, &mut Answers<'_>) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.interrupt.running.store(true, Ordering::Relaxed);
        let answer = work(self, out);
        let answer = self.end_of_call(answer, out);
        self.interrupt.running.store(false, Ordering::Relaxed);
        self.interrupt.cancelled.store(false, Ordering::Relaxed);
        self.trying = 0;
        self.caught.clear();
        self.forget_json();
        answer
    }

    /// A transaction that can no longer commit does not outlive the call that doomed it (3998).
    fn end_of_call<T>(
        &mut self,
        answer: Result<T, SqlError>,
        out: &mut Answers<'_>,
    ) -> Result<T, SqlError> {
        if !(self.transaction.count > 0 && self.transaction.doomed) {
            return answer;
        }
        self.roll_back_all(out);
        answer.and_then(|_| Err(refusal::doomed_at_the_end()))
    }

    /// `sp_executesql`: variables, settings and temporary tables of its own.
    fn execute_text(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        self.execute_returning(sql, parameters, &[], out).map(|(status, _)| status)
    }

    /// The same, with what some of its variables hold at the end.
    fn execute_returning(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        wanted: &[String],
        out: &mut Answers<'_>,
    ) -> Result<(i32, Vec<Cell>), SqlError> {
        let batch = self.parsed(sql)?;
        self.execute_batch_returning(&batch, parameters, wanted, out)
    }

    /// What is called has variables, settings and temporary tables of its own.
    fn execute_batch_returning(
        &mut self,
        batch: &Batch,
        parameters: &[Parameter],
        wanted: &[String],
        out: &mut Answers<'_>,
    ) -> Result<(i32, Vec<Cell>), SqlError> {
        if self.depth >= NESTING_MAX {
            return Err(refusal::nested_too_deeply());
        }
        let frame = Frame::of(parameters)?;
        let outer = std::mem::replace(&mut self.frame, frame);
        let settings = self.settings.clone();
        let before = self.transaction.count;
        // Text of its own sees neither the rows of a trigger around it nor its owner's rights.
        let inside = self.inside.take();
        self.depth += 1;
        let answer = self.run_batch(batch, out);
        self.depth -= 1;
        self.inside = inside;
        let xact_abort = self.settings.xact_abort;
        let inner = std::mem::replace(&mut self.frame, outer);
        if self.settings.identity_insert != settings.identity_insert {
            // What was translated under the other setting no longer holds.
            self.plans.clear();
        }
        self.settings = settings;
        self.drop_temporaries_of_ended_calls();
        let after = self.transaction.count;
        if answer.is_ok() && before != after && !xact_abort {
            let error = refusal::unbalanced(before, after);
            let _told = out(Answer::Error(error));
        }
        answer.map(|status| (status, wanted.iter().map(|name| inner.get(name)).collect()))
    }

    fn run_batch(&mut self, batch: &Batch, out: &mut Answers<'_>) -> Result<i32, SqlError> {
        let outer = self.text.replace(batch.text.clone());
        let answer = self.run_all(&batch.statements, out);
        self.text = outer;
        match answer? {
            run::Step::Return(status) => Ok(status),
            _ => Ok(0),
        }
    }
}

/// A table's identity counter as the file has it.
pub(super) fn count_identity(
    connection: &Connection,
    counters: &Counters,
    table: &Relation,
) -> Result<(), EngineError> {
    let Some(identity) = table.identity().and_then(|at| table.fields[at].identity) else {
        return Ok(());
    };
    let last: Option<i64> = connection
        .query_row("SELECT last FROM tsql_identity WHERE table_id = ?1", [table.id], |row| {
            row.get(0)
        })
        .optional()?;
    counters.set_identity(table.id, last.unwrap_or(identity.seed - identity.step), identity.step);
    Ok(())
}

impl SqlSession for EngineSession {
    fn database(&self) -> String {
        self.catalogue.database.clone()
    }

    fn batch(&mut self, sql: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.ordered_text(sql, out)?;
        self.call(out, |session, out| {
            let batch = session.parsed(sql)?;
            session.frame = Frame::default();
            session.run_batch(&batch, out).map(|_| ())
        })
    }

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        self.ordered_text(sql, out)?;
        self.call(out, |session, out| session.execute_text(sql, parameters, out).map(|_| ()))
    }

    fn execute_with_outputs(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<Vec<Value>, SqlError> {
        self.ordered_text(sql, out)?;
        let names: Vec<String> = parameters.iter().map(|one| named(&one.name)).collect();
        let (_, cells) =
            self.call(out, |session, out| session.execute_returning(sql, parameters, &names, out))?;
        let value = |(one, cell): (&Parameter, &Cell)| values::decode(cell.into(), one.of);
        parameters.iter().zip(&cells).map(value).collect()
    }

    fn prepare(&mut self, sql: &str, declarations: &str) -> Result<i32, SqlError> {
        parse::declarations(declarations)?;
        self.parsed(sql)?;
        if self.prepared.len() >= PREPARED_MAX {
            return Err(refusal::unsupported("so many prepared statements"));
        }
        let id = self.next_prepared;
        self.next_prepared += 1;
        self.prepared.insert(id, Arc::from(sql));
        Ok(id)
    }

    fn execute_prepared(
        &mut self,
        id: i32,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let Some(sql) = self.prepared.get(&id).cloned() else {
            return Err(SqlError::new(
                8179,
                format!("Could not find prepared statement with handle {id}."),
            ));
        };
        self.execute(&sql, parameters, out)
    }

    fn unprepare(&mut self, id: i32) -> Result<(), SqlError> {
        match self.prepared.remove(&id) {
            Some(_) => Ok(()),
            None => Err(SqlError::new(
                8179,
                format!("Could not find prepared statement with handle {id}."),
            )),
        }
    }

    fn procedure(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        self.ordered_call(name, out)?;
        if let Some(called) = self.procedures.get(&fold(name)).cloned() {
            self.ordered_batch(&called.body, out)?;
        }
        self.call(out, |session, out| session.call_procedure(name, parameters, out))
    }

    fn begin(&mut self, isolation: Isolation, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.call(out, |session, out| {
            session.settings.level = match isolation {
                Isolation::Unspecified => session.settings.level,
                Isolation::ReadUncommitted => Level::ReadUncommitted,
                Isolation::ReadCommitted => Level::ReadCommitted,
                Isolation::RepeatableRead => Level::RepeatableRead,
                Isolation::Serializable => Level::Serializable,
                Isolation::Snapshot => Level::Snapshot,
            };
            session.begin_transaction(out);
            Ok(())
        })
    }

    fn commit(&mut self, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.ordered_call("COMMIT", out)?;
        self.call(out, |session, out| session.commit_transaction(out))
    }

    fn rollback(&mut self, savepoint: Option<&str>, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.call(out, |session, out| session.roll_back(savepoint, out))
    }

    fn save(&mut self, savepoint: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.call(out, |session, _| session.save_point(savepoint))
    }

    fn bulk_target(&mut self, insert_bulk_statement: &str) -> Result<Vec<ResultColumn>, SqlError> {
        self.begin_bulk(insert_bulk_statement)
    }

    fn bulk_rows(&mut self, rows: Vec<Vec<Value>>) -> Result<u64, SqlError> {
        self.interrupt.running.store(true, Ordering::Relaxed);
        let answer = self.insert_bulk_rows(rows);
        self.interrupt.running.store(false, Ordering::Relaxed);
        self.interrupt.cancelled.store(false, Ordering::Relaxed);
        answer
    }

    fn interrupter(&self) -> Arc<dyn Fn() + Send + Sync> {
        let (interrupt, engine) = (self.interrupt.clone(), self.engine.clone());
        Arc::new(move || {
            if interrupt.running.load(Ordering::Relaxed) {
                interrupt.cancelled.store(true, Ordering::Relaxed);
                locked(&interrupt.sqlite).interrupt();
                engine.locks.wake();
            }
        })
    }

    fn reset(&mut self) {
        self.roll_back_all(&mut |_| crate::answer::Flow::Continue);
        self.engine.locks.release_all(self.id, |_| true);
        self.settings = Settings::default();
        self.session_context = SessionContext::default();
        self.drop_all_temporaries();
        self.frame = Frame::default();
        (self.row_count, self.last_error) = (0, 0);
        self.bulk = None;
        self.prepared.clear();
        self.procedures.clear();
    }
}

impl Drop for EngineSession {
    fn drop(&mut self) {
        self.roll_back_all(&mut |_| crate::answer::Flow::Continue);
        self.engine.locks.release_all(self.id, |_| true);
        self.engine.open_sessions.fetch_sub(1, Ordering::Relaxed);
    }
}
