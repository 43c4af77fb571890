//! A local-first sale of a header, 20 lines and 2 payments, against the same rows in a bare SQLite transaction.
//!
//! `cargo bench --bench sale [-- --sales 600] [--json]`
//!
//! ```text
//! one after the other, for each sale:
//!   bare rusqlite transaction, the journal's own table and indexes, WAL, synchronous=FULL      ceiling
//!   LocalDatabase::record                                                                      library
//!   PUT /v1/transactions/ID at `tillhold run` (a process), kept-alive loopback HTTP            front door
//! ```
//!
//! * All three write files in one folder. The channel is away, so that no push runs beside them.
//! * The ceiling's rows are bound in their stored form; the other two convert and check theirs in the time measured.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::ceiling::{committed, empty};
use common::figures::tell_beside;
use common::load::{Caller, request};
use common::register::Running;
use common::sales::{self, Tables};
use common::spread::Spread;
use common::{Fallible, Shop, argument, is_asked};
use rusqlite::Connection;
use serde_json::json;
use std::fs;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text::guid_text;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_local::{Identity, LocalDatabase, RowWrite};

const SALES: i64 = 600;
/// First ones that are not counted: statements are prepared, pages allocated.
const WARM_UP: i64 = 50;
const LINES: i64 = 20;
const PAYMENTS: i64 = 2;
/// What a profile that says nothing has.
const RESERVE_BYTES: u64 = 64 << 20;

#[tokio::main]
async fn main() -> Fallible<()> {
    let count = argument("--sales").map_or(Ok(SALES), |text| text.parse())?;
    let tables = Tables::new()?;
    let conduct = "write_path = \"local-first\"\noffline_timeout_s = 1\n";
    let shop = sales::shop(&tables, conduct).await?;
    shop.run(&["provision"]).await?;
    let library = shop.path("library");
    fs::create_dir(&library)?;
    for file in ["journal.db", "catalogue.db"] {
        fs::copy(shop.path("offline").join(file), library.join(file))?;
    }
    let identity = Identity { store: "S1".to_string(), register: "1".to_string() };
    let local = LocalDatabase::open(&shop.env, &library, &identity).await?;
    // As a register does by its profile when it opens its files.
    local.keep_reserve(RESERVE_BYTES).await?;
    let journal = Connection::open(shop.path("offline").join("journal.db"))?;
    let names = tables.all().map(|table| table.name.to_string());
    let mut bare = empty(&shop, &journal, "bare.db", &names)?;
    drop(journal);
    let running = Running::online(&shop).await?;
    shop.order("cut")?;
    running.until(&shop, |status| status["state"] == "offline").await?;
    let mut caller = Caller::connect(&shop.env, &running.door).await?;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for sale in 1..=count + WARM_UP {
        let rows = sales::rows(&tables, sale, LINES, PAYMENTS);
        let took = [
            committed(&shop, &mut bare, &rows)?,
            in_library(&shop, &local, &rows, sale).await?,
            at_door(&shop, &running, &mut caller, &rows).await?,
        ];
        if sale > WARM_UP {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    local.close().await?;
    let spreads = times.map(Spread::of);
    report(count, &spreads);
    tell(&spreads)
}

async fn in_library(
    shop: &Shop,
    local: &LocalDatabase,
    rows: &[(&Table, Row)],
    sale: i64,
) -> Fallible<u64> {
    let write = |(table, row): &(&Table, Row)| RowWrite::Insert {
        table: table.name.clone(),
        row: row.clone(),
    };
    let writes = rows.iter().map(write).collect();
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&sale.to_be_bytes());
    let id = TransactionId(shop.env.random.uuid());
    let began_us = shop.env.clock.monotonic_us();
    local.record(id, ContentHash(hash), writes, shop.env.clock.wall_ms()).await?;
    Ok(shop.env.clock.monotonic_us() - began_us)
}

async fn at_door(
    shop: &Shop,
    running: &Running,
    caller: &mut Caller,
    rows: &[(&Table, Row)],
) -> Fallible<u64> {
    let path = format!("/v1/transactions/{}", guid_text(&shop.env.random.uuid()));
    let body = sales::body(rows).to_string();
    let request = request(&running.door, "PUT", &path, &body);
    let began_us = shop.env.clock.monotonic_us();
    let told = caller.call(&request).await?;
    let took_us = shop.env.clock.monotonic_us() - began_us;
    match told.status {
        200 | 201 => Ok(took_us),
        status => Err(format!("a sale was answered with {status}").into()),
    }
}

fn tell([bare, library, door]: &[Spread; 3]) -> Fallible<()> {
    for (what, spread) in [("library", library), ("door", door)] {
        for (part, at) in [("p50", 0.5), ("p99", 0.99)] {
            let ms = |spread: &Spread| spread.at(at) as f64 / 1e3;
            let ceiling = ("the bare rows in SQLite", ms(bare));
            tell_beside(&format!("{what}.{part}"), ms(spread), "ms", ceiling)?;
        }
    }
    Ok(())
}

fn report(count: i64, [bare, library, door]: &[Spread; 3]) {
    if !is_asked("--json") {
        println!("{count} sales of {} rows, milliseconds", 1 + LINES + PAYMENTS);
        println!("{:<28} {:>8} {:>8} {:>10} {:>10}", "", "p50", "p99", "p50 ratio", "p99 ratio");
    }
    for (what, spread) in [("bare", bare), ("library", library), ("front door", door)] {
        let (p50, p99) = (spread.at(0.5), spread.at(0.99));
        let ratio = |at: f64| spread.at(at) as f64 / bare.at(at) as f64;
        if is_asked("--json") {
            println!("{}", json!({ "what": what, "p50_us": p50, "p99_us": p99 }));
            continue;
        }
        println!(
            "{what:<28} {:>8.3} {:>8.3} {:>10.2} {:>10.2}",
            p50 as f64 / 1e3,
            p99 as f64 / 1e3,
            ratio(0.5),
            ratio(0.99)
        );
    }
}
