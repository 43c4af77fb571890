//! A condition bound to a table: every name a column, every literal a value that the column itself could hold.
//!
//! * A value that would be changed on its way into the column's type (decimals that it has no room for) is refused, not
//!   rounded: `PRICE >= 9.995` over two decimals would mean another set of rows.
//! * All that does not fit is told at once.

use super::{Bound, Complaint, Condition, Literal, Named, Said, Term};
use crate::spelling::nearest;
use crate::table::{Column, Table};
use crate::text;
use crate::types::SqlType;
use crate::value::{Decimal, Value};

/// What the parameters stand for.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    pub store: &'a str,
    pub register: &'a str,
}

impl Condition {
    /// Over the columns of `table` in its full shape: a filter may go by a column that does not travel.
    pub fn bind(&self, table: &Table, given: Parameters<'_>) -> Result<Bound, Vec<Complaint>> {
        let mut binder = Binder { table, given, complaints: Vec::new() };
        match (binder.term(&self.root), binder.complaints) {
            (Some(root), complaints) if complaints.is_empty() => Ok(Bound { root }),
            (_, complaints) => Err(complaints),
        }
    }
}

struct Binder<'a> {
    table: &'a Table,
    given: Parameters<'a>,
    complaints: Vec<Complaint>,
}

impl Binder<'_> {
    fn wrong<T>(&mut self, at: usize, message: String) -> Option<T> {
        self.complaints.push(Complaint { at, message });
        None
    }

    /// `None` once something was wrong; the rest is looked at all the same.
    fn term(&mut self, term: &Term<Named, Literal>) -> Option<Term<Column, Value>> {
        Some(match term {
            Term::All(parts) => Term::All(self.parts(parts)?),
            Term::Any(parts) => Term::Any(self.parts(parts)?),
            Term::Not(part) => Term::Not(Box::new(self.term(part)?)),
            Term::Compare { column, is, to } => {
                let column = self.comparable(column)?;
                let to = self.value(&column, to)?;
                Term::Compare { column, is: *is, to }
            }
            Term::Among { column, values } => {
                let column = self.comparable(column)?;
                let values: Vec<_> = values.iter().map(|one| self.value(&column, one)).collect();
                Term::Among { column, values: values.into_iter().collect::<Option<_>>()? }
            }
            Term::Between { column, low, high } => {
                let column = self.comparable(column)?;
                let (low, high) = (self.value(&column, low), self.value(&column, high));
                Term::Between { column, low: low?, high: high? }
            }
            Term::Begins { column, start } => {
                let at = column.at;
                let column = self.comparable(column)?;
                if !column.of.is_text() {
                    let message =
                        format!("LIKE goes by text, and {} is {}", column.name, column.of);
                    return self.wrong(at, message);
                }
                Term::Begins { column, start: start.clone() }
            }
            Term::IsNull { column } => Term::IsNull { column: self.column(column)? },
        })
    }

    fn parts(&mut self, parts: &[Term<Named, Literal>]) -> Option<Vec<Term<Column, Value>>> {
        let bound: Vec<_> = parts.iter().map(|part| self.term(part)).collect();
        bound.into_iter().collect()
    }

    fn column(&mut self, named: &Named) -> Option<Column> {
        if let Some(at) = self.table.position(&named.name) {
            return Some(self.table.columns[at].clone());
        }
        let near = nearest(&named.name, self.table.columns.iter().map(|c| c.name.as_str()));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        self.wrong(named.at, format!("{} has no column {}{hint}", self.table.name, named.name))
    }

    /// A column whose type has an order and a literal here.
    fn comparable(&mut self, named: &Named) -> Option<Column> {
        let column = self.column(named)?;
        if has_literal(column.of) {
            return Some(column);
        }
        let message = format!(
            "{} is {}, which a filter cannot compare: only IS NULL and IS NOT NULL",
            column.name, column.of
        );
        self.wrong(named.at, message)
    }

    fn value(&mut self, column: &Column, literal: &Literal) -> Option<Value> {
        let (text, is_quoted) = match &literal.value {
            Said::Number(digits) => (digits.as_str(), false),
            Said::Text(text) => (text.as_str(), true),
            Said::Store => (self.given.store, !is_number(column.of)),
            Said::Register => (self.given.register, !is_number(column.of)),
        };
        let (name, of) = (&column.name, column.of);
        let message = match (is_number(of), is_quoted) {
            (true, true) => format!("{name} is {of}: write a number, without quotes"),
            (false, false) => format!("{name} is {of}: write '{text}' in quotes"),
            _ => match exact(text, of) {
                Ok(value) => return Some(value),
                Err(reason) => match &literal.value {
                    Said::Store => format!("@store does not fit {name}, {of}: {reason}"),
                    Said::Register => format!("@register does not fit {name}, {of}: {reason}"),
                    _ => format!("this does not fit {name}, {of}: {reason}"),
                },
            },
        };
        self.wrong(literal.at, message)
    }
}

/// The value that the column would hold, if that is the very one.
fn exact(text: &str, of: SqlType) -> Result<Value, String> {
    let value = text::parse(text, of).map_err(|misfit| misfit.reason)?;
    match (&value, Decimal::parse(text)) {
        (Value::Decimal(held), Some(said)) if *held != said => {
            Err(format!("{text} has more decimals than it holds"))
        }
        _ => Ok(value),
    }
}

fn is_number(of: SqlType) -> bool {
    matches!(
        of,
        SqlType::Bit
            | SqlType::TinyInt
            | SqlType::SmallInt
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Decimal { .. }
            | SqlType::Money
            | SqlType::SmallMoney
            | SqlType::Float
            | SqlType::Real
    )
}

fn has_literal(of: SqlType) -> bool {
    let is_short_text = matches!(
        of,
        SqlType::Char { .. }
            | SqlType::NChar { .. }
            | SqlType::VarChar { .. }
            | SqlType::NVarChar { .. }
    );
    let is_moment = matches!(
        of,
        SqlType::Date
            | SqlType::Time { .. }
            | SqlType::SmallDateTime
            | SqlType::DateTime
            | SqlType::DateTime2 { .. }
            | SqlType::DateTimeOffset { .. }
    );
    is_number(of) || is_short_text || is_moment || of == SqlType::UniqueIdentifier
}
