//! What a plugin adds to a first load: the same rows with a transformer that changes each of them, and without.
//!
//! `cargo bench --bench plugin_load [-- --rows 1000000] [--rounds 3]`
//!
//! ```text
//! channel serve (a process) ──► tillhold provision (a process) ──► catalogue.db               ceiling
//! channel serve (a process) ──► tillhold provision, store-customers on each row ──► catalogue.db
//! ```
//!
//! * One after the other, each register new; of several rounds the middle one counts.
//! * The time is the provisioning's own, which begins when the plugin is compiled.
//! * Every row has an e-mail address, which the rule masks.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::customers::COLUMNS;
use common::figures::tell_beside;
use common::fleet::register;
use common::spread::median;
use common::{Fallible, Measured, PROGRAM, Shop, argument, load, measure, table};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::fs;
use std::process::Command;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::value::{Decimal, Value};
use tillhold_toolchain::{cache_folder, shipped};

const ROWS: i64 = 1_000_000;
const TABLE: &str = "ax.RETAILCUSTTABLE";
const RULE: &str = "transformer = { plugin = \"store-customers\" }\n";
#[tokio::main]
async fn main() -> Fallible<()> {
    let number = |name: &str, usual: i64| argument(name).map_or(Ok(usual), |text| text.parse());
    let (rows, rounds) = (number("--rows", ROWS)?, number("--rounds", 3)?);
    let table = table(TABLE, &COLUMNS, &[0])?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        load(engine, &table, &mut (0..rows).map(row)).map(drop)
    };
    let shop = Shop::filled(std::slice::from_ref(&table), "download", fill).await?;
    let built = shipped("store-customers", &cache_folder()?, &mut |_| {})?;
    let plain = fs::read_to_string(shop.path("profile.toml"))?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds as usize {
        shop.profile(|_| plain.clone())?;
        without.push(one(&shop, 2 * round, None, rows).await?);
        shop.profile(|_| format!("{plain}{RULE}"))?;
        with.push(one(&shop, 2 * round + 1, Some(&built.component), rows).await?);
    }
    let (with, without) = (median(with), median(without));
    println!("{rows} rows of {} columns, median of {rounds}", COLUMNS.len());
    println!("without a plugin {without:>8.2} s {:>9.0} rows/s", rows as f64 / without);
    println!("with one         {with:>8.2} s {:>9.0} rows/s", rows as f64 / with);
    println!("{:.2} times", with / without);
    Ok(tell_beside("with", with, "s", ("the same without a plugin", without))?)
}

/// A first load of a new register; it has the rule's mark in every row, or in none.
async fn one(shop: &Shop, at: usize, plugin: Option<&[u8]>, rows: i64) -> Fallible<f64> {
    let folder = register(shop, at, shop.address.port())?;
    if let Some(component) = plugin {
        fs::create_dir_all(folder.join("plugins"))?;
        fs::write(folder.join("plugins/store-customers.wasm"), component)?;
    }
    let mut program = Command::new(PROGRAM);
    program.args(["provision", "--progress", "json", "--config"]).arg(folder.join("register.toml"));
    let Measured { stdout, .. } = measure(&shop.env, program).await?;
    let last: Json = serde_json::from_str(stdout.lines().last().unwrap_or_default())?;
    let file = Connection::open(folder.join("offline/catalogue.db"))?;
    let sql = format!("SELECT count(*) FROM \"{TABLE}\" WHERE RECEIPTEMAIL LIKE 'a***@%'");
    let masked: i64 = file.query_row(&sql, (), |row| row.get(0))?;
    match masked == if plugin.is_some() { rows } else { 0 } {
        true => last["seconds"].as_f64().ok_or(format!("no seconds in {last}").into()),
        false => Err(format!("{masked} of {rows} rows are masked").into()),
    }
}

fn row(number: i64) -> Vec<Value> {
    let text = |text: String| Value::Text(text);
    let nothing = || Value::Int(0);
    let balance = Decimal::new(i128::from(number) * 10i128.pow(12), 16);
    vec![
        Value::Int(5_637_144_576 + number),
        text(format!("C{number:08}")),
        text(String::new()),
        nothing(),
        nothing(),
        text(format!("anna.smith{number}@example.org")),
        Value::Int(2),
        nothing(),
        nothing(),
        Value::Timestamp(Timestamp::new(Date((19_000 + number % 700) as i32), Time(0))),
        text("usrt".to_string()),
        Value::Decimal(balance.expect("an amount of the bench has few digits")),
    ]
}
