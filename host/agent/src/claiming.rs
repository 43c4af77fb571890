//! Whether this offline database speaks for its register: claimed at the channel for this run of the agent, before
//! anything is sent; and the deliberate way out when it was restored or copied.
//!
//! * The run is in the journal before the channel hears of it, so that a kill in between raises no alarm.
//! * What stands against a claim stays until the agent starts again or a person renews the incarnation.
//! * Meanwhile nothing is pushed, and no scope is pulled that is also pushed: writes of the other database would be
//!   taken for this one's own.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::numbers;
use crate::pull;
use crate::push::{self, Pushed};
use crate::register::Register;
use crate::selecting;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tillhold_channel::Link;
use tillhold_channel::claim::{Speaker, claim, dispute, look};
use tillhold_core::claim::{Doubt, Head, Verdict, judge};
use tillhold_core::version::Run;
use tillhold_env::Locked as _;

/// What the running agent knows of its claim.
#[derive(Default)]
pub struct Claim(Mutex<State>);

#[derive(Clone, Default)]
struct State {
    run: Option<Run>,
    holds: bool,
    doubt: Option<Doubt>,
    /// The furthest transaction that has arrived, until the journal remembers it.
    head: Option<Head>,
}

/// How often a claim is tried against others that move it.
const ATTEMPTS_MAX: u32 = 3;

impl Claim {
    fn state(&self) -> State {
        self.0.locked().clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.locked());
    }

    /// Why nothing may be sent.
    pub fn doubt(&self) -> Option<Doubt> {
        self.state().doubt
    }

    /// The channel said that another speaks: the next upload looks first.
    pub fn lose(&self) {
        self.change(|state| state.holds = false);
    }

    pub fn note_head(&self, head: Option<Head>) {
        self.change(|state| {
            let further = |new: &Head| state.head.is_none_or(|old| old.sequence < new.sequence);
            state.head = head.filter(further).or(state.head);
        });
    }

    /// Writes the head down; its transaction is forgotten one day.
    pub async fn keep_head(&self, register: &Register) -> Result<(), FlowError> {
        if let Some(head) = self.state().head {
            register.local.remember_head(head).await?;
            self.change(|state| state.head = state.head.filter(|now| *now != head));
        }
        Ok(())
    }
}

/// The speaker, after its claim holds.
pub async fn hold(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
) -> Result<Speaker, FlowError> {
    let known = agent.claim.state();
    if let Some(doubt) = known.doubt {
        return Err(FlowError::doubted(&doubt));
    }
    let run = match known.run {
        Some(run) => run,
        None => {
            let run = register.local.begin_run().await?;
            agent.claim.change(|state| state.run = Some(run));
            run
        }
    };
    let speaker = speaker(register, run);
    if known.holds {
        return Ok(speaker);
    }
    match take(register, link, &speaker).await? {
        None => {
            agent.claim.change(|state| state.holds = true);
            agent.claim.keep_head(register).await?;
            Ok(speaker)
        }
        Some(doubt) => {
            agent.claim.change(|state| state.doubt = Some(doubt.clone()));
            Err(FlowError::doubted(&doubt))
        }
    }
}

fn speaker(register: &Register, run: Run) -> Speaker {
    let name = register.file.identity().channel_name();
    Speaker { register: name, incarnation: register.local.incarnation(), run }
}

/// Looks, judges and claims; what stands against it.
async fn take(
    register: &Register,
    link: &mut Link,
    speaker: &Speaker,
) -> Result<Option<Doubt>, FlowError> {
    for _ in 0..ATTEMPTS_MAX {
        let seen = look(link, speaker).await?;
        let remembered = register.local.remembered().await?;
        let at = match seen.as_ref().and_then(|seen| seen.head) {
            Some(head) => register.local.transaction_at(head.sequence).await?,
            None => None,
        };
        match judge(&remembered, seen.as_ref(), |_| at) {
            Verdict::Stops(doubt) => {
                if matches!(doubt, Doubt::Copied { .. }) {
                    dispute(link, speaker).await?;
                }
                return Ok(Some(doubt));
            }
            Verdict::Begins | Verdict::GoesOn => {
                if claim(link, speaker, seen.map(|seen| seen.run), "").await? {
                    return Ok(None);
                }
            }
        }
    }
    Err(FlowError::BrokeOff("a claim that others move again and again"))
}

/// Begins a new incarnation: what has arrived by the ledger is settled, the rows of both directions are loaded anew.
/// The numbers are read and kept before it begins: an agent that dies in between starts as a sound one, and would sell
/// under the numbers of long ago.
pub async fn renew(agent: &Arc<Agent>, why: &str) -> Result<Json, FlowError> {
    let register = agent.register();
    let mut link = agent.push_lane().await;
    let mut arrived = Pushed::default();
    push::take_stock(agent, &register, &mut link, &mut arrived).await?;
    numbers::refresh(agent, &register, &mut link).await?;
    let old = register.local.incarnation();
    let new = register.local.renew_incarnation().await?;
    agent.say(&format!("incarnation {old} ends, {new} begins: {why}"));
    let run = register.local.begin_run().await?;
    let speaker = speaker(&register, run);
    claim(&mut link, &speaker, None, why).await?;
    agent.claim.change(|state| {
        *state = State { run: Some(run), holds: true, ..State::default() };
    });
    drop(link);
    let mut link = agent.pull_lane().await;
    let mut loaded = 0;
    for run in register.scopes.iter().filter(|run| run.is_pushed() && run.is_pulled()) {
        let run = selecting::without_waiting(&register, run).await?;
        loaded += pull::pull_anew(&register, &mut link, &run).await?.rows_in;
    }
    numbers::refresh(agent, &register, &mut link).await?;
    agent.nudge.notify_one();
    Ok(json!({
        "incarnation": new.to_string(),
        "ended": old.to_string(),
        "arrived": arrived.already_there,
        "rows_loaded": loaded,
    }))
}

/// Looks whether there is anything to renew; the doubt, if any.
pub async fn examine(agent: &Agent) -> Result<Option<Doubt>, FlowError> {
    let register = agent.register();
    let mut link = agent.push_lane().await;
    match hold(agent, &register, &mut link).await {
        Ok(_) => Ok(None),
        Err(error) => agent.claim.doubt().map(Some).ok_or(error),
    }
}
