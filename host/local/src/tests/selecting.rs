//! What the next choice goes on from, when a crash has come between the two landings of the last one.

use super::{House, customers, name, prices};
use crate::file::Kind;
use crate::{KeptSelection, SelectedLanding};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::time::Duration;
use tillhold_core::selection::{Domain, MemberKind, Members, Restriction};

const DOMAIN: Domain = Domain::Customers;

fn accounts(of: &[&str]) -> Members {
    let mut members = Members::default();
    members.insert(MemberKind::Account, of.iter().map(ToString::to_string).collect());
    members
}

fn landing(tables: &[(&str, &str)], of: &[&str], computed_ms: i64) -> SelectedLanding {
    let restricted = |(table, restriction): &(&str, &str)| {
        (name(table), Restriction::parse(restriction).expect("a restriction of the test"))
    };
    let tables: BTreeMap<_, _> = tables.iter().map(restricted).collect();
    let (rule, told) = ("a rule".to_string(), "{}".to_string());
    let selection = KeptSelection { domain: DOMAIN, rule, tables, told, computed_ms };
    SelectedLanding { selection, members: accounts(of), positions: Vec::new(), epoch: [0; 16] }
}

const CUSTOMERS: (&str, &str) = ("CUSTTABLE", "ACCOUNTNUM account");
const PRICES: (&str, &str) = ("PRICEDISCTABLE", "ITEMRELATION account");

/// Ends between its two files, as by a crash.
async fn land_half(house: &House, landing: SelectedLanding) {
    let impatient = |conn: &mut Connection| Ok(conn.busy_timeout(Duration::from_millis(20))?);
    house.db.writer(Kind::Catalogue).run(impatient).await.expect("a shorter patience");
    let other = Connection::open(house.folder.path().join("catalogue.db")).expect("the catalogue");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let refused = house.db.land_selected(landing).await.expect_err("locked");
    assert_eq!(refused.code(), "local-locked");
    other.execute_batch("ROLLBACK").expect("an end");
}

async fn landed(house: &House) -> Option<(KeptSelection, Members)> {
    house.db.landed_selection(DOMAIN).await.expect("an answer")
}

#[tokio::test]
async fn who_is_missing_in_one_of_the_files_is_to_join() {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 5).await;
    house.make_ready("prices", &[&prices()], 5).await;
    assert_eq!(landed(&house).await, None);
    let first = landing(&[CUSTOMERS, PRICES], &["C1", "C2", "C3"], 1);
    let kept = first.selection.clone();
    house.db.land_selected(first).await.expect("a landing");
    assert_eq!(landed(&house).await, Some((kept.clone(), accounts(&["C1", "C2", "C3"]))));

    land_half(&house, landing(&[CUSTOMERS, PRICES], &["C2", "C4"], 2)).await;
    let counted = house.db.members(DOMAIN).await.expect("members");
    assert_eq!(counted, accounts(&["C1", "C2", "C3"]), "pull goes by the choice that counts");
    assert_eq!(landed(&house).await, Some((kept, accounts(&["C2"]))), "C1 is gone in the journal");

    let last = landing(&[CUSTOMERS, PRICES], &["C1"], 3);
    let kept = last.selection.clone();
    house.db.land_selected(last).await.expect("a landing");
    assert_eq!(landed(&house).await, Some((kept, accounts(&["C1"]))));
}

#[tokio::test]
async fn a_first_choice_that_came_to_the_journal_alone_is_gone_on_from() {
    let house = House::new().await;
    let first = landing(&[CUSTOMERS], &["C1"], 1);
    let kept = first.selection.clone();
    land_half(&house, first).await;
    assert_eq!(house.db.selection(DOMAIN).await.expect("an answer"), None);
    assert_eq!(landed(&house).await, Some((kept, accounts(&["C1"]))));
}

/// A table of the journal that came under the choice by the landing that broke off has lost rows too.
#[tokio::test]
async fn a_table_that_only_the_journals_choice_has_stands_under_it() {
    let house = House::new().await;
    house.db.land_selected(landing(&[PRICES], &["C1", "C2"], 1)).await.expect("a landing");
    land_half(&house, landing(&[CUSTOMERS, PRICES], &["C2"], 2)).await;
    let (kept, members) = landed(&house).await.expect("a choice");
    assert!(kept.tables.contains_key(&name("CUSTTABLE")));
    assert_eq!(members, accounts(&["C2"]));
}

/// Its choice is an old one, and says nothing of any row.
#[tokio::test]
async fn a_choice_without_a_table_in_the_journal_is_the_catalogues_alone() {
    let house = House::new().await;
    let unrestricted = SelectedLanding {
        positions: vec![(name("CUSTTABLE"), tillhold_core::version::ChannelVersion(5).into())],
        ..landing(&[PRICES], &["C1"], 1)
    };
    house.make_ready("customers", &[&customers()], 5).await;
    house.db.land_selected(unrestricted).await.expect("a landing in both");
    house.db.land_selected(landing(&[PRICES], &["C1", "C2"], 2)).await.expect("a landing");
    let (_, members) = landed(&house).await.expect("a choice");
    assert_eq!(members, accounts(&["C1", "C2"]));
}
