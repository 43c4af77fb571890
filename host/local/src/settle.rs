//! What becomes of a sent transaction: accepted, resolved, quarantined or deferred. Only here do log rows leave.
//!
//! * The log rows go and the mark is set in one transaction; settling twice is settling once.
//! * Which rows it made is remembered, so that they can go together once they are old ([`crate::purge`]).
//! * Decided rows are written in the same transaction, silently, but for rows that have a later unsent change.
//! * While a table is being loaded, what the channel just accepted goes into its stage as well: the load may have read
//!   those rows before, and the channel does not send this register its own changes.

use crate::apply;
use crate::cell::{bind_key, bind_row};
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::load::is_pending;
use crate::purge;
use crate::record::{CommittedWhere, TransactionRecord, TransactionState, find};
use crate::registry::{Entry, Registry};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::limits;
use tillhold_core::row::{Change, Key, Row};
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

/// How one conflict was decided, with all that could be asked about it later.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub conflict: Conflict,
    /// The row that both sides have now; `None` when it is gone.
    pub decided: Option<Row>,
    /// `channel wins`, `column merge`, …, or the plugin's own words.
    pub rule: String,
    /// The deciding plugin's digest.
    pub plugin: Option<String>,
}

/// A conflict that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferred {
    pub conflict: Conflict,
    pub reason: String,
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
        let decided = rows
            .into_iter()
            .map(|(table, change)| Ok((journal_entry(registry.get(&table)?)?, change)))
            .collect::<Result<Vec<_>, LocalError>>()?;
        let decisions = decisions
            .into_iter()
            .map(|decision| Ok((registry.get(&decision.conflict.table.name)?.clone(), decision)))
            .collect::<Result<Vec<_>, LocalError>>()?;
        let end = End { id, decided, decisions };
        self.end(vec![end]).await
    }

    /// Settles several accepted transactions in one commit, as they were sent in one upload.
    pub async fn accept(&self, ids: Vec<TransactionId>) -> Result<(), LocalError> {
        let end = |id| End { id, decided: Vec::new(), decisions: Vec::new() };
        self.end(ids.into_iter().map(end).collect()).await?;
        Ok(())
    }

    async fn end(&self, ends: Vec<End>) -> Result<Tally, LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let settle_all = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut tally = Tally::default();
            for end in &ends {
                tally += settle(&transaction, end, &registry, now_ms)?;
            }
            let tally = tally.balanced().map_err(LocalError::from)?;
            transaction.commit()?;
            Ok(tally)
        };
        self.writer(Kind::Journal).run(settle_all).await
    }

    /// Sets a transaction aside that the channel refuses for good. Its rows stay here, and are not overwritten by pull.
    pub async fn quarantine(
        &self,
        id: TransactionId,
        reason_code: &str,
        reason: &str,
    ) -> Result<(), LocalError> {
        let reason = (reason_code.to_string(), reason.to_string());
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            unsettled(&transaction, id, "quarantined")?;
            set_state(&transaction, id, TransactionState::Quarantined, Some(&reason))?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Lets a transaction wait for a person, with its conflicts.
    pub async fn defer(
        &self,
        id: TransactionId,
        conflicts: Vec<Deferred>,
    ) -> Result<(), LocalError> {
        let (tables, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            unsettled(&transaction, id, "deferred")?;
            forget_conflicts(&transaction, id)?;
            for deferred in &conflicts {
                let entry = tables.get(&deferred.conflict.table.name)?;
                remember_conflict(&transaction, id, entry, deferred, now_ms)?;
            }
            let words: Vec<&str> = conflicts.iter().map(|c| c.reason.as_str()).collect();
            let reason = ("conflict".to_string(), words.join("; "));
            set_state(&transaction, id, TransactionState::Deferred, Some(&reason))?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Sends a quarantined or deferred transaction again, after a person has changed what stood in its way.
    pub async fn release(&self, id: TransactionId) -> Result<(), LocalError> {
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            unsettled(&transaction, id, "released")?;
            forget_conflicts(&transaction, id)?;
            set_state(&transaction, id, TransactionState::Pending, None)?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }
}

struct End {
    id: TransactionId,
    decided: Vec<(Arc<Entry>, Change)>,
    decisions: Vec<(Arc<Entry>, Decision)>,
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
    if find(conn, end.id)?.ok_or_else(unknown)?.state == TransactionState::Settled {
        return Ok(Tally::default());
    }
    let touched = touched_while_loading(conn, end.id, registry)?;
    purge::keep(conn, end.id, now_ms)?;
    conn.prepare_cached("DELETE FROM tillhold_log WHERE transaction_id = ?1")?
        .execute([&end.id.0[..]])?;
    forget_conflicts(conn, end.id)?;
    let kept = limits::SETTLED_TRANSACTIONS_KEPT;
    mark_settled(conn, end.id, CommittedWhere::Channel, now_ms, kept)?;
    let tally = match end.decided.is_empty() {
        true => Tally::default(),
        false => apply::quietly(conn, Kind::Journal, |conn| write_decided(conn, &end.decided))?,
    };
    for (entry, decision) in &end.decisions {
        remember_decision(conn, end.id, entry, decision, now_ms)?;
    }
    for Touched { entry, keys } in &touched {
        apply::stage_settled(conn, entry, keys)?;
    }
    Ok(tally)
}

fn write_decided(conn: &Connection, decided: &[(Arc<Entry>, Change)]) -> Result<Tally, Trouble> {
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

/// Keys of one transaction in a table that is being loaded.
struct Touched {
    entry: Arc<Entry>,
    keys: Vec<Key>,
}

fn touched_while_loading(
    conn: &Connection,
    id: TransactionId,
    registry: &Registry,
) -> Result<Vec<Touched>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT table_id FROM tillhold_table WHERE load_state IN ('table', 'stage', 'staged')",
    )?;
    let mut rows = statement.query(())?;
    let mut loading = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = registry.in_journal(row.get(0)?)?.clone();
        let keys = keys_in_log(conn, &entry, id)?;
        loading.push(Touched { entry, keys });
    }
    Ok(loading)
}

fn keys_in_log(conn: &Connection, entry: &Entry, id: TransactionId) -> Result<Vec<Key>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT coalesce(new_row, old_row) FROM tillhold_log \
         WHERE transaction_id = ?1 AND table_id = ?2",
    )?;
    let mut rows = statement.query((&id.0[..], entry.id))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(image::decode(&entry.table, &row.get::<_, String>(0)?)?.key(&entry.table));
    }
    Ok(keys)
}

fn unsettled(
    conn: &Connection,
    id: TransactionId,
    wanted: &'static str,
) -> Result<TransactionRecord, LocalError> {
    let found = find(conn, id).map_err(|trouble| trouble.at(crate::file::JOURNAL.as_ref()))?;
    let found = found.ok_or(LocalError::UnknownTransaction { id })?;
    if found.state == TransactionState::Settled {
        return Err(LocalError::WrongState { id, state: found.state.name(), wanted });
    }
    Ok(found)
}

fn set_state(
    conn: &Connection,
    id: TransactionId,
    state: TransactionState,
    reason: Option<&(String, String)>,
) -> Result<(), Trouble> {
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET state = ?2, reason_code = ?3, reason = ?4 \
         WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], state.name(), reason.map(|r| &r.0), reason.map(|r| &r.1)))?;
    Ok(())
}

fn forget_conflicts(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    conn.prepare_cached("DELETE FROM tillhold_conflict WHERE transaction_id = ?1")?
        .execute([&id.0[..]])?;
    Ok(())
}

/// Base, channel and offline row as images.
fn sides(entry: &Entry, conflict: &Conflict) -> [Option<String>; 3] {
    [&conflict.base, &conflict.channel, &conflict.offline]
        .map(|side| side.as_ref().map(|row| image::encode(&entry.table, row)))
}

fn remember_conflict(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    deferred: &Deferred,
    now_ms: i64,
) -> Result<(), Trouble> {
    let key = image::encode_key(&entry.table, &deferred.conflict.key);
    let [base, channel, offline] = sides(entry, &deferred.conflict);
    conn.prepare_cached(
        "INSERT INTO tillhold_conflict (transaction_id, table_id, key, base_row, channel_row, \
         offline_row, reason, deferred_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((&id.0[..], entry.id, key, base, channel, offline, &deferred.reason, now_ms))?;
    Ok(())
}

fn remember_decision(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    decision: &Decision,
    now_ms: i64,
) -> Result<(), Trouble> {
    let key = image::encode_key(&entry.table, &decision.conflict.key);
    let [base, channel, offline] = sides(entry, &decision.conflict);
    let decided = decision.decided.as_ref().map(|row| image::encode(&entry.table, row));
    let id = &id.0[..];
    let (rule, plugin) = (&decision.rule, &decision.plugin);
    conn.prepare_cached(
        "INSERT INTO tillhold_decision (transaction_id, table_id, key, base_row, channel_row, \
         offline_row, decided_row, rule, plugin, decided_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((id, entry.id, key, base, channel, offline, decided, rule, plugin, now_ms))?;
    conn.prepare_cached(
        "DELETE FROM tillhold_decision WHERE decision_id <= \
         (SELECT max(decision_id) FROM tillhold_decision) - ?1",
    )?
    .execute([limits::DECISIONS_KEPT as i64])?;
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
         settled_at_ms = ?4, reason_code = NULL, reason = NULL WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], place.name(), newest + 1, now_ms))?;
    conn.prepare_cached(
        "DELETE FROM tillhold_transaction WHERE settled_no IS NOT NULL AND settled_no <= ?1",
    )?
    .execute([newest + 1 - kept as i64])?;
    Ok(())
}
