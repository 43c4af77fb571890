//! `tillhold-sim`: runs simulated stores, replays one, cuts a failing one down to what makes it fail.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tillhold_sim::plan::Plan;
use tillhold_sim::shrink::shrunk;
use tillhold_sim::totals::Totals;
use tillhold_sim::world::{Outcome, run};

/// Registers and their channel in simulated time, under one seed.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run seeds one after another; the first that fails is cut down and shown, and ends it
    Run {
        /// The first seed; left out, the clock's
        #[arg(long)]
        from: Option<u64>,
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        seeds: u64,
        /// Begin no other seed after so many minutes
        #[arg(long)]
        minutes: Option<u64>,
        /// Go on after a seed that fails
        #[arg(long)]
        keep_going: bool,
        /// Do not cut the seed that fails down
        #[arg(long)]
        no_shrink: bool,
        /// A line for every seed
        #[arg(long)]
        each: bool,
    },
    /// Run one seed, show what was planned and what happened
    Replay {
        seed: u64,
        /// Every line, while it happens
        #[arg(long)]
        trace: bool,
    },
    /// Cut a failing seed's faults down to those without which it passes
    Shrink { seed: u64 },
    /// Run the seeds of a file, one at the beginning of each line
    Kept { file: PathBuf },
}

fn main() -> ExitCode {
    let passed = match Cli::parse().command {
        Command::Run { from, seeds, minutes, keep_going, no_shrink, each } => {
            let from = from.unwrap_or_else(fresh);
            let limit = minutes.map(|minutes| Duration::from_secs(minutes * 60));
            let manner = Manner { limit, keep_going, shrinks: !no_shrink, each };
            run_many(from..from.saturating_add(seeds), &manner)
        }
        Command::Replay { seed, trace } => replay(seed, trace),
        Command::Shrink { seed } => shrink(seed),
        Command::Kept { file } => match std::fs::read_to_string(&file) {
            Ok(text) => {
                let seed = |line: &str| line.split_whitespace().next()?.parse().ok();
                let manner = Manner { limit: None, keep_going: true, shrinks: false, each: true };
                run_many(text.lines().filter_map(seed), &manner)
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                false
            }
        },
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A seed that nobody has run before, most likely.
#[allow(clippy::disallowed_methods)]
fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}

/// How many seeds are run.
struct Manner {
    limit: Option<Duration>,
    keep_going: bool,
    shrinks: bool,
    each: bool,
}

#[allow(clippy::disallowed_methods)]
fn run_many(seeds: impl Iterator<Item = u64>, manner: &Manner) -> bool {
    let started = Instant::now();
    let mut totals = Totals::default();
    for seed in seeds {
        if manner.limit.is_some_and(|limit| started.elapsed() >= limit) {
            break;
        }
        let outcome = run(&Plan::drawn(seed), false);
        totals.add(&outcome);
        let failed = !outcome.broken.is_empty();
        if failed || manner.each {
            println!("{outcome}");
        }
        if failed && !manner.keep_going {
            if manner.shrinks {
                shrink(seed);
            }
            break;
        }
    }
    println!("{totals}");
    println!("in {:.0} s", started.elapsed().as_secs_f64());
    totals.failed == 0
}

fn replay(seed: u64, trace: bool) -> bool {
    let plan = Plan::drawn(seed);
    for event in &plan.events {
        println!("planned {event}");
    }
    let outcome = run(&plan, trace);
    if !trace {
        outcome.lines.iter().for_each(|line| println!("{line}"));
    }
    println!("{outcome}");
    outcome.broken.is_empty()
}

fn shrink(seed: u64) -> bool {
    let plan = Plan::drawn(seed);
    let (few, outcome): (Plan, Outcome) = match shrunk(&plan) {
        Some(found) => found,
        None => {
            println!("seed {seed} passes");
            return true;
        }
    };
    println!("seed {seed} fails with {} of its {} faults:", few.events.len(), plan.events.len());
    few.events.iter().for_each(|event| println!("  {event}"));
    println!("its last lines:");
    outcome.lines.iter().for_each(|line| println!("  {line}"));
    println!("{outcome}");
    println!("to replay: cargo run --release -p tillhold-sim -- replay {seed} --trace");
    false
}
