//! PUSH: the register's POS transactions into the channel, oldest first, whole or not at all.
//!
//! ```text
//! local/pending ─► rules ─► channel/upload ─┬─► applied, already there ─────────► local/settle
//!                                           ├─► contested ─► resolve ─► upload ─► local/settle
//!                                           ├─► deferred to a person ───────────► local/defer
//!                                           └─► refused, clash ─────────────────► local/quarantine
//! ```
//!
//! * Reading the log never deletes; settling does, after the channel's ledger has the transaction.
//! * An answer that was lost leaves everything as it was: the next push asks the same, and the ledger answers.
//! * A refused transaction steps aside with its reason; the ones behind it go on.

use crate::fault::FlowError;
use crate::register::Register;
use crate::resolve::{self, Resolved};
use crate::rules::{self, Ruled};
use tillhold_channel::upload::{WriteMark, upload};
use tillhold_channel::{Link, decision};
use tillhold_core::limits;
use tillhold_core::transaction::{Contest, Receipt, Transaction, TransactionId};
use tillhold_plugin::Flow;

/// What one push did, in transactions and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub transactions: u64,
    pub rows: u64,
    pub already_there: u64,
    pub resolved: u64,
    pub deferred: u64,
    pub quarantined: u64,
}

/// How often a resolution is tried again when the channel's row moves under it.
const RESOLUTION_ATTEMPTS_MAX: u32 = 5;

/// Sends everything that is pending; returns when nothing is, or nothing more can be done about the rest now.
/// `settled` is called after each batch, for sales that wait for their own.
pub async fn push(
    register: &Register,
    link: &mut Link,
    settled: &(dyn Fn() + Sync),
) -> Result<Pushed, FlowError> {
    let mut pushed = Pushed::default();
    loop {
        let before = pushed;
        let pending = register
            .local
            .pending(limits::UPLOAD_TRANSACTIONS_MAX, limits::UPLOAD_ROWS_MAX)
            .await?;
        if pending.is_empty() {
            return Ok(pushed);
        }
        let batch = outgoing(register, pending, &mut pushed).await?;
        if batch.is_empty() {
            continue;
        }
        let receipts = send(register, link, &batch, WriteMark::Own).await?;
        let answered: Vec<(&Transaction, Receipt)> = batch.iter().zip(receipts).collect();
        accept(register, &answered, &mut pushed).await?;
        for (transaction, receipt) in answered {
            if !is_accepted(&receipt) {
                answer(register, link, transaction, receipt, &mut pushed).await?;
            }
        }
        settled();
        if pushed == before {
            return Ok(pushed);
        }
    }
}

fn is_accepted(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Applied | Receipt::AlreadyThere)
}

/// Settles all that the channel took as it was, in one commit.
async fn accept(
    register: &Register,
    answered: &[(&Transaction, Receipt)],
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let mut accepted = Vec::new();
    for (transaction, receipt) in answered.iter().filter(|(_, receipt)| is_accepted(receipt)) {
        accepted.push(transaction.id);
        pushed.transactions += 1;
        pushed.rows += transaction.writes.len() as u64;
        pushed.already_there += u64::from(*receipt == Receipt::AlreadyThere);
    }
    Ok(register.local.accept(accepted).await?)
}

async fn send(
    register: &Register,
    link: &mut Link,
    batch: &[Transaction],
    mark: WriteMark,
) -> Result<Vec<Receipt>, FlowError> {
    let name = format!("{}-{}", register.file.store, register.file.register);
    Ok(upload(link, &name, register.local.incarnation(), batch, mark).await?)
}

/// The batch after the scopes' transformers; a transaction with a refused row steps aside whole.
async fn outgoing(
    register: &Register,
    pending: Vec<Transaction>,
    pushed: &mut Pushed,
) -> Result<Vec<Transaction>, FlowError> {
    let mut batch = Vec::with_capacity(pending.len());
    for transaction in pending {
        match transformed(register, transaction).await? {
            Ok(transaction) => batch.push(transaction),
            Err((id, reason)) => {
                register.local.quarantine(id, "rule-refused", &reason).await?;
                pushed.quarantined += 1;
            }
        }
    }
    Ok(batch)
}

/// Each written row through its scope's transformer on the way up.
async fn transformed(
    register: &Register,
    mut transaction: Transaction,
) -> Result<Result<Transaction, (TransactionId, String)>, FlowError> {
    let (store, till) = (&register.file.store, &register.file.register);
    let mut kept = Vec::with_capacity(transaction.writes.len());
    for mut write in transaction.writes {
        let run = register.scope_of(&write.table.name).filter(|run| run.transformer.is_some());
        if let (Some(run), Some(row)) = (run, write.offline.clone()) {
            let context = rules::context(&register.env, store, till, &run.scope.name, Flow::Push);
            let ruled =
                rules::transform(&register.env, run, &context, &write.table, vec![row]).await?;
            match ruled.into_iter().next() {
                Some(Ruled::Kept(row)) => write.offline = Some(row),
                Some(Ruled::Quarantined(_, reason)) => return Ok(Err((transaction.id, reason))),
                Some(Ruled::Dropped(_)) | None => continue,
            }
        }
        kept.push(write);
    }
    transaction.writes = kept;
    Ok(Ok(transaction))
}

async fn answer(
    register: &Register,
    link: &mut Link,
    transaction: &Transaction,
    receipt: Receipt,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let local = &register.local;
    match receipt {
        Receipt::Applied | Receipt::AlreadyThere => {
            accept(register, &[(transaction, receipt)], pushed).await?;
        }
        Receipt::Contested(contests) => {
            settle_contested(register, link, transaction, contests, pushed).await?;
        }
        Receipt::Clash => {
            let reason =
                "the channel has another transaction under this id; nothing was overwritten";
            local.quarantine(transaction.id, "ledger-clash", reason).await?;
            pushed.quarantined += 1;
        }
        Receipt::Refused { number, message, table } => {
            let table = table.map_or(String::new(), |table| format!("{table}: "));
            let reason = format!("{table}SQL Server error {number}: {message}");
            local.quarantine(transaction.id, "channel-refused", &reason).await?;
            pushed.quarantined += 1;
        }
    }
    Ok(())
}

/// Decides every contested row and sends the transaction again as decided, until the channel stands still.
async fn settle_contested(
    register: &Register,
    link: &mut Link,
    transaction: &Transaction,
    mut contests: Vec<Contest>,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    for _ in 0..RESOLUTION_ATTEMPTS_MAX {
        let resolved = match resolve::decide(register, transaction, &contests).await? {
            Resolved::Decided(decided) => decided,
            Resolved::Deferred(conflicts) => {
                register.local.defer(transaction.id, conflicts).await?;
                pushed.deferred += 1;
                return Ok(());
            }
        };
        let outgoing = std::slice::from_ref(&resolved.transaction);
        let receipt = send(register, link, outgoing, WriteMark::Resolved).await?.pop();
        match receipt {
            Some(Receipt::Contested(again)) => contests = again,
            Some(Receipt::Applied | Receipt::AlreadyThere) => {
                decision::record(link, &resolved.decisions).await?;
                pushed.transactions += 1;
                pushed.rows += transaction.writes.len() as u64;
                pushed.resolved += resolved.decisions.len() as u64;
                register.local.settle(transaction.id, resolved.settlement()).await?;
                return Ok(());
            }
            Some(other) => {
                return Box::pin(answer(register, link, transaction, other, pushed)).await;
            }
            None => return Err(FlowError::BrokeOff("an upload of one transaction")),
        }
    }
    // The row moves faster than it can be decided: it stays pending for the next push.
    Ok(())
}
