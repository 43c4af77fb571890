//! Names in reach of an expression, and what is known of each value.

use super::Translated;
use crate::answer::SqlError;
use crate::engine::catalogue::{DATABASE_COLLATION, Relation, fold};
use crate::engine::refusal;
use crate::engine::syntax::JoinKind;
use crate::engine::types::{collation_of, text_collation};
use std::sync::Arc;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// Where a text value's collation comes from (Transact-SQL reference, "Collation Precedence").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// Constants, variables, other types.
    Default,
    /// A column's.
    Implicit(String),
    /// COLLATE.
    Explicit(String),
    /// Two columns that disagree: an error as soon as it is compared.
    Conflict(String, String),
}

/// A translated value.
#[derive(Clone, Debug)]
pub struct Typed {
    pub sql: String,
    pub of: SqlType,
    pub nullable: bool,
    pub label: Label,
    /// The word NULL: it takes the type of what it meets.
    pub null: bool,
    /// A constant's value, so that it can be converted once and for all.
    pub constant: Option<Value>,
    /// SQLite's collation of a plain column; nothing need be said when that is the wanted one.
    pub native: &'static str,
    /// A sql_variant: to be converted by name before it is of use.
    pub variant: bool,
}

impl Typed {
    pub fn new(sql: impl Into<String>, of: SqlType, nullable: bool) -> Typed {
        let (label, null, constant) = (Label::Default, false, None);
        Typed { sql: sql.into(), of, nullable, label, null, constant, native: "", variant: false }
    }

    pub fn with_label(self, label: Label) -> Typed {
        Typed { label, ..self }
    }

    /// SQLite's collation for comparing and sorting this value by itself.
    pub fn collation(&self) -> &'static str {
        match &self.label {
            Label::Implicit(name) | Label::Explicit(name) => collation_of(self.of, Some(name)),
            _ => collation_of(self.of, None),
        }
    }
}

impl Label {
    /// The label of two values together; an expression of conflicting columns is an error only when compared.
    pub fn meet(&self, other: &Label) -> Translated<Label> {
        Ok(match (self, other) {
            (Label::Explicit(a), Label::Explicit(b)) if fold(a) != fold(b) => {
                return Err(SqlError::new(
                    457,
                    format!(
                        "Implicit conversion cannot be performed because collations '{a}' and '{b}' both are explicit."
                    ),
                ));
            }
            (Label::Explicit(_), _) => self.clone(),
            (_, Label::Explicit(_)) => other.clone(),
            (Label::Conflict(..), _) => self.clone(),
            (_, Label::Conflict(..)) => other.clone(),
            (Label::Implicit(a), Label::Implicit(b)) if fold(a) != fold(b) => {
                Label::Conflict(a.clone(), b.clone())
            }
            (Label::Implicit(_), _) => self.clone(),
            (_, Label::Implicit(_)) => other.clone(),
            _ => Label::Default,
        })
    }

    /// SQLite's collation for a comparison under this label.
    pub fn compared(&self, operation: &str) -> Translated<&'static str> {
        match self {
            Label::Conflict(a, b) => Err(SqlError::new(
                468,
                format!(
                    "Cannot resolve the collation conflict between \"{a}\" and \"{b}\" in the {operation} operation."
                ),
            )),
            Label::Implicit(name) | Label::Explicit(name) => Ok(text_collation(Some(name))),
            Label::Default => Ok(text_collation(Some(DATABASE_COLLATION))),
        }
    }
}

/// A column of a source, by the name that T-SQL gives it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub name: String,
    pub value: Typed,
    /// The user has no right to read this column (230), whatever it has to others of the table.
    pub denied: Option<SqlError>,
}

impl Shown {
    pub fn new(name: impl Into<String>, value: Typed) -> Shown {
        Shown { name: name.into(), value, denied: None }
    }

    pub fn allowed(self) -> Translated<Shown> {
        match self.denied {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

/// One source of a FROM clause.
#[derive(Clone, Debug)]
pub struct Visible {
    /// As T-SQL can name it; the schema too when it has no alias.
    pub alias: String,
    pub schema: Option<String>,
    pub columns: Vec<Shown>,
    pub table: Option<Arc<Relation>>,
    /// SQLite's name.
    pub source: String,
}

/// The sources of one query, within those of the query around it.
pub struct Scope<'s> {
    pub sources: Vec<Visible>,
    pub around: Option<&'s Scope<'s>>,
}

impl<'s> Scope<'s> {
    pub fn empty() -> Scope<'static> {
        Scope { sources: Vec::new(), around: None }
    }

    pub fn within(around: Option<&'s Scope<'s>>) -> Scope<'s> {
        Scope { sources: Vec::new(), around }
    }

    /// A source joins; two of one name are error 1013.
    pub fn add(&mut self, source: Visible) -> Translated<()> {
        let twice = self.sources.iter().any(|known| {
            fold(&known.alias) == fold(&source.alias)
                && known.schema.as_deref().map(fold) == source.schema.as_deref().map(fold)
        });
        if twice {
            return Err(SqlError::new(
                1013,
                format!(
                    "The objects \"{0}\" and \"{0}\" in the FROM clause have the same exposed names. Use correlation \
                     names to distinguish them.",
                    source.alias
                ),
            ));
        }
        self.sources.push(source);
        Ok(())
    }

    /// An outer join that just added its right side pads rows without a partner with NULLs, whatever the columns'
    /// definitions say.
    pub fn pad(&mut self, kind: JoinKind) {
        let right = self.sources.len().saturating_sub(1);
        let padded = match kind {
            JoinKind::Left | JoinKind::OuterApply => right..right + 1,
            JoinKind::Right => 0..right,
            JoinKind::Full => 0..right + 1,
            _ => return,
        };
        for column in self.sources[padded].iter_mut().flat_map(|source| &mut source.columns) {
            column.value.nullable = true;
        }
    }

    /// A column by its name parts; the flag tells whether it is of this query (and not of one around it).
    pub fn column(&self, parts: &[String]) -> Translated<(Typed, bool)> {
        if let Some(found) = self.own(parts)? {
            return Ok((found, true));
        }
        let mut outer = self.around;
        while let Some(scope) = outer {
            if let Some(found) = scope.own(parts)? {
                return Ok((found, false));
            }
            outer = scope.around;
        }
        Err(match parts {
            [name] => refusal::unknown_column(name),
            [prefix @ .., name] if self.names(prefix) => refusal::unknown_column(name),
            _ => refusal::unbound_identifier(&parts.join(".")),
        })
    }

    fn names(&self, prefix: &[String]) -> bool {
        self.sources.iter().any(|source| source.is(prefix))
            || self.around.is_some_and(|scope| scope.names(prefix))
    }

    fn own(&self, parts: &[String]) -> Translated<Option<Typed>> {
        let Some((name, prefix)) = parts.split_last() else { return Ok(None) };
        let wanted = fold(name);
        let mut found = None;
        for source in self.sources.iter().filter(|source| prefix.is_empty() || source.is(prefix)) {
            for column in source.columns.iter().filter(|column| fold(&column.name) == wanted) {
                if found.is_some() {
                    return Err(refusal::ambiguous_column(name));
                }
                found = Some(column.clone().allowed()?.value);
            }
        }
        Ok(found)
    }
}

impl Visible {
    /// Whether a column prefix (`t`, `schema.t`, `db.schema.t`) means this source.
    fn is(&self, prefix: &[String]) -> bool {
        let Some((name, schema)) = prefix.split_last() else { return true };
        if fold(name) != fold(&self.alias) {
            return false;
        }
        match (schema.last(), &self.schema) {
            (None, _) => true,
            (Some(wanted), Some(schema)) => fold(wanted) == fold(schema),
            (Some(_), None) => false,
        }
    }
}
