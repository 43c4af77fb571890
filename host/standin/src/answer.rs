//! What the engine says to a statement, and how the wire sends it on: the border between T-SQL and TDS.

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
