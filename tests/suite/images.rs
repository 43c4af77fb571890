//! The shop's pictures with the real agent: fetched on a miss, brought beforehand, served without a network.

use crate::harness::{Stage, proof};
use crate::snapshots::{done, run};
use serde_json::Value as Json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

fn png(seed: u8) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(3_000, seed);
    picture
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, bytes).expect("a file");
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// One request as it stands, so that nothing tidies the path on its way.
fn ask(folder: &Path, path: &str, more: &str) -> Answer {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let (address, token) = (read("offline/front-door.address"), read("front-door.token"));
    #[allow(clippy::disallowed_methods)]
    // No simulated network here: it asks a real program.
    let mut stream = TcpStream::connect(address.trim()).expect("the front door");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{more}Connection: close\r\n\r\n",
        token.trim()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

fn code(answer: &Answer) -> String {
    let json: Json = serde_json::from_slice(&answer.body).expect("a problem");
    json["code"].as_str().expect("a code").to_string()
}

#[test]
fn pictures_are_served_with_and_without_a_network() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        let folder = stage.rehearsal.folder().to_path_buf();
        let source = folder.join("pictures");
        put(&source, "Products/a b.png", &png(1));
        put(&source, "gone.png", &png(2));
        put(&source, "page.png", b"<html><script>");
        put(&folder, "secret.png", &png(9));
        let config = stage.rehearsal.config();
        let text = std::fs::read_to_string(&config).expect("settings");
        std::fs::write(&config, format!("{text}\n[images]\nsource = \"pictures\"\n"))
            .expect("settings");
        stage.start().await;

        let fetched = ask(&folder, "/v1/images/Products/a%20b.png", "");
        assert_eq!((fetched.status, fetched.body), (200, png(1)));
        assert!(fetched.head.contains("content-type: image/png"), "{}", fetched.head);
        assert!(fetched.head.contains("x-content-type-options: nosniff"), "{}", fetched.head);
        let tag = fetched.head.split("etag: ").nth(1).and_then(|rest| rest.lines().next());
        let tag = tag.expect("an ETag").trim().to_string();
        let known =
            ask(&folder, "/v1/images/Products/a%20b.png", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((known.status, known.body.len()), (304, 0));
        for (path, status, expected) in [
            ("/v1/images/no.png", 404, "image-missing"),
            ("/v1/images/page.png", 422, "image-no-picture"),
            ("/v1/images/../secret.png", 422, "image-name"),
            ("/v1/images/..%2fsecret.png", 422, "image-name"),
            ("/v1/images/%2e%2e%5csecret.png", 422, "image-name"),
            ("/v1/images/Products/../../secret.png", 422, "image-name"),
            ("/v1/images//etc/passwd", 422, "image-name"),
        ] {
            let answer = ask(&folder, path, "");
            assert_eq!((answer.status, code(&answer).as_str()), (status, expected), "{path}");
        }

        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        assert_eq!(ask(&folder, "/v1/images/Products/a%20b.png", "").body, png(1));
        let offline = ask(&folder, "/v1/images/gone.png", "");
        assert_eq!((offline.status, code(&offline).as_str()), (404, "image-offline"));
        // Killed and started again, it has them still.
        stage.rehearsal.kill();
        stage.rehearsal.start().await.expect("an agent again");
        assert_eq!(ask(&folder, "/v1/images/Products%5Ca%20b.png", "").body, png(1));
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn pictures_that_the_offline_database_names_are_brought_beforehand() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        let folder = stage.rehearsal.folder().to_path_buf();
        let named = "UPDATE TOP (2) [ax].[RETAILCUSTTABLE] SET [IMAGE] = 'People\\c.png';";
        let changed = stage.rehearsal.office(named).expect("named pictures");
        assert!(changed > 0, "the store has customers");
        put(&folder.join("pictures"), "People/c.png", &png(3));
        let config = stage.rehearsal.config();
        let text = std::fs::read_to_string(&config).expect("settings");
        let images = "[images]\nsource = \"pictures\"\nprefetch = [\"ax.RETAILCUSTTABLE.IMAGE\"]\nprefetch_interval_min = 0.01\nprefetch_per_min = 6000\n";
        std::fs::write(&config, format!("{text}\n{images}")).expect("settings");
        stage.start().await;
        let limit = std::time::Duration::from_secs(60);
        let brought = stage.rehearsal.until("a picture brought", limit, |_| {
            folder.join("images/objects").read_dir().is_ok_and(|mut files| files.next().is_some())
        });
        brought.await.expect("a picture");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        assert_eq!(ask(&folder, "/v1/images/People/c.png", "").body, png(3));
        let shown = run(&["images", "status", "--json"], &config);
        let shown: Json = serde_json::from_str(done(&shown)).expect("JSON");
        assert_eq!((&shown["pictures"], &shown["bytes"]), (&1.into(), &3_000.into()));
        let pruned = run(&["images", "prune", "--json"], &config);
        let pruned: Json = serde_json::from_str(done(&pruned)).expect("JSON");
        assert_eq!((&pruned["damaged"], &pruned["evicted"]), (&0.into(), &0.into()));
        stage.rehearsal.close().await.expect("an end");
    });
}
