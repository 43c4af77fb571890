//! What the database holds, in memory: schemas, tables, columns, keys, rights. Shared by all sessions as one
//! unchanging value; a change of definition makes a new one.

pub mod definition;
pub mod kept;
pub mod shape;

use super::parse;
use super::refusal;
use super::syntax::{Events, Expr, ObjectName, Statement};
use super::types::{self, collation_of};
use crate::answer::SqlError;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tillhold_core::table::TableName;
use tillhold_core::types::SqlType;

/// The collation of the database and of every text column that names none.
pub const DATABASE_COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";
/// Deliberately another one for temporary tables, as where a server's differs from its database's: a temporary
/// text column without COLLATE must not compare with a column of the database (error 468).
pub const TEMPORARY_COLLATION: &str = "Latin1_General_CI_AS";

#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Grows with every change of definition: translated statements of an older one are forgotten.
    pub version: u64,
    pub database: String,
    pub snapshot_allowed: bool,
    pub read_only: bool,
    /// Below 130 there is no OPENJSON.
    pub compatibility: i64,
    pub tracking: Option<DatabaseTracking>,
    /// By folded name.
    pub schemas: BTreeMap<String, Schema>,
    /// By folded schema and name.
    pub tables: HashMap<(String, String), Arc<Relation>>,
    pub by_id: HashMap<i32, Arc<Relation>>,
    pub principals: Principals,
    pub next_object: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseTracking {
    pub retention_minutes: i64,
    pub auto_cleanup: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub id: i32,
    pub name: String,
}

/// A table, of the database or temporary.
#[derive(Clone, Debug)]
pub struct Relation {
    pub id: i32,
    pub name: TableName,
    /// SQLite's name of it, unquoted.
    pub storage: String,
    pub temporary: bool,
    pub fields: Vec<Field>,
    pub indexes: Vec<Index>,
    pub foreign: Vec<Foreign>,
    pub checks: Vec<Check>,
    pub tracking: Option<TableTracking>,
    /// In the order in which they were made, which is the order in which they fire.
    pub triggers: Vec<Arc<Trigger>>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub of: SqlType,
    pub nullable: bool,
    /// A text column's collation; `None` for other types.
    pub collation: Option<String>,
    pub identity: Option<Identity>,
    pub default: Option<FieldDefault>,
    pub computed: Option<Computed>,
    /// Where a temporary column took its collation from: the table's own COLLATE, or tempdb.
    pub id: i32,
}

/// A column that nobody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    pub text: String,
    pub persisted: bool,
    /// The expression for SQLite.
    pub sql: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub id: i32,
    pub name: String,
    pub text: String,
    /// The column that it was declared with.
    pub column: Option<i32>,
    pub sql: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub seed: i64,
    pub step: i64,
}

#[derive(Clone, Debug)]
pub struct FieldDefault {
    pub id: i32,
    pub name: String,
    pub text: String,
    pub value: Arc<Expr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub id: i32,
    pub name: String,
    pub primary: bool,
    pub unique: bool,
    /// PRIMARY KEY or UNIQUE constraint: error 2627; a mere unique index: 2601.
    pub constraint: bool,
    pub clustered: bool,
    /// Field positions, each with whether it descends.
    pub columns: Vec<(usize, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub id: i32,
    pub name: String,
    pub columns: Vec<usize>,
    pub to: i32,
    pub to_columns: Vec<usize>,
    pub cascade: bool,
}

#[derive(Clone, Debug)]
pub struct Trigger {
    pub id: i32,
    pub name: String,
    pub events: Events,
    pub disabled: bool,
    pub definition: String,
    pub body: Arc<[Statement]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableTracking {
    pub columns: bool,
}

/// Users, the roles they are in, and what each may do.
#[derive(Clone, Debug, Default)]
pub struct Principals {
    /// Users and roles by folded name; true for a role.
    pub names: BTreeMap<String, bool>,
    /// (role, member), folded.
    pub members: Vec<(String, String)>,
    /// (principal, right) by what it is on, folded but for the right: a channel of 500 tables has thousands of grants.
    pub grants: BTreeMap<Granted, BTreeSet<(String, String)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granted {
    Database,
    Schema(String),
    Object(i32),
    /// One column of a table, by its number.
    Column(i32, i32),
}

pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// An identifier for SQLite.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Catalogue {
    pub fn find(&self, name: &ObjectName) -> Result<&Arc<Relation>, SqlError> {
        let other = name.database.as_ref().is_some_and(|d| fold(d) != fold(&self.database));
        let schema = name.schema.as_deref().unwrap_or("dbo");
        let key = (fold(schema), fold(&name.name));
        match self.tables.get(&key) {
            Some(table) if !other => Ok(table),
            _ => Err(refusal::unknown_object(&name.to_string())),
        }
    }

    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(&fold(name))
    }

    pub fn put(&mut self, table: Relation) {
        let table = Arc::new(table);
        let key = (fold(&table.name.schema), fold(&table.name.name));
        self.by_id.insert(table.id, table.clone());
        self.tables.insert(key, table);
    }

    pub fn remove(&mut self, table: &Relation) {
        self.by_id.remove(&table.id);
        self.tables.remove(&(fold(&table.name.schema), fold(&table.name.name)));
    }

    /// A trigger and its table; a trigger is in its table's schema.
    pub fn trigger(&self, name: &ObjectName) -> Option<(&Arc<Relation>, &Arc<Trigger>)> {
        let schema = fold(name.schema.as_deref().unwrap_or("dbo"));
        let wanted = fold(&name.name);
        let here = self.by_id.values().filter(|table| fold(&table.name.schema) == schema);
        here.flat_map(|table| table.triggers.iter().map(move |trigger| (table, trigger)))
            .find(|(_, trigger)| fold(&trigger.name) == wanted)
    }

    pub fn next_id(&mut self) -> i32 {
        self.next_object += 1;
        self.next_object
    }
}

impl Relation {
    pub fn position(&self, column: &str) -> Option<usize> {
        // Most names come as they were declared; folding each field is for those that do not.
        self.fields.iter().position(|field| field.name == column).or_else(|| {
            let wanted = fold(column);
            self.fields.iter().position(|field| fold(&field.name) == wanted)
        })
    }

    pub fn primary(&self) -> Option<&Index> {
        self.indexes.iter().find(|index| index.primary)
    }

    /// The primary key's fields; empty without one.
    pub fn key(&self) -> impl Iterator<Item = &Field> {
        self.primary()
            .into_iter()
            .flat_map(|index| index.columns.iter().map(|(at, _)| &self.fields[*at]))
    }

    /// Whether the change named by `verb` fires a trigger.
    pub fn fires(&self, verb: &str) -> bool {
        self.triggers.iter().any(|trigger| !trigger.disabled && trigger.events.has(verb))
    }

    pub fn identity(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.identity.is_some())
    }

    pub fn rowversion(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.of == SqlType::RowVersion)
    }

    /// Qualified and quoted for SQLite.
    pub fn quoted(&self) -> String {
        let schema = if self.temporary { "temp" } else { "main" };
        format!("{schema}.{}", quote(&self.storage))
    }

    /// As messages name it.
    pub fn shown(&self) -> String {
        if self.temporary { self.name.name.clone() } else { self.name.to_string() }
    }

    /// As error 515 and 2628 name it: with the database.
    pub fn full(&self, database: &str) -> String {
        if self.temporary {
            format!("tempdb.dbo.{}", self.name.name)
        } else {
            format!("{database}.{}", self.name)
        }
    }
}

impl Field {
    pub fn sqlite_collation(&self) -> &'static str {
        collation_of(self.of, self.collation.as_deref())
    }

    /// Given by the engine, never by a statement.
    pub fn is_rowversion(&self) -> bool {
        self.of == SqlType::RowVersion
    }

    /// The column in SQLite's CREATE TABLE.
    pub fn declaration(&self) -> String {
        let collation = types::collation_clause(self.sqlite_collation());
        let null = if self.nullable { "" } else { " NOT NULL" };
        let computed = match &self.computed {
            Some(Computed { sql, persisted: true, .. }) => format!(" AS ({sql}) STORED"),
            Some(Computed { sql, .. }) => format!(" AS ({sql}) VIRTUAL"),
            None => String::new(),
        };
        format!("{} {}{collation}{computed}{null}", quote(&self.name), types::storage(self.of))
    }
}

impl Events {
    pub fn has(self, verb: &str) -> bool {
        match verb {
            "INSERT" => self.insert,
            "UPDATE" => self.update,
            _ => self.delete,
        }
    }
}

impl Principals {
    /// Whether `user`, or a role it is in, holds one of `rights` on the table, its schema or the database.
    pub fn allows(&self, user: &str, rights: &[&str], table: Option<&Relation>) -> bool {
        let here = |right: &str| right == "CONTROL" || rights.contains(&right);
        let around = table.map(|table| Granted::Schema(fold(&table.name.schema)));
        let itself = table.map(|table| Granted::Object(table.id));
        [Some(Granted::Database), around, itself]
            .into_iter()
            .flatten()
            .any(|on| self.holds(user, &on, here))
    }

    /// Whether the right was granted on one column.
    pub fn allows_column(&self, user: &str, right: &str, table: i32, column: i32) -> bool {
        self.holds(user, &Granted::Column(table, column), |granted| granted == right)
    }

    fn holds(&self, user: &str, on: &Granted, is_asked: impl Fn(&str) -> bool) -> bool {
        let user = fold(user);
        self.grants.get(on).is_some_and(|granted| {
            granted
                .iter()
                .any(|(principal, right)| is_asked(right) && self.acts_as(&user, principal))
        })
    }

    fn acts_as(&self, user: &str, principal: &str) -> bool {
        principal == user
            || principal == "public"
            || self.members.iter().any(|(role, member)| role == principal && member == user)
    }

    pub fn is_member(&self, user: &str, role: &str) -> bool {
        let (user, role) = (fold(user), fold(role));
        self.members.iter().any(|(r, m)| *r == role && *m == user)
    }
}

/// A default's expression from its kept text.
pub fn default_value(text: &str) -> Result<Arc<Expr>, SqlError> {
    parse::expression(text).map(Arc::new)
}
