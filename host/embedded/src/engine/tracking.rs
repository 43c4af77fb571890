//! Change tracking: each tracked table has a log of its changes, written by triggers in the same transaction.
//!
//! ```text
//! ct:<table>  k0…kn, version, sequence, operation (I, U, D), mask, context
//! ```
//! * All changes of a transaction have one version, the next after the last commit; the number of the last commit
//!   (`change_version`) moves in the same SQLite transaction. One writer at a time makes versions commit-ordered.
//! * An update of the key is a delete of the old one and an insert of the new one.
//! * Clean-up forgets versions up to a point and raises the table's smallest valid version to it.

use super::catalogue::kept::{set_state, state};
use super::catalogue::{Relation, quote};
use super::types::{collation_clause, storage};
use rusqlite::{Connection, params};

/// SQLite's name of a table's log.
pub fn log_name(table: &Relation) -> String {
    format!("ct:{}", table.id)
}

/// Begins tracking: what changed before is unknown, so the present version is the smallest valid one.
pub fn enable(connection: &Connection, table: &Relation, columns: bool) -> rusqlite::Result<()> {
    let log = quote(&log_name(table));
    let fields: Vec<_> = table.key().collect();
    let declared: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let collation = collation_clause(field.sqlite_collation());
            format!("k{at} {}{collation} NOT NULL", storage(field.of))
        })
        .collect();
    let keys: Vec<String> = (0..fields.len()).map(|at| format!("k{at}")).collect();
    let keys = keys.join(", ");
    connection.execute_batch(&format!(
        "CREATE TABLE main.{log} ({}, version INTEGER NOT NULL, sequence INTEGER NOT NULL, operation TEXT NOT NULL, mask BLOB, \
         context BLOB, PRIMARY KEY ({keys}, version, sequence)) WITHOUT ROWID;
         CREATE INDEX main.{} ON {log} (version, {keys}, sequence);",
        declared.join(", "),
        quote(&format!("{}:version", log_name(table)))
    ))?;
    for trigger in triggers(table) {
        connection.execute_batch(&trigger)?;
    }
    let version = state(connection, "change_version")?;
    connection.execute(
        "INSERT INTO tsql_tracking VALUES (?1, ?2, ?3, ?3, ?3)",
        params![table.id, columns, version],
    )?;
    Ok(())
}

fn triggers(table: &Relation) -> Vec<String> {
    let (on, log) = (quote(&table.storage), quote(&log_name(table)));
    let names: Vec<String> = table.key().map(|field| quote(&field.name)).collect();
    let record = |row: &str, operation: &str, mask: &str| {
        let keys: Vec<String> = names.iter().map(|name| format!("{row}.{name}")).collect();
        format!(
            "INSERT INTO {log} VALUES ({}, ts_ct_version(), ts_ct_sequence(), '{operation}', {mask}, ts_ct_context());",
            keys.join(", ")
        )
    };
    let same: Vec<String> = names.iter().map(|name| format!("OLD.{name} = NEW.{name}")).collect();
    let same = same.join(" AND ");
    let trigger = |name: &str, event: &str, when: &str, body: String| {
        let name = quote(&format!("{}:{name}", log_name(table)));
        format!("CREATE TRIGGER main.{name} AFTER {event} ON {on}{when} BEGIN {body} END;")
    };
    vec![
        trigger("insert", "INSERT", "", record("NEW", "I", "NULL")),
        trigger("delete", "DELETE", "", record("OLD", "D", "NULL")),
        trigger("update", "UPDATE", &format!(" WHEN {same}"), record("NEW", "U", "ts_ct_mask()")),
        trigger(
            "rekey",
            "UPDATE",
            &format!(" WHEN NOT ({same})"),
            format!("{} {}", record("OLD", "D", "NULL"), record("NEW", "I", "NULL")),
        ),
    ]
}

/// While a table is rebuilt its rows do not change.
pub fn pause(connection: &Connection, table: &Relation) -> rusqlite::Result<()> {
    for name in ["insert", "delete", "update", "rekey"] {
        let name = quote(&format!("{}:{name}", log_name(table)));
        connection.execute_batch(&format!("DROP TRIGGER IF EXISTS main.{name}"))?;
    }
    Ok(())
}

pub fn resume(connection: &Connection, table: &Relation) -> rusqlite::Result<()> {
    let made = if table.tracking.is_some() { triggers(table) } else { Vec::new() };
    made.iter().try_for_each(|trigger| connection.execute_batch(trigger))
}

pub fn disable(connection: &Connection, table: &Relation) -> rusqlite::Result<()> {
    pause(connection, table)?;
    connection.execute_batch(&format!("DROP TABLE IF EXISTS main.{}", quote(&log_name(table))))?;
    connection.execute("DELETE FROM tsql_tracking WHERE table_id = ?1", [table.id])?;
    Ok(())
}

/// TRUNCATE is not tracked: the table begins anew at `version`, which no reader has reached yet.
pub fn restart(connection: &Connection, table: &Relation, version: i64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("DELETE FROM main.{}", quote(&log_name(table))))?;
    connection.execute(
        "UPDATE tsql_tracking SET min_valid = ?2, begin_version = ?2 WHERE table_id = ?1",
        params![table.id, version],
    )?;
    Ok(())
}

/// Forgets a table's changes up to and with `version`; how many rows of the log went.
pub fn forget(connection: &Connection, table: &Relation, version: i64) -> rusqlite::Result<usize> {
    let gone = connection.execute(
        &format!("DELETE FROM main.{} WHERE version <= ?1", quote(&log_name(table))),
        [version],
    )?;
    connection.execute(
        "UPDATE tsql_tracking SET min_valid = max(min_valid, ?2), cleanup_version = max(cleanup_version, ?2)
         WHERE table_id = ?1",
        params![table.id, version],
    )?;
    Ok(gone)
}

/// The newest version that was committed before a moment; `None` when none was.
pub fn version_before(connection: &Connection, before_ms: i64) -> rusqlite::Result<Option<i64>> {
    connection.query_row(
        "SELECT max(version) FROM tsql_commit WHERE at_ms < ?1",
        [before_ms],
        |row| row.get(0),
    )
}

/// Makes a version the last committed one, within the transaction whose changes carry it.
pub fn commit(connection: &Connection, version: i64, at_ms: i64) -> rusqlite::Result<()> {
    set_state(connection, "change_version", version)?;
    connection
        .prepare_cached("INSERT INTO tsql_commit VALUES (?1, ?2)")?
        .execute(params![version, at_ms])?;
    Ok(())
}
