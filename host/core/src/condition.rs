//! A row filter of the offline profile: which rows of a table a register has.
//!
//! ```text
//! text ── parse ──► Condition (names and literals) ── bind ──► Bound (the channel's columns and typed values)
//! ```
//!
//! * A small language: one column against literals, put together by AND, OR, NOT and parentheses. No functions, no
//!   subqueries, no second column: what a till has must be plain from the row alone.
//! * Only a [`Bound`] condition can be asked, and all that it holds is columns of the table and values that fit them:
//!   no piece of the text reaches a statement.
//! * Three-valued as SQL is: a comparison with a NULL cell does not hold, and neither does its NOT.
//! * The channel is the judge: nothing here evaluates a condition, since only the channel knows its collations.

mod bind;
mod parse;

pub use bind::Parameters;

use crate::table::Column;
use crate::value::Value;
use std::fmt;

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The column of the text, counted in characters from one.
    pub at: usize,
    pub message: String,
}

/// `filter, column 9: …`
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, column {}: {}", self.at, self.message)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Comparison {
    pub const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::Differs,
        Comparison::Less,
        Comparison::AtMost,
        Comparison::More,
        Comparison::AtLeast,
    ];

    /// The same in the filter's language and in T-SQL.
    pub const fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Differs => "<>",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::More => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// A condition over columns `C` and values `V`.
#[derive(Clone, Debug, PartialEq)]
pub enum Term<C, V> {
    All(Vec<Term<C, V>>),
    Any(Vec<Term<C, V>>),
    Not(Box<Term<C, V>>),
    Compare {
        column: C,
        is: Comparison,
        to: V,
    },
    Among {
        column: C,
        values: Vec<V>,
    },
    Between {
        column: C,
        low: V,
        high: V,
    },
    /// A text column whose value begins with `start`, which is no pattern any more.
    Begins {
        column: C,
        start: String,
    },
    IsNull {
        column: C,
    },
}

/// A column as the text names it; where it stands makes no difference.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub at: usize,
}

/// A value as the text has it; where it stands makes no difference.
#[derive(Clone, Debug)]
pub struct Literal {
    pub value: Said,
    pub at: usize,
}

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Literal) -> bool {
        self.value == other.value
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Digits with a sign and a point, at most one of each.
    Number(String),
    Text(String),
    /// `@store`
    Store,
    /// `@register`
    Register,
}

/// A filter that is well-formed; whether its columns exist is the table's matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    root: Term<Named, Literal>,
}

/// A filter over a table's own columns, with values that fit them.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    root: Term<Column, Value>,
}

impl Condition {
    /// Reads a filter; the first thing that is wrong with it is the answer.
    pub fn parse(text: &str) -> Result<Condition, Complaint> {
        parse::parse(text).map(|root| Condition { root })
    }

    /// What a register remembers beside a position: the one spelling, with what the parameters stand for. A file that
    /// another register made under the same words holds other rows.
    pub fn under(&self, given: Parameters<'_>) -> String {
        let mut root = self.root.clone();
        root.each_value(&mut |literal: &mut Literal| {
            let text = match &literal.value {
                Said::Store => given.store,
                Said::Register => given.register,
                Said::Number(_) | Said::Text(_) => return,
            };
            literal.value = Said::Text(text.to_string());
        });
        Condition { root }.to_string()
    }

    /// The columns that it names, each once, in their order.
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        self.root.each_column(&mut |column: &Named| {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(&column.name)) {
                names.push(&column.name);
            }
        });
        names
    }
}

impl Bound {
    pub fn root(&self) -> &Term<Column, Value> {
        &self.root
    }
}

impl<C, V> Term<C, V> {
    fn each_value(&mut self, change: &mut impl FnMut(&mut V)) {
        match self {
            Term::All(parts) | Term::Any(parts) => {
                parts.iter_mut().for_each(|part| part.each_value(change));
            }
            Term::Not(part) => part.each_value(change),
            Term::Compare { to, .. } => change(to),
            Term::Among { values, .. } => values.iter_mut().for_each(change),
            Term::Between { low, high, .. } => {
                change(low);
                change(high);
            }
            Term::Begins { .. } | Term::IsNull { .. } => {}
        }
    }

    fn each_column<'t>(&'t self, see: &mut impl FnMut(&'t C)) {
        match self {
            Term::All(parts) | Term::Any(parts) => {
                parts.iter().for_each(|part| part.each_column(see));
            }
            Term::Not(part) => part.each_column(see),
            Term::Compare { column, .. }
            | Term::Among { column, .. }
            | Term::Between { column, .. }
            | Term::Begins { column, .. }
            | Term::IsNull { column } => see(column),
        }
    }
}

/// In one spelling, so that two texts that differ in blanks, case of words or needless parentheses are one filter: what
/// the register remembers is this. It reads back as the same condition.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_term(f, &self.root)
    }
}

fn write_term(f: &mut fmt::Formatter<'_>, term: &Term<Named, Literal>) -> fmt::Result {
    match term {
        Term::All(parts) => write_parts(f, parts, " AND "),
        Term::Any(parts) => write_parts(f, parts, " OR "),
        Term::Not(part) => {
            f.write_str("NOT ")?;
            write_part(f, part)
        }
        Term::Compare { column, is, to } => write!(f, "{column} {} {to}", is.symbol()),
        Term::Among { column, values } => {
            let values: Vec<String> = values.iter().map(Literal::to_string).collect();
            write!(f, "{column} IN ({})", values.join(", "))
        }
        Term::Between { column, low, high } => write!(f, "{column} BETWEEN {low} AND {high}"),
        Term::Begins { column, start } => {
            write!(f, "{column} LIKE {}", parse::quoted(&parse::pattern(start)))
        }
        Term::IsNull { column } => write!(f, "{column} IS NULL"),
    }
}

fn write_parts(
    f: &mut fmt::Formatter<'_>,
    parts: &[Term<Named, Literal>],
    between: &str,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { between })?;
        write_part(f, part)?;
    }
    Ok(())
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &Term<Named, Literal>) -> fmt::Result {
    match part {
        Term::All(_) | Term::Any(_) => {
            f.write_str("(")?;
            write_term(f, part)?;
            f.write_str(")")
        }
        _ => write_term(f, part),
    }
}

/// Names are compared blind to case.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::table::bracket(&self.name.to_uppercase()))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Said::Number(digits) => f.write_str(digits),
            Said::Text(text) => f.write_str(&parse::quoted(text)),
            Said::Store => f.write_str("@store"),
            Said::Register => f.write_str("@register"),
        }
    }
}

#[cfg(test)]
mod tests;
