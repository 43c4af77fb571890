//! What has arrived at the channel: found out after a start and after trouble, and settled on the register.

use super::Pushed;
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::filter_exit::leaving;
use crate::register::Register;
use crate::resend;
use crate::resolve::PreparedTransaction;
use tillhold_channel::ledger::ledger;
use tillhold_channel::{Link, capture, decision};
use tillhold_core::limits;
use tillhold_core::transaction::{ContentHash, Receipt, Transaction, TransactionId};
use tillhold_local::{Accepted, TransactionRecord, Unsent};

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
    resend::send_again(agent, register, link, is_latest).await?;
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
            |Unsent { record: TransactionRecord { id, hash, sequence, .. }, writes, .. }| {
                PreparedTransaction {
                    transaction: Transaction { id, hash, sequence, writes },
                    altered: Vec::new(),
                }
            };
        let there: Vec<PreparedTransaction> = there.into_iter().map(plain).collect();
        let answered: Vec<(&PreparedTransaction, Receipt)> =
            there.iter().map(|prepared| (prepared, Receipt::AlreadyThere)).collect();
        accept(register, link, &answered, pushed).await?;
    }
    Ok(())
}

pub(super) fn is_accepted(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Applied | Receipt::AlreadyThere)
}

/// Settles all that the channel took as it was, in one commit, and what it had from an earlier upload.
pub(super) async fn accept(
    register: &Register,
    link: &mut Link,
    answered: &[(&PreparedTransaction, Receipt)],
    pushed: &mut Pushed,
) -> Result<(), FlowError> {
    let (mut accepted, mut there) = (Vec::new(), Vec::new());
    for (prepared, receipt) in answered.iter().filter(|(_, receipt)| is_accepted(receipt)) {
        pushed.transactions += 1;
        pushed.count(register, &prepared.transaction);
        match receipt {
            Receipt::AlreadyThere => there.push(&prepared.transaction),
            _ => accepted.push(&prepared.transaction),
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
