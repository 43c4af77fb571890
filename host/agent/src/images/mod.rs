//! Image folder: the shop's pictures on the register, so that a till shows them with or without a network.
//!
//! ```text
//! source (folder or web) -> is it a picture? -> FOLDER/objects/HASH, FOLDER/names/HASH-OF-NAME.json -> GET /v1/images/NAME
//! ```
//!
//! * Content-addressed: one file under several names is kept once, and a file that is not its hash any more is no file.
//! * Files appear whole or not at all; killed at any moment, what is there is right.
//! * Under the cap by throwing away what nobody looked at for longest.
//! * The network is asked only while the register is Online, or by hand.

pub mod cache;
pub mod fault;
pub mod keep;

#[cfg(test)]
mod tests;
