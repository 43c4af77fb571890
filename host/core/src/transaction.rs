//! What a point of sale writes: several rows in several tables, whole or not at all.

use crate::row::{Key, Row};
use crate::table::{Table, TableName};
use crate::text;
use crate::version::{ChannelVersion, Sequence};
use std::fmt;
use std::sync::Arc;

/// The UUID that a POS gives its transaction: the key of idempotency from the till to the channel's ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 16]);

/// SHA-256 of what the POS wrote. Same id and hash: the same sale again. Same id, other hash: never overwritten.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    /// As the front door spells it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// One row's change, with all that deciding a conflict needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The travelling shape: rows and keys below are in its order.
    pub table: Arc<Table>,
    pub operation: Operation,
    pub key: Key,
    /// The row as the register last knew it from the channel; `None` for an insert.
    pub base: Option<Row>,
    /// The row as the register left it; `None` for a delete.
    pub offline: Option<Row>,
    /// How far the table had been pulled when the row was written: a later change by another is a conflict.
    pub base_version: ChannelVersion,
}

impl Write {
    /// Positions of the columns that the register changed: all of an insert, none of a delete.
    pub fn changed(&self) -> Vec<usize> {
        match (&self.base, &self.offline) {
            (Some(base), Some(offline)) => offline.differences(base),
            (None, Some(offline)) => (0..offline.0.len()).collect(),
            (_, None) => Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    pub id: TransactionId,
    pub hash: ContentHash,
    /// Where it stands in the register's log; oldest go first.
    pub sequence: Sequence,
    pub writes: Vec<Write>,
}

/// What the channel said to one uploaded transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Its rows and its ledger entry committed together just now.
    Applied,
    /// The ledger already had this id with this hash: an earlier answer was lost on the way.
    AlreadyThere,
    /// The ledger has this id with another hash: quarantine, never overwrite.
    Clash,
    /// Nothing of it was written: these rows stand against rows that the channel has.
    Contested(Vec<Contest>),
    /// Nothing of it was written: an earlier transaction of the same call shares a row with it and did not go through.
    Blocked,
    /// Nothing of it was written: SQL Server refused it for good.
    Refused { number: u32, message: String, table: Option<TableName> },
}

/// One row of an uploaded transaction that the channel knows otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// Position in [`Transaction::writes`].
    pub write: usize,
    /// The channel's row now, in the travelling shape; `None` when it is gone.
    pub channel: Option<Row>,
    /// The version at which another writer last changed it; `None` when change tracking no longer knows.
    pub version: Option<ChannelVersion>,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::guid_text(&self.0))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionId({self})")
    }
}

impl TransactionId {
    pub fn parse(text: &str) -> Option<TransactionId> {
        text::parse_guid(text).map(TransactionId)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", text::hexadecimal(&self.0))
    }
}
