//! A pull of what changed, in tables of three sizes: it must cost by the change, not by the table.
//!
//! `cargo bench --bench channel_changes [-- --rows 1000000] [--json]`
//!
//! ```text
//! channel serve (a process) ──► relay, which counts ──► tillhold provision (a process) ──► catalogue.db
//!                           └─► the bare client, which drops every changed row       ceiling 1
//!                               the changed rows of catalogue.db ──► one prepared update   ceiling 2
//! ```
//!
//! * Each table is filled and loaded first; what is measured is the next pull of the same program, by its own clock,
//!   after a statement has changed 1 % of the rows, after another one 10 %, and after a third one 100 of them.
//! * It fails when the 100 rows take more than three times as long in the largest table as in the smallest.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;
#[path = "common/relay.rs"]
#[allow(dead_code, reason = "each bench takes what it needs")]
mod relay;

use common::figures::{tell, tell_beside};
use common::outsider::Outsider;
use common::{Fallible, Measured, Shop, argument, is_asked, load, table};
use relay::Relay;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value as Json, json};
use std::fs;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::table::Table;
use tillhold_core::value::{Decimal, Value};

const SIZES: [i64; 3] = [10_000, 100_000, 1_000_000];
/// Rows that change whatever the table's size.
const FEW: i64 = 100;
/// How many times as long the few may take in the largest table as in the smallest.
const GROWTH_MAX: f64 = 3.0;
/// Below this a difference is the scheduler's.
const SECONDS_MIN: f64 = 0.05;

#[tokio::main]
async fn main() -> Fallible<()> {
    let sizes = match argument("--rows") {
        Some(rows) => vec![rows.parse()?],
        None => SIZES.to_vec(),
    };
    let mut figures = Vec::new();
    for rows in sizes {
        figures.extend(measure(rows).await?);
    }
    report(&figures);
    for f in &figures {
        let slower = match f.read_seconds > f.update_seconds {
            true => ("read through tiberius and dropped", f.read_seconds),
            false => ("updated in SQLite", f.update_seconds),
        };
        let name = format!("rows-{}.changed-{}", f.rows, f.changed);
        let ceiling = (slower.0, slower.1 * 1e3);
        tell_beside(&name, f.seconds * 1e3, "ms", ceiling)?;
    }
    let few: Vec<f64> =
        figures.iter().filter(|f| f.changed == FEW).map(|f| f.seconds.max(SECONDS_MIN)).collect();
    if let (Some(first), Some(last)) = (few.first(), few.last()) {
        tell("growth", last / first, "times")?;
    }
    match (few.first(), few.last()) {
        (Some(first), Some(last)) if *last > first * GROWTH_MAX => Err(format!(
            "{FEW} changed rows: {first:.3} s in the smallest table, {last:.3} s in the largest"
        )
        .into()),
        _ => Ok(()),
    }
}

/// One line of the report.
#[derive(Debug)]
struct Figure {
    rows: i64,
    changed: i64,
    seconds: f64,
    round_trips: u64,
    cpu_seconds: Option<f64>,
    channel_cpu_seconds: Option<f64>,
    /// The same rows through the bare client, dropped.
    read_seconds: f64,
    /// The same rows into a table like the register's.
    update_seconds: f64,
}

async fn measure(rows: i64) -> Fallible<Vec<Figure>> {
    let table = prices()?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        load(engine, &table, &mut (0..rows).map(price)).map(|_| ())
    };
    let shop = Shop::filled(std::slice::from_ref(&table), "download", fill).await?;
    shop.run(&["provision"]).await?;
    fs::copy(shop.path("offline").join("catalogue.db"), shop.path("bare.db"))?;
    let hundredth = one(&shop, &table, rows, rows / 100, "[PRICEID] % 100 = 7").await?;
    let tenth = one(&shop, &table, rows, rows / 10, "[PRICEID] % 10 = 5").await?;
    let some = format!("[PRICEID] % {} = 3", rows / FEW);
    Ok(vec![hundredth, tenth, one(&shop, &table, rows, FEW, &some).await?])
}

async fn one(shop: &Shop, table: &Table, rows: i64, changed: i64, which: &str) -> Fallible<Figure> {
    let mut client = shop.outsider().await?;
    let version = "SELECT CHANGE_TRACKING_CURRENT_VERSION();";
    let version = client.simple_query(version).await?.into_row().await?.ok_or("no version")?;
    let version: i64 = version.get(0).ok_or("change tracking is off")?;
    let name = table.name.bracketed();
    let change = format!("UPDATE {name} SET [AMOUNT] = [AMOUNT] + 1 WHERE {which};");
    client.simple_query(change).await?.into_results().await?;

    let relay = Relay::start(&shop.env, shop.address).await?;
    let settings = fs::read_to_string(shop.path("register.toml"))?;
    let (direct, relayed) = (shop.address.port(), relay.address.port());
    let through = settings.replace(&format!("port = {direct}"), &format!("port = {relayed}"));
    fs::write(shop.path("register.toml"), through)?;
    let channel_cpu = shop.channel_cpu();
    let Measured { account, stdout, .. } = shop.run(&["provision", "--progress", "json"]).await?;
    let channel_cpu_seconds = channel_cpu.zip(shop.channel_cpu()).map(|(from, to)| to - from);
    fs::write(shop.path("register.toml"), settings)?;
    let last: Json = serde_json::from_str(stdout.lines().last().unwrap_or_default())?;
    let applied = last["applied"].as_i64();
    if applied != Some(changed) {
        return Err(format!("{changed} rows changed, the pull says {last}").into());
    }
    Ok(Figure {
        rows,
        changed,
        seconds: last["seconds"].as_f64().ok_or("no seconds")?,
        round_trips: relay.busiest().ok_or("the register never came")?.round_trips,
        cpu_seconds: account.map(|account| account.cpu_seconds),
        channel_cpu_seconds,
        read_seconds: read(shop, &mut client, table, version, changed).await?,
        update_seconds: update(shop, which, changed)?,
    })
}

/// Ceiling 1: one statement, its rows decoded and dropped.
async fn read(
    shop: &Shop,
    client: &mut Outsider,
    table: &Table,
    version: i64,
    changed: i64,
) -> Fallible<f64> {
    let columns: Vec<String> = table.columns.iter().map(|c| format!("t.[{}]", c.name)).collect();
    let name = table.name.bracketed();
    let sql = format!(
        "SELECT {} FROM CHANGETABLE(CHANGES {name}, {version}) AS c INNER JOIN {name} AS t ON t.[PRICEID] = c.[PRICEID];",
        columns.join(", ")
    );
    let started_us = shop.env.clock.monotonic_us();
    let rows = client.simple_query(sql).await?.into_first_result().await?.len() as i64;
    let seconds = (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
    match rows == changed {
        true => Ok(seconds),
        false => Err(format!("the bare client read {rows} of {changed} rows").into()),
    }
}

/// Ceiling 2: the pulled rows over the old ones in a copy of the register's table, in one transaction.
fn update(shop: &Shop, which: &str, changed: i64) -> Fallible<f64> {
    let offline = Connection::open(shop.path("offline").join("catalogue.db"))?;
    let mut bare = Connection::open(shop.path("bare.db"))?;
    bare.pragma_update(None, "journal_mode", "WAL")?;
    bare.pragma_update(None, "synchronous", "FULL")?;
    let select = format!("SELECT * FROM \"ax.BENCHPRICE\" WHERE {which}");
    let mut select = offline.prepare(&select)?;
    let names: Vec<String> = select.column_names().map(str::to_string).collect();
    let cells = |row: &rusqlite::Row<'_>| (0..names.len()).map(|at| row.get(at)).collect();
    let rows: Vec<Vec<Stored>> = select.query_map((), cells)?.collect::<Result<_, _>>()?;
    let set: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("{name} = ?{}", at + 1)).collect();
    let sql = format!("UPDATE \"ax.BENCHPRICE\" SET {} WHERE PRICEID = ?1", set.join(", "));
    let started_us = shop.env.clock.monotonic_us();
    let transaction = bare.transaction()?;
    let mut statement = transaction.prepare(&sql)?;
    let mut written = 0;
    for row in &rows {
        written += statement.execute(params_from_iter(row))? as i64;
    }
    drop(statement);
    transaction.commit()?;
    let seconds = (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
    match written == changed {
        true => Ok(seconds),
        false => Err(format!("{written} of {changed} rows were there to be updated").into()),
    }
}

fn prices() -> Fallible<Table> {
    let columns = [
        ("PRICEID", "int"),
        ("KIND", "int"),
        ("PERUNITS", "int"),
        ("ITEMID", "nvarchar(20)"),
        ("DESCRIPTION", "nvarchar(60)"),
        ("UNITID", "nvarchar(10)"),
        ("AMOUNT", "numeric(32,16)"),
        ("QUANTITY", "numeric(32,16)"),
        ("FROMDATE", "datetime"),
        ("MODIFIEDDATETIME", "datetime"),
    ];
    table("ax.BENCHPRICE", &columns, &[0])
}

fn price(number: i64) -> Vec<Value> {
    let text = |text: String| Value::Text(text);
    let decimal = |unscaled: i64| {
        let exact = Decimal::new(i128::from(unscaled) * 10i128.pow(12), 16);
        Value::Decimal(exact.expect("an amount of the bench has few digits"))
    };
    let day = |day: i64| Value::Timestamp(Timestamp::new(Date(day as i32), Time(0)));
    vec![
        Value::Int(number),
        Value::Int(number % 7),
        Value::Int(1 + number % 12),
        text(format!("{:07}", number / 4)),
        text(format!("Gloves, leather, size {}, shelf {}", number % 11, number % 9_973)),
        text(["ea", "box", "pair"][(number % 3) as usize].to_string()),
        decimal(number * 7919 % 99_999_999 + 1),
        decimal(10_000),
        day(19_000 + number % 700),
        day(20_000 + number % 300),
    ]
}

fn report(figures: &[Figure]) {
    if is_asked("--json") {
        for f in figures {
            println!(
                "{}",
                json!({ "rows": f.rows, "changed": f.changed, "seconds": f.seconds,
                "rows_per_s": f.changed as f64 / f.seconds, "round_trips": f.round_trips,
                "cpu_seconds": f.cpu_seconds, "channel_cpu_seconds": f.channel_cpu_seconds,
                "read_seconds": f.read_seconds, "update_seconds": f.update_seconds })
            );
        }
        return;
    }
    println!(
        "{:>9} {:>8} {:>8} {:>9} {:>11} {:>9} {:>12} {:>14}",
        "rows",
        "changed",
        "s",
        "rows/s",
        "round trips",
        "channel's",
        "read alone s",
        "update alone s"
    );
    for f in figures {
        let cpu = f.channel_cpu_seconds.map_or("–".to_string(), |cpu| format!("{cpu:.2}"));
        println!(
            "{:>9} {:>8} {:>8.3} {:>9.0} {:>11} {cpu:>9} {:>12.3} {:>14.3}",
            f.rows,
            f.changed,
            f.seconds,
            f.changed as f64 / f.seconds,
            f.round_trips,
            f.read_seconds,
            f.update_seconds
        );
    }
}
