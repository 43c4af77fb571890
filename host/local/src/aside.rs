//! Pulled rows that a rule refused, each with its reason, until a later version of the row passes.
//!
//! * The register keeps what it has of such a row; nothing of it is written.
//! * It blocks no other row.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::registry::Entry;
use rusqlite::{Connection, TransactionBehavior};
use tillhold_core::row::Key;
use tillhold_core::table::TableName;

/// A ruled page of one table: which rows were refused, and which passed and so need no mark any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulingOutcome {
    pub refused: Vec<(Key, String)>,
    pub passed: Vec<Key>,
}

/// A row that waits, for people: the key as `COLUMN=value` texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAside {
    pub scope: String,
    pub table: TableName,
    pub key: String,
    pub reason: String,
    pub since_ms: i64,
}

/// A listing shows at most so many; the count says how many there are.
const SHOWN_MAX: i64 = 1_000;

impl LocalDatabase {
    /// Marks the refused rows, with a newer reason over an older one, and takes the marks of those that passed away.
    pub async fn set_rows_aside(
        &self,
        scope: &str,
        table: &TableName,
        outcome: RulingOutcome,
    ) -> Result<(), LocalError> {
        let entry = self.registry().get(table)?.clone();
        let (scope, now_ms) = (scope.to_string(), self.env().clock.wall_ms());
        let mark = move |conn: &mut Connection| mark(conn, &scope, &entry, &outcome, now_ms);
        self.writer(Kind::Journal).run(mark).await
    }

    /// Takes away the marks of all rows of these tables.
    pub(crate) async fn forget_rows_aside(&self, tables: Vec<TableName>) -> Result<(), LocalError> {
        let forget = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in &tables {
                let sql = "DELETE FROM tillhold_row_aside WHERE table_name = ?1";
                transaction.execute(sql, [table.to_string()])?;
            }
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(forget).await
    }

    /// The rows that wait, oldest first.
    pub async fn rows_aside(&self) -> Result<Vec<RowAside>, LocalError> {
        let registry = self.registry();
        let list = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(
                "SELECT table_name, key, scope, reason, since_ms FROM tillhold_row_aside \
                 ORDER BY since_ms, table_name, key LIMIT ?1",
            )?;
            let mut rows = statement.query([SHOWN_MAX])?;
            let mut waiting = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let known = registry.all().find(|entry| entry.table.name.to_string() == name);
                let Some(entry) = known else { continue };
                let key = image::decode_key(&entry.table, &row.get::<_, String>(1)?)?;
                waiting.push(RowAside {
                    scope: row.get(2)?,
                    table: entry.table.name.clone(),
                    key: key.named(&entry.table).to_string(),
                    reason: row.get(3)?,
                    since_ms: row.get(4)?,
                });
            }
            Ok(waiting)
        };
        self.readers(Kind::Journal).run(list).await
    }
}

fn mark(
    conn: &mut Connection,
    scope: &str,
    entry: &Entry,
    outcome: &RulingOutcome,
    now_ms: i64,
) -> Result<(), Trouble> {
    let name = entry.table.name.to_string();
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for key in &outcome.passed {
        transaction
            .prepare_cached(
                "DELETE FROM tillhold_row_aside WHERE table_name = ?1 AND folded_key = ?2",
            )?
            .execute((&name, folded(entry, key)))?;
    }
    for (key, reason) in &outcome.refused {
        transaction
            .prepare_cached(
                "INSERT INTO tillhold_row_aside \
                 (table_name, folded_key, key, scope, reason, since_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (table_name, folded_key) \
                 DO UPDATE SET key = excluded.key, scope = excluded.scope, reason = excluded.reason",
            )?
            .execute((
                &name,
                folded(entry, key),
                image::encode_key(&entry.table, key),
                scope,
                reason,
                now_ms,
            ))?;
    }
    Ok(transaction.commit()?)
}

/// Whether a row is marked.
pub(crate) fn is_aside(conn: &Connection, entry: &Entry, key: &Key) -> Result<bool, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM tillhold_row_aside WHERE table_name = ?1 AND folded_key = ?2)",
    )?;
    let name = entry.table.name.to_string();
    Ok(statement.query_row((name, folded(entry, key)), |row| row.get(0))?)
}

/// Keys that the channel calls equal are one row's.
fn folded(entry: &Entry, key: &Key) -> String {
    serde_json::Value::from(key.folded(&entry.table)).to_string()
}
