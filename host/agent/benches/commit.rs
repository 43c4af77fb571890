//! A sale of nine lines at the front door: online and offline, on both write paths, alone and among others.
//!
//! `cargo bench --bench commit [-- --sales 500] [--share 0.1]`
//!
//! ```text
//! PUT /v1/transactions/ID at `tillhold run` (a process) ─► journal ─► [channel serve (a process)] ─► the answer
//! the same rows in a bare transaction of SQLite, between the sales                                   ceiling
//! ```
//!
//! * Contended: four cashiers of one register sell without a pause, and each second the channel changes a hundredth of
//!   200,000 prices, which the register pulls meanwhile.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cashier::Cashier;
use common::ceiling::{committed, empty};
use common::figures::tell_beside;
use common::load::Caller;
use common::register::Running;
use common::sales::{self, Tables};
use common::spread::Spread;
use common::{Fallible, Shop, argument, large};
use futures_util::future::join_all;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::time::Duration;

const SALES: usize = 500;
/// First ones that are not counted: statements are prepared, pages allocated.
const WARM_UP: usize = 20;
const SHARE: f64 = 0.1;
const LINES: i64 = 9;
const CASHIERS: usize = 4;
const CHANGE_INTERVAL: Duration = Duration::from_secs(1);
const CONDUCT: &str = "offline_timeout_s = 1\n[synchronization]\nsessions_max_per_min = 6000\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let count = argument("--sales").map_or(Ok(SALES), |text| text.parse())?;
    let share = argument("--share").map_or(Ok(SHARE), |text| text.parse())?;
    let tables = Tables::new()?;
    println!("{:<28} {:>8} {:>8} {:>10} {:>10}", "ms", "p50", "p99", "bare p50", "bare p99");
    for path in ["channel-first", "local-first"] {
        measure(path, &tables, share, count).await?;
    }
    Ok(())
}

async fn measure(path: &str, tables: &Tables, share: f64, count: usize) -> Fallible<()> {
    let mut parts = large::parts(share)?;
    parts.retain(|part| part.table.name.to_string() == large::PRICES);
    let conduct = format!("write_path = \"{path}\"\n{CONDUCT}");
    let shop = large::shop(&parts, tables, 1, &conduct, 1).await?;
    shop.run(&["provision"]).await?;
    let journal = Connection::open(shop.path("offline").join("journal.db"))?;
    let names = tables.all().map(|table| table.name.to_string());
    let mut bare = empty(&shop, &journal, "bare.db", &names)?;
    drop(journal);
    let running = Running::online(&shop).await?;
    let (next, promised) = (Cell::new(1), RefCell::default());
    let (env, register, lines) = (&shop.env, 1, LINES);
    let cashier = Cashier { env, tables, register, lines, next: &next, promised: &promised };
    let (online, ceiling) = alone(&shop, &cashier, &running, &mut bare, count).await?;
    tell(&format!("{path}.online"), &online, &ceiling)?;
    let contended = among_others(&shop, &cashier, &running, count).await?;
    tell(&format!("{path}.contended"), &contended, &ceiling)?;
    shop.order("cut")?;
    running.until(&shop, |status| status["state"] == "offline").await?;
    let (offline, ceiling) = alone(&shop, &cashier, &running, &mut bare, count).await?;
    tell(&format!("{path}.offline"), &offline, &ceiling)
}

/// One sale after the other, each followed by the same rows in the bare file.
async fn alone(
    shop: &Shop,
    cashier: &Cashier<'_>,
    running: &Running,
    bare: &mut Connection,
    count: usize,
) -> Fallible<(Spread, Spread)> {
    let mut caller = Caller::connect(&shop.env, &running.door).await?;
    let (mut times, mut bare_times) = (Vec::new(), Vec::new());
    for at in 0..count + WARM_UP {
        let rows = sales::rows_of(cashier.tables, 1, cashier.next.get(), LINES);
        let took = cashier.sell(&running.door, &mut caller).await?;
        let took_bare = committed(shop, bare, &rows)?;
        if at >= WARM_UP {
            times.push(took);
            bare_times.push(took_bare);
        }
    }
    Ok((Spread::of(times), Spread::of(bare_times)))
}

async fn among_others(
    shop: &Shop,
    cashier: &Cashier<'_>,
    running: &Running,
    count: usize,
) -> Fallible<Spread> {
    let is_over = Cell::new(false);
    let mut channel = shop.outsider().await?;
    let change = async {
        let mut second = 0;
        while !is_over.get() {
            let sql = format!(
                "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = [AMOUNT] + 1 WHERE [RECID] % 100 = {};",
                second % 100
            );
            channel.simple_query(sql).await?.into_results().await?;
            second += 1;
            tokio::time::sleep(CHANGE_INTERVAL).await;
        }
        Fallible::Ok(())
    };
    let sell = async {
        let all = (0..CASHIERS)
            .map(|_| cashier.sell_on(&running.door, Duration::ZERO, |sold| sold >= count));
        let sold = join_all(all).await;
        is_over.set(true);
        sold
    };
    let (sold, changed) = tokio::join!(sell, change);
    changed?;
    let times: Fallible<Vec<Vec<u64>>> = sold.into_iter().collect();
    Ok(Spread::of(times?.concat()))
}

fn tell(name: &str, sale: &Spread, bare: &Spread) -> Fallible<()> {
    let ms = |spread: &Spread, at: f64| spread.at(at) as f64 / 1e3;
    let [p50, p99] = [0.5, 0.99].map(|at| (ms(sale, at), ms(bare, at)));
    println!("{name:<28} {:>8.2} {:>8.2} {:>10.2} {:>10.2}", p50.0, p99.0, p50.1, p99.1);
    for (part, (value, ceiling)) in [("p50", p50), ("p99", p99)] {
        let ceiling = ("the bare rows in SQLite", ceiling);
        tell_beside(&format!("{name}.{part}"), value, "ms", ceiling)?;
    }
    Ok(())
}
