//! A large file in pieces: which pieces it has, and from where a half-fetched one goes on.
//!
//! Pieces have one length but the last. What was fetched is trusted piece by piece, by hash: a piece that is only half
//! there, or not as it should be, is fetched again, and so is all behind it.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    bytes: u64,
    chunk_bytes: u64,
}

impl Chunks {
    /// `None` for pieces without length.
    pub fn new(bytes: u64, chunk_bytes: u64) -> Option<Chunks> {
        (chunk_bytes > 0).then_some(Chunks { bytes, chunk_bytes })
    }

    pub fn count(self) -> u64 {
        self.bytes.div_ceil(self.chunk_bytes)
    }

    /// The bytes of one piece; empty behind the last.
    pub fn range(self, number: u64) -> Range<u64> {
        let start = number.saturating_mul(self.chunk_bytes).min(self.bytes);
        start..start.saturating_add(self.chunk_bytes).min(self.bytes)
    }

    /// Where to go on: behind the leading pieces that are whole among the first `have` bytes and that `is_right`.
    pub fn resume(self, have: u64, mut is_right: impl FnMut(u64) -> bool) -> u64 {
        let right = (0..self.count())
            .take_while(|number| self.range(*number).end <= have && is_right(*number))
            .count() as u64;
        self.range(right).start
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    #[test]
    fn pieces_cover_a_file_once() {
        for (bytes, chunk) in [(0, 4), (1, 4), (4, 4), (5, 4), (8, 4), (9, 3), (u64::MAX, u64::MAX)]
        {
            let chunks = Chunks::new(bytes, chunk).expect("pieces");
            let mut at = 0;
            for number in 0..chunks.count() {
                let range = chunks.range(number);
                assert_eq!(range.start, at, "{bytes} in {chunk}");
                assert!(range.end > range.start && range.end - range.start <= chunk);
                at = range.end;
            }
            assert_eq!(at, bytes);
            assert!(chunks.range(chunks.count()).is_empty());
        }
        assert_eq!(Chunks::new(1, 0), None);
    }

    #[test]
    fn a_half_fetched_file_goes_on_behind_its_good_pieces() {
        let chunks = Chunks::new(10, 4).expect("pieces");
        for (have, wrong, from) in [
            (0, None, 0),
            (3, None, 0),
            (4, None, 4),
            (7, None, 4),
            (8, None, 8),
            (9, None, 8),
            (10, None, 10),
            (99, None, 10),
            (10, Some(0), 0),
            (10, Some(1), 4),
            (10, Some(2), 8),
        ] {
            let resumed = chunks.resume(have, |number| Some(number) != wrong);
            assert_eq!(resumed, from, "{have} bytes, piece {wrong:?} wrong");
        }
    }
}
