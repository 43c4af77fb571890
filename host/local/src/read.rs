//! What the till reads: rows by key or a simple filter, in key order.
//!
//! * Conditions are put exactly as the key index and the lookup indexes are built, so that SQLite uses them.
//! * Key order is that of the stored, folded values, byte by byte: the same on every page, not SQL Server's.

use crate::cell;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::Trouble;
use crate::image;
use crate::registry::Entry;
use crate::schema::{comparable, folded, quoted};
use rusqlite::Connection;
use rusqlite::types::Value as Stored;
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::filter::Filter;
use tillhold_core::limits;
use tillhold_core::row::{Key, Row, fold, spellings};
use tillhold_core::table::{Column, Table, TableName};
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

impl LocalDatabase {
    /// The rows of `table` that `filter` asks for. Refused until the table's first load has landed, and where its columns
    /// are others by now ([`LocalError::Reshaped`]): the filter and the rows go by positions.
    pub async fn read(&self, table: &Table, filter: &Filter) -> Result<Vec<Row>, LocalError> {
        Ok(self.page(table, filter).await?.rows)
    }

    /// The same with the version that the rows are of, both from one snapshot.
    pub async fn page(&self, table: &Table, filter: &Filter) -> Result<Page, LocalError> {
        let entry = self.entry_as(table)?;
        let (kind, question) = (entry.kind, Question::of(&entry, filter)?);
        let read = move |conn: &Connection| {
            let progress = entry.progress_in_shape(conn)?;
            if !progress.ready {
                return Err(LocalError::NotReady { table: entry.table.name.clone() }.into());
            }
            let mut statement = conn.prepare_cached(&question.sql)?;
            let mut found = statement.query(rusqlite::params_from_iter(&question.parameters))?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                rows.push(cell::read_row(row, &entry.table, 0)?);
            }
            Ok(Page { version: entry.state(&progress)?.version, rows })
        };
        self.readers(kind).run_at_once(read).await
    }

    /// Rows of the table that the register has changed and not sent, as they are now: those that the filter asks for, in an
    /// order of their own behind `filter.after`, and the keys of all, those that it has deleted among them. What the
    /// channel has of these is older.
    pub async fn unsent_of(
        &self,
        table: &Table,
        filter: &Filter,
    ) -> Result<UnsentRows, LocalError> {
        let (entry, filter) = (self.entry_as(table)?, filter.clone());
        let kind = entry.kind;
        let read = move |conn: &Connection| {
            entry.progress_in_shape(conn)?;
            let sql = "SELECT DISTINCT key FROM tillhold_log WHERE table_id = ?1";
            let mut statement = conn.prepare_cached(sql)?;
            let mut images = statement.query([entry.id])?;
            let mut keys = BTreeMap::new();
            while let Some(row) = images.next()? {
                let key = image::decode_key(&entry.table, &row.get::<_, String>(0)?)?;
                keys.insert(entry.folded(&key), key);
            }
            let after = filter.after.as_ref().map(|key| entry.folded(key));
            let mut rows = Vec::new();
            for (text, key) in &keys {
                if rows.len() < filter.limit && after.as_ref().is_none_or(|after| after < text) {
                    rows.extend(passing(conn, &entry, &filter, key)?);
                }
            }
            Ok(UnsentRows { rows, keys: keys.into_values().collect() })
        };
        self.readers(kind).run_at_once(read).await
    }

    /// Whoever asks knows the table as it is here.
    fn entry_as(&self, table: &Table) -> Result<Arc<Entry>, LocalError> {
        let entry = self.registry().get(&table.name)?.clone();
        if !entry.table.has_columns_of(table) {
            return Err(LocalError::Reshaped { table: table.name.clone() });
        }
        Ok(entry)
    }

    pub async fn count(&self, table: &TableName) -> Result<u64, LocalError> {
        let entry = self.registry().get(table)?.clone();
        let count = move |conn: &Connection| {
            Ok(conn.query_row(&entry.sql.count, (), |row| row.get::<_, i64>(0))? as u64)
        };
        self.readers(self.registry().get(table)?.kind).run(count).await
    }
}

/// The row of that key, if the filter asks for it.
fn passing(
    conn: &Connection,
    entry: &Entry,
    filter: &Filter,
    key: &Key,
) -> Result<Option<Row>, Trouble> {
    let rules_out = |(at, value): &(usize, Value)| {
        let nth = entry.table.key.iter().position(|of_key| of_key == at);
        nth.is_some_and(|nth| is_other(&entry.table.columns[*at], value, &key.0[nth]))
    };
    if filter.equals.iter().any(rules_out) {
        return Ok(None);
    }
    let mut one = Filter { after: None, limit: 1, ..filter.clone() };
    one.equals.extend(entry.table.key.iter().copied().zip(key.0.iter().cloned()));
    let question = Question::of(entry, &one)?;
    let mut statement = conn.prepare_cached(&question.sql)?;
    let mut found = statement.query(rusqlite::params_from_iter(&question.parameters))?;
    found.next()?.map(|row| cell::read_row(row, &entry.table, 0)).transpose()
}

/// Whether a part of a key is another one for certain: then SQLite need not be asked.
fn is_other(column: &Column, wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Text(wanted), Value::Text(there)) => {
            column.folds() && wanted.is_ascii() && there.is_ascii() && fold(wanted) != fold(there)
        }
        _ => false,
    }
}

/// What the register has of a table and the channel has not.
#[derive(Clone, Debug, Default)]
pub struct UnsentRows {
    pub rows: Vec<Row>,
    pub keys: Vec<Key>,
}

/// Rows of one table, in key order.
#[derive(Clone, Debug)]
pub struct Page {
    /// How far the table had been pulled; `None` for a table that is only pushed.
    pub version: Option<ChannelVersion>,
    pub rows: Vec<Row>,
}

pub(crate) struct Question {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Stored>,
}

/// Behind every text that begins with the prefix: no text has a character above this one.
const LAST_CHARACTER: char = '\u{10FFFF}';

impl Question {
    fn of(entry: &Entry, filter: &Filter) -> Result<Question, LocalError> {
        let columns: Vec<String> = entry.table.columns.iter().map(|c| quoted(&c.name)).collect();
        Question::selecting(entry, filter, &columns.join(", "))
    }

    pub(crate) fn selecting(
        entry: &Entry,
        filter: &Filter,
        columns: &str,
    ) -> Result<Question, LocalError> {
        let mut asked = Question { sql: String::new(), parameters: Vec::new() };
        let mut conditions = Vec::new();
        for (at, value) in &filter.equals {
            conditions.push(asked.equals(entry, *at, value)?);
        }
        if let Some((at, prefix)) = &filter.prefix {
            conditions.push(asked.begins(entry, *at, prefix)?);
        }
        // Key columns that are fixed order nothing, and SQLite sees an index in order only without them.
        let fixed = |at: &usize| filter.equals.iter().any(|(fixed, _)| fixed == at);
        let open: Vec<usize> = entry.table.key.iter().copied().filter(|at| !fixed(at)).collect();
        if let Some(key) = &filter.after {
            conditions.push(asked.behind(entry, key, &open)?);
        }
        asked.sql = format!("SELECT {columns} FROM {}", quoted(&entry.table.name.to_string()));
        if !conditions.is_empty() {
            asked.sql += &format!(" WHERE {}", conditions.join(" AND "));
        }
        if !open.is_empty() {
            let order: Vec<String> =
                open.iter().map(|at| comparable(&entry.table.columns[*at], "")).collect();
            asked.sql += &format!(" ORDER BY {}", order.join(", "));
        }
        asked.sql += &format!(" LIMIT {}", filter.limit.min(limits::READ_ROWS_MAX));
        Ok(asked)
    }

    fn equals(&mut self, entry: &Entry, at: usize, value: &Value) -> Result<String, LocalError> {
        let column = column(entry, at)?;
        if value.is_null() {
            return Ok(format!("{} IS NULL", quoted(&column.name)));
        }
        let spelled = match value {
            Value::Text(text) if column.folds() && !text.is_ascii() => spellings(text),
            _ => Vec::new(),
        };
        if spelled.len() < 2 {
            let mark = self.parameter(entry, column, value)?;
            return Ok(format!("{} = {mark}", comparable(column, "")));
        }
        let mut marks = Vec::new();
        for word in spelled {
            marks.push(self.parameter(entry, column, &Value::Text(word))?);
        }
        Ok(format!("{} IN ({})", comparable(column, ""), marks.join(", ")))
    }

    fn begins(&mut self, entry: &Entry, at: usize, prefix: &str) -> Result<String, LocalError> {
        let column = column(entry, at)?;
        if !column.of.is_text() {
            return Err(misfit(entry, column, format!("a {} does not begin with text", column.of)));
        }
        // Not trimmed: a blank at the prefix's end is one that must follow.
        let bare = prefix.trim_end_matches(' ');
        let blanks = &prefix[bare.len()..];
        let spelled = match column.folds() {
            true => spellings(bare).into_iter().map(|start| start + blanks).collect(),
            false => vec![prefix.to_string()],
        };
        let name = comparable(column, "");
        let mut ranges = Vec::new();
        for low in spelled {
            let high = format!("{low}{LAST_CHARACTER}");
            self.parameters.extend([Stored::Text(low), Stored::Text(high)]);
            let last = self.parameters.len();
            ranges.push(format!("{name} >= ?{} AND {name} < ?{last}", last - 1));
        }
        Ok(match ranges.len() {
            1 => ranges.remove(0),
            _ => format!("({})", ranges.join(" OR ")),
        })
    }

    /// Behind `key` in the order of the key columns that are still open.
    fn behind(&mut self, entry: &Entry, key: &Key, open: &[usize]) -> Result<String, LocalError> {
        let table = &entry.table;
        if key.0.len() != table.key.len() {
            let (given, expected) = (key.0.len(), table.key.len());
            return Err(LocalError::Width { table: table.name.clone(), given, expected });
        }
        let (mut names, mut marks) = (Vec::new(), Vec::new());
        for (at, value) in table.key.iter().zip(&key.0).filter(|(at, _)| open.contains(at)) {
            names.push(comparable(&table.columns[*at], ""));
            marks.push(self.parameter(entry, &table.columns[*at], value)?);
        }
        let (Some(first), Some(least)) = (names.first(), marks.first()) else {
            return Ok("0".to_string());
        };
        // The first part says nothing new, but it is what SQLite can seek an expression index by.
        let seek = format!("{first} >= {least}");
        Ok(format!("{seek} AND ({}) > ({})", names.join(", "), marks.join(", ")))
    }

    /// Adds a value to compare `column` with, and answers its mark.
    fn parameter(
        &mut self,
        entry: &Entry,
        column: &Column,
        value: &Value,
    ) -> Result<String, LocalError> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        let stored = cell::stored(value, column.of)
            .map_err(|refusal| misfit(entry, column, refusal.reason))?;
        self.parameters.push(match stored {
            ToSqlOutput::Owned(value) => value,
            ToSqlOutput::Borrowed(value) => match value {
                ValueRef::Null => Stored::Null,
                ValueRef::Integer(number) => Stored::Integer(number),
                ValueRef::Real(number) => Stored::Real(number),
                ValueRef::Text(text) => Stored::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Stored::Blob(bytes.to_vec()),
            },
            _ => Stored::Null,
        });
        let mark = format!("?{}", self.parameters.len());
        Ok(if column.folds() { folded(&mark) } else { mark })
    }
}

fn column(entry: &Entry, at: usize) -> Result<&Column, LocalError> {
    let (table, expected) = (entry.table.name.clone(), entry.table.columns.len());
    entry.table.columns.get(at).ok_or(LocalError::Width { table, given: at + 1, expected })
}

fn misfit(entry: &Entry, column: &Column, reason: String) -> LocalError {
    let (table, column) = (entry.table.name.clone(), column.name.clone());
    LocalError::Misfit { table, column, reason }
}

#[cfg(test)]
impl LocalDatabase {
    /// SQLite's plan for a read, for the proof that indexes are used.
    pub(crate) async fn explain(
        &self,
        table: &TableName,
        filter: &Filter,
        kind: crate::file::Kind,
    ) -> String {
        let entry = self.registry().get(table).expect("a table of the test").clone();
        let question = Question::of(&entry, filter).expect("a filter of the test");
        let explain = move |conn: &Connection| {
            // Explaining alone does not notice that the schema has changed.
            conn.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", question.sql))?;
            let mut rows = statement.query(rusqlite::params_from_iter(&question.parameters))?;
            let mut plan = Vec::new();
            while let Some(row) = rows.next()? {
                plan.push(row.get::<_, String>(3)?);
            }
            Ok(plan.join("\n"))
        };
        self.readers(kind).run(explain).await.expect("a plan")
    }
}
