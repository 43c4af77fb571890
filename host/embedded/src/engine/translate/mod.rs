//! From T-SQL's tree to one SQLite statement, with every type known beforehand.
//!
//! ```text
//! Query, Insert, Update, Delete -> Translator -> Plan (SQLite text, what to bind, the result's columns)
//! ```
//! * Types come from the catalogue, never from what SQLite happens to hold.
//! * Every conversion, comparison and sort is spelled out: SQLite is left no affinity and no collation to choose.
//! * Sources get names of our own (`s1`, `s2`), so that no name of T-SQL can mean something else in SQLite.

mod aggregate;
mod assign;
mod call;
mod catalogue_call;
mod change;
mod compare;
mod expression;
mod facts;
mod insert;
mod joins;
mod query;
mod row;
mod scope;
mod text_call;
mod tracking;

pub use facts::Fact;
pub use row::{row_condition, row_value};
pub use scope::{Label, Scope, Shown, Typed};

use super::catalogue::{Catalogue, Relation, fold};
use super::refusal;
use super::syntax::{BinaryOperator, Cte, Expr, JsonColumn, ObjectName};
use super::temporary::Temporary;
use super::types::collation_clause as collate;
use crate::answer::{ResultColumn, SqlError};
use rusqlite::types::Value as Cell;
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_core::types::SqlType;

pub type Translated<T> = Result<T, SqlError>;

/// What a session's statements can see.
pub struct Surroundings<'a> {
    pub catalogue: &'a Catalogue,
    pub temporary: &'a Temporary,
    pub variables: &'a HashMap<String, SqlType>,
    /// The table that has IDENTITY_INSERT ON.
    pub identity_insert: Option<i32>,
    pub user: &'a str,
    pub is_owner: bool,
    /// The trigger whose body runs.
    pub inside: Option<&'a Inside>,
    pub session_context: &'a SessionContext,
}

/// What a trigger's body sees beside everything else: the changed rows, before and after.
#[derive(Debug)]
pub struct Inside {
    pub trigger: i32,
    pub inserted: Arc<Relation>,
    pub deleted: Arc<Relation>,
}

/// `sp_set_session_context`'s keys, with the type that each value has at present.
#[derive(Debug, Default)]
pub struct SessionContext {
    pub values: HashMap<String, Kept>,
}

#[derive(Debug)]
pub struct Kept {
    pub of: SqlType,
    pub cell: Cell,
    pub read_only: bool,
}

/// One SQLite statement, ready to be run many times.
#[derive(Debug)]
pub struct Plan {
    pub sql: String,
    /// What `?1`, `?2`… stand for.
    pub bound: Vec<Bound>,
    /// Empty for a change without OUTPUT.
    pub columns: Vec<ResultColumn>,
    /// `SELECT @a = …`: where each column goes.
    pub assigned: Vec<String>,
    /// Works out those values from one row, when they build on those of the row before.
    pub each: Option<Arc<Plan>>,
    pub json: Vec<JsonLoad>,
    /// What the translation depends on beside the catalogue.
    pub temporaries: Vec<(String, i32)>,
    /// The database's tables that it names.
    pub tables: Vec<i32>,
    pub variables: Vec<(String, SqlType)>,
    /// The keys of SESSION_CONTEXT, with the types under which it was translated.
    pub contexts: Vec<(String, Option<SqlType>)>,
    pub uses: Uses,
    pub change: Option<Change>,
    pub into: Option<ObjectName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Reads a table or the state of the database (not of tempdb).
    pub database: bool,
    /// Its rows stay locked: UPDLOCK and its kin.
    pub locks: bool,
    pub writes_database: bool,
    pub writes_temporary: bool,
}

/// What an INSERT, UPDATE or DELETE needs beside its SQLite statement.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: Arc<Relation>,
    pub verb: &'static str,
    /// CHANGE_TRACKING_CONTEXT's value, as a statement of one cell.
    pub context: Option<Arc<Plan>>,
    /// The columns of an UPDATE's SET, for SYS_CHANGE_COLUMNS.
    pub mask: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    Variable(String),
    Fact(Fact),
    /// SESSION_CONTEXT's value under this key.
    Context(String),
    /// The value at this place of a loaded row.
    Given(usize),
}

/// An OPENJSON whose rows are laid into a temporary table before the statement runs.
#[derive(Debug)]
pub struct JsonLoad {
    /// SQLite's name of the temporary table.
    pub storage: String,
    pub json: Bound,
    pub path: Option<String>,
    pub columns: Vec<(String, SqlType, Option<String>, bool)>,
}

pub struct Translator<'a, 'q> {
    around: &'a Surroundings<'a>,
    /// The statement's number: part of the names of its JSON tables.
    statement: u64,
    bound: Vec<Bound>,
    sources: usize,
    ctes: Vec<&'q Cte>,
    grouping: Option<Vec<String>>,
    in_aggregate: bool,
    saw_aggregate: bool,
    saw_subquery: bool,
    json: Vec<JsonLoad>,
    temporaries: Vec<(String, i32)>,
    tables: Vec<i32>,
    variables: Vec<(String, SqlType)>,
    contexts: Vec<(String, Option<SqlType>)>,
    uses: Uses,
}

impl<'a, 'q> Translator<'a, 'q> {
    pub fn new(around: &'a Surroundings<'a>, statement: u64) -> Translator<'a, 'q> {
        Translator {
            around,
            statement,
            bound: Vec::new(),
            sources: 0,
            ctes: Vec::new(),
            grouping: None,
            in_aggregate: false,
            saw_aggregate: false,
            saw_subquery: false,
            json: Vec::new(),
            temporaries: Vec::new(),
            tables: Vec::new(),
            variables: Vec::new(),
            contexts: Vec::new(),
            uses: Uses::default(),
        }
    }

    /// A value by itself: the right side of SET, an argument of EXEC, the text of PRINT.
    pub fn scalar(mut self, value: &'q Expr, to: Option<SqlType>) -> Translated<Plan> {
        let scope = Scope::empty();
        let mut typed = self.value(value, &scope)?;
        if let Some(to) = to {
            typed = self.assign(typed, to, None)?;
        }
        let column = ResultColumn { name: String::new(), of: typed.of, nullable: true };
        Ok(self.plan(format!("SELECT {}", typed.sql), vec![column]))
    }

    /// The right side of `SET @a = …` and `SET @a += …`.
    pub fn assigned(
        mut self,
        name: &str,
        operator: Option<BinaryOperator>,
        value: &'q Expr,
        to: SqlType,
    ) -> Translated<Plan> {
        let mut typed = self.value(value, &Scope::empty())?;
        if let Some(operator) = operator {
            let of = self.variable_type(name)?;
            let present = Typed::new(self.bind(Bound::Variable(name.to_string())), of, true);
            typed = self.operation(operator, present, typed)?;
        }
        let typed = self.assign(typed, to, None)?;
        let column = ResultColumn { name: String::new(), of: to, nullable: true };
        Ok(self.plan(format!("SELECT {}", typed.sql), vec![column]))
    }

    /// The condition of IF and WHILE: one row, 1 or 0.
    pub fn condition(mut self, condition: &'q Expr) -> Translated<Plan> {
        let scope = Scope::empty();
        let sql = self.predicate(condition, &scope)?;
        let column = ResultColumn { name: String::new(), of: SqlType::Int, nullable: false };
        Ok(self.plan(format!("SELECT CASE WHEN {sql} THEN 1 ELSE 0 END"), vec![column]))
    }

    fn plan(self, sql: String, columns: Vec<ResultColumn>) -> Plan {
        Plan {
            sql,
            bound: self.bound,
            columns,
            assigned: Vec::new(),
            each: None,
            json: self.json,
            temporaries: self.temporaries,
            tables: self.tables,
            variables: self.variables,
            contexts: self.contexts,
            uses: self.uses,
            change: None,
            into: None,
        }
    }

    /// A name for a source that no other source of the statement has.
    fn alias(&mut self) -> String {
        self.sources += 1;
        format!("s{}", self.sources)
    }

    /// The place of a bound value: the same value is bound once.
    fn bind(&mut self, bound: Bound) -> String {
        let at = match self.bound.iter().position(|known| *known == bound) {
            Some(at) => at,
            None => {
                self.bound.push(bound);
                self.bound.len() - 1
            }
        };
        format!("?{}", at + 1)
    }

    fn variable_type(&mut self, name: &str) -> Translated<SqlType> {
        let of = *self.around.variables.get(name).ok_or_else(|| refusal::undeclared(name))?;
        if !self.variables.iter().any(|(known, _)| known == name) {
            self.variables.push((name.to_string(), of));
        }
        Ok(of)
    }

    fn names_table(&mut self, id: i32) {
        if !self.tables.contains(&id) {
            self.tables.push(id);
        }
    }

    /// `inserted` and `deleted`, within a trigger.
    fn pseudo(&self, name: &ObjectName) -> Option<Arc<Relation>> {
        let inside = self.around.inside.filter(|_| name.schema.is_none())?;
        match fold(&name.name).as_str() {
            "inserted" => Some(inside.inserted.clone()),
            "deleted" => Some(inside.deleted.clone()),
            _ => None,
        }
    }

    /// SESSION_CONTEXT(N'key'): of the type that was set, which only a conversion may use.
    fn session_context(&mut self, key: &str) -> Typed {
        let of = self.around.session_context.values.get(key).map(|kept| kept.of);
        self.contexts.push((key.to_string(), of));
        match of {
            Some(of) => {
                let sql = self.bind(Bound::Context(key.to_string()));
                Typed { variant: true, ..Typed::new(sql, of, true) }
            }
            None => Typed { variant: true, ..Typed::new("NULL", VARIANT_OF_NULL, true) },
        }
    }

    /// A table by name; temporary ones are the session's own.
    fn table(&mut self, name: &ObjectName) -> Translated<Arc<Relation>> {
        if name.is_temporary() {
            let table = self.around.temporary.find(&name.name)?;
            self.temporaries.push((fold(&name.name), table.id));
            return Ok(table);
        }
        let table = self.around.catalogue.find(name)?.clone();
        self.uses.database = true;
        self.names_table(table.id);
        Ok(table)
    }

    /// Refuses with 229 what the user may not do to the table.
    fn allow(&self, right: &str, table: &Relation) -> Translated<()> {
        if table.temporary || self.around.may(right, Some(table)) {
            return Ok(());
        }
        Err(refusal::permission_denied(
            right,
            &table.name.name,
            &self.around.catalogue.database,
            &table.name.schema,
        ))
    }

    fn json_table(&mut self, json: Bound, path: Option<String>, columns: &[JsonColumn]) -> String {
        // Shared by all statements with so many columns at this place: their number stays small.
        let storage = format!("json:{}:{}", self.json.len(), columns.len());
        let columns = columns
            .iter()
            .map(|column| (column.name.clone(), column.of, column.path.clone(), column.as_json))
            .collect();
        self.json.push(JsonLoad { storage: storage.clone(), json, path, columns });
        storage
    }
}

impl Surroundings<'_> {
    pub fn may(&self, right: &str, table: Option<&Relation>) -> bool {
        self.is_owner || self.catalogue.principals.allows(self.user, &[right], table)
    }

    /// Whether a right was granted on this column alone.
    pub fn may_column(&self, right: &str, table: &Relation, column: i32) -> bool {
        self.catalogue.principals.allows_column(self.user, right, table.id, column)
    }
}

impl Plan {
    /// Whether it may be run again as it is, now that variables and temporary tables may have changed.
    pub fn holds(&self, around: &Surroundings<'_>) -> bool {
        let tables = self
            .temporaries
            .iter()
            .all(|(name, id)| around.temporary.find(name).is_ok_and(|table| table.id == *id));
        let contexts = self
            .contexts
            .iter()
            .all(|(key, of)| around.session_context.values.get(key).map(|kept| kept.of) == *of);
        tables
            && contexts
            && self.variables.iter().all(|(name, of)| around.variables.get(name) == Some(of))
    }
}

/// What SESSION_CONTEXT gives for a key that is not set: a NULL that says no type of its own.
const VARIANT_OF_NULL: SqlType = SqlType::NVarChar { length: Some(1) };

/// A text constant of SQLite.
fn literal(text: &str) -> String {
    if text.contains('\0') {
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        return format!("CAST(x'{hex}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}
