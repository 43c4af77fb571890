//! Chance from a seed: the same throws on every machine.

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of 0, 1, … `most` - 1.
    pub fn below(&mut self, most: u64) -> u64 {
        self.throw() % most
    }

    /// Dice of its own, for one who throws at the same time as others.
    pub fn another(&mut self) -> Dice {
        Dice(self.throw())
    }

    /// A version 4 UUID (RFC 9562, section 5.4).
    pub fn uuid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.throw().to_le_bytes());
        bytes[8..].copy_from_slice(&self.throw().to_le_bytes());
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
