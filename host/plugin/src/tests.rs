//! The promises of this crate, tried with real components: the shipped plugins and one that does harm on request.

mod admission;
mod conflicts;
mod contract;
mod grants;
mod harm;
mod kept;
mod memories;
mod raw;
mod released;
mod rows;
mod shop;
mod signatures;
