//! What registers cost their channel with nothing to do: round trips, bytes and processor time a register and minute.
//!
//! `cargo bench --bench channel_idle [-- --registers 30] [--seconds 60] [--json]`
//!
//! ```text
//! tillhold run (N processes) ──► relay, which counts ──► channel serve (a process)
//! ```
//!
//! * Every register is online and has loaded its table before the count begins; logins do not count.
//! * A round trip is one statement or batch. The profile is the default one but for a scope's frequency, which is
//!   short enough to be met several times in the time that is measured.

#[allow(dead_code, reason = "each bench takes what it needs")]
mod common;
#[path = "common/relay.rs"]
#[allow(dead_code, reason = "each bench takes what it needs")]
mod relay;

use common::figures;
use common::fleet::{online, register};
use common::{Fallible, Shop, argument, is_asked, load, table};
use relay::{Relay, Total};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tillhold_core::value::Value;

const REGISTERS: [usize; 3] = [1, 10, 30];
const SECONDS: u64 = 60;
/// Of the one scope; 300 is the default, which a minute would not meet.
const FREQUENCY_S: u64 = 15;

#[tokio::main]
async fn main() -> Fallible<()> {
    let seconds = argument("--seconds").map_or(Ok(SECONDS), |text| text.parse())?;
    let counts = match argument("--registers") {
        Some(count) => vec![count.parse()?],
        None => REGISTERS.to_vec(),
    };
    let mut figures = Vec::new();
    for registers in counts {
        figures.push(measure(registers, seconds).await?);
    }
    report(&figures);
    tell(&figures)
}

struct Figure {
    registers: usize,
    minutes: f64,
    spent: Total,
    channel_cpu_seconds: Option<f64>,
}

async fn measure(registers: usize, seconds: u64) -> Fallible<Figure> {
    let table = table("ax.BENCHPRICE", &[("PRICEID", "int"), ("AMOUNT", "int")], &[0])?;
    let fill = |engine: &std::sync::Arc<tillhold_embedded::Engine>| {
        let row = |at| vec![Value::Int(at), Value::Int(at)];
        load(engine, &table, &mut (0..1_000).map(row)).map(|_| ())
    };
    let shop = Shop::filled(std::slice::from_ref(&table), "download", fill).await?;
    let relay = Relay::start(&shop.env, shop.address).await?;
    shop.profile(|text| format!("{text}frequency_s = {FREQUENCY_S}\n[size]\nreserve_mb = 0\n"))?;
    let port = relay.address.port();
    let folders: Fallible<Vec<PathBuf>> =
        (0..registers).map(|at| register(&shop, at, port)).collect();
    let _fleet = online(&shop, &folders?).await?;
    let (before, cpu) = (relay.total(), shop.channel_cpu());
    let started_us = shop.env.clock.monotonic_us();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let minutes = (shop.env.clock.monotonic_us() - started_us) as f64 / 60e6;
    Ok(Figure {
        registers,
        minutes,
        spent: relay.total() - before,
        channel_cpu_seconds: cpu.zip(shop.channel_cpu()).map(|(from, to)| to - from),
    })
}

fn tell(told: &[Figure]) -> Fallible<()> {
    for f in told {
        let name = |what: &str| format!("registers-{}.{what}", f.registers);
        let (trips, cpu) = (f.spent.round_trips as f64, f.channel_cpu_seconds.unwrap_or(f64::NAN));
        let each = |spent: f64| spent / f.registers as f64 / f.minutes;
        figures::tell(&name("round_trips"), each(trips), "a minute")?;
        figures::tell(&name("channel_cpu"), each(cpu * 1e3), "ms a minute")?;
    }
    Ok(())
}

fn report(figures: &[Figure]) {
    if !is_asked("--json") {
        println!("a register and minute, with one scope every {FREQUENCY_S} s:");
        println!(
            "{:>9} {:>11} {:>9} {:>10} {:>14} {:>14}",
            "registers",
            "round trips",
            "bytes up",
            "bytes down",
            "channel CPU ms",
            "CPU of one core"
        );
    }
    for f in figures {
        let each = |spent: f64| spent / f.registers as f64 / f.minutes;
        let (trips, up, down) =
            (f.spent.round_trips as f64, f.spent.up as f64, f.spent.down as f64);
        let cpu = f.channel_cpu_seconds.unwrap_or(f64::NAN);
        if is_asked("--json") {
            println!(
                "{}",
                json!({ "registers": f.registers, "round_trips": each(trips), "bytes_up": each(up),
                "bytes_down": each(down), "channel_cpu_ms": each(cpu * 1e3) })
            );
            continue;
        }
        println!(
            "{:>9} {:>11.1} {:>9.0} {:>10.0} {:>14.1} {:>13.2} %",
            f.registers,
            each(trips),
            each(up),
            each(down),
            each(cpu * 1e3),
            cpu / f.minutes / 60.0 * 100.0
        );
    }
}
