//! Rows of one table by their keys, many in one round trip: which of them the channel has, and passes to this register.
//!
//! * The keys travel as one JSON parameter, each value as canonical text, and are cast to the columns' exact types: one
//!   plan however many there are, and a seek for each.
//! * Of a restricted table those of members alone, by the sets that a pass has filled.
//! * Inside a pass the answer is of the pass's own moment; elsewhere of its own.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::filtering::{and_passes, parameters};
use crate::link::{Ask, Link, ResultSet};
use crate::selection;
use crate::statement::{from_text, select_list};
use crate::surrogate::Refused;
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;
use tillhold_core::condition::Bound;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::row::{Key, Row};
use tillhold_core::selection::Restriction;
use tillhold_core::table::{Table, bracket};
use tillhold_core::text::canonical;

/// What the channel has for a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// No row, or none that passes the filter and is a member's.
    Nothing,
    Row(Row),
    /// A row that cannot be carried, and why.
    Refused(String),
}

/// One answer a key, in their order.
pub async fn rows(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    keys: &[Key],
) -> Result<Vec<Found>, ChannelError> {
    rows_of_members(link, table, filter, None, keys).await
}

/// The same of a restricted table: the session has its members' sets.
pub(crate) async fn rows_of_members(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    restriction: Option<&Restriction>,
    keys: &[Key],
) -> Result<Vec<Found>, ChannelError> {
    let sql = keyed_rows_sql(table, filter, restriction);
    let mut found = vec![Found::Nothing; keys.len()];
    for (at, portion) in keys.chunks(PULL_PAGE_ROWS_MAX).enumerate() {
        let from = at * PULL_PAGE_ROWS_MAX;
        let answer = ask(link, table, filter, &sql, portion).await?;
        place(link, table, answer, &mut found[from..from + portion.len()]).await?;
    }
    Ok(found)
}

/// Whether the channel has a row that passes, one answer a key, in their order.
pub async fn passing(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    keys: &[Key],
) -> Result<Vec<bool>, ChannelError> {
    let sql = keyed_presence_sql(table, filter);
    let mut found = vec![false; keys.len()];
    for (at, portion) in keys.chunks(PULL_PAGE_ROWS_MAX).enumerate() {
        let from = at * PULL_PAGE_ROWS_MAX;
        for cells in ask(link, table, filter, &sql, portion).await? {
            let number = Cells::new(WHAT, cells).number("_n")? as usize;
            *found.get_mut(from + number).ok_or_else(unasked)? = true;
        }
    }
    Ok(found)
}

const WHAT: &str = "give rows by their keys";

fn unasked() -> ChannelError {
    ChannelError::Unexpected { what: "a row came for a key that was not asked for".to_string() }
}

async fn ask(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    sql: &str,
    keys: &[Key],
) -> Result<ResultSet, ChannelError> {
    if table.key.is_empty() {
        return Err(ChannelError::NoPrimaryKey { table: table.name.clone() });
    }
    let mut given = vec![Parameter::Text(json(table, keys))];
    given.extend(parameters(filter));
    let sets = link.ask(Ask::query(WHAT, sql, &given)).await?;
    Ok(sets.into_iter().next().unwrap_or_default())
}

async fn place(
    link: &mut Link,
    table: &Table,
    answer: ResultSet,
    found: &mut [Found],
) -> Result<(), ChannelError> {
    let mut numbers = Vec::with_capacity(answer.len());
    let mut read = Vec::with_capacity(answer.len());
    let mut refused: Vec<Refused> = Vec::new();
    for (at, cells) in answer.into_iter().enumerate() {
        let mut cells = Cells::new(WHAT, cells);
        numbers.push(cells.number("_n")? as usize);
        let (row, wrong) = cells.row_or_refusal(table)?;
        refused.extend(wrong.map(|wrong| Refused { row: at, ..wrong }));
        read.push(row);
    }
    refused.extend(link.look_again(table, read.iter()).await?);
    for (at, (number, row)) in numbers.into_iter().zip(read).enumerate() {
        let wrong = refused.iter().find(|one| one.row == at);
        *found.get_mut(number).ok_or_else(unasked)? = match wrong {
            Some(wrong) => Found::Refused(wrong.told(table).1),
            None => Found::Row(row),
        };
    }
    Ok(())
}

/// `[{"n":0,"k0":"…","k1":"…"}, …]`
fn json(table: &Table, keys: &[Key]) -> String {
    let one = |(number, key): (usize, &Key)| {
        let mut members = Map::new();
        members.insert("n".to_string(), Json::from(number));
        for (at, (value, column)) in key.0.iter().zip(table.key_columns()).enumerate() {
            let text = canonical(value, column.of).unwrap_or_default();
            members.insert(format!("k{at}"), Json::from(text));
        }
        Json::Object(members)
    };
    keys.iter().enumerate().map(one).collect::<Json>().to_string()
}

/// @P1 the keys as JSON, then the filter's values.
pub(crate) fn keyed_rows_sql(
    table: &Table,
    filter: Option<&Bound>,
    restriction: Option<&Restriction>,
) -> String {
    keyed(table, filter, restriction, &format!(", {}", select_list("t", table)))
}

/// The same without the rows.
pub(crate) fn keyed_presence_sql(table: &Table, filter: Option<&Bound>) -> String {
    keyed(table, filter, None, "")
}

fn keyed(
    table: &Table,
    filter: Option<&Bound>,
    restriction: Option<&Restriction>,
    columns: &str,
) -> String {
    let (mut read, mut same) = (String::new(), Vec::new());
    for (at, column) in table.key_columns().enumerate() {
        let _ = write!(read, ", [k{at}] nvarchar(max) N'$.k{at}'");
        // The text of a document has the database's collation, a column perhaps another: said, they compare (468).
        let value = match (&column.collation, column.of.is_text()) {
            (Some(collation), true) => {
                format!("CAST(j.[k{at}] COLLATE {collation} AS {}) COLLATE {collation}", column.of)
            }
            (None, true) => {
                format!(
                    "CAST(j.[k{at}] COLLATE DATABASE_DEFAULT AS {}) COLLATE DATABASE_DEFAULT",
                    column.of
                )
            }
            _ => from_text(&format!("j.[k{at}]"), column.of),
        };
        same.push(format!("t.{} = {value}", bracket(&column.name)));
    }
    same.extend(restriction.map(|restriction| selection::condition("t", restriction)));
    format!(
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT j.[n] AS [_n]{columns} FROM OPENJSON(@P1) WITH ([n] int N'$.n'{read}) AS j INNER JOIN {} AS t ON {}{};\n",
        table.name.bracketed(),
        same.join(" AND "),
        and_passes("t", filter, 2),
    )
}
