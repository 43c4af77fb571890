//! The operator's word about plugins, on a running register: several in a row, granted columns, limits, signatures.

use crate::harness::{Stage, proof};
use serde_json::Value as Json;
use std::collections::BTreeSet;

const PLAIN: &str = "transformer = { plugin = \"store-customers\" }";

/// The first keeps the customers of this store, the second those of another: those of no store remain.
const BOTH: &str = "transformer = [
    { plugin = \"store-customers\" },
    { plugin = \"store-customers\", config = \"store=S9999\" },
]";

const OF_NO_STORE: &str =
    "UPDATE [ax].[CUSTTABLE] SET [INVENTLOCATION] = N'' WHERE [ACCOUNTNUM] LIKE N'%1';";

/// Homes of the customers that the door shows, and where it has them from.
async fn homes(stage: &Stage) -> (BTreeSet<String>, Json) {
    let path = "/v1/tables/ax.CUSTTABLE/rows?limit=1000";
    let answer = stage.rehearsal.get(path).await.expect("rows").body;
    let rows = answer["rows"].as_array().expect("rows");
    let homes = rows.iter().map(|row| row["INVENTLOCATION"].as_str().unwrap_or("-").to_string());
    (homes.collect(), answer["source"].clone())
}

#[test]
fn rows_pass_every_transformer_of_their_scope_on_the_way_down_and_at_the_door() {
    proof(async {
        let with = |chain: &'static str| {
            move |profile: String| {
                assert!(profile.contains(PLAIN), "{profile}");
                profile.replace(PLAIN, chain)
            }
        };
        for (chain, homes_left) in [(PLAIN, 2), (BOTH, 1)] {
            let mut stage = Stage::prepared_with(60, with(chain)).await;
            stage.rehearsal.office(OF_NO_STORE).expect("customers of no store");
            stage.start().await;
            let (online, source) = homes(&stage).await;
            assert_eq!(source, "channel");
            assert!(online.contains("") && online.len() == homes_left, "{chain}: {online:?}");
            stage.rehearsal.cut().await.expect("a cut");
            stage.state("offline").await;
            assert_eq!(homes(&stage).await, (online, "offline".into()), "{chain}");
            stage.rehearsal.close().await.expect("an end");
        }
    });
}
