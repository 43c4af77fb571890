//! The house rules that a program can check: which crate may name which, and how a file looks.
//!
//! * Every offence of a rule is listed at once, with file and line.
//! * Each rule is shown to fail on a text made for it; a rule that cannot fail is no rule.
//! * Generated files are not held to how people write.

mod arrows;
mod codes;
mod source;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Folders that hold nothing that a person wrote.
const NOT_OURS: [&str; 4] = ["target", ".git", "node_modules", "generated"];

/// A rule broken at a place.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

#[test]
fn crates_name_only_whom_they_may() {
    assert_none(arrows::offences(&manifests()));
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    assert_none(text::dependencies_without_reason("Cargo.toml", &read(&root().join("Cargo.toml"))));
}

#[test]
fn rust_files_keep_the_house_style() {
    let files = files_ending(&[".rs"]);
    assert!(files.len() > 50, "the walk found only {} files", files.len());
    let offences = files.iter().flat_map(|(name, text)| {
        let mut found = text::offences(name, text);
        found.extend(source::offences(name, text));
        found
    });
    assert_none(offences.collect());
    for (name, lines) in long(&files) {
        println!("{name} has {lines} lines: is it two nouns?");
    }
}

#[test]
fn every_error_code_is_explained() {
    let files = files_ending(&[".rs"]).into_iter();
    let product = files.filter(|(name, _)| name.starts_with("host/") && name.contains("/src/"));
    let product: Vec<(String, String)> = product.collect();
    assert_none(codes::offences(&product, &read(&root().join("docs/errors.md"))));
}

#[test]
fn nothing_is_left_for_later() {
    let files = files_ending(&[".rs", ".toml", ".wit", ".sql", ".md", "justfile", ".ci/run"]);
    let offences = files.iter().flat_map(|(name, text)| text::left_for_later(name, text));
    assert_none(offences.collect());
}

fn assert_none(offences: Vec<Offence>) {
    let lines: Vec<String> = offences.iter().map(Offence::to_string).collect();
    assert!(lines.is_empty(), "{} offences:\n{}", lines.len(), lines.join("\n"));
}

fn long(files: &[(String, String)]) -> impl Iterator<Item = (&str, usize)> {
    let counted = files.iter().map(|(name, text)| (name.as_str(), text.lines().count()));
    counted.filter(|(_, lines)| *lines > text::LINES_ASKED)
}

fn root() -> PathBuf {
    PathBuf::from(ROOT).canonicalize().expect("the repository is around its package")
}

/// The manifests of the crates of the house, by their folders.
fn manifests() -> Vec<(String, toml::Table)> {
    let files = files_ending(&["Cargo.toml"]);
    let parse = |(name, text): (String, String)| {
        let folder = name.strip_suffix("/Cargo.toml")?.to_owned();
        Some((folder, text.parse().expect("cargo has read it before us")))
    };
    files.into_iter().filter_map(parse).collect()
}

/// Name from the root on, with forward slashes, and text.
pub(crate) fn files_ending(endings: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root(), "", &mut |name, path| {
        if endings.iter().any(|ending| name.ends_with(ending)) {
            files.push((name.to_owned(), read(path)));
        }
    });
    files.sort();
    files
}

fn walk(folder: &Path, prefix: &str, found: &mut dyn FnMut(&str, &Path)) {
    for entry in fs::read_dir(folder).expect("a folder of ours is readable") {
        let entry = entry.expect("its entries are readable");
        let name = entry.file_name().into_string().expect("our names are text");
        let path = entry.path();
        if path.is_file() {
            found(&format!("{prefix}{name}"), &path);
        } else if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            walk(&path, &format!("{prefix}{name}/"), found);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
