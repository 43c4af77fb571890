//! SQL Server through tiberius.

pub mod capture_sql;
pub mod decision;
pub mod ledger;
pub mod prepare;
pub mod probe;
pub mod profile;
pub mod read;
pub mod schema;
pub mod snapshot;
mod statement;
pub mod upload { pub mod statement; }
#[cfg(test)]
mod golden;
