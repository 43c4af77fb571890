//! A transaction on its way up, through the transformers of its rows' scopes.

use crate::fault::FlowError;
use crate::register::Register;
use crate::resolve::PreparedTransaction;
use crate::retry;
use crate::rules::{self, RowOutcome};
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
    let mut kept = Vec::with_capacity(transaction.writes.len());
    let mut altered = Vec::new();
    let mut time = None;
    for mut write in transaction.writes {
        let run = register.scope_of(&write.table.name).filter(|run| !run.transformers.is_empty());
        if let (Some(run), Some(row)) = (run, write.offline.clone()) {
            let time = match time {
                Some(time) => time,
                None => *time.insert(rules::time_of(register, transaction.id).await?),
            };
            let context = rules::context(identity, &run.scope.name, Flow::Push, time);
            let outcomes =
                rules::transform(&register.env, run, &context, &write.table, vec![row]).await?;
            match outcomes.into_iter().next() {
                Some(RowOutcome::Kept(row)) => {
                    if write.offline.as_ref() != Some(&row) {
                        altered.push(kept.len());
                    }
                    write.offline = Some(row);
                }
                Some(RowOutcome::Quarantined(key, reason)) => {
                    let circumstances = Some(retry::of_ruled_sale(run, &write.table));
                    let (table, key) = (Some(write.table.name.clone()), Some(key));
                    let refusal = Refusal { reason, table, key, circumstances };
                    return Ok(Transformed::Refused(refusal));
                }
                Some(RowOutcome::Dropped(_)) | None => continue,
            }
        }
        kept.push(write);
    }
    transaction.writes = kept;
    Ok(Transformed::Ready(PreparedTransaction { transaction, altered }))
}
