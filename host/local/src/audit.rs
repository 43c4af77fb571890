//! What people did by hand at this register: who, why, when, under which role. Kept in the journal, newest first, bounded.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::Kind;
use rusqlite::{Connection, TransactionBehavior};
use tillhold_core::limits;

/// One deed of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// `hold`, `conflict-resolve`, …
    pub action: String,
    /// What it was done to: an id; `None` is the register itself.
    pub subject: Option<String>,
    /// As they named themselves.
    pub who: Option<String>,
    pub why: Option<String>,
    /// Whose token it was.
    pub role: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRecord {
    /// For paging: later ones have greater numbers.
    pub number: u64,
    pub at_ms: i64,
    pub act: Act,
}

impl LocalDatabase {
    /// Keeps what a person does; its number.
    pub async fn note_act(&self, act: Act) -> Result<u64, LocalError> {
        let now_ms = self.env().clock.wall_ms();
        let note = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached(
                    "INSERT INTO tillhold_audit (at_ms, action, subject, who, why, role) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((now_ms, &act.action, &act.subject, &act.who, &act.why, &act.role))?;
            let number = transaction.last_insert_rowid();
            transaction
                .prepare_cached("DELETE FROM tillhold_audit WHERE audit_id <= ?1")?
                .execute([number - limits::ACTS_KEPT as i64])?;
            transaction.commit()?;
            Ok(number as u64)
        };
        self.writer(Kind::Journal).run(note).await
    }

    /// Newest first, those before number `before`.
    pub async fn acts(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ActRecord>, LocalError> {
        let read = move |conn: &Connection| {
            let before =
                before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
            let limit = limit.min(limits::LISTING_ROWS_MAX) as i64;
            let mut statement = conn.prepare_cached(
                "SELECT audit_id, at_ms, action, subject, who, why, role FROM tillhold_audit \
                 WHERE audit_id < ?1 ORDER BY audit_id DESC LIMIT ?2",
            )?;
            let found = statement.query_map((before, limit), |row| {
                let act = Act {
                    action: row.get(2)?,
                    subject: row.get(3)?,
                    who: row.get(4)?,
                    why: row.get(5)?,
                    role: row.get(6)?,
                };
                Ok(ActRecord { number: row.get::<_, i64>(0)? as u64, at_ms: row.get(1)?, act })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }
}
