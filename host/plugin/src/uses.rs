//! What a plugin says of itself: the tables it works on, and which columns pass.
//!
//! Held against what the operator grants when the plugin is loaded, and against the table as it travels before a row is
//! shown: a plugin can neither see nor write past either. One that names more than it is granted is refused whole, since it
//! was written to see all that it names; `*`, which means as much as there is, means what is granted.

use crate::error::{PluginError, PluginId};
use crate::wire;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tillhold_core::grant::{EVERY_COLUMN, Grant, Grants};
use tillhold_core::limits;
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

/// Checks what `describe` answered; the error is what is wrong with it. Counts first: no deadline ends what the host itself
/// does with them.
pub(crate) fn checked(role: Role, described: Vec<wire::TableUse>) -> Result<Vec<TableUse>, String> {
    if described.len() > limits::PLUGIN_TABLES_DESCRIBED_MAX {
        let (count, most) = (described.len(), limits::PLUGIN_TABLES_DESCRIBED_MAX);
        return Err(format!("it describes {count} tables, {most} at most"));
    }
    let mut uses: Vec<TableUse> = Vec::with_capacity(described.len());
    let mut known = HashSet::with_capacity(described.len());
    for wire::TableUse { table: spelled, reads, writes } in described {
        let table = TableName::parse(&spelled)
            .filter(|_| spelled.contains('.'))
            .filter(|table| [&table.schema, &table.name].into_iter().all(|part| is_name(part)))
            .ok_or_else(|| format!("'{spelled}' is not a table's name such as ax.CUSTTABLE"))?;
        if !known.insert(one_case(&spelled)) {
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
    if columns.len() > limits::PLUGIN_COLUMNS_DESCRIBED_MAX {
        let (count, most) = (columns.len(), limits::PLUGIN_COLUMNS_DESCRIBED_MAX);
        return Err(format!("{table}: it names {count} columns, {most} at most"));
    }
    if let Some(column) = columns.iter().find(|column| !is_name(column)) {
        return Err(format!("{table}: '{column}' is not a column's name"));
    }
    let distinct: HashSet<String> = columns.iter().map(|column| one_case(column)).collect();
    if distinct.len() < columns.len() {
        return Err(format!("{table}: a column is named twice"));
    }
    Ok(())
}

/// Whether any server could have something of this name.
fn is_name(name: &str) -> bool {
    let letters = name.chars().take(limits::PLUGIN_NAME_CHARS_MAX + 1).count();
    letters <= limits::PLUGIN_NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// Equal for names that are the same to SQL Server.
fn one_case(name: &str) -> String {
    name.to_ascii_uppercase()
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
    let mut needed: Vec<Needed> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for used in uses {
        let known = tables.iter().find(|table| table.name.is_same(&used.table));
        let key = known.filter(|_| used.role == Role::Resolve).into_iter();
        let key = key.flat_map(|table| table.key_columns().map(|column| &column.name));
        let at = *places.entry(one_case(&used.table.to_string())).or_insert(needed.len());
        if at == needed.len() {
            needed.push(Needed::of(&used.table));
        }
        used.reads.iter().chain(key).for_each(|column| needed[at].reads.add(column));
        used.writes.iter().for_each(|column| needed[at].writes.add(column));
    }
    let grant =
        |of: Needed| Grant { table: of.table, reads: of.reads.names, writes: of.writes.names };
    needed.into_iter().map(grant).collect()
}

struct Needed {
    table: TableName,
    reads: Names,
    writes: Names,
}

/// Each once, in the order in which they came.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    known: HashSet<String>,
}

impl Needed {
    fn of(table: &TableName) -> Needed {
        Needed { table: table.clone(), reads: Names::default(), writes: Names::default() }
    }
}

impl Names {
    fn add(&mut self, column: &str) {
        if !self.known.contains(EVERY_COLUMN) && self.known.insert(one_case(column)) {
            self.names.push(column.to_string());
        }
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

#[cfg(test)]
mod tests {
    use super::{Role, checked, needed};
    use crate::wire;
    use tillhold_core::grant::Grant;
    use tillhold_core::table::TableName;

    fn used(table: &str, reads: &[&str]) -> wire::TableUse {
        let reads = reads.iter().map(|column| column.to_string()).collect();
        wire::TableUse { table: table.to_string(), reads, writes: Vec::new() }
    }

    #[test]
    fn what_no_server_could_have_is_refused() {
        let tables = |count| (0..count).map(|at| used(&format!("ax.T{at}"), &[])).collect();
        let columns = |count| {
            let reads = (0..count).map(|at| format!("C{at}")).collect();
            vec![wire::TableUse { reads, ..used("ax.T", &[]) }]
        };
        let table = |letters| vec![used(&format!("ax.{}", "N".repeat(letters)), &[])];
        let column = |letters| vec![used("ax.T", &[&"é".repeat(letters)])];
        for (described, wrong) in [
            (tables(1_000), ""),
            (tables(1_001), "it describes 1001 tables, 1000 at most"),
            (columns(1_024), ""),
            (columns(1_025), "ax.T: it names 1025 columns, 1024 at most"),
            (table(128), ""),
            (table(129), "is not a table's name such as ax.CUSTTABLE"),
            (column(128), ""),
            (column(129), "is not a column's name"),
            (vec![used("ax.T", &["A\nB"])], "is not a column's name"),
            (vec![used("ax.T", &["A", "b", "B"])], "ax.T: a column is named twice"),
            (vec![used("ax.T", &[]), used("AX.t", &[])], "it describes AX.t twice"),
        ] {
            let told = checked(Role::Transform, described).err().unwrap_or_default();
            assert_eq!(told.is_empty(), wrong.is_empty(), "{wrong}: {told}");
            assert!(told.ends_with(wrong), "{told}");
        }
    }

    #[test]
    fn what_two_roles_need_is_one_grant_a_table() {
        let both = |role, described| checked(role, described).expect("a description");
        let mut uses = both(Role::Transform, vec![used("ax.T", &["A", "b"]), used("ax.U", &[])]);
        uses.extend(both(Role::Resolve, vec![used("AX.t", &["B", "C"]), used("ax.V", &["*"])]));
        let grant = |table: &str, reads: &[&str]| Grant {
            table: TableName::parse(table).expect("a name"),
            reads: reads.iter().map(|column| column.to_string()).collect(),
            writes: Vec::new(),
        };
        let expected = [grant("ax.T", &["A", "b", "C"]), grant("ax.U", &[]), grant("ax.V", &["*"])];
        assert_eq!(needed(&uses, &[]), expected);
    }
}
