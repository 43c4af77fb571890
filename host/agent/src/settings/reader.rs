//! Reads a TOML file and collects every mistake with its line, so that a person mends them all in one go.

use super::field::{
    Field, Flag, Kind, Number, Table, TableOrTables, Tables, Text, Texts, TextsOrTables, Word,
};
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
pub use tillhold_core::spelling::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// Counted from one; `None` when the mistake is of the file as a whole.
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

/// All mistakes of one or more files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    pub fn code(&self) -> &'static str {
        "settings"
    }

    pub fn hint(&self) -> Option<String> {
        Some("mend the lines above; docs/settings.md explains every setting".to_string())
    }
}

/// What could be read of a file, and every mistake in it.
pub struct Parsed<T> {
    pub built: T,
    /// In the order of their lines.
    pub mistakes: Vec<Mistake>,
    /// What is built of a file that is no TOML lacks parts that a person did write.
    pub is_toml: bool,
}

/// A text and the line where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub text: String,
    pub line: usize,
}

/// A file's text, for turning byte positions into lines.
pub struct Source {
    file: PathBuf,
    text: String,
    mistakes: RefCell<Vec<Mistake>>,
    /// Every key that was ever asked for, to be compared with the described ones.
    #[cfg(test)]
    pub(super) asked: RefCell<Vec<String>>,
}

impl Source {
    pub fn read(file: &Path) -> Result<Source, Mistakes> {
        let unreadable = |error: std::io::Error| {
            let message = format!("cannot be read: {error}");
            Mistakes(vec![Mistake { file: file.to_path_buf(), line: None, message }])
        };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        Ok(Source::new(file, text))
    }

    pub fn new(file: &Path, text: String) -> Source {
        Source {
            file: file.to_path_buf(),
            text,
            mistakes: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Hands the parsed file to `build`; its answer counts only when neither it nor the syntax made a mistake.
    pub fn parse<T>(&self, build: impl FnOnce(&Section<'_>) -> T) -> Result<T, Mistakes> {
        let parsed = self.parse_anyway(build);
        if parsed.mistakes.is_empty() { Ok(parsed.built) } else { Err(Mistakes(parsed.mistakes)) }
    }

    /// The same for whoever looks on behind the mistakes.
    pub fn parse_anyway<T>(&self, build: impl FnOnce(&Section<'_>) -> T) -> Parsed<T> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            self.note(error.span().map(|span| span.start), error.message().to_string());
        }
        let section = Section::new(self, table.get_ref(), String::new(), 0);
        let built = build(&section);
        section.refuse_unknown_keys();
        let mut mistakes = self.mistakes.take();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes.dedup();
        Parsed { built, mistakes, is_toml: errors.is_empty() }
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at.min(self.text.len())].matches('\n').count() + 1
    }

    fn note(&self, at: Option<usize>, message: String) {
        let line = at.map(|at| self.line(at));
        self.mistakes.borrow_mut().push(Mistake { file: self.file.clone(), line, message });
    }
}

/// One table of the file. Every key that is asked for is remembered; the others are refused at the end.
pub struct Section<'s> {
    source: &'s Source,
    table: &'s DeTable<'s>,
    path: String,
    start: usize,
    asked: RefCell<Vec<String>>,
}

impl<'s> Section<'s> {
    fn new(source: &'s Source, table: &'s DeTable<'s>, path: String, start: usize) -> Section<'s> {
        Section { source, table, path, start, asked: RefCell::default() }
    }

    /// Where the table itself begins.
    pub fn line(&self) -> usize {
        self.source.line(self.start)
    }

    /// Whether the file says something under the key, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The line of a key's value.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.table.get(key).map(|value| self.source.line(value.span().start))
    }

    pub fn text(&self, field: &Field<Text>) -> Option<String> {
        let text = self.typed(field, |value| value.as_str().map(str::to_string))?;
        if field.kind.longest.is_some_and(|longest| text.chars().count() > longest) {
            self.refuse(field);
        }
        Some(text)
    }

    /// Notes a mistake when the text is missing or empty.
    pub fn required_text(&self, field: &Field<Text>) -> String {
        match self.text(field) {
            Some(text) if text.trim().is_empty() => {
                self.wrong(field.key, "must not be empty");
                text
            }
            Some(text) => text,
            None => {
                if !self.has(field.key) {
                    self.missing(field.key);
                }
                String::new()
            }
        }
    }

    pub fn texts(&self, field: &Field<Texts>) -> Option<Vec<Placed>> {
        let item = |item: &Spanned<DeValue<'_>>| {
            let text = item.get_ref().as_str()?.to_string();
            Some(Placed { text, line: self.source.line(item.span().start) })
        };
        self.typed(field, |value| value.as_array()?.iter().map(item).collect())
    }

    /// A whole or fractional number within the field's bounds.
    pub fn number(&self, field: &Field<Number>) -> Option<f64> {
        let of = &field.kind;
        self.typed(field, |value| {
            let number: f64 = match value {
                DeValue::Integer(whole) => whole.as_str().parse().ok()?,
                DeValue::Float(fraction) if !of.is_whole => fraction.as_str().parse().ok()?,
                _ => return None,
            };
            (of.least..=of.most).contains(&number).then_some(number)
        })
    }

    pub fn flag(&self, field: &Field<Flag>) -> Option<bool> {
        self.typed(field, |value| value.as_bool())
    }

    /// One of the field's words.
    pub fn word<T: Clone>(&self, field: &Field<Word<T>>) -> Option<T> {
        let word = self.typed(field, |value| value.as_str().map(str::to_string))?;
        let choices = field.kind.choices;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(choice.clone());
        }
        let near = nearest(&word, choices.iter().map(|(name, _)| *name));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        self.wrong(field.key, &format!("'{word}' is not {}{hint}", field.kind.takes()));
        None
    }

    pub fn section(&self, field: &Field<Table>) -> Option<Section<'s>> {
        let value = self.ask(field.key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(self.inner(field.key, table, value.span().start)),
            None => {
                self.refuse(field);
                None
            }
        }
    }

    /// The tables of an array, `[[key]]` or `key = [{ … }]`.
    pub fn sections(&self, field: &Field<Tables>) -> Vec<Section<'s>> {
        let Some(value) = self.ask(field.key) else { return Vec::new() };
        match value.get_ref().as_array() {
            Some(array) => self.inner_tables(field.key, array),
            None => {
                self.refuse(field);
                Vec::new()
            }
        }
    }

    /// `key = { … }` as a list of one, or `key = [{ … }, { … }]`.
    pub fn section_or_sections(&self, field: &Field<TableOrTables>) -> Option<Vec<Section<'s>>> {
        let value = self.ask(field.key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(vec![self.inner(field.key, table, value.span().start)]),
            DeValue::Array(array) => Some(self.inner_tables(field.key, array)),
            _ => {
                self.refuse(field);
                None
            }
        }
    }

    fn inner_tables(&self, key: &str, array: &'s [Spanned<DeValue<'s>>]) -> Vec<Section<'s>> {
        let tables = array.iter().filter_map(|item| {
            let table = item.get_ref().as_table();
            if table.is_none() {
                self.source.note(Some(item.span().start), format!("{key} must hold tables only"));
            }
            table.map(|table| self.inner(key, table, item.span().start))
        });
        tables.collect()
    }

    /// The items of a list that are texts or tables: `["a", { name = "b" }]`.
    pub fn texts_or_sections(&self, field: &Field<TextsOrTables>) -> Vec<TextOrSection<'s>> {
        let key = field.key;
        let Some(value) = self.ask(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.refuse(field);
            return Vec::new();
        };
        let item = |item: &'s Spanned<DeValue<'s>>| match item.get_ref() {
            DeValue::String(text) => {
                let line = self.source.line(item.span().start);
                Some(TextOrSection::Text(Placed { text: text.to_string(), line }))
            }
            DeValue::Table(table) => {
                Some(TextOrSection::Section(self.inner(key, table, item.span().start)))
            }
            _ => {
                self.source.note(Some(item.span().start), format!("{key} holds texts or tables"));
                None
            }
        };
        array.iter().filter_map(item).collect()
    }

    /// A text or a table under one key: `resolver = "newest"` or `resolver = { plugin = "…" }`.
    pub fn text_or_section<K: Kind>(&self, field: &Field<K>) -> Option<TextOrSection<'s>> {
        let value = self.ask(field.key)?;
        let line = self.source.line(value.span().start);
        match value.get_ref() {
            DeValue::String(text) => {
                Some(TextOrSection::Text(Placed { text: text.to_string(), line }))
            }
            DeValue::Table(table) => {
                Some(TextOrSection::Section(self.inner(field.key, table, value.span().start)))
            }
            _ => {
                self.refuse(field);
                None
            }
        }
    }

    pub fn missing(&self, key: &str) {
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        self.source.note(Some(self.start), format!("{key} is missing{place}"));
    }

    /// Notes a mistake at the key's value, or at the section when the key is not there.
    pub fn wrong(&self, key: &str, what: &str) {
        let at = self.table.get(key).map_or(self.start, |value| value.span().start);
        self.source.note(Some(at), format!("{key} {what}"));
    }

    /// Notes a mistake at a line.
    pub fn wrong_at(&self, line: usize, message: &str) {
        let file = self.source.file.clone();
        let mistake = Mistake { file, line: Some(line), message: message.to_string() };
        self.source.mistakes.borrow_mut().push(mistake);
    }

    pub fn refuse_unknown_keys(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if asked.iter().any(|known| known == name) {
                continue;
            }
            let close = nearest(name, asked.iter().map(String::as_str));
            let hint = close.map_or(String::new(), |near| format!("; did you mean {near}?"));
            self.source.note(Some(key.span().start), format!("unknown setting {name}{hint}"));
        }
    }

    fn inner(&self, key: &str, table: &'s DeTable<'s>, start: usize) -> Section<'s> {
        let path =
            if self.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.path) };
        Section::new(self.source, table, path, start)
    }

    fn ask(&self, key: &str) -> Option<&'s Spanned<DeValue<'s>>> {
        self.asked.borrow_mut().push(key.to_string());
        #[cfg(test)]
        self.source.asked.borrow_mut().push(key.to_string());
        self.table.get(key)
    }

    fn typed<K: Kind, T>(
        &self,
        field: &Field<K>,
        read: impl FnOnce(&DeValue<'s>) -> Option<T>,
    ) -> Option<T> {
        let value = self.ask(field.key)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.refuse(field);
        }
        read
    }

    fn refuse<K: Kind>(&self, field: &Field<K>) {
        self.wrong(field.key, &format!("takes {}", field.kind.takes()));
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        // The whole file's section is checked by `parse`; inner ones when their reader lets go of them.
        if !self.path.is_empty() {
            self.refuse_unknown_keys();
        }
    }
}

pub enum TextOrSection<'s> {
    Text(Placed),
    Section(Section<'s>),
}
