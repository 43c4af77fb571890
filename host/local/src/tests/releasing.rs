//! What people let go of, and what is tried again by itself.

use super::{EPOCH, House, customers, id, lines, prices, refusal};
use crate::OldEnough;
use crate::{
    Circumstances, LocalError, Quarantined, Refusal, Release, Releasing, RulingOutcome,
    TransactionState, kept_circumstances,
};
use tillhold_core::row::Key;
use tillhold_core::table::TableName;
use tillhold_core::version::ChannelVersion;

fn ok<T>(answer: Result<T, LocalError>) -> T {
    answer.expect("an answer")
}

fn release(of: Quarantined, table: &TableName, key: Key) -> Release {
    Release {
        id: [9; 16],
        of,
        table: table.clone(),
        key,
        who: "Ann".to_string(),
        why: "entered at the channel".to_string(),
        asked_at_ms: 2_000,
        document: r#"{"rows":[]}"#.to_string(),
    }
}

#[tokio::test]
async fn a_sale_is_let_go_of_once_and_keeps_its_rows() {
    let house = House::new().await;
    let (lines, customers) = (lines(), customers());
    house.make_ready("customers", &[&customers], 5).await;
    house.insert(1, &customers, &["C1", "usmf", "mine", "1"]).await;
    house.insert(2, &lines, &["T2", "1", "i", "1"]).await;
    house.db.quarantine(id(1), "channel-refused", "no").await.expect("quarantined");
    house.db.quarantine(id(2), "channel-refused", "no").await.expect("quarantined");
    let first =
        release(Quarantined::Sale(id(1)), &customers.name, super::key(&customers, &["C1", "usmf"]));
    assert_eq!(ok(house.db.release(first.clone()).await), Releasing::Kept);
    let again = ok(house.db.release(first.clone()).await);
    assert_eq!(again, Releasing::Before { who: "Ann".to_string() });
    assert_eq!(house.db.counts().await.expect("counts").quarantined, 2, "the channel has to know");
    let sent = house.db.retry(id(1)).await;
    assert_eq!(sent.map_err(|e| e.code()), Err("local-wrong-state"), "it is let go of");
    assert_eq!(ok(house.db.releases().await), vec![first.clone()]);

    for _ in 0..2 {
        house.db.released(first.clone()).await.expect("released");
    }
    assert_eq!(ok(house.db.releases().await), Vec::new());
    assert_eq!(house.db.counts().await.expect("counts").quarantined, 1);
    assert_eq!(house.db.unsent(None, 10).await.expect("the unsent").len(), 1);
    let known = house.db.lookup(id(1)).await.expect("a look").expect("it is remembered");
    assert_eq!(known.state, TransactionState::Released);
    assert_eq!(house.everything(&customers).await.len(), 1, "nothing is deleted here");
    let asked = house.db.keys_to_ask_again(&customers.name).await.expect("keys");
    assert_eq!(asked, vec![first.key.clone()], "the channel's word about its row is asked for");
    let decisions = house.db.decisions(None, 10).await.expect("the decisions");
    assert_eq!(decisions.len(), 1, "once, however often it is done");
    assert_eq!(decisions[0].released.as_deref(), Some(r#"{"rows":[]}"#));
    assert_eq!(decisions[0].decision.who.as_deref(), Some("Ann"));
    assert_eq!(decisions[0].transaction, id(1));

    let other = release(Quarantined::Sale(id(1)), &customers.name, first.key);
    assert_eq!(ok(house.db.release(other).await), Releasing::Gone, "it is no more in quarantine");
}

/// A released sale's own rows go when a settled one's would.
#[tokio::test]
async fn a_released_sale_ages_like_a_settled_one() {
    let house = House::new().await;
    let lines = lines();
    house.insert(1, &lines, &["T1", "1", "i", "1"]).await;
    house.db.quarantine(id(1), "channel-refused", "no").await.expect("quarantined");
    let key = super::key(&lines, &["T1", "1"]);
    let release = release(Quarantined::Sale(id(1)), &lines.name, key);
    let purged = house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge");
    assert_eq!(purged.rows, 0, "what stands in quarantine stays");
    house.db.release(release.clone()).await.expect("kept");
    house.db.released(release).await.expect("released");
    assert_eq!(house.everything(&lines).await.len(), 1);
    assert_eq!(house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge").rows, 1);
    assert_eq!(house.everything(&lines).await.len(), 0);
}

fn refused(ids: &[&str], circumstances: &str) -> RulingOutcome {
    let key = |id: &&str| refusal(super::key(&prices(), &[id]), "no amount");
    let circumstances = Some(circumstances.to_string());
    RulingOutcome { refused: ids.iter().map(key).collect(), passed: Vec::new(), circumstances }
}

#[tokio::test]
async fn a_row_set_aside_has_an_id_that_stays_and_can_be_given_up() {
    let house = House::new().await;
    let prices = prices();
    house.make_ready("prices", &[&prices], 5).await;
    for _ in 0..2 {
        let outcome = refused(&["1", "2", "3"], "then");
        house.db.set_rows_aside("prices", &prices.name, outcome).await.expect("marked");
    }
    let listed = house.db.rows_aside(None, 2).await.expect("a page");
    let rest = listed.last().map(|row| (row.since_ms, row.id));
    let rest = house.db.rows_aside(rest, 2).await.expect("the next page");
    assert_eq!((listed.len(), rest.len()), (2, 1));
    let outcome = refused(&["1", "2", "3"], "then");
    house.db.set_rows_aside("prices", &prices.name, outcome).await.expect("marked");
    assert_eq!(house.db.rows_aside(None, 2).await.expect("a page"), listed, "ids stay");

    let row = listed[0].clone();
    let digits = tillhold_core::text::hexadecimal(&row.id)[..8].to_string();
    assert_eq!(ok(house.db.quarantined_as(digits).await), vec![Quarantined::Row(row.id)]);
    let release = release(Quarantined::Row(row.id), &prices.name, row.row_key.clone());
    assert_eq!(ok(house.db.release(release.clone()).await), Releasing::Kept);
    assert!(!ok(house.db.ask_again(row.id).await), "it is given up");
    house.db.released(release).await.expect("released");
    assert_eq!(ok(house.db.row_aside(row.id).await), None);
    assert_eq!(house.db.counts().await.expect("counts").rows_aside, 2);
    let decisions = house.db.decisions(None, 10).await.expect("the decisions");
    assert_eq!(decisions[0].decision.conflict.table.name, prices.name, "a table of the catalogue");
}

#[tokio::test]
async fn what_was_refused_is_tried_again_once_under_other_circumstances() {
    let house = House::new().await;
    let (lines, prices) = (lines(), prices());
    house.make_ready("prices", &[&prices], 5).await;
    house.insert(1, &lines, &["T1", "1", "i", "1"]).await;
    house.insert(2, &lines, &["T2", "1", "i", "1"]).await;
    let at = |text: &str| -> Circumstances {
        [&lines.name, &prices.name].map(|table| (table.to_string(), text.to_string())).into()
    };
    let circumstances = Some(kept_circumstances(&at("then")));
    let hangs = Refusal { reason: "no".to_string(), circumstances, ..Refusal::default() };
    house.db.quarantine(id(1), "rule-refused", hangs).await.expect("quarantined");
    house.db.quarantine(id(2), "ledger-clash", "another").await.expect("quarantined");
    let outcome = refused(&["1"], "then");
    house.db.set_rows_aside("prices", &prices.name, outcome).await.expect("marked");
    assert_eq!(ok(house.db.retry_where_changed(at("then")).await), Vec::new());
    assert_eq!(ok(house.db.ask_again_where_changed(at("then")).await), 0);
    assert_eq!(ok(house.db.scopes_to_ask_again().await), Default::default());

    assert_eq!(ok(house.db.retry_where_changed(at("now")).await), vec![id(1)], "not the clash");
    assert_eq!(ok(house.db.ask_again_where_changed(at("now")).await), 1);
    assert_eq!(ok(house.db.ask_again_where_changed(at("now")).await), 0, "once");
    let scopes = house.db.scopes_to_ask_again().await.expect("scopes");
    assert_eq!(scopes.into_iter().collect::<Vec<_>>(), ["prices"]);
    let keys = house.db.keys_to_ask_again(&prices.name).await.expect("keys");
    assert_eq!(keys, vec![super::key(&prices, &["1"])]);
    let landed = vec![(prices.name.clone(), ChannelVersion(6))];
    let asked = vec![(prices.name.clone(), keys)];
    house.db.land_asked("prices", landed, EPOCH, asked).await.expect("a landing");
    assert_eq!(ok(house.db.keys_to_ask_again(&prices.name).await), Vec::new());
}
