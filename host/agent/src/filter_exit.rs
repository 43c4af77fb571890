//! Rows that this register's own writes put out of their table's filter.
//!
//! * Pull does not bring the register its own writes, so nobody else would say that such a row has left. The channel is
//!   asked once it has the write, before the write is settled: whatever is killed in between, the write is sent again,
//!   the ledger knows it, and the question is asked again.
//! * A row of a table without a filter is never asked for; most uploads ask nothing.

use crate::fault::FlowError;
use crate::register::Register;
use std::collections::BTreeMap;
use tillhold_channel::Link;
use tillhold_channel::keyed::passing;
use tillhold_core::row::Key;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Transaction, Write};

/// For each transaction the rows that it wrote and that do not pass now.
pub async fn leaving(
    register: &Register,
    link: &mut Link,
    transactions: &[&Transaction],
) -> Result<Vec<Vec<(TableName, Key)>>, FlowError> {
    let mut gone: BTreeMap<TableName, Vec<Vec<String>>> = BTreeMap::new();
    for (table, writes) in written(register, transactions) {
        let Some(run) = register.scope_of(&table) else { continue };
        let filter = register.filter(link, run, &table).await?;
        let (shape, keys) = (&writes[0].table, distinct(&writes));
        let passing = passing(link, shape, filter.as_deref(), &keys).await?;
        let failing = keys.iter().zip(passing).filter(|(_, passes)| !passes);
        gone.insert(table, failing.map(|(key, _)| key.folded(shape)).collect());
    }
    let left = |write: &&Write| {
        let failing = gone.get(&write.table.name);
        failing.is_some_and(|keys| keys.contains(&write.key.folded(&write.table)))
    };
    let of = |transaction: &&Transaction| {
        let writes = transaction.writes.iter().filter(left);
        writes.map(|write| (write.table.name.clone(), write.key.clone())).collect()
    };
    Ok(transactions.iter().map(of).collect())
}

/// Writes that left a row behind, by table, of tables that have a filter.
fn written<'t>(
    register: &Register,
    transactions: &[&'t Transaction],
) -> BTreeMap<TableName, Vec<&'t Write>> {
    let mut by_table: BTreeMap<TableName, Vec<&Write>> = BTreeMap::new();
    let writes = transactions.iter().flat_map(|transaction| &transaction.writes);
    for write in writes.filter(|write| write.offline.is_some()) {
        let name = &write.table.name;
        let is_filtered = register.scope_of(name).is_some_and(|run| run.filter(name).is_some());
        if is_filtered {
            by_table.entry(name.clone()).or_default().push(write);
        }
    }
    by_table
}

/// Each key once: a seed row is written by every sale.
fn distinct(writes: &[&Write]) -> Vec<Key> {
    let keys = writes.iter().map(|write| (write.key.folded(&write.table), write.key.clone()));
    keys.collect::<BTreeMap<_, _>>().into_values().collect()
}
