//! Plugins that do harm: each harm ends as one error with its name, and the host goes on.

use super::shop::{Shop, component, context, refused, source, strict, victim, victims};
use crate::{PluginError, PluginLimits, PluginSource, Verdict};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tillhold_core::fault::Class;
use tillhold_core::limits::PLUGIN_CALLS_MAX;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::PluginBounds;
use tillhold_core::value::{Decimal, Value};

fn transform(shop: &Shop, harm: &str) -> Result<Vec<Verdict>, PluginError> {
    let plugin = shop.load("hostile", harm).expect("it loads");
    plugin.transform(&context(), &victim(), &victims(3))
}

#[test]
fn every_harm_has_its_own_end() {
    let shop = Shop::with_limits(strict());
    for (harm, code, words) in [
        ("loops", "plugin-deadline", "stopped in transform after 2000 ms"),
        ("hoards", "plugin-memory", "50331648 are allowed"),
        ("recurses", "plugin-trap", "transform"),
        ("panics", "plugin-trap", "I cannot go on with row 3"),
        ("refuses", "plugin-refused", "not today forged line"),
        ("huge-refusal", "plugin-answer-too-large", "more than 8388608 bytes"),
        ("huge-answer", "plugin-answer-too-large", "more than 8388608 bytes"),
    ] {
        let error = refused(transform(&shop, harm));
        assert_eq!(error.code(), code, "{harm}: {error}");
        assert!(error.to_string().contains(words), "{harm}: {error}");
        assert!(error.to_string().contains("sha256:"), "{harm} without a digest: {error}");
        assert_eq!(error.class(), Class::Park, "{harm}");
    }
    let kept = shop.load("hostile", "remembers").expect("the host goes on");
    let verdicts = kept.transform(&context(), &victim(), &victims(2));
    assert_eq!(verdicts.expect("an honest answer"), [Verdict::Keep, Verdict::Keep]);
}

#[test]
fn a_plugin_may_have_limits_of_its_own() {
    let heard = Arc::new(Mutex::new(0));
    let (mut shop, ear) = (Shop::new(), heard.clone());
    shop.host = shop.host.with_log(Arc::new(move |_| {
        *ear.lock().expect("no test panics while holding it") += 1;
    }));
    let bounds = PluginBounds {
        memory_bytes: Some(48 << 20),
        deadline: None,
        answer_bytes: Some(1 << 20),
        log_lines: Some(3),
    };
    for (harm, expected) in [
        ("loops", Some("stopped in transform after 1010 ms")),
        ("hoards", Some("50331648 are allowed")),
        ("huge-refusal", Some("with more than 1048576 bytes")),
        ("huge-answer", Some("with more than 1048576 bytes")),
        ("chatters", None),
    ] {
        // For the one that never ends; the others must reach their own limit on a busy machine too.
        let deadline = (harm == "loops").then_some(Duration::from_millis(1_001));
        let bounds = PluginBounds { deadline, ..bounds.clone() };
        let source = PluginSource { bounds, ..source(component("hostile"), harm) };
        let plugin = shop.host.load(&source).expect("it loads");
        let end = plugin.transform(&context(), &victim(), &victims(3));
        let end = end.err().map(|error| error.to_string());
        let is_so = match (&end, expected) {
            (Some(words), Some(expected)) => words.contains(expected),
            (end, expected) => end.as_deref() == expected,
        };
        assert!(is_so, "{harm}: {end:?}");
    }
    assert_eq!(
        *heard.lock().expect("no test panics while holding it"),
        4,
        "three, and their count"
    );
}

#[test]
fn a_loop_while_loading_is_stopped_too() {
    let shop = Shop::with_limits(strict());
    let error = refused(shop.load("hostile", "describe-loops"));
    assert!(matches!(error, PluginError::Deadline { call: "describe", .. }), "{error}");
}

#[test]
fn harm_in_describe_is_a_refusal_and_never_an_end_of_the_host() {
    let shop = Shop::with_limits(strict());
    for (harm, code) in [
        ("describe-panics", "plugin-trap"),
        ("describe-hoards", "plugin-memory"),
        ("describe-huge", "plugin-answer-too-large"),
        ("describe-loops", "plugin-deadline"),
    ] {
        let error = refused(shop.load("hostile", harm));
        assert_eq!(error.code(), code, "{harm}: {error}");
        assert!(error.to_string().contains("sha256:"), "{harm} without a digest: {error}");
        assert!(shop.load("hostile", "").is_ok(), "the host goes on");
    }
}

#[test]
fn a_hash_maps_order_is_the_same_in_every_call_and_every_host() {
    let order = |shop: &Shop| refused(transform(shop, "iterates")).to_string();
    let (one, other) = (Shop::new(), Shop::new());
    let first = order(&one);
    assert!(first.contains(",63,") || first.contains(": 63,"), "all 64: {first}");
    assert_eq!([order(&one), order(&other)], [first.clone(), first]);
}

#[test]
fn every_wrong_answer_is_told() {
    let shop = Shop::new();
    for (lie, words) in [
        ("forgets-a-row", "2 verdicts for 3 rows"),
        ("gives-no-reason", "row 1 is refused without a reason"),
        ("gives-a-reason-too-many", "more reasons than refused rows"),
        ("undeclared-column", "a change in column 5, but it declared 5"),
        ("changes-twice", "NUMBER is changed twice"),
        ("row-out-of-range", "row 4, NUMBER: there is no such row"),
        ("rows-descend", "row 1, NUMBER: the numbers of the rows do not ascend"),
        ("row-twice", "row 1, NUMBER: the numbers of the rows do not ascend"),
        ("changes-a-dropped-row", "row 1, NUMBER: changed, but not kept"),
        ("too-few-values", "1 values for 2 changed rows"),
        ("wrong-shape", "row 1, NUMBER: a text does not fit int"),
        ("out-of-range", "row 1, NUMBER: 1099511627776 is outside int"),
        ("too-long", "row 1, NAME: 13 characters do not fit nvarchar(8)"),
        ("not-utf8", "row 1, NAME: not UTF-8"),
        ("crooked-offsets", "the offsets of a packed column do not cut its bytes"),
        ("no-offsets", "the offsets of a packed column do not cut its bytes"),
        ("null-in-not-null", "row 1, NUMBER: it must not be NULL"),
        ("crooked-validity", "a validity byte is neither 0 nor 1"),
        ("39-digits", "row 1, AMOUNT: a decimal of more than 38 digits"),
        ("halves-differ", "the halves of a column differ: 1 and 0"),
        ("nonsense-as-text", "row 1, AMOUNT: 'a lot' is not a decimal number"),
        ("year-10000", "row 1, MOMENT: a date or time outside years 1 to 9999"),
        ("not-a-number", "row 1, KIND: a float does not fit float"),
    ] {
        let error = refused(transform(&shop, lie));
        assert_eq!(error.code(), "plugin-bad-answer", "{lie}: {error}");
        assert!(error.to_string().contains(words), "{lie}: {error}");
    }
}

#[test]
fn values_are_fitted_to_their_columns() {
    let shop = Shop::new();
    let amount = |text| Value::Decimal(Decimal::parse(text).expect("a decimal"));
    for (answer, expected) in
        [("rounded-decimal", amount("12.35")), ("decimal-as-text", amount("-3.14"))]
    {
        let verdicts = transform(&shop, answer).expect("a fitting answer");
        assert_eq!(verdicts[0], Verdict::Replace(vec![(3, expected)]), "{answer}");
        assert_eq!(verdicts[1..], [Verdict::Keep, Verdict::Keep], "{answer}");
    }
}

#[test]
fn nothing_is_remembered_from_batch_to_batch() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "remembers").expect("it loads");
    // Three batches of one call, then more calls: every instance is the first.
    for _ in 0..3 {
        let verdicts = plugin.transform(&context(), &victim(), &victims(2_500));
        let verdicts = verdicts.expect("an honest answer");
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Keep));
        assert_eq!(verdicts.len(), 2_500);
    }
}

#[test]
fn log_lines_are_bounded_and_cannot_forge_others() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut shop = Shop::new();
    let ear = heard.clone();
    shop.host = shop.host.with_log(Arc::new(move |line| {
        ear.lock().expect("no test panics while holding it").push(line);
    }));
    transform(&shop, "chatters").expect("talking is no harm");
    let heard = heard.lock().expect("no test panics while holding it");
    assert_eq!(heard.len(), 101, "100 lines and one that counts the rest");
    assert!(heard.iter().all(|line| line.text.len() <= 1_024 && !line.text.contains('\n')));
    assert!(heard[0].text.starts_with("one two \u{e9}"), "{}", heard[0].text);
    assert_eq!(
        (heard[100].is_warning, heard[100].text.as_str()),
        (true, "900 more lines were dropped")
    );
    assert!(heard[0].plugin.digest.starts_with("sha256:"));
}

#[test]
fn several_threads_may_ask_one_plugin_while_another_is_stopped() {
    let shop = Shop::with_limits(strict());
    let (honest, stuck) = (shop.load("hostile", "remembers"), shop.load("hostile", "loops"));
    let (honest, stuck) = (honest.expect("it loads"), stuck.expect("it loads"));
    let mut ends = Vec::new();
    let ask = |plugin: &crate::Plugin| plugin.transform(&context(), &victim(), &victims(1));
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| ask(&stuck));
        let honest: Vec<_> = (0..3).map(|_| scope.spawn(|| ask(&honest))).collect();
        ends.extend(honest.into_iter().map(|thread| thread.join().expect("it ends").is_ok()));
        ends.push(stuck.join().expect("it ends").is_ok());
    });
    assert_eq!(ends, [true, true, true, false]);
}

/// The pool of instances has room for so many: its own error would count as the plugin's, and rows pass unruled for it.
#[test]
fn a_call_more_than_there_are_places_waits_and_does_not_fail() {
    // Shorter than what the other tests have: they get little of the processor while all of these run.
    let shop = Shop::with_limits(PluginLimits { ticks_max: 50, ..strict() });
    let stuck = shop.load("hostile", "loops").expect("it loads");
    let calls = PLUGIN_CALLS_MAX as usize + 8;
    let ask = || refused(stuck.transform(&context(), &victim(), &victims(1))).code();
    let ends: Vec<&str> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..calls).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    assert_eq!(ends, vec!["plugin-deadline"; calls]);
}

#[test]
fn a_row_of_another_shape_is_our_own_mistake_and_stops_the_flow() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "remembers").expect("it loads");
    let mut rows = victims(2);
    rows[1].0[1] = Value::Timestamp(Timestamp(0));
    let error = refused(plugin.transform(&context(), &victim(), &rows));
    assert_eq!((error.code(), error.class()), ("plugin-row-shape", Class::Stop));
    assert!(error.to_string().contains("NUMBER of ax.VICTIM is int"), "{error}");
}
