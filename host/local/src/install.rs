//! Makes room for the profile's tables: creates what is missing, changes nothing that is there, drops nothing ever.
//!
//! 1. Look at all tables first; one that cannot be as asked refuses the whole installation before anything is written.
//! 2. Create what is missing in the journal, in one transaction; then in the catalogue, in another.
//!
//! A table that left the profile stays with its rows and triggers: it may hold unsent sales.

use crate::capture;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, LoadState, Registry, direction_name, home};
use crate::schema;
use crate::shape;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use tillhold_core::profile::Direction;
use tillhold_core::table::{Table, TableName};

/// A table as the profile wants it.
#[derive(Clone, Debug)]
pub struct InstalledTable {
    pub scope: String,
    pub direction: Direction,
    /// In its travelling shape.
    pub table: Arc<Table>,
}

/// What an installation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallReport {
    pub created: Vec<TableName>,
    pub unchanged: Vec<TableName>,
    /// Tables that cannot be synchronised, with the reason; the others are installed all the same.
    pub left_out: Vec<(TableName, String)>,
    /// Lookups of tables or columns that are not there.
    pub lookups_left_out: Vec<(TableName, Vec<String>)>,
}

impl LocalDatabase {
    /// Installs `tables` and an index for each of `lookups`. Repeating it changes nothing.
    pub async fn install(
        &self,
        tables: Vec<InstalledTable>,
        lookups: Vec<(TableName, Vec<String>)>,
    ) -> Result<InstallReport, LocalError> {
        let mut report = InstallReport::default();
        let (tables, keyless): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|wanted| !wanted.table.key.is_empty());
        for wanted in keyless {
            let reason = "it has no primary key that travels, so its rows cannot be told apart";
            report.left_out.push((wanted.table.name.clone(), reason.to_string()));
        }
        let registry = self.registry();
        for wanted in &tables {
            match check(wanted, &registry)? {
                Some(_) => report.unchanged.push(wanted.table.name.clone()),
                None => report.created.push(wanted.table.name.clone()),
            }
        }
        for kind in [Kind::Journal, Kind::Catalogue] {
            let here = |wanted: &&InstalledTable| home(wanted.direction) == kind;
            let plan: Vec<InstalledTable> = tables.iter().filter(here).cloned().collect();
            let known = registry.clone();
            self.writer(kind).run(move |conn| install(conn, &plan, &known)).await?;
        }
        self.refresh_registry().await?;
        report.lookups_left_out = self.install_lookups(lookups).await?;
        Ok(report)
    }

    async fn install_lookups(
        &self,
        lookups: Vec<(TableName, Vec<String>)>,
    ) -> Result<Vec<(TableName, Vec<String>)>, LocalError> {
        let registry = self.registry();
        let mut left_out = Vec::new();
        for (name, columns) in lookups {
            let found = registry.get(&name).ok();
            let position = |entry: &Entry, column: &String| entry.table.position(column);
            let positions: Option<Vec<usize>> =
                found.and_then(|entry| columns.iter().map(|c| position(entry, c)).collect());
            let (Some(entry), Some(positions)) = (found, positions) else {
                left_out.push((name, columns));
                continue;
            };
            let sql = schema::create_lookup(&entry.table, &positions);
            self.writer(entry.kind).run(move |conn| Ok(conn.execute_batch(&sql)?)).await?;
        }
        Ok(left_out)
    }
}

/// The table's entry when it is there and as wanted; `None` when it is to be created.
fn check<'a>(
    wanted: &InstalledTable,
    registry: &'a Registry,
) -> Result<Option<&'a Arc<Entry>>, LocalError> {
    let Ok(entry) = registry.get(&wanted.table.name) else {
        return Ok(None);
    };
    let table = wanted.table.name.clone();
    if entry.kind != home(wanted.direction) {
        let (from, to) = (entry.direction, wanted.direction);
        return Err(LocalError::DirectionChanged { table, from, to });
    }
    let (stored, offered) = (shape::fingerprint(&entry.table), shape::fingerprint(&wanted.table));
    if stored != offered {
        return Err(LocalError::ShapeChanged { table, stored, offered });
    }
    Ok(Some(entry))
}

fn install(
    conn: &mut Connection,
    plan: &[InstalledTable],
    registry: &Registry,
) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for wanted in plan {
        match registry.get(&wanted.table.name) {
            Ok(entry) => move_scope(&transaction, entry, wanted)?,
            Err(_) => create(&transaction, wanted)?,
        }
    }
    Ok(transaction.commit()?)
}

fn create(conn: &Connection, wanted: &InstalledTable) -> Result<(), Trouble> {
    let table = &wanted.table;
    let pulled = wanted.direction.is_pulled();
    let state = if pulled { LoadState::NotStarted } else { LoadState::Loaded };
    conn.prepare_cached(
        "INSERT INTO tillhold_table \
         (name, scope, direction, shape, fingerprint, ready, load_state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        table.name.to_string(),
        &wanted.scope,
        direction_name(wanted.direction),
        shape::encode(table),
        shape::fingerprint(table),
        !pulled,
        state.name(),
    ))?;
    let table_id = conn.last_insert_rowid();
    conn.execute_batch(&schema::create(table, pulled))?;
    if wanted.direction.is_pushed() {
        conn.execute_batch(&capture::create(table, table_id))?;
    }
    Ok(())
}

/// The same table in another scope, or with another direction of the same file.
fn move_scope(conn: &Connection, entry: &Entry, wanted: &InstalledTable) -> Result<(), Trouble> {
    let direction = direction_name(wanted.direction);
    conn.execute(
        "UPDATE tillhold_table SET scope = ?2, direction = ?3 \
         WHERE table_id = ?1 AND (scope <> ?2 OR direction <> ?3)",
        (entry.id, &wanted.scope, direction),
    )?;
    if wanted.direction.is_pulled() && !entry.direction.is_pulled() {
        // It was only pushed: what the channel has beside it must be loaded, and the POS reads on meanwhile.
        conn.execute_batch(&schema::create_stage(&entry.table))?;
        set_load_state(conn, entry.id, LoadState::NotStarted)?;
    }
    if !wanted.direction.is_pulled() && entry.direction.is_pulled() {
        conn.execute("UPDATE tillhold_table SET ready = 1 WHERE table_id = ?1", [entry.id])?;
        set_load_state(conn, entry.id, LoadState::Loaded)?;
    }
    Ok(())
}

fn set_load_state(conn: &Connection, table_id: i64, state: LoadState) -> Result<(), Trouble> {
    let sql = "UPDATE tillhold_table SET load_state = ?2 WHERE table_id = ?1";
    conn.execute(sql, (table_id, state.name()))?;
    Ok(())
}
