//! The rule about codes, shown to fail on texts made for it.

use super::offences;

const ERROR: &str = "impl E {
    fn class(&self) -> Class {
        match self { E::Gone { .. } => Class::Retry, E::Full | E::Other(_) => Class::Stop }
    }
    fn code(&self) -> &'static str {
        match self { E::Gone { .. } => \"e-gone\", E::Full => \"e-full\", E::Other(e) => e.code() }
    }
}";
const DOOR: &str = "fn read() {
    let wrong = |code, detail: String| Problem::new(422, code, detail);
    wrong(\"row-key\", text);
    Problem::new(413, \"row-count\", text);
    Problem::new(422, \"row-count\", text);
    Problem::new(status, error.code(), text);
}";

fn found(source: &str, document: &str) -> Vec<String> {
    let sources = [("host/a/src/a.rs".to_owned(), source.to_owned())];
    offences(&sources, document).iter().map(ToString::to_string).collect()
}

#[test]
fn each_broken_promise_is_found() {
    let whole = "| `e-gone` | retry | gone |\n| `e-full` | stop | full |\n";
    let cases = [
        (ERROR, "| `e-gone` | retry | gone |\n", "host/a/src/a.rs:6: e-full is not in docs"),
        (ERROR, &format!("{whole}| `e-old` | stop | old |\n"), "docs/errors.md:3: nothing in the"),
        (
            ERROR,
            &format!("{whole}| `e-gone` | retry | again |\n"),
            "docs/errors.md:3: e-gone is expl",
        ),
        (ERROR, &whole.replace("stop", "park"), "docs/errors.md:2: e-full is stop, not park"),
        (DOOR, "| `row-key` | 422 | a |\n", "host/a/src/a.rs:4: row-count is not in docs"),
        (DOOR, "| `row-count` | 413, 422 | a |\n", "host/a/src/a.rs:3: row-key is not in docs"),
        ("fn a() { Problem::new(404, CODE, t); }", "", "host/a/src/a.rs:1: a problem whose code"),
        ("fn a() { db.quarantine(id, \"a-b\", t); }", "", "host/a/src/a.rs:1: a-b is not in docs"),
        ("fn a() { let reason = (\"a\".to_string(), t); }", "", "host/a/src/a.rs:1: a is not in"),
        ("fn a() { Told { code: \"a\".into() } }", "", "host/a/src/a.rs:1: a is not in docs"),
        ("impl E { fn code(&self) -> &str { \"one\" } }", "", "host/a/src/a.rs:1: one is not in"),
    ];
    for (source, document, start) in cases {
        let found = found(source, document);
        assert_eq!(found.len(), 1, "{source}\n{document}: {found:?}");
        assert!(found[0].starts_with(start), "{}", found[0]);
    }
}

#[test]
fn codes_that_are_explained_pass_and_tests_give_none() {
    let document = "| code | class |\n| `e-gone` | retry | gone |\n| `e-full` | stop | full |\n";
    assert_eq!(found(ERROR, document), [""; 0]);
    assert_eq!(found(DOOR, "| `row-key` | 422 | a |\n| `row-count` | 413, 422 | b |\n"), [""; 0]);
    let inline = "#[cfg(test)] mod tests { fn a() { Told { code: \"a\".into() } } }";
    assert_eq!(found(inline, ""), [""; 0]);
    let aside = [
        ("host/a/src/lib.rs".to_owned(), "#[cfg(test)]\nmod proofs;".to_owned()),
        ("host/a/src/proofs/one.rs".to_owned(), ERROR.to_owned()),
        ("host/a/src/proofs.rs".to_owned(), ERROR.to_owned()),
    ];
    assert_eq!(offences(&aside, ""), []);
}
