//! Input that means harm: everything that takes bytes from outside, as functions of bytes.
//!
//! ```text
//! corpus/TARGET/* ─► mutate ─► TARGETS[n].harm(bytes) ◄─ tests/fuzz (coverage guides it)
//!      └─────────────────────────────▲
//! ```
//!
//! * A target returns, or it has found something: a panic anywhere in the house, a task of it included, is one, and so is
//!   whatever the target asserts beyond that.
//! * The same bytes do the same: no clock, no randomness and nothing of an earlier input reaches a target.
//! * [`replay`] runs the kept corpus and a counted number of seeded mutations of it in `cargo test`; tests/fuzz runs the
//!   very same functions under libFuzzer.

mod cable;
#[cfg(feature = "agent")]
pub mod carried;
pub mod channel;
#[cfg(feature = "agent")]
pub mod door;
pub mod embedded;
#[cfg(feature = "agent")]
pub mod guest;
#[cfg(feature = "agent")]
mod house;
#[cfg(feature = "agent")]
pub mod offline;
mod outside;
#[cfg(feature = "agent")]
pub mod settings;
mod tds;

#[cfg(test)]
mod mutate;
#[cfg(all(test, feature = "agent"))]
mod replay;
#[cfg(all(test, feature = "agent"))]
mod seeds;

/// One way in.
pub struct Target {
    /// Also the name of its corpus and of its fuzz target.
    pub name: &'static str,
    pub harm: fn(&[u8]),
    /// How many mutations `cargo test` tries: what costs a few seconds.
    pub mutations: usize,
}

pub const TARGETS: &[Target] = &[
    Target { name: "embedded", harm: embedded::harm, mutations: 200 },
    Target { name: "channel", harm: channel::harm, mutations: 5_000 },
    #[cfg(feature = "agent")]
    Target { name: "profile", harm: settings::profile, mutations: 2_000 },
    #[cfg(feature = "agent")]
    Target { name: "register", harm: settings::register, mutations: 2_000 },
    #[cfg(feature = "agent")]
    Target { name: "answer", harm: guest::answer, mutations: 20_000 },
    #[cfg(feature = "agent")]
    Target { name: "component", harm: guest::component, mutations: 100 },
    #[cfg(feature = "agent")]
    Target { name: "carried", harm: carried::harm, mutations: 5_000 },
    #[cfg(feature = "agent")]
    Target { name: "door", harm: door::harm, mutations: 60 },
    #[cfg(feature = "agent")]
    Target { name: "offline", harm: offline::harm, mutations: 60 },
];

/// Puts the ordinary hook back where a fuzzer ends the process at once: a panic that the house itself catches is none of
/// its findings, and one that it does not catch comes out of the target.
pub fn panics_are_told() {
    drop(std::panic::take_hook());
}
