//! One table of one file, made anew in another shape, with everything that is kept of its rows elsewhere in the file.
//!
//! * A column that comes is added where it is; otherwise the rows are copied into a new table, by SQLite alone where no
//!   value changes.
//! * Unsent rows, their base rows, conflicts and decisions are kept in the new shape: what reads them knows no other.
//! * A row that does not fit the new shape, or whose key meets another's, is left out; a plan lets that happen only to
//!   rows that are read from the channel again.

use crate::capture;
use crate::cell::{bind_row, read_row};
use crate::conversion::Conversion;
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, LoadState};
use crate::schema::{self, Names, quoted};
use crate::shape;
use rusqlite::Connection;
use tillhold_core::alteration::alterations;
use tillhold_core::migration::{InstalledTable, Reread};
use tillhold_core::table::Table;

/// Rows of one table, wherever the journal keeps them: the table, the columns with whole rows, the one with a key.
const IMAGES: [(&str, &[&str], Option<&str>); 3] = [
    ("tillhold_log", &["old_row", "new_row"], None),
    ("tillhold_conflict", &["base_row", "channel_row", "offline_row"], Some("key")),
    ("tillhold_decision", &["base_row", "channel_row", "offline_row", "decided_row"], Some("key")),
];

/// Gives the table that `entry` names the target's shape, scope and direction, inside the caller's transaction.
pub(crate) fn reshape(
    conn: &Connection,
    entry: &Entry,
    target: &InstalledTable,
    rereads: &[Reread],
    now_ms: i64,
) -> Result<(), Trouble> {
    let (from, to) = (entry.table.as_ref(), target.table.as_ref());
    let is_altered = !alterations(from, to).is_empty();
    if is_altered || entry.direction != target.direction {
        drop_around(conn, from)?;
        if is_altered {
            remake_rows(conn, from, to, now_ms)?;
            convert_images(conn, entry, to, now_ms)?;
            if entry.kind == Kind::Journal && !Conversion::new(from, to, now_ms).has_same_key() {
                forget_owners(conn, entry)?;
            }
        }
        if target.direction.is_pulled() {
            conn.execute_batch(&schema::create_stage(to))?;
        }
        if target.direction.is_pushed() {
            conn.execute_batch(&capture::create(to, entry.id))?;
        }
    }
    describe(conn, entry, target)?;
    set_progress(conn, entry, target, is_altered, rereads)
}

/// Drops a table with all that belongs to it.
pub(crate) fn drop_table(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    drop_around(conn, &entry.table)?;
    conn.execute_batch(&format!("DROP TABLE {};", Names::of(&entry.table).rows))?;
    if entry.kind == Kind::Journal {
        for (table, ..) in IMAGES {
            conn.execute(&format!("DELETE FROM {table} WHERE table_id = ?1"), [entry.id])?;
        }
        forget_owners(conn, entry)?;
        conn.execute("DELETE FROM tillhold_kept_row WHERE table_id = ?1", [entry.id])?;
    }
    conn.execute("DELETE FROM tillhold_table WHERE table_id = ?1", [entry.id])?;
    Ok(())
}

/// Copies the rows of `source`, a table of shape `from`, into the empty table `target` of shape `to`.
pub(crate) fn copy_rows(
    conn: &Connection,
    (source, from): (&str, &Table),
    to: &Table,
    now_ms: i64,
) -> Result<(), Trouble> {
    let conversion = Conversion::new(from, to, now_ms);
    let target = Names::of(to).rows;
    let list = |table: &Table| {
        table.columns.iter().map(|c| quoted(&c.name)).collect::<Vec<_>>().join(", ")
    };
    if conversion.is_plain() {
        let values = conversion.expressions().join(", ");
        let sql = format!("INSERT INTO {target} ({}) SELECT {values} FROM {source}", list(to));
        conn.execute(&sql, ())?;
        return Ok(());
    }
    let marks: Vec<String> = (1..=to.columns.len()).map(|n| format!("?{n}")).collect();
    let insert =
        format!("INSERT OR IGNORE INTO {target} ({}) VALUES ({})", list(to), marks.join(", "));
    let mut insert = conn.prepare(&insert)?;
    let mut select = conn.prepare(&format!("SELECT {} FROM {source}", list(from)))?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let Ok(row) = read_row(row, from, 0) else { continue };
        if let Some(row) = conversion.row(&row) {
            bind_row(&mut insert, to, &row)?;
            insert.raw_execute()?;
        }
    }
    Ok(())
}

/// Triggers, stage and lookups; the lookups are made again with the installation.
fn drop_around(conn: &Connection, table: &Table) -> Result<(), Trouble> {
    let names = Names::of(table);
    let mut statement = conn.prepare(
        "SELECT type, name FROM sqlite_schema WHERE tbl_name = ?1 AND \
         (type = 'trigger' OR (type = 'index' AND substr(name, 1, 16) = 'tillhold_lookup.'))",
    )?;
    let found: Vec<(String, String)> = statement
        .query_map([table.name.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    drop(statement);
    for (of, name) in found {
        conn.execute_batch(&format!("DROP {of} {};", quoted(&name)))?;
    }
    Ok(conn.execute_batch(&format!("DROP TABLE IF EXISTS {};", names.stage))?)
}

fn remake_rows(conn: &Connection, from: &Table, to: &Table, now_ms: i64) -> Result<(), Trouble> {
    if let Some(additions) = schema::additions(from, to) {
        return Ok(conn.execute_batch(&additions)?);
    }
    let names = Names::of(to);
    let old = quoted(&format!("tillhold_old.{}", to.name));
    conn.execute_batch(&format!("DROP INDEX {};", Names::of(from).key))?;
    conn.execute_batch(&format!("ALTER TABLE {} RENAME TO {old};", Names::of(from).rows))?;
    conn.execute_batch(&schema::create(to, false))?;
    debug_assert_eq!(names.rows, quoted(&to.name.to_string()));
    copy_rows(conn, (&old, from), to, now_ms)?;
    Ok(conn.execute_batch(&format!("DROP TABLE {old};"))?)
}

/// What cannot be read under the old shape cannot be sent under any: it stays, and is set aside when its turn comes.
fn convert_images(
    conn: &Connection,
    entry: &Entry,
    to: &Table,
    now_ms: i64,
) -> Result<(), Trouble> {
    if entry.kind == Kind::Catalogue {
        return Ok(());
    }
    let conversion = Conversion::new(&entry.table, to, now_ms);
    for (table, rows, key) in IMAGES {
        let columns: Vec<&str> = rows.iter().copied().chain(key).collect();
        let set: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(n, column)| format!("{column} = ?{}", n + 2))
            .collect();
        let update = format!("UPDATE {table} SET {} WHERE rowid = ?1", set.join(", "));
        let select =
            format!("SELECT rowid, {} FROM {table} WHERE table_id = ?1", columns.join(", "));
        let mut update = conn.prepare(&update)?;
        for (rowid, images) in images(conn, &select, columns.len(), entry.id)? {
            update.raw_bind_parameter(1, rowid)?;
            for (at, image) in images.into_iter().enumerate() {
                let converted = match &image {
                    Some(image) if at < rows.len() => conversion.image(image),
                    Some(image) => conversion.key_image(image),
                    None => None,
                };
                update.raw_bind_parameter(at + 2, converted.or(image))?;
            }
            update.raw_execute()?;
        }
    }
    Ok(())
}

/// Which settled sales made the table's rows: known by keys that no row has any more.
fn forget_owners(conn: &Connection, entry: &Entry) -> Result<(), Trouble> {
    conn.execute("DELETE FROM tillhold_kept_row WHERE table_id = ?1", [entry.id])?;
    Ok(())
}

type Images = Vec<(i64, Vec<Option<String>>)>;

fn images(conn: &Connection, sql: &str, columns: usize, table_id: i64) -> Result<Images, Trouble> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map([table_id], |row| {
        let images = (1..=columns).map(|at| row.get(at)).collect::<Result<_, _>>()?;
        Ok((row.get(0)?, images))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn describe(conn: &Connection, entry: &Entry, target: &InstalledTable) -> Result<(), Trouble> {
    conn.execute(
        "UPDATE tillhold_table SET scope = ?2, direction = ?3, shape = ?4, fingerprint = ?5 \
         WHERE table_id = ?1",
        (
            entry.id,
            &target.scope,
            crate::registry::direction_name(target.direction),
            shape::encode(&target.table),
            shape::fingerprint(&target.table),
        ),
    )?;
    Ok(())
}

fn set_progress(
    conn: &Connection,
    entry: &Entry,
    target: &InstalledTable,
    is_altered: bool,
    rereads: &[Reread],
) -> Result<(), Trouble> {
    let progress = entry.progress(conn)?;
    let is_landed = progress.version.is_some();
    let state = match (target.direction.is_pulled(), entry.direction.is_pulled()) {
        (false, _) => LoadState::Loaded,
        // What the channel has beside it must be loaded, and the POS reads on meanwhile.
        (true, false) => LoadState::NotStarted,
        (true, true) if !is_altered => return Ok(()),
        // A load that was under way has begun in the old shape.
        (true, true) if is_landed => LoadState::Loaded,
        (true, true) => LoadState::NotStarted,
    };
    let is_pulled = target.direction.is_pulled();
    let reread = rereads.first().filter(|_| is_pulled && is_landed).map(|reason| reason.name());
    if state == LoadState::NotStarted && !progress.ready {
        conn.execute(&format!("DELETE FROM {}", Names::of(&target.table).rows), ())?;
    }
    conn.execute(
        "UPDATE tillhold_table SET load_state = ?2, load_from = NULL, load_epoch = NULL, \
         load_after = NULL, load_mark = NULL, load_filter = NULL, reread = coalesce(?3, reread), \
         ready = max(ready, ?4) WHERE table_id = ?1",
        (entry.id, state.name(), reread, !is_pulled),
    )?;
    Ok(())
}
