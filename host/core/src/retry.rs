//! How long to wait before the same work is tried again.

use std::time::Duration;

/// Exponential back-off with full jitter: between half and all of `first * 2^attempt`, never above `most`.
/// `random` comes from the caller's seed, so that a store's registers do not come back as one herd.
pub fn delay(attempt: u32, first: Duration, most: Duration, random: u64) -> Duration {
    let whole =
        first.saturating_mul(1u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX)).min(most);
    jittered(whole, random)
}

/// Between half and all of `whole`.
pub fn jittered(whole: Duration, random: u64) -> Duration {
    let half = whole.as_millis() as u64 / 2;
    Duration::from_millis(half + random % (half + 1))
}

#[cfg(test)]
mod tests {
    use super::delay;
    use std::time::Duration;

    #[test]
    fn delays_grow_stay_bounded_and_differ_by_seed() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        for attempt in 0..64 {
            let wait = delay(attempt, first, most, 0x9E37_79B9_7F4A_7C15);
            assert!(
                wait >= Duration::from_millis(50) && wait <= most,
                "attempt {attempt}: {wait:?}"
            );
        }
        assert!(delay(5, first, most, 0) < delay(5, first, most, 999));
    }
}
