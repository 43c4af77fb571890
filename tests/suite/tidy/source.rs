//! Rules that need the shape of the code: names, lengths, and what must not stand in it.

use super::Offence;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FUNCTION_LINES_MAX: usize = 70;
/// Words that name nothing: what is done, and to what, is the name.
const EMPTY_WORDS: [&str; 6] = ["manager", "helper", "util", "misc", "process", "handle"];
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

pub(super) fn offences(file: &str, text: &str) -> Vec<Offence> {
    let mut look = Look { file, in_tests: is_test_file(file), found: Vec::new() };
    match syn::parse_file(text) {
        Ok(parsed) => look.visit_file(&parsed),
        Err(error) => look.note(error.span().start().line, format!("is not Rust: {error}")),
    }
    look.check_file_name();
    look.found
}

fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

struct Look<'a> {
    file: &'a str,
    in_tests: bool,
    found: Vec<Offence>,
}

impl Look<'_> {
    fn note(&mut self, line: usize, what: String) {
        self.found.push(Offence { file: self.file.to_owned(), line, what });
    }

    fn check_name(&mut self, name: &syn::Ident) {
        if let Some(word) = empty_word(&name.to_string()) {
            self.note(name.span().start().line, format!("{name}: \"{word}\" names nothing"));
        }
    }

    fn check_file_name(&mut self) {
        let name = self.file.rsplit('/').next().unwrap_or(self.file);
        if let Some(word) = name.strip_suffix(".rs").and_then(empty_word) {
            self.note(1, format!("the file's name: \"{word}\" names nothing"));
        }
    }

    fn check_length(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let lines = body.span().end().line - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let what =
                format!("{} has {lines} lines, {FUNCTION_LINES_MAX} at most", signature.ident);
            self.note(first, what);
        }
    }

    /// Looks at what `visit` visits as test code if one of the attributes says so.
    fn inside(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.in_tests;
        self.in_tests |= attributes.iter().any(is_test);
        visit(self);
        self.in_tests = before;
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(all(test, unix))]`.
pub(super) fn is_test(attribute: &syn::Attribute) -> bool {
    let last = attribute.path().segments.last().map(|segment| segment.ident.to_string());
    match (last.as_deref(), &attribute.meta) {
        (Some("test"), _) => true,
        (Some("cfg"), syn::Meta::List(list)) => {
            let condition = list.tokens.to_string();
            !condition.contains("not")
                && condition.split(|c: char| !c.is_alphanumeric()).any(|w| w == "test")
        }
        _ => false,
    }
}

/// Also as a plural, in snake_case and in CamelCase.
fn empty_word(name: &str) -> Option<&'static str> {
    let mut spread = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            spread.push('_');
        }
        spread.push(letter.to_ascii_lowercase());
    }
    let is_word = |word: &&str| {
        spread.split('_').any(|part| {
            part.strip_prefix(*word).is_some_and(|rest| ["", "s", "es"].contains(&rest))
        })
    };
    EMPTY_WORDS.iter().copied().find(is_word)
}

impl<'ast> Visit<'ast> for Look<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check_name(&item.sig.ident);
        self.check_length(&item.sig, &item.block);
        self.inside(&item.attrs, |look| visit::visit_item_fn(look, item));
    }

    /// The names in an implementation of a trait are the trait's.
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none() {
            for member in &item.items {
                if let syn::ImplItem::Fn(function) = member {
                    self.check_name(&function.sig.ident);
                }
            }
        }
        self.inside(&item.attrs, |look| visit::visit_item_impl(look, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check_length(&item.sig, &item.block);
        self.inside(&item.attrs, |look| visit::visit_impl_item_fn(look, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.check_name(&item.sig.ident);
        if let Some(body) = &item.default {
            self.check_length(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.check_name(&item.ident);
        self.inside(&item.attrs, |look| visit::visit_item_mod(look, item));
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.check_name(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.check_name(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.check_name(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" && !self.in_tests {
            self.note(call.method.span().start().line, "unwrap outside tests".to_owned());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = UNFINISHED.iter().find(|name| call.path.is_ident(name)) {
            self.note(call.span().start().line, format!("{name}! is unfinished work"));
        }
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("ignore") {
            self.note(attribute.span().start().line, "a test that never runs".to_owned());
        }
    }
}

#[test]
fn each_broken_rule_is_found() {
    let long = format!("fn long() {{\n{}}}", "    one();\n".repeat(FUNCTION_LINES_MAX - 1));
    let cases = [
        ("a.rs", long.as_str(), "1: long has 71 lines"),
        ("a.rs", "fn a() {}\nstruct RowManager;", "2: RowManager: \"manager\""),
        ("a.rs", "enum Utils {}", "1: Utils: \"util\""),
        ("a.rs", "trait HandleRow {}", "1: HandleRow: \"handle\""),
        ("a.rs", "mod misc {}", "1: misc: \"misc\""),
        ("a.rs", "impl A { fn process_row(&self) {} }", "1: process_row: \"process\""),
        ("a/test_helpers.rs", "", "1: the file's name: \"helper\""),
        ("a.rs", "fn a() {\n    b.unwrap();\n}", "2: unwrap outside tests"),
        ("a.rs", "#[cfg(not(test))]\nfn a() { b.unwrap(); }", "2: unwrap outside tests"),
        ("a.rs", "fn a() { dbg!(1); }", "1: dbg! is unfinished"),
        ("tests/a.rs", "#[test]\n#[ignore]\nfn a() {}", "2: a test that never runs"),
        ("a.rs", "fn {", "1: is not Rust"),
    ];
    for (file, text, part) in cases {
        let found = offences(file, text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(format!("{}: {}", found[0].line, found[0].what).starts_with(part), "{}", found[0]);
    }
}

#[test]
fn what_the_rules_allow_passes() {
    let cases = [
        ("a.rs", "#[cfg(all(test, unix))] mod tests { fn a() { b.unwrap(); } }"),
        ("a.rs", "#[tokio::test] async fn a() { b.unwrap(); }"),
        ("a/tests.rs", "fn a() { b.unwrap(); }"),
        ("a.rs", "impl Service for A { fn handle(&self) {} }"),
        ("a.rs", "fn handler() { c.unwrap_or(1); }\nfn processed() {}"),
    ];
    for (file, text) in cases {
        assert_eq!(offences(file, text), [], "{text}");
    }
}
