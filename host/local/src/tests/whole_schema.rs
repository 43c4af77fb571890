//! Installation, and the whole published AX 2012 R3 channel schema in one go.

use super::{EPOCH, House, open, plan, table};
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_core::draw::Draw;
use tillhold_core::filter::Filter;
use tillhold_core::migration::{Action, InstalledTable};
use tillhold_core::profile::Direction;
use tillhold_core::row::Row;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::version::ChannelVersion;

// The rows that the conformance suite sends to a channel and back: same generator, same seeds.
#[path = "../../../../tests/conformance/generate.rs"]
#[allow(
    dead_code,
    reason = "two tests share this file; this one needs rows by a table's name only"
)]
mod generate;

/// Every table of schema ax, as it travels.
pub(crate) fn published() -> Vec<Arc<Table>> {
    all_published().into_iter().filter(|table| table.name.schema == "ax").collect()
}

/// All 548.
fn all_published() -> Vec<Arc<Table>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/ax2012r3_channel_schema.json");
    let text = std::fs::read_to_string(path).expect("the published schema");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let tables = json.as_object().expect("an object of tables");
    tables
        .iter()
        .map(|(name, table)| Arc::new(published_table(name, table).travelling(&[])))
        .collect()
}

fn published_table(name: &str, json: &serde_json::Value) -> Table {
    let words = |json: &serde_json::Value| -> Vec<String> {
        let list = json.as_array().expect("a list").iter();
        list.map(|word| word.as_str().expect("a word").to_string()).collect()
    };
    let column = |json: &serde_json::Value| {
        let words = words(json);
        let of = SqlType::parse(&words[1]).expect("a type that travels");
        let is_channels = of == SqlType::RowVersion || words.iter().any(|w| w == "identity");
        Column {
            of,
            nullable: words[2] == "null",
            assigned: if is_channels { Assigned::ByChannel } else { Assigned::ByWriter },
            default: json["defaults"][&words[0]].as_str().map(str::to_string),
            collation: None,
            name: words[0].clone(),
        }
    };
    let columns: Vec<Column> =
        json["columns"].as_array().expect("columns").iter().map(column).collect();
    let primary = json["keys"].as_array().expect("keys").iter().find(|key| key["kind"] == "PK");
    let position = |name: &String| columns.iter().position(|c| c.name == *name).expect("a column");
    let key = primary.map(|key| words(&key["cols"]).iter().map(position).collect());
    Table { name: TableName::parse(name).expect("a name"), key: key.unwrap_or_default(), columns }
}

#[tokio::test]
async fn the_whole_published_schema_installs_in_every_direction() {
    let tables = published();
    assert_eq!(tables.len(), 349);
    for direction in [Direction::Download, Direction::Upload, Direction::Bidirectional] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db = open(folder.path()).await;
        let install = |table: &Arc<Table>| InstalledTable {
            scope: "all".to_string(),
            direction,
            table: table.clone(),
        };
        let plan: Vec<InstalledTable> = tables.iter().map(install).collect();
        let report = db.install(plan.clone(), Vec::new()).await.expect("an installation");
        let left_out: Vec<String> =
            report.left_out.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(left_out, vec!["ax.RETAILTRANSACTIONTAXTRANS_IN", "ax.DBVERSION"]);
        assert_eq!(report.tables(Action::Add).len(), 347);
        let again = db.install(plan, Vec::new()).await.expect("an installation");
        assert!(!again.plan.changes());
        assert_eq!(again.tables(Action::Keep).len(), 347);
        db.close().await.expect("a close");
        let db = open(folder.path()).await;
        let stored = db.tables().await.expect("the tables");
        for state in &stored {
            let original =
                tables.iter().find(|t| t.name == state.table.name).expect("it was given");
            assert_eq!(state.table, *original, "types, key and defaults come back");
        }
        assert_eq!(stored.len(), 347);
    }
}

/// Upload and bidirectional share a file, so a table may go from one to the other with its rows.
#[tokio::test]
async fn a_table_moves_between_scopes_of_one_file() {
    let house = House::new().await;
    let mut changed = plan();
    for wanted in changed.iter_mut().filter(|wanted| wanted.direction == Direction::Upload) {
        wanted.direction = Direction::Bidirectional;
        wanted.scope = "sales both ways".to_string();
    }
    house.insert(1, &super::lines(), &["T1", "1", "i", "1"]).await;
    house.db.install(changed, Vec::new()).await.expect("an installation");
    assert_eq!(house.everything(&super::lines()).await.len(), 1, "readable all the time");
    house.make_ready("sales both ways", &[&super::lines()], 5).await;
    assert_eq!(house.everything(&super::lines()).await.len(), 1, "unsent rows stay");
}

#[tokio::test]
async fn constant_defaults_serve_other_programs() {
    let house = House::new().await;
    let mut table = (*table(
        "DEFAULTS",
        "K int key, N nvarchar(5), M numeric(8;2), B bit, D date, F datetime null",
    ))
    .clone();
    for (column, default) in
        [(1, "('it''s')"), (2, "((0))"), (3, "((1))"), (4, "'1900-01-01'"), (5, "(getutcdate())")]
    {
        table.columns[column].default = Some(default.to_string());
    }
    let name = table.name.clone();
    let install = InstalledTable {
        scope: "all".to_string(),
        direction: Direction::Upload,
        table: Arc::new(table.clone()),
    };
    let tables = [plan(), vec![install]].concat();
    let lookups = vec![(name, vec!["NOPE".to_string()])];
    house.db.install(tables, lookups).await.expect("installed");
    house
        .another_program()
        .execute_batch("INSERT INTO \"ax.DEFAULTS\" (K) VALUES (1)")
        .expect("a row");
    assert_eq!(house.everything(&table).await, vec!["1|it's|0.00|1|1900-01-01|NULL"]);
}

/// A generated row of every table, with all columns that travel, loads and is read as it was.
#[tokio::test]
async fn every_table_of_the_whole_schema_takes_a_row_of_all_its_columns() {
    let keyed: Vec<Arc<Table>> =
        all_published().into_iter().filter(|table| !table.key.is_empty()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = open(folder.path()).await;
    let install = |table: &Arc<Table>| InstalledTable {
        scope: "all".to_string(),
        direction: Direction::Bidirectional,
        table: table.clone(),
    };
    db.install(keyed.iter().map(install).collect(), Vec::new()).await.expect("an installation");
    let version = ChannelVersion(1);
    for table in &keyed {
        let row = generated(table);
        db.begin_load(&table.name, EPOCH, version).await.expect("a begin");
        db.load_page(&table.name, vec![row.clone()], row.key(table)).await.expect("a page");
        db.end_load(&table.name).await.expect("an end");
    }
    let positions = keyed.iter().map(|table| (table.name.clone(), version)).collect();
    db.land("all", positions, EPOCH).await.expect("a landing");
    for table in &keyed {
        let rows = db.read(table, &Filter { limit: 2, ..Filter::default() }).await;
        assert_eq!(rows.expect("a read"), [generated(table)], "{}", table.name);
    }
    println!("{} tables with a key took a row of all their columns", keyed.len());
}

fn generated(table: &Table) -> Row {
    generate::row(&mut Draw::of(0, &table.name.to_string(), 0), table)
}
