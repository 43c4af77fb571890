//! Sales that the channel took and does not have any more, because it was restored from a backup, go up once more.
//!
//! * Asked for after a start and after trouble, before anything else may arrive ([`crate::push::take_stock`]): the last sale that
//!   it took, and where that is missing those before it, up to the first that it has. Sales that it lacks further back are of
//!   another time: they were rung up on another database, or somebody has cut its ledger off.
//! * A channel that has none of them, or that has come back to a life after another one, may be another database: there a
//!   person has to ask, `tillhold sync --resend`. What has arrived since is looked past then.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::Register;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_channel::Link;
use tillhold_channel::ledger::ledger;
use tillhold_core::limits;
use tillhold_core::transaction::TransactionId;
use tillhold_local::{Arrived, KeptSale, LocalDatabase, Reserve};

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
    let is_asked = agent.lost.is_asked.load(Ordering::Relaxed);
    let loss = look(&register.local, link, is_asked).await?;
    if !loss.sales.is_empty() {
        let may_be_another = !(is_latest && loss.is_its_channel);
        let hindrance = match () {
            () if may_be_another && !is_asked => Some("if it is the right one"),
            () if register.local.reserve() == Reserve::Gone => {
                Some("when there is room on the disk")
            }
            () => None,
        };
        match hindrance {
            Some(when) => leave(agent, &loss, when),
            None => let_wait(agent, register, loss).await?,
        }
    } else {
        agent.lost.is_told.store(false, Ordering::Relaxed);
    }
    agent.lost.is_asked.store(false, Ordering::Relaxed);
    Ok(())
}

/// Said once for each time that something is missing.
fn leave(agent: &Agent, loss: &Loss, when: &str) {
    if !agent.lost.is_told.swap(true, Ordering::Relaxed) {
        agent.say(&format!(
            "the channel lacks the last {} sales that it took from this register: {when}, `tillhold sync --resend` sends them once more",
            loss.sales.len()
        ));
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
        gone => format!("; of {gone} more no rows are kept here"),
    };
    agent.say(&format!(
        "the channel has lost {} sales that it took, as one restored from a backup: their {} rows are sent once more{rest}",
        again.sales, again.rows
    ));
    Ok(())
}

/// How many of the sales that it took last the channel lacks.
pub async fn missing(local: &LocalDatabase, link: &mut Link) -> Result<usize, FlowError> {
    Ok(look(local, link, false).await?.sales.len())
}

async fn look(local: &LocalDatabase, link: &mut Link, is_asked: bool) -> Result<Loss, FlowError> {
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
                Some(_) if is_asked && loss.sales.is_empty() => loss.gone = 0,
                Some(_) => return Ok(Loss { is_its_channel: true, ..loss }),
            }
        }
        (before, most) = (Some(last), limits::ARRIVED_ASKED_MAX);
    }
}
