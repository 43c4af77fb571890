//! What a comparison with the channel asks the offline database: sums of ranges, rows by their keys, keys in order.
//!
//! * Each question is one short read: no sale waits for it, and no snapshot stays open between two.
//! * A cell that another program spoilt is told as that, and costs no other row.

use crate::cell;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::read::Question;
use crate::registry::Entry;
use crate::schema::quoted;
use rusqlite::Connection;
use std::sync::Arc;
use tillhold_core::comparison::{Held, Here, RangeSum};
use tillhold_core::filter::Filter;
use tillhold_core::limits;
use tillhold_core::row::Key;
use tillhold_core::table::TableName;

/// A row by its key, and why it may differ from the channel's.
#[derive(Clone, Debug, PartialEq)]
pub struct RowHere {
    pub here: Here,
    pub held: Option<Held>,
}

impl LocalDatabase {
    /// The sum of the rows that are here under these keys.
    pub async fn range_sum(
        &self,
        table: &TableName,
        keys: Arc<[Key]>,
    ) -> Result<RangeSum, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let kind = entry.kind;
        let add = move |conn: &Connection| {
            let mut sum = RangeSum::default();
            for key in keys.iter() {
                match here(conn, &entry, key)? {
                    Here::Nothing => {}
                    Here::Row(row) => sum.add(&row),
                    Here::Unreadable(_) => sum.add_unreadable(),
                }
            }
            Ok(sum)
        };
        self.readers(kind).run(add).await
    }

    /// What is here under these keys, one answer a key, in their order.
    pub async fn rows_here(
        &self,
        table: &TableName,
        keys: &[Key],
    ) -> Result<Vec<RowHere>, LocalError> {
        let mut rows = Vec::with_capacity(keys.len());
        for portion in keys.chunks(limits::READ_ROWS_MAX) {
            rows.extend(self.portion_here(table, portion.into()).await?);
        }
        Ok(rows)
    }

    async fn portion_here(
        &self,
        table: &TableName,
        keys: Arc<[Key]>,
    ) -> Result<Vec<RowHere>, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let (kind, of_rows, of_marks) = (entry.kind, entry.clone(), keys.clone());
        let read = move |conn: &Connection| {
            let one = |key: &Key| {
                let held = match of_rows.kind {
                    Kind::Journal => in_log(conn, &of_rows, key)?,
                    Kind::Catalogue => None,
                };
                Ok(RowHere { here: here(conn, &of_rows, key)?, held })
            };
            keys.iter().map(one).collect::<Result<Vec<_>, Trouble>>()
        };
        let mut rows = self.readers(kind).run(read).await?;
        let marks = move |conn: &Connection| {
            of_marks.iter().map(|key| crate::row_quarantine::is_aside(conn, &entry, key)).collect()
        };
        let marks: Vec<bool> = self.readers(Kind::Journal).run(marks).await?;
        for (row, is_aside) in rows.iter_mut().zip(marks) {
            row.held = row.held.or(is_aside.then_some(Held::Aside));
        }
        Ok(rows)
    }

    /// The next keys behind `after` in the offline database's own order; fewer than [`limits::READ_ROWS_MAX`] are the last.
    pub async fn keys_behind(
        &self,
        table: &TableName,
        after: Option<Key>,
    ) -> Result<Vec<Key>, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let filter = Filter { after, limit: limits::READ_ROWS_MAX, ..Filter::default() };
        let columns: Vec<String> = entry.table.key_columns().map(|c| quoted(&c.name)).collect();
        let question = Question::selecting(&entry, &filter, &columns.join(", "))?;
        let kind = entry.kind;
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(&question.sql)?;
            let mut found = statement.query(rusqlite::params_from_iter(&question.parameters))?;
            let mut keys = Vec::new();
            while let Some(row) = found.next()? {
                keys.push(cell::read_key(row, &entry.table)?);
            }
            Ok(keys)
        };
        self.readers(kind).run(read).await
    }
}

fn here(conn: &Connection, entry: &Entry, key: &Key) -> Result<Here, Trouble> {
    let mut statement = conn.prepare_cached(&entry.sql.select_by_key)?;
    cell::bind_key(&mut statement, &entry.table, key, 1)?;
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else { return Ok(Here::Nothing) };
    Ok(match cell::read_row(row, &entry.table, 0) {
        Ok(row) => Here::Row(row),
        Err(Trouble::Told(LocalError::Unreadable { column, reason, .. })) => {
            Here::Unreadable(format!("{column}: {reason}"))
        }
        Err(trouble) => return Err(trouble),
    })
}

/// What the log says of a row: its oldest undecided change counts.
fn in_log(conn: &Connection, entry: &Entry, key: &Key) -> Result<Option<Held>, Trouble> {
    let of_key = image::key_sql(&entry.table, |nth, _| format!("?{}", nth + 1));
    let sql = format!(
        "SELECT t.state FROM tillhold_log AS l LEFT JOIN tillhold_transaction AS t \
         ON t.transaction_id = l.transaction_id WHERE l.table_id = {} AND l.key = {of_key} \
         ORDER BY t.state IN ('quarantined', 'deferred') DESC LIMIT 1",
        entry.id
    );
    let mut statement = conn.prepare_cached(&sql)?;
    cell::bind_key(&mut statement, &entry.table, key, 1)?;
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(match row.get::<_, Option<String>>(0)?.as_deref() {
        Some("quarantined") => Held::Aside,
        Some("deferred") => Held::Deferred,
        _ => Held::Unsent,
    }))
}
