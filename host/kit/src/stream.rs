//! `plugin run`: rows in, rows out, a batch at a time, so that a file may be as long as it likes.

use crate::KitError;
use crate::bisect;
use crate::rows::{Entry, RowReader, RowWriter, Said};
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::row::Row;
use tillhold_plugin::{BatchContext, Plugin};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub kept: u64,
    pub changed: u64,
    pub dropped: u64,
    pub refused: u64,
}

/// With verdicts every row is written, with what became of it; without, only those that go on. `refused` is told of
/// each row that does not, by its line.
pub fn stream<R: BufRead>(
    plugin: &Plugin,
    context: &BatchContext,
    reader: &mut RowReader<R>,
    with_verdicts: bool,
    out: &mut dyn Write,
    mut refused: impl FnMut(usize, &str),
) -> Result<Counts, KitError> {
    let shape = reader.shape().clone();
    reader.check_for(plugin)?;
    let writer = RowWriter { format: reader.format(), shape: shape.clone(), with_verdicts };
    let unwritten = |cause| KitError::File { path: "stdout".into(), done: "written", cause };
    out.write_all(writer.header().as_bytes()).map_err(unwritten)?;
    let mut counts = Counts::default();
    loop {
        let entries = reader.batch(PULL_PAGE_ROWS_MAX)?;
        if entries.is_empty() {
            return out.flush().map_err(unwritten).map(|()| counts);
        }
        let rows: Vec<Row> = entries.iter().map(|entry| entry.row.clone()).collect();
        let verdicts = plugin.transform(context, &shape, &rows).map_err(|error| {
            let quiet = plugin.heard_by(Arc::new(|_| {}));
            let ask = |rows: &[Row]| quiet.transform(context, &shape, rows).map(|_| ());
            let place = |guilty| bisect::rows(reader.file(), &entries, guilty, &shape);
            bisect::told(error, &rows, ask, place)
        })?;
        let mut text = String::new();
        for ((entry, verdict), before) in entries.into_iter().zip(verdicts).zip(&rows) {
            let entry = Entry::judged(entry.line, entry.row, verdict);
            match &entry.said {
                Some(Said::Drop) => counts.dropped += 1,
                Some(Said::Refuse(reason)) => {
                    counts.refused += 1;
                    refused(entry.line, reason);
                }
                _ => {
                    counts.kept += 1;
                    counts.changed += u64::from(entry.row != *before);
                }
            }
            if with_verdicts || entry.said == Some(Said::Keep) {
                text.push_str(&writer.line(&entry));
            }
        }
        match out.write_all(text.as_bytes()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(counts),
            written => written.map_err(unwritten)?,
        }
    }
}

#[cfg(test)]
mod tests;
