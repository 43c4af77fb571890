//! A table's original types as JSON, kept beside its rows: STRICT columns alone could not say `numeric(32,16)`.

use crate::error::LocalError;
use serde_json::{Value as Json, json};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

/// Changes whenever the stored table would have to change: with the travelling shape, or with the way its key folds.
pub fn fingerprint(table: &Table) -> String {
    let folding: Vec<&str> =
        table.key_columns().filter(|c| c.folds()).map(|c| c.name.as_str()).collect();
    format!("{} folds({})", table.fingerprint(), folding.join(","))
}

pub(crate) fn encode(table: &Table) -> String {
    let columns: Vec<Json> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.of.to_string(),
                "nullable": column.nullable,
                "default": column.default,
                "collation": column.collation,
            })
        })
        .collect();
    json!({
        "schema": table.name.schema,
        "name": table.name.name,
        "columns": columns,
        "key": table.key_columns().map(|c| c.name.as_str()).collect::<Vec<_>>(),
    })
    .to_string()
}

/// Reads what [`encode`] wrote; `file` is named when someone else has written there.
pub(crate) fn decode(text: &str, file: &std::path::Path) -> Result<Table, LocalError> {
    let damaged = || LocalError::Damaged {
        file: file.to_path_buf(),
        detail: "the description of a table in tillhold_table is unreadable".to_string(),
    };
    serde_json::from_str(text).ok().and_then(|json: Json| table(&json)).ok_or_else(damaged)
}

fn table(json: &Json) -> Option<Table> {
    let columns: Vec<Column> =
        json["columns"].as_array()?.iter().map(column).collect::<Option<_>>()?;
    let position =
        |name: &Json| columns.iter().position(|c| Some(c.name.as_str()) == name.as_str());
    let key = json["key"].as_array()?.iter().map(position).collect::<Option<_>>()?;
    let name = TableName::new(json["schema"].as_str()?, json["name"].as_str()?);
    Some(Table { name, columns, key })
}

fn column(json: &Json) -> Option<Column> {
    let text = |name: &str| json[name].as_str().map(str::to_string);
    Some(Column {
        name: text("name")?,
        of: SqlType::parse(json["type"].as_str()?)?,
        nullable: json["nullable"].as_bool()?,
        assigned: Assigned::ByWriter,
        default: text("default"),
        collation: text("collation"),
    })
}
