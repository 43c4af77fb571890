//! Rows of long-settled transactions, out of the offline database again: a register keeps its own sales for returns, not
//! for ever.
//!
//! * A row belongs to the transaction that made it; settling writes that down, because the log forgets. Only rows of
//!   tables that are only pushed: what is pulled is the channel's to take away.
//! * A transaction's rows go together, in one commit, once it was settled long enough ago, and so was every transaction
//!   that changed one of them since.
//! * Nothing goes that an unsent, quarantined or deferred transaction has touched: its rows are in the log.
//! * It is no change to push: the triggers are silent.
//! * A row that was settled before this was written down, and one that nobody here made, stays.

use crate::apply;
use crate::cell::bind_key;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::fact::{fact, set_fact};
use crate::file::{Kind, Trouble};
use crate::image;
use crate::record::ITS_ROWS;
use crate::registry::Registry;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use tillhold_core::limits;
use tillhold_core::profile::Direction;
use tillhold_core::transaction::TransactionId;

/// How far a purge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeFrom {
    aged_from_ms: i64,
    kept_no: i64,
}

/// Which settled transactions are old enough to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldEnough {
    /// Settled before this moment by the wall clock.
    pub before_ms: i64,
    /// And by the register's own count of its days ([`LocalDatabase::note_day`]).
    pub kept_no_max: i64,
}

impl OldEnough {
    pub fn by_clock(before_ms: i64) -> OldEnough {
        OldEnough { before_ms, kept_no_max: i64::MAX }
    }
}

/// The days on which the register ran, as they came: `[[day, newest kept number as it began], …]`.
const DAYS: &str = "days-run";
/// The newest kept number of these: no later transaction gets one of before.
const DAYS_MARK: &str = "days-mark";

/// One step of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub transactions: u64,
    pub rows: u64,
    /// Old enough, but something unsent builds on them.
    pub held: u64,
    /// Where the next step goes on; `None` when there is none.
    pub next: Option<PurgeFrom>,
}

impl LocalDatabase {
    /// Notes that the register runs on `day` (since 1970), where one is to count, and says what was settled before its last
    /// `days` days: the greatest kept number, 0 when it has not run on so many. So a wrong clock makes no sale old.
    pub async fn note_day(&self, day: Option<i64>, days: usize) -> Result<i64, LocalError> {
        let note = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let noted = days_run(&transaction, day, days)?;
            transaction.commit()?;
            Ok(noted)
        };
        self.writer(Kind::Journal).run(note).await
    }

    /// Deletes rows of transactions that are old enough: about [`limits::PURGE_ROWS_MAX`] rows, in one commit.
    pub async fn purge(
        &self,
        old: OldEnough,
        from: Option<PurgeFrom>,
    ) -> Result<Purged, LocalError> {
        let registry = self.registry();
        let step = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let purged = apply::quietly(&transaction, Kind::Journal, |conn| {
                purge(conn, &registry, old, from)
            })?;
            transaction.commit()?;
            Ok(purged)
        };
        self.writer(Kind::Journal).run(step).await
    }
}

/// Writes down, within a settlement, which rows the transaction made, while the log still knows.
pub(crate) fn keep(conn: &Connection, id: TransactionId, now_ms: i64) -> Result<(), Trouble> {
    let id = &id.0[..];
    conn.prepare_cached(
        "INSERT INTO tillhold_kept (kept_no, transaction_id, aged_from_ms) VALUES (1 + max(\
         ifnull((SELECT max(kept_no) FROM tillhold_kept), 0), \
         ifnull((SELECT CAST(value AS INTEGER) FROM tillhold_fact WHERE name = ?3), 0)), ?1, ?2)",
    )?
    .execute((id, now_ms, DAYS_MARK))?;
    let kept_no = conn.last_insert_rowid();
    conn.prepare_cached(&format!(
        "UPDATE tillhold_kept SET aged_from_ms = max(aged_from_ms, ?2) WHERE kept_no IN \
         (SELECT r.kept_no FROM (SELECT table_id, key FROM tillhold_log \
         WHERE {ITS_ROWS} AND operation <> 'insert') AS l CROSS JOIN tillhold_kept_row AS r \
         ON r.table_id = l.table_id AND r.key = l.key)"
    ))?
    .execute((id, now_ms))?;
    // One by one: by a list of pairs SQLite goes through all kept rows of a table.
    let deleted =
        format!("SELECT table_id, key FROM tillhold_log WHERE {ITS_ROWS} AND operation = 'delete'");
    let mut deleted = conn.prepare_cached(&deleted)?;
    let mut rows = deleted.query([id])?;
    while let Some(row) = rows.next()? {
        let row: (i64, String) = (row.get(0)?, row.get(1)?);
        conn.prepare_cached("DELETE FROM tillhold_kept_row WHERE table_id = ?1 AND key = ?2")?
            .execute(row)?;
    }
    let made = conn
        .prepare_cached(&format!(
            "INSERT INTO tillhold_kept_row (table_id, key, kept_no) SELECT s.table_id, s.key, ?2 FROM \
             (SELECT table_id, key, min(seq) AS first, max(seq) AS last FROM tillhold_log \
             WHERE {ITS_ROWS} GROUP BY table_id, key) AS s \
             INNER JOIN tillhold_table AS t ON t.table_id = s.table_id \
             INNER JOIN tillhold_log AS f ON f.seq = s.first \
             INNER JOIN tillhold_log AS l ON l.seq = s.last \
             WHERE t.direction = 'upload' AND f.operation = 'insert' AND l.operation <> 'delete' \
             ON CONFLICT (table_id, key) DO UPDATE SET kept_no = excluded.kept_no"
        ))?
        .execute((id, kept_no))?;
    if made == 0 {
        conn.prepare_cached("DELETE FROM tillhold_kept WHERE kept_no = ?1")?.execute([kept_no])?;
    }
    Ok(())
}

fn purge(
    conn: &Connection,
    registry: &Registry,
    old: OldEnough,
    from: Option<PurgeFrom>,
) -> Result<Purged, Trouble> {
    let mut purged = Purged::default();
    let mut at = from.unwrap_or(PurgeFrom { aged_from_ms: i64::MIN, kept_no: 0 });
    let mut looked_at = 0;
    while let Some(next) = oldest_after(conn, at, old)? {
        if looked_at >= limits::PURGE_ROWS_MAX {
            purged.next = Some(at);
            break;
        }
        at = next;
        let rows = rows_of(conn, at.kept_no)?;
        looked_at += rows.len() as u64;
        if is_touched(conn, at.kept_no)? {
            purged.held += 1;
            continue;
        }
        for (table_id, key) in &rows {
            purged.rows += delete(conn, registry, *table_id, key)?;
        }
        forget(conn, at.kept_no)?;
        purged.transactions += 1;
    }
    Ok(purged)
}

fn days_run(conn: &Connection, day: Option<i64>, days: usize) -> Result<i64, Trouble> {
    let text = fact(conn, DAYS)?.unwrap_or_default();
    // What no Tillhold wrote is no count of days: it begins anew, and nothing leaves before its time.
    let mut run: Vec<(i64, i64)> = serde_json::from_str(&text).unwrap_or_default();
    if let Some(day) = day
        && run.last().is_none_or(|(last, _)| *last != day)
    {
        let sql = "SELECT max(ifnull((SELECT max(kept_no) FROM tillhold_kept), 0), ?1)";
        let before = run.last().map_or(0, |(_, newest)| *newest);
        let newest: i64 = conn.query_row(sql, [before], |row| row.get(0))?;
        run.push((day, newest));
        run.drain(..run.len().saturating_sub(days));
        set_fact(conn, DAYS, &serde_json::json!(run).to_string())?;
        set_fact(conn, DAYS_MARK, &newest.to_string())?;
    }
    let nth = run.len().checked_sub(days).and_then(|at| run.get(at));
    Ok(nth.map_or(0, |(_, newest)| *newest))
}

fn oldest_after(
    conn: &Connection,
    after: PurgeFrom,
    old: OldEnough,
) -> Result<Option<PurgeFrom>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT aged_from_ms, kept_no FROM tillhold_kept \
         WHERE (aged_from_ms, kept_no) > (?1, ?2) AND aged_from_ms < ?3 AND kept_no <= ?4 \
         ORDER BY aged_from_ms, kept_no LIMIT 1",
    )?;
    let found = statement
        .query_row((after.aged_from_ms, after.kept_no, old.before_ms, old.kept_no_max), |row| {
            Ok(PurgeFrom { aged_from_ms: row.get(0)?, kept_no: row.get(1)? })
        })
        .optional()?;
    Ok(found)
}

/// A transaction's rows are nobody's to keep any more.
pub(crate) fn forget(conn: &Connection, kept_no: i64) -> Result<(), Trouble> {
    for sql in [
        "DELETE FROM tillhold_kept_row WHERE kept_no = ?1",
        "DELETE FROM tillhold_kept WHERE kept_no = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([kept_no])?;
    }
    Ok(())
}

/// The rows that a transaction made and that are kept, each by its table's number and its key as the log has it.
pub(crate) fn rows_of(conn: &Connection, kept_no: i64) -> Result<Vec<(i64, String)>, Trouble> {
    let sql = "SELECT table_id, key FROM tillhold_kept_row WHERE kept_no = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([kept_no], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether anything that is not settled has a row of it.
fn is_touched(conn: &Connection, kept_no: i64) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_kept_row AS r CROSS JOIN tillhold_log AS l \
               ON l.table_id = r.table_id AND l.key = r.key WHERE r.kept_no = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([kept_no], |row| row.get(0))?)
}

/// A table that is pulled by now, that is gone, or whose key has become another keeps its row.
fn delete(
    conn: &Connection,
    registry: &Registry,
    table_id: i64,
    key: &str,
) -> Result<u64, Trouble> {
    let Ok(entry) = registry.in_journal(table_id) else { return Ok(0) };
    let (Direction::Upload, Ok(key)) = (entry.direction, image::decode_key(&entry.table, key))
    else {
        return Ok(0);
    };
    let mut statement = conn.prepare_cached(&entry.sql.delete)?;
    bind_key(&mut statement, &entry.table, &key, 1)?;
    Ok(statement.raw_execute()? as u64)
}
