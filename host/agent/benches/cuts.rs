//! 100 cuts of five kinds while 20 cashiers sell, channel-first and local-first: no sale fails, waits long, is lost or
//! comes twice.
//!
//! `cargo bench --bench cuts [-- --cuts 100] [--cashiers 20] [--write-path local-first] [--json]`
//!
//! It fails when a sale failed, was lost or doubled. The longest pause is told beside its bar: the register's offline
//! timeout and 250 ms in channel-first, 50 ms in local-first.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::cuts::{OFFLINE_TIMEOUT, Told, run};
use common::figures::{tell, tell_beside};
use common::{Fallible, argument, is_asked};
use serde_json::json;

#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: usize| argument(name).map_or(Ok(usual), |text| text.parse());
    let (cuts, cashiers) = (number("--cuts", 100)?, number("--cashiers", 20)?);
    let paths = match argument("--write-path") {
        Some(path) => vec![path],
        None => ["channel-first", "local-first"].map(String::from).to_vec(),
    };
    for path in paths {
        let told = run(&path, cuts, cashiers).await?;
        report(&path, cuts, cashiers, &told);
        tell_all(&path, &told)?;
        if !told.failed.is_empty() || told.lost + told.doubled > 0 {
            return Err(format!("{path}: {:?}", told.failed).into());
        }
    }
    Ok(())
}

fn tell_all(path: &str, told: &Told) -> Fallible<()> {
    for (what, sales) in
        [("failed", told.failed.len()), ("lost", told.lost), ("doubled", told.doubled)]
    {
        tell(&format!("{path}.{what}"), sales as f64, "sales")?;
    }
    let ms = |us: u64| us as f64 / 1e3;
    let usual = ("its usual answer, the median", ms(told.usual_us));
    // In channel-first nearly all of it is the wait for the channel.
    let ceiling = match path {
        "channel-first" => usual,
        _ => ("as many cashiers' bare rows in SQLite, the longest", ms(told.bare_longest_us)),
    };
    tell_beside(&format!("{path}.longest"), ms(told.longest_us()), "ms", ceiling)?;
    for (kind, longest_us) in &told.longest_us {
        let name = format!("{path}.{}", kind.replace(' ', "-"));
        tell_beside(&name, ms(*longest_us), "ms", usual)?;
    }
    Ok(())
}

fn report(path: &str, cuts: usize, cashiers: usize, told: &Told) {
    let bar_ms = match path {
        "channel-first" => OFFLINE_TIMEOUT.as_millis() as u64 + 250,
        _ => 50,
    };
    let longest_us = told.longest_us();
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "write_path": path, "cuts": cuts, "cashiers": cashiers, "sales": told.sales,
            "failed": told.failed.len(), "lost": told.lost, "doubled": told.doubled,
            "longest_us": longest_us, "by_kind_us": told.longest_us,
            "bare_longest_us": told.bare_longest_us })
        );
        return;
    }
    println!(
        "{path}: {cuts} cuts, {cashiers} cashiers, {} sales ({} answered offline)",
        told.sales, told.offline
    );
    println!("failed {}, lost {}, doubled {}", told.failed.len(), told.lost, told.doubled);
    println!("longest pause {:>8.1} ms of at most {bar_ms} ms", longest_us as f64 / 1e3);
    println!("of as many cashiers' bare rows {:>8.1} ms", told.bare_longest_us as f64 / 1e3);
    for (kind, longest_us) in &told.longest_us {
        println!("  {kind:<24} {:>8.1} ms", *longest_us as f64 / 1e3);
    }
}
