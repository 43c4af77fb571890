//! Numbers drawn from a seed: the same seed, subject and index give the same draws on every machine.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Each row draws from a
//! generator of its own, so a row is a pure function of the seed and its number: nothing has to be kept in memory,
//! and a larger store begins with the smaller one's rows.

#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// The draws of the `index`th row of a `subject`.
    pub fn of(seed: u64, subject: &str, index: u64) -> Draw {
        let mut state = mix(seed ^ 0x5449_4C4C_484F_4C44);
        for byte in subject.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Draw { state: mix(state ^ index) }
    }

    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// 0 up to but without `below`; 0 when `below` is 0. The bias for small ranges is far below what anyone sees.
    pub fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(below)) >> 64) as u64
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]);
        }
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Small numbers often, large ones rarely: the square of an even draw, as prices and popularity spread.
    pub fn skewed(&mut self, below: u64) -> u64 {
        let even = u128::from(self.below(1 << 32));
        ((even * even * u128::from(below)) >> 64) as u64
    }
}

/// Spreads a number over all 64 bits: SplitMix64's last step.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn draws_depend_on_seed_subject_and_index_alone() {
        let first = |seed, subject, index| Draw::of(seed, subject, index).number();
        assert_eq!(first(1, "product", 7), first(1, "product", 7));
        for other in [first(2, "product", 7), first(1, "customer", 7), first(1, "product", 8)] {
            assert_ne!(first(1, "product", 7), other);
        }
    }

    #[test]
    fn ranges_hold_and_are_filled() {
        let mut draw = Draw::of(3, "range", 0);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[draw.below(7) as usize] += 1;
            assert!(draw.skewed(5) < 5);
        }
        assert!(seen.iter().all(|times| (800..1_200).contains(times)), "{seen:?}");
    }
}
