//! What a person asks: how much is unsent, what is set aside and why, what was decided, how synchronisation went.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::record::{ITS_ROWS, RECORD_COLUMNS, TransactionRecord, transaction_record};
use crate::registry::Registry;
use crate::release::Quarantined;
use rusqlite::{Connection, Params, Row as SqlRow, TransactionBehavior};
use tillhold_core::conflict::Conflict;
use tillhold_core::limits;
use tillhold_core::row::Row;
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_core::transaction::TransactionId;
use tillhold_core::version::{ChannelVersion, Sequence};

/// How much the register holds that the channel does not know, or does not know decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Including, as one, what other programs wrote since the log was last read.
    pub pending_transactions: u64,
    pub pending_rows: u64,
    /// When the oldest of them was received.
    pub oldest_pending_ms: Option<i64>,
    pub quarantined: u64,
    /// Pulled rows that a rule refused.
    pub rows_aside: u64,
    pub deferred: u64,
    /// Contested rows of the deferred ones.
    pub conflicts: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QuarantineRecord {
    pub transaction: TransactionRecord,
    pub rows: u64,
    /// The tables it writes to.
    pub tables: Vec<TableName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Pull,
    Push,
}

impl Flow {
    pub fn name(self) -> &'static str {
        match self {
            Flow::Pull => "pull",
            Flow::Push => "push",
        }
    }
}

/// One synchronisation of one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncEntry {
    pub flow: Flow,
    pub scope: String,
    pub started_ms: i64,
    pub finished_ms: i64,
    pub tally: Tally,
    /// The version reached by a pull.
    pub version: Option<ChannelVersion>,
    pub failure: Option<SyncFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFailure {
    pub code: String,
    pub message: String,
}

impl LocalDatabase {
    pub async fn counts(&self) -> Result<Counts, LocalError> {
        self.readers(Kind::Journal).run(counts).await
    }

    /// Transactions set aside for good, oldest first, behind `after`.
    pub async fn quarantined(
        &self,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<QuarantineRecord>, LocalError> {
        let registry = self.registry();
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM tillhold_transaction \
             WHERE state = 'quarantined' AND first_seq > ?1 ORDER BY first_seq LIMIT ?2"
        );
        let after = after.map_or(-1, |sequence| sequence.0 as i64);
        let limit = limit.min(limits::LISTING_ROWS_MAX) as i64;
        let read = move |conn: &Connection| quarantined(conn, &registry, &sql, (after, limit));
        self.readers(Kind::Journal).run(read).await
    }

    /// One of them.
    pub async fn quarantined_sale(
        &self,
        id: TransactionId,
    ) -> Result<Option<QuarantineRecord>, LocalError> {
        let registry = self.registry();
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM tillhold_transaction \
             WHERE state = 'quarantined' AND transaction_id = ?1"
        );
        let read = move |conn: &Connection| quarantined(conn, &registry, &sql, [&id.0[..]]);
        Ok(self.readers(Kind::Journal).run(read).await?.pop())
    }

    /// What stands in quarantine under an id that begins with these hexadecimal digits, in capitals: a few of them.
    pub async fn quarantined_as(&self, digits: String) -> Result<Vec<Quarantined>, LocalError> {
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT transaction_id, 1 FROM tillhold_transaction WHERE state = 'quarantined' \
                 AND hex(transaction_id) LIKE ?1 || '%' \
                 UNION ALL SELECT id, 0 FROM tillhold_row_aside WHERE hex(id) LIKE ?1 || '%' LIMIT 5",
            )?;
            let found = statement.query_map([digits], |row| {
                let id = row.get(0)?;
                Ok(match row.get(1)? {
                    true => Quarantined::Sale(TransactionId(id)),
                    false => Quarantined::Row(id),
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    pub async fn sync_log(&self, entry: SyncEntry) -> Result<(), LocalError> {
        self.writer(Kind::Journal).run(move |conn| log_sync(conn, &entry)).await
    }

    /// The last synchronisations, newest first, at most `limit`.
    pub async fn last_syncs(&self, limit: usize) -> Result<Vec<SyncEntry>, LocalError> {
        let sql = "SELECT flow, scope, started_ms, finished_ms, rows_in, applied, dropped, \
                   quarantined, version, error_code, error FROM tillhold_sync \
                   ORDER BY sync_id DESC LIMIT ?1";
        let read = move |conn: &Connection| {
            let mut entries = list(conn, sql, sync_entry)?;
            entries.truncate(limit);
            Ok(entries)
        };
        self.readers(Kind::Journal).run(read).await
    }
}

pub(crate) fn list<T>(
    conn: &Connection,
    sql: &str,
    one: impl Fn(&SqlRow<'_>) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([limits::LISTING_ROWS_MAX as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(one(row)?);
    }
    Ok(found)
}

pub(crate) fn counts(conn: &Connection) -> Result<Counts, Trouble> {
    let number = |sql: &str| -> Result<u64, Trouble> {
        Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get::<_, i64>(0))? as u64)
    };
    let in_state = |state: &str| {
        number(&format!("SELECT count(*) FROM tillhold_transaction WHERE state = '{state}'"))
    };
    let unadopted = number("SELECT count(*) FROM tillhold_log WHERE transaction_id IS NULL")?;
    // What is settled has no rows in the log, and little is set aside: the whole is counted by an index.
    let logged = number("SELECT count(*) FROM tillhold_log")?;
    let set_aside = "SELECT count(*) FROM tillhold_transaction AS t \
                     INNER JOIN tillhold_log AS l ON l.seq BETWEEN t.first_seq AND t.last_seq \
                     AND l.transaction_id = t.transaction_id \
                     WHERE t.state IN ('quarantined', 'deferred')";
    let oldest = "SELECT min(received_at_ms) FROM tillhold_transaction WHERE state = 'pending'";
    Ok(Counts {
        pending_transactions: in_state("pending")? + u64::from(unadopted > 0),
        pending_rows: logged - number(set_aside)?,
        oldest_pending_ms: conn.prepare_cached(oldest)?.query_row((), |row| row.get(0))?,
        quarantined: in_state("quarantined")?,
        rows_aside: number("SELECT count(*) FROM tillhold_row_aside")?,
        deferred: in_state("deferred")?,
        conflicts: number("SELECT count(*) FROM tillhold_conflict")?,
    })
}

fn quarantined(
    conn: &Connection,
    registry: &Registry,
    sql: &str,
    asked: impl Params,
) -> Result<Vec<QuarantineRecord>, Trouble> {
    let mut written = conn.prepare_cached(&format!(
        "SELECT table_id, count(*) FROM tillhold_log WHERE {ITS_ROWS} \
         GROUP BY table_id ORDER BY min(seq)"
    ))?;
    let mut records = Vec::new();
    let mut statement = conn.prepare_cached(sql)?;
    let mut heads = statement.query(asked)?;
    while let Some(head) = heads.next()? {
        let transaction = transaction_record(head)?;
        let (mut rows, mut tables) = (0, Vec::new());
        let mut found = written.query([&transaction.id.0[..]])?;
        while let Some(row) = found.next()? {
            rows += row.get::<_, i64>(1)? as u64;
            tables.push(registry.in_journal(row.get(0)?)?.table.name.clone());
        }
        records.push(QuarantineRecord { transaction, rows, tables });
    }
    Ok(records)
}

/// From columns table_id, key, base, channel, offline, starting at 1.
pub(crate) fn conflict(registry: &Registry, row: &SqlRow<'_>) -> Result<Conflict, Trouble> {
    let entry = registry.in_journal(row.get(1)?)?;
    let table = entry.table.clone();
    Ok(Conflict {
        key: image::decode_key(&table, &row.get::<_, String>(2)?)?,
        base: side(&table, row, 3)?,
        channel: side(&table, row, 4)?,
        offline: side(&table, row, 5)?,
        table,
    })
}

pub(crate) fn side(
    table: &tillhold_core::table::Table,
    row: &SqlRow<'_>,
    at: usize,
) -> Result<Option<Row>, Trouble> {
    Ok(match row.get::<_, Option<String>>(at)? {
        Some(image) => Some(image::decode(table, &image)?),
        None => None,
    })
}

fn log_sync(conn: &mut Connection, entry: &SyncEntry) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Tally { rows_in, applied, dropped, quarantined } = entry.tally;
    transaction
        .prepare_cached(
            "INSERT INTO tillhold_sync (flow, scope, started_ms, finished_ms, rows_in, applied, \
             dropped, quarantined, version, error_code, error) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            entry.flow.name(),
            &entry.scope,
            entry.started_ms,
            entry.finished_ms,
            rows_in as i64,
            applied as i64,
            dropped as i64,
            quarantined as i64,
            entry.version.map(|version| version.0 as i64),
            entry.failure.as_ref().map(|failure| &failure.code),
            entry.failure.as_ref().map(|failure| &failure.message),
        ))?;
    transaction
        .prepare_cached(
            "DELETE FROM tillhold_sync WHERE sync_id <= (SELECT max(sync_id) FROM tillhold_sync) - ?1",
        )?
        .execute([limits::SYNC_LOG_ENTRIES_KEPT as i64])?;
    Ok(transaction.commit()?)
}

fn sync_entry(row: &SqlRow<'_>) -> Result<SyncEntry, Trouble> {
    let count = |at| row.get::<_, i64>(at).map(|number| number as u64);
    let failure: (Option<String>, Option<String>) = (row.get(9)?, row.get(10)?);
    Ok(SyncEntry {
        flow: if row.get::<_, String>(0)? == "push" { Flow::Push } else { Flow::Pull },
        scope: row.get(1)?,
        started_ms: row.get(2)?,
        finished_ms: row.get(3)?,
        tally: Tally {
            rows_in: count(4)?,
            applied: count(5)?,
            dropped: count(6)?,
            quarantined: count(7)?,
        },
        version: row.get::<_, Option<i64>>(8)?.map(|version| ChannelVersion(version as u64)),
        failure: failure.0.zip(failure.1).map(|(code, message)| SyncFailure { code, message }),
    })
}
