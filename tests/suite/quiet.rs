//! A channel on which nothing happens is asked little, and what happens on it is still seen.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use std::time::Duration;

const SCOPE: &str = "1020 Prices and discounts";

fn scope(status: &Json) -> &Json {
    let scopes = status["scopes"].as_array().expect("scopes");
    scopes.iter().find(|scope| scope["name"] == SCOPE).expect("the scope")
}

impl Stage {
    /// When a pass last moved the positions of the scope's tables.
    fn positioned_ms(&self) -> i64 {
        let path = self.rehearsal.folder().join("offline/catalogue.db");
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let sql = "SELECT max(positioned_ms) FROM tillhold_table WHERE scope = ?1";
        file.expect("the catalogue").query_row(sql, [SCOPE], |row| row.get(0)).expect("a moment")
    }

    /// Waits for so many more synchronisations of the scope by its frequency. The moment of one is told as the
    /// wall's time less an age, so it moves by a millisecond between two looks: half a frequency later is another one.
    async fn synchronised(&self, times: usize) {
        let mut last = None;
        for _ in 0..=times {
            let limit = Duration::from_secs(60);
            let later = |status: &Json| match (last, scope(status)["last_sync_ms"].as_i64()) {
                (Some(last), Some(moment)) => moment > last + 500,
                (_, moment) => moment.is_some(),
            };
            let status = self.rehearsal.until("a later synchronisation", limit, later).await;
            last = scope(&status.expect("a status"))["last_sync_ms"].as_i64();
        }
    }
}

#[test]
fn nothing_new_needs_no_pass_and_anything_new_is_pulled() {
    proof(async {
        let often = |profile: String| {
            format!("{profile}\n[[scope]]\nname = \"{SCOPE}\"\nfrequency_s = 1\n")
        };
        let mut stage = Stage::prepared_with(20, often).await;
        stage.start().await;
        stage.synchronised(2).await;
        let before = stage.positioned_ms();
        stage.synchronised(2).await;
        assert_eq!(stage.positioned_ms(), before, "up to date without a pass");
        let dearer = "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = [AMOUNT] + 1;";
        assert!(stage.rehearsal.office(dearer).expect("an edit") > 0);
        let limit = Duration::from_secs(60);
        let pulled = |status: &Json| scope(status)["last"]["rows_in"] != 0;
        stage.rehearsal.until("the new prices", limit, pulled).await.expect("a pull");
        assert!(stage.positioned_ms() > before);
        stage.rehearsal.post("/v1/sync").await.expect("by hand");
        let by_hand = stage.positioned_ms();
        stage.rehearsal.post("/v1/sync").await.expect("by hand");
        assert!(stage.positioned_ms() > by_hand, "by hand there is always a pass");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
