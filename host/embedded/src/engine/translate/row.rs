//! Expressions over one row of a table: what a computed column is, and what a CHECK demands.
//!
//! They live in SQLite's own definition of the table, so they may look at nothing but the row's columns.

use super::joins::visible_table;
use super::{Scope, SessionContext, Surroundings, Translated, Translator, Typed};
use crate::answer::SqlError;
use crate::engine::catalogue::{Catalogue, Relation, quote};
use crate::engine::refusal;
use crate::engine::syntax::Expr;
use crate::engine::temporary::Temporary;
use std::collections::HashMap;
use std::sync::Arc;

pub fn row_value(catalogue: &Catalogue, table: &Relation, value: &Expr) -> Translated<Typed> {
    over_row(catalogue, table, |translator, scope| translator.value(value, scope))
}

pub fn row_condition(catalogue: &Catalogue, table: &Relation, given: &Expr) -> Translated<String> {
    over_row(catalogue, table, |translator, scope| translator.predicate(given, scope))
}

fn over_row<'q, T>(
    catalogue: &Catalogue,
    table: &Relation,
    translate: impl FnOnce(&mut Translator<'_, 'q>, &Scope<'_>) -> Translated<T>,
) -> Translated<T> {
    let around = Surroundings {
        catalogue,
        temporary: &Temporary::default(),
        variables: &HashMap::new(),
        identity_insert: None,
        user: "",
        is_owner: true,
        inside: None,
        session_context: &SessionContext::default(),
    };
    let mut translator = Translator::new(&around, 0);
    let mut visible = visible_table(&Arc::new(table.clone()), None, String::new());
    for (column, field) in visible.columns.iter_mut().zip(&table.fields) {
        column.value.sql = quote(&field.name);
    }
    let mut scope = Scope::empty();
    scope.add(visible)?;
    let found = translate(&mut translator, &scope)?;
    if translator.saw_subquery {
        let message =
            "Subqueries are not allowed in this context. Only scalar expressions are allowed.";
        return Err(SqlError::new(1046, message).with_severity(15));
    }
    let only_the_row = translator.bound.is_empty() && translator.sources == 0;
    if only_the_row && translator.uses == super::Uses::default() {
        return Ok(found);
    }
    Err(refusal::unsupported("a computed column or CHECK of anything but its row"))
}
