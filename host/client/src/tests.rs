//! The client against a front door of a few lines, which answers, stalls and hangs up on cue.

use super::{Client, ClientError, Door};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(20);

/// A door whose every connection answers `each` requests and then hangs up; counts connections and requests.
struct Fake {
    client: Client,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

async fn fake(each: usize, answer: &'static str) -> Fake {
    let env = Env::real();
    let listener = env.network.listen(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = listener.address().expect("bound").to_string();
    let (connections, requests) = (Arc::default(), Arc::default());
    let (counted, asked): (Arc<AtomicUsize>, Arc<AtomicUsize>) =
        (Arc::clone(&connections), Arc::clone(&requests));
    env.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            serve(stream, each, answer, &asked).await;
        }
    });
    let door = Door::parse(&address, "secret").expect("an address");
    Fake { client: Client::new(env, door), connections, requests }
}

async fn serve(mut stream: BoxStream, each: usize, answer: &str, asked: &AtomicUsize) {
    for _ in 0..each {
        let Some(request) = head(&mut stream).await else { return };
        asked.fetch_add(1, Ordering::SeqCst);
        assert!(request.to_ascii_lowercase().contains("authorization: bearer secret"), "{request}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One request's head and, if it announces one, its body.
async fn head(stream: &mut BoxStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0; 1];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
        if text.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(text).ok()?;
    let length = head.to_ascii_lowercase().lines().find_map(|line| {
        line.strip_prefix("content-length:").and_then(|n| n.trim().parse::<usize>().ok())
    });
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await.ok()?;
    Some(head)
}

const YES: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}";

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let fake = fake(100, YES).await;
    for _ in 0..3 {
        let answer = fake.client.get("/v1/status", LIMIT).await.expect("an answer");
        assert_eq!((answer.status, answer.body), (200, json!({"a": 1})));
    }
    let put = fake.client.put("/v1/x", &json!({"rows": []}), LIMIT).await.expect("an answer");
    assert!(put.is_success());
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1);
    assert_eq!(fake.requests.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn reading_goes_on_when_the_door_hung_up_in_between() {
    let fake = fake(1, YES).await;
    for _ in 0..3 {
        assert!(fake.client.get("/v1/status", LIMIT).await.expect("an answer").is_success());
    }
    assert_eq!(fake.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_refusal_is_an_answer_with_its_reason_and_its_pause() {
    let text = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 17\r\n\r\n{\"detail\":\"busy\"}";
    let answer = fake(1, text).await.client.get("/v1/status", LIMIT).await.expect("an answer");
    assert_eq!(answer.retry_after, Some(Duration::from_secs(2)));
    assert_eq!((answer.is_success(), answer.reason().as_str()), (false, "503 busy"));
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_of_its_kind() {
    let cut = fake(1, "HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{").await;
    assert!(matches!(cut.client.get("/", LIMIT).await, Err(ClientError::Cut { .. })));
    let not_json = fake(1, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    assert!(matches!(not_json.client.get("/", LIMIT).await, Err(ClientError::NotJson { .. })));
    let silent = fake(1, "").await;
    let short = Duration::from_millis(50);
    let answer = silent.client.put("/", &json!({}), short).await;
    assert!(
        matches!(answer, Err(ClientError::Timeout { .. } | ClientError::Broken { .. })),
        "{answer:?}"
    );
    let env = Env::real();
    let nobody = Client::new(env, Door::parse("127.0.0.1:1", "t").expect("an address"));
    assert!(matches!(nobody.get("/", LIMIT).await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test]
async fn events_are_read_as_they_come() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: state\ndata: {\"state\":\"online\"}\n\n";
    let fake = fake(1, text).await;
    let mut events = fake.client.events("/v1/events", LIMIT).await.expect("a stream");
    let event = events.next().await.expect("readable").expect("one event");
    assert_eq!((event.name.as_str(), event.data), ("state", json!({"state": "online"})));
    assert_eq!(events.next().await.expect("the end"), None);
}

#[test]
fn an_address_is_read_as_the_agent_writes_it() {
    for (text, host, port) in
        [("127.0.0.1:4711\n", "127.0.0.1", 4711), ("[::1]:80", "::1", 80), ("till:1", "till", 1)]
    {
        let door = Door::parse(text, " secret\n").expect("an address");
        assert_eq!((door.host.as_str(), door.port, door.token.as_str()), (host, port, "secret"));
        assert!(!format!("{door:?}").contains("secret"));
    }
    for wrong in ["", "127.0.0.1", ":80", "host:port", "host:99999"] {
        assert!(Door::parse(wrong, "t").is_none(), "{wrong} was taken");
    }
}
