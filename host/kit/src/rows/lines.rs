//! A file's text, line by line and bounded: UTF-8, and what else spreadsheets write is told by its name.

use super::{problem, unreadable, wrong};
use crate::KitError;
use crate::csv::{Problem, Record, Splitter};
use std::io::{BufRead, Read as _};
use tillhold_core::limits::KIT_FILE_BYTES_MAX;

pub(super) struct Lines<R> {
    source: R,
    /// The one that was read last, from 1.
    pub(super) line: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(source: R) -> Lines<R> {
        Lines { source, line: 0 }
    }

    pub(super) fn next(&mut self, file: &str) -> Result<Option<String>, KitError> {
        let mut bytes = Vec::new();
        let most = KIT_FILE_BYTES_MAX;
        let mut source = (&mut self.source).take(most + 1);
        let unread = |cause| unreadable(file, cause);
        if source.read_until(b'\n', &mut bytes).map_err(unread)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let refused = |reason: &str| wrong(file, vec![problem(self.line, reason)]);
        if bytes.len() as u64 > most {
            return Err(refused("it is too long"));
        }
        String::from_utf8(bytes).map(Some).map_err(|error| refused(encoding(error.as_bytes())))
    }
}

/// The next CSV record, or what is wrong with it.
pub(super) fn record<R: BufRead>(
    file: &str,
    lines: &mut Lines<R>,
    splitter: &mut Splitter,
) -> Result<Option<Result<Record, Problem>>, KitError> {
    let mut bytes = 0;
    while let Some(line) = lines.next(file)? {
        bytes += line.len() as u64;
        if let Some(record) = splitter.take(&line).transpose() {
            return Ok(Some(record));
        }
        if bytes > KIT_FILE_BYTES_MAX {
            break;
        }
    }
    match splitter.unclosed() {
        Some(line) => Err(wrong(file, vec![problem(line, "a quote is opened and never closed")])),
        None => Ok(None),
    }
}

pub(super) const UTF_16: &str =
    "it is not UTF-8 but UTF-16, as spreadsheets write \"Unicode text\": save it as UTF-8";

/// By the byte order mark, or the zero beside the first letter.
pub(super) fn is_utf16(beginning: &[u8]) -> bool {
    matches!(beginning, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..])
}

/// Of a line that is not UTF-8.
fn encoding(line: &[u8]) -> &'static str {
    match line.contains(&0) {
        true => UTF_16,
        false => "it is not UTF-8, but probably Windows-1252 or ISO 8859-1: save the file as UTF-8",
    }
}
