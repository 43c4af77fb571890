//! How full the offline database is against its limit, and when it will be.
//!
//! * Warned at [`limits::SIZE_WARNING_PERCENT`] of the limit, full at all of it.
//! * The forecast goes by the median growth between any two days, so that neither a first load nor one odd day passes
//!   for growth, and what is purged every week does not either.

use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fullness {
    Fine,
    Warned,
    Full,
}

impl Fullness {
    pub const fn name(self) -> &'static str {
        match self {
            Fullness::Fine => "fine",
            Fullness::Warned => "warning",
            Fullness::Full => "full",
        }
    }

    pub fn of(used_bytes: u64, limit_bytes: u64) -> Fullness {
        match used_bytes {
            used if used >= limit_bytes => Fullness::Full,
            used if used >= warning_bytes(limit_bytes) => Fullness::Warned,
            _ => Fullness::Fine,
        }
    }
}

/// From here on there is a warning.
pub fn warning_bytes(limit_bytes: u64) -> u64 {
    limit_bytes / 100 * limits::SIZE_WARNING_PERCENT
}

/// What the files held at the last look of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySize {
    /// Days since 1970-01-01.
    pub day: i64,
    pub used_bytes: u64,
}

/// How it goes on when it goes on as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Negative when it shrinks.
    pub bytes_per_day: i64,
    /// From today; 0 when it is there already, `None` when that is never or past [`limits::SIZE_FORECAST_DAYS_MAX`].
    pub days_to_warning: Option<u64>,
    pub days_to_limit: Option<u64>,
}

/// From the days that are known, in any order; `None` from fewer than [`limits::SIZE_FORECAST_DAYS_MIN`].
pub fn forecast(days: &[DaySize], used_bytes: u64, limit_bytes: u64) -> Option<Forecast> {
    let bytes_per_day = median_growth(days)?;
    let until = |target: u64| match target.saturating_sub(used_bytes) {
        0 => Some(0),
        missing if bytes_per_day > 0 => Some(missing.div_ceil(bytes_per_day as u64)),
        _ => None,
    };
    let within = |days: &u64| *days <= limits::SIZE_FORECAST_DAYS_MAX;
    Some(Forecast {
        bytes_per_day,
        days_to_warning: until(warning_bytes(limit_bytes)).filter(within),
        days_to_limit: until(limit_bytes).filter(within),
    })
}

/// The median of the slopes between all pairs of days (Theil and Sen's estimator).
fn median_growth(days: &[DaySize]) -> Option<i64> {
    let mut newest: Vec<DaySize> = days.to_vec();
    newest.sort_by_key(|sample| std::cmp::Reverse(sample.day));
    newest.dedup_by_key(|sample| sample.day);
    newest.truncate(limits::SIZE_FORECAST_DAYS_LOOKED_AT);
    if newest.len() < limits::SIZE_FORECAST_DAYS_MIN {
        return None;
    }
    let mut slopes = Vec::with_capacity(newest.len() * (newest.len() - 1) / 2);
    for (at, later) in newest.iter().enumerate() {
        for earlier in &newest[at + 1..] {
            let grown = i128::from(later.used_bytes) - i128::from(earlier.used_bytes);
            slopes.push(grown / i128::from(later.day - earlier.day));
        }
    }
    slopes.sort_unstable();
    let median = slopes[slopes.len() / 2];
    Some(median.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

#[cfg(test)]
mod tests {
    use super::{DaySize, Forecast, Fullness, forecast, warning_bytes};

    const MB: u64 = 1 << 20;

    #[test]
    fn the_limit_has_its_warning_before_it() {
        let limit = 100 * MB;
        for (used, expected) in [
            (0, Fullness::Fine),
            (warning_bytes(limit) - 1, Fullness::Fine),
            (warning_bytes(limit), Fullness::Warned),
            (limit - 1, Fullness::Warned),
            (limit, Fullness::Full),
            (u64::MAX, Fullness::Full),
        ] {
            assert_eq!(Fullness::of(used, limit), expected, "{used}");
        }
        assert!(warning_bytes(limit).abs_diff(80 * MB) < 100);
        assert_eq!(Fullness::of(u64::MAX - 1, u64::MAX), Fullness::Warned, "no overflow");
    }

    fn days(used_mb: &[u64]) -> Vec<DaySize> {
        let sample =
            |(day, used): (usize, &u64)| DaySize { day: day as i64, used_bytes: used * MB };
        used_mb.iter().enumerate().map(sample).collect()
    }

    fn check(used_mb: &[u64], expected: Option<(i64, Option<u64>, Option<u64>)>) {
        let used = used_mb.last().copied().unwrap_or_default() * MB;
        let limit = 1_000 * MB;
        let found = forecast(&days(used_mb), used, limit);
        let expected = expected.map(|(mb, days_to_warning, days_to_limit)| Forecast {
            bytes_per_day: mb * MB as i64,
            days_to_warning,
            days_to_limit,
        });
        assert_eq!(found, expected, "{used_mb:?}");
    }

    #[test]
    fn the_forecast_goes_by_what_is_usual() {
        check(&[], None);
        check(&[10, 20], None);
        check(&[100, 110, 120], Some((10, Some(68), Some(88))));
        // A first load, an odd day, a purge every third day.
        check(&[10, 400, 410, 420, 430, 440, 450], Some((10, Some(35), Some(55))));
        check(&[100, 110, 500, 120, 130, 140, 150], Some((8, Some(82), Some(107))));
        check(&[100, 200, 300, 100, 200, 300, 100, 200, 300, 100], Some((0, None, None)));
        check(&[500, 500, 500, 500], Some((0, None, None)));
        check(&[500, 490, 480], Some((-10, None, None)));
        // There already, though shrinking.
        check(&[920, 910, 900], Some((-10, Some(0), None)));
        check(&[1_000, 1_010, 1_020], Some((10, Some(0), Some(0))));
    }

    #[test]
    fn days_may_come_in_any_order_and_twice_and_have_gaps() {
        let mut samples = vec![
            DaySize { day: 30, used_bytes: 130 * MB },
            DaySize { day: 10, used_bytes: 110 * MB },
            DaySize { day: 0, used_bytes: 100 * MB },
        ];
        let once = forecast(&samples, 130 * MB, 1_000 * MB);
        samples.push(samples[0]);
        assert_eq!(forecast(&samples, 130 * MB, 1_000 * MB), once);
        assert_eq!(once.map(|found| found.bytes_per_day), Some(MB as i64));
        let far = forecast(&samples, 130 * MB, u64::MAX);
        assert_eq!(far.map(|found| found.days_to_limit), Some(None), "too far to say");
    }
}
