//! The shapes of what is told of plugins.

use super::schemas::{counts, fault, flag, list, map, object, or_null, text, whole, words};
use serde_json::{Value as Json, json};

pub fn plugin() -> Json {
    const ROWS: [&str; 7] = ["in", "kept", "dropped", "refused", "passed", "aside", "halted"];
    let failure = object(&[
        ("at_ms", whole()),
        ("code", text()),
        ("message", text()),
        ("hint", or_null(text())),
        ("scope", text()),
        ("table", text()),
        ("key", or_null(text())),
    ]);
    let refused = object(&[
        ("at_ms", whole()),
        ("digest", or_null(text())),
        ("code", text()),
        ("message", text()),
        ("hint", or_null(text())),
    ]);
    let back = ["from", "to", "who", "why"].map(|name| (name, text()));
    let back = object(&[&back[..], &[("at_ms", whole())]].concat());
    object(&[
        ("name", text()),
        ("digest", text()),
        ("signed_by", or_null(text())),
        ("scopes", list(text())),
        ("since_ms", or_null(whole())),
        ("calls", whole()),
        ("rows", counts(&ROWS)),
        ("conflicts", counts(&["asked", "decided", "deferred"])),
        ("failures", map(whole())),
        ("last_failure", or_null(failure)),
        ("refused", or_null(refused)),
        ("kept", list(text())),
        ("rolled_back", or_null(back)),
    ])
}

pub fn preview() -> Json {
    let any = json!({});
    let cell = object(&[("column", text()), ("before", any.clone()), ("after", any)]);
    let example = object(&[
        ("key", text()),
        ("outcome", words(&["changed", "dropped", "comes", "refused"])),
        ("reason", or_null(text())),
        ("cells", list(cell)),
    ]);
    let counts: Vec<(&str, Json)> =
        ["rows", "same", "changed", "dropped", "comes", "refused"].map(|n| (n, whole())).into();
    let table = [
        counts.clone(),
        vec![
            ("scope", text()),
            ("table", text()),
            ("columns", map(whole())),
            ("examples", list(example)),
            ("fault", fault()),
        ],
    ];
    let own = vec![
        ("plugin", text()),
        ("in_profile", flag()),
        ("digest", or_null(text())),
        ("from", words(&["offline", "channel"])),
        ("tables", list(object(&table.concat()))),
        ("said", list(object(&[("is_warning", flag()), ("text", text())]))),
        ("said_more", whole()),
    ];
    object(&[counts, own].concat())
}
