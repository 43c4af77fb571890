//! Runs translated statements: binds, reads rows one by one, counts.

use super::EngineSession;
use super::frame::Frame;
use super::run::flow;
use crate::answer::{Answer, Answers, SqlError};
use crate::engine::json;
use crate::engine::refusal;
use crate::engine::translate::{Bound, JsonLoad, Plan, Surroundings};
use crate::engine::values;
use rusqlite::types::Value as Cell;
use rusqlite::{Row, Rows, Statement, params_from_iter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tillhold_core::moment::{OffsetTimestamp, Timestamp};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// How many rows go by between two looks at whether the client cancelled.
const ROWS_BETWEEN_LOOKS: u64 = 256;

impl EngineSession {
    /// The translation of a statement: the remembered one while it holds.
    pub(super) fn planned(
        &mut self,
        id: u64,
        translate: impl FnOnce(&Surroundings<'_>, u64) -> Result<Plan, SqlError>,
    ) -> Result<Arc<Plan>, SqlError> {
        self.refresh();
        let version = self.catalogue.version;
        if let Some((made, plan)) = self.plans.get(&id)
            && *made == version
            && plan.holds(&self.surroundings())
        {
            return Ok(plan.clone());
        }
        let translated = translate(&self.surroundings(), id);
        self.untranslated = translated.is_err();
        let plan = Arc::new(translated?);
        if self.plans.len() >= super::PLANS_KEPT {
            self.plans.clear();
        }
        self.plans.insert(id, (version, plan.clone()));
        Ok(plan)
    }

    /// Definitions as they are now; within a transaction that changes them, as it has made them.
    pub(in crate::engine) fn refresh(&mut self) {
        if self.redefining {
            return;
        }
        let newest = self.engine.catalogue();
        if !Arc::ptr_eq(&newest, &self.catalogue) {
            self.catalogue = newest;
            self.captures.redefined();
        }
    }

    /// The first row as it is kept; empty without one.
    pub(super) fn first_row(&mut self, plan: &Plan) -> Result<Vec<Cell>, SqlError> {
        self.touch(&plan.tables)?;
        self.access(plan.uses)?;
        self.load_json(plan)?;
        let bound = self.bound_values(plan);
        let mut statement = self
            .connection
            .prepare_cached(&plan.sql)
            .map_err(|error| self.refused(error, Some(plan)))?;
        let mut rows =
            query(&mut statement, bound).map_err(|error| self.refused(error, Some(plan)))?;
        match rows.next().map_err(|error| self.refused(error, Some(plan)))? {
            Some(row) => (0..plan.columns.len())
                .map(|at| row.get::<_, Cell>(at).map_err(|error| self.refused(error, Some(plan))))
                .collect(),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn run_query(&mut self, plan: &Plan, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.begin_implicitly(plan.uses, out);
        if plan.into.is_some() {
            return self.select_into(plan, out);
        }
        if !plan.assigned.is_empty() {
            return self.assign_rows(plan);
        }
        if self.settings.format_only {
            flow(out(Answer::Columns(plan.columns.clone())))?;
            return flow(out(Answer::Done { rows: Some(0) }));
        }
        self.touch(&plan.tables)?;
        self.access(plan.uses)?;
        self.load_json(plan)?;
        let bound = self.bound_values(plan);
        let mut count = 0;
        let streamed = {
            let mut statement = self
                .connection
                .prepare_cached(&plan.sql)
                .map_err(|error| self.refused(error, Some(plan)))?;
            self.stream(&mut statement, bound, plan, &mut count, out)
        };
        streamed?;
        self.row_count = count as i64;
        self.done(count, out)
    }

    fn stream(
        &self,
        statement: &mut Statement<'_>,
        bound: Vec<Cell>,
        plan: &Plan,
        count: &mut u64,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let refused = |error| self.refused(error, Some(plan));
        let types: Vec<SqlType> = plan.columns.iter().map(|column| column.of).collect();
        let mut rows = query(statement, bound).map_err(refused)?;
        // An error of the first row comes before any column, as it does for a statement that cannot start.
        let mut row = rows.next().map_err(refused)?;
        flow(out(Answer::Columns(plan.columns.clone())))?;
        while let Some(found) = row {
            let mut values = Vec::with_capacity(types.len());
            for (at, of) in types.iter().enumerate() {
                values.push(values::decode(found.get_ref(at).map_err(refused)?, *of)?);
            }
            flow(out(Answer::Row(values)))?;
            *count += 1;
            if count.is_multiple_of(ROWS_BETWEEN_LOOKS)
                && self.interrupt.cancelled.load(Ordering::Relaxed)
            {
                return Err(refusal::cancelled());
            }
            row = rows.next().map_err(refused)?;
        }
        Ok(())
    }

    /// `SELECT @a = …`: the last row's values; without rows the variables stay.
    fn assign_rows(&mut self, plan: &Plan) -> Result<(), SqlError> {
        self.touch(&plan.tables)?;
        self.access(plan.uses)?;
        self.load_json(plan)?;
        if let Some(each) = &plan.each {
            let mut frame = std::mem::take(&mut self.frame);
            let answer = self.gather_rows(plan, each, &mut frame);
            self.frame = frame;
            self.row_count = answer?;
            return Ok(());
        }
        let bound = self.bound_values(plan);
        let (mut last, mut count) = (Vec::new(), 0);
        {
            let refused = |error| self.refused(error, Some(plan));
            let mut statement = self.connection.prepare_cached(&plan.sql).map_err(refused)?;
            let mut rows = query(&mut statement, bound).map_err(refused)?;
            while let Some(row) = rows.next().map_err(refused)? {
                last.clear();
                for at in 0..plan.columns.len() {
                    last.push(row.get::<_, Cell>(at).map_err(refused)?);
                }
                count += 1;
            }
        }
        for (name, value) in plan.assigned.iter().zip(last) {
            self.frame.set(name, value);
        }
        self.row_count = count;
        Ok(())
    }

    /// Row by row, each row's values with the variables as the row before left them.
    fn gather_rows(&self, plan: &Plan, each: &Plan, frame: &mut Frame) -> Result<i64, SqlError> {
        let refused = |error| self.refused(error, Some(plan));
        let value = |bound: &Bound, frame: &Frame, row: Option<&Row<'_>>| match (bound, row) {
            (Bound::Variable(name), _) => Ok(frame.get(name)),
            (Bound::Given(at), Some(row)) => row.get::<_, Cell>(*at).map_err(refused),
            (other, _) => Ok(self.bound(other)),
        };
        let bound: Result<Vec<Cell>, _> =
            plan.bound.iter().map(|bound| value(bound, frame, None)).collect();
        let mut statement = self.connection.prepare_cached(&plan.sql).map_err(refused)?;
        let mut one = self.connection.prepare_cached(&each.sql).map_err(refused)?;
        let mut rows = query(&mut statement, bound?).map_err(refused)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(refused)? {
            let bound: Result<Vec<Cell>, _> =
                each.bound.iter().map(|bound| value(bound, frame, Some(row))).collect();
            let mut values = query(&mut one, bound?).map_err(refused)?;
            if let Some(found) = values.next().map_err(refused)? {
                let cells = (0..plan.assigned.len()).map(|at| found.get::<_, Cell>(at));
                let cells: Vec<Cell> = cells.collect::<Result<_, _>>().map_err(refused)?;
                for (name, cell) in plan.assigned.iter().zip(cells) {
                    frame.set(name, cell);
                }
            }
            count += 1;
        }
        Ok(count)
    }

    /// INSERT, UPDATE, DELETE; in a transaction of its own when none is open.
    pub(super) fn run_change(
        &mut self,
        plan: &Plan,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        self.begin_implicitly(plan.uses, out);
        if self.settings.format_only {
            return Ok(());
        }
        let Some(change) = plan.change.clone() else {
            return Err(refusal::below("a change without a table"));
        };
        let context = match &change.context {
            None => None,
            Some(context) => Some(self.context(context)?),
        };
        let uses = self.returning_uses(plan.uses, &change.table);
        self.touch(&plan.tables)?;
        self.change_of(&change.table, change.verb);
        let count = self.with_triggers(&change.table, change.verb, out, |session, out| {
            session.within_write(uses, |session| {
                session.load_json(plan)?;
                session.running.set_change(context, change.mask.clone());
                let answer = session.run_change_rows(plan, out);
                session.running.set_change(None, None);
                answer
            })
        });
        let count = count?;
        self.row_count = count as i64;
        self.done(count, out)
    }

    fn context(&mut self, plan: &Plan) -> Result<Vec<u8>, SqlError> {
        match self.first_row(plan)?.into_iter().next() {
            Some(Cell::Blob(context)) => Ok(context),
            _ => Err(SqlError::new(22_103, "The change tracking context must not be NULL.")),
        }
    }

    fn run_change_rows(&self, plan: &Plan, out: &mut Answers<'_>) -> Result<u64, SqlError> {
        let bound = self.bound_values(plan);
        let refused = |error| self.refused(error, Some(plan));
        let mut statement = self.connection.prepare_cached(&plan.sql).map_err(refused)?;
        if plan.columns.is_empty() {
            bind(&mut statement, bound).map_err(refused)?;
            let count = statement.raw_execute().map_err(refused)?;
            return Ok(count as u64);
        }
        let mut count = 0;
        self.stream(&mut statement, bound, plan, &mut count, out)?;
        Ok(count)
    }

    fn done(&self, count: u64, out: &mut Answers<'_>) -> Result<(), SqlError> {
        if self.inside.is_some() && self.settings.no_count {
            return Ok(());
        }
        flow(out(Answer::Done { rows: (!self.settings.no_count).then_some(count) }))
    }

    /// `SELECT … INTO #t`: a table of the query's columns, filled by it.
    fn select_into(&mut self, plan: &Plan, out: &mut Answers<'_>) -> Result<(), SqlError> {
        let Some(name) = plan.into.clone().filter(|name| name.is_temporary()) else {
            return Err(refusal::unsupported("SELECT INTO a table of the database"));
        };
        let table = self.create_from_columns(&name, &plan.columns)?;
        self.touch(&plan.tables)?;
        self.access(plan.uses)?;
        self.load_json(plan)?;
        let bound = self.bound_values(plan);
        let sql = format!("INSERT INTO {} {}", table.quoted(), plan.sql);
        let count = self
            .connection
            .prepare(&sql)
            .and_then(|mut statement| {
                bind(&mut statement, bound)?;
                statement.raw_execute()
            })
            .map_err(|error| self.refused_in(error, Some(&table), "INSERT"))?;
        self.row_count = count as i64;
        self.done(count as u64, out)
    }

    fn bound_values(&self, plan: &Plan) -> Vec<Cell> {
        plan.bound.iter().map(|bound| self.bound(bound)).collect()
    }

    /// The moment as the statement's clock shows it, in the form in which its type is kept.
    pub(super) fn now(&self, of: SqlType) -> Cell {
        let moment = Timestamp::from_unix_ms(self.engine.env.clock.wall_ms());
        let value = match of {
            SqlType::DateTimeOffset { .. } => {
                Value::OffsetTimestamp(OffsetTimestamp { utc: moment, offset_minutes: 0 })
            }
            _ => Value::Timestamp(moment),
        };
        tillhold_core::fit::fit(value, of).map_or(Cell::Null, |value| values::encode(value, of))
    }

    /// Lays the rows of each OPENJSON of the statement into its temporary table.
    fn load_json(&mut self, plan: &Plan) -> Result<(), SqlError> {
        for load in &plan.json {
            self.load_one_json(load)?;
        }
        Ok(())
    }

    fn load_one_json(&mut self, load: &JsonLoad) -> Result<(), SqlError> {
        let table = crate::engine::catalogue::quote(&load.storage);
        let columns: Vec<String> = (0..load.columns.len()).map(|at| format!("c{at}")).collect();
        if self.json_tables.insert(load.storage.clone()) {
            let sql = format!("CREATE TEMP TABLE IF NOT EXISTS {table} ({})", columns.join(", "));
            self.connection.execute_batch(&sql).map_err(|error| self.refused(error, None))?;
        }
        let delete = format!("DELETE FROM temp.{table}");
        self.connection
            .prepare_cached(&delete)
            .and_then(|mut statement| statement.execute([]))
            .map_err(|error| self.refused(error, None))?;
        self.json_filled.insert(load.storage.clone());
        let Some(document) = self.document(&load.json)? else { return Ok(()) };
        let path = load.path.as_deref().map_or(Ok(Vec::new()), json::path)?;
        let mut shapes = Vec::with_capacity(load.columns.len());
        for (name, of, path, as_json) in &load.columns {
            let path = match path {
                Some(path) => json::path(path)?,
                None => vec![json::Step::Key(name.clone())],
            };
            shapes.push(json::Column { of: *of, path, as_json: *as_json });
        }
        let places: Vec<String> = (1..=shapes.len()).map(|at| format!("?{at}")).collect();
        let insert = format!("INSERT INTO temp.{table} VALUES ({})", places.join(", "));
        let mut statement =
            self.connection.prepare_cached(&insert).map_err(|error| self.refused(error, None))?;
        for row in json::rows(&document, &path) {
            let cells =
                shapes.iter().map(|shape| json::cell(row, shape)).collect::<Result<Vec<_>, _>>()?;
            statement
                .execute(params_from_iter(cells))
                .map_err(|error| self.refused(error, None))?;
        }
        Ok(())
    }

    /// Nothing of a call's JSON is kept when it has ended.
    pub(super) fn forget_json(&mut self) {
        self.json = None;
        for storage in std::mem::take(&mut self.json_filled) {
            let table = crate::engine::catalogue::quote(&storage);
            let _emptied = self.connection.execute_batch(&format!("DELETE FROM temp.{table}"));
        }
    }

    /// A JSON text is parsed once for all the OPENJSON of a call that read it.
    fn document(&mut self, json: &Bound) -> Result<Option<Arc<serde_json::Value>>, SqlError> {
        let Bound::Variable(name) = json else { return Ok(None) };
        let Some(text) = self.frame.text(name) else { return Ok(None) };
        if let Some((known, document)) = &self.json
            && known == text
        {
            return Ok(Some(document.clone()));
        }
        let document = Arc::new(json::parse(text)?);
        self.json = Some((text.to_string(), document.clone()));
        Ok(Some(document))
    }
}

/// Binds what the statement still names: a value that its translation found to be of no use has no place in it.
fn bind(statement: &mut Statement<'_>, bound: Vec<Cell>) -> rusqlite::Result<()> {
    let places = statement.parameter_count();
    for (at, cell) in bound.into_iter().take(places).enumerate() {
        statement.raw_bind_parameter(at + 1, cell)?;
    }
    Ok(())
}

fn query<'s>(statement: &'s mut Statement<'_>, bound: Vec<Cell>) -> rusqlite::Result<Rows<'s>> {
    bind(statement, bound)?;
    Ok(statement.raw_query())
}
