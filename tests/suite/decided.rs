//! Contested sales: what was decided is on record on both sides, once, wherever the agent dies.

use crate::harness::{Stage, proof};
use std::time::Duration;

/// Id and rule of each decision on the register's side.
fn kept_here(stage: &Stage) -> Vec<(String, String)> {
    let journal = stage.rehearsal.folder().join("offline/journal.db");
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let sql = "SELECT lower(hex(id)), rule FROM tillhold_decision WHERE state = 'made'";
    let mut statement = conn.prepare(sql).expect("a question");
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("an answer");
    rows.collect::<Result<_, _>>().expect("decisions")
}

const RECORDED: &str = "SELECT [id] FROM [tillhold].[decision];";

/// The channel commits and its answer never comes; the agent is killed while it waits. The decision was recorded with
/// the rows, and the next agent finds it by its id.
#[test]
fn a_decision_outlives_an_agent_that_is_killed_right_after_the_channels_commit() {
    proof(async {
        let mut stage = Stage::online(40).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.edit_on_both_sides().await.expect("edits on both sides");
        stage.rehearsal.lose_the_answer_to("INSERT INTO [tillhold].[decision]");
        stage.rehearsal.restore().await.expect("the line back");
        let started = std::time::Duration::from_secs(120);
        let recorded = async {
            while stage.rehearsal.count(RECORDED).expect("a count") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(started, recorded).await.expect("no decision was recorded");
        stage.rehearsal.kill();
        assert_eq!(kept_here(&stage), [], "the register knew before the answer");
        stage.rehearsal.heal();
        stage.start().await;
        stage.holds().await;
        assert_eq!(stage.rehearsal.count(RECORDED).expect("a count"), 1);
        let here = kept_here(&stage);
        assert_eq!(here.len(), 1, "{here:?}");
        let same = format!(
            "SELECT [id] FROM [tillhold].[decision] WHERE [id] = CONVERT(uniqueidentifier, N'{}') AND [rule] = N'{}';",
            dashed(&here[0].0),
            here[0].1
        );
        assert_eq!(stage.rehearsal.count(&same).expect("a count"), 1, "{same}");
        stage.rehearsal.close().await.expect("an end");
    });
}

fn dashed(id: &str) -> String {
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}
