//! The life of the channel that the agent met last. One that was restored begins another ([`tillhold_channel::capture`]), and
//! whoever meets it first tells the rest: every scope is due once, and sales that it took may be lost.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use std::collections::BTreeSet;
use std::sync::Mutex;
use tillhold_env::Locked as _;

#[derive(Default)]
pub struct Life(Mutex<Met>);

#[derive(Default)]
struct Met {
    epoch: Option<[u8; 16]>,
    /// The scopes that stand in a former life until they are pulled.
    behind: BTreeSet<String>,
}

impl Life {
    /// Whether it is another one than the one that was met before.
    pub fn meet(&self, register: &Register, epoch: [u8; 16]) -> bool {
        let mut met = self.0.locked();
        let is_another = met.epoch.replace(epoch).is_some_and(|before| before != epoch);
        if is_another {
            let pulled = register.scopes.iter().filter(|run| run.is_pulled());
            met.behind = pulled.map(|run| run.scope.name.clone()).collect();
        }
        is_another
    }

    pub fn is_behind(&self, scope: &str) -> bool {
        self.0.locked().behind.contains(scope)
    }

    fn keep_up(&self, scope: &str) {
        self.0.locked().behind.remove(scope);
    }
}

/// After a pass over a scope, which may be the first that meets another life.
pub async fn note(agent: &Agent, register: &Register, run: &ScopeRun) -> Result<(), FlowError> {
    let scope = &run.scope.name;
    let epochs = register.local.epochs_of(scope).await?;
    if let [epoch] = epochs[..]
        && agent.life.meet(register, epoch)
    {
        // What was sold before anybody noticed may lie above what is missing.
        register.local.await_resend(true).await?;
        agent.rounds.doubt_arrivals();
    }
    // One whose tables all wait for their choice stands in no life.
    if epochs.len() < 2 {
        agent.life.keep_up(scope);
    }
    Ok(())
}
