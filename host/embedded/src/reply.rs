//! An answer on its way from the engine to the socket: tokens, packets, chunks.
//!
//! * Lives on the engine's thread. A full chunk goes through a short queue; when the client reads slowly the queue
//!   fills and the engine waits, so an answer of any length takes a few chunks of memory.
//! * A DONE is held back until it is known whether more follows.
//! * When the client cancels, the answer ends at a row's border with a DONE that says "failed"; the acknowledgement
//!   is a message of its own, as SQL Server sends it.

use crate::answer::{Answer, Flow, Parameter, ResultColumn, SqlError};
use crate::trouble::Faults;
use crate::wire::packet::Framer;
use crate::wire::tokens::{self, Done, DoneOf, Environment};
use crate::wire::value_out::put_value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_core::fit::Misfit;
use tillhold_core::limits::TDS_CHUNK_BYTES;
use tillhold_env::Env;
use tokio::sync::mpsc;

/// What a reply needs to know of its connection.
#[derive(Clone)]
pub struct ReplyTo {
    pub env: Env,
    pub server: Arc<str>,
    pub packet_bytes: usize,
    pub session: u16,
    /// Set by the connection when the client cancels or is gone.
    pub cancelled: Arc<AtomicBool>,
    pub faults: Arc<Faults>,
}

/// What a call answers besides its results.
#[derive(Debug, Default)]
pub struct CallEnd {
    pub status: i32,
    /// Output parameters with their places in the call.
    pub outputs: Vec<(u16, Parameter)>,
}

pub struct Reply {
    to: ReplyTo,
    chunks: mpsc::Sender<Vec<u8>>,
    framer: Framer,
    payload: Vec<u8>,
    framed: Vec<u8>,
    statement: DoneOf,
    held: Option<Done>,
    columns: Vec<ResultColumn>,
    selecting: bool,
    failed: bool,
    /// The engine gave a value that its own column cannot hold.
    misfit: Option<SqlError>,
    gone: bool,
    drops: bool,
    rows: u64,
    transaction_open: bool,
    database: String,
}

impl Reply {
    pub fn new(
        to: ReplyTo,
        chunks: mpsc::Sender<Vec<u8>>,
        transaction_open: bool,
        database: String,
    ) -> Reply {
        Reply {
            framer: Framer::new(to.packet_bytes, to.session),
            to,
            chunks,
            payload: Vec::with_capacity(TDS_CHUNK_BYTES + 4_096),
            framed: Vec::new(),
            statement: DoneOf::Batch,
            held: None,
            columns: Vec::new(),
            selecting: false,
            failed: false,
            misfit: None,
            gone: false,
            drops: false,
            rows: 0,
            transaction_open,
            database,
        }
    }

    /// From here on statements are those of a call.
    pub fn in_call(&mut self) {
        self.statement = DoneOf::InProcedure;
    }

    pub fn transaction_open(&self) -> bool {
        self.transaction_open
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// The receiver of the engine's answers.
    pub fn take(&mut self, answer: Answer) -> Flow {
        if self.is_over() {
            return self.take_unheard(&answer);
        }
        self.release_done();
        match answer {
            Answer::Row(row) => self.put_row(&row),
            Answer::Columns(columns) => {
                tokens::put_columns(&mut self.payload, &columns);
                self.columns = columns;
                self.selecting = true;
                self.rows = 0;
            }
            Answer::Done { rows } => self.hold_done(rows),
            Answer::Info { number, message } => {
                tokens::put_info(&mut self.payload, &self.to.server, number, 1, &message);
            }
            Answer::Error(error) => self.put_error(&error),
            Answer::DatabaseChanged(name) => self.change_database(name),
            Answer::TransactionBegun(_)
            | Answer::TransactionCommitted(_)
            | Answer::TransactionRolledBack(_) => self.put_transaction(&answer),
        }
        self.send_full();
        // Whether it is over now, the next answer will be told.
        Flow::Continue
    }

    /// The message that the client asked a reset with is about to be answered.
    pub fn put_reset(&mut self) {
        Environment::Reset.put(&mut self.payload);
        self.transaction_open = false;
    }

    fn is_over(&self) -> bool {
        self.gone
            || self.drops
            || self.misfit.is_some()
            || self.to.cancelled.load(Ordering::Acquire)
    }

    /// Nothing is sent any more, but the state of the transaction is still followed. After an injected drop the
    /// engine works on to its end: that is the fault's point.
    fn take_unheard(&mut self, answer: &Answer) -> Flow {
        match answer {
            Answer::TransactionBegun(_) => self.transaction_open = true,
            Answer::TransactionCommitted(_) | Answer::TransactionRolledBack(_) => {
                self.transaction_open = false;
            }
            _ => {}
        }
        if self.drops { Flow::Continue } else { Flow::Stop }
    }

    fn put_row(&mut self, row: &[tillhold_core::value::Value]) {
        let start = self.payload.len();
        let written = put_row(&mut self.payload, &self.columns, row);
        if let Err((column, misfit)) = written {
            self.payload.truncate(start);
            let message = format!("The engine gave column '{column}' a wrong value: {misfit}.");
            self.misfit = Some(SqlError::new(8630, message));
            return;
        }
        if self.to.faults.half_row(self.rows) {
            let half = start + (self.payload.len() - start) / 2;
            self.payload.truncate(half);
            self.framer.leave_open(&mut self.payload, &mut self.framed);
            self.send();
            self.drops = true;
        }
        self.rows += 1;
    }

    fn put_error(&mut self, error: &SqlError) {
        tokens::put_error(&mut self.payload, &self.to.server, error);
        self.failed = true;
    }

    fn change_database(&mut self, name: String) {
        Environment::Database { new: &name, old: &self.database }.put(&mut self.payload);
        let message = format!("Changed database context to '{name}'.");
        tokens::put_info(&mut self.payload, &self.to.server, 5701, 2, &message);
        self.database = name;
    }

    fn put_transaction(&mut self, answer: &Answer) {
        let change = match *answer {
            Answer::TransactionBegun(descriptor) => Environment::TransactionBegun(descriptor),
            Answer::TransactionCommitted(descriptor) => {
                if self.to.faults.commit() {
                    self.drops = true;
                }
                Environment::TransactionCommitted(descriptor)
            }
            Answer::TransactionRolledBack(descriptor) => {
                Environment::TransactionRolledBack(descriptor)
            }
            _ => return,
        };
        self.transaction_open = matches!(change, Environment::TransactionBegun(_));
        change.put(&mut self.payload);
    }

    fn hold_done(&mut self, rows: Option<u64>) {
        let (of_select, failed) = (self.selecting, self.failed);
        self.held = Some(Done { of_select, rows, failed, ..Done::new(self.statement) });
        self.selecting = false;
        self.failed = false;
    }

    fn release_done(&mut self) {
        if let Some(done) = self.held.take() {
            Done { more: true, ..done }.put(&mut self.payload);
        }
    }

    fn send_full(&mut self) {
        if self.payload.len() >= TDS_CHUNK_BYTES && !self.drops {
            self.framer.frame(&mut self.payload, &mut self.framed);
            self.send();
        }
    }

    /// Waits while the queue is full.
    fn send(&mut self) {
        let chunk = std::mem::take(&mut self.framed);
        let sent = self.to.env.wait(self.chunks.send(chunk), None);
        if !matches!(sent, Some(Ok(()))) {
            self.gone = true;
        }
    }

    /// Ends the message; answers whether an injected fault wants the connection dropped now.
    pub fn finish(mut self, result: Result<Option<CallEnd>, SqlError>) -> bool {
        if self.drops || self.gone {
            return self.drops;
        }
        match self.misfit.take().map_or(result, Err) {
            _ if self.to.cancelled.load(Ordering::Acquire) => self.put_failed(),
            Ok(end) => self.put_end(end),
            Err(error) => {
                self.release_done();
                self.put_error(&error);
                self.put_failed();
            }
        }
        self.framer.finish(&mut self.payload, &mut self.framed);
        self.send();
        false
    }

    fn put_failed(&mut self) {
        let of = match self.statement {
            DoneOf::Batch => DoneOf::Batch,
            DoneOf::InProcedure | DoneOf::Procedure => DoneOf::Procedure,
        };
        self.put_last(Done { failed: true, ..Done::new(of) });
    }

    fn put_end(&mut self, end: Option<CallEnd>) {
        let Some(end) = end else {
            let failed = self.failed;
            let last = self.held.take().unwrap_or(Done { failed, ..Done::new(DoneOf::Batch) });
            return last.put(&mut self.payload);
        };
        self.release_done();
        tokens::put_return_status(&mut self.payload, end.status);
        for (ordinal, parameter) in &end.outputs {
            // Handles that this crate makes itself, and values that the engine holds in this very type.
            let written = tokens::put_return_value(&mut self.payload, *ordinal, parameter);
            debug_assert!(written.is_ok(), "{} does not fit", parameter.name);
        }
        let failed = self.failed;
        self.put_last(Done { failed, ..Done::new(DoneOf::Procedure) });
    }

    fn put_last(&mut self, done: Done) {
        self.release_done();
        done.put(&mut self.payload);
    }
}

/// ROW: every value after the other; on refusal the column's name and why.
fn put_row(
    buffer: &mut Vec<u8>,
    columns: &[ResultColumn],
    row: &[tillhold_core::value::Value],
) -> Result<(), (String, Misfit)> {
    if row.len() != columns.len() {
        let reason = format!("a row of {} values under {} columns", row.len(), columns.len());
        return Err((String::new(), Misfit { reason }));
    }
    buffer.push(tokens::ROW);
    for (column, value) in columns.iter().zip(row) {
        put_value(buffer, column.of, column.nullable, value)
            .map_err(|misfit| (column.name.clone(), misfit))?;
    }
    Ok(())
}
