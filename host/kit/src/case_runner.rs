//! `plugin test`: every case of a folder through the plugin, and what came out held against what is expected.
//!
//! ```text
//! case -> the plugin, with the case's config -> its columns are there? -> twice and in halves through it, alike?
//!      -> expected file, cell by cell (or written anew, when blessed)
//! ```
//! * What the plugin fails at is named: the row or the conflict, with its key.
//! * One case that is broken does not keep the others from their turn.
//! * Runs in the sandbox of production: a case that a register's limits would stop fails here too.

use crate::KitError;
use crate::bisect;
use crate::case::{self, Case, Input};
use crate::conflicts::{read_resolutions, resolutions_text};
use crate::determinism;
use crate::diff::{self, Difference};
use crate::rows::{self, Entry, Format, RowWriter};
use crate::sandbox::{Component, Sandbox};
use crate::schema::Schema;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_plugin::{LogLine, Plugin, PluginError, Role, Verdict};

pub struct Trial<'a> {
    pub sandbox: &'a Sandbox,
    pub component: &'a Component,
    pub schema: &'a Schema,
    /// Write what comes out instead of judging it.
    pub bless: bool,
}

pub struct Ended {
    pub name: String,
    pub end: End,
    /// What the plugin wrote for the operator meanwhile.
    pub said: Vec<LogLine>,
}

pub enum End {
    Passed,
    /// Its expected file was written or changed.
    Blessed,
    Failed(Vec<Difference>),
    /// It could not be judged.
    Broken(KitError),
}

/// What came out of a case.
enum Came {
    Entries(Vec<Entry>),
    Resolutions(Vec<Resolution>),
}

impl Trial<'_> {
    /// `each` is told of every case as it ends.
    pub fn run(&self, cases: &Path, mut each: impl FnMut(&Ended)) -> Result<Vec<Ended>, KitError> {
        let mut all = Vec::new();
        for folder in case::folders(cases)? {
            let end = self.case(&folder).unwrap_or_else(End::Broken);
            let ended = Ended { name: case::name(&folder), end, said: self.sandbox.said() };
            each(&ended);
            all.push(ended);
        }
        Ok(all)
    }

    fn case(&self, folder: &Path) -> Result<End, KitError> {
        let case = Case::read(folder, self.schema)?;
        let came = self.came(&case);
        if let Some(code) = &case.fails {
            return match came {
                Ok(_) => Ok(End::Failed(vec![diff::no_error(code)])),
                Err(error) if error.code() == code => Ok(End::Passed),
                Err(error) => Ok(End::Failed(vec![diff::other_error(code, &error)])),
            };
        }
        match came? {
            Came::Entries(came) => self.entries(&case, came),
            Came::Resolutions(came) => self.resolutions(&case, &came),
        }
    }

    fn came(&self, case: &Case) -> Result<Came, KitError> {
        let plugin = self.sandbox.load(self.component, &case.config)?;
        lacking(&plugin, case)?;
        ruleless(&plugin, case)?;
        // Told once: what a search for the guilty row repeats is not said again.
        let quiet = plugin.heard_by(Arc::new(|_| {}));
        let (context, shape) = (&case.context, &case.shape);
        match &case.input {
            Input::Rows(entries) => {
                let rows: Vec<Row> = entries.iter().map(|entry| entry.row.clone()).collect();
                let ask = |rows: &[Row]| quiet.transform(context, shape, rows).map(|_| ());
                let place = |guilty: Range<usize>| match case.format {
                    Format::Csv => bisect::rows("input.csv", entries, guilty, shape),
                    Format::Json => at("row", guilty, |at| entries[at].row.key(shape), shape),
                };
                let verdicts = determinism::transform(&plugin, context, shape, &rows);
                let verdicts = verdicts.map_err(|error| named(case, error, &rows, ask, place))?;
                Ok(Came::Entries(judged(entries, verdicts)))
            }
            Input::Conflicts(conflicts) => {
                let ask = |some: &[Conflict]| quiet.resolve(context, some).map(|_| ());
                let place = |guilty| at("conflict", guilty, |at| conflicts[at].key.clone(), shape);
                let resolutions = determinism::resolve(&plugin, context, conflicts);
                let resolutions =
                    resolutions.map_err(|error| named(case, error, conflicts, ask, place))?;
                Ok(Came::Resolutions(resolutions))
            }
        }
    }

    fn entries(&self, case: &Case, came: Vec<Entry>) -> Result<End, KitError> {
        let file = case.expected_file();
        if self.bless {
            return bless(&file, &entries_text(&file, case, &came));
        }
        let expected = expected_entries(case)?;
        Ok(ended(diff::entries(&case.shape, &expected, &came)))
    }

    fn resolutions(&self, case: &Case, came: &[Resolution]) -> Result<End, KitError> {
        if self.bless {
            return bless(&case.expected_file(), &resolutions_text(came, &case.shape));
        }
        let expected = read_resolutions(expected_file(case)?, &case.shape)?;
        let Input::Conflicts(conflicts) = &case.input else { return Ok(End::Passed) };
        Ok(ended(diff::resolutions(conflicts, &expected, came)))
    }
}

fn ended(differences: Vec<Difference>) -> End {
    if differences.is_empty() { End::Passed } else { End::Failed(differences) }
}

fn judged(entries: &[Entry], verdicts: Vec<Verdict>) -> Vec<Entry> {
    let one =
        |(entry, verdict): (&Entry, Verdict)| Entry::judged(entry.line, entry.row.clone(), verdict);
    entries.iter().zip(verdicts).map(one).collect()
}

/// What a case expects needs no search, which at a deadline takes its time.
fn named<Q>(
    case: &Case,
    error: KitError,
    asked: &[Q],
    ask: impl Fn(&[Q]) -> Result<(), PluginError>,
    place: impl Fn(Range<usize>) -> String,
) -> KitError {
    match error {
        KitError::Plugin(error) if case.fails.as_deref() != Some(error.code()) => {
            bisect::told(error, asked, ask, place)
        }
        other => other,
    }
}

/// By their numbers, as differences name them.
fn at(what: &str, guilty: Range<usize>, key: impl Fn(usize) -> Key, shape: &Table) -> String {
    match guilty.len() {
        1 => diff::place(what, guilty.start, &key(guilty.start), shape),
        _ => format!("{what}s {} to {}, together", guilty.start + 1, guilty.end),
    }
}

/// A register keeps rows of a table without a rule as they are, so a slip of the pen in its name would pass for a rule.
fn ruleless(plugin: &Plugin, case: &Case) -> Result<(), KitError> {
    let (role, does) = match &case.input {
        Input::Rows(_) => (Role::Transform, "rule"),
        Input::Conflicts(_) => (Role::Resolve, "decision"),
    };
    plugin.check_role(role)?;
    let mut uses = plugin.uses().iter().filter(|used| used.role == role);
    if uses.any(|used| used.table.is_same(&case.shape.name)) {
        return Ok(());
    }
    let reason = format!("{} has no {does} for {}", plugin.name(), case.shape.name);
    Err(KitError::Case { folder: case.folder.clone(), reason })
}

/// What a plugin names and the input does not have is a mistake of the case, not of the plugin.
fn lacking(plugin: &Plugin, case: &Case) -> Result<(), KitError> {
    let Some(lacking) = rows::lacking(plugin, &case.shape)? else { return Ok(()) };
    let reason = format!("its input lacks {lacking}");
    Err(KitError::Case { folder: case.folder.clone(), reason })
}

fn bless(file: &Path, text: &str) -> Result<End, KitError> {
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(End::Passed);
    }
    let unwritten = |cause| KitError::File { path: file.to_path_buf(), done: "written", cause };
    fs::write(file, text).map_err(unwritten)?;
    Ok(End::Blessed)
}

fn entries_text(file: &Path, case: &Case, entries: &[Entry]) -> String {
    let format = case::format_of(file);
    let writer = RowWriter { format, shape: case.shape.clone(), with_verdicts: true };
    let lines: Vec<String> = entries.iter().map(|entry| writer.line(entry)).collect();
    if format == Format::Csv || file.extension().is_some_and(|ending| ending == "jsonl") {
        return writer.header() + &lines.concat();
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn expected_file(case: &Case) -> Result<&Path, KitError> {
    case.expected.as_deref().ok_or_else(|| KitError::Case {
        folder: case.folder.clone(),
        reason: "it has no expected file: look at what comes out with --bless".to_string(),
    })
}

/// With the columns in the input's order.
fn expected_entries(case: &Case) -> Result<Vec<Entry>, KitError> {
    let file = expected_file(case)?;
    let (shape, entries) = case::read_rows(file, case::format_of(file), &case.shape, true)?;
    let Some(places) = places(&case.shape, &shape) else {
        let reason = format!("{} has not all columns of the input", file.display());
        return Err(KitError::Case { folder: case.folder.clone(), reason });
    };
    let ordered = |entry: Entry| {
        let row = Row(places.iter().map(|at| entry.row.0[*at].clone()).collect());
        Entry { row, ..entry }
    };
    Ok(entries.into_iter().map(ordered).collect())
}

fn places(wanted: &Table, found: &Table) -> Option<Vec<usize>> {
    wanted.columns.iter().map(|column| found.position(&column.name)).collect()
}

#[cfg(test)]
mod tests;
