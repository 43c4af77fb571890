//! Barcode lookups at a million barcodes through the front door, against a constant answer and against bare SQLite.
//!
//! `cargo bench --bench price [-- --barcodes 1000000] [--connections 16] [--seconds 5] [--rounds 3] [--json]`
//!
//! ```text
//! load (a process) ──► tillhold run (a process): GET rows of ax.INVENTITEMBARCODE by ITEMBARCODE
//! load (a process) ──► an axum handler with an answer of the same size (a process)          ceiling 1
//! one prepared statement on the same file, one thread                                       ceiling 2
//! ```
//!
//! * The load and what it loads share the machine's cores; both ceilings are measured in turn with it, round by round.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::figures::{tell, tell_beside};
use common::load::{Rate, drive};
use common::register::Running;
use common::spread::median;
use common::{Account, Fallible, Shop, argument, is_asked, load, measure, table};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tillhold_client::Door;
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_env::{Env, Listener};

const BARCODES: i64 = 1_000_000;
/// The bench's own other processes.
const LOAD: &str = "load";
const CONSTANT: &str = "constant";
/// Not a secret: the ceiling asks for none.
const NO_TOKEN: &str = "none";

#[tokio::main]
async fn main() -> Fallible<()> {
    let words: Vec<String> = std::env::args().skip(1).take(2).collect();
    match words.first().map(String::as_str) {
        Some(LOAD) => return generate().await,
        Some(CONSTANT) => return serve_constant(words[1].parse()?).await,
        _ => {}
    }
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (barcodes, rounds) = (number("--barcodes", BARCODES)?, number("--rounds", 3)?);
    let (connections, seconds) = (number("--connections", 16)?, number("--seconds", 5)?);
    let table = barcode_table()?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        load(engine, &table, &mut (0..barcodes).map(row)).map(|_| ())
    };
    let shop = Shop::filled(std::slice::from_ref(&table), "download", fill).await?;
    shop.run(&["provision"]).await?;
    let running = Running::online(&shop).await?;
    let first = ask(&shop, &running.door, barcodes, connections, 1).await?;
    let constant = Constant::start(first.bytes)?;
    let mut figures = [Vec::new(), Vec::new()];
    let (mut bare, mut cpu) = (Vec::new(), 0.0);
    for _ in 0..rounds {
        let before = running.account();
        let rate = ask(&shop, &running.door, barcodes, connections, seconds).await?;
        let used = |(from, to): (Account, Account)| to.cpu_seconds - from.cpu_seconds;
        cpu += before.zip(running.account()).map_or(f64::NAN, used);
        figures[0].push(rate);
        figures[1].push(ask(&shop, &constant.door, barcodes, connections, seconds).await?);
        bare.push(look_up(&shop, barcodes, seconds)?);
    }
    let answered: f64 = figures[0].iter().map(|rate| rate.per_second * seconds as f64).sum();
    let [door, constant] = &figures;
    let middle = |rates: &[Rate], part: fn(&Rate) -> f64| median(rates.iter().map(part).collect());
    let beside = |name: &str, unit: &str, part: fn(&Rate) -> f64| {
        let ceiling = ("a constant answer of the same size", middle(constant, part));
        tell_beside(name, middle(door, part), unit, ceiling)
    };
    beside("rate", "requests/s", |rate| rate.per_second)?;
    beside("p99", "ms", |rate| rate.p99_us as f64 / 1e3)?;
    tell("cpu", cpu * 1e6 / answered, "µs")?;
    report(barcodes, &figures, bare, cpu * 1e6 / answered);
    Ok(())
}

/// As AX's, shortened.
fn barcode_table() -> Fallible<Table> {
    let columns = [
        ("ITEMBARCODE", "nvarchar(80)"),
        ("ITEMID", "nvarchar(20)"),
        ("INVENTDIMID", "nvarchar(20)"),
        ("BARCODESETUPID", "nvarchar(10)"),
        ("DESCRIPTION", "nvarchar(60)"),
        ("UNITID", "nvarchar(10)"),
        ("QTY", "numeric(32,16)"),
        ("DATAAREAID", "nvarchar(4)"),
        ("RECID", "bigint"),
    ];
    table("ax.INVENTITEMBARCODE", &columns, &[8])
}

fn barcode(number: u64) -> String {
    format!("40{number:011}")
}

fn row(number: i64) -> Vec<Value> {
    let text = |text: String| Value::Text(text);
    let quantity = tillhold_core::value::Decimal::new(10i128.pow(16), 16);
    vec![
        text(barcode(number as u64)),
        text(format!("{:07}", number / 4)),
        text(format!("DIM{:08}", number % 9_973)),
        text("EAN13".to_string()),
        text(format!("Gloves, leather, size {}", number % 11)),
        text(["ea", "box", "pair"][(number % 3) as usize].to_string()),
        Value::Decimal(quantity.expect("one is a decimal")),
        text("usrt".to_string()),
        Value::Int(5_637_000_000 + number),
    ]
}

/// From a process of its own.
async fn ask(
    shop: &Shop,
    door: &Door,
    barcodes: i64,
    connections: i64,
    seconds: i64,
) -> Fallible<Rate> {
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(LOAD).args(["--address", &format!("{}:{}", door.host, door.port)]);
    program.args(["--token", &door.token, "--barcodes", &barcodes.to_string()]);
    program.args(["--connections", &connections.to_string(), "--seconds", &seconds.to_string()]);
    let told: Json = serde_json::from_str(&measure(&shop.env, program).await?.stdout)?;
    let number = |key: &str| told[key].as_f64().ok_or(format!("no {key} in {told}"));
    Ok(Rate {
        per_second: number("per_second")?,
        p50_us: number("p50_us")? as u64,
        p99_us: number("p99_us")? as u64,
        bytes: number("bytes")? as usize,
    })
}

/// The load's own process.
async fn generate() -> Fallible<()> {
    let text = |name: &str| argument(name).ok_or(format!("no {name}"));
    let door = Door::parse(&text("--address")?, &text("--token")?).ok_or("no address")?;
    let (connections, seconds) = (text("--connections")?.parse()?, text("--seconds")?.parse()?);
    let barcodes: u64 = text("--barcodes")?.parse()?;
    let path = move |number: u64| {
        format!("/v1/tables/ax.INVENTITEMBARCODE/rows?ITEMBARCODE={}", barcode(number % barcodes))
    };
    let rate = drive(&Env::real(), &door, connections, seconds, path).await?;
    println!(
        "{}",
        json!({ "per_second": rate.per_second, "p50_us": rate.p50_us, "p99_us": rate.p99_us,
        "bytes": rate.bytes })
    );
    Ok(())
}

/// Ceiling 1's process. Killed when it goes.
struct Constant {
    child: Child,
    door: Door,
}

impl Constant {
    fn start(bytes: usize) -> Fallible<Constant> {
        let mut program = Command::new(std::env::current_exe()?);
        let mut child =
            program.args([CONSTANT, &bytes.to_string()]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok(Constant { child, door: Door::parse(&line, NO_TOKEN).ok_or("no address")? })
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The environment's listener in axum's terms, as the agent's front door has it.
struct Bound(Box<dyn Listener>);

impl axum::serve::Listener for Bound {
    type Io = tillhold_env::BoxStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            if let Ok(accepted) = self.0.accept().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.address()
    }
}

async fn serve_constant(bytes: usize) -> Fallible<()> {
    let listener = Env::real().network.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.address()?);
    let answer = move || async move { "x".repeat(bytes) };
    let router = axum::Router::new().route("/v1/tables/{table}/rows", axum::routing::get(answer));
    Ok(axum::serve(Bound(listener), router).await?)
}

/// Ceiling 2: lookups a second on one thread, by the same index of the same file.
fn look_up(shop: &Shop, barcodes: i64, seconds: i64) -> Fallible<f64> {
    let file = shop.path("offline").join("catalogue.db");
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut select = conn.prepare(
        "SELECT * FROM \"ax.INVENTITEMBARCODE\" WHERE lower(rtrim(\"ITEMBARCODE\")) = ?1 LIMIT 100",
    )?;
    let (started_us, mut number, mut count) = (shop.env.clock.monotonic_us(), 1_u64, 0_u64);
    loop {
        let spent = (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
        if spent >= seconds as f64 {
            return Ok(count as f64 / spent);
        }
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let code = barcode((number >> 20) % barcodes as u64);
        let columns = select.column_count();
        let mut rows = select.query([code])?;
        let row = rows.next()?.ok_or("a barcode that is not there")?;
        for at in 0..columns {
            std::hint::black_box(row.get::<_, rusqlite::types::Value>(at)?);
        }
        count += 1;
    }
}

fn report(barcodes: i64, figures: &[Vec<Rate>; 2], bare: Vec<f64>, cpu_us: f64) {
    let told = |rates: &[Rate]| {
        let of = |part: fn(&Rate) -> f64| median(rates.iter().map(part).collect());
        let all: Vec<f64> = rates.iter().map(|rate| rate.per_second).collect();
        let spread = (
            all.iter().copied().fold(f64::INFINITY, f64::min),
            all.iter().copied().fold(0.0, f64::max),
        );
        (of(|r| r.per_second), of(|r| r.p50_us as f64 / 1e3), of(|r| r.p99_us as f64 / 1e3), spread)
    };
    let (door, constant, bare) = (told(&figures[0]), told(&figures[1]), median(bare));
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "barcodes": barcodes, "per_second": door.0, "p50_ms": door.1, "p99_ms": door.2,
            "constant_per_second": constant.0, "bare_per_second": bare, "cpu_us": cpu_us })
        );
        return;
    }
    println!("{barcodes} barcodes, answers of {} bytes", figures[0][0].bytes);
    println!("{:<34} {:>10} {:>8} {:>8}  spread", "", "requests/s", "p50 ms", "p99 ms");
    for (what, told) in [("front door", door), ("a constant of the same size", constant)] {
        println!(
            "{what:<34} {:>10.0} {:>8.2} {:>8.2}  {:.0} to {:.0}",
            told.0, told.1, told.2, told.3.0, told.3.1
        );
    }
    println!("{:<34} {bare:>10.0}", "bare SQLite, one thread");
    println!("the agent's processor time a request: {cpu_us:.1} us");
    println!("of the constant's rate: {:.2}", door.0 / constant.0);
}
