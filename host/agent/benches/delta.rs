//! A price changed at the channel until the register answers with it; ten thousand of them; and all.
//!
//! `cargo bench --bench delta [-- --prices 2000000] [--times 40] [--batches 20]`
//!
//! ```text
//! UPDATE at the channel, committed: the clock runs ─► the scope's next pull ─► GET rows at the front door has it
//!                                                  └─► the changed rows in a bare SQLite              ceiling
//! ```
//!
//! * The scope is pulled each second, which is the shortest frequency; the changes come at any moment of it.
//! * Of many changes the last one that is visible counts; they are looked for in the register's file, which is what the
//!   front door answers from, and the last of them at the front door.
//! * While all prices change, a cashier sells; the longest wait is told.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cashier::Cashier;
use common::figures::{tell, tell_beside};
use common::outsider::Outsider;
use common::register::Running;
use common::sales::Tables;
use common::spread::Spread;
use common::{Fallible, Shop, argument, large};
use rusqlite::{Connection, OpenFlags};
use std::cell::{Cell, RefCell};
use std::time::Duration;

const PRICES: i64 = 2_000_000;
/// Of dataset L.
const PRICES_OF_ALL: f64 = 2_000_000.0;
const TIMES: i64 = 40;
const BATCHES: i64 = 20;
/// Prices in a batch, or all.
const MANY: i64 = 10_000;
const FIRST: i64 = 5_637_000_000;
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(900);
const PACE: Duration = Duration::from_millis(100);
const LINES: i64 = 9;
const CONDUCT: &str =
    "write_path = \"local-first\"\n[synchronization]\nsessions_max_per_min = 6000\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (prices, times) = (number("--prices", PRICES)?, number("--times", TIMES)?);
    let batches = number("--batches", BATCHES)?;
    let mut parts = large::parts(prices as f64 / PRICES_OF_ALL)?;
    parts.retain(|part| part.table.name.to_string() == large::PRICES);
    let tables = Tables::new()?;
    let shop = large::shop(&parts, &tables, 1, CONDUCT, 1).await?;
    shop.run(&["provision"]).await?;
    let running = Running::online(&shop).await?;
    let mut bench = Bench::new(&shop, &running, prices).await?;
    let one = bench.one_by_one(times).await?;
    let (many, bare_many) = bench.in_batches(batches).await?;
    let (all, bare_all, sales) = bench.everything(&tables).await?;
    let ms = |us: u64| us as f64 / 1e3;
    let meanwhile = Spread::of(sales);
    println!("one price: p50 {:.1} ms, p95 {:.1} ms", ms(one.at(0.5)), ms(one.at(0.95)));
    println!("{MANY} prices: p95 {:.2} s, all {prices}: {all:.1} s", many.at(0.95) as f64 / 1e6);
    println!("the longest sale meanwhile: {:.1} ms", ms(meanwhile.at(1.0)));
    tell("one.p50", ms(one.at(0.5)), "ms")?;
    tell("one.p95", ms(one.at(0.95)), "ms")?;
    let updated = |seconds| ("updated in SQLite", seconds);
    tell_beside("many.p95", many.at(0.95) as f64 / 1e6, "s", updated(bare_many))?;
    tell_beside("all", all, "s", updated(bare_all))?;
    let usual = ("its usual answer, the median", ms(meanwhile.at(0.5)));
    Ok(tell_beside("meanwhile", ms(meanwhile.at(1.0)), "ms", usual)?)
}

struct Bench<'a> {
    shop: &'a Shop,
    running: &'a Running,
    prices: i64,
    channel: Outsider,
    /// The register's file, for reading.
    offline: Connection,
    /// A copy of it as it was, for the ceiling.
    bare: Connection,
    /// The last amount that was set; each is another one.
    amount: i64,
}

impl Bench<'_> {
    async fn new<'a>(shop: &'a Shop, running: &'a Running, prices: i64) -> Fallible<Bench<'a>> {
        let file = shop.path("offline").join("catalogue.db");
        let offline = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        offline.execute("VACUUM INTO ?1", [shop.path("bare.db").display().to_string()])?;
        let bare = Connection::open(shop.path("bare.db"))?;
        bare.pragma_update(None, "journal_mode", "WAL")?;
        bare.pragma_update(None, "synchronous", "FULL")?;
        let channel = shop.outsider().await?;
        Ok(Bench { shop, running, prices, channel, offline, bare, amount: 0 })
    }

    /// At the channel; comes back when it is committed, with the new amount.
    async fn change(&mut self, which: &str) -> Fallible<String> {
        self.amount += 1;
        let sql =
            format!("UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = {} WHERE {which};", self.amount);
        self.channel.simple_query(sql).await?.into_results().await?;
        Ok(self.amount.to_string())
    }

    /// At the front door, whose amounts have all their decimals.
    async fn until_answered(&self, record: i64, amount: &str) -> Fallible<()> {
        let client = self.running.client(self.shop);
        let path = format!("/v1/tables/{}/rows?RECID={record}", large::PRICES);
        let wanted: f64 = amount.parse()?;
        let started_us = self.shop.env.clock.monotonic_us();
        loop {
            let answer = client.get(&path, LIMIT).await?.body;
            let told: Option<f64> =
                answer["rows"][0]["AMOUNT"].as_str().and_then(|text| text.parse().ok());
            match told {
                Some(found) if found == wanted => return Ok(()),
                None => return Err(format!("no price {record}: {answer}").into()),
                _ => self.wait(started_us).await?,
            }
        }
    }

    async fn wait(&self, since_us: u64) -> Fallible<()> {
        if u128::from(self.shop.env.clock.monotonic_us() - since_us) > LIMIT.as_micros() {
            return Err("a change never came".into());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        Ok(())
    }

    /// In the file, each of these.
    async fn until_there(&self, records: impl Iterator<Item = i64>, amount: &str) -> Fallible<()> {
        let wanted: f64 = amount.parse()?;
        let sql =
            format!("SELECT CAST(AMOUNT AS REAL) FROM \"{}\" WHERE RECID = ?1", large::PRICES);
        let started_us = self.shop.env.clock.monotonic_us();
        for record in records {
            loop {
                let found: f64 =
                    self.offline.prepare_cached(&sql)?.query_row([record], |row| row.get(0))?;
                if found == wanted {
                    break;
                }
                self.wait(started_us).await?;
            }
            // Whoever sells meanwhile is looked after by the same thread.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Seconds of the same update on the bare file.
    fn update_bare(&self, which: &str) -> Fallible<f64> {
        let started_us = self.shop.env.clock.monotonic_us();
        let table = large::PRICES;
        let sql = format!("UPDATE \"{table}\" SET AMOUNT = AMOUNT || '1' WHERE {which}");
        self.bare.execute(&sql, ())?;
        Ok((self.shop.env.clock.monotonic_us() - started_us) as f64 / 1e6)
    }

    async fn one_by_one(&mut self, times: i64) -> Fallible<Spread> {
        let mut told = Vec::new();
        for at in 0..times {
            // Somewhere between two pulls.
            tokio::time::sleep(Duration::from_millis(at as u64 * 379 % 1_000)).await;
            let record = FIRST + at * 7_919 % self.prices;
            let amount = self.change(&format!("[RECID] = {record}")).await?;
            let began_us = self.shop.env.clock.monotonic_us();
            self.until_answered(record, &amount).await?;
            told.push(self.shop.env.clock.monotonic_us() - began_us);
        }
        Ok(Spread::of(told))
    }

    async fn in_batches(&mut self, batches: i64) -> Fallible<(Spread, f64)> {
        let (mut told, mut bare) = (Vec::new(), Vec::new());
        let every = (self.prices / MANY).max(1);
        for at in 0..batches {
            tokio::time::sleep(Duration::from_millis(at as u64 * 379 % 1_000)).await;
            let which = format!("RECID % {every} = {}", at % every);
            let amount = self.change(&which).await?;
            let began_us = self.shop.env.clock.monotonic_us();
            let changed =
                (FIRST..FIRST + self.prices).filter(|record| record % every == at % every);
            let last = changed.clone().next_back().ok_or("nothing changed")?;
            self.until_there(changed, &amount).await?;
            self.until_answered(last, &amount).await?;
            told.push(self.shop.env.clock.monotonic_us() - began_us);
            bare.push(self.update_bare(&which)?);
        }
        Ok((Spread::of(told), common::spread::median(bare)))
    }

    /// All prices, and a cashier who sells meanwhile; one price in two hundred is looked for, and at last all.
    async fn everything(&mut self, tables: &Tables) -> Fallible<(f64, f64, Vec<u64>)> {
        let (next, promised, is_over) = (Cell::new(1), RefCell::default(), Cell::new(false));
        let (env, lines, register) = (&self.shop.env, LINES, 1);
        let cashier = Cashier { env, tables, register, lines, next: &next, promised: &promised };
        let door = self.running.door.clone();
        let sell = cashier.sell_on(&door, PACE, |_| is_over.get());
        let change = async {
            let amount = self.change("1 = 1").await?;
            let began_us = env.clock.monotonic_us();
            self.until_there((FIRST..FIRST + self.prices).step_by(200), &amount).await?;
            self.until_answered(FIRST + self.prices - 1, &amount).await?;
            let seconds = (env.clock.monotonic_us() - began_us) as f64 / 1e6;
            is_over.set(true);
            Fallible::Ok((amount, seconds))
        };
        let (sales, changed) = tokio::join!(sell, change);
        let (amount, seconds) = changed?;
        self.until_there(FIRST..FIRST + self.prices, &amount).await?;
        Ok((seconds, self.update_bare("1 = 1")?, sales?))
    }
}
