//! One POS transaction as a line of JSON and back.

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::{ContentHash, Operation, Transaction, TransactionId, Write};
use tillhold_core::value::Value;
use tillhold_core::version::{ChannelVersion, Sequence};
use tillhold_kit::cells::{from_json, to_json};
use tillhold_local::Unsent;

/// With its own hash as the last member.
pub fn line(unsent: &Unsent) -> String {
    let record = &unsent.record;
    let reason = record.reason.as_ref().map(|(code, words)| format!("{code}: {words}"));
    let mut json = json!({
        "id": record.id.to_string(),
        "hash": hexadecimal(&record.hash.0),
        "sequence": record.sequence.to_string(),
        "state": record.state.name(),
        "received_at_ms": record.received_at_ms,
        "reason": reason,
        "unreadable": unsent.unreadable,
        "writes": unsent.writes.iter().map(write_json).collect::<Vec<_>>(),
    });
    json["sha256"] = hash(&json).into();
    json.to_string()
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    text::hexadecimal(bytes).to_ascii_lowercase()
}

fn hash(json: &Json) -> String {
    hexadecimal(&Sha256::digest(json.to_string().as_bytes()))
}

/// Whether the line is as it was written.
pub fn is_whole(json: &Json) -> bool {
    let mut json = json.clone();
    let said = json.as_object_mut().and_then(|members| members.shift_remove("sha256"));
    said.is_some_and(|said| said == hash(&json))
}

fn write_json(write: &Write) -> Json {
    let table = &write.table;
    let row = |row: &Option<Row>| row.as_ref().map(|row| cells(&row.0, table.columns.iter()));
    json!({
        "table": table.name.to_string(),
        "operation": operation_name(write.operation),
        "key": cells(&write.key.0, table.key_columns()),
        "base": row(&write.base),
        "offline": row(&write.offline),
        "base_version": write.base_version.to_string(),
    })
}

fn cells<'a>(values: &[Value], columns: impl Iterator<Item = &'a Column>) -> Json {
    let cell = |(value, column): (&Value, &Column)| (column.name.clone(), to_json(value, column));
    Json::Object(values.iter().zip(columns).map(cell).collect())
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

/// The transaction of a line, in the shapes that `table` knows; otherwise the reason in words.
pub fn transaction(
    json: &Json,
    table: impl Fn(&TableName) -> Option<Arc<Table>>,
) -> Result<Transaction, String> {
    let text = |name: &str| json[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let id = TransactionId::parse(text("id")?).ok_or("its id is no UUID")?;
    let hash = text::parse_hexadecimal(text("hash")?).and_then(|hash| hash.try_into().ok());
    let sequence = text("sequence")?.parse().map_err(|_| "its sequence is no number")?;
    let writes = json["writes"].as_array().ok_or("its writes are missing")?;
    Ok(Transaction {
        id,
        hash: ContentHash(hash.ok_or("its hash has not 32 bytes")?),
        sequence: Sequence(sequence),
        writes: writes.iter().map(|one| write(one, &table)).collect::<Result<_, _>>()?,
    })
}

fn write(json: &Json, table: &impl Fn(&TableName) -> Option<Arc<Table>>) -> Result<Write, String> {
    let name = json["table"].as_str().and_then(TableName::parse).ok_or("a table has no name")?;
    let table = table(&name).ok_or_else(|| format!("{name} is in no scope of the profile here"))?;
    let row = |member: &str| match &json[member] {
        Json::Null => Ok(None),
        Json::Object(cells) => {
            let columns: Vec<&Column> = table.columns.iter().collect();
            values(&name, cells, &columns).map(|values| Some(Row(values)))
        }
        _ => Err(format!("{name}: {member} is no row")),
    };
    let key = json["key"].as_object().ok_or_else(|| format!("{name}: a key is missing"))?;
    let (base, offline) = (row("base")?, row("offline")?);
    let operation = match (json["operation"].as_str(), &base, &offline) {
        (Some("insert"), None, Some(_)) => Operation::Insert,
        (Some("update"), Some(_), Some(_)) => Operation::Update,
        (Some("delete"), Some(_), None) => Operation::Delete,
        _ => return Err(format!("{name}: operation and rows do not fit together")),
    };
    let version = json["base_version"].as_str().and_then(|version| version.parse().ok());
    let base_version = ChannelVersion(version.ok_or_else(|| format!("{name}: no base version"))?);
    let keys: Vec<&Column> = table.key_columns().collect();
    let key = Key(values(&name, key, &keys)?);
    Ok(Write { table: table.clone(), operation, key, base, offline, base_version })
}

/// One value a column: a column more or less means that the table is another here.
fn values(
    table: &TableName,
    cells: &Map<String, Json>,
    columns: &[&Column],
) -> Result<Vec<Value>, String> {
    if let Some(other) = cells.keys().find(|name| !columns.iter().any(|c| c.name == **name)) {
        return Err(format!("{table}.{other} does not travel here"));
    }
    let value = |column: &&Column| {
        let cell = cells.get(&column.name);
        let cell = cell.ok_or_else(|| format!("{table}.{} has no value", column.name))?;
        if cell.is_null() {
            return Ok(Value::Null);
        }
        from_json(cell, column).map_err(|misfit| format!("{table}.{}: {misfit}", column.name))
    };
    columns.iter().map(value).collect()
}
