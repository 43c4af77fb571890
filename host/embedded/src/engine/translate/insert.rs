//! INSERT, and the prepared insert of a load.
//!
//! Columns that the statement leaves out get their default, identity or row version here, spelled out.

use super::change::stamp;
use super::query::Rendered;
use super::scope::{Scope, Typed};
use super::{Bound, Plan, Translated, Translator};
use crate::answer::SqlError;
use crate::engine::catalogue::{Field, Relation, quote};
use crate::engine::refusal;
use crate::engine::syntax::{Expr, Insert, InsertRows, Query};
use std::sync::Arc;

impl<'q> Translator<'_, 'q> {
    pub fn insert(mut self, insert: &'q Insert) -> Translated<Plan> {
        let table = self.target(&insert.table, "INSERT")?;
        let columns = self.insert_columns(&table, &insert.columns)?;
        let names: Vec<String> =
            written_fields(&table).map(|(_, field)| quote(&field.name)).collect();
        let mut sql = format!("INSERT INTO {} ({}) ", table.quoted(), names.join(", "));
        sql += &match &insert.rows {
            InsertRows::Defaults => format!("VALUES ({})", self.values_row(&table, &[], &[])?),
            InsertRows::Values(rows) => {
                let mut texts = Vec::with_capacity(rows.len());
                for row in rows {
                    if row.len() != columns.len() {
                        return Err(refusal::column_count(row.len() < columns.len()));
                    }
                    texts.push(format!("({})", self.values_row(&table, &columns, row)?));
                }
                format!("VALUES {}", texts.join(", "))
            }
            InsertRows::Query(query) => {
                self.inserted_query(&table, &columns, query, insert.top.as_ref())?
            }
        };
        let output = self.output(insert.output.as_ref(), &table, "inserted", &mut sql)?;
        self.finish(sql, output, insert.context.as_ref(), table, "INSERT", None)
    }

    /// A prepared insert for many rows: `columns` come from outside, the others are filled in. With `defaults` a
    /// NULL from outside gives way to the column's default, as bulk copy does without KEEP_NULLS.
    pub fn loading(
        mut self,
        table: &Arc<Relation>,
        columns: &[usize],
        defaults: bool,
    ) -> Translated<Plan> {
        self.allow("INSERT", table)?;
        if !table.temporary {
            self.names_table(table.id);
        }
        let names: Vec<String> =
            written_fields(table).map(|(_, field)| quote(&field.name)).collect();
        if columns.iter().any(|at| table.fields[*at].computed.is_some()) {
            return Err(refusal::computed_written(&table.fields[columns[0]].name));
        }
        let mut cells = Vec::with_capacity(table.fields.len());
        for (at, field) in written_fields(table) {
            let Some(place) = columns.iter().position(|column| *column == at) else {
                cells.push(self.left_out(table, field)?);
                continue;
            };
            if field.is_rowversion() {
                return Err(refusal::rowversion_written());
            }
            let given = self.bind(Bound::Given(place));
            cells.push(match (field.identity, &field.default) {
                (Some(_), _) => format!("ts_given_identity({}, {given})", table.id),
                (None, Some(_)) if defaults => {
                    format!("ifnull({given}, {})", self.left_out(table, field)?)
                }
                _ => given,
            });
        }
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.quoted(),
            names.join(", "),
            cells.join(", ")
        );
        self.uses.database = true;
        if table.temporary {
            self.uses.writes_temporary = true;
        } else {
            self.uses.writes_database = true;
        }
        self.finish(sql, Vec::new(), None, table.clone(), "INSERT", None)
    }

    /// The positions that an INSERT gives values for.
    fn insert_columns(&self, table: &Relation, given: &[String]) -> Translated<Vec<usize>> {
        if given.is_empty() {
            let plain = |at: &usize| {
                let field = &table.fields[*at];
                !field.is_rowversion() && field.identity.is_none() && field.computed.is_none()
            };
            return Ok((0..table.fields.len()).filter(plain).collect());
        }
        let mut positions = Vec::with_capacity(given.len());
        for name in given {
            let at = table.position(name).ok_or_else(|| refusal::unknown_column(name))?;
            if table.fields[at].computed.is_some() {
                return Err(refusal::computed_written(&table.fields[at].name));
            }
            if positions.contains(&at) {
                return Err(SqlError::new(
                    264,
                    format!(
                        "The column name '{name}' is specified more than once in the SET clause or column list of an INSERT."
                    ),
                ));
            }
            positions.push(at);
        }
        let identity = table.identity();
        let explicit = identity.is_some_and(|at| positions.contains(&at));
        let on = !table.temporary && self.around.identity_insert == Some(table.id);
        if explicit && !on {
            return Err(refusal::explicit_identity(&table.name.name));
        }
        if !explicit && on && identity.is_some() {
            return Err(SqlError::new(
                545,
                format!(
                    "Explicit value must be specified for identity column in table '{}' when IDENTITY_INSERT is set to ON.",
                    table.name.name
                ),
            ));
        }
        Ok(positions)
    }

    fn values_row(
        &mut self,
        table: &Relation,
        columns: &[usize],
        row: &'q [Option<Expr>],
    ) -> Translated<String> {
        let scope = Scope::empty();
        let mut cells = Vec::with_capacity(table.fields.len());
        for (at, field) in written_fields(table) {
            let given = columns.iter().position(|column| *column == at).map(|place| &row[place]);
            cells.push(match given {
                Some(Some(value)) => {
                    let value = self.value(value, &scope)?;
                    self.written(table, field, value)?
                }
                Some(None) | None => self.left_out(table, field)?,
            });
        }
        Ok(cells.join(", "))
    }

    fn inserted_query(
        &mut self,
        table: &Relation,
        columns: &[usize],
        query: &'q Query,
        top: Option<&'q Expr>,
    ) -> Translated<String> {
        let Rendered { sql, columns: given, .. } = self.query(query, None)?;
        if given.len() != columns.len() {
            return Err(refusal::select_list_count(given.len() < columns.len()));
        }
        let mut cells = Vec::with_capacity(table.fields.len());
        for (at, field) in written_fields(table) {
            cells.push(match columns.iter().position(|column| *column == at) {
                Some(place) => {
                    let value = Typed {
                        sql: format!("q.c{place}"),
                        native: "",
                        ..given[place].value.clone()
                    };
                    self.written(table, field, value)?
                }
                None => self.left_out(table, field)?,
            });
        }
        // A limit keeps SQLite from dropping the order, in which identity values are given.
        let ordered = !query.order.is_empty() && query.offset.is_none();
        let keep = if ordered && !sql.contains(" LIMIT ") { " LIMIT -1" } else { "" };
        let mut text = format!("SELECT {} FROM ({sql}{keep}) AS q", cells.join(", "));
        if let Some(top) = top {
            let count = self.value(top, &Scope::empty())?;
            text += &format!(" LIMIT ts_count({}, 1)", count.sql);
        }
        Ok(text)
    }

    /// A value as the column keeps it.
    pub(super) fn written(
        &mut self,
        table: &Relation,
        field: &Field,
        value: Typed,
    ) -> Translated<String> {
        if field.is_rowversion() {
            return Err(refusal::rowversion_written());
        }
        let full = table.full(&self.around.catalogue.database);
        let value = self.assign(value, field.of, Some((&full, &field.name)))?;
        if field.identity.is_some() {
            return Ok(format!("ts_given_identity({}, {})", table.id, value.sql));
        }
        Ok(value.sql)
    }

    pub(super) fn left_out(&mut self, table: &Relation, field: &Field) -> Translated<String> {
        if field.is_rowversion() {
            return Ok(stamp(table).to_string());
        }
        if field.identity.is_some() {
            return Ok(format!("ts_identity({})", table.id));
        }
        match &field.default {
            Some(default) => {
                let mut inner = Translator::new(self.around, self.statement);
                std::mem::swap(&mut inner.bound, &mut self.bound);
                let scope = Scope::empty();
                let full = table.full(&self.around.catalogue.database);
                let value = inner.value(&default.value, &scope);
                let value = value
                    .and_then(|value| inner.assign(value, field.of, Some((&full, &field.name))));
                std::mem::swap(&mut inner.bound, &mut self.bound);
                Ok(value?.sql)
            }
            None => Ok("NULL".to_string()),
        }
    }
}

/// The fields that an INSERT fills, with their positions.
fn written_fields(table: &Relation) -> impl Iterator<Item = (usize, &Field)> {
    table.fields.iter().enumerate().filter(|(_, field)| field.computed.is_none())
}
