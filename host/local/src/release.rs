//! What a person lets go of: a sale that the channel refused and that will not be sent any more, or a pulled row that is
//! given up until it changes again.
//!
//! 1. The decision is kept here, with the whole sale in it; until 3 the sale stays in quarantine.
//! 2. The channel records it, under the id that is kept here: however often it is told, it has it once.
//! 3. It becomes a decision that was made, and the sale is released, in one commit.
//!
//! * Nothing is deleted: the sale's rows stay in their tables as long as a settled one's, its document with the decision.
//! * A row that an older unsent sale changed as well becomes what that one left, but for what was written since: under
//!   what will never be sent, the older one would count as overtaken.
//! * What it changed of pulled rows is the channel's again: the next pull asks for those rows.

use crate::apply;
use crate::cell::bind_row;
use crate::conflicts;
use crate::database::LocalDatabase;
use crate::decisions;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::purge;
use crate::record::{CommittedWhere, ITS_ROWS, TransactionState, find};
use crate::registry::{Entry, Registry};
use crate::retry;
use crate::row_changes::find_row;
use crate::settle::{forget_log, mark_settled};
use crate::waiting::decoded;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, TransactionBehavior};
use tillhold_core::conflict::BY_PERSON;
use tillhold_core::limits;
use tillhold_core::numbering::AX;
use tillhold_core::row::{Key, Row};
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

/// The sale's rows stay where they are, as a settled one's do, unless older ones are unsent; it will not be sent.
fn leave(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
    release: &Release,
    now_ms: i64,
) -> Result<(), Trouble> {
    retry::ask_for_rows_of(conn, registry, id)?;
    take_back(conn, registry, id)?;
    purge::keep(conn, id, now_ms)?;
    forget_log(conn, id)?;
    conflicts::forget(conn, id)?;
    decisions::forget_sent(conn, id)?;
    let kept = limits::SETTLED_TRANSACTIONS_KEPT;
    mark_settled(conn, id, CommittedWhere::Offline, now_ms, kept)?;
    conn.prepare_cached(
        "UPDATE tillhold_transaction SET released_at_ms = ?2, reason_code = 'released', \
         reason = ?3 WHERE transaction_id = ?1",
    )?
    .execute((&id.0[..], now_ms, format!("by {}: {}", release.who, release.why)))?;
    Ok(())
}

/// What the sale did to rows that older unsent ones have changed goes out of the log behind it and out of the tables: a
/// difference that it left there would be taken for a sale that was sent.
fn take_back(conn: &Connection, registry: &Registry, id: TransactionId) -> Result<(), Trouble> {
    for done in over_unsent(conn, registry, id)? {
        let forget =
            format!("DELETE FROM tillhold_log WHERE {ITS_ROWS} AND table_id = ?2 AND key = ?3");
        conn.prepare_cached(&forget)?.execute((&id.0[..], done.entry.id, &done.place))?;
        match &done.new {
            Some(new) => take_back_cells(conn, &done, new)?,
            None => put_back(conn, &done)?,
        }
    }
    Ok(())
}

/// A row as the sale found and left it.
struct Done<'r> {
    entry: &'r Entry,
    /// Its key as the log has it.
    place: String,
    last_seq: i64,
    old: Row,
    /// `None`: it took the row away.
    new: Option<Row>,
}

fn over_unsent<'r>(
    conn: &Connection,
    registry: &'r Registry,
    id: TransactionId,
) -> Result<Vec<Done<'r>>, Trouble> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT its.table_id, its.key, its.last, f.old_row, l.new_row FROM \
         (SELECT table_id, key, min(seq) AS first, max(seq) AS last FROM tillhold_log \
         WHERE {ITS_ROWS} GROUP BY table_id, key) AS its \
         INNER JOIN tillhold_log AS f ON f.seq = its.first \
         INNER JOIN tillhold_log AS l ON l.seq = its.last \
         WHERE f.old_row IS NOT NULL AND EXISTS (SELECT 1 FROM tillhold_log AS older \
         WHERE older.table_id = its.table_id AND older.key = its.key AND older.seq < its.first)"
    ))?;
    let mut rows = statement.query([&id.0[..]])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = registry.in_journal(row.get(0)?)?.as_ref();
        // What cannot be read says nothing about cells.
        let Some(Ok(old)) = decoded(entry, row.get(3)?) else { continue };
        let Ok(new) = decoded(entry, row.get(4)?).transpose() else { continue };
        found.push(Done { entry, place: row.get(1)?, last_seq: row.get(2)?, old, new });
    }
    Ok(found)
}

/// Cell by cell as far as they stand as the sale left them: whoever has changed one since has said what it is.
fn take_back_cells(conn: &Connection, done: &Done<'_>, new: &Row) -> Result<(), Trouble> {
    let Done { entry, place, last_seq, old, .. } = done;
    let mut stand = old.differences(new);
    let back = |row: &mut Row, stand: &mut Vec<usize>| {
        stand.retain(|at| row.0[*at] == new.0[*at]);
        stand.iter().for_each(|at| row.0[*at] = old.0[*at].clone());
    };
    let mut select = conn.prepare_cached(
        "SELECT seq, old_row, new_row FROM tillhold_log WHERE table_id = ?1 AND key = ?2 \
         AND seq > ?3 ORDER BY seq",
    )?;
    let mut rows = select.query((entry.id, place, last_seq))?;
    while !stand.is_empty()
        && let Some(row) = rows.next()?
    {
        let images = (decoded(entry, row.get(1)?), decoded(entry, row.get(2)?).transpose());
        // Another row of this key by now, or one that cannot be read.
        let (Some(Ok(mut before)), Ok(mut after)) = images else { return Ok(()) };
        back(&mut before, &mut stand);
        match &mut after {
            Some(after) => back(after, &mut stand),
            None => stand.clear(),
        }
        let images = [Some(&before), after.as_ref()];
        let [before, after] = images.map(|row| row.map(|row| image::encode(&entry.table, row)));
        conn.prepare_cached("UPDATE tillhold_log SET old_row = ?2, new_row = ?3 WHERE seq = ?1")?
            .execute((row.get::<_, i64>(0)?, before, after))?;
    }
    // The number of a sale never goes back on the register, whatever became of the sale.
    if stand.is_empty() || entry.table.name == AX.seeds() {
        return Ok(());
    }
    match find_row(conn, entry, &new.key(&entry.table)) {
        Ok(Some(mut row)) => {
            back(&mut row, &mut stand);
            write(conn, entry, &row)
        }
        Ok(None) | Err(Trouble::Told(LocalError::Unreadable { .. })) => Ok(()),
        Err(other) => Err(other),
    }
}

/// A row that the sale took away. Whoever made one of its key since has changed it.
fn put_back(conn: &Connection, done: &Done<'_>) -> Result<(), Trouble> {
    let Done { entry, place, last_seq, old, .. } = done;
    let made: Option<i64> = conn
        .prepare_cached(
            "SELECT seq FROM tillhold_log WHERE table_id = ?1 AND key = ?2 AND seq > ?3 \
             ORDER BY seq LIMIT 1",
        )?
        .query_row((entry.id, place, last_seq), |row| row.get(0))
        .optional()?;
    if let Some(seq) = made {
        let sql = "UPDATE tillhold_log SET operation = 'update', old_row = ?2 \
                   WHERE seq = ?1 AND operation = 'insert'";
        conn.prepare_cached(sql)?.execute((seq, image::encode(&entry.table, old)))?;
        return Ok(());
    }
    match find_row(conn, entry, &old.key(&entry.table)) {
        Ok(None) => write(conn, entry, old),
        Ok(Some(_)) | Err(Trouble::Told(LocalError::Unreadable { .. })) => Ok(()),
        Err(other) => Err(other),
    }
}

/// What is taken back is no news.
fn write(conn: &Connection, entry: &Entry, row: &Row) -> Result<(), Trouble> {
    apply::quietly(conn, Kind::Journal, |conn| {
        let mut statement = conn.prepare_cached(&entry.sql.upsert)?;
        bind_row(&mut statement, &entry.table, row)?;
        statement.raw_execute()?;
        Ok(())
    })
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
    decisions::forget_oldest(conn)
}
