//! Prebuilt catalogues: one register writes its downloaded tables as a file, the store's others take them.
//!
//! ```text
//! export   local/copy -> hashes -> signature -> FOLDER/NAME.db, NAME.json, latest-KIND.json (renamed into place, in this order)
//! look     latest-KIND.json -> right kind, signed, newer? -> fetch by pieces, resumed -> whole hash -> local/inspect
//!          -> the channel still knows its changes? -> local/exchange -> pull goes on from its positions
//! ```
//!
//! * What goes by the clock or the network fails without harm: the catalogue in use stays, and the status says why.
//! * A snapshot serves every register of the store under the same profile; its kind ([`kind`]) says for whom it is.
//! * Sales are in the journal, which is neither copied nor exchanged.

pub mod adopt;
pub mod board;
pub mod export;
pub mod fault;
pub mod fetch;
pub mod keep;
pub mod kind;
pub mod manifest;
pub mod place;
pub mod signing;
pub mod source;

#[cfg(test)]
mod tests;
