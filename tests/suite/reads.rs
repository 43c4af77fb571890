//! What the till reads from the channel: its own sales as soon as they are made, pages that go on where they were read, and
//! a question that the channel cannot answer.

use crate::harness::{Stage, proof};
use serde_json::Value as Json;
use std::collections::BTreeSet;

const HEADERS: &str = "ax.RETAILTRANSACTIONTABLE";
const CUSTOMERS: &str = "/v1/tables/ax.CUSTTABLE/rows";

/// Of twenty invented customers those of the register's store.
const OWN: usize = 10;

async fn rows(stage: &Stage, path: &str) -> Json {
    let answer = stage.rehearsal.get(path).await.expect("rows");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn keys(page: &Json) -> Vec<String> {
    let rows = page["rows"].as_array().expect("rows");
    let key = |row: &Json| row["ACCOUNTNUM"].as_str().expect("a key").to_string();
    rows.iter().map(key).collect()
}

fn next(page: &Json) -> Option<&str> {
    page["next"].as_str()
}

#[test]
fn a_sale_is_read_right_after_it_whatever_holds_its_upload_up() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        let refuse =
            "REVOKE INSERT ON OBJECT::[ax].[RETAILTRANSACTIONTABLE] FROM [tillhold_register];";
        stage.rehearsal.office(refuse).expect("a right taken away");
        stage.rehearsal.sell(2).await.expect("sales that stay here");
        assert_eq!(
            stage.rehearsal.get("/v1/status").await.expect("a status").body["state"],
            "online"
        );
        for sold in &stage.rehearsal.sold {
            let path = format!("/v1/tables/{HEADERS}/rows?TRANSACTIONID={}", sold.sale.number);
            let found = rows(&stage, &path).await;
            assert_eq!(found["source"], "channel", "{found}");
            assert_eq!(found["rows"].as_array().map(Vec::len), Some(1), "{found}");
        }
        // The ones that are not there first, each once, over pages of one row.
        let (mut numbers, mut after) = (Vec::new(), String::new());
        while numbers.len() < 10 {
            let page = rows(&stage, &format!("/v1/tables/{HEADERS}/rows?limit=1{after}")).await;
            let found = page["rows"].as_array().expect("rows");
            numbers.extend(found.iter().map(|row| row["TRANSACTIONID"].clone()));
            let Some(token) = next(&page) else { break };
            after = format!("&after={token}");
        }
        let sold = &stage.rehearsal.sold;
        let expected: Vec<Json> =
            [1, 2, 0].map(|at: usize| sold[at].sale.number.clone().into()).to_vec();
        assert_eq!(numbers, expected);
        let allow = "GRANT INSERT ON OBJECT::[ax].[RETAILTRANSACTIONTABLE] TO [tillhold_register];";
        stage.rehearsal.office(allow).expect("a right given back");
        let _ = stage.rehearsal.command(&["quarantine", "retry", "--all"]).await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The two databases have orders of their own: what was begun at the channel cannot go on in the other one.
#[test]
fn pages_go_on_where_they_were_read() {
    proof(async {
        let stage = Stage::online(20).await;
        // Of which the rule drops those of other stores.
        let first = rows(&stage, &format!("{CUSTOMERS}?limit=8")).await;
        assert_eq!(first["source"], "channel");
        assert!(keys(&first).len() < 8);
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        let token = next(&first).expect("more");
        let moved = stage.rehearsal.get(&format!("{CUSTOMERS}?limit=8&after={token}")).await;
        let moved = moved.expect("an answer");
        assert_eq!((moved.status, &moved.body["code"]), (409, &"rows-moved".into()));
        let mut page = rows(&stage, &format!("{CUSTOMERS}?limit=4")).await;
        assert_eq!(page["source"], "offline");
        let mut all = keys(&page);
        stage.rehearsal.restore().await.expect("the line");
        stage.state("online").await;
        while let Some(token) = next(&page).map(str::to_string) {
            page = rows(&stage, &format!("{CUSTOMERS}?limit=4&after={token}")).await;
            assert_eq!(page["source"], "offline", "as it was begun");
            all.extend(keys(&page));
        }
        let different: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), different.len()), (OWN, OWN));
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_question_that_the_channel_cannot_answer_sends_nobody_offline() {
    proof(async {
        let stage = Stage::online(20).await;
        let refuse = "REVOKE SELECT ON OBJECT::[ax].[CUSTTABLE] FROM [tillhold_register];";
        stage.rehearsal.office(refuse).expect("a right taken away");
        for _ in 0..4 {
            let found = rows(&stage, CUSTOMERS).await;
            assert_eq!(found["source"], "offline");
            assert_eq!(keys(&found).len(), OWN);
        }
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!((&status["state"], &status["last_trouble"]), (&"online".into(), &Json::Null));
        let log = stage.rehearsal.log();
        assert!(
            log.contains("a read of ax.CUSTTABLE is answered offline: [channel-right]"),
            "{log}"
        );
        stage.rehearsal.close().await.expect("an end");
    });
}
