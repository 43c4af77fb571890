//! Whether a scope that is due needs a pass at all: one small question instead of the half dozen round trips of a pass
//! that brings nothing.
//!
//! * The channel's version has not moved since the scope's tables were read at it, under the same epoch: no tracked
//!   change was committed, and a pass would bring none.
//! * A pass sees more than rows: a table that was altered, or truncated where nothing else was committed. So at least
//!   one pass is made every [`limits::PASS_INTERVAL_MAX`], the first after a start or after a changed profile is one, and
//!   what a person asks for always is.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use tillhold_channel::{Link, capture};
use tillhold_core::limits;
use tillhold_env::Locked as _;
use tillhold_local::Load;

/// When each scope was last passed over, and for which state of the register.
#[derive(Default)]
pub struct Passes(Mutex<BTreeMap<String, Pass>>);

struct Pass {
    /// A changed profile makes another register of it. Held weakly, so that no other can stand at the same address.
    register: Weak<Register>,
    at_us: u64,
}

impl Passes {
    /// A pass over the scope came to its end.
    pub fn note(&self, register: &Arc<Register>, scope: &str) {
        let pass =
            Pass { register: Arc::downgrade(register), at_us: register.env.clock.monotonic_us() };
        self.0.locked().insert(scope.to_string(), pass);
    }

    fn is_recent(&self, register: &Arc<Register>, scope: &str) -> bool {
        let passes = self.0.locked();
        let now_us = register.env.clock.monotonic_us();
        passes.get(scope).is_some_and(|pass| {
            let since_us = u128::from(now_us.saturating_sub(pass.at_us));
            let is_same = std::ptr::eq(pass.register.as_ptr(), Arc::as_ptr(register));
            is_same && since_us < limits::PASS_INTERVAL_MAX.as_micros()
        })
    }
}

/// Whether nothing can have come since the scope's last pass.
pub async fn is_unchanged(
    agent: &Agent,
    link: &mut Link,
    run: &ScopeRun,
) -> Result<bool, FlowError> {
    let (register, scope) = (agent.register(), &run.scope.name);
    if !run.is_pulled() || !agent.passes.is_recent(&register, scope) {
        return Ok(false);
    }
    let local = &register.local;
    let (epoch, version) = capture::current(link, register.profile.capture).await?;
    if local.epochs_of(scope).await? != [epoch] {
        return Ok(false);
    }
    let states = local.states_of(&run.tables).await?;
    Ok(states.iter().all(|state| state.load == Load::Loaded && state.version == Some(version)))
}
