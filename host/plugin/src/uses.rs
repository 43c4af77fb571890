//! What a plugin says of itself: the tables it works on, and which columns pass.
//!
//! Held against the table as it travels before a row is shown: a plugin can neither see nor write past it.

use crate::error::{PluginError, PluginId};
use crate::wire;
use std::collections::BTreeSet;
use std::sync::Arc;
use tillhold_core::table::{Assigned, Table, TableName};

/// `*` in a resolver's `reads` or `writes`.
pub const EVERY_COLUMN: &str = "*";

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
}

/// Checks what `describe` answered; the error is what is wrong with it.
pub(crate) fn checked(role: Role, described: Vec<wire::TableUse>) -> Result<Vec<TableUse>, String> {
    let mut uses: Vec<TableUse> = Vec::with_capacity(described.len());
    for wire::TableUse { table: spelled, reads, writes } in described {
        let table = TableName::parse(&spelled)
            .filter(|_| spelled.contains('.'))
            .ok_or_else(|| format!("'{spelled}' is not a table's name such as ax.CUSTTABLE"))?;
        if uses.iter().any(|used| same_name(&used.table, &table)) {
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
    table: &Table,
) -> Result<Option<Plan>, PluginError> {
    let Some(used) = uses.iter().find(|used| same_name(&used.table, &table.name)) else {
        return Ok(None);
    };
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let reads = match is_every(&used.reads) {
        true => all.clone(),
        false => positions(plugin, table, &used.reads)?,
    };
    let writes = match is_every(&used.writes) {
        true => all.into_iter().filter(|at| !table.is_key(*at)).collect(),
        false => positions(plugin, table, &used.writes)?,
    };
    for at in &writes {
        check_writable(plugin, table, *at)?;
    }
    Ok(Some(Plan { spelled: used.table.to_string(), reads, writes }))
}

/// Everything of `uses` that does not hold for `table`, in the order in which the plugin names it.
pub(crate) fn mistakes(
    plugin: &Arc<PluginId>,
    uses: &[TableUse],
    table: &Table,
) -> Vec<PluginError> {
    let mut mistakes = Vec::new();
    for used in uses.iter().filter(|used| same_name(&used.table, &table.name)) {
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

fn same_name(a: &TableName, b: &TableName) -> bool {
    a.schema.eq_ignore_ascii_case(&b.schema) && a.name.eq_ignore_ascii_case(&b.name)
}
