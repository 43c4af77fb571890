//! The front door of the real agent: who may what, how often, for how long, and over which way.

use crate::harness::{PROGRAM, Stage, proof};
use crate::numbers::sale;
use serde_json::{Value as Json, json};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// One answer, as it came over the wire.
pub struct Answered {
    pub status: u16,
    head: String,
    pub text: String,
}

impl Answered {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_string()
    }
}

/// Sends these very bytes and reads until the door closes the connection.
pub async fn raw(mut stream: BoxStream, request: &str) -> Answered {
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    let answer = String::from_utf8(bytes).expect("text");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    Answered { status, head: head.to_string(), text: text.to_string() }
}

pub fn request(line: &str, token: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub async fn dial(stage: &Stage) -> BoxStream {
    let address = stage.rehearsal.folder().join("offline/front-door.address");
    let address = std::fs::read_to_string(address).expect("the address");
    let (host, port) = address.trim().rsplit_once(':').expect("a port");
    let port = port.parse().expect("a number");
    Env::real().network.connect(host, port).await.expect("the front door")
}

pub async fn ask(stage: &Stage, line: &str, token: &str) -> Answered {
    raw(dial(stage).await, &request(line, token, "{}")).await
}

pub fn token(stage: &Stage, file: &str) -> String {
    let path = stage.rehearsal.folder().join(file);
    let rights = std::fs::metadata(&path).expect("a token file").permissions().mode();
    assert_eq!(rights & 0o777, 0o600, "{file} is for its owner's eyes");
    std::fs::read_to_string(path).expect("a token")
}

pub const READ_ONLY: &str = "front-door.read-only.token";
const POS: &str = "front-door.pos.token";
pub const OPERATOR: &str = "front-door.token";

#[test]
fn each_token_opens_what_its_role_may_and_nothing_more() {
    proof(async {
        let stage = Stage::online(20).await;
        let [read_only, pos, operator] = [READ_ONLY, POS, OPERATOR].map(|file| token(&stage, file));
        let sale = "PUT /v1/transactions/00000000-0000-4000-8000-000000000001";
        // Statuses without a token and for each role; 422: it was let in, and the body has no rows.
        for (line, expected) in [
            ("GET /healthz", [200, 200, 200, 200]),
            ("GET /readyz", [200, 200, 200, 200]),
            ("GET /v1/status", [401, 200, 200, 200]),
            ("GET /metrics", [401, 200, 200, 200]),
            (sale, [401, 403, 422, 422]),
            ("POST /v1/sync", [401, 403, 200, 200]),
            ("POST /v1/sync?resend=true", [401, 403, 403, 200]),
            ("POST /v1/quarantine/retry", [401, 403, 403, 422]),
            ("POST /v1/images-prune", [401, 403, 403, 404]),
            ("GET /v1/status?row=yes", [401, 422, 422, 422]),
            ("GET /v1/nowhere", [401, 404, 404, 404]),
            ("DELETE /v1/status", [405, 405, 405, 405]),
        ] {
            let tokens = ["wrong", &read_only, &pos, &operator];
            for (token, expected) in tokens.iter().zip(expected) {
                let answer = ask(&stage, line, token).await;
                assert_eq!(answer.status, expected, "{line}: {}", answer.text);
                match expected {
                    401 => assert_eq!(answer.code(), "door-token"),
                    403 => assert_eq!(answer.code(), "door-role"),
                    _ => {}
                }
            }
        }
        let offline = stage.rehearsal.folder().join("offline");
        for file in ["journal.db", "journal.db-wal", "catalogue.db", "catalogue.db-wal"] {
            let rights =
                std::fs::metadata(offline.join(file)).expect("an offline file").permissions();
            assert_eq!(rights.mode() & 0o007, 0, "{file} is nobody else's business");
        }
        let page = "GET /v1/status HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
        assert_eq!(raw(dial(&stage).await, page).await.code(), "door-host");
        let page = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(raw(dial(&stage).await, page).await.code(), "door-origin");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_role_that_asks_too_often_waits_and_the_others_do_not() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let read_only = token(&stage, READ_ONLY);
        // One connection, so that the requests come faster than the bucket fills.
        let many = format!(
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {read_only}\r\n\r\n"
        );
        let last = request("GET /v1/transactions/x", &read_only, "");
        let mut stream = dial(&stage).await;
        stream
            .write_all(format!("{}{last}", many.repeat(1_500)).as_bytes())
            .await
            .expect("requests");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("answers");
        let text = String::from_utf8(bytes).expect("text");
        let taken = text.matches("HTTP/1.1 200").count();
        assert!(taken >= 200, "a burst is taken: {taken}");
        let refused = text.matches("HTTP/1.1 429").count();
        assert!(refused > 500, "and then no more: {refused} of 1,500");
        assert_eq!(text.to_lowercase().matches("retry-after: 1\r").count(), refused);
        assert!(text.contains("\"code\":\"door-rate\""), "{text}");
        // Nobody else pays for it.
        stage.rehearsal.sell(2).await.expect("sales");
        assert_eq!(ask(&stage, "GET /healthz", "").await.status, 200);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn half_a_request_is_answered_in_its_time_and_a_long_one_is_refused() {
    proof(async {
        let stage = Stage::online(20).await;
        let pos = token(&stage, POS);
        let head = format!(
            "PUT /v1/transactions/00000000-0000-4000-8000-000000000002 HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nAuthorization: Bearer {pos}\r\nContent-Type: application/json\r\n"
        );
        let answer = raw(dial(&stage).await, &format!("{head}Content-Length: 9\r\n\r\n{{")).await;
        assert_eq!((answer.status, answer.code()), (503, "door-deadline".to_string()));
        assert_eq!(answer.header("Retry-After"), Some("1"));
        let answer =
            raw(dial(&stage).await, &format!("{head}Content-Length: 9000000\r\n\r\n")).await;
        assert_eq!((answer.status, answer.code()), (413, "door-body".to_string()));
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn metrics_say_how_the_register_stands() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let read_only = token(&stage, READ_ONLY);
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        let answer = ask(&stage, "GET /metrics", &read_only).await;
        assert_eq!(answer.status, 200);
        let kind = answer.header("Content-Type").expect("a type");
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        let text = &answer.text;
        for line in [
            "tillhold_state{state=\"offline\"} 1",
            "tillhold_state{state=\"online\"} 0",
            "tillhold_unsent_transactions 3.0",
            "tillhold_ready 1.0",
            "tillhold_conflicts 0.0",
            "# UNIT tillhold_scope_age_seconds seconds",
            "# TYPE tillhold_door_request_seconds histogram",
            "tillhold_door_requests_total{method=\"PUT\",route=\"/v1/transactions/{id}\",status=\"201\"} 3",
            "tillhold_door_request_seconds_count{method=\"PUT\",route=\"/v1/transactions/{id}\"} 3",
            "tillhold_scope_standing_still{scope=\"1010 Customers\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} is not in\n{text}");
        }
        for start in
            ["tillhold_database_size_bytes ", "tillhold_scope_age_seconds{scope=\"push\"} "]
        {
            assert!(text.lines().any(|seen| seen.starts_with(start)), "{start} is not in\n{text}");
        }
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

pub fn set(stage: &Stage, line: &str) {
    let config = stage.rehearsal.config();
    let text = std::fs::read_to_string(&config).expect("the settings");
    let text = text.replace("[plugins]", &format!("{line}\n[plugins]"));
    std::fs::write(config, text).expect("the settings");
}

async fn at(socket: &Path, request: &str) -> Answered {
    let stream = tokio::net::UnixStream::connect(socket).await.expect("the socket");
    raw(Box::new(stream), request).await
}

fn mode(path: &Path) -> u32 {
    let found = std::fs::symlink_metadata(path).expect("a file");
    assert!(found.file_type().is_socket());
    found.permissions().mode() & 0o777
}

#[test]
fn the_socket_has_its_rights_and_what_was_left_behind_is_replaced() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        set(&stage, "socket = \"front-door.socket\"");
        stage.start().await;
        let socket: PathBuf = stage.rehearsal.folder().join("front-door.socket");
        assert_eq!(mode(&socket), 0o600);
        let pos = token(&stage, POS);
        // No Host is asked for here; a token is, and no page gets in.
        let plain = |headers: &str| {
            format!(
                "GET /v1/status HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n"
            )
        };
        let authorization = format!("Authorization: Bearer {pos}\r\n");
        let answer = at(&socket, &plain(&authorization)).await;
        assert_eq!(answer.json()["state"], json!("online"));
        assert_eq!(at(&socket, &plain("")).await.code(), "door-token");
        let from_page = at(&socket, &plain(&format!("{authorization}Origin: null\r\n"))).await;
        assert_eq!(from_page.code(), "door-origin");

        // A killed agent leaves its socket behind; the next one takes the place, with other rights if they are set.
        stage.rehearsal.kill();
        assert_eq!(mode(&socket), 0o600);
        set(&stage, "socket_rights = \"group\"");
        stage.start().await;
        assert_eq!(mode(&socket), 0o660);
        assert_eq!(at(&socket, &plain(&authorization)).await.status, 200);

        // What another program holds, or what is no socket, is left as it is.
        stage.rehearsal.kill();
        std::fs::remove_file(&socket).expect("the socket");
        let other = UnixListener::bind(&socket).expect("another program");
        refused(&stage);
        drop(other);
        std::fs::remove_file(&socket).expect("the socket");
        std::fs::write(&socket, "mine").expect("a file");
        refused(&stage);
        assert_eq!(std::fs::read_to_string(&socket).expect("the file"), "mine");
        stage.rehearsal.close().await.expect("an end");
    });
}

fn refused(stage: &Stage) {
    let mut run = Command::new(PROGRAM);
    let output = run.arg("run").arg("--config").arg(stage.rehearsal.config()).output();
    let output = output.expect("a run of the program");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("error[door-socket]"), "{told}");
}

/// What a person did, with the number that the answer named.
#[test]
fn whoever_holds_the_register_says_who_and_why_and_is_found_later() {
    proof(async {
        let stage = Stage::online(20).await;
        let (pos, operator) = (token(&stage, POS), token(&stage, OPERATOR));
        let post = |path: &str, body: &str| request(&format!("POST {path}"), &operator, body);
        for (body, code) in [
            ("{}", "person-unnamed"),
            (r#"{"who": "Ada", "why": " "}"#, "reason-missing"),
            (r#"{"who": 7, "why": "x"}"#, "body-member"),
            (r#"{"who": "Ada", "reason": "x"}"#, "body-member"),
            ("[", "door-body"),
        ] {
            assert_eq!(raw(dial(&stage).await, &post("/v1/hold", body)).await.code(), code);
        }
        let held = ["hold", "--who", "Ada", "--why", "the line is being mended"];
        let told = stage.rehearsal.command(&held).await.expect("a hold");
        assert_eq!(told, ["asked: hold, number 1 of the audit log"]);
        stage.state("held").await;
        let body = r#"{"who": "Bob", "why": "mended"}"#;
        let answer = raw(dial(&stage).await, &post("/v1/release", body)).await;
        assert_eq!(answer.json(), json!({ "asked": "release", "audit": 2 }));
        assert_eq!(ask(&stage, "POST /v1/reconnect", &pos).await.status, 200);
        stage.state("online").await;
        let listed = stage.rehearsal.command(&["audit", "list", "--json"]).await.expect("a list");
        let listed: Json = serde_json::from_str(&listed.concat()).expect("JSON");
        let seen = |at: usize| {
            let act = &listed["acts"][at];
            ["action", "who", "why", "role"]
                .map(|name| act[name].as_str().unwrap_or("-").to_string())
        };
        assert_eq!(seen(0), ["reconnect", "-", "-", "pos"]);
        assert_eq!(seen(1), ["release", "Bob", "mended", "operator"]);
        assert_eq!(seen(2), ["hold", "Ada", "the line is being mended", "operator"]);
        let page = stage.rehearsal.get("/v1/audit?limit=1&before=3").await.expect("a page");
        assert_eq!(page.body["acts"][0]["who"], json!("Bob"));
        assert_eq!(page.body["next"], json!(2));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// What the stream of events has said when it was enough.
pub async fn heard(stage: &Stage, last: &str, is_enough: impl Fn(&str) -> bool) -> String {
    let token = token(stage, READ_ONLY);
    let mut stream = dial(stage).await;
    let head = format!(
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: {last}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut text = String::new();
    let read = async {
        while !is_enough(&text) || !text.ends_with("\n\n\r\n") {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.expect("an event");
            assert!(length > 0, "the stream ended: {text}");
            text.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("events in time");
    text
}

/// Events by id and (from, to, reason), until `count` have come.
pub async fn listened(stage: &Stage, last: &str, count: usize) -> Vec<(String, [String; 3])> {
    let states = |text: &str| text.matches("event: state\n").count();
    let text = heard(stage, last, |text| states(text) >= count).await;
    let mut events = Vec::new();
    for event in text.split("event: state\n").skip(1) {
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {event}")).to_string()
        };
        let data: Json = serde_json::from_str(&field("data: ")).expect("JSON");
        assert!(data["at_ms"].as_i64().is_some_and(|at| at > 0));
        let part = |name: &str| data[name].as_str().unwrap_or("-").to_string();
        events.push((field("id: "), ["from", "to", "reason"].map(part)));
    }
    events
}

#[test]
fn every_change_is_an_event_and_who_comes_back_misses_none() {
    proof(async {
        let stage = Stage::online(20).await;
        let first = listened(&stage, "", 1).await.remove(0);
        assert_eq!(first.1, ["-", "online", "-"]);
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        let missed = listened(&stage, &first.0, 4).await;
        let seen: Vec<[&str; 3]> =
            missed.iter().map(|(_, parts)| parts.each_ref().map(String::as_str)).collect();
        assert_eq!(seen[0], ["online", "doubtful", "trouble"]);
        assert_eq!(seen[1], ["doubtful", "offline", "offline-timeout"]);
        assert_eq!(seen[2], ["offline", "returning", "answered"]);
        let ids: std::collections::BTreeSet<&String> = missed.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), missed.len(), "each has an id of its own");
        // An id of another run says nothing: the state that there is comes first.
        let other = listened(&stage, "1-1", 1).await.remove(0);
        assert_eq!(other.1, ["-", "online", "-"]);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The signal comes while the door reads a sale: it is recorded and acknowledged, and is in the channel later, once.
#[test]
fn told_to_stop_it_finishes_the_sale_that_it_has_begun() {
    proof(async {
        for (at, signal) in ["TERM", "INT"].into_iter().enumerate() {
            let mut stage = Stage::online(5).await;
            let (pos, before) =
                (token(&stage, POS), stage.rehearsal.ledger_count().expect("a ledger"));
            let path = format!("/v1/transactions/00000000-0000-4000-8000-00000000001{at}");
            let body = sale(&stage, 7).to_string();
            let whole = request(&format!("PUT {path}"), &pos, &body);
            let (head, body) = whole.split_once("\r\n\r\n").expect("a body");
            let mut stream = dial(&stage).await;
            let head = format!("{head}\r\nExpect: 100-continue\r\n\r\n{}", &body[..9]);
            stream.write_all(head.as_bytes()).await.expect("half a sale");
            // The door asks for the rest, so it is at work.
            let mut bytes = [0; 25];
            stream.read_exact(&mut bytes).await.expect("a word");
            assert_eq!(&bytes, b"HTTP/1.1 100 Continue\r\n\r\n");
            let agent = stage.rehearsal.agent_id().expect("an agent").to_string();
            let sent = Command::new("kill").args(["-s", signal, &agent]).status();
            assert!(sent.expect("a signal").success());
            while !stage.rehearsal.log().contains("stopping") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let answer = raw(stream, &body[9..]).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert_eq!(stage.rehearsal.ended(Duration::from_secs(30)).await, Some(0));
            assert!(stage.rehearsal.log().contains("stopped"), "{}", stage.rehearsal.log());
            stage.start().await;
            stage.rehearsal.settle().await.expect("a quiet end");
            let found = stage.rehearsal.get(&path).await.expect("an answer").body;
            assert_eq!(found["state"], "settled");
            assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), before + 1);
            stage.rehearsal.close().await.expect("an end");
        }
    });
}

/// Who sends half a request and nothing more does not keep the agent from stopping.
#[test]
fn told_to_stop_it_does_not_wait_for_ever() {
    proof(async {
        let mut stage = Stage::online(5).await;
        let whole = request("POST /v1/snapshots", &token(&stage, OPERATOR), "{}");
        let mut stream = dial(&stage).await;
        stream.write_all(&whole.as_bytes()[..40]).await.expect("half a head");
        assert_eq!(ask(&stage, "GET /healthz", "").await.status, 200);
        let agent = stage.rehearsal.agent_id().expect("an agent").to_string();
        assert!(Command::new("kill").arg(&agent).status().expect("a signal").success());
        assert_eq!(stage.rehearsal.ended(Duration::from_secs(30)).await, Some(0));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A caller that is still sending when the door has made up its mind.
#[test]
fn whoever_is_refused_before_its_body_is_read_sees_why() {
    proof(async {
        let stage = Stage::online(20).await;
        let [read_only, pos] = [READ_ONLY, POS].map(|file| token(&stage, file));
        let sale = "PUT /v1/transactions/00000000-0000-4000-8000-000000000001";
        let large = |megabytes: usize| format!("\"{}\"", "x".repeat(megabytes << 20));
        for (line, token, body, status) in [
            (sale, "wrong", large(3), 401),
            (sale, &read_only, large(3), 403),
            ("PUT /v1/nowhere", &pos, large(3), 404),
            (sale, &pos, large(9), 413),
        ] {
            for _ in 0..3 {
                let answer = raw(dial(&stage).await, &request(line, token, &body)).await;
                assert_eq!(answer.status, status, "{}", answer.text);
            }
        }
        let zipped =
            request(sale, &pos, "{}").replacen("\r\n", "\r\nContent-Encoding: gzip\r\n", 1);
        let answer = raw(dial(&stage).await, &zipped).await;
        assert_eq!((answer.status, answer.code()), (415, "door-body".to_string()));
        stage.rehearsal.close().await.expect("an end");
    });
}
