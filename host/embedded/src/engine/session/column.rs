//! ALTER TABLE ADD, DROP COLUMN and ALTER COLUMN: none of them is a change of rows.

use super::EngineSession;
use crate::answer::SqlError;
use crate::engine::catalogue::{Catalogue, Field, Relation, definition, kept, quote};
use crate::engine::refusal;
use crate::engine::syntax::{ColumnDefinition, Constraint};
use crate::engine::tracking;
use crate::engine::translate::Translator;
use crate::engine::types::{bare, code, kept_alike, length};
use rusqlite::types::Value as Cell;
use tillhold_core::text::hexadecimal;
use tillhold_core::types::SqlType;

impl EngineSession {
    /// Rows that are there get the default when the column is NOT NULL, else NULL; it is no change of theirs.
    pub(super) fn add_columns(
        &mut self,
        catalogue: &mut Catalogue,
        table: &mut Relation,
        columns: &[ColumnDefinition],
        constraints: &[Constraint],
    ) -> Result<(), SqlError> {
        if !constraints.is_empty() {
            return Err(refusal::unsupported("ALTER TABLE ADD of a constraint"));
        }
        for column in columns {
            if column.identity.is_some() || column.of == tillhold_core::types::SqlType::RowVersion {
                return Err(refusal::unsupported(
                    "ALTER TABLE ADD of a column that the server assigns",
                ));
            }
            if column.computed.as_ref().is_some_and(|computed| computed.persisted) {
                return Err(refusal::unsupported("ALTER TABLE ADD of a persisted computed column"));
            }
            definition::add_field(catalogue, table, column)?;
            definition::compute_field(catalogue, table, column)?;
            let field = &table.fields[table.fields.len() - 1];
            let mut sql =
                format!("ALTER TABLE {} ADD COLUMN {}", table.quoted(), field.declaration());
            if !field.nullable && field.computed.is_none() {
                let Some(default) = &field.default else {
                    return Err(SqlError::new(
                        4901,
                        format!(
                            "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition \
                             specified. Column '{}' cannot be added to table '{}'.",
                            field.name, table.name.name
                        ),
                    ));
                };
                let plan = Translator::new(&self.surroundings(), 0)
                    .scalar(&default.value, Some(field.of))?;
                let cell = self.first_row(&plan)?.into_iter().next().unwrap_or(Cell::Null);
                sql += &format!(" DEFAULT {}", constant(&cell));
            }
            self.sqlite(&sql)?;
            let field = &table.fields[table.fields.len() - 1];
            self.kept(kept::write_field(&self.connection, table.id, field))?;
        }
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        table: &mut Relation,
        column: &str,
    ) -> Result<(), SqlError> {
        let at = table.position(column).ok_or_else(|| {
            SqlError::new(
                4924,
                format!("ALTER TABLE DROP COLUMN failed because column '{column}' does not exist in table '{}'.", table.name.name),
            )
        })?;
        let indexed =
            table.indexes.iter().any(|index| index.columns.iter().any(|(column, _)| *column == at));
        if indexed || table.fields[at].default.is_some() {
            return Err(SqlError::new(
                4922,
                format!(
                    "ALTER TABLE DROP COLUMN {column} failed because one or more objects access this column."
                ),
            ));
        }
        self.sqlite(&format!(
            "ALTER TABLE {} DROP COLUMN {}",
            table.quoted(),
            quote(&table.fields[at].name)
        ))?;
        let id = table.fields[at].id;
        let erased = self
            .connection
            .execute("DELETE FROM tsql_column WHERE table_id = ?1 AND id = ?2", [table.id, id]);
        self.kept(erased.map(|_| ()))?;
        table.fields.remove(at);
        for (column, _) in table.indexes.iter_mut().flat_map(|index| index.columns.iter_mut()) {
            *column -= usize::from(*column > at);
        }
        Ok(())
    }

    /// A new type, collation or nullability, for the rows that are there too.
    pub(super) fn alter_column(
        &mut self,
        table: &mut Relation,
        given: &ColumnDefinition,
    ) -> Result<(), SqlError> {
        let at = table.position(&given.name).ok_or_else(|| {
            SqlError::new(
                4924,
                format!(
                    "ALTER TABLE ALTER COLUMN failed because column '{}' does not exist in table '{}'.",
                    given.name, table.name.name
                ),
            )
        })?;
        let old = table.fields[at].clone();
        let kind = match &old.computed {
            Some(_) => Some("COMPUTED"),
            None if old.of == SqlType::RowVersion || given.of == SqlType::RowVersion => {
                Some("timestamp")
            }
            None => None,
        };
        if let Some(kind) = kind {
            return Err(SqlError::new(
                4928,
                format!("Cannot alter column '{}' because it is '{kind}'.", old.name),
            ));
        }
        let made = definition::field(table, given, at)?;
        let nullable = given.nullable.unwrap_or(true);
        let new = Field { of: made.of, collation: made.collation, nullable, ..old.clone() };
        if !may_alter(table, at, &new) {
            return Err(SqlError::new(
                4922,
                format!(
                    "ALTER TABLE ALTER COLUMN {} failed because one or more objects access this column.",
                    old.name
                ),
            ));
        }
        if old.declaration() != new.declaration() || !kept_alike(old.of, new.of) {
            self.all_or_nothing(|session| session.rebuild(table, &old, &new))?;
        }
        let erased = self
            .connection
            .execute("DELETE FROM tsql_column WHERE table_id = ?1 AND id = ?2", [table.id, old.id]);
        self.kept(erased.map(|_| ()))?;
        self.kept(kept::write_field(&self.connection, table.id, &new))?;
        table.fields[at] = new;
        Ok(())
    }

    fn rebuild(&mut self, table: &Relation, old: &Field, new: &Field) -> Result<(), SqlError> {
        // Once SQLite is told that there are no NULLs it does not look for them any more.
        if old.nullable && !new.nullable {
            self.no_nulls(table, old)?;
        }
        // Change tracking does not see it.
        self.kept(tracking::pause(&self.connection, table))?;
        self.redeclare(table, old, new)?;
        self.convert_rows(table, old, new)?;
        self.kept(tracking::resume(&self.connection, table))
    }

    fn no_nulls(&self, table: &Relation, field: &Field) -> Result<(), SqlError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE {} IS NULL)",
            table.quoted(),
            quote(&field.name)
        );
        let found: bool = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| self.refused(error, None))?;
        let full = table.full(&self.catalogue.database);
        if found { Err(refusal::null_refused(&full, &field.name, "UPDATE")) } else { Ok(()) }
    }

    /// SQLite has no statement for it: the column's declaration is changed where SQLite keeps it, the way its own
    /// documentation describes ("Making Other Kinds Of Table Schema Changes").
    fn redeclare(&self, table: &Relation, old: &Field, new: &Field) -> Result<(), SqlError> {
        let refused = |error| self.refused(error, None);
        let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
        let text: String =
            self.connection.query_row(sql, [&table.storage], |row| row.get(0)).map_err(refused)?;
        let text = text.replacen(&old.declaration(), &new.declaration(), 1);
        let version: i64 = self
            .connection
            .query_row("PRAGMA main.schema_version", [], |row| row.get(0))
            .map_err(refused)?;
        self.connection.execute_batch("PRAGMA writable_schema = ON").map_err(refused)?;
        let changed = self
            .connection
            .execute(
                "UPDATE main.sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1",
                [&table.storage, &text],
            )
            .map_err(refused);
        let ended =
            format!("PRAGMA main.schema_version = {}; PRAGMA writable_schema = RESET", version + 1);
        self.connection.execute_batch(&ended).map_err(refused)?;
        changed.map(|_| ())
    }

    fn convert_rows(&self, table: &Relation, old: &Field, new: &Field) -> Result<(), SqlError> {
        let (name, quoted) = (quote(&old.name), table.quoted());
        if kept_alike(old.of, new.of) {
            return Ok(());
        }
        let sql = format!(
            "UPDATE {quoted} SET {name} = ts_assign({name}, {}, {}, ?1, ?2)",
            code(old.of),
            code(new.of)
        );
        self.connection
            .execute(&sql, [table.full(&self.catalogue.database), old.name.clone()])
            .map(|_| ())
            .map_err(|error| self.refused_in(error, Some(table), "UPDATE"))
    }
}

/// A column of a key, an index or a foreign key may only grow; one with a default may not change its kind.
fn may_alter(table: &Relation, at: usize, new: &Field) -> bool {
    let old = &table.fields[at];
    let grows = bare(old.of) == bare(new.of)
        && length(old.of).is_some()
        && kept_alike(old.of, new.of)
        && old.collation == new.collation
        && old.nullable == new.nullable;
    let indexed =
        table.indexes.iter().any(|index| index.columns.iter().any(|(column, _)| *column == at))
            || table.foreign.iter().any(|foreign| foreign.columns.contains(&at));
    let kind = old.default.is_none() || bare(old.of) == bare(new.of);
    kind && (grows || !indexed)
}

/// A kept cell as SQLite's constant.
fn constant(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => format!("{number:?}"),
        Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Cell::Blob(bytes) => format!("x'{}'", hexadecimal(bytes)),
    }
}
