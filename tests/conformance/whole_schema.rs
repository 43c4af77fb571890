//! `whole schema`: every table of the published AX 2012 R3 channel database, made, prepared, and given a row
//! that comes back as it went up.
//!
//! 1. All 548 tables are created from tests/data, read back from the catalogue and compared.
//! 2. Those with a key that travels are prepared both ways.
//! 3. Each gets a generated row with all columns that travel: up in sales of some tables, down by a page and
//!    by a pass.
//!
//! * The answer names each table that was left out, and why. The rows are those that host/local's proof of the
//!   whole schema loads into an offline database: same seed, same generator.

use crate::generate;
use crate::session::Session;
use crate::values::{row_text, value_text};
use crate::world::{Answer, INCARNATION, World, refusal};
use crate::writing::write;
use std::path::Path;
use std::sync::Arc;
use tillhold_channel::capture::{Followed, Pass, own_context};
use tillhold_channel::prepare::{PrepareOptions, Prepared, prepare};
use tillhold_channel::snapshot::page;
use tillhold_channel::upload::upload;
use tillhold_channel::{ChannelError, Link, schema};
use tillhold_core::draw::Draw;
use tillhold_core::profile::{Capture, Direction, ScopeTable};
use tillhold_core::row::{Change, Row};
use tillhold_core::table::{Table, TableName};
use tillhold_core::transaction::{ContentHash, Operation, Receipt, Transaction, TransactionId};
use tillhold_core::version::{ChannelVersion, Incarnation, Sequence};

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/ax2012r3_channel_schema.json");
/// As many in one batch or sale: a statement of some hundred kilobytes.
const TABLES_AT_ONCE: usize = 25;

type Filled = (Arc<Table>, Row);

pub async fn whole_schema(world: &mut World<'_>) -> Answer {
    let text = std::fs::read_to_string(Path::new(FILE)).map_err(|e| e.to_string())?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let published = json.as_object().ok_or("the published schema is an object of tables")?;
    let shapeless =
        |table: &serde_json::Value| table["columns"].as_array().is_none_or(Vec::is_empty);
    let (without, published): (Vec<_>, Vec<_>) =
        published.iter().partition(|(_, table)| shapeless(table));
    create(world, &published).await?;
    let names: Vec<TableName> =
        published.iter().filter_map(|(name, _)| TableName::parse(name)).collect();
    let without: Vec<&str> = without.iter().map(|(name, _)| name.as_str()).collect();
    let without = format!("published without columns: {}\n", without.join(", "));
    match there_and_back(world, &names).await {
        Ok(answer) => Ok(without + &answer),
        Err(error) => Ok(format!("{} ({error})", refusal(&error))),
    }
}

async fn create(
    world: &World<'_>,
    published: &[(&String, &serde_json::Value)],
) -> Result<(), String> {
    let ground = world.ground;
    let office = Session::open(&ground.env, &ground.address, &ground.office).await;
    let mut office = office.map_err(|e| e.to_string())?;
    let schemas = ["CREATE SCHEMA [ax];", "CREATE SCHEMA [crt];"].map(str::to_string);
    let tables: Vec<String> =
        published.iter().map(|(name, table)| create_sql(name, table)).collect();
    let batches = tables.chunks(TABLES_AT_ONCE).map(|chunk| chunk.join("\n"));
    for sql in schemas.into_iter().chain(batches) {
        let answer = office.run(&sql, false).await;
        if !answer.is_empty() {
            return Err(format!("{answer}: {}…", sql.chars().take(300).collect::<String>()));
        }
    }
    Ok(())
}

fn create_sql(name: &str, table: &serde_json::Value) -> String {
    let text = |json: &serde_json::Value| json.as_str().unwrap_or_default().to_string();
    let list = |json: &serde_json::Value| json.as_array().cloned().unwrap_or_default();
    let column = |json: &serde_json::Value| {
        let words: Vec<String> = list(json).iter().map(text).collect();
        let identity = if words.iter().any(|w| w == "identity") { " IDENTITY(1,1)" } else { "" };
        let default = table["defaults"][&words[0]].as_str();
        let default = default.map(|d| format!(" DEFAULT {d}")).unwrap_or_default();
        format!("[{}] {}{identity} {}{default}", words[0], words[1], words[2].to_uppercase())
    };
    let key = |json: &serde_json::Value| {
        let columns: Vec<String> =
            list(&json["cols"]).iter().map(|c| format!("[{}]", text(c))).collect();
        let kind = if json["kind"] == "PK" { "PRIMARY KEY" } else { "UNIQUE" };
        format!("{kind} ({})", columns.join(", "))
    };
    let columns = list(&table["columns"]).iter().map(column).collect::<Vec<_>>();
    // One table is published with a key of no columns.
    let keys = list(&table["keys"]).into_iter().filter(|k| !list(&k["cols"]).is_empty());
    let keys = keys.map(|k| key(&k)).collect::<Vec<_>>();
    let name = TableName::parse(name).map(|n| n.bracketed()).unwrap_or_default();
    format!("CREATE TABLE {name} ({});", [columns, keys].concat().join(", "))
}

async fn there_and_back(
    world: &mut World<'_>,
    names: &[TableName],
) -> Result<String, ChannelError> {
    let full = schema::tables(world.link("office"), names).await?;
    let travelling: Vec<Table> = full.iter().map(|table| table.travelling(&[])).collect();
    let options =
        PrepareOptions { members: vec![world.ground.till.user.clone()], ..Default::default() };
    let direction = Direction::Bidirectional;
    let keyed: Vec<Prepared<'_>> = full
        .iter()
        .zip(&travelling)
        .filter(|(_, travelling)| !travelling.key.is_empty())
        .map(|(table, travelling)| Prepared { table, travelling, direction })
        .collect();
    prepare(world.link("office"), &keyed, &options).await?;
    let fill = |one: &Prepared<'_>| {
        let table = Arc::new(one.travelling.clone());
        let row = generate::row(&mut Draw::of(0, &table.name.to_string(), 0), &table);
        (table, row)
    };
    let filled: Vec<Filled> = keyed.iter().map(fill).collect();
    let (epoch, since) =
        tillhold_channel::capture::current(world.link("till"), Capture::ChangeTracking).await?;
    let mut lines = summary(&full, &travelling);
    for (number, chunk) in filled.chunks(TABLES_AT_ONCE).enumerate() {
        lines.extend(both_ways(world.link("till"), number, chunk, (epoch, since)).await?);
    }
    lines.push(format!("{} rows there and back", filled.len()));
    Ok(lines.join("\n"))
}

fn summary(full: &[Table], travelling: &[Table]) -> Vec<String> {
    let of = |schema: &str| full.iter().filter(|table| table.name.schema == schema).count();
    let mut lines = vec![format!(
        "{} tables: ax {}, crt {}, dbo {}",
        full.len(),
        of("ax"),
        of("crt"),
        of("dbo")
    )];
    let without = |why: &str, is_meant: &dyn Fn(&Table, &Table) -> bool| {
        let names: Vec<String> = full
            .iter()
            .zip(travelling)
            .filter(|(full, travelling)| is_meant(full, travelling))
            .map(|(full, _)| full.name.to_string())
            .collect();
        format!("{why}: {}", if names.is_empty() { "none".to_string() } else { names.join(", ") })
    };
    lines.push(without("left out, no primary key", &|full, _| full.key.is_empty()));
    lines.push(without("left out, the channel assigns the key", &|full, travelling| {
        !full.key.is_empty() && travelling.key.is_empty()
    }));
    lines
}

/// What did not come back as it went, a line each.
async fn both_ways(
    link: &mut Link,
    number: usize,
    filled: &[Filled],
    (epoch, since): ([u8; 16], ChannelVersion),
) -> Result<Vec<String>, ChannelError> {
    let insert = |(table, row): &Filled| {
        write(table.clone(), Operation::Insert, None, Some(row.clone()), since)
    };
    let sale = Transaction {
        id: TransactionId([number as u8 + 1; 16]),
        hash: ContentHash([1; 32]),
        sequence: Sequence(number as u64),
        writes: filled.iter().map(insert).collect(),
    };
    let receipts = upload(link, "S1-1", INCARNATION, &[sale]).await?;
    let mut lines = Vec::new();
    if receipts != [Receipt::Applied] {
        lines.push(format!("sale {number}: {receipts:?}"));
    }
    for (table, row) in filled {
        let rows = page(link, table, None, 10).await?.rows;
        lines.extend(difference("page", table, row, &rows));
    }
    let followed = |(table, _): &Filled| Followed {
        table: table.clone(),
        entry: ScopeTable::whole(table.name.clone()),
        filter: None,
        position: since.into(),
        restricted: None,
    };
    let followed: Vec<Followed> = filled.iter().map(followed).collect();
    let other = own_context(Incarnation([8; 16]));
    let mut pass = Pass::begin(link, Capture::ChangeTracking, &[epoch], other, &followed).await?;
    for (at, (table, row)) in filled.iter().enumerate() {
        let mut rows = Vec::new();
        while let Some(page) = pass.page(at).await? {
            rows.extend(page.changes.into_iter().filter_map(|captured| match captured.change {
                Change::Present(row) => Some(row),
                Change::Gone(_) => None,
            }));
        }
        lines.extend(difference("pass", table, row, &rows));
    }
    pass.finish().await?;
    Ok(lines)
}

fn difference(way: &str, table: &Table, sent: &Row, came: &[Row]) -> Option<String> {
    let [row] = came else {
        return Some(format!(
            "{way} of {}: {} rows of {}",
            table.name,
            came.len(),
            row_text(sent, table)
        ));
    };
    let at = sent.differences(row).first().copied()?;
    let of = table.columns[at].of;
    let (sent, came) = (value_text(&sent.0[at], of), value_text(&row.0[at], of));
    Some(format!(
        "{way} of {}: {} {of}: sent {sent}, came {came}",
        table.name, table.columns[at].name
    ))
}
