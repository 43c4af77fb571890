//! The variables of one batch or call.

use crate::answer::{Parameter, SqlError};
use crate::engine::refusal;
use crate::engine::syntax::Declared;
use crate::engine::values;
use rusqlite::types::Value as Cell;
use std::collections::HashMap;
use tillhold_core::types::SqlType;

#[derive(Debug, Default)]
pub struct Frame {
    /// By name with its `@`, in lower case.
    pub types: HashMap<String, SqlType>,
    /// As they are kept in SQLite; one that is missing is NULL.
    values: HashMap<String, Cell>,
}

impl Frame {
    /// The parameters of a call; a value that its type cannot hold is converted as T-SQL would.
    pub fn of(parameters: &[Parameter]) -> Result<Frame, SqlError> {
        let mut frame = Frame::default();
        for parameter in parameters {
            let name = named(&parameter.name);
            frame.declare(&name, parameter.of)?;
            let value = values::convert(
                parameter.value.clone(),
                parameter.of,
                parameter.of,
                values::NO_STYLE,
            )?;
            frame.set(&name, values::encode(value, parameter.of));
        }
        Ok(frame)
    }

    pub fn declare(&mut self, name: &str, of: SqlType) -> Result<(), SqlError> {
        if self.types.insert(name.to_string(), of).is_some() {
            return Err(refusal::declared_twice(name));
        }
        Ok(())
    }

    pub fn set(&mut self, name: &str, value: Cell) {
        self.values.insert(name.to_string(), value);
    }

    pub fn get(&self, name: &str) -> Cell {
        self.values.get(name).cloned().unwrap_or(Cell::Null)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Clients name parameters with and without the `@`.
pub fn named(name: &str) -> String {
    if name.starts_with('@') { name.to_lowercase() } else { format!("@{}", name.to_lowercase()) }
}

/// A value for each that is declared, by its name or its place.
pub(super) fn bound(
    declared: &[Declared],
    given: &[Parameter],
    missing: impl Fn(&str) -> SqlError,
) -> Result<Vec<Parameter>, SqlError> {
    let one = |(at, Declared { name, of, .. }): (usize, &Declared)| {
        let by_name = given
            .iter()
            .find(|parameter| !parameter.name.is_empty() && named(&parameter.name) == *name);
        let by_place = || given.get(at).filter(|parameter| parameter.name.is_empty());
        let parameter = by_name.or_else(by_place).ok_or_else(|| missing(name))?;
        let value = parameter.value.clone();
        let value = values::convert(value, parameter.of, *of, values::NO_STYLE)?;
        Ok(Parameter { name: name.clone(), of: *of, value })
    };
    declared.iter().enumerate().map(one).collect()
}
