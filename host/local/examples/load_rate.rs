//! How fast rows get into the offline database, against SQLite itself on the same rows.
//!
//! `cargo run --release -p tillhold-local --example load_rate [ROWS]`
//!
//! The yardstick writes the same rows as plain text and integers with one prepared statement in one transaction, into a
//! table of the same columns: without any index, and with the same unique index on the key.

use rusqlite::Connection;
use rusqlite::types::Value as Stored;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::migration::InstalledTable;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::profile::Direction;
use tillhold_core::row::{Change, Row};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_core::version::ChannelVersion;
use tillhold_env::Env;
use tillhold_local::{Identity, LocalDatabase, LocalError, RowWrite};

const PAGE: usize = tillhold_core::limits::PULL_PAGE_ROWS_MAX;
const SALES: u64 = 500;
const LINES: i64 = 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let env = Env::real();
    let folder = tempfile::tempdir()?;
    let table = price_table();
    let rows: Vec<Row> = (0..count).map(price).collect();
    yardstick(&env, folder.path(), &table, &rows, false)?;
    yardstick(&env, folder.path(), &table, &rows, true)?;

    let identity = Identity { store: "S0001".to_string(), register: "000001".to_string() };
    let db = LocalDatabase::open(&env, &folder.path().join("register"), &identity).await?;
    db.install(plan(&table), Vec::new()).await?;
    for (direction, name) in [(Direction::Download, "PRICE"), (Direction::Bidirectional, "PRICE2")]
    {
        load(&env, &db, &format!("first load, {direction:?}"), &named(&table, name), &rows).await?;
    }
    changes(&env, &db, &table, &rows).await?;
    sales(&env, &db).await?;
    db.close().await?;
    Ok(())
}

fn named(table: &Table, name: &str) -> Arc<Table> {
    Arc::new(Table { name: TableName::new("ax", name), ..table.clone() })
}

fn plan(table: &Table) -> Vec<InstalledTable> {
    [Direction::Download, Direction::Bidirectional, Direction::Upload]
        .into_iter()
        .zip(["PRICE", "PRICE2", "SALE"])
        .map(|(direction, name)| InstalledTable {
            scope: name.to_string(),
            direction,
            table: named(table, name),
        })
        .collect()
}

fn price_table() -> Arc<Table> {
    let column = |(name, of): (&str, &str)| Column {
        name: name.to_string(),
        of: SqlType::parse(of).expect("a type"),
        nullable: false,
        assigned: Assigned::ByWriter,
        default: None,
        collation: None,
    };
    let columns = [
        ("ITEMID", "nvarchar(20)"),
        ("DATAAREAID", "nvarchar(4)"),
        ("RECID", "bigint"),
        ("AMOUNT", "numeric(32,16)"),
        ("QUANTITY", "numeric(32,16)"),
        ("FROMDATE", "datetime"),
        ("UNIT", "nvarchar(10)"),
        ("CURRENCY", "nvarchar(3)"),
    ];
    let columns = columns.into_iter().map(column).collect();
    Arc::new(Table { name: TableName::new("ax", "PRICE"), columns, key: vec![0, 1, 2] })
}

fn price(number: i64) -> Row {
    let text = |text: String| Value::Text(text);
    let decimal = |units: i64| {
        Value::Decimal(Decimal::new(i128::from(units) * 10i128.pow(14), 16).expect("it fits"))
    };
    Row(vec![
        text(format!("{:07}", number / 4)),
        text("usrt".to_string()),
        Value::Int(5_637_144_576 + number),
        decimal(number % 10_000 + 99),
        decimal(100),
        Value::Timestamp(Timestamp::new(Date(20_000 + (number % 300) as i32), Time(0))),
        text("ea".to_string()),
        text("USD".to_string()),
    ])
}

fn report(env: &Env, what: &str, count: usize, started_us: u64) {
    let seconds = (env.clock.monotonic_us() - started_us) as f64 / 1e6;
    println!("{what:<34} {count:>9} in {seconds:>7.3} s  {:>9.0}/s", count as f64 / seconds);
}

fn yardstick(
    env: &Env,
    folder: &Path,
    table: &Table,
    rows: &[Row],
    indexed: bool,
) -> Result<(), rusqlite::Error> {
    let stored = |(value, column): (&Value, &Column)| match value {
        Value::Int(number) => Stored::Integer(*number),
        other => Stored::Text(text::canonical(other, column.of).unwrap_or_default()),
    };
    let plain: Vec<Vec<Stored>> =
        rows.iter().map(|row| row.0.iter().zip(&table.columns).map(stored).collect()).collect();
    let mut conn = Connection::open(folder.join(format!("yardstick-{indexed}.db")))?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch(
        "CREATE TABLE p (ITEMID TEXT NOT NULL, DATAAREAID TEXT NOT NULL, RECID INTEGER NOT NULL, \
         AMOUNT TEXT NOT NULL, QUANTITY TEXT NOT NULL, FROMDATE TEXT NOT NULL, UNIT TEXT NOT NULL, \
         CURRENCY TEXT NOT NULL) STRICT",
    )?;
    if indexed {
        conn.execute_batch(
            "CREATE UNIQUE INDEX k ON p (lower(rtrim(ITEMID)), lower(rtrim(DATAAREAID)), RECID)",
        )?;
    }
    let started = env.clock.monotonic_us();
    let transaction = conn.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO p VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        for row in &plain {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
    }
    transaction.commit()?;
    let what =
        if indexed { "rusqlite, one transaction, indexed" } else { "rusqlite, one transaction" };
    report(env, what, rows.len(), started);
    Ok(())
}

async fn load(
    env: &Env,
    db: &LocalDatabase,
    what: &str,
    table: &Table,
    rows: &[Row],
) -> Result<(), LocalError> {
    let pages: Vec<Vec<Row>> = rows.chunks(PAGE).map(<[Row]>::to_vec).collect();
    let version = ChannelVersion(1);
    let started = env.clock.monotonic_us();
    db.begin_load(&table.name, [1; 16], version).await?;
    for page in pages {
        let Some(last) = page.last().map(|row| row.key(table)) else { break };
        db.load_page(&table.name, page, last).await?;
    }
    db.end_load(&table.name).await?;
    db.land(&table.name.name, vec![(table.name.clone(), version)], [1; 16]).await?;
    report(env, what, rows.len(), started);
    Ok(())
}

async fn changes(
    env: &Env,
    db: &LocalDatabase,
    table: &Table,
    rows: &[Row],
) -> Result<(), LocalError> {
    let mut changed = rows.to_vec();
    for row in &mut changed {
        row.0[6] = Value::Text("box".to_string());
    }
    let started = env.clock.monotonic_us();
    for page in changed.chunks(PAGE) {
        let page = page.iter().cloned().map(Change::Present).collect();
        db.stage(&table.name, page).await?;
    }
    report(env, "changes staged", rows.len(), started);
    let started = env.clock.monotonic_us();
    db.land("PRICE", vec![(table.name.clone(), ChannelVersion(2))], [1; 16]).await?;
    report(env, "changes landed", rows.len(), started);
    Ok(())
}

async fn sales(env: &Env, db: &LocalDatabase) -> Result<(), LocalError> {
    let started = env.clock.monotonic_us();
    for sale in 0..SALES {
        let lines = (0..LINES)
            .map(|line| price(sale as i64 * LINES + line))
            .map(|row| RowWrite::Insert { table: TableName::new("ax", "SALE"), row })
            .collect();
        let id = TransactionId(env.random.uuid());
        db.record(id, ContentHash([0; 32]), lines, env.clock.wall_ms()).await?;
    }
    report(env, "sales of 10 rows, each durable", SALES as usize, started);
    let started = env.clock.monotonic_us();
    let mut read = 0;
    loop {
        let pending = db.pending(50, 1_500).await?;
        if pending.is_empty() {
            break;
        }
        for transaction in pending {
            db.settle(transaction.id, tillhold_local::Settlement::Accepted).await?;
            read += 1;
        }
    }
    report(env, "sales read and settled", read, started);
    Ok(())
}
