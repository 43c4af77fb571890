//! Everything that the channel does not have yet, whatever keeps it here: for a person who carries it away by hand.
//!
//! * Whole sales only: while the log lacks one's rows ([`crate::deferred_log`]), nothing is told.

use crate::database::LocalDatabase;
use crate::deferred_log;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::pending::net_writes;
use crate::record::{RECORD_COLUMNS, TransactionRecord, transaction_record};
use crate::registry::Registry;
use crate::waiting;
use rusqlite::Connection;
use tillhold_core::transaction::{ContentHash, TransactionId, Write};
use tillhold_core::version::Sequence;

/// An unsent transaction, pending, deferred or quarantined.
#[derive(Clone, Debug)]
pub struct Unsent {
    pub record: TransactionRecord,
    /// One net write a row, as push would send it; none when they cancel each other out.
    pub writes: Vec<Write>,
    /// Why the writes cannot be read, where another program wrote what its column cannot have.
    pub unreadable: Option<String>,
}

impl LocalDatabase {
    /// The next `limit` unsent transactions in the log's order, behind `after`.
    pub async fn unsent(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Unsent>, LocalError> {
        let journal = self.readers(Kind::Journal);
        self.adopt().await?;
        let registry = self.registry();
        let after = after.map_or(-1, |sequence| sequence.0 as i64);
        journal.run(move |conn| read(conn, &registry, after, limit)).await
    }

    /// All of them by name, in the log's order, each with its content's hash.
    pub async fn unsent_heads(&self) -> Result<Vec<(TransactionId, ContentHash)>, LocalError> {
        let read = |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT transaction_id, content_hash FROM tillhold_transaction \
                 WHERE state <> 'settled' ORDER BY first_seq",
            )?;
            let heads = statement
                .query_map((), |row| Ok((TransactionId(row.get(0)?), ContentHash(row.get(1)?))))?;
            Ok(heads.collect::<Result<Vec<_>, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Those of `ids` that still are.
    pub async fn unsent_among(&self, ids: Vec<TransactionId>) -> Result<Vec<Unsent>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let sql = format!(
                "SELECT {RECORD_COLUMNS} FROM tillhold_transaction \
                 WHERE state <> 'settled' AND transaction_id = ?1"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut unsent = Vec::with_capacity(ids.len());
            for id in ids {
                let mut rows = statement.query([id.0])?;
                if let Some(row) = rows.next()? {
                    unsent.push(whole(conn, &registry, transaction_record(row)?)?);
                }
            }
            Ok(unsent)
        };
        self.readers(Kind::Journal).run(read).await
    }
}

fn read(
    conn: &Connection,
    registry: &Registry,
    after: i64,
    limit: usize,
) -> Result<Vec<Unsent>, Trouble> {
    let sql = format!(
        "SELECT {RECORD_COLUMNS} FROM tillhold_transaction \
         WHERE state <> 'settled' AND first_seq > ?1 ORDER BY first_seq LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query((after, limit as i64))?;
    let mut unsent = Vec::new();
    while let Some(row) = rows.next()? {
        let record = transaction_record(row)?;
        deferred_log::refuse(conn, record.id)?;
        unsent.push(whole(conn, registry, record)?);
    }
    Ok(unsent)
}

fn whole(
    conn: &Connection,
    registry: &Registry,
    record: TransactionRecord,
) -> Result<Unsent, Trouble> {
    let is_overtaken = waiting::is_overtaken(conn, record.sequence.0 as i64)?;
    let (writes, unreadable) = match net_writes(conn, registry, record.id, is_overtaken) {
        Ok(writes) => (writes, None),
        Err(Trouble::Told(error @ LocalError::Unreadable { .. })) => {
            (Vec::new(), Some(error.to_string()))
        }
        Err(other) => return Err(other),
    };
    Ok(Unsent { record, writes, unreadable })
}
