//! Sales that the channel took and does not have any more, because it was restored from a backup, go up once more.
//!
//! * Asked for after a start and after trouble, with all that waits ([`crate::push::take_stock`]): the last sale that it took, and
//!   only where that is missing those before it, back to where it has them all.
//! * A channel that has none of them is rather another database: there a person has to ask, `tillhold sync --resend`.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::Register;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_channel::Link;
use tillhold_channel::ledger::ledger;
use tillhold_core::limits;
use tillhold_core::transaction::TransactionId;
use tillhold_local::{Arrived, KeptSale};

/// What a person asked, and was told.
#[derive(Default)]
pub struct Lost {
    is_asked: AtomicBool,
    is_told: AtomicBool,
}

impl Lost {
    /// The next push that takes stock sends them, also where the channel has none.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }
}

/// What the channel has lost of what it took.
#[derive(Default)]
struct Loss {
    /// The last one first.
    sales: Vec<KeptSale>,
    /// Of which no row is kept: they are old, or changed what others made.
    gone: usize,
    /// It has some of this register's sales.
    is_its_channel: bool,
}

/// Lets what the channel has lost wait to be sent.
pub async fn send_again(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
) -> Result<(), FlowError> {
    let is_asked = agent.lost.is_asked.swap(false, Ordering::Relaxed);
    let Loss { mut sales, gone, is_its_channel } = look(register, link, is_asked).await?;
    if sales.is_empty() {
        return Ok(());
    }
    if !is_its_channel && !is_asked {
        if !agent.lost.is_told.swap(true, Ordering::Relaxed) {
            agent.say(&format!(
                "the channel has none of the last {} sales that it took from this register: if it is the right one, \
                 `tillhold sync --resend` sends them once more",
                sales.len()
            ));
        }
        return Ok(());
    }
    sales.reverse();
    let again = register.local.send_again(sales).await?;
    let rest = match gone {
        0 => String::new(),
        gone => format!("; of {gone} more no rows are kept here"),
    };
    agent.say(&format!(
        "the channel has lost {} sales that it took, as one restored from a backup: their {} rows are sent once more{rest}",
        again.sales, again.rows
    ));
    Ok(())
}

/// Where a person asks, at all of them: what was sold since has arrived, and hides what is missing before it.
async fn look(register: &Register, link: &mut Link, at_all: bool) -> Result<Loss, FlowError> {
    let mut loss = Loss::default();
    let (mut before, mut most): (Option<Arrived>, usize) = (None, 1);
    loop {
        let arrived = register.local.arrived_before(before, most).await?;
        let Some(last) = arrived.last().copied() else { return Ok(loss) };
        let ids: Vec<TransactionId> = arrived.iter().map(|sale| sale.id).collect();
        let known = ledger(link, &ids).await?;
        loss.is_its_channel |= known.iter().any(Option::is_some);
        let missing = ids.iter().zip(known).filter(|(_, known)| known.is_none());
        let missing: Vec<TransactionId> = missing.map(|(id, _)| *id).collect();
        if missing.is_empty() && !at_all {
            return Ok(loss);
        }
        let count = missing.len();
        let kept = register.local.kept_among(missing).await?;
        loss.gone += count - kept.len();
        loss.sales.extend(kept);
        (before, most) = (Some(last), limits::ARRIVED_ASKED_MAX);
    }
}
