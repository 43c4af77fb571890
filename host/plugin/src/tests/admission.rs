//! What may not enter, and with which words it is turned away.

use super::shop::{Shop, component, refused, source, table, victim};
use crate::{ComponentSource, Kind, PluginError, PluginLimits, PluginSource, Role, digest_of};
use tillhold_core::fault::Class;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's own component")
}

/// A component that exports an empty instance under `name`.
fn exporting(name: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component (component $c) (instance $i (instantiate $c)) (export "{name}" (instance $i)))"#
    ))
}

#[test]
fn strangers_are_turned_away_by_name() {
    let shop = Shop::new();
    let compiled = wasmtime::Engine::default()
        .precompile_component(&wat("(component)"))
        .expect("machine code of the test");
    for (what, bytes, code, words) in [
        ("nothing", vec![], "plugin-not-a-component", "the file is empty"),
        ("text", b"(component)".to_vec(), "plugin-not-a-component", "text form"),
        ("a program", b"#!/bin/sh".to_vec(), "plugin-not-a-component", "does not begin"),
        ("a core module", wat("(module)"), "plugin-not-a-component", "core module"),
        (
            "half a component",
            component("hostile")[..900].to_vec(),
            "plugin-not-a-component",
            "not a",
        ),
        ("machine code", compiled, "plugin-precompiled", "machine code"),
        ("another world", exporting("shop:other/world@1.0.0"), "plugin-other-world", "shop:other"),
        ("no world", wat("(component)"), "plugin-other-world", "but nothing"),
        (
            "a later version",
            exporting("tillhold:plugin/transform@0.2.0"),
            "plugin-other-version",
            "0.2.0",
        ),
        ("no version", exporting("tillhold:plugin/resolve"), "plugin-other-version", "0.1.0"),
        (
            "an empty shell",
            exporting("tillhold:plugin/resolve@0.1.7"),
            "plugin-other-shape",
            "lacks",
        ),
    ] {
        let error = refused(shop.load_bytes(bytes, ""));
        assert_eq!(error.code(), code, "{what}: {error}");
        assert_eq!(error.class(), Class::Reconfigure, "{what}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(error.hint().is_some(), "{what} without a hint");
        assert!(error.to_string().contains("tested"), "{what} without the plugin's name: {error}");
    }
}

#[test]
fn a_version_that_this_host_does_not_speak_is_told_with_the_one_that_it_does() {
    let shop = Shop::new();
    for version in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
        for interface in ["transform", "resolve"] {
            let bytes = exporting(&format!("tillhold:plugin/{interface}@{version}"));
            let error = refused(shop.load_bytes(bytes, ""));
            assert_eq!(error.code(), "plugin-other-version", "{version}: {error}");
            let words = format!("speaks version {version} of the contract, this host speaks 0.1.0");
            assert!(error.to_string().contains(&words), "{error}");
        }
    }
}

#[test]
fn a_foreign_import_is_named_with_its_cure() {
    let shop = Shop::new();
    for (import, cure) in [
        ("wasi:clocks/wall-clock@0.2.0", "wasm32-unknown-unknown"),
        ("wasi:sockets/tcp@0.2.0", "--stub-wasi"),
        ("tillhold:plugin/secrets@0.1.0", "does not offer it"),
        ("shop:own/network@1.0.0", "rows and gives verdicts"),
    ] {
        let bytes = wat(&format!(
            r#"(component (import "{import}" (instance (export "now" (func (result u64))))))"#
        ));
        let error = refused(shop.load_bytes(bytes, ""));
        assert_eq!(error.code(), "plugin-foreign-import");
        assert!(error.to_string().contains(import), "{error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains(cure)),
            "{error}: {:?}",
            error.hint()
        );
    }
    let two = r#"(component (import "wasi:cli/environment@0.2.0" (instance))
        (import "wasi:cli/exit@0.2.0" (instance)))"#;
    let error = refused(shop.load_bytes(wat(two), "")).to_string();
    assert!(error.contains("wasi:cli/environment@0.2.0, wasi:cli/exit@0.2.0"), "all: {error}");
    let later = r#"(component (import "tillhold:plugin/log@0.2.0" (instance)))"#;
    assert_eq!(refused(shop.load_bytes(wat(later), "")).code(), "plugin-other-version");
}

#[test]
fn functions_of_other_types_are_told_at_load() {
    let text = r#"(component
        (core module $m
            (func (export "describe") (param i32 i32) (result i32) unreachable)
            (func (export "transform") (result i32) unreachable)
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func $describe (param "config" string) (result u32)
            (canon lift (core func $i "describe") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc"))))
        (func $transform (result u32) (canon lift (core func $i "transform")))
        (component $shell
            (import "describe" (func $d (param "config" string) (result u32)))
            (import "transform" (func $t (result u32)))
            (export "describe" (func $d))
            (export "transform" (func $t)))
        (instance $shelled (instantiate $shell
            (with "describe" (func $describe)) (with "transform" (func $transform))))
        (export "tillhold:plugin/transform@0.1.0" (instance $shelled)))"#;
    let error = refused(Shop::new().load_bytes(wat(text), ""));
    assert_eq!(error.code(), "plugin-other-shape", "{error}");
}

/// wasmtime's own code between two memories stopped the whole program, not only the loading, while its setting forbade
/// more than one memory; the tools for JavaScript make such components.
#[test]
fn a_component_of_components_with_a_memory_each_is_compiled() {
    let text = r#"(component
        (component $one
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "take") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "take") (param "text" string)
                (canon lift (core func $i "take") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc")))))
        (component $other
            (import "take" (func $take (param "text" string)))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $take (canon lower (func $take) (memory (core memory $memory "memory"))))
            (core module $m
                (import "" "take" (func $take (param i32 i32)))
                (func (export "go") i32.const 0 i32.const 1 call $take))
            (core instance $i (instantiate $m
                (with "" (instance (export "take" (func $take))))))
            (func (export "go") (canon lift (core func $i "go"))))
        (instance $one (instantiate $one))
        (instance $other (instantiate $other (with "take" (func $one "take"))))
        (export "go" (func $other "go")))"#;
    let error = refused(Shop::new().load_bytes(wat(text), ""));
    assert_eq!(error.code(), "plugin-other-world", "{error}");
}

#[test]
fn a_pinned_digest_holds() {
    let shop = Shop::new();
    let bytes = component("store-customers");
    let pinned =
        |digest: String| PluginSource { digest: Some(digest), ..source(bytes.clone(), "") };
    let digest = digest_of(&bytes);
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    for same in [digest.clone(), digest.to_ascii_uppercase()] {
        assert_eq!(shop.host.load(&pinned(same)).expect("the pinned one").digest(), digest);
    }
    let error = refused(shop.host.load(&pinned(digest_of(b"another"))));
    assert_eq!(error.code(), "plugin-digest");
    assert!(error.hint().is_some_and(|hint| hint.contains(&digest)), "the whole digest to pin");
}

#[test]
fn size_and_path_are_told() {
    let shop = Shop::with_limits(PluginLimits { file_bytes_max: 10, ..PluginLimits::default() });
    assert_eq!(refused(shop.load("hostile", "")).code(), "plugin-too-large");
    let path = shop.folder.path().join("nowhere.wasm");
    let missing = PluginSource { component: ComponentSource::File(path), ..source(vec![], "") };
    let error = refused(shop.host.load(&missing));
    assert_eq!(error.code(), "plugin-unreadable");
    assert!(error.to_string().contains("nowhere.wasm"), "{error}");
}

#[test]
fn a_plugin_says_what_it_is_and_works_on() {
    let shop = Shop::new();
    let plugin = shop.load("store-customers", "").expect("it loads");
    assert_eq!(plugin.kind(), Kind { transforms: true, resolves: false });
    let used: Vec<String> = plugin.uses().iter().map(|used| used.table.to_string()).collect();
    assert_eq!(used, ["ax.CUSTTABLE", "ax.RETAILCUSTTABLE", "ax.LOGISTICSELECTRONICADDRESS"]);
    assert_eq!(plugin.uses()[1].writes, ["RECEIPTEMAIL"]);
    assert!(plugin.exports().eq(["tillhold:plugin/transform@0.1.0"]));
    assert_eq!(plugin.imports(), ["tillhold:plugin/log@0.1.0", "tillhold:plugin/types@0.1.0"]);
    let both = shop.load("hostile", "").expect("it loads");
    assert_eq!(both.kind(), Kind { transforms: true, resolves: true });
    let roles: Vec<Role> = both.uses().iter().map(|used| used.role).collect();
    assert_eq!(roles, [Role::Transform, Role::Resolve]);
}

#[test]
fn a_config_that_cannot_work_is_told_at_load() {
    let shop = Shop::new();
    let error = refused(shop.load("store-customers", "stores=S0001"));
    assert_eq!(error.code(), "plugin-config");
    assert!(error.to_string().contains("there is no setting 'stores'"), "{error}");
    for (config, code, words) in [
        ("describe-refuses", "plugin-config", "line 1: no such setting line 2: forged"),
        ("describe-twice", "plugin-bad-answer", "describes ax.VICTIM twice"),
        ("describe-nonsense", "plugin-bad-answer", "'no table' is not a table's name"),
        ("describe-every", "plugin-bad-answer", "`*` is for resolvers"),
    ] {
        let error = refused(shop.load("hostile", config));
        assert_eq!(error.code(), code, "{config}");
        assert!(error.to_string().contains(words), "{config}: {error}");
    }
}

#[test]
fn what_a_plugin_declares_is_held_against_the_table() {
    let shop = Shop::new();
    let check = |config: &str| {
        let plugin = shop.load("hostile", config).expect("it loads");
        plugin.check_against(&victim()).map_err(|error| (error.code(), error.to_string()))
    };
    assert_eq!(check(""), Ok(()));
    let Err((code, words)) = check("describe-key") else { panic!("a key may be written") };
    assert_eq!(code, "plugin-key-written");
    assert!(words.contains("ID of ax.VICTIM"), "{words}");
    let Err((code, words)) = check("describe-unknown") else { panic!("a column is made up") };
    assert_eq!(code, "plugin-column-unknown");
    assert!(words.contains("NOWHERE of ax.VICTIM"), "{words}");
    let plugin = shop.load("hostile", "describe-unknown").expect("it loads");
    let other = table("ax.OTHER", &[("ID", "int")]);
    assert!(plugin.check_against(&other).is_ok(), "a table that it does not use");
}

#[test]
fn all_that_does_not_fit_a_table_is_told_at_once() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "").expect("it loads");
    let mistakes = |columns: &[(&str, &str)]| -> Vec<String> {
        let mistakes = plugin.mistakes_against(&table("ax.VICTIM", columns)).into_iter();
        let told = mistakes.map(|mistake| {
            let words = mistake.to_string();
            let at = words.find("NUMBER").or(words.find("AMOUNT")).or(words.find("KIND"));
            format!("{} {}", mistake.code(), words[at.expect("a column")..].replace(',', ""))
        });
        told.collect()
    };
    // The first column is the key.
    let found = mistakes(&[("AMOUNT", "money"), ("NAME", "nvarchar(9)"), ("MOMENT", "datetime")]);
    let of = |code: &str, column: &str, what: &str| format!("{code} {column} of ax.VICTIM {what}");
    let expected = [
        of("plugin-column-unknown", "NUMBER", "which does not travel"),
        of("plugin-key-written", "AMOUNT", "which is part of its key"),
        of("plugin-column-unknown", "KIND", "which does not travel"),
    ];
    assert_eq!(found, expected);
    assert_eq!(plugin.mistakes_against(&victim()).len(), 0);
}

#[test]
fn a_plugin_is_not_asked_for_what_it_is_not() {
    let shop = Shop::new();
    let resolver = shop.load("customer-merge", "").expect("it loads");
    let error = refused(resolver.transform(&super::shop::context(), &victim(), &[]));
    assert_eq!(error.code(), "plugin-role");
    let transformer = shop.load("store-customers", "").expect("it loads");
    let error = refused(transformer.resolve(&super::shop::context(), &[]));
    assert!(matches!(error, PluginError::Role { needs: "resolve", .. }));
}

#[test]
fn whether_a_plugin_has_its_role_is_known_before_the_first_row() {
    let shop = Shop::new();
    for (package, transforms, resolves) in [
        ("store-customers", "", "has no resolve: it exports transform only"),
        ("customer-merge", "has no transform: it exports resolve only", ""),
        ("hostile", "", ""),
    ] {
        let plugin = shop.load(package, "").expect("it loads");
        for (role, lacking) in [(Role::Transform, transforms), (Role::Resolve, resolves)] {
            let told = plugin.check_role(role).err().map_or(String::new(), |e| e.to_string());
            assert_eq!(told.is_empty(), lacking.is_empty(), "{package}: {told}");
            assert!(told.ends_with(lacking), "{package}: {told}");
        }
    }
}
