//! What a sale's answer does not wait for: its inserted rows in the log.
//!
//! ```text
//! record: rows into their tables, which ones they are into tillhold_late, commit ─► answer
//! writer, before anything else: tillhold_late ─► tillhold_log, commit
//! ```
//!
//! * The log's numbers of the rows are given with the sale; only the images are made later, from the tables' own rows.
//! * Only while space is kept for a full disk ([`crate::Reserve`]), which the writer gives up for this if it must.
//! * Whatever else the writer does, and every reader here, finds the log whole. What another program changes meanwhile, its
//!   triggers log after what is late ([`crate::capture`]). A crash leaves it to the next opening.
//! * A power cut may undo the second commit: it is made again, of the same rows, with the same numbers. It is synced all the
//!   same where nobody waits for that, or the next sale would have to bring its pages to the disk.

use crate::error::LocalError;
use crate::file::{Kind, Trouble, unsynced};
use crate::registry::{Entry, Registry};
use rusqlite::{Connection, TransactionBehavior};
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock};
use tillhold_core::transaction::TransactionId;
use tokio::sync::watch;

/// Whether more work is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Somebody,
    Nobody,
}

/// The journal's.
#[derive(Clone)]
pub(crate) struct Late {
    registry: Arc<RwLock<Arc<Registry>>>,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// The writer comes to it next.
    Owed,
    /// The writer could not, and tries again.
    Lacking,
}

impl Late {
    /// What an earlier run has left is found at the writer's first idle moment.
    pub(crate) fn new(registry: Arc<RwLock<Arc<Registry>>>) -> Late {
        Late { registry, state: Arc::new(watch::Sender::new(State::Owed)) }
    }

    /// Readers wait from now on.
    pub(crate) fn is_coming(&self) {
        self.state.send_replace(State::Owed);
    }

    /// Until the writer has tried. Where the disk kept it from it, the log lacks rows: see [`refuse`].
    pub(crate) async fn caught_up(&self) {
        if *self.state.borrow() == State::Owed {
            // Who has it lives as long as this.
            let _ = self.state.subscribe().wait_for(|state| *state != State::Owed).await;
        }
    }

    /// Nobody waits any longer: the writer has ended, or the file is to be opened anew.
    pub(crate) fn is_put_off(&self) {
        self.state.send_if_modified(|state| {
            let was_owed = *state == State::Owed;
            if was_owed {
                *state = State::Lacking;
            }
            was_owed
        });
    }

    /// For the writer, between two pieces of work.
    pub(crate) fn write(&self, conn: &mut Connection, waits: Waits) -> Result<(), Trouble> {
        if *self.state.borrow() == State::Whole {
            return Ok(());
        }
        let log = |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.log(&transaction)?;
            Ok(transaction.commit()?)
        };
        let done = is_any(conn).and_then(|is_any| match waits {
            _ if !is_any => Ok(()),
            Waits::Somebody => unsynced(conn, log),
            Waits::Nobody => log(conn),
        });
        self.state.send_replace(if done.is_ok() { State::Whole } else { State::Lacking });
        done
    }

    /// All of it now, in the caller's transaction.
    pub(crate) fn log(&self, conn: &Connection) -> Result<(), Trouble> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut select = conn.prepare_cached("SELECT DISTINCT table_id FROM tillhold_late")?;
        let tables = select.query_map((), |row| row.get(0))?;
        for table in tables.collect::<Result<Vec<i64>, _>>()? {
            conn.prepare_cached(&registry.in_journal(table)?.sql.log_late)?.execute(())?;
        }
        conn.prepare_cached("DELETE FROM tillhold_late")?.execute(())?;
        Ok(())
    }
}

fn is_any(conn: &Connection) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_late)";
    Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
}

/// Rows that one statement after the other has inserted into one table, which get the log's numbers from `first_seq` on.
pub(crate) fn note(
    conn: &Connection,
    id: TransactionId,
    entry: &Entry,
    rows: &RangeInclusive<i64>,
    first_seq: i64,
) -> Result<(), Trouble> {
    let sql = "INSERT INTO tillhold_late (first_seq, transaction_id, table_id, first_row, last_row) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = (first_seq, &id.0[..], entry.id, rows.start(), rows.end());
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Whether rows of this table are among what is late.
pub(crate) fn is_of(conn: &Connection, entry: &Entry) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_late WHERE table_id = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([entry.id], |row| row.get(0))?)
}

/// For readers that would take a sale without its rows for one that has none.
pub(crate) fn refuse(conn: &Connection, id: TransactionId) -> Result<(), Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_late WHERE transaction_id = ?1)";
    let is_late: bool = conn.prepare_cached(sql)?.query_row([&id.0[..]], |row| row.get(0))?;
    match is_late {
        true => Err(LocalError::LogBehind { file: Kind::Journal.name().into() }.into()),
        false => Ok(()),
    }
}
