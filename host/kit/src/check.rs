//! `plugin check`: would a register load this file, and what does it work on?
//!
//! ```text
//! file -> the host's own admission (size, form, imports, contract, types, describe)
//!      -> each table that it names, held against the schema file: is it there, do the columns travel, is none a key
//! ```
//! What is found is listed; only a file that cannot be read is an error.

use crate::KitError;
use crate::sandbox::{Component, Sandbox};
use crate::schema::Schema;
use std::sync::Arc;
use tillhold_core::grant::Grant;
use tillhold_core::spelling::nearest;
use tillhold_core::table::{Assigned, Table};
use tillhold_plugin::{EVERY_COLUMN, Plugin, PluginError, Role, TableUse, digest_of};

pub struct Checked {
    pub bytes: usize,
    /// `sha256:…`
    pub digest: String,
    /// `None` when it was refused before it could say what it is.
    pub plugin: Option<Plugin>,
    /// What it works on, a column after another.
    pub columns: Vec<UsedColumn>,
    /// The grants with which it would work, as a profile writes them; with a schema the keys that a resolver gets too.
    pub grants: Vec<Grant>,
    /// Why a register would not load it, or not for these tables; empty when all is well.
    pub findings: Vec<Finding>,
}

pub struct UsedColumn {
    pub table: String,
    pub role: Role,
    /// Or `*`.
    pub column: String,
    /// As the schema file declares it.
    pub of: Option<String>,
    pub is_read: bool,
    pub is_written: bool,
}

pub struct Finding {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

pub fn check(
    sandbox: &Sandbox,
    component: &Component,
    config: &str,
    schema: Option<&Schema>,
) -> Checked {
    let mut checked = Checked {
        bytes: component.wasm.len(),
        digest: digest_of(&component.wasm),
        plugin: None,
        columns: Vec::new(),
        grants: Vec::new(),
        findings: Vec::new(),
    };
    match sandbox.load(component, config) {
        Err(error) => checked.findings.push(Finding::of(&error)),
        Ok(plugin) => {
            for used in plugin.uses() {
                let table = schema.map(|schema| schema.find(&used.table.to_string()));
                let known = table.as_ref().and_then(|found| found.as_ref().ok());
                checked.columns.extend(columns(used, known.map(|table| &***table)));
                match table {
                    Some(Ok(table)) => checked.findings.extend(misfits(&plugin, used, table)),
                    Some(Err(unknown)) => checked.findings.push(Finding::of_kit(&unknown)),
                    None => {}
                }
            }
            let names = plugin.uses().iter().map(|used| used.table.to_string());
            let known = schema.map(|schema| names.filter_map(|name| schema.find(&name).ok()));
            let known: Vec<Table> =
                known.into_iter().flatten().map(|table| table.travelling(&[])).collect();
            checked.grants = plugin.grants_needed(&known.iter().collect::<Vec<_>>());
            checked.plugin = Some(plugin);
        }
    }
    checked
}

fn columns(used: &TableUse, table: Option<&Table>) -> Vec<UsedColumn> {
    let only_written = used.writes.iter().filter(|column| !used.reads.contains(column));
    let of = |column: &str| {
        let table = table?;
        table.position(column).map(|at| table.columns[at].of.to_string())
    };
    let one = |column: &String| UsedColumn {
        table: used.table.to_string(),
        role: used.role,
        of: of(column),
        is_read: used.reads.contains(column),
        is_written: used.writes.contains(column),
        column: column.clone(),
    };
    used.reads.iter().chain(only_written).map(one).collect()
}

/// A plugin that names a table twice, for both roles, is asked for each by itself.
fn misfits(plugin: &Plugin, used: &TableUse, table: &Arc<Table>) -> Vec<Finding> {
    let is_first = plugin.uses().iter().find(|other| other.table == used.table) == Some(used);
    let mistakes = if is_first { plugin.mistakes_against(&table.travelling(&[])) } else { vec![] };
    mistakes.iter().map(|mistake| Finding::of_column(mistake, table)).collect()
}

impl Finding {
    fn of(error: &PluginError) -> Finding {
        Finding { code: error.code(), message: error.to_string(), hint: error.hint() }
    }

    fn of_kit(error: &KitError) -> Finding {
        Finding { code: error.code(), message: error.to_string(), hint: error.hint() }
    }

    /// The nearest name, which only somebody with the schema can know.
    fn of_column(error: &PluginError, table: &Table) -> Finding {
        let mut finding = Finding::of(error);
        let PluginError::ColumnUnknown { column, .. } = error else { return finding };
        let channels = table.position(column).map(|at| table.columns[at].assigned);
        let travelling = table.columns.iter().filter(|one| one.assigned == Assigned::ByWriter);
        let near = nearest(column, travelling.map(|column| column.name.as_str()));
        finding.hint = match (channels, near) {
            (Some(Assigned::ByChannel), _) => {
                Some("the channel itself assigns it: it stays there".to_string())
            }
            (None, Some(near)) => Some(format!("did you mean {near}?")),
            _ if column == EVERY_COLUMN => finding.hint,
            _ => Some(format!("{} has no such column: correct the plugin", table.name)),
        };
        finding
    }
}

#[cfg(test)]
mod tests;
