//! The channel's side of the record of decided conflicts.

use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use serde_json::{Map, Value as Json, json};
use tillhold_core::conflict::{Conflict, Decision, Resolution};
use tillhold_core::moment::Timestamp;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table};
use tillhold_core::text::{canonical, guid_text};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// Records all of them in one round trip.
pub async fn record(link: &mut Link, decisions: &[Decision]) -> Result<(), ChannelError> {
    if decisions.is_empty() {
        return Ok(());
    }
    let list: Vec<Json> = decisions.iter().map(as_json).collect();
    let parameters = [Parameter::Text(Json::from(list).to_string())];
    link.ask(Ask::query("record decided conflicts", DECISION_SQL, &parameters)).await?;
    Ok(())
}

fn as_json(decision: &Decision) -> Json {
    let moment = Value::Timestamp(Timestamp::from_unix_ms(decision.decided_at_ms));
    let Conflict { table, key, base, channel, offline } = &decision.conflict;
    let side = |row: &Option<Row>| row.as_ref().map(|row| row_text(table, row));
    json!({
        "id": guid_text(&decision.id),
        "at": canonical(&moment, SqlType::DateTime2 { scale: 7 }),
        "register": decision.register,
        "transaction": decision.transaction.to_string(),
        "table": table.name.to_string(),
        "key": key_text(table, key),
        "rule": decision.rule,
        "digest": decision.plugin_digest,
        "base": side(base),
        "channel": side(channel),
        "offline": side(offline),
        "outcome": outcome_text(table, &decision.resolution),
    })
}

/// `{"ACCOUNTNUM":"C1",…}`: every value in canonical text, NULL as null.
fn row_text(table: &Table, row: &Row) -> String {
    object(table.columns.iter().zip(&row.0)).to_string()
}

fn key_text(table: &Table, key: &Key) -> String {
    object(table.key_columns().zip(&key.0)).to_string()
}

/// `{"take":"channel"}`, or the cells that were decided.
fn outcome_text(table: &Table, resolution: &Resolution) -> String {
    let outcome = match resolution {
        Resolution::TakeChannel => json!({ "take": "channel" }),
        Resolution::TakeOffline => json!({ "take": "offline" }),
        Resolution::Merge(cells) => {
            let cells = cells.iter().map(|(at, value)| (&table.columns[*at], value));
            json!({ "merge": object(cells) })
        }
        Resolution::Defer(reason) => json!({ "defer": reason }),
    };
    outcome.to_string()
}

fn object<'a>(cells: impl Iterator<Item = (&'a Column, &'a Value)>) -> Json {
    let one = |(column, value): (&Column, &Value)| {
        (column.name.clone(), canonical(value, column.of).map_or(Json::Null, Json::String))
    };
    Json::Object(cells.map(one).collect::<Map<_, _>>())
}

/// @P1: a JSON array of decisions. An id that is there already is the same decision sent again.
pub(crate) const DECISION_SQL: &str = "\
SET NOCOUNT ON;
INSERT INTO [tillhold].[decision] ([id], [decided_at], [register], [transaction_id], [table_name], [row_key], [rule], [plugin_digest], [base_row], [channel_row], [offline_row], [outcome]) SELECT CAST(j.[id] AS uniqueidentifier), CONVERT(datetime2(7), j.[at], 121), j.[register], CAST(j.[transaction] AS uniqueidentifier), j.[table], j.[key], j.[rule], j.[digest], j.[base], j.[channel], j.[offline], j.[outcome] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id', [at] nvarchar(40) N'$.at', [register] nvarchar(64) N'$.register', [transaction] nvarchar(36) N'$.transaction', [table] nvarchar(261) N'$.table', [key] nvarchar(max) N'$.key', [rule] nvarchar(200) N'$.rule', [digest] nvarchar(80) N'$.digest', [base] nvarchar(max) N'$.base', [channel] nvarchar(max) N'$.channel', [offline] nvarchar(max) N'$.offline', [outcome] nvarchar(max) N'$.outcome') AS j WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[decision] AS d WHERE d.[id] = CAST(j.[id] AS uniqueidentifier));
";

#[cfg(test)]
mod tests {
    use super::{outcome_text, row_text};
    use crate::upload::payload::tests::cards;
    use tillhold_core::conflict::Resolution;
    use tillhold_core::row::Row;
    use tillhold_core::value::Value;

    #[test]
    fn rows_and_outcomes_are_readable_json() {
        let row = Row(vec![Value::Text("a\"b".to_string()), Value::Int(3), Value::Null]);
        assert_eq!(row_text(&cards(), &row), r#"{"CARD":"a\"b","POINTS":"3","NOTE":null}"#);
        let merge = Resolution::Merge(vec![(1, Value::Int(4))]);
        assert_eq!(outcome_text(&cards(), &merge), r#"{"merge":{"POINTS":"4"}}"#);
    }
}
