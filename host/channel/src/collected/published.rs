//! The published channel schema: `tests/data/ax2012r3_channel_schema.json`, all 548 tables.

use serde_json::Value as Json;
use std::path::PathBuf;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

pub(super) fn tables() -> Vec<Table> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/ax2012r3_channel_schema.json");
    let text = std::fs::read_to_string(path).expect("the published schema");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    json.as_object().expect("tables").iter().map(|(name, json)| table(name, json)).collect()
}

fn table(name: &str, json: &Json) -> Table {
    let mut columns: Vec<Column> =
        json["columns"].as_array().expect("columns").iter().map(column).collect();
    // ax.DBVERSION is published without its columns.
    if columns.is_empty() {
        columns.push(column(&serde_json::json!(["VERSION", "nvarchar(50)", "null"])));
    }
    let primary = json["keys"].as_array().expect("keys").iter().find(|key| key["kind"] == "PK");
    let names = primary.into_iter().flat_map(|key| key["cols"].as_array().expect("columns"));
    let position = |name: &Json| columns.iter().position(|c| name == &c.name).expect("a column");
    let key = names.map(position).collect();
    Table { name: TableName::parse(name).expect("a name"), columns, key }
}

fn column(json: &Json) -> Column {
    let word = |at: usize| json[at].as_str().unwrap_or_default();
    let of = SqlType::parse(word(1)).expect("a type that travels");
    let by_channel = of == SqlType::RowVersion || word(3) == "identity";
    Column {
        name: word(0).to_string(),
        of,
        nullable: word(2) == "null",
        assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
        default: None,
        collation: of.is_text().then(|| "SQL_Latin1_General_CP1_CI_AS".to_string()),
    }
}
