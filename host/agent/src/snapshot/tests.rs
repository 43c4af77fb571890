//! The parts of snapshots that need no channel: signatures, manifests, and fetching through servers that break off.

use super::adopt::Looked;
use super::board::Board;
use super::fault::SnapshotError;
use super::fetch::{fetch, hash_range};
use super::manifest::{Manifest, ManifestTable};
use super::signing::{Signer, is_signed};
use super::source::Source;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tillhold_client::web::WebTrust;
use tillhold_core::snapshot::TableAt;
use tillhold_core::table::TableName;
use tillhold_core::text::hexadecimal;
use tillhold_core::version::ChannelVersion;
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CHUNK: u64 = 1_000;

fn content() -> Vec<u8> {
    (0..10_500u32).flat_map(|number| (number * 7).to_le_bytes()).take(10_500).collect()
}

/// A manifest of the file `name` in `folder`.
fn manifest(folder: &Path, name: &str) -> Manifest {
    let mut file = std::fs::File::open(folder.join(name)).expect("a file");
    let bytes = file.metadata().expect("its length").len();
    let mut hash = |from, to| hexadecimal(&hash_range(&mut file, from, to - from).expect("a hash"));
    let chunks = (0..bytes.div_ceil(CHUNK)).map(|n| hash(n * CHUNK, bytes.min((n + 1) * CHUNK)));
    let chunks = chunks.collect();
    let at = TableAt {
        table: TableName::new("ax", "A"),
        shape: "s".to_string(),
        version: Some(ChannelVersion(5)),
        epoch: Some([7; 16]),
    };
    Manifest {
        fingerprint: "0".repeat(64),
        of: "store S".to_string(),
        made_by_register: "1".to_string(),
        made_by_version: "0".to_string(),
        created_ms: 1,
        layout: 1,
        epoch: [7; 16],
        file: name.to_string(),
        bytes,
        sha256: hash(0, bytes),
        chunk_bytes: CHUNK,
        chunks,
        tables: vec![ManifestTable { at, mark: None, rows: 3, digest: "d".to_string() }],
    }
}

#[test]
fn a_key_is_made_once_and_only_for_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sub/export.key");
    let env = Env::real();
    let first = Signer::open(&env, &file).expect("a key");
    let again = Signer::open(&env, &file).expect("the key");
    assert_eq!(first.key(), again.key());
    let signature = first.sign("a", b"text");
    assert!(is_signed(&again.key(), "a", b"text", &signature));
    for (key, purpose, message) in
        [(again.key(), "b", "text"), (again.key(), "a", "texu"), ("ab".repeat(32), "a", "text")]
    {
        assert!(!is_signed(&key, purpose, message.as_bytes(), &signature), "{purpose} {message}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&file, "no key").expect("a harm");
    assert_eq!(Signer::open(&env, &file).map(|_| ()).map_err(|e| e.code()), Err("export-key"));
}

#[test]
fn a_manifest_is_read_as_it_was_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.db"), content()).expect("a file");
    let signer = Signer::open(&Env::real(), &folder.path().join("key")).expect("a key");
    let made = manifest(folder.path(), "a.db");
    let text = made.signed(&signer);
    assert_eq!(Manifest::read(&text, "m", &[signer.key()]).expect("a manifest"), made);
    // Written by another program, in another layout of the same JSON.
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(Manifest::read(&json.to_string(), "m", &[signer.key()]).expect("a manifest"), made);
    let refused = |text: &str| Manifest::read(text, "m", &[signer.key()]).map_err(|e| e.code());
    let changed = text.replace("\"rows\": 3", "\"rows\": 4");
    assert_eq!(refused(&changed).err(), Some("snapshot-signature"));
    assert!(Manifest::read(&changed, "m", &[]).is_ok(), "without trusted keys nobody asks");
    for (from, to) in
        [("\"file\": \"a.db\"", "\"file\": \"../a.db\""), ("\"bytes\": 10500", "\"bytes\": 99500")]
    {
        let read = Manifest::read(&text.replace(from, to), "m", &[]).map_err(|error| error.code());
        assert_eq!(read.err(), Some("snapshot-manifest"), "{to}");
    }
}

/// A server of one file: it logs each request's range, and breaks off after `breaks_after` bytes of the body as long as
/// there is such a number.
async fn serve(bytes: Vec<u8>, breaks: Vec<usize>, asked: Arc<Mutex<Vec<u64>>>) -> SocketAddr {
    let env = Env::real();
    let listener = env.network.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.expect("a listener");
    let at = listener.address().expect("its address");
    env.spawn(async move {
        let mut breaks = breaks.into_iter();
        while let Ok((stream, _)) = listener.accept().await {
            respond(stream, &bytes, breaks.next().unwrap_or(usize::MAX), &asked).await;
        }
    });
    at
}

async fn respond(mut stream: BoxStream, bytes: &[u8], most: usize, asked: &Mutex<Vec<u64>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let from: u64 = request
        .split("range: bytes=")
        .nth(1)
        .and_then(|rest| rest.split('-').next()?.parse().ok())
        .unwrap_or(0);
    asked.lock().expect("one server").push(from);
    let body = &bytes[from as usize..];
    let head = match from {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()),
        _ => format!(
            "HTTP/1.1 206 P\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\r\n",
            bytes.len() - 1,
            bytes.len(),
            body.len()
        ),
    };
    // The client may have gone already.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body[..body.len().min(most)]).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn a_fetch_that_broke_off_goes_on_behind_its_last_good_piece() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.db"), content()).expect("a file");
    let made = manifest(folder.path(), "a.db");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let at = serve(content(), vec![4_300, 2_000], asked.clone()).await;
    let source = Source::parse(&format!("http://{at}/"), WebTrust::default()).expect("a source");
    let (env, to) = (Env::real(), folder.path().join("part"));
    for _ in 0..2 {
        let broken = fetch(&env, &source, &made, &to).await.map_err(|error| error.code());
        assert_eq!(broken, Err("web-broken"));
    }
    // A bit that falls over on the disk meanwhile costs its piece and what is behind it.
    let mut part = std::fs::read(&to).expect("a part");
    part[5_500] ^= 1;
    std::fs::write(&to, part).expect("a flipped bit");
    let came = fetch(&env, &source, &made, &to).await.expect("the whole");
    assert_eq!(came, 5_500, "only what was missing came");
    assert_eq!(std::fs::read(&to).expect("a file"), content());
    assert_eq!(*asked.lock().expect("one server"), [0, 4_000, 5_000]);
    assert_eq!(fetch(&env, &source, &made, &to).await.expect("there already"), 0);
}

/// It becomes the catalogue, with customers in it. The second one is from a version that left it open.
#[cfg(unix)]
#[tokio::test]
async fn what_is_fetched_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.db"), content()).expect("a file");
    let made = manifest(folder.path(), "a.db");
    let source = Source::parse(&folder.path().display().to_string(), WebTrust::default());
    let (env, source) = (Env::real(), source.expect("a source"));
    let (new, left) = (folder.path().join("new.part"), folder.path().join("left.part"));
    std::fs::write(&left, &content()[..4_300]).expect("a part");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&left, open).expect("its rights");
    for part in [new, left] {
        fetch(&env, &source, &made, &part).await.expect("the whole");
        let mode = std::fs::metadata(&part).expect("the file").permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}: {mode:o}", part.display());
    }
}

/// A share that is not mounted looked like one without snapshots, and nothing was said of it.
#[tokio::test]
async fn a_folder_that_is_not_there_is_told_from_one_without_snapshots() {
    let folder = tempfile::tempdir().expect("a folder");
    let (env, here) = (Env::real(), folder.path());
    let of = |path: &Path| {
        Source::parse(&path.display().to_string(), WebTrust::default()).expect("a source")
    };
    let looked = async |path: &Path| {
        of(path).text(&env, "latest-0.json", 1_000).await.map_err(|error| error.code())
    };
    assert_eq!(looked(here).await, Ok(None));
    assert_eq!(of(here).kinds(&env).await, Vec::<String>::new());
    assert_eq!(looked(&here.join("nonexistent")).await, Err("snapshot-source"));
    std::fs::write(here.join("a.db"), content()).expect("a file");
    assert_eq!(looked(&here.join("a.db")).await, Err("snapshot-source"), "it is no folder");
    let signer = Signer::open(&env, &here.join("key")).expect("a key");
    let made = manifest(here, "a.db").signed(&signer);
    for name in ["latest-1.json", "latest-2.json"] {
        std::fs::write(here.join(name), &made).expect("a manifest");
    }
    std::fs::write(here.join("latest-3.json"), "no manifest").expect("a file");
    assert_eq!(looked(here).await, Ok(None), "none of them is this register's");
    assert_eq!(of(here).kinds(&env).await, ["store S"]);
}

#[test]
fn a_look_that_comes_to_the_same_is_said_once_and_stands_in_the_status() {
    let board = Board::default();
    let unreachable = || {
        let (place, cause) = ("/mnt/x".to_string(), std::io::ErrorKind::NotFound.into());
        Err::<Looked, _>(SnapshotError::Unreachable { place, cause }.into())
    };
    let nothing = |others: &[&str]| {
        let others = others.iter().map(ToString::to_string).collect();
        Ok(Looked::Nothing { place: "/mnt/x".to_string(), others })
    };
    board.looked(1, &unreachable());
    assert_eq!(board.shown()["new_database"]["fault"]["code"], "snapshot-source");
    for (look, is_said) in [
        (unreachable(), true),
        (unreachable(), false),
        (nothing(&["store S, profile Other"]), true),
        (nothing(&["store S, profile Other"]), false),
        (nothing(&[]), false),
        (unreachable(), true),
    ] {
        assert_eq!(board.complaint(&look).is_some(), is_said, "{look:?}");
    }
    board.looked(2, &nothing(&["store S, profile Other"]));
    let shown = board.shown();
    let look = &shown["new_database"];
    assert_eq!(
        (&look["outcome"], &look["fault"]["code"]),
        (&"none".into(), &"snapshot-missing".into())
    );
    let message = look["fault"]["message"].as_str().expect("a message");
    assert!(message.ends_with("; there is one for store S, profile Other"), "{message}");
    board.looked(3, &nothing(&[]));
    assert!(board.shown()["new_database"]["fault"].is_null(), "an empty folder is no fault");
}

#[tokio::test]
async fn a_wrong_piece_ends_the_fetch_and_a_longer_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (env, to) = (Env::real(), folder.path().join("part"));
    std::fs::write(folder.path().join("a.db"), content()).expect("a file");
    let made = manifest(folder.path(), "a.db");
    let source = Source::parse(&folder.path().display().to_string(), WebTrust::default());
    let source = source.expect("a source");
    let harmed = |at: usize| {
        let mut bytes = content();
        bytes[at] ^= 1;
        std::fs::write(folder.path().join("a.db"), bytes).expect("a harm");
    };
    harmed(3_210);
    let refused = fetch(&env, &source, &made, &to).await;
    assert!(matches!(refused, Err(SnapshotError::Piece { from: 3_000, to: 4_000 })), "{refused:?}");
    let longer = [content(), vec![1]].concat();
    std::fs::write(folder.path().join("a.db"), longer).expect("a harm");
    let refused = fetch(&env, &source, &made, &to).await.map_err(|error| error.code());
    assert_eq!(refused, Err("snapshot-too-large"));
    std::fs::write(folder.path().join("a.db"), &content()[..9_999]).expect("a harm");
    let refused = fetch(&env, &source, &made, &to).await.map_err(|error| error.code());
    assert_eq!(refused, Err("snapshot-short"));
    std::fs::write(folder.path().join("a.db"), content()).expect("the file");
    fetch(&env, &source, &made, &to).await.expect("the whole");
    let other = Manifest { sha256: "0".repeat(64), ..made };
    let refused = fetch(&env, &source, &other, &to).await.map_err(|error| error.code());
    assert_eq!(refused, Err("snapshot-hash"));
}
