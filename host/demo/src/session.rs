//! Head office's own way into the channel: T-SQL on a session of the embedded channel, past every register's network.

use crate::DemoError;
use tillhold_core::table::{Table, TableName, bracket};
use tillhold_core::value::Value;
use tillhold_embedded::answer::{Answer, Flow, SqlEngine, SqlSession};

/// The database that the demonstration's channel is.
pub const DATABASE: &str = "channel";

/// One logged-in session; statements run one after another.
pub(crate) struct Session {
    inner: Box<dyn SqlSession>,
}

impl Session {
    pub(crate) fn open(
        engine: &dyn SqlEngine,
        user: &str,
        password: &str,
    ) -> Result<Session, DemoError> {
        let inner = engine
            .login(user, password, DATABASE, "head office")
            .map_err(|cause| DemoError::Channel { doing: "log in".to_string(), cause })?;
        Ok(Session { inner })
    }

    /// A batch without results; the rows that it changed.
    pub(crate) fn run(&mut self, sql: &str) -> Result<u64, DemoError> {
        let mut changed = 0;
        self.answers(sql, |answer| {
            if let Answer::Done { rows: Some(rows) } = answer {
                changed += rows;
            }
        })?;
        Ok(changed)
    }

    /// A SELECT's rows, one by one.
    pub(crate) fn select(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Vec<Value>),
    ) -> Result<(), DemoError> {
        self.answers(sql, |answer| {
            if let Answer::Row(row) = answer {
                take(row);
            }
        })
    }

    fn answers(&mut self, sql: &str, mut take: impl FnMut(Answer)) -> Result<(), DemoError> {
        let mut refused = None;
        let ended = self.inner.batch(sql, &mut |answer| match answer {
            Answer::Error(error) => {
                refused.get_or_insert(error);
                Flow::Continue
            }
            answer => {
                take(answer);
                Flow::Continue
            }
        });
        match ended.err().or(refused) {
            Some(cause) => {
                Err(DemoError::Channel { doing: sql.chars().take(120).collect(), cause })
            }
            None => Ok(()),
        }
    }
}

/// Whoever can give the channel's rows to the check; the demonstration's is [`Session`].
pub(crate) trait ChannelRows {
    /// Every row of a table, the named columns in their order; only rows that `filter` (T-SQL) lets through.
    fn rows(
        &mut self,
        table: &TableName,
        columns: &[&str],
        filter: Option<&str>,
        take: &mut dyn FnMut(Vec<Value>),
    ) -> Result<(), DemoError>;
}

impl ChannelRows for Session {
    fn rows(
        &mut self,
        table: &TableName,
        columns: &[&str],
        filter: Option<&str>,
        take: &mut dyn FnMut(Vec<Value>),
    ) -> Result<(), DemoError> {
        let list = columns.iter().map(|c| bracket(c)).collect::<Vec<_>>().join(", ");
        let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        self.select(&format!("SELECT {list} FROM {}{filter};", table.bracketed()), take)
    }
}

/// A text as T-SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A table's columns by name.
pub(crate) fn names(table: &Table) -> Vec<&str> {
    table.columns.iter().map(|column| column.name.as_str()).collect()
}
