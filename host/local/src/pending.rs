//! What waits to be sent: whole transactions, oldest first, one net write a row. Reading never deletes.
//!
//! Transactions that build on one which nobody has decided yet are not among them ([`crate::waiting`]), nor is one whose
//! rows the log still lacks ([`crate::deferred_log`]).

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::record::ITS_ROWS;
use crate::registry::{Entry, Registry};
use crate::retry;
use crate::settle::Settlement;
use crate::waiting::{self, Undecided};
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
    /// The oldest transactions that can be sent, at least one if there is any, no more than the limits otherwise. One that cannot
    /// be read is quarantined and holds up no other; one that comes to nothing is settled.
    pub async fn pending(
        &self,
        limit_transactions: usize,
        limit_rows: usize,
    ) -> Result<Vec<Transaction>, LocalError> {
        let journal = self.readers(Kind::Journal);
        loop {
            self.adopt().await?;
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
                    self.quarantine(id, error.code(), error.to_string().as_str()).await?;
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
    let mut undecided = Undecided::read(conn, registry)?;
    let mut statement = conn.prepare_cached(
        "SELECT transaction_id, content_hash, first_seq FROM tillhold_transaction \
         WHERE state = 'pending' AND transaction_id NOT IN (SELECT transaction_id FROM tillhold_late) \
         ORDER BY first_seq",
    )?;
    let mut heads = statement.query(())?;
    let (mut found, mut rows) = (Vec::new(), 0);
    while found.len() < limit_transactions.max(1)
        && let Some(head) = heads.next()?
    {
        if undecided.holds(conn, &head.get::<_, Vec<u8>>(0)?, head.get(2)?)? {
            continue;
        }
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
    let first: i64 = head.get(2)?;
    let writes = match net_writes(conn, registry, id, waiting::is_overtaken(conn, first)?) {
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
    let sequence = Sequence(first as u64);
    Ok(Found::Ready(Transaction { id, hash, sequence, writes }))
}

/// A row's first base and last state within one transaction.
struct Net {
    entry: Arc<Entry>,
    base: Option<Row>,
    offline: Option<Row>,
    base_version: ChannelVersion,
    /// Of the last change.
    seq: i64,
}

pub(crate) fn net_writes(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
    is_overtaken: bool,
) -> Result<Vec<Write>, Trouble> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT table_id, key, old_row, new_row, base_version, seq FROM tillhold_log \
         WHERE {ITS_ROWS} ORDER BY seq"
    ))?;
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
        let (place, seq) = ((table_id, key), row.get(5)?);
        match nets.get_mut(&place) {
            Some(net) => (net.offline, net.seq) = (offline, seq),
            None => {
                let entry = entry.clone();
                order.push(place.clone());
                nets.insert(place, Net { entry, base, offline, base_version, seq });
            }
        }
    }
    let mut writes = Vec::with_capacity(order.len());
    for place in &order {
        let Some(mut net) = nets.remove(place) else { continue };
        if is_overtaken
            && let Some(base) = &net.base
            && let Some(offline) = net.offline.take()
        {
            let at = (place.1.as_str(), net.seq);
            net.offline = waiting::not_overwritten(conn, &net.entry, at, base, offline)?;
            if net.offline.is_none() {
                continue;
            }
        }
        if net.entry.direction.is_pulled() {
            not_newer_than_its_row(conn, &mut net)?;
        }
        writes.extend(net_write(net));
    }
    Ok(writes)
}

/// What was changed behind a landing that left the row alone was not changed as of the table's version.
fn not_newer_than_its_row(conn: &Connection, net: &mut Net) -> Result<(), Trouble> {
    let Some(row) = net.base.as_ref().or(net.offline.as_ref()) else { return Ok(()) };
    if let Some(as_of) = retry::as_of(conn, &net.entry, &row.key(&net.entry.table))? {
        net.base_version = net.base_version.min(ChannelVersion(as_of as u64));
    }
    Ok(())
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
