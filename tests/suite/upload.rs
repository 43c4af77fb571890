//! Upload transactions, as the profile says it: at intervals and in batches of a size, and nothing else is held up.

use crate::harness::{Stage, proof};
use std::time::Duration;

/// With local-first an interval counts; half a minute is longer than this proof needs to look.
const SELDOM: &str = "\n[upload]\ninterval_s = 3600\ntransactions_max = 2\n";

fn local_first(profile: String, upload: &str) -> String {
    let first = "write_path = \"channel-first\"";
    let profile = match profile.contains(first) {
        true => profile.replace(first, "write_path = \"local-first\""),
        false => format!("write_path = \"local-first\"\n{profile}"),
    };
    profile + upload
}

async fn pending(stage: &Stage) -> u64 {
    let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
    status["pending"]["transactions"].as_u64().expect("a number")
}

#[test]
fn sales_wait_for_the_interval_and_a_person_need_not() {
    proof(async {
        let mut stage = Stage::prepared_with(5, |profile| local_first(profile, SELDOM)).await;
        stage.start().await;
        // The return has uploaded what there was, and the interval counts from there.
        let arrived = stage.rehearsal.ledger_count().expect("a ledger");
        stage.rehearsal.sell(5).await.expect("sales");
        // Several looks of the upload's loop go by.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(pending(&stage).await, 5, "they wait for the interval");
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), arrived);
        let answer = stage.rehearsal.post("/v1/sync").await.expect("an answer");
        assert_eq!(answer.body["pushed"]["transactions"], 5, "{:#}", answer.body);
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), arrived + 5);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The write path is the profile's, and another one is taken by the running agent.
#[test]
fn another_interval_and_another_write_path_are_taken_while_the_register_runs() {
    proof(async {
        let mut stage = Stage::prepared_with(5, |profile| local_first(profile, SELDOM)).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        let path = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        let changed = text.replace("local-first", "channel-first").replace(SELDOM, "");
        std::fs::write(&path, changed).expect("another profile");
        let limit = Duration::from_secs(60);
        let taken = |status: &serde_json::Value| status["write_path"] == "channel-first";
        let status = stage.rehearsal.until("the other write path", limit, taken).await;
        status.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
        let before = stage.rehearsal.ledger_count().expect("a ledger");
        stage.rehearsal.sell(2).await.expect("sales");
        // Channel-first answers when the channel has it, with what had waited.
        assert!(stage.rehearsal.ledger_count().expect("a ledger") >= before + 2);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
