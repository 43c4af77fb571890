//! From `kill -9` in the middle of sales until the register sells again, with dataset L; and the start of one that was
//! offline for a month.
//!
//! `cargo bench --bench recovery [-- --share 1] [--kills 5] [--sales 15600]`
//!
//! ```text
//! sales ─► kill -9 ─► started: the clock runs ─► /readyz says yes ─► the first sale is answered     each time anew
//!                     the same after it was asked to end                                            ceiling
//! channel away ─► a month's sales ─► kill -9 ─► started ─► the first sale ─► channel back ─► every promise is looked for
//! ```
//!
//! * What a till does counts: it waits for the address, asks whether sales are taken, and sells.
//! * Of several the slowest counts.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cashier::Cashier;
use common::figures::{tell, tell_beside};
use common::load::Caller;
use common::register::{Running, is_ready};
use common::sales::{Arrived, Tables};
use common::{Fallible, Shop, argument, large};
use futures_util::future::join_all;
use std::cell::{Cell, RefCell};
use std::time::Duration;

const LINES: i64 = 9;
/// At once, so that some sale is under way whenever the agent dies.
const CASHIERS: usize = 4;
const SELL_TIME: Duration = Duration::from_millis(700);
const ASK_LIMIT: Duration = Duration::from_secs(60);
const FREQUENCY_S: u64 = 300;
const CONDUCT: &str = "offline_timeout_s = 1\nreconnect_interval_min = 0.01\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (kills, month) = (number("--kills", 5)?, number("--sales", 15_600)?);
    let share = argument("--share").map_or(Ok(1.0), |text| text.parse())?;
    let (parts, tables) = (large::parts(share)?, Tables::new()?);
    let shop = large::shop(&parts, &tables, 1, CONDUCT, FREQUENCY_S).await?;
    shop.run(&["provision"]).await?;
    let (next, promised) = (Cell::new(1), RefCell::default());
    let (env, register, lines) = (&shop.env, 1, LINES);
    let cashier =
        Cashier { env, tables: &tables, register, lines, next: &next, promised: &promised };
    let mut running = Running::online(&shop).await?;
    let mut killed = Vec::new();
    for _ in 0..kills {
        sell_until_killed(&cashier, running).await?;
        let (started, back) = sell_again(&shop, &cashier).await?;
        killed.push(back);
        running = started;
        running.until(&shop, is_ready).await?;
    }
    let mut orderly = Vec::new();
    for _ in 0..kills {
        running.end(&shop).await?;
        let (started, back) = sell_again(&shop, &cashier).await?;
        orderly.push(back);
        running = started;
        running.until(&shop, is_ready).await?;
    }
    let (month_back, missing) = a_month_offline(&shop, &cashier, running, month).await?;
    let wrong = Arrived::at(&shop).await?.wrong(&promised.borrow(), LINES);
    let (killed, orderly) = (slowest(&killed)?, slowest(&orderly)?);
    println!("{} sales were promised, {kills} kills", promised.borrow().len());
    println!("killed: ready after {:.3} s, first sale after {:.3} s", killed.ready, killed.sale);
    println!("ended in order: {:.3} s and {:.3} s", orderly.ready, orderly.sale);
    println!("with {month} unsent sales: {:.3} s; lost or doubled: {wrong}", month_back.sale);
    let ceiling = |seconds| ("the same after an orderly end", seconds);
    tell_beside("killed.sale", killed.sale, "s", ceiling(orderly.sale))?;
    tell_beside("killed.ready", killed.ready, "s", ceiling(orderly.ready))?;
    tell_beside("month.sale", month_back.sale, "s", ("with nothing unsent", orderly.sale))?;
    tell("month.missing", missing as f64, "sales")?;
    tell("lost", wrong as f64, "sales")?;
    match missing == 0 && wrong == 0 {
        true => Ok(()),
        false => Err("a promise was not kept".into()),
    }
}

/// Seconds since the program was started.
#[derive(Clone, Copy)]
struct Back {
    ready: f64,
    sale: f64,
}

fn slowest(backs: &[Back]) -> Fallible<Back> {
    Ok(*backs.iter().max_by(|a, b| a.sale.total_cmp(&b.sale)).ok_or("it was never started")?)
}

/// The cashiers' last sales have no answer, and no promise.
async fn sell_until_killed(cashier: &Cashier<'_>, running: Running) -> Fallible<()> {
    let door = running.door.clone();
    let selling = (0..CASHIERS).map(|_| cashier.sell_on(&door, Duration::ZERO, |_| false));
    let kill = async {
        tokio::time::sleep(SELL_TIME).await;
        drop(running);
    };
    let before = cashier.promised.borrow().len();
    let (ended, ()) = tokio::join!(join_all(selling), kill);
    match cashier.promised.borrow().len() > before {
        true => Ok(()),
        false => {
            Err(format!("nothing was sold: {:?}", ended.iter().find_map(|one| one.as_ref().err()))
                .into())
        }
    }
}

async fn sell_again(shop: &Shop, cashier: &Cashier<'_>) -> Fallible<(Running, Back)> {
    let started_us = shop.env.clock.monotonic_us();
    let since = || (shop.env.clock.monotonic_us() - started_us) as f64 / 1e6;
    let running = Running::start(shop).await?;
    running.until_open(shop).await?;
    let ready = since();
    let mut caller = Caller::connect(&shop.env, &running.door).await?;
    cashier.sell(&running.door, &mut caller).await?;
    Ok((running, Back { ready, sale: since() }))
}

/// How soon it sells again, and how many of its sales it does not have.
async fn a_month_offline(
    shop: &Shop,
    cashier: &Cashier<'_>,
    running: Running,
    sales: i64,
) -> Fallible<(Back, i64)> {
    running.until_sent(shop).await?;
    shop.order("cut")?;
    running.until(shop, |status| status["state"] == "offline").await?;
    cashier.sell_on(&running.door, Duration::ZERO, |sold| sold as i64 >= sales).await?;
    drop(running);
    let (running, back) = sell_again(shop, cashier).await?;
    let status = running.client(shop).get("/v1/status", ASK_LIMIT).await?.body;
    let kept = status["pending"]["transactions"].as_i64().ok_or(format!("no count: {status}"))?;
    shop.order("restore")?;
    running.until_sent(shop).await?;
    // The one that was sold after the start is among them.
    Ok((back, (sales + 1 - kept).max(0)))
}
