//! First load of a table: pages in key order, without one long transaction.
//!
//! 1. [`crate::capture::start`] first, and keep its position.
//! 2. [`page`] from the beginning, then after the last row's key, until a page comes short.
//! 3. A pass of changes from the kept position: whatever moved during the load is among them, and
//!    applying a change twice does no harm. Only then is the table as the channel has it.
//!
//! * The order is the server's: guids and collations sort there as nowhere else, so only the last
//!   key travels back.
//! * A load that broke off resumes from (version, last key) as long as the version is still
//!   retained.

use crate::cells::Cells;
use crate::convert::{Parameter, key_parameters};
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::statement::{after_key, key_list, select_list};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;

/// At most `rows_max` rows behind `after`, or from the beginning; fewer mean that the table's end
/// is reached.
pub async fn page(
    link: &mut Link,
    table: &Table,
    after: Option<&Key>,
    rows_max: usize,
) -> Result<Vec<Row>, ChannelError> {
    if table.key.is_empty() {
        return Err(ChannelError::NoPrimaryKey { table: table.name.clone() });
    }
    let mut parameters = vec![Parameter::Number(rows_max as i64)];
    parameters.extend(after.into_iter().flat_map(|key| key_parameters(key, table)));
    let sql = page_sql(table, after.is_some());
    let sets = link.ask(Ask::query(WHAT, &sql, &parameters)).await?;
    let rows: Result<Vec<Row>, ChannelError> =
        sets.into_iter().flatten().map(|cells| Cells::new(WHAT, cells).row(table)).collect();
    let rows = rows?;
    link.settle_doubts(table, rows.iter()).await?;
    Ok(rows)
}

const WHAT: &str = "give a page of a table";

/// @P1 rows in the page; with `after`, @P2 and on the last key's values as canonical text. Each
/// page is its own snapshot: it waits for no writer and no writer waits for it.
pub(crate) fn page_sql(table: &Table, after: bool) -> String {
    let condition = match after {
        true => format!(" WHERE {}", after_key("t", table, 2)),
        false => String::new(),
    };
    format!(
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT TOP (@P1) {} FROM {} AS t{condition} ORDER BY {};\n",
        select_list("t", table),
        table.name.bracketed(),
        key_list("t.", table),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::page;
    use crate::sample;
    use crate::scripted::{Channel, says};
    use tillhold_core::row::Row;
    use tillhold_core::text::parse;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    /// What the statement's select list makes of a column's type.
    fn sent_as(of: SqlType) -> &'static str {
        let text = match of {
            SqlType::Money => "decimal(19,4)".to_string(),
            SqlType::SmallMoney => "decimal(10,4)".to_string(),
            SqlType::Xml => "nvarchar(max)".to_string(),
            of => of.to_string(),
        };
        Box::leak(text.into_boxed_str())
    }

    /// The extremes of each type, in the sample's order; those that are easily lost on a way.
    pub(crate) const EXTREMES: [&str; 31] = [
        "-2147483648",
        "ÄÖ-1",
        "1753-01-01 23:59:59.997",
        "1",
        "255",
        "-32768",
        "9223372036854775807",
        "9999999999999999999999999999.0000000001",
        "922337203685477.5807",
        "-214748.3648",
        "-1.7976931348623157e308",
        "3.4028234663852886e38",
        "9999-12-31",
        "23:59:59.999",
        "2079-06-06 23:59:00",
        "9999-12-31 23:59:59.9999999",
        "0001-01-02 00:00:00.0000001 +13:59",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Ä   ",
        "\u{1F600}  ",
        "l'été",
        "long",
        "\u{1F600}",
        "",
        "text",
        "\u{4e2d}",
        "<a b=\"c\">\u{4e2d}</a>",
        "00FF0000",
        "",
        "00FF",
        "FF00",
    ];

    #[tokio::test]
    async fn every_type_comes_over_the_wire_to_its_last_digit() {
        let table = sample::every_type();
        let values = table.columns.iter().zip(EXTREMES);
        let row: Vec<Value> =
            values.map(|(c, text)| parse(text, c.of).expect("an extreme")).collect();
        let nulls: Vec<Value> = (0..row.len())
            .map(|at| if table.columns[at].nullable { Value::Null } else { row[at].clone() })
            .collect();
        let columns = table.columns.iter().map(|c| ("x", sent_as(c.of))).collect();
        let answer = vec![(columns, vec![row.clone(), nulls.clone()])];
        let channel = Channel::start(vec![says("SELECT TOP", answer)]).await;
        let rows = page(&mut channel.link(), &table, None, 10).await.expect("a page");
        for (at, column) in table.columns.iter().enumerate() {
            assert_eq!(rows[0].0[at], row[at], "{} {}", column.name, column.of);
        }
        assert_eq!(rows[1], Row(nulls));
    }
}
