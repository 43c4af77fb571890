//! The published channel schema as tables: `tests/data/ax2012r3_channel_schema.json`, carried in the program.
//!
//! * All 548 tables, in the order in which Microsoft published them; text columns get SQL Server's default
//!   collation, because the published scripts name none.
//! * Identity columns and row versions are the channel's own ([`Assigned::ByChannel`]).

use crate::DemoError;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

const PUBLISHED: &str = include_str!("../../../tests/data/ax2012r3_channel_schema.json");
/// What SQL Server's setup proposes for English; blind to case and trailing blanks.
const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// Every table of the channel, by name.
pub struct Schema {
    pub tables: Vec<Arc<Table>>,
    by_name: HashMap<TableName, usize>,
}

impl Schema {
    /// The AX 2012 R3 channel.
    pub fn published() -> Result<Schema, DemoError> {
        Schema::read(PUBLISHED)
    }

    fn read(text: &str) -> Result<Schema, DemoError> {
        let json: Json =
            serde_json::from_str(text).map_err(|e| wrong("the file", &e.to_string()))?;
        let members = json.as_object().ok_or_else(|| wrong("the file", "it is not an object"))?;
        let tables: Vec<Arc<Table>> = members
            .iter()
            .map(|(name, table)| read_table(name, table).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let by_name = tables.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
        Ok(Schema { tables, by_name })
    }

    pub fn table(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.by_name.get(name).map(|at| &self.tables[*at])
    }
}

fn wrong(place: &str, reason: &str) -> DemoError {
    DemoError::Schema { place: place.to_string(), reason: reason.to_string() }
}

fn read_table(name: &str, json: &Json) -> Result<Table, DemoError> {
    let table_name = TableName::parse(name).ok_or_else(|| wrong(name, "not schema.TABLE"))?;
    let columns = list(json, "columns", name)?;
    let mut columns: Vec<Column> = columns
        .iter()
        .map(|column| read_column(name, column, &json["defaults"]))
        .collect::<Result<_, _>>()?;
    if columns.is_empty() {
        columns.push(unnamed_column());
    }
    let primary = list(json, "keys", name)?.iter().find(|key| key["kind"] == "PK");
    let mut key = Vec::new();
    for column in primary.into_iter().flat_map(|key| key["cols"].as_array()).flatten() {
        let at = columns.iter().position(|c| Some(c.name.as_str()) == column.as_str());
        key.push(at.ok_or_else(|| wrong(name, "its key names a column that it does not have"))?);
    }
    Ok(Table { name: table_name, columns, key })
}

/// ax.DBVERSION is published without its columns, and SQL Server has no table without one.
fn unnamed_column() -> Column {
    Column {
        name: "VERSION".to_string(),
        of: SqlType::NVarChar { length: Some(50) },
        nullable: true,
        assigned: Assigned::ByWriter,
        default: None,
        collation: Some(COLLATION.to_string()),
    }
}

fn read_column(table: &str, json: &Json, defaults: &Json) -> Result<Column, DemoError> {
    let part = |at: usize| json.get(at).and_then(Json::as_str);
    let (Some(name), Some(declared), Some(null)) = (part(0), part(1), part(2)) else {
        return Err(wrong(table, "a column is not [name, type, null]"));
    };
    let of = SqlType::parse(declared)
        .ok_or_else(|| wrong(table, &format!("{name} has the unknown type {declared}")))?;
    let by_channel = of == SqlType::RowVersion || part(3) == Some("identity");
    Ok(Column {
        name: name.to_string(),
        of,
        nullable: null == "null",
        assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
        default: defaults[name].as_str().filter(|d| *d != "NULL").map(str::to_string),
        collation: of.is_text().then(|| COLLATION.to_string()),
    })
}

fn list<'a>(json: &'a Json, member: &str, table: &str) -> Result<&'a Vec<Json>, DemoError> {
    json[member].as_array().ok_or_else(|| wrong(table, &format!("it has no list of {member}")))
}

#[cfg(test)]
mod tests {
    use super::Schema;
    use tillhold_core::table::{Assigned, TableName};

    #[test]
    fn the_published_schema_is_whole() {
        let schema = Schema::published().expect("the published schema reads");
        assert_eq!(schema.tables.len(), 548);
        let ax: Vec<_> = schema.tables.iter().filter(|t| t.name.schema == "ax").collect();
        assert_eq!(ax.len(), 349);
        let keyless: Vec<String> =
            ax.iter().filter(|t| t.key.is_empty()).map(|t| t.name.to_string()).collect();
        assert_eq!(keyless, ["ax.RETAILTRANSACTIONTAXTRANS_IN", "ax.DBVERSION"]);
    }

    #[test]
    fn a_sale_is_described_as_ax_declares_it() {
        let schema = Schema::published().expect("the published schema reads");
        let name = TableName::new("ax", "RETAILTRANSACTIONTABLE");
        let table = schema.table(&name).expect("the header of a sale");
        let key: Vec<&str> = table.key_columns().map(|c| c.name.as_str()).collect();
        assert_eq!(key, ["STORE", "TERMINAL", "TRANSACTIONID", "CHANNEL", "DATAAREAID"]);
        let column = |name| &table.columns[table.position(name).expect("a column of the header")];
        assert_eq!(column("GROSSAMOUNT").of.to_string(), "decimal(32,16)");
        assert_eq!(column("GROSSAMOUNT").default.as_deref(), Some("(0)"));
        assert_eq!(column("ROWVERSION").assigned, Assigned::ByChannel);
        assert_eq!(column("REPLICATIONCOUNTERFROMORIGIN").assigned, Assigned::ByChannel);
        assert!(column("STORE").folds() && !column("GROSSAMOUNT").folds());
    }

    #[test]
    fn what_is_not_a_schema_is_refused_with_its_place() {
        for (text, place) in [
            ("[]", "the file"),
            ("{", "the file"),
            (r#"{"ax.A b": {}}"#, "ax.A b"),
            (r#"{"ax.A": {}}"#, "ax.A"),
            (r#"{"ax.A": {"columns": [["X", "sql_variant", "null"]], "keys": []}}"#, "ax.A"),
            (r#"{"ax.A": {"columns": [], "keys": [{"kind": "PK", "cols": ["X"]}]}}"#, "ax.A"),
        ] {
            let error = Schema::read(text).err().expect("refused").to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
