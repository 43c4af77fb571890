//! A store in simulated time: registers and their channel, the real code of all of them, in one thread under one seed.
//!
//! ```text
//! plan (from the seed) -> world: channel (embedded channel's server and engine) <- net -> machines (the agent, SQLite) <- tills
//!                           trouble: what was planned   check: what must hold   trace: what happened
//! life, net, disk, fiber: the seam of `tillhold-env`, with a paused clock
//! ```

// The seam's other side: the clock that is asked here is the one that a run holds still.
#![allow(clippy::disallowed_methods)]

pub mod apart;
mod backup;
mod channel;
mod check;
mod disk;
mod entropy;
pub mod event;
mod fiber;
pub mod kept;
mod life;
mod machine;
mod net;
mod person;
pub mod plan;
mod rule;
pub mod shrink;
mod store;
mod till;
pub mod totals;
mod trace;
mod trouble;
pub mod world;
