//! Whole transactions of the register into the channel: their rows and their ledger entries in one
//! SQL transaction.
//!
//! 1. The batch is cut into waves in which no row occurs twice ([`waves`]); usually that is one.
//! 2. A wave is one statement with one JSON parameter ([`payload`], [`statement`]): one round trip.
//! 3. An error that belongs to a row is bisected by transaction, until the one that causes it is
//!    found and refused; the others go through.
//! 4. A passing refusal (deadlock, lock, snapshot) is repeated a bounded number of times, with the
//!    same ids.
//!
//! * A broken or silent connection is an error of the whole call, and the outcome is unknown: the
//!   caller uploads again and the ledger answers [`Receipt::AlreadyThere`] for what had arrived.
//! * A transaction that shares a row with an earlier contested one of the same call is not written
//!   over it: it comes back as [`Receipt::Contested`] without contests, to be uploaded again after
//!   the earlier one.

pub(crate) mod payload;
pub(crate) mod statement;
pub(crate) mod waves;

use crate::capture::own_context;
use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link, ResultSet};
use payload::Payload;
use tillhold_core::limits::UPLOAD_BYTES_MAX;
use tillhold_core::retry;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Contest, Receipt, Transaction};
use tillhold_core::version::Incarnation;

/// How the channel remembers who wrote the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMark {
    /// The register's own rows as it has them: pull does not bring them again.
    Own,
    /// The result of resolving a conflict: pull brings them, so that the register gets what was
    /// decided.
    Resolved,
}

/// One receipt for each transaction, in their order.
pub async fn upload(
    link: &mut Link,
    register: &str,
    incarnation: Incarnation,
    transactions: &[Transaction],
    mark: WriteMark,
) -> Result<Vec<Receipt>, ChannelError> {
    if let Some(table) = keyless(transactions) {
        return Err(ChannelError::NoPrimaryKey { table });
    }
    let mut call = Call { link, register, incarnation, mark };
    let mut receipts: Vec<Receipt> = Vec::with_capacity(transactions.len());
    for wave in waves::waves(transactions) {
        let held = waves::held_back(transactions, &receipts, wave.clone());
        let free: Vec<usize> = wave.clone().filter(|at| !held.contains(at)).collect();
        let mut given = call.send(transactions, &free).await?.into_iter();
        for at in wave {
            receipts.push(match held.contains(&at) {
                true => Receipt::Contested(Vec::new()),
                false => given.next().expect("a wave gives a receipt for each transaction sent"),
            });
        }
    }
    Ok(receipts)
}

fn keyless(transactions: &[Transaction]) -> Option<TableName> {
    let mut writes = transactions.iter().flat_map(|t| &t.writes);
    writes.find(|write| write.table.key.is_empty()).map(|write| write.table.name.clone())
}

const WHAT: &str = "take an upload";

/// Attempts in all at a statement that lost against another session.
const BUSY_ATTEMPTS_MAX: u32 = 4;
/// Between them, growing: another register's upload takes some tens of milliseconds.
const BUSY_DELAY_MS: u64 = 40;
const BUSY_DELAY_MS_MAX: u64 = 1_000;

/// One call of [`upload`], with what does not change from wave to wave.
struct Call<'a> {
    link: &'a mut Link,
    register: &'a str,
    incarnation: Incarnation,
    mark: WriteMark,
}

impl Call<'_> {
    /// Sends the transactions at `chosen`, halving whatever a row's error makes fail. A worklist,
    /// not a recursion: halves stand on it in their order.
    async fn send(
        &mut self,
        transactions: &[Transaction],
        chosen: &[usize],
    ) -> Result<Vec<Receipt>, ChannelError> {
        let mut receipts = Vec::with_capacity(chosen.len());
        let mut waiting = vec![chosen];
        while let Some(part) = waiting.pop() {
            if part.is_empty() {
                continue;
            }
            let sent: Vec<&Transaction> = part.iter().map(|at| &transactions[*at]).collect();
            match self.patiently(&sent).await {
                Ok(given) => receipts.extend(given),
                Err(error) if !is_row_error(&error) => return Err(error),
                Err(error) if part.len() == 1 => {
                    receipts.push(self.alone(error, sent[0]).await?);
                }
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.push(second);
                    waiting.push(first);
                }
            }
        }
        Ok(receipts)
    }

    /// A key that is there twice may be another session's insert of a moment ago: asked once more,
    /// the channel's row shows up as a contest. Everything else stays refused.
    async fn alone(
        &mut self,
        error: ChannelError,
        transaction: &Transaction,
    ) -> Result<Receipt, ChannelError> {
        if !matches!(error, ChannelError::Sql { number: 2601 | 2627, .. }) {
            return Ok(refused(error, transaction));
        }
        match self.patiently(&[transaction]).await {
            Ok(mut given) => Ok(given.remove(0)),
            Err(error) if is_row_error(&error) => Ok(refused(error, transaction)),
            Err(error) => Err(error),
        }
    }

    async fn patiently(&mut self, sent: &[&Transaction]) -> Result<Vec<Receipt>, ChannelError> {
        let payload = Payload::of(sent)?;
        if payload.json.len() > UPLOAD_BYTES_MAX && sent.len() > 1 {
            return Err(ChannelError::TooLarge { bytes: payload.json.len() });
        }
        let mut attempt = 0;
        loop {
            match self.once(&payload, sent).await {
                Err(ChannelError::Busy { .. }) if attempt + 1 < BUSY_ATTEMPTS_MAX => {
                    let first = std::time::Duration::from_millis(BUSY_DELAY_MS);
                    let most = std::time::Duration::from_millis(BUSY_DELAY_MS_MAX);
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
        sent: &[&Transaction],
    ) -> Result<Vec<Receipt>, ChannelError> {
        let own = own_context(self.incarnation);
        let context = match self.mark {
            WriteMark::Own => own.clone(),
            WriteMark::Resolved => [own.as_slice(), b"R"].concat(),
        };
        let parameters = [
            Parameter::Text(self.register.to_string()),
            Parameter::Text(self.incarnation.to_string()),
            Parameter::Text(payload.json.clone()),
            Parameter::Bytes(context),
            Parameter::Bytes(own),
        ];
        let answer = self.link.ask(Ask::query(WHAT, &payload.sql, &parameters)).await;
        if answer.is_err() {
            self.link.undo().await;
        }
        receipts(answer?, payload, sent)
    }
}

/// The first result set has an outcome a transaction; then comes one a table with the contested
/// rows.
fn receipts(
    sets: Vec<ResultSet>,
    payload: &Payload<'_>,
    sent: &[&Transaction],
) -> Result<Vec<Receipt>, ChannelError> {
    let mut sets = sets.into_iter();
    let outcomes = sets.next().unwrap_or_default();
    let mut receipts = Vec::with_capacity(sent.len());
    for cells in outcomes {
        let mut cells = Cells::new(WHAT, cells);
        let (ordinal, outcome) = (cells.number("s")?, cells.number("o")?);
        if ordinal as usize != receipts.len() {
            return Err(unexpected(format!("outcome {ordinal} stands at {}", receipts.len())));
        }
        receipts.push(match outcome {
            0 => Receipt::Applied,
            1 => Receipt::AlreadyThere,
            2 => Receipt::Clash,
            3 => Receipt::Contested(Vec::new()),
            other => return Err(unexpected(format!("outcome {other} is none"))),
        });
    }
    if receipts.len() != sent.len() {
        return Err(unexpected(format!("{} outcomes for {}", receipts.len(), sent.len())));
    }
    for (table, rows) in payload.tables.iter().zip(sets) {
        for cells in rows {
            add_contest(Cells::new(WHAT, cells), table, payload, &mut receipts)?;
        }
    }
    checked(receipts)
}

fn add_contest(
    mut cells: Cells,
    table: &tillhold_core::table::Table,
    payload: &Payload<'_>,
    receipts: &mut [Receipt],
) -> Result<(), ChannelError> {
    let (transaction, row) = (cells.number("_t")? as usize, cells.number("_w")? as usize);
    let version = cells.optional_version("_v")?;
    let present = cells.flag("_p")?;
    let channel = if present { Some(cells.row(table)?) } else { None };
    let write = payload.write_of(transaction, row);
    match (receipts.get_mut(transaction), write) {
        (Some(Receipt::Contested(contests)), Some(write)) => {
            contests.push(Contest { write, channel, version });
            Ok(())
        }
        _ => Err(unexpected(format!("row {row} of transaction {transaction} is contested"))),
    }
}

/// A contested transaction without a contest would be taken for one that only waits.
fn checked(mut receipts: Vec<Receipt>) -> Result<Vec<Receipt>, ChannelError> {
    for receipt in &mut receipts {
        if let Receipt::Contested(contests) = receipt {
            contests.sort_by_key(|contest| contest.write);
            if contests.is_empty() {
                return Err(unexpected("a contested transaction has no contested row".to_string()));
            }
        }
    }
    Ok(receipts)
}

fn unexpected(what: String) -> ChannelError {
    ChannelError::Unexpected { what: format!("of an upload, {what}") }
}

/// Errors that one row causes and that repeating does not cure (numbers: SQL Server's
/// `sys.messages`): a key there twice, a reference or check, NULL, too long, overflow, conversions,
/// JSON, a CLR type's bytes, a trigger's refusal, our own guard.
const ROW_ERRORS: &[u32] = &[
    2601, 2627, 547, 515, 8152, 2628, 220, 232, 8115, 8114, 8169, 241, 242, 245, 248, 295, 13608,
    13609, 3609, 6522, 50_000, 50_003,
];

/// Texts that are no XML.
const XML_ERRORS: std::ops::RangeInclusive<u32> = 9_400..=9_459;

fn is_row_error(error: &ChannelError) -> bool {
    match error {
        ChannelError::Sql { number, .. } => {
            ROW_ERRORS.contains(number) || XML_ERRORS.contains(number)
        }
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
