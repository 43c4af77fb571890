//! What is tried again after what stood in its way has changed: refused sales, and pulled rows that the next pull of their
//! table asks the channel for, changed or not.
//!
//! * A refusal is kept with its circumstances: the plugin and the shapes of that moment, by the names of what they are of.
//!   Under others it is tried again, once: a new refusal has the new ones.
//! * A row with unsent changes is asked for once they are sent.
//! * A row is taken off the list as it lands ([`LocalDatabase::land_asked`]).

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::load::is_pending;
use crate::record::ITS_ROWS;
use crate::registry::{Entry, Registry};
use crate::release::named;
use crate::settle::retry;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_core::row::Key;
use tillhold_core::table::TableName;
use tillhold_core::transaction::TransactionId;

/// What refusals hang on, by name: for a pulled row its table's name, for a sale whatever was kept with it.
pub type Circumstances = BTreeMap<String, String>;

/// As they are kept with a sale's refusal.
pub fn kept_circumstances(of: &Circumstances) -> String {
    serde_json::json!(of).to_string()
}

impl LocalDatabase {
    /// Lets refused sales go up again whose circumstances are others now: the oldest, so many at most.
    pub async fn retry_where_changed(
        &self,
        now: Circumstances,
    ) -> Result<Vec<TransactionId>, LocalError> {
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let due = sales_due(&transaction, &now)?;
            for id in &due {
                retry(&transaction, *id)?;
            }
            transaction.commit()?;
            Ok(due)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Has rows asked for again that were set aside under other circumstances; how many. So many at most.
    pub async fn ask_again_where_changed(&self, now: Circumstances) -> Result<u64, LocalError> {
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut left = limits::ROWS_AGAIN_MAX;
            for (table, text) in &now {
                left -= rows_due(&transaction, table, text, left)?.min(left);
            }
            transaction.commit()?;
            Ok((limits::ROWS_AGAIN_MAX - left) as u64)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Has the row of this id asked for again; whether it is set aside.
    pub async fn ask_again(&self, row: [u8; 16]) -> Result<bool, LocalError> {
        let set = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "INSERT INTO tillhold_again (table_name, folded_key, key) \
                       SELECT table_name, folded_key, key FROM tillhold_row_aside WHERE id = ?1 \
                       AND id NOT IN (SELECT of_id FROM tillhold_release) \
                       ON CONFLICT (table_name, folded_key) DO UPDATE SET key = excluded.key";
            let asked = transaction.execute(sql, [&row[..]])? > 0;
            transaction.commit()?;
            Ok(asked)
        };
        self.writer(Kind::Journal).run(set).await
    }

    /// Scopes of which a pull has rows to ask for again.
    pub async fn scopes_to_ask_again(&self) -> Result<BTreeSet<String>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let mut scopes = BTreeSet::new();
            let mut statement =
                conn.prepare_cached("SELECT DISTINCT table_name FROM tillhold_again")?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                let entry = named(&registry, &row.get::<_, String>(0)?);
                if let Some(entry) = entry.filter(|entry| entry.direction.is_pulled())
                    && !keys_of(conn, entry, 1)?.is_empty()
                {
                    scopes.insert(entry.scope.clone());
                }
            }
            Ok(scopes)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Keys of the table that the channel is to be asked for.
    pub async fn keys_to_ask_again(&self, table: &TableName) -> Result<Vec<Key>, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let read = move |conn: &Connection| keys_of(conn, &entry, limits::ROWS_AGAIN_MAX);
        self.readers(Kind::Journal).run(read).await
    }
}

fn sales_due(conn: &Connection, now: &Circumstances) -> Result<Vec<TransactionId>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT transaction_id, reason_circumstances FROM tillhold_transaction \
         WHERE state = 'quarantined' AND reason_circumstances IS NOT NULL \
         AND transaction_id NOT IN (SELECT of_id FROM tillhold_release) ORDER BY first_seq",
    )?;
    let mut rows = statement.query(())?;
    let mut due = Vec::new();
    while due.len() < limits::SALES_RETRIED_MAX
        && let Some(row) = rows.next()?
    {
        let then: Circumstances =
            serde_json::from_str(&row.get::<_, String>(1)?).unwrap_or_default();
        let is_other =
            |(name, text): (&String, &String)| now.get(name).is_some_and(|now| now != text);
        if then.iter().any(is_other) {
            due.push(TransactionId(row.get(0)?));
        }
    }
    Ok(due)
}

fn rows_due(conn: &Connection, name: &str, now: &str, limit: usize) -> Result<usize, Trouble> {
    let mut mark = conn.prepare_cached(
        "UPDATE tillhold_row_aside SET circumstances = ?2 WHERE (table_name, folded_key) IN \
         (SELECT table_name, folded_key FROM tillhold_row_aside WHERE table_name = ?1 \
         AND circumstances IS NOT ?2 AND id NOT IN (SELECT of_id FROM tillhold_release) LIMIT ?3) \
         RETURNING folded_key, key",
    )?;
    let mut ask = conn.prepare_cached(
        "INSERT INTO tillhold_again (table_name, folded_key, key) VALUES (?1, ?2, ?3) \
         ON CONFLICT (table_name, folded_key) DO UPDATE SET key = excluded.key",
    )?;
    let mut rows = mark.query((name, now, limit as i64))?;
    let mut asked = 0;
    while let Some(row) = rows.next()? {
        ask.execute((name, row.get::<_, String>(0)?, row.get::<_, String>(1)?))?;
        asked += 1;
    }
    Ok(asked)
}

fn keys_of(conn: &Connection, entry: &Entry, limit: usize) -> Result<Vec<Key>, Trouble> {
    let mut statement =
        conn.prepare_cached("SELECT key FROM tillhold_again WHERE table_name = ?1")?;
    let mut rows = statement.query([entry.table.name.to_string()])?;
    let mut keys = Vec::new();
    while keys.len() < limit
        && let Some(row) = rows.next()?
    {
        let key = image::decode_key(&entry.table, &row.get::<_, String>(0)?)?;
        // Only the journal has unsent rows.
        if entry.kind == Kind::Catalogue || !is_pending(conn, entry, &key)? {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Pulled rows that a transaction changed: what it made of them will never be the channel's.
pub(crate) fn ask_for_rows_of(
    conn: &Connection,
    registry: &Registry,
    id: TransactionId,
) -> Result<(), Trouble> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT table_id, coalesce(new_row, old_row) FROM tillhold_log WHERE {ITS_ROWS}"
    ))?;
    let mut rows = statement.query([&id.0[..]])?;
    while let Some(row) = rows.next()? {
        let entry = registry.in_journal(row.get(0)?)?;
        // What cannot be read was never the channel's either, and has no key to ask by.
        let Ok(image) = image::decode(&entry.table, &row.get::<_, String>(1)?) else { continue };
        if entry.direction.is_pulled() {
            ask_for(conn, entry, &image.key(&entry.table), None)?;
        }
    }
    Ok(())
}

/// The next pull of the table asks for this row, or the first one that finds nothing of it unsent. `as_of` is the channel's
/// version of which the register has it, where its table will say a later one.
pub(crate) fn ask_for(
    conn: &Connection,
    entry: &Entry,
    key: &Key,
    as_of: Option<i64>,
) -> Result<(), Trouble> {
    conn.prepare_cached(
        "INSERT INTO tillhold_again (table_name, folded_key, key, as_of) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (table_name, folded_key) DO UPDATE SET \
         as_of = min(coalesce(as_of, excluded.as_of), coalesce(excluded.as_of, as_of))",
    )?
    .execute((
        entry.table.name.to_string(),
        entry.folded(key),
        image::encode_key(&entry.table, key),
        as_of,
    ))?;
    Ok(())
}

/// The next pull asks for this row if it was refused until now: passed, it has yet to land, and so long the register has it
/// as of the version that its mark says.
pub(crate) fn ask_for_passed(conn: &Connection, entry: &Entry, key: &Key) -> Result<(), Trouble> {
    conn.prepare_cached(
        "INSERT INTO tillhold_again (table_name, folded_key, key, as_of) \
         SELECT table_name, folded_key, key, as_of FROM tillhold_row_aside \
         WHERE table_name = ?1 AND folded_key = ?2 AND as_of IS NOT NULL \
         ON CONFLICT (table_name, folded_key) DO UPDATE SET \
         as_of = min(coalesce(as_of, excluded.as_of), excluded.as_of)",
    )?
    .execute((entry.table.name.to_string(), entry.folded(key)))?;
    Ok(())
}

/// The channel's version of which the register has the row, if it is an earlier one than its table's: a later one was left
/// alone or refused.
pub(crate) fn as_of(conn: &Connection, entry: &Entry, key: &Key) -> Result<Option<i64>, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT min(as_of) FROM (SELECT as_of FROM tillhold_again \
         WHERE table_name = ?1 AND folded_key = ?2 UNION ALL SELECT as_of \
         FROM tillhold_row_aside WHERE table_name = ?1 AND folded_key = ?2)",
    )?;
    let place = (entry.table.name.to_string(), entry.folded(key));
    Ok(statement.query_row(place, |row| row.get(0))?)
}

/// Rows that were asked for, by their tables.
pub(crate) type Asked = Vec<(Arc<Entry>, Vec<Key>)>;

/// Takes rows off the list.
pub(crate) fn forget(conn: &mut Connection, asked: &Asked) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (entry, keys) in asked {
        forget_here(&transaction, entry, keys.iter())?;
    }
    Ok(transaction.commit()?)
}

/// The same within the caller's transaction.
pub(crate) fn forget_here<'k>(
    conn: &Connection,
    entry: &Entry,
    keys: impl Iterator<Item = &'k Key>,
) -> Result<(), Trouble> {
    let sql = "DELETE FROM tillhold_again WHERE table_name = ?1 AND folded_key = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    for key in keys {
        statement.execute((entry.table.name.to_string(), entry.folded(key)))?;
    }
    Ok(())
}
