//! What a plugin says of itself: the tables it works on, and which columns pass.
//!
//! Held against what the operator grants when the plugin is loaded, and against the table as it travels before a row is
//! shown: a plugin can neither see nor write past either. One that names more than it is granted is refused whole, since it
//! was written to see all that it names; `*`, which means as much as there is, means what is granted.

use crate::error::{PluginError, PluginId};
use crate::wire;
use std::collections::BTreeSet;
use std::sync::Arc;
use tillhold_core::grant::{EVERY_COLUMN, Grant, Grants};
use tillhold_core::table::{Assigned, Table, TableName};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Transform,
    Resolve,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Transform => "transform",
            Role::Resolve => "resolve",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    pub role: Role,
    pub table: TableName,
    /// In the order in which the plugin gets them. For a resolver it may be [`EVERY_COLUMN`] alone.
    pub reads: Vec<String>,
    pub writes: Vec<String>,
}

/// A use, resolved against a table: positions in it.
pub(crate) struct Plan {
    /// The table's name as the plugin wrote it.
    pub spelled: String,
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
    /// It may write whatever it is granted, and no more is granted than `writes`.
    pub writes_granted: bool,
}

/// Checks what `describe` answered; the error is what is wrong with it.
pub(crate) fn checked(role: Role, described: Vec<wire::TableUse>) -> Result<Vec<TableUse>, String> {
    let mut uses: Vec<TableUse> = Vec::with_capacity(described.len());
    for wire::TableUse { table: spelled, reads, writes } in described {
        let table = TableName::parse(&spelled)
            .filter(|_| spelled.contains('.'))
            .ok_or_else(|| format!("'{spelled}' is not a table's name such as ax.CUSTTABLE"))?;
        if uses.iter().any(|used| used.table.is_same(&table)) {
            return Err(format!("it describes {table} twice"));
        }
        for columns in [&reads, &writes] {
            check_columns(role, &table, columns)?;
        }
        uses.push(TableUse { role, table, reads, writes });
    }
    Ok(uses)
}

fn check_columns(role: Role, table: &TableName, columns: &[String]) -> Result<(), String> {
    let every = columns.iter().any(|column| column == EVERY_COLUMN);
    if every && (role == Role::Transform || columns.len() > 1) {
        return Err(format!("{table}: `*` is for resolvers, and stands alone"));
    }
    let distinct: BTreeSet<String> = columns.iter().map(|c| c.to_ascii_uppercase()).collect();
    if distinct.len() < columns.len() {
        return Err(format!("{table}: a column is named twice"));
    }
    Ok(())
}

/// The plan for `table`; `None` when the plugin does not use it.
pub(crate) fn plan(
    plugin: &Arc<PluginId>,
    uses: &[TableUse],
    grants: Option<&Grants>,
    table: &Table,
) -> Result<Option<Plan>, PluginError> {
    let Some(used) = uses.iter().find(|used| used.table.is_same(&table.name)) else {
        return Ok(None);
    };
    check_key(plugin, used, grants, table)?;
    let all = 0..table.columns.len();
    let name = |at: &usize| table.columns[*at].name.as_str();
    let may_read = |at: &usize| grants.is_none_or(|grants| grants.reads(&table.name, name(at)));
    let may_write = |at: &usize| grants.is_none_or(|grants| grants.writes(&table.name, name(at)));
    let reads = match is_every(&used.reads) {
        true => all.clone().filter(may_read).collect(),
        false => positions(plugin, table, &used.reads)?,
    };
    let writes = match is_every(&used.writes) {
        true => all.filter(|at| !table.is_key(*at) && may_write(at)).collect(),
        false => positions(plugin, table, &used.writes)?,
    };
    for at in &writes {
        check_writable(plugin, table, *at)?;
    }
    let writes_granted = grants.is_some() && is_every(&used.writes);
    Ok(Some(Plan { spelled: used.table.to_string(), reads, writes, writes_granted }))
}

/// Whether all that the plugin names is granted; what is not is told at once.
pub(crate) fn check_grants(
    plugin: &Arc<PluginId>,
    uses: &[TableUse],
    grants: Option<&Grants>,
) -> Result<(), PluginError> {
    let Some(grants) = grants else { return Ok(()) };
    let asked = needed(uses, &[]);
    let missing: Vec<Grant> = asked.iter().filter_map(|asked| grants.missing(asked)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(PluginError::NotGranted { plugin: plugin.clone(), missing }),
    }
}

/// A resolver gets the key of every row, whether it reads it or not.
fn check_key(
    plugin: &Arc<PluginId>,
    used: &TableUse,
    grants: Option<&Grants>,
    table: &Table,
) -> Result<(), PluginError> {
    let Some(grants) = grants.filter(|_| used.role == Role::Resolve) else { return Ok(()) };
    let reads = table.key_columns().map(|column| column.name.clone()).collect();
    let asked = Grant { table: used.table.clone(), reads, writes: Vec::new() };
    match grants.missing(&asked) {
        None => Ok(()),
        Some(missing) => {
            Err(PluginError::NotGranted { plugin: plugin.clone(), missing: vec![missing] })
        }
    }
}

/// What `uses` ask for, each table once; with the key of those of `tables` that a resolver works on.
pub(crate) fn needed(uses: &[TableUse], tables: &[&Table]) -> Vec<Grant> {
    let mut needed: Vec<Grant> = Vec::new();
    for used in uses {
        let known = tables.iter().find(|table| table.name.is_same(&used.table));
        let key = known.filter(|_| used.role == Role::Resolve).into_iter();
        let key = key.flat_map(|table| table.key_columns().map(|column| &column.name));
        let at = needed.iter().position(|grant| grant.table.is_same(&used.table));
        let at = at.unwrap_or_else(|| {
            let table = used.table.clone();
            needed.push(Grant { table, reads: Vec::new(), writes: Vec::new() });
            needed.len() - 1
        });
        used.reads.iter().chain(key).for_each(|column| add(&mut needed[at].reads, column));
        used.writes.iter().for_each(|column| add(&mut needed[at].writes, column));
    }
    needed
}

fn add(columns: &mut Vec<String>, column: &str) {
    let is_there = |one: &String| one == EVERY_COLUMN || one.eq_ignore_ascii_case(column);
    if !columns.iter().any(is_there) {
        columns.push(column.to_string());
    }
}

/// Everything of `uses` that does not hold for `table`, in the order in which the plugin names it.
pub(crate) fn mistakes(
    plugin: &Arc<PluginId>,
    uses: &[TableUse],
    table: &Table,
) -> Vec<PluginError> {
    let mut mistakes = Vec::new();
    for used in uses.iter().filter(|used| used.table.is_same(&table.name)) {
        for column in used.reads.iter().filter(|column| *column != EVERY_COLUMN) {
            mistakes.extend(position(plugin, table, column).err());
        }
        for column in used.writes.iter().filter(|column| *column != EVERY_COLUMN) {
            match position(plugin, table, column) {
                Ok(at) => mistakes.extend(check_writable(plugin, table, at).err()),
                Err(_) if used.reads.contains(column) => {}
                Err(unknown) => mistakes.push(unknown),
            }
        }
    }
    mistakes
}

fn check_writable(plugin: &Arc<PluginId>, table: &Table, at: usize) -> Result<(), PluginError> {
    let (plugin, name) = (plugin.clone(), table.name.clone());
    let column = table.columns[at].name.clone();
    if table.is_key(at) {
        return Err(PluginError::KeyWritten { plugin, table: name, column });
    }
    match table.columns[at].assigned {
        Assigned::ByWriter => Ok(()),
        Assigned::ByChannel => Err(PluginError::ColumnUnknown { plugin, table: name, column }),
    }
}

fn is_every(columns: &[String]) -> bool {
    matches!(columns, [only] if only == EVERY_COLUMN)
}

fn positions(
    plugin: &Arc<PluginId>,
    table: &Table,
    columns: &[String],
) -> Result<Vec<usize>, PluginError> {
    columns.iter().map(|column| position(plugin, table, column)).collect()
}

fn position(plugin: &Arc<PluginId>, table: &Table, column: &str) -> Result<usize, PluginError> {
    table.position(column).ok_or_else(|| PluginError::ColumnUnknown {
        plugin: plugin.clone(),
        table: table.name.clone(),
        column: column.to_string(),
    })
}
