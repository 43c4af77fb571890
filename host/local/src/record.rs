//! One POS transaction into the journal: atomic, durable, and once however often it is sent.
//!
//! * Same id, same content hash: already there. Same id, another hash: a clash, and nothing is written.
//! * All its rows commit or none; the answer comes after the commit is on the disk. It does not wait for the log's rows of
//!   what was inserted ([`crate::deferred_log`]).
//! * When the disk is full the space kept for that is given to the sale ([`crate::Reserve`]).
//! * When the disk fails at the commit its outcome is unknown: the file is opened anew and asked by the id.

use crate::database::LocalDatabase;
use crate::deferred_log::Late;
use crate::disk_reserve::Reserve;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::row_changes::{Step, change, give_numbers, insert, last_number, steps};
use crate::settle::mark_settled;
use rusqlite::{Connection, Row as SqlRow};
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::TableName;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_core::value::Value;
use tillhold_core::version::Sequence;

/// One row that a POS writes; rows and keys in the table's travelling shape.
#[derive(Clone, Debug, PartialEq)]
pub enum RowWrite {
    Insert {
        table: TableName,
        row: Row,
    },
    /// The whole row as it is to be; its key says which.
    Update {
        table: TableName,
        row: Row,
    },
    /// Some cells of a row, by position; the others stay as they are.
    Amend {
        table: TableName,
        key: Key,
        cells: Vec<(usize, Value)>,
    },
    Delete {
        table: TableName,
        key: Key,
    },
}

impl RowWrite {
    pub fn table(&self) -> &TableName {
        match self {
            RowWrite::Insert { table, .. }
            | RowWrite::Update { table, .. }
            | RowWrite::Amend { table, .. }
            | RowWrite::Delete { table, .. } => table,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Committed,
    /// The same transaction was committed before, sent or not.
    AlreadyThere,
    /// Another transaction has this id: nothing was written.
    Clash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionState {
    /// Waits to be sent.
    Pending,
    /// The channel has it, or there was nothing to send.
    Settled,
    /// The channel refused it for good; its rows stay here.
    Quarantined,
    /// Waits for a person to decide a conflict.
    Deferred,
    /// A person let go of it: its rows stay here, the channel never gets them.
    Released,
}

impl TransactionState {
    pub fn name(self) -> &'static str {
        match self {
            TransactionState::Pending => "pending",
            TransactionState::Settled => "settled",
            TransactionState::Quarantined => "quarantined",
            TransactionState::Deferred => "deferred",
            TransactionState::Released => "released",
        }
    }

    /// Nothing of it is sent any more.
    pub fn is_over(self) -> bool {
        matches!(self, TransactionState::Settled | TransactionState::Released)
    }

    pub(crate) fn parse(name: &str) -> Option<TransactionState> {
        use TransactionState::*;
        [Pending, Settled, Quarantined, Deferred, Released]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// The furthest place that is known to have a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommittedWhere {
    Offline,
    Channel,
}

impl CommittedWhere {
    pub fn name(self) -> &'static str {
        match self {
            CommittedWhere::Offline => "offline",
            CommittedWhere::Channel => "channel",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRecord {
    pub id: TransactionId,
    pub hash: ContentHash,
    pub state: TransactionState,
    /// Its first row in the log.
    pub sequence: Sequence,
    pub received_at_ms: i64,
    pub committed_where: CommittedWhere,
    /// Code and words, when it is quarantined, deferred or released.
    pub reason: Option<(String, String)>,
}

impl LocalDatabase {
    /// Commits one POS transaction. `received_at_ms` is when the POS handed it in.
    pub async fn record(
        &self,
        id: TransactionId,
        hash: ContentHash,
        writes: Vec<RowWrite>,
        received_at_ms: i64,
    ) -> Result<Recorded, LocalError> {
        let steps = steps(&self.registry(), writes)?;
        let sale = Arc::new(Sale { id, hash, steps, received_at_ms });
        let had_reserve = self.reserve() == Reserve::Kept;
        let log = if had_reserve { Log::Later } else { Log::Now };
        match self.record_once(sale.clone(), log).await {
            // The journal's writer has just made room.
            Err(_) if had_reserve && self.reserve() == Reserve::Gone => {
                self.record_once(sale, Log::Now).await
            }
            answer => answer,
        }
    }

    async fn record_once(&self, sale: Arc<Sale>, log: Log) -> Result<Recorded, LocalError> {
        let (id, hash) = (sale.id, sale.hash);
        let journal = self.writer(Kind::Journal);
        let late = self.late().clone();
        let mut earlier = None;
        let work = move |conn: &Connection| {
            let recorded = match (earlier, record(conn, &sale, log, &late)?) {
                // The commit of a first attempt was in doubt, and had happened.
                (Some(Recorded::Committed), Recorded::AlreadyThere) => Recorded::Committed,
                (_, recorded) => recorded,
            };
            earlier = Some(recorded);
            Ok(recorded)
        };
        match journal.run_sale(work).await {
            Err(error) if error.leaves_doubt() => {
                let known = journal.run(move |conn| find(conn, id)).await?;
                known.filter(|found| found.hash == hash).map(|_| Recorded::Committed).ok_or(error)
            }
            answer => answer,
        }
    }

    /// What the journal remembers of a transaction; settled ones are forgotten after
    /// [`tillhold_core::limits::SETTLED_TRANSACTIONS_KEPT`] later ones.
    pub async fn lookup(&self, id: TransactionId) -> Result<Option<TransactionRecord>, LocalError> {
        self.readers(Kind::Journal).run_at_once(move |conn| find(conn, id)).await
    }
}

struct Sale {
    id: TransactionId,
    hash: ContentHash,
    steps: Vec<Step>,
    received_at_ms: i64,
}

/// When the log gets what a sale inserts.
#[derive(Clone, Copy)]
enum Log {
    Now,
    /// Only while there is room for certain: an acknowledged sale must not wait for some.
    Later,
}

/// In the caller's transaction, which other sales may share.
fn record(conn: &Connection, sale: &Sale, log: Log, late: &Late) -> Result<Recorded, Trouble> {
    if let Some(known) = find(conn, sale.id)? {
        return Ok(if known.hash == sale.hash { Recorded::AlreadyThere } else { Recorded::Clash });
    }
    let before = last_number(conn)?;
    let mut given = before;
    for step in &sale.steps {
        match step {
            Step::Insert(rows, entry) => given = insert(conn, sale.id, entry, rows, given)?,
            Step::Change(changes, entry) => {
                give_numbers(conn, given)?;
                change(conn, sale.id, entry, changes, late)?;
                given = last_number(conn)?;
            }
        }
    }
    give_numbers(conn, given)?;
    match log {
        Log::Now => late.log(conn)?,
        Log::Later => late.is_coming(),
    }
    remember(conn, sale, (before, given))?;
    Ok(Recorded::Committed)
}

/// The log's last number was `before` and is `last`. A transaction that changed nothing has nothing to send.
fn remember(conn: &Connection, sale: &Sale, (before, last): (i64, i64)) -> Result<(), Trouble> {
    let id = &sale.id.0[..];
    let first = (last > before).then_some(before + 1);
    conn.prepare_cached(
        "INSERT INTO tillhold_transaction \
         (transaction_id, content_hash, first_seq, last_seq, state, received_at_ms, committed_where) \
         VALUES (?1, ?2, ?3, ?4, 'pending', ?5, 'offline')",
    )?
    .execute((id, &sale.hash.0[..], first.unwrap_or(last), last, sale.received_at_ms))?;
    if first.is_none() {
        let kept = limits::SETTLED_TRANSACTIONS_KEPT;
        mark_settled(conn, sale.id, CommittedWhere::Offline, sale.received_at_ms, kept)?;
    }
    Ok(())
}

/// The log's rows of the transaction ?1: a condition.
pub(crate) const ITS_ROWS: &str = "seq BETWEEN \
     (SELECT t.first_seq FROM tillhold_transaction AS t WHERE t.transaction_id = ?1) AND \
     (SELECT t.last_seq FROM tillhold_transaction AS t WHERE t.transaction_id = ?1) \
     AND transaction_id = ?1";

/// The columns that [`transaction_record`] reads, in its order.
pub(crate) const RECORD_COLUMNS: &str = "transaction_id, content_hash, first_seq, \
                                         CASE WHEN released_at_ms IS NULL THEN state ELSE 'released' END, received_at_ms, committed_where, reason_code, reason";

pub(crate) fn find(
    conn: &Connection,
    id: TransactionId,
) -> Result<Option<TransactionRecord>, Trouble> {
    let sql =
        format!("SELECT {RECORD_COLUMNS} FROM tillhold_transaction WHERE transaction_id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([&id.0[..]])?;
    match rows.next()? {
        Some(row) => transaction_record(row).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn transaction_record(row: &SqlRow<'_>) -> Result<TransactionRecord, Trouble> {
    let (state, place): (String, String) = (row.get(3)?, row.get(5)?);
    let reason: (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
    Ok(TransactionRecord {
        id: TransactionId(row.get(0)?),
        hash: ContentHash(row.get(1)?),
        sequence: Sequence(row.get::<_, i64>(2)? as u64),
        // The table's CHECK lets no other word in.
        state: TransactionState::parse(&state).unwrap_or(TransactionState::Pending),
        received_at_ms: row.get(4)?,
        committed_where: match place.as_str() {
            "channel" => CommittedWhere::Channel,
            _ => CommittedWhere::Offline,
        },
        reason: reason.0.zip(reason.1),
    })
}
