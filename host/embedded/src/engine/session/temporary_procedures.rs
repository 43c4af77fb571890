//! Procedures of one session: `CREATE PROCEDURE #name … AS …`, called by name until the session ends.

use super::EngineSession;
use super::frame::{bound, named};
use crate::answer::{Answers, Parameter, SqlError};
use crate::engine::catalogue::fold;
use crate::engine::refusal;
use crate::engine::syntax::{CreateProcedure, ObjectName};
use std::sync::Arc;

/// Procedures of one session.
const PROCEDURES_MAX: usize = 1_024;

impl EngineSession {
    pub(super) fn create_procedure(
        &mut self,
        given: &Arc<CreateProcedure>,
    ) -> Result<(), SqlError> {
        if self.transaction.open().is_some() {
            return Err(refusal::unsupported("a procedure that is made within a transaction"));
        }
        let name = fold(&given.name.name);
        if self.procedures.contains_key(&name) {
            return Err(refusal::object_exists(&given.name.name));
        }
        if self.procedures.len() >= PROCEDURES_MAX {
            return Err(refusal::unsupported("so many procedures of a session"));
        }
        self.procedures.insert(name, given.clone());
        Ok(())
    }

    pub(super) fn drop_procedure(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        match self.procedures.remove(&fold(&name.name)) {
            None if !if_exists => Err(refusal::no_procedure("drop", &name.name)),
            _ => Ok(()),
        }
    }

    pub(super) fn call_temporary(
        &mut self,
        name: &str,
        given: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        let Some(called) = self.procedures.get(&fold(name)).cloned() else {
            return Err(refusal::unknown_procedure(name));
        };
        if given.len() > called.parameters.len() {
            let message = format!("Procedure or function {name} has too many arguments specified.");
            return Err(SqlError::new(8144, message));
        }
        let is_known = |one: &&Parameter| {
            one.name.is_empty()
                || called.parameters.iter().any(|declared| declared.name == named(&one.name))
        };
        if let Some(foreign) = given.iter().find(|one| !is_known(one)) {
            let message = format!("{} is not a parameter for procedure {name}.", foreign.name);
            return Err(SqlError::new(8145, message));
        }
        let missing = |parameter: &str| {
            let message = format!(
                "Procedure or function '{name}' expects parameter '{parameter}', which was not supplied."
            );
            SqlError::new(201, message).with_severity(16)
        };
        let bound = bound(&called.parameters, given, missing)?;
        self.execute_batch_returning(&called.body, &bound, &[], out).map(|(status, _)| status)
    }
}
