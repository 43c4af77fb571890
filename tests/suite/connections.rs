//! Connections to the front door: how many, and how long one may sit there.

use crate::door::{OPERATOR, READ_ONLY, dial, raw, request, set, token};
use crate::harness::{Stage, proof};
use std::time::Duration;
use tillhold_core::limits;
use tillhold_env::BoxStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Reads until the door closes the connection; what it said.
async fn last_words(mut stream: BoxStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).expect("text")
}

async fn at_socket(stage: &Stage) -> BoxStream {
    let socket = stage.rehearsal.folder().join("front-door.socket");
    Box::new(tokio::net::UnixStream::connect(socket).await.expect("the socket"))
}

/// The way in under test, and one more connection there.
async fn enter(stage: &Stage, by_socket: bool) -> BoxStream {
    if by_socket { at_socket(stage).await } else { dial(stage).await }
}

/// More connections than there are seats, each idle or with half a head: every one that comes with a question is
/// answered, and the first that came are closed for it.
#[test]
fn whoever_keeps_connections_open_keeps_nobody_out() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        set(&stage, "socket = \"front-door.socket\"");
        stage.start().await;
        let read_only = token(&stage, READ_ONLY);
        let whole = request("GET /v1/status", &read_only, "");
        for by_socket in [false, true] {
            let mut idle = Vec::new();
            for number in 0..2 * limits::DOOR_CONNECTIONS_MAX {
                let mut stream = enter(&stage, by_socket).await;
                // Every other one has said something.
                if number % 2 == 0 {
                    stream.write_all(&whole.as_bytes()[..30]).await.expect("half a head");
                }
                idle.push(stream);
            }
            for _ in 0..5 {
                let answer = raw(enter(&stage, by_socket).await, &whole).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
            // The first are gone by now; so is none of the last.
            let first = idle.remove(0);
            assert_eq!(last_words(first).await, "");
            let mut last = idle.pop().expect("a connection");
            last.write_all(whole.as_bytes()).await.expect("a question");
            assert!(last_words(last).await.starts_with("HTTP/1.1 200"));
        }
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Requests without a token are refused, and whoever does not finish sending them holds no connection that a sale needs.
#[test]
fn whoever_has_no_token_keeps_no_sale_out() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        stage.start().await;
        let whole = request("GET /v1/status", &token(&stage, READ_ONLY), "");
        let half = request("POST /v1/sync", "no token of the register", &"x".repeat(10_000));
        let head = half.len() - 9_999;
        let mut open = Vec::new();
        for _ in 0..5 {
            for _ in 0..limits::DOOR_CONNECTIONS_MAX {
                let mut stream = dial(&stage).await;
                stream.write_all(&half.as_bytes()[..head]).await.expect("a head and a byte");
                open.push(stream);
            }
            let answer = raw(dial(&stage).await, &whole).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        drop(open);
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
    });
}

/// Everybody at the socket is owed an answer that he does not take: the next one there is told that the house is full, the
/// loopback address is open all the same, and so is the socket when they have gone.
#[test]
fn with_every_connection_in_work_the_next_is_refused() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        set(&stage, "socket = \"front-door.socket\"");
        stage.start().await;
        let operator = token(&stage, OPERATOR);
        let long = format!(
            "GET /v1/openapi.json HTTP/1.1\r\nHost: till\r\nAuthorization: Bearer {operator}\r\n\r\n"
        );
        let mut owed = Vec::new();
        for _ in 0..limits::DOOR_CONNECTIONS_MAX {
            let mut stream = at_socket(&stage).await;
            // Far more than a socket holds.
            stream.write_all(long.repeat(50).as_bytes()).await.expect("questions");
            stream.read_exact(&mut [0]).await.expect("a first byte");
            owed.push(stream);
        }
        let status = request("GET /v1/status", &operator, "");
        let mut refused = raw(at_socket(&stage).await, &status).await;
        // One that was between two of its answers may have gone for this one.
        while refused.status == 200 {
            refused = raw(at_socket(&stage).await, &status).await;
        }
        assert_eq!((refused.status, refused.code()), (503, "door-full".to_string()));
        assert_eq!(refused.header("Retry-After"), Some("1"));
        stage.rehearsal.sell(1).await.expect("a sale");
        drop(owed);
        while refused.status != 200 {
            refused = raw(at_socket(&stage).await, &status).await;
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A head that comes bit by bit, and one that never comes: closed in their time, while others are served.
#[test]
fn a_slow_head_is_closed_and_a_slow_body_is_refused() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        set(&stage, "socket = \"front-door.socket\"");
        stage.start().await;
        let operator = token(&stage, OPERATOR);
        let head = request("GET /v1/status", &operator, "");
        let mut ends = tokio::task::JoinSet::new();
        for by_socket in [false, true] {
            for drips in [true, false] {
                let (mut stream, head) = (enter(&stage, by_socket).await, head.clone());
                ends.spawn(async move {
                    // A byte a second would be a head of minutes.
                    for byte in head.bytes().take(if drips { usize::MAX } else { 0 }) {
                        if stream.write_all(&[byte]).await.is_err() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    last_words(stream).await
                });
            }
            // Work that may last has no limit of its own; its body has.
            let whole = request("POST /v1/verify", &operator, "{\"table\": \"x\"}");
            let stream = enter(&stage, by_socket).await;
            ends.spawn(async move { raw(stream, &whole[..whole.len() - 3]).await.code() });
        }
        // Meanwhile the door is open.
        stage.rehearsal.sell(2).await.expect("sales");
        while let Some(said) = ends.join_next().await {
            let said = said.expect("an end");
            assert!(said.is_empty() || said == "door-deadline" || said.contains(" 408 "), "{said}");
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
