//! How a register stands is known at the channel: its status, AX's own tables, the fleet.

use crate::harness::{Stage, proof};

#[test]
fn a_register_that_comes_back_tells_what_it_holds() {
    proof(async {
        let mut stage = Stage::prepared_with(5, |profile| {
            let (head, scopes) = profile.split_once("[[scope]]").expect("scopes");
            format!("{head}[synchronization]\nreport_interval_s = 1\n\n[[scope]]{scopes}")
        })
        .await;
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(3).await.expect("sales offline");
        let status = stage.rehearsal.get("/v1/status?rows=yes").await.expect("a status").body;
        assert_eq!(status["unsent"]["transactions"], 3);
        assert_eq!(status["unsent"]["amounts"][0]["currency"], "USD");
        let pending: u64 = status["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|scope| scope["pending"].as_u64())
            .sum();
        assert_eq!(status["unsent"]["rows"].as_u64(), Some(pending));
        assert!(status["scopes"][0]["rows"].as_u64().is_some(), "{status}");
        stage.rehearsal.restore().await.expect("the line");
        stage.state("online").await;
        stage.holds().await;
        let told = "SELECT 1 FROM [tillhold].[register_status] WHERE [state] = N'online' AND [unsent_transactions] = 0 AND [fault_code] IS NULL;";
        assert_eq!(stage.rehearsal.count(told).expect("a count"), 1);
        let ax = "SELECT 1 FROM [dbo].[RETAILTERMINALSYNCSTATUS] WHERE [ISOFFLINE] = 0;";
        assert_eq!(stage.rehearsal.count(ax).expect("a count"), 1);
        let log = "SELECT 1 FROM [dbo].[RETAILOFFLINESYNCLOG] AS l INNER JOIN [ax].[RETAILOFFLINESCOPE] AS s ON s.[RECID] = l.[SCOPEID] WHERE l.[TOTALUPLOADEDOK] > 0;";
        assert!(stage.rehearsal.count(log).expect("a count") > 0);
        // The store's other registers never reported, so the fleet says no.
        let fleet = stage.rehearsal.command(&["fleet", "--json"]).await;
        let words = fleet.expect_err("others were never heard").to_string();
        assert!(words.contains("exit status: 1"), "{words}");
        // It was "store NOPE: 0 registers", and well.
        let none = stage.tillhold(&["fleet", "--store", "NOPE"]);
        assert_eq!(none.status, Some(2), "{}", none.stdout);
        assert!(none.stderr.contains("error[channel-store]"), "{}", none.stderr);
        stage.rehearsal.close().await.expect("an end");
    });
}
