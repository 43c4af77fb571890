//! One table's rows to come: which columns they set, and the row's other columns by the schema's own defaults.
//!
//! Every row is whole (all columns that a writer gives), so that nothing depends on how a server fills in defaults.

use std::sync::Arc;
use tillhold_core::fit::fit;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_kit::Schema;

/// AX numbers its records from here on; every table counts for itself.
const RECORD_BASE: u64 = 5_637_144_576;
/// The one company of the demonstration.
pub const COMPANY: &str = "USRT";

/// Rows of one table, made one by one as they are asked for.
pub struct Load<'a> {
    pub table: Arc<Table>,
    pub count: u64,
    pub rows: Box<dyn Iterator<Item = Vec<Value>> + Send + 'a>,
}

impl Load<'_> {
    /// The columns of the rows, in their order.
    pub fn columns(&self) -> Vec<&str> {
        written(&self.table).map(|column| column.name.as_str()).collect()
    }
}

fn written(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| column.assigned == Assigned::ByWriter)
}

/// The RECID of a table's row by its number, counted from 0.
pub(crate) fn record(index: u64) -> Value {
    Value::Int((RECORD_BASE + index) as i64)
}

/// `count` rows of an ax table; `row` gives the values of `fields` for each number from 0. RECID is counted and
/// DATAAREAID set unless they are among the fields.
pub(crate) fn load<'a, const N: usize>(
    schema: &Schema,
    name: &str,
    fields: [&str; N],
    count: u64,
    row: impl Fn(u64) -> [Value; N] + Send + 'a,
) -> Load<'a> {
    let table = schema
        .table(&TableName::new("ax", name))
        .expect("the generator names tables of the schema that is carried in the program");
    let columns: Vec<Column> = written(table).cloned().collect();
    let template: Vec<Value> = columns.iter().map(default_value).collect();
    let at = |field: &str| columns.iter().position(|column| column.name == field);
    let places = fields.map(|field| at(field).expect("the generator names columns of that schema"));
    let counted = at("RECID").filter(|at| !places.contains(at));
    let table = table.clone();
    let make = move |index: u64| {
        let mut whole = template.clone();
        if let Some(at) = counted {
            whole[at] = record(index);
        }
        for (place, value) in places.iter().zip(row(index)) {
            whole[*place] = fitted(value, &columns[*place]);
        }
        whole
    };
    Load { table, count, rows: Box::new((0..count).map(make)) }
}

/// A value as its column holds it; texts are cut to the column's width, as AX's forms cut them.
fn fitted(value: Value, column: &Column) -> Value {
    let value = match (value, column.of) {
        (Value::Text(text), SqlType::NVarChar { length: Some(width) }) => {
            Value::Text(cut(&text, usize::from(width)))
        }
        (value, _) => value,
    };
    fit(value, column.of).expect("amounts and numbers are bounded where the shop's files are read")
}

/// The longest beginning of a text that `width` UTF-16 units hold.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .take_while(|c| {
            let fits = c.len_utf16() <= left;
            left = left.saturating_sub(c.len_utf16());
            fits
        })
        .collect()
}

/// What the schema's default says, as a value; the zero of its type where a NOT NULL column has none.
pub(crate) fn default_value(column: &Column) -> Value {
    if column.name == "DATAAREAID" && column.default.is_none() {
        return Value::Text(COMPANY.to_string());
    }
    match column.default.as_deref() {
        Some("getutcdate()" | "getdate()") => Value::Timestamp(opening()),
        Some(default) => {
            let literal = default.trim_matches(['(', ')']).trim_matches('\'');
            text::parse(literal, column.of).unwrap_or_else(|_| zero(column.of))
        }
        None if column.nullable => Value::Null,
        None => zero(column.of),
    }
}

fn zero(of: SqlType) -> Value {
    match of {
        SqlType::Bit => Value::Bool(false),
        SqlType::Decimal { scale, .. } => {
            Value::Decimal(Decimal::new(0, scale).unwrap_or(Decimal::ZERO))
        }
        SqlType::Date => Value::Date(opening().date()),
        SqlType::DateTime => Value::Timestamp(opening()),
        SqlType::UniqueIdentifier => Value::Guid([0; 16]),
        _ if of.is_text() => Value::Text(String::new()),
        _ if of.is_binary() => Value::Bytes(Vec::new()),
        _ => Value::Int(0),
    }
}

/// When every generated row was last changed: the Sunday before the first shipped basket.
pub(crate) fn opening() -> Timestamp {
    let day = Date::from_civil(2017, 2, 26).expect("a Sunday that was");
    Timestamp::new(day, Time(0))
}

pub(crate) fn words(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub(crate) fn whole(number: impl Into<i64>) -> Value {
    Value::Int(number.into())
}

pub(crate) fn cents(number: u64) -> Value {
    Value::Decimal(Decimal::new(i128::from(number), 2).unwrap_or(Decimal::ZERO))
}

pub(crate) fn money(amount: Decimal) -> Value {
    Value::Decimal(amount)
}

pub(crate) fn day(year: i32, month: u32, day: u32) -> Value {
    Value::Date(Date::from_civil(year, month, day).expect("the generator's own dates exist"))
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn texts_are_cut_by_utf16_units_and_never_inside_a_character() {
        for (text, width, kept) in
            [("abc", 2, "ab"), ("abc", 9, "abc"), ("a😀b", 2, "a"), ("a😀b", 3, "a😀"), ("", 0, "")]
        {
            assert_eq!(cut(text, width), kept);
        }
    }
}
