//! Randomness out of the seed, also for those who ask the operating system: the standard library's hash maps and
//! whoever draws lots inside the runtime. Each thread has its own; a run has a thread of its own.
#![allow(unsafe_code)]

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// From here on this thread's system randomness follows from the seed.
pub fn sow(seed: u64) {
    STATE.set(seed);
}

/// SplitMix64: one addition and a mix, good enough to draw faults by.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Another stream of the same seed, so that one part's draws do not move another's.
    pub fn of(seed: u64, part: u64) -> Dice {
        let mut dice = Dice(seed ^ part.wrapping_mul(0xA24B_AED4_963E_E407));
        Dice(dice.next())
    }

    pub fn next(&mut self) -> u64 {
        next(&mut self.0)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.between(1, many) == 1
    }

    pub fn of_list<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.between(0, list.len() as u64 - 1) as usize]
    }

    pub fn word(&mut self, list: &[&'static str]) -> &'static str {
        self.of_list::<&'static str>(list)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Takes the place of the C library's function for the whole program: a hash map's order is part of a replay.
///
/// # Safety
/// `buffer` must have room for `length` bytes, as the C library's own demands.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller keeps getrandom(2)'s contract.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    STATE.with(|state| {
        let mut dice = Dice(state.get());
        dice.fill(bytes);
        state.set(dice.0);
    });
    length as isize
}
