//! What the channel says to an upload: an outcome a transaction, then the contested rows of each
//! table.

use super::payload::Payload;
use super::{WHAT, unexpected};
use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::ResultSet;
use tillhold_core::table::Table;
use tillhold_core::transaction::{Contest, Receipt};

/// What one statement made of one transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Final(Receipt),
    /// Nothing was written: the batch builds on a transaction that the ledger knows already.
    Again,
}

pub(super) fn outcomes(
    sets: Vec<ResultSet>,
    payload: &Payload<'_>,
    sent: usize,
) -> Result<Vec<Outcome>, ChannelError> {
    let mut sets = sets.into_iter();
    let mut outcomes = Vec::with_capacity(sent);
    for cells in sets.next().unwrap_or_default() {
        let mut cells = Cells::new(WHAT, cells);
        let (ordinal, outcome) = (cells.number("s")?, cells.number("o")?);
        if ordinal as usize != outcomes.len() || outcomes.len() == sent {
            return Err(unexpected(format!("outcome {ordinal} stands at {}", outcomes.len())));
        }
        outcomes.push(match outcome {
            0 => Outcome::Final(Receipt::Applied),
            1 => Outcome::Final(Receipt::AlreadyThere),
            2 => Outcome::Final(Receipt::Clash),
            3 => Outcome::Final(Receipt::Contested(Vec::new())),
            5 => Outcome::Final(Receipt::Blocked),
            4 => Outcome::Again,
            other => return Err(unexpected(format!("outcome {other} is none"))),
        });
    }
    if outcomes.len() != sent {
        return Err(unexpected(format!("{} outcomes for {sent}", outcomes.len())));
    }
    if outcomes.iter().all(|outcome| *outcome == Outcome::Again) && sent > 0 {
        return Err(unexpected("every transaction is to come again".to_string()));
    }
    for (table, rows) in payload.tables.iter().zip(sets) {
        for cells in rows {
            add_contest(Cells::new(WHAT, cells), table, payload, &mut outcomes)?;
        }
    }
    checked(outcomes)
}

fn add_contest(
    mut cells: Cells,
    table: &Table,
    payload: &Payload<'_>,
    outcomes: &mut [Outcome],
) -> Result<(), ChannelError> {
    let (transaction, row) = (cells.number("_t")? as usize, cells.number("_w")? as usize);
    let version = cells.optional_version("_v")?;
    let present = cells.flag("_p")?;
    let channel = if present { Some(cells.row(table)?) } else { None };
    let write = payload.write_of(transaction, row);
    match (outcomes.get_mut(transaction), write) {
        (Some(Outcome::Final(Receipt::Contested(contests))), Some(write)) => {
            contests.push(Contest { write, channel, version });
            Ok(())
        }
        _ => Err(unexpected(format!("row {row} of transaction {transaction} is contested"))),
    }
}

/// A contested transaction has a contest at least.
fn checked(mut outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, ChannelError> {
    for outcome in &mut outcomes {
        if let Outcome::Final(Receipt::Contested(contests)) = outcome {
            contests.sort_by_key(|contest| contest.write);
            if contests.is_empty() {
                return Err(unexpected("a contested transaction has no contested row".to_string()));
            }
        }
    }
    Ok(outcomes)
}
