//! What waits to be sent: whole transactions, oldest first, one net write a row. Reading never deletes.

use crate::adopt;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::registry::{Entry, Registry};
use crate::settle::Settlement;
use rusqlite::{Connection, Row as SqlRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::row::Row;
use tillhold_core::transaction::{ContentHash, Operation, Transaction, TransactionId, Write};
use tillhold_core::version::{ChannelVersion, Sequence};

/// One transaction as it was found in the log.
enum Found {
    Ready(Transaction),
    /// Its changes cancel each other out.
    Nothing(TransactionId),
    /// Another program wrote a value that its column cannot have.
    Unreadable(TransactionId, LocalError),
}

impl LocalDatabase {
    /// The oldest unsent transactions, at least one if there is any, no more than the limits otherwise. One that cannot
    /// be read is quarantined and holds up no other; one that comes to nothing is settled.
    pub async fn pending(
        &self,
        limit_transactions: usize,
        limit_rows: usize,
    ) -> Result<Vec<Transaction>, LocalError> {
        let journal = self.readers(Kind::Journal);
        loop {
            if journal.run(adopt::any_unadopted).await? {
                let (env, registry) = (self.env().clone(), self.registry());
                let adopt = move |conn: &mut Connection| adopt::adopt(conn, &env, &registry);
                self.writer(Kind::Journal).run(adopt).await?;
            }
            let registry = self.registry();
            let found = journal
                .run(move |conn| read(conn, &registry, limit_transactions, limit_rows))
                .await?;
            let is_empty = found.is_empty();
            let ready = self.set_aside_the_rest(found).await?;
            if is_empty || !ready.is_empty() {
                return Ok(ready);
            }
        }
    }

    async fn set_aside_the_rest(&self, found: Vec<Found>) -> Result<Vec<Transaction>, LocalError> {
        let mut ready = Vec::new();
        for one in found {
            match one {
                Found::Ready(transaction) => ready.push(transaction),
                Found::Nothing(id) => {
                    self.settle(id, Settlement::Accepted).await?;
                }
                Found::Unreadable(id, error) => {
                    self.quarantine(id, error.code(), &error.to_string()).await?;
                }
            }
        }
        Ok(ready)
    }
}

fn read(
    conn: &Connection,
    registry: &Registry,
    limit_transactions: usize,
    limit_rows: usize,
) -> Result<Vec<Found>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT transaction_id, content_hash, first_seq FROM tillhold_transaction \
         WHERE state = 'pending' ORDER BY first_seq LIMIT ?1",
    )?;
    let mut heads = statement.query([limit_transactions.max(1) as i64])?;
    let (mut found, mut rows) = (Vec::new(), 0);
    while let Some(head) = heads.next()? {
        let one = read_one(conn, registry, head)?;
        if let Found::Ready(transaction) = &one {
            rows += transaction.writes.len();
        }
        if rows > limit_rows && !found.is_empty() {
            break;
        }
        found.push(one);
    }
    Ok(found)
}

fn read_one(conn: &Connection, registry: &Registry, head: &SqlRow<'_>) -> Result<Found, Trouble> {
    let id = TransactionId(head.get(0)?);
    let writes = match net_writes(conn, registry, id) {
        Ok(writes) => writes,
        Err(Trouble::Told(error @ LocalError::Unreadable { .. })) => {
            return Ok(Found::Unreadable(id, error));
        }
        Err(other) => return Err(other),
    };
    if writes.is_empty() {
        return Ok(Found::Nothing(id));
    }
    let hash = ContentHash(head.get(1)?);
    let sequence = Sequence(head.get::<_, i64>(2)? as u64);
    Ok(Found::Ready(Transaction { id, hash, sequence, writes }))
}

/// A row's first base and last state within one transaction.
struct Net {
    entry: Arc<Entry>,
    base: Option<Row>,
    offline: Option<Row>,
    base_version: ChannelVersion,
}

fn net_writes(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
) -> Result<Vec<Write>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT table_id, key, old_row, new_row, base_version FROM tillhold_log \
         WHERE transaction_id = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([&id.0[..]])?;
    let mut order: Vec<(i64, String)> = Vec::new();
    let mut nets: BTreeMap<(i64, String), Net> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (table_id, key): (i64, String) = (row.get(0)?, row.get(1)?);
        let entry = registry.in_journal(table_id)?;
        let image = |at| match row.get::<_, Option<String>>(at)? {
            Some(text) => Ok::<_, Trouble>(Some(image::decode(&entry.table, &text)?)),
            None => Ok(None),
        };
        let (base, offline) = (image(2)?, image(3)?);
        let base_version = ChannelVersion(row.get::<_, i64>(4)? as u64);
        let place = (table_id, key);
        match nets.get_mut(&place) {
            Some(net) => net.offline = offline,
            None => {
                let entry = entry.clone();
                order.push(place.clone());
                nets.insert(place, Net { entry, base, offline, base_version });
            }
        }
    }
    Ok(order.iter().filter_map(|place| nets.remove(place)).filter_map(net_write).collect())
}

fn net_write(net: Net) -> Option<Write> {
    let table = net.entry.table.clone();
    let (operation, key) = match (&net.base, &net.offline) {
        (None, Some(row)) => (Operation::Insert, row.key(&table)),
        (Some(base), None) => (Operation::Delete, base.key(&table)),
        (Some(base), Some(row)) if base != row => (Operation::Update, row.key(&table)),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let Net { base, offline, base_version, .. } = net;
    Some(Write { table, operation, key, base, offline, base_version })
}
