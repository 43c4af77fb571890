//! How often a role may ask: a token bucket each. Pure: `now` is an argument.

use super::role::Role;
use std::sync::Mutex;
use std::time::Duration;
use tillhold_core::limits::{self, DoorRate};
use tillhold_env::Locked as _;

/// One bucket a role.
pub struct Rates([Mutex<Bucket>; 4]);

impl Default for Rates {
    fn default() -> Rates {
        Rates(Role::ALL.map(|role| Mutex::new(Bucket::full(rate(role)))))
    }
}

impl Rates {
    /// Takes one request of `role`; otherwise after what time the next one is taken.
    pub fn take(&self, role: Role, now_us: u64) -> Result<(), Duration> {
        let bucket = &self.0[role.rank()];
        bucket.locked().take(now_us)
    }
}

fn rate(role: Role) -> DoorRate {
    match role {
        Role::Anyone => limits::DOOR_RATE_ANYONE,
        Role::ReadOnly => limits::DOOR_RATE_READ_ONLY,
        Role::Pos => limits::DOOR_RATE_POS,
        Role::Operator => limits::DOOR_RATE_OPERATOR,
    }
}

/// Holds `burst` requests at most and gains `per_second`.
struct Bucket {
    rate: DoorRate,
    /// In millionths of a request, so that a microsecond's gain is a whole number.
    level: u64,
    filled_at_us: u64,
}

/// A request in the bucket's measure.
const ONE: u64 = 1_000_000;

impl Bucket {
    fn full(rate: DoorRate) -> Bucket {
        Bucket { rate, level: rate.burst * ONE, filled_at_us: 0 }
    }

    fn take(&mut self, now_us: u64) -> Result<(), Duration> {
        let gained = now_us.saturating_sub(self.filled_at_us).saturating_mul(self.rate.per_second);
        self.level = self.level.saturating_add(gained).min(self.rate.burst * ONE);
        self.filled_at_us = self.filled_at_us.max(now_us);
        if self.level >= ONE {
            self.level -= ONE;
            return Ok(());
        }
        Err(Duration::from_micros((ONE - self.level).div_ceil(self.rate.per_second)))
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use std::time::Duration;
    use tillhold_core::limits::DoorRate;

    #[test]
    fn a_burst_is_taken_and_then_so_many_a_second() {
        let mut bucket = Bucket::full(DoorRate { per_second: 2, burst: 3 });
        for _ in 0..3 {
            assert_eq!(bucket.take(0), Ok(()));
        }
        assert_eq!(bucket.take(0), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(400_000), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(500_000), Ok(()));
        assert_eq!(bucket.take(500_000), Err(Duration::from_millis(500)));
        // An hour without a request fills it, and no more than that; time that goes back gives nothing.
        for _ in 0..3 {
            assert_eq!(bucket.take(3_600_000_000), Ok(()));
        }
        assert!(bucket.take(3_600_000_000).is_err());
        assert!(bucket.take(0).is_err());
    }
}
