//! Signatures as minisign writes them, for components that a proof makes as it goes: Ed25519 over the BLAKE2b-512 of the
//! bytes (RFC 7693), and over that signature with its comment. That minisign's own are taken, tillhold-plugin's tests show.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

pub struct Author {
    pair: Ed25519KeyPair,
    number: [u8; 8],
}

impl Author {
    /// Everything follows from the number.
    pub fn new(number: u8) -> Author {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("a key");
        Author { pair, number: [number; 8] }
    }

    /// As a profile trusts it.
    pub fn key(&self) -> String {
        base64(&[b"Ed", &self.number[..], self.pair.public_key().as_ref()].concat())
    }

    /// As minisign tells the key.
    pub fn number(&self) -> String {
        self.number.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    pub fn sign(&self, component: &[u8]) -> String {
        const COMMENT: &str = "timestamp:1\tfile:of the proof\thashed";
        let signature = self.pair.sign(&blake2b_512(component));
        let whole = self.pair.sign(&[signature.as_ref(), COMMENT.as_bytes()].concat());
        let line = base64(&[b"ED", &self.number[..], signature.as_ref()].concat());
        let whole = base64(whole.as_ref());
        format!("untrusted comment: of the proof\n{line}\ntrusted comment: {COMMENT}\n{whole}\n")
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let whole = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |at: usize| match at > three.len() {
            true => '=',
            false => char::from(LETTERS[(whole >> (18 - 6 * at) & 63) as usize]),
        };
        [0, 1, 2, 3].map(letter)
    };
    bytes.chunks(3).flat_map(four).collect()
}

const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
/// Columns, then diagonals.
const MIXED: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

fn blake2b_512(bytes: &[u8]) -> Vec<u8> {
    let mut state = START;
    // 64 bytes of digest, no key, no tree.
    state[0] ^= 0x0101_0040;
    let blocks = bytes.len().div_ceil(128).max(1);
    for at in 0..blocks {
        let end = bytes.len().min((at + 1) * 128);
        let mut block = [0; 128];
        block[..end - at * 128].copy_from_slice(&bytes[at * 128..end]);
        mix(&mut state, &block, end as u64, at + 1 == blocks);
    }
    state.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn mix(state: &mut [u64; 8], block: &[u8; 128], so_far: u64, is_last: bool) {
    let mut words = [0; 16];
    for (word, eight) in words.iter_mut().zip(block.chunks_exact(8)) {
        *word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&START);
    v[12] ^= so_far;
    v[14] ^= if is_last { u64::MAX } else { 0 };
    for round in 0..12 {
        let order = &ORDER[round % 10];
        for (at, [a, b, c, d]) in MIXED.into_iter().enumerate() {
            for (word, turn_d, turn_b) in [(2 * at, 32, 24), (2 * at + 1, 16, 63)] {
                v[a] = v[a].wrapping_add(v[b]).wrapping_add(words[order[word]]);
                v[d] = (v[d] ^ v[a]).rotate_right(turn_d);
                v[c] = v[c].wrapping_add(v[d]);
                v[b] = (v[b] ^ v[c]).rotate_right(turn_b);
            }
        }
    }
    for at in 0..8 {
        state[at] ^= v[at] ^ v[at + 8];
    }
}
