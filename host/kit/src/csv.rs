//! Comma-separated values (RFC 4180), a line at a time.
//!
//! * Quoted fields may hold commas, doubled quotes and line ends; a field remembers whether it was quoted, because
//!   nothing at all is NULL where `""` is an empty text.
//! * Line ends of Windows are taken, and the byte order mark that spreadsheets put in front.

use std::fmt;

/// Enough to see a pattern; a file with a wrong separator would show thousands.
pub const PROBLEMS_SHOWN: usize = 20;

/// What is wrong in one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// A blank line is a record of one empty field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins, counted from one.
    pub line: usize,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    pub text: String,
    pub is_quoted: bool,
}

/// Puts lines together into records.
#[derive(Default)]
pub struct Splitter {
    line: usize,
    begun: Option<Record>,
    in_quotes: bool,
}

impl Splitter {
    /// The record that ends with this line; `None` while a quoted field goes on.
    pub fn take(&mut self, line: &str) -> Option<Record> {
        self.line += 1;
        let line = if self.line == 1 { line.trim_start_matches('\u{FEFF}') } else { line };
        let fresh = || Record { line: self.line, fields: vec![Field::default()] };
        let record = self.begun.get_or_insert_with(fresh);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let field = record.fields.last_mut().expect("a record begins with one field");
            match letter {
                '"' if self.in_quotes && letters.next_if_eq(&'"').is_some() => field.text.push('"'),
                '"' => {
                    field.is_quoted = true;
                    self.in_quotes = !self.in_quotes;
                }
                other if self.in_quotes => field.text.push(other),
                ',' => record.fields.push(Field::default()),
                '\r' | '\n' => {}
                other => field.text.push(other),
            }
        }
        if self.in_quotes { None } else { self.begun.take() }
    }

    /// The line of a record that is still open.
    pub fn unclosed(&self) -> Option<usize> {
        self.begun.as_ref().map(|record| record.line)
    }
}

/// One field of a record; the caller writes the commas.
pub fn push_field(into: &mut String, text: &str, quoted: bool) {
    if quoted || text.contains(['"', ',', '\r', '\n']) {
        into.push('"');
        into.push_str(&text.replace('"', "\"\""));
        into.push('"');
    } else {
        into.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::{Splitter, push_field};

    /// Fields with their quotes, by record, and the lines where the records begin.
    fn split(text: &str) -> (Vec<String>, Vec<usize>, Option<usize>) {
        let mut splitter = Splitter::default();
        let records: Vec<_> =
            text.split_inclusive('\n').filter_map(|line| splitter.take(line)).collect();
        let told = records.iter().map(|record| {
            let fields = record.fields.iter().map(|field| match field.is_quoted {
                true => format!("<{}>", field.text),
                false => field.text.clone(),
            });
            fields.collect::<Vec<_>>().join("|")
        });
        (told.collect(), records.iter().map(|record| record.line).collect(), splitter.unclosed())
    }

    #[test]
    fn records_come_whole_whatever_is_quoted() {
        let text = "\u{FEFF}a,b\r\n1,,\"\"\n\n\"x,\"\"y\"\"\r\nz\",2\nlast";
        let (records, lines, open) = split(text);
        assert_eq!(records, ["a|b", "1||<>", "", "<x,\"y\"\r\nz>|2", "last"]);
        assert_eq!((&lines[..], open), (&[1, 2, 3, 4, 6][..], None));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_line() {
        assert_eq!(split("a\n1,\"b\nc\n").2, Some(2));
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["", "plain", "a,b", "say \"no\"", "two\r\nlines", "\""] {
            for quoted in [false, true] {
                let mut written = String::new();
                push_field(&mut written, text, quoted);
                let told = split(&written).0.concat();
                let bare = told.trim_start_matches('<').trim_end_matches('>');
                assert_eq!(bare, text, "{written}");
            }
        }
    }
}
