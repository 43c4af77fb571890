//! The catalogue in the file: its own tables, how it is read at opening, and the rows each definition writes.

use super::shape::Shape;
use super::{
    Catalogue, Check, Computed, DatabaseTracking, Field, FieldDefault, Foreign, Granted, Identity,
    Index, Relation, Schema, TableTracking, Trigger, default_value, fold,
};
use crate::engine::EngineError;
use crate::engine::parse;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_core::table::TableName;
use tillhold_core::types::SqlType;

/// Names without a dot: no table of T-SQL can be called so.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tsql_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_database (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_schema (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_table (id INTEGER PRIMARY KEY, schema_id INTEGER NOT NULL, name TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_column (table_id INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, declared TEXT NOT NULL,
  system_type_id INTEGER NOT NULL, max_length INTEGER NOT NULL, precision INTEGER NOT NULL, scale INTEGER NOT NULL, nullable INTEGER NOT NULL,
  collation TEXT, seed INTEGER, step INTEGER, default_id INTEGER, default_name TEXT, default_text TEXT, PRIMARY KEY (table_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_index (table_id INTEGER NOT NULL, id INTEGER NOT NULL, object_id INTEGER, name TEXT NOT NULL, is_primary INTEGER NOT NULL,
  is_unique INTEGER NOT NULL, is_constraint INTEGER NOT NULL, clustered INTEGER NOT NULL, PRIMARY KEY (table_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_index_column (table_id INTEGER NOT NULL, index_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, column_id INTEGER NOT NULL,
  descending INTEGER NOT NULL, PRIMARY KEY (table_id, index_id, ordinal)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_foreign_key (id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, to_table_id INTEGER NOT NULL, name TEXT NOT NULL, cascades INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_foreign_key_column (foreign_key_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, column_id INTEGER NOT NULL,
  to_column_id INTEGER NOT NULL, PRIMARY KEY (foreign_key_id, ordinal)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_identity (table_id INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_tracking (table_id INTEGER PRIMARY KEY, track_columns INTEGER NOT NULL, min_valid INTEGER NOT NULL, begin_version INTEGER NOT NULL,
  cleanup_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_trigger (id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, name TEXT NOT NULL, disabled INTEGER NOT NULL, definition TEXT NOT NULL,
  created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_computed (table_id INTEGER NOT NULL, column_id INTEGER NOT NULL, text TEXT NOT NULL, persisted INTEGER NOT NULL,
  sql TEXT NOT NULL, PRIMARY KEY (table_id, column_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_check (id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, column_id INTEGER, sql TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_modified (object_id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_commit (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tsql_login (name TEXT PRIMARY KEY, shown TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL, is_owner INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_principal (name TEXT PRIMARY KEY, shown TEXT NOT NULL, is_role INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_member (role TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (role, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tsql_grant (principal TEXT NOT NULL, permission TEXT NOT NULL, class TEXT NOT NULL, schema TEXT NOT NULL, object_id INTEGER NOT NULL,
  column_id INTEGER NOT NULL, PRIMARY KEY (principal, permission, class, schema, object_id, column_id)) WITHOUT ROWID;
";

/// Facts that are numbers, with what each is in a new database.
const STATE: &[(&str, i64)] = &[
    ("format", 1),
    ("change_version", 0),
    ("rowversion", 2000),
    ("next_object", 245_575_913),
    ("snapshot_allowed", 0),
    ("read_only", 0),
    ("tracking", 0),
    ("retention_minutes", 2 * 1440),
    ("auto_cleanup", 1),
    ("compatibility", 150),
];

/// Makes the catalogue's tables in a new file; an old file is left as it is.
pub fn prepare(connection: &Connection, database: &str) -> Result<(), EngineError> {
    connection.execute_batch(TABLES)?;
    for (name, value) in STATE {
        connection
            .execute("INSERT OR IGNORE INTO tsql_state VALUES (?1, ?2)", params![name, value])?;
    }
    for (id, name) in [(1, "dbo"), (3, "INFORMATION_SCHEMA"), (4, "sys")] {
        connection
            .execute("INSERT OR IGNORE INTO tsql_schema VALUES (?1, ?2)", params![id, name])?;
    }
    connection.execute(
        "INSERT INTO tsql_database SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM tsql_database)",
        [database],
    )?;
    Ok(())
}

pub fn state(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT value FROM tsql_state WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

pub fn set_state(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE tsql_state SET value = ?2 WHERE name = ?1")?
        .execute(params![name, value])?;
    Ok(())
}

pub fn read(connection: &Connection, version: u64) -> Result<Catalogue, EngineError> {
    let mut catalogue = Catalogue {
        version,
        database: connection.query_row("SELECT name FROM tsql_database", [], |row| row.get(0))?,
        snapshot_allowed: state(connection, "snapshot_allowed")? != 0,
        read_only: state(connection, "read_only")? != 0,
        compatibility: state(connection, "compatibility")?,
        next_object: state(connection, "next_object")? as i32,
        ..Catalogue::default()
    };
    if state(connection, "tracking")? != 0 {
        catalogue.tracking = Some(DatabaseTracking {
            retention_minutes: state(connection, "retention_minutes")?,
            auto_cleanup: state(connection, "auto_cleanup")? != 0,
        });
    }
    let mut statement = connection.prepare("SELECT id, name FROM tsql_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let schema = Schema { id: row.get(0)?, name: row.get(1)? };
        catalogue.schemas.insert(fold(&schema.name), schema);
    }
    for table in tables(connection)? {
        catalogue.put(table);
    }
    read_principals(connection, &mut catalogue)?;
    Ok(catalogue)
}

fn tables(connection: &Connection) -> Result<Vec<Relation>, EngineError> {
    let mut found: HashMap<i32, Relation> = HashMap::new();
    let sql = "SELECT t.id, s.name, t.name, k.track_columns FROM tsql_table t JOIN tsql_schema s ON s.id = t.schema_id
               LEFT JOIN tsql_tracking k ON k.table_id = t.id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name = TableName::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?);
        let tracking: Option<bool> = row.get(3)?;
        let table = Relation {
            id: row.get(0)?,
            storage: name.to_string(),
            name,
            temporary: false,
            fields: Vec::new(),
            indexes: Vec::new(),
            foreign: Vec::new(),
            checks: Vec::new(),
            tracking: tracking.map(|columns| TableTracking { columns }),
            triggers: Vec::new(),
        };
        found.insert(table.id, table);
    }
    read_fields(connection, &mut found)?;
    read_indexes(connection, &mut found)?;
    read_foreign(connection, &mut found)?;
    read_checks(connection, &mut found)?;
    read_triggers(connection, &mut found)?;
    Ok(found.into_values().collect())
}

fn read_fields(
    connection: &Connection,
    found: &mut HashMap<i32, Relation>,
) -> Result<(), EngineError> {
    let sql = "SELECT c.table_id, c.id, c.name, c.declared, c.nullable, c.collation, c.seed, c.step, c.default_id, c.default_name, c.default_text,
               x.text, x.persisted, x.sql FROM tsql_column AS c LEFT JOIN tsql_computed AS x ON x.table_id = c.table_id AND x.column_id = c.id
               ORDER BY c.table_id, c.id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let declared: String = row.get(3)?;
        let of = SqlType::parse(&declared)
            .ok_or_else(|| EngineError::Corrupt { what: format!("a column of type {declared}") })?;
        let default: Option<String> = row.get(10)?;
        let default = match default {
            Some(text) => Some(FieldDefault {
                id: row.get(8)?,
                name: row.get(9)?,
                value: default_value(&text)
                    .map_err(|e| EngineError::Corrupt { what: e.to_string() })?,
                text,
            }),
            None => None,
        };
        let computed = match row.get::<_, Option<String>>(11)? {
            Some(text) => Some(Computed { text, persisted: row.get(12)?, sql: row.get(13)? }),
            None => None,
        };
        let seed: Option<i64> = row.get(6)?;
        let step: Option<i64> = row.get(7)?;
        let field = Field {
            id: row.get(1)?,
            name: row.get(2)?,
            of,
            nullable: row.get(4)?,
            collation: row.get(5)?,
            identity: seed.zip(step).map(|(seed, step)| Identity { seed, step }),
            default,
            computed,
        };
        if let Some(table) = found.get_mut(&row.get(0)?) {
            table.fields.push(field);
        }
    }
    Ok(())
}

fn read_indexes(
    connection: &Connection,
    found: &mut HashMap<i32, Relation>,
) -> Result<(), EngineError> {
    let sql = "SELECT i.table_id, i.id, i.name, i.is_primary, i.is_unique, i.is_constraint, i.clustered, c.column_id, c.descending
               FROM tsql_index i JOIN tsql_index_column c ON c.table_id = i.table_id AND c.index_id = i.id
               ORDER BY i.table_id, i.id, c.ordinal";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(table) = found.get_mut(&row.get(0)?) else { continue };
        let (id, column_id): (i32, i32) = (row.get(1)?, row.get(7)?);
        if table.indexes.last().is_none_or(|index| index.id != id) {
            table.indexes.push(Index {
                id,
                name: row.get(2)?,
                primary: row.get(3)?,
                unique: row.get(4)?,
                constraint: row.get(5)?,
                clustered: row.get(6)?,
                columns: Vec::new(),
            });
        }
        let at = table.fields.iter().position(|field| field.id == column_id);
        if let (Some(at), Some(index)) = (at, table.indexes.last_mut()) {
            index.columns.push((at, row.get(8)?));
        }
    }
    Ok(())
}

fn read_foreign(
    connection: &Connection,
    found: &mut HashMap<i32, Relation>,
) -> Result<(), EngineError> {
    let sql = "SELECT f.table_id, f.id, f.to_table_id, f.name, f.cascades, c.column_id, c.to_column_id
               FROM tsql_foreign_key f JOIN tsql_foreign_key_column c ON c.foreign_key_id = f.id ORDER BY f.id, c.ordinal";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table_id, id, to): (i32, i32, i32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (column, to_column): (i32, i32) = (row.get(5)?, row.get(6)?);
        let place = |table: Option<&Relation>, id: i32| {
            table.and_then(|table| table.fields.iter().position(|field| field.id == id))
        };
        let (from, target) =
            (place(found.get(&table_id), column), place(found.get(&to), to_column));
        let (Some(from), Some(target), Some(table)) = (from, target, found.get_mut(&table_id))
        else {
            continue;
        };
        if table.foreign.last().is_none_or(|foreign| foreign.id != id) {
            let (name, cascade) = (row.get(3)?, row.get(4)?);
            table.foreign.push(Foreign {
                id,
                name,
                columns: vec![],
                to,
                to_columns: vec![],
                cascade,
            });
        }
        if let Some(foreign) = table.foreign.last_mut() {
            foreign.columns.push(from);
            foreign.to_columns.push(target);
        }
    }
    Ok(())
}

fn read_checks(
    connection: &Connection,
    found: &mut HashMap<i32, Relation>,
) -> Result<(), EngineError> {
    let sql = "SELECT table_id, id, name, text, column_id, sql FROM tsql_check ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(table) = found.get_mut(&row.get(0)?) {
            let (id, name, text) = (row.get(1)?, row.get(2)?, row.get(3)?);
            table.checks.push(Check { id, name, text, column: row.get(4)?, sql: row.get(5)? });
        }
    }
    Ok(())
}

fn read_triggers(
    connection: &Connection,
    found: &mut HashMap<i32, Relation>,
) -> Result<(), EngineError> {
    let sql = "SELECT table_id, id, name, disabled, definition FROM tsql_trigger ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let definition: String = row.get(4)?;
        let parsed = parse::trigger(&definition)
            .map_err(|error| EngineError::Corrupt { what: error.to_string() })?;
        if let Some(table) = found.get_mut(&row.get(0)?) {
            let (id, name, disabled) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (events, body) = (parsed.events, parsed.body);
            let trigger = Trigger { id, name, events, disabled, definition, body };
            table.triggers.push(Arc::new(trigger));
        }
    }
    Ok(())
}

fn read_principals(connection: &Connection, catalogue: &mut Catalogue) -> Result<(), EngineError> {
    let principals = &mut catalogue.principals;
    let mut statement = connection.prepare("SELECT name, is_role FROM tsql_principal")?;
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (name, is_role) = row?;
        principals.names.insert(name, is_role);
    }
    let mut statement = connection.prepare("SELECT role, member FROM tsql_member")?;
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        principals.members.push(row?);
    }
    let mut statement = connection.prepare(
        "SELECT principal, permission, class, schema, object_id, column_id FROM tsql_grant",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let class: String = row.get(2)?;
        let on = match class.as_str() {
            "DATABASE" => Granted::Database,
            "SCHEMA" => Granted::Schema(row.get(3)?),
            "COLUMN" => Granted::Column(row.get(4)?, row.get(5)?),
            _ => Granted::Object(row.get(4)?),
        };
        principals.grants.entry(on).or_default().insert((row.get(0)?, row.get(1)?));
    }
    Ok(())
}

/// The rows of a new table.
pub fn write_table(
    connection: &Connection,
    table: &Relation,
    schema_id: i32,
    now_ms: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO tsql_table VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![table.id, schema_id, table.name.name, tick_ms(now_ms)])?;
    for field in &table.fields {
        write_field(connection, table.id, field)?;
    }
    for index in &table.indexes {
        write_index(connection, table, index)?;
    }
    for check in &table.checks {
        connection.execute(
            "INSERT INTO tsql_check VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![check.id, table.id, check.name, check.text, check.column, check.sql],
        )?;
    }
    for foreign in &table.foreign {
        connection.execute(
            "INSERT INTO tsql_foreign_key VALUES (?1, ?2, ?3, ?4, ?5)",
            params![foreign.id, table.id, foreign.to, foreign.name, foreign.cascade],
        )?;
        for (ordinal, (from, to)) in foreign.columns.iter().zip(&foreign.to_columns).enumerate() {
            // A referenced column's id is its position plus one unless columns were dropped there.
            connection.execute(
                "INSERT INTO tsql_foreign_key_column VALUES (?1, ?2, ?3, (SELECT id FROM tsql_column WHERE table_id = ?4
                 ORDER BY id LIMIT 1 OFFSET ?5))",
                params![foreign.id, ordinal as i64 + 1, table.fields[*from].id, foreign.to, *to as i64],
            )?;
        }
    }
    Ok(())
}

pub fn write_field(connection: &Connection, table_id: i32, field: &Field) -> rusqlite::Result<()> {
    let shape = Shape::of(field.of);
    connection
        .prepare_cached(
            "INSERT INTO tsql_column VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        )?
        .execute(params![
            table_id,
            field.id,
            field.name,
            field.of.to_string(),
            shape.system_type_id,
            shape.max_length,
            shape.precision,
            shape.scale,
            field.nullable,
            field.collation,
            field.identity.map(|identity| identity.seed),
            field.identity.map(|identity| identity.step),
            field.default.as_ref().map(|default| default.id),
            field.default.as_ref().map(|default| &default.name),
            field.default.as_ref().map(|default| &default.text),
        ])?;
    if let Some(computed) = &field.computed {
        connection.execute(
            "INSERT OR REPLACE INTO tsql_computed VALUES (?1, ?2, ?3, ?4, ?5)",
            params![table_id, field.id, computed.text, computed.persisted, computed.sql],
        )?;
    }
    Ok(())
}

pub fn write_index(
    connection: &Connection,
    table: &Relation,
    index: &Index,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO tsql_index VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            table.id,
            index.id,
            index.constraint.then_some(table.id + 500_000_000 + index.id),
            index.name,
            index.primary,
            index.unique,
            index.constraint,
            index.clustered,
        ])?;
    for (ordinal, (at, descending)) in index.columns.iter().enumerate() {
        connection
            .prepare_cached("INSERT INTO tsql_index_column VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                table.id,
                index.id,
                ordinal as i64 + 1,
                table.fields[*at].id,
                descending
            ])?;
    }
    Ok(())
}

/// The row of a trigger, new or changed; when it was made stays.
pub fn write_trigger(
    connection: &Connection,
    table_id: i32,
    trigger: &Trigger,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "SELECT max(modified_ms) FROM tsql_trigger WHERE id = ?1";
    let last: Option<i64> = connection.query_row(sql, [trigger.id], |row| row.get(0))?;
    connection.execute(
        "INSERT INTO tsql_trigger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (id) DO UPDATE
         SET disabled = ?4, definition = ?5, modified_ms = ?7",
        params![
            trigger.id,
            table_id,
            trigger.name,
            trigger.disabled,
            trigger.definition,
            tick_ms(now_ms),
            tick_ms(now_ms.max(last.unwrap_or(0) + 4)),
        ],
    )?;
    Ok(())
}

/// Moves a table's `modify_date`, by one of datetime's steps at least: whoever compares sees it.
pub fn touch(connection: &Connection, table_id: i32, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "SELECT max(t.created_ms, ifnull(m.at_ms, 0)) FROM tsql_table AS t
               LEFT JOIN tsql_modified AS m ON m.object_id = t.id WHERE t.id = ?1";
    let last: i64 = connection.query_row(sql, [table_id], |row| row.get(0))?;
    connection.execute(
        "INSERT OR REPLACE INTO tsql_modified VALUES (?1, ?2)",
        params![table_id, tick_ms(now_ms.max(last + 4))],
    )?;
    Ok(())
}

/// A moment as datetime keeps it: milliseconds that end in 0, 3 or 7.
fn tick_ms(ms: i64) -> i64 {
    let near = [0, 0, 3, 3, 3, 7, 7, 7, 7, 10];
    ms - ms.rem_euclid(10) + near[ms.rem_euclid(10) as usize]
}

pub fn erase_index(connection: &Connection, table_id: i32, id: i32) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM tsql_index_column WHERE table_id = ?1 AND index_id = ?2",
        "DELETE FROM tsql_index WHERE table_id = ?1 AND id = ?2",
    ] {
        connection.execute(sql, [table_id, id])?;
    }
    Ok(())
}

pub fn erase_trigger(connection: &Connection, id: i32) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM tsql_trigger WHERE id = ?1", [id]).map(|_| ())
}

pub fn erase_table(connection: &Connection, id: i32) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM tsql_foreign_key_column WHERE foreign_key_id IN (SELECT id FROM tsql_foreign_key WHERE table_id = ?1)",
        "DELETE FROM tsql_foreign_key WHERE table_id = ?1",
        "DELETE FROM tsql_index_column WHERE table_id = ?1",
        "DELETE FROM tsql_index WHERE table_id = ?1",
        "DELETE FROM tsql_computed WHERE table_id = ?1",
        "DELETE FROM tsql_check WHERE table_id = ?1",
        "DELETE FROM tsql_column WHERE table_id = ?1",
        "DELETE FROM tsql_identity WHERE table_id = ?1",
        "DELETE FROM tsql_tracking WHERE table_id = ?1",
        "DELETE FROM tsql_trigger WHERE table_id = ?1",
        "DELETE FROM tsql_modified WHERE object_id = ?1",
        "DELETE FROM tsql_grant WHERE class IN ('OBJECT', 'COLUMN') AND object_id = ?1",
        "DELETE FROM tsql_table WHERE id = ?1",
    ] {
        connection.execute(sql, [id])?;
    }
    Ok(())
}
