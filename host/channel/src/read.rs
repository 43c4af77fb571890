//! Reads for the front door while the channel is in use: the same [`Filter`] that the offline
//! database answers.

use crate::cells::Cells;
use crate::convert::{Parameter, key_parameters};
use crate::error::ChannelError;
use crate::filtering::{beginning, parameters as values, passes};
use crate::link::{Ask, Link};
use crate::statement::{after_key, from_text, key_list, select_list};
use std::fmt::Write as _;
use tillhold_core::condition::Bound;
use tillhold_core::filter::Filter;
use tillhold_core::limits::READ_ROWS_MAX;
use tillhold_core::row::Row;
use tillhold_core::table::{Table, bracket};
use tillhold_core::text::canonical;

/// Rows in key order that pass the profile's `condition`, at most `filter.limit` and never more than [`READ_ROWS_MAX`].
pub async fn read(
    link: &mut Link,
    table: &Table,
    filter: &Filter,
    condition: Option<&Bound>,
) -> Result<Vec<Row>, ChannelError> {
    if table.key.is_empty() {
        return Err(ChannelError::NoPrimaryKey { table: table.name.clone() });
    }
    let limit = filter.limit.min(READ_ROWS_MAX) as i64;
    let mut parameters = vec![Parameter::Number(limit)];
    for (at, value) in &filter.equals {
        parameters.extend(canonical(value, table.columns[*at].of).map(Parameter::Text));
    }
    parameters.extend(filter.prefix.iter().map(|(_, start)| Parameter::Text(beginning(start))));
    parameters.extend(filter.after.iter().flat_map(|key| key_parameters(key, table)));
    parameters.extend(values(condition));
    let sql = read_sql(table, filter, condition);
    let sets = link.ask(Ask::query(WHAT, &sql, &parameters)).await?;
    let rows: Result<Vec<Row>, ChannelError> =
        sets.into_iter().flatten().map(|cells| Cells::new(WHAT, cells).row(table)).collect();
    let rows = rows?;
    link.settle_doubts(table, rows.iter()).await?;
    Ok(rows)
}

const WHAT: &str = "give rows";

/// @P1 rows at most; then the equal values, the pattern, the last key and the condition's values,
/// each as canonical text. A NULL to be equal to is in the text, not in a parameter.
pub(crate) fn read_sql(table: &Table, filter: &Filter, condition: Option<&Bound>) -> String {
    let mut next = 2;
    let mut conditions = Vec::new();
    for (at, value) in &filter.equals {
        let column = &table.columns[*at];
        let name = bracket(&column.name);
        if value.is_null() {
            conditions.push(format!("t.{name} IS NULL"));
            continue;
        }
        conditions.push(format!("t.{name} = {}", from_text(&format!("@P{next}"), column.of)));
        next += 1;
    }
    if let Some((at, _)) = filter.prefix {
        let name = bracket(&table.columns[at].name);
        conditions.push(format!("t.{name} LIKE @P{next} ESCAPE N'~'"));
        next += 1;
    }
    if filter.after.is_some() {
        conditions.push(format!("({})", after_key("t", table, next)));
        next += table.key.len();
    }
    conditions.extend(condition.map(|bound| format!("({})", passes("t", bound, next))));
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
