//! One request of a client, carried out on the engine's thread.
//!
//! * `sp_executesql`, `sp_prepare`, `sp_execute`, `sp_prepexec` and `sp_unprepare` are done here, by number or name;
//!   cursors are refused; every other name goes to the engine.

use crate::answer::{Parameter, ResultColumn, SqlError, SqlSession};
use crate::declaration::{Declared, bind, outputs, parse};
use crate::fault::ServerError;
use crate::gate::Living;
use crate::reply::{CallEnd, Reply};
use crate::wire::packet::Kind;
use crate::wire::rpc::{
    Argument, Call, Procedure, TransactionRequest, read_batch, read_call, read_transaction,
};
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_core::limits::TDS_PREPARED_MAX;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// A logged-in session with what the wire remembers of it. It travels to the engine's thread and back.
pub struct Seat {
    pub session: Box<dyn SqlSession>,
    prepared: HashMap<i32, Vec<Declared>>,
    /// An `INSERT BULK` was accepted: its rows come next.
    pub bulk: Option<Vec<ResultColumn>>,
    /// The connection counts until its session is gone: this goes last.
    _living: Arc<Living>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Batch(String),
    Call(Call),
    Transaction(TransactionRequest),
}

impl Request {
    pub fn read(kind: Kind, body: &[u8]) -> Result<Request, ServerError> {
        match kind {
            Kind::Batch => read_batch(body).map(Request::Batch),
            Kind::Rpc => read_call(body).map(Request::Call),
            Kind::Transaction => read_transaction(body).map(Request::Transaction),
            other => Err(ServerError::Unsupported { what: format!("a message of type {other}") }),
        }
    }
}

impl Seat {
    pub fn new(session: Box<dyn SqlSession>, living: Arc<Living>) -> Seat {
        Seat { session, prepared: HashMap::new(), bulk: None, _living: living }
    }

    pub fn reset(&mut self) {
        self.session.reset();
        self.prepared.clear();
        self.bulk = None;
    }

    /// Carries a request out; answers what a call answers besides its results.
    pub fn run(
        &mut self,
        request: Request,
        reply: &mut Reply,
    ) -> Result<Option<CallEnd>, SqlError> {
        self.bulk = None;
        match request {
            Request::Batch(sql) if is_insert_bulk(&sql) => {
                self.bulk = Some(self.session.bulk_target(&sql)?);
                Ok(None)
            }
            Request::Batch(sql) => {
                self.session.batch(&sql, &mut |answer| reply.take(answer)).map(|()| None)
            }
            Request::Transaction(request) => self.transaction(request, reply).map(|()| None),
            Request::Call(call) => {
                reply.in_call();
                self.call(call, reply).map(Some)
            }
        }
    }

    fn transaction(
        &mut self,
        request: TransactionRequest,
        reply: &mut Reply,
    ) -> Result<(), SqlError> {
        let out = &mut |answer| reply.take(answer);
        let then = match request {
            TransactionRequest::Begin(isolation) => return self.session.begin(isolation, out),
            TransactionRequest::Save(name) => return self.session.save(&name, out),
            TransactionRequest::Commit { then } => {
                self.session.commit(out)?;
                then
            }
            TransactionRequest::Rollback { savepoint, then } => {
                let savepoint = Some(savepoint.as_str()).filter(|name| !name.is_empty());
                self.session.rollback(savepoint, out)?;
                then
            }
        };
        then.map_or(Ok(()), |isolation| self.session.begin(isolation, out))
    }

    fn call(&mut self, call: Call, reply: &mut Reply) -> Result<CallEnd, SqlError> {
        let arguments = call.arguments;
        match known(&call.procedure) {
            Known::ExecuteSql => self.execute_sql(arguments, reply),
            Known::Prepare => self.prepare(arguments),
            Known::Execute => self.execute(arguments, reply),
            Known::PrepareAndExecute => self.prepare_and_execute(arguments, reply),
            Known::Unprepare => self.unprepare(arguments),
            Known::Reset => {
                self.reset();
                reply.put_reset();
                Ok(CallEnd::default())
            }
            Known::Refused(name) => Err(no_procedure(&name)),
            Known::Engine(name) => self.procedure(&name, arguments, reply),
        }
    }

    fn execute_sql(
        &mut self,
        mut arguments: Vec<Argument>,
        reply: &mut Reply,
    ) -> Result<CallEnd, SqlError> {
        let values = arguments.split_off(arguments.len().min(2));
        let sql = text(arguments.first(), "statement")?;
        let declared = match arguments.get(1) {
            None => Vec::new(),
            Some(argument) if argument.value.is_null() => Vec::new(),
            Some(_) => parse(&text(arguments.get(1), "declarations")?)?,
        };
        let wanted = outputs(&declared, &values)?;
        let parameters = bind(&declared, values)?;
        let out = &mut |answer| reply.take(answer);
        if wanted.is_empty() {
            self.session.execute(&sql, &parameters, out)?;
            return Ok(CallEnd::default());
        }
        let left = self.session.execute_with_outputs(&sql, &parameters, out)?;
        let outputs = wanted.into_iter().filter_map(|(position, at)| {
            let Parameter { name, of, .. } = parameters.get(at)?.clone();
            // The statement and its declarations come before the parameters.
            Some(((position + 2) as u16, Parameter { name, of, value: left.get(at)?.clone() }))
        });
        Ok(CallEnd { status: 0, outputs: outputs.collect() })
    }

    fn prepare(&mut self, arguments: Vec<Argument>) -> Result<CallEnd, SqlError> {
        let number = self.prepare_statement(&arguments)?;
        Ok(with_number(&arguments, number))
    }

    fn execute(
        &mut self,
        mut arguments: Vec<Argument>,
        reply: &mut Reply,
    ) -> Result<CallEnd, SqlError> {
        let values = arguments.split_off(arguments.len().min(1));
        let number = statement_number(arguments.first())?;
        self.execute_statement(number, values, reply)?;
        Ok(CallEnd::default())
    }

    fn prepare_and_execute(
        &mut self,
        mut arguments: Vec<Argument>,
        reply: &mut Reply,
    ) -> Result<CallEnd, SqlError> {
        let values = arguments.split_off(arguments.len().min(3));
        let number = self.prepare_statement(&arguments)?;
        self.execute_statement(number, values, reply)?;
        Ok(with_number(&arguments, number))
    }

    /// Arguments: number (out), declarations, statement.
    fn prepare_statement(&mut self, arguments: &[Argument]) -> Result<i32, SqlError> {
        if self.prepared.len() >= TDS_PREPARED_MAX {
            let message = format!("A connection holds at most {TDS_PREPARED_MAX} statements.");
            return Err(SqlError::new(8_180, message));
        }
        let declarations = match arguments.get(1) {
            Some(argument) if !argument.value.is_null() => text(Some(argument), "declarations")?,
            _ => String::new(),
        };
        let declared = parse(&declarations)?;
        let number = self.session.prepare(&text(arguments.get(2), "statement")?, &declarations)?;
        self.prepared.insert(number, declared);
        Ok(number)
    }

    fn execute_statement(
        &mut self,
        number: i32,
        values: Vec<Argument>,
        reply: &mut Reply,
    ) -> Result<(), SqlError> {
        let declared = self.prepared.get(&number).ok_or_else(|| no_statement(number))?;
        if !outputs(declared, &values)?.is_empty() {
            let message = "Output parameters of a prepared statement are not supported.";
            return Err(SqlError::new(40_517, message));
        }
        let parameters = bind(declared, values)?;
        self.session.execute_prepared(number, &parameters, &mut |answer| reply.take(answer))
    }

    fn unprepare(&mut self, arguments: Vec<Argument>) -> Result<CallEnd, SqlError> {
        let number = statement_number(arguments.first())?;
        self.prepared.remove(&number).ok_or_else(|| no_statement(number))?;
        self.session.unprepare(number)?;
        Ok(CallEnd::default())
    }

    fn procedure(
        &mut self,
        name: &str,
        arguments: Vec<Argument>,
        reply: &mut Reply,
    ) -> Result<CallEnd, SqlError> {
        if let Some(output) = arguments.iter().find(|argument| argument.output) {
            let message =
                format!("Output parameter '{}' of '{name}' is not supported.", output.name);
            return Err(SqlError::new(40_517, message));
        }
        let parameters: Vec<Parameter> = arguments.into_iter().map(parameter).collect();
        let out = &mut |answer| reply.take(answer);
        let status = self.session.procedure(name, &parameters, out)?;
        Ok(CallEnd { status, outputs: Vec::new() })
    }
}

/// Bulk clients send this statement alone, ahead of the rows.
fn is_insert_bulk(sql: &str) -> bool {
    let mut words = sql.split_whitespace();
    let mut next_is = |word: &str| words.next().is_some_and(|w| w.eq_ignore_ascii_case(word));
    next_is("insert") && next_is("bulk")
}

enum Known {
    ExecuteSql,
    Prepare,
    Execute,
    PrepareAndExecute,
    Unprepare,
    Reset,
    Refused(String),
    Engine(String),
}

/// The numbers of 2.2.6.6; 1 to 9 are cursors.
fn known(procedure: &Procedure) -> Known {
    let name = match procedure {
        Procedure::Numbered(10) => "sp_executesql",
        Procedure::Numbered(11) => "sp_prepare",
        Procedure::Numbered(12) => "sp_execute",
        Procedure::Numbered(13) => "sp_prepexec",
        Procedure::Numbered(15) => "sp_unprepare",
        Procedure::Numbered(number) => return Known::Refused(format!("number {number}")),
        Procedure::Named(name) => name.as_str(),
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    let bare = last.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    match bare.as_str() {
        "sp_executesql" => Known::ExecuteSql,
        "sp_prepare" => Known::Prepare,
        "sp_execute" => Known::Execute,
        "sp_prepexec" => Known::PrepareAndExecute,
        "sp_unprepare" => Known::Unprepare,
        "sp_reset_connection" => Known::Reset,
        _ if bare.starts_with("sp_cursor") || bare == "sp_prepexecrpc" => {
            Known::Refused(name.to_string())
        }
        _ => Known::Engine(name.to_string()),
    }
}

fn no_procedure(name: &str) -> SqlError {
    SqlError::new(2_812, format!("Could not find stored procedure '{name}'."))
}

fn no_statement(number: i32) -> SqlError {
    SqlError::new(8_179, format!("Could not find prepared statement with handle {number}."))
}

fn text(argument: Option<&Argument>, what: &str) -> Result<String, SqlError> {
    match argument.map(|argument| &argument.value) {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(SqlError::new(
            214,
            format!("Procedure expects parameter '@{what}' of type 'ntext'."),
        )),
    }
}

fn statement_number(argument: Option<&Argument>) -> Result<i32, SqlError> {
    match argument.map(|argument| &argument.value) {
        Some(Value::Int(number)) => i32::try_from(*number).map_err(|_| no_statement(-1)),
        _ => Err(SqlError::new(214, "Procedure expects parameter '@handle' of type 'int'.")),
    }
}

fn with_number(arguments: &[Argument], number: i32) -> CallEnd {
    let name = arguments.first().map_or(String::new(), |argument| argument.name.clone());
    let value = Value::Int(i64::from(number));
    CallEnd { status: 0, outputs: vec![(0, Parameter { name, of: SqlType::Int, value })] }
}

/// An argument of an engine's procedure; NULL of no type passes for text, which converts to anything.
fn parameter(argument: Argument) -> Parameter {
    let of = argument.of.unwrap_or(SqlType::NVarChar { length: Some(4_000) });
    Parameter { name: argument.name, of, value: argument.value }
}
