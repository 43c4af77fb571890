//! The first load of dataset L into one register: its time, its memory and the size of its file.
//!
//! `cargo bench --bench large_load [-- --share 1]`
//!
//! ```text
//! channel serve (a process) ──► tillhold provision (a process) ──► catalogue.db
//!                               the rows of catalogue.db ──► one prepared insert a table     ceiling
//! ```

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::ceiling::{Commits, inserted};
use common::figures::{tell, tell_beside};
use common::sales::Tables;
use common::{Fallible, Measured, argument, large};
use serde_json::Value as Json;
use std::fs;

const FREQUENCY_S: u64 = 300;

#[tokio::main]
async fn main() -> Fallible<()> {
    let share = argument("--share").map_or(Ok(1.0), |text| text.parse())?;
    let (parts, tables) = (large::parts(share)?, Tables::new()?);
    let shop = large::shop(&parts, &tables, 1, "", FREQUENCY_S).await?;
    let Measured { account, stdout, .. } = shop.run(&["provision", "--progress", "json"]).await?;
    let (rows, seconds) = provisioned(&stdout)?;
    let peak_mb = account.map_or(f64::NAN, |account| account.peak_bytes as f64 / 1e6);
    let file = shop.path("offline").join("catalogue.db");
    let names: Vec<String> = parts.iter().map(|part| part.table.name.to_string()).collect();
    let bare = inserted(&shop, (&file, "bare.db"), &names, Commits::Once)?;
    if rows < bare.rows || bare.rows != large::rows(&parts) as u64 {
        return Err(format!("{} rows arrived, {rows} were told", bare.rows).into());
    }
    let mb = |file| fs::metadata(file).map(|told| told.len() as f64 / 1e6);
    let (size, bare_size) = (mb(file)?, mb(shop.path("bare.db"))?);
    let rate = rows as f64 / seconds;
    println!("{rows} rows in {seconds:.1} s: {rate:.0} rows/s, at most {peak_mb:.0} MB of memory");
    println!("inserted into SQLite and nothing else: {:.0} rows/s", bare.rate());
    println!("the file: {size:.0} MB, of the bare rows {bare_size:.0} MB");
    tell_beside("rate", rate, "rows/s", ("inserted into SQLite", bare.rate()))?;
    tell_beside("seconds", seconds, "s", ("inserted into SQLite", bare.seconds))?;
    tell("peak", peak_mb, "MB")?;
    Ok(tell_beside("size", size, "MB", ("the bare rows with the same indexes", bare_size))?)
}

/// Rows and seconds, by the provisioning's own last words.
fn provisioned(stdout: &str) -> Fallible<(u64, f64)> {
    let last: Json = serde_json::from_str(stdout.lines().last().unwrap_or_default())?;
    let number = |key: &str| last[key].as_f64().ok_or(format!("no {key} in {last}"));
    Ok((number("applied")? as u64, number("seconds")?))
}
