//! The first load of a table, against what bounds it.
//!
//! `cargo bench --bench channel_snapshot [-- --rows 1000000] [--json]`
//!
//! ```text
//! channel serve (a process) ── TDS over TLS ──► tillhold provision (a process) ──► catalogue.db
//!                           └─ TDS over TLS ──► the bare client, which drops every row     ceiling 1
//!                              the rows of catalogue.db ──► one prepared insert            ceiling 2
//! ```
//!
//! * All three move the same rows in the same run; the snapshot is `tillhold provision` itself.
//! * The bare client is a process of its own too: this program, called again.
//! * The insert writes into the table and the index that the snapshot has made, in one
//!   transaction, its rows waiting in memory; the time to get them there does not count.
//! * The memory is the peak of the provisioning process.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::ceiling::{Ceiling, Commits, inserted};
use common::figures::tell_beside;
use common::{Fallible, Measured, Shop, argument, is_asked, load, measure, outsider, table};
use futures_util::TryStreamExt as _;
use serde_json::{Value as Json, json};
use std::process::Command;
use tiberius::QueryItem;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::table::Table;
use tillhold_core::value::{Decimal, Value};
use tillhold_env::Env;

const ROWS: i64 = 1_000_000;
/// How this program calls itself for the first ceiling.
const READ: &str = "--read-from-port";
const CERTIFICATE: &str = "--certificate";

#[tokio::main]
async fn main() -> Fallible<()> {
    if let Some(port) = argument(READ) {
        return read_and_drop(port.parse()?).await;
    }
    let rows: i64 = argument("--rows").map_or(Ok(ROWS), |text| text.parse())?;
    let table = prices()?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        load(engine, &table, &mut (0..rows).map(price)).map(|_| ())
    };
    let shop = Shop::filled(std::slice::from_ref(&table), "download", fill).await?;
    let figures = [read(&shop).await?, snapshot(&shop).await?, insert(&shop, &table)?];
    if figures.iter().any(|figure| figure.rows != rows as u64) {
        return Err(format!("{rows} rows were asked for: {figures:?}").into());
    }
    report(&figures);
    tell(&figures)
}

/// One line of the report.
#[derive(Debug)]
struct Figure {
    what: &'static str,
    rows: u64,
    seconds: f64,
    /// Processor time of the measured process and of the serving channel.
    cpu_seconds: Option<f64>,
    channel_cpu_seconds: Option<f64>,
    peak_bytes: Option<u64>,
}

impl Figure {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
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
        ("COST", "numeric(32,16)"),
        ("QUANTITY", "numeric(32,16)"),
        ("FROMDATE", "datetime"),
        ("TODATE", "datetime"),
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
    let day =
        |day: i64, ms: u64| Value::Timestamp(Timestamp::new(Date(day as i32), Time(ms * 10_000)));
    vec![
        Value::Int(number),
        Value::Int(number % 7),
        Value::Int(1 + number % 12),
        text(format!("{:07}", number / 4)),
        text(format!("Gloves, leather, size {}, shelf {}", number % 11, number % 9_973)),
        text(["ea", "box", "pair"][(number % 3) as usize].to_string()),
        decimal(number * 7919 % 99_999_999 + 1),
        decimal(number * 104_729 % 9_999_999 + 1),
        decimal(10_000),
        day(19_000 + number % 700, 0),
        day(21_000 + number % 700, 0),
        day(20_000 + number % 300, (number as u64 * 7_907) % 86_400_000 / 1_000 * 1_000),
    ]
}

/// Ceiling 1, in a process of its own.
async fn read(shop: &Shop) -> Fallible<Figure> {
    let channel_cpu = shop.channel_cpu();
    let mut program = Command::new(std::env::current_exe()?);
    program.args([READ, &shop.address.port().to_string()]).arg(CERTIFICATE).arg(shop.certificate());
    let Measured { account, stdout, .. } = measure(&shop.env, program).await?;
    let told: Json = serde_json::from_str(&stdout)?;
    let number = |key: &str| told[key].as_f64().ok_or(format!("no {key} in {told}"));
    Ok(Figure {
        what: "read through tiberius, dropped",
        rows: number("rows")? as u64,
        seconds: number("seconds")?,
        cpu_seconds: account.map(|account| account.cpu_seconds),
        channel_cpu_seconds: since(channel_cpu, shop),
        peak_bytes: account.map(|account| account.peak_bytes),
    })
}

/// One SELECT of all rows, each decoded by the client and dropped.
async fn read_and_drop(port: u16) -> Fallible<()> {
    let (env, table) = (Env::real(), prices()?);
    let certificate = argument(CERTIFICATE).ok_or("no certificate")?;
    let mut client = outsider::connect(&env, port, &certificate).await?;
    let names: Vec<String> = table.columns.iter().map(|c| format!("[{}]", c.name)).collect();
    let sql = format!("SELECT {} FROM {}", names.join(", "), table.name.bracketed());
    let started_us = env.clock.monotonic_us();
    let mut answer = client.simple_query(sql).await?;
    let mut rows = 0u64;
    while let Some(item) = answer.try_next().await? {
        rows += u64::from(matches!(item, QueryItem::Row(_)));
    }
    let seconds = (env.clock.monotonic_us() - started_us) as f64 / 1e6;
    println!("{}", json!({ "rows": rows, "seconds": seconds }));
    Ok(())
}

fn since(before: Option<f64>, shop: &Shop) -> Option<f64> {
    Some(shop.channel_cpu()? - before?)
}

/// The measured thing itself.
async fn snapshot(shop: &Shop) -> Fallible<Figure> {
    let channel_cpu = shop.channel_cpu();
    let Measured { account, stdout, .. } = shop.run(&["provision", "--progress", "json"]).await?;
    let last: Json = serde_json::from_str(stdout.lines().last().unwrap_or_default())?;
    let number = |key: &str| last[key].as_f64().ok_or(format!("no {key} in {last}"));
    Ok(Figure {
        what: "snapshot (tillhold provision)",
        rows: number("applied")? as u64,
        seconds: number("seconds")?,
        cpu_seconds: account.map(|account| account.cpu_seconds),
        channel_cpu_seconds: since(channel_cpu, shop),
        peak_bytes: account.map(|account| account.peak_bytes),
    })
}

/// Ceiling 2: the snapshot's own rows into a table and an index like its own.
fn insert(shop: &Shop, table: &Table) -> Fallible<Figure> {
    let file = shop.path("offline").join("catalogue.db");
    let ceiling = inserted(shop, (&file, "bare.db"), &[table.name.to_string()], Commits::Once)?;
    let Ceiling { rows, seconds } = ceiling;
    let (cpu_seconds, channel_cpu_seconds, peak_bytes) = (None, None, None);
    let what = "prepared insert into SQLite";
    Ok(Figure { what, rows, seconds, cpu_seconds, channel_cpu_seconds, peak_bytes })
}

fn tell([read, snapshot, insert]: &[Figure; 3]) -> Fallible<()> {
    let read_rate = ("read through tiberius and dropped", read.rate());
    let insert_rate = ("inserted into SQLite", insert.rate());
    let slower = if read_rate.1 < insert_rate.1 { read_rate } else { insert_rate };
    tell_beside("rate", snapshot.rate(), "rows/s", slower)?;
    if let (Some(peak), Some(of_read)) = (snapshot.peak_bytes, read.peak_bytes) {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        tell_beside("peak", mb(peak), "MB", ("the bare client that drops them", mb(of_read)))?;
    }
    Ok(())
}

fn report(figures: &[Figure; 3]) {
    let [read, snapshot, insert] = figures;
    let slower = read.rate().min(insert.rate());
    if is_asked("--json") {
        for figure in figures {
            let ratio = snapshot.rate() / figure.rate();
            println!(
                "{}",
                json!({ "what": figure.what, "rows": figure.rows, "seconds": figure.seconds,
                "rows_per_s": figure.rate(), "snapshot_ratio": ratio,
                "cpu_seconds": figure.cpu_seconds, "channel_cpu_seconds": figure.channel_cpu_seconds,
                "peak_bytes": figure.peak_bytes })
            );
        }
        return;
    }
    println!(
        "{:<32} {:>9} {:>8} {:>9} {:>9} {:>8} {:>10} {:>8}",
        "", "rows", "s", "rows/s", "snapshot", "own CPU", "channel's", "peak MB"
    );
    let seconds = |cpu: Option<f64>| cpu.map_or("–".to_string(), |cpu| format!("{cpu:.2}"));
    for figure in figures {
        let peak =
            figure.peak_bytes.map_or("–".to_string(), |b| format!("{:.1}", b as f64 / 1e6));
        println!(
            "{:<32} {:>9} {:>8.2} {:>9.0} {:>9.2} {:>8} {:>10} {:>8}",
            figure.what,
            figure.rows,
            figure.seconds,
            figure.rate(),
            snapshot.rate() / figure.rate(),
            seconds(figure.cpu_seconds),
            seconds(figure.channel_cpu_seconds),
            peak
        );
    }
    println!("{:.2} of the slower ceiling", snapshot.rate() / slower);
}
