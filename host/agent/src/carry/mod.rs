//! Unsent sales carried out of a register by hand: a signed file of readable lines, and its way into the channel.
//!
//! ```text
//! {"tillhold_unsent": 1, "store", "register", "incarnation", "exported_at_ms", "seen"}
//! {"id", "hash", "sequence", "state", "writes": […], "sha256"}        one line a POS transaction, oldest first
//! {"end": {"transactions", "sha256", "key", "ed25519"}}               of every byte above
//! ```
//!
//! * Reading changes nothing: the sales stay unsent on the register, and go up from there too if it comes back to life.
//! * Imported under the register's own name and incarnation: whoever comes second, register or file, meets the ledger.
//! * A line that does not hold, or a file without its end, is refused before anything is sent.

pub mod fault;
pub mod import;
pub mod line;
pub mod read;
pub mod write;

/// What the first line calls the format, and its number.
pub const FORMAT: (&str, u64) = ("tillhold_unsent", 1);
/// What a signature of such a file begins with.
pub const PURPOSE: &str = "tillhold unsent sales 1";

#[cfg(test)]
mod tests;
