//! Times of many runs, and what is told of them.

/// Microseconds, sorted.
pub struct Spread(Vec<u64>);

impl Spread {
    pub fn of(mut times_us: Vec<u64>) -> Spread {
        times_us.sort_unstable();
        Spread(times_us)
    }

    /// The time that `part` of all are at most: 0.5 is the median.
    pub fn at(&self, part: f64) -> u64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * part).round() as usize).copied().unwrap_or(0)
    }
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
