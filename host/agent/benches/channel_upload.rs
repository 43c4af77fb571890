//! A day of unsent sales on its way up, against inserting the same rows and nothing else.
//!
//! `cargo bench --bench channel_upload [-- --sales 2000] [--lines 20] [--json]`
//!
//! ```text
//! offline/journal.db ──► tillhold run (a process) ──► relay, which counts ──► channel serve (a process)
//! offline/journal.db ──► one prepared insert a table                                          ceiling
//! ```
//!
//! * A sale is a header, its lines, a payment, and an update of the register's one row of
//!   ax.RETAILPOSSEEDDATA, which all sales share.
//! * The push is the agent's own; round trips are counted from outside, on its connection, with
//!   handshake and login.
//! * What arrived is counted at the channel: every row, every ledger entry, the last number.
//! * It fails when the bar is missed: 2,000 sales in at most 200 round trips, and so by proportion.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;
#[path = "common/relay.rs"]
#[allow(dead_code, reason = "each bench takes what it needs")]
mod relay;

use common::{DATABASE, Fallible, PASSWORD, PROGRAM, Shop, USER, argument, is_asked, load, table};
use relay::{Relay, Told};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde_json::json;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_core::value::{Decimal, Value};
use tillhold_env::Env;
use tillhold_local::{Identity, LocalDatabase, RowWrite};
use tokio_util::compat::TokioAsyncWriteCompatExt as _;

const SALES: i64 = 2_000;
const LINES: i64 = 20;
/// Sales to a round trip, at the least: 2,000 in 200.
const SALES_PER_ROUND_TRIP_MIN: i64 = 10;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// A push that has not come to its end by then has stopped for some reason.
const PUSH_SECONDS_MAX: f64 = 900.0;
/// Rows that the ceiling commits at once, as an upload does.
const COMMIT_ROWS: usize = 2_000;

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (sales, lines) = (number("--sales", SALES)?, number("--lines", LINES)?);
    let tables = Tables::new()?;
    let fill = |engine: &std::sync::Arc<tillhold_standin::Engine>| {
        load(engine, &tables.seed, &mut std::iter::once(seed_row(0))).map(|_| ())
    };
    let shop = Shop::filled(&tables.all(), "bidirectional", fill).await?;
    shop.run(&["provision"]).await?;
    let rows = sell(&shop, &tables, sales, lines).await?;
    let ceiling = insert(&shop, &tables)?;
    let pushed = push(&shop).await?;
    check(&shop, sales, lines).await?;
    report(sales, rows, &pushed, &ceiling);
    if pushed.told.round_trips as i64 * SALES_PER_ROUND_TRIP_MIN > sales.max(SALES / 10) {
        return Err(format!("{} round trips for {sales} sales", pushed.told.round_trips).into());
    }
    Ok(())
}

/// Shortened from the channel's own, with their keys.
struct Tables {
    header: Table,
    line: Table,
    payment: Table,
    seed: Table,
}

impl Tables {
    fn new() -> Fallible<Tables> {
        let sale = [
            ("CHANNEL", "bigint"),
            ("STORE", "nvarchar(10)"),
            ("TERMINAL", "nvarchar(10)"),
            ("TRANSACTIONID", "nvarchar(44)"),
            ("DATAAREAID", "nvarchar(4)"),
        ];
        let with = |more: &[(&'static str, &'static str)]| [&sale[..], more].concat();
        let header = [
            ("STAFF", "nvarchar(25)"),
            ("CUSTACCOUNT", "nvarchar(20)"),
            ("CURRENCY", "nvarchar(3)"),
            ("GROSSAMOUNT", "numeric(32,16)"),
            ("NETAMOUNT", "numeric(32,16)"),
            ("PAYMENTAMOUNT", "numeric(32,16)"),
            ("NUMBEROFITEMS", "numeric(32,16)"),
            ("ENTRYSTATUS", "int"),
            ("TYPE", "int"),
            ("RECEIPTID", "nvarchar(18)"),
            ("TRANSDATE", "datetime"),
            ("CREATEDDATETIME", "datetime"),
        ];
        let line = [
            ("LINENUM", "numeric(32,16)"),
            ("ITEMID", "nvarchar(20)"),
            ("BARCODE", "nvarchar(80)"),
            ("DESCRIPTION", "nvarchar(60)"),
            ("UNIT", "nvarchar(10)"),
            ("QTY", "numeric(32,16)"),
            ("PRICE", "numeric(32,16)"),
            ("NETAMOUNT", "numeric(32,16)"),
            ("TAXAMOUNT", "numeric(32,16)"),
            ("DISCAMOUNT", "numeric(32,16)"),
            ("TAXGROUP", "nvarchar(10)"),
            ("TRANSDATE", "datetime"),
        ];
        let payment = [
            ("LINENUM", "numeric(32,16)"),
            ("TENDERTYPE", "nvarchar(10)"),
            ("CURRENCY", "nvarchar(3)"),
            ("AMOUNTCUR", "numeric(32,16)"),
            ("AMOUNTTENDERED", "numeric(32,16)"),
            ("TRANSDATE", "datetime"),
        ];
        let seed = [
            ("DATATYPE", "int"),
            ("DATAVALUE", "bigint"),
            ("STORENUMBER", "nvarchar(10)"),
            ("TERMINALID", "nvarchar(10)"),
            ("DATAAREAID", "nvarchar(4)"),
        ];
        let whole = [0, 1, 2, 3, 4];
        let with_line = [0, 1, 2, 3, 5, 4];
        Ok(Tables {
            header: table("ax.RETAILTRANSACTIONTABLE", &with(&header), &whole)?,
            line: table("ax.RETAILTRANSACTIONSALESTRANS", &with(&line), &with_line)?,
            payment: table("ax.RETAILTRANSACTIONPAYMENTTRANS", &with(&payment), &with_line)?,
            seed: table("ax.RETAILPOSSEEDDATA", &seed, &[0, 2, 3, 4])?,
        })
    }

    fn all(&self) -> [Table; 4] {
        [self.header.clone(), self.line.clone(), self.payment.clone(), self.seed.clone()]
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn amount(unscaled: i64) -> Value {
    let exact = Decimal::new(i128::from(unscaled) * 10i128.pow(14), 16);
    Value::Decimal(exact.expect("an amount of the bench has few digits"))
}

fn moment(sale: i64) -> Value {
    let ms = (sale as u64 * 7_907) % 86_400_000 / 1_000 * 1_000;
    Value::Timestamp(Timestamp::new(Date(20_400), Time(ms * 10_000)))
}

fn seed_row(number: i64) -> Vec<Value> {
    vec![Value::Int(7), Value::Int(number), text("S1"), text("1"), text("usrt")]
}

fn key(sale: i64) -> Vec<Value> {
    let id = format!("S1-1-{sale}");
    vec![Value::Int(5_637_144_592), text("S1"), text("1"), text(id), text("usrt")]
}

fn header(sale: i64, lines: i64) -> Row {
    let mut row = key(sale);
    row.extend([text("000160"), text(format!("C{:06}", sale % 999)), text("EUR")]);
    row.extend([amount(lines * 1_999), amount(lines * 1_680), amount(lines * 1_999)]);
    row.extend([amount(lines * 100), Value::Int(0), Value::Int(2)]);
    row.extend([text(format!("R{sale:08}")), moment(sale), moment(sale)]);
    Row(row)
}

fn line(sale: i64, number: i64) -> Row {
    let item = (sale * 31 + number * 7) % 40_000;
    let mut row = key(sale);
    row.extend([amount(number * 100), text(format!("{item:07}")), text(format!("40{item:011}"))]);
    row.extend([text(format!("Gloves, leather, size {}", item % 11)), text("ea")]);
    row.extend([amount(100), amount(1_999), amount(1_680), amount(319), amount(0)]);
    row.extend([text("AVATAX"), moment(sale)]);
    Row(row)
}

fn payment(sale: i64, lines: i64) -> Row {
    let mut row = key(sale);
    row.extend([amount(100), text("1"), text("EUR"), amount(lines * 1_999)]);
    row.extend([amount(lines * 1_999), moment(sale)]);
    Row(row)
}

/// Into the register's journal, while no agent runs. Answers for the rows.
async fn sell(shop: &Shop, tables: &Tables, sales: i64, lines: i64) -> Fallible<u64> {
    let identity = Identity { store: "S1".to_string(), register: "1".to_string() };
    let local = LocalDatabase::open(&shop.env, &shop.path("offline"), &identity).await?;
    let insert = |table: &Table, row| RowWrite::Insert { table: table.name.clone(), row };
    let mut rows = 0;
    for sale in 1..=sales {
        let mut writes = vec![insert(&tables.header, header(sale, lines))];
        writes.extend((1..=lines).map(|number| insert(&tables.line, line(sale, number))));
        writes.push(insert(&tables.payment, payment(sale, lines)));
        writes.push(RowWrite::Amend {
            table: tables.seed.name.clone(),
            key: Key(vec![Value::Int(7), text("S1"), text("1"), text("usrt")]),
            cells: vec![(1, Value::Int(sale))],
        });
        rows += writes.len() as u64;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&sale.to_be_bytes());
        let id = TransactionId(shop.env.random.uuid());
        local.record(id, ContentHash(hash), writes, shop.env.clock.wall_ms()).await?;
    }
    local.close().await?;
    Ok(rows)
}

#[derive(Debug)]
struct Pushed {
    seconds: f64,
    told: Told,
}

/// The agent itself, from its first byte to the channel until its journal has nothing left to send.
async fn push(shop: &Shop) -> Fallible<Pushed> {
    let relay = Relay::start(&shop.env, shop.address).await?;
    let settings = fs::read_to_string(shop.path("register.toml"))?;
    let (direct, relayed) = (shop.address.port(), relay.address.port());
    let settings = settings.replace(&format!("port = {direct}"), &format!("port = {relayed}"));
    fs::write(shop.path("register.toml"), settings)?;
    let mut program = Command::new(PROGRAM);
    program.arg("run").arg("--config").arg(shop.path("register.toml"));
    let said = fs::File::create(shop.path("agent.log"))?;
    let mut agent = program.stdout(Stdio::null()).stderr(Stdio::from(said)).spawn()?;
    let ended = until_sent(shop, &shop.env, &mut agent).await;
    agent.kill()?;
    agent.wait()?;
    let ended_us = ended.map_err(|error| {
        let said = fs::read_to_string(shop.path("agent.log")).unwrap_or_default();
        format!("{error}\nthe agent said:\n{said}")
    })?;
    let told = relay.busiest().ok_or("the agent never came")?;
    Ok(Pushed { seconds: (ended_us - told.started_us) as f64 / 1e6, told })
}

async fn until_sent(shop: &Shop, env: &Env, agent: &mut Child) -> Fallible<u64> {
    let journal = shop.path("offline").join("journal.db");
    let journal = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT count(*) FROM tillhold_transaction WHERE state = 'pending'";
    let started_us = env.clock.monotonic_us();
    loop {
        let waiting: i64 = journal.query_row(sql, (), |row| row.get(0))?;
        let now_us = env.clock.monotonic_us();
        if waiting == 0 {
            return Ok(now_us);
        }
        if let Some(status) = agent.try_wait()? {
            return Err(format!("the agent ended with {status}").into());
        }
        if (now_us - started_us) as f64 / 1e6 > PUSH_SECONDS_MAX {
            return Err(format!("{waiting} sales still wait").into());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Everything arrived, once: asked by a client that is not the agent's.
async fn check(shop: &Shop, sales: i64, lines: i64) -> Fallible<()> {
    let port = shop.address.port();
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.database(DATABASE);
    config.authentication(AuthMethod::sql_server(USER, PASSWORD));
    config.encryption(EncryptionLevel::Required);
    config.trust_cert_ca(shop.certificate().display());
    let stream = shop.env.network.connect("127.0.0.1", port).await?;
    let mut client = Client::connect(config, stream.compat_write()).await?;
    for (table, what, expected) in [
        ("[ax].[RETAILTRANSACTIONTABLE]", "COUNT_BIG(*)", sales),
        ("[ax].[RETAILTRANSACTIONSALESTRANS]", "COUNT_BIG(*)", sales * lines),
        ("[ax].[RETAILTRANSACTIONPAYMENTTRANS]", "COUNT_BIG(*)", sales),
        ("[tillhold].[ledger]", "COUNT_BIG(*)", sales),
        ("[ax].[RETAILPOSSEEDDATA]", "MAX(t.[DATAVALUE])", sales),
    ] {
        let sql = format!("SELECT {what} AS [n] FROM {table} AS t;");
        let row = client.simple_query(sql).await?.into_row().await?.ok_or("no row")?;
        let found: Option<i64> = row.try_get(0)?;
        if found != Some(expected) {
            return Err(format!("{what} of {table}: {found:?}, not {expected}").into());
        }
    }
    Ok(())
}

struct Ceiling {
    rows: u64,
    seconds: f64,
}

/// The journal's own rows into tables and indexes like its own.
fn insert(shop: &Shop, tables: &Tables) -> Fallible<Ceiling> {
    let journal = Connection::open(shop.path("offline").join("journal.db"))?;
    let mut bare = Connection::open(shop.path("bare.db"))?;
    bare.pragma_update(None, "journal_mode", "WAL")?;
    bare.pragma_update(None, "synchronous", "FULL")?;
    let mut ceiling = Ceiling { rows: 0, seconds: 0.0 };
    for table in tables.all() {
        let name = table.name.to_string();
        let mut schema = journal.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND type IN ('table', 'index') \
             AND sql IS NOT NULL ORDER BY type DESC",
        )?;
        for sql in schema.query_map([&name], |row| row.get::<_, String>(0))? {
            bare.execute_batch(&sql?)?;
        }
        let mut select = journal.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let width = select.column_count();
        let cells = |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get(at)).collect();
        let rows: Vec<Vec<Stored>> = select.query_map((), cells)?.collect::<Result<_, _>>()?;
        let insert = format!("INSERT INTO \"{name}\" VALUES ({})", vec!["?"; width].join(", "));
        let started_us = shop.env.clock.monotonic_us();
        for portion in rows.chunks(COMMIT_ROWS) {
            let transaction = bare.transaction()?;
            let mut statement = transaction.prepare_cached(&insert)?;
            for row in portion {
                statement.execute(params_from_iter(row))?;
            }
            drop(statement);
            transaction.commit()?;
        }
        ceiling.seconds += (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
        ceiling.rows += rows.len() as u64;
    }
    Ok(ceiling)
}

fn report(sales: i64, rows: u64, pushed: &Pushed, ceiling: &Ceiling) {
    let rate = rows as f64 / pushed.seconds;
    let bare = ceiling.rows as f64 / ceiling.seconds;
    let Told { round_trips, bytes, .. } = pushed.told;
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "sales": sales, "rows": rows, "round_trips": round_trips, "bytes": bytes,
            "seconds": pushed.seconds, "rows_per_s": rate, "ceiling_rows_per_s": bare,
            "ratio": rate / bare })
        );
        return;
    }
    println!("{sales} sales, {rows} rows in {round_trips} round trips, {bytes} bytes");
    println!("push                         {:>8.2} s {rate:>9.0} rows/s", pushed.seconds);
    println!("prepared insert into SQLite  {:>8.2} s {bare:>9.0} rows/s", ceiling.seconds);
    println!("{:.3} of the ceiling", rate / bare);
}
