//! Upload transactions, as the profile says it: at intervals and in batches of a size, and nothing else is held up.

use crate::door::{OPERATOR, dial, raw, request, token};
use crate::hangups::patient;
use crate::harness::{Stage, proof};
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_core::limits;
use tillhold_embedded::Fault;

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

/// Uploads with more sales than so many: those of one are entered at one moment.
fn larger_than(stage: &Stage, sales: usize) -> usize {
    let moments = format!(
        "SELECT [applied_at] FROM [tillhold].[ledger] GROUP BY [applied_at] HAVING COUNT(*) > {sales};"
    );
    stage.rehearsal.count(&moments).expect("a ledger")
}

fn arrived(stage: &Stage) -> usize {
    stage.rehearsal.ledger_count().expect("a ledger")
}

async fn fewer_than(stage: &Stage, sales: usize) {
    let fewer = |status: &Json| status["pending"]["transactions"].as_u64() < Some(sales as u64);
    let limit = Duration::from_secs(120);
    let begun = stage.rehearsal.until("fewer sales unsent", limit, fewer).await;
    begun.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

async fn order(stage: &Stage, what: &str, operator: &str) {
    let body = r#"{"who": "Ada", "why": "the line is being mended"}"#;
    let answer = raw(dial(stage).await, &request(&format!("POST {what}"), operator, body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[test]
fn a_channel_that_answers_late_gets_fewer_sales_at_once_and_a_hold_ends_that() {
    proof(async {
        let mut stage = patient().await;
        let operator = token(&stage, OPERATOR);
        let sales = 4 * limits::UPLOAD_TRANSACTIONS_FIRST;
        order(&stage, "/v1/hold", &operator).await;
        stage.state("held").await;
        stage.rehearsal.sell(sales).await.expect("sales");
        let before = arrived(&stage);
        let delay = limits::UPLOAD_TIME_WANTED + Duration::from_millis(100);
        stage.rehearsal.inject(Fault::Slow { delay });
        order(&stage, "/v1/release", &operator).await;
        fewer_than(&stage, sales).await;
        order(&stage, "/v1/hold", &operator).await;
        stage.state("held").await;
        // What was under way is answered by then.
        tokio::time::sleep(delay * 2).await;
        let held = arrived(&stage);
        tokio::time::sleep(delay * 4).await;
        assert_eq!(arrived(&stage), held, "nothing goes up while it is held");
        assert!(held < before + sales, "{held} of {sales} after {before}");
        order(&stage, "/v1/release", &operator).await;
        fewer_than(&stage, 1).await;
        // What is pulled now need not be late.
        stage.rehearsal.heal();
        stage.holds().await;
        assert_eq!(arrived(&stage), before + sales);
        assert!(larger_than(&stage, limits::UPLOAD_TRANSACTIONS_SLOW) > 0, "the first ones");
        assert_eq!(larger_than(&stage, limits::UPLOAD_TRANSACTIONS_FIRST), 0);
        stage.rehearsal.close().await.expect("an end");
    });
}
