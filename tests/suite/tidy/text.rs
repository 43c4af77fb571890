//! Rules that plain lines show.

use super::Offence;

/// Past it a file is asked whether it is two nouns; past the limit it is.
pub(super) const LINES_ASKED: usize = 400;
const LINES_MAX: usize = 600;
/// In two parts, so that this file does not find itself.
const LATER: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn offences(file: &str, text: &str) -> Vec<Offence> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if !text.starts_with("//! ") {
        found.push(offence(file, 1, "does not open with what it is (//!)"));
    }
    if lines > LINES_MAX {
        found.push(offence(file, LINES_MAX, &format!("has {lines} lines, {LINES_MAX} at most")));
    }
    found
}

pub(super) fn left_for_later(file: &str, text: &str) -> Vec<Offence> {
    let lines = text.lines().enumerate();
    let left = lines.filter_map(|(number, line)| {
        let word = LATER.iter().find(|word| words(line).any(|found| found == **word))?;
        Some(offence(file, number + 1, &format!("{word}: do it, or write an issue")))
    });
    left.collect()
}

/// Each dependency of the workspace stands directly below a comment; our own crates stand together below one.
pub(super) fn dependencies_without_reason(file: &str, text: &str) -> Vec<Offence> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut above = "";
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside
            && is_entry(line)
            && !line.starts_with("tillhold")
            && !above.starts_with('#')
        {
            found.push(offence(file, number + 1, &format!("no reason above it: {line}")));
        }
        above = line;
    }
    found
}

fn is_entry(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_lowercase())
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

fn offence(file: &str, line: usize, what: &str) -> Offence {
    Offence { file: file.to_owned(), line, what: what.to_owned() }
}

#[test]
fn each_broken_rule_is_found() {
    let long = format!("//! A file.\n{}", "fn one() {}\n".repeat(LINES_MAX));
    let lines = |found: Vec<Offence>| found.iter().map(|one| one.line).collect::<Vec<_>>();
    assert_eq!(lines(offences("a.rs", "fn main() {}\n")), [1]);
    assert_eq!(lines(offences("a.rs", &long)), [LINES_MAX]);
    assert_eq!(lines(offences("a.rs", "//! What it is.\n")), [0; 0]);
    let later = format!("one\n// {}: two\nthe_{}_of\n", LATER[0], LATER[1]);
    assert_eq!(lines(left_for_later("a.rs", &later)), [2]);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let manifest = "[package]\nname = \"x\"\n[workspace.dependencies]\n# Ours.\ntillhold-core = {}\n\
                    tillhold-env = {}\n\n# Says why.\ntokio = \"1\"\nserde = \"1\"\n[profile.dev]\ndebug = 1\n";
    let found = dependencies_without_reason("Cargo.toml", manifest);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].line, found[0].what.as_str()), (10, "no reason above it: serde = \"1\""));
}
