//! A sale that the channel refuses steps aside: the others arrive, and it follows once its cause is mended.

use crate::harness::{Stage, proof};
use crate::reprovision::assert_refused;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Exit status, and the answer or what was told instead.
fn quarantine(stage: &Stage, words: &[&str]) -> (Option<i32>, Json) {
    let ran = stage.tillhold(&[&["quarantine"], words, &["--json"]].concat());
    (ran.status, ran.answer().unwrap_or_else(|| Json::from(ran.stderr)))
}

/// The number under which the till sold last.
fn last_number(stage: &Stage) -> String {
    let path = stage.rehearsal.folder().join("offline/journal.db");
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a file");
    let last =
        "SELECT \"TRANSACTIONID\" FROM \"ax.RETAILTRANSACTIONTABLE\" ORDER BY rowid DESC LIMIT 1";
    conn.query_row(last, (), |row| row.get(0)).expect("a sale")
}

async fn until(stage: &Stage, what: &'static str, pending: u64, quarantined: u64) {
    let reached = |status: &Json| {
        status["pending"]["transactions"] == pending && status["quarantined"] == quarantined
    };
    let limit = Duration::from_secs(120);
    let reached = stage.rehearsal.until(what, limit, reached).await;
    reached.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

/// The channel cannot take the sale of this number until the trigger is gone.
fn harm(stage: &Stage, number: &str) {
    let harm = format!(
        "CREATE TRIGGER [ax].[NOT_THIS] ON [ax].[RETAILTRANSACTIONTABLE] AFTER INSERT AS \
         UPDATE t SET [CURRENCY] = NULL FROM [ax].[RETAILTRANSACTIONTABLE] AS t \
         INNER JOIN inserted AS i ON i.[TRANSACTIONID] = t.[TRANSACTIONID] \
         WHERE t.[TRANSACTIONID] = N'{number}';"
    );
    stage.rehearsal.office(&harm).expect("a trigger that cannot take this sale");
}

fn mend(stage: &Stage) {
    stage.rehearsal.office("DROP TRIGGER [ax].[NOT_THIS];").expect("no trigger any more");
}

/// Sells `before` and `after`, offline; the last of the first is one that the channel refuses.
async fn one_refused_of(stage: &mut Stage, before: usize, after: usize) {
    stage.rehearsal.cut().await.expect("a cut");
    stage.state("offline").await;
    stage.rehearsal.sell(before).await.expect("sales offline");
    harm(stage, &last_number(stage));
    stage.rehearsal.sell(after).await.expect("more sales offline");
    stage.rehearsal.restore().await.expect("the channel again");
    stage.state("online").await;
    until(stage, "all but one arrived", 0, 1).await;
}

fn refused_with(stage: &Stage, words: &[&str], code: &str) {
    let (status, told) = quarantine(stage, words);
    let told = told.as_str().unwrap_or_default();
    assert!(status == Some(2) && told.contains(code), "{words:?}: {told}");
}

#[test]
fn of_two_hundred_sales_one_is_refused_and_another_is_let_go_of() {
    proof(async {
        let mut stage = Stage::online(20).await;
        one_refused_of(&mut stage, 120, 80).await;
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 199);
        let (_, listed) = quarantine(&stage, &["list"]);
        let sales = listed["sales"].as_array().expect("sales");
        assert!(
            sales.len() == 1 && sales[0]["reason"].as_str().is_some_and(|why| why.contains("515"))
        );
        mend(&stage);
        let short = sales[0]["short"].as_str().expect("an id");
        assert_eq!(quarantine(&stage, &["retry", short]).0, Some(0));
        until(&stage, "it arrived", 0, 0).await;
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 200);
        stage.holds().await;

        one_refused_of(&mut stage, 2, 1).await;
        let (_, listed) = quarantine(&stage, &["list"]);
        let (id, short) = (&listed["sales"][0]["id"], &listed["sales"][0]["short"]);
        let (id, short) = (id.as_str().expect("an id"), short.as_str().expect("an id"));
        refused_with(&stage, &["discard", short, "--why", " ", "--who", "Ann"], "reason-missing");
        refused_with(
            &stage,
            &["discard", "ffffffff", "--why", "x", "--who", "Ann"],
            "quarantine-unknown",
        );
        // Let go of while the channel is away, and killed before it is back: on record once, on both sides.
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        let words = ["discard", short, "--why", "entered by hand", "--who", "Ann"];
        let (status, answer) = quarantine(&stage, &words);
        assert_eq!((status, &answer["state"]), (Some(0), &json!("discarding")), "{answer:#}");
        assert_eq!(quarantine(&stage, &["list"]).1["sales"][0]["state"], "discarding");
        refused_with(&stage, &words, "quarantine-let-go");
        refused_with(&stage, &["retry", short], "quarantine-let-go");
        stage.rehearsal.kill();
        mend(&stage);
        stage.rehearsal.restore().await.expect("the channel again");
        stage.start().await;
        until(&stage, "let go of", 0, 0).await;
        is_on_record(&stage, id, &answer["decision"]).await;
        refused_with(
            &stage,
            &["discard", short, "--why", "again", "--who", "Ann"],
            "quarantine-unknown",
        );
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 202, "it was never sent");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Of the sale that Ann let go of: what is known here, and what at the channel.
async fn is_on_record(stage: &Stage, id: &str, decision: &Json) {
    let known = stage.rehearsal.get(&format!("/v1/transactions/{id}")).await.expect("an answer");
    assert_eq!(known.body["state"], "discarded", "{}", known.body);
    let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
    assert_eq!(status["unsent"]["transactions"], 0, "{status:#}");
    let decisions = stage.tillhold(&["decisions", "list", "--json"]).json();
    let made = &decisions["decisions"][0];
    assert_eq!((&made["id"], &made["transaction"]), (decision, &json!(id)), "{made:#}");
    assert_eq!((&made["who"], &made["why"]), (&json!("Ann"), &json!("entered by hand")));
    let rows = made["discarded"]["rows"].as_array().expect("the sale's rows");
    let header = rows.iter().find(|row| row["table"] == "ax.RETAILTRANSACTIONTABLE");
    assert!(header.is_some_and(|row| row["offline"]["CURRENCY"] == "USD"), "{made:#}");
    let same = format!(
        "SELECT [id] FROM [tillhold].[decision] WHERE [id] = CAST(N'{}' AS uniqueidentifier) AND \
         [transaction_id] = CAST(N'{id}' AS uniqueidentifier) AND [who] = N'Ann' AND \
         [why] = N'entered by hand' AND [outcome] LIKE N'%\"CURRENCY\":\"USD\"%';",
        decision.as_str().expect("an id")
    );
    assert_eq!(stage.rehearsal.count(&same).expect("a count"), 1);
    let all = "SELECT [id] FROM [tillhold].[decision] WHERE [rule] = N'person';";
    assert_eq!(stage.rehearsal.count(all).expect("a count"), 1);
}

#[test]
fn one_refused_sale_holds_up_no_other_and_arrives_once_when_it_is_retried() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(2).await.expect("sales online");
        assert_eq!(quarantine(&stage, &["list"]).0, Some(0), "nothing is refused yet");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        let refused = last_number(&stage);
        stage.rehearsal.sell(6).await.expect("more sales offline");
        harm(&stage, &refused);
        stage.rehearsal.restore().await.expect("the channel again");
        stage.state("online").await;
        until(&stage, "all but one arrived", 0, 1).await;

        let (status, listed) = quarantine(&stage, &["list"]);
        assert_eq!(status, Some(1), "{listed:#}");
        let sale = &listed["sales"][0];
        assert_eq!((&sale["kind"], &sale["state"]), (&json!("sale"), &json!("refused")));
        assert_eq!(sale["code"], "channel-refused", "{listed:#}");
        assert!(sale["reason"].as_str().is_some_and(|why| why.contains("515")), "{listed:#}");
        let short = sale["short"].as_str().expect("an id");
        let (status, shown) = quarantine(&stage, &["show", short]);
        assert_eq!(status, Some(0), "{shown:#}");
        assert_eq!(
            shown["transaction_rows"].as_array().map(Vec::len).map(|n| n as u64),
            sale["rows"].as_u64()
        );
        let marked = shown["transaction_rows"].as_array().expect("rows");
        let marked: Vec<&Json> = marked.iter().filter(|row| row["refused"] == "yes").collect();
        assert_eq!(marked.len(), 1, "{shown:#}");
        assert_eq!(marked[0]["table"], "ax.RETAILTRANSACTIONTABLE", "{shown:#}");
        let (status, unknown) = quarantine(&stage, &["retry", "ffffffff"]);
        assert_eq!(status, Some(2));
        assert!(
            unknown.as_str().is_some_and(|told| told.contains("quarantine-unknown")),
            "{unknown}"
        );

        stage.rehearsal.kill();
        // A database made anew would lose it.
        let words = ["1 transactions (", "1 of them are quarantined", "`tillhold quarantine list`"];
        assert_refused(&stage, "reprovision-unsent", &words);
        stage.start().await;

        // Sent again before the cause is mended it is refused again.
        assert_eq!(quarantine(&stage, &["retry", short]).0, Some(0));
        until(&stage, "refused once more", 0, 1).await;
        mend(&stage);
        let (status, again) = quarantine(&stage, &["retry", "--code", "channel-refused"]);
        assert_eq!((status, &again["state"]), (Some(0), &Json::from("pending")), "{again:#}");
        until(&stage, "it arrived", 0, 0).await;
        assert_eq!(quarantine(&stage, &["list"]).0, Some(0));
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 11);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A payment under a key that another has at the channel: neither is given up, and no sale is called whole that is not.
#[test]
fn a_row_of_a_sale_under_another_rows_key_sets_the_sale_aside() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale online");
        stage.rehearsal.settle().await.expect("sent");
        let there = stage.rehearsal.sold[0].sale.number.clone();
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        let number = stage.rehearsal.sold[1].sale.number.clone();
        let payments = "[ax].[RETAILTRANSACTIONPAYMENTTRANS]";
        let taken = format!(
            "UPDATE {payments} SET [TRANSACTIONID] = N'{number}' WHERE [TRANSACTIONID] = N'{there}';"
        );
        stage.rehearsal.office(&taken).expect("another payment under that key");
        let path = format!(
            "/v1/tables/ax.CUSTTABLE/ax.RETAILTRANSACTIONPAYMENTTRANS?TRANSACTIONID={number}"
        );
        let paid = stage.rehearsal.get(&path).await.expect("rows").body["rows"].clone();
        assert_ne!(paid, json!([]));
        stage.rehearsal.restore().await.expect("the channel again");
        until(&stage, "one set aside", 0, 1).await;
        let (_, listed) = quarantine(&stage, &["list"]);
        let reason = listed["sales"][0]["reason"].as_str().expect("a reason");
        assert!(listed["sales"][0]["code"] == "row-taken" && reason.contains(&number), "{listed}");
        let kept = stage.rehearsal.get(&path).await.expect("rows").body;
        assert_eq!(kept["rows"], paid, "the register's own: {kept}");
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), 1);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The scope of what a sale writes.
const SALES: &str = "P-0001 Channel transactions (upload)";

/// A table that is written no more waits for its unsent rows, and moves when these are sent: nobody starts the register anew.
#[test]
fn a_table_that_waited_for_its_refused_sale_moves_when_that_is_sent() {
    proof(async {
        let mut stage = Stage::online(20).await;
        one_refused_of(&mut stage, 1, 0).await;
        let path = stage.rehearsal.folder().join("profile.toml");
        let profile = std::fs::read_to_string(&path).expect("the profile");
        let no_more_sent = format!("[[scope]]\nname = \"{SALES}\"\ndirection = \"download\"\n");
        std::fs::write(&path, profile + "\n" + &no_more_sent).expect("another direction");
        let table = "ax.RETAILTRANSACTIONTABLE";
        let synchronise = async || {
            let answer = stage.rehearsal.post("/v1/sync").await.expect("a sync");
            assert!(answer.is_success(), "{answer:?}");
            stage.columns("journal.db", table)
        };
        assert_ne!(synchronise().await, Vec::<String>::new(), "it waits");
        mend(&stage);
        let (_, listed) = quarantine(&stage, &["list"]);
        let short = listed["sales"][0]["short"].as_str().expect("an id");
        assert_eq!(quarantine(&stage, &["retry", short]).0, Some(0));
        until(&stage, "it arrived", 0, 0).await;
        assert_eq!(synchronise().await, Vec::<String>::new(), "{}", stage.rehearsal.log());
        stage.rehearsal.close().await.expect("an end");
    });
}
