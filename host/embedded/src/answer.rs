//! What the engine says to a statement, and how the wire sends it on: the border between T-SQL and TDS.

use std::sync::Arc;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// A parameter of `sp_executesql` or of a prepared handle, by name with its `@`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub of: SqlType,
    pub value: Value,
}

/// One column of a result set.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultColumn {
    /// Empty for an expression without an alias, as SQL Server sends it.
    pub name: String,
    pub of: SqlType,
    pub nullable: bool,
}

/// One step of an answer, in the order in which a client must see it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A result set begins.
    Columns(Vec<ResultColumn>),
    /// A row of it, in the columns' order and types.
    Row(Vec<Value>),
    /// A statement ended; with the number of rows it gave or changed, unless NOCOUNT is on.
    Done { rows: Option<u64> },
    /// PRINT and informational messages.
    Info { number: u32, message: String },
    /// A transaction began; the wire sends its descriptor to the client (ENVCHANGE 8).
    TransactionBegun(u64),
    /// ENVCHANGE 9.
    TransactionCommitted(u64),
    /// ENVCHANGE 10.
    TransactionRolledBack(u64),
    /// `USE database` (ENVCHANGE 1).
    DatabaseChanged(String),
    /// A statement failed and the batch goes on (no XACT_ABORT, no TRY): the client sees it among the results.
    Error(SqlError),
}

/// What a receiver of answers tells the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    Continue,
    /// The client cancelled or is gone: give up as soon as possible. What is returned afterwards is not sent.
    Stop,
}

/// Where an engine's answers go, one by one; it blocks while the client reads slowly.
pub type Answers<'a> = dyn FnMut(Answer) -> Flow + 'a;

/// The isolation level of a transaction that a client begins by request instead of by T-SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// The session's present level.
    Unspecified,
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
    Snapshot,
}

/// Whom the wire asks to let a client in.
pub trait SqlEngine: Send + Sync {
    /// Refuses with 18456 (user or password) or 4060 (database). An empty `database` is the login's default.
    fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
        application: &str,
    ) -> Result<Box<dyn SqlSession>, SqlError>;
}

impl<E: SqlEngine + ?Sized> SqlEngine for Arc<E> {
    fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
        application: &str,
    ) -> Result<Box<dyn SqlSession>, SqlError> {
        E::login(self, user, password, database, application)
    }
}

/// One logged-in client. Every call blocks, on a thread made for it, and one call runs at a time.
pub trait SqlSession: Send {
    /// The database that the session is in.
    fn database(&self) -> String;
    /// A batch of T-SQL text. `Err` is the error that ended it; what was answered before it stands.
    fn batch(&mut self, sql: &str, out: &mut Answers<'_>) -> Result<(), SqlError>;
    /// `sp_executesql`; the parameters have the names, order and types of its declaration.
    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError>;
    /// The same, and what the text left in each of its parameters. An engine need not have it.
    fn execute_with_outputs(
        &mut self,
        _sql: &str,
        _parameters: &[Parameter],
        _out: &mut Answers<'_>,
    ) -> Result<Vec<Value>, SqlError> {
        Err(SqlError::new(40_517, "Output parameters are not supported."))
    }
    fn prepare(&mut self, sql: &str, declarations: &str) -> Result<i32, SqlError>;
    fn execute_prepared(
        &mut self,
        id: i32,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError>;
    fn unprepare(&mut self, id: i32) -> Result<(), SqlError>;
    /// A procedure called by name; answers its return status.
    fn procedure(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError>;
    fn begin(&mut self, isolation: Isolation, out: &mut Answers<'_>) -> Result<(), SqlError>;
    fn commit(&mut self, out: &mut Answers<'_>) -> Result<(), SqlError>;
    /// The whole transaction, or back to a savepoint when one is named.
    fn rollback(&mut self, savepoint: Option<&str>, out: &mut Answers<'_>) -> Result<(), SqlError>;
    fn save(&mut self, savepoint: &str, out: &mut Answers<'_>) -> Result<(), SqlError>;
    /// The columns that an `INSERT BULK` statement names, in its order.
    fn bulk_target(&mut self, insert_bulk_statement: &str) -> Result<Vec<ResultColumn>, SqlError>;
    /// Rows for the last bulk target, in its columns' order and types; may be called again for more.
    fn bulk_rows(&mut self, rows: Vec<Vec<Value>>) -> Result<u64, SqlError>;
    /// Stops the running call from another thread; without effect when none runs.
    fn interrupter(&self) -> Arc<dyn Fn() + Send + Sync>;
    /// As after login: open transaction rolled back, settings and temporary tables gone.
    fn reset(&mut self);
}

/// A refusal, with SQL Server's own number, severity and state.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("Msg {number}, Level {severity}, State {state}, Line {line}: {message}")]
pub struct SqlError {
    pub number: u32,
    pub severity: u8,
    pub state: u8,
    pub line: u32,
    pub message: String,
}

impl SqlError {
    /// Severity 16: an error that the user can correct; the connection goes on.
    pub fn new(number: u32, message: impl Into<String>) -> SqlError {
        SqlError { number, severity: 16, state: 1, line: 1, message: message.into() }
    }

    pub fn with_severity(self, severity: u8) -> SqlError {
        SqlError { severity, ..self }
    }
}
