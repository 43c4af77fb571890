//! A row filter as a condition of T-SQL.
//!
//! * Names come from the catalogue, bracketed; values are parameters, each cast to its column's exact type as a key's
//!   are. Nothing of the filter's own text is in a statement.
//! * The whole stands in parentheses: what comes before and behind it cannot take a part of it.

use crate::convert::Parameter;
use crate::statement::key_parameter;
use tillhold_core::condition::{Bound, Term};
use tillhold_core::table::{Column, bracket};
use tillhold_core::text::canonical;
use tillhold_core::value::Value;

type Node = Term<Column, Value>;

/// ` AND (…)` over the rows of `alias`, or nothing for a table without a filter. Its parameters begin at `first`.
pub(crate) fn and_passes(alias: &str, filter: Option<&Bound>, first: usize) -> String {
    match filter {
        Some(filter) => format!(" AND ({})", passes(alias, filter, first)),
        None => String::new(),
    }
}

/// The condition alone.
pub(crate) fn passes(alias: &str, filter: &Bound, first: usize) -> String {
    let mut wording = Wording { alias, next: first };
    wording.term(filter.root())
}

/// In the order of their numbers.
pub(crate) fn parameters(filter: Option<&Bound>) -> Vec<Parameter> {
    let mut found = Vec::new();
    if let Some(filter) = filter {
        gather(filter.root(), &mut found);
    }
    found
}

struct Wording<'a> {
    alias: &'a str,
    next: usize,
}

impl Wording<'_> {
    fn name(&self, column: &Column) -> String {
        format!("{}.{}", self.alias, bracket(&column.name))
    }

    fn value(&mut self, column: &Column) -> String {
        self.next += 1;
        key_parameter(self.next - 1, column)
    }

    fn term(&mut self, term: &Node) -> String {
        match term {
            Term::All(parts) => self.parts(parts, " AND "),
            Term::Any(parts) => self.parts(parts, " OR "),
            Term::Not(part) => format!("NOT ({})", self.term(part)),
            Term::Compare { column, is, .. } => {
                format!("{} {} {}", self.name(column), is.symbol(), self.value(column))
            }
            Term::Among { column, values } => {
                let values: Vec<String> = values.iter().map(|_| self.value(column)).collect();
                format!("{} IN ({})", self.name(column), values.join(", "))
            }
            Term::Between { column, .. } => {
                let (low, high) = (self.value(column), self.value(column));
                format!("{} BETWEEN {low} AND {high}", self.name(column))
            }
            // A pattern is longer than what it finds, so it is not cast to the column's length.
            Term::Begins { column, .. } => {
                self.next += 1;
                format!("{} LIKE @P{} ESCAPE N'~'", self.name(column), self.next - 1)
            }
            Term::IsNull { column } => format!("{} IS NULL", self.name(column)),
        }
    }

    fn parts(&mut self, parts: &[Node], between: &str) -> String {
        let parts: Vec<String> =
            parts.iter().map(|part| format!("({})", self.term(part))).collect();
        parts.join(between)
    }
}

fn gather(term: &Node, found: &mut Vec<Parameter>) {
    let mut value = |column: &Column, value: &Value| {
        found.push(Parameter::Text(canonical(value, column.of).unwrap_or_default()));
    };
    match term {
        Term::All(parts) | Term::Any(parts) => parts.iter().for_each(|part| gather(part, found)),
        Term::Not(part) => gather(part, found),
        Term::Compare { column, to, .. } => value(column, to),
        Term::Among { column, values } => values.iter().for_each(|one| value(column, one)),
        Term::Between { column, low, high } => {
            value(column, low);
            value(column, high);
        }
        Term::Begins { start, .. } => found.push(Parameter::Text(beginning(start))),
        Term::IsNull { .. } => {}
    }
}

/// What a text must begin with, as a LIKE pattern escaped by `~`.
pub(crate) fn beginning(start: &str) -> String {
    let mut pattern = String::with_capacity(start.len() + 1);
    for letter in start.chars() {
        if matches!(letter, '%' | '_' | '[' | ']' | '~') {
            pattern.push('~');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{beginning, parameters, passes};
    use crate::convert::Parameter;
    use crate::sample;
    use tillhold_core::condition::{Bound, Condition, Parameters};
    use tillhold_core::table::Table;

    /// For other tests: a filter of this table.
    pub(crate) fn bound(text: &str, table: &Table) -> Bound {
        let given = Parameters { store: "S0343", register: "17" };
        let parsed = Condition::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        parsed.bind(table, given).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
    }

    #[test]
    fn a_prefix_has_no_wildcards_but_its_end() {
        assert_eq!(beginning("10%_[a]~"), "10~%~_~[a~]~~%");
    }

    #[test]
    fn every_form_is_worded_with_typed_parameters_alone() {
        let table = sample::every_type();
        for (text, sql, values) in [
            ("ID = 1", "t.[ID] = CAST(@P3 AS int)", vec!["1"]),
            (
                "AN_NVARCHAR = @store AND NOT A_BIT = 1",
                "(t.[AN_NVARCHAR] = CAST(@P3 AS nvarchar(30))) AND (NOT (t.[A_BIT] = CAST(@P4 AS bit)))",
                vec!["S0343", "1"],
            ),
            (
                "A_MONEY BETWEEN -1 AND 2.5 OR A_DATE IS NULL",
                "(t.[A_MONEY] BETWEEN CAST(@P3 AS decimal(19,4)) AND CAST(@P4 AS decimal(19,4))) OR (t.[A_DATE] IS NULL)",
                vec!["-1.0000", "2.5000"],
            ),
            (
                "A_DATETIME2 IN ('2026-02-28', '2026-03-01')",
                "t.[A_DATETIME2] IN (CONVERT(datetime2(7), @P3, 121), CONVERT(datetime2(7), @P4, 121))",
                vec!["2026-02-28 00:00:00.0000000", "2026-03-01 00:00:00.0000000"],
            ),
            ("AN_NVARCHAR LIKE 'a[%]''%'", "t.[AN_NVARCHAR] LIKE @P3 ESCAPE N'~'", vec!["a~%'%"]),
        ] {
            let filter = bound(text, &table);
            assert_eq!(passes("t", &filter, 3), sql, "{text}");
            let values = values.iter().map(|value| Parameter::Text(value.to_string()));
            assert_eq!(parameters(Some(&filter)), values.collect::<Vec<_>>(), "{text}");
        }
    }

    /// Two filters of one form have one statement, whatever their texts hold.
    #[test]
    fn no_text_of_a_filter_is_in_its_statement() {
        let table = sample::every_type();
        let plain = bound("AN_NVARCHAR = 'a' OR AN_NVARCHAR LIKE 'b%'", &table);
        let hostile = bound(
            "AN_NVARCHAR = ''') OR (1=1); DROP TABLE T; --' OR AN_NVARCHAR LIKE '@P1''%'",
            &table,
        );
        assert_eq!(passes("t", &plain, 1), passes("t", &hostile, 1));
    }

    #[test]
    fn a_statement_has_as_many_parameters_as_its_filter_has_values() {
        let table = sample::every_type();
        let text = "NOT (ID IN (1, 2, 3) OR (A_REAL > 0.5 AND AN_NVARCHAR LIKE 'x%')) AND A_TIME < '12:00'";
        let filter = bound(text, &table);
        let sql = passes("t", &filter, 1);
        let count = parameters(Some(&filter)).len();
        assert_eq!((count, sql.matches("@P").count()), (6, 6), "{sql}");
        assert!(sql.contains("@P6") && !sql.contains("@P7"), "{sql}");
    }
}
