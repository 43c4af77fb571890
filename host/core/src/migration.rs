//! What becomes of the tables that a register holds when its profile or its channel has changed.
//!
//! ```text
//! held + wanted ─► plan ─► a step a table ─► host/local carries the steps out, a transaction a file
//! ```
//!
//! * A plan is computed from what is there and what is wanted and from nothing else, so a migration that was cut off
//!   goes on by being planned anew, and a plan of what is as wanted changes nothing.
//! * No step takes an unsent row away: what would, waits until the row is sent, and says how many it waits for.
//! * A table that is read from the channel is read again where its rows cannot be known otherwise; until then a till
//!   reads the rows that it has.

use crate::alteration::{Alteration, alterations};
use crate::profile::Direction;
use crate::table::{Column, Table, TableName};
use crate::types::SqlType;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The file that holds a table: what a register may write is never where a download is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Journal,
    Catalogue,
}

/// A table as the register's files hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTable {
    pub table: Arc<Table>,
    pub scope: String,
    pub direction: Direction,
    pub place: Place,
    /// Whether its first load has landed, so that a till may read it.
    pub is_ready: bool,
    /// Changes that the channel does not have yet, quarantined and deferred ones among them.
    pub unsent_rows: u64,
}

/// A table as the profile wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalledTable {
    pub scope: String,
    pub direction: Direction,
    /// In its travelling shape.
    pub table: Arc<Table>,
}

/// What becomes of each table that is held or wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In the order of the tables' names.
    pub steps: Vec<Step>,
}

/// What becomes of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub name: TableName,
    pub action: Action,
    /// As it is now; `None` for a table that is new here.
    pub held: Option<HeldTable>,
    /// As it will be; `None` for one that leaves.
    pub target: Option<InstalledTable>,
    /// From the shape held to the target's.
    pub alterations: Vec<Alteration>,
    /// Why its rows are read from the channel again.
    pub rereads: Vec<Reread>,
    /// What cannot be done yet.
    pub waits: Option<Waits>,
}

/// What is done to one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Keep,
    Add,
    /// In the file where it is: shape, scope or direction.
    Change,
    /// Into the other file.
    Move,
    /// It leaves the register with its rows.
    Remove,
}

/// Why a table's rows are read from the channel once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reread {
    ColumnsAdded,
    ColumnsChanged,
    KeyChanged,
    /// It was only pushed: what others wrote was never here.
    PulledNow,
}

/// What stands in the way of a step, as the number of unsent rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The table leaves the profile once they are sent.
    ToLeave(u64),
    /// The table becomes one that the register does not write, once they are sent.
    ToMove(u64),
    /// They may not fit the new shape: it is taken once they are sent.
    ToChange(u64),
}

impl Place {
    pub fn of(direction: Direction) -> Place {
        if direction.is_pushed() { Place::Journal } else { Place::Catalogue }
    }
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Keep => "keep",
            Action::Add => "add",
            Action::Change => "change",
            Action::Move => "move",
            Action::Remove => "remove",
        }
    }
}

impl Reread {
    /// As it is stored and told.
    pub fn name(self) -> &'static str {
        match self {
            Reread::ColumnsAdded => "columns-added",
            Reread::ColumnsChanged => "columns-changed",
            Reread::KeyChanged => "key-changed",
            Reread::PulledNow => "pulled-now",
        }
    }
}

impl Waits {
    pub fn unsent_rows(self) -> u64 {
        match self {
            Waits::ToLeave(rows) | Waits::ToMove(rows) | Waits::ToChange(rows) => rows,
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::ToLeave(rows) => write!(f, "leaves when its {rows} unsent rows are sent"),
            Waits::ToMove(rows) => {
                write!(f, "can be written no more, and moves when its {rows} unsent rows are sent")
            }
            Waits::ToChange(rows) => {
                write!(f, "takes its new shape when its {rows} unsent rows are sent")
            }
        }
    }
}

impl Plan {
    /// Whether carrying it out would change anything now.
    pub fn changes(&self) -> bool {
        self.steps.iter().any(|step| step.action != Action::Keep)
    }

    /// The tables as they are once it is carried out.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        self.steps.iter().filter_map(|step| Some(step.target.as_ref()?.table.clone())).collect()
    }

    /// Steps with something that waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.waits.is_some())
    }
}

/// One line for people.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.action.name())?;
        for alteration in &self.alterations {
            write!(f, "; {alteration}")?;
        }
        if let (Some(held), Some(target)) = (&self.held, &self.target) {
            if held.direction != target.direction {
                write!(f, "; {:?} becomes {:?}", held.direction, target.direction)?;
            }
            if held.scope != target.scope {
                write!(f, "; from scope {} to {}", held.scope, target.scope)?;
            }
        }
        if !self.rereads.is_empty() {
            write!(f, "; its rows are read again")?;
        }
        match self.waits {
            Some(waits) => write!(f, "; {waits}"),
            None => Ok(()),
        }
    }
}

impl Step {
    fn replaces(&self, place: Place) -> bool {
        let target = self.target.as_ref().map(|target| Place::of(target.direction));
        self.action == Action::Move && target == Some(place)
    }
}

/// The plan that makes of `held` what is `wanted`.
pub fn plan(held: &[HeldTable], wanted: &[InstalledTable]) -> Plan {
    let mut steps: Vec<Step> = Vec::new();
    for table in wanted {
        steps.push(match primary(held, &table.table.name) {
            Some(is) => step(is, table),
            None => added(table),
        });
    }
    for is in held {
        let name = &is.table.name;
        let chosen = primary(held, name).is_some_and(|primary| primary.place == is.place);
        if !chosen {
            // A move was cut off between the two files: it is made again, or the copy is of no use.
            let is_replaced =
                steps.iter().any(|step| step.name == *name && step.replaces(is.place));
            if !is_replaced {
                steps.push(Step { action: Action::Remove, ..kept(is, None) });
            }
        } else if !wanted.iter().any(|table| is_same(&table.table.name, name)) {
            steps.push(left(is));
        }
    }
    steps.sort_by(|a, b| a.name.cmp(&b.name));
    Plan { steps }
}

/// What is left of a held table of the columns that are wanted: nothing is added, nothing is of another type.
pub fn without_columns(held: &Table, wanted: &Table) -> Table {
    let stays = |column: &Column| wanted.position(&column.name).is_some();
    let gone: Vec<String> =
        held.columns.iter().filter(|c| !stays(c)).map(|c| c.name.clone()).collect();
    held.travelling(&gone)
}

/// Whether a register follows what became of a table without a person looking: columns that every row can do without or
/// has a default for, and columns that hold more than before.
pub fn is_safe(held: &Table, now: &Table) -> bool {
    alterations(held, now).iter().all(|alteration| match alteration {
        Alteration::Added { column, .. } => {
            column_of(now, column).is_some_and(|c| c.nullable || c.default.is_some())
        }
        Alteration::Changed { column, .. } => widens(held, now, column),
        Alteration::Dropped { .. } | Alteration::Key { .. } => false,
    })
}

/// Of two copies of a moved table the journal's: it may hold unsent rows.
fn primary<'a>(held: &'a [HeldTable], name: &TableName) -> Option<&'a HeldTable> {
    held.iter().filter(|is| is_same(&is.table.name, name)).min_by_key(|is| is.place)
}

fn is_same(a: &TableName, b: &TableName) -> bool {
    a.schema.eq_ignore_ascii_case(&b.schema) && a.name.eq_ignore_ascii_case(&b.name)
}

fn kept(is: &HeldTable, target: Option<InstalledTable>) -> Step {
    Step {
        name: is.table.name.clone(),
        action: Action::Keep,
        held: Some(is.clone()),
        target,
        alterations: Vec::new(),
        rereads: Vec::new(),
        waits: None,
    }
}

fn added(wanted: &InstalledTable) -> Step {
    Step {
        name: wanted.table.name.clone(),
        action: Action::Add,
        held: None,
        target: Some(wanted.clone()),
        alterations: Vec::new(),
        rereads: Vec::new(),
        waits: None,
    }
}

fn left(is: &HeldTable) -> Step {
    let step = kept(is, None);
    match is.unsent_rows {
        0 => Step { action: Action::Remove, ..step },
        rows => Step { waits: Some(Waits::ToLeave(rows)), ..step },
    }
}

fn step(is: &HeldTable, wanted: &InstalledTable) -> Step {
    let mut target = wanted.clone();
    let mut waits = None;
    if alterations(&is.table, &wanted.table).is_empty() {
        // Another order of the columns is no reason to touch a row.
        target.table = is.table.clone();
    } else if is.unsent_rows > 0 && !images_fit(&is.table, &wanted.table) {
        waits = Some(Waits::ToChange(is.unsent_rows));
        target.table = Arc::new(without_columns(&is.table, &wanted.table));
    }
    if is.place == Place::Journal && !wanted.direction.is_pushed() && is.unsent_rows > 0 {
        waits = Some(Waits::ToMove(is.unsent_rows));
        target.direction = is.direction;
    }
    let alterations = alterations(&is.table, &target.table);
    let rereads = rereads(is, &target, &alterations);
    let action = match Place::of(target.direction) == is.place {
        false => Action::Move,
        true if alterations.is_empty() && is.scope == target.scope => {
            if is.direction == target.direction { Action::Keep } else { Action::Change }
        }
        true => Action::Change,
    };
    Step { action, alterations, rereads, waits, ..kept(is, Some(target)) }
}

fn rereads(is: &HeldTable, target: &InstalledTable, alterations: &[Alteration]) -> Vec<Reread> {
    let mut found = BTreeSet::new();
    if !target.direction.is_pulled() {
        return Vec::new();
    }
    if !is.direction.is_pulled() {
        found.insert(Reread::PulledNow);
    }
    for alteration in alterations {
        found.extend(match alteration {
            Alteration::Added { .. } => Some(Reread::ColumnsAdded),
            Alteration::Changed { .. } => Some(Reread::ColumnsChanged),
            Alteration::Key { .. } => Some(Reread::KeyChanged),
            // What is no longer wanted is taken away where it is.
            Alteration::Dropped { .. } => None,
        });
    }
    found.into_iter().collect()
}

/// Whether every row that a table may hold is one of the new shape as well: then unsent ones are kept as they are.
fn images_fit(held: &Table, now: &Table) -> bool {
    alterations(held, now).iter().all(|alteration| match alteration {
        Alteration::Added { .. } | Alteration::Dropped { .. } => true,
        Alteration::Changed { column, .. } => widens(held, now, column),
        Alteration::Key { .. } => false,
    })
}

fn column_of<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    table.position(name).map(|at| &table.columns[at])
}

/// Whether a column of the same name holds all that it held, in the same words.
fn widens(held: &Table, now: &Table, name: &str) -> bool {
    let (Some(was), Some(is)) = (column_of(held, name), column_of(now, name)) else {
        return false;
    };
    let is_key = held.position(name).is_some_and(|at| held.is_key(at));
    let compares_alike = match is_key {
        true => was.collation == is.collation,
        false => was.folds() == is.folds(),
    };
    let same_null = is.nullable || !was.nullable;
    compares_alike && same_null && (was.of == is.of || type_widens(was.of, is.of, is_key))
}

/// The log knows keys by their texts, so of key columns only those types that write the same text.
fn type_widens(was: SqlType, is: SqlType, is_key: bool) -> bool {
    use SqlType::*;
    let longer = |was: Option<u16>, is: Option<u16>| match (was, is) {
        (_, None) => true,
        (Some(was), Some(is)) => was <= is,
        (None, Some(_)) => false,
    };
    match (was, is) {
        (VarChar { length: was }, VarChar { length: is } | NVarChar { length: is })
        | (NVarChar { length: was }, NVarChar { length: is }) => longer(was, is),
        (VarBinary { length: was }, VarBinary { length: is }) => !is_key && longer(was, is),
        (TinyInt, SmallInt | Int | BigInt) | (SmallInt, Int | BigInt) | (Int, BigInt) => true,
        (Decimal { precision: p, scale: s }, Decimal { precision, scale }) => {
            // The digits before the point, and those behind it.
            !is_key && scale >= s && precision - scale >= p - s
        }
        (DateTime2 { scale: was }, DateTime2 { scale: is })
        | (Time { scale: was }, Time { scale: is })
        | (DateTimeOffset { scale: was }, DateTimeOffset { scale: is }) => !is_key && was <= is,
        _ => false,
    }
}
