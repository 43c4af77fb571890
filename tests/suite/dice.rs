//! Chance from a seed: the same throws on every machine.

use tillhold_core::draw::Draw;

#[derive(Clone, Debug)]
pub struct Dice(Draw);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Draw::of(seed, "ordeal", 0))
    }

    pub fn throw(&mut self) -> u64 {
        self.0.number()
    }

    /// One of 0, 1, … `most` - 1.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0.below(most)
    }

    /// Dice of its own, for one who throws at the same time as others.
    pub fn another(&mut self) -> Dice {
        Dice::new(self.throw())
    }

    /// A version 4 UUID (RFC 9562, section 5.4).
    pub fn uuid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0F | 0x40;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        bytes
    }
}

#[test]
fn the_same_seed_throws_the_same() {
    let throws = |seed| {
        let mut dice = Dice::new(seed);
        [dice.throw(), dice.below(7), dice.another().throw(), dice.uuid()[0].into()]
    };
    assert_eq!(throws(1), throws(1));
    assert_ne!(throws(1), throws(2));
}
