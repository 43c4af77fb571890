//! Randomness out of the seed, also for those who ask the operating system: the standard library's hash maps and
//! whoever draws lots inside the runtime. Each thread has its own; a run has a thread of its own.
#![allow(unsafe_code)]

use std::cell::RefCell;
use tillhold_core::draw::Draw;

thread_local! {
    static SYSTEM: RefCell<Dice> = RefCell::new(Dice::new(0));
}

/// From here on this thread's system randomness follows from the seed.
pub fn sow(seed: u64) {
    SYSTEM.set(Dice::of(seed, "system"));
}

/// What a run draws by.
#[derive(Clone, Debug)]
pub struct Dice(Draw);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice::of(seed, "dice")
    }

    /// A stream of the seed's own for each part, so that one part's draws do not move another's.
    pub fn of(seed: u64, part: &str) -> Dice {
        Dice(Draw::of(seed, part, 0))
    }

    pub fn next(&mut self) -> u64 {
        self.0.number()
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.0.one_in(many)
    }

    pub fn of_list<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        self.0.pick(list)
    }

    pub fn word(&mut self, list: &[&'static str]) -> &'static str {
        self.of_list::<&'static str>(list)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
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
    SYSTEM.with_borrow_mut(|dice| dice.fill(bytes));
    length as isize
}
