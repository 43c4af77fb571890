//! Sales that were carried here by hand, into the channel: each once, by the ledger, under the name of their own register.
//!
//! * What is in the ledger already is left as it is.
//! * Where the channel was restored since, the changes stand on nothing: what it has changed is not written over.
//! * What the channel refuses or knows otherwise is listed with the reason, and nothing of it is written; what builds on it
//!   waits with it. Nobody is asked to decide here: that is the register's own business, should it come back.
//! * Rules for rows on their way up run as they would have on the register.

use super::fault::CarryError;
use super::line;
use super::read::{self, Lines, Origin, Seen};
use crate::fault::FlowError;
use crate::numbers;
use crate::push::{self, RESOLUTION_ATTEMPTS_MAX, Taken, Transformed};
use crate::register::Register;
use crate::resolve::{Case, PreparedTransaction};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::Path;
use tillhold_channel::upload::{Outgoing, upload_altered};
use tillhold_channel::{Link, capture};
use tillhold_core::limits;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Contest, Operation, Receipt, Transaction, TransactionId, Write};
use tillhold_core::version::ChannelVersion;
use tillhold_local::Identity;

/// What became of a file's sales.
#[derive(Debug)]
pub struct Imported {
    pub origin: Origin,
    pub applied: u64,
    pub already_there: u64,
    /// Not taken, with the reason.
    pub left: Vec<(TransactionId, String)>,
}

impl Imported {
    pub fn json(&self) -> Json {
        let left = |(id, reason): &(TransactionId, String)| json!({ "id": id.to_string(), "reason": reason });
        json!({
            "store": self.origin.store,
            "register": self.origin.register,
            "transactions": self.origin.transactions,
            "applied": self.applied,
            "already_there": self.already_there,
            "left": self.left.iter().map(left).collect::<Vec<_>>(),
        })
    }
}

/// Checks the whole file, then sends what the channel does not have.
pub async fn import(
    register: &Register,
    link: &mut Link,
    file: &Path,
    key: Option<&str>,
) -> Result<Imported, FlowError> {
    let origin = read::check(file, key)?;
    if origin.store != register.file.store {
        let (found, expected) = (origin.store, register.file.store.clone());
        return Err(CarryError::OtherStore { found, expected }.into());
    }
    let imported = Imported { origin, applied: 0, already_there: 0, left: Vec::new() };
    let former = former(register, link, &imported.origin).await?;
    let mut import = Import { register, link, imported, former, held: BTreeSet::new() };
    let mut lines = Lines::open(file)?;
    lines.next()?;
    let mut batch = Vec::new();
    let mut rows = 0;
    while let Some(next) = lines.next()? {
        if !next.json["end"].is_null() {
            break;
        }
        let transaction = import.transaction(&next.json, next.number)?;
        rows += transaction.writes.len();
        batch.push(transaction);
        if batch.len() >= limits::UPLOAD_TRANSACTIONS_MAX || rows >= limits::UPLOAD_ROWS_MAX {
            import.send(std::mem::take(&mut batch)).await?;
            rows = 0;
        }
    }
    import.send(batch).await?;
    Ok(import.imported)
}

/// All tables of the file where the channel does not say which life it is in: its sales come in all the same, and nothing
/// that was changed is written over.
async fn former(
    register: &Register,
    link: &mut Link,
    origin: &Origin,
) -> Result<BTreeSet<TableName>, FlowError> {
    if origin.seen.is_empty() {
        return Ok(BTreeSet::new());
    }
    let now = match capture::current(link, register.profile.capture).await.map_err(FlowError::from)
    {
        Ok(now) => Some(now),
        Err(error) if error.is_channel_trouble() => return Err(error),
        Err(_) => None,
    };
    let is_former = |seen: &Seen| now.is_none_or(|(epoch, reached)| seen.is_former(epoch, reached));
    let seen = origin.seen.iter().filter(|(_, seen)| is_former(seen));
    Ok(seen.map(|(table, _)| table.clone()).collect())
}

struct Import<'a> {
    register: &'a Register,
    link: &'a mut Link,
    imported: Imported,
    /// Tables whose versions in the file are those of a former life of the channel.
    former: BTreeSet<TableName>,
    /// Rows for which a sale that was not taken holds back what builds on it.
    held: BTreeSet<(String, Vec<String>)>,
}

impl Import<'_> {
    /// The register that made the sales.
    fn origin(&self) -> Identity {
        let Origin { store, register, .. } = self.imported.origin.clone();
        Identity { store, register }
    }

    fn transaction(&self, json: &Json, number: usize) -> Result<Transaction, FlowError> {
        let table = |name: &_| self.register.table(name).map(|(_, table)| table.clone());
        let read = line::transaction(json, table);
        let mut read = read.map_err(|reason| CarryError::Line { line: number, reason })?;
        for write in &mut read.writes {
            if self.former.contains(&write.table.name) {
                write.base_version = ChannelVersion(0);
            }
        }
        Ok(read)
    }

    async fn send(&mut self, batch: Vec<Transaction>) -> Result<(), FlowError> {
        let mut waiting: Vec<PreparedTransaction> = Vec::new();
        for transaction in batch {
            if transaction.writes.is_empty() {
                self.leave(&transaction, "its values cannot be read: mend them on the register");
                continue;
            }
            let (whole, origin) = (transaction.clone(), self.origin());
            match push::transformed(self.register, &origin, transaction).await? {
                Transformed::Ready(prepared) => waiting.push(prepared),
                Transformed::Refused(refusal) => {
                    self.leave(&whole, &format!("a rule refused it: {}", refusal.reason))
                }
            }
        }
        while !waiting.is_empty() {
            waiting = self.round(waiting).await?;
        }
        Ok(())
    }

    /// One upload; what waited for another transaction of it comes back.
    async fn round(
        &mut self,
        batch: Vec<PreparedTransaction>,
    ) -> Result<Vec<PreparedTransaction>, FlowError> {
        let mut free = Vec::new();
        for prepared in batch {
            match self.is_held(&prepared.transaction) {
                true => self.leave(&prepared.transaction, "it builds on a sale that was not taken"),
                false => free.push(prepared),
            }
        }
        if free.is_empty() {
            return Ok(Vec::new());
        }
        let outgoing: Vec<Outgoing<'_>> = free.iter().map(PreparedTransaction::outgoing).collect();
        let receipts = self.upload(&outgoing).await?;
        let mut again = Vec::new();
        let sent = free.len();
        for (prepared, receipt) in free.into_iter().zip(receipts) {
            match self.counted(&prepared, receipt).await? {
                Receipt::Applied => self.imported.applied += 1,
                Receipt::AlreadyThere => self.imported.already_there += 1,
                Receipt::Blocked => again.push(prepared),
                Receipt::Contested(contests) => {
                    let another =
                        push::taken(self.register, &prepared.transaction.writes, &contests);
                    let reason = match another {
                        Some(Taken { code, reason }) => format!("{code}: {reason}"),
                        None => "the channel has changed a row of it since".to_string(),
                    };
                    self.leave_contested(&prepared.transaction, &reason, &contests);
                }
                Receipt::Clash => {
                    self.leave(&prepared.transaction, "the channel has another sale under its id");
                }
                Receipt::Refused { number, message, .. } => {
                    let reason = format!("SQL Server error {number}: {message}");
                    self.leave(&prepared.transaction, &reason);
                }
            }
        }
        if again.len() == sent {
            // Nothing went through, and nothing will: each waits for another one.
            for prepared in again.drain(..) {
                self.leave(&prepared.transaction, "it waits for a sale that does not come");
            }
        }
        Ok(again)
    }

    async fn upload(&mut self, outgoing: &[Outgoing<'_>]) -> Result<Vec<Receipt>, FlowError> {
        let name = self.origin().channel_name();
        let incarnation = self.imported.origin.incarnation;
        Ok(upload_altered(self.link, &name, incarnation, outgoing).await?)
    }

    /// Where the channel counts sales' numbers otherwise, as one that was restored, the higher number stands, as it does on
    /// the register: every sale counts them up, and would be left for it.
    async fn counted(
        &mut self,
        prepared: &PreparedTransaction,
        mut receipt: Receipt,
    ) -> Result<Receipt, FlowError> {
        let mut case = Case::new(prepared, Vec::new());
        let mut decided = None;
        for _ in 0..RESOLUTION_ATTEMPTS_MAX {
            let sent = decided.as_ref().unwrap_or(prepared);
            let Receipt::Contested(contests) = &receipt else { break };
            if !numbers::only_count(&sent.transaction.writes, contests) {
                break;
            }
            case.decide(self.register, self.link, contests).await?;
            let sent = decided.insert(case.prepared());
            let unanswered = FlowError::BrokeOff("an upload of one transaction");
            receipt = self.upload(&[sent.outgoing()]).await?.pop().ok_or(unanswered)?;
        }
        Ok(receipt)
    }

    fn is_held(&self, transaction: &Transaction) -> bool {
        let mut places = transaction.writes.iter().map(place);
        !self.held.is_empty() && places.any(|place| self.held.contains(&place))
    }

    fn leave(&mut self, transaction: &Transaction, reason: &str) {
        self.leave_contested(transaction, reason, &[]);
    }

    /// As on the register: what a sale made or took away, and what is disputed, holds back what builds on it. A row that
    /// all sales count up does not, or one sale would hold up all.
    fn leave_contested(&mut self, transaction: &Transaction, reason: &str, contests: &[Contest]) {
        let writes = &transaction.writes;
        for (at, write) in writes.iter().enumerate() {
            let mut of_it = contests.iter().filter(|contest| contest.write == at);
            let is_disputed = of_it.any(|contest| !numbers::counts(writes, contest));
            if is_disputed || write.operation != Operation::Update {
                self.held.insert(place(write));
            }
        }
        self.imported.left.push((transaction.id, reason.to_string()));
    }
}

/// A row by its table and its key, as keys compare.
fn place(write: &Write) -> (String, Vec<String>) {
    (write.table.name.to_string(), write.key.folded(&write.table))
}
