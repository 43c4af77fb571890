//! Plugins under trial, and a person's word about them: what holds for the one at work holds in a preview, and what is lost
//! is said to be lost.

use crate::harness::{Stage, proof};
use crate::plugins::{
    another_build, component, digest, hostile, plugin, rewrite, until, with_hostile,
};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::path::Path;

fn preview(stage: &Stage, harm: &str, more: &[&str]) -> Json {
    preview_of(stage, &component(stage, "hostile"), harm, more)
}

fn preview_of(stage: &Stage, file: &Path, harm: &str, more: &[&str]) -> Json {
    let file = file.display().to_string();
    let config = format!("{harm}@ax.CUSTTABLE/ACCOUNTNUM");
    let words = ["plugin", "preview", &file, "--with-config", &config, "--limit", "1", "--json"];
    let ran = stage.tillhold(&[&words[..], more].concat());
    assert!(ran.stderr.is_empty() || ran.status != Some(2), "{}", ran.stderr);
    ran.json()
}

/// The codes of the refusals that a table's examples tell.
fn reasons(told: &Json) -> String {
    let tables = told["tables"].as_array().expect("tables").iter();
    let examples = tables.flat_map(|table| table["examples"].as_array().expect("examples"));
    examples.filter_map(|one| one["reason"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_preview_runs_under_the_plugins_own_limits_and_its_lines_are_not_the_agents() {
    proof(async {
        let mut stage = with_hostile("keeps", "halt").await;
        let limits = "\n[[plugin]]\nname = \"hostile\"\nmemory_max_mb = 8\nlog_lines_max = 3\n";
        let path = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        std::fs::write(&path, text + limits).expect("another profile");
        stage.start().await;
        stage.rehearsal.settle().await.expect("a synchronisation");

        // More memory than it may have: 8 MB, and not the 64 of every plugin. Under another name it has them in its place.
        let most = format!("{} are allowed", 8 << 20);
        let other = stage.rehearsal.folder().join("hostile-2.wasm");
        std::fs::copy(component(&stage, "hostile"), &other).expect("a copy");
        for (file, as_it) in
            [(component(&stage, "hostile"), &[][..]), (other.clone(), &["--as", "hostile"])]
        {
            let hoards = preview_of(&stage, &file, "hoards", as_it);
            assert!(hoards["refused"].as_u64() > Some(0), "{hoards:#}");
            assert!(reasons(&hoards).contains(&most), "{hoards:#}");
            assert_eq!(hoards["in_profile"], true, "{hoards:#}");
        }
        let unnamed = preview_of(&stage, &other, "hoards", &[]);
        assert_eq!(unnamed["in_profile"], false, "{unnamed:#}");
        assert!(!reasons(&unnamed).contains(&most), "{unnamed:#}");

        // A batch of 1,000 lines, of which 3 are heard, and one that says how many were not.
        for side in ["offline", "channel"] {
            let chatters = preview(&stage, "chatters", &["--from", side]);
            assert_eq!(chatters["same"], chatters["rows"], "{chatters:#}");
            let said = chatters["said"].as_array().expect("lines");
            let texts: Vec<&str> = said.iter().filter_map(|line| line["text"].as_str()).collect();
            assert!(texts[0].starts_with("one two "), "{chatters:#}");
            assert_eq!(texts[3], "997 more lines were dropped", "{chatters:#}");
        }
        let log = stage.rehearsal.log();
        assert!(!log.contains("one two") && !log.contains("more lines were dropped"), "{log}");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_word_on_a_rollback_that_cannot_be_read_is_said_to_be_lost_and_the_file_holds() {
    proof(async {
        let mut stage = with_hostile("keeps", "halt").await;
        stage.start().await;
        let second = another_build(hostile(), b"two ");
        let at_work = |status: &Json, bytes: &[u8]| {
            plugin(status, "hostile")["digest"].as_str() == Some(&digest(bytes))
        };
        std::fs::write(component(&stage, "hostile"), &second).expect("a component");
        until(&stage, "the second", |status| at_work(status, &second)).await;
        let ran =
            stage.tillhold(&["plugin", "rollback", "hostile", "--who", "Eve", "--why", "prices"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        until(&stage, "the first", |status| at_work(status, hostile())).await;
        stage.rehearsal.kill();
        let journal = stage.rehearsal.folder().join("offline/journal.db");
        let conn = Connection::open(journal).expect("the journal");
        let sql = "UPDATE tillhold_fact SET value = '{' WHERE name = 'plugins-rolled-back'";
        assert_eq!(conn.execute(sql, []).expect("a damage"), 1);
        drop(conn);
        stage.start().await;
        let seen = until(&stage, "the file", |status| at_work(status, &second)).await;
        assert!(plugin(&seen, "hostile")["rolled_back"].is_null(), "{seen:#}");
        let log = stage.rehearsal.log();
        let lost = "who went back to which plugin cannot be read, so the plugins' files hold";
        assert!(log.contains(lost) && log.contains("`tillhold plugin rollback` again"), "{log}");
        // The profile is no word of anybody: it goes on as it was.
        rewrite(&stage, "\"halt\"", "\"pass\"");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.close().await.expect("an end");
    });
}
