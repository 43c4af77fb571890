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

use common::ceiling::{Ceiling, Commits, inserted};
use common::figures::{tell, tell_beside};
use common::sales::{self, Tables, header, line, payment, seed_row};
use common::{Fallible, PROGRAM, Shop, argument, is_asked, load};
use relay::{Relay, Told};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tillhold_core::row::Key;
use tillhold_core::table::Table;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_core::value::Value;
use tillhold_env::Env;
use tillhold_local::{Identity, LocalDatabase, RowWrite};

const SALES: i64 = 2_000;
const LINES: i64 = 20;
/// Sales to a round trip, at the least: 2,000 in 200.
const SALES_PER_ROUND_TRIP_MIN: i64 = 10;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// A push that has not come to its end by then has stopped for some reason.
const PUSH_SECONDS_MAX: f64 = 900.0;

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (sales, lines) = (number("--sales", SALES)?, number("--lines", LINES)?);
    let tables = Tables::new()?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        load(engine, &tables.seed, &mut std::iter::once(seed_row(0))).map(|_| ())
    };
    let shop = Shop::filled(&tables.all(), "bidirectional", fill).await?;
    shop.run(&["provision"]).await?;
    let rows = sell(&shop, &tables, sales, lines).await?;
    let names = tables.all().map(|table| table.name.to_string());
    let journal = shop.path("offline").join("journal.db");
    let ceiling = inserted(&shop, (&journal, "bare.db"), &names, Commits::InPortions)?;
    let pushed = push(&shop).await?;
    sales::check(&shop, sales, lines, 1).await?;
    check_seed(&shop, sales).await?;
    report(sales, rows, &pushed, &ceiling);
    let rate = rows as f64 / pushed.seconds;
    tell_beside("rate", rate, "rows/s", ("inserted into SQLite", ceiling.rate()))?;
    tell("round_trips", pushed.told.round_trips as f64, "")?;
    if pushed.told.round_trips as i64 * SALES_PER_ROUND_TRIP_MIN > sales.max(SALES / 10) {
        return Err(format!("{} round trips for {sales} sales", pushed.told.round_trips).into());
    }
    Ok(())
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
        writes.push(insert(&tables.payment, payment(sale, lines, 1)));
        writes.push(RowWrite::Amend {
            table: tables.seed.name.clone(),
            key: Key(vec![Value::Int(7), sales::text("S1"), sales::text("1"), sales::text("usrt")]),
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

/// The row that all sales share has the last number.
async fn check_seed(shop: &Shop, sales: i64) -> Fallible<()> {
    let sql = "SELECT MAX(t.[DATAVALUE]) AS [n] FROM [ax].[RETAILPOSSEEDDATA] AS t;";
    let mut client = shop.outsider().await?;
    let row = client.simple_query(sql).await?.into_row().await?.ok_or("no row")?;
    let found: Option<i64> = row.try_get(0)?;
    match found == Some(sales) {
        true => Ok(()),
        false => Err(format!("the last number is {found:?}, not {sales}").into()),
    }
}

fn report(sales: i64, rows: u64, pushed: &Pushed, ceiling: &Ceiling) {
    let rate = rows as f64 / pushed.seconds;
    let bare = ceiling.rate();
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
