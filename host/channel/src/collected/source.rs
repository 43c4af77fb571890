//! The crate's own code, read: nothing reaches the channel but through `Ask`, and what makes T-SQL
//! is named in the collection.

use std::path::{Path, PathBuf};

/// The product's part of every file, by its name below `src`.
fn product() -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    assert!(files.len() > 15, "the walk found only {} files", files.len());
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("our own source") {
        let path = entry.expect("a file of ours").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("our names are text");
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            walk(&path, &format!("{name}/"), files);
        } else if !is_test(&name) {
            let text = std::fs::read_to_string(&path).expect("our own source");
            files.push((name, before_tests(&text).to_string()));
        }
    }
}

fn is_test(file: &str) -> bool {
    let first = file.split(['/', '.']).next().unwrap_or_default();
    ["collected", "embedded", "golden", "sample", "scripted"].contains(&first)
        || file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn before_tests(text: &str) -> &str {
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\npub(crate) mod tests"];
    let end = tests.iter().filter_map(|mark| text.find(mark)).min();
    &text[..end.unwrap_or(text.len())]
}

fn is_links(file: &str) -> bool {
    file == "link.rs" || file.starts_with("link/")
}

/// Calls by which the client sends something.
const SENDING: [&str; 6] = [
    ".simple_query(",
    ".query(",
    ".execute(",
    ".bulk_insert",
    "tiberius::Client",
    "tiberius::Query",
];

#[test]
fn nothing_is_sent_but_by_the_link() {
    for (file, text) in product().iter().filter(|(file, _)| !is_links(file)) {
        for call in SENDING {
            assert!(!text.contains(call), "{file} has {call}: let it go through link::Ask");
        }
        assert!(!text.contains("Ask {"), "{file} makes an Ask by hand, past the collection");
    }
}

/// Names that end in `_sql` or `_SQL` at their definition.
fn makers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let after = ["fn ", "const "].iter().find_map(|word| line.split_once(word))?.1;
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        let makes = name.ends_with("_sql") || name.ends_with("_SQL");
        // The client's own names for a parameter's value.
        (makes && !["to_sql", "into_sql"].contains(&name)).then_some(name)
    })
}

#[test]
fn whatever_makes_a_statement_is_named_in_the_collection() {
    let read = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
        std::fs::read_to_string(path).expect("our own source")
    };
    let collection = read("collected.rs") + &read("golden.rs");
    let mut found = 0;
    for (file, text) in product() {
        for name in makers(&text) {
            found += 1;
            assert!(collection.contains(name), "{name} of {file} is not collected");
        }
    }
    assert!(found > 15, "only {found} makers of statements");
}

/// A statement that is written where it is sent would have no name to look for.
#[test]
fn no_statement_is_written_where_it_is_sent() {
    let mut sent = 0;
    for (file, text) in product() {
        let asks = ["Ask::query(", "Ask::kept(", "Ask::batch("];
        for call in asks.iter().flat_map(|ask| text.split(ask).skip(1)) {
            sent += 1;
            let arguments = call.split(',').nth(1).unwrap_or_default().trim_start();
            // The first argument may be a text with a comma in it.
            let is_text = arguments.starts_with(['"', 'r']) || arguments.starts_with("&format!");
            assert!(!is_text, "{file} sends a statement without a name: {arguments}");
        }
    }
    assert!(sent > 15, "only {sent} statements are sent");
}
