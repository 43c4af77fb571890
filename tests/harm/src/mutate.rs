//! Seeded mutations: cuts, copies, extreme bytes and numbers, and pieces of another input of the corpus.

use tillhold_core::draw::Draw;

/// The same mutations from the same seed on every machine.
pub struct Dice(Draw);

/// Longer inputs are slow and find no more.
const BYTES_MAX: usize = 64 << 10;
/// What lengths and counts break on.
const EXTREMES: [&[u8]; 8] = [
    &[0],
    &[0xFF],
    &[0x7F],
    &[0x80],
    &[0xFF, 0xFF],
    &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    &[0xFF, 0xFF, 0xFF, 0x7F],
    &[0, 0, 0, 0x80],
];

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Draw::of(seed, "mutations", 0))
    }

    pub fn roll(&mut self, below: usize) -> usize {
        self.0.below(below as u64) as usize
    }

    /// `bytes` with a few changes, one of them perhaps a piece of `other`.
    pub fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.roll(4) {
            self.change(&mut bytes, other);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.roll(bytes.len() + 1);
        let end = (at + 1 + self.roll(32)).min(bytes.len());
        let piece = |dice: &mut Dice| {
            let from = dice.roll(other.len() + 1);
            let to = (from + 1 + dice.roll(64)).min(other.len());
            other[from..to].to_vec()
        };
        match self.roll(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, [self.roll(256) as u8])),
            2 if at < bytes.len() => bytes[at] = self.roll(256) as u8,
            3 if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
            4 => {
                let extreme = EXTREMES[self.roll(EXTREMES.len())];
                let end = (at + extreme.len()).min(bytes.len());
                bytes.splice(at..end, extreme.iter().copied());
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            7 => drop(bytes.splice(at..at, piece(self))),
            _ => drop(bytes.splice(at..end, piece(self))),
        }
    }
}

#[test]
fn one_seed_is_one_sequence_and_every_change_comes_up() {
    let sequence = |seed| {
        let mut dice = Dice::new(seed);
        (0..200).map(|_| dice.mutate(b"twelve bytes", b"others")).collect::<Vec<_>>()
    };
    assert_eq!(sequence(1), sequence(1));
    assert_ne!(sequence(1), sequence(2));
    let all = sequence(3);
    assert!(all.iter().any(Vec::is_empty) && all.iter().any(|bytes| bytes.len() > 20), "{all:?}");
}
