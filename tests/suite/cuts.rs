//! Cashiers sell while the channel fails in each of five ways: no sale fails, none is lost, none comes twice. The
//! bench of the same name measures the pauses.

#[path = "../../host/agent/benches/common/mod.rs"]
#[allow(dead_code, reason = "the benches take more of it")]
mod common;

use crate::harness::proof;
use common::cuts::run;

fn check(write_path: &'static str) {
    proof(async move {
        let told = run(write_path, 10, 20).await.expect("cuts");
        assert!(told.sales > 100, "{told:?}");
        match write_path {
            "local-first" => assert_eq!(told.offline, told.sales, "{told:?}"),
            _ => assert!((1..told.sales).contains(&told.offline), "no cut was felt: {told:?}"),
        }
        assert!(told.failed.is_empty(), "{told:?}");
        assert_eq!((told.lost, told.doubled), (0, 0), "{told:?}");
    });
}

#[test]
fn no_sale_fails_is_lost_or_doubled_channel_first() {
    check("channel-first");
}

#[test]
fn no_sale_fails_is_lost_or_doubled_local_first() {
    check("local-first");
}
