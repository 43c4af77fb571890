//! A number of a sale is given once, whatever became of the seed.

use crate::harness::{Stage, proof};
use serde_json::{Value as Json, json};

const SEED: &str = "UPDATE [ax].[RETAILPOSSEEDDATA] SET [DATAVALUE] = 1 WHERE [DATATYPE] = 8;";

pub fn sale(stage: &Stage, number: u64) -> Json {
    let (store, till) = (&stage.rehearsal.store.own().number, stage.rehearsal.store.register());
    json!({ "rows": [{ "table": "ax.RETAILTRANSACTIONTABLE", "values": {
        "STORE": store, "TERMINAL": till, "TRANSACTIONID": format!("{store}-{till}-{number}"),
        // Another channel, so that no key of the table refuses it.
        "CHANNEL": 99, "DATAAREAID": "USRT",
    }}]})
}

async fn mark(stage: &Stage) -> u64 {
    let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
    assert_eq!(status["numbers"]["fault"], Json::Null, "{status}");
    status["numbers"]["mark"].as_u64().expect("a mark")
}

/// Head office restores an old seed: the register keeps its own, sells on, and the channel gets it back.
#[test]
fn a_seed_from_a_backup_gives_no_number_twice() {
    proof(async {
        let mut stage = Stage::online(5).await;
        stage.rehearsal.sell(3).await.expect("sales");
        let before = mark(&stage).await;
        assert!(before >= 3);
        stage.rehearsal.office(SEED).expect("an old seed");
        assert!(stage.rehearsal.post("/v1/sync").await.expect("a sync").is_success());
        assert_eq!(mark(&stage).await, before);
        stage.rehearsal.sell(2).await.expect("sales with new numbers");
        assert_eq!(mark(&stage).await, before + 2);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_used_number_is_refused_before_it_commits() {
    proof(async {
        let mut stage = Stage::online(5).await;
        stage.rehearsal.sell(2).await.expect("sales");
        let used = mark(&stage).await;
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc964a1";
        let answer = stage.rehearsal.put(path, &sale(&stage, used)).await.expect("an answer");
        assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("number-used")));
        let unknown = stage.rehearsal.get(path).await.expect("an answer");
        assert_eq!(unknown.status, 404, "nothing was written");
        // A number above is free, its repetition under the same id is answered, another sale with it is refused.
        let free = sale(&stage, used + 10);
        let first = stage.rehearsal.put(path, &free).await.expect("an answer");
        let again = stage.rehearsal.put(path, &free).await.expect("an answer");
        assert_eq!((first.status, again.status), (201, 200));
        let other = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc964a2";
        let answer = stage.rehearsal.put(other, &free).await.expect("an answer");
        assert_eq!(answer.status, 409);
        // A parked sale may come late, under a number in between that nobody used.
        let late = stage.rehearsal.put(other, &sale(&stage, used + 5)).await.expect("an answer");
        assert_eq!(late.status, 201);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The channel has sales of this register that its own database never had: their numbers are not given again.
#[test]
fn the_channels_numbers_count() {
    proof(async {
        let mut stage = Stage::prepared(5).await;
        let (store, till) = (
            stage.rehearsal.store.own().number.clone(),
            stage.rehearsal.store.register().to_string(),
        );
        let insert = format!(
            "INSERT INTO [ax].[RETAILTRANSACTIONTABLE] ([STORE], [TERMINAL], [TRANSACTIONID], [CHANNEL], [DATAAREAID]) \
             VALUES (N'{store}', N'{till}', N'{store}-{till}-90000', 1, N'USRT');"
        );
        stage.rehearsal.office(&insert).expect("a sale of another life");
        stage.start().await;
        assert_eq!(mark(&stage).await, 90_000);
        stage.rehearsal.sell(1).await.expect("a sale");
        assert_eq!(mark(&stage).await, 90_001);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A register that never heard its channel's marks gives no number.
#[test]
fn without_marks_no_sale_is_taken() {
    proof(async {
        let mut stage = Stage::online(5).await;
        let journal = stage.rehearsal.folder().join("offline/journal.db");
        stage.rehearsal.kill();
        stage.rehearsal.cut().await.expect("a cut");
        forget(&journal);
        stage.rehearsal.start().await.expect("an agent");
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc964a3";
        let answer = stage.rehearsal.put(path, &sale(&stage, 7)).await.expect("an answer");
        assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("numbers-unread")));
        let ready = stage.rehearsal.get("/readyz").await.expect("an answer");
        let why = ready.body["reasons"][0]["code"].as_str();
        assert_eq!((ready.status, why), (503, Some("numbers-unread")));
        stage.rehearsal.restore().await.expect("the line");
        stage.state("online").await;
        mark(&stage).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// As a database of before the marks were kept.
fn forget(journal: &std::path::Path) {
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let forgotten = conn.execute("DELETE FROM tillhold_fact WHERE name = 'numbers'", ());
    assert_eq!(forgotten.expect("a fact gone"), 1);
}
