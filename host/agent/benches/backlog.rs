//! A day's sales made offline at the front door are in the channel soon after it is back.
//!
//! `cargo bench --bench backlog [-- --sales 2000] [--lines 20] [--json]`
//!
//! ```text
//! channel cut ─► sales at the front door of `tillhold run` (a process) ─► channel back: the clock runs
//!             ─► nothing pending ─► every row and ledger entry counted at the channel
//! ```
//!
//! * How long a status takes while all of them wait, against one with nothing unsent.
//! * The time has everything in it: that the register notices the channel, its login, its checks and the push. Only the
//!   reconnect interval is shorter (0.6 s) than the default minute.
//! * It fails when the bar is missed: 60 s.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::ceiling::{Commits, inserted};
use common::figures::tell_beside;
use common::load::{Caller, request};
use common::register::{ASK_LIMIT, Running};
use common::sales::{self, Tables};
use common::spread::median;
use common::{Fallible, Shop, argument, is_asked};
use serde_json::json;
use tillhold_core::text::guid_text;

const SALES: i64 = 2_000;
const LINES: i64 = 20;
const SECONDS_MAX: f64 = 60.0;
/// Of which the middle one counts.
const STATUSES: usize = 9;
const CONDUCT: &str = "offline_timeout_s = 1\nreconnect_interval_min = 0.01\n";

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (count, lines) = (number("--sales", SALES)?, number("--lines", LINES)?);
    let tables = Tables::new()?;
    let shop = sales::shop(&tables, CONDUCT).await?;
    let running = Running::online(&shop).await?;
    let status_bare = status_ms(&shop, &running).await?;
    shop.order("cut")?;
    running.until(&shop, |status| status["state"] == "offline").await?;
    let began_us = shop.env.clock.monotonic_us();
    let mut caller = Caller::connect(&shop.env, &running.door).await?;
    for sale in 1..=count {
        let body = sales::body(&sales::rows(&tables, sale, lines, 1)).to_string();
        let path = format!("/v1/transactions/{}", guid_text(&shop.env.random.uuid()));
        let told = caller.call(&request(&running.door, "PUT", &path, &body)).await?;
        if !matches!(told.status, 200 | 201) {
            return Err(format!("sale {sale} was answered with {}", told.status).into());
        }
    }
    let sold_us = shop.env.clock.monotonic_us();
    let status = status_ms(&shop, &running).await?;
    shop.order("restore")?;
    let back_us = shop.env.clock.monotonic_us();
    running.until(&shop, |status| status["state"] == "online").await?;
    let online_us = shop.env.clock.monotonic_us();
    running.until_sent(&shop).await?;
    let sent_us = shop.env.clock.monotonic_us();
    sales::check(&shop, count, lines, 1).await?;
    let names = tables.all().map(|table| table.name.to_string());
    let journal = shop.path("offline").join("journal.db");
    let bare = inserted(&shop, (&journal, "bare.db"), &names, Commits::InPortions)?;
    let ceiling = ("inserted into SQLite", bare.seconds);
    let seconds = |from: u64, to: u64| (to - from) as f64 / 1e6;
    let (noticed, all) = (seconds(back_us, online_us), seconds(back_us, sent_us));
    tell_beside("sent", all, "s", ceiling)?;
    tell_beside("status", status, "ms", ("with nothing unsent", status_bare))?;
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "sales": count, "lines": lines, "online_s": noticed, "sent_s": all,
            "sold_s": seconds(began_us, sold_us), "status_ms": status, "status_bare_ms": status_bare })
        );
    } else {
        println!("{count} sales of {} rows", lines + 2);
        println!("sold offline in              {:>8.2} s", seconds(began_us, sold_us));
        println!(
            "a status meanwhile           {status:>8.2} ms, with nothing unsent {status_bare:.2} ms"
        );
        println!("online after                 {noticed:>8.2} s");
        println!("all of them in the channel   {all:>8.2} s of at most {SECONDS_MAX} s");
    }
    match all <= SECONDS_MAX {
        true => Ok(()),
        false => Err("the bar is missed".into()),
    }
}

/// What the door takes for its status.
async fn status_ms(shop: &Shop, running: &Running) -> Fallible<f64> {
    let client = running.client(shop);
    let mut times = Vec::with_capacity(STATUSES);
    for _ in 0..STATUSES {
        let asked_us = shop.env.clock.monotonic_us();
        client.get("/v1/status", ASK_LIMIT).await?;
        times.push((shop.env.clock.monotonic_us() - asked_us) as f64 / 1e3);
    }
    Ok(median(times))
}
