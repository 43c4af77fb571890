//! `tillhold-sim`: runs simulated stores, replays one, cuts a failing one down to what makes it fail.

use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tillhold_sim::apart::{Wanted, run_all};
use tillhold_sim::kept;
use tillhold_sim::plan::Size;
use tillhold_sim::shrink::shrunk;
use tillhold_sim::totals::Totals;
use tillhold_sim::world::run;

/// Registers and their channel in simulated time, under one seed.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run seeds, each in a process of its own; the first that fails is cut down and shown, and ends it
    Run {
        /// The first seed; left out, the clock's
        #[arg(long)]
        from: Option<u64>,
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        seeds: u64,
        #[arg(long, value_enum, default_value_t)]
        size: Size,
        #[command(flatten)]
        manner: Manner,
    },
    /// Run one seed, show what was planned and what happened
    Replay {
        #[command(flatten)]
        one: One,
        /// Every line, while it happens
        #[arg(long)]
        trace: bool,
    },
    /// Cut a failing seed's faults down to those without which it passes
    Shrink(One),
    /// Run the seeds of a file, one at the beginning of each line
    Kept {
        file: PathBuf,
        #[command(flatten)]
        manner: Manner,
    },
    /// One run, for another process that reads it
    #[command(hide = true)]
    One(One),
}

/// One run.
#[derive(Args)]
struct One {
    seed: u64,
    #[arg(long, value_enum, default_value_t)]
    size: Size,
    /// The places of the planned events that are to happen, and no other
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<usize>>,
}

impl From<One> for Wanted {
    fn from(One { seed, size, only }: One) -> Wanted {
        Wanted { seed, size, only }
    }
}

/// How many runs are made.
#[derive(Args)]
struct Manner {
    /// Begin no other seed after so many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// So many at once; left out, one a processor
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after a seed that fails
    #[arg(long)]
    keep_going: bool,
    /// Do not cut the seed that fails down
    #[arg(long)]
    no_shrink: bool,
    /// A line for every seed
    #[arg(long)]
    each: bool,
}

fn main() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("the program does not find itself: {error}");
            return ExitCode::from(2);
        }
    };
    let passed = match Cli::parse().command {
        Command::Run { from, seeds, size, manner } => {
            let from = from.unwrap_or_else(fresh);
            let seeds = from..from.saturating_add(seeds);
            run_many(&program, seeds.map(|seed| Wanted::whole(seed, size)), &manner)
        }
        Command::Replay { one, trace } => replay(&one.into(), trace),
        Command::Shrink(one) => shrink(&program, &one.into()),
        Command::Kept { file, manner } => match read_kept(&file) {
            Ok(runs) => run_many(&program, runs.into_iter(), &manner),
            Err(why) => {
                eprintln!("{}: {why}", file.display());
                return ExitCode::from(2);
            }
        },
        Command::One(one) => return tell(&one.into()),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A seed that nobody has run before, most likely.
#[allow(clippy::disallowed_methods)]
fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}

fn read_kept(file: &Path) -> Result<Vec<Wanted>, String> {
    kept::wanted(&std::fs::read_to_string(file).map_err(|error| error.to_string())?)
}

fn tell(wanted: &Wanted) -> ExitCode {
    match serde_json::to_writer(std::io::stdout(), &run(&wanted.plan(), false)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

#[allow(clippy::disallowed_methods)]
fn run_many(program: &Path, wanted: impl Iterator<Item = Wanted> + Send, manner: &Manner) -> bool {
    let started = Instant::now();
    let limit = manner.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let in_time = |_: &Wanted| limit.is_none_or(|limit| started.elapsed() < limit);
    let jobs = manner.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let mut totals = Totals::default();
    let mut failed = Vec::new();
    run_all(program, jobs.unwrap_or(1), wanted.take_while(in_time), |wanted, outcome| {
        totals.add(&outcome);
        let fails = !outcome.broken.is_empty();
        if fails || manner.each {
            println!("{outcome}");
        }
        if fails {
            failed.push(wanted);
        }
        !fails || manner.keep_going
    });
    failed.sort_by_key(|wanted| wanted.seed);
    if let Some(first) = failed.first().filter(|_| !manner.keep_going && !manner.no_shrink) {
        shrink(program, first);
    }
    println!("{totals}");
    println!("in {:.0} s", started.elapsed().as_secs_f64());
    failed.is_empty()
}

fn replay(wanted: &Wanted, trace: bool) -> bool {
    let plan = wanted.plan();
    for (place, event) in plan.events.iter().enumerate() {
        println!("planned {place:>3}  {event}");
    }
    let outcome = run(&plan, trace);
    if !trace {
        outcome.lines.iter().for_each(|line| println!("{line}"));
    }
    println!("{outcome}");
    outcome.broken.is_empty()
}

fn shrink(program: &Path, wanted: &Wanted) -> bool {
    let Some((few, outcome)) = shrunk(program, wanted) else {
        println!("seed {} passes", wanted.seed);
        return true;
    };
    let (all, few_events) = (wanted.plan().events.len(), few.plan().events);
    println!("seed {} fails with {} of its {all} faults:", few.seed, few_events.len());
    few_events.iter().for_each(|event| println!("  {event}"));
    println!("its last lines:");
    outcome.lines.iter().for_each(|line| println!("  {line}"));
    println!("{outcome}");
    let words = few.words().join(" ");
    println!("to replay: cargo run --release -p tillhold-sim -- replay {words} --trace");
    false
}
