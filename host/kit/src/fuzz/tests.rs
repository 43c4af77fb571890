//! Plugins of the repository, sound and hostile.

use super::{Asked, Found, Fuzz};
use crate::fixtures::{component, sandbox};
use crate::{End, Schema, Trial};
use tillhold_core::value::Value;

const VICTIM: &str = r#"{"ax.VICTIM": {"columns": [["ID", "bigint", "not null"], ["NUMBER", "int", "not null"],
    ["NAME", "nvarchar(8)", "not null"], ["AMOUNT", "numeric(32,2)", "null"],
    ["MOMENT", "datetime", "null"], ["KIND", "float", "null"]],
    "keys": [{"kind": "PK", "cols": ["ID"]}]}}"#;

fn found(package: &str, config: &str, schema: &Schema, rows: u64) -> Vec<Found> {
    let plugin = sandbox().load(&component(package), config).expect("it loads");
    let fuzz = Fuzz { plugin: &plugin, config, schema, seed: 7, rows };
    let mut tables = 0;
    let found = fuzz.run(|_, _, _| tables += 1).expect("it runs");
    assert_eq!(tables, plugin.uses().len(), "every table and role is told");
    found
}

#[test]
fn the_plugins_that_ship_keep_their_contract() {
    let schema = Schema::published().expect("the published schema");
    for package in ["store-customers", "customer-merge"] {
        let found = found(package, "", &schema, 3_000);
        let told: Vec<&String> = found.iter().map(|found| &found.message).collect();
        assert!(told.is_empty(), "{package}: {told:?}");
    }
}

#[test]
fn what_breaks_the_contract_is_found_and_becomes_a_small_case() {
    let schema = Schema::read("schema.json", VICTIM).expect("a schema");
    for (config, code) in [
        ("panics", "plugin-trap"),
        ("refuses", "plugin-refused"),
        ("too-long", "plugin-bad-answer"),
        ("resolve-too-long", "plugin-bad-answer"),
        ("panics-at-emoji", "plugin-trap"),
        ("counts-its-rows", "kit-unsteady"),
    ] {
        // The resolver of `hostile` is harmless under a word that is not its own, and the other way round.
        let found = found("hostile", config, &schema, 6_000);
        let found: Vec<&Found> = found
            .iter()
            .filter(|one| matches!(one.asked, Asked::Conflicts(_)) == config.starts_with("resolve"))
            .collect();
        assert_eq!(found.len(), 1, "{config}");
        assert_eq!(found[0].code, code, "{config}: {}", found[0].message);
        let folder = tempfile::tempdir().expect("a folder");
        found[0].write(folder.path()).expect("a case");
        found[0].write(folder.path()).expect("another of that name");
        let (sandbox, component) = (sandbox(), component("hostile"));
        let trial =
            Trial { sandbox: &sandbox, component: &component, schema: &schema, bless: false };
        let ends = trial.run(folder.path(), |_| {}).expect("the cases run");
        assert_eq!(ends.len(), 2);
        for ended in ends {
            let End::Broken(error) = ended.end else { panic!("{config}: {} passes", ended.name) };
            assert_eq!(error.code(), code, "{config}: the case shows it");
        }
    }
}

#[test]
fn what_does_not_matter_is_made_simple() {
    let schema = Schema::read("schema.json", VICTIM).expect("a schema");
    let found = found("hostile", "panics-at-emoji", &schema, 6_000);
    let Asked::Rows(rows) = &found[0].asked else { panic!("conflicts") };
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0[..2], [Value::Int(0), Value::Int(0)]);
    let Value::Text(name) = &rows[0].0[2] else { panic!("no text") };
    assert_eq!((name.chars().count(), name.len()), (1, 4), "one letter of four bytes: {name}");
    assert!(rows[0].0[3..].iter().all(Value::is_null));
}
