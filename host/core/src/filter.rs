//! A simple question to one table, the same whichever database answers it.
//!
//! * All conditions must hold. Text is compared as the channel compares keys: blind to case and trailing blanks
//!   where the column folds ([`crate::table::Column::folds`]).
//! * Answers come in key order, at most `limit` rows; the next page starts `after` the last row's key.
//! * No expressions, no joins: what cannot be said here is not asked at the till.

use crate::row::Key;
use crate::value::Value;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Column position and the value it must have; `Value::Null` asks for NULL.
    pub equals: Vec<(usize, Value)>,
    /// Position of a text column and how its value must begin.
    pub prefix: Option<(usize, String)>,
    /// Only rows behind this key, in key order.
    pub after: Option<Key>,
    /// At most [`crate::limits::READ_ROWS_MAX`].
    pub limit: usize,
}
