//! Size: old settled sales leave the register and not the channel; at the limit downloads stop and sales go on.

use crate::harness::{PROGRAM, Stage, proof};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::process::Command;

const LINES: &str = "ax.RETAILTRANSACTIONSALESTRANS";

impl Stage {
    fn journal(&self) -> Connection {
        let path = self.rehearsal.folder().join("offline/journal.db");
        Connection::open(path).expect("the journal")
    }

    fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        self.journal().query_row(&sql, (), |row| row.get(0)).expect("a count")
    }

    /// Stops the agent and starts it again with another size section.
    async fn restart_with(&mut self, size: &str) {
        self.rehearsal.kill();
        let path = self.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        let before = text.split("\n[size]").next().unwrap_or_default();
        std::fs::write(&path, format!("{before}\n[size]\n{size}")).expect("a profile");
        self.start().await;
    }

    async fn size(&self) -> Json {
        self.rehearsal.get("/v1/size").await.expect("a size").body
    }
}

#[test]
fn old_settled_sales_leave_the_register_and_not_the_channel() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(3).await.expect("sales");
        stage.holds().await;
        let lines = stage.count(LINES);
        assert!(lines > 3);
        stage.rehearsal.kill();
        // The clock cannot be turned; what is written down of the first sale can.
        let older = "UPDATE tillhold_kept SET aged_from_ms = aged_from_ms - 2 * 86400000 \
                     WHERE kept_no = (SELECT min(kept_no) FROM tillhold_kept)";
        assert_eq!(stage.journal().execute(older, ()).expect("an older sale"), 1);
        // By the clock alone no sale is old: the register has not run on another day since.
        stage.restart_with("keep_settled_days = 1\nreserve_mb = 2\n").await;
        let limit = std::time::Duration::from_secs(60);
        let purged = |status: &Json| status["size"]["purge"]["transactions"] == 0;
        stage.rehearsal.until("a purge of nothing", limit, purged).await.expect("a status");
        assert_eq!(stage.count(LINES), lines);
        stage.rehearsal.kill();
        let day_run = "INSERT INTO tillhold_fact SELECT 'days-run', json_array(json_array(1, min(kept_no))) \
                       FROM tillhold_kept";
        assert_eq!(stage.journal().execute(day_run, ()).expect("a day"), 1);
        stage.restart_with("keep_settled_days = 1\nreserve_mb = 2\n").await;
        let purged = |status: &Json| status["size"]["purge"]["transactions"] == 1;
        let status = stage.rehearsal.until("a purge", limit, purged).await.expect("a status");
        assert!(status["size"]["purge"]["rows"].as_i64().is_some_and(|rows| rows > 2));
        assert!((1..lines).contains(&stage.count(LINES)), "one sale whole, the others not");
        stage.holds().await;
        assert_eq!(stage.size().await["reserve"], "kept");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn at_the_limit_downloads_stop_and_sales_go_on() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.restart_with("limit_mb = 1\nreserve_mb = 0\n").await;
        let size = stage.size().await;
        assert_eq!(
            (size["standing"].as_str(), size["reserve"].as_str()),
            (Some("full"), Some("none"))
        );
        let tables = size["tables"].as_array().expect("tables");
        assert!(tables.iter().any(|table| table["table"] == LINES && table["rows"] != 0));
        stage.rehearsal.edit_on_both_sides().await.expect("edits");
        let answer = stage.rehearsal.post("/v1/sync").await.expect("a sync");
        assert!(answer.is_success(), "{answer:?}");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let scopes = status["scopes"].as_array().expect("scopes");
        let full: Vec<&Json> =
            scopes.iter().filter(|s| s["fault"]["code"] == "local-size-limit").collect();
        assert!(!full.is_empty() && full.iter().all(|s| s["direction"] == "download"), "{full:?}");
        assert!(status["push_fault"].is_null());
        stage.rehearsal.sell(3).await.expect("sales go on");
        let mut told = Command::new(PROGRAM);
        told.args(["size", "--config"]).arg(stage.rehearsal.config());
        let told = told.output().expect("a run of the program");
        let page = String::from_utf8_lossy(&told.stdout);
        assert_eq!(told.status.code(), Some(1), "{page}");
        assert!(page.contains("of 1.0 MB: full") && page.contains(LINES), "{page}");
        assert!(stage.rehearsal.log().contains("nothing more is loaded, selling goes on"));
        stage.restart_with("limit_mb = 1000\nreserve_mb = 0\n").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
