//! Text that is no Unicode: SQL Server's nvarchar takes any sequence of 16-bit units, a String does
//! not.
//!
//! * The client puts U+FFFD in the place of a lone surrogate, so a text that holds U+FFFD is in
//!   doubt: either that letter is really there (text that another program had damaged), or a unit
//!   was lost on the way.
//! * A text in doubt is asked for again as bytes. The letter itself passes; a lone surrogate is
//!   refused by name, with the row's key, since nothing on the register could hold it.

use crate::convert::{Parameter, key_parameters};
use crate::error::ChannelError;
use crate::statement::key_parameter;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Table, bracket};
use tillhold_core::value::Value;

/// A cell that must be looked at again.
pub(crate) struct Doubt<'a> {
    table: &'a Table,
    row: &'a Row,
    /// The row's place among those that were looked at.
    at: usize,
    column: usize,
}

pub(crate) fn doubts<'a>(
    table: &'a Table,
    rows: impl Iterator<Item = &'a Row>,
) -> impl Iterator<Item = Doubt<'a>> {
    let of_row = move |(at, row): (usize, &'a Row)| {
        let in_doubt =
            |column: &usize| matches!(&row.0[*column], Value::Text(t) if t.contains('\u{FFFD}'));
        (0..row.0.len()).filter(in_doubt).map(move |column| Doubt { table, row, at, column })
    };
    rows.enumerate().flat_map(of_row)
}

impl Doubt<'_> {
    /// The key's values are the parameters. A key that is itself in doubt finds no row, and the
    /// doubt stands.
    pub(crate) fn sql(&self) -> String {
        let name = bracket(&self.table.columns[self.column].name);
        let one = |(at, column): (usize, &tillhold_core::table::Column)| {
            format!("t.{} = {}", bracket(&column.name), key_parameter(at + 1, column))
        };
        let key: Vec<String> = self.table.key_columns().enumerate().map(one).collect();
        format!(
            "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT CAST(CAST(t.{name} AS nvarchar(max)) AS varbinary(max)) AS [units] FROM {} AS t WHERE {};\n",
            self.table.name.bracketed(),
            key.join(" AND ")
        )
    }

    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        key_parameters(&self.row.key(self.table), self.table)
    }

    /// `None` when the bytes are the text that was read.
    pub(crate) fn settle(&self, units: Option<Vec<u8>>) -> Option<Refused> {
        let units = units.unwrap_or_default();
        let units = units
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match (text, &self.row.0[self.column]) {
            (Ok(text), Value::Text(read)) if text == *read => None,
            _ => Some(Refused {
                row: self.at,
                key: self.row.key(self.table),
                column: self.column,
                reason: "a lone UTF-16 surrogate".to_string(),
            }),
        }
    }
}

/// A row that cannot be carried: its place among its neighbours, its key, the first column to blame
/// (by place), and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) row: usize,
    pub(crate) key: Key,
    pub(crate) column: usize,
    pub(crate) reason: String,
}

impl Refused {
    /// For whoever sets the row aside.
    pub(crate) fn told(&self, table: &Table) -> (Key, String) {
        (self.key.clone(), self.error(table).to_string())
    }

    pub(crate) fn error(&self, table: &Table) -> ChannelError {
        ChannelError::Undecodable {
            table: table.name.clone(),
            column: table.columns[self.column].name.clone(),
            reason: format!("{} in the row {}", self.reason, self.key.named(table)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ChannelError;
    use crate::read::read;
    use crate::scripted::{Channel, says};
    use crate::upload::payload::tests::cards;
    use tillhold_core::filter::Filter;
    use tillhold_core::row::Row;
    use tillhold_core::value::Value;

    /// A read with one note in doubt, whose units are then shown.
    async fn check(units: &[u16]) -> Result<Vec<Row>, ChannelError> {
        let columns = vec![("CARD", "nvarchar(20)"), ("POINTS", "int"), ("NOTE", "nvarchar(max)")];
        let row = vec![Value::Text("a".to_string()), Value::Int(1), lossy()];
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let shown = vec![(vec![("units", "varbinary(max)")], vec![vec![Value::Bytes(bytes)]])];
        let script = vec![says("TOP", vec![(columns, vec![row])]), says("AS [units]", shown)];
        let filter = Filter { limit: 10, ..Filter::default() };
        read(&mut Channel::start(script).await.link(), &cards(), &filter, None).await
    }

    fn lossy() -> Value {
        Value::Text("x\u{FFFD}".to_string())
    }

    #[tokio::test]
    async fn the_replacement_letter_passes_only_where_it_really_stands() {
        let rows = check(&[u16::from(b'x'), 0xFFFD]).await.expect("the letter is there");
        assert_eq!(rows[0].0[2], lossy());
        let error = check(&[u16::from(b'x'), 0xD800]).await.expect_err("a lone surrogate");
        assert_eq!(error.code(), "channel-value");
        assert!(
            error.to_string().contains("NOTE") && error.to_string().contains("CARD=a"),
            "{error}"
        );
    }
}
