//! A pull that stands still is the pull's own trouble: probes, sales and reads have other connections. Reads that stand
//! still themselves are answered from the offline database.

use crate::door::{OPERATOR, dial, raw, request, token};
use crate::hangups::{counted, patient};
use crate::harness::{Stage, proof};
use crate::way::{Cut, Way};
use futures_util::future::join_all;
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_embedded::Fault;

/// More than a probe, a sale's answer or a read brings; a pull of all customers brings several times that.
const A_PULLS_BYTES: usize = 128 << 10;
const LIMIT: Duration = Duration::from_secs(120);

/// The channel by another way, and every scope pulled every second.
async fn on_a_way_that_can_stall(customers: u64) -> (Stage, Way) {
    let stage = Stage::prepared(customers).await;
    let often = "UPDATE [ax].[RETAILOFFLINESCOPE] SET [SYNCFREQUENCY] = 1;";
    assert!(stage.rehearsal.office(often).expect("frequencies") > 0);
    let way = stage.on_a_way().await;
    (stage, way)
}

#[test]
fn a_pull_that_stalls_for_ever_delays_no_sale_and_no_read() {
    proof(async {
        let (mut stage, way) = on_a_way_that_can_stall(3_500).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        way.order(Cut::Stall { after: A_PULLS_BYTES }).await;
        let all = "UPDATE [ax].[CUSTTABLE] SET [TAXLICENSENUM] = N'moved';";
        assert!(stage.rehearsal.office(all).expect("changes") >= 3_500);
        let stalling = tokio::time::timeout(LIMIT, way.stalled()).await;
        stalling.expect("no long answer was met");

        stage.rehearsal.sell(5).await.expect("sales beside the stalled pull");
        assert_eq!(stage.rehearsal.sold.len(), 6);
        assert!(stage.rehearsal.sold.iter().all(|sold| sold.committed == "channel"));
        let read = stage.rehearsal.get("/v1/tables/ax.CUSTTABLE/rows?limit=3").await;
        let read = read.expect("rows").body;
        assert_eq!(read["source"], "channel", "{read}");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["state"], "online", "{status}");

        way.heal().await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

const ROWS: &str = "/v1/tables/ax.CUSTTABLE/rows?limit=3";

fn lock_customers(stage: &Stage) {
    stage.rehearsal.inject(Fault::Lock { text: "CUSTTABLE".to_string() });
}

/// More reads than there are lanes, of a channel that answers probes and nothing else; the profile would wait a minute.
#[test]
fn reads_of_a_channel_that_hangs_are_answered_from_the_offline_database_in_their_time() {
    proof(async {
        let mut stage = patient().await;
        lock_customers(&stage);
        for answer in join_all((0..5).map(|_| stage.rehearsal.get(ROWS))).await {
            let answer = answer.expect("an answer");
            assert_eq!((answer.status, &answer.body["source"]), (200, &"offline".into()));
            assert_eq!(answer.body["rows"].as_array().map(Vec::len), Some(3));
        }
        stage.rehearsal.heal();
        stage.state("online").await;
        let read = stage.rehearsal.get(ROWS).await.expect("rows").body;
        assert_eq!(read["source"], "channel", "{read}");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Nobody waits for a channel that the register has left: held by hand here, so that no trouble of a read is needed.
#[test]
fn a_read_that_waits_for_the_channel_ends_when_the_register_leaves_it() {
    proof(async {
        let stage = patient().await;
        lock_customers(&stage);
        let operator = token(&stage, OPERATOR);
        let rows = request(&format!("GET {ROWS}"), &operator, "");
        // Two have the lanes, the third waits for one.
        let reads = join_all((0..3).map(async |_| raw(dial(&stage).await, &rows).await));
        let hold = async {
            counted(&stage, &["tillhold_door_requests_in_work 3.0"]).await;
            let body = r#"{"who": "Ada", "why": "the line is being mended"}"#;
            raw(dial(&stage).await, &request("POST /v1/hold", &operator, body)).await
        };
        let (reads, hold) = tokio::join!(reads, hold);
        assert_eq!(hold.status, 200, "{}", hold.text);
        for read in reads {
            let body: Json = serde_json::from_str(&read.text).expect("JSON");
            assert_eq!((read.status, &body["source"]), (200, &"offline".into()), "{body}");
        }
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["last_trouble"], Json::Null, "none waited for its time to be over");
        stage.rehearsal.heal();
        stage.rehearsal.close().await.expect("an end");
    });
}
