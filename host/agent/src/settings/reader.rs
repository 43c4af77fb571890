//! Reads a TOML file and collects every mistake with its line, so that a person mends them all in one go.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
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

/// A file's text, for turning byte positions into lines.
pub struct Source {
    file: PathBuf,
    text: String,
    mistakes: RefCell<Vec<Mistake>>,
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
        Source { file: file.to_path_buf(), text, mistakes: RefCell::default() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Hands the parsed file to `build`; its answer counts only when neither it nor the syntax made a mistake.
    pub fn parse<T>(&self, build: impl FnOnce(&Section<'_>) -> T) -> Result<T, Mistakes> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            self.note(error.span().map(|span| span.start), error.message().to_string());
        }
        let section = Section::new(self, table.get_ref(), String::new(), 0);
        let built = build(&section);
        section.refuse_unknown_keys();
        let mut mistakes = self.mistakes.take();
        if mistakes.is_empty() {
            return Ok(built);
        }
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes.dedup();
        Err(Mistakes(mistakes))
    }

    fn note(&self, at: Option<usize>, message: String) {
        let line = at.map(|at| self.text[..at.min(self.text.len())].matches('\n').count() + 1);
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

    pub fn text(&self, key: &str) -> Option<String> {
        self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_string))
    }

    pub fn required_text(&self, key: &str) -> String {
        match self.text(key) {
            Some(text) if text.trim().is_empty() => {
                self.wrong(key, "must not be empty");
                text
            }
            Some(text) => text,
            None => {
                self.missing(key);
                String::new()
            }
        }
    }

    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        self.typed(key, "a list of texts", |value| {
            let item = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_string);
            value.as_array()?.iter().map(item).collect()
        })
    }

    /// A whole or fractional number within `range`.
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let number = self.typed(key, "a number", |value| match value {
            DeValue::Integer(whole) => whole.as_str().parse().ok(),
            DeValue::Float(fraction) => fraction.as_str().parse().ok(),
            _ => None,
        })?;
        if range.contains(&number) {
            return Some(number);
        }
        self.wrong(key, &format!("must be between {} and {}", range.start(), range.end()));
        None
    }

    /// One of a few words.
    pub fn word<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(choice.clone());
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.wrong(key, &format!("'{word}' is not one of: {}", names.join(", ")));
        None
    }

    pub fn section(&self, key: &str) -> Option<Section<'s>> {
        let value = self.ask(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(self.inner(key, table, value.span().start)),
            None => {
                self.wrong(key, "must be a table");
                None
            }
        }
    }

    /// The tables of an array, `[[key]]` or `key = [{ … }]`.
    pub fn sections(&self, key: &str) -> Vec<Section<'s>> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, "must be a list of tables");
            return Vec::new();
        };
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
    pub fn texts_or_sections(&self, key: &str) -> Option<Vec<TextOrSection<'s>>> {
        let value = self.ask(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, "must be a list");
            return None;
        };
        let item = |item: &'s Spanned<DeValue<'s>>| match item.get_ref() {
            DeValue::String(text) => Some(TextOrSection::Text(text.to_string())),
            DeValue::Table(table) => {
                Some(TextOrSection::Section(self.inner(key, table, item.span().start)))
            }
            _ => {
                self.source.note(Some(item.span().start), format!("{key} holds texts or tables"));
                None
            }
        };
        Some(array.iter().filter_map(item).collect())
    }

    /// A text or a table under one key: `resolver = "newest"` or `resolver = { plugin = "…" }`.
    pub fn text_or_section(&self, key: &str) -> Option<TextOrSection<'s>> {
        let value = self.ask(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(TextOrSection::Text(text.to_string())),
            DeValue::Table(table) => {
                Some(TextOrSection::Section(self.inner(key, table, value.span().start)))
            }
            _ => {
                self.wrong(key, "must be a text or a table");
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
        self.table.get(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&DeValue<'s>) -> Option<T>,
    ) -> Option<T> {
        let value = self.ask(key)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.wrong(key, &format!("must be {expected}"));
        }
        read
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
    Text(String),
    Section(Section<'s>),
}

/// The name that is at most two edits away, if there is one.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let distance = |other: &str| edits(&name.to_lowercase(), &other.to_lowercase());
    known
        .map(|other| (distance(other), other))
        .filter(|(distance, other)| *distance <= 2 && *distance < other.len())
        .min()
        .map(|(_, other)| other.to_string())
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
