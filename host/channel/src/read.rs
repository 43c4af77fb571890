//! Reads for the front door while the channel is in use.

use crate::statement::{after_key, from_text, key_list, select_list};
use std::fmt::Write as _;
use tillhold_core::table::{Table, bracket};

/// @P1 rows at most; then the equal values, the prefix pattern, the last key, each as canonical text. A NULL to be
/// equal to is in the text, not in a parameter.
pub(crate) fn read_sql(table: &Table, equals: &[(usize, bool)], prefix: Option<usize>, after: bool) -> String {
    let mut next = 2;
    let mut conditions = Vec::new();
    for (at, is_null) in equals {
        let column = &table.columns[*at];
        let name = bracket(&column.name);
        if *is_null {
            conditions.push(format!("t.{name} IS NULL"));
            continue;
        }
        conditions.push(format!("t.{name} = {}", from_text(&format!("@P{next}"), column.of)));
        next += 1;
    }
    if let Some(at) = prefix {
        let name = bracket(&table.columns[at].name);
        conditions.push(format!("t.{name} LIKE @P{next} ESCAPE N'~'"));
        next += 1;
    }
    if after {
        conditions.push(format!("({})", after_key("t", table, next)));
    }
    let mut sql = format!(
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT TOP (@P1) {} FROM {} AS t",
        select_list("t", table),
        table.name.bracketed()
    );
    if !conditions.is_empty() {
        let _ = write!(sql, " WHERE {}", conditions.join(" AND "));
    }
    let _ = writeln!(sql, " ORDER BY {};", key_list("t.", table));
    sql
}
