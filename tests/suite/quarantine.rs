//! A sale that the channel refuses steps aside: the others arrive, and it follows once its cause is mended.

use crate::harness::{PROGRAM, Stage, proof};
use crate::reprovision::assert_refused;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use std::process::Command;
use std::time::Duration;

fn quarantine(stage: &Stage, words: &[&str]) -> (Option<i32>, Json) {
    let run = Command::new(PROGRAM)
        .arg("quarantine")
        .args(words)
        .args(["--json", "--config"])
        .arg(stage.rehearsal.config())
        .output()
        .expect("a run of the program");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    let json = serde_json::from_slice(&run.stdout);
    (run.status.code(), json.unwrap_or_else(|_| Json::from(told)))
}

/// The number under which the till sold last.
fn last_number(stage: &Stage) -> String {
    let path = stage.rehearsal.folder().join("offline/journal.db");
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a file");
    let last =
        "SELECT \"TRANSACTIONID\" FROM \"ax.RETAILTRANSACTIONTABLE\" ORDER BY rowid DESC LIMIT 1";
    conn.query_row(last, (), |row| row.get(0)).expect("a sale")
}

async fn until(stage: &Stage, what: &'static str, pending: u64, quarantined: u64) {
    let reached = |status: &Json| {
        status["pending"]["transactions"] == pending && status["quarantined"] == quarantined
    };
    let limit = Duration::from_secs(120);
    let reached = stage.rehearsal.until(what, limit, reached).await;
    reached.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

#[test]
fn one_refused_sale_holds_up_no_other_and_arrives_once_when_it_is_retried() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(2).await.expect("sales online");
        assert_eq!(quarantine(&stage, &["list"]).0, Some(0), "nothing is refused yet");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        let refused = last_number(&stage);
        stage.rehearsal.sell(6).await.expect("more sales offline");
        let harm = format!(
            "CREATE TRIGGER [ax].[NOT_THIS] ON [ax].[RETAILTRANSACTIONTABLE] AFTER INSERT AS \
             UPDATE t SET [CURRENCY] = NULL FROM [ax].[RETAILTRANSACTIONTABLE] AS t \
             INNER JOIN inserted AS i ON i.[TRANSACTIONID] = t.[TRANSACTIONID] \
             WHERE t.[TRANSACTIONID] = N'{refused}';"
        );
        stage.rehearsal.office(&harm).expect("a trigger that cannot take this sale");
        stage.rehearsal.restore().await.expect("the channel again");
        stage.state("online").await;
        until(&stage, "all but one arrived", 0, 1).await;

        let (status, listed) = quarantine(&stage, &["list"]);
        assert_eq!(status, Some(1), "{listed:#}");
        let sale = &listed["sales"][0];
        assert_eq!(sale["code"], "channel-refused", "{listed:#}");
        assert!(sale["reason"].as_str().is_some_and(|why| why.contains("515")), "{listed:#}");
        let short = sale["short"].as_str().expect("an id");
        let (status, shown) = quarantine(&stage, &["show", short]);
        assert_eq!(status, Some(0), "{shown:#}");
        assert_eq!(
            shown["transaction_rows"].as_array().map(Vec::len).map(|n| n as u64),
            sale["rows"].as_u64()
        );
        let (status, unknown) = quarantine(&stage, &["retry", "ffffffff"]);
        assert_eq!(status, Some(2));
        assert!(
            unknown.as_str().is_some_and(|told| told.contains("quarantine-unknown")),
            "{unknown}"
        );

        stage.rehearsal.kill();
        // A database made anew would lose it.
        let words = ["1 transactions (", "1 of them are quarantined", "`tillhold quarantine list`"];
        assert_refused(&stage, "reprovision-unsent", &words);
        stage.start().await;

        // Sent again before the cause is mended it is refused again.
        assert_eq!(quarantine(&stage, &["retry", short]).0, Some(0));
        until(&stage, "refused once more", 0, 1).await;
        stage.rehearsal.office("DROP TRIGGER [ax].[NOT_THIS];").expect("no trigger any more");
        let (status, again) = quarantine(&stage, &["retry", "--code", "channel-refused"]);
        assert_eq!((status, &again["state"]), (Some(0), &Json::from("pending")), "{again:#}");
        until(&stage, "it arrived", 0, 0).await;
        assert_eq!(quarantine(&stage, &["list"]).0, Some(0));
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 11);
        stage.rehearsal.close().await.expect("an end");
    });
}
