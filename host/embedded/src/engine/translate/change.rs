//! UPDATE and DELETE, and what every change has: its target, OUTPUT and CHANGE_TRACKING_CONTEXT.
//!
//! * A change that joins (`UPDATE t … FROM`) finds its rows in a subquery first and reaches them by key: one row is
//!   changed once, whatever the join gives.

use super::joins::visible_table;
use super::query::sent_column;
use super::scope::{Scope, Visible};
use super::{Change, Plan, Surroundings, Translated, Translator};
use crate::answer::SqlError;
use crate::engine::catalogue::{Relation, fold, quote};
use crate::engine::functions::mask_of;
use crate::engine::refusal;
use crate::engine::syntax::{Assignment, Delete, Expr, ObjectName, Output, Source, Update};
use std::sync::Arc;

/// Column and value of each SET, as SQLite writes them.
type Sets = Vec<(String, String)>;

/// A changed table with a source name, and where its rows are found when the statement joins.
struct Target {
    table: Arc<Relation>,
    source: String,
}

impl<'q> Translator<'_, 'q> {
    pub fn update(mut self, update: &'q Update) -> Translated<Plan> {
        let direct = update.from.is_empty() && update.top.is_none();
        let mut scope = Scope::within(None);
        let target = self.place(&update.target, &update.from, "UPDATE")?;
        let table = target.table.clone();
        let (source, from, condition);
        if direct {
            source = target.source.clone();
            scope.add(visible_table(&table, None, source.clone()))?;
            from = String::new();
            condition =
                update.filter.as_ref().map(|filter| self.predicate(filter, &scope)).transpose()?;
        } else {
            let joined = self.joined_rows(&update.target, &update.from, &mut scope, &table)?;
            source = joined.0;
            from = joined.1;
            condition =
                update.filter.as_ref().map(|filter| self.predicate(filter, &scope)).transpose()?;
        }
        let (sets, mask) = self.assignments(&update.assignments, &table, &source, &scope)?;
        let changed = self.alias();
        let mut sql;
        if direct {
            let sets: Vec<String> =
                sets.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            sql = format!("UPDATE {} AS {source} SET {}", table.quoted(), sets.join(", "));
            if let Some(condition) = condition {
                sql += &format!(" WHERE {condition}");
            }
        } else {
            let keys = row_key(&table);
            let mut items: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| format!("{source}.{key} AS k{at}"))
                .collect();
            items.extend(
                sets.iter().enumerate().map(|(at, (_, value))| format!("{value} AS n{at}")),
            );
            let found = self.found(items, &from, condition, update.top.as_ref())?;
            let sets: Vec<String> = sets
                .iter()
                .enumerate()
                .map(|(at, (name, _))| format!("{name} = q.n{at}"))
                .collect();
            let same: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| format!("{changed}.{key} = q.k{at}"))
                .collect();
            sql = format!(
                "UPDATE {} AS {changed} SET {} FROM ({found}) AS q WHERE {}",
                table.quoted(),
                sets.join(", "),
                same.join(" AND ")
            );
        }
        let output = self.output(update.output.as_ref(), &table, "inserted", &mut sql)?;
        self.finish(sql, output, update.context.as_ref(), table, "UPDATE", Some(mask))
    }

    /// Column and value of each SET, and the change tracking mask of the columns named.
    fn assignments(
        &mut self,
        given: &'q [Assignment],
        table: &Relation,
        source: &str,
        scope: &Scope<'_>,
    ) -> Translated<(Sets, Vec<u8>)> {
        let (mut sets, mut touched) = (Vec::new(), Vec::new());
        for assignment in given {
            let at = table
                .position(&assignment.column)
                .ok_or_else(|| refusal::unknown_column(&assignment.column))?;
            let field = &table.fields[at];
            if field.identity.is_some() {
                return Err(refusal::assigned_column(&field.name));
            }
            if field.computed.is_some() {
                return Err(refusal::computed_written(&field.name));
            }
            if field.is_rowversion() {
                return Err(SqlError::new(272, "Cannot update a timestamp column."));
            }
            if touched.contains(&(field.id as u32)) {
                return Err(SqlError::new(
                    264,
                    format!(
                        "The column name '{}' is specified more than once in the SET clause.",
                        field.name
                    ),
                ));
            }
            touched.push(field.id as u32);
            let value = match &assignment.value {
                None => self.left_out(table, field)?,
                Some(value) => {
                    let mut value = self.value(value, scope)?;
                    if let Some(operator) = assignment.operator {
                        let present =
                            visible_table(&Arc::new(table.clone()), None, source.to_string());
                        let present = present.columns[at].value.clone();
                        value = self.operation(operator, present, value)?;
                    }
                    self.written(table, field, value)?
                }
            };
            sets.push((quote(&field.name), value));
        }
        if let Some(at) = table.rowversion() {
            sets.push((quote(&table.fields[at].name), stamp(table).to_string()));
        }
        Ok((sets, mask_of(touched)))
    }

    pub fn delete(mut self, delete: &'q Delete) -> Translated<Plan> {
        let mut scope = Scope::within(None);
        let target = self.place(&delete.target, &delete.from, "DELETE")?;
        let table = target.table.clone();
        let mut sql;
        if delete.from.is_empty() && delete.top.is_none() {
            scope.add(visible_table(&table, None, target.source.clone()))?;
            sql = format!("DELETE FROM {} AS {}", table.quoted(), target.source);
            if let Some(filter) = &delete.filter {
                sql += &format!(" WHERE {}", self.predicate(filter, &scope)?);
            }
        } else {
            let (source, from) =
                self.joined_rows(&delete.target, &delete.from, &mut scope, &table)?;
            let condition =
                delete.filter.as_ref().map(|filter| self.predicate(filter, &scope)).transpose()?;
            let keys = row_key(&table);
            let items = keys.iter().map(|key| format!("{source}.{key}")).collect();
            let found = self.found(items, &from, condition, delete.top.as_ref())?;
            let changed = self.alias();
            let key: Vec<String> = keys.iter().map(|key| format!("{changed}.{key}")).collect();
            let key = if key.len() == 1 { key.concat() } else { format!("({})", key.join(", ")) };
            sql = format!("DELETE FROM {} AS {changed} WHERE {key} IN ({found})", table.quoted());
        }
        let output = self.output(delete.output.as_ref(), &table, "deleted", &mut sql)?;
        self.finish(sql, output, delete.context.as_ref(), table, "DELETE", None)
    }

    fn found(
        &mut self,
        items: Vec<String>,
        from: &str,
        condition: Option<String>,
        top: Option<&'q Expr>,
    ) -> Translated<String> {
        let mut sql = format!("SELECT {} FROM {from}", items.join(", "));
        if let Some(condition) = condition {
            sql += &format!(" AND {condition}");
        }
        if let Some(top) = top {
            let count = self.value(top, &Scope::empty())?;
            sql += &format!(" LIMIT ts_count({}, 1)", count.sql);
        }
        Ok(sql)
    }

    /// The sources of a joining change: the target's source name and the FROM text with its join conditions.
    fn joined_rows(
        &mut self,
        target: &ObjectName,
        from: &'q [Source],
        scope: &mut Scope<'_>,
        table: &Arc<Relation>,
    ) -> Translated<(String, String)> {
        if from.is_empty() {
            let source = self.alias();
            scope.add(visible_table(table, None, source.clone()))?;
            return Ok((source.clone(), format!("{} AS {source} WHERE 1", table.quoted())));
        }
        let joined = self.from(from, scope)?;
        // The statement's own condition is added with AND.
        let text = match joined.conditions.as_slice() {
            [] => format!("{} WHERE 1", joined.sql),
            conditions => format!("{} WHERE {}", joined.sql, conditions.join(" AND ")),
        };
        let found = scope.sources.iter().find(|source| is_target(source, target));
        match found {
            Some(source) => Ok((source.source.clone(), text)),
            None => {
                // The target is not among the sources: SQL Server joins it to them without a condition.
                let source = self.alias();
                scope.add(visible_table(table, None, source.clone()))?;
                Ok((source.clone(), format!("{} AS {source}, {text}", table.quoted())))
            }
        }
    }

    /// The table that an UPDATE or DELETE names, perhaps by an alias of its FROM clause.
    fn place(
        &mut self,
        name: &'q ObjectName,
        from: &'q [Source],
        verb: &'static str,
    ) -> Translated<Target> {
        let mut meant = None;
        if name.schema.is_none() {
            for source in from {
                find_alias(source, &name.name, &mut meant);
            }
        }
        let table = self.target(meant.unwrap_or(name), verb)?;
        let source = self.alias();
        Ok(Target { table, source })
    }

    pub(super) fn target(
        &mut self,
        name: &ObjectName,
        verb: &'static str,
    ) -> Translated<Arc<Relation>> {
        if self.pseudo(name).is_some() {
            return Err(SqlError::new(
                286,
                "The logical tables INSERTED and DELETED cannot be updated.",
            ));
        }
        let table = self.table(name)?;
        self.allow(verb, &table)?;
        if table.temporary {
            self.uses.writes_temporary = true;
        } else {
            self.uses.writes_database = true;
        }
        Ok(table)
    }

    pub(super) fn output(
        &mut self,
        output: Option<&'q Output>,
        table: &Arc<Relation>,
        prefix: &str,
        sql: &mut String,
    ) -> Translated<Vec<crate::answer::ResultColumn>> {
        let Some(output) = output else { return Ok(Vec::new()) };
        if output.into.is_some() {
            return Err(refusal::unsupported("OUTPUT INTO"));
        }
        if table.triggers.iter().any(|trigger| !trigger.disabled) {
            return Err(SqlError::new(
                334,
                format!(
                    "The target table '{}' of the DML statement cannot have any enabled triggers if the statement contains \
                     an OUTPUT clause without INTO clause.",
                    table.shown()
                ),
            ));
        }
        let mut visible = visible_table(table, Some(prefix), String::new());
        for (column, field) in visible.columns.iter_mut().zip(&table.fields) {
            column.value.sql = quote(&field.name);
        }
        let mut scope = Scope::empty();
        scope.add(visible)?;
        let items = self.item_list(&output.items, &scope)?;
        let values: Vec<&str> = items.iter().map(|item| item.value.sql.as_str()).collect();
        *sql += &format!(" RETURNING {}", values.join(", "));
        Ok(items.iter().map(sent_column).collect())
    }

    pub(super) fn finish(
        mut self,
        sql: String,
        columns: Vec<crate::answer::ResultColumn>,
        context: Option<&'q Expr>,
        table: Arc<Relation>,
        verb: &'static str,
        mask: Option<Vec<u8>>,
    ) -> Translated<Plan> {
        let context = context
            .map(|context| {
                let of = tillhold_core::types::SqlType::VarBinary { length: Some(128) };
                self.context_plan(self.around, context, of).map(Arc::new)
            })
            .transpose()?;
        if let Some(context) = &context {
            let known: Vec<_> = context.variables.clone();
            self.variables.extend(known);
        }
        let mut plan = self.plan(sql, columns);
        plan.change = Some(Change { table, verb, context, mask });
        Ok(plan)
    }

    fn context_plan(
        &self,
        around: &Surroundings<'_>,
        context: &'q Expr,
        of: tillhold_core::types::SqlType,
    ) -> Translated<Plan> {
        Translator::new(around, self.statement).scalar(context, Some(of))
    }
}

/// A new row version; tempdb counts its own.
pub(super) fn stamp(table: &Relation) -> &'static str {
    if table.temporary { "ts_own_rowversion()" } else { "ts_rowversion()" }
}

/// What reaches one row: the primary key's columns, or SQLite's own number where there is none.
fn row_key(table: &Relation) -> Vec<String> {
    let key: Vec<String> = table.key().map(|field| quote(&field.name)).collect();
    if key.is_empty() { vec!["rowid".to_string()] } else { key }
}

fn find_alias<'q>(source: &'q Source, wanted: &str, meant: &mut Option<&'q ObjectName>) {
    match source {
        Source::Table { name, alias, .. } => {
            let shown = alias.as_deref().unwrap_or(&name.name);
            if fold(shown) == fold(wanted) {
                *meant = Some(name);
            }
        }
        Source::Join { left, right, .. } => {
            find_alias(left, wanted, meant);
            find_alias(right, wanted, meant);
        }
        _ => {}
    }
}

fn is_target(source: &Visible, target: &ObjectName) -> bool {
    let named = fold(&source.alias) == fold(&target.name);
    let schema = match (&target.schema, &source.schema) {
        (Some(wanted), Some(schema)) => fold(wanted) == fold(schema),
        (Some(_), None) => false,
        (None, _) => true,
    };
    source.table.is_some() && named && schema
}
