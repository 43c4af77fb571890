//! How often a register may pull, so that thirty of them do not wear their channel down: a limit over all scopes, and
//! scopes that come due a little apart on every register.
//!
//! * Both limits are averages: a session is let in whole and paid for afterwards, so that no snapshot of the channel's
//!   stays open while a register waits.
//! * A scope is never later than its frequency because of the jitter, only earlier.

use crate::draw;
use crate::limits::PULL_BURST;
use std::time::Duration;

/// What the profile allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Pulls of one scope, over all scopes.
    pub sessions_per_min: u32,
    /// Rows over all scopes; 0 is as many as come.
    pub rows_per_s: u32,
    /// By how much of its frequency a scope may come due earlier, in percent.
    pub jitter_percent: u8,
}

/// What is still to be paid for, in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Debt {
    /// Before this moment nothing more is let in.
    free_at_ms: u64,
}

const BURST_MS: u64 = PULL_BURST.as_millis() as u64;

impl Debt {
    /// Whether a session may begin at `now_ms`, a monotonic time.
    pub fn admits(&self, now_ms: u64) -> bool {
        self.free_at_ms <= now_ms.saturating_add(BURST_MS)
    }

    /// When the next one may.
    pub fn admits_from_ms(&self) -> u64 {
        self.free_at_ms.saturating_sub(BURST_MS)
    }

    /// A session took place and brought so many rows.
    pub fn pay(&mut self, pace: &Pace, now_ms: u64, rows: u64) {
        let session_ms = 60_000 / u64::from(pace.sessions_per_min.max(1));
        let rows_ms = match pace.rows_per_s {
            0 => 0,
            rate => rows.saturating_mul(1_000) / u64::from(rate),
        };
        let cost = session_ms.max(rows_ms);
        self.free_at_ms = self.free_at_ms.max(now_ms).saturating_add(cost);
    }
}

/// The time between two pulls of a scope: its frequency, shortened by a part that `seed` draws. Give a seed of register,
/// scope and round: then every register has its own rhythm, and keeps it until the scope is pulled.
pub fn interval(frequency: Duration, jitter_percent: u8, seed: u64) -> Duration {
    // Neighbouring seeds must not give neighbouring draws.
    let drawn = (draw::mix(seed) >> 11) as f64 / (1u64 << 53) as f64;
    frequency.mul_f64(1.0 - drawn * f64::from(jitter_percent.min(100)) / 100.0)
}

/// A seed from words and a number: FNV-1a.
pub fn seed(words: &[&str], number: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for word in words {
        word.bytes().for_each(&mut take);
        take(0);
    }
    number.to_le_bytes().into_iter().for_each(&mut take);
    hash
}

#[cfg(test)]
mod tests {
    use super::{Debt, Pace, interval, seed};
    use std::time::Duration;

    #[test]
    fn sessions_and_rows_are_bounded_on_average() {
        for (pace, rows, minutes, expected) in [
            (Pace { sessions_per_min: 30, rows_per_s: 0, jitter_percent: 0 }, 9_999, 10, 330),
            (Pace { sessions_per_min: 600, rows_per_s: 100, jitter_percent: 0 }, 600, 10, 110),
            (Pace { sessions_per_min: 1, rows_per_s: 100, jitter_percent: 0 }, 0, 10, 11),
        ] {
            let (mut debt, mut sessions) = (Debt::default(), 0);
            // Eager: a session whenever one is let in, looking twice a second.
            for now_ms in (0..minutes * 60_000u64).step_by(500) {
                while debt.admits(now_ms) {
                    debt.pay(&pace, now_ms, rows);
                    sessions += 1;
                }
            }
            // The burst of a minute at the beginning, and one more that is let in on credit.
            assert!((expected..=expected + 1).contains(&sessions), "{pace:?}: {sessions}");
        }
    }

    #[test]
    fn scopes_come_due_apart_and_never_late() {
        let frequency = Duration::from_secs(100);
        let of = |register: &str, round| {
            interval(frequency, 10, seed(&[register, "1040 Products"], round))
        };
        let all: Vec<Duration> = (0..30).map(|n| of(&format!("T{n}"), 1)).collect();
        let bounds = Duration::from_secs(90)..=frequency;
        assert!(all.iter().all(|interval| bounds.contains(interval)), "{all:?}");
        let spread = all.iter().max().zip(all.iter().min()).map(|(most, least)| *most - *least);
        assert!(spread > Some(Duration::from_secs(5)), "{all:?}");
        assert_eq!(of("T1", 1), of("T1", 1), "a rhythm is kept until the scope is pulled");
        assert_ne!(of("T1", 1), of("T1", 2));
        assert_eq!(interval(frequency, 0, 7), frequency);
    }
}
