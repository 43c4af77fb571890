//! Which rows of a table are a register's, said to the channel: the sets of members as temporary tables, and the
//! condition that goes by them.
//!
//! * A set travels as one JSON parameter into a temporary table with a key, so that the rows are sought by it: what is
//!   no member's is neither read nor sent.
//! * A page of a load makes its sets itself and needs nothing of the session. A pass makes them before its transaction
//!   begins (a snapshot refuses to) and fills them once, when the first restricted table has a change.
//! * The conditions are only ever added with AND, to whatever else a statement asks.

pub(crate) mod choice;
pub(crate) mod criteria;

use crate::convert::Parameter;
use crate::statement::quoted;
pub use choice::{Choice, Chosen, Criterion, choose};
use std::collections::BTreeSet;
use tillhold_core::selection::{Dependence, MemberKind, Members, Restriction};
use tillhold_core::table::bracket;

/// What a temporary table of members holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// All members.
    Members,
    /// Those that were none before.
    Joined,
}

/// How the rows of a page are narrowed down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Narrowing<'a> {
    Not,
    /// By sets that the statement makes itself, from its last parameters.
    Loading(&'a Restriction),
    /// To the rows of those who joined, by the session's sets.
    Joining(&'a Restriction),
}

/// Each kind once, in their order.
pub(crate) fn kinds<'a>(restrictions: impl Iterator<Item = &'a Restriction>) -> Vec<MemberKind> {
    let all: BTreeSet<MemberKind> = restrictions.flat_map(Restriction::kinds).collect();
    all.into_iter().collect()
}

/// `#m_item`, `#j_item`
fn set_name(set: Set, kind: MemberKind) -> String {
    let letter = match set {
        Set::Members => 'm',
        Set::Joined => 'j',
    };
    format!("#{letter}_{}", kind.name().replace('-', "_"))
}

fn key_type(kind: MemberKind) -> &'static str {
    if kind.is_text() { "nvarchar(128)" } else { "bigint" }
}

/// tempdb may have another collation than the database.
fn collate(kind: MemberKind) -> &'static str {
    if kind.is_text() { " COLLATE DATABASE_DEFAULT" } else { "" }
}

/// No parameters.
pub(crate) fn make_sql(set: Set, kind: MemberKind) -> String {
    format!(
        "CREATE TABLE {} ([k] {}{} NOT NULL PRIMARY KEY);\n",
        set_name(set, kind),
        key_type(kind),
        collate(kind)
    )
}

/// The parameter is a JSON array of keys.
pub(crate) fn fill_sql(set: Set, kind: MemberKind, parameter: usize) -> String {
    format!(
        "INSERT INTO {} ([k]) SELECT DISTINCT j.[k]{} FROM OPENJSON(@P{parameter}) WITH ([k] {} N'$') AS j;\n",
        set_name(set, kind),
        collate(kind),
        key_type(kind)
    )
}

/// No parameters.
pub(crate) fn drop_sql(set: Set, kind: MemberKind) -> String {
    format!("DROP TABLE {};\n", set_name(set, kind))
}

/// The keys as a JSON array.
pub(crate) fn keys_json<'k>(kind: MemberKind, keys: impl Iterator<Item = &'k String>) -> Parameter {
    let list: Vec<String> = match kind.is_text() {
        true => keys.map(|key| serde_json::Value::from(key.as_str()).to_string()).collect(),
        // Digits are JSON as they are.
        false => keys.cloned().collect(),
    };
    Parameter::Text(format!("[{}]", list.join(",")))
}

pub(crate) fn set_parameters(kinds: &[MemberKind], members: &Members) -> Vec<Parameter> {
    let one = |kind: &MemberKind| keys_json(*kind, members.of(*kind).into_iter().flatten());
    kinds.iter().map(one).collect()
}

/// The rows of `alias` that are the register's.
pub(crate) fn condition(alias: &str, restriction: &Restriction) -> String {
    let list = match restriction {
        Restriction::Withheld => return "1 = 0".to_string(),
        Restriction::Members(list) => list,
    };
    let one = |on: &Dependence| {
        let column = format!("{alias}.{}", bracket(&on.column));
        let nobody = if on.kind.is_text() { quoted("") } else { "0".to_string() };
        let other = on.only.as_ref().map_or(String::new(), |code| {
            format!("{alias}.{} <> {} OR ", bracket(&code.column), code.value)
        });
        let among = among(alias, on, Set::Members);
        format!("({other}{column} IS NULL OR {column} = {nobody} OR {among})")
    };
    list.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

/// The rows that hang on one who joined; nobody's were there before.
fn of_joined(alias: &str, restriction: &Restriction) -> String {
    let Restriction::Members(list) = restriction else { return "1 = 0".to_string() };
    let one = |on: &Dependence| {
        let of_code = on.only.as_ref().map_or(String::new(), |code| {
            format!(" AND {alias}.{} = {}", bracket(&code.column), code.value)
        });
        format!("({}{of_code})", among(alias, on, Set::Joined))
    };
    format!("({})", list.iter().map(one).collect::<Vec<_>>().join(" OR "))
}

fn among(alias: &str, on: &Dependence, set: Set) -> String {
    format!(
        "EXISTS (SELECT 1 FROM {} AS m WHERE m.[k] = {alias}.{}{})",
        set_name(set, on.kind),
        bracket(&on.column),
        collate(on.kind)
    )
}

impl Narrowing<'_> {
    /// What goes before a page's SELECT.
    pub(crate) fn opening(self, first_parameter: usize) -> String {
        let Narrowing::Loading(restriction) = self else { return String::new() };
        let mut sql = String::new();
        for (at, kind) in kinds(std::iter::once(restriction)).into_iter().enumerate() {
            sql.push_str(&make_sql(Set::Members, kind));
            sql.push_str(&fill_sql(Set::Members, kind, first_parameter + at));
        }
        sql
    }

    /// What goes into a page's WHERE.
    pub(crate) fn conditions(self, alias: &str) -> Vec<String> {
        match self {
            Narrowing::Not => Vec::new(),
            Narrowing::Loading(restriction) => vec![condition(alias, restriction)],
            Narrowing::Joining(restriction) => {
                vec![of_joined(alias, restriction), condition(alias, restriction)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{condition, keys_json, of_joined};
    use crate::convert::Parameter;
    use tillhold_core::selection::{MemberKind, Restriction};

    /// Whatever a key holds stays within its JSON text.
    #[test]
    fn hostile_keys_are_only_keys() {
        let keys = ["a\"]".to_string(), "'; DROP TABLE x --\n".to_string(), "ü\\".to_string()];
        let Parameter::Text(json) = keys_json(MemberKind::Item, keys.iter()) else {
            panic!("keys travel as text")
        };
        let read: Vec<String> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read, keys);
        let numbers = ["1".to_string(), "-2".to_string()];
        let json = keys_json(MemberKind::Product, numbers.iter());
        assert_eq!(json, Parameter::Text("[1,-2]".to_string()));
    }

    #[test]
    fn a_hostile_column_is_only_a_name() {
        let restriction = Restriction::parse("A]B item C]D=1").expect("a restriction");
        for sql in [condition("t", &restriction), of_joined("t", &restriction)] {
            assert!(sql.contains("t.[A]]B]") && sql.contains("t.[C]]D]"), "{sql}");
        }
    }
}
