//! What an agent with five plugins and nothing to do takes: memory, and processor time over a minute.
//!
//! `cargo bench --bench idle_agent [-- --seconds 60] [--json]`
//!
//! * Five components of their own digests, built from the shipped `store-customers`; each is a scope's transformer and
//!   has worked on that scope's first load.
//! * Counted by the kernel (`/proc`): resident now, its peak, and processor time.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::register::Running;
use common::{Fallible, Shop, argument, is_asked, load, table};
use serde_json::json;
use std::fs;
use std::time::Duration;
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_toolchain::{cache_folder, shipped};

const SECONDS: u64 = 60;
const PLUGINS: usize = 5;
const ROWS: i64 = 5_000;
/// The bars.
const MB_MAX: f64 = 60.0;
const CPU_MAX: f64 = 0.01;
/// After the first load, before the count begins.
const REST: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Fallible<()> {
    let seconds = argument("--seconds").map_or(Ok(SECONDS), |text| text.parse())?;
    let names = [
        "ax.CUSTTABLE",
        "ax.RETAILCUSTTABLE",
        "ax.LOGISTICSELECTRONICADDRESS",
        "ax.BENCHPRICE",
        "ax.BENCHITEM",
    ];
    let tables = names.map(customers).into_iter().collect::<Fallible<Vec<Table>>>()?;
    let fill = |engine: &std::sync::Arc<tillhold_standin::Engine>| {
        for table in &tables {
            load(engine, table, &mut (0..ROWS).map(row))?;
        }
        Ok(())
    };
    let shop = Shop::filled(&tables, "download", fill).await?;
    lay_out(&shop, &tables)?;
    // The components are compiled here, once, as on a register that was set up.
    shop.run(&["provision"]).await?;
    let running = Running::online(&shop).await?;
    tokio::time::sleep(REST).await;
    let before = running.account().ok_or("no account of the process: not on Linux?")?;
    let began_us = shop.env.clock.monotonic_us();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = running.account().ok_or("the agent ended")?;
    let spent = (shop.env.clock.monotonic_us() - began_us) as f64 / 1e6;
    let cpu = (after.cpu_seconds - before.cpu_seconds) / spent;
    let mb = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "plugins": PLUGINS, "resident_mb": mb(after.bytes), "peak_mb": mb(after.peak_bytes),
            "cpu_of_one_core": cpu })
        );
    } else {
        println!("an idle agent with {PLUGINS} plugins, over {spent:.0} s");
        println!("resident          {:>7.1} MB of at most {MB_MAX} MB", mb(after.bytes));
        println!("its peak          {:>7.1} MB", mb(after.peak_bytes));
        println!("processor         {:>7.2} % of at most {} %", cpu * 1e2, CPU_MAX * 1e2);
    }
    match mb(after.bytes) <= MB_MAX && cpu <= CPU_MAX {
        true => Ok(()),
        false => Err("a bar is missed".into()),
    }
}

fn customers(name: &str) -> Fallible<Table> {
    let columns = [
        ("ACCOUNTNUM", "nvarchar(20)"),
        ("INVENTLOCATION", "nvarchar(10)"),
        ("RECEIPTEMAIL", "nvarchar(80)"),
        ("TYPE", "int"),
        ("LOCATOR", "nvarchar(255)"),
    ];
    table(name, &columns, &[0])
}

fn row(number: i64) -> Vec<Value> {
    let text = |text: String| Value::Text(text);
    vec![
        text(format!("C{number:07}")),
        text("S1".to_string()),
        text(format!("anna.smith.{number}@example.org")),
        Value::Int(2),
        text(format!("anna.smith.{number}@example.org")),
    ]
}

/// A component, and a scope for it, for each table.
fn lay_out(shop: &Shop, tables: &[Table]) -> Fallible<()> {
    let built = shipped("store-customers", &cache_folder()?, &mut |_| {})?;
    let folder = shop.path("plugins");
    fs::create_dir_all(&folder)?;
    let mut profile = "name = \"Bench\"\n".to_string();
    for (at, table) in tables.iter().enumerate() {
        // A custom section of one byte makes it a component of its own (WebAssembly, section 0).
        let mut component = built.component.clone();
        component.extend([0, 3, 1, b'n', at as u8]);
        fs::write(folder.join(format!("rule-{at}.wasm")), component)?;
        profile += &format!(
            "[[scope]]\nname = \"Scope {at}\"\ndirection = \"download\"\ntables = [\"{}\"]\n\
             transformer = {{ plugin = \"rule-{at}\" }}\n",
            table.name
        );
    }
    shop.profile(|_| profile)
}
