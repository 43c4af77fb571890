//! Measures how fast Tillhold is, each figure beside its ceiling and its bar.
//!
//! ```text
//! catalogue ─► programs (each bench a process) ─► record ─► table | --json | --against | --page
//!              --from FILE: a record of before  ─┘
//! ```
//!
//! * Every figure is told by the bench that measured it, with a ceiling out of the same run; nothing is known here.
//! * stdout is the table, stderr is what the benches print meanwhile.
//! * Exit status 0: everything ran and every bar is met; 1: not, and the last lines say what; 2: it could not be done.

mod catalogue;
mod comparison;
mod figure;
mod machine;
mod page;
mod plot;
mod programs;
mod record;
mod report;

use anyhow::{Result, anyhow};
use catalogue::Run;
use clap::Parser;
use machine::Machine;
use programs::Programs;
use record::Record;
use std::path::PathBuf;
use std::process::ExitCode;
use tillhold_env::Env;

/// Measures how fast Tillhold is, each figure beside its ceiling and its bar.
#[derive(Debug, Parser)]
#[command(name = "tillhold-bench")]
struct Asked {
    /// Only these measurements
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Small sizes: to see that everything runs, not to know how fast
    #[arg(long)]
    quick: bool,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures nothing: takes the figures of such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick"])]
    from: Option<PathBuf>,
    /// Tells how each figure has changed since such a file
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Writes speed.md and speed.svg into this folder, with its speed.json: what was not measured now stays as it was there
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measured(&Asked::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything is as it should be.
fn measured(asked: &Asked) -> Result<bool> {
    let runs = catalogue::chosen(&asked.only).map_err(|said| anyhow!(said))?;
    // Before anything is measured: a file that cannot be read is no reason to wait for.
    let before = asked.against.as_deref().map(Record::load).transpose()?;
    let record = match &asked.from {
        Some(file) => Record::load(file)?,
        None => collected(&runs, asked.quick)?,
    };
    if let Some(file) = &asked.json {
        record.save(file)?;
    }
    print!("{}", report::table(&runs, &record));
    if let Some(before) = &before {
        print!("\n{}", comparison::table(before, &record));
    }
    if let Some(folder) = &asked.page {
        page::write(folder, record.clone())?;
    }
    let troubles = report::troubles(&runs, &record);
    for trouble in &troubles {
        eprintln!("{trouble}");
    }
    Ok(troubles.is_empty())
}

fn collected(runs: &[&Run], is_quick: bool) -> Result<Record> {
    let programs = Programs::build(runs)?;
    let machine = Machine::here(&Env::real());
    let mut record = Record { machine, is_quick, ..Record::default() };
    for (at, run) in runs.iter().enumerate() {
        let arguments = if is_quick { run.quick } else { run.full };
        eprintln!("== {} of {}: {} {}", at + 1, runs.len(), run.name, arguments.join(" "));
        let (mut figures, failure) = programs.run(run, arguments)?;
        figures.iter_mut().for_each(|figure| figure.commit.clone_from(&record.machine.commit));
        if let Some(failure) = &failure {
            eprintln!("failed: {}", failure.said);
        }
        record.figures.extend(figures);
        record.failures.extend(failure);
    }
    Ok(record)
}
