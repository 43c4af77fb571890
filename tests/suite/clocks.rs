//! The computer's clock is set back and forth by hours under the real agent, while it runs and between two runs.
//!
//! The program runs as it was built, with one function of the C library in front of the real one: its wall clock is ahead by
//! what a file says, and no other clock is.

use crate::harness::{PROGRAM, Stage, proof};
use crate::numbers::sale;
use serde_json::Value as Json;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const HOUR_S: i64 = 3_600;
const LIMIT: Duration = Duration::from_secs(120);
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/suite/clocks/wall_clock.c");

/// The agent's wall clock, and the program that goes by it.
struct WallClock {
    file: File,
    folder: TempDir,
}

impl WallClock {
    fn new() -> WallClock {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (library, file) = (folder.path().join("clock.so"), folder.path().join("ahead"));
        let mut built = Command::new("cc");
        built.args(["-O1", "-shared", "-fPIC", SOURCE, "-o"]).arg(&library);
        assert!(built.status().expect("a C compiler").success(), "the clock was not built");
        std::fs::write(&file, [0; 8]).expect("a file");
        let clock = WallClock { file: open(&file), folder };
        let (library, file) = (library.display(), file.display());
        let script = format!(
            "#!/bin/sh\nLD_PRELOAD='{library}' WALL_CLOCK='{file}' exec '{PROGRAM}' \"$@\"\n"
        );
        std::fs::write(clock.program(), script).expect("a script");
        std::fs::set_permissions(clock.program(), Permissions::from_mode(0o755))
            .expect("its rights");
        clock
    }

    fn program(&self) -> std::path::PathBuf {
        self.folder.path().join("tillhold")
    }

    fn set(&self, ahead_s: i64) {
        self.file.write_all_at(&ahead_s.to_ne_bytes(), 0).expect("another time");
    }
}

fn open(file: &Path) -> File {
    OpenOptions::new().write(true).open(file).expect("the file")
}

async fn status(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

/// When the offline products were chosen.
async fn chosen(stage: &Stage) -> i64 {
    let chosen = &status(stage).await["selection"]["products"]["computed_at_ms"];
    chosen.as_i64().expect("a moment")
}

/// How often the state changed.
fn changes(stage: &Stage) -> usize {
    stage.rehearsal.log().lines().filter(|line| line.contains("Z the register is ")).count()
}

/// A profile whose products are chosen for a day and come each second, and whose data are stale after an hour.
fn hasty(profile: String) -> String {
    let staleness = "[offline_products]\nnewest = 5\n\n[staleness]\nstale_after_s = 3600\nstale = \"refuse\"\n\n[[scope]]";
    let scope = "\n[[scope]]\nname = \"1040 Products\"\nfrequency_s = 1\n";
    profile.replacen("[[scope]]", staleness, 1) + scope
}

async fn sells(stage: &Stage, number: u64) {
    let path = format!("/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc9{number:04}");
    let answer = stage.rehearsal.put(&path, &sale(stage, number)).await.expect("an answer");
    assert_eq!(answer.status, 201, "{number}: {}", answer.body);
    assert_eq!(answer.body["warnings"], serde_json::json!([]));
}

/// What head office writes comes by the scope's frequency, nobody asking for it.
async fn follows(stage: &Stage, name: &str) {
    let item = stage.rehearsal.get("/v1/tables/ax.INVENTTABLE/rows?limit=1").await.expect("a row");
    let item = item.body["rows"][0]["ITEMID"].as_str().expect("an item").to_string();
    let sql = format!(
        "UPDATE [ax].[INVENTTABLE] SET [NAMEALIAS] = N'{name}' WHERE [ITEMID] = N'{item}';"
    );
    assert_eq!(stage.rehearsal.office(&sql).expect("another name"), 1);
    let path = format!("/v1/tables/ax.INVENTTABLE/rows?NAMEALIAS={name}");
    let came = async {
        while stage.rehearsal.get(&path).await.expect("rows").body["rows"] == serde_json::json!([])
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, came).await.unwrap_or_else(|_| panic!("{name} never came"));
}

/// Every moment of the status lies around its own now: nothing is due for hours, nothing was hours ago.
fn near(status: &Json) {
    let now_ms = status["now_ms"].as_i64().expect("a moment");
    for scope in status["scopes"].as_array().expect("scopes") {
        let frequency_ms = scope["frequency_s"].as_i64().expect("a number") * 1_000;
        for key in ["last_sync_ms", "next_due_ms"] {
            let Some(at_ms) = scope[key].as_i64() else { continue };
            let apart_ms = (at_ms - now_ms).abs();
            assert!(apart_ms <= frequency_ms.max(LIMIT.as_millis() as i64), "{key} of {scope}");
        }
    }
}

#[test]
fn a_clock_that_is_set_while_the_register_runs_changes_nothing() {
    proof(async {
        let clock = WallClock::new();
        let mut stage = Stage::prepared_by(&clock.program(), 20, hasty).await;
        stage.start().await;
        let (before, chosen) = (changes(&stage), chosen(&stage).await);
        for (at, ahead_h) in [5, -5, 13, -13, 0].into_iter().enumerate() {
            let then_ms = status(&stage).await["now_ms"].as_i64().expect("a moment");
            clock.set(ahead_h * HOUR_S);
            let now = status(&stage).await;
            let set_h = (now["now_ms"].as_i64().expect("a moment") - then_ms) / (HOUR_S * 1_000);
            assert_ne!(set_h, 0, "the clock was set");
            follows(&stage, &format!("NAME{at}")).await;
            sells(&stage, 10 + at as u64).await;
            let now = status(&stage).await;
            near(&now);
            assert_eq!(
                (&now["state"], &now["data"]["standing"]),
                (&"online".into(), &"fresh".into())
            );
        }
        assert_eq!(changes(&stage), before, "{}", stage.rehearsal.log());
        assert_eq!(self::chosen(&stage).await, chosen, "nothing was chosen anew");
        stage.rehearsal.cut().await.expect("no channel");
        stage.state("offline").await;
        let before = changes(&stage);
        for (at, ahead_h) in [5, -5, 0].into_iter().enumerate() {
            clock.set(ahead_h * HOUR_S);
            sells(&stage, 20 + at as u64).await;
            let now = status(&stage).await;
            assert_eq!(
                (&now["state"], &now["data"]["standing"]),
                (&"offline".into(), &"fresh".into())
            );
        }
        assert_eq!(changes(&stage), before, "{}", stage.rehearsal.log());
        stage.rehearsal.restore().await.expect("the channel again");
        stage.state("online").await;
        let sent = |status: &Json| status["pending"]["transactions"] == 0;
        stage.rehearsal.until("all sent", LIMIT, sent).await.expect("every sale, sent");
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 8);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Cut off from its channel, a register has nothing but the clock to tell how long it was off.
#[test]
fn a_clock_that_is_set_between_two_runs_makes_no_data_younger() {
    proof(async {
        let clock = WallClock::new();
        let mut stage = Stage::prepared_by(&clock.program(), 20, hasty).await;
        stage.start().await;
        stage.rehearsal.cut().await.expect("no channel");
        let old = |status: &Json| status["data"]["age_s"].as_u64() >= Some(2);
        stage.rehearsal.until("some age", LIMIT, old).await.expect("data of some age");
        for (ahead_h, standing, age_h) in [
            // Set back: the stop counts as nothing.
            (-5, "fresh", Some(0)),
            // Forward by ten hours from there: nobody can tell that from a night that the register was off.
            (5, "stale", Some(10)),
            // What was counted is not taken back.
            (-5, "stale", Some(10)),
            // More than a day back is no clock to go by.
            (-40, "stale", None),
            (0, "stale", None),
        ] {
            let before = status(&stage).await["data"]["age_s"].as_u64();
            stage.rehearsal.kill();
            clock.set(ahead_h * HOUR_S);
            stage.rehearsal.start().await.expect("an agent again");
            let data = status(&stage).await["data"].clone();
            let hours = data["age_s"].as_u64().map(|age_s| age_s / HOUR_S as u64);
            assert_eq!(
                (data["standing"].as_str(), hours),
                (Some(standing), age_h),
                "{ahead_h} {data}"
            );
            if age_h.is_some() {
                // An agent that was killed kept what it knew at its start, a moment before.
                assert!(
                    data["age_s"].as_u64() >= before.map(|age_s| age_s.saturating_sub(60)),
                    "{data}"
                );
            }
        }
        stage.rehearsal.restore().await.expect("the channel again");
        stage.state("online").await;
        follows(&stage, "NAME").await;
        sells(&stage, 30).await;
        let now = status(&stage).await;
        near(&now);
        assert_eq!(now["data"]["standing"], "fresh");
        stage.rehearsal.close().await.expect("an end");
    });
}
