//! Components that no kit would build: what they hand back breaks the component model's own rules, or they do harm before
//! they are asked anything.

use super::shop::{Shop, context, refused, repository, strict, victim, victims};
use crate::{PluginError, Verdict};
use tillhold_core::limits::PLUGIN_LOG_LINE_BYTES_MAX;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A transformer of ax.VICTIM out of a core module with these memory pages, further items, and body of `transform`. The
/// answer lies at 256; what is at 300 is no UTF-8.
fn raw(pages: &str, items: &str, transform: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (memory (export "memory") {pages})
            (data (i32.const 64) "ax.VICTIM")
            (data (i32.const 128) "\40\00\00\00\09\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 200) "\00\00\00\00\80\00\00\00\01\00\00\00")
            (data (i32.const 300) "\C3\28")
            (global $free (mut i32) (i32.const 4096))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "tillhold:plugin/transform@0.1.0#describe") (param i32 i32) (result i32)
                (i32.const 200))
            {items}
            (func $transform (export "tillhold:plugin/transform@0.1.0#transform")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
                {transform}
                (i32.const 256)))"#
    );
    let mut core = wat::parse_str(module).expect("the test's own module");
    let mut contract = Resolve::default();
    let (package, _) = contract.push_path(repository().join("wit/0.1.0")).expect("wit/0.1.0");
    let world = contract.select_world(&[package], Some("transformer")).expect("the world");
    embed_component_metadata(&mut core, &contract, world, StringEncoding::UTF8, false)
        .expect("a world");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&core).expect("a module").encode().expect("a component")
}

/// Stores these words from 256 on: the case of the result, then its payload.
fn answers(words: &[i64]) -> String {
    stores(256, words)
}

fn stores(from: usize, words: &[i64]) -> String {
    let store = |(at, word): (usize, &i64)| {
        format!("(i32.store (i32.const {}) (i32.const {word}))", from + 4 * at)
    };
    words.iter().enumerate().map(store).collect()
}

fn transform(shop: &Shop, component: Vec<u8>) -> Result<Vec<Verdict>, PluginError> {
    let plugin = shop.load_bytes(component, "").expect("it loads");
    plugin.transform(&context(), &victim(), &victims(1))
}

#[test]
fn an_honest_component_of_this_make_is_taken() {
    let keeps = "(i32.store8 (i32.const 290) (i32.const 0))".to_string()
        + &answers(&[0, 290, 1, 0, 0, 0, 0]);
    let verdicts = transform(&Shop::new(), raw("1", "", &keeps)).expect("verdicts");
    assert_eq!(verdicts, [Verdict::Keep]);
}

#[test]
fn an_answer_that_breaks_the_component_model_is_a_wrong_answer() {
    let shop = Shop::with_limits(strict());
    let verdict_9 = "(i32.store8 (i32.const 290) (i32.const 9))".to_string();
    let endless = "(func $deeper (param i32) (result i32) (call $deeper (local.get 0)))";
    let table = "(table $t 1 funcref)";
    let grows = "(if (i32.ne (table.grow $t (ref.null func) (i32.const 10000000)) (i32.const -1))
        (then (unreachable)))";
    for (what, items, body, code) in [
        ("a reason that is no UTF-8", "", answers(&[1, 300, 2]), "plugin-bad-answer"),
        ("a text outside its memory", "", answers(&[1, 0x7FFF_0000, 9]), "plugin-bad-answer"),
        ("a text over the end", "", answers(&[1, 65_530, 90]), "plugin-bad-answer"),
        ("a case that is not there", "", answers(&[9, 0, 0]), "plugin-bad-answer"),
        (
            "a verdict that is not there",
            "",
            verdict_9 + &answers(&[0, 290, 1, 0, 0, 0, 0]),
            "plugin-bad-answer",
        ),
        (
            "four thousand million reasons",
            "",
            answers(&[0, 290, 1, 0, -1, 0, 0]),
            "plugin-bad-answer",
        ),
        ("crooked reasons", "", answers(&[0, 290, 1, 3, 1, 0, 0]), "plugin-bad-answer"),
        (
            "a stack without end",
            endless,
            "(drop (call $deeper (i32.const 1)))".into(),
            "plugin-trap",
        ),
        (
            "memory that is not its own",
            "",
            "(drop (i32.load (i32.const -8)))".into(),
            "plugin-trap",
        ),
        (
            "a table without end",
            table,
            format!("{grows}{}", answers(&[1, 300, 0])),
            "plugin-refused",
        ),
    ] {
        let error = refused(transform(&shop, raw("1", items, &body)));
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains("sha256:"), "{what} without a digest: {error}");
    }
}

/// A refusal is logged and kept, for each row that a plugin fails at.
#[test]
fn what_a_refusal_quotes_is_one_short_line() {
    let shop = Shop::new();
    // 40,000 line feeds in the second page.
    let flood = "(memory.fill (i32.const 65536) (i32.const 10) (i32.const 40000))";
    let name = r#"(data (i32.const 128) "\00\00\01\00\40\9C\00\00")"#;
    let described = raw("2", &format!("{name} (func $begin {flood}) (start $begin)"), "");
    // The cell of AMOUNT, which it declares as written, comes as text: a change of row 0 at 320.
    let declared = r#"(data (i32.const 144) "\60\00\00\00\01\00\00\00")
        (data (i32.const 96) "\70\00\00\00\06\00\00\00") (data (i32.const 112) "AMOUNT")"#;
    let change = [0, 400, 1, 0, 0, 11, 0, 0, 408, 2, 65_536, 40_000];
    let said = answers(&[0, 290, 1, 0, 0, 320, 1]) + &stores(320, &change);
    let transformed = raw("2", declared, &format!("{flood} {said} {}", stores(408, &[0, 40_000])));
    let imported = format!(r#"(component (import "url=<a\0a{}>" (func)))"#, "b".repeat(40_000));
    let imported = wat::parse_str(imported).expect("the test's own component");
    for (error, code, words) in [
        (refused(shop.load_bytes(described, "")), "plugin-bad-answer", "describe wrongly: '  "),
        (refused(transform(&shop, transformed)), "plugin-bad-answer", "row 1, AMOUNT: '  "),
        (refused(shop.load_bytes(imported, "")), "plugin-foreign-import", "imports url=<a b"),
    ] {
        let told = error.to_string();
        let short: String = told.chars().take(200).collect();
        assert_eq!(error.code(), code, "{short}");
        assert!(told.contains(words), "{short}");
        assert!(!told.contains(char::is_control), "{short}");
        assert!(told.len() <= PLUGIN_LOG_LINE_BYTES_MAX + 200, "{} bytes: {short}", told.len());
    }
}

#[test]
fn harm_before_the_first_question_is_met_at_the_door() {
    let shop = Shop::with_limits(strict());
    for (what, pages, items, code) in [
        ("breaks off", "1", "(func $begin unreachable) (start $begin)", "plugin-trap"),
        ("loops", "1", "(func $begin (loop $on (br $on))) (start $begin)", "plugin-deadline"),
        ("takes 2 GiB", "32768", "", "plugin-memory"),
    ] {
        let error = refused(shop.load_bytes(raw(pages, items, ""), ""));
        assert_eq!(error.code(), code, "{what}: {error}");
    }
}

/// What nobody wrote is nought in every call: neither an earlier call nor another plugin can be read there.
#[test]
fn memory_that_was_never_written_tells_nothing() {
    let shop = Shop::new();
    // Tells 8 bytes of a page that it has just got, then leaves a mark there.
    let body = format!(
        "(drop (memory.grow (i32.const 4))) {} (i32.store (i32.const 130000) (i32.add (i32.load (i32.const 130000)) \
         (i32.const 0x41414141)))",
        answers(&[1, 130_000, 8])
    );
    let plugin = shop.load_bytes(raw("1", "", &body), "").expect("it loads");
    let told = || refused(plugin.transform(&context(), &victim(), &victims(1))).to_string();
    // The first call's own mark is there, because the answer is read after it; a second one would double it.
    let first = told();
    assert!(first.contains("AAAA"), "{first}");
    for _ in 0..3 {
        assert_eq!(told(), first);
    }
}
