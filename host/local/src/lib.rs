//! The register's offline database: SQLite, and the only crate that names it.
//!
//! ```text
//! folder/journal.db     what the register may write: upload and bidirectional tables, the log, quarantine, decisions
//! folder/catalogue.db   what it only reads: download tables and how far each has been pulled
//! ```
//!
//! * A POS transaction ([`LocalDatabase::record`]) commits whole and durably, once, whatever is killed.
//! * Every write to a pushed table is captured, by triggers whichever program made it, and handed out in commit order
//!   as whole transactions ([`LocalDatabase::pending`]); reading never deletes, settling does.
//! * A pulled scope lands whole with its positions ([`LocalDatabase::land`]); a reader never sees half of it, and a row
//!   with unsent changes is not overwritten.
//! * It stays within its limit: rows of long-settled sales go ([`LocalDatabase::purge`]), loads stop before sales do.
//! * A changed profile or channel changes the tables in place ([`LocalDatabase::install`]); no unsent row is lost.
//! * A whole new database takes the old one's place only when a person says so ([`Shut::replace`]), and only while nothing
//!   of the old one is unsent ([`Hold::shut`]).
//! * Nothing is ever swapped or repaired by itself: a damaged file, one of another register or of a newer
//!   program is refused and left as it is.
//! * Any `sqlite3` can open and write the files: no collations or functions of our own are in them.

mod adopt;
mod apply;
mod audit;
mod capture;
mod cell;
mod comparison;
mod conflicts;
mod conversion;
mod copy;
mod database;
mod decisions;
mod deferred_log;
mod disk_reserve;
mod error;
mod exchange;
mod fact;
mod file;
mod group_commit;
mod image;
mod install;
mod layout;
mod lineage;
mod listing;
mod load;
mod pending;
mod positioned;
mod purge;
mod read;
mod reader;
mod record;
mod registry;
mod release;
mod replacement;
mod resend;
mod reshape;
mod retry;
mod row_changes;
mod row_quarantine;
mod schema;
mod selection;
mod settle;
mod shape;
mod shut;
mod size;
mod statements;
mod transaction_detail;
mod unsent;
mod unsent_sales;
mod used_numbers;
mod waiting;
mod writer;

#[cfg(test)]
mod tests;

pub use audit::{Act, ActRecord};
pub use comparison::RowHere;
pub use conflicts::{Choosing, Chosen, ConflictRecord, Deferred};
pub use copy::{CatalogueContent, CatalogueCopy, CatalogueTable, CopiedRows};
pub use database::{Identity, LocalDatabase};
pub use decisions::{Decision, DecisionRecord, SentDecision};
pub use disk_reserve::Reserve;
pub use error::LocalError;
pub use file::close_to_others;
pub use install::InstallReport;
pub use listing::{Counts, Flow, QuarantineRecord, SyncEntry, SyncFailure};
pub use positioned::ScopePosition;
pub use purge::{OldEnough, PurgeFrom, Purged};
pub use read::{Page, UnsentRows};
pub use record::{CommittedWhere, Recorded, RowWrite, TransactionRecord, TransactionState};
pub use registry::{Load, TableState};
pub use release::{Quarantined, Release, Releasing};
pub use replacement::{Hold, LastLook, Shut};
pub use resend::{Arrived, KeptSale, SentAgain};
pub use retry::{Circumstances, kept_circumstances};
pub use row_quarantine::{AfterRow, Refused, RowAside, RulingOutcome};
pub use selection::{KeptSelection, SelectedLanding, SelectedTally};
pub use settle::{Accepted, Refusal, Settlement};
pub use shape::fingerprint as stored_shape;
pub use shut::OnlyHere;
pub use size::{FileSize, TableSize};
pub use tillhold_core::migration::InstalledTable;
pub use transaction_detail::{Image, WholeRow, WholeTransaction};
pub use unsent::Unsent;
pub use unsent_sales::{SaleColumns, UnsentSales};
