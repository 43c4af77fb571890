//! Sales that the channel took and does not have any more, because it was restored from a backup, go up once more.
//!
//! * Asked for after a start and after trouble, before anything else may arrive ([`crate::push::take_stock`]): the last sale that
//!   it took, and where that is missing those before it, up to the first that it has. Sales that it lacks further back are of
//!   another time: they were rung up on another database, or somebody has cut its ledger off.
//! * A channel that has none of them, or that has come back to a life after another one, may be another database: there a
//!   person has to ask, `tillhold sync --resend`. Until then the status, the report to the channel and VERIFY say so, and
//!   what has arrived since is looked past.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::Register;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tillhold_channel::Link;
use tillhold_channel::ledger::ledger;
use tillhold_core::limits;
use tillhold_core::stage::Tally;
use tillhold_core::transaction::TransactionId;
use tillhold_local::{Arrived, KeptSale, LocalDatabase, LocalError, Reserve};

/// Under this name sales that wait for a person to send them once more stand in the status.
pub const LOST: &str = "lost";

/// What a person asked, and how many sales wait for one who does.
#[derive(Default)]
pub struct Lost {
    is_asked: AtomicBool,
    waiting: AtomicU64,
}

impl Lost {
    /// The next push that takes stock sends them, also where the channel has none.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// As far as the channel was asked.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// What the channel has lost of what it took.
#[derive(Default)]
struct Loss {
    /// The last one first.
    sales: Vec<KeptSale>,
    /// Of which no row is kept: they are old, or changed what others made.
    gone: usize,
    /// It has the sale before them.
    is_its_channel: bool,
}

/// Lets what the channel has lost wait to be sent. `is_latest` says that no later life of the channel is known.
pub async fn send_again(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
    is_latest: bool,
) -> Result<(), FlowError> {
    let is_asked = agent.lost.is_asked.swap(false, Ordering::Relaxed);
    let sent = send_or_leave(agent, register, link, (is_latest, is_asked)).await;
    if sent.is_err() && is_asked {
        agent.lost.ask();
    }
    sent
}

async fn send_or_leave(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
    (is_latest, is_asked): (bool, bool),
) -> Result<(), FlowError> {
    let looks_past = is_asked || register.local.awaits_resend().await?;
    let loss = look(&register.local, link, looks_past).await?;
    let (mut left, mut why) = (loss.sales.len(), Hindrance::AnotherChannel);
    if !loss.sales.is_empty() {
        let may_be_another = !(is_latest && loss.is_its_channel);
        if register.local.reserve() == Reserve::Gone {
            why = Hindrance::FullDisk;
        } else if is_asked || !may_be_another {
            let_wait(agent, register, loss).await?;
            left = 0;
        }
    }
    if looks_past != (left > 0) {
        match register.local.await_resend(left > 0).await {
            // It is found again as long as nothing has come after it, and by then there may be room.
            Err(LocalError::DiskFull { .. }) if why == Hindrance::FullDisk => {}
            kept => kept?,
        }
    }
    leave(agent, left, why);
    Ok(())
}

/// Why nothing is sent by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    AnotherChannel,
    FullDisk,
}

/// Said once for each time that something is missing, and shown until it is not.
fn leave(agent: &Agent, sales: usize, why: Hindrance) {
    agent.lost.waiting.store(sales as u64, Ordering::Relaxed);
    let result = match sales {
        0 => Ok(Tally::default()),
        _ => Err(FlowError::SalesLost { sales, why }),
    };
    let is_news = agent.report(LOST, &result, 0);
    if let Err(error) = &result
        && is_news
    {
        let hint = error.hint().unwrap_or_default();
        agent.say(&format!("[{}] {error}: {hint}", error.code()));
    }
}

async fn let_wait(agent: &Agent, register: &Register, loss: Loss) -> Result<(), FlowError> {
    let Loss { mut sales, mut gone, .. } = loss;
    gone += sales.len();
    sales.reverse();
    let again = register.local.send_again(sales).await?;
    gone -= again.sales as usize;
    let rest = match gone {
        0 => String::new(),
        gone => format!("; {gone} more made no rows, or none that are kept here still"),
    };
    agent.say(&format!(
        "the channel has lost {} sales that it took, as one restored from a backup: their {} rows are sent once more{rest}",
        again.sales, again.rows
    ));
    Ok(())
}

/// How many of the sales that it took last the channel lacks.
pub async fn missing(local: &LocalDatabase, link: &mut Link) -> Result<usize, FlowError> {
    let looks_past = local.awaits_resend().await?;
    Ok(look(local, link, looks_past).await?.sales.len())
}

/// `looks_past` what has arrived after them.
async fn look(local: &LocalDatabase, link: &mut Link, looks_past: bool) -> Result<Loss, FlowError> {
    let mut loss = Loss::default();
    let (mut before, mut most): (Option<Arrived>, usize) = (None, 1);
    loop {
        let arrived = local.arrived_before(before, most).await?;
        let Some(last) = arrived.last().copied() else { return Ok(loss) };
        let ids: Vec<TransactionId> = arrived.iter().map(|sale| sale.id).collect();
        let known = ledger(link, &ids).await?;
        let missing = ids.iter().zip(&known).filter(|(_, known)| known.is_none());
        let missing = missing.map(|(id, _)| *id).collect();
        let mut kept = local.kept_among(missing).await?.into_iter().peekable();
        for (id, known) in ids.iter().zip(known) {
            match known {
                None => match kept.next_if(|sale| sale.id == *id) {
                    Some(sale) => loss.sales.push(sale),
                    None => loss.gone += 1,
                },
                Some(_) if looks_past && loss.sales.is_empty() => loss.gone = 0,
                Some(_) => return Ok(Loss { is_its_channel: true, ..loss }),
            }
        }
        (before, most) = (Some(last), limits::ARRIVED_ASKED_MAX);
    }
}
