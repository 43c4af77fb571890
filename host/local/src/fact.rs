//! Small facts that the agent keeps over a restart (its failover state, for one), by name.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use rusqlite::{Connection, OptionalExtension as _};

impl LocalDatabase {
    pub async fn set_fact(&self, name: &str, value: &str) -> Result<(), LocalError> {
        let (name, value) = (name.to_string(), value.to_string());
        self.writer(Kind::Journal).run(move |conn| set_fact(conn, &name, &value)).await
    }

    pub async fn fact(&self, name: &str) -> Result<Option<String>, LocalError> {
        let name = name.to_string();
        self.readers(Kind::Journal).run(move |conn| fact(conn, &name)).await
    }
}

pub(crate) fn set_fact(conn: &Connection, name: &str, value: &str) -> Result<(), Trouble> {
    let sql = "INSERT INTO tillhold_fact VALUES (?1, ?2) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(sql)?.execute((name, value))?;
    Ok(())
}

pub(crate) fn fact(conn: &Connection, name: &str) -> Result<Option<String>, Trouble> {
    let mut statement = conn.prepare_cached("SELECT value FROM tillhold_fact WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}
