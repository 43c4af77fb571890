//! What has arrived: the channel's ledger of POS transactions.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use serde_json::json;
use std::collections::HashMap;
use tillhold_core::transaction::{ContentHash, TransactionId};

/// The content hash under which each transaction arrived, `None` for one that did not, in the order
/// of `ids`.
pub async fn ledger(
    link: &mut Link,
    ids: &[TransactionId],
) -> Result<Vec<Option<ContentHash>>, ChannelError> {
    let mut found = HashMap::new();
    for portion in ids.chunks(IDS_ASKED_MAX) {
        let list: Vec<_> = portion.iter().map(|id| json!({ "id": id.to_string() })).collect();
        let parameters = [Parameter::Text(serde_json::Value::from(list).to_string())];
        let sets = link.ask(Ask::query(WHAT, LEDGER_SQL, &parameters)).await?;
        for cells in sets.into_iter().flatten() {
            let mut cells = Cells::new(WHAT, cells);
            let (id, hash) =
                (cells.optional_guid("transaction_id")?, cells.optional_bytes("content_hash")?);
            let hash = hash.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            found.extend(id.zip(hash).map(|(id, hash)| (TransactionId(id), ContentHash(hash))));
        }
    }
    Ok(ids.iter().map(|id| found.get(id).copied()).collect())
}

const WHAT: &str = "tell which transactions have arrived";

/// 36 characters each: some 50 kB of JSON.
const IDS_ASKED_MAX: usize = 1_000;

/// @P1: `[{"id":"…"},…]`.
pub(crate) const LEDGER_SQL: &str = "SELECT l.[transaction_id], l.[content_hash] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id') AS j INNER JOIN [tillhold].[ledger] AS l ON l.[transaction_id] = CAST(j.[id] AS uniqueidentifier);\n";
