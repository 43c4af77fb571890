//! What the front door answers, said once: for programs as OpenAPI 3.1 at `/v1/openapi.json`, and for the door itself.
//!
//! ```text
//!              ┌─> guard       refuses a query that no operation describes
//! operations ──┼─> asked       refuses a member of a body that none describes, or of another type
//!              └─> document    OpenAPI, with the roles of the table of routes
//! ```
//!
//! * A test holds the operations to [`super::routes::all`]: none is missing, none is too many.
//! * The document is put together from JSON like the schema of the settings, by no macro over Rust types: rows and
//!   decisions have the columns of the channel's tables, which no type of ours knows. That answers are as they are
//!   described is seen by asking: `tests/door/run`.

mod document;
mod operations;
mod plugins;
mod schemas;

pub use document::get;

use super::routes::Verb;
use serde_json::Value as Json;
use std::sync::LazyLock;

/// One route, as it is told.
pub struct Operation {
    pub verb: Verb,
    pub path: &'static str,
    summary: &'static str,
    pub query: Asked,
    pub body: Body,
    /// Status, media type and schema of what is no refusal.
    answers: Vec<(u16, &'static str, Json)>,
    /// Status and codes of its own refusals, beside those that every route has.
    refusals: Vec<(u16, &'static [&'static str])>,
}

/// What may stand behind the question mark.
pub enum Asked {
    Names(Vec<Parameter>),
    /// Columns of a table, which the route knows.
    Columns,
}

pub struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    meaning: &'static str,
}

/// What the body holds.
pub enum Body {
    None,
    Required(Vec<Member>),
    /// It may be left out.
    Optional(Vec<Member>),
}

pub struct Member {
    pub name: &'static str,
    pub kind: Kind,
    /// Otherwise it may be null or left out; what a decision lacks is told by the decision itself.
    is_required: bool,
    meaning: &'static str,
}

/// What a parameter or a member takes.
#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    Word(&'static [&'static str]),
    Whole {
        least: u64,
        most: u64,
    },
    Flag,
    /// Cells by their columns.
    Cells,
    /// Rows of a POS transaction.
    Rows,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operations::all);

/// The operation of a route, as axum writes its path.
pub fn find(verb: &str, path: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|one| one.verb.name() == verb && one.path == path)
}

impl Kind {
    /// A text of the query.
    pub fn takes_text(self, text: &str) -> bool {
        match self {
            Kind::Text => true,
            Kind::Word(words) => words.contains(&text),
            Kind::Whole { least, most } => {
                let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                is_plain && text.parse().is_ok_and(|number| (least..=most).contains(&number))
            }
            Kind::Flag | Kind::Cells | Kind::Rows => false,
        }
    }

    /// A member of a body; null is taken like one that is left out.
    pub fn takes(self, json: &Json) -> bool {
        match (self, json) {
            (_, Json::Null) => true,
            (Kind::Text, Json::String(_)) | (Kind::Flag, Json::Bool(_)) => true,
            (Kind::Word(words), Json::String(word)) => words.contains(&word.as_str()),
            (Kind::Whole { .. }, Json::Number(number)) => self.takes_text(&number.to_string()),
            (Kind::Cells, Json::Object(_)) | (Kind::Rows, Json::Array(_)) => true,
            _ => false,
        }
    }

    /// Completes "takes".
    pub fn told(self) -> String {
        match self {
            Kind::Text => "a text".to_string(),
            Kind::Word(words) => format!("one of: {}", words.join(", ")),
            Kind::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Flag => "true or false".to_string(),
            Kind::Cells => "an object of cells by their columns".to_string(),
            Kind::Rows => "a list of rows".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, OPERATIONS, document};
    use crate::front_door::routes;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let routes = routes::all();
        let of_table: BTreeSet<_> = routes.iter().map(|one| (one.verb, one.path)).collect();
        let described: BTreeSet<_> = OPERATIONS.iter().map(|one| (one.verb, one.path)).collect();
        assert_eq!(of_table, described);
        assert_eq!(described.len(), OPERATIONS.len(), "one is described twice");
        let document = document::document();
        for route in routes {
            let path = route.path.replace("{*", "{");
            let told = &document["paths"][path][route.verb.name().to_lowercase()];
            assert_eq!(told["x-role"], json!(route.least.name()), "{} {told}", route.path);
        }
    }

    /// Every reference leads somewhere, and every refusal is a code that docs/errors.md explains.
    #[test]
    fn the_document_is_whole() {
        let document = document::document();
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        assert!(references.len() > 10, "{references:?}");
        for reference in references {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        let errors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let errors = std::fs::read_to_string(errors).expect("docs/errors.md");
        for operation in OPERATIONS.iter() {
            for code in operation.refusals.iter().flat_map(|(_, codes)| codes.iter()) {
                assert!(errors.contains(&format!("| `{code}` |")), "{code} is not explained");
            }
        }
    }

    fn collect(json: &Json, references: &mut BTreeSet<String>) {
        match json {
            Json::Object(members) => {
                references.extend(members.get("$ref").and_then(Json::as_str).map(str::to_string));
                members.values().for_each(|inner| collect(inner, references));
            }
            Json::Array(items) => items.iter().for_each(|inner| collect(inner, references)),
            _ => {}
        }
    }

    #[test]
    fn what_a_kind_takes_is_taken_and_nothing_else() {
        let whole = Kind::Whole { least: 1, most: 9 };
        for (text, expected) in [("1", true), ("9", true), ("0", false), ("+1", false), ("", false)]
        {
            assert_eq!(whole.takes_text(text), expected, "'{text}'");
        }
        let word = Kind::Word(&["yes"]);
        assert!(word.takes_text("yes") && !word.takes_text("no"));
        assert!(word.takes(&json!("yes")) && word.takes(&Json::Null) && !word.takes(&json!(1)));
        assert!(Kind::Cells.takes(&json!({})) && !Kind::Cells.takes(&json!([])));
        assert!(Kind::Flag.takes(&json!(true)) && !Kind::Flag.takes(&json!("true")));
    }
}
