//! Rows and keys. A row's values stand in the order of its table's columns; a key's in key order.

use crate::table::Table;
use crate::text;
use crate::value::Value;
use std::fmt;

/// One value for each of its table's columns, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

/// One value for each key column, in the order of [`Table::key`].
#[derive(Clone, Debug, PartialEq)]
pub struct Key(pub Vec<Value>);

impl Row {
    /// The row's key under its table; empty when the table has none.
    pub fn key(&self, table: &Table) -> Key {
        Key(table.key.iter().map(|at| self.0[*at].clone()).collect())
    }

    /// Positions where two rows of one table differ.
    pub fn differences(&self, other: &Row) -> Vec<usize> {
        (0..self.0.len()).filter(|at| self.0[*at] != other.0[*at]).collect()
    }
}

impl Key {
    /// `STORE=S0001, TERMINAL=000002`: for people, with the columns' names.
    pub fn named<'a>(&'a self, table: &'a Table) -> impl fmt::Display + 'a {
        NamedKey { key: self, table }
    }

    /// The key as SQL Server compares it: text folded where the column folds. Equal texts are one row.
    pub fn folded(&self, table: &Table) -> Vec<String> {
        let one = |(value, column): (&Value, &crate::table::Column)| {
            let text = text::canonical(value, column.of).unwrap_or_default();
            if column.folds() { fold(&text) } else { text }
        };
        self.0.iter().zip(table.key_columns()).map(one).collect()
    }
}

impl Key {
    /// Other keys that the channel takes for the same one, by [`spellings`] of its texts; none of a key in ASCII.
    pub fn other_spellings(&self, table: &Table) -> Vec<Key> {
        if !self.0.iter().any(|cell| matches!(cell, Value::Text(text) if !text.is_ascii())) {
            return Vec::new();
        }
        let mut keys = vec![self.clone()];
        for (nth, column) in table.key_columns().enumerate() {
            if !column.folds() {
                continue;
            }
            let Some(Value::Text(text)) = self.0.get(nth).cloned() else { continue };
            let words = spellings(&text);
            if words.len() > 1 && keys.len() * words.len() <= SPELLINGS_MAX {
                let spelled = |key: &Key| {
                    let key = key.clone();
                    words.iter().map(move |word| {
                        let mut key = key.clone();
                        key.0[nth] = Value::Text(word.clone());
                        key
                    })
                };
                keys = keys.iter().flat_map(spelled).collect();
            }
        }
        let own = self.folded(table);
        keys.retain(|key| key.folded(table) != own);
        keys
    }
}

/// In how many spellings a text is looked for.
const SPELLINGS_MAX: usize = 32;

/// A text [folded](fold), and the texts that differ from it in the case of letters outside ASCII only: SQLite tells them
/// apart and the channel does not. Of a text with more than five such letters those in which all have one case.
pub fn spellings(text: &str) -> Vec<String> {
    let text = fold(text);
    let cases = |letter: char| {
        let lower = letter.to_lowercase().next().unwrap_or(letter);
        let upper = letter.to_uppercase().next().unwrap_or(letter);
        // One of which the other case is more letters than one has none here, as in the channel's collations.
        let is_pair = letter.to_lowercase().count() == 1 && letter.to_uppercase().count() == 1;
        (!letter.is_ascii() && is_pair && lower != upper).then_some([lower, upper])
    };
    let letters = text.chars().filter(|letter| cases(*letter).is_some()).count();
    if 1 << letters.min(6) > SPELLINGS_MAX {
        let all = |which: usize| {
            text.chars().map(|letter| cases(letter).map_or(letter, |pair| pair[which])).collect()
        };
        return vec![text.clone(), all(0), all(1)];
    }
    let mut found = vec![String::new()];
    for letter in text.chars() {
        let either = cases(letter).map_or(vec![letter], |pair| pair.to_vec());
        let longer = |start: &String| {
            let start = start.clone();
            either.clone().into_iter().map(move |letter| format!("{start}{letter}"))
        };
        found = found.iter().flat_map(longer).collect();
    }
    // A letter in a third case, as of a title, is neither.
    if !found.contains(&text) {
        found.push(text);
    }
    found
}

/// Case and trailing blanks folded away, ASCII only, exactly as SQLite's `lower(rtrim(x))` does it, so that the
/// offline database's indexes and the host agree. The channel stays the judge of everything finer.
pub fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_ascii_lowercase()
}

struct NamedKey<'a> {
    key: &'a Key,
    table: &'a Table,
}

impl fmt::Display for NamedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (value, column)) in self.key.0.iter().zip(self.table.key_columns()).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let text = text::canonical(value, column.of);
            write!(f, "{comma}{}={}", column.name, text.as_deref().unwrap_or("NULL"))?;
        }
        Ok(())
    }
}

/// What happened to a row on the other side. Existence is decided by the row itself, never by an operation letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The row as it is now.
    Present(Row),
    /// The row is no longer there.
    Gone(Key),
}

impl Change {
    pub fn key(&self, table: &Table) -> Key {
        match self {
            Change::Present(row) => row.key(table),
            Change::Gone(key) => key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn a_text_is_looked_for_in_every_case_of_its_letters_outside_ascii() {
        for (text, expected) in [
            ("", vec![""]),
            ("ABC  ", vec!["abc"]),
            ("Müller ", vec!["müller", "mÜller"]),
            ("ÄÑ1", vec!["äñ1", "äÑ1", "Äñ1", "ÄÑ1"]),
            // One small letter that is two capitals, and letters without a case.
            ("Straße 日本", vec!["straße 日本"]),
            ("ǅ", vec!["ǆ", "Ǆ", "ǅ"]),
            ("ЖЖЖЖЖж", vec!["ЖЖЖЖЖж", "жжжжжж", "ЖЖЖЖЖЖ"]),
        ] {
            assert_eq!(spellings(text), expected, "{text}");
        }
    }
}
