//! CREATE, ALTER, DROP and TRUNCATE: SQLite's tables, the catalogue's rows and the catalogue in memory, together in
//! one transaction.

use super::{EngineSession, count_identity};
use crate::answer::SqlError;
use crate::engine::EngineError;
use crate::engine::catalogue::kept::{self, set_state};
use crate::engine::catalogue::{
    Catalogue, Relation, Schema, TableTracking, definition, fold, quote,
};
use crate::engine::refusal;
use crate::engine::syntax::{
    CreateIndex, CreateTable, ObjectName, StatementKind as S, TableChange,
};
use crate::engine::tracking;
use crate::engine::translate::Uses;
use std::sync::Arc;
use tillhold_core::table::Table;

/// Tables of one database: AX has 548, SQL Server's own limit is far above.
const TABLES_MAX: usize = 5_000;

pub(super) const WRITES: Uses =
    Uses { database: false, locks: false, writes_database: true, writes_temporary: false };

impl EngineSession {
    pub(super) fn define(&mut self, statement: &S) -> Result<(), SqlError> {
        match statement {
            S::CreateTable(given) if given.name.is_temporary() => self.create_temporary(given),
            S::DropTable { names, if_exists } => {
                names.iter().try_for_each(|name| self.drop_table(name, *if_exists))
            }
            S::CreateTable(given) => self.owning(|session| session.create_table(given)),
            S::CreateIndex(given) => self.create_index(given),
            S::DropIndex { index, table, if_exists } => {
                self.owning(|session| session.drop_index(index, table, *if_exists))
            }
            S::CreateTrigger(given) => self.owning(|session| session.create_trigger(given)),
            S::DropTrigger { names, if_exists } => self.owning(|session| {
                names.iter().try_for_each(|name| session.drop_trigger(name, *if_exists))
            }),
            S::CreateProcedure(given) => self.create_procedure(given),
            S::DropProcedure { names, if_exists } => {
                names.iter().try_for_each(|name| self.drop_procedure(name, *if_exists))
            }
            S::SwitchTrigger { trigger, table, on } => {
                self.owning(|session| session.switch_trigger(trigger.as_deref(), table, *on))
            }
            S::CreateSchema { name } => self.owning(|session| session.create_schema(name)),
            S::Truncate(name) => self.truncate(name),
            S::AlterTable { table, change } => {
                self.owning(|session| session.alter_table(table, change))
            }
            S::AlterDatabase { database, change } => {
                self.alter_database(database.as_deref(), change)
            }
            S::CreateLogin { .. }
            | S::CreateUser { .. }
            | S::CreateRole { .. }
            | S::AddMember { .. }
            | S::Permission(_) => self.owning(|session| session.define_security(statement)),
            _ => Err(refusal::syntax("this statement")),
        }
    }

    /// Definitions belong to owners.
    pub(super) fn owning(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        if self.is_owner { work(self) } else { Err(refusal::no_permission()) }
    }

    /// A change of definitions: `work` gets the newest catalogue to change and the connection to do it on.
    pub(super) fn redefine<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Catalogue) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.within_write(WRITES, |session| {
            // Others may have changed definitions while this session waited for the write lock.
            session.refresh();
            // What SQLite keeps for triggers would stand in the way of a changed table; it is made anew when needed.
            session.drop_captures()?;
            let mut catalogue = (*session.catalogue).clone();
            let answer = work(session, &mut catalogue)?;
            catalogue.version += 1;
            set_state(&session.connection, "next_object", i64::from(catalogue.next_object))
                .map_err(|error| session.refused(error, None))?;
            session.catalogue = Arc::new(catalogue);
            session.redefining = true;
            Ok(answer)
        })
    }

    pub(super) fn sqlite(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.execute_batch(sql).map_err(|error| self.refused(error, None))
    }

    pub(super) fn kept(&self, answer: rusqlite::Result<()>) -> Result<(), SqlError> {
        answer.map_err(|error| self.refused(error, None))
    }

    fn create_table(&mut self, given: &CreateTable) -> Result<(), SqlError> {
        let schema = given.name.schema.clone().unwrap_or_else(|| "dbo".to_string());
        self.redefine(|session, catalogue| {
            let known = catalogue.schema(&schema).cloned().ok_or_else(|| no_schema(&schema))?;
            if catalogue.find(&given.name).is_ok() {
                return Err(refusal::object_exists(&given.name.name));
            }
            let table = definition::permanent(catalogue, &known.name, given)?;
            session.make_table(catalogue, table, known.id)
        })
    }

    fn make_table(
        &mut self,
        catalogue: &mut Catalogue,
        table: Relation,
        schema: i32,
    ) -> Result<(), SqlError> {
        if catalogue.tables.len() >= TABLES_MAX {
            return Err(refusal::unsupported("so many tables"));
        }
        for sql in definition::statements(&table, catalogue) {
            self.sqlite(&sql)?;
        }
        let now_ms = self.engine.env.clock.wall_ms();
        self.kept(kept::write_table(&self.connection, &table, schema, now_ms))?;
        count_identity(&self.connection, &self.engine.counters, &table)
            .map_err(EngineError::into_sql)?;
        catalogue.put(table);
        Ok(())
    }

    /// Many tables in one transaction, with their schemas.
    pub(in crate::engine) fn create_tables(&mut self, tables: &[Table]) -> Result<(), EngineError> {
        self.redefine(|session, catalogue| {
            for given in tables {
                let schema = session.schema_or_new(catalogue, &given.name.schema)?;
                let name = ObjectName {
                    database: None,
                    schema: Some(given.name.schema.clone()),
                    name: given.name.name.clone(),
                };
                if catalogue.find(&name).is_ok() {
                    return Err(refusal::object_exists(&given.name.to_string()));
                }
                let table = definition::described(catalogue, given)?;
                session.make_table(catalogue, table, schema)?;
            }
            Ok(())
        })
        .map_err(EngineError::Sql)
    }

    fn schema_or_new(&mut self, catalogue: &mut Catalogue, name: &str) -> Result<i32, SqlError> {
        if let Some(schema) = catalogue.schema(name) {
            return Ok(schema.id);
        }
        let id = catalogue.schemas.values().map(|schema| schema.id).max().unwrap_or(4).max(4) + 1;
        let added = self
            .connection
            .execute("INSERT INTO tsql_schema VALUES (?1, ?2)", rusqlite::params![id, name]);
        self.kept(added.map(|_| ()))?;
        catalogue.schemas.insert(fold(name), Schema { id, name: name.to_string() });
        Ok(id)
    }

    fn create_schema(&mut self, name: &str) -> Result<(), SqlError> {
        self.redefine(|session, catalogue| {
            if catalogue.schema(name).is_some() {
                return Err(SqlError::new(
                    2714,
                    format!("There is already an object named '{name}' in the database."),
                ));
            }
            session.schema_or_new(catalogue, name).map(|_| ())
        })
    }

    fn create_index(&mut self, given: &CreateIndex) -> Result<(), SqlError> {
        if given.table.is_temporary() {
            return Err(refusal::unsupported(
                "an index on a temporary table (declare it UNIQUE or PRIMARY KEY)",
            ));
        }
        self.owning(|session| {
            session.redefine(|session, catalogue| {
                let mut table = (**catalogue.find(&given.table)?).clone();
                let index = definition::add_plain_index(
                    &mut table,
                    &given.name,
                    &given.columns,
                    given.unique,
                    given.clustered,
                )?;
                for sql in definition::index_statements(&table, &index) {
                    session
                        .connection
                        .execute_batch(&sql)
                        .map_err(|error| session.refused_in(error, Some(&table), "CREATE INDEX"))?;
                }
                session.kept(kept::write_index(&session.connection, &table, &index))?;
                session.touched(&table)?;
                catalogue.put(table);
                Ok(())
            })
        })
    }

    fn drop_table(&mut self, name: &ObjectName, if_exists: bool) -> Result<(), SqlError> {
        if name.is_temporary() {
            let dropped = self.drop_temporary(&name.name);
            return if dropped || if_exists {
                Ok(())
            } else {
                Err(refusal::no_such_object("drop", &name.name))
            };
        }
        if if_exists && self.catalogue.find(name).is_err() {
            return Ok(());
        }
        self.owning(|session| {
            session.redefine(|session, catalogue| {
                let table = catalogue
                    .find(name)
                    .map_err(|_| refusal::no_such_object("drop", &name.to_string()))?
                    .clone();
                let referenced = catalogue
                    .by_id
                    .values()
                    .any(|other| other.id != table.id && other.foreign.iter().any(|foreign| foreign.to == table.id));
                if referenced {
                    return Err(SqlError::new(
                        3726,
                        format!("Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.", table.name),
                    ));
                }
                if table.tracking.is_some() {
                    session.kept(tracking::disable(&session.connection, &table))?;
                }
                session.sqlite(&format!("DROP TABLE {}", table.quoted()))?;
                session.kept(kept::erase_table(&session.connection, table.id))?;
                catalogue.remove(&table);
                Ok(())
            })
        })
    }

    /// Not tracked: who had a cursor into the table must load it anew.
    fn truncate(&mut self, name: &ObjectName) -> Result<(), SqlError> {
        if name.is_temporary() {
            let table = self.temporary.find(&name.name)?;
            return self.sqlite(&format!("DELETE FROM {}", table.quoted()));
        }
        let table = self.catalogue.find(name)?.clone();
        if !self.surroundings().may("ALTER", Some(&table)) {
            return Err(refusal::no_such_object("truncate", &table.name.to_string()));
        }
        let refers = |other: &Arc<Relation>| {
            other.id != table.id && other.foreign.iter().any(|foreign| foreign.to == table.id)
        };
        if self.catalogue.by_id.values().any(refers) {
            return Err(SqlError::new(
                4712,
                format!(
                    "Cannot truncate table '{}' because it is being referenced by a FOREIGN KEY constraint.",
                    table.name
                ),
            ));
        }
        self.touch(&[table.id])?;
        self.change_of(&table, "TRUNCATE");
        self.within_write(WRITES, |session| {
            session.sqlite(&format!("DELETE FROM {}", table.quoted()))?;
            if table.tracking.is_some() {
                // The truncation has a version of its own, so that whoever reached the one before is behind it.
                let version = session.running.tracked_version();
                session.kept(tracking::restart(&session.connection, &table, version))?;
            }
            if let Some(identity) = table.identity().and_then(|at| table.fields[at].identity) {
                let erased = session
                    .connection
                    .execute("DELETE FROM tsql_identity WHERE table_id = ?1", [table.id]);
                session.kept(erased.map(|_| ()))?;
                session.engine.counters.set_identity(
                    table.id,
                    identity.seed - identity.step,
                    identity.step,
                );
            }
            Ok(())
        })
    }

    fn alter_table(&mut self, name: &ObjectName, change: &TableChange) -> Result<(), SqlError> {
        if name.is_temporary() {
            return Err(refusal::unsupported("ALTER of a temporary table"));
        }
        self.redefine(|session, catalogue| {
            let mut table = (**catalogue.find(name).map_err(|_| cannot_find(name))?).clone();
            match change {
                TableChange::EnableTracking { columns } => {
                    session.enable_tracking(catalogue, &mut table, *columns)?;
                }
                TableChange::DisableTracking => {
                    if table.tracking.take().is_none() {
                        return Err(SqlError::new(
                            4998,
                            format!(
                                "Change tracking is not enabled on table '{}'.",
                                table.name.name
                            ),
                        ));
                    }
                    session.kept(tracking::disable(&session.connection, &table))?;
                }
                TableChange::AddColumns(columns, constraints) => {
                    session.add_columns(catalogue, &mut table, columns, constraints)?;
                }
                TableChange::DropColumn(column) => session.drop_column(&mut table, column)?,
                TableChange::AlterColumn(column) => session.alter_column(&mut table, column)?,
            }
            session.touched(&table)?;
            catalogue.put(table);
            Ok(())
        })
    }

    /// The table's `modify_date` moves.
    fn touched(&self, table: &Relation) -> Result<(), SqlError> {
        let now_ms = self.engine.env.clock.wall_ms();
        self.kept(kept::touch(&self.connection, table.id, now_ms))
    }

    fn drop_index(
        &mut self,
        name: &str,
        table: &ObjectName,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        self.redefine(|session, catalogue| {
            let mut table = (**catalogue.find(table)?).clone();
            let found = table.indexes.iter().position(|index| fold(&index.name) == fold(name));
            let Some(at) = found else {
                return if if_exists { Ok(()) } else { Err(no_index(&table, name)) };
            };
            if table.indexes[at].constraint {
                return Err(SqlError::new(
                    3723,
                    format!(
                        "An explicit DROP INDEX is not allowed on index '{}.{name}'. It is being used for constraint enforcement.",
                        table.name
                    ),
                ));
            }
            let index = table.indexes.remove(at);
            for storage in definition::index_storages(&table, &index) {
                session.sqlite(&format!("DROP INDEX IF EXISTS main.{}", quote(&storage)))?;
            }
            session.kept(kept::erase_index(&session.connection, table.id, index.id))?;
            session.touched(&table)?;
            catalogue.put(table);
            Ok(())
        })
    }

    fn enable_tracking(
        &mut self,
        catalogue: &Catalogue,
        table: &mut Relation,
        columns: bool,
    ) -> Result<(), SqlError> {
        if catalogue.tracking.is_none() {
            return Err(SqlError::new(
                5088,
                format!(
                    "Change tracking is disabled for database '{}'. Change tracking must be enabled on a database to modify \
                     change tracking settings.",
                    catalogue.database
                ),
            ));
        }
        if table.tracking.is_some() {
            return Err(SqlError::new(
                4996,
                format!("Change tracking is already enabled for table '{}'.", table.name.name),
            ));
        }
        if table.primary().is_none() {
            return Err(SqlError::new(
                4997,
                format!(
                    "Cannot enable change tracking on table '{}'. Change tracking requires a primary key on the table. Create a \
                     primary key on the table before enabling change tracking.",
                    table.name.name
                ),
            ));
        }
        self.kept(tracking::enable(&self.connection, table, columns))?;
        table.tracking = Some(TableTracking { columns });
        Ok(())
    }
}

fn cannot_find(name: &ObjectName) -> SqlError {
    SqlError::new(
        4902,
        format!(
            "Cannot find the object \"{name}\" because it does not exist or you do not have permissions."
        ),
    )
}

fn no_index(table: &Relation, name: &str) -> SqlError {
    SqlError::new(
        3701,
        format!(
            "Cannot drop the index '{}.{name}', because it does not exist or you do not have permission.",
            table.name
        ),
    )
    .with_severity(11)
}

fn no_schema(name: &str) -> SqlError {
    SqlError::new(
        2760,
        format!(
            "The specified schema name \"{name}\" either does not exist or you do not have permission to use it."
        ),
    )
}
