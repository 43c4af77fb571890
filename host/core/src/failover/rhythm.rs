//! When the channel is asked whether it is there, and how long it may take to answer.
//!
//! ```text
//! offline timeout   0 ─────────── ¼ ─────────── ½ ─────────── ¾ ─────────── 1
//!           last answer      asked again            no answer: Doubtful     Offline
//! ```
//!
//! * Within the timeout a probe is asked and given up, and another one is asked in doubt.
//! * Between two looks at the time there is a [`GRAIN`]; each of these moments may be late by one.

use super::{Effect, Machine, Rules, State};
use crate::limits;
use std::time::Duration;

/// How often the supervisor looks at the time.
pub const GRAIN: Duration = Duration::from_millis(50);

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

#[cfg(test)]
mod proofs;
