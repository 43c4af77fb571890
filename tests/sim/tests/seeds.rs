//! The simulated store in CI: every seed that ever failed, some that always run, minutes of seeds that nobody has run
//! before, and one run twice. Each in a process of its own, as `just sim` has it.

use std::path::Path;
use std::time::{Duration, Instant};
use tillhold_sim::apart::{Wanted, run, run_all};
use tillhold_sim::kept;
use tillhold_sim::plan::Size;
use tillhold_sim::totals::Totals;
use tillhold_sim::world::Outcome;

/// How long fresh seeds are begun; `TILLHOLD_SIM_SECONDS` asks for more.
const FRESH_S: u64 = 20;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tillhold-sim"))
}

fn all_hold(wanted: impl Iterator<Item = Wanted> + Send) -> Totals {
    let (mut totals, mut failed) = (Totals::default(), Vec::new());
    run_all(program(), 2, wanted, |wanted, outcome| {
        totals.add(&outcome);
        if !outcome.broken.is_empty() {
            failed.push(format!(
                "{}{outcome}\nreplay {}",
                last_lines(&outcome),
                wanted.words().join(" ")
            ));
        }
        failed.is_empty()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    println!("{totals}");
    totals
}

fn last_lines(outcome: &Outcome) -> String {
    outcome.lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Small ones: an unoptimised agent takes a hundredth of a second for a sale.
fn short(seed: u64) -> Wanted {
    Wanted::whole(seed, Size::Short)
}

/// As they failed, whole.
#[test]
fn seeds_that_failed_once_hold() {
    let wanted = kept::wanted(include_str!("../kept.txt")).expect("the list of kept seeds");
    let many = wanted.len() as u64;
    assert_eq!(all_hold(wanted.into_iter()).runs, many);
}

#[test]
fn seeds_that_always_run_hold_and_something_goes_wrong_in_them() {
    let totals = all_hold((100..108).map(short));
    assert!(totals.acknowledged > 50, "{totals}");
    assert!(totals.happened.values().sum::<u64>() > 10, "{totals}");
}

/// Not the clock's: a change that fails is to fail again when it is looked at. Each commit has others.
#[test]
#[allow(clippy::disallowed_methods)]
fn seeds_of_this_commit_hold() {
    let of_head = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output();
    let text = of_head.map(|output| output.stdout).unwrap_or_default();
    let seed =
        text.iter().take(12).fold(7, |seed: u64, byte| seed * 31 % 1_000_003 + u64::from(*byte));
    let seconds = std::env::var("TILLHOLD_SIM_SECONDS").ok().and_then(|text| text.parse().ok());
    let (limit, started) = (Duration::from_secs(seconds.unwrap_or(FRESH_S)), Instant::now());
    let from = 1_000_000 + seed * 10_000;
    println!("from {from}");
    let in_time = |_: &Wanted| started.elapsed() < limit;
    assert!(all_hold((from..).map(short).take_while(in_time)).runs > 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let (one, other) = (run(program(), &short(11)), run(program(), &short(11)));
    assert_eq!(one.hash, other.hash, "{}\nand\n{}", last_lines(&one), last_lines(&other));
    assert_ne!(one.hash, run(program(), &short(12)).hash);
}

/// A bug that can no longer be planted is one that nobody looks for.
#[test]
fn every_planted_bug_still_applies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("planted");
    let root = folder.join("../../..");
    let mut patches = 0;
    for entry in std::fs::read_dir(&folder).expect("the planted bugs") {
        let patch = entry.expect("an entry").path();
        if patch.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let mut command = std::process::Command::new("git");
        let output = command.current_dir(&root).args(["apply", "--check"]).arg(&patch).output();
        let output = output.expect("git");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", patch.display());
        patches += 1;
    }
    assert!(patches >= 10, "{patches}");
}
