//! The system procedures that the embedded channel has: `sp_executesql`, application locks, and change tracking's clean-up.

use super::EngineSession;
use super::frame::{bound, named};
use super::run::flow;
use crate::answer::{Answer, Answers, Parameter, ResultColumn, SqlError};
use crate::engine::access::object_name;
use crate::engine::catalogue::fold;
use crate::engine::locks::{Mode, Outcome, Resource};
use crate::engine::parse;
use crate::engine::refusal;
use crate::engine::syntax::{Argument, Declared, Execute, Expr};
use crate::engine::translate::Kept;
use crate::engine::values;
use crate::wire::codepage::COLLATION;
use rusqlite::types::{Value as Cell, ValueRef};
use std::time::Duration;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// sp_getapplock's resource names (SQL Server: nvarchar(255)).
const RESOURCE_CHARACTERS_MAX: usize = 255;
/// Keys of one session's context (SQL Server: 1 MB of them).
const SESSION_KEYS_MAX: usize = 256;

impl EngineSession {
    /// A procedure called by name from the wire.
    pub(super) fn call_procedure(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        self.refresh();
        let plain = name.rsplit('.').next().unwrap_or(name).trim_matches(['[', ']']);
        match fold(plain).as_str() {
            "sp_executesql" => self.call_execute_sql(parameters, out).map(|(status, _)| status),
            "sp_tablecollations_100" => self.table_collations(parameters, out),
            "sp_getapplock" => self.get_application_lock(parameters),
            "sp_releaseapplock" => self.release_application_lock(parameters),
            "sp_set_session_context" => self.set_session_context(parameters),
            "sp_flush_ct_internal_table_on_demand" => self.flush_tracking(parameters, out),
            folded if folded.starts_with('#') => self.call_temporary(plain, parameters, out),
            _ => Err(refusal::unknown_procedure(name)),
        }
    }

    /// `EXEC @rc = name @a = 1, N'b'`
    pub(super) fn execute_statement(
        &mut self,
        id: u64,
        execute: &Execute,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let parameters = self.arguments(id, &execute.arguments)?;
        let returns = execute.arguments.iter().any(|argument| argument.output);
        let status = if returns && fold(&execute.name.name) == "sp_executesql" {
            let (status, returned) = self.call_execute_sql(&parameters, out)?;
            self.take_back(&execute.arguments, &returned)?;
            status
        } else if returns {
            return Err(refusal::unsupported("an OUTPUT argument"));
        } else {
            self.call_procedure(&execute.name.name, &parameters, out)?
        };
        let Some(into) = &execute.into else { return Ok(()) };
        let of = *self.frame.types.get(into).ok_or_else(|| refusal::undeclared(into))?;
        let status =
            values::convert(Value::Int(i64::from(status)), SqlType::Int, of, values::NO_STYLE)?;
        self.frame.set(into, values::encode(status, of));
        Ok(())
    }

    /// `@a = @b OUTPUT`: what the text left in @a goes to @b.
    fn take_back(&mut self, given: &[Argument], returned: &[Returned]) -> Result<(), SqlError> {
        for (at, argument) in given.iter().enumerate().filter(|(_, argument)| argument.output) {
            let Expr::Variable(into) = &argument.value else {
                return Err(SqlError::new(
                    179,
                    "Cannot use the OUTPUT option when passing a constant to a stored procedure.",
                ));
            };
            let found = match &argument.name {
                Some(name) => returned.iter().find(|one| one.name == named(name)),
                None => at.checked_sub(2).and_then(|at| returned.get(at)),
            };
            let Some(found) = found.filter(|found| found.output) else {
                let name = argument.name.as_deref().unwrap_or(into);
                return Err(SqlError::new(
                    8162,
                    format!(
                        "The formal parameter \"{name}\" was not declared as an OUTPUT parameter, but the actual parameter passed \
                         in requested output."
                    ),
                ));
            };
            let of = *self.frame.types.get(into).ok_or_else(|| refusal::undeclared(into))?;
            let value = values::decode(ValueRef::from(&found.cell), found.of)?;
            let value = values::convert(value, found.of, of, values::NO_STYLE)?;
            self.frame.set(into, values::encode(value, of));
        }
        Ok(())
    }

    /// What a bulk loader asks of its target: the collation of each column as TDS names it, NULL where there is none.
    fn table_collations(
        &mut self,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        let given = text(parameters, 0, "@object").ok_or_else(|| refusal::syntax("@object"))?;
        let name = object_name(&given).ok_or_else(|| refusal::unknown_object(&given))?;
        let table = if name.is_temporary() {
            self.temporary.find(&name.name)?
        } else {
            self.catalogue.find(&name)?.clone()
        };
        let column = |name: &str, of| ResultColumn { name: name.to_string(), of, nullable: true };
        flow(out(Answer::Columns(vec![
            column("colid", SqlType::Int),
            column("name", SqlType::NVarChar { length: Some(128) }),
            column("tds_collation_28", SqlType::Binary { length: 5 }),
            column("tds_collation_100", SqlType::Binary { length: 5 }),
        ])))?;
        for field in &table.fields {
            let collation = match &field.collation {
                Some(_) => Value::Bytes(COLLATION.to_vec()),
                None => Value::Null,
            };
            let (id, name) = (i64::from(field.id), field.name.clone());
            let row = vec![Value::Int(id), Value::Text(name), collation.clone(), collation];
            flow(out(Answer::Row(row)))?;
        }
        flow(out(Answer::Done { rows: Some(table.fields.len() as u64) }))?;
        Ok(0)
    }

    fn arguments(&mut self, id: u64, given: &[Argument]) -> Result<Vec<Parameter>, SqlError> {
        let mut parameters = Vec::with_capacity(given.len());
        for (at, argument) in given.iter().enumerate() {
            let of = match &argument.value {
                Expr::Variable(name) if !name.starts_with("@@") => {
                    *self.frame.types.get(name).ok_or_else(|| refusal::undeclared(name))?
                }
                Expr::Number(text) if text.parse::<i64>().is_ok() => SqlType::BigInt,
                Expr::Unary(..) => SqlType::BigInt,
                Expr::Hex(_) => SqlType::VarBinary { length: None },
                _ => SqlType::NVarChar { length: None },
            };
            let cell = self.evaluate(id | (at as u64 + 1) << 48, &argument.value, of)?;
            let value = values::decode(ValueRef::from(&cell), of)?;
            parameters.push(Parameter {
                name: argument.name.clone().unwrap_or_default(),
                of,
                value,
            });
        }
        Ok(parameters)
    }

    /// `EXEC sp_executesql @stmt, N'@a int', @a = 1`
    fn call_execute_sql(
        &mut self,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(i32, Vec<Returned>), SqlError> {
        let sql = text(parameters, 0, "@stmt").ok_or_else(|| refusal::syntax("sp_executesql"))?;
        let declared = match text(parameters, 1, "@params") {
            Some(declarations) => parse::declarations(&declarations)?,
            None => Vec::new(),
        };
        let given = parameters.get(2..).unwrap_or_default();
        let missing = |name: &str| {
            let message = format!(
                "The parameterized query expects the parameter '{name}', which was not supplied."
            );
            SqlError::new(8178, message)
        };
        let bound = bound(&declared, given, missing)?;
        let names: Vec<String> = declared.iter().map(|declared| declared.name.clone()).collect();
        let (status, cells) = self.execute_returning(&sql, &bound, &names, out)?;
        let returned = declared.into_iter().zip(cells).map(|(declared, cell)| {
            let Declared { name, of, output } = declared;
            Returned { name, of, output, cell }
        });
        Ok((status, returned.collect()))
    }

    /// 0 granted, 1 granted after waiting, -1 time-out, -2 cancelled, -3 deadlock victim.
    fn get_application_lock(&mut self, parameters: &[Parameter]) -> Result<i32, SqlError> {
        let resource = application(parameters)?;
        let mode = match fold(&text(parameters, 1, "@lockmode").unwrap_or_default()).as_str() {
            "exclusive" | "update" => Mode::Exclusive,
            "shared" | "intentshared" => Mode::Shared,
            other => {
                return Err(SqlError::new(
                    15_625,
                    format!("Option '{other}' not recognized for '@LockMode' parameter."),
                ));
            }
        };
        let owner = text(parameters, 2, "@lockowner").unwrap_or_else(|| "transaction".to_string());
        if fold(&owner) != "transaction" {
            return Err(refusal::unsupported("an application lock that a session owns"));
        }
        if self.transaction.open().is_none() {
            return Err(SqlError::new(
                15_626,
                "You attempted to acquire a transactional application lock without an active transaction.",
            ));
        }
        let timeout = match number(parameters, 3, "@locktimeout") {
            Some(ms) => u64::try_from(ms).ok().map(Duration::from_millis),
            None => self.lock_timeout(),
        };
        let cancelled = &self.interrupt.cancelled;
        Ok(match self.engine.locks.acquire(self.id, resource, mode, timeout, cancelled) {
            Outcome::Granted => 0,
            Outcome::GrantedLater => 1,
            Outcome::TimedOut => -1,
            Outcome::Cancelled => -2,
            Outcome::Deadlock => -3,
        })
    }

    fn release_application_lock(&mut self, parameters: &[Parameter]) -> Result<i32, SqlError> {
        let resource = application(parameters)?;
        if self.engine.locks.release(self.id, &resource) {
            return Ok(0);
        }
        let message = "Cannot release the application lock because it is not currently held.";
        Err(SqlError::new(1223, message))
    }

    /// A key of SESSION_CONTEXT, for the rest of the session; what was set read-only stays.
    fn set_session_context(&mut self, parameters: &[Parameter]) -> Result<i32, SqlError> {
        let key = text(parameters, 0, "@key").ok_or_else(|| refusal::syntax("@key"))?;
        let value = find(parameters, 1, "@value").ok_or_else(|| refusal::syntax("@value"))?.clone();
        let read_only = matches!(
            find(parameters, 2, "@read_only").map(|parameter| &parameter.value),
            Some(Value::Int(1) | Value::Bool(true))
        );
        let values = &mut self.session_context.values;
        if values.get(&key).is_some_and(|kept| kept.read_only) {
            return Err(SqlError::new(
                15_664,
                format!(
                    "Cannot set key '{key}' in the session context. The key has been set as read_only for this session."
                ),
            ));
        }
        if !values.contains_key(&key) && values.len() >= SESSION_KEYS_MAX {
            return Err(refusal::unsupported("so many keys of the session context"));
        }
        // As sql_variant keeps it: no type without an end.
        let of = match value.of {
            SqlType::NVarChar { length: None } => SqlType::NVarChar { length: Some(4000) },
            SqlType::VarChar { length: None } => SqlType::VarChar { length: Some(8000) },
            SqlType::VarBinary { length: None } => SqlType::VarBinary { length: Some(8000) },
            other => other,
        };
        if value.value.is_null() && !read_only {
            values.remove(&key);
            return Ok(0);
        }
        let cell =
            values::encode(values::convert(value.value, value.of, of, values::NO_STYLE)?, of);
        self.session_context.values.insert(key, Kept { of, cell, read_only });
        Ok(0)
    }

    /// Forgets what is older than the retention, now; SQL Server's own says how many rows went.
    fn flush_tracking(
        &mut self,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        if !self.is_owner {
            return Err(refusal::no_permission());
        }
        let only = match text(parameters, 0, "@tabletoclean") {
            Some(name) => {
                let name = object_name(&name).ok_or_else(|| refusal::unknown_object(&name))?;
                Some(self.catalogue.find(&name)?.id)
            }
            None => None,
        };
        let gone = self.clean_up_tracking(only)?;
        flow(out(Answer::Info { number: 0, message: format!("Total rows deleted: {gone}.") }))?;
        Ok(0)
    }
}

/// A parameter of `sp_executesql` as its text left it.
struct Returned {
    name: String,
    of: SqlType,
    output: bool,
    cell: Cell,
}

fn application(parameters: &[Parameter]) -> Result<Resource, SqlError> {
    let name = text(parameters, 0, "@resource").ok_or_else(|| refusal::syntax("@Resource"))?;
    Ok(Resource::Application(name.chars().take(RESOURCE_CHARACTERS_MAX).collect()))
}

fn find<'p>(parameters: &'p [Parameter], at: usize, name: &str) -> Option<&'p Parameter> {
    let by_name = parameters
        .iter()
        .find(|parameter| !parameter.name.is_empty() && named(&parameter.name) == name);
    by_name.or_else(|| parameters.get(at).filter(|parameter| parameter.name.is_empty()))
}

fn text(parameters: &[Parameter], at: usize, name: &str) -> Option<String> {
    match &find(parameters, at, name)?.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(parameters: &[Parameter], at: usize, name: &str) -> Option<i64> {
    match find(parameters, at, name)?.value {
        Value::Int(number) => Some(number),
        _ => None,
    }
}
