//! What a setting is, said once: its name, what it takes, its default and its meaning.
//!
//! ```text
//!                      ┌─> reader       reads the file by it, refuses what it does not describe
//! Field, in a Shape ───┼─> schema       JSON Schema for editors
//!                      └─> tables       the tables of docs/settings.md, compared by a test
//! ```
//!
//! A key that the reader asks for and that no [`Shape`] lists would be missing in the other two; the tests of
//! [`super::schema`] read a file with every described key and find it.

use serde_json::{Value as Json, json};

/// One setting of a file or of one of its tables.
pub struct Field<K> {
    pub key: &'static str,
    pub kind: K,
    pub meaning: &'static str,
}

/// A table of a file: the settings that it may hold.
pub struct Shape {
    pub fields: &'static [&'static dyn Described],
}

/// Whether a setting may be left out, and what then counts.
#[derive(Clone, Copy)]
pub enum Presence<T> {
    Required,
    Optional,
    Default(T),
}

/// What a setting takes.
pub trait Kind {
    /// Its JSON Schema, without description and default.
    fn schema(&self) -> Json;
    /// Completes "… takes", for the documentation and for who gave something else.
    fn takes(&self) -> String;
    fn presence(&self) -> Presence<Json>;
}

/// A setting whose kind is left open.
pub trait Described: Sync {
    fn key(&self) -> &'static str;
    fn meaning(&self) -> &'static str;
    fn kind(&self) -> &dyn Kind;
}

impl<K: Kind + Sync> Described for Field<K> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn kind(&self) -> &dyn Kind {
        &self.kind
    }
}

/// A text in quotes.
pub struct Text {
    pub presence: Presence<&'static str>,
    /// In characters, where another program's column sets a bound.
    pub longest: Option<usize>,
}

impl Text {
    pub const OPTIONAL: Text = Text { presence: Presence::Optional, longest: None };
    pub const REQUIRED: Text = Text { presence: Presence::Required, longest: None };

    pub const fn or(default: &'static str) -> Text {
        Text { presence: Presence::Default(default), longest: None }
    }
}

/// A whole or fractional number within bounds.
pub struct Number {
    pub least: f64,
    pub most: f64,
    pub is_whole: bool,
    pub default: f64,
}

/// One of a few words.
pub struct Word<T: 'static> {
    pub choices: &'static [(&'static str, T)],
    /// Its position among the choices.
    pub default: Presence<usize>,
}

/// Yes or no.
pub struct Flag {
    pub default: bool,
}

/// A list of texts.
pub struct Texts {
    pub presence: Presence<&'static [&'static str]>,
}

/// `[key]` or `key = { … }`.
pub struct Table {
    pub shape: &'static Shape,
    pub is_required: bool,
}

/// `[[key]]` or `key = [{ … }]`.
pub struct Tables {
    pub shape: &'static Shape,
}

/// `key = { … }` or `key = [{ … }, { … }]`
pub struct TableOrTables {
    pub shape: &'static Shape,
}

/// `key = ["a", { name = "b" }]`
pub struct TextsOrTables {
    pub shape: &'static Shape,
}

impl Field<Text> {
    /// The default, which this setting has.
    pub fn default(&self) -> &'static str {
        match self.kind.presence {
            Presence::Default(text) => text,
            _ => "",
        }
    }
}

impl Field<Number> {
    pub fn default(&self) -> f64 {
        self.kind.default
    }
}

impl<T: Clone> Field<Word<T>> {
    /// The default, or the first choice where there is none: it stands in while mistakes are collected.
    pub fn default(&self) -> T {
        let at = match self.kind.default {
            Presence::Default(at) => at,
            _ => 0,
        };
        self.kind.choices[at].1.clone()
    }
}

impl<T: Clone + PartialEq> Field<Word<T>> {
    /// How a file spells `value`.
    pub fn spelled(&self, value: &T) -> &'static str {
        let found = self.kind.choices.iter().find(|(_, choice)| choice == value);
        found.map(|(word, _)| *word).expect("every value of a setting has its word")
    }
}

impl Kind for Text {
    fn schema(&self) -> Json {
        let mut schema = json!({ "type": "string" });
        if let Presence::Required = self.presence {
            schema["minLength"] = json!(1);
        }
        if let Some(longest) = self.longest {
            schema["maxLength"] = json!(longest);
        }
        schema
    }

    fn takes(&self) -> String {
        match self.longest {
            Some(longest) => format!("a text of at most {longest} characters"),
            None => "a text".to_string(),
        }
    }

    fn presence(&self) -> Presence<Json> {
        match self.presence {
            Presence::Required => Presence::Required,
            Presence::Optional => Presence::Optional,
            Presence::Default(text) => Presence::Default(json!(text)),
        }
    }
}

impl Kind for Number {
    fn schema(&self) -> Json {
        let of = if self.is_whole { "integer" } else { "number" };
        json!({ "type": of, "minimum": plain(self.least), "maximum": plain(self.most) })
    }

    fn takes(&self) -> String {
        let of = if self.is_whole { "a whole number" } else { "a number" };
        format!("{of} from {} to {}", self.least, self.most)
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Default(plain(self.default))
    }
}

/// A whole number without a decimal point.
fn plain(number: f64) -> Json {
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}

impl<T> Kind for Word<T> {
    fn schema(&self) -> Json {
        json!({ "enum": self.choices.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
    }

    fn takes(&self) -> String {
        let words: Vec<&str> = self.choices.iter().map(|(word, _)| *word).collect();
        format!("one of: {}", words.join(", "))
    }

    fn presence(&self) -> Presence<Json> {
        match self.default {
            Presence::Required => Presence::Required,
            Presence::Optional => Presence::Optional,
            Presence::Default(at) => Presence::Default(json!(self.choices[at].0)),
        }
    }
}

impl Kind for Flag {
    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }

    fn takes(&self) -> String {
        "true or false".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Default(json!(self.default))
    }
}

impl Kind for Texts {
    fn schema(&self) -> Json {
        let least = usize::from(matches!(self.presence, Presence::Required));
        json!({ "type": "array", "items": { "type": "string" }, "minItems": least })
    }

    fn takes(&self) -> String {
        "a list of texts".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        match self.presence {
            Presence::Required => Presence::Required,
            Presence::Optional => Presence::Optional,
            Presence::Default(texts) => Presence::Default(json!(texts)),
        }
    }
}

impl Kind for Table {
    fn schema(&self) -> Json {
        self.shape.schema()
    }

    fn takes(&self) -> String {
        "a table".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        if self.is_required { Presence::Required } else { Presence::Optional }
    }
}

impl Kind for Tables {
    fn schema(&self) -> Json {
        json!({ "type": "array", "items": self.shape.schema() })
    }

    fn takes(&self) -> String {
        "a list of tables".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Optional
    }
}

impl Kind for TableOrTables {
    fn schema(&self) -> Json {
        let one = self.shape.schema();
        json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }

    fn takes(&self) -> String {
        "a table or a list of tables".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Optional
    }
}

impl Kind for TextsOrTables {
    fn schema(&self) -> Json {
        let item = json!({ "anyOf": [{ "type": "string" }, self.shape.schema()] });
        json!({ "type": "array", "items": item })
    }

    fn takes(&self) -> String {
        "a list of texts and tables".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Optional
    }
}

impl Shape {
    /// A table that holds these settings and nothing else.
    pub fn schema(&self) -> Json {
        let mut properties = serde_json::Map::new();
        let mut required = Vec::new();
        for field in self.fields {
            let mut schema = field.kind().schema();
            schema["description"] = json!(field.meaning());
            match field.kind().presence() {
                Presence::Required => required.push(field.key()),
                Presence::Default(value) => schema["default"] = value,
                Presence::Optional => {}
            }
            properties.insert(field.key().to_string(), schema);
        }
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        })
    }
}
