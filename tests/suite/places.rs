//! What is in work at the front door, and what it may not keep from being done.

use crate::door::{OPERATOR, READ_ONLY, ask, dial, raw, request, token};
use crate::hangups::counted;
use crate::harness::{Stage, proof};
use crate::numbers::sale;
use futures_util::future::join_all;
use std::time::Duration;
use tillhold_core::limits;
use tillhold_embedded::Fault;
use tokio::io::AsyncWriteExt as _;

/// Every place is taken by a synchronisation that waits at the channel: a question is refused, and a sale is taken.
#[test]
fn what_fills_the_door_keeps_no_till_from_selling() {
    proof(async {
        let mut stage = Stage::online(5).await;
        let operator = token(&stage, OPERATOR);
        let text = "EXCHANGERATECURRENCYPAIR".to_string();
        stage.rehearsal.inject(Fault::Lock { text });
        let sync = request("POST /v1/sync", &operator, "{}");
        let mut waiting = Vec::new();
        for _ in 0..limits::REQUESTS_MAX {
            let mut stream = dial(&stage).await;
            stream.write_all(sync.as_bytes()).await.expect("a request");
            waiting.push(stream);
        }
        let full = format!("tillhold_door_requests_in_work {}.0", limits::REQUESTS_MAX);
        counted(&stage, &[&full]).await;
        let refused = ask(&stage, "GET /v1/status", &operator).await;
        assert_eq!((refused.status, refused.code()), (503, "door-busy".to_string()));
        assert_eq!(refused.header("Retry-After"), Some("1"));
        let path = "/v1/transactions/00000000-0000-4000-8000-000000000021";
        let sold = stage.rehearsal.put(path, &sale(&stage, 7)).await.expect("an answer");
        assert_eq!(sold.status, 201, "{:?}", sold.body);
        stage.rehearsal.kill();
        stage.rehearsal.heal();
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Whoever asks for the size reads every page of both files: one at a time, and the others are told to come later.
#[test]
fn the_size_is_taken_for_one_caller_at_a_time() {
    proof(async {
        let stage = Stage::online(500).await;
        let size = request("GET /v1/size", &token(&stage, READ_ONLY), "");
        let limit = Duration::from_secs(60);
        let refused = async {
            loop {
                let asked = (0..12).map(async |_| raw(dial(&stage).await, &size).await);
                let answers = join_all(asked).await;
                for answer in &answers {
                    let is_told = answer.status == 503
                        && answer.code() == "door-busy"
                        && answer.header("Retry-After") == Some("1");
                    assert!(answer.status == 200 || is_told, "{}", answer.text);
                }
                assert!(answers.iter().any(|answer| answer.status == 200), "one is answered");
                if answers.iter().any(|answer| answer.status == 503) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(limit, refused).await.expect("two never met");
        // A refusal takes nothing for good.
        assert_eq!(raw(dial(&stage).await, &size).await.status, 200);
        stage.rehearsal.close().await.expect("an end");
    });
}
