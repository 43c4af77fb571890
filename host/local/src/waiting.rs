//! Which transactions have to wait for an earlier one that nobody has decided yet, and what is left of one that later
//! ones have overtaken.
//!
//! * A quarantined or deferred transaction holds back no other but one that builds on it: that touches a row which it
//!   made or took away, or whose conflict waits for a person. Such a one waits with its whole POS transaction, and
//!   holds back in turn what builds on it.
//! * A row that all sales count up (a seed row) holds nobody back: otherwise one refused sale would stop the register.
//!   So the later sale overtakes, and what it wrote stays: of the overtaken one only those cells go up that no later
//!   transaction of this register has changed since. A number never goes back.

use crate::error::LocalError;
use crate::file::Trouble;
use crate::image;
use crate::record::ITS_ROWS;
use crate::registry::{Entry, Registry};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{HashMap, HashSet};
use tillhold_core::row::Row;
use tillhold_core::transaction::TransactionId;

/// A row by its table's number and its key as the log has it.
type Place = (i64, String);

/// Rows that wait for a decision, each with the log's number from which on others have to wait for them.
pub(crate) struct Undecided {
    since: HashMap<Place, i64>,
}

impl Undecided {
    pub(crate) fn read(conn: &Connection, registry: &Registry) -> Result<Undecided, Trouble> {
        Undecided::among(conn, registry, None)
    }

    /// Of one transaction only.
    pub(crate) fn of(
        conn: &Connection,
        registry: &Registry,
        id: TransactionId,
    ) -> Result<Undecided, Trouble> {
        Undecided::among(conn, registry, Some(&id.0))
    }

    fn among(
        conn: &Connection,
        registry: &Registry,
        only: Option<&[u8]>,
    ) -> Result<Undecided, Trouble> {
        let disputed = disputed(conn)?;
        let mut undecided = Undecided { since: HashMap::new() };
        let mut statement = conn.prepare_cached(
            "SELECT t.transaction_id, t.first_seq, l.table_id, l.key, l.operation, \
             coalesce(l.new_row, l.old_row) FROM tillhold_transaction AS t \
             INNER JOIN tillhold_log AS l ON l.seq BETWEEN t.first_seq AND t.last_seq \
             AND l.transaction_id = t.transaction_id \
             WHERE t.state IN ('quarantined', 'deferred') AND (?1 IS NULL OR t.transaction_id = ?1)",
        )?;
        let mut rows = statement.query([only])?;
        while let Some(row) = rows.next()? {
            let (id, first): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
            let place: Place = (row.get(2)?, row.get(3)?);
            let is_update = row.get::<_, String>(4)? == "update";
            if is_update {
                let entry = registry.in_journal(place.0)?;
                // What cannot be read was quarantined for that; it is nobody's conflict.
                let Ok(image) = image::decode(&entry.table, &row.get::<_, String>(5)?) else {
                    continue;
                };
                let key = image::encode_key(&entry.table, &image.key(&entry.table));
                if !disputed.contains(&(id, place.0, key)) {
                    continue;
                }
            }
            undecided.hold(place, first);
        }
        Ok(undecided)
    }

    fn hold(&mut self, place: Place, first: i64) {
        let since = self.since.entry(place).or_insert(first);
        *since = first.min(*since);
    }

    /// Whether a pending transaction has to wait; then what it makes or takes away waits as well.
    pub(crate) fn holds(
        &mut self,
        conn: &Connection,
        id: &[u8],
        first: i64,
    ) -> Result<bool, Trouble> {
        if self.since.is_empty() {
            return Ok(false);
        }
        let mut statement = conn.prepare_cached(&format!(
            "SELECT table_id, key, operation FROM tillhold_log WHERE {ITS_ROWS}"
        ))?;
        let mut rows = statement.query([id])?;
        let (mut is_held, mut makes) = (false, Vec::new());
        while let Some(row) = rows.next()? {
            let place: Place = (row.get(0)?, row.get(1)?);
            is_held |= self.since.get(&place).is_some_and(|since| *since < first);
            if row.get::<_, String>(2)? != "update" {
                makes.push(place);
            }
        }
        if is_held {
            makes.into_iter().for_each(|place| self.hold(place, first));
        }
        Ok(is_held)
    }
}

/// Transaction, table and key of every conflict that waits for a person.
fn disputed(conn: &Connection) -> Result<HashSet<(Vec<u8>, i64, String)>, Trouble> {
    let mut statement =
        conn.prepare_cached("SELECT transaction_id, table_id, key FROM tillhold_conflict")?;
    let found = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether a transaction that came after this one has been sent already.
pub(crate) fn is_overtaken(conn: &Connection, first: i64) -> Result<bool, Trouble> {
    Ok(last_sent(conn)?.is_some_and(|last| last > first))
}

/// Where the furthest transaction that was sent began in the log. What a person let go of never was.
fn last_sent(conn: &Connection) -> Result<Option<i64>, Trouble> {
    let sql = "SELECT first_seq FROM tillhold_transaction WHERE state = 'settled' \
               AND released_at_ms IS NULL ORDER BY first_seq DESC LIMIT 1";
    Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?)
}

/// What an update still has to say: `None` when the row was taken away since. `seq` is the update's own place in the
/// log. Whatever stands behind it there, and at last in the table, builds on what is before it, unless a transaction
/// between the two was sent and has left the log: where the two differ, that one has written.
pub(crate) fn not_overwritten(
    conn: &Connection,
    entry: &Entry,
    (key, seq): (&str, i64),
    base: &Row,
    offline: Row,
) -> Result<Option<Row>, Trouble> {
    // A row that waits to be taken away is the last, and so is one behind which nothing was sent.
    let mut statement = conn.prepare_cached(
        "SELECT old_row, CASE WHEN seq < ?4 THEN new_row END FROM tillhold_log \
         WHERE table_id = ?1 AND key = ?2 AND seq > ?3 ORDER BY seq",
    )?;
    let mut rows = statement.query((entry.id, key, seq, last_sent(conn)?))?;
    let (mut left, mut before) = (offline.clone(), offline);
    loop {
        let (later, after) = match rows.next()? {
            Some(row) => (decoded(entry, row.get(0)?).transpose()?, decoded(entry, row.get(1)?)),
            None => (crate::row_changes::find_row(conn, entry, &before.key(&entry.table))?, None),
        };
        let Some(later) = later else { return Ok(None) };
        for at in before.differences(&later) {
            left.0[at] = base.0[at].clone();
        }
        // What cannot be read was set aside for that, with all that builds on it.
        let Some(Ok(after)) = after else { return Ok(Some(left)) };
        before = after;
    }
}

pub(crate) fn decoded(entry: &Entry, image: Option<String>) -> Option<Result<Row, LocalError>> {
    image.map(|image| image::decode(&entry.table, &image))
}
