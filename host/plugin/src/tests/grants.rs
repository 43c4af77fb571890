//! What the operator grants: more is refused at load, and a value that is not granted never enters a plugin's memory.

use super::memories::Memories;
use super::shop::{Shop, component, context, refused, source, victim, victims};
use crate::{Plugin, PluginError, PluginSource, Verdict};
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::fault::Class;
use tillhold_core::grant::{Grant, Grants};
use tillhold_core::row::Row;
use tillhold_core::table::TableName;
use tillhold_core::value::Value;

const WRITES: [&str; 5] = ["NUMBER", "NAME", "AMOUNT", "MOMENT", "KIND"];

fn grant(reads: &[&str], writes: &[&str]) -> Grant {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    Grant { table: TableName::new("ax", "Victim"), reads: owned(reads), writes: owned(writes) }
}

fn load(shop: &Shop, config: &str, grants: Option<Vec<Grant>>) -> Result<Plugin, PluginError> {
    let grants = grants.map(Grants);
    shop.host.load(&PluginSource { grants, ..source(component("hostile"), config) })
}

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

/// What is freed in a plugin's memory loses its ends to the list of free pieces, so that what is looked for stands in the
/// middle.
fn sentinel(words: &str) -> Value {
    text(&format!("{0}{words}{0}", ".".repeat(64)))
}

/// Rows whose NAME (2) and UNSEEN (6) say so.
fn rows() -> Vec<Row> {
    let mut rows = victims(3);
    rows[1].0[2] = sentinel("SENTINEL");
    rows[1].0[6] = sentinel("not for your eyes");
    rows
}

#[test]
fn a_value_that_is_not_granted_never_enters_a_transformers_memory() {
    let memories = Memories::default();
    let shop = memories.shop();
    for grants in [Some(vec![grant(&["NUMBER", "NAME"], &WRITES)]), None] {
        let plugin = load(&shop, "remembers", grants).expect("it loads");
        memories.forget();
        let verdicts = plugin.transform(&context(), &victim(), &rows()).expect("verdicts");
        assert_eq!(verdicts, [Verdict::Keep, Verdict::Keep, Verdict::Keep]);
        assert!(
            memories.hold("SENTINEL"),
            "what it may see is there: the test would see the other"
        );
        assert!(!memories.hold("not for your eyes"));
    }
    // Without NAME among its grants it does not get as far as a row.
    memories.forget();
    let error = refused(load(&shop, "remembers", Some(vec![grant(&["NUMBER"], &WRITES)])));
    assert_eq!(error.code(), "plugin-not-granted");
    assert!(!memories.hold("SENTINEL"));
}

fn conflict() -> Conflict {
    let (table, base) = (victim(), rows().remove(1));
    let with = |unseen: &str| {
        let mut row = base.clone();
        row.0[6] = sentinel(unseen);
        Some(row)
    };
    let (channel, offline) = (with("hidden at the office"), with("not for your eyes"));
    Conflict { key: base.key(&table), base: with("not for your eyes"), channel, offline, table }
}

#[test]
fn every_column_means_every_granted_one_to_a_resolver() {
    let memories = Memories::default();
    let shop = memories.shop();
    let told = |grants: Option<Vec<Grant>>| {
        let plugin = load(&shop, "resolve-shown-every", grants).expect("it loads");
        plugin.check_against(&victim()).expect("its key is granted");
        memories.forget();
        let decided = plugin.resolve(&context(), &[conflict()]).expect("a resolution");
        let Resolution::Defer(shown) = &decided[0] else { panic!("{decided:?}") };
        let hidden = ["not for your eyes", "hidden at the office"].map(|text| memories.hold(text));
        assert!(memories.hold("SENTINEL"));
        (shown.clone(), hidden)
    };
    let some = || grant(&["id", "NUMBER", "NAME"], &WRITES);
    assert_eq!(told(Some(vec![some()])), ("ID,NUMBER,NAME".to_string(), [false, false]));
    let more = grant(&["UNSEEN"], &[]);
    assert_eq!(told(Some(vec![some(), more])), ("ID,NUMBER,NAME,UNSEEN".to_string(), [true, true]));
    let all = "ID,NUMBER,NAME,AMOUNT,MOMENT,KIND,UNSEEN".to_string();
    assert_eq!(told(Some(vec![grant(&["*"], &["*"])])), (all.clone(), [true, true]));
    assert_eq!(told(None), (all, [true, true]));
}

/// That a resolver may write a column does not mean that it saw what a cashier wrote there.
#[test]
fn an_edit_in_a_column_that_is_granted_for_writing_only_is_not_lost() {
    let shop = Shop::new();
    let (table, base) = (victim(), rows().remove(0));
    let decided = |config: &str, channel: &str, offline: &str| {
        let side = |unseen: &str| {
            let mut row = base.clone();
            row.0[6] = if unseen.is_empty() { Value::Null } else { text(unseen) };
            Some(row)
        };
        let (channel, offline) = (side(channel), side(offline));
        let (key, base, table) = (base.key(&table), side(""), table.clone());
        let grants = Some(vec![grant(&["ID", "NUMBER", "NAME"], &["*"])]);
        let plugin = load(&shop, config, grants).expect("it loads");
        let asked = Conflict { table, key, base, channel, offline };
        plugin.resolve(&context(), &[asked]).expect("a resolution").remove(0)
    };
    let won = || (2, text("won"));
    let waits = "both sides changed UNSEEN, which the resolver does not see".to_string();
    // Merges NAME and says nothing of UNSEEN (6), then UNSEEN alone.
    for (config, channel, offline, expected) in [
        ("won-every", "", "till", Resolution::Merge(vec![won(), (6, text("till"))])),
        ("won-every", "office", "", Resolution::Merge(vec![won()])),
        ("won-every", "office", "till", Resolution::Defer(waits)),
        ("resolve-unseen-every", "office", "till", Resolution::Merge(vec![(6, text("seen"))])),
    ] {
        assert_eq!(decided(config, channel, offline), expected, "{config}: {channel}, {offline}");
    }
}

#[test]
fn more_than_is_granted_is_refused_with_the_text_that_would_grant_it() {
    let shop = Shop::new();
    let whole = || grant(&["NUMBER", "NAME"], &WRITES);
    let cases = [
        (vec![whole()], "", ""),
        (vec![grant(&["number"], &WRITES), grant(&["name"], &[])], "", ""),
        (
            vec![grant(&["NUMBER"], &WRITES)],
            "ax.VICTIM: reads NAME",
            r#"{ table = "ax.VICTIM", reads = ["NAME"] }"#,
        ),
        (
            vec![grant(&["NUMBER", "NAME"], &["NAME", "KIND"])],
            "ax.VICTIM: writes NUMBER, AMOUNT, MOMENT",
            r#"{ table = "ax.VICTIM", writes = ["NUMBER", "AMOUNT", "MOMENT"] }"#,
        ),
        (
            vec![],
            "ax.VICTIM: reads NUMBER, NAME, writes NUMBER, NAME, AMOUNT, MOMENT, KIND",
            r#"{ table = "ax.VICTIM", reads = ["NUMBER", "NAME"], writes = ["NUMBER", "NAME", "AMOUNT", "MOMENT", "KIND"] }"#,
        ),
    ];
    for (grants, missing, added) in cases {
        let loaded = load(&shop, "", Some(grants.clone()));
        if missing.is_empty() {
            loaded.expect("all is granted");
            continue;
        }
        let error = refused(loaded);
        assert_eq!((error.code(), error.class()), ("plugin-not-granted", Class::Reconfigure));
        let words = error.to_string();
        assert!(words.ends_with(&format!("grants it: {missing}")), "{words}");
        assert!(error.hint().is_some_and(|hint| hint.ends_with(added)), "{:?}", error.hint());
        // The text, added as it is, is enough.
        let PluginError::NotGranted { missing, .. } = error else { panic!("{words}") };
        load(&shop, "", Some([grants, missing].concat())).expect("all is granted");
    }
}

#[test]
fn a_resolver_needs_the_key_and_writes_what_is_granted() {
    let shop = Shop::new();
    let grants = |reads: &[&str], writes: &[&str]| {
        Some(vec![grant(reads, writes), grant(&["NUMBER", "NAME"], &WRITES)])
    };
    let keyless = load(&shop, "resolve-name", grants(&[], &[])).expect("it names no key");
    let error = refused(keyless.check_against(&victim()));
    assert_eq!(error.code(), "plugin-not-granted");
    assert!(error.to_string().ends_with("ax.VICTIM: reads ID"), "{error}");
    assert_eq!(refused(keyless.resolve(&context(), &[conflict()])).code(), "plugin-not-granted");

    let needed = keyless.grants_needed(&[&victim()]);
    assert_eq!(needed.len(), 1, "{needed:?}");
    assert_eq!(needed[0].reads, ["NUMBER", "NAME", "ID"]);
    load(&shop, "resolve-name", Some(needed))
        .expect("it loads")
        .check_against(&victim())
        .expect("all");

    // It may write whatever it is granted, and no more.
    let resolver = load(&shop, "resolve-unseen-every", grants(&["*"], &[])).expect("it loads");
    let error = refused(resolver.resolve(&context(), &[conflict()]));
    let words = "UNSEEN is merged, but the profile does not grant it for writing";
    assert!(error.to_string().ends_with(words), "{error}");
    let resolver = load(&shop, "resolve-unseen-every", grants(&["*"], &["UNSEEN"]));
    let decided = resolver.expect("it loads").resolve(&context(), &[conflict()]);
    let expected = [Resolution::Merge(vec![(6, text("seen"))])];
    assert_eq!(decided.expect("a resolution"), expected);
}
