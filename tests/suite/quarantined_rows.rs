//! Pulled rows that a plugin refuses step aside, the others go on; they come by themselves once the plugin is another.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const PLAIN: &str = "transformer = { plugin = \"store-customers\" }";

/// Without a store of its own the plugin refuses every customer who belongs to a store.
fn refusing(digest: &str) -> String {
    format!(
        "transformer = {{ plugin = \"store-customers\", config = \"store=\", digest = \"{digest}\" }}"
    )
}

fn component(stage: &Stage) -> std::path::PathBuf {
    stage.rehearsal.folder().join("plugins/store-customers.wasm")
}

fn digest(stage: &Stage) -> String {
    let bytes = std::fs::read(component(stage)).expect("the component");
    let hexadecimal: String =
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hexadecimal}")
}

fn rewrite(stage: &Stage, before: &str, now: &str) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    assert!(text.contains(before), "{text}");
    std::fs::write(&path, text.replace(before, now)).expect("another profile");
}

fn tillhold(stage: &Stage, words: &[&str]) -> Json {
    stage.tillhold(&[words, &["--json"]].concat()).json()
}

async fn until(stage: &Stage, what: &'static str, wanted: impl Fn(&Json) -> bool) {
    let seen = stage.rehearsal.until(what, Duration::from_secs(120), wanted).await;
    seen.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()));
}

/// Accounts that the register has, by whether they belong to a store.
fn customers(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let path = stage.rehearsal.folder().join("offline/journal.db");
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a file");
    let list = |condition: &str| {
        let sql = format!("SELECT \"ACCOUNTNUM\" FROM \"ax.CUSTTABLE\" WHERE {condition}");
        let mut statement = conn.prepare(&sql).expect("a question");
        let names = statement.query_map((), |row| row.get(0)).expect("accounts");
        names.collect::<Result<Vec<String>, _>>().expect("names")
    };
    (list("\"INVENTLOCATION\" <> ''"), list("\"INVENTLOCATION\" = ''"))
}

fn rows_of(listed: &Json) -> Vec<(String, String)> {
    let of = |row: &Json| {
        let text = |name: &str| row[name].as_str().expect("a text").to_string();
        (text("id"), text("key"))
    };
    listed["rows"].as_array().expect("rows").iter().map(of).collect()
}

/// A custom section that says nothing: the same plugin under another digest.
fn another_build(stage: &Stage) {
    let mut bytes = std::fs::read(component(stage)).expect("the component");
    bytes.extend([0, 5, 4, b'n', b'o', b't', b'e']);
    std::fs::write(component(stage), bytes).expect("another component");
}

/// Ann does without this customer, on record on both sides.
async fn give_up(stage: &Stage, id: &str, own: &str) {
    let aside = |status: &Json| status["rows_aside"].as_u64();
    let before = aside(&stage.rehearsal.get("/v1/status").await.expect("a status").body);
    let words = ["quarantine", "discard", id, "--why", "moved away", "--who", "Ann"];
    let released = tillhold(stage, &words);
    let sql = format!(
        "SELECT [id] FROM [tillhold].[decision] WHERE [who] = N'Ann' AND [why] = N'moved away' \
         AND [table_name] = N'ax.CUSTTABLE' AND [id] = CAST(N'{}' AS uniqueidentifier);",
        released["decision"].as_str().expect("an id")
    );
    let recorded = || stage.rehearsal.count(&sql).expect("a count");
    until(stage, "given up", |status| aside(status) < before).await;
    assert_eq!(recorded(), 1);
    let decisions = tillhold(stage, &["decisions", "list"]);
    let made = &decisions["decisions"][0];
    assert_eq!((&made["id"], &made["who"]), (&released["decision"], &json!("Ann")));
    assert_eq!(made["key"]["ACCOUNTNUM"], own, "{made:#}");
}

#[test]
fn rows_that_a_plugin_refused_come_by_themselves_when_it_is_replaced() {
    proof(async {
        let mut stage = Stage::prepared(40).await;
        let (first, own) = (digest(&stage), stage.rehearsal.contested_account().to_string());
        rewrite(&stage, PLAIN, &refusing(&first));
        let of_no_store = format!(
            "UPDATE [ax].[CUSTTABLE] SET [INVENTLOCATION] = N'' \
             WHERE [ACCOUNTNUM] LIKE N'%1' AND [ACCOUNTNUM] <> N'{own}';"
        );
        assert!(stage.rehearsal.office(&of_no_store).expect("an edit") > 0);
        stage.start().await;
        let listed = tillhold(&stage, &["quarantine", "list"]);
        let refused = rows_of(&listed);
        let (with_store, without) = customers(&stage);
        assert_eq!(with_store, Vec::<String>::new(), "none that was refused is here");
        assert!(!refused.is_empty() && !without.is_empty(), "the others came: {listed:#}");
        let n = refused.len() as u64;
        let (id, key) = refused.iter().find(|(_, key)| key.contains(&own)).expect("our customer");
        let shown = tillhold(&stage, &["quarantine", "show", &id[..8]]);
        assert_eq!((&shown["kind"], &shown["code"]), (&json!("row"), &json!("rule-refused")));
        assert_eq!(shown["key"], key.as_str());

        // By hand: asked for again, refused again, under the same id. The list goes on page by page.
        let asked = tillhold(&stage, &["quarantine", "retry", id]);
        assert_eq!(asked["rows"], json!([id]), "{asked:#}");
        until(&stage, "the row was asked for", |status| {
            let scopes = status["scopes"].as_array().expect("scopes");
            let scope = scopes.iter().find(|scope| scope["name"] == "1010 Customers");
            scope.is_some_and(|scope| scope["last"]["quarantined"] == 1)
        })
        .await;
        let page = tillhold(&stage, &["quarantine", "list", "--limit", "2"]);
        let after = page["next"].as_str().expect("more").to_string();
        let rest = tillhold(&stage, &["quarantine", "list", "--after", &after]);
        assert_eq!([rows_of(&page), rows_of(&rest)].concat(), refused);
        let all = tillhold(&stage, &["quarantine", "list", "--limit", "2", "--all"]);
        assert_eq!(rows_of(&all), refused);

        give_up(&stage, id, &own).await;

        // Another build that is no better: tried again once.
        another_build(&stage);
        rewrite(&stage, &first, &digest(&stage));
        until(&stage, "tried again", |status| status["tried_again"]["rows"] == n - 1).await;
        // All of them at first, one by hand, and now all but the one that was given up.
        until(&stage, "refused again", |status| {
            let scopes = status["scopes"].as_array().expect("scopes");
            let scope = scopes.iter().find(|scope| scope["name"] == "1010 Customers");
            scope.is_some_and(|scope| scope["total"]["quarantined"] == n + 1 + (n - 1))
        })
        .await;
        until(&stage, "still aside", |status| status["rows_aside"] == n - 1).await;

        rewrite(&stage, &refusing(&digest(&stage)), PLAIN);
        until(&stage, "all passed", |status| status["rows_aside"] == 0).await;
        stage.rehearsal.settle().await.expect("a synchronisation");
        let (with_store, still) = customers(&stage);
        assert!(!with_store.is_empty(), "our own store's customers came");
        assert_eq!(still, without);
        assert!(!with_store.contains(&own), "it was given up until it changes");
        let sql =
            format!("UPDATE [ax].[CUSTTABLE] SET [ORGID] = N'x' WHERE [ACCOUNTNUM] = N'{own}';");
        assert_eq!(stage.rehearsal.office(&sql).expect("an edit"), 1);
        stage.rehearsal.settle().await.expect("a synchronisation");
        assert!(customers(&stage).0.contains(&own), "it has changed");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["tried_again"]["rows"], 2 * (n - 1), "{status:#}");
        stage.rehearsal.close().await.expect("an end");
    });
}
