//! Pulled rows that were refused, by a rule or because they cannot be carried, each with its reason, until a later version
//! of the row passes or a person gives it up.
//!
//! * The register keeps what it has of such a row; nothing of it is written.
//! * It blocks no other row.
//! * What the register writes to such a row meanwhile was not written with the refused version in sight: it goes up as of the
//!   version that the register has, until the row has landed or a person has given it up.
//! * Its id is given when it is set aside, and stays while it is.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, Registry};
use crate::release::named;
use crate::{apply, image, retry};
use rusqlite::{Connection, Row as SqlRow, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_core::row::Key;
use tillhold_core::table::{Table, TableName};
use tillhold_env::Env;

/// A ruled page of one table: which rows were refused, and which passed and so need no mark any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulingOutcome {
    pub refused: Vec<Refused>,
    pub passed: Vec<Key>,
    /// What the refusals hang on: when it is another, the rows are asked for again.
    pub circumstances: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub key: Key,
    pub code: &'static str,
    pub reason: String,
}

/// A row that waits, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct RowAside {
    pub id: [u8; 16],
    pub scope: String,
    pub table: Arc<Table>,
    pub row_key: Key,
    /// As `COLUMN=value` texts.
    pub key: String,
    pub code: String,
    pub reason: String,
    pub since_ms: i64,
    /// The next pull asks for it again.
    pub is_asked_again: bool,
}

/// Where a listing goes on: behind the row of this moment and id.
pub type AfterRow = (i64, [u8; 16]);

const COLUMNS: &str = "r.table_name, r.key, r.scope, r.reason, r.since_ms, r.id, r.code, \
                       EXISTS (SELECT 1 FROM tillhold_again AS a \
                       WHERE a.table_name = r.table_name AND a.folded_key = r.folded_key)";

impl LocalDatabase {
    /// Marks the refused rows, with a newer reason over an older one, and takes the marks of those that passed away.
    pub async fn set_rows_aside(
        &self,
        scope: &str,
        table: &TableName,
        outcome: RulingOutcome,
    ) -> Result<(), LocalError> {
        let entry = self.registry().get(table)?.clone();
        let (scope, env) = (scope.to_string(), self.env().clone());
        let mark = move |conn: &mut Connection| mark(conn, &scope, &entry, &outcome, &env);
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

    /// How many rows of these tables wait.
    pub async fn count_rows_aside(&self, tables: Vec<TableName>) -> Result<u64, LocalError> {
        let count = move |conn: &Connection| {
            let sql = "SELECT count(*) FROM tillhold_row_aside WHERE table_name = ?1";
            let mut statement = conn.prepare_cached(sql)?;
            let mut all = 0;
            for table in &tables {
                all += statement.query_row([table.to_string()], |row| row.get::<_, i64>(0))? as u64;
            }
            Ok(all)
        };
        self.readers(Kind::Journal).run(count).await
    }

    /// The rows that wait, oldest first, behind `after`.
    pub async fn rows_aside(
        &self,
        after: Option<AfterRow>,
        limit: usize,
    ) -> Result<Vec<RowAside>, LocalError> {
        let registry = self.registry();
        let (since_ms, id) = after.unwrap_or((i64::MIN, [0; 16]));
        let list = move |conn: &Connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM tillhold_row_aside AS r WHERE (r.since_ms, r.id) > (?1, ?2) \
                 ORDER BY r.since_ms, r.id LIMIT ?3"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let limit = limit.min(limits::LISTING_ROWS_MAX) as i64;
            let mut rows = statement.query((since_ms, &id[..], limit))?;
            let mut waiting = Vec::new();
            while let Some(row) = rows.next()? {
                waiting.extend(waits(&registry, row)?);
            }
            Ok(waiting)
        };
        self.readers(Kind::Journal).run(list).await
    }

    pub async fn row_aside(&self, id: [u8; 16]) -> Result<Option<RowAside>, LocalError> {
        let registry = self.registry();
        let read = move |conn: &Connection| {
            let sql = format!("SELECT {COLUMNS} FROM tillhold_row_aside AS r WHERE r.id = ?1");
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query([&id[..]])?;
            match rows.next()? {
                Some(row) => waits(&registry, row),
                None => Ok(None),
            }
        };
        self.readers(Kind::Journal).run(read).await
    }
}

/// Whether a row is marked.
pub(crate) fn is_aside(conn: &Connection, entry: &Entry, key: &Key) -> Result<bool, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM tillhold_row_aside WHERE table_name = ?1 AND folded_key = ?2)",
    )?;
    let name = entry.table.name.to_string();
    Ok(statement.query_row((name, entry.folded(key)), |row| row.get(0))?)
}

/// `None` for one of a table that has left the profile.
fn waits(registry: &Registry, row: &SqlRow<'_>) -> Result<Option<RowAside>, Trouble> {
    let Some(entry) = named(registry, &row.get::<_, String>(0)?) else { return Ok(None) };
    let row_key = image::decode_key(&entry.table, &row.get::<_, String>(1)?)?;
    let key = row_key.named(&entry.table).to_string();
    Ok(Some(RowAside {
        scope: row.get(2)?,
        table: entry.table.clone(),
        key,
        row_key,
        reason: row.get(3)?,
        since_ms: row.get(4)?,
        id: row.get(5)?,
        code: row.get(6)?,
        is_asked_again: row.get(7)?,
    }))
}

fn mark(
    conn: &mut Connection,
    scope: &str,
    entry: &Entry,
    outcome: &RulingOutcome,
    env: &Env,
) -> Result<(), Trouble> {
    let (name, now_ms) = (entry.table.name.to_string(), env.clock.wall_ms());
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Of the other file no row is the register's to write.
    let as_of = match entry.kind {
        Kind::Journal => Some(apply::as_of(&entry.progress(&transaction)?)),
        Kind::Catalogue => None,
    };
    for key in &outcome.passed {
        if as_of.is_some() {
            retry::ask_for_passed(&transaction, entry, key)?;
        }
        transaction
            .prepare_cached(
                "DELETE FROM tillhold_row_aside WHERE table_name = ?1 AND folded_key = ?2",
            )?
            .execute((&name, entry.folded(key)))?;
    }
    for Refused { key, code, reason } in &outcome.refused {
        transaction
            .prepare_cached(
                "INSERT INTO tillhold_row_aside \
                 (table_name, folded_key, key, scope, reason, since_ms, id, code, circumstances, as_of) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                 ON CONFLICT (table_name, folded_key) DO UPDATE SET key = excluded.key, \
                 scope = excluded.scope, reason = excluded.reason, code = excluded.code, \
                 circumstances = excluded.circumstances",
            )?
            .execute((
                &name,
                entry.folded(key),
                image::encode_key(&entry.table, key),
                scope,
                reason,
                now_ms,
                &env.random.uuid()[..],
                code,
                &outcome.circumstances,
                as_of,
            ))?;
    }
    Ok(transaction.commit()?)
}
