//! One table of the register against the channel's, row by row, both directions.

use super::{Cells, Findings, RegisterFiles, cells, differences, folded, named, rules};
use crate::DemoError;
use crate::generate::{DemoStore, is_secret};
use crate::session::{ChannelRows, names};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use tillhold_core::table::{Table, TableName};

/// The register's rows by the digest of their key: the digest of the row.
type Digests = HashMap<u64, u64>;

pub(super) fn check(
    store: &DemoStore,
    name: &TableName,
    channel: &mut dyn ChannelRows,
    register: &RegisterFiles,
    findings: &mut Findings,
) -> Result<(), DemoError> {
    let Some(table) = store.schema.table(name) else { return Ok(()) };
    let table = travelling(table);
    if table.key.is_empty() {
        // Change tracking cannot follow it; the register goes on without it.
        return Ok(());
    }
    let Some(file) = place(&table, register, findings)? else { return Ok(()) };
    let (mut found, mut rows) = (Digests::new(), 0);
    register.rows(file, &table, &mut |row| {
        rows += 1;
        found.insert(digest(&folded(&table, &row)), digest(&row));
    })?;
    if found.len() as u64 != rows {
        findings.tell(format!("{name} holds {rows} rows under {} keys", found.len()));
        findings.differing += rows - found.len() as u64;
    }
    let mut unlike = Vec::new();
    channel.rows(name, &names(&table), None, &mut |row| {
        compare(store, &table, cells(&row, &table), &mut found, &mut unlike, findings);
    })?;
    findings.tables += 1;
    if found.is_empty() && unlike.is_empty() {
        return Ok(());
    }
    explain(&table, file, register, &found, &unlike, findings)
}

/// What travels of a table: neither the channel's own columns nor secret ones.
fn travelling(table: &Table) -> Table {
    let secret = table.columns.iter().filter(|c| is_secret(&table.name, &c.name));
    table.travelling(&secret.map(|c| c.name.clone()).collect::<Vec<_>>())
}

/// The file that has the table, with exactly the columns that travel.
fn place(
    table: &Table,
    register: &RegisterFiles,
    findings: &mut Findings,
) -> Result<Option<usize>, DemoError> {
    let Some((file, columns)) = register.columns(&table.name)? else {
        findings.differing += 1;
        findings.tell(format!("the register does not have {}", table.name));
        return Ok(None);
    };
    let extra = columns.iter().find(|column| table.position(column).is_none());
    if let Some(extra) = extra {
        findings.differing += 1;
        findings.tell(format!("{}.{extra} reached the register and must not", table.name));
    }
    Ok(Some(file))
}

/// Takes a channel row's partner out of `found`; what stays there at the end is too many.
fn compare(
    store: &DemoStore,
    table: &Table,
    row: Cells,
    found: &mut Digests,
    unlike: &mut Vec<(u64, Cells)>,
    findings: &mut Findings,
) {
    findings.rows += 1;
    let Some(expected) = rules::expected(table, &store.own().number, row.clone()) else {
        findings.kept_away += 1;
        return;
    };
    findings.transformed += u64::from(expected != row);
    let key = digest(&folded(table, &expected));
    match found.remove(&key) {
        Some(digested) if digested == digest(&expected) => {}
        Some(_) => {
            findings.differing += 1;
            if unlike.len() < super::TOLD_MAX {
                unlike.push((key, expected));
            }
        }
        None => {
            findings.differing += 1;
            findings.tell(format!("{} lacks {}", table.name, named(table, &expected)));
        }
    }
}

/// A second look at the register's rows, to say in words what the digests only counted.
fn explain(
    table: &Table,
    file: usize,
    register: &RegisterFiles,
    left: &Digests,
    unlike: &[(u64, Cells)],
    findings: &mut Findings,
) -> Result<(), DemoError> {
    findings.differing += left.len() as u64;
    register.rows(file, table, &mut |row| {
        let key = digest(&folded(table, &row));
        if left.contains_key(&key) {
            findings.tell(format!("{} has {} and must not", table.name, named(table, &row)));
        }
        if let Some((_, expected)) = unlike.iter().find(|(known, _)| *known == key) {
            let what = differences(table, expected, &row);
            findings.tell(format!("{} {}: {what}", table.name, named(table, &row)));
        }
    })
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
