//! A sale of nine lines at the front door: online and offline, on both write paths, alone and among others.
//!
//! `cargo bench --bench commit [-- --sales 500] [--share 0.1]`
//!
//! ```text
//! PUT /v1/transactions/ID at `tillhold run` (a process) ─► journal ─► [channel serve (a process)] ─► the answer
//! the same rows in a bare transaction of SQLite, between the sales                                   ceiling
//! the same rows in a transaction of a plain client at the channel                  ceiling of channel-first online
//! ```
//!
//! * Contended: four cashiers of one register sell without a pause, and each second the channel changes a hundredth of
//!   200,000 prices, which the register pulls meanwhile. The ceiling is then four plain clients that insert such sales,
//!   with the same changes and the same pull beside them.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cashier::Cashier;
use common::ceiling::{committed, empty};
use common::figures::tell_beside;
use common::load::Caller;
use common::outsider::{self, Outsider};
use common::register::Running;
use common::sales::{self, Tables};
use common::spread::Spread;
use common::{Fallible, Shop, argument, large};
use futures_util::future::join_all;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tillhold_core::row::Row;
use tillhold_core::table::Table;

const SALES: usize = 500;
/// First ones that are not counted: statements are prepared, pages allocated.
const WARM_UP: usize = 20;
const SHARE: f64 = 0.1;
const LINES: i64 = 9;
const CASHIERS: usize = 4;
/// Numbers of registers that there are not begin here.
const PLAIN_REGISTERS: usize = 900;
const CHANGE_INTERVAL: Duration = Duration::from_secs(1);
const CONDUCT: &str = "offline_timeout_s = 1\n[synchronization]\nsessions_max_per_min = 6000\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let count = argument("--sales").map_or(Ok(SALES), |text| text.parse())?;
    let share = argument("--share").map_or(Ok(SHARE), |text| text.parse())?;
    let tables = Tables::new()?;
    print!("{:<28} {:>8} {:>8} {:>8}", "ms", "p50", "p99", "longest");
    println!(" {:>10} {:>10} {:>10}", "bound p50", "bound p99", "longest");
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
    let waits_for_channel = path == "channel-first";
    let mut bound = match waits_for_channel {
        true => {
            Bound::Channel(Box::new(PlainClient::connect(&shop, tables, PLAIN_REGISTERS).await?))
        }
        false => Bound::Sqlite(&mut bare),
    };
    let (online, ceiling) = alone(&shop, &cashier, &running, &mut bound, count).await?;
    tell(&format!("{path}.online"), &online, &ceiling, bound.name())?;
    let sell = |_| cashier.sell_on(&running.door, Duration::ZERO, |sold| sold >= count);
    let contended = among_others(&shop, sell).await?;
    let ceiling = match waits_for_channel {
        true => {
            let insert =
                |nth| PlainClient::insert_on(&shop, tables, PLAIN_REGISTERS + 1 + nth, count);
            among_others(&shop, insert).await?
        }
        false => ceiling,
    };
    tell(&format!("{path}.contended"), &contended, &ceiling, bound.name())?;
    shop.order("cut")?;
    running.until(&shop, |status| status["state"] == "offline").await?;
    let mut bound = Bound::Sqlite(&mut bare);
    let (offline, ceiling) = alone(&shop, &cashier, &running, &mut bound, count).await?;
    tell(&format!("{path}.offline"), &offline, &ceiling, bound.name())
}

/// What a sale cannot be faster than.
enum Bound<'a> {
    Sqlite(&'a mut Connection),
    Channel(Box<PlainClient<'a>>),
}

impl Bound<'_> {
    fn name(&self) -> &'static str {
        match self {
            Bound::Sqlite(_) => "the bare rows in SQLite",
            Bound::Channel(_) => "a plain client's rows at the channel",
        }
    }

    async fn take(&mut self, shop: &Shop, rows: &[(&Table, Row)]) -> Fallible<u64> {
        match self {
            Bound::Sqlite(bare) => committed(shop, bare, rows),
            Bound::Channel(client) => client.insert().await,
        }
    }
}

/// A client of the channel that inserts sales like a cashier's and does nothing else.
struct PlainClient<'a> {
    shop: &'a Shop,
    tables: &'a Tables,
    session: Outsider,
    /// Of a register that there is not: nobody pulls what it sells.
    register: usize,
    next: i64,
}

impl<'a> PlainClient<'a> {
    async fn connect(
        shop: &'a Shop,
        tables: &'a Tables,
        register: usize,
    ) -> Fallible<PlainClient<'a>> {
        let session = shop.outsider().await?;
        Ok(PlainClient { shop, tables, session, register, next: 1 })
    }

    /// One sale, in a transaction and a round trip; answers with the microseconds.
    async fn insert(&mut self) -> Fallible<u64> {
        let rows = sales::rows_of(self.tables, self.register, self.next, LINES);
        self.next += 1;
        let sql = outsider::inserting(&rows);
        let clock = &self.shop.env.clock;
        let began_us = clock.monotonic_us();
        self.session.simple_query(sql).await?.into_results().await?;
        Ok(clock.monotonic_us() - began_us)
    }

    async fn insert_on(
        shop: &Shop,
        tables: &Tables,
        register: usize,
        count: usize,
    ) -> Fallible<Vec<u64>> {
        let mut client = PlainClient::connect(shop, tables, register).await?;
        let mut times = Vec::new();
        while times.len() < count {
            times.push(client.insert().await?);
        }
        Ok(times)
    }
}

/// One sale after the other, each followed by what bounds it.
async fn alone(
    shop: &Shop,
    cashier: &Cashier<'_>,
    running: &Running,
    bound: &mut Bound<'_>,
    count: usize,
) -> Fallible<(Spread, Spread)> {
    let mut caller = Caller::connect(&shop.env, &running.door).await?;
    let (mut times, mut bare_times) = (Vec::new(), Vec::new());
    for at in 0..count + WARM_UP {
        let rows = sales::rows_of(cashier.tables, 1, cashier.next.get(), LINES);
        let took = cashier.sell(&running.door, &mut caller).await?;
        let took_bare = bound.take(shop, &rows).await?;
        if at >= WARM_UP {
            times.push(took);
            bare_times.push(took_bare);
        }
    }
    Ok((Spread::of(times), Spread::of(bare_times)))
}

/// What so many at once make of it, by the number of each, while the channel changes and the register pulls.
async fn among_others<S: Future<Output = Fallible<Vec<u64>>>>(
    shop: &Shop,
    sell: impl Fn(usize) -> S,
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
        let sold = join_all((0..CASHIERS).map(sell)).await;
        is_over.set(true);
        sold
    };
    let (sold, changed) = tokio::join!(sell, change);
    changed?;
    let times: Fallible<Vec<Vec<u64>>> = sold.into_iter().collect();
    Ok(Spread::of(times?.concat()))
}

fn tell(name: &str, sale: &Spread, bare: &Spread, bound: &'static str) -> Fallible<()> {
    let ms = |spread: &Spread, at: f64| spread.at(at) as f64 / 1e3;
    let [p50, p99] = [0.5, 0.99].map(|at| (ms(sale, at), ms(bare, at)));
    print!("{name:<28} {:>8.2} {:>8.2} {:>8.2}", p50.0, p99.0, ms(sale, 1.0));
    println!(" {:>10.2} {:>10.2} {:>10.2}", p50.1, p99.1, ms(bare, 1.0));
    for (part, (value, ceiling)) in [("p50", p50), ("p99", p99)] {
        tell_beside(&format!("{name}.{part}"), value, "ms", (bound, ceiling))?;
    }
    Ok(())
}
