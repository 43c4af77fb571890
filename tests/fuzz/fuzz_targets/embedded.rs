//! tillhold_harm::embedded under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: tillhold_harm::panics_are_told(),
    |input: &[u8]| tillhold_harm::embedded::harm(input)
);
