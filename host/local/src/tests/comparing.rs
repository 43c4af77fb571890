//! What a comparison asks: sums that any change moves, rows with why they may differ, every key once.

use super::{EPOCH, House, customers, hash, id, key, prices, row};
use crate::{RowWrite, RulingOutcome};
use std::collections::BTreeSet;
use std::sync::Arc;
use tillhold_core::comparison::{Held, Here, RangeSum};
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::version::ChannelVersion;

/// Prices 1 to `count`, and customers C1 to C5, landed.
async fn shop(count: u32) -> House {
    let house = House::new().await;
    let (customers, prices) = (customers(), prices());
    house.make_ready("customers", &[&customers], 1).await;
    house.make_ready("prices", &[&prices, &super::barcodes()], 1).await;
    let people = (1..=5).map(|n| row(&customers, &[&format!("C{n}"), "usmf", "Ann", "1.5"]));
    let priced = (1..=count).map(price);
    for (scope, table, rows) in [
        ("customers", &customers, people.collect::<Vec<Row>>()),
        ("prices", &prices, priced.collect()),
    ] {
        let changes = rows.into_iter().map(Change::Present).collect();
        house.db.stage(&table.name, changes).await.expect("staged");
        let positions = vec![(table.name.clone(), ChannelVersion(2))];
        house.db.land(scope, positions, EPOCH).await.expect("a landing");
    }
    house
}

fn price(number: u32) -> Row {
    row(&prices(), &[&number.to_string(), "item", "12.5"])
}

#[tokio::test]
async fn a_range_sums_up_to_what_the_channel_gave_until_somebody_touches_it() {
    let house = shop(50).await;
    let (table, rows) = (prices(), (1..=50).map(price).collect::<Vec<Row>>());
    let keys: Arc<[Key]> = rows.iter().rev().map(|row| row.key(&table)).collect();
    let sum = async || house.db.range_sum(&table.name, keys.clone()).await.expect("a sum");
    assert_eq!(sum().await, RangeSum::of(&rows), "in whatever order");
    let catalogue = rusqlite::Connection::open(house.folder.path().join("catalogue.db"));
    let catalogue = catalogue.expect("the catalogue");
    for harm in [
        "UPDATE \"ax.PRICEDISCTABLE\" SET ITEMRELATION = 'Item' WHERE RECID = 50",
        "UPDATE \"ax.PRICEDISCTABLE\" SET AMOUNT = 'much' WHERE RECID = 1",
        "DELETE FROM \"ax.PRICEDISCTABLE\" WHERE RECID = 7",
    ] {
        let before = sum().await;
        assert_eq!(catalogue.execute(harm, ()).expect("a change"), 1);
        assert_ne!(sum().await, before, "{harm}");
    }
    let keys = ["1", "7", "8"].map(|number| key(&table, &[number]));
    let found = house.db.rows_here(&table.name, &keys).await.expect("rows");
    assert!(
        matches!(&found[0].here, Here::Unreadable(why) if why.starts_with("AMOUNT: ")),
        "{found:?}"
    );
    assert_eq!((&found[1].here, &found[2].here), (&Here::Nothing, &Here::Row(price(8))));
}

#[tokio::test]
async fn a_row_says_why_it_may_differ() {
    let house = shop(3).await;
    let (people, priced) = (customers(), prices());
    for number in 1..=3u8 {
        let changed = row(&people, &[&format!("C{number}"), "usmf", "Bob", "1.5"]);
        let writes = vec![RowWrite::Update { table: people.name.clone(), row: changed }];
        house.db.record(id(number), hash(number), writes, 1_000).await.expect("a sale");
    }
    house.db.quarantine(id(2), "x", "y").await.expect("quarantined");
    house.db.defer(id(3), Vec::new()).await.expect("deferred");
    for (scope, table, refused) in [
        ("customers", &people, key(&people, &["c4 ", "usmf"])),
        ("prices", &priced, key(&priced, &["2"])),
    ] {
        let refused = vec![(refused, "why".to_string())];
        let refused = refused
            .into_iter()
            .map(|(key, reason): (_, String)| super::refusal(key, &reason))
            .collect();
        let outcome = RulingOutcome { refused, ..RulingOutcome::default() };
        house.db.set_rows_aside(scope, &table.name, outcome).await.expect("a mark");
    }

    let keys = ["C1", "c2 ", "C3", "C4", "C5"].map(|account| key(&people, &[account, "USMF"]));
    let found = house.db.rows_here(&people.name, &keys).await.expect("rows");
    let held: Vec<Option<Held>> = found.iter().map(|row| row.held).collect();
    let aside = Some(Held::Aside);
    assert_eq!(held, [Some(Held::Unsent), aside, Some(Held::Deferred), aside, None]);
    assert!(found.iter().all(|row| matches!(row.here, Here::Row(_))), "{found:?}");
    let keys = ["1", "2"].map(|number| key(&priced, &[number]));
    let found = house.db.rows_here(&priced.name, &keys).await.expect("rows");
    assert_eq!([found[0].held, found[1].held], [None, aside], "the catalogue's as well");
}

#[tokio::test]
async fn every_key_comes_once_page_by_page() {
    let house = shop(2_500).await;
    let table = prices();
    let (mut met, mut after, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let keys = house.db.keys_behind(&table.name, after.clone()).await.expect("keys");
        pages += 1;
        for key in &keys {
            assert!(met.insert(key.folded(&table)), "{key:?} came twice");
        }
        after = keys.last().cloned();
        if keys.len() < 1_000 {
            break;
        }
    }
    assert_eq!((met.len(), pages), (2_500, 3));
}
