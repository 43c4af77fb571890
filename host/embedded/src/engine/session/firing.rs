//! Triggers at work: the changed rows are laid aside while a statement runs, then each trigger's body runs over
//! them, once a statement, within the statement's transaction.
//!
//! ```text
//! change -> SQLite's row triggers -> temp."inserted:<table>", temp."deleted:<table>" -> bodies -> emptied
//! ```
//! * A statement without a transaction gets one around itself and its triggers.
//! * An error in a body rolls the whole transaction back and ends the batch, as XACT_ABORT does.
//! * A body may do what the table's owner may; text that it executes may do what the user may.
//! * Triggers fire triggers, up to 32 deep; none fires itself (RECURSIVE_TRIGGERS is off).

use super::{EngineSession, NESTING_MAX};
use crate::answer::{Answers, Flow, SqlError};
use crate::engine::catalogue::{Field, Relation, Trigger, quote};
use crate::engine::refusal;
use crate::engine::translate::Inside;
use std::collections::HashMap;
use std::sync::Arc;

/// What SQLite keeps in this session for tables with triggers.
#[derive(Debug, Default)]
pub struct Captures {
    made: HashMap<i32, Capture>,
    /// Definitions changed, or SQLite rolled back: something may stand that should not.
    pub stale: bool,
}

#[derive(Debug)]
enum Capture {
    /// A rollback may have brought it back, or taken it away.
    Unknown,
    Gone,
    Of(Laid),
}

#[derive(Clone, Debug)]
struct Laid {
    table: Arc<Relation>,
    inserted: Arc<Relation>,
    deleted: Arc<Relation>,
}

impl Captures {
    pub fn rolled_back(&mut self) {
        for capture in self.made.values_mut() {
            *capture = Capture::Unknown;
        }
        self.stale = !self.made.is_empty();
    }

    pub fn redefined(&mut self) {
        self.stale |= !self.made.is_empty();
    }
}

impl EngineSession {
    /// Runs a change of `table` and then the triggers that it fires.
    pub(in crate::engine) fn with_triggers<E: From<SqlError>>(
        &mut self,
        table: &Arc<Relation>,
        verb: &'static str,
        out: &mut Answers<'_>,
        work: impl FnOnce(&mut Self, &mut Answers<'_>) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let fired = self.fired_by(table, verb);
        if fired.is_empty() {
            return work(self, out);
        }
        if self.depth >= NESTING_MAX {
            return Err(refusal::nested_too_deeply().into());
        }
        let mut silent = |_| Flow::Continue;
        let own = self.transaction.count == 0;
        if own {
            self.begin_transaction(&mut silent);
            self.transaction.unseen = true;
        }
        let answer = self.change_and_fire(table, verb, &fired, out, work);
        match answer {
            Ok(count) if own => {
                self.transaction.count = 1;
                self.commit_transaction(&mut silent)?;
                Ok(count)
            }
            Err(error) if own => {
                self.roll_back_all(&mut silent);
                Err(error)
            }
            other => other,
        }
    }

    fn change_and_fire<E: From<SqlError>>(
        &mut self,
        table: &Arc<Relation>,
        verb: &'static str,
        fired: &[Arc<Relation>],
        out: &mut Answers<'_>,
        work: impl FnOnce(&mut Self, &mut Answers<'_>) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let mut laid = Vec::with_capacity(fired.len());
        for table in fired {
            laid.push(self.laid_aside(table)?);
        }
        let level = self.trigger_level + 1;
        self.running.set_capture(level);
        let answer = work(self, out);
        self.running.set_capture(0);
        let count = answer?;
        for one in &laid {
            let own = one.table.id == table.id;
            // A cascade that reached no row fires nothing; a statement that changed none still does.
            if own || self.has_rows(&one.deleted, level)? {
                let verb = if own { verb } else { "DELETE" };
                self.fire(one, verb, level, count as i64, out)?;
            }
            for rows in [&one.inserted, &one.deleted] {
                self.sqlite(&format!("DELETE FROM {} WHERE \"~level\" = {level}", rows.quoted()))?;
            }
        }
        Ok(count)
    }

    /// The tables whose triggers a change may fire: those that a cascade reaches, and then its own.
    fn fired_by(&self, table: &Arc<Relation>, verb: &str) -> Vec<Arc<Relation>> {
        let mut found = Vec::new();
        if table.temporary {
            return found;
        }
        if verb == "DELETE" {
            self.add_cascaded(table.id, &mut vec![table.id], &mut found);
        }
        if table.fires(verb) {
            found.push(table.clone());
        }
        found
    }

    fn add_cascaded(&self, from: i32, seen: &mut Vec<i32>, found: &mut Vec<Arc<Relation>>) {
        let children = self.catalogue.by_id.values().filter(|table| {
            table.foreign.iter().any(|foreign| foreign.cascade && foreign.to == from)
        });
        for child in children {
            if seen.contains(&child.id) {
                continue;
            }
            seen.push(child.id);
            self.add_cascaded(child.id, seen, found);
            if child.fires("DELETE") {
                found.push(child.clone());
            }
        }
    }

    fn fire(
        &mut self,
        laid: &Laid,
        verb: &str,
        level: i64,
        count: i64,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let running = self.inside.as_ref().map(|inside| inside.trigger);
        for trigger in &laid.table.triggers {
            if !trigger.disabled && trigger.events.has(verb) && running != Some(trigger.id) {
                self.run_trigger(trigger, laid, level, count, out)?;
            }
        }
        Ok(())
    }

    /// One body, with variables, settings and temporary tables of its own.
    fn run_trigger(
        &mut self,
        trigger: &Trigger,
        laid: &Laid,
        level: i64,
        count: i64,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let (inserted, deleted) = (laid.inserted.clone(), laid.deleted.clone());
        let inside = Inside { trigger: trigger.id, inserted, deleted };
        let outer_inside = self.inside.replace(Arc::new(inside));
        let outer_frame = std::mem::take(&mut self.frame);
        let outer_level = std::mem::replace(&mut self.trigger_level, level);
        let settings = self.settings.clone();
        let identity = self.running.scope_identity();
        self.running.set_scope_identity(None);
        self.settings.xact_abort = true;
        self.row_count = count;
        self.depth += 1;
        let text = self.text.take();
        let answer = self.run_all(&trigger.body, out);
        self.text = text;
        self.depth -= 1;
        self.running.set_scope_identity(identity);
        if self.settings.identity_insert != settings.identity_insert {
            self.plans.clear();
        }
        self.settings = settings;
        self.trigger_level = outer_level;
        self.frame = outer_frame;
        self.inside = outer_inside;
        self.drop_temporaries_of_ended_calls();
        let ended = match answer {
            Err(error) => Err(error),
            Ok(_) if self.transaction.count == 0 => Err(refusal::ended_in_trigger()),
            Ok(_) if self.transaction.doomed => Err(refusal::failed_in_trigger()),
            Ok(_) => Ok(()),
        };
        self.failed_in_trigger = ended.is_err();
        ended
    }

    fn has_rows(&self, rows: &Relation, level: i64) -> Result<bool, SqlError> {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {} WHERE \"~level\" = {level})", rows.quoted());
        self.connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| self.refused(error, None))
    }

    /// SQLite's tables and row triggers for a table, made at its first change.
    fn laid_aside(&mut self, table: &Arc<Relation>) -> Result<Laid, SqlError> {
        self.drop_stale_captures()?;
        if let Some(Capture::Of(laid)) = self.captures.made.get(&table.id)
            && Arc::ptr_eq(&laid.table, table)
        {
            return Ok(laid.clone());
        }
        self.drop_capture(table.id)?;
        let laid = Laid {
            table: table.clone(),
            inserted: Arc::new(pseudo(table, "inserted")),
            deleted: Arc::new(pseudo(table, "deleted")),
        };
        // Known before it is there: half of it may stand when making it fails.
        self.captures.made.insert(table.id, Capture::Unknown);
        for sql in statements(&laid) {
            self.sqlite(&sql)?;
        }
        self.captures.made.insert(table.id, Capture::Of(laid.clone()));
        Ok(laid)
    }

    /// Drops what was made for a table as it is no more; its columns may have gone.
    pub(super) fn drop_stale_captures(&mut self) -> Result<(), SqlError> {
        if !std::mem::take(&mut self.captures.stale) {
            return Ok(());
        }
        let stale = |id: &i32, capture: &Capture| match capture {
            Capture::Gone => false,
            Capture::Unknown => true,
            Capture::Of(laid) => {
                !self.catalogue.by_id.get(id).is_some_and(|table| Arc::ptr_eq(table, &laid.table))
            }
        };
        let made = self.captures.made.iter();
        let ids: Vec<i32> =
            made.filter(|(id, capture)| stale(id, capture)).map(|(id, _)| *id).collect();
        ids.into_iter().try_for_each(|id| self.drop_capture(id))
    }

    pub(super) fn drop_captures(&mut self) -> Result<(), SqlError> {
        let ids: Vec<i32> = self.captures.made.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.drop_capture(id))
    }

    fn drop_capture(&mut self, id: i32) -> Result<(), SqlError> {
        let Some(capture) = self.captures.made.get(&id) else { return Ok(()) };
        if matches!(capture, Capture::Gone) {
            return Ok(());
        }
        for event in ["insert", "update", "delete"] {
            let name = quote(&format!("capture:{id}:{event}"));
            self.sqlite(&format!("DROP TRIGGER IF EXISTS temp.{name}"))?;
        }
        for rows in ["inserted", "deleted"] {
            let name = quote(&format!("{rows}:{id}"));
            self.sqlite(&format!("DROP TABLE IF EXISTS temp.{name}"))?;
        }
        self.captures.made.insert(id, Capture::Gone);
        Ok(())
    }
}

/// `inserted` or `deleted` as a table: the changed table's columns and none of its rules.
fn pseudo(table: &Relation, name: &str) -> Relation {
    let fields = table.fields.iter().map(|field| {
        let (identity, default, computed) = (None, None, None);
        Field { nullable: true, identity, default, computed, ..field.clone() }
    });
    Relation {
        id: table.id,
        name: tillhold_core::table::TableName::new("dbo", name),
        storage: format!("{name}:{}", table.id),
        temporary: true,
        fields: fields.collect(),
        indexes: Vec::new(),
        foreign: Vec::new(),
        checks: Vec::new(),
        tracking: None,
        triggers: Vec::new(),
    }
}

fn statements(laid: &Laid) -> Vec<String> {
    let (table, mut all) = (&laid.table, Vec::new());
    for rows in [&laid.inserted, &laid.deleted] {
        let columns: Vec<String> = rows.fields.iter().map(|field| field.declaration()).collect();
        all.push(format!(
            "CREATE TEMP TABLE {} (\"~level\" INTEGER NOT NULL, {})",
            quote(&rows.storage),
            columns.join(", ")
        ));
        let key: Vec<String> = table.key().map(|field| quote(&field.name)).collect();
        if !key.is_empty() {
            all.push(format!(
                "CREATE INDEX temp.{} ON {} (\"~level\", {})",
                quote(&format!("{}:key", rows.storage)),
                quote(&rows.storage),
                key.join(", ")
            ));
        }
    }
    let copy = |rows: &Relation, row: &str| {
        let cells: Vec<String> =
            table.fields.iter().map(|field| format!("{row}.{}", quote(&field.name))).collect();
        let storage = quote(&rows.storage);
        format!("INSERT INTO {storage} VALUES (ts_capture(), {});", cells.join(", "))
    };
    let (new, old) = (copy(&laid.inserted, "NEW"), copy(&laid.deleted, "OLD"));
    for (event, body) in
        [("insert", new.clone()), ("update", format!("{old} {new}")), ("delete", old.clone())]
    {
        let name = quote(&format!("capture:{}:{event}", table.id));
        let (event, on) = (event.to_uppercase(), table.quoted());
        all.push(format!(
            "CREATE TEMP TRIGGER {name} AFTER {event} ON {on} WHEN ts_capture() > 0 BEGIN {body} END"
        ));
    }
    all
}
