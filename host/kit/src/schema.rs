//! Schema files: tables with typed columns and keys, for whoever has no channel at hand.
//!
//! ```text
//! { "ax.NAME": { "columns": [["COLUMN", "nvarchar(20)", "not null"], ["ROWVERSION", "timestamp", "not null"], …],
//!                "keys": [{"kind": "PK", "cols": ["COLUMN"]}],
//!                "defaults": {"COLUMN": "('')"},
//!                "collations": {"COLUMN": "Latin1_General_BIN2"} } }
//! ```
//! * The form is that of `tests/data/ax2012r3_channel_schema.json`, the published channel schema, which the program
//!   carries: all 548 tables, in the order in which Microsoft published them.
//! * A fourth word beside a column, `identity` or `by channel`, and the type `timestamp` mark what the channel itself
//!   assigns ([`Assigned::ByChannel`]).
//! * Text columns without a collation get the one that SQL Server's setup proposes: the published scripts name none.

use crate::KitError;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::spelling::nearest;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

const PUBLISHED: &str = include_str!("../../../tests/data/ax2012r3_channel_schema.json");
/// What SQL Server's setup proposes for English; blind to case and trailing blanks.
const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";
const BY_CHANNEL: &str = "by channel";

/// Tables, by name.
pub struct Schema {
    pub tables: Vec<Arc<Table>>,
    by_name: HashMap<TableName, usize>,
    /// Where it was read, for messages.
    file: String,
}

impl Schema {
    /// The AX 2012 R3 channel.
    pub fn published() -> Result<Schema, KitError> {
        Schema::read("the published schema that this program carries", PUBLISHED)
    }

    pub fn open(file: &Path) -> Result<Schema, KitError> {
        let unread = |cause| KitError::File { path: file.to_path_buf(), done: "read", cause };
        Schema::read(&file.display().to_string(), &fs::read_to_string(file).map_err(unread)?)
    }

    pub(crate) fn read(file: &str, text: &str) -> Result<Schema, KitError> {
        let wrong = |place: &str, reason: String| {
            let (file, place) = (file.to_string(), place.to_string());
            KitError::Schema { file, place, reason }
        };
        let json: Json =
            serde_json::from_str(text).map_err(|error| wrong("the file", error.to_string()))?;
        let members = json.as_object();
        let members =
            members.ok_or_else(|| wrong("the file", "it is not an object".to_string()))?;
        let table = |(name, json): (&String, &Json)| {
            read_table(name, json).map(Arc::new).map_err(|reason| wrong(name, reason))
        };
        let tables: Vec<Arc<Table>> = members.iter().map(table).collect::<Result<_, _>>()?;
        let by_name = tables.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
        Ok(Schema { tables, by_name, file: file.to_string() })
    }

    /// By its name as the file writes it.
    pub fn table(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.by_name.get(name).map(|at| &self.tables[*at])
    }

    /// By a name that a person wrote: blind to case, and with the nearest one when there is none.
    pub fn find(&self, name: &str) -> Result<&Arc<Table>, KitError> {
        let whole = if name.contains('.') { name.to_string() } else { format!("ax.{name}") };
        let names = || self.tables.iter().map(|table| table.name.to_string());
        let found = names().position(|known| known.eq_ignore_ascii_case(&whole));
        found.map(|at| &self.tables[at]).ok_or_else(|| {
            let known: Vec<String> = names().collect();
            let nearest = nearest(&whole, known.iter().map(String::as_str));
            KitError::TableUnknown { table: whole, file: self.file.clone(), nearest }
        })
    }
}

/// Tables as a schema file has them, a column on each line.
pub fn schema_text(tables: &[Table]) -> String {
    let listed: Vec<String> = tables.iter().map(table_text).collect();
    format!("{{\n{}\n}}\n", listed.join(",\n"))
}

fn table_text(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(column_text).collect();
    let names: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
    let keys = if names.is_empty() { String::new() } else { key_text(&names) };
    let mut text = format!(
        "{}: {{\n  \"columns\": [\n    {}\n  ],\n  \"keys\": [{keys}]",
        quoted(&table.name.to_string()),
        columns.join(",\n    ")
    );
    let of = |what: fn(&Column) -> Option<&String>| {
        let named = table.columns.iter().filter_map(|column| Some((column, what(column)?)));
        let named =
            named.map(|(column, what)| format!("{}: {}", quoted(&column.name), quoted(what)));
        named.collect::<Vec<_>>().join(", ")
    };
    let members = [
        ("defaults", of(|column| column.default.as_ref())),
        ("collations", of(|column| column.collation.as_ref().filter(|name| *name != COLLATION))),
    ];
    for (member, list) in members.iter().filter(|(_, list)| !list.is_empty()) {
        let _ = write!(text, ",\n  \"{member}\": {{{list}}}");
    }
    text + "\n}"
}

fn column_text(column: &Column) -> String {
    let null = if column.nullable { "null" } else { "not null" };
    let mut words = vec![quoted(&column.name), quoted(&column.of.to_string()), quoted(null)];
    if column.assigned == Assigned::ByChannel && column.of != SqlType::RowVersion {
        words.push(quoted(BY_CHANNEL));
    }
    format!("[{}]", words.join(", "))
}

fn key_text(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("{{\"kind\": \"PK\", \"cols\": [{}]}}", names.join(", "))
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

fn read_table(name: &str, json: &Json) -> Result<Table, String> {
    let table_name = TableName::parse(name).ok_or("not schema.TABLE")?;
    let mut columns: Vec<Column> = list(json, "columns")?
        .iter()
        .map(|column| read_column(column, json))
        .collect::<Result<_, _>>()?;
    if columns.is_empty() {
        columns.push(unnamed_column());
    }
    let primary = list(json, "keys")?.iter().find(|key| key["kind"] == "PK");
    let mut key = Vec::new();
    for column in primary.into_iter().flat_map(|key| key["cols"].as_array()).flatten() {
        let at = columns.iter().position(|c| Some(c.name.as_str()) == column.as_str());
        key.push(at.ok_or("its key names a column that it does not have")?);
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

fn read_column(json: &Json, table: &Json) -> Result<Column, String> {
    let part = |at: usize| json.get(at).and_then(Json::as_str);
    let (Some(name), Some(declared), Some(null @ ("null" | "not null"))) =
        (part(0), part(1), part(2))
    else {
        return Err(format!("{json} is not [name, type, \"null\" or \"not null\"]"));
    };
    let of = SqlType::parse(declared)
        .ok_or_else(|| format!("{name} has the unknown type {declared}"))?;
    let by_channel = match part(3) {
        None => of == SqlType::RowVersion,
        Some("identity" | BY_CHANNEL) => true,
        Some(other) => return Err(format!("{name}: '{other}' is not identity or {BY_CHANNEL}")),
    };
    let collation = table["collations"][name].as_str().unwrap_or(COLLATION);
    Ok(Column {
        name: name.to_string(),
        of,
        nullable: null == "null",
        assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
        default: table["defaults"][name].as_str().filter(|d| *d != "NULL").map(str::to_string),
        collation: of.is_text().then(|| collation.to_string()),
    })
}

fn list<'a>(json: &'a Json, member: &str) -> Result<&'a Vec<Json>, String> {
    json[member].as_array().ok_or_else(|| format!("it has no list of {member}"))
}

#[cfg(test)]
mod tests {
    use super::{Schema, schema_text};
    use tillhold_core::table::{Assigned, Table, TableName};

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
            (r#"{"ax.A": {"columns": [["X", "int", "nul"]], "keys": []}}"#, "ax.A"),
            (r#"{"ax.A": {"columns": [["X", "int", "null", "id"]], "keys": []}}"#, "'id'"),
            (r#"{"ax.A": {"columns": [], "keys": [{"kind": "PK", "cols": ["X"]}]}}"#, "ax.A"),
        ] {
            let error = Schema::read("s.json", text).err().expect("refused").to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back_whole() {
        let schema = Schema::published().expect("the published schema reads");
        let mut tables: Vec<Table> = schema.tables.iter().map(|t| Table::clone(t)).collect();
        let text = tables[0].columns.iter_mut().find(|c| c.of.is_text()).expect("a text column");
        text.collation = Some("Latin1_General_BIN2".to_string());
        let again = Schema::read("again", &schema_text(&tables)).expect("it reads back");
        let again: Vec<Table> = again.tables.iter().map(|t| Table::clone(t)).collect();
        assert_eq!(again, tables);
    }

    #[test]
    fn a_table_is_found_as_people_write_it() {
        let schema = Schema::published().expect("the published schema reads");
        for name in ["ax.CUSTTABLE", "AX.custtable", "custtable"] {
            assert_eq!(schema.find(name).expect("found").name, TableName::new("ax", "CUSTTABLE"));
        }
        let error = schema.find("ax.CUSTTABEL").expect_err("none of that name");
        assert_eq!(error.hint().as_deref(), Some("did you mean ax.CUSTTABLE?"));
        assert!(error.to_string().contains("ax.CUSTTABEL"), "{error}");
    }
}
