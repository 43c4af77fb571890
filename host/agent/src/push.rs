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
//!   first one after a start or after trouble the ledger is asked about all that waits ([`arrivals::take_stock`]): an older
//!   sale must not be sent as if the later ones were still to come, and no rule is asked about what has arrived.
//! * A channel that was restored meanwhile counts versions anew: what the unsent changes stand on means nothing there, so
//!   they count as changes of rows that the register never saw.
//! * Decisions are kept before they are sent and recorded by the channel with the rows: both sides have the same ones,
//!   once, wherever the agent dies.
//! * A row that its own write put out of its table's filter leaves the register as the write is settled.
//! * A refused transaction steps aside with its reason; the ones behind it go on.

mod arrivals;
mod outgoing;
mod taken;

pub use arrivals::take_stock;
pub use outgoing::{Transformed, transformed};
pub use taken::{Taken, taken};

use crate::fault::FlowError;
use crate::filter_exit::leaving;
use crate::register::Register;
use crate::resolve::{Case, PreparedTransaction};
use crate::retry;
use arrivals::{accept, is_accepted};
use std::collections::BTreeMap;
use std::time::Duration;
use tillhold_channel::Link;
use tillhold_channel::claim::Speaker;
use tillhold_channel::upload::{Outgoing, upload_as};
use tillhold_core::claim::Head;
use tillhold_core::limits;
use tillhold_core::transaction::{Contest, Receipt, Transaction};
use tillhold_core::window::{Sent, Window};
use tillhold_local::{ConflictRecord, Deferred, Refusal};

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

/// Why a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushEnd {
    /// Nothing is pending, or nothing more can be done about the rest now.
    NothingLeft,
    /// [`Watch::goes_on`] said no.
    ToldToStop,
}

/// One push: whose transactions, over which connection, by which claim, and what it has done so far.
pub struct Push<'p> {
    pub register: &'p Register,
    pub link: &'p mut Link,
    pub speaker: &'p Speaker,
    pub pushed: &'p mut Pushed,
}

impl Push<'_> {
    /// Sends everything that is pending.
    pub async fn run(&mut self, watch: &dyn Watch) -> Result<PushEnd, FlowError> {
        let register = self.register;
        let batches = register.profile.conduct.upload;
        let most = batches.transactions_max.min(limits::UPLOAD_TRANSACTIONS_MAX);
        let rows = batches.rows_max.min(limits::UPLOAD_ROWS_MAX);
        let mut window = Window::new(most);
        while watch.goes_on() {
            let before = self.pushed.clone();
            let pending = register.local.pending(window.size(), rows).await?;
            if pending.is_empty() {
                return Ok(PushEnd::NothingLeft);
            }
            let (pending, chosen) = up_to_chosen(register, pending).await?;
            let batch = self.prepared(pending).await?;
            if let (Some(records), [prepared]) = (chosen, batch.as_slice()) {
                self.settle_chosen(prepared, records).await?;
                watch.settled();
                continue;
            }
            if batch.is_empty() {
                continue;
            }
            let sent = self.send_batch(&batch).await?;
            window.adapt(sent);
            watch.settled();
            if *self.pushed == before {
                return Ok(PushEnd::NothingLeft);
            }
        }
        Ok(PushEnd::ToldToStop)
    }

    async fn send_batch(&mut self, batch: &[PreparedTransaction]) -> Result<Sent, FlowError> {
        let clock = &self.register.env.clock;
        let outgoing: Vec<Outgoing<'_>> = batch.iter().map(PreparedTransaction::outgoing).collect();
        let sent_us = clock.monotonic_us();
        let receipts = self.send(&outgoing).await?;
        let took = Duration::from_micros(clock.monotonic_us() - sent_us);
        let held = receipts.iter().filter(|receipt| **receipt == Receipt::Blocked).count();
        let answered: Vec<(&PreparedTransaction, Receipt)> = batch.iter().zip(receipts).collect();
        accept(self.register, self.link, &answered, self.pushed).await?;
        for (prepared, receipt) in answered.into_iter().filter(|(_, one)| !is_accepted(one)) {
            self.answer(prepared, receipt).await?;
        }
        Ok(Sent { transactions: batch.len(), held, took })
    }

    async fn send(&mut self, outgoing: &[Outgoing<'_>]) -> Result<Vec<Receipt>, FlowError> {
        Ok(upload_as(self.link, self.speaker, outgoing).await?)
    }

    /// The batch after the scopes' transformers; a transaction with a refused row steps aside whole.
    async fn prepared(
        &mut self,
        pending: Vec<Transaction>,
    ) -> Result<Vec<PreparedTransaction>, FlowError> {
        let (register, identity) = (self.register, self.register.file.identity());
        let mut batch = Vec::with_capacity(pending.len());
        for transaction in pending {
            let id = transaction.id;
            match transformed(register, &identity, transaction).await? {
                Transformed::Ready(prepared) => batch.push(prepared),
                Transformed::Refused(refusal) => {
                    register.local.quarantine(id, "rule-refused", refusal).await?;
                    self.pushed.quarantined += 1;
                }
            }
        }
        Ok(batch)
    }

    async fn answer(
        &mut self,
        prepared: &PreparedTransaction,
        receipt: Receipt,
    ) -> Result<(), FlowError> {
        let (register, transaction) = (self.register, &prepared.transaction);
        match receipt {
            Receipt::Applied | Receipt::AlreadyThere => {
                accept(register, self.link, &[(prepared, receipt)], self.pushed).await
            }
            Receipt::Contested(contests) => match taken(register, &transaction.writes, &contests) {
                Some(Taken { code, reason }) => {
                    self.set_aside(transaction, code, reason.as_str()).await
                }
                None => self.settle_contested(prepared, contests).await,
            },
            // The earlier one is pending or decided by the next batch.
            Receipt::Blocked => Ok(()),
            Receipt::Clash => {
                let reason =
                    "the channel has another transaction under this id; nothing was overwritten";
                self.set_aside(transaction, "ledger-clash", reason).await
            }
            Receipt::Refused { number, message, table } => {
                let named = table.as_ref().map_or(String::new(), |table| format!("{table}: "));
                let reason = format!("{named}SQL Server error {number}: {message}");
                let hangs =
                    retry::of_refused_sale(register, self.link, transaction, table.as_ref());
                let circumstances = Some(hangs.await?);
                let refusal = Refusal { reason, table, key: None, circumstances };
                self.set_aside(transaction, "channel-refused", refusal).await
            }
        }
    }

    async fn set_aside(
        &mut self,
        transaction: &Transaction,
        code: &str,
        refusal: impl Into<Refusal>,
    ) -> Result<(), FlowError> {
        self.register.local.quarantine(transaction.id, code, refusal).await?;
        self.pushed.quarantined += 1;
        Ok(())
    }

    /// Carries out what a person chose, if the rows still are as they were shown.
    async fn settle_chosen(
        &mut self,
        prepared: &PreparedTransaction,
        records: Vec<ConflictRecord>,
    ) -> Result<(), FlowError> {
        let mut case = Case::new(prepared, records);
        let deferred = case.decide_chosen(self.register, self.link).await?;
        self.settle_case(case, deferred).await
    }

    async fn settle_contested(
        &mut self,
        prepared: &PreparedTransaction,
        contests: Vec<Contest>,
    ) -> Result<(), FlowError> {
        let mut case = Case::new(prepared, Vec::new());
        let deferred = case.decide(self.register, self.link, &contests).await?;
        self.settle_case(case, deferred).await
    }

    /// Sends a transaction as it is decided, again and again until the channel stands still.
    async fn settle_case(
        &mut self,
        mut case: Case<'_>,
        mut deferred: Vec<Deferred>,
    ) -> Result<(), FlowError> {
        let original = case.original();
        let (local, id) = (&self.register.local, original.transaction.id);
        for _ in 0..RESOLUTION_ATTEMPTS_MAX {
            if !deferred.is_empty() {
                local.defer(id, deferred).await?;
                self.pushed.deferred += 1;
                return Ok(());
            }
            let (decided, decisions) = (case.prepared(), case.decisions());
            // Whether the answer comes or not: what the channel records of these is known here.
            local.keep_sent(id, case.kept_decisions()).await?;
            let outgoing = Outgoing { decisions: &decisions, ..decided.outgoing() };
            match self.send(&[outgoing]).await?.pop() {
                Some(Receipt::Contested(contests)) => {
                    // Somebody else's sale may have come since the last look.
                    let another = taken(self.register, &decided.transaction.writes, &contests);
                    if let Some(Taken { code, reason }) = another {
                        return self.set_aside(&original.transaction, code, reason.as_str()).await;
                    }
                    deferred = case.decide(self.register, self.link, &contests).await?;
                }
                Some(Receipt::Applied) => return self.settle_decided(case).await,
                Some(other) => return Box::pin(self.answer(original, other)).await,
                None => return Err(FlowError::BrokeOff("an upload of one transaction")),
            }
        }
        // The row moves faster than it can be decided: it stays pending for the next push.
        Ok(())
    }

    /// The channel took it as it was decided.
    async fn settle_decided(&mut self, case: Case<'_>) -> Result<(), FlowError> {
        let transaction = &case.original().transaction;
        self.pushed.transactions += 1;
        self.pushed.count(self.register, transaction);
        self.pushed.resolved += case.decisions().len() as u64;
        let mut left = leaving(self.register, self.link, &[transaction]).await?;
        let settlement = case.settlement(left.pop().unwrap_or_default());
        self.register.local.settle(transaction.id, settlement).await?;
        Ok(())
    }
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
