//! What an agent with five plugins and nothing to do takes: memory, and processor time over a minute.
//!
//! `cargo bench --bench idle_agent [-- --seconds 60] [--json]`
//!
//! * Five components of their own digests, built from the shipped `store-customers`; each is a scope's transformer and
//!   has worked on that scope's first load.
//! * Counted by the kernel (`/proc`): resident now, its peak, and processor time.
//! * The floor, in the same run: a process that wakes as often and does nothing else. On a virtual machine a change of
//!   threads can cost more than what is done between two of them.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;

use common::figures::{tell, tell_beside};
use common::register::Running;
use common::{Fallible, Shop, argument, is_asked, load, measure, table};
use serde_json::json;
use std::fs;
use std::process::Command;
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

/// The bench's own other process.
const WAKE: &str = "wake";

#[tokio::main]
async fn main() -> Fallible<()> {
    let words: Vec<String> = std::env::args().skip(1).take(3).collect();
    if let [wake, per_second, seconds] = words.as_slice()
        && wake == WAKE
    {
        return wake_only(per_second.parse()?, seconds.parse()?).await;
    }
    let seconds = argument("--seconds").map_or(Ok(SECONDS), |text| text.parse())?;
    let names = [
        "ax.CUSTTABLE",
        "ax.RETAILCUSTTABLE",
        "ax.LOGISTICSELECTRONICADDRESS",
        "ax.BENCHPRICE",
        "ax.BENCHITEM",
    ];
    let tables = names.map(customers).into_iter().collect::<Fallible<Vec<Table>>>()?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
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
    let woken = running.changes_of_threads();
    let began_us = shop.env.clock.monotonic_us();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = running.account().ok_or("the agent ended")?;
    let spent = (shop.env.clock.monotonic_us() - began_us) as f64 / 1e6;
    let cpu = (after.cpu_seconds - before.cpu_seconds) / spent;
    let wakes = (running.changes_of_threads() - woken) as f64 / spent;
    drop(running);
    let floor = floor(&shop, wakes, seconds).await?;
    let mb = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    tell("resident", mb(after.bytes), "MB")?;
    let ceiling = ("a process that only wakes as often", floor * 1e2);
    tell_beside("cpu", cpu * 1e2, "% of a core", ceiling)?;
    if is_asked("--json") {
        println!(
            "{}",
            json!({ "plugins": PLUGINS, "resident_mb": mb(after.bytes), "peak_mb": mb(after.peak_bytes),
            "cpu_of_one_core": cpu, "wakes_per_second": wakes, "floor_of_one_core": floor })
        );
    } else {
        println!("an idle agent with {PLUGINS} plugins, over {spent:.0} s");
        println!("resident          {:>7.1} MB of at most {MB_MAX} MB", mb(after.bytes));
        println!("its peak          {:>7.1} MB", mb(after.peak_bytes));
        println!("processor         {:>7.2} % of at most {} %", cpu * 1e2, CPU_MAX * 1e2);
        println!(
            "a process that only wakes as often, {wakes:.0} times a second: {:.2} %",
            floor * 1e2
        );
    }
    match mb(after.bytes) <= MB_MAX && cpu <= CPU_MAX {
        true => Ok(()),
        false => Err("a bar is missed".into()),
    }
}

/// The share of a core that the machine charges for waking so often.
async fn floor(shop: &Shop, per_second: f64, seconds: u64) -> Fallible<f64> {
    let mut program = Command::new(std::env::current_exe()?);
    program.args([WAKE, &per_second.to_string(), &seconds.to_string()]);
    let measured = measure(&shop.env, program).await?;
    let account = measured.account.ok_or("the process was not seen")?;
    Ok(account.cpu_seconds / measured.seconds)
}

async fn wake_only(per_second: f64, seconds: u64) -> Fallible<()> {
    for _ in 0..(per_second * seconds as f64) as u64 {
        tokio::time::sleep(Duration::from_secs_f64(1.0 / per_second)).await;
    }
    Ok(())
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
