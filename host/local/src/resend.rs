//! Sales that the channel had and has lost: one that was restored from a backup lacks what came after it.
//!
//! * A settled sale's log is gone. The rows that it made are there until they are old, and whose they are is remembered
//!   ([`crate::purge`]): of these its log is made anew at its own place, so that it goes up before what came after it.
//! * A row that something unsent has changed since goes up as it was before that.
//! * Only what it made: what it changed or took away of others' rows is not remembered.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::purge::{forget, rows_of};
use crate::registry::{Entry, Registry};
use crate::row_changes::find_row;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use std::collections::{HashMap, HashSet};
use tillhold_core::limits;
use tillhold_core::profile::Direction;
use tillhold_core::transaction::TransactionId;

/// A sale that the channel took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub id: TransactionId,
    /// Its place in the order of arrival, from 1.
    pub number: u64,
}

/// A settled sale whose rows are still kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptSale {
    pub id: TransactionId,
    kept_no: i64,
}

/// What waits to be sent once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentAgain {
    pub sales: u64,
    pub rows: u64,
}

impl LocalDatabase {
    /// The last sales that the channel took before that one, the last of them first.
    pub async fn arrived_before(
        &self,
        before: Option<Arrived>,
        most: usize,
    ) -> Result<Vec<Arrived>, LocalError> {
        let before = before.map_or(i64::MAX, |arrived| arrived.number as i64);
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT transaction_id, settled_no FROM tillhold_transaction \
                 WHERE settled_no IS NOT NULL AND settled_no < ?1 AND committed_where = 'channel' \
                 AND released_at_ms IS NULL ORDER BY settled_no DESC LIMIT ?2",
            )?;
            let arrived = statement.query_map((before, most as i64), |row| {
                let number: i64 = row.get(1)?;
                Ok(Arrived { id: TransactionId(row.get(0)?), number: number as u64 })
            })?;
            Ok(arrived.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Those of the sales whose rows are still kept, in their order.
    pub async fn kept_among(&self, ids: Vec<TransactionId>) -> Result<Vec<KeptSale>, LocalError> {
        // Mostly nothing is lost, and then nothing is gone through.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let read = move |conn: &Connection| {
            let sql = "SELECT transaction_id, kept_no FROM tillhold_kept";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query(())?;
            let mut wanted: HashMap<TransactionId, Option<i64>> =
                ids.iter().map(|id| (*id, None)).collect();
            while let Some(row) = rows.next()? {
                if let Some(kept_no) = wanted.get_mut(&TransactionId(row.get(0)?)) {
                    *kept_no = Some(row.get(1)?);
                }
            }
            let kept =
                |id: TransactionId| Some(KeptSale { id, kept_no: *wanted.get(&id)?.as_ref()? });
            Ok(ids.into_iter().filter_map(kept).collect())
        };
        self.readers(Kind::Journal).run_long(read).await
    }

    /// Lets settled sales that the channel has lost wait to be sent once more, the first one first, a few in one commit.
    /// Whoever dies in between finds the last ones as they were.
    pub async fn send_again(&self, lost: Vec<KeptSale>) -> Result<SentAgain, LocalError> {
        let mut done = SentAgain::default();
        for few in lost.chunks(limits::SETTLED_AT_ONCE) {
            let (few, registry) = (few.to_vec(), self.registry());
            let step = move |conn: &mut Connection| {
                let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let mut done = SentAgain::default();
                for sale in &few {
                    let rows = unsettle(&transaction, &registry, *sale)?;
                    done.sales += u64::from(rows > 0);
                    done.rows += rows;
                }
                transaction.commit()?;
                Ok(done)
            };
            let step = self.writer(Kind::Journal).run(step).await?;
            done.sales += step.sales;
            done.rows += step.rows;
        }
        Ok(done)
    }
}

/// How many rows go up once more; none, and the sale stays as it is.
fn unsettle(conn: &Connection, registry: &Registry, sale: KeptSale) -> Result<u64, Trouble> {
    let KeptSale { id, kept_no } = sale;
    let places = "SELECT t.first_seq, t.last_seq FROM tillhold_transaction AS t \
                  INNER JOIN tillhold_kept AS k ON k.kept_no = ?2 AND k.transaction_id = ?1 \
                  WHERE t.transaction_id = ?1 AND t.state = 'settled' AND t.released_at_ms IS NULL";
    let found = conn
        .prepare_cached(places)?
        .query_row((&id.0[..], kept_no), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, last)): Option<(i64, i64)> = found else { return Ok(0) };
    let made = match made(conn, registry, kept_no) {
        // Another program has written what its column cannot have: no half of a sale goes up.
        Err(Trouble::Told(LocalError::Unreadable { .. })) => return Ok(0),
        made => made?,
    };
    let places = free(conn, first, last)?;
    if made.is_empty() || made.len() > places.len() {
        return Ok(0);
    }
    let mut log = conn.prepare_cached(
        "INSERT INTO tillhold_log \
         (seq, transaction_id, table_id, key, operation, old_row, new_row, base_version) \
         VALUES (?1, ?2, ?3, ?4, 'insert', NULL, ?5, 0)",
    )?;
    for (seq, (table_id, key, row)) in places.iter().zip(&made) {
        log.execute((seq, &id.0[..], table_id, key, row))?;
    }
    forget(conn, kept_no)?;
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET state = 'pending', committed_where = 'offline', \
         settled_no = NULL, settled_at_ms = NULL WHERE transaction_id = ?1",
    )?
    .execute([&id.0[..]])?;
    Ok(made.len() as u64)
}

/// The rows that a transaction made, each with its table's number and its key, but for those that are not there any more and
/// those of tables that are not pushed by now.
fn made(
    conn: &Connection,
    registry: &Registry,
    kept_no: i64,
) -> Result<Vec<(i64, String, String)>, Trouble> {
    let mut made = Vec::new();
    for (table_id, key) in rows_of(conn, kept_no)? {
        let Ok(entry) = registry.in_journal(table_id) else { continue };
        if entry.direction == Direction::Upload
            && let Some(row) = as_it_was_sent(conn, entry, &key)?
        {
            made.push((table_id, key, row));
        }
    }
    Ok(made)
}

/// The places of a settled transaction in the log; another program's writes may stand between them.
fn free(conn: &Connection, first: i64, last: i64) -> Result<Vec<i64>, Trouble> {
    let sql = "SELECT seq FROM tillhold_log WHERE seq BETWEEN ?1 AND ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let given = statement.query_map((first, last), |row| row.get(0))?;
    let given: HashSet<i64> = given.collect::<Result<_, _>>()?;
    Ok((first..=last).filter(|seq| !given.contains(seq)).collect())
}

/// The row before its first unsent change; `None` when it is not there any more.
fn as_it_was_sent(conn: &Connection, entry: &Entry, key: &str) -> Result<Option<String>, Trouble> {
    let changed =
        "SELECT old_row FROM tillhold_log WHERE table_id = ?1 AND key = ?2 ORDER BY seq LIMIT 1";
    let changed: Option<Option<String>> =
        conn.prepare_cached(changed)?.query_row((entry.id, key), |row| row.get(0)).optional()?;
    if let Some(before) = changed {
        return Ok(before);
    }
    let key = image::decode_key(&entry.table, key)?;
    Ok(find_row(conn, entry, &key)?.map(|row| image::encode(&entry.table, &row)))
}
