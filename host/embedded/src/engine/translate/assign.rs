//! `SELECT @a = …`: variables take the last row's values, or gather from row to row (`SELECT @a = @a + x`).
//!
//! SQLite works out a row's values before it sorts. So where a value depends on what the rows before it gave, SQLite
//! gives the rows in order, and the values are worked out one row at a time by a second statement.

use super::query::result_column;
use super::scope::Scope;
use super::{Bound, Plan, Translated, Translator};
use crate::answer::SqlError;
use crate::engine::refusal;
use crate::engine::syntax::{Item, Query, Select};
use std::sync::Arc;

impl<'q> Translator<'_, 'q> {
    pub(super) fn assigning(mut self, query: &'q Query, select: &'q Select) -> Translated<Plan> {
        let mut assigned = Vec::new();
        for item in &select.items {
            match item {
                Item::Assign { variable, operator: None, .. } => assigned.push(variable.clone()),
                Item::Assign { .. } => {
                    return Err(refusal::unsupported("a compound assignment in SELECT"));
                }
                _ => {
                    return Err(SqlError::new(
                        141,
                        "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval \
                         operations.",
                    )
                    .with_severity(15));
                }
            }
        }
        if let Some(plan) = self.gathering(query, select, &assigned)? {
            return Ok(plan);
        }
        let rendered = self.query(query, None)?;
        let columns = rendered.columns.iter().map(result_column).collect();
        let mut plan = self.plan(rendered.sql, columns);
        plan.assigned = assigned;
        Ok(plan)
    }

    /// The two statements of a query whose values read what it assigns; `None` for any other.
    fn gathering(
        &self,
        query: &'q Query,
        select: &'q Select,
        assigned: &[String],
    ) -> Translated<Option<Plan>> {
        if select.from.is_empty() || !select.group.is_empty() {
            return Ok(None);
        }
        let mut rows = Translator::new(self.around, self.statement);
        rows.ctes.extend(query.ctes.iter());
        let mut scope = Scope::within(None);
        let from = rows.from(&select.from, &mut scope)?;
        let mut each = Translator::new(self.around, self.statement);
        let (mut given, mut cells, mut columns) = (Scope::empty(), Vec::new(), Vec::new());
        for mut source in scope.sources.iter().cloned() {
            for column in &mut source.columns {
                let place = each.bind(Bound::Given(cells.len()));
                let sql = std::mem::replace(&mut column.value.sql, place);
                cells.push(if column.denied.is_some() { "NULL".to_string() } else { sql });
                columns.push(result_column(column));
            }
            given.add(source)?;
        }
        let items = each.item_list(&select.items, &given)?;
        let reads = |name: &String| each.bound.contains(&Bound::Variable(name.clone()));
        if each.saw_aggregate || !assigned.iter().any(reads) {
            return Ok(None);
        }
        if select.distinct {
            return Err(refusal::unsupported(
                "DISTINCT with a variable that gathers from row to row",
            ));
        }
        let mut conditions = from.conditions;
        if let Some(filter) = &select.filter {
            conditions.push(rows.predicate(filter, &scope)?);
        }
        let mut sql = format!("SELECT {} FROM {}", cells.join(", "), from.sql);
        if !conditions.is_empty() {
            sql += &format!(" WHERE {}", conditions.join(" AND "));
        }
        sql += &rows.tail(query, select, &scope)?;
        let values: Vec<&str> = items.iter().map(|item| item.value.sql.as_str()).collect();
        let value_columns = items.iter().map(result_column).collect();
        let each = each.plan(format!("SELECT {}", values.join(", ")), value_columns);
        let mut plan = rows.plan(sql, columns);
        plan.tables.extend(each.tables.iter());
        plan.variables.extend(each.variables.iter().cloned());
        plan.contexts.extend(each.contexts.iter().cloned());
        plan.temporaries.extend(each.temporaries.iter().cloned());
        plan.assigned = assigned.to_vec();
        plan.each = Some(Arc::new(each));
        Ok(Some(plan))
    }
}
