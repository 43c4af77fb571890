//! The built-in policies with the real agent: both sides change one customer while the channel is away; after the return
//! the stated row stands on both sides, and so does the decision.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// The resolver, what the office sets, what the till sets, and what stands on both sides afterwards.
struct Case {
    policy: &'static str,
    resolver: &'static str,
    office: &'static str,
    till: fn() -> Json,
    after: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 6] = [
    Case {
        policy: "channel-wins",
        resolver: "\"channel-wins\"",
        office: "[VATNUM] = N'O1'",
        till: || json!({ "VATNUM": "T1", "ORGID": "t1" }),
        after: &[("VATNUM", "O1"), ("ORGID", "")],
    },
    Case {
        policy: "offline-wins",
        resolver: "\"offline-wins\"",
        office: "[VATNUM] = N'O2', [ORGID] = N'o2'",
        till: || json!({ "VATNUM": "T2" }),
        after: &[("VATNUM", "T2"), ("ORGID", "o2")],
    },
    Case {
        policy: "newest",
        resolver: "{ policy = \"newest\", column = \"MODIFIEDDATETIME\" }",
        office: "[VATNUM] = N'O3', [MODIFIEDDATETIME] = '2027-01-02T10:00:00'",
        till: || json!({ "VATNUM": "T3", "MODIFIEDDATETIME": "2027-01-02 11:00:00.000" }),
        after: &[("VATNUM", "T3"), ("ORGID", "o2")],
    },
    Case {
        policy: "newest",
        resolver: "{ policy = \"newest\", column = \"MODIFIEDDATETIME\" }",
        office: "[VATNUM] = N'O4', [MODIFIEDDATETIME] = '2027-01-02T13:00:00'",
        till: || json!({ "VATNUM": "T4", "MODIFIEDDATETIME": "2027-01-02 12:00:00.000" }),
        after: &[("VATNUM", "O4"), ("ORGID", "o2")],
    },
    Case {
        policy: "column-merge",
        resolver: "\"column-merge\"",
        office: "[ORGID] = N'o5', [CREDITMAX] = 1000",
        till: || json!({ "VATNUM": "T5" }),
        after: &[("VATNUM", "T5"), ("ORGID", "o5"), ("CREDITMAX", "1000.0000000000000000")],
    },
    Case {
        policy: "delta",
        resolver: "{ policy = \"delta\", columns = [\"CREDITMAX\"] }",
        office: "[CREDITMAX] = 1100, [ORGID] = N'o6'",
        till: || json!({ "CREDITMAX": "1030", "VATNUM": "T6" }),
        after: &[("VATNUM", "T6"), ("ORGID", "o6"), ("CREDITMAX", "1130.0000000000000000")],
    },
];

const PLUGIN: &str = "{ plugin = \"customer-merge\" }";

#[test]
fn each_built_in_policy_leaves_the_stated_row_and_its_decision_on_both_sides() {
    proof(async {
        let mut stage = Stage::online(40).await;
        let mut before = PLUGIN;
        for (number, case) in CASES.iter().enumerate() {
            if case.resolver != before {
                resolve_by(&stage, before, case.resolver).await;
                before = case.resolver;
            }
            stage.rehearsal.cut().await.expect("a cut");
            stage.state("offline").await;
            let transaction = edit_both_sides(&stage, number, case).await;
            stage.rehearsal.restore().await.expect("the line back");
            stage.state("online").await;
            stage.rehearsal.settle().await.unwrap_or_else(|error| {
                panic!("{}: {error}\n{}", case.policy, stage.rehearsal.log())
            });
            stands_on_both_sides(&stage, case);
            is_decided_on_both_sides(&stage, &transaction, case.policy);
        }
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The running register takes the other resolver.
async fn resolve_by(stage: &Stage, before: &str, now: &str) {
    let taken = |status: &Json| status["profile_taken_at_ms"].as_i64();
    let at = taken(&stage.rehearsal.get("/v1/status").await.expect("a status").body);
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    let of = |resolver: &str| format!("plugin = \"store-customers\" }}\nresolver = {resolver}\n");
    let (before, now) = (of(before), of(now));
    assert_eq!(text.matches(&before).count(), 1, "{text}");
    std::fs::write(&path, text.replace(&before, &now)).expect("another profile");
    let reached = stage.rehearsal.until("the resolver taken", LIMIT, |status| taken(status) > at);
    reached.await.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

async fn edit_both_sides(stage: &Stage, number: usize, case: &Case) -> String {
    let account = stage.rehearsal.contested_account();
    let sql =
        format!("UPDATE [ax].[CUSTTABLE] SET {} WHERE [ACCOUNTNUM] = N'{account}';", case.office);
    assert_eq!(stage.rehearsal.office(&sql).expect("an edit"), 1);
    let mut values = (case.till)();
    values["ACCOUNTNUM"] = json!(account);
    values["DATAAREAID"] = json!("USRT");
    let row = json!({ "table": "ax.CUSTTABLE", "operation": "update", "values": values });
    let id = format!("6f9619ff-8b86-4011-b42d-00c04fc9640{number}");
    let answer = stage
        .rehearsal
        .put(&format!("/v1/transactions/{id}"), &json!({ "rows": [row] }))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.body);
    id
}

fn journal(stage: &Stage) -> Connection {
    let path = stage.rehearsal.folder().join("offline/journal.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the journal")
}

fn stands_on_both_sides(stage: &Stage, case: &Case) {
    let account = stage.rehearsal.contested_account();
    for (column, expected) in case.after {
        let sql = format!("SELECT \"{column}\" FROM \"ax.CUSTTABLE\" WHERE \"ACCOUNTNUM\" = ?1");
        let here: String =
            journal(stage).query_row(&sql, [account], |row| row.get(0)).expect("the row");
        assert_eq!(&here, expected, "{}: {column} on the register", case.policy);
        let sql = format!(
            "SELECT [RECID] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{account}' AND [{column}] = {};",
            if *column == "CREDITMAX" { expected.to_string() } else { format!("N'{expected}'") }
        );
        let there = stage.rehearsal.count(&sql).expect("a count");
        assert_eq!(there, 1, "{}: {column} at the channel", case.policy);
    }
}

fn is_decided_on_both_sides(stage: &Stage, transaction: &str, policy: &str) {
    let sql = "SELECT lower(hex(id)) FROM tillhold_decision \
               WHERE state = 'made' AND rule = ?2 AND lower(hex(transaction_id)) = ?1";
    let conn = journal(stage);
    let mut statement = conn.prepare(sql).expect("a question");
    let ids = statement
        .query_map((transaction.replace('-', ""), policy), |row| row.get(0))
        .expect("an answer")
        .collect::<Result<Vec<String>, _>>()
        .expect("ids");
    assert_eq!(ids.len(), 1, "{policy}: one decision here");
    let id = &ids[0];
    let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    let sql = format!(
        "SELECT [id] FROM [tillhold].[decision] WHERE [id] = CAST(N'{id}' AS uniqueidentifier) \
         AND [rule] = N'{policy}' AND [transaction_id] = CAST(N'{transaction}' AS uniqueidentifier);"
    );
    assert_eq!(stage.rehearsal.count(&sql).expect("a count"), 1, "{policy}: the same there");
}
