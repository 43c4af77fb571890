//! When each scope's rows came to where they stand, for whoever asks how old they are.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::Kind;
use std::collections::BTreeMap;

/// A scope's pulled tables, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopePosition {
    /// Every one of them can be read.
    pub is_ready: bool,
    /// None of them can.
    pub is_empty: bool,
    /// When the one landed that landed first, by the wall clock of whoever filled the file; `None` before that.
    pub oldest_ms: Option<i64>,
}

impl LocalDatabase {
    /// Of every scope that is pulled, by name.
    pub async fn scope_positions(&self) -> Result<BTreeMap<String, ScopePosition>, LocalError> {
        let mut all = BTreeMap::<String, ScopePosition>::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            for (scope, here) in self.positions_in(kind).await? {
                let there = all.get(&scope).copied().unwrap_or(here);
                let oldest_ms = here.oldest_ms.zip(there.oldest_ms).map(|(a, b)| a.min(b));
                let is_ready = here.is_ready && there.is_ready;
                let is_empty = here.is_empty && there.is_empty;
                all.insert(scope, ScopePosition { is_ready, is_empty, oldest_ms });
            }
        }
        Ok(all)
    }

    async fn positions_in(&self, kind: Kind) -> Result<Vec<(String, ScopePosition)>, LocalError> {
        // A table that waits to land anew was positioned when its load ended, and its rows are older than that.
        let sql = "SELECT scope, min(ready), NOT max(ready), \
                   CASE WHEN min(load_state = 'loaded') THEN min(positioned_ms) END \
                   FROM tillhold_table WHERE direction <> 'upload' GROUP BY scope";
        self.readers(kind)
            .run(move |conn| {
                let mut statement = conn.prepare_cached(sql)?;
                let found = statement.query_map((), |row| {
                    let (is_ready, is_empty) = (row.get(1)?, row.get(2)?);
                    Ok((row.get(0)?, ScopePosition { is_ready, is_empty, oldest_ms: row.get(3)? }))
                })?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }
}
