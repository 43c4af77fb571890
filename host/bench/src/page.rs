//! docs/speed.md: the table of a record as a page, with how and on what it was measured.

use crate::catalogue::{self, Program, Run};
use crate::plot;
use crate::record::Record;
use crate::report::{HEADS, cells, entries};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;

/// Small sizes are a page of their own: they do not stand beside full ones.
pub fn write(folder: &Path, mut record: Record) -> Result<()> {
    let kept = folder.join("speed.json");
    if !record.is_quick {
        if kept.exists() {
            let earlier = Record::load(&kept)?;
            if !earlier.machine.is_like(&record.machine) {
                bail!(
                    "{} is of another machine: measure all of it here, without that file",
                    kept.display()
                );
            }
            record = record.beside(earlier);
        }
        record.save(&kept)?;
    }
    let all = catalogue::all();
    for (name, text) in
        [("speed.md", page(&all, &record)), ("speed.svg", plot::plot(&all, &record))]
    {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

const HEAD: &str = "\
# How fast it is

Made by `cargo run --release -p tillhold-bench -- --page docs`; nothing on this page is written by hand. Each figure stands beside
its ceiling, which is the best that could be, measured in the same run on the same machine by something that does only what cannot
be left out. `just bench --only NAME --page docs` measures one part again and leaves the others as they are, which is why each line
names its commit; `--json FILE` keeps the figures elsewhere, and `--against FILE` says how each has changed since.

![Each figure beside its ceiling and its bar](speed.svg)

";

const TARGETS: &str = "\
B1 to B10 are the speeds that were asked for before it was built, for a store of 40 registers with 500,000 products, 550,000
barcodes, 2,000,000 prices and 1,000,000 customers (dataset L), on a machine with two cores. The channel, the registers and those
who load them are processes on the same machine and share its cores; the channel is the embedded one.

";

const NOTES: &str = "\
Not measured as it was asked for:

* Dataset L has no tax groups and no discounts here, and eight to twelve columns a table; AX's own tables are wider, and a file of
  theirs is larger than the one of B8.
* B1 with a rule: as many rows of one table, each masked, instead of dataset L through one plugin.
* B4 is asked for a machine at rest; here sixteen tills ask without a pause.
* B10: each register has a twentieth of dataset L.
* A Microsoft SQL Server was never the channel.
";

fn page(runs: &[&Run], record: &Record) -> String {
    let mut told = HEAD.to_string();
    if record.is_quick {
        told += "**Measured with small sizes, to see that everything runs: the bars are not meant for them.**\n\n";
    }
    told += &format!("Measured last on {}.\n\n", record.machine.told());
    told += TARGETS;
    let mut group = "";
    for run in runs {
        if run.group != group {
            group = run.group;
            told += &format!("## {group}\n\n");
            let heads = HEADS.iter().chain(&["commit"]).map(|head| head.to_string());
            told += &line(&heads.collect::<Vec<_>>());
            told += &line(&vec!["---".to_string(); HEADS.len() + 1]);
        }
        for entry in entries(run, record) {
            let commit = entry.figure.map_or(String::new(), |figure| figure.commit.clone());
            told += &line(&[&cells(&entry)[..], &[commit]].concat());
        }
        let is_last = runs.iter().rfind(|other| other.group == group).map(|run| run.name);
        if is_last == Some(run.name) {
            told.push('\n');
        }
    }
    if !record.failures.is_empty() {
        told += "## Failed\n\n";
        for failure in &record.failures {
            told += &format!("* {}: {}\n", failure.run, escaped(&failure.said));
        }
        told.push('\n');
    }
    told += "## How\n\n";
    for run in runs {
        told += &format!("* {}: `{}`\n", run.name, command(run, record.is_quick));
    }
    format!("{told}\n{NOTES}")
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn command(run: &Run, is_quick: bool) -> String {
    let arguments = if is_quick { run.quick } else { run.full };
    let (head, separator) = match run.program {
        Program::Bench(name) => (format!("cargo bench --bench {name}"), " -- "),
        Program::Example { package, name } => {
            (format!("cargo run --release -p {package} --example {name}"), " -- ")
        }
    };
    match arguments {
        [] => head,
        arguments => head + separator + &arguments.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{RUN, record};

    #[test]
    fn a_page_has_the_table_the_machine_and_what_failed() {
        let told = page(&[&RUN], &record());
        for part in [
            "## Selling\n\n|  | what | measured |",
            "| B3 | a sale | 3 ms | 2 ms: bare | 1.50 | ≤ 1.3 times | missed | abc |\n",
            "## Failed\n\n* cuts: no\n",
            "* sale: `cargo bench --bench sale`\n",
            "![",
        ] {
            assert!(told.contains(part), "{part} in:\n{told}");
        }
        assert!(!told.contains("small sizes"));
    }

    #[test]
    fn small_sizes_are_said() {
        assert!(page(&[&RUN], &Record { is_quick: true, ..record() }).contains("small sizes"));
    }
}
