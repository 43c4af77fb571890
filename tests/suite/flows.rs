//! One golden case a flow: pull, push, hold, and all of them together.

use crate::harness::{Stage, proof};
use serde_json::json;

/// PULL: what head office changes is on the register after the next synchronisation, whole and transformed.
#[test]
fn pull_brings_changes_and_takes_rows_away() {
    proof(async {
        let mut stage = Stage::prepared_whole(40, |profile| profile).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.edit_on_both_sides().await.expect("edits");
        stage.holds().await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["quarantined"], 0);
        assert_eq!(status["conflicts"], 0);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// PUSH: channel-first sales are in the channel when they are acknowledged.
#[test]
fn push_brings_sales_before_they_are_acknowledged() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(4).await.expect("sales");
        assert!(stage.rehearsal.sold.iter().all(|sold| sold.committed == "channel"));
        assert!(stage.rehearsal.ledger_count().expect("a ledger") >= 4);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// PUSH, local-first: the answer does not wait for the channel; the sale arrives all the same.
#[test]
fn local_first_sales_answer_at_once_and_arrive() {
    proof(async {
        let local_first = |profile: String| {
            assert!(profile.contains("channel-first"), "the write path is not named");
            profile.replace("channel-first", "local-first")
        };
        let mut stage = Stage::prepared_with(20, local_first).await;
        stage.start().await;
        stage.rehearsal.sell(4).await.expect("sales");
        assert!(stage.rehearsal.sold.iter().all(|sold| sold.committed == "offline"));
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// HOLD: the cut is noticed without a request, selling goes on, and everything comes back in order.
#[test]
fn a_cut_loses_nothing_and_doubles_nothing() {
    proof(async {
        let mut stage = Stage::online(40).await;
        stage.rehearsal.sell(3).await.expect("sales online");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(6).await.expect("sales offline");
        stage.rehearsal.edit_on_both_sides().await.expect("edits on both sides");
        let offline =
            stage.rehearsal.sold.iter().filter(|sold| sold.committed == "offline").count();
        assert_eq!(offline, 6);
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A register starts and sells in the middle of an outage, on what it has.
#[test]
fn a_register_starts_without_its_channel() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.kill();
        stage.rehearsal.cut().await.expect("a cut");
        stage.rehearsal.start().await.expect("an agent without its channel");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Same id and body: the same answer. Same id, other body: 409, and nothing is written.
#[test]
fn a_transaction_is_recorded_once_whatever_is_asked_again() {
    proof(async {
        let stage = Stage::online(20).await;
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let body = |email: &str| {
            json!({ "rows": [{ "table": "ax.CUSTTABLE", "operation": "insert", "values": {
                "ACCOUNTNUM": "T1", "DATAAREAID": "USRT", "RECID": 5_799_999_999i64,
                "TAXLICENSENUM": email,
            }}]})
        };
        let first = stage.rehearsal.put(path, &body("one")).await.expect("an answer");
        assert_eq!((first.status, first.body["committed"].as_str()), (201, Some("channel")));
        let again = stage.rehearsal.put(path, &body("one")).await.expect("an answer");
        assert_eq!((again.status, again.body["replayed"].as_bool()), (200, Some(true)));
        let other = stage.rehearsal.put(path, &body("two")).await.expect("an answer");
        assert_eq!((other.status, other.body["code"].as_str()), (409, Some("transaction-clash")));
        let rows = "/v1/tables/ax.CUSTTABLE/rows?ACCOUNTNUM=t1";
        let rows = stage.rehearsal.get(rows).await.expect("rows").body;
        assert_eq!(rows["rows"][0]["TAXLICENSENUM"], "one");
        assert_eq!(rows["rows"].as_array().map(Vec::len), Some(1));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A channel that was restored from a backup has another epoch: its tables are loaded anew, unsent sales stay.
#[test]
fn a_restored_channel_is_loaded_anew() {
    proof(async {
        let mut stage = Stage::online(30).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.rehearsal.sell(2).await.expect("sales offline");
        let epoch = "UPDATE [tillhold].[epoch] SET [id] = NEWID();";
        assert_eq!(stage.rehearsal.office(epoch).expect("a restored channel"), 1);
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
