//! Whole transactions of the register into the channel: their rows and their ledger entries in one
//! SQL transaction.
//!
//! 1. The batch is one statement with one JSON parameter ([`payload`], [`statement`]): one round
//!    trip, also where several transactions write the same row ([`chains`]).
//! 2. An error that belongs to a row is bisected by transaction, until the one that causes it is
//!    found and refused; the others go through.
//! 3. A passing refusal (deadlock, lock, snapshot) is repeated a bounded number of times, with the
//!    same ids.
//! 4. What the ledger knows already is reported and left out; where later transactions of the batch
//!    build on it, those are sent once more without it.
//!
//! * Who has claimed the register ([`crate::claim`]) is checked and noted in the upload's own
//!   transaction: a database that was restored or copied is refused ([`ChannelError::Unclaimed`])
//!   before anything is written.
//! * A broken or silent connection is an error of the whole call, and the outcome is unknown: the
//!   caller uploads again and the ledger answers [`Receipt::AlreadyThere`] for what had arrived.
//! * A transaction that shares a row with an earlier one of the same call that did not go through
//!   is not written over it: it comes back as [`Receipt::Blocked`], to be uploaded again
//!   after the earlier one.

mod answer;
pub(crate) mod chains;
mod judge;
pub(crate) mod net;
pub(crate) mod payload;
pub(crate) mod statement;

use crate::capture::own_context;
use crate::claim::Speaker;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::numbers;
use answer::Outcome;
use chains::Blocked;
use payload::Payload;
use std::time::Duration;
use tillhold_core::conflict::Decision;
use tillhold_core::limits::UPLOAD_BYTES_MAX;
use tillhold_core::retry;
use tillhold_core::table::{Assigned, Table, TableName};
use tillhold_core::transaction::{Receipt, Transaction};
use tillhold_core::version::{Incarnation, Run};

/// The register's transactions as it has them: pull does not bring their rows again. One receipt
/// for each, in their order.
pub async fn upload(
    link: &mut Link,
    register: &str,
    incarnation: Incarnation,
    transactions: &[Transaction],
) -> Result<Vec<Receipt>, ChannelError> {
    let outgoing: Vec<Outgoing<'_>> = transactions.iter().map(Outgoing::plain).collect();
    upload_altered(link, register, incarnation, &outgoing).await
}

/// A transaction on its way.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub transaction: &'a Transaction,
    /// Positions of the writes whose rows the register has otherwise, because a resolution or a
    /// rule made them: pull brings those, so that the register gets what the channel has.
    pub altered: &'a [usize],
    /// How its contested rows were decided: recorded when it is written, in the same transaction.
    pub decisions: &'a [Decision],
}

impl<'a> Outgoing<'a> {
    pub fn plain(transaction: &'a Transaction) -> Outgoing<'a> {
        Outgoing { transaction, altered: &[], decisions: &[] }
    }
}

/// [`upload`] where some rows are not as the register has them. Nobody's claim is asked for.
pub async fn upload_altered(
    link: &mut Link,
    register: &str,
    incarnation: Incarnation,
    outgoing: &[Outgoing<'_>],
) -> Result<Vec<Receipt>, ChannelError> {
    if let Some(table) = keyless(outgoing) {
        return Err(ChannelError::NoPrimaryKey { table });
    }
    Call { link, register, incarnation, run: None }.send(outgoing).await
}

/// The same for the run of an agent that has claimed the register: refused when another has by now.
pub async fn upload_as(
    link: &mut Link,
    speaker: &Speaker,
    outgoing: &[Outgoing<'_>],
) -> Result<Vec<Receipt>, ChannelError> {
    if let Some(table) = keyless(outgoing) {
        return Err(ChannelError::NoPrimaryKey { table });
    }
    let Speaker { register, incarnation, run } = speaker;
    Call { link, register, incarnation: *incarnation, run: Some(*run) }.send(outgoing).await
}

fn keyless(outgoing: &[Outgoing<'_>]) -> Option<TableName> {
    // A key that the channel numbers is none that a register could name: two of them would make
    // the same, and IDENTITY_INSERT takes a right to alter the table.
    let is_named = |table: &Table| {
        !table.key.is_empty() && table.key_columns().all(|c| c.assigned == Assigned::ByWriter)
    };
    let mut writes = outgoing.iter().flat_map(|one| &one.transaction.writes);
    writes.find(|write| !is_named(&write.table)).map(|write| write.table.name.clone())
}

const WHAT: &str = "take an upload";
/// What [`statement::upload_sql`] names.
pub(crate) const DECLARED: &str = "@P1 nvarchar(4000), @P2 nvarchar(4000), @P3 nvarchar(max), @P4 varbinary(128), @P5 varbinary(128), @P6 nvarchar(4000)";

/// Attempts in all at a statement that lost against another session.
const BUSY_ATTEMPTS_MAX: u32 = 4;
/// Between them, growing: another register's upload takes some tens of milliseconds.
const BUSY_DELAY_MS: u64 = 40;
const BUSY_DELAY_MS_MAX: u64 = 1_000;

/// One call of [`upload`], with what does not change from statement to statement.
struct Call<'a> {
    link: &'a mut Link,
    register: &'a str,
    incarnation: Incarnation,
    /// `None` where somebody carries transactions by hand, for a register that cannot.
    run: Option<Run>,
}

impl Call<'_> {
    /// Sends everything, halving whatever a row's error makes fail. A worklist, not a recursion:
    /// parts stand on it in their order, so that receipts come in the batch's order.
    async fn send(&mut self, outgoing: &[Outgoing<'_>]) -> Result<Vec<Receipt>, ChannelError> {
        let mut receipts: Vec<Option<Receipt>> = vec![None; outgoing.len()];
        let mut blocked = Blocked::default();
        let mut waiting: Vec<Vec<usize>> = vec![(0..outgoing.len()).collect()];
        while let Some(part) = waiting.pop() {
            let (held, part): (Vec<usize>, Vec<usize>) =
                part.into_iter().partition(|at| blocked.holds(outgoing[*at].transaction));
            for at in held {
                receipts[at] = Some(Receipt::Blocked);
            }
            let sent: Vec<Outgoing<'_>> = part.iter().map(|at| outgoing[*at]).collect();
            if sent.is_empty() {
                continue;
            }
            let outcomes = match self.patiently(&sent).await {
                Ok(outcomes) => outcomes,
                Err(error) if !is_row_error(&error) => return Err(error),
                Err(error) if sent.len() == 1 => vec![self.alone(error, sent[0]).await?],
                Err(_) => {
                    let mut first = part;
                    waiting.push(first.split_off(first.len() / 2));
                    waiting.push(first);
                    continue;
                }
            };
            let mut again = Vec::new();
            for (at, outcome) in part.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Final(receipt) => {
                        blocked.note(outgoing[at].transaction, &receipt);
                        receipts[at] = Some(receipt);
                    }
                    Outcome::Again => again.push(at),
                }
            }
            waiting.push(again);
        }
        let all: Option<Vec<Receipt>> = receipts.into_iter().collect();
        all.ok_or_else(|| unexpected("a transaction has no receipt".to_string()))
    }

    /// A key that is there twice may be another session's insert of a moment ago: asked once more,
    /// the channel's row shows up as a contest. Everything else stays refused.
    async fn alone(
        &mut self,
        error: ChannelError,
        sent: Outgoing<'_>,
    ) -> Result<Outcome, ChannelError> {
        let refused = |error| Ok(Outcome::Final(refused(error, sent.transaction)));
        if !matches!(error, ChannelError::Sql { number: 2601 | 2627, .. }) {
            return refused(error);
        }
        match self.patiently(&[sent]).await {
            Ok(mut given) => Ok(given.remove(0)),
            Err(error) if is_row_error(&error) => refused(error),
            Err(error) => Err(error),
        }
    }

    async fn patiently(&mut self, sent: &[Outgoing<'_>]) -> Result<Vec<Outcome>, ChannelError> {
        let payload = Payload::of(self.link.config().capture, sent)?;
        if payload.json.len() > UPLOAD_BYTES_MAX && sent.len() > 1 {
            return Err(ChannelError::TooLarge { bytes: payload.json.len() });
        }
        let mut attempt = 0;
        loop {
            match self.once(&payload, sent.len()).await {
                Err(ChannelError::Busy { .. }) if attempt + 1 < BUSY_ATTEMPTS_MAX => {
                    let first = Duration::from_millis(BUSY_DELAY_MS);
                    let most = Duration::from_millis(BUSY_DELAY_MS_MAX);
                    let random = self.link.env().random.number();
                    tokio::time::sleep(retry::delay(attempt, first, most, random)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn once(
        &mut self,
        payload: &Payload<'_>,
        sent: usize,
    ) -> Result<Vec<Outcome>, ChannelError> {
        let own = own_context(self.incarnation);
        let altered = [own.as_slice(), b"R"].concat();
        let parameters = [
            Parameter::Text(self.register.to_string()),
            Parameter::Text(self.incarnation.to_string()),
            Parameter::Text(payload.json.clone()),
            Parameter::Bytes(own),
            Parameter::Bytes(altered),
            Parameter::Text(self.run.map(|run| run.to_string()).unwrap_or_default()),
        ];
        // Of many sales at once the text is the lesser part, and SQL Server plans for as many.
        let ask = match payload.json.len() < payload.sql.len() {
            true => Ask::kept(WHAT, &payload.sql, DECLARED, &parameters),
            false => Ask::query(WHAT, &payload.sql, &parameters),
        };
        let limit = time_for(payload.json.len(), self.link.config().statement_timeout);
        let answer = self.link.ask_within(limit, ask).await;
        if answer.is_err() {
            self.link.undo().await;
        }
        answer::outcomes(answer?, payload, sent)
    }
}

/// One commit of another program may be larger than any upload of ours, and cannot be divided: in the usual time it would never
/// get through, and hold up all that comes after it.
fn time_for(bytes: usize, usual: Duration) -> Duration {
    usual * u32::try_from(1 + bytes / UPLOAD_BYTES_MAX).unwrap_or(u32::MAX)
}

fn unexpected(what: String) -> ChannelError {
    ChannelError::Unexpected { what: format!("of an upload, {what}") }
}

fn is_row_error(error: &ChannelError) -> bool {
    match error {
        ChannelError::Sql { number, .. } => numbers::belongs_to_a_row(*number),
        ChannelError::Unwritable { .. } | ChannelError::TooLarge { .. } => true,
        _ => false,
    }
}

fn refused(error: ChannelError, transaction: &Transaction) -> Receipt {
    match error {
        ChannelError::Sql { number, message, .. } => {
            let table = table_of(&message, transaction);
            Receipt::Refused { number, message, table }
        }
        ChannelError::Unwritable { ref table, .. } => {
            Receipt::Refused { number: 0, message: error.to_string(), table: Some(table.clone()) }
        }
        other => Receipt::Refused { number: 0, message: other.to_string(), table: None },
    }
}

/// Most of SQL Server's messages name the table; a transaction of one table needs no name.
fn table_of(message: &str, transaction: &Transaction) -> Option<TableName> {
    let mut names: Vec<&TableName> = transaction.writes.iter().map(|w| &w.table.name).collect();
    names.dedup();
    let upper = message.to_uppercase();
    let named = names.iter().find(|name| {
        let name = name.name.to_uppercase();
        upper.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
    });
    match (named, names.as_slice()) {
        (Some(name), _) => Some((*name).clone()),
        (None, [only]) => Some((*only).clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
