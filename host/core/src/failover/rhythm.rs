//! When the channel is asked whether it is there, and how long it may take to answer.
//!
//! ```text
//! offline timeout   0 ─────────── ¼ ─────────── ½ ─────────── ¾ ─────────── 1
//!           last answer      asked again            no answer: Doubtful     Offline
//! ```
//!
//! * Within the timeout a probe is asked and given up, and another one is asked in doubt.
//! * Between two looks at the time there is at least a [`GRAIN`]; each of these moments may be late by one. While nothing
//!   can be due there is no look: on a small machine each costs more than what is done in it.

use super::{Effect, Machine, Rules, State};
use crate::limits;
use std::time::Duration;

/// The least time between two looks at the time.
pub const GRAIN: Duration = Duration::from_millis(50);
/// The most: the rules may be others by then.
const REST_MAX: Duration = Duration::from_secs(1);

/// Between the starts of two probes while Online.
pub fn interval(rules: &Rules) -> Duration {
    (rules.offline_timeout / 4).clamp(GRAIN, limits::PROBE_INTERVAL_MAX)
}

/// After so long a probe counts as not answered.
pub fn deadline(rules: &Rules) -> Duration {
    interval(rules) * 2
}

/// Whether a probe starts now, unless one is under way: `asked_at_ms` is when the last one did, `effects` are what the
/// step to `machine` asked for.
pub fn is_due(
    machine: &Machine,
    effects: &[Effect],
    asked_at_ms: u64,
    now_ms: u64,
    rules: &Rules,
) -> bool {
    let waited_ms = u128::from(now_ms.saturating_sub(asked_at_ms));
    let is_late = machine.state == State::Online && waited_ms >= interval(rules).as_millis();
    is_late || effects.contains(&Effect::Probe)
}

/// From the last look, at `looked_at_ms`, to the next one.
pub fn rest(machine: &Machine, asked_at_ms: u64, looked_at_ms: u64, rules: &Rules) -> Duration {
    let due_ms = match machine.state {
        State::Online => asked_at_ms.saturating_add(interval(rules).as_millis() as u64),
        State::Doubtful => looked_at_ms,
        State::Offline => machine.attempt_at_ms,
        State::Returning | State::Held => u64::MAX,
    };
    Duration::from_millis(due_ms.saturating_sub(looked_at_ms)).clamp(GRAIN, REST_MAX)
}

#[cfg(test)]
mod tests;
