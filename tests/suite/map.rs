//! docs/ax-2012.md promises a command or a setting for every line of Microsoft's two pages: each is held against the
//! program itself.

use crate::harness::PROGRAM;
use serde_json::Value as Json;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/ax-2012.md");

#[test]
fn every_command_and_setting_of_the_map_exists() {
    let (mut commands, mut settings) = (0, 0);
    let [register, profile] = [&["register"][..], &[]].map(schema);
    let mut missing = Vec::new();
    for span in spans(PAGE) {
        if let Some(words) = span.strip_prefix("tillhold ") {
            commands += 1;
            missing.extend(unknown_command(words));
        } else if let Some(setting) = span.strip_prefix("profile.toml: ") {
            settings += 1;
            missing.extend(unknown_setting(&profile, setting));
        } else if let Some(setting) = span.strip_prefix("register.toml: ") {
            settings += 1;
            missing.extend(unknown_setting(&register, setting));
        }
    }
    assert!(
        commands >= 15 && settings >= 20,
        "{commands} commands and {settings} settings were read"
    );
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn what_does_not_exist_is_found() {
    assert!(unknown_command("provision --backwards").is_some());
    assert!(unknown_command("teleport").is_some());
    let profile = schema(&[]);
    assert_eq!(unknown_setting(&profile, "name"), None);
    for wrong in ["names", "[scope] colour", "[scope.tables] name_of", "[nothing] here"] {
        assert!(unknown_setting(&profile, wrong).is_some(), "{wrong}");
    }
}

#[test]
fn every_page_that_the_map_names_is_there() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
    let links = PAGE.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let pages: Vec<&str> = links.filter(|link| link.ends_with(".md")).collect();
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        assert!(std::path::Path::new(folder).join(page).is_file(), "{page} is not in docs/");
    }
}

/// What stands between backticks.
fn spans(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

/// Says what is wrong with `WORD WORD --flag`.
fn unknown_command(words: &str) -> Option<String> {
    let named = words.split(' ').take_while(|word| !word.starts_with('-'));
    let flags: Vec<&str> = words.split(' ').filter(|word| word.starts_with("--")).collect();
    let help =
        Command::new(PROGRAM).args(named).arg("--help").output().expect("a run of the program");
    let text = String::from_utf8_lossy(&help.stdout);
    let missing = flags.iter().find(|flag| !text.split_whitespace().any(|word| word == **flag));
    match (help.status.success(), missing) {
        (true, None) => None,
        (true, Some(flag)) => Some(format!("tillhold {words}: no {flag}")),
        (false, _) => Some(format!("tillhold {words}: no such command")),
    }
}

fn schema(which: &[&str]) -> Json {
    let output = Command::new(PROGRAM)
        .args(["profile", "schema"])
        .args(which)
        .output()
        .expect("a run of the program");
    serde_json::from_slice(&output.stdout).expect("a JSON Schema")
}

/// Says what is wrong with `key` or `[section] key`, where a section may be `outer.inner`.
fn unknown_setting(schema: &Json, setting: &str) -> Option<String> {
    let path: Vec<&str> = match setting.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((sections, key)) => sections.split('.').chain([key]).collect(),
        None => vec![setting],
    };
    let mut levels = vec![schema];
    for key in &path {
        levels = levels
            .into_iter()
            .flat_map(tables_in)
            .filter_map(|table| table["properties"].get(*key))
            .collect();
    }
    levels.is_empty().then(|| format!("no setting {setting}"))
}

/// The schema itself, and the ones that it gives for items and alternatives.
fn tables_in(schema: &Json) -> Vec<&Json> {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    let inner = alternatives.chain(schema.get("items")).flat_map(tables_in);
    std::iter::once(schema).chain(inner).collect()
}
