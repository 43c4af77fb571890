//! Small facts that the agent keeps over a restart (its failover state, for one), by name.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::Kind;

impl LocalDatabase {
    pub async fn set_fact(&self, name: &str, value: &str) -> Result<(), LocalError> {
        let (name, value) = (name.to_string(), value.to_string());
        let sql = "INSERT INTO tillhold_fact VALUES (?1, ?2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.writer(Kind::Journal)
            .run(move |conn| {
                conn.prepare_cached(sql)?.execute((name, value))?;
                Ok(())
            })
            .await
    }

    pub async fn fact(&self, name: &str) -> Result<Option<String>, LocalError> {
        let name = name.to_string();
        self.readers(Kind::Journal)
            .run(move |conn| {
                let mut statement =
                    conn.prepare_cached("SELECT value FROM tillhold_fact WHERE name = ?1")?;
                let mut rows = statement.query([name])?;
                Ok(match rows.next()? {
                    Some(row) => Some(row.get(0)?),
                    None => None,
                })
            })
            .await
    }
}
