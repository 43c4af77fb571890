//! Who may name whom.
//!
//! ```text
//! agent -> { channel, local, plugin, embedded, toolchain, client, kit, demo } -> { core, env, vfs }
//! ```
//! channel, local and plugin never name each other; a guest never names the host. Dev-dependencies may reach
//! further, to the embedded channel and the toolchain, because a test may use what the product's arrows forbid.

use super::Offence;
use toml::Table;

/// A crate's folder and the crates of ours that it may name.
const ARROWS: [(&str, &[&str]); 29] = [
    ("host/core", &[]),
    ("host/env", &[]),
    ("host/vfs", &[]),
    ("host/channel", PURE),
    ("host/local", FILES),
    ("host/plugin", PURE),
    ("host/embedded", FILES),
    ("host/toolchain", PURE),
    ("host/client", PURE),
    ("host/kit", KIT),
    ("host/demo", DEMO),
    ("host/agent", &["tillhold-*"]),
    // It runs the measurements as programs and names none of what they measure.
    ("host/bench", &["tillhold-env"]),
    ("tests/sim", HARM),
    ("tests/harm", HARM),
    ("tests/fuzz", &["tillhold-harm"]),
    ("guest/sdk", &[]),
    ("guest/store-customers", &["tillhold-sdk"]),
    ("guest/customer-merge", &["tillhold-sdk"]),
    ("guest/hostile", &["tillhold-sdk"]),
    ("guest/templates/rust", &["tillhold-sdk"]),
    ("guest/cookbook/personal-data", &["tillhold-sdk"]),
    ("guest/cookbook/price-zones", &["tillhold-sdk"]),
    ("guest/cookbook/price-rounding", &["tillhold-sdk"]),
    ("guest/cookbook/price-units", &["tillhold-sdk"]),
    ("guest/cookbook/languages", &["tillhold-sdk"]),
    ("guest/cookbook/loyalty-delta", &["tillhold-sdk"]),
    ("guest/cookbook/newest-by-shift", &["tillhold-sdk"]),
    ("guest/cookbook/keep-both", &["tillhold-sdk"]),
];
const PURE: &[&str] = &["tillhold-core", "tillhold-env"];
/// They keep SQLite files.
const FILES: &[&str] = &["tillhold-core", "tillhold-env", "tillhold-vfs"];
/// The demonstration starts the embedded channel, has the carried plugins built, and talks to the agent as a point of sale
/// does: through the front door.
const DEMO: &[&str] = &[
    "tillhold-core",
    "tillhold-env",
    "tillhold-client",
    "tillhold-embedded",
    "tillhold-toolchain",
    "tillhold-kit",
];
/// The author's kit runs plugins where there is neither a database nor an agent.
const KIT: &[&str] = &["tillhold-core", "tillhold-env", "tillhold-plugin", "tillhold-toolchain"];
/// They send input to everything that takes some, and run everything in a world of their own.
const HARM: &[&str] = &["tillhold", "tillhold-*"];
const TEST_ONLY: [&str; 2] = ["tillhold-embedded", "tillhold-toolchain"];

/// A big outside library and the folders whose product code may name it.
const OWNED: [(&str, &[&str]); 7] = [
    ("tiberius", &["host/channel"]),
    // The demonstration verifies both databases from outside, with its own few lines of SQL.
    ("rusqlite", &["host/local", "host/embedded", "host/vfs", "host/demo", "tests/sim"]),
    ("wasmtime", &["host/plugin"]),
    ("sqlparser", &["host/embedded"]),
    ("axum", &["host/agent"]),
    ("clap", &["host/agent", "host/bench", "tests/sim"]),
    // The door's connections have times and bounds for which axum has no setting.
    ("hyper", &["host/client", "host/agent"]),
];

pub(super) fn offences(manifests: &[(String, Table)]) -> Vec<Offence> {
    let mut found = Vec::new();
    for (folder, manifest) in manifests {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == folder) else {
            found.push(offence(folder, "is in no list of tests/suite/tidy/arrows.rs"));
            continue;
        };
        for name in names(manifest, &["dependencies", "build-dependencies"]) {
            found.extend(check(folder, allowed, &name).map(|what| offence(folder, &what)));
        }
        for name in names(manifest, &["dev-dependencies"]) {
            found.extend(check_test(folder, allowed, &name).map(|what| offence(folder, &what)));
        }
    }
    found
}

fn offence(folder: &str, what: &str) -> Offence {
    Offence { file: format!("{folder}/Cargo.toml"), line: 1, what: what.to_owned() }
}

fn check(folder: &str, allowed: &[&str], name: &str) -> Option<String> {
    if is_ours(name) {
        return (!may(allowed, name)).then(|| format!("may not name {name}"));
    }
    let (_, owners) = OWNED.iter().find(|(library, _)| *library == name)?;
    (!owners.contains(&folder)).then(|| format!("{name} is named by {} only", owners.join(", ")))
}

fn check_test(folder: &str, allowed: &[&str], name: &str) -> Option<String> {
    let in_host = folder.starts_with("host/") && !allowed.is_empty();
    let fine = !is_ours(name) || may(allowed, name) || in_host && TEST_ONLY.contains(&name);
    (!fine).then(|| format!("may not name {name}, not even in its tests"))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("tillhold")
}

fn may(allowed: &[&str], name: &str) -> bool {
    allowed.contains(&name) || allowed.contains(&"tillhold-*") && name != "tillhold-sdk"
}

/// Of the tables of these names, also those below `target.'...'`.
fn names(manifest: &Table, tables: &[&str]) -> Vec<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let targets = targets.into_iter().flatten().filter_map(|(_, table)| table.as_table());
    let levels = std::iter::once(manifest).chain(targets);
    let lists = levels.flat_map(|level| tables.iter().filter_map(|name| level.get(*name)));
    lists.filter_map(|list| list.as_table()).flat_map(|list| list.keys().cloned()).collect()
}

#[test]
fn each_forbidden_arrow_is_found() {
    let cases = [
        ("host/core", "[dependencies]\ntillhold-env = {}", "may not name tillhold-env"),
        ("host/core", "[dev-dependencies]\ntillhold-embedded = {}", "not even in its tests"),
        ("host/channel", "[dependencies]\ntillhold-local = {}", "may not name tillhold-local"),
        ("host/plugin", "[build-dependencies]\ntillhold-local = {}", "may not name"),
        ("host/local", "[target.'cfg(unix)'.dependencies]\ntiberius = {}", "host/channel only"),
        ("host/agent", "[dependencies]\nrusqlite = {}", "host/local, host/embedded"),
        ("host/agent", "[dependencies]\ntillhold-sdk = {}", "may not name tillhold-sdk"),
        ("guest/sdk", "[dev-dependencies]\ntillhold-core = {}", "not even in its tests"),
        ("host/util", "", "is in no list"),
    ];
    for (folder, manifest, part) in cases {
        let found = offences_of(folder, manifest);
        assert_eq!(found.len(), 1, "{folder} {manifest}: {found:?}");
        assert!(found[0].what.contains(part), "{}", found[0]);
    }
}

#[test]
fn what_the_arrows_allow_passes() {
    let cases = [
        ("host/channel", "[dependencies]\ntillhold-core = {}\ntiberius = {}"),
        ("host/channel", "[dev-dependencies]\ntillhold-embedded = {}"),
        ("host/embedded", "[dev-dependencies]\ntiberius = {}"),
        ("host/agent", "[dependencies]\ntillhold-channel = {}\n[dev-dependencies]\nrusqlite = {}"),
        ("guest/customer-merge", "[dependencies]\ntillhold-sdk = {}"),
    ];
    for (folder, manifest) in cases {
        assert_eq!(offences_of(folder, manifest), [], "{folder} {manifest}");
    }
}

fn offences_of(folder: &str, manifest: &str) -> Vec<Offence> {
    offences(&[(folder.to_owned(), manifest.parse().expect("the case is TOML"))])
}
