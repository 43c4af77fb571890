//! One transaction whole: what it is, where it stands, and every row that it wrote, as the log has it.

use crate::database::LocalDatabase;
use crate::deferred_log;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::record::{ITS_ROWS, TransactionRecord, find};
use crate::registry::Registry;
use crate::waiting::Undecided;
use rusqlite::Connection;
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Table, TableName};
use tillhold_core::transaction::{Operation, TransactionId};

#[derive(Clone, Debug, PartialEq)]
pub struct WholeTransaction {
    pub record: TransactionRecord,
    /// Since when it is set aside.
    pub since_ms: Option<i64>,
    /// The refused row, as far as it is known.
    pub refused_table: Option<TableName>,
    pub refused_key: Option<Key>,
    /// In the order in which they were written.
    pub rows: Vec<WholeRow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WholeRow {
    pub table: Arc<Table>,
    pub operation: Operation,
    /// The row as it was before, as it is after.
    pub base: Option<Image>,
    pub offline: Option<Image>,
}

/// A row as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    Row(Row),
    /// Another program wrote a value that its column cannot have.
    Unreadable(String),
}

impl Image {
    pub fn row(&self) -> Option<&Row> {
        match self {
            Image::Row(row) => Some(row),
            Image::Unreadable(_) => None,
        }
    }
}

impl WholeRow {
    /// `None` when the row cannot be read.
    pub fn key(&self) -> Option<Key> {
        let side = self.offline.as_ref().or(self.base.as_ref());
        side.and_then(Image::row).map(|row| row.key(&self.table))
    }
}

impl LocalDatabase {
    /// `None` for one that the journal does not know. A settled one has no rows any more.
    pub async fn whole(&self, id: TransactionId) -> Result<Option<WholeTransaction>, LocalError> {
        let registry = self.registry();
        self.readers(Kind::Journal).run(move |conn| whole(conn, &registry, id)).await
    }

    /// Pending transactions that build on this undecided one and wait for it, oldest first.
    pub async fn waiting_for(&self, id: TransactionId) -> Result<Vec<TransactionId>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let mut undecided = Undecided::of(conn, &registry, id)?;
            let mut statement = conn.prepare_cached(
                "SELECT transaction_id, first_seq FROM tillhold_transaction \
                 WHERE state = 'pending' ORDER BY first_seq",
            )?;
            let mut heads = statement.query(())?;
            let mut waiting = Vec::new();
            while let Some(head) = heads.next()? {
                if undecided.holds(conn, &head.get::<_, Vec<u8>>(0)?, head.get(1)?)? {
                    waiting.push(TransactionId(head.get(0)?));
                }
                if waiting.len() == limits::LISTING_ROWS_MAX {
                    break;
                }
            }
            Ok(waiting)
        };
        self.readers(Kind::Journal).run(read).await
    }
}

pub(crate) fn whole(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
) -> Result<Option<WholeTransaction>, Trouble> {
    let Some(record) = find(conn, id)? else { return Ok(None) };
    deferred_log::refuse(conn, id)?;
    let sql = "SELECT reason_since_ms, reason_table, reason_key FROM tillhold_transaction \
               WHERE transaction_id = ?1";
    let (since_ms, table, key): (Option<i64>, Option<String>, Option<String>) = conn
        .prepare_cached(sql)?
        .query_row([&id.0[..]], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let refused_table = table.as_deref().and_then(TableName::parse);
    let refused_key = match (&refused_table, key) {
        (Some(name), Some(key)) => match registry.get(name) {
            Ok(entry) => image::decode_key(&entry.table, &key).ok(),
            Err(_) => None,
        },
        _ => None,
    };
    let rows = rows(conn, registry, id)?;
    Ok(Some(WholeTransaction { record, since_ms, refused_table, refused_key, rows }))
}

fn rows(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
) -> Result<Vec<WholeRow>, Trouble> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT table_id, operation, old_row, new_row FROM tillhold_log \
         WHERE {ITS_ROWS} ORDER BY seq"
    ))?;
    let mut found = statement.query([&id.0[..]])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let table = registry.in_journal(row.get(0)?)?.table.clone();
        let side = |text: Option<String>| {
            text.map(|text| match image::decode(&table, &text) {
                Ok(row) => Image::Row(row),
                Err(_) => Image::Unreadable(text),
            })
        };
        let operation = match row.get::<_, String>(1)?.as_str() {
            "insert" => Operation::Insert,
            "delete" => Operation::Delete,
            _ => Operation::Update,
        };
        let (base, offline) = (side(row.get(2)?), side(row.get(3)?));
        rows.push(WholeRow { operation, base, offline, table });
    }
    Ok(rows)
}
