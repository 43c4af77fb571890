//! What becomes of a sent transaction: accepted, resolved, quarantined or deferred. Only here do log rows leave.
//!
//! * The log rows go and the mark is set in one transaction; settling twice is settling once.
//! * Which rows it made is remembered, so that they can go together once they are old ([`crate::purge`]).
//! * Decided rows, and those that leave their table's filter, are written in the same transaction, silently, but for rows
//!   that have a later unsent change.
//! * Of a table that is pulled too, what the channel just accepted goes into its stage as well: a load or a pass that is
//!   under way may have read those rows before, and the channel does not send this register its own changes.

use crate::apply;
use crate::cell::{bind_key, bind_row};
use crate::database::LocalDatabase;
use crate::decisions::Decision;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::load::is_pending;
use crate::purge;
use crate::record::{CommittedWhere, ITS_ROWS, TransactionRecord, TransactionState, find};
use crate::registry::{Entry, Registry};
use crate::{conflicts, decisions};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_core::row::{Change, Key};
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_core::transaction::TransactionId;

/// The end of a transaction's journey.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// The channel has it as the register left it.
    Accepted,
    /// The channel has it as conflicts were decided: `rows` are those rows as they are now on both sides.
    Resolved { rows: Vec<(TableName, Change)>, decisions: Vec<Decision> },
}

/// A transaction that the channel took as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub id: TransactionId,
    /// Rows of it that do not pass their tables' filters any more: they leave the register with it.
    pub leaving: Vec<(TableName, Key)>,
}

impl From<TransactionId> for Accepted {
    fn from(id: TransactionId) -> Accepted {
        Accepted { id, leaving: Vec::new() }
    }
}

/// Why a transaction is set aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// In words, those of SQL Server or of the plugin among them.
    pub reason: String,
    /// The refused row, as far as it is known.
    pub table: Option<TableName>,
    pub key: Option<Key>,
    /// What the refusal hangs on: when it is another, the transaction is tried again.
    pub circumstances: Option<String>,
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Refusal {
        Refusal { reason: reason.to_string(), ..Refusal::default() }
    }
}

impl LocalDatabase {
    /// Ends a transaction. Answers for the decided rows: `applied`, or `dropped` for those with a later unsent change.
    pub async fn settle(
        &self,
        id: TransactionId,
        outcome: Settlement,
    ) -> Result<Tally, LocalError> {
        let (rows, decisions) = match outcome {
            Settlement::Accepted => (Vec::new(), Vec::new()),
            Settlement::Resolved { rows, decisions } => (rows, decisions),
        };
        let registry = self.registry();
        let decided = in_journal(&registry, rows)?;
        let decisions = decisions
            .into_iter()
            .map(|decision| Ok((registry.get(&decision.conflict.table.name)?.clone(), decision)))
            .collect::<Result<Vec<_>, LocalError>>()?;
        let end = End { id, decided, decisions, as_sent: Vec::new() };
        self.end(vec![end]).await
    }

    /// Settles several accepted transactions, as they were sent in one upload.
    pub async fn accept(&self, accepted: Vec<impl Into<Accepted>>) -> Result<(), LocalError> {
        let registry = self.registry();
        let mut ends = Vec::with_capacity(accepted.len());
        for one in accepted {
            ends.push(End::of(one.into(), &registry)?);
        }
        self.end(ends).await?;
        Ok(())
    }

    /// Ends a transaction that the channel has from an earlier upload whose answer was lost, with those of the decisions
    /// sent then that the channel has.
    pub async fn settle_as_sent(
        &self,
        accepted: impl Into<Accepted>,
        made: Vec<[u8; 16]>,
    ) -> Result<Tally, LocalError> {
        let end = End::of(accepted.into(), &self.registry())?;
        self.end(vec![End { as_sent: made, ..end }]).await
    }

    /// A few in one commit: a sale waits behind no more of them.
    async fn end(&self, mut ends: Vec<End>) -> Result<Tally, LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let mut tally = Tally::default();
        while !ends.is_empty() {
            let few: Vec<End> = ends.drain(..ends.len().min(limits::SETTLED_AT_ONCE)).collect();
            let registry = registry.clone();
            let settle_few = move |conn: &mut Connection| {
                let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let mut tally = Tally::default();
                for end in &few {
                    tally += settle(&transaction, end, &registry, now_ms)?;
                }
                let tally = tally.balanced().map_err(LocalError::from)?;
                transaction.commit()?;
                Ok(tally)
            };
            tally += self.writer(Kind::Journal).run(settle_few).await?;
        }
        Ok(tally)
    }

    /// Sets a transaction aside that the channel refuses for good. Its rows stay here, and are not overwritten by pull.
    pub async fn quarantine(
        &self,
        id: TransactionId,
        reason_code: &str,
        refusal: impl Into<Refusal>,
    ) -> Result<(), LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let (code, refusal) = (reason_code.to_string(), refusal.into());
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            unsettled(&transaction, id, "quarantined")?;
            let reason = (code, refusal.reason.clone());
            let state = TransactionState::Quarantined;
            set_state(&transaction, id, state, Some((&reason, now_ms)))?;
            place_refusal(&transaction, &registry, id, &refusal)?;
            conflicts::forget(&transaction, id)?;
            decisions::forget_sent(&transaction, id)?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Sends a quarantined transaction again as it is, after what stood in its way has changed.
    pub async fn retry(&self, id: TransactionId) -> Result<(), LocalError> {
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            retry(&transaction, id)?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }
}

pub(crate) fn retry(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    let found = find(conn, id)?.ok_or(LocalError::UnknownTransaction { id })?;
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_release WHERE of_id = ?1)";
    let is_let_go: bool = conn.prepare_cached(sql)?.query_row([&id.0[..]], |row| row.get(0))?;
    if found.state != TransactionState::Quarantined || is_let_go {
        let state = if is_let_go { "let go of" } else { found.state.name() };
        return Err(LocalError::WrongState { id, state, wanted: "sent again" }.into());
    }
    set_state(conn, id, TransactionState::Pending, None)
}

struct End {
    id: TransactionId,
    decided: Vec<(Arc<Entry>, Change)>,
    decisions: Vec<(Arc<Entry>, Decision)>,
    /// Decisions that were kept as sent and turn out to be the channel's.
    as_sent: Vec<[u8; 16]>,
}

impl End {
    fn of(Accepted { id, leaving }: Accepted, registry: &Registry) -> Result<End, LocalError> {
        let gone = leaving.into_iter().map(|(table, key)| (table, Change::Gone(key)));
        let decided = in_journal(registry, gone.collect())?;
        Ok(End { id, decided, decisions: Vec::new(), as_sent: Vec::new() })
    }
}

fn in_journal(
    registry: &Registry,
    rows: Vec<(TableName, Change)>,
) -> Result<Vec<(Arc<Entry>, Change)>, LocalError> {
    rows.into_iter()
        .map(|(table, change)| Ok((journal_entry(registry.get(&table)?)?, change)))
        .collect()
}

fn journal_entry(entry: &Arc<Entry>) -> Result<Arc<Entry>, LocalError> {
    if entry.kind == Kind::Journal {
        return Ok(entry.clone());
    }
    Err(LocalError::ReadOnly { table: entry.table.name.clone() })
}

fn settle(
    conn: &Connection,
    end: &End,
    registry: &Registry,
    now_ms: i64,
) -> Result<Tally, Trouble> {
    let unknown = || LocalError::UnknownTransaction { id: end.id };
    if find(conn, end.id)?.ok_or_else(unknown)?.state.is_over() {
        return Ok(Tally::default());
    }
    let touched = touched(conn, end.id, registry)?;
    purge::keep(conn, end.id, now_ms)?;
    forget_log(conn, end.id)?;
    conflicts::forget(conn, end.id)?;
    let kept = limits::SETTLED_TRANSACTIONS_KEPT;
    mark_settled(conn, end.id, CommittedWhere::Channel, now_ms, kept)?;
    let as_sent = decisions::make_as_sent(conn, registry, &end.as_sent)?;
    // A row that leaves is gone at last, however it was decided.
    let decided: Vec<&(Arc<Entry>, Change)> = as_sent.iter().chain(&end.decided).collect();
    let tally = match decided.is_empty() {
        true => Tally::default(),
        false => apply::quietly(conn, Kind::Journal, |conn| write_decided(conn, &decided))?,
    };
    for (entry, decision) in &end.decisions {
        decisions::make(conn, end.id, entry, decision, now_ms)?;
    }
    decisions::forget_sent(conn, end.id)?;
    for Touched { entry, keys } in &touched {
        apply::stage_settled(conn, entry, keys)?;
    }
    Ok(tally)
}

/// The log's rows of a transaction that is over.
pub(crate) fn forget_log(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    let sql = format!("DELETE FROM tillhold_log WHERE {ITS_ROWS}");
    conn.prepare_cached(&sql)?.execute([&id.0[..]])?;
    Ok(())
}

fn write_decided(conn: &Connection, decided: &[&(Arc<Entry>, Change)]) -> Result<Tally, Trouble> {
    let mut tally = Tally::default();
    for (entry, change) in decided {
        tally.rows_in += 1;
        if is_pending(conn, entry, &change.key(&entry.table))? {
            tally.dropped += 1;
            continue;
        }
        match change {
            Change::Present(row) => {
                let mut statement = conn.prepare_cached(&entry.sql.upsert)?;
                bind_row(&mut statement, &entry.table, row)?;
                statement.raw_execute()?;
            }
            Change::Gone(key) => {
                let mut statement = conn.prepare_cached(&entry.sql.delete)?;
                bind_key(&mut statement, &entry.table, key, 1)?;
                statement.raw_execute()?;
            }
        }
        tally.applied += 1;
    }
    Ok(tally)
}

/// Keys of one transaction in a table that is pulled too.
struct Touched {
    entry: Arc<Entry>,
    keys: Vec<Key>,
}

fn touched(
    conn: &Connection,
    id: TransactionId,
    registry: &Registry,
) -> Result<Vec<Touched>, Trouble> {
    let mut statement = conn
        .prepare_cached(&format!("SELECT DISTINCT table_id FROM tillhold_log WHERE {ITS_ROWS}"))?;
    let mut rows = statement.query([&id.0[..]])?;
    let mut touched = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = registry.in_journal(row.get(0)?)?.clone();
        if entry.direction.is_pulled() {
            let keys = keys_in_log(conn, &entry, id)?;
            touched.push(Touched { entry, keys });
        }
    }
    Ok(touched)
}

/// The + keeps SQLite from going through all that is unsent of the table, by the index of keys.
fn keys_sql() -> String {
    format!(
        "SELECT coalesce(new_row, old_row) FROM tillhold_log WHERE {ITS_ROWS} AND +table_id = ?2"
    )
}

fn keys_in_log(conn: &Connection, entry: &Entry, id: TransactionId) -> Result<Vec<Key>, Trouble> {
    let mut statement = conn.prepare_cached(&keys_sql())?;
    let mut rows = statement.query((&id.0[..], entry.id))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(image::decode(&entry.table, &row.get::<_, String>(0)?)?.key(&entry.table));
    }
    Ok(keys)
}

pub(crate) fn unsettled(
    conn: &Connection,
    id: TransactionId,
    wanted: &'static str,
) -> Result<TransactionRecord, LocalError> {
    let found = find(conn, id).map_err(|trouble| trouble.at(crate::file::JOURNAL.as_ref()))?;
    let found = found.ok_or(LocalError::UnknownTransaction { id })?;
    if found.state.is_over() {
        return Err(LocalError::WrongState { id, state: found.state.name(), wanted });
    }
    Ok(found)
}

/// With its reason, code and words, and since when.
pub(crate) fn set_state(
    conn: &Connection,
    id: TransactionId,
    state: TransactionState,
    reason: Option<(&(String, String), i64)>,
) -> Result<(), Trouble> {
    let (words, since_ms) = (reason.map(|(reason, _)| reason), reason.map(|(_, since)| since));
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET state = ?2, reason_code = ?3, reason = ?4, \
         reason_since_ms = ?5, reason_table = NULL, reason_key = NULL, \
         reason_circumstances = NULL WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], state.name(), words.map(|r| &r.0), words.map(|r| &r.1), since_ms))?;
    Ok(())
}

fn place_refusal(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
    refusal: &Refusal,
) -> Result<(), Trouble> {
    let key = match (&refusal.table, &refusal.key) {
        (Some(table), Some(key)) => Some(image::encode_key(&registry.get(table)?.table, key)),
        _ => None,
    };
    let table = refusal.table.as_ref().map(ToString::to_string);
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET reason_table = ?2, reason_key = ?3, \
         reason_circumstances = ?4 WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], table, key, &refusal.circumstances))?;
    Ok(())
}

/// Marks a transaction as done, and forgets the oldest that is done beyond `kept`.
pub(crate) fn mark_settled(
    conn: &Connection,
    id: TransactionId,
    place: CommittedWhere,
    now_ms: i64,
    kept: u64,
) -> Result<(), Trouble> {
    let newest = "SELECT coalesce(max(settled_no), 0) FROM tillhold_transaction \
                  WHERE settled_no IS NOT NULL";
    let newest: i64 = conn.prepare_cached(newest)?.query_row((), |row| row.get(0))?;
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET state = 'settled', committed_where = ?2, settled_no = ?3, \
         settled_at_ms = ?4, reason_code = NULL, reason = NULL, reason_since_ms = NULL, \
         reason_table = NULL, reason_key = NULL, reason_circumstances = NULL \
         WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], place.name(), newest + 1, now_ms))?;
    conn.prepare_cached(
        "DELETE FROM tillhold_transaction WHERE settled_no IS NOT NULL AND settled_no <= ?1",
    )?
    .execute([newest + 1 - kept as i64])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{keys_in_log, keys_sql};
    use crate::file::Kind;
    use crate::tests::{House, id, lines};
    use rusqlite::StatementStatus::VmStep;

    #[tokio::test]
    async fn the_keys_of_one_sale_cost_the_same_however_many_are_unsent() {
        let house = House::new().await;
        let mut steps = Vec::new();
        for sales in [1..=2, 3..=200] {
            for number in sales {
                house.insert(number, &lines(), &[&format!("T{number}"), "1", "i", "1"]).await;
            }
            let entry = house.db.registry().get(&lines().name).expect("its table").clone();
            let read = move |conn: &rusqlite::Connection| {
                let keys = keys_in_log(conn, &entry, id(1))?;
                Ok((keys.len(), conn.prepare_cached(&keys_sql())?.reset_status(VmStep)))
            };
            let (keys, taken) = house.db.readers(Kind::Journal).run(read).await.expect("a read");
            assert_eq!(keys, 1);
            steps.push(taken);
        }
        assert!(steps[0] > 0 && steps[0] == steps[1], "{steps:?}");
    }
}
