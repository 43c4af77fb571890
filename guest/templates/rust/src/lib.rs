//! my-plugin: our own rules on a register.
//!
//! `cargo test` runs the rules as they are; `tillhold plugin test` runs the cases in the sandbox of a register.

pub mod resolve;
pub mod transform;
