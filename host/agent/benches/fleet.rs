//! A store's registers on one channel: all filled at once, a burst of sales, and what was sold in an outage.
//!
//! `cargo bench --bench fleet [-- --registers 40] [--share 0.05] [--burst 600] [--settle 60] [--sales 520]`
//!
//! ```text
//! first    one register loads and exports a snapshot, the others take it, all at once
//! burst    every register sells once a second; unsent sales are counted meanwhile
//! drain    channel away ─► everyone sells ─► channel back: the clock runs ─► nobody has anything unsent
//! ```
//!
//! * Every register is a process, the channel another; they share the machine's cores with those who sell.
//! * While it drains, everyone sells on, each five seconds. At the end every promise is looked for in the channel.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cashier::Cashier;
use common::ceiling::{Commits, inserted};
use common::figures::{tell, tell_beside};
use common::fleet::{online, register};
use common::register::Running;
use common::sales::{Arrived, Tables};
use common::spread::{Spread, median};
use common::{Fallible, PROGRAM, Shop, argument, large, measure};
use futures_util::future::{join_all, try_join_all};
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const REGISTERS: usize = 40;
const SHARE: f64 = 0.05;
const BURST_S: u64 = 600;
/// Of the burst: what comes before is not judged.
const SETTLE_S: u64 = 60;
/// A register's in an outage of eight hours.
const SALES: usize = 520;
const LINES: i64 = 9;
const FREQUENCY_S: u64 = 300;
const BURST_PACE: Duration = Duration::from_secs(1);
const DRAIN_PACE: Duration = Duration::from_secs(5);
const COUNT_INTERVAL: Duration = Duration::from_secs(2);
const ASK_LIMIT: Duration = Duration::from_secs(30);
const CONDUCT: &str = "offline_timeout_s = 2\nreconnect_interval_min = 0.05\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: u64| argument(name).map_or(Ok(usual), |text| text.parse());
    let registers = number("--registers", REGISTERS as u64)? as usize;
    let share = argument("--share").map_or(Ok(SHARE), |text| text.parse())?;
    let (burst_s, settle_s) = (number("--burst", BURST_S)?, number("--settle", SETTLE_S)?);
    let sales = number("--sales", SALES as u64)? as usize;
    let (parts, tables) = (large::parts(share)?, Tables::new()?);
    let shop = large::shop(&parts, &tables, registers, CONDUCT, FREQUENCY_S).await?;
    let folders = first(&shop, registers).await?;
    let fleet = online(&shop, &folders).await?;
    let next: Vec<Cell<i64>> = (0..registers).map(|_| Cell::new(1)).collect();
    let promised = RefCell::default();
    let (env, tables, lines) = (&shop.env, &tables, LINES);
    let cashiers: Vec<Cashier<'_>> = next
        .iter()
        .enumerate()
        .map(|(at, next)| Cashier {
            env,
            tables,
            register: at + 1,
            lines,
            next,
            promised: &promised,
        })
        .collect();
    let store = Store { shop: &shop, fleet: &fleet, cashiers: &cashiers };
    store.burst(burst_s, settle_s).await?;
    store.drain(sales, tables).await?;
    let wrong = Arrived::at(&shop).await?.wrong(&promised.borrow(), LINES);
    println!("{} sales were promised; lost or doubled: {wrong}", promised.borrow().len());
    tell("lost", wrong as f64, "sales")?;
    match wrong {
        0 => Ok(()),
        _ => Err("a promise was not kept".into()),
    }
}

/// Fills them all; answers with their folders.
async fn first(shop: &Shop, registers: usize) -> Fallible<Vec<PathBuf>> {
    let port = shop.address.port();
    let folders: Fallible<Vec<PathBuf>> =
        (1..=registers).map(|at| register(shop, at, port)).collect();
    let folders = folders?;
    let run = |folder: &PathBuf, words: &[&str]| {
        let mut program = Command::new(PROGRAM);
        program.args(words).arg("--config").arg(folder.join("register.toml"));
        measure(&shop.env, program)
    };
    let cpu = || shop.channel_cpu().unwrap_or(f64::NAN);
    let (started_us, cpu_before) = (shop.env.clock.monotonic_us(), cpu());
    let since = || (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
    run(&folders[0], &["provision"]).await?;
    let (alone, cpu_alone) = (since(), cpu() - cpu_before);
    run(&folders[0], &["export", "snapshot"]).await?;
    let source = folders[0].join("export").display().to_string();
    let from = ["provision", "--from", &source];
    try_join_all(folders[1..].iter().map(|folder| run(folder, &from))).await?;
    let (all, cpu_all) = (since(), cpu() - cpu_before);
    let copied = copied(shop, &folders)?;
    println!(
        "{registers} registers are filled after {all:.1} s, the first of them after {alone:.1} s"
    );
    println!("the channel's processor time: {cpu_all:.1} s, for the first alone {cpu_alone:.1} s");
    tell_beside(
        "first",
        all,
        "s",
        ("the first one's load, its file copied to each", alone + copied),
    )?;
    tell_beside("channel_cpu", cpu_all, "s", ("for the first one", cpu_alone))?;
    Ok(folders)
}

/// Seconds that the file takes to be copied and synced so often.
fn copied(shop: &Shop, folders: &[PathBuf]) -> Fallible<f64> {
    let (file, copy) = (folders[0].join("offline/catalogue.db"), shop.path("copy.db"));
    let started_us = shop.env.clock.monotonic_us();
    for _ in &folders[1..] {
        fs::copy(&file, &copy)?;
        fs::File::open(&copy)?.sync_all()?;
    }
    Ok((shop.env.clock.monotonic_us() - started_us) as f64 / 1e6)
}

struct Store<'a> {
    shop: &'a Shop,
    fleet: &'a [Running],
    cashiers: &'a [Cashier<'a>],
}

impl Store<'_> {
    /// Each register once, at that pace; answers with all times.
    async fn sell(&self, pace: Duration, is_over: impl Fn(usize) -> bool) -> Fallible<Vec<u64>> {
        let is_over = &is_over;
        let pairs = self.cashiers.iter().zip(self.fleet);
        let all = pairs.map(|(cashier, running)| cashier.sell_on(&running.door, pace, is_over));
        Ok(try_join_all(all).await?.concat())
    }

    /// Of all registers together.
    async fn unsent(&self) -> Fallible<f64> {
        let count = async |running: &Running| -> Fallible<f64> {
            let status = running.client(self.shop).get("/v1/status", ASK_LIMIT).await?.body;
            status["pending"]["transactions"].as_f64().ok_or(format!("no count: {status}").into())
        };
        Ok(try_join_all(self.fleet.iter().map(count)).await?.iter().sum())
    }

    async fn burst(&self, seconds: u64, settle: u64) -> Fallible<()> {
        let started_us = self.shop.env.clock.monotonic_us();
        let since = || (self.shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
        let mut counts: Vec<(f64, f64)> = Vec::new();
        let count = async {
            while since() < seconds as f64 {
                counts.push((since(), self.unsent().await?));
                tokio::time::sleep(COUNT_INTERVAL).await;
            }
            Fallible::Ok(())
        };
        let (sold, counted) =
            tokio::join!(self.sell(BURST_PACE, |_| since() >= seconds as f64), count);
        counted?;
        let (sold, took) = (sold?, since());
        // Just after it settled, and at its end.
        let span = (seconds - settle) as f64 / 4.0;
        let around = |from: f64| {
            let within = counts.iter().filter(|(at, _)| (from..from + span).contains(at));
            median(within.map(|(_, unsent)| *unsent).collect())
        };
        let growth = around(seconds as f64 - span) - around(settle as f64);
        let (rate, spread) = (sold.len() as f64 / took, Spread::of(sold));
        let p99 = spread.at(0.99) as f64 / 1e3;
        println!(
            "{rate:.1} sales/s for {took:.0} s, p99 {p99:.1} ms; unsent: {growth:+.0} more at its end"
        );
        tell_beside(
            "burst.rate",
            rate,
            "sales/s",
            ("one a second and register", self.fleet.len() as f64),
        )?;
        tell("burst.growth", growth, "sales")?;
        Ok(tell_beside("burst.p99", p99, "ms", ("its median", spread.at(0.5) as f64 / 1e3))?)
    }

    async fn drain(&self, sales: usize, tables: &Tables) -> Fallible<()> {
        self.shop.order("cut")?;
        for running in self.fleet {
            running.until(self.shop, |status| status["state"] == "offline").await?;
        }
        self.sell(Duration::ZERO, |sold| sold >= sales).await?;
        let unsent = self.unsent().await?;
        self.shop.order("restore")?;
        let started_us = self.shop.env.clock.monotonic_us();
        let is_drained = Cell::new(false);
        let drain = async {
            let all = self.fleet.iter().map(|running| running.until_sent(self.shop));
            let sent = join_all(all).await;
            is_drained.set(true);
            sent.into_iter().collect::<Fallible<Vec<()>>>()?;
            Fallible::Ok((self.shop.env.clock.monotonic_us() - started_us) as f64 / 1e6)
        };
        let (meanwhile, drained) = tokio::join!(self.sell(DRAIN_PACE, |_| is_drained.get()), drain);
        let (meanwhile, drained) = (Spread::of(meanwhile?), drained?);
        let longest = meanwhile.at(1.0) as f64 / 1e3;
        // What they sold last may still be on its way.
        for running in self.fleet {
            running.until_sent(self.shop).await?;
        }
        let names = tables.all().map(|table| table.name.to_string());
        let journal = self.shop.path("register-1/offline/journal.db");
        let bare = inserted(self.shop, (&journal, "bare.db"), &names, Commits::InPortions)?;
        let rows = unsent * (LINES + 2) as f64;
        println!("{unsent} sales up in {drained:.1} s; the longest sale meanwhile {longest:.1} ms");
        let ceiling = ("as many rows inserted into SQLite", rows / bare.rate());
        tell_beside("drained", drained, "s", ceiling)?;
        let usual = ("its usual answer, the median", meanwhile.at(0.5) as f64 / 1e3);
        Ok(tell_beside("meanwhile", longest, "ms", usual)?)
    }
}
