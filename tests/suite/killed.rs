//! kill -9 of the agent in the middle of its flows; after each, the same check from outside.

use crate::harness::{Stage, proof};
use std::time::Duration;

/// In the middle of the first load: the next one goes on where it stopped.
#[test]
fn killed_in_the_middle_of_pull() {
    proof(async {
        let mut stage = Stage::prepared(3_500).await;
        let killed = stage.rehearsal.provision_killed_at("ax.CUSTTABLE", 1_000).await;
        assert!(killed.expect("a provisioning"), "the load was over before it could be killed");
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// In the middle of pushing a backlog, again and again: each sale is in the channel once.
#[test]
fn killed_in_the_middle_of_push() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(160).await.expect("sales offline");
        let before = stage.rehearsal.ledger_count().expect("a ledger");
        stage.rehearsal.restore().await.expect("the line back");
        let mut killed = 0;
        let mut seen = before;
        while killed < 3 {
            let now = stage.rehearsal.ledger_count().expect("a ledger");
            let all = before + 160;
            if now >= all {
                break;
            }
            if now > seen {
                stage.rehearsal.kill();
                (killed, seen) = (killed + 1, now);
                stage.rehearsal.start().await.expect("an agent again");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(killed > 0, "push was over before it could be killed");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// While it sells, and right after the answers: what was acknowledged is there.
#[test]
fn killed_right_after_an_acknowledgement() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for _ in 0..3 {
            stage.rehearsal.sell(2).await.expect("sales");
            stage.rehearsal.kill();
            stage.start().await;
        }
        stage.rehearsal.cut().await.expect("a cut");
        for _ in 0..3 {
            stage.rehearsal.sell(2).await.expect("sales");
            stage.rehearsal.kill();
            stage.rehearsal.start().await.expect("an agent again");
        }
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
