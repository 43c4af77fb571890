//! Whose life this journal leads: the runs of the agent that it has seen, the furthest of its transactions that it knew
//! to have arrived, and a new incarnation when a person says so. The rules that use it: [`tillhold_core::claim`].

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::fact::{fact, set_fact};
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, Progress};
use rusqlite::{Connection, TransactionBehavior};
use tillhold_core::claim::{Head, Remembered};
use tillhold_core::limits;
use tillhold_core::text::{self, parse_guid};
use tillhold_core::transaction::TransactionId;
use tillhold_core::version::{ChannelVersion, Incarnation, Run, Sequence};

/// Facts of the journal: guids with blanks between; a place in the log and a guid.
const RUNS: &str = "runs";
const HEAD: &str = "arrived-head";
/// The channel's lives, the one that the register met last at the end: their epochs in hexadecimal, each with a mark if the
/// channel has come back to it after another one.
const LIVES: &str = "channel-lives";
const CAME_BACK: &str = "*";
/// There while sales that the channel lacks wait for a person to say that they are sent once more.
const AWAITS_RESEND: &str = "awaits-resend";

impl LocalDatabase {
    /// A new run, remembered before anyone else hears of it.
    pub async fn begin_run(&self) -> Result<Run, LocalError> {
        let run = Run(self.env().random.uuid());
        let begin = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut runs = runs(&transaction)?;
            runs.push(run);
            let forgotten = runs.len().saturating_sub(limits::RUNS_KEPT);
            let kept: Vec<String> = runs[forgotten..].iter().map(Run::to_string).collect();
            set_fact(&transaction, RUNS, &kept.join(" "))?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(begin).await?;
        Ok(run)
    }

    pub async fn remembered(&self) -> Result<Remembered, LocalError> {
        let read = |conn: &Connection| Ok(Remembered { runs: runs(conn)?, head: head(conn)? });
        self.readers(Kind::Journal).run(read).await
    }

    /// The transaction that begins at a place of the log; `None` when there is none, or none any more.
    pub async fn transaction_at(
        &self,
        sequence: Sequence,
    ) -> Result<Option<TransactionId>, LocalError> {
        // One that changed nothing has no place of its own, and was never sent.
        let sql = "SELECT transaction_id FROM tillhold_transaction WHERE first_seq = ?1 \
                   AND (settled_no IS NULL OR committed_where = 'channel')";
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([sequence.0 as i64])?;
            Ok(match rows.next()? {
                Some(row) => Some(TransactionId(row.get(0)?)),
                None => None,
            })
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Remembers the furthest transaction that has arrived: it is forgotten itself one day.
    pub async fn remember_head(&self, new: Head) -> Result<(), LocalError> {
        let keep = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if head(&transaction)?.is_none_or(|known| known.sequence < new.sequence) {
                set_fact(&transaction, HEAD, &format!("{} {}", new.sequence, new.id))?;
            }
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(keep).await
    }

    /// Ends this incarnation and begins another, with the same rows and everything that is unsent. Tables of both
    /// directions are to be read once more: whoever dies right after this must not go on with rows of long ago.
    pub async fn renew_incarnation(&self) -> Result<Incarnation, LocalError> {
        let new = Incarnation(self.env().random.uuid());
        let renew = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "UPDATE tillhold_meta SET value = ?1 WHERE name = 'incarnation'";
            transaction.execute(sql, [new.to_string()])?;
            transaction.execute("DELETE FROM tillhold_fact WHERE name = ?1", [HEAD])?;
            let sql = "UPDATE tillhold_table SET reread = 'renewed' \
                       WHERE direction = 'bidirectional' AND load_state = 'loaded'";
            transaction.execute(sql, ())?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(renew).await?;
        self.set_incarnation(new);
        Ok(new)
    }

    /// The channel counts its versions anew in another life: from another `epoch`, or from before what the register has
    /// seen, where its answer `reached` lies below `seen`, the newest position before it was asked. Unsent changes of tables
    /// of both directions then stand on nothing, what is changed from now on too, and the tables are to be read once more;
    /// how many tables.
    pub async fn forget_former_life(
        &self,
        epoch: [u8; 16],
        reached: ChannelVersion,
        seen: ChannelVersion,
    ) -> Result<usize, LocalError> {
        let registry = self.registry();
        let forget = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut tables = 0;
            for entry in registry.all().filter(|entry| is_of_both_directions(entry)) {
                let Progress { version, epoch: of, .. } = entry.progress(&transaction)?;
                let is_ahead = version.is_some_and(|at| at > reached.0 && at <= seen.0);
                if version.is_some_and(|at| at > 0) && (of != Some(epoch) || is_ahead) {
                    forget_versions(&transaction, entry)?;
                    let again = "UPDATE tillhold_table SET reread = 'restored' WHERE table_id = ?1";
                    transaction.execute(again, [entry.id])?;
                    tables += 1;
                }
            }
            transaction.commit()?;
            Ok(tables)
        };
        self.writer(Kind::Journal).run(forget).await
    }

    /// Whether the register has met no other life of the channel between two meetings with this one, which is remembered.
    /// What was sent to the other one meanwhile may be missing here, behind what has arrived since.
    pub async fn is_latest_life(&self, epoch: [u8; 16]) -> Result<bool, LocalError> {
        let epoch = text::hexadecimal(&epoch);
        let meet = move |conn: &mut Connection| {
            let known = fact(conn, LIVES)?.unwrap_or_default();
            let mut lives: Vec<&str> = known.split_whitespace().collect();
            let came_back = format!("{epoch}{CAME_BACK}");
            let is_it = |life: &&str| *life == epoch || *life == came_back;
            if let Some(last) = lives.last().filter(|life| is_it(life)) {
                return Ok(*last == epoch);
            }
            let is_known = lives.iter().any(is_it);
            lives.retain(|life| !is_it(life));
            lives.push(if is_known { &came_back } else { &epoch });
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            set_fact(&transaction, LIVES, &lives.join(" "))?;
            if is_known {
                set_fact(&transaction, AWAITS_RESEND, "yes")?;
            }
            transaction.commit()?;
            Ok(!is_known)
        };
        self.writer(Kind::Journal).run(meet).await
    }

    /// Whether sales that the channel lacks wait for a person, or may: it was not asked for all of them yet.
    pub async fn awaits_resend(&self) -> Result<bool, LocalError> {
        let read = |conn: &Connection| Ok(fact(conn, AWAITS_RESEND)?.is_some());
        self.readers(Kind::Journal).run(read).await
    }

    pub async fn await_resend(&self, awaits: bool) -> Result<(), LocalError> {
        let keep = move |conn: &mut Connection| match awaits {
            true => set_fact(conn, AWAITS_RESEND, "yes"),
            false => {
                conn.execute("DELETE FROM tillhold_fact WHERE name = ?1", [AWAITS_RESEND])?;
                Ok(())
            }
        };
        self.writer(Kind::Journal).run(keep).await
    }

    /// The newest of the positions of tables of both directions.
    pub async fn newest_position(&self) -> Result<ChannelVersion, LocalError> {
        let sql = "SELECT coalesce(max(version), 0) FROM tillhold_table \
                   WHERE direction = 'bidirectional'";
        let read = |conn: &Connection| {
            Ok(ChannelVersion(conn.query_row(sql, (), |row| row.get::<_, i64>(0))? as u64))
        };
        self.readers(Kind::Journal).run(read).await
    }
}

fn is_of_both_directions(entry: &Entry) -> bool {
    entry.kind == Kind::Journal && entry.direction.is_pulled()
}

/// The same for one table that is about to land at a position, which may be the first that tells.
pub(crate) fn forget_former_life_of(
    conn: &Connection,
    entry: &Entry,
    version: i64,
    epoch: [u8; 16],
) -> Result<(), Trouble> {
    if !is_of_both_directions(entry) {
        return Ok(());
    }
    let before = entry.progress(conn)?;
    let is_another = before.epoch.is_some_and(|of| of != epoch);
    if is_another || before.version.is_some_and(|at| at > version as u64) {
        forget_versions(conn, entry)?;
    }
    Ok(())
}

/// The table's rows, and what is unsent of them, as if the register had seen nothing of the channel.
fn forget_versions(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    let name = entry.table.name.to_string();
    conn.execute("UPDATE tillhold_table SET version = 0 WHERE table_id = ?1", [entry.id])?;
    conn.execute("UPDATE tillhold_log SET base_version = 0 WHERE table_id = ?1", [entry.id])?;
    for list in ["tillhold_again", "tillhold_row_aside"] {
        let sql =
            format!("UPDATE {list} SET as_of = 0 WHERE table_name = ?1 AND as_of IS NOT NULL");
        conn.execute(&sql, [&name])?;
    }
    Ok(())
}

fn runs(conn: &Connection) -> Result<Vec<Run>, Trouble> {
    let text = fact(conn, RUNS)?.unwrap_or_default();
    Ok(text.split_whitespace().filter_map(parse_guid).map(Run).collect())
}

fn head(conn: &Connection) -> Result<Option<Head>, Trouble> {
    let text = fact(conn, HEAD)?.unwrap_or_default();
    let parts = text.split_once(' ');
    Ok(parts.and_then(|(sequence, id)| {
        let id = TransactionId::parse(id)?;
        Some(Head { sequence: Sequence(sequence.parse().ok()?), id })
    }))
}
