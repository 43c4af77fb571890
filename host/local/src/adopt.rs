//! Gives the writes of other programs a transaction: an id, a hash, a place in the order.
//!
//! Another program's commits carry no mark of where they end, so neighbouring rows without a transaction become one:
//! that never splits a commit. Rows of a POS transaction between them divide them, so order is kept. The id is on the
//! disk before anyone sees it. What one of them is refused for sets all of its transaction aside, so it is done often.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::registry::Registry;
use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};
use tillhold_env::Env;

impl LocalDatabase {
    /// Makes a transaction of each run of rows that other programs have written since the last time.
    pub async fn adopt(&self) -> Result<(), LocalError> {
        if self.readers(Kind::Journal).run(any_unadopted).await? {
            let (env, registry) = (self.env().clone(), self.registry());
            let work = move |conn: &mut Connection| adopt(conn, &env, &registry);
            self.writer(Kind::Journal).run(work).await?;
        }
        Ok(())
    }
}

fn any_unadopted(conn: &Connection) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_log WHERE transaction_id IS NULL)";
    Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
}

/// Makes transactions of all rows that have none.
fn adopt(conn: &mut Connection, env: &Env, registry: &Registry) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (first, last) in groups(&transaction)? {
        let hash = hash(&transaction, first, last, registry)?;
        let id = env.random.uuid();
        transaction.execute(
            "UPDATE tillhold_log SET transaction_id = ?1 \
             WHERE transaction_id IS NULL AND seq BETWEEN ?2 AND ?3",
            (&id[..], first, last),
        )?;
        transaction.execute(
            "INSERT INTO tillhold_transaction \
             (transaction_id, content_hash, first_seq, last_seq, state, received_at_ms, committed_where) \
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, 'offline')",
            (&id[..], &hash[..], first, last, env.clock.wall_ms()),
        )?;
    }
    Ok(transaction.commit()?)
}

/// First and last number of each run of rows without a transaction.
fn groups(conn: &Connection) -> Result<Vec<(i64, i64)>, Trouble> {
    let mut divided = conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM tillhold_log WHERE seq > ?1 AND seq < ?2)")?;
    let mut statement = conn
        .prepare_cached("SELECT seq FROM tillhold_log WHERE transaction_id IS NULL ORDER BY seq")?;
    let mut rows = statement.query(())?;
    let mut groups: Vec<(i64, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let continues = match groups.last() {
            Some((_, last)) if seq == last + 1 => true,
            Some((_, last)) => !divided.query_row((*last, seq), |row| row.get::<_, bool>(0))?,
            None => false,
        };
        match groups.last_mut() {
            Some((_, last)) if continues => *last = seq,
            _ => groups.push((seq, seq)),
        }
    }
    Ok(groups)
}

/// SHA-256 over table, operation and images of each row, every field with its length before it.
fn hash(
    conn: &Connection,
    first: i64,
    last: i64,
    registry: &Registry,
) -> Result<[u8; 32], Trouble> {
    let mut hash = Sha256::new();
    let mut statement = conn.prepare_cached(
        "SELECT table_id, operation, old_row, new_row FROM tillhold_log \
         WHERE transaction_id IS NULL AND seq BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query((first, last))?;
    while let Some(row) = rows.next()? {
        let table = registry.in_journal(row.get(0)?)?.table.name.to_string();
        for field in [Some(table), row.get(1)?, row.get(2)?, row.get(3)?] {
            let field = field.unwrap_or_default();
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        }
    }
    Ok(hash.finalize().into())
}
