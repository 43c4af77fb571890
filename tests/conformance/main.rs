//! One conformance suite for two servers: the embedded channel, and a SQL Server when one is given.
//!
//! ```text
//! cargo test -p tillhold-channel --test conformance                     all cases, embedded
//! cargo test -p tillhold-channel --test conformance -- upload/          those whose name holds the text
//! UPDATE_EXPECT=1 cargo test -p tillhold-channel --test conformance     rewrites what differs
//! TILLHOLD_SQLSERVER='server,1433;sa;password;' cargo test …            against that server
//! ```
//!
//! * Cases are text files in cases/FOLDER; [`case`] says how they are written, [`world`] what a step can do.
//! * A case that runs elsewhere only is printed with its reason and counted, never passed in silence.
//! * docs/conformance.md says what a green run proves, and what it does not.

mod asking;
mod case;
mod catalogue;
mod generate;
mod place;
mod reading;
mod round_trip;
mod session;
mod values;
mod whole_schema;
mod world;
mod writing;

use case::{Case, Only};
use place::{Ground, Place};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use tillhold_env::Env;
use tokio::runtime::Runtime;
use world::World;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/cases");

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("conformance: {what}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Options are libtest's own, which `cargo test` hands to every test program.
    let filters: Vec<&String> = arguments.iter().filter(|one| !one.starts_with('-')).collect();
    let is_wanted =
        |case: &Case| filters.is_empty() || filters.iter().any(|f| case.name.contains(*f));
    let cases: Vec<Case> = case::all(Path::new(CASES))?.into_iter().filter(is_wanted).collect();
    if arguments.iter().any(|one| one == "--list") {
        cases.iter().for_each(|case| println!("{}: test", case.name));
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let env = Env::real();
    let place = Place::of_environment(&env)?;
    let bench = Bench { runtime, env, place };
    if !cases.is_empty() {
        bench.runtime.block_on(bench.place.begin(&bench.env))?;
    }
    let mut counts = Counts::default();
    for (number, case) in cases.iter().enumerate() {
        let outcome = bench.outcome(number, case);
        counts.add(case, &outcome);
        outcome.print(case);
    }
    if !cases.is_empty() {
        bench.runtime.block_on(bench.place.end(&bench.env))?;
    }
    counts.print(&bench.place);
    Ok(counts.failed() == 0)
}

struct Bench {
    runtime: Runtime,
    env: Env,
    place: Place,
}

enum Outcome {
    Passed { differences: usize },
    Elsewhere { place: &'static str, reason: String },
    Failed(Vec<String>),
    Rewritten,
}

impl Bench {
    fn outcome(&self, number: usize, case: &Case) -> Outcome {
        let is_embedded = self.place.is_embedded();
        match &case.only {
            Only::SqlServer(reason) if is_embedded => {
                return Outcome::Elsewhere { place: "SQL Server", reason: reason.clone() };
            }
            Only::Embedded(reason) if !is_embedded => {
                return Outcome::Elsewhere {
                    place: "the embedded channel",
                    reason: reason.clone(),
                };
            }
            _ => {}
        }
        let played = catch_unwind(AssertUnwindSafe(|| self.played(number, case)));
        // Also after a failure: what was made for the case must not stay.
        let closed = self.runtime.block_on(self.place.close(&self.env, number));
        let answers = match (played, closed) {
            (Ok(Ok(answers)), Ok(())) => answers,
            (Ok(Ok(_)), Err(what)) => return Outcome::Failed(vec![what]),
            (Ok(Err(what)), _) => return Outcome::Failed(vec![what]),
            (Err(_), _) => return Outcome::Failed(vec!["it panicked; see above".to_string()]),
        };
        self.judged(case, &answers)
    }

    /// What each step answered, up to the first that the case's text got wrong.
    fn played(&self, number: usize, case: &Case) -> Result<Vec<String>, String> {
        let ground = self.runtime.block_on(self.place.open(&self.env, number))?;
        self.runtime.block_on(answers(&ground, case))
    }

    fn judged(&self, case: &Case, answers: &[String]) -> Outcome {
        let is_embedded = self.place.is_embedded();
        let differing: Vec<(usize, &String)> = (0..case.steps.len())
            .filter(|at| case.steps[*at].expected_at(is_embedded) != answers[*at])
            .map(|at| (at, &answers[at]))
            .collect();
        if differing.is_empty() {
            let differs = |step: &&case::Step| is_embedded && step.embedded.is_some();
            return Outcome::Passed { differences: case.steps.iter().filter(differs).count() };
        }
        if std::env::var("UPDATE_EXPECT").is_ok_and(|update| update == "1") {
            return rewrite(case, &differing, is_embedded);
        }
        let told = |(at, answer): &(usize, &String)| {
            let step = &case.steps[*at];
            let expected = step.expected_at(is_embedded);
            format!("line {}: == {}\nexpected\n{expected}\ngot\n{answer}", step.line, step.head)
        };
        Outcome::Failed(differing.iter().map(told).collect())
    }
}

async fn answers(ground: &Ground, case: &Case) -> Result<Vec<String>, String> {
    let mut world = World::new(ground);
    let mut answers = Vec::new();
    for step in &case.steps {
        let answer = world.play(step).await;
        answers
            .push(answer.map_err(|what| format!("line {}: == {}: {what}", step.line, step.head))?);
    }
    Ok(answers)
}

fn rewrite(case: &Case, differing: &[(usize, &String)], is_embedded: bool) -> Outcome {
    let at_line = |(at, answer): &(usize, &String)| (case.steps[*at].line, (*answer).clone());
    let answers: Vec<(usize, String)> = differing.iter().map(at_line).collect();
    let text = std::fs::read_to_string(&case.path).map_err(|e| e.to_string());
    let written = text.and_then(|text| {
        let text = case::rewritten(&text, &answers, is_embedded);
        std::fs::write(&case.path, text).map_err(|e| e.to_string())
    });
    match written {
        Ok(()) => Outcome::Rewritten,
        Err(what) => Outcome::Failed(vec![what]),
    }
}

impl Outcome {
    fn print(&self, case: &Case) {
        match self {
            Outcome::Passed { .. } => {}
            Outcome::Rewritten => println!("rewritten: {}", case.name),
            Outcome::Elsewhere { place, reason } => {
                println!("only on {place}: {}: {reason}", case.name);
            }
            Outcome::Failed(what) => {
                println!("FAILED {}\n  {}", case.name, case.path.display());
                what.iter().for_each(|one| println!("{one}\n"));
            }
        }
    }
}

#[derive(Default)]
struct Counts {
    /// Passed and failed, by folder.
    folders: BTreeMap<String, (usize, usize)>,
    elsewhere: usize,
    differences: usize,
}

impl Counts {
    fn add(&mut self, case: &Case, outcome: &Outcome) {
        let folder = case.name.split('/').next().unwrap_or_default().to_string();
        let counted = self.folders.entry(folder).or_default();
        match outcome {
            Outcome::Passed { differences } => {
                counted.0 += 1;
                self.differences += differences;
            }
            Outcome::Elsewhere { .. } => self.elsewhere += 1,
            Outcome::Failed(_) | Outcome::Rewritten => counted.1 += 1,
        }
    }

    fn failed(&self) -> usize {
        self.folders.values().map(|(_, failed)| failed).sum()
    }

    fn print(&self, place: &Place) {
        let of = if place.is_embedded() { "the embedded channel" } else { "SQL Server" };
        let passed: usize = self.folders.values().map(|(passed, _)| passed).sum();
        let folders: Vec<String> =
            self.folders.iter().map(|(name, (passed, _))| format!("{name} {passed}")).collect();
        println!(
            "conformance of {of}: {passed} passed ({}), {} failed, {} run elsewhere only, {} steps differ as documented",
            folders.join(", "),
            self.failed(),
            self.elsewhere,
            self.differences
        );
    }
}
