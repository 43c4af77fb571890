//! A row on its way, as a rule sees it.

use crate::cells::Cells;
use crate::value::{Decimal, Value};

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on, with what [`Row::set`] changed.
    Keep,
    /// It ends here.
    Drop,
    /// It is set aside for a person, with this reason.
    Refuse(String),
}

impl Verdict {
    pub fn refuse(reason: impl Into<String>) -> Verdict {
        Verdict::Refuse(reason.into())
    }
}

/// One row: the columns that the plugin declared under `reads`, by name.
///
/// Reading always gives the row as it came, whatever has been set since. Naming a column that was not declared is a
/// mistake of the rule and panics: the batch is then refused as the profile says, and the log names the column and the
/// rule's own line.
pub struct Row<'a> {
    pub(crate) table: &'static str,
    pub(crate) reads: &'static [&'static str],
    pub(crate) writes: &'static [&'static str],
    pub(crate) columns: &'a [Cells<'a>],
    pub(crate) at: usize,
    pub(crate) changes: &'a mut Vec<(usize, Value)>,
}

impl<'a> Row<'a> {
    /// `None` when the cell is NULL, or its column holds no text.
    #[track_caller]
    pub fn text(&self, column: &str) -> Option<&'a str> {
        self.cells(column).text(self.at)
    }

    /// `None` when the cell is NULL, or its column holds no whole number.
    #[track_caller]
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.cells(column).integer(self.at)
    }

    /// Up to 38 digits, with the column's scale. `None` when the cell is NULL, or its column is no decimal and no money.
    #[track_caller]
    pub fn decimal(&self, column: &str) -> Option<Decimal> {
        self.cells(column).decimal(self.at)
    }

    /// `None` when the cell is NULL, or its column is no bit.
    #[track_caller]
    pub fn boolean(&self, column: &str) -> Option<bool> {
        self.value(column).as_boolean()
    }

    /// `None` when the cell is NULL, or its column is no float and no real.
    #[track_caller]
    pub fn float(&self, column: &str) -> Option<f64> {
        self.value(column).as_float()
    }

    /// Ticks of 100 ns since 0001-01-01 00:00.
    #[track_caller]
    pub fn timestamp(&self, column: &str) -> Option<i64> {
        self.value(column).as_timestamp()
    }

    /// Whether the cell is NULL, whatever its column holds.
    #[track_caller]
    pub fn is_null(&self, column: &str) -> bool {
        self.cells(column).is_null(self.at)
    }

    /// The cell whatever its type.
    #[track_caller]
    pub fn value(&self, column: &str) -> Value {
        self.cells(column).value(self.at)
    }

    /// Changes a column that the plugin declared under `writes`. The last word counts.
    #[track_caller]
    pub fn set(&mut self, column: &str, value: impl Into<Value>) {
        let Some(at) = position(self.writes, column) else {
            panic!("{column} of {} is not declared under `writes`", self.table)
        };
        let value = value.into();
        match self.changes.iter_mut().find(|(changed, _)| *changed == at) {
            Some((_, earlier)) => *earlier = value,
            None => self.changes.push((at, value)),
        }
    }

    #[track_caller]
    fn cells(&self, column: &str) -> &'a Cells<'a> {
        match position(self.reads, column) {
            Some(at) => &self.columns[at],
            None => panic!("{column} of {} is not declared under `reads`", self.table),
        }
    }
}

/// As written first, for speed; blind to case then, as SQL Server is with names.
pub(crate) fn position<T: AsRef<str>>(names: &[T], name: &str) -> Option<usize> {
    // A rule's literal is most often the declaration's own.
    let is_it = |known: &T| std::ptr::eq(known.as_ref(), name) || known.as_ref() == name;
    let exact = names.iter().position(is_it);
    exact.or_else(|| names.iter().position(|known| known.as_ref().eq_ignore_ascii_case(name)))
}
