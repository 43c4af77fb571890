//! tillhold_harm::offline::harm under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: tillhold_harm::panics_are_told(),
    |input: &[u8]| tillhold_harm::offline::harm(input)
);
