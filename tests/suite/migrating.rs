//! A register whose profile changed: its offline database becomes what the profile says now, in place, with what is
//! unsent, and nobody comes to provision it.

use crate::harness::{Stage, proof};
use serde_json::Value as Json;

/// Beside the channel's profile: two columns of the customers stay away, and one table more comes.
const BEFORE: &str = r#"
[[scope]]
name = "Extra"
direction = "download"
tables = ["dbo.UNITTXT"]
"#;

fn before(profile: String) -> String {
    let customers = "name = \"1010 Customers\"\n";
    assert!(profile.contains(customers));
    let exclude =
        "tables = [{ name = \"ax.CUSTTABLE\", exclude = [\"BANKACCOUNT\", \"CREDITMAX\"] }]\n";
    profile.replace(customers, &format!("{customers}{exclude}")) + BEFORE
}

/// Has a key, and stands in no scope of the channel's profile.
const EXTRA: &str = "dbo.UNITTXT";

fn dry_run(stage: &Stage) -> (Option<i32>, Json) {
    let ran = stage.tillhold(&["provision", "--dry-run", "--progress", "json"]);
    (ran.status, ran.json())
}

fn step<'j>(plan: &'j Json, table: &str) -> &'j Json {
    let steps = plan["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["table"] == table).unwrap_or(&Json::Null)
}

#[test]
fn a_changed_profile_is_migrated_in_place_with_unsent_sales() {
    proof(async {
        let mut stage = Stage::prepared_with(20, before).await;
        assert_eq!(dry_run(&stage).0, Some(1), "nothing is there yet");
        assert!(!stage.rehearsal.folder().join("offline/journal.db").exists());
        stage.start().await;
        assert!(!stage.columns("catalogue.db", EXTRA).is_empty());
        let customers = stage.columns("journal.db", "ax.CUSTTABLE");
        assert!(!customers.is_empty() && !customers.contains(&"CREDITMAX".to_string()));
        stage.rehearsal.sell(2).await.expect("sales online");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        stage.rehearsal.kill();
        stage.rehearsal.restore().await.expect("the channel again");

        let path = stage.rehearsal.folder().join("profile.toml");
        let written = std::fs::read_to_string(&path).expect("the profile");
        let changed = written.replace(BEFORE, "");
        let customers = changed.lines().filter(|line| !line.contains("exclude = "));
        std::fs::write(&path, customers.collect::<Vec<_>>().join("\n")).expect("another profile");

        let (status, plan) = dry_run(&stage);
        assert_eq!(status, Some(1), "{plan:#}");
        assert_eq!(step(&plan, EXTRA)["action"], "remove", "{plan:#}");
        let customers = step(&plan, "ax.CUSTTABLE");
        assert_eq!(customers["action"], "change", "{plan:#}");
        assert_eq!(customers["alterations"].as_array().map(Vec::len), Some(2));
        assert_eq!(customers["reread"][0], "columns-added");
        assert_eq!(plan["unsent"]["transactions"], 3, "{plan:#}");

        // Registers may read what the profile names and no more: the two columns are granted first.
        stage.rehearsal.prepare().await.expect("the channel prepared for it");
        stage.start().await;
        stage.holds().await;
        let customers = stage.columns("journal.db", "ax.CUSTTABLE");
        assert!(customers.contains(&"CREDITMAX".to_string()), "{customers:?}");
        assert_eq!(stage.columns("catalogue.db", EXTRA), Vec::<String>::new());
        assert_eq!(stage.rehearsal.sold.len(), 5);
        stage.rehearsal.kill();
        assert_eq!(dry_run(&stage).0, Some(0), "nothing is left to change");
        stage.rehearsal.close().await.expect("an end");
    });
}
