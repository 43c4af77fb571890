//! The channel's side of the record of decisions.
//!
//! * A decision about contested rows goes up in the upload that carries it out ([`crate::upload`]) and is written in its
//!   transaction: there is no moment at which the channel has the rows without the decision.
//! * What a person lets go of has no upload: its record stands alone, a sale whole in it.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;
use tillhold_core::conflict::{BY_PERSON, Conflict, Decision, Resolution};
use tillhold_core::moment::Timestamp;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table, TableName};
use tillhold_core::text::{canonical, guid_text};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// What a person let go of: a sale, which never comes to the channel but as this record, or a row of the channel's that the
/// register does without until it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Made by the register, so that recording it twice is recording it once.
    pub id: [u8; 16],
    /// By the register's clock.
    pub released_at_ms: i64,
    /// `STORE-REGISTER`
    pub register: String,
    /// The sale, or the id under which the row was set aside.
    pub of: [u8; 16],
    /// Of the row; of a sale its first.
    pub table: TableName,
    /// JSON
    pub key: String,
    pub who: String,
    pub why: String,
    /// JSON: what it was, whole, and why it was set aside.
    pub document: String,
}

pub async fn record_release(link: &mut Link, release: &Release) -> Result<(), ChannelError> {
    let moment = Value::Timestamp(Timestamp::from_unix_ms(release.released_at_ms));
    let record = json!({
        "id": guid_text(&release.id),
        "at": canonical(&moment, SqlType::DateTime2 { scale: 7 }),
        "register": release.register,
        "transaction": guid_text(&release.of),
        "table": release.table.to_string(),
        "key": release.key,
        "rule": BY_PERSON,
        "who": release.who,
        "why": release.why,
        "outcome": release.document,
    });
    let parameters = [Parameter::Text(Json::from(vec![record]).to_string())];
    link.ask(Ask::query("record what was let go of", DECISION_SQL, &parameters)).await?;
    Ok(())
}

/// Which of these decisions the channel has.
pub async fn recorded(
    link: &mut Link,
    ids: &[[u8; 16]],
) -> Result<HashSet<[u8; 16]>, ChannelError> {
    let mut found = HashSet::new();
    for portion in ids.chunks(IDS_ASKED_MAX) {
        let list: Vec<Json> = portion.iter().map(|id| json!({ "id": guid_text(id) })).collect();
        let parameters = [Parameter::Text(Json::from(list).to_string())];
        let sets = link.ask(Ask::query(RECORDED, RECORDED_SQL, &parameters)).await?;
        for cells in sets.into_iter().flatten() {
            found.extend(Cells::new(RECORDED, cells).optional_guid("id")?);
        }
    }
    Ok(found)
}

const RECORDED: &str = "tell which decisions it has";

/// 36 characters each: some 50 kB of JSON.
const IDS_ASKED_MAX: usize = 1_000;

/// @P1: `[{"id":"…"},…]`.
pub(crate) const RECORDED_SQL: &str = "SELECT d.[id] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id') AS j INNER JOIN [tillhold].[decision] AS d ON d.[id] = CAST(j.[id] AS uniqueidentifier);\n";

pub(crate) fn as_json(decision: &Decision) -> Map<String, Json> {
    let moment = Value::Timestamp(Timestamp::from_unix_ms(decision.decided_at_ms));
    let Conflict { table, key, base, channel, offline } = &decision.conflict;
    let side = |row: &Option<Row>| row.as_ref().map(|row| row_text(table, row));
    let json = json!({
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
        "who": decision.who,
        "why": decision.why,
    });
    match json {
        Json::Object(members) => members,
        _ => Map::new(),
    }
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
INSERT INTO [tillhold].[decision] ([id], [decided_at], [register], [transaction_id], [table_name], [row_key], [rule], [plugin_digest], [base_row], [channel_row], [offline_row], [outcome], [who], [why]) SELECT CAST(j.[id] AS uniqueidentifier), CONVERT(datetime2(7), j.[at], 121), j.[register], CAST(j.[transaction] AS uniqueidentifier), j.[table], j.[key], j.[rule], j.[digest], j.[base], j.[channel], j.[offline], j.[outcome], j.[who], j.[why] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id', [at] nvarchar(40) N'$.at', [register] nvarchar(64) N'$.register', [transaction] nvarchar(36) N'$.transaction', [table] nvarchar(261) N'$.table', [key] nvarchar(max) N'$.key', [rule] nvarchar(200) N'$.rule', [digest] nvarchar(80) N'$.digest', [base] nvarchar(max) N'$.base', [channel] nvarchar(max) N'$.channel', [offline] nvarchar(max) N'$.offline', [outcome] nvarchar(max) N'$.outcome', [who] nvarchar(128) N'$.who', [why] nvarchar(max) N'$.why') AS j WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[decision] AS d WHERE d.[id] = CAST(j.[id] AS uniqueidentifier));
";

/// A part of an upload. @P3: its JSON with the decisions as `j`, each with its transaction's number as `s`; those of the
/// transactions that are written are recorded.
pub(crate) const WITH_UPLOAD: &str = "\
INSERT INTO [tillhold].[decision] ([id], [decided_at], [register], [transaction_id], [table_name], [row_key], [rule], [plugin_digest], [base_row], [channel_row], [offline_row], [outcome], [who], [why]) SELECT CAST(j.[id] AS uniqueidentifier), CONVERT(datetime2(7), j.[at], 121), j.[register], CAST(j.[transaction] AS uniqueidentifier), j.[table], j.[key], j.[rule], j.[digest], j.[base], j.[channel], j.[offline], j.[outcome], j.[who], j.[why] FROM OPENJSON(@P3, N'$.j') WITH ([s] int N'$.s', [id] nvarchar(36) N'$.id', [at] nvarchar(40) N'$.at', [register] nvarchar(64) N'$.register', [transaction] nvarchar(36) N'$.transaction', [table] nvarchar(261) N'$.table', [key] nvarchar(max) N'$.key', [rule] nvarchar(200) N'$.rule', [digest] nvarchar(80) N'$.digest', [base] nvarchar(max) N'$.base', [channel] nvarchar(max) N'$.channel', [offline] nvarchar(max) N'$.offline', [outcome] nvarchar(max) N'$.outcome', [who] nvarchar(128) N'$.who', [why] nvarchar(max) N'$.why') AS j INNER JOIN #t AS q ON q.[s] = j.[s] WHERE q.[o] = 0;
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
