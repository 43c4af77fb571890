//! When the channel's tables were last altered: whether something that was refused deserves another try.

use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::statement::object_id;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tillhold_core::table::{Table, TableName};

/// For each table that is there the moment, as the channel says it, with its number: a table made anew is another.
pub async fn altered(
    link: &mut Link,
    tables: &[&Table],
) -> Result<BTreeMap<TableName, String>, ChannelError> {
    let mut found = BTreeMap::new();
    if tables.is_empty() {
        return Ok(found);
    }
    let sets = link.ask(Ask::query(WHAT, &altered_sql(tables), &[])).await?;
    for cells in sets.into_iter().flatten() {
        let mut cells = Cells::new(WHAT, cells);
        let (schema, name) = (cells.text("schema_name")?, cells.text("table_name")?);
        let (number, moment) = (cells.number("object_id")?, cells.text("altered")?);
        let same = |table: &&&Table| {
            table.name.schema.eq_ignore_ascii_case(&schema)
                && table.name.name.eq_ignore_ascii_case(&name)
        };
        if let Some(table) = tables.iter().find(same) {
            found.insert(table.name.clone(), format!("{number} {moment}"));
        }
    }
    Ok(found)
}

const WHAT: &str = "tell when tables were altered";

pub(crate) fn altered_sql(tables: &[&Table]) -> String {
    let mut ids = String::new();
    for (at, table) in tables.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(ids, "{comma}{}", object_id(table));
    }
    format!(
        "SELECT s.[name] AS [schema_name], t.[name] AS [table_name], t.[object_id], CONVERT(nvarchar(33), t.[modify_date], 126) AS [altered] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] WHERE t.[object_id] IN ({ids});\n"
    )
}
