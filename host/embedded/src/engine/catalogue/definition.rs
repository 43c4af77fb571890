//! From a CREATE TABLE to a table: names of unnamed constraints, nullability, keys, and SQLite's own statements.

use super::{
    Catalogue, Check, Computed, DATABASE_COLLATION, Field, FieldDefault, Foreign, Identity, Index,
    Relation, TEMPORARY_COLLATION, default_value, fold, quote,
};
use crate::answer::SqlError;
use crate::engine::refusal;
use crate::engine::syntax::{ColumnDefinition, Constraint, ConstraintKind, CreateTable};
use crate::engine::translate::{Label, row_condition, row_value};
use crate::engine::types::{Family, collation_clause, family};
use tillhold_core::table::{Assigned, Table, TableName};
use tillhold_core::types::SqlType;

/// Columns in a key (SQL Server: 32 since 2016) and in a table (1,024).
const KEY_COLUMNS_MAX: usize = 32;
const COLUMNS_MAX: usize = 1024;

/// A table of the database.
pub fn permanent(
    catalogue: &mut Catalogue,
    schema: &str,
    given: &CreateTable,
) -> Result<Relation, SqlError> {
    let name = TableName::new(schema, given.name.name.clone());
    let id = catalogue.next_id();
    let mut table = blank(id, name.clone(), name.to_string(), false);
    fill(catalogue, &mut table, &given.columns, &given.constraints)?;
    Ok(table)
}

/// A temporary table, kept in SQLite under `storage`; its numbers mean nothing outside the session.
pub fn temporary(
    catalogue: &Catalogue,
    given: &CreateTable,
    storage: String,
) -> Result<Relation, SqlError> {
    let mut scratch = Catalogue { database: catalogue.database.clone(), ..Catalogue::default() };
    let name = TableName::new("dbo", given.name.name.clone());
    let mut table = blank(-1, name, storage, true);
    fill(&mut scratch, &mut table, &given.columns, &given.constraints)?;
    Ok(table)
}

/// A table as Tillhold's own description gives it: what the filling of an embedded channel starts from.
pub fn described(catalogue: &mut Catalogue, given: &Table) -> Result<Relation, SqlError> {
    let id = catalogue.next_id();
    let mut table = blank(id, given.name.clone(), given.name.to_string(), false);
    for (at, column) in given.columns.iter().enumerate() {
        let whole = family(column.of) == Family::Integer;
        let identity = column.assigned == Assigned::ByChannel && whole;
        let definition = ColumnDefinition {
            name: column.name.clone(),
            of: column.of,
            collation: column.collation.clone(),
            nullable: Some(column.nullable),
            identity: identity.then_some((1, 1)),
            default: None,
            computed: None,
        };
        let mut field = field(&table, &definition, at)?;
        if let Some(text) = &column.default {
            let text = if text.starts_with('(') { text.clone() } else { format!("({text})") };
            let value = default_value(&text)?;
            let name = default_name(&table.name.name, &column.name, catalogue.next_object);
            field.default = Some(FieldDefault { id: catalogue.next_id(), name, text, value });
        }
        table.fields.push(field);
    }
    if !given.key.is_empty() {
        let columns = given.key.iter().map(|at| (*at, false)).collect();
        let name = format!("PK_{}", given.name.name);
        add_index(&mut table, name, columns, Made::Primary { clustered: true });
    }
    Ok(table)
}

fn blank(id: i32, name: TableName, storage: String, temporary: bool) -> Relation {
    Relation {
        id,
        name,
        storage,
        temporary,
        fields: Vec::new(),
        indexes: Vec::new(),
        foreign: Vec::new(),
        checks: Vec::new(),
        tracking: None,
        triggers: Vec::new(),
    }
}

fn fill(
    catalogue: &mut Catalogue,
    table: &mut Relation,
    columns: &[ColumnDefinition],
    constraints: &[Constraint],
) -> Result<(), SqlError> {
    if columns.len() > COLUMNS_MAX {
        return Err(SqlError::new(
            1702,
            format!("CREATE TABLE failed: more than {COLUMNS_MAX} columns."),
        ));
    }
    for definition in columns {
        add_field(catalogue, table, definition)?;
    }
    for definition in columns {
        compute_field(catalogue, table, definition)?;
    }
    for constraint in constraints {
        add_constraint(catalogue, table, constraint)?;
    }
    // A primary key's columns are NOT NULL without saying so; said to be NULL, error 8111.
    for (at, _) in table.primary().map(|index| index.columns.clone()).unwrap_or_default() {
        let said = columns.iter().find(|c| fold(&c.name) == fold(&table.fields[at].name));
        if said.is_some_and(|column| column.nullable == Some(true)) {
            return Err(SqlError::new(
                8111,
                format!(
                    "Cannot define PRIMARY KEY constraint on nullable column in table '{}'.",
                    table.name.name
                ),
            ));
        }
        if table.fields[at].computed.is_some() {
            return Err(refusal::unsupported("a computed column in a primary key"));
        }
        table.fields[at].nullable = false;
    }
    Ok(())
}

pub fn add_field(
    catalogue: &mut Catalogue,
    table: &mut Relation,
    definition: &ColumnDefinition,
) -> Result<(), SqlError> {
    if table.position(&definition.name).is_some() {
        return Err(SqlError::new(
            2705,
            format!(
                "Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.",
                definition.name,
                table.shown()
            ),
        ));
    }
    let mut field = field(table, definition, table.fields.len())?;
    if let Some(default) = &definition.default {
        let name = default.name.clone();
        let name = name
            .unwrap_or_else(|| default_name(&table.name.name, &field.name, catalogue.next_object));
        let (text, value) = (default.text.clone(), default.value.clone());
        field.default = Some(FieldDefault { id: catalogue.next_id(), name, text, value });
    }
    table.fields.push(field);
    Ok(())
}

/// What a computed column is: known once all the plain columns are.
pub fn compute_field(
    catalogue: &Catalogue,
    table: &mut Relation,
    definition: &ColumnDefinition,
) -> Result<(), SqlError> {
    let Some(computed) = &definition.computed else { return Ok(()) };
    let Some(at) = table.position(&definition.name) else { return Ok(()) };
    let value = row_value(catalogue, &plain_columns(table), &computed.value)?;
    let collation = match &value.label {
        Label::Implicit(name) | Label::Explicit(name) => name.clone(),
        _ => DATABASE_COLLATION.to_string(),
    };
    let field = &mut table.fields[at];
    field.of = value.of;
    field.nullable = definition.nullable.unwrap_or(value.nullable);
    field.collation = (family(value.of) == Family::Text).then_some(collation);
    field.computed = Some(Computed {
        text: computed.text.clone(),
        persisted: computed.persisted,
        sql: value.sql,
    });
    Ok(())
}

/// A computed column sees no other computed column.
fn plain_columns(table: &Relation) -> Relation {
    let mut plain = table.clone();
    plain.fields.retain(|field| field.computed.is_none());
    plain
}

fn default_name(table: &str, column: &str, number: i32) -> String {
    format!("DF__{table}__{column}__{number:08X}")
}

/// A column as its declaration makes it, at a place of its table.
pub fn field(
    table: &Relation,
    definition: &ColumnDefinition,
    at: usize,
) -> Result<Field, SqlError> {
    let of = definition.of;
    let own = if table.temporary { TEMPORARY_COLLATION } else { DATABASE_COLLATION };
    let collation = match definition.collation.as_deref() {
        Some(name) if name.eq_ignore_ascii_case("database_default") => Some(DATABASE_COLLATION),
        Some(name) => Some(name),
        None => Some(own),
    };
    if definition.identity.is_some() && family(of) != Family::Integer {
        return Err(refusal::unsupported("an identity column that is no integer"));
    }
    let last = table.fields.iter().map(|field| field.id).max().unwrap_or(0);
    Ok(Field {
        id: last.max(at as i32) + 1,
        name: definition.name.clone(),
        of,
        nullable: definition
            .nullable
            .unwrap_or(definition.identity.is_none() && of != SqlType::RowVersion),
        collation: collation.filter(|_| family(of) == Family::Text).map(str::to_string),
        identity: definition.identity.map(|(seed, step)| Identity { seed, step }),
        default: None,
        computed: None,
    })
}

enum Made {
    Primary { clustered: bool },
    Unique { clustered: bool },
    Index { unique: bool, clustered: bool },
}

fn add_index(table: &mut Relation, name: String, columns: Vec<(usize, bool)>, made: Made) {
    let (primary, unique, constraint, clustered) = match made {
        Made::Primary { clustered } => (true, true, true, clustered),
        Made::Unique { clustered } => (false, true, true, clustered),
        Made::Index { unique, clustered } => (false, unique, false, clustered),
    };
    let id = table.indexes.iter().map(|index| index.id).max().unwrap_or(0) + 1;
    table.indexes.push(Index { id, name, primary, unique, constraint, clustered, columns });
}

pub fn add_constraint(
    catalogue: &mut Catalogue,
    table: &mut Relation,
    constraint: &Constraint,
) -> Result<(), SqlError> {
    let number = catalogue.next_id();
    let named = |prefix: &str, table: &Relation| {
        constraint
            .name
            .clone()
            .unwrap_or_else(|| format!("{prefix}__{}__{number:08X}", table.name.name))
    };
    match &constraint.kind {
        ConstraintKind::Primary { clustered, columns } => {
            if table.primary().is_some() {
                return Err(SqlError::new(
                    1779,
                    format!("Table '{}' already has a primary key defined on it.", table.name.name),
                ));
            }
            let (name, columns) = (named("PK", table), key_positions(table, columns)?);
            add_index(table, name, columns, Made::Primary { clustered: *clustered });
        }
        ConstraintKind::Unique { clustered, columns } => {
            let (name, columns) = (named("UQ", table), key_positions(table, columns)?);
            add_index(table, name, columns, Made::Unique { clustered: *clustered });
        }
        ConstraintKind::Check { column, text, condition } => {
            let (id, name) = (number, named("CK", table));
            let sql = row_condition(catalogue, table, condition)?;
            let column = match column {
                Some(column) => Some(table.fields[position(table, column)?].id),
                None => None,
            };
            table.checks.push(Check { id, name, text: text.clone(), column, sql });
        }
        // SQL Server ignores foreign keys of temporary tables.
        ConstraintKind::Foreign { .. } if table.temporary => {}
        ConstraintKind::Foreign { columns, table: to, to: to_columns, cascade } => {
            let name = named("FK", table);
            let target = catalogue.find(to)?.clone();
            let to_columns = referenced(&target, to_columns)?;
            let columns =
                columns.iter().map(|name| position(table, name)).collect::<Result<Vec<_>, _>>()?;
            let (to, cascade) = (target.id, *cascade);
            table.foreign.push(Foreign { id: number, name, columns, to, to_columns, cascade });
        }
    }
    Ok(())
}

fn referenced(target: &Relation, columns: &[String]) -> Result<Vec<usize>, SqlError> {
    if !columns.is_empty() {
        return columns.iter().map(|name| position(target, name)).collect();
    }
    let primary = target.primary().ok_or_else(|| {
        SqlError::new(
            1773,
            format!(
                "Foreign key references object '{}' which does not have a primary key.",
                target.name
            ),
        )
    })?;
    Ok(primary.columns.iter().map(|(at, _)| *at).collect())
}

pub fn add_plain_index(
    table: &mut Relation,
    name: &str,
    columns: &[(String, bool)],
    unique: bool,
    clustered: bool,
) -> Result<Index, SqlError> {
    if table.indexes.iter().any(|index| fold(&index.name) == fold(name)) {
        return Err(SqlError::new(
            1913,
            format!(
                "The operation failed because an index or statistics with name '{name}' already exists on table '{}'.",
                table.name
            ),
        ));
    }
    let columns = key_positions(table, columns)?;
    add_index(table, name.to_string(), columns, Made::Index { unique, clustered });
    Ok(table.indexes[table.indexes.len() - 1].clone())
}

fn key_positions(
    table: &Relation,
    columns: &[(String, bool)],
) -> Result<Vec<(usize, bool)>, SqlError> {
    if columns.len() > KEY_COLUMNS_MAX {
        return Err(SqlError::new(1904, format!("A key has at most {KEY_COLUMNS_MAX} columns.")));
    }
    columns.iter().map(|(name, descending)| Ok((position(table, name)?, *descending))).collect()
}

fn position(table: &Relation, name: &str) -> Result<usize, SqlError> {
    table.position(name).ok_or_else(|| {
        SqlError::new(
            1911,
            format!("Column name '{name}' does not exist in the target table or view."),
        )
    })
}

/// SQLite's CREATE statements for a table and its indexes.
pub fn statements(table: &Relation, catalogue: &Catalogue) -> Vec<String> {
    let mut parts: Vec<String> = table.fields.iter().map(Field::declaration).collect();
    if let Some(primary) = table.primary() {
        parts.push(format!("PRIMARY KEY ({})", columns(table, primary)));
    }
    for foreign in &table.foreign {
        // A key on its own table: it is not in the catalogue yet.
        let other = catalogue.by_id.get(&foreign.to).map(AsRef::as_ref);
        let target = other.unwrap_or(table);
        parts.push(format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}){}",
            names(table, &foreign.columns),
            quote(&target.storage),
            names(target, &foreign.to_columns),
            if foreign.cascade { " ON DELETE CASCADE" } else { "" }
        ));
    }
    for check in &table.checks {
        parts.push(format!("CONSTRAINT {} CHECK ({})", quote(&check.name), check.sql));
    }
    let rowid = if table.primary().is_some() { " WITHOUT ROWID" } else { "" };
    let mut all = vec![format!("CREATE TABLE {} ({}){rowid}", table.quoted(), parts.join(", "))];
    all.extend(
        table
            .indexes
            .iter()
            .filter(|index| !index.primary)
            .flat_map(|index| index_statements(table, index)),
    );
    all
}

fn names(table: &Relation, positions: &[usize]) -> String {
    let quoted: Vec<String> = positions.iter().map(|at| quote(&table.fields[*at].name)).collect();
    quoted.join(", ")
}

fn columns(table: &Relation, index: &Index) -> String {
    let one = |(at, descending): &(usize, bool)| {
        let order = if *descending { " DESC" } else { "" };
        format!("{}{order}", quote(&table.fields[*at].name))
    };
    index.columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// SQLite's name of an index: the table's and its own.
pub fn index_storage(table: &Relation, index: &Index) -> String {
    format!("{}.{}", table.storage, index.name)
}

/// SQLite's names of what [`index_statements`] makes; the second is there only where NULLs are.
pub fn index_storages(table: &Relation, index: &Index) -> [String; 2] {
    let name = index_storage(table, index);
    let forbidding = format!("{name}!");
    [name, forbidding]
}

/// For SQL Server two NULLs are one key; for SQLite they are two. A unique index with a nullable column is
/// therefore two: one that finds, one that forbids.
pub fn index_statements(table: &Relation, index: &Index) -> Vec<String> {
    let schema = if table.temporary { "temp" } else { "main" };
    let on = quote(&table.storage);
    let name = index_storage(table, index);
    let nullable = index.columns.iter().any(|(at, _)| table.fields[*at].nullable);
    let unique = if index.unique && !nullable { "UNIQUE " } else { "" };
    let mut all = vec![format!(
        "CREATE {unique}INDEX {schema}.{} ON {on} ({})",
        quote(&name),
        columns(table, index)
    )];
    if index.unique && nullable {
        let one = |(at, _): &(usize, bool)| {
            let field = &table.fields[*at];
            let collate = collation_clause(field.sqlite_collation());
            // A blob is never equal to a text or a number; for binary columns the mark is a text.
            let mark = if family(field.of) == Family::Binary { "'null'" } else { "x'00'" };
            format!("ifnull({}, {mark}){collate}", quote(&field.name))
        };
        let terms: Vec<String> = index.columns.iter().map(one).collect();
        let forbidding = quote(&format!("{name}!"));
        all.push(format!(
            "CREATE UNIQUE INDEX {schema}.{forbidding} ON {on} ({})",
            terms.join(", ")
        ));
    }
    all
}
