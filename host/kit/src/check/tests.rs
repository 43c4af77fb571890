//! Real components of the repository, and files that are none.

use super::{Checked, check};
use crate::Schema;
use crate::fixtures::{component, sandbox};
use crate::sandbox::Component;
use tillhold_plugin::Role;

fn of_text(text: &str) -> Component {
    let wasm = wat::parse_str(text).expect("the test's own");
    Component { name: "tested".to_string(), wasm, signature: tillhold_plugin::Beside::Nothing }
}

/// Codes with hints.
fn told(checked: &Checked) -> Vec<(&'static str, String)> {
    let finding = |finding: &super::Finding| {
        assert!(finding.message.len() > 20, "{}", finding.message);
        (finding.code, finding.hint.clone().expect("what to change"))
    };
    checked.findings.iter().map(finding).collect()
}

#[test]
fn a_sound_plugin_says_what_it_works_on() {
    let schema = Schema::published().expect("the published schema");
    let checked = check(&sandbox(), &component("store-customers"), "", Some(&schema));
    assert_eq!(told(&checked), []);
    assert_eq!(
        (checked.bytes, checked.digest.len()),
        (component("store-customers").wasm.len(), 71)
    );
    let columns: Vec<(&str, &str, Option<&str>, bool)> = checked
        .columns
        .iter()
        .map(|c| (c.table.as_str(), c.column.as_str(), c.of.as_deref(), c.is_written))
        .collect();
    assert_eq!(
        columns,
        [
            ("ax.CUSTTABLE", "INVENTLOCATION", Some("nvarchar(10)"), false),
            ("ax.RETAILCUSTTABLE", "RECEIPTEMAIL", Some("nvarchar(80)"), true),
            ("ax.LOGISTICSELECTRONICADDRESS", "TYPE", Some("int"), false),
            ("ax.LOGISTICSELECTRONICADDRESS", "LOCATOR", Some("nvarchar(255)"), true),
        ]
    );
    let granted = |checked: &Checked| -> Vec<String> {
        checked.grants.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        granted(&checked),
        [
            r#"{ table = "ax.CUSTTABLE", reads = ["INVENTLOCATION"] }"#,
            r#"{ table = "ax.RETAILCUSTTABLE", reads = ["RECEIPTEMAIL"], writes = ["RECEIPTEMAIL"] }"#,
            r#"{ table = "ax.LOGISTICSELECTRONICADDRESS", reads = ["TYPE", "LOCATOR"], writes = ["LOCATOR"] }"#,
        ]
    );
    let of_names = check(&sandbox(), &component("hostile"), "", None);
    let without = granted(&of_names);
    assert!(without[0].contains(r#"reads = ["NUMBER", "NAME"]"#), "{without:?}");
    let victim = r#"{ "ax.VICTIM": {
        "columns": [["ID", "bigint", "not null"], ["NUMBER", "int", "not null"], ["NAME", "nvarchar(8)", "not null"]],
        "keys": [{ "kind": "PK", "cols": ["ID"] }] } }"#;
    let victim = Schema::read("schema.json", victim).expect("a schema");
    let with_key = granted(&check(&sandbox(), &component("hostile"), "", Some(&victim)));
    assert!(with_key[0].contains(r#"reads = ["NUMBER", "NAME", "ID"]"#), "{with_key:?}");
    let resolver = check(&sandbox(), &component("customer-merge"), "", Some(&schema));
    assert_eq!(told(&resolver), []);
    assert!(resolver.columns.iter().all(|c| c.role == Role::Resolve && c.column == "*"));
}

#[test]
fn each_refusal_says_what_to_change() {
    for (text, code, cure) in [
        ("(module)", "plugin-not-a-component", "wasm-tools component new"),
        ("(component)", "plugin-other-world", "transformer, resolver or both"),
        (
            r#"(component (import "wasi:cli/exit@0.2.0" (instance)))"#,
            "plugin-foreign-import",
            "--stub-wasi",
        ),
        (
            r#"(component (import "tillhold:plugin/log@0.2.0" (instance)))"#,
            "plugin-other-version",
            "rebuild the plugin against version 0.1.0",
        ),
    ] {
        let checked = check(&sandbox(), &of_text(text), "", None);
        let told = told(&checked);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].0 == code && told[0].1.contains(cure), "{text}: {told:?}");
        assert!(checked.plugin.is_none() && checked.digest.starts_with("sha256:"));
    }
    let config = check(&sandbox(), &component("store-customers"), "stores=S1", None);
    assert_eq!(told(&config)[0].0, "plugin-config");
}

#[test]
fn what_the_schema_does_not_have_is_told_with_the_nearest_name() {
    let file = r#"{
        "ax.CUSTTABEL": { "columns": [["INVENTLOCATION", "nvarchar(10)", "not null"]], "keys": [] },
        "ax.RETAILCUSTTABLE": {
            "columns": [["RECEIPTEMAIL", "nvarchar(80)", "not null", "by channel"]], "keys": [] },
        "ax.LOGISTICSELECTRONICADDRESS": {
            "columns": [["TYPO", "int", "not null"], ["LOCATOR", "nvarchar(255)", "not null"]],
            "keys": [{ "kind": "PK", "cols": ["LOCATOR"] }] }
    }"#;
    let schema = Schema::read("schema.json", file).expect("a schema");
    let checked = check(&sandbox(), &component("store-customers"), "", Some(&schema));
    assert_eq!(
        told(&checked),
        [
            ("kit-table", "did you mean ax.CUSTTABEL?".to_string()),
            ("plugin-column-unknown", "the channel itself assigns it: it stays there".to_string()),
            ("plugin-column-unknown", "did you mean TYPO?".to_string()),
            (
                "plugin-key-written",
                "a plugin cannot change which row a row is: drop it instead".to_string()
            ),
        ]
    );
}
