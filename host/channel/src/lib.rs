//! The channel database, SQL Server, through tiberius: everything that Tillhold says to it and
//! hears from it.
//!
//! ```text
//! pull   schema -> snapshot (first load) -> capture (changes, one snapshot a pass)
//! push   upload (rows and ledger in one transaction) -> receipts; ledger, decision
//! chosen selection (which products and customers are a register's, and the condition that goes by it)
//! hold   probe
//! who    claim (which offline database speaks), marks (used numbers), report, fleet (how registers stand)
//! once   known (stores and registers), prepare (a script that an administrator can read), check, profile and publish (ax.RETAILOFFLINE*)
//! door   read (rows for the point of sale while Online); keyed (rows by their keys)
//! ```
//!
//! * Every call goes through [`link::Link`], which knows the state of its connection or has none.
//! * Every statement is generated from the catalogue ([`statement`]) and kept as a golden text in
//!   `statements/`; all of them are the T-SQL of SQL Server 2016 and later.
//! * No SQLite, no HTTP, no files of ours but the two that a login names (trusted certificate, access
//!   token): those are other crates' matters, and so is the place of a password, which is asked for it.

pub mod altered;
pub mod capture;
mod cells;
pub mod claim;
pub mod config;
pub mod convert;
pub mod decision;
pub mod error;
mod filtering;
pub mod fleet;
pub mod keyed;
pub mod known;
pub mod ledger;
pub mod link;
pub mod marks;
mod numbers;
pub mod prepare;
pub mod probe;
pub mod profile;
pub mod publish;
pub mod read;
pub mod report;
pub mod schema;
pub mod selection;
pub mod snapshot;
mod statement;
mod surrogate;
pub mod upload;

#[cfg(test)]
mod collected;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod scripted;

pub use config::{Authentication, ChannelConfig, Encryption, Password, Secret, Trust};
pub use error::ChannelError;
pub use link::{Line, Link};
