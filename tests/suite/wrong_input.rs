//! Wrong input: one clear message with a code and a next step, the exit status that says "failed", nothing lost.

use crate::harness::{PROGRAM, Stage, proof};
use std::path::Path;
use std::process::{Command, Stdio};

/// A component of a world that is not ours.
const OTHER_WORLD: &str = r#"(component
    (core module $m (func (export "run")))
    (core instance $i (instantiate $m))
    (func $run (canon lift (core func $i "run")))
    (export "run" (func $run)))"#;

/// Runs a command that must fail; what it told.
fn refused(words: &[&str], config: &Path) -> String {
    let mut child = Command::new(PROGRAM)
        .args(words)
        .arg("--config")
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run of the program");
    for _ in 0..600 {
        if child.try_wait().expect("a child of ours").is_some() {
            break;
        }
        #[allow(clippy::disallowed_methods)]
        // No simulated time here: it waits for a real process.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // One that still runs was not refused; killed, it has no exit status and the assertion below says so.
    let _ = child.kill();
    let output = child.wait_with_output().expect("its output");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "exit status of {words:?}, which told:\n{told}");
    assert!(output.stdout.is_empty(), "a failure has no data");
    told
}

fn assert_told(told: &str, code: &str, words: &[&str]) {
    assert!(told.contains(&format!("error[{code}]")), "no {code} in:\n{told}");
    assert!(told.contains("next: "), "no next step in:\n{told}");
    for word in words {
        assert!(told.contains(word), "no '{word}' in:\n{told}");
    }
}

/// Replaces `from` by `to` in a file for the time of `during`, then puts the old text back.
fn with(file: &Path, from: &str, to: &str, during: impl FnOnce()) {
    let text = std::fs::read_to_string(file).expect("a settings file");
    assert!(text.contains(from), "{from} is not in {}", file.display());
    std::fs::write(file, text.replacen(from, to, 1)).expect("a changed file");
    during();
    std::fs::write(file, text).expect("the old file");
}

#[test]
fn settings_that_are_wrong_are_told_with_their_lines() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let profile = folder.join("profile.toml");
        let scope =
            "\n[[scope]]\nname = \"Mine\"\ndirection = \"download\"\ntables = [\"ax.CUSTTABEL\"]\n";
        with(&profile, "\n[[scope]]", &format!("{scope}\n[[scope]]"), || {
            let told = refused(&["provision"], &config);
            assert_told(&told, "channel-table", &["ax.CUSTTABEL", "did you mean ax.CUSTTABLE?"]);
        });
        with(&profile, "dwell_s", "dwel_s", || {
            let told = refused(&["provision"], &config);
            assert_told(
                &told,
                "settings",
                &["profile.toml:", "unknown setting dwel_s", "dwell_s?"],
            );
        });
        with(&folder.join("register.password"), "", "not-", || {
            let told = refused(&["provision"], &config);
            assert_told(&told, "channel-login", &["tillhold"]);
        });
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let password = folder.join("register.password");
            let rights = |mode| {
                let mode = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(&password, mode)
            };
            rights(0o640).expect("rights for others");
            let told = refused(&["provision"], &config);
            assert_told(&told, "password-exposed", &["640", "chmod 600"]);
            rights(0o600).expect("the old rights");
        }
        stage.rehearsal.cut().await.expect("a cut");
        let told = refused(&["provision"], &config);
        assert_told(&told, "register-never-synchronised", &["cannot be reached"]);
        stage.rehearsal.restore().await.expect("the line back");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn plugins_that_are_none_are_refused_by_name() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let config = stage.rehearsal.config();
        let plugin = stage.rehearsal.folder().join("plugins/store-customers.wasm");
        let good = std::fs::read(&plugin).expect("the shipped plugin");
        std::fs::write(&plugin, b"#!/bin/sh\n").expect("no component");
        let told = refused(&["provision"], &config);
        assert_told(&told, "plugin-not-a-component", &["store-customers"]);
        let other = wat::parse_str(OTHER_WORLD).expect("a component of another world");
        std::fs::write(&plugin, other).expect("another world's component");
        let told = refused(&["provision"], &config);
        assert_told(&told, "plugin-other-world", &["store-customers"]);
        std::fs::remove_file(&plugin).expect("no plugin");
        assert_told(&refused(&["provision"], &config), "plugin-unreadable", &["store-customers"]);
        std::fs::write(&plugin, good).expect("the shipped plugin again");
        stage.rehearsal.command(&["provision"]).await.expect("a provisioning after all");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_damaged_offline_file_is_left_as_it_is() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.kill();
        let config = stage.rehearsal.config();
        for file in ["journal.db", "catalogue.db"] {
            let path = stage.rehearsal.folder().join("offline").join(file);
            // What the killed agent left in the write-ahead log would stand in for the damaged page.
            let file_alone = rusqlite::Connection::open(&path).expect("the offline file");
            file_alone.pragma_update(None, "wal_checkpoint", "TRUNCATE").expect("a checkpoint");
            drop(file_alone);
            let good = std::fs::read(&path).expect("an offline file");
            let mut damaged = good.clone();
            damaged[..64].fill(0x5A);
            std::fs::write(&path, &damaged).expect("a damaged file");
            assert_told(&refused(&["run"], &config), "local-damaged", &[file]);
            assert_eq!(std::fs::read(&path).expect("the file"), damaged, "{file} was touched");
            std::fs::write(&path, good).expect("the good file again");
        }
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_second_agent_on_the_same_files_is_refused() {
    proof(async {
        let stage = Stage::online(20).await;
        assert_told(&refused(&["run"], &stage.rehearsal.config()), "local-in-use", &[]);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn wrong_usage_ends_with_64() {
    let status = |words: &[&str]| {
        let output = Command::new(PROGRAM).args(words).output().expect("a run of the program");
        output.status.code()
    };
    assert_eq!(status(&["sell"]), Some(64));
    assert_eq!(status(&["demo", "--scale", "many"]), Some(64));
    assert_eq!(status(&["--version"]), Some(0));
    assert_eq!(status(&["status", "--config", "/nowhere/register.toml"]), Some(2));
}

/// As by `| head -1`, onto a terminal that was closed, and onto a full disk.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_nobody_takes_breaks_nothing_and_one_that_is_not_written_is_told() {
    let answered = |stdout: Stdio| {
        let mut child = Command::new(PROGRAM);
        let child = child.args(["channel", "schema", "--published"]).stdout(stdout);
        let output =
            child.stderr(Stdio::piped()).spawn().and_then(|child| child.wait_with_output());
        let output = output.expect("a run of the program");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(answered(writer.into()), (Some(0), String::new()));
    let full = std::fs::File::create("/dev/full").expect("a full device");
    let (status, told) = answered(full.into());
    assert_eq!(status, Some(2), "{told}");
    assert_told(&told, "answer-unwritten", &["No space left"]);
}

#[cfg(unix)]
#[test]
fn a_token_that_everyone_may_read_opens_no_door() {
    use std::os::unix::fs::PermissionsExt as _;
    proof(async {
        let stage = Stage::prepared(20).await;
        let file = stage.rehearsal.folder().join("front-door.token");
        std::fs::write(&file, "guessed").expect("a token");
        let rights = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
        rights(0o644).expect("rights for all");
        let told = refused(&["run"], &stage.rehearsal.config());
        assert_told(&told, "door-token-exposed", &["front-door.token", "o-rwx"]);
        // Emptied, it gets a new token, which is its owner's alone.
        std::fs::write(&file, "").expect("no token");
        let mut stage = stage;
        stage.start().await;
        let mode = std::fs::metadata(stage.rehearsal.folder().join("front-door.token"));
        assert_eq!(mode.expect("the file").permissions().mode() & 0o777, 0o600);
        stage.rehearsal.close().await.expect("an end");
    });
}
