//! Conflicts that wait for a person, and what the person chose.
//!
//! * A conflict's id is what people type. The row that the channel has is part of what they were shown: when it moves,
//!   that is another conflict with another id, so nobody decides about a row that they have not seen.
//! * A choice is kept until the transaction is settled; a transaction goes up again when all its conflicts are chosen.

use crate::database::LocalDatabase;
use crate::decisions::sides;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::listing::{conflict, list};
use crate::record::TransactionState;
use crate::registry::{Entry, Registry};
use crate::settle::{set_state, unsettled};
use rusqlite::{Connection, Row as SqlRow, TransactionBehavior};
use serde_json::{Map, Value as Json};
use tillhold_core::conflict::{Choice, Conflict, Side};
use tillhold_core::table::Table;
use tillhold_core::text;
use tillhold_core::transaction::TransactionId;
use tillhold_core::version::ChannelVersion;

/// A conflict that is left to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferred {
    pub id: [u8; 16],
    pub conflict: Conflict,
    pub reason: String,
    /// The policy or plugin that left it to a person.
    pub rule: String,
    pub plugin: Option<String>,
    /// At which the channel's row was changed last.
    pub version: Option<ChannelVersion>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConflictRecord {
    pub transaction: TransactionId,
    pub deferred: Deferred,
    pub deferred_at_ms: i64,
    pub chosen: Option<Chosen>,
}

/// What a person chose, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub choice: Choice,
    pub at_ms: i64,
}

/// What became of an attempt to choose.
#[derive(Clone, Debug, PartialEq)]
pub enum Choosing {
    /// Kept; so many conflicts of the transaction still wait. With none it is pending.
    Kept { transaction: TransactionId, waiting: u64 },
    /// Chosen before, by whom.
    Before(Box<Chosen>),
    /// Not there: settled, or shown anew because the channel's row moved.
    Gone,
}

const COLUMNS: &str = "transaction_id, table_id, key, base_row, channel_row, offline_row, reason, \
                       deferred_at_ms, id, rule, plugin, channel_version, choice, who, why, \
                       chosen_at_ms";

impl LocalDatabase {
    /// Lets a transaction wait for a person, with its conflicts. What was chosen for its other rows is kept.
    pub async fn defer(
        &self,
        id: TransactionId,
        conflicts: Vec<Deferred>,
    ) -> Result<(), LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            unsettled(&transaction, id, "deferred")?;
            transaction
                .prepare_cached(
                    "DELETE FROM tillhold_conflict WHERE transaction_id = ?1 AND choice IS NULL",
                )?
                .execute([&id.0[..]])?;
            for deferred in &conflicts {
                let entry = registry.get(&deferred.conflict.table.name)?;
                remember(&transaction, id, entry, deferred, now_ms)?;
            }
            let words: Vec<&str> = conflicts.iter().map(|c| c.reason.as_str()).collect();
            let reason = ("conflict".to_string(), words.join("; "));
            set_state(&transaction, id, TransactionState::Deferred, Some((&reason, now_ms)))?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Conflicts that wait for a person or for the push that carries their choice out, oldest first.
    pub async fn conflicts(&self) -> Result<Vec<ConflictRecord>, LocalError> {
        let registry = self.registry();
        let sql = format!("SELECT {COLUMNS} FROM tillhold_conflict ORDER BY conflict_id LIMIT ?1");
        let read = move |conn: &Connection| list(conn, &sql, |row| record(&registry, row));
        self.readers(Kind::Journal).run(read).await
    }

    /// Those of one transaction.
    pub async fn conflicts_of(&self, id: TransactionId) -> Result<Vec<ConflictRecord>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM tillhold_conflict WHERE transaction_id = ?1 \
                 ORDER BY conflict_id"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query([&id.0[..]])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(record(&registry, row)?);
            }
            Ok(found)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Transactions that wait to be sent with what a person chose.
    pub async fn chosen(&self) -> Result<Vec<TransactionId>, LocalError> {
        let read = |conn: &Connection| {
            let sql =
                "SELECT DISTINCT transaction_id FROM tillhold_conflict WHERE choice IS NOT NULL";
            let mut statement = conn.prepare_cached(sql)?;
            let ids = statement.query_map((), |row| Ok(TransactionId(row.get(0)?)))?;
            Ok(ids.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Keeps what a person chose about the conflict of this very id.
    pub async fn choose(&self, id: [u8; 16], choice: Choice) -> Result<Choosing, LocalError> {
        let (registry, now_ms) = (self.registry(), self.env().clock.wall_ms());
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = choose(&transaction, &registry, id, &choice, now_ms)?;
            transaction.commit()?;
            Ok(answer)
        };
        self.writer(Kind::Journal).run(set).await
    }
}

fn choose(
    conn: &Connection,
    registry: &Registry,
    id: [u8; 16],
    choice: &Choice,
    now_ms: i64,
) -> Result<Choosing, Trouble> {
    let sql = format!("SELECT {COLUMNS} FROM tillhold_conflict WHERE id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([&id[..]])?;
    let Some(row) = rows.next()? else { return Ok(Choosing::Gone) };
    let found = record(registry, row)?;
    if let Some(chosen) = found.chosen {
        return Ok(Choosing::Before(Box::new(chosen)));
    }
    let written = choice_text(&found.deferred.conflict.table, choice);
    conn.prepare_cached(
        "UPDATE tillhold_conflict SET choice = ?2, who = ?3, why = ?4, chosen_at_ms = ?5 WHERE id = ?1",
    )?
    .execute((&id[..], written, &choice.who, &choice.why, now_ms))?;
    let transaction = found.transaction;
    let waiting: i64 = conn
        .prepare_cached(
            "SELECT count(*) FROM tillhold_conflict WHERE transaction_id = ?1 AND choice IS NULL",
        )?
        .query_row([&transaction.0[..]], |row| row.get(0))?;
    if waiting == 0 {
        unsettled(conn, transaction, "sent again")?;
        set_state(conn, transaction, TransactionState::Pending, None)?;
    }
    Ok(Choosing::Kept { transaction, waiting: waiting as u64 })
}

pub(crate) fn forget(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    conn.prepare_cached("DELETE FROM tillhold_conflict WHERE transaction_id = ?1")?
        .execute([&id.0[..]])?;
    Ok(())
}

fn remember(
    conn: &Connection,
    transaction: TransactionId,
    entry: &Entry,
    deferred: &Deferred,
    now_ms: i64,
) -> Result<(), Trouble> {
    let Deferred { id, conflict, reason, rule, plugin, version } = deferred;
    let key = image::encode_key(&entry.table, &conflict.key);
    let [base, channel, offline] = sides(entry, conflict);
    // A row that was chosen about and has moved since is this one now.
    conn.prepare_cached(
        "DELETE FROM tillhold_conflict WHERE transaction_id = ?1 AND table_id = ?2 AND key = ?3",
    )?
    .execute((&transaction.0[..], entry.id, &key))?;
    conn.prepare_cached(
        "INSERT INTO tillhold_conflict (transaction_id, table_id, key, base_row, channel_row, \
         offline_row, reason, deferred_at_ms, id, rule, plugin, channel_version) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute((
        &transaction.0[..],
        entry.id,
        key,
        base,
        channel,
        offline,
        reason,
        now_ms,
        &id[..],
        rule,
        plugin,
        version.map(|version| version.0 as i64),
    ))?;
    Ok(())
}

fn record(registry: &Registry, row: &SqlRow<'_>) -> Result<ConflictRecord, Trouble> {
    let conflict = conflict(registry, row)?;
    let chosen = match row.get::<_, Option<String>>(12)? {
        Some(text) => Some(Chosen {
            choice: Choice {
                who: row.get::<_, Option<String>>(13)?.unwrap_or_default(),
                why: row.get(14)?,
                ..choice(&conflict.table, &text)?
            },
            at_ms: row.get::<_, Option<i64>>(15)?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(ConflictRecord {
        transaction: TransactionId(row.get(0)?),
        deferred: Deferred {
            id: row.get(8)?,
            conflict,
            reason: row.get(6)?,
            rule: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
            plugin: row.get(10)?,
            version: row.get::<_, Option<i64>>(11)?.map(|version| ChannelVersion(version as u64)),
        },
        deferred_at_ms: row.get(7)?,
        chosen,
    })
}

fn choice_text(table: &Table, choice: &Choice) -> String {
    let cell = |(at, value): &(usize, tillhold_core::value::Value)| {
        let column = &table.columns[*at];
        (column.name.clone(), text::canonical(value, column.of).map_or(Json::Null, Json::String))
    };
    let set: Map<String, Json> = choice.set.iter().map(cell).collect();
    serde_json::json!({ "take": choice.take.name(), "set": set }).to_string()
}

fn choice(table: &Table, written: &str) -> Result<Choice, LocalError> {
    let broken =
        |reason: &str| crate::cell::unreadable(table, "*", format!("a person's choice {reason}"));
    let json: Json = serde_json::from_str(written).map_err(|_| broken("is no JSON"))?;
    let take =
        json["take"].as_str().and_then(Side::parse).ok_or_else(|| broken("takes no side"))?;
    let mut set = Vec::new();
    for (name, cell) in json["set"].as_object().into_iter().flatten() {
        let at = table.position(name).ok_or_else(|| broken("names a column that is gone"))?;
        let value = match cell.as_str() {
            Some(given) => text::parse(given, table.columns[at].of)
                .map_err(|misfit| crate::cell::unreadable(table, name, misfit.reason))?,
            None => tillhold_core::value::Value::Null,
        };
        set.push((at, value));
    }
    Ok(Choice { take, set, who: String::new(), why: None })
}
