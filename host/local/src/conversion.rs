//! Rows of one shape as rows of another, for a table whose profile or channel has changed.
//!
//! * A column that both shapes have keeps its value, in the form that the new one stores.
//! * A column that is new gets its constant default, NULL where that is allowed, or its type's zero: what the channel has
//!   there is read from it, and an update never sends a cell that the register did not change.

use crate::cell;
use crate::image;
use crate::schema;
use tillhold_core::fit::fit;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

pub(crate) struct Conversion<'a> {
    from: &'a Table,
    to: &'a Table,
    sources: Vec<Source>,
}

enum Source {
    Column(usize),
    Value(Value),
}

impl<'a> Conversion<'a> {
    pub(crate) fn new(from: &'a Table, to: &'a Table, now_ms: i64) -> Conversion<'a> {
        let source = |column: &Column| match from.position(&column.name) {
            Some(at) => Source::Column(at),
            None => Source::Value(placeholder(column, now_ms)),
        };
        Conversion { from, to, sources: to.columns.iter().map(source).collect() }
    }

    /// Whether values stay as they are: then SQLite copies whole tables by itself.
    pub(crate) fn is_plain(&self) -> bool {
        let same = |(source, column): (&Source, &Column)| match source {
            Source::Column(at) => {
                let was = &self.from.columns[*at];
                was.of == column.of && (column.nullable || !was.nullable)
            }
            Source::Value(_) => true,
        };
        self.has_same_key() && self.sources.iter().zip(&self.to.columns).all(same)
    }

    /// Whether equal keys stay equal and different ones different.
    pub(crate) fn has_same_key(&self) -> bool {
        let part = |c: &Column| (c.name.to_ascii_lowercase(), c.of, c.folds());
        self.from.key_columns().map(part).eq(self.to.key_columns().map(part))
    }

    /// What SQLite selects from the old table for each column of the new one.
    pub(crate) fn expressions(&self) -> Vec<String> {
        let one = |(source, column): (&Source, &Column)| match source {
            Source::Column(at) => schema::quoted(&self.from.columns[*at].name),
            Source::Value(value) => schema::literal(value, column.of),
        };
        self.sources.iter().zip(&self.to.columns).map(one).collect()
    }

    /// The row in the new shape; `None` when a value does not fit.
    pub(crate) fn row(&self, row: &Row) -> Option<Row> {
        let cells = self.sources.iter().zip(&self.to.columns).map(|(source, column)| {
            let value = match source {
                Source::Column(at) => fit(row.0.get(*at)?.clone(), column.of).ok()?,
                Source::Value(value) => value.clone(),
            };
            (column.nullable || !value.is_null()).then_some(value)
        });
        cells.collect::<Option<Vec<_>>>().map(Row)
    }

    /// An image in the new shape; `None` when it cannot be read or does not fit.
    pub(crate) fn image(&self, old: &str) -> Option<String> {
        let row = image::decode(self.from, old).ok()?;
        Some(image::encode(self.to, &self.row(&row)?))
    }

    /// The image of a key.
    pub(crate) fn key_image(&self, old: &str) -> Option<String> {
        let key = image::decode_key(self.from, old).ok()?;
        let parts = self.to.key_columns().map(|column| {
            let nth =
                self.from.key_columns().position(|c| c.name.eq_ignore_ascii_case(&column.name))?;
            fit(key.0.get(nth)?.clone(), column.of).ok()
        });
        Some(image::encode_key(self.to, &Key(parts.collect::<Option<Vec<_>>>()?)))
    }
}

/// Stands in a column that nobody has given a value.
fn placeholder(column: &Column, now_ms: i64) -> Value {
    if let Some(value) = schema::constant_default(column) {
        return value;
    }
    let asks_the_clock = column.default.as_deref().is_some_and(|expression| {
        let expression = expression.to_ascii_lowercase();
        ["getutcdate", "getdate", "sysutcdatetime", "sysdatetime"]
            .iter()
            .any(|name| expression.contains(name))
    });
    let now = Value::Timestamp(Timestamp::from_unix_ms(now_ms));
    if let (true, Ok(now)) = (asks_the_clock, fit(now, column.of)) {
        return now;
    }
    if column.nullable { Value::Null } else { zero(column.of) }
}

/// The value that AX itself gives a column with nothing in it.
fn zero(of: SqlType) -> Value {
    if cell::storage(of) == cell::Storage::Blob {
        return Value::Bytes(Vec::new());
    }
    let zeros = [
        "0",
        "",
        "1900-01-01",
        "1900-01-01T00:00:00",
        "00:00:00",
        "1900-01-01T00:00:00+00:00",
        "00000000-0000-0000-0000-000000000000",
    ];
    let texts = if of.is_text() { &zeros[1..] } else { &zeros[..] };
    texts.iter().find_map(|text| text::parse(text, of).ok()).unwrap_or(Value::Null)
}
