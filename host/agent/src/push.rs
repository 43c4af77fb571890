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
//! * An answer that was lost leaves everything as it was: the next push asks the same, and the ledger answers. Before the
//!   first one after a start or after trouble the ledger is asked about all that waits ([`take_stock`]): an older
//!   sale must not be sent as if the later ones were still to come, and no rule is asked about what has arrived.
//! * A channel that was restored meanwhile counts versions anew: what the unsent changes stand on means nothing there, so
//!   they count as changes of rows that the register never saw.
//! * Decisions are kept before they are sent and recorded by the channel with the rows: both sides have the same ones,
//!   once, wherever the agent dies.
//! * A row that its own write put out of its table's filter leaves the register as the write is settled.
//! * A refused transaction steps aside with its reason; the ones behind it go on.

use crate::again;
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::leaving::leaving;
use crate::lost;
use crate::numbers;
use crate::register::Register;
use crate::resolve::{Case, Ruled};
use crate::rules;
use std::collections::BTreeMap;
use std::time::Duration;
use tillhold_channel::claim::Speaker;
use tillhold_channel::ledger::ledger;
use tillhold_channel::upload::{Outgoing, upload_as};
use tillhold_channel::{Link, capture, decision};
use tillhold_core::claim::Head;
use tillhold_core::limits;
use tillhold_core::transaction::{ContentHash, Contest, Receipt, Transaction, TransactionId};
use tillhold_core::window::{Sent, Window};
use tillhold_local::{Accepted, ConflictRecord, Deferred, Refusal, TransactionRecord, Unsent};
use tillhold_plugin::Flow;

/// What one push did, in transactions and rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub transactions: u64,
    pub rows: u64,
    pub already_there: u64,
    pub resolved: u64,
    pub deferred: u64,
    pub quarantined: u64,
    /// Rows that arrived, by scope.
    pub scopes: BTreeMap<String, u64>,
    /// The furthest transaction that arrived.
    pub head: Option<Head>,
}

impl Pushed {
    fn count(&mut self, register: &Register, transaction: &Transaction) {
        self.rows += transaction.writes.len() as u64;
        for write in &transaction.writes {
            if let Some(run) = register.scope_of(&write.table.name) {
                *self.scopes.entry(run.scope.name.clone()).or_default() += 1;
            }
        }
        let head = Head { sequence: transaction.sequence, id: transaction.id };
        self.head = self.head.filter(|old| old.sequence >= head.sequence).or(Some(head));
    }
}

/// How often a resolution is tried again when the channel's row moves under it.
pub const RESOLUTION_ATTEMPTS_MAX: u32 = 5;

/// Who looks on while it pushes.
pub trait Watch: Sync {
    /// After each batch, for sales that wait for their own.
    fn settled(&self);

    /// Asked before each batch.
    fn goes_on(&self) -> bool;
}

/// Sends everything that is pending; returns when nothing is, or nothing more can be done about the rest now: `true`. Or
/// when it is not to go on: `false`.
pub async fn push(
    register: &Register,
    link: &mut Link,
    speaker: &Speaker,
    watch: &dyn Watch,
    pushed: &mut Pushed,
) -> Result<bool, FlowError> {
    let batches = register.profile.conduct.upload;
    let most = batches.transactions_max.min(limits::UPLOAD_TRANSACTIONS_MAX);
    let rows = batches.rows_max.min(limits::UPLOAD_ROWS_MAX);
    let mut window = Window::new(most);
    while watch.goes_on() {
        let before = pushed.clone();
        let pending = register.local.pending(window.size(), rows).await?;
        if pending.is_empty() {
            return Ok(true);
        }
        let (pending, chosen) = up_to_chosen(register, pending).await?;
        let batch = outgoing(register, pending, pushed).await?;
        if let (Some(records), [ruled]) = (chosen, batch.as_slice()) {
            settle_chosen(register, (link, speaker), ruled, records, pushed).await?;
            watch.settled();
            continue;
        }
        if batch.is_empty() {
            continue;
        }
        let outgoing: Vec<Outgoing<'_>> = batch.iter().map(Ruled::outgoing).collect();
        let sent_us = register.env.clock.monotonic_us();
        let receipts = send(link, speaker, &outgoing).await?;
        let took = Duration::from_micros(register.env.clock.monotonic_us() - sent_us);
        let held = receipts.iter().filter(|receipt| is_held(receipt)).count();
        window.adapt(Sent { transactions: batch.len(), held, took });
        let answered: Vec<(&Ruled, Receipt)> = batch.iter().zip(receipts).collect();
        accept(register, link, &answered, pushed).await?;
        for (ruled, receipt) in answered {
            if !is_accepted(&receipt) && !is_held(&receipt) {
                answer(register, (link, speaker), ruled, receipt, pushed).await?;
            }
        }
        watch.settled();
        if *pushed == before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After a start and after trouble: which life of the channel it is, what it has lost of the sales that it took, and what it
/// has of those that wait. In this order: what arrived another way hides what is missing before it.
pub async fn take_stock(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let seen = register.local.newest_position().await?;
    let current = capture::current(link, register.profile.capture).await.map_err(FlowError::from);
    let is_latest = match current {
        Ok((epoch, reached)) => {
            let tables = register.local.forget_former_life(epoch, reached, seen).await?;
            if tables > 0 {
                agent.say(&format!(
                    "the channel was restored: unsent changes of {tables} tables are compared with its rows"
                ));
            }
            agent.life.meet(register, epoch);
            register.local.is_latest_life(epoch).await?
        }
        Err(error) if error.is_channel_trouble() => return Err(error),
        // Sales go up all the same; the pull says what is wrong, by name.
        Err(_) => false,
    };
    lost::send_again(agent, register, link, is_latest).await?;
    settle_arrived(register, link, pushed).await
}

/// Settles what the channel has from uploads whose answers were lost, whatever has become of it here since.
async fn settle_arrived(
    register: &Register,
    link: &mut Link,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let waiting = register.local.unsent_heads().await?;
    let ids: Vec<TransactionId> = waiting.iter().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let known = ledger(link, &ids).await?;
    let is_its = |((_, hash), known): &(&(_, ContentHash), Option<ContentHash>)| {
        // One of another content is a clash, which an upload tells.
        *known == Some(*hash)
    };
    let arrived = waiting.iter().zip(known).filter(is_its).map(|((id, _), _)| *id);
    let arrived: Vec<TransactionId> = arrived.collect();
    for portion in arrived.chunks(limits::UPLOAD_TRANSACTIONS_MAX) {
        let there = register.local.unsent_among(portion.to_vec()).await?;
        let plain =
            |Unsent { record: TransactionRecord { id, hash, sequence, .. }, writes, .. }| Ruled {
                transaction: Transaction { id, hash, sequence, writes },
                altered: Vec::new(),
            };
        let there: Vec<Ruled> = there.into_iter().map(plain).collect();
        let answered: Vec<(&Ruled, Receipt)> =
            there.iter().map(|ruled| (ruled, Receipt::AlreadyThere)).collect();
        accept(register, link, &answered, pushed).await?;
    }
    Ok(())
}

/// A transaction with a person's choices goes alone, in its turn: the batch ends before it, or is it.
async fn up_to_chosen(
    register: &Register,
    mut pending: Vec<Transaction>,
) -> Result<(Vec<Transaction>, Option<Vec<ConflictRecord>>), FlowError> {
    let chosen = register.local.chosen().await?;
    let first = pending.iter().position(|transaction| chosen.contains(&transaction.id));
    Ok(match first {
        None => (pending, None),
        Some(0) => {
            pending.truncate(1);
            let records = register.local.conflicts_of(pending[0].id).await?;
            (pending, Some(records))
        }
        Some(at) => {
            pending.truncate(at);
            (pending, None)
        }
    })
}

fn is_accepted(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Applied | Receipt::AlreadyThere)
}

/// Waits for an earlier transaction that shares a row with it; both are pending or decided by the next batch.
fn is_held(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Contested(contests) if contests.is_empty())
}

async fn send(
    link: &mut Link,
    speaker: &Speaker,
    outgoing: &[Outgoing<'_>],
) -> Result<Vec<Receipt>, FlowError> {
    Ok(upload_as(link, speaker, outgoing).await?)
}

/// Settles all that the channel took as it was, in one commit, and what it had from an earlier upload.
async fn accept(
    register: &Register,
    link: &mut Link,
    answered: &[(&Ruled, Receipt)],
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let (mut accepted, mut there) = (Vec::new(), Vec::new());
    for (ruled, receipt) in answered.iter().filter(|(_, receipt)| is_accepted(receipt)) {
        pushed.transactions += 1;
        pushed.count(register, &ruled.transaction);
        match receipt {
            Receipt::AlreadyThere => there.push(&ruled.transaction),
            _ => accepted.push(&ruled.transaction),
        }
    }
    pushed.already_there += there.len() as u64;
    let decided = settle_decided_before(register, link, &there).await?;
    accepted.extend(there.into_iter().filter(|transaction| !decided.contains(&transaction.id)));
    let leaving = leaving(register, link, &accepted).await?;
    let accepted = accepted.iter().zip(leaving);
    let accepted = accepted.map(|(transaction, leaving)| Accepted { id: transaction.id, leaving });
    Ok(register.local.accept(accepted.collect()).await?)
}

/// Settles those of which decisions were sent before an answer was lost, with the ones that the channel has.
async fn settle_decided_before(
    register: &Register,
    link: &mut Link,
    there: &[&Transaction],
) -> Result<Vec<TransactionId>, FlowError> {
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let ids = there.iter().map(|transaction| transaction.id).collect();
    let sent = register.local.sent_decisions(ids).await?;
    let ids: Vec<[u8; 16]> = sent.iter().map(|one| one.id).collect();
    let known = decision::recorded(link, &ids).await?;
    let is_decided =
        |transaction: &&&Transaction| sent.iter().any(|one| one.transaction == transaction.id);
    let decided: Vec<&Transaction> = there.iter().filter(is_decided).copied().collect();
    let leaving = leaving(register, link, &decided).await?;
    for (transaction, leaving) in decided.iter().zip(leaving) {
        let id = transaction.id;
        let of_this = sent.iter().filter(|one| one.transaction == id && known.contains(&one.id));
        let made = of_this.map(|one| one.id).collect();
        register.local.settle_as_sent(Accepted { id, leaving }, made).await?;
    }
    Ok(decided.iter().map(|transaction| transaction.id).collect())
}

/// The batch after the scopes' transformers; a transaction with a refused row steps aside whole.
async fn outgoing(
    register: &Register,
    pending: Vec<Transaction>,
    pushed: &mut Pushed,
) -> Result<Vec<Ruled>, FlowError> {
    let mut batch = Vec::with_capacity(pending.len());
    for transaction in pending {
        let till = (register.file.store.as_str(), register.file.register.as_str());
        match transformed(register, till, transaction).await? {
            Ok(ruled) => batch.push(ruled),
            Err((id, refusal)) => {
                register.local.quarantine(id, "rule-refused", refusal).await?;
                pushed.quarantined += 1;
            }
        }
    }
    Ok(batch)
}

/// Each written row through its scope's transformer on the way up. What a rule changes is not what the register has,
/// so pull has to bring it.
pub async fn transformed(
    register: &Register,
    (store, till): (&str, &str),
    mut transaction: Transaction,
) -> Result<Result<Ruled, (TransactionId, Refusal)>, FlowError> {
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
            let context = rules::context((store, till), &run.scope.name, Flow::Push, time);
            let ruled =
                rules::transform(&register.env, run, &context, &write.table, vec![row]).await?;
            match ruled.into_iter().next() {
                Some(rules::Ruled::Kept(row)) => {
                    if write.offline.as_ref() != Some(&row) {
                        altered.push(kept.len());
                    }
                    write.offline = Some(row);
                }
                Some(rules::Ruled::Quarantined(key, reason)) => {
                    let circumstances = Some(again::of_ruled_sale(run, &write.table));
                    let (table, key) = (Some(write.table.name.clone()), Some(key));
                    let refusal = Refusal { reason, table, key, circumstances };
                    return Ok(Err((transaction.id, refusal)));
                }
                Some(rules::Ruled::Dropped(_)) | None => continue,
            }
        }
        kept.push(write);
    }
    transaction.writes = kept;
    Ok(Ok(Ruled { transaction, altered }))
}

async fn answer(
    register: &Register,
    (link, speaker): (&mut Link, &Speaker),
    ruled: &Ruled,
    receipt: Receipt,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let (local, transaction) = (&register.local, &ruled.transaction);
    match receipt {
        Receipt::Applied | Receipt::AlreadyThere => {
            accept(register, link, &[(ruled, receipt)], pushed).await?;
        }
        Receipt::Contested(contests) if numbers::is_taken(&transaction.writes, &contests) => {
            set_aside_taken(register, transaction, pushed).await?;
        }
        Receipt::Contested(contests) => {
            settle_contested(register, (link, speaker), ruled, contests, pushed).await?;
        }
        Receipt::Clash => {
            let reason =
                "the channel has another transaction under this id; nothing was overwritten";
            local.quarantine(transaction.id, "ledger-clash", reason).await?;
            pushed.quarantined += 1;
        }
        Receipt::Refused { number, message, table } => {
            let named = table.as_ref().map_or(String::new(), |table| format!("{table}: "));
            let reason = format!("{named}SQL Server error {number}: {message}");
            let hangs = again::of_refused_sale(register, link, transaction, table.as_ref());
            let circumstances = Some(hangs.await?);
            let refusal = Refusal { reason, table, key: None, circumstances };
            local.quarantine(transaction.id, "channel-refused", refusal).await?;
            pushed.quarantined += 1;
        }
    }
    Ok(())
}

async fn set_aside_taken(
    register: &Register,
    transaction: &Transaction,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let reason = "the channel has another sale of this number; nothing was overwritten";
    register.local.quarantine(transaction.id, "number-taken", reason).await?;
    pushed.quarantined += 1;
    Ok(())
}

/// Carries out what a person chose, if the rows still are as they were shown.
async fn settle_chosen(
    register: &Register,
    (link, speaker): (&mut Link, &Speaker),
    ruled: &Ruled,
    records: Vec<ConflictRecord>,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let mut case = Case::new(ruled, records);
    let deferred = case.decide_chosen(register, link).await?;
    settle_case(register, (link, speaker), case, deferred, pushed).await
}

async fn settle_contested(
    register: &Register,
    (link, speaker): (&mut Link, &Speaker),
    ruled: &Ruled,
    contests: Vec<Contest>,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let mut case = Case::new(ruled, Vec::new());
    let deferred = case.decide(register, link, &contests).await?;
    settle_case(register, (link, speaker), case, deferred, pushed).await
}

/// Sends a transaction as it is decided, again and again until the channel stands still.
async fn settle_case(
    register: &Register,
    (link, speaker): (&mut Link, &Speaker),
    mut case: Case<'_>,
    mut deferred: Vec<Deferred>,
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let original = case.original();
    let (local, id) = (&register.local, original.transaction.id);
    for _ in 0..RESOLUTION_ATTEMPTS_MAX {
        if !deferred.is_empty() {
            local.defer(id, deferred).await?;
            pushed.deferred += 1;
            return Ok(());
        }
        let (decided, decisions) = (case.ruled(), case.decisions());
        // Whether the answer comes or not: what the channel records of these is known here.
        local.keep_sent(id, case.kept_decisions()).await?;
        let outgoing = Outgoing { decisions: &decisions, ..decided.outgoing() };
        match send(link, speaker, &[outgoing]).await?.pop() {
            // Somebody else's sale may have come since the last look.
            Some(Receipt::Contested(contests))
                if numbers::is_taken(&decided.transaction.writes, &contests) =>
            {
                return set_aside_taken(register, &original.transaction, pushed).await;
            }
            Some(Receipt::Contested(contests)) => {
                deferred = case.decide(register, link, &contests).await?;
            }
            Some(Receipt::Applied) => {
                pushed.transactions += 1;
                pushed.count(register, &original.transaction);
                pushed.resolved += decisions.len() as u64;
                let mut left = leaving(register, link, &[&original.transaction]).await?;
                let settlement = case.settlement(left.pop().unwrap_or_default());
                local.settle(id, settlement).await?;
                return Ok(());
            }
            Some(other) => {
                return Box::pin(answer(register, (link, speaker), original, other, pushed)).await;
            }
            None => return Err(FlowError::BrokeOff("an upload of one transaction")),
        }
    }
    // The row moves faster than it can be decided: it stays pending for the next push.
    Ok(())
}
