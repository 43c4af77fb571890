//! `tillhold-sim`: runs simulated stores, replays one, cuts a failing one down.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tillhold_sim::plan::Plan;
use tillhold_sim::world::{Outcome, run};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run seeds one after another
    Run {
        #[arg(long, default_value_t = 1)]
        from: u64,
        #[arg(long, default_value_t = 20)]
        seeds: u64,
    },
    /// Run one seed and show what happened
    Replay {
        seed: u64,
        /// Every line of it
        #[arg(long)]
        trace: bool,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { from, seeds } => {
            let mut bad = 0;
            for seed in from..from + seeds {
                let outcome = run(&Plan::drawn(seed), false);
                println!("{}", told(&outcome));
                bad += u64::from(!outcome.broken.is_empty());
            }
            if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Command::Replay { seed, trace } => {
            let plan = Plan::drawn(seed);
            for event in &plan.events {
                println!("planned {event}");
            }
            let outcome = run(&plan, trace);
            for line in &outcome.lines {
                println!("{line}");
            }
            println!("{}", told(&outcome));
            if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
    }
}

fn told(outcome: &Outcome) -> String {
    let Outcome { seed, acknowledged, starts, simulated_ms, hash, happened, .. } = outcome;
    let mut text = format!(
        "seed {seed}: {acknowledged} sales, {starts} starts, {} s, longest {} ms, {happened:?}, {hash:016x}",
        simulated_ms / 1000, outcome.longest_sale_ms
    );
    for broken in &outcome.broken {
        text += &format!("\n  BROKEN {broken}");
    }
    text
}
