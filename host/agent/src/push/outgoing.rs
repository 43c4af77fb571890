//! A transaction on its way up, through the transformers of its rows' scopes.

use crate::fault::FlowError;
use crate::register::Register;
use crate::resolve::PreparedTransaction;
use crate::retry;
use crate::rules::{self, RowOutcome};
use std::collections::BTreeMap;
use tillhold_core::table::TableName;
use tillhold_core::transaction::Transaction;
use tillhold_local::{Identity, Refusal};
use tillhold_plugin::Flow;

/// What the rules made of one transaction.
pub enum Transformed {
    Ready(PreparedTransaction),
    /// One of its rows was refused: it is not sent.
    Refused(Refusal),
}

/// Each written row through its scope's transformer, for the register that made it. What a rule changes is not what the register has,
/// so pull has to bring it.
pub async fn transformed(
    register: &Register,
    identity: &Identity,
    mut transaction: Transaction,
) -> Result<Transformed, FlowError> {
    let mut outcomes = ruled(register, identity, &transaction).await?;
    let mut kept = Vec::with_capacity(transaction.writes.len());
    let mut altered = Vec::new();
    for (at, mut write) in transaction.writes.into_iter().enumerate() {
        match outcomes.remove(&at) {
            // No rule is for it.
            None => {}
            Some(RowOutcome::Kept(row)) => {
                if write.offline.as_ref() != Some(&row) {
                    altered.push(kept.len());
                }
                write.offline = Some(row);
            }
            Some(RowOutcome::Quarantined(key, reason)) => {
                let run = register.scope_of(&write.table.name);
                let circumstances = run.map(|run| retry::of_ruled_sale(run, &write.table));
                let (table, key) = (Some(write.table.name.clone()), Some(key));
                let refusal = Refusal { reason, table, key, circumstances };
                return Ok(Transformed::Refused(refusal));
            }
            Some(RowOutcome::Dropped(_)) => continue,
        }
        kept.push(write);
    }
    transaction.writes = kept;
    Ok(Transformed::Ready(PreparedTransaction { transaction, altered }))
}

/// What the rules make of the written rows, by their places. All rows of a table are one call: a plugin in Python takes longer to
/// begin than to go through the lines of a sale.
async fn ruled(
    register: &Register,
    identity: &Identity,
    transaction: &Transaction,
) -> Result<BTreeMap<usize, RowOutcome>, FlowError> {
    let mut places: BTreeMap<&TableName, Vec<usize>> = BTreeMap::new();
    for (at, write) in transaction.writes.iter().enumerate() {
        places.entry(&write.table.name).or_default().push(at);
    }
    let mut outcomes = BTreeMap::new();
    let mut time = None;
    for (name, mut places) in places {
        let run = register.scope_of(name).filter(|run| !run.transformers.is_empty());
        places.retain(|at| transaction.writes[*at].offline.is_some());
        let (Some(run), Some(first)) = (run, places.first()) else { continue };
        let time = match time {
            Some(time) => time,
            None => *time.insert(rules::time_of(register, transaction.id).await?),
        };
        let context = rules::context(identity, &run.scope.name, Flow::Push, time);
        let table = &transaction.writes[*first].table;
        let shown = places.iter().filter_map(|at| transaction.writes[*at].offline.clone());
        let said = rules::transform(&register.env, run, &context, table, shown.collect()).await?;
        outcomes.extend(places.into_iter().zip(said));
    }
    Ok(outcomes)
}
