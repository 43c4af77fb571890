//! A running register takes a changed profile, and a table altered at its channel, without a new start; a profile that
//! is wrong changes nothing.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use std::time::Duration;

/// Beside the channel's profile: a column of the customers stays away, and the channel is told each second how it goes.
fn before(profile: String) -> String {
    let customers = "name = \"1010 Customers\"\n";
    assert!(profile.contains(customers));
    let profile = profile.replace(customers, &format!("{customers}{EXCLUDE}"));
    let (head, scopes) = profile.split_once("[[scope]]").expect("scopes");
    format!("{head}[synchronization]\nreport_interval_s = 1\n\n[[scope]]{scopes}")
}

const EXCLUDE: &str = "tables = [{ name = \"ax.CUSTTABLE\", exclude = [\"CREDITMAX\"] }]\n";

/// Has a key, and stands in no scope of the channel's profile.
const MORE: &str = r#"
[[scope]]
name = "Extra"
direction = "download"
tables = ["dbo.UNITTXT"]
"#;

const LIMIT: Duration = Duration::from_secs(120);

fn rewrite(stage: &Stage, change: impl FnOnce(String) -> String) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    std::fs::write(&path, change(text)).expect("another profile");
}

async fn status(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

async fn until(stage: &Stage, what: &'static str, wanted: impl Fn(&Json) -> bool) -> Json {
    let seen = stage.rehearsal.until(what, LIMIT, wanted).await;
    seen.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()))
}

/// Head office sees it in `tillhold fleet`.
async fn told_at_the_channel(stage: &Stage, code: &str) {
    let told =
        format!("SELECT 1 FROM [tillhold].[register_status] WHERE [fault_code] = N'{code}';");
    let seen = tokio::time::timeout(LIMIT, async {
        while stage.rehearsal.count(&told).expect("a count") == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("{code} is not told at the channel"));
}

#[test]
fn a_running_register_takes_a_changed_profile_between_sales() {
    proof(async {
        let mut stage = Stage::prepared_with(20, before).await;
        stage.start().await;
        let first = status(&stage).await;
        assert!(first["profile_fault"].is_null() && first["profile_taken_at_ms"].is_i64());
        stage.rehearsal.sell(2).await.expect("sales before");

        rewrite(&stage, |text| text.replace(EXCLUDE, "") + MORE);
        stage.rehearsal.prepare().await.expect("the new columns granted");
        // Some come before the look, some into it, some after it.
        stage.rehearsal.sell(8).await.expect("sales meanwhile");
        let taken = until(&stage, "the profile taken", |status| {
            let scopes = status["scopes"].as_array().expect("scopes");
            scopes.iter().any(|scope| scope["name"] == "Extra" && scope["ready"] == true)
        });
        let taken = taken.await;
        assert!(taken["profile_taken_at_ms"].as_i64() > first["profile_taken_at_ms"].as_i64());
        assert_eq!(taken["started_at_ms"], first["started_at_ms"], "the very same process");
        assert!(!stage.columns("catalogue.db", "dbo.UNITTXT").is_empty());
        let customers = stage.columns("journal.db", "ax.CUSTTABLE");
        assert!(customers.contains(&"CREDITMAX".to_string()), "{customers:?}");

        rewrite(&stage, |text| text.replace("dbo.UNITTXT", "dbo.UNITTXX"));
        let refused = until(&stage, "a refusal", |s| s["profile_fault"].is_object()).await;
        assert_eq!(refused["profile_fault"]["code"], "channel-table", "{refused:#}");
        assert_eq!(refused["profile_taken_at_ms"], taken["profile_taken_at_ms"]);
        told_at_the_channel(&stage, "channel-table").await;
        stage.rehearsal.sell(2).await.expect("sales under the old profile");

        rewrite(&stage, |text| text.replace("dbo.UNITTXX", "dbo.UNITTXT"));
        until(&stage, "the mended profile", |s| s["profile_fault"].is_null()).await;
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 12);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn what_is_published_at_the_channel_comes_with_the_next_synchronisation() {
    proof(async {
        let stage = Stage::online(20).await;
        let frequency = |status: &Json| {
            let scopes = status["scopes"].as_array().expect("scopes");
            let customers = scopes.iter().find(|scope| scope["name"] == "1010 Customers");
            customers.expect("the customers' scope")["frequency_s"].clone()
        };
        let first = status(&stage).await;
        assert_ne!(frequency(&first), 77);
        let sql = "UPDATE [ax].[RETAILOFFLINESCOPE] SET [SYNCFREQUENCY] = 77 WHERE [DESCRIPTION] = N'1010 Customers';";
        assert_eq!(stage.rehearsal.office(sql).expect("another frequency"), 1);
        stage.rehearsal.settle().await.expect("a synchronisation");
        let second = status(&stage).await;
        assert_eq!(frequency(&second), 77, "{second:#}");
        assert_eq!(second["started_at_ms"], first["started_at_ms"]);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_column_added_at_the_channel_is_followed_while_the_register_runs() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        let sql = "ALTER TABLE [ax].[CUSTTABLE] ADD [TH_SHOESIZE] int NULL;";
        stage.rehearsal.office(sql).expect("another column");
        stage.rehearsal.prepare().await.expect("the column granted");
        let sql = "UPDATE [ax].[CUSTTABLE] SET [TH_SHOESIZE] = 43;";
        assert!(stage.rehearsal.office(sql).expect("its values") > 0);
        stage.rehearsal.sell(1).await.expect("a sale of the old shape");
        stage.rehearsal.settle().await.expect("a synchronisation");
        let customers = stage.columns("journal.db", "ax.CUSTTABLE");
        assert!(customers.contains(&"TH_SHOESIZE".to_string()), "{customers:?}");
        let path = stage.rehearsal.folder().join("offline/journal.db");
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let sql = "SELECT count(*) FROM \"ax.CUSTTABLE\" WHERE \"TH_SHOESIZE\" IS NOT 43";
        let others: i64 =
            conn.expect("a file").query_row(sql, (), |row| row.get(0)).expect("a count");
        assert_eq!(others, 0, "every row was read with the new column");
        stage.rehearsal.sell(1).await.expect("a sale of the new shape");
        stage.rehearsal.settle().await.expect("nothing unsent");
        // The check knows the column from nowhere, and says so; of the sales it says all.
        let findings = stage.rehearsal.verify().await.expect("a check");
        assert_eq!(
            (findings.sales, findings.lost, findings.duplicated),
            (3, 0, 0),
            "{findings:#?}"
        );
        assert_eq!(findings.told.len(), 1, "{findings:#?}");
        stage.rehearsal.close().await.expect("an end");
    });
}
