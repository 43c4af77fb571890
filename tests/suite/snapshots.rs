//! Prebuilt catalogues between registers of one store, with the real program: made, taken, and refused by name.

use crate::harness::{PROGRAM, Stage, proof};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A second register of the store, in the first one's folder.
pub struct Second {
    folder: PathBuf,
    config: PathBuf,
}

pub struct Told {
    pub status: Option<i32>,
    pub out: String,
    pub error: String,
}

impl Second {
    /// `more` is added to its settings.
    pub fn of(stage: &Stage, more: &str) -> Second {
        let folder = stage.rehearsal.folder().to_path_buf();
        let text = std::fs::read_to_string(stage.rehearsal.config()).expect("settings");
        let own = text
            .lines()
            .map(|line| match line {
                line if line.starts_with("register = ") => "register = \"000099\"",
                "folder = \"offline\"" => "folder = \"offline-2\"",
                "token_file = \"front-door.token\"" => "token_file = \"second.token\"",
                line => line,
            })
            .collect::<Vec<_>>()
            .join("\n");
        let config = folder.join("second.toml");
        std::fs::write(&config, format!("{own}\n{more}")).expect("settings");
        Second { folder, config }
    }

    pub fn run(&self, words: &[&str]) -> Told {
        run(words, &self.config)
    }

    fn provision(&self, from: &Path) -> Told {
        self.run(&["provision", "--progress", "json", "--from", &from.display().to_string()])
    }

    pub fn catalogue(&self) -> PathBuf {
        self.folder.join("offline-2/catalogue.db")
    }
}

pub fn run(words: &[&str], config: &Path) -> Told {
    let output = Command::new(PROGRAM)
        .args(words)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .expect("a run of the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { status: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
}

pub fn done(told: &Told) -> &str {
    assert_eq!(told.status, Some(0), "{}\n{}", told.out, told.error);
    &told.out
}

fn export(config: &Path) -> Json {
    let told = run(&["export", "snapshot", "--json", "--force"], config);
    serde_json::from_str(done(&told)).expect("JSON")
}

/// Name and number of rows of each table, and whose the file is.
fn content(catalogue: &Path) -> (Vec<(String, i64)>, String) {
    let conn = Connection::open(catalogue).expect("a catalogue");
    let names: Vec<String> = {
        let mut statement =
            conn.prepare("SELECT name FROM tillhold_table ORDER BY name").expect("a question");
        let names = statement.query_map((), |row| row.get(0)).expect("an answer");
        names.map(|name| name.expect("a name")).collect()
    };
    let count = |name: &String| {
        let sql = format!("SELECT count(*) FROM \"{name}\"");
        conn.query_row(&sql, (), |row| row.get::<_, i64>(0)).expect("a count")
    };
    let counts = names.iter().map(|name| (name.clone(), count(name))).collect();
    let sql = "SELECT value FROM tillhold_meta WHERE name = 'register'";
    (counts, conn.query_row(sql, (), |row| row.get(0)).expect("whose it is"))
}

fn price_in(catalogue: &Path, amount: &str) -> i64 {
    let conn = Connection::open(catalogue).expect("a catalogue");
    let sql = "SELECT count(*) FROM \"ax.PRICEDISCTABLE\" WHERE AMOUNT LIKE ?1";
    conn.query_row(sql, [format!("{amount}.%")], |row| row.get(0)).expect("a count")
}

const NEW_PRICE: &str = "UPDATE TOP (3) [ax].[PRICEDISCTABLE] SET [AMOUNT] = 4711;";

#[test]
fn a_snapshot_of_one_register_serves_another_of_the_store() {
    proof(async {
        let mut stage = Stage::online(50).await;
        stage.rehearsal.sell(3).await.expect("sales");
        let exported = export(&stage.rehearsal.config());
        assert_eq!(exported["outcome"], "made", "{exported}");
        let rows = exported["snapshot"]["rows"].as_u64().expect("rows");
        let again = run(&["export", "snapshot", "--json"], &stage.rehearsal.config());
        let again: Json = serde_json::from_str(done(&again)).expect("JSON");
        assert_eq!(again["outcome"], "unchanged", "{again}");

        let folder = stage.rehearsal.folder().join("export");
        let second = Second::of(&stage, "");
        let told = second.provision(&folder);
        let total: Json =
            done(&told).lines().last().and_then(|l| serde_json::from_str(l).ok()).expect("a total");
        let loaded = total["rows"].as_u64().expect("rows");
        assert!(
            rows > 1_000 && loaded < rows / 2,
            "{loaded} of {rows} rows were read from the channel"
        );
        let (counts, whose) = content(&second.catalogue());
        let first = stage.rehearsal.folder().join("offline/catalogue.db");
        assert_eq!(counts, content(&first).0);
        assert_eq!(whose, "000099");

        // Pull goes on from the snapshot's positions.
        assert_eq!(stage.rehearsal.office(NEW_PRICE).expect("new prices"), 3);
        done(&second.run(&["provision"]));
        assert_eq!(price_in(&second.catalogue(), "4711"), 3);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A register that has nothing yet takes the snapshot by itself, and one that is behind takes it when asked.
#[test]
fn the_agent_takes_a_newer_database() {
    proof(async {
        let mut stage = Stage::prepared(50).await;
        let second = Second::of(&stage, "[export]\nfolder = \"share\"\n");
        done(&second.run(&["provision"]));
        export(&second.config);
        let config = stage.rehearsal.config();
        let text = std::fs::read_to_string(&config).expect("settings");
        let key = second.run(&["export", "key"]);
        let trusted = format!("trusted_keys = [\"{}\"]\n", done(&key).trim());
        let look = "[new_database]\nsource = \"share\"\ncheck_interval_min = 60\n";
        std::fs::write(&config, format!("{text}\n{look}{trusted}")).expect("settings");
        stage.start().await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["snapshots"]["new_database"]["outcome"], "taken", "{status}");
        stage.rehearsal.sell(3).await.expect("sales");
        stage.holds().await;
        let looked = run(&["new-database", "--json"], &config);
        assert_eq!(
            looked.status,
            Some(1),
            "there is none that is newer: {}{}",
            looked.out,
            looked.error
        );

        // Stopped, it falls behind; a snapshot brings it on without its channel.
        stage.rehearsal.kill();
        stage.rehearsal.office(NEW_PRICE).expect("new prices");
        done(&second.run(&["provision"]));
        export(&second.config);
        stage.rehearsal.cut().await.expect("a cut");
        let looked = run(&["new-database", "--json"], &config);
        let looked: Json = serde_json::from_str(done(&looked)).expect("JSON");
        assert_eq!(looked["outcome"], "taken", "{looked}");
        let catalogue = stage.rehearsal.folder().join("offline/catalogue.db");
        assert_eq!(price_in(&catalogue, "4711"), 3);
        stage.rehearsal.restore().await.expect("the line back");
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The newest manifest of the folder, changed.
fn tamper(folder: &Path, change: impl FnOnce(&mut Json)) {
    let path = latest(folder);
    let mut json: Json =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("a manifest")).expect("JSON");
    change(&mut json);
    std::fs::write(path, json.to_string()).expect("a changed manifest");
}

fn latest(folder: &Path) -> PathBuf {
    let names =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
    let is_latest = |path: &PathBuf| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("latest-"))
    };
    names.into_iter().find(is_latest).expect("a newest manifest")
}

/// A copy of an export folder, and what is known of it.
struct Copy {
    folder: PathBuf,
    /// Its newest snapshot, and one before.
    file: String,
    before: String,
}

impl Copy {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.folder.join(&self.file);
        let mut bytes = std::fs::read(&path).expect("a snapshot");
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("a changed snapshot");
    }

    fn say(&self, member: &str, value: impl Into<Json>) {
        tamper(&self.folder, |json| json[member] = value.into());
    }
}

#[derive(Clone, Copy)]
enum Trust {
    Nobody,
    Exporter,
    Stranger,
}

type Harm = (&'static str, Trust, fn(&Copy));

/// What must come of it, who is trusted, and what is done to the copy.
const HARMS: [Harm; 15] = [
    ("snapshot-piece", Trust::Nobody, |copy| copy.change(|bytes| bytes[5_000] ^= 1)),
    ("snapshot-short", Trust::Nobody, |copy| copy.change(|bytes| bytes.truncate(9_000))),
    ("snapshot-other-kind", Trust::Nobody, |copy| copy.say("fingerprint", "0".repeat(64))),
    ("snapshot-epoch", Trust::Nobody, |copy| copy.say("channel_epoch", "5".repeat(32))),
    ("snapshot-hash", Trust::Nobody, |copy| copy.say("sha256", "0".repeat(64))),
    ("snapshot-manifest", Trust::Nobody, |copy| copy.say("file", "../x.db")),
    ("snapshot-manifest", Trust::Nobody, |copy| copy.say("format", 9)),
    ("snapshot-content", Trust::Nobody, |copy| tamper(&copy.folder, earlier_positions)),
    ("snapshot-shape", Trust::Nobody, |copy| {
        tamper(&copy.folder, |json| json["tables"][0]["shape"] = "x".into());
    }),
    ("snapshot-file", Trust::Nobody, |copy| {
        std::fs::remove_file(copy.folder.join(&copy.file)).expect("a removal");
    }),
    ("snapshot-missing", Trust::Nobody, |copy| {
        std::fs::remove_file(latest(&copy.folder)).expect("a removal");
    }),
    ("snapshot-source", Trust::Nobody, |copy| {
        std::fs::remove_dir_all(&copy.folder).expect("a removal");
    }),
    ("snapshot-signature", Trust::Exporter, |copy| copy.say("file", copy.before.clone())),
    ("snapshot-signature", Trust::Exporter, |copy| {
        tamper(&copy.folder, |json| drop(json.as_object_mut().map(|all| all.remove("signature"))));
    }),
    ("snapshot-signature", Trust::Stranger, |_| ()),
];

fn earlier_positions(json: &mut Json) {
    for table in json["tables"].as_array_mut().expect("tables") {
        let version = table["version"].as_str().and_then(|v| v.parse::<u64>().ok());
        table["version"] = (version.expect("a version") - 1).to_string().into();
    }
}

fn trusting(key: &str) -> String {
    format!("[new_database]\nsource = \"x\"\ntrusted_keys = [\"{key}\"]\n")
}

#[test]
fn what_is_wrong_with_a_snapshot_is_refused_by_name() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let config = stage.rehearsal.config();
        let price = "UPDATE TOP (1) [ax].[PRICEDISCTABLE] SET [AMOUNT] = 815;";
        stage.rehearsal.office(price).expect("a price");
        done(&run(&["provision"], &config));
        let file = |exported: Json| exported["snapshot"]["file"].as_str().map(str::to_string);
        let before = file(export(&config)).expect("a file");
        let newest = file(export(&config)).expect("a file");
        let good = stage.rehearsal.folder().join("export");
        let copy = Copy { folder: stage.rehearsal.folder().join("bad"), file: newest, before };
        let key = run(&["export", "key"], &config);
        let key = done(&key).trim().to_string();
        for (code, trust, harm) in HARMS {
            copy_folder(&good, &copy.folder);
            harm(&copy);
            let settings = match trust {
                Trust::Nobody => String::new(),
                Trust::Exporter => trusting(&key),
                Trust::Stranger => trusting(&"ab".repeat(32)),
            };
            let second = Second::of(&stage, &settings);
            let told = second.provision(&copy.folder);
            assert_eq!(told.status, Some(2), "{code}: {}", told.error);
            assert!(told.error.contains(&format!("error[{code}]")), "{code}: {}", told.error);
            assert!(told.error.contains("next: "), "{code}: {}", told.error);
            assert!(content(&second.catalogue()).0.iter().all(|(_, rows)| *rows == 0), "{code}");
        }
        // A folder with those of other registers only is told from an empty one.
        copy_folder(&good, &copy.folder);
        let others = copy.folder.join("latest-0123456789abcdef.json");
        std::fs::rename(latest(&copy.folder), others).expect("another kind");
        let told = Second::of(&stage, "").provision(&copy.folder);
        assert!(told.error.contains("error[snapshot-missing]"), "{}", told.error);
        assert!(told.error.contains("; there is one for store "), "{}", told.error);
        let second = Second::of(&stage, &trusting(&key));
        done(&second.provision(&good));
        // What is further here is not taken back.
        stage.rehearsal.office(NEW_PRICE).expect("new prices");
        done(&second.run(&["provision"]));
        let told = second.provision(&good);
        assert!(told.error.contains("error[snapshot-older]"), "{}", told.error);
        assert_eq!(price_in(&second.catalogue(), "4711"), 3);
        stage.rehearsal.close().await.expect("an end");
    });
}

fn copy_folder(from: &Path, to: &Path) {
    // Of the case before.
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// A scheduled export that was missed while nothing ran is made up for, once.
#[test]
fn a_missed_export_is_made_up_for_once() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        let config = stage.rehearsal.config();
        let text = std::fs::read_to_string(&config).expect("settings");
        let export = "[export]\nschedule = \"0 0 1 1 *\"\nutc_offset_min = 60\n";
        std::fs::write(&config, format!("{text}\n{export}")).expect("settings");
        let told = run(&["export", "next", "--json", "--count", "2"], &config);
        let next: Json = serde_json::from_str(done(&told)).expect("JSON");
        let shown = |at: usize, name: &str| next[at][name].as_str().expect("a moment").to_string();
        assert!(shown(0, "local").ends_with("-01-01 00:00"), "{next}");
        assert!(shown(1, "utc").ends_with("-12-31 23:00"), "{next}");
        done(&run(&["provision"], &config));
        let journal = stage.rehearsal.folder().join("offline/journal.db");
        let conn = Connection::open(&journal).expect("a journal");
        let long_ago = "INSERT INTO tillhold_fact VALUES ('export-minute', '0')";
        conn.execute_batch(long_ago).expect("an export of long ago");
        drop(conn);
        stage.start().await;
        let limit = std::time::Duration::from_secs(60);
        let made = |status: &Json| status["snapshots"]["export"]["outcome"] == "made";
        stage.rehearsal.until("an export", limit, made).await.expect("an export");
        assert!(latest(&stage.rehearsal.folder().join("export")).exists());
        stage.rehearsal.kill();
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.holds().await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["snapshots"]["export"], Json::Null, "once");
        stage.rehearsal.close().await.expect("an end");
    });
}
