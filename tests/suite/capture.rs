//! How changes are noticed, with the real agent: by change tracking as everywhere else, by trigger tables, and what
//! becomes of a table that was altered under way.

use crate::harness::{Stage, proof};

/// The whole of a day with a channel that has no change tracking: provision, sell, cut, edit on both sides, come back.
#[test]
fn a_channel_without_change_tracking_is_followed_by_triggers() {
    proof(async {
        let triggers = |profile: String| {
            let (top, scopes) = profile.split_once("[[scope]]").expect("a scope");
            format!("{top}[capture]\nmethod = \"triggers\"\n\n[[scope]]{scopes}")
        };
        let mut stage = Stage::prepared_whole(40, triggers).await;
        // Nothing may lean on change tracking in silence.
        let untracked = "SELECT t.[object_id] FROM sys.change_tracking_tables AS t;";
        assert_eq!(stage.rehearsal.count(untracked).expect("a count"), 0);
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales online");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        stage.rehearsal.edit_on_both_sides().await.expect("edits on both sides");
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A table that gets a shape in which rows could be lost stops its own scope, with its name and what was declared; selling goes on, and so do
/// the other scopes.
#[test]
fn an_altered_table_stops_its_scope_and_no_sale() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage
            .rehearsal
            .office("ALTER TABLE [ax].[CURRENCY] ALTER COLUMN [SYMBOL] nvarchar(3) NOT NULL;")
            .expect("an altered table");
        stage.rehearsal.settle().await.expect("the other scopes");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let scopes = status["scopes"].as_array().expect("scopes");
        let faults: Vec<_> = scopes.iter().filter(|scope| !scope["fault"].is_null()).collect();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_eq!(faults[0]["fault"]["code"], "channel-altered");
        let said = faults[0]["fault"]["message"].to_string();
        for told in ["ax.CURRENCY", "SYMBOL", "nvarchar(5)", "nvarchar(3)"] {
            assert!(said.contains(told), "{said}");
        }
        stage.rehearsal.sell(2).await.expect("sales");
        assert!(stage.rehearsal.sold.iter().all(|sold| sold.committed == "channel"));
        stage.rehearsal.close().await.expect("an end");
    });
}
