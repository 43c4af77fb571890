//! A pull that stands still is the pull's own trouble: probes, sales and reads have other connections.

use crate::harness::{Stage, proof};
use crate::way::{Cut, Way};
use std::time::Duration;

/// More than a probe, a sale's answer or a read brings; a pull of all customers brings several times that.
const A_PULLS_BYTES: usize = 128 << 10;
const LIMIT: Duration = Duration::from_secs(120);

/// The channel by another way, and every scope pulled every second.
async fn on_a_way_that_can_stall(customers: u64) -> (Stage, Way) {
    let stage = Stage::prepared(customers).await;
    let often = "UPDATE [ax].[RETAILOFFLINESCOPE] SET [SYNCFREQUENCY] = 1;";
    assert!(stage.rehearsal.office(often).expect("frequencies") > 0);
    let file = stage.rehearsal.config();
    let text = std::fs::read_to_string(&file).expect("the register's settings");
    let line = text.lines().find(|line| line.starts_with("port = ")).expect("a port");
    let port: u16 = line["port = ".len()..].parse().expect("a number");
    let way = Way::open(([127, 0, 0, 1], port).into()).await;
    let text = text.replace(line, &format!("port = {}", way.address.port()));
    std::fs::write(&file, text).expect("changed settings");
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
