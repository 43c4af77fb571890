//! Typed rows from CSV and JSON and back: what a plugin is tried with, and what came of it.
//!
//! * The first record (or object) names the columns; they are the table's shape for this file. Every row has them all.
//! * CSV: cells in canonical text. Nothing between two commas is NULL, `""` an empty text; in a text column that may
//!   not be NULL both are the empty text.
//! * JSON: an array of objects or an object a line; cells as everywhere ([`crate::cells`]).
//! * With verdicts: a first CSV field `verdict`, or `{"verdict": …, "reason": …, "row": {…}}`.
//! * Everything wrong in a batch is told together, with its lines; lines and arrays are bounded.

mod lines;

use crate::KitError;
use crate::cells::{from_json, to_json};
use crate::csv::{PROBLEMS_SHOWN, Problem, Record, Splitter, push_field};
use lines::{Lines, UTF_16, is_utf16, record};
use serde_json::{Map, Value as Json, json};
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;
use tillhold_core::fit::Misfit;
use tillhold_core::limits::KIT_FILE_BYTES_MAX;
use tillhold_core::row::Row;
use tillhold_core::spelling::nearest;
use tillhold_core::table::{Assigned, Column, Table};
use tillhold_core::text;
use tillhold_core::value::Value;
use tillhold_plugin::{Plugin, PluginError, Verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json,
}

/// What became of a row, beside its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Keep,
    Drop,
    Refuse(String),
}

/// A row of a file; `said` only where the file has verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub line: usize,
    pub said: Option<Said>,
    pub row: Row,
}

const VERDICT: &str = "verdict";

impl Said {
    fn parse(word: &str, reason: Option<&str>) -> Result<Said, String> {
        match (word.split_once(": "), word) {
            (None, "keep") => Ok(Said::Keep),
            (None, "drop") => Ok(Said::Drop),
            (Some(("refuse", reason)), _) => Ok(Said::Refuse(reason.to_string())),
            (None, "refuse") => Ok(Said::Refuse(reason.unwrap_or_default().to_string())),
            _ => Err(format!("'{word}' is no verdict: give keep, drop or refuse: REASON")),
        }
    }

    /// Also for an eye.
    pub fn text(&self) -> String {
        match self {
            Said::Keep => "keep".to_string(),
            Said::Drop => "drop".to_string(),
            Said::Refuse(reason) => format!("refuse: {reason}"),
        }
    }
}

impl Entry {
    /// What becomes of a row under a plugin's verdict; one that does not go on keeps the cells with which it came.
    pub fn judged(line: usize, mut row: Row, verdict: Verdict) -> Entry {
        let said = match verdict {
            Verdict::Keep => Said::Keep,
            Verdict::Drop => Said::Drop,
            Verdict::Refuse(reason) => Said::Refuse(reason),
            Verdict::Replace(cells) => {
                for (at, value) in cells {
                    row.0[at] = value;
                }
                Said::Keep
            }
        };
        Entry { line, said: Some(said), row }
    }
}

/// Rows of one file, batch by batch.
pub struct RowReader<R> {
    file: String,
    source: Source<R>,
    shape: Arc<Table>,
    with_verdicts: bool,
    /// The line that names the columns.
    header: usize,
}

enum Source<R> {
    Csv { lines: Lines<R>, splitter: Splitter },
    JsonLines { lines: Lines<R>, first: Option<(usize, Json)> },
    Array { rest: std::vec::IntoIter<Json>, line: usize, first: Option<(usize, Json)> },
}

impl<R: BufRead> RowReader<R> {
    /// `table` is what travels of a schema's table; without a format, the first letter says which it is.
    pub fn open(
        file: &str,
        mut source: R,
        format: Option<Format>,
        table: &Table,
        with_verdicts: bool,
    ) -> Result<RowReader<R>, KitError> {
        let unread = |cause| unreadable(file, cause);
        let beginning = source.fill_buf().map_err(unread)?;
        if is_utf16(beginning) {
            return Err(wrong(file, vec![problem(1, UTF_16)]));
        }
        let format = format.unwrap_or_else(|| sniffed(beginning));
        let mut source = match format {
            Format::Csv => Source::csv(source),
            Format::Json => Source::json(file, source)?,
        };
        let (line, names) = source.names(file, with_verdicts)?;
        let shape = shape(table, &names).map_err(|reasons| {
            let reasons = separated(&names).map_or(reasons, |reason| vec![reason]);
            let problem = |reason| Problem { line, reason };
            wrong(file, reasons.into_iter().map(problem).collect())
        })?;
        let (file, shape) = (file.to_string(), Arc::new(shape));
        Ok(RowReader { file, source, shape, with_verdicts, header: line })
    }

    /// The table as this file has it: its columns, in the file's order.
    pub fn shape(&self) -> &Arc<Table> {
        &self.shape
    }

    /// At most so many rows; none at the end.
    pub fn batch(&mut self, rows_max: usize) -> Result<Vec<Entry>, KitError> {
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        while entries.len() < rows_max && problems.len() < PROBLEMS_SHOWN {
            match self.source.next(&self.file, &self.shape, self.with_verdicts)? {
                None => break,
                Some(Ok(entry)) => entries.push(entry),
                Some(Err(problem)) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(entries) } else { Err(wrong(&self.file, problems)) }
    }

    /// Where the rows come from, for messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Whether the columns that the plugin names are there: what the input lacks is a mistake of the input.
    pub fn check_for(&self, plugin: &Plugin) -> Result<(), KitError> {
        let lacking = lacking(plugin, &self.shape)?;
        let reason = lacking.map(|lacking| format!("the input lacks {lacking}"));
        reason.map_or(Ok(()), |reason| Err(wrong(&self.file, vec![problem(self.header, &reason)])))
    }

    pub fn all(&mut self) -> Result<Vec<Entry>, KitError> {
        self.batch(usize::MAX)
    }

    pub fn format(&self) -> Format {
        match self.source {
            Source::Csv { .. } => Format::Csv,
            Source::JsonLines { .. } | Source::Array { .. } => Format::Json,
        }
    }
}

/// A row, or what is wrong with it.
type Read = Result<Entry, Problem>;

impl<R: BufRead> Source<R> {
    fn csv(source: R) -> Source<R> {
        Source::Csv { lines: Lines::of(source), splitter: Splitter::default() }
    }

    fn json(file: &str, mut source: R) -> Result<Source<R>, KitError> {
        let unread = |cause| unreadable(file, cause);
        if source.fill_buf().map_err(unread)?.trim_ascii_start().first() != Some(&b'[') {
            return Ok(Source::JsonLines { lines: Lines::of(source), first: None });
        }
        let mut text = String::new();
        let most = KIT_FILE_BYTES_MAX;
        let count = source.take(most + 1).read_to_string(&mut text).map_err(unread)?;
        if count as u64 > most {
            return Err(unread(io::Error::other("it is too long: write an object a line")));
        }
        let array: Vec<Json> = serde_json::from_str(&text)
            .map_err(|error| wrong(file, vec![problem(error.line(), &json_reason(&error))]))?;
        Ok(Source::Array { rest: array.into_iter(), line: 0, first: None })
    }

    /// The columns' names, and the line where they stand.
    fn names(&mut self, file: &str, verdicts: bool) -> Result<(usize, Vec<String>), KitError> {
        let empty = || wrong(file, vec![problem(1, "there are no rows")]);
        if let Source::Csv { lines, splitter } = self {
            let header = record(file, lines, splitter)?.ok_or_else(empty)?;
            let header = header.map_err(|problem| wrong(file, vec![problem]))?;
            let mut names = header.fields.into_iter().map(|field| field.text.trim().to_string());
            if verdicts && names.next().as_deref() != Some(VERDICT) {
                return Err(wrong(
                    file,
                    vec![problem(header.line, "its first column is not verdict")],
                ));
            }
            return Ok((header.line, names.collect()));
        }
        let Some((line, json)) = self.object(file)? else { return Err(empty()) };
        let names = cells_of(&json, verdicts).map(|cells| cells.keys().cloned().collect());
        let names = names.map_err(|reason| wrong(file, vec![Problem { line, reason }]))?;
        match self {
            Source::JsonLines { first, .. } | Source::Array { first, .. } => {
                *first = Some((line, json));
            }
            Source::Csv { .. } => {}
        }
        Ok((line, names))
    }

    fn next(
        &mut self,
        file: &str,
        shape: &Table,
        verdicts: bool,
    ) -> Result<Option<Read>, KitError> {
        if let Source::Csv { lines, splitter } = self {
            loop {
                let record = match record(file, lines, splitter)? {
                    None => return Ok(None),
                    Some(Err(problem)) => return Ok(Some(Err(problem))),
                    Some(Ok(record)) => record,
                };
                // A blank line is a row only where a row has one cell.
                if record.fields.len() > 1
                    || !record.fields[0].text.is_empty()
                    || shape.columns.len() == 1
                {
                    return Ok(Some(of_record(record, shape, verdicts)));
                }
            }
        }
        let Some((line, json)) = self.object(file)? else { return Ok(None) };
        Ok(Some(of_json(line, &json, shape, verdicts)))
    }

    /// The next JSON value and its line; in an array its number.
    fn object(&mut self, file: &str) -> Result<Option<(usize, Json)>, KitError> {
        match self {
            Source::Csv { .. } => Ok(None),
            Source::Array { rest, line, first } => Ok(first.take().or_else(|| {
                *line += 1;
                rest.next().map(|json| (*line, json))
            })),
            Source::JsonLines { lines, first } => {
                if let Some(first) = first.take() {
                    return Ok(Some(first));
                }
                while let Some(text) = lines.next(file)? {
                    let text = text.trim_start_matches('\u{FEFF}');
                    if !text.trim().is_empty() {
                        let json = serde_json::from_str(text).map_err(|error| {
                            wrong(file, vec![problem(lines.line, &json_reason(&error))])
                        })?;
                        return Ok(Some((lines.line, json)));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// What JSON's reader says, without its own line: that is told in front, and of a line alone it would always be 1.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => format!("{reason}, at letter {}", error.column()),
        None => text,
    }
}

/// By the first letter that is no blank: JSON opens with a bracket.
fn sniffed(beginning: &[u8]) -> Format {
    let beginning = beginning.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(beginning);
    match beginning.trim_ascii_start().first() {
        Some(b'{' | b'[') => Format::Json,
        _ => Format::Csv,
    }
}

/// The table with these columns alone, in this order.
pub(crate) fn shape(table: &Table, names: &[String]) -> Result<Table, Vec<String>> {
    let mut problems = Vec::new();
    let mut kept: Vec<usize> = Vec::new();
    for name in names {
        match table.position(name) {
            Some(at) if kept.contains(&at) => problems.push(format!("{name} is named twice")),
            Some(at) if table.columns[at].assigned == Assigned::ByChannel => {
                problems.push(format!("{name} is the channel's own and does not travel"));
            }
            Some(at) => kept.push(at),
            None => problems.push(unknown(table, name)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let key = table.key.iter().filter_map(|at| kept.iter().position(|kept| kept == at));
    Ok(Table {
        name: table.name.clone(),
        key: key.collect(),
        columns: kept.iter().map(|at| table.columns[*at].clone()).collect(),
    })
}

/// The columns that the plugin names and `shape` does not have, in words.
pub(crate) fn lacking(plugin: &Plugin, shape: &Table) -> Result<Option<String>, KitError> {
    let mut lacking = Vec::new();
    for mistake in plugin.mistakes_against(shape) {
        match mistake {
            PluginError::ColumnUnknown { column, .. } => lacking.push(column),
            other => return Err(other.into()),
        }
    }
    let words = format!("{}, which the plugin reads or writes", lacking.join(", "));
    Ok((!lacking.is_empty()).then_some(words))
}

/// A header in one piece, as the spreadsheets of half of Europe write it.
fn separated(names: &[String]) -> Option<String> {
    let [name] = names else { return None };
    let (_, found) = [(';', "semicolons"), ('\t', "tabs")]
        .into_iter()
        .find(|(letter, _)| name.contains(*letter))?;
    Some(format!("fields are separated by commas, and here are {found} instead"))
}

pub(crate) fn unknown(table: &Table, name: &str) -> String {
    let near = nearest(name, table.columns.iter().map(|column| column.name.as_str()));
    let near = near.map(|near| format!(": did you mean {near}?"));
    format!("{} has no column '{name}'{}", table.name, near.unwrap_or_default())
}

fn of_record(record: Record, shape: &Table, verdicts: bool) -> Read {
    let line = record.line;
    let at_line = |reason: String| Problem { line, reason };
    let expected = shape.columns.len() + usize::from(verdicts);
    if record.fields.len() != expected {
        let count = record.fields.len();
        return Err(at_line(format!("{count} fields instead of {expected}")));
    }
    let mut fields = record.fields.into_iter();
    let said = match verdicts {
        true => fields.next().map(|field| Said::parse(&field.text, None)).transpose(),
        false => Ok(None),
    };
    let said = said.map_err(at_line)?;
    let cell = |(field, column): (crate::csv::Field, &Column)| {
        let cell = match field.text.is_empty() && !field.is_quoted && column.nullable {
            true => Ok(Value::Null),
            false => text::parse(&field.text, column.of),
        };
        cell.map_err(|misfit| at_line(named(column, &misfit)))
    };
    let cells = fields.zip(&shape.columns).map(cell).collect::<Result<_, _>>()?;
    Ok(Entry { line, said, row: Row(cells) })
}

fn named(column: &Column, misfit: &Misfit) -> String {
    format!("{}: {misfit}", column.name)
}

fn cells_of(json: &Json, verdicts: bool) -> Result<&Map<String, Json>, String> {
    let row = if verdicts { &json["row"] } else { json };
    row.as_object().ok_or_else(|| match verdicts {
        true => r#"it is not {"verdict": …, "row": {…}}"#.to_string(),
        false => "it is not an object of columns".to_string(),
    })
}

fn of_json(line: usize, json: &Json, shape: &Table, verdicts: bool) -> Read {
    let at_line = |reason: String| Problem { line, reason };
    let cells = cells_of(json, verdicts).map_err(at_line)?;
    let said = match verdicts {
        true => Said::parse(json[VERDICT].as_str().unwrap_or_default(), json["reason"].as_str())
            .map(Some),
        false => Ok(None),
    };
    let said = said.map_err(at_line)?;
    let row = row_of_json(cells, shape).map_err(at_line)?;
    Ok(Entry { line, said, row })
}

/// A whole row: every column of the shape and no other.
pub(crate) fn row_of_json(cells: &Map<String, Json>, shape: &Table) -> Result<Row, String> {
    if let Some(other) = cells.keys().find(|name| shape.position(name).is_none()) {
        return Err(format!("{other} is not among the first row's columns"));
    }
    let cell = |column: &Column| {
        let given = cells.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
        let (_, json) = given.ok_or_else(|| format!("{} has no value", column.name))?;
        from_json(json, column).map_err(|misfit| named(column, &misfit))
    };
    shape.columns.iter().map(cell).collect::<Result<_, _>>().map(Row)
}

pub(crate) fn row_json(row: &Row, shape: &Table) -> Json {
    let cell = |(value, column): (&Value, &Column)| (column.name.clone(), to_json(value, column));
    Json::Object(row.0.iter().zip(&shape.columns).map(cell).collect())
}

fn problem(line: usize, reason: &str) -> Problem {
    Problem { line, reason: reason.to_string() }
}

fn wrong(file: &str, problems: Vec<Problem>) -> KitError {
    KitError::Rows { file: file.to_string(), problems }
}

fn unreadable(file: &str, cause: io::Error) -> KitError {
    KitError::File { path: file.into(), done: "read", cause }
}

/// Rows as text, in the form in which [`RowReader`] takes them.
pub struct RowWriter {
    pub format: Format,
    pub shape: Arc<Table>,
    pub with_verdicts: bool,
}

impl RowWriter {
    /// What stands before the first row.
    pub fn header(&self) -> String {
        if self.format == Format::Json {
            return String::new();
        }
        let mut line = if self.with_verdicts { format!("{VERDICT},") } else { String::new() };
        for (at, column) in self.shape.columns.iter().enumerate() {
            line.push_str(if at == 0 { "" } else { "," });
            push_field(&mut line, &column.name, false);
        }
        line + "\n"
    }

    /// One line.
    pub fn line(&self, entry: &Entry) -> String {
        let said = entry.said.clone().unwrap_or(Said::Keep);
        match self.format {
            Format::Csv => self.csv(&said, &entry.row),
            Format::Json => self.json(&said, &entry.row) + "\n",
        }
    }

    fn json(&self, said: &Said, row: &Row) -> String {
        let row = row_json(row, &self.shape);
        let json = match said {
            _ if !self.with_verdicts => row,
            Said::Keep => json!({ VERDICT: "keep", "row": row }),
            Said::Drop => json!({ VERDICT: "drop", "row": row }),
            Said::Refuse(reason) => json!({ VERDICT: "refuse", "reason": reason, "row": row }),
        };
        json.to_string()
    }

    fn csv(&self, said: &Said, row: &Row) -> String {
        let mut line = String::new();
        if self.with_verdicts {
            push_field(&mut line, &said.text(), false);
            line.push(',');
        }
        for (at, (value, column)) in row.0.iter().zip(&self.shape.columns).enumerate() {
            line.push_str(if at == 0 { "" } else { "," });
            if let Some(text) = text::canonical(value, column.of) {
                push_field(&mut line, &text, text.is_empty() && column.nullable);
            }
        }
        line + "\n"
    }
}

#[cfg(test)]
mod tests;
