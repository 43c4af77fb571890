//! The benches as programs: built once, each run in a process of its own, their figures collected.

use crate::catalogue::{Program, Run};
use crate::figure::Figure;
use crate::record::Failure;
use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The package of the benches.
const AGENT: &str = "tillhold";
/// Names the file to whose end a bench writes its figures.
const FIGURES: &str = "TILLHOLD_FIGURES";

pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Builds what these runs need.
    pub fn build(runs: &[&Run]) -> Result<Programs> {
        let mut found = BTreeMap::new();
        let benches = runs.iter().filter_map(|run| match run.program {
            Program::Bench(name) => Some(["--bench", name]),
            Program::Example { .. } => None,
        });
        let benches: BTreeSet<[&str; 2]> = benches.collect();
        if !benches.is_empty() {
            let benches: Vec<&str> = benches.iter().flatten().copied().collect();
            found.extend(built(
                &[&["bench", "--no-run", "--package", AGENT], &benches[..]].concat(),
            )?);
        }
        for run in runs {
            if let Program::Example { package, name } = run.program {
                // The agent is named too, so that what both need is built once, with the same features.
                let command = ["build", "--release", "--package", AGENT, "--package", package];
                found.extend(built(&[&command[..], &["--example", name]].concat())?);
            }
        }
        Ok(Programs(found))
    }

    /// Runs one; what it prints goes where ours does not: stdout is data.
    pub fn run(&self, run: &Run, arguments: &[&str]) -> Result<(Vec<Figure>, Option<Failure>)> {
        let program = self.0.get(run.program.name());
        let program = program.with_context(|| format!("{} was not built", run.program.name()))?;
        let file = std::env::temp_dir().join(format!("tillhold-figures-{}", std::process::id()));
        // One of an earlier run's would be counted again.
        let _ = fs::remove_file(&file);
        let mut command = Command::new(program);
        command.args(arguments).env(FIGURES, &file).current_dir(Path::new(ROOT).join("host/agent"));
        let output = command.stdin(Stdio::null()).output()?;
        let told = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(&file);
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
        let failure = (!output.status.success()).then(|| Failure {
            run: run.name.to_string(),
            said: match last_words(&String::from_utf8_lossy(&output.stderr)) {
                words if words.is_empty() => output.status.to_string(),
                words => words,
            },
        });
        Ok((figures(run.name, &told), failure))
    }
}

/// The executables that cargo says it built, by the names of their targets.
fn built(command: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(cargo);
    cargo.args(command).args(["--message-format", "json-render-diagnostics"]).current_dir(ROOT);
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{cargo:?} ended with {}", output.status);
    }
    let told = String::from_utf8(output.stdout)?;
    Ok(told.lines().filter_map(|line| executable(&serde_json::from_str(line).ok()?)).collect())
}

fn executable(message: &Json) -> Option<(String, PathBuf)> {
    let path = message["executable"].as_str()?;
    Some((message["target"]["name"].as_str()?.to_string(), PathBuf::from(path)))
}

fn figures(run: &str, told: &str) -> Vec<Figure> {
    let read = |line: &str| {
        let mut figure = Figure::read(&serde_json::from_str(line).ok()?)?;
        figure.name = format!("{run}.{}", figure.name);
        Some(figure)
    };
    told.lines().filter_map(read).collect()
}

/// A program's error is its last line; cargo's own words may stand before it.
fn last_words(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn executables_are_found_by_their_targets() {
        let bench = json!({ "reason": "compiler-artifact", "target": { "name": "sale" }, "executable": "/t/sale-1" });
        assert_eq!(executable(&bench), Some(("sale".to_string(), PathBuf::from("/t/sale-1"))));
        let library =
            json!({ "reason": "compiler-artifact", "target": { "name": "x" }, "executable": null });
        assert_eq!(executable(&library), None);
    }

    #[test]
    fn figures_have_their_runs_name_in_front() {
        let told = "{\"name\":\"p50\",\"value\":1.5,\"unit\":\"ms\"}\nnoise\n{\"name\":\"x\",\"value\":null,\"unit\":\"s\"}\n";
        let names: Vec<String> = figures("sale", told).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["sale.p50"]);
    }

    #[test]
    fn last_words_are_the_last() {
        assert_eq!(last_words("a\nb\n\nc\nd\n"), "b / c / d");
        assert_eq!(last_words(""), "");
    }
}
