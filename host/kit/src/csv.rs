//! Comma-separated values (RFC 4180), a line at a time.
//!
//! * Quoted fields may hold commas, doubled quotes and line ends; a field remembers whether it was quoted, because
//!   nothing at all is NULL where `""` is an empty text.
//! * Line ends of Windows are taken, and the byte order mark that spreadsheets put in front.
//! * What RFC 4180 does not know is refused and not guessed at: a quote inside a field that is not quoted, anything
//!   behind a closing quote, a carriage return that ends no line. A guess would eat a letter, or make one row of two.

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
    place: Place,
}

/// Where in a field the next letter stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Begin,
    Unquoted,
    Quoted,
    /// Behind the closing quote.
    Closed,
}

const CARRIAGE_RETURN: &str = "a carriage return inside an unquoted field; put the field in quotes, or end \
                               lines with a line feed";
const BEHIND_QUOTE: &str = "text behind a closing quote; a quote that belongs to the text is doubled, as in \
                            \"5\"\" bolt\"";
/// Of a field that is quoted back to its author.
const SHOWN_LETTERS: usize = 60;

impl Splitter {
    /// The record that ends with this line; `None` while a quoted field goes on. What is wrong with a line ends its
    /// record: the next line begins another.
    pub fn take(&mut self, line: &str) -> Result<Option<Record>, Problem> {
        self.line += 1;
        let line = if self.line == 1 { line.trim_start_matches('\u{FEFF}') } else { line };
        let fresh = || Record { line: self.line, fields: vec![Field::default()] };
        let mut record = self.begun.take().unwrap_or_else(fresh);
        if let Err(reason) = self.read(line, &mut record) {
            self.place = Place::Begin;
            return Err(Problem { line: self.line, reason });
        }
        if self.place == Place::Quoted {
            self.begun = Some(record);
            return Ok(None);
        }
        self.place = Place::Begin;
        Ok(Some(record))
    }

    fn read(&mut self, line: &str, record: &mut Record) -> Result<(), String> {
        let mut letters = line.char_indices().peekable();
        let mut begin = 0;
        while let Some((at, letter)) = letters.next() {
            let field = record.fields.last_mut().expect("a record begins with one field");
            match (self.place, letter) {
                (Place::Quoted, '"') => match letters.next_if(|(_, next)| *next == '"') {
                    Some(_) => field.text.push('"'),
                    None => self.place = Place::Closed,
                },
                (Place::Quoted, other) => field.text.push(other),
                (Place::Begin, '"') => {
                    field.is_quoted = true;
                    self.place = Place::Quoted;
                }
                (_, ',') => {
                    record.fields.push(Field::default());
                    self.place = Place::Begin;
                    begin = at + 1;
                }
                (_, '\n') => {}
                (_, '\r') if matches!(&line[at + 1..], "" | "\n") => {}
                (_, '\r') => return Err(CARRIAGE_RETURN.to_string()),
                (Place::Unquoted, '"') => return Err(inside(&line[begin..])),
                (Place::Closed, _) => return Err(BEHIND_QUOTE.to_string()),
                (_, other) => {
                    field.text.push(other);
                    self.place = Place::Unquoted;
                }
            }
        }
        Ok(())
    }

    /// The line of a record that is still open.
    pub fn unclosed(&self) -> Option<usize> {
        self.begun.as_ref().map(|record| record.line)
    }
}

/// `rest` begins with the field.
fn inside(rest: &str) -> String {
    let field = rest.split([',', '\r', '\n']).next().unwrap_or_default();
    if field.chars().count() > SHOWN_LETTERS {
        return "a quote inside an unquoted field; put the field in quotes and double the quote"
            .to_string();
    }
    let mut written = String::new();
    push_field(&mut written, field, true);
    format!("a quote inside an unquoted field; write {written}")
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
        let records: Vec<_> = text
            .split_inclusive('\n')
            .filter_map(|line| splitter.take(line).expect("a line"))
            .collect();
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

    /// A trial lost the inch marks of `5" bolt`, and two rows became one with an exit status of 0.
    #[test]
    fn what_the_standard_does_not_know_is_refused_and_the_next_line_is_read() {
        for (text, line, part) in [
            ("1,5\" bolt,a\n", 1, "unquoted field; write \"5\"\" bolt\""),
            ("1,\"a\nb\"x,c\n", 2, "behind a closing quote"),
            ("1,\"C2\"x\n", 1, "behind a closing quote"),
            ("1,a\rb\n", 1, "a carriage return inside"),
            ("a,b\r1,2\r", 1, "a carriage return inside"),
        ] {
            let mut splitter = Splitter::default();
            let told: Vec<_> =
                text.split_inclusive('\n').filter_map(|line| splitter.take(line).err()).collect();
            assert_eq!((told.len(), told[0].line), (1, line), "{text:?}");
            assert!(told[0].reason.contains(part), "{text:?}: {}", told[0]);
            let next = splitter.take("2,b\n").expect("a line").expect("a record");
            assert_eq!((next.fields.len(), splitter.unclosed()), (2, None), "{text:?}");
        }
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
