//! Codes of errors: whatever a person can meet stands in docs/errors.md, and whatever stands there can be met.
//!
//! Codes are read from the sources where they are given away:
//! * the texts in a method `code`, with the class that the method `class` beside it gives to the same variant;
//! * the code of a `Problem`, with its HTTP status, also through a closure whose first parameter is `code`;
//! * the reason of a `quarantine` or a `set_aside`, a pair named `reason`, and the code of a `Told`, a `Refused` or a
//!   `Taken`, where they are given as text.
//!
//! A `Problem` whose code cannot be read here is an offence: it would slip by.

use super::Offence;
use super::source::is_test;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Lit, Pat};

const DOCUMENT: &str = "docs/errors.md";

/// Classes or HTTP statuses, as the document's second column lists them; empty where the sources do not say.
type Fates = BTreeSet<String>;

/// A code at its first place, and what becomes of those who meet it.
struct Given {
    file: String,
    line: usize,
    fates: Fates,
}

pub(super) fn offences(sources: &[(String, String)], document: &str) -> Vec<Offence> {
    let tests = test_modules(sources);
    let mut look = Look::default();
    for (file, text) in sources {
        let is_test_file = tests.iter().any(|module| {
            file.strip_prefix(module.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        if let (false, Ok(parsed)) = (is_test_file, syn::parse_file(text)) {
            look.file = file;
            look.makers.clear();
            look.visit_file(&parsed);
        }
    }
    let mut found = look.found;
    let listed = listed(document, &mut found);
    for (code, given) in &look.given {
        match listed.get(code) {
            None => {
                found.push(offence(&given.file, given.line, format!("{code} is not in {DOCUMENT}")))
            }
            Some((line, fates)) if !given.fates.is_empty() && *fates != given.fates => {
                let (wrong, right) = (join(fates), join(&given.fates));
                found.push(offence(DOCUMENT, *line, format!("{code} is {right}, not {wrong}")));
            }
            Some(_) => {}
        }
    }
    for (code, (line, _)) in listed.iter().filter(|(code, _)| !look.given.contains_key(*code)) {
        found.push(offence(DOCUMENT, *line, format!("nothing in the sources gives {code}")));
    }
    found
}

fn offence(file: &str, line: usize, what: String) -> Offence {
    Offence { file: file.to_owned(), line, what }
}

fn join(fates: &Fates) -> String {
    fates.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The document's table rows: `| code | fates | … |`, the code in backticks.
fn listed(document: &str, found: &mut Vec<Offence>) -> BTreeMap<String, (usize, Fates)> {
    let mut listed = BTreeMap::new();
    for (number, line) in document.lines().enumerate() {
        let row = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
        let Some((code, rest)) = row.filter(|(code, _)| is_code(code)) else { continue };
        let fates = rest.split('|').next().unwrap_or_default();
        let fates = fates.split(',').map(|fate| fate.trim().to_owned()).collect();
        if listed.insert(code.to_owned(), (number + 1, fates)).is_some() {
            found.push(offence(DOCUMENT, number + 1, format!("{code} is explained twice")));
        }
    }
    listed
}

fn is_code(word: &str) -> bool {
    word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-')
}

/// Paths without ending of modules that are declared for tests only, such as `host/local/src/tests`.
fn test_modules(sources: &[(String, String)]) -> Vec<String> {
    let mut modules = Vec::new();
    for (file, text) in sources {
        let Ok(parsed) = syn::parse_file(text) else { continue };
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let inside = if ["lib", "main", "mod"].contains(&name) { folder } else { stem };
        for item in parsed.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && module.attrs.iter().any(is_test)
            {
                modules.push(format!("{inside}/{}", module.ident));
            }
        }
    }
    modules
}

#[derive(Default)]
struct Look<'a> {
    file: &'a str,
    given: BTreeMap<String, Given>,
    found: Vec<Offence>,
    /// Closures of the file that make a problem of a code, with the status that they give it.
    makers: HashMap<String, Option<String>>,
}

impl Look<'_> {
    fn give(&mut self, code: &syn::LitStr, fates: impl IntoIterator<Item = String>) {
        let (file, line) = (self.file.to_owned(), code.span().start().line);
        let given = self.given.entry(code.value());
        let given = given.or_insert(Given { file, line, fates: Fates::new() });
        given.fates.extend(fates);
    }

    fn give_of_method(&mut self, code: &syn::Block, classes: &[(String, String)]) {
        let mut arms = Arms::default();
        arms.visit_block(code);
        if arms.0.is_empty() {
            texts(|texts| texts.visit_block(code)).iter().for_each(|code| self.give(code, None));
        }
        for arm in arms.0 {
            let of_arm = variants(&arm.pat);
            let fates = classes.iter().filter(|(variant, _)| of_arm.contains(variant));
            let fates: Vec<String> = fates.map(|(_, class)| class.clone()).collect();
            for code in texts(|texts| texts.visit_expr(&arm.body)) {
                self.give(&code, fates.clone());
            }
        }
    }

    fn give_of_problem(&mut self, call: &syn::ExprCall) {
        let mut arguments = call.args.iter();
        let (status, code) = (arguments.next().and_then(number), arguments.next());
        match code {
            Some(code) if text(code).is_some() => {
                text(code).into_iter().for_each(|code| self.give(code, status.clone()));
            }
            Some(Expr::MethodCall(call)) if call.method == "code" => {}
            Some(Expr::Path(path)) if path.path.is_ident("code") => {}
            _ => self.found.push(offence(
                self.file,
                call.span().start().line,
                "a problem whose code is no plain text".to_owned(),
            )),
        }
    }
}

impl<'ast> Visit<'ast> for Look<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let method = |name: &str| {
            item.items.iter().find_map(|member| match member {
                syn::ImplItem::Fn(function) if function.sig.ident == name => Some(&function.block),
                _ => None,
            })
        };
        if let Some(code) = method("code") {
            self.give_of_method(code, &method("class").map(classes).unwrap_or_default());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let value = local.init.as_ref().map(|init| &*init.expr);
        match (&local.pat, value) {
            (Pat::Ident(name), Some(Expr::Closure(closure))) if takes_code(closure) => {
                let mut status = Status(None);
                status.visit_expr(&closure.body);
                self.makers.insert(name.ident.to_string(), status.0);
            }
            (Pat::Ident(name), Some(Expr::Tuple(pair))) if name.ident == "reason" => {
                pair.elems
                    .first()
                    .and_then(text)
                    .into_iter()
                    .for_each(|code| self.give(code, None));
            }
            _ => {}
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if is_problem(&call.func) {
            self.give_of_problem(call);
        }
        if let Expr::Path(path) = &*call.func
            && let Some(maker) = path.path.get_ident().map(ToString::to_string)
            && let Some(status) = self.makers.get(&maker).cloned()
        {
            call.args
                .first()
                .and_then(text)
                .into_iter()
                .for_each(|code| self.give(code, status.clone()));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "quarantine" || call.method == "set_aside" {
            call.args
                .iter()
                .nth(1)
                .and_then(text)
                .into_iter()
                .for_each(|code| self.give(code, None));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        let is_code = |field: &&syn::FieldValue| matches!(&field.member, syn::Member::Named(name) if name == "code");
        if ["Told", "Refused", "Taken"].iter().any(|name| made.path.is_ident(name)) {
            let code = made.fields.iter().find(is_code).and_then(|field| text(&field.expr));
            code.into_iter().for_each(|code| self.give(code, None));
        }
        visit::visit_expr_struct(self, made);
    }
}

/// `"code"`, `"code".to_string()`, `"code".into()`.
fn text(value: &Expr) -> Option<&syn::LitStr> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        Expr::MethodCall(call) => text(&call.receiver),
        _ => None,
    }
}

fn number(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn is_problem(called: &Expr) -> bool {
    let Expr::Path(path) = called else { return false };
    let names: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
    names.ends_with(&["Problem".to_owned(), "new".to_owned()])
}

fn takes_code(closure: &syn::ExprClosure) -> bool {
    let name = match closure.inputs.first() {
        Some(Pat::Type(typed)) => &*typed.pat,
        Some(other) => other,
        None => return false,
    };
    matches!(name, Pat::Ident(name) if name.ident == "code")
}

/// Which class each variant has, by the method `class`; its arms that ask another error's class say nothing.
fn classes(method: &syn::Block) -> Vec<(String, String)> {
    let mut arms = Arms::default();
    arms.visit_block(method);
    let mut classes = Vec::new();
    for arm in arms.0 {
        let mut class = Class(None);
        class.visit_expr(&arm.body);
        if let Some(class) = class.0 {
            classes.extend(variants(&arm.pat).into_iter().map(|variant| (variant, class.clone())));
        }
    }
    classes
}

fn variants(pattern: &Pat) -> Vec<String> {
    let last = |path: &syn::Path| path.segments.last().map(|part| part.ident.to_string());
    match pattern {
        Pat::Or(any) => any.cases.iter().flat_map(variants).collect(),
        Pat::Struct(one) => last(&one.path).into_iter().collect(),
        Pat::TupleStruct(one) => last(&one.path).into_iter().collect(),
        Pat::Path(one) => last(&one.path).into_iter().collect(),
        Pat::Ident(one) => vec![one.ident.to_string()],
        _ => Vec::new(),
    }
}

fn texts(look: impl FnOnce(&mut Texts)) -> Vec<syn::LitStr> {
    let mut texts = Texts::default();
    look(&mut texts);
    texts.0
}

#[derive(Default)]
struct Texts(Vec<syn::LitStr>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.push(text.clone());
    }
}

#[derive(Default)]
struct Arms<'ast>(Vec<&'ast syn::Arm>);

impl<'ast> Visit<'ast> for Arms<'ast> {
    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.0.push(arm);
    }
}

/// `Class::Retry` is `retry`.
struct Class(Option<String>);

impl<'ast> Visit<'ast> for Class {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if let [.., of, class] = names.as_slice()
            && of == "Class"
        {
            self.0 = Some(class.to_ascii_lowercase());
        }
    }
}

/// The status of the first problem that is made.
struct Status(Option<String>);

impl<'ast> Visit<'ast> for Status {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if self.0.is_none() && is_problem(&call.func) {
            self.0 = call.args.first().and_then(number);
        }
        visit::visit_expr_call(self, call);
    }
}

#[cfg(test)]
mod tests;
