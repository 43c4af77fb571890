//! The channel's side of the record of decided conflicts.

use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use serde_json::{Value as Json, json};
use tillhold_core::moment::Timestamp;
use tillhold_core::table::TableName;
use tillhold_core::text::{canonical, guid_text};
use tillhold_core::transaction::TransactionId;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// One conflict and how it was decided. Rows and key are JSON texts, as the register's own record has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Given by the register: the same decision sent again is not recorded again.
    pub id: [u8; 16],
    pub decided_at: Timestamp,
    pub register: String,
    pub transaction: TransactionId,
    pub table: TableName,
    pub key: String,
    /// The policy's or the plugin's name.
    pub rule: String,
    /// `sha256:…` of the plugin that decided, if one did.
    pub plugin_digest: Option<String>,
    pub base: Option<String>,
    pub channel: Option<String>,
    pub offline: Option<String>,
    pub outcome: String,
}

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
    let moment = Value::Timestamp(decision.decided_at);
    json!({
        "id": guid_text(&decision.id),
        "at": canonical(&moment, SqlType::DateTime2 { scale: 7 }),
        "register": decision.register,
        "transaction": decision.transaction.to_string(),
        "table": decision.table.to_string(),
        "key": decision.key,
        "rule": decision.rule,
        "digest": decision.plugin_digest,
        "base": decision.base,
        "channel": decision.channel,
        "offline": decision.offline,
        "outcome": decision.outcome,
    })
}

/// @P1: a JSON array of decisions. An id that is there already is the same decision sent again.
pub(crate) const DECISION_SQL: &str = "\
SET NOCOUNT ON;
INSERT INTO [tillhold].[decision] ([id], [decided_at], [register], [transaction_id], [table_name], [row_key], [rule], [plugin_digest], [base_row], [channel_row], [offline_row], [outcome]) SELECT CAST(j.[id] AS uniqueidentifier), CONVERT(datetime2(7), j.[at], 121), j.[register], CAST(j.[transaction] AS uniqueidentifier), j.[table], j.[key], j.[rule], j.[digest], j.[base], j.[channel], j.[offline], j.[outcome] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id', [at] nvarchar(40) N'$.at', [register] nvarchar(64) N'$.register', [transaction] nvarchar(36) N'$.transaction', [table] nvarchar(261) N'$.table', [key] nvarchar(max) N'$.key', [rule] nvarchar(200) N'$.rule', [digest] nvarchar(80) N'$.digest', [base] nvarchar(max) N'$.base', [channel] nvarchar(max) N'$.channel', [offline] nvarchar(max) N'$.offline', [outcome] nvarchar(max) N'$.outcome') AS j WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[decision] AS d WHERE d.[id] = CAST(j.[id] AS uniqueidentifier));
";
