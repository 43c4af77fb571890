//! What the real agent does on a line that is slow, silent or lost in a commit, held by a person, or told another write path.

use crate::door::listened;
use crate::harness::{Stage, proof};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_demo::Fault;

fn rewrite(stage: &Stage, from: &str, to: &str) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    assert!(text.contains(from), "the profile does not say {from}");
    std::fs::write(&path, text.replace(from, to)).expect("another profile");
}

/// With `[failover]` in front of the first scope.
fn wary(profile: String) -> String {
    let told = "[failover]\nslow_ms = 300\nslow_answers = 2\nquick_answers = 2\n\n[[scope]]";
    profile.replacen("[[scope]]", told, 1).replace("timeout_s = 2", "timeout_s = 8")
}

/// Every probe is answered within its deadline, so no answer is trouble: only the threshold can make it leave.
#[test]
fn a_channel_that_answers_too_slowly_is_left_and_come_back_to() {
    proof(async {
        let mut stage = Stage::prepared_with(20, wary).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale online");
        let online = listened(&stage, "", 1).await.remove(0).0;
        stage.rehearsal.inject(Fault::Slow { delay: Duration::from_millis(600) });
        stage.state("offline").await;
        let left = listened(&stage, &online, 1).await.remove(0).1;
        assert_eq!(left, ["online", "offline", "slow"]);
        stage.rehearsal.sell(2).await.expect("sales offline");
        let offline = stage.rehearsal.sold.iter().filter(|sold| sold.committed == "offline");
        assert_eq!(offline.count(), 2);
        stage.rehearsal.heal();
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Nobody asks anything; the supervisor finds out by itself, and comes back by itself.
#[test]
fn a_silent_channel_is_noticed_without_a_request() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for fault in [Fault::Stall, Fault::HalfOpen] {
            stage.rehearsal.inject(fault);
            stage.state("offline").await;
            stage.rehearsal.sell(1).await.expect("a sale offline");
            stage.rehearsal.heal();
            stage.state("online").await;
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

async fn status_of(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

#[test]
fn a_hold_outlives_a_crash_and_says_who_and_why() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert!(status["held"].is_null(), "{status:#}");
        let hold = ["hold", "--who", "Ann", "--why", "the line is being mended"];
        stage.rehearsal.command(&hold).await.expect("a hold");
        stage.state("held").await;
        for _ in 0..2 {
            stage.rehearsal.kill();
            stage.rehearsal.start().await.expect("an agent again");
            stage.rehearsal.sell(1).await.expect("a sale held");
            let held = stage.rehearsal.get("/v1/status").await.expect("a status").body;
            assert_eq!(held["state"], "held", "the channel is there, and it is not gone to");
            assert_eq!(held["held"]["by"], "Ann");
            assert_eq!(held["held"]["why"], "the line is being mended");
            assert_eq!(held["held"]["since_ms"], held["since_ms"]);
            println!("{:#}", held["held"]);
        }
        let since_ms = status_of(&stage).await["held"]["since_ms"].clone();
        let again = ["hold", "--who", "Cid", "--why", "and the switch"];
        stage.rehearsal.command(&again).await.expect("a second hold");
        for _ in 0..2 {
            let held = status_of(&stage).await["held"].clone();
            let expected = json!({ "by": "Cid", "why": "and the switch", "since_ms": since_ms });
            assert_eq!(held, expected, "the last word counts, the first moment stays");
            stage.rehearsal.kill();
            stage.rehearsal.start().await.expect("an agent again");
        }
        let release = ["release", "--who", "Bob", "--why", "it is mended"];
        stage.rehearsal.command(&release).await.expect("a release");
        stage.state("online").await;
        stage.rehearsal.kill();
        stage.start().await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Committed, and the answer lost: each sale is answered once and is in the channel once, whichever way it was written.
/// In between the write path is switched while the register runs.
#[test]
fn a_lost_answer_to_a_commit_doubles_nothing_on_either_write_path() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for (path, committed) in [("channel-first", "channel"), ("local-first", "offline")] {
            if path == "local-first" {
                rewrite(&stage, "channel-first", path);
                let limit = Duration::from_secs(120);
                let seen = stage.rehearsal.until("the path", limit, |s| s["write_path"] == path);
                seen.await.expect("the write path, switched while it runs");
            }
            stage.rehearsal.sell(1).await.expect("a sale");
            let last = stage.rehearsal.sold.last().expect("the sale");
            assert_eq!(last.committed, committed, "{path}");
            for number in 1..=3 {
                stage.rehearsal.lose_the_answer_to_commit(number);
                stage.rehearsal.sell(2).await.expect("sales");
                stage.rehearsal.heal();
                stage.state("online").await;
            }
        }
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 14);
        stage.rehearsal.close().await.expect("an end");
    });
}
