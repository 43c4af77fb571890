//! Triggers and procedures: statements that are kept and run later.

use super::{Batch, ObjectName, Statement};
use std::sync::Arc;
use tillhold_core::types::SqlType;

/// Which changes of its table fire a trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    Create,
    Alter,
    CreateOrAlter,
}

#[derive(Clone, Debug)]
pub struct CreateTrigger {
    pub making: Making,
    pub name: ObjectName,
    pub table: ObjectName,
    pub events: Events,
    pub body: Arc<[Statement]>,
    /// The whole statement, as it is kept and shown.
    pub definition: String,
}

#[derive(Debug)]
pub struct CreateProcedure {
    pub name: ObjectName,
    pub parameters: Vec<Declared>,
    pub body: Batch,
}

/// A parameter of `sp_executesql` or of a procedure.
#[derive(Debug)]
pub struct Declared {
    pub name: String,
    pub of: SqlType,
    /// Its value goes back to who gives a variable for it.
    pub output: bool,
}
