//! A case: a text file with its story, its source, and steps with what each must answer.
//!
//! ```text
//! What is lost without this, in a line or more.
//! Source: where the expectation comes from.
//! Only on SQL Server: reason                    (or: Only embedded: reason)
//!
//! == verb and arguments                         (`== office` is a batch of that session)
//! the step's text
//! -->
//! what it must answer; nothing when the arrow is left out
//! --> embedded: reason
//! what the embedded channel answers instead, a difference that docs/embedded-channel.md lists
//! ```
//!
//! * A case without a source is refused: an expectation that only repeats what a server said proves nothing.
//! * Rewriting keeps everything but the expectations of the steps that answered otherwise.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Case {
    /// `folder/name`.
    pub name: String,
    pub path: PathBuf,
    pub only: Only,
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Only {
    Anywhere,
    SqlServer(String),
    Embedded(String),
}

#[derive(Clone)]
pub struct Step {
    /// What stands behind `== `.
    pub head: String,
    pub line: usize,
    pub body: String,
    pub expected: String,
    /// A known difference of the embedded channel: its reason, and what it answers.
    pub embedded: Option<(String, String)>,
}

/// All cases, by name; what is wrong with a file is said with its path.
pub fn all(root: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for folder in entries(root)? {
        for path in entries(&folder)? {
            let name = |path: &Path| path.file_stem().map(|n| n.to_string_lossy().into_owned());
            let (Some(folder), Some(file)) = (name(&folder), name(&path)) else { continue };
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let case = parse(&format!("{folder}/{file}"), path.clone(), &text);
            cases.push(case.map_err(|what| format!("{}: {what}", path.display()))?);
        }
    }
    Ok(cases)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

pub fn parse(name: &str, path: PathBuf, text: &str) -> Result<Case, String> {
    let mut only = Only::Anywhere;
    let mut is_justified = false;
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("== ") {
            steps.push(Step::new(head, number + 1));
        } else if let Some(step) = steps.last_mut() {
            step.add(line);
        } else if let Some(reason) = line.strip_prefix("Only on SQL Server: ") {
            only = Only::SqlServer(reason.to_string());
        } else if let Some(reason) = line.strip_prefix("Only embedded: ") {
            only = Only::Embedded(reason.to_string());
        } else if line.strip_prefix("Source: ").is_some_and(|source| !source.trim().is_empty()) {
            is_justified = true;
        }
    }
    if !is_justified {
        return Err("has no \"Source: \" line above its first step".to_string());
    }
    if steps.is_empty() {
        return Err("has no step".to_string());
    }
    for step in &mut steps {
        step.trim();
    }
    Ok(Case { name: name.to_string(), path, only, steps })
}

impl Step {
    fn new(head: &str, line: usize) -> Step {
        let (head, body) = (head.trim().to_string(), String::new());
        Step { head, line, body, expected: String::new(), embedded: None }
    }

    fn add(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("--> embedded: ") {
            self.embedded = Some((reason.to_string(), String::new()));
        } else if line == "-->" {
            // Marks the part as begun, even where nothing follows.
            self.expected.push('\n');
        } else if let Some((_, text)) = &mut self.embedded {
            push_line(text, line);
        } else if !self.expected.is_empty() {
            push_line(&mut self.expected, line);
        } else {
            push_line(&mut self.body, line);
        }
    }

    fn trim(&mut self) {
        self.body = self.body.trim_end().to_string();
        self.expected = self.expected.trim_matches('\n').to_string();
        if let Some((_, text)) = &mut self.embedded {
            *text = text.trim_matches('\n').to_string();
        }
    }

    /// What must be answered there.
    pub fn expected_at(&self, is_embedded: bool) -> &str {
        match &self.embedded {
            Some((_, text)) if is_embedded => text,
            _ => &self.expected,
        }
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The file with what was answered in the place of what was expected.
pub fn rewritten(text: &str, answers: &[(usize, String)], is_embedded: bool) -> String {
    let mut out = String::new();
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("== ")).collect();
    let first = starts.first().copied().unwrap_or(lines.len());
    lines[..first].iter().for_each(|line| push_line(&mut out, line));
    for (order, start) in starts.iter().enumerate() {
        let end = starts.get(order + 1).copied().unwrap_or(lines.len());
        let step = &lines[*start..end];
        match answers.iter().find(|(line, _)| *line == start + 1) {
            Some((_, answer)) => push_answered(&mut out, step, answer, is_embedded),
            None => step.iter().for_each(|line| push_line(&mut out, line)),
        }
    }
    format!("{}\n", out.trim_end())
}

fn push_answered(out: &mut String, step: &[&str], answer: &str, is_embedded: bool) {
    let difference = step.iter().position(|line| line.starts_with("--> embedded: "));
    let in_difference = difference.filter(|_| is_embedded);
    let arrow = || step.iter().position(|line| *line == "-->").unwrap_or(step.len());
    let keeps = in_difference.map_or_else(arrow, |at| at + 1);
    push_line(out, step[..keeps].join("\n").trim_end());
    if !answer.is_empty() {
        if in_difference.is_none() {
            push_line(out, "-->");
        }
        push_line(out, answer);
    }
    if let (Some(at), false) = (difference, is_embedded) {
        push_line(out, step[at..].join("\n").trim_end());
    }
    out.push('\n');
}
