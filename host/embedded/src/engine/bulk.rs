//! Many rows at once: loading a table when an embedded channel is filled, and `INSERT BULK` from the wire. One prepared
//! insert, one transaction.

use super::EngineError;
use super::catalogue::Relation;
use super::parse;
use super::refusal;
use super::session::EngineSession;
use super::syntax::ObjectName;
use super::translate::{Bound, Plan, Translator};
use super::values;
use crate::answer::{Flow, ResultColumn, SqlError};
use rusqlite::types::Value as Cell;
use std::sync::Arc;
use tillhold_core::fit::fit;
use tillhold_core::table::TableName;
use tillhold_core::value::Value;

/// Where the next bulk rows go.
pub struct BulkTarget {
    table: Arc<Relation>,
    columns: Vec<usize>,
    plan: Arc<Plan>,
    /// Triggers fire, once a portion of rows; without being told they do not.
    fires: bool,
}

impl EngineSession {
    pub(super) fn load(
        &mut self,
        name: &TableName,
        columns: &[&str],
        rows: &mut dyn Iterator<Item = Vec<Value>>,
    ) -> Result<u64, EngineError> {
        self.refresh();
        let object = ObjectName {
            database: None,
            schema: Some(name.schema.clone()),
            name: name.name.clone(),
        };
        let target = self.target(&object, columns, false)?;
        let uses = target.plan.uses;
        self.change_of(&target.table, "INSERT");
        self.within_write(uses, |session| session.insert_rows(&target, rows))
    }

    pub(super) fn begin_bulk(&mut self, statement: &str) -> Result<Vec<ResultColumn>, SqlError> {
        let (name, columns, options) = parse::insert_bulk(statement)?;
        self.refresh();
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let keep_nulls = options.iter().any(|option| option == "KEEP_NULLS");
        let mut target = self.target(&name, &names, !keep_nulls)?;
        target.fires = options.iter().any(|option| option == "FIRE_TRIGGERS");
        let shown = target.columns.iter().map(|at| {
            let field = &target.table.fields[*at];
            ResultColumn { name: field.name.clone(), of: field.of, nullable: field.nullable }
        });
        let shown = shown.collect();
        self.set_bulk(Some(target));
        Ok(shown)
    }

    pub(super) fn insert_bulk_rows(&mut self, rows: Vec<Vec<Value>>) -> Result<u64, SqlError> {
        let Some(target) = self.take_bulk() else {
            return Err(SqlError::new(
                4002,
                "The incoming tabular data stream (TDS) protocol stream is incorrect: rows came without INSERT BULK.",
            ));
        };
        let uses = self.returning_uses(target.plan.uses, &target.table);
        self.touch(&target.plan.tables)?;
        self.change_of(&target.table, "INSERT");
        let load = |session: &mut EngineSession| {
            session.within_write(uses, |session| {
                session
                    .all_or_nothing(|session| session.insert_rows(&target, &mut rows.into_iter()))
            })
        };
        let answer = if target.fires {
            let mut unheard = |_| Flow::Continue;
            self.with_triggers(&target.table, "INSERT", &mut unheard, |session, _| load(session))
        } else {
            load(self)
        };
        let answer = answer.map_err(EngineError::into_sql);
        self.set_bulk(Some(target));
        answer
    }

    fn target(
        &mut self,
        name: &ObjectName,
        columns: &[&str],
        defaults: bool,
    ) -> Result<BulkTarget, SqlError> {
        let around = self.surroundings();
        let table = if name.is_temporary() {
            around.temporary.find(&name.name)?
        } else {
            around.catalogue.find(name)?.clone()
        };
        let position =
            |column: &&str| table.position(column).ok_or_else(|| refusal::unknown_column(column));
        let columns = columns.iter().map(position).collect::<Result<Vec<_>, _>>()?;
        let plan = Arc::new(Translator::new(&around, 0).loading(&table, &columns, defaults)?);
        Ok(BulkTarget { table, columns, plan, fires: false })
    }

    fn insert_rows(
        &mut self,
        target: &BulkTarget,
        rows: &mut dyn Iterator<Item = Vec<Value>>,
    ) -> Result<u64, EngineError> {
        let (table, plan) = (&target.table, &target.plan);
        let fields: Vec<_> = target.columns.iter().map(|at| &table.fields[*at]).collect();
        let mut bound: Vec<Cell> = plan.bound.iter().map(|bound| self.bound(bound)).collect();
        let mut statement = self.connection().prepare_cached(&plan.sql)?;
        let mut count = 0;
        for row in rows {
            if row.len() != fields.len() {
                let (table, given, wanted) = (table.name.to_string(), row.len(), fields.len());
                return Err(EngineError::RowWidth { table, row: count + 1, given, wanted });
            }
            let mut cells: Vec<Option<Cell>> = Vec::with_capacity(row.len());
            for (value, field) in row.into_iter().zip(&fields) {
                let fitted = fit(value, field.of).map_err(|misfit| EngineError::Misfit {
                    table: table.name.to_string(),
                    column: field.name.clone(),
                    row: count + 1,
                    reason: misfit.reason,
                })?;
                cells.push(Some(values::encode(fitted, field.of)));
            }
            for (place, what) in bound.iter_mut().zip(&plan.bound) {
                if let Bound::Given(at) = what {
                    *place = cells[*at].take().unwrap_or(Cell::Null);
                }
            }
            for (at, cell) in bound.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, cell)?;
            }
            statement
                .raw_execute()
                .map_err(|error| self.refused_in(error, Some(table), "INSERT"))?;
            count += 1;
        }
        Ok(count)
    }
}
