//! What a person lets go of: a sale that the channel refused and that will not be sent any more, or a pulled row that is
//! given up until it changes again.
//!
//! 1. The decision is kept here, with the whole sale in it; until 3 the sale stays in quarantine.
//! 2. The channel records it, under the id that is kept here: however often it is told, it has it once.
//! 3. It becomes a decision that was made, and the sale is released, in one commit.
//!
//! * Nothing is deleted: the sale's rows stay in their tables as long as a settled one's, its document with the decision.
//! * What it changed of pulled rows is the channel's again: the next pull asks for those rows.

use crate::again;
use crate::contested;
use crate::database::LocalDatabase;
use crate::decided;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::purge;
use crate::record::{CommittedWhere, TransactionState, find};
use crate::registry::{Entry, Registry};
use crate::settle::{forget_log, mark_settled};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, TransactionBehavior};
use tillhold_core::conflict::BY_PERSON;
use tillhold_core::limits;
use tillhold_core::row::Key;
use tillhold_core::table::TableName;
use tillhold_core::transaction::TransactionId;

/// What stands in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quarantined {
    Sale(TransactionId),
    /// A pulled row, by the id that it was given when it was set aside.
    Row([u8; 16]),
}

impl Quarantined {
    pub fn id(self) -> [u8; 16] {
        match self {
            Quarantined::Sale(id) => id.0,
            Quarantined::Row(id) => id,
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Quarantined::Sale(_) => "sale",
            Quarantined::Row(_) => "row",
        }
    }
}

/// A person's decision to let something go.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// The channel's record has it too.
    pub id: [u8; 16],
    pub of: Quarantined,
    /// The row; of a sale its first that has a key.
    pub table: TableName,
    pub key: Key,
    pub who: String,
    pub why: String,
    pub asked_at_ms: i64,
    /// JSON: what it was, whole, and why it was set aside.
    pub document: String,
}

/// What became of an attempt to release.
#[derive(Clone, Debug, PartialEq)]
pub enum Releasing {
    Kept,
    /// Decided before, by whom; the channel has not recorded it yet.
    Before {
        who: String,
    },
    /// Not in quarantine.
    Gone,
}

impl LocalDatabase {
    /// Keeps the decision until both sides have it on record ([`LocalDatabase::released`]).
    pub async fn release(&self, release: Release) -> Result<Releasing, LocalError> {
        let registry = self.registry();
        let keep = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = keep(&transaction, &registry, &release)?;
            transaction.commit()?;
            Ok(answer)
        };
        self.writer(Kind::Journal).run(keep).await
    }

    /// Decisions that the channel may not have yet, oldest first.
    pub async fn releases(&self) -> Result<Vec<Release>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT of_id, kind, id, who, why, asked_at_ms, table_name, key, document \
                 FROM tillhold_release ORDER BY asked_at_ms, of_id LIMIT ?1",
            )?;
            let mut rows = statement.query([limits::RELEASES_SENT_MAX as i64])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(release(&registry, row)?);
            }
            Ok(found)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Which of these somebody has let go of, with the channel's record still to come.
    pub async fn releasing(&self) -> Result<Vec<[u8; 16]>, LocalError> {
        let read = |conn: &Connection| {
            let mut statement = conn.prepare_cached("SELECT of_id FROM tillhold_release")?;
            let ids = statement.query_map((), |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// The channel has recorded it: it leaves the quarantine. Doing it twice is doing it once.
    pub async fn released(&self, release: Release) -> Result<(), LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let done = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let id = release.of.id();
            let sql = "DELETE FROM tillhold_release WHERE of_id = ?1";
            if transaction.execute(sql, [&id[..]])? == 0 {
                return Ok(());
            }
            match release.of {
                Quarantined::Sale(id) => leave(&transaction, &registry, id, &release, now_ms)?,
                Quarantined::Row(id) => {
                    let sql = "DELETE FROM tillhold_row_aside WHERE id = ?1";
                    transaction.execute(sql, [&id[..]])?;
                }
            }
            note(&transaction, &registry, &release)?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(done).await
    }
}

impl LocalDatabase {
    /// The sale has arrived after all, an answer was lost: there is nothing to let go of.
    pub async fn withdraw_release(&self, of: Quarantined) -> Result<(), LocalError> {
        let forget = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "DELETE FROM tillhold_release WHERE of_id = ?1";
            transaction.execute(sql, [&of.id()[..]])?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(forget).await
    }
}

fn keep(conn: &Connection, registry: &Registry, release: &Release) -> Result<Releasing, Trouble> {
    let id = release.of.id();
    let before: Option<String> = conn
        .prepare_cached("SELECT who FROM tillhold_release WHERE of_id = ?1")?
        .query_row([&id[..]], |row| row.get(0))
        .optional()?;
    if let Some(who) = before {
        return Ok(Releasing::Before { who });
    }
    let is_there = match release.of {
        Quarantined::Sale(id) => {
            let known = find(conn, id)?;
            known.is_some_and(|known| known.state == TransactionState::Quarantined)
        }
        Quarantined::Row(id) => conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM tillhold_row_aside WHERE id = ?1)")?
            .query_row([&id[..]], |row| row.get(0))?,
    };
    if !is_there {
        return Ok(Releasing::Gone);
    }
    let entry = registry.get(&release.table)?;
    conn.prepare_cached(
        "INSERT INTO tillhold_release \
         (of_id, kind, id, who, why, asked_at_ms, table_name, key, document) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        &id[..],
        release.of.kind(),
        &release.id[..],
        &release.who,
        &release.why,
        release.asked_at_ms,
        entry.table.name.to_string(),
        image::encode_key(&entry.table, &release.key),
        &release.document,
    ))?;
    Ok(Releasing::Kept)
}

/// `None` for one of a table that the profile has left since: it waits for the table.
fn release(registry: &Registry, row: &SqlRow<'_>) -> Result<Option<Release>, Trouble> {
    let of = match row.get::<_, String>(1)?.as_str() {
        "sale" => Quarantined::Sale(TransactionId(row.get(0)?)),
        _ => Quarantined::Row(row.get(0)?),
    };
    let name: String = row.get(6)?;
    let Some(entry) = named(registry, &name) else { return Ok(None) };
    Ok(Some(Release {
        id: row.get(2)?,
        of,
        table: entry.table.name.clone(),
        // A key that has become another since is in the document.
        key: image::decode_key(&entry.table, &row.get::<_, String>(7)?).unwrap_or(Key(Vec::new())),
        who: row.get(3)?,
        why: row.get(4)?,
        asked_at_ms: row.get(5)?,
        document: row.get(8)?,
    }))
}

pub(crate) fn named<'r>(registry: &'r Registry, name: &str) -> Option<&'r Entry> {
    let name = TableName::parse(name)?;
    registry.get(&name).ok().map(AsRef::as_ref)
}

/// The sale's rows stay where they are, as a settled one's do; it will not be sent.
fn leave(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
    release: &Release,
    now_ms: i64,
) -> Result<(), Trouble> {
    again::ask_for_rows_of(conn, registry, id)?;
    purge::keep(conn, id, now_ms)?;
    forget_log(conn, id)?;
    contested::forget(conn, id)?;
    decided::forget_sent(conn, id)?;
    let kept = limits::SETTLED_TRANSACTIONS_KEPT;
    mark_settled(conn, id, CommittedWhere::Offline, now_ms, kept)?;
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET released_at_ms = ?2, reason_code = 'released', \
         reason = ?3 WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], now_ms, format!("by {}: {}", release.who, release.why)))?;
    Ok(())
}

/// Among the decisions that were made.
fn note(conn: &Connection, registry: &Registry, release: &Release) -> Result<(), Trouble> {
    let Release { id, of, table, key, who, why, asked_at_ms, document } = release;
    let entry = registry.get(table)?;
    conn.prepare_cached(
        "INSERT INTO tillhold_decision (transaction_id, table_id, table_name, key, rule, \
         decided_at_ms, id, state, who, why, released) \
         VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, 'made', ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
    )?
    .execute((
        &of.id()[..],
        entry.table.name.to_string(),
        image::encode_key(&entry.table, key),
        BY_PERSON,
        asked_at_ms,
        &id[..],
        who,
        why,
        document,
    ))?;
    decided::forget_oldest(conn)
}
