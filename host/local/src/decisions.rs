//! Decisions about contested rows, on the register's side of the record.
//!
//! 1. Before a decided transaction is sent, its decisions are kept here as sent, under ids that the channel gets too.
//! 2. The channel writes them with the rows, in one transaction.
//! 3. Settling makes them: those that were sent and not carried out are forgotten.
//!
//! So an agent that dies between 2 and 3 finds out by the ids which of its decisions the channel has, and both sides
//! have the same ones, once.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::listing::{conflict, side};
use crate::registry::{Entry, Registry};
use crate::release::named;
use rusqlite::{Connection, Row as SqlRow, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::limits;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::transaction::TransactionId;

/// How one conflict was decided, with all that could be asked about it later.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The channel's record has it too.
    pub id: [u8; 16],
    pub conflict: Conflict,
    /// The row that both sides have now; `None` when it is gone.
    pub decided: Option<Row>,
    /// `channel-wins`, `person`, …, or the plugin's name.
    pub rule: String,
    /// The deciding plugin's digest.
    pub plugin: Option<String>,
    /// A person's name and reason.
    pub who: Option<String>,
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// For paging: later ones have greater numbers.
    pub number: u64,
    pub transaction: TransactionId,
    pub decision: Decision,
    pub decided_at_ms: i64,
    /// Of what a person let go of: its document. The conflict is then the row, of a sale its first.
    pub released: Option<String>,
}

/// A decision that was sent and not yet settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDecision {
    pub transaction: TransactionId,
    pub id: [u8; 16],
}

const STATE_SENT: &str = "sent";
const STATE_MADE: &str = "made";

impl LocalDatabase {
    /// Keeps the decisions of a transaction that is about to be sent.
    pub async fn keep_sent(
        &self,
        id: TransactionId,
        decisions: Vec<Decision>,
    ) -> Result<(), LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let keep = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for decision in &decisions {
                let entry = registry.get(&decision.conflict.table.name)?;
                remember(&transaction, id, entry, decision, STATE_SENT, now_ms)?;
            }
            transaction
                .prepare_cached(
                    "DELETE FROM tillhold_decision WHERE state = 'sent' AND transaction_id = ?1 \
                     AND decision_id NOT IN (SELECT decision_id FROM tillhold_decision \
                     WHERE state = 'sent' AND transaction_id = ?1 ORDER BY decision_id DESC LIMIT ?2)",
                )?
                .execute((&id.0[..], limits::SENT_DECISIONS_KEPT as i64))?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(keep).await
    }

    /// Decisions of these transactions whose fate is not known: an earlier answer of the channel was lost.
    pub async fn sent_decisions(
        &self,
        of: Vec<TransactionId>,
    ) -> Result<Vec<SentDecision>, LocalError> {
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT id FROM tillhold_decision WHERE state = 'sent' AND transaction_id = ?1",
            )?;
            let mut found = Vec::new();
            for transaction in of {
                let ids = statement.query_map([&transaction.0[..]], |row| row.get(0))?;
                for id in ids {
                    found.push(SentDecision { transaction, id: id? });
                }
            }
            Ok(found)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Decisions, newest first, those before number `before`.
    pub async fn decisions(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DecisionRecord>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let before =
                before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
            let limit = limit.min(limits::LISTING_ROWS_MAX) as i64;
            let mut statement = conn.prepare_cached(
                "SELECT transaction_id, table_id, key, base_row, channel_row, offline_row, \
                 decided_row, rule, plugin, decided_at_ms, id, who, why, released, decision_id, \
                 table_name \
                 FROM tillhold_decision WHERE state = 'made' AND decision_id < ?1 \
                 ORDER BY decision_id DESC LIMIT ?2",
            )?;
            let mut rows = statement.query((before, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(record(&registry, row)?);
            }
            Ok(found)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Whether a decision of this id was made: then its conflict is settled.
    pub async fn is_decided(&self, id: [u8; 16]) -> Result<bool, LocalError> {
        let read = move |conn: &Connection| {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM tillhold_decision WHERE id = ?1 AND state = 'made')";
            Ok(conn.prepare_cached(sql)?.query_row([&id[..]], |row| row.get(0))?)
        };
        self.readers(Kind::Journal).run(read).await
    }
}

/// `None` for what was let go of in a table that has left the profile since.
fn record(registry: &Registry, row: &SqlRow<'_>) -> Result<Option<DecisionRecord>, Trouble> {
    let conflict = match row.get::<_, Option<String>>(15)? {
        None => conflict(registry, row)?,
        Some(name) => match named(registry, &name) {
            Some(entry) => let_go(entry, row)?,
            None => return Ok(None),
        },
    };
    Ok(Some(DecisionRecord {
        number: row.get::<_, i64>(14)? as u64,
        transaction: TransactionId(row.get(0)?),
        decided_at_ms: row.get(9)?,
        released: row.get(13)?,
        decision: Decision {
            id: row.get(10)?,
            decided: side(&conflict.table, row, 6)?,
            conflict,
            rule: row.get(7)?,
            plugin: row.get(8)?,
            who: row.get(11)?,
            why: row.get(12)?,
        },
    }))
}

/// The row that was let go of. A key that has become another since is in the document.
fn let_go(entry: &Entry, row: &SqlRow<'_>) -> Result<Conflict, Trouble> {
    let key = image::decode_key(&entry.table, &row.get::<_, String>(2)?);
    let key = key.unwrap_or(Key(Vec::new()));
    let table = entry.table.clone();
    Ok(Conflict { table, key, base: None, channel: None, offline: None })
}

/// Writes a decision that is made; one that was sent before becomes it.
pub(crate) fn make(
    conn: &Connection,
    transaction: TransactionId,
    entry: &Entry,
    decision: &Decision,
    now_ms: i64,
) -> Result<(), Trouble> {
    remember(conn, transaction, entry, decision, STATE_MADE, now_ms)?;
    forget_oldest(conn)
}

fn remember(
    conn: &Connection,
    transaction: TransactionId,
    entry: &Entry,
    decision: &Decision,
    state: &str,
    now_ms: i64,
) -> Result<(), Trouble> {
    let Decision { id, conflict, decided, rule, plugin, who, why } = decision;
    let key = image::encode_key(&entry.table, &conflict.key);
    let [base, channel, offline] = sides(entry, conflict);
    let decided = decided.as_ref().map(|row| image::encode(&entry.table, row));
    conn.prepare_cached(
        "INSERT INTO tillhold_decision (transaction_id, table_id, key, base_row, channel_row, \
         offline_row, decided_row, rule, plugin, decided_at_ms, id, state, who, why) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, decided_at_ms = excluded.decided_at_ms",
    )?
    .execute(rusqlite::params![
        &transaction.0[..],
        entry.id,
        key,
        base,
        channel,
        offline,
        decided,
        rule,
        plugin,
        now_ms,
        &id[..],
        state,
        who,
        why
    ])?;
    Ok(())
}

/// Base, channel and offline row as images.
pub(crate) fn sides(entry: &Entry, conflict: &Conflict) -> [Option<String>; 3] {
    [&conflict.base, &conflict.channel, &conflict.offline]
        .map(|side| side.as_ref().map(|row| image::encode(&entry.table, row)))
}

/// Makes those that the channel has; answers the rows that they decided.
pub(crate) fn make_as_sent(
    conn: &Connection,
    registry: &Registry,
    ids: &[[u8; 16]],
) -> Result<Vec<(Arc<Entry>, Change)>, Trouble> {
    let mut select = conn.prepare_cached(
        "SELECT table_id, key, decided_row FROM tillhold_decision WHERE id = ?1 AND state = 'sent'",
    )?;
    let mut make =
        conn.prepare_cached("UPDATE tillhold_decision SET state = 'made' WHERE id = ?1")?;
    let mut decided = Vec::new();
    for id in ids {
        let mut rows = select.query([&id[..]])?;
        let Some(row) = rows.next()? else { continue };
        let entry = registry.in_journal(row.get(0)?)?.clone();
        decided.push(match row.get::<_, Option<String>>(2)? {
            Some(image) => (entry.clone(), Change::Present(image::decode(&entry.table, &image)?)),
            None => {
                let key = image::decode_key(&entry.table, &row.get::<_, String>(1)?)?;
                (entry, Change::Gone(key))
            }
        });
        drop(rows);
        make.execute([&id[..]])?;
    }
    forget_oldest(conn)?;
    Ok(decided)
}

/// What was sent of a transaction and not carried out.
pub(crate) fn forget_sent(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    conn.prepare_cached(
        "DELETE FROM tillhold_decision WHERE state = 'sent' AND transaction_id = ?1",
    )?
    .execute([&id.0[..]])?;
    Ok(())
}

pub(crate) fn forget_oldest(conn: &Connection) -> Result<(), Trouble> {
    conn.prepare_cached(
        "DELETE FROM tillhold_decision WHERE state = 'made' AND decision_id <= \
         (SELECT max(decision_id) FROM tillhold_decision) - ?1",
    )?
    .execute([limits::DECISIONS_KEPT as i64])?;
    Ok(())
}
