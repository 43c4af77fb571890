//! Contested sales: what was decided is on record on both sides, once, wherever the agent dies.

use crate::harness::{Stage, proof};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Id and rule of each decision that the register has on record.
fn kept_here(stage: &Stage) -> Vec<(String, String)> {
    let journal = stage.rehearsal.folder().join("offline/journal.db");
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let sql = "SELECT lower(hex(id)), rule FROM tillhold_decision WHERE state = 'made'";
    let mut statement = conn.prepare(sql).expect("a question");
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("an answer");
    rows.collect::<Result<_, _>>().expect("decisions")
}

fn recorded(stage: &Stage) -> usize {
    let count = stage.rehearsal.count("SELECT [id] FROM [tillhold].[decision];");
    count.expect("a count")
}

fn is_recorded(stage: &Stage, id: &str, rule: &str) -> bool {
    let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    let sql = format!(
        "SELECT [id] FROM [tillhold].[decision] WHERE [id] = CAST(N'{id}' AS uniqueidentifier) AND [rule] = N'{rule}';"
    );
    stage.rehearsal.count(&sql).expect("a count") == 1
}

/// Leaves the customers' conflicts to people, and one other scope's to a policy.
fn to_people(profile: String) -> String {
    let named = "resolver = { plugin = \"customer-merge\" }";
    assert!(profile.contains(named), "the profile names no resolver");
    profile.replace(named, "resolver = \"defer\"")
}

/// What a command of the program says on stdout, its exit status, and what it tells beside.
fn tillhold(stage: &Stage, words: &[&str]) -> (String, Option<i32>, String) {
    let ran = stage.tillhold(words);
    (ran.stdout, ran.status, ran.stderr)
}

fn json_of(stage: &Stage, words: &[&str]) -> Json {
    stage.tillhold(&[words, &["--json"]].concat()).json()
}

fn column<'j>(conflict: &'j Json, name: &str) -> &'j Json {
    let columns = conflict["columns"].as_array().expect("columns");
    columns.iter().find(|column| column["column"] == name).expect("the column")
}

async fn with_one_conflict(stage: &Stage, number: u64) {
    stage.rehearsal.cut().await.expect("a cut");
    stage.state("offline").await;
    edit_one_customer(stage, number).await;
    stage.rehearsal.restore().await.expect("the line back");
    stage.state("online").await;
    let waits = |status: &Json| status["conflicts"] == 1;
    let limit = Duration::from_secs(120);
    stage.rehearsal.until("a conflict that waits", limit, waits).await.expect("a conflict");
}

pub fn vat_at_the_channel(stage: &Stage, value: &str) -> bool {
    let account = stage.rehearsal.contested_account();
    let sql = format!(
        "SELECT [RECID] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{account}' AND [VATNUM] = N'{value}';"
    );
    stage.rehearsal.count(&sql).expect("a count") == 1
}

fn resolved_by_ann(stage: &Stage, id: &str, more: &[&str]) -> (String, Option<i32>, String) {
    tillhold(stage, &[&["conflicts", "resolve", id, "--who", "Ann"], more].concat())
}

fn refuses_wrong_choices(stage: &Stage, id: &str) {
    for (id, wrong, code) in [
        (id, "--set=VATNUMM=x", "error[conflict-column]"),
        (id, "--set=ACCOUNTNUM=x", "error[conflict-column]"),
        (id, "--set=CREDITMAX=much", "error[conflict-column]"),
        ("ffffffff", "--take=channel", "error[conflict-unknown]"),
        ("ff", "--take=channel", "error[id-digits]"),
    ] {
        let (_, status, told) = resolved_by_ann(stage, id, &[wrong]);
        assert!(status == Some(2) && told.contains(code), "{wrong}: {told}");
    }
}

/// Shown side by side, decided on the command line, carried out by push, on record on both sides.
#[test]
fn a_person_decides_a_conflict_by_the_rows_that_they_were_shown() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        with_one_conflict(&stage, 1).await;
        let listed = json_of(&stage, &["conflicts", "list"]);
        let id = listed["conflicts"][0]["short"].as_str().expect("an id").to_string();
        let (words, status, _) = tillhold(&stage, &["conflicts", "list"]);
        assert!(words.contains(&id) && words.contains("ax.CUSTTABLE"), "{words}");
        assert_eq!(status, Some(1), "something waits for a person");
        let shown = json_of(&stage, &["conflicts", "show", &id]);
        let vat = column(&shown, "VATNUM");
        assert_eq!(vat["changed_by"], json!(["channel", "offline"]), "{vat}");
        assert_eq!(
            (&vat["channel"], &vat["offline"]),
            (&json!("US-OFFICE-1"), &json!("US-TILL-1"))
        );

        // The channel's row moves before it is decided: what was shown is not what is there.
        let account = stage.rehearsal.contested_account().to_string();
        let moved = format!(
            "UPDATE [ax].[CUSTTABLE] SET [VATNUM] = N'US-LATER' WHERE [ACCOUNTNUM] = N'{account}';"
        );
        assert_eq!(stage.rehearsal.office(&moved).expect("an edit"), 1);
        let resolve = |id: &str, more: &[&str]| resolved_by_ann(&stage, id, more);
        refuses_wrong_choices(&stage, &id);
        let (_, status, words) = resolve(&id, &["--take", "offline"]);
        assert_eq!(status, Some(0), "{words}");
        let limit = Duration::from_secs(120);
        let again = async {
            loop {
                let listed = json_of(&stage, &["conflicts", "list"]);
                let first = listed["conflicts"][0].clone();
                if first["state"] == "waiting" && first["short"] != id.as_str() {
                    return first;
                }
            }
        };
        let again = tokio::time::timeout(limit, again).await.expect("deferred again");
        let reason = again["reason"].as_str().expect("a reason");
        assert!(reason.contains("Ann") && reason.contains("changed since"), "{reason}");
        assert!(vat_at_the_channel(&stage, "US-LATER"), "nothing was written over it");

        let id = again["short"].as_str().expect("an id").to_string();
        let decided =
            ["--take", "offline", "--set", "VATNUM=US-BOTH", "--why", "asked the customer"];
        let (_, status, words) = resolve(&id, &decided);
        assert_eq!(status, Some(0), "{words}");
        stage.rehearsal.settle().await.expect("everything sent");
        assert!(vat_at_the_channel(&stage, "US-BOTH"));
        let (_, status, words) =
            resolve(again["id"].as_str().expect("an id"), &["--take", "channel"]);
        assert!(status == Some(2) && words.contains("error[conflict-settled]"), "{words}");
        let decisions = json_of(&stage, &["decisions", "list"]);
        let made = &decisions["decisions"][0];
        assert_eq!((&made["rule"], &made["who"]), (&json!("person"), &json!("Ann")), "{made}");
        assert_eq!(made["why"], "asked the customer");
        assert_eq!(made["decided"]["VATNUM"], "US-BOTH");
        let same = format!(
            "SELECT [id] FROM [tillhold].[decision] WHERE [id] = CAST(N'{}' AS uniqueidentifier) AND [rule] = N'person' AND [who] = N'Ann' AND [why] = N'asked the customer';",
            made["id"].as_str().expect("an id")
        );
        assert_eq!((stage.rehearsal.count(&same).expect("a count"), recorded(&stage)), (1, 1));
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// No agent runs: the command reads and decides in its own program, and the next agent carries it out.
#[test]
fn a_conflict_is_decided_while_no_agent_runs() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        with_one_conflict(&stage, 1).await;
        stage.rehearsal.kill();
        let words = ["1 contested rows wait", "`tillhold conflicts list`"];
        crate::reprovision::assert_refused(&stage, "reprovision-unsent", &words);
        let listed = json_of(&stage, &["conflicts", "list"]);
        let id = listed["conflicts"][0]["id"].as_str().expect("an id").to_string();
        let (_, status, words) =
            tillhold(&stage, &["conflicts", "resolve", &id, "--take", "channel", "--who", "Bob"]);
        assert_eq!(status, Some(0), "{words}");
        let (_, status, words) =
            tillhold(&stage, &["conflicts", "resolve", &id, "--take", "offline", "--who", "Ann"]);
        assert!(status == Some(2) && words.contains("error[conflict-decided]"), "{words}");
        stage.start().await;
        stage.rehearsal.settle().await.expect("everything sent");
        assert!(vat_at_the_channel(&stage, "US-OFFICE-1"));
        let account = stage.rehearsal.contested_account();
        let rows = format!("/v1/tables/ax.CUSTTABLE/rows?ACCOUNTNUM={account}");
        let rows = stage.rehearsal.get(&rows).await.expect("rows").body;
        assert_eq!(rows["rows"][0]["VATNUM"], "US-OFFICE-1", "the register follows");
        assert_eq!(kept_here(&stage).len(), 1);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The office and the till give one customer another VAT number each.
pub async fn edit_one_customer(stage: &Stage, number: u64) {
    let account = stage.rehearsal.contested_account();
    let office = format!(
        "UPDATE [ax].[CUSTTABLE] SET [VATNUM] = N'US-OFFICE-{number}' WHERE [ACCOUNTNUM] = N'{account}';"
    );
    assert_eq!(stage.rehearsal.office(&office).expect("an edit"), 1);
    let body = json!({ "rows": [{ "table": "ax.CUSTTABLE", "operation": "update", "values": {
        "ACCOUNTNUM": account, "DATAAREAID": "USRT", "VATNUM": format!("US-TILL-{number}"),
    }}]});
    let path = format!("/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc9640{number}");
    let answer = stage.rehearsal.put(&path, &body).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// One customer is edited on both sides while the channel is away, by a register that has followed it much further than it
/// will have come when it is back.
pub async fn edit_in_a_former_life(stage: &mut Stage) {
    stage.rehearsal.kill();
    let journal = stage.rehearsal.folder().join("offline/journal.db");
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let further = "UPDATE tillhold_table SET version = version + 1000000 \
                   WHERE direction = 'bidirectional'";
    assert!(conn.execute(further, ()).expect("a former life") > 0);
    conn.close().expect("an end");
    stage.rehearsal.cut().await.expect("a cut");
    stage.rehearsal.start().await.expect("an agent");
    stage.state("offline").await;
    edit_one_customer(stage, 1).await;
}

/// The channel comes back from a backup and counts its versions anew, below the one that the register's unsent change stands
/// on. What head office writes there was never seen by the register, whatever its number is.
#[test]
fn a_change_from_before_the_channel_was_restored_is_contested() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        edit_in_a_former_life(&mut stage).await;
        stage.rehearsal.restore().await.expect("the line back");
        let waits = |status: &Json| status["state"] == "online" && status["conflicts"] == 1;
        let limit = Duration::from_secs(120);
        let seen = stage.rehearsal.until("a conflict that waits", limit, waits).await;
        seen.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
        assert!(vat_at_the_channel(&stage, "US-OFFICE-1"), "{}", stage.rehearsal.log());
        stage.rehearsal.close().await.expect("an end");
    });
}

/// At each of the commits of a return in turn the channel's answer is lost, and the agent is killed as soon as the
/// channel has the decision: it was recorded with the rows, and the next agent finds it by its id.
#[test]
fn a_decision_outlives_an_agent_that_is_killed_right_after_the_channels_commit() {
    proof(async {
        let mut stage = Stage::online(40).await;
        for number in 1..=4 {
            stage.rehearsal.cut().await.expect("a cut");
            stage.state("offline").await;
            edit_one_customer(&stage, number).await;
            let before = recorded(&stage);
            stage.rehearsal.lose_the_answer_to_commit(number);
            stage.rehearsal.restore().await.expect("the line back");
            let decided = async {
                while recorded(&stage) == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let limit = Duration::from_secs(120);
            tokio::time::timeout(limit, decided).await.expect("no decision was recorded");
            stage.rehearsal.kill();
            stage.rehearsal.heal();
            stage.start().await;
            stage.rehearsal.settle().await.expect("everything sent");
        }
        let here = kept_here(&stage);
        assert_eq!((here.len(), recorded(&stage)), (4, 4), "{here:?}");
        for (id, rule) in &here {
            assert!(is_recorded(&stage, id, rule), "{id} by {rule}");
        }
        stage.rehearsal.close().await.expect("an end");
    });
}

fn vat_of(stage: &Stage, account: &str, value: &str) -> bool {
    let sql = format!(
        "SELECT [RECID] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{account}' AND [VATNUM] = N'{value}';"
    );
    stage.rehearsal.count(&sql).expect("a count") == 1
}

fn edits(rows: &[(&str, &str)]) -> Json {
    let row = |(account, vat): &(&str, &str)| {
        json!({ "table": "ax.CUSTTABLE", "operation": "update", "values": {
            "ACCOUNTNUM": account, "DATAAREAID": "USRT", "VATNUM": vat,
        }})
    };
    json!({ "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

/// The later sale has arrived and its answer is lost; then the older one, which waited for a person, has its turn.
#[test]
fn an_older_sale_does_not_undo_a_later_one_that_has_arrived() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        let contested = stage.rehearsal.contested_account().to_string();
        let page = stage.rehearsal.get("/v1/tables/ax.CUSTTABLE/rows?limit=2").await.expect("rows");
        let accounts = page.body["rows"].as_array().expect("rows").iter();
        let mut others = accounts.filter_map(|row| row["ACCOUNTNUM"].as_str());
        let other = others.find(|account| *account != contested).expect("another").to_string();

        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        let office = format!(
            "UPDATE [ax].[CUSTTABLE] SET [VATNUM] = N'US-OFFICE' WHERE [ACCOUNTNUM] = N'{contested}';"
        );
        assert_eq!(stage.rehearsal.office(&office).expect("an edit"), 1);
        let path = |sale: u8| format!("/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc9650{sale}");
        let older = edits(&[(&contested, "US-TILL"), (&other, "US-OLDER")]);
        let answer = stage.rehearsal.put(&path(1), &older).await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        let waits = |status: &Json| status["conflicts"] == 1;
        let limit = Duration::from_secs(120);
        stage.rehearsal.until("a conflict", limit, waits).await.expect("a conflict");

        stage.rehearsal.lose_the_answer_to_commit(1);
        let (later, later_path) = (edits(&[(&other, "US-LATER")]), path(2));
        let sold = stage.rehearsal.put(&later_path, &later);
        let arrived = async {
            while !vat_of(&stage, &other, "US-LATER") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            arrived = tokio::time::timeout(limit, arrived) => arrived.expect("it arrives"),
            // By whoever notices first that the connection is gone.
            answer = sold => {
                let answer = answer.expect("an answer").body;
                assert_eq!(answer["committed"], "offline", "the channel's answer is lost: {answer}");
            }
        }
        stage.rehearsal.kill();
        stage.rehearsal.heal();
        let listed = json_of(&stage, &["conflicts", "list"]);
        let id = listed["conflicts"][0]["id"].as_str().expect("an id");
        let (_, status, words) = resolved_by_ann(&stage, id, &["--take", "offline"]);
        assert_eq!(status, Some(0), "{words}");
        stage.start().await;
        stage.rehearsal.settle().await.expect("everything sent");
        assert!(vat_of(&stage, &contested, "US-TILL"), "the person's choice");
        assert!(vat_of(&stage, &other, "US-LATER"), "the later sale's value");
        let rows = format!("/v1/tables/ax.CUSTTABLE/rows?ACCOUNTNUM={other}");
        let rows = stage.rehearsal.get(&rows).await.expect("rows").body;
        assert_eq!(rows["rows"][0]["VATNUM"], "US-LATER");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Nobody waits for what no push can bring up, and the channel is not to blame for it.
#[test]
fn a_sale_behind_a_conflict_is_answered_at_once_and_the_channel_is_not_doubted() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        with_one_conflict(&stage, 1).await;
        let account = stage.rehearsal.contested_account().to_string();
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc96601";
        let behind = edits(&[(&account, "US-AGAIN")]);
        let before = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let answer = stage.rehearsal.put(path, &behind).await.expect("an answer");
        assert_eq!((answer.status, &answer.body["committed"]), (201, &json!("offline")));
        let again = stage.rehearsal.put(path, &behind).await.expect("an answer");
        assert_eq!((again.status, &again.body["replayed"]), (200, &json!(true)));
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["state"], "online", "{status}");
        assert_eq!(status["last_trouble"], before["last_trouble"], "the channel is blamed");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The channel's row is there, and the rule does not let it onto the register: that is no deletion.
#[test]
fn a_conflict_with_a_row_that_the_rule_refuses_waits_and_deletes_nothing() {
    proof(async {
        // Without a store of its own the plugin refuses every customer who belongs to a store.
        let refusing = |profile: String| {
            let rule = "transformer = { plugin = \"store-customers\"";
            let resolver = "resolver = { plugin = \"customer-merge\" }";
            assert!(profile.contains(rule) && profile.contains(resolver), "{profile}");
            let profile = profile.replace(rule, &format!("{rule}, config = \"store=\""));
            profile.replace(resolver, "resolver = \"channel-wins\"")
        };
        let mut stage = Stage::prepared_with(40, refusing).await;
        stage.start().await;
        let account = stage.rehearsal.contested_account().to_string();
        let set = |to: &str| {
            let sql =
                format!("UPDATE [ax].[CUSTTABLE] SET {to} WHERE [ACCOUNTNUM] = N'{account}';");
            assert_eq!(stage.rehearsal.office(&sql).expect("an edit"), 1);
        };
        set("[INVENTLOCATION] = N'', [VATNUM] = N'US-BEFORE'");
        let synced = stage.rehearsal.post("/v1/sync").await.expect("an answer");
        assert!(synced.is_success(), "{}", synced.body);

        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        set("[INVENTLOCATION] = N'S0999', [VATNUM] = N'US-OFFICE'");
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc96701";
        let edit = edits(&[(&account, "US-TILL")]);
        assert_eq!(stage.rehearsal.put(path, &edit).await.expect("an answer").status, 201);
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        let (limit, waits) = (Duration::from_secs(120), |status: &Json| status["conflicts"] == 1);
        stage.rehearsal.until("a conflict", limit, waits).await.expect("a conflict");
        let listed = json_of(&stage, &["conflicts", "list"]);
        let conflict = &listed["conflicts"][0];
        assert!(
            conflict["reason"].as_str().is_some_and(|why| why.contains("refuses")),
            "{conflict}"
        );
        // In the file: the door reads from the channel, where the rule refuses the row.
        let here = || {
            let journal = stage.rehearsal.folder().join("offline/journal.db");
            let conn = rusqlite::Connection::open(journal).expect("the journal");
            let sql = "SELECT VATNUM FROM \"ax.CUSTTABLE\" WHERE ACCOUNTNUM = ?1";
            conn.query_row(sql, [&account], |row| row.get::<_, String>(0))
                .expect("the row is there")
        };
        assert_eq!(here(), "US-TILL");
        let id = conflict["id"].as_str().expect("an id");
        let (_, status, words) = resolved_by_ann(&stage, id, &["--take", "channel"]);
        assert_eq!(status, Some(0), "{words}");
        stage.rehearsal.settle().await.expect("everything sent");
        assert!(vat_of(&stage, &account, "US-OFFICE"), "the person's choice");
        assert_eq!(here(), "US-BEFORE", "the last row that the register could have");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A conflict that waited kept its customer, so that everybody was chosen anew each second, and the log said so.
#[test]
fn a_customer_that_waits_for_a_person_is_not_chosen_again_and_again_and_goes_when_decided() {
    proof(async {
        let mut stage = Stage::prepared_with(40, to_people).await;
        stage.start().await;
        with_one_conflict(&stage, 1).await;
        let path = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        let nobody = format!("{text}\n[offline_customers]\npersonal_data = false\n");
        std::fs::write(&path, nobody).expect("another profile");
        let in_force = |status: &Json| status["selection"]["customers"]["in_force"] == true;
        let is_said = || stage.rehearsal.log().matches("offline customers were chosen").count();
        let limit = Duration::from_secs(120);
        let nobody_there = |status: &Json| in_force(status) && is_said() > 0;
        stage.rehearsal.until("nobody chosen", limit, nobody_there).await.expect("in force");
        // Each asks for what is due, and the agent does by itself each second.
        let mut computed = Vec::new();
        for _ in 0..5 {
            stage.rehearsal.post("/v1/sync").await.expect("a sync");
            let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
            computed.push(status["selection"]["customers"]["computed_at_ms"].as_i64());
        }
        assert!(computed[2].is_some() && computed[2] == computed[4], "{computed:?}");
        assert_eq!(is_said(), 1, "{}", stage.rehearsal.log());
        assert_eq!(customers(&stage), 1, "the contested one stays");
        let listed = json_of(&stage, &["conflicts", "list"]);
        let id = listed["conflicts"][0]["short"].as_str().expect("an id").to_string();
        let (_, status, words) = resolved_by_ann(&stage, &id, &["--take", "channel"]);
        assert_eq!(status, Some(0), "{words}");
        let gone = |status: &Json| status["conflicts"] == 0 && customers(&stage) == 0;
        stage.rehearsal.until("the customer gone", limit, gone).await.expect("no personal data");
        stage.rehearsal.close().await.expect("an end");
    });
}

fn customers(stage: &Stage) -> i64 {
    let journal = stage.rehearsal.folder().join("offline/journal.db");
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let sql = "SELECT count(*) FROM \"ax.CUSTTABLE\"";
    conn.query_row(sql, (), |row| row.get(0)).expect("a count")
}
