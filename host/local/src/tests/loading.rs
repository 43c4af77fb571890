//! First loads and loads anew.

use super::{EPOCH, House, barcodes, customers, key, open, prices, row};
use crate::{Load, LocalError, TableState};
use tillhold_core::profile::Capture;
use tillhold_core::row::Change;
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Position, TableMark};

async fn state(house: &House, table: &Table) -> TableState {
    let states = house.db.tables().await.expect("the tables");
    states.into_iter().find(|state| state.table.name == table.name).expect("it is installed")
}

async fn page(house: &House, table: &Table, rows: &[&[&str]]) -> Result<Tally, LocalError> {
    let rows: Vec<_> = rows.iter().map(|values| row(table, values)).collect();
    let last = rows.last().expect("a page has rows").key(table);
    house.db.load_page(&table.name, rows, last).await
}

fn applied(count: u64) -> Tally {
    Tally { rows_in: count, applied: count, ..Tally::default() }
}

const V5: ChannelVersion = ChannelVersion(5);

/// A table of which only the pages are there is not shown; the changes since its first page make it whole.
#[tokio::test]
async fn r3_a_first_load_resumes_and_is_not_readable_before_it_lands() {
    let house = House::new().await;
    let prices = prices();
    assert_eq!(state(&house, &prices).await.load, Load::NotStarted);
    house.db.begin_load(&prices.name, EPOCH, V5).await.expect("a begin");
    let first = page(&house, &prices, &[&["1", "a", "1"], &["2", "b", "2"]]).await;
    assert_eq!(first.expect("a page"), applied(2));
    let read = house.db.read(&prices, &Default::default()).await;
    assert_eq!(read.map_err(|e| e.code()), Err("local-not-ready"));
    let land = house.db.land("prices", vec![(prices.name.clone(), V5)], EPOCH).await;
    assert_eq!(land.map_err(|e| e.code()), Err("local-load-unfinished"));

    house.db.close().await.expect("a close");
    let house = House { db: super::open(house.folder.path()).await, folder: house.folder };
    let resumed = state(&house, &prices).await;
    let after = Some(key(&prices, &["2"]));
    assert_eq!(resumed.load, Load::Loading { from: V5, after });
    assert_eq!(resumed.version, None);
    house.db.begin_load(&prices.name, EPOCH, V5).await.expect("beginning again goes on");
    page(&house, &prices, &[&["3", "c", "3"]]).await.expect("a page");
    house.db.end_load(&prices.name).await.expect("an end");
    let loaded = state(&house, &prices).await;
    assert_eq!((loaded.version, loaded.load, loaded.ready), (Some(V5), Load::Loaded, false));

    house.db.begin_load(&barcodes().name, EPOCH, V5).await.expect("a begin");
    house.db.end_load(&barcodes().name).await.expect("an end");
    house.db.stage(&prices.name, vec![Change::Gone(key(&prices, &["2"]))]).await.expect("staged");
    let positions = vec![
        (prices.name.clone(), ChannelVersion(6)),
        (barcodes().name.clone(), ChannelVersion(6)),
    ];
    let tally = house.db.land("prices", positions, EPOCH).await.expect("a landing");
    assert_eq!(tally, applied(1));
    let rows = house.everything(&prices).await;
    assert_eq!(rows, vec!["1|a|1.0000000000000000", "3|c|3.0000000000000000"]);
    let landed = state(&house, &prices).await;
    assert_eq!(
        (landed.version, landed.epoch, landed.ready),
        (Some(ChannelVersion(6)), Some(EPOCH), true)
    );
    assert_eq!(house.db.epochs_of("prices").await.expect("epochs"), [EPOCH]);
}

#[tokio::test]
async fn a_load_from_another_version_starts_anew() {
    let house = House::new().await;
    let prices = prices();
    house.db.begin_load(&prices.name, EPOCH, V5).await.expect("a begin");
    page(&house, &prices, &[&["1", "a", "1"]]).await.expect("a page");
    house.db.begin_load(&prices.name, EPOCH, ChannelVersion(9)).await.expect("a begin");
    assert_eq!(house.db.count(&prices.name).await.expect("a count"), 0);
    let load = state(&house, &prices).await.load;
    assert_eq!(load, Load::Loading { from: ChannelVersion(9), after: None });
}

#[tokio::test]
async fn a_load_that_starts_anew_keeps_unsent_rows() {
    let house = House::new().await;
    let customers = customers();
    house.db.begin_load(&customers.name, EPOCH, V5).await.expect("a begin");
    house.insert(1, &customers, &["mine", "usmf", "local", "0"]).await;
    page(&house, &customers, &[&["theirs", "usmf", "x", "0"]]).await.expect("a page");
    house.db.begin_load(&customers.name, EPOCH, ChannelVersion(9)).await.expect("a begin");
    assert_eq!(house.db.count(&customers.name).await.expect("a count"), 1);
    house.db.end_load(&customers.name).await.expect("an end");
    let positions = vec![(customers.name.clone(), ChannelVersion(9))];
    house.db.land("customers", positions, EPOCH).await.expect("landed");
    assert!(house.everything(&customers).await[0].starts_with("mine"));
    assert_eq!(house.pending().await.len(), 1, "and nothing of it was logged");
}

/// Two channel rows that this register cannot tell apart: one of them would be lost, so the load stops and says so.
#[tokio::test]
async fn two_rows_of_one_key_stop_the_load() {
    let house = House::new().await;
    let prices = prices();
    house.db.begin_load(&prices.name, EPOCH, V5).await.expect("a begin");
    let twice = page(&house, &prices, &[&["1", "a", "1"], &["1", "b", "2"]]).await;
    assert_eq!(twice.map_err(|e| e.code()), Err("local-key-twice"));
    assert_eq!(house.db.count(&prices.name).await.expect("a count"), 0, "the page is whole or not");
}

#[tokio::test]
async fn a_load_anew_shows_the_old_rows_until_it_lands() {
    let house = House::new().await;
    let (prices, barcodes) = (prices(), barcodes());
    house.make_ready("prices", &[&prices, &barcodes], 1).await;
    let present = |values: &[&str]| Change::Present(row(&prices, values));
    let old = vec![present(&["1", "a", "1"]), present(&["2", "b", "2"])];
    house.db.stage(&prices.name, old).await.expect("staged");
    let land = |version| {
        let positions = vec![(prices.name.clone(), ChannelVersion(version))];
        house.db.land("prices", positions, EPOCH)
    };
    land(2).await.expect("a landing");
    let before = house.everything(&prices).await;

    house.db.begin_load(&prices.name, EPOCH, ChannelVersion(50)).await.expect("a begin");
    page(&house, &prices, &[&["2", "b", "2.5"], &["3", "c", "3"]]).await.expect("a page");
    assert_eq!(house.everything(&prices).await, before, "the POS sees nothing of it");
    house.db.discard_staged("prices").await.expect("a new pass begins");
    house.db.end_load(&prices.name).await.expect("an end");
    let waiting = state(&house, &prices).await;
    assert_eq!((waiting.version, waiting.load), (Some(ChannelVersion(50)), Load::Loaded));
    house.db.discard_staged("prices").await.expect("another pass begins");
    house.db.stage(&prices.name, vec![present(&["4", "d", "4"])]).await.expect("staged");
    assert_eq!(house.everything(&prices).await, before, "nor of its end");
    // Rows of the load were counted page by page; landing counts what was staged since.
    assert_eq!(land(51).await.expect("a landing"), applied(1));
    let rows = house.everything(&prices).await;
    assert_eq!(
        rows,
        vec!["2|b|2.5000000000000000", "3|c|3.0000000000000000", "4|d|4.0000000000000000"]
    );
}

/// A reload of a bidirectional table must neither overwrite nor remove what is unsent, and must keep what was sent
/// while it ran: the channel does not send this register's own changes back.
#[tokio::test]
async fn a_load_anew_keeps_unsent_and_just_sent_rows() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 1).await;
    for (number, account) in [(1, "sent"), (2, "unsent"), (3, "sent-later")] {
        house.insert(number, &customers, &[account, "usmf", "local", "0"]).await;
    }
    house.db.settle(super::id(1), crate::Settlement::Accepted).await.expect("settled");
    house.db.begin_load(&customers.name, EPOCH, ChannelVersion(50)).await.expect("a begin");
    let rows: [&[&str]; 2] =
        [&["channel", "usmf", "channel", "0"], &["unsent", "usmf", "channel", "0"]];
    let loaded = page(&house, &customers, &rows).await.expect("a page");
    assert_eq!(loaded, Tally { rows_in: 2, applied: 1, dropped: 1, quarantined: 0 });
    house.db.settle(super::id(3), crate::Settlement::Accepted).await.expect("settled");
    house.db.end_load(&customers.name).await.expect("an end");
    let positions = vec![(customers.name.clone(), ChannelVersion(50))];
    let tally = house.db.land("customers", positions, EPOCH).await.expect("a landing");
    assert_eq!(tally, Tally::default());
    let names: Vec<String> = house
        .everything(&customers)
        .await
        .iter()
        .map(|row| row.split('|').step_by(2).take(2).collect::<Vec<_>>().join("="))
        .collect();
    assert_eq!(names, vec!["channel=channel", "sent-later=local", "unsent=local"]);
    assert_eq!(house.pending().await.len(), 1, "what pull writes is not news");
}

#[tokio::test]
async fn a_first_load_of_a_bidirectional_table_respects_unsent_rows() {
    let house = House::new().await;
    let customers = customers();
    house.db.begin_load(&customers.name, EPOCH, V5).await.expect("a begin");
    house.insert(1, &customers, &["C1", "usmf", "local", "0"]).await;
    let rows: [&[&str]; 2] = [&["c1 ", "usmf", "channel", "0"], &["C2", "usmf", "channel", "0"]];
    let tally = page(&house, &customers, &rows).await.expect("a page");
    assert_eq!(tally, Tally { rows_in: 2, applied: 1, dropped: 1, quarantined: 0 });
    house.db.end_load(&customers.name).await.expect("an end");
    house.db.land("customers", vec![(customers.name.clone(), V5)], EPOCH).await.expect("landed");
    let rows = house.everything(&customers).await;
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains("local"), "{rows:?}");
    assert_eq!(house.pending().await.len(), 1);
}

#[tokio::test]
async fn steps_out_of_order_are_refused() {
    let house = House::new().await;
    let prices = prices();
    let code = |error: LocalError| error.code();
    assert_eq!(house.db.end_load(&prices.name).await.map_err(code), Err("local-no-load"));
    let early = page(&house, &prices, &[&["1", "a", "1"]]).await;
    assert_eq!(early.map_err(code), Err("local-no-load"));
    let staged = house.db.stage(&prices.name, Vec::new()).await;
    assert_eq!(staged.map_err(code), Err("local-no-load"));
    let sales = super::sales();
    let upload = house.db.begin_load(&sales.name, EPOCH, V5).await;
    assert_eq!(upload.map_err(code), Err("local-not-pulled"));
    house.make_ready("prices", &[&prices], 1).await;
    let outside = house.db.land("customers", vec![(prices.name.clone(), V5)], EPOCH).await;
    assert_eq!(outside.map_err(code), Err("local-outside-scope"));
}

/// A row that a rule refuses during a load anew is not gone: the register keeps what it has of it.
#[tokio::test]
async fn a_load_anew_keeps_rows_that_may_not_come_in() {
    let house = House::new().await;
    let prices = prices();
    house.make_ready("prices", &[&prices], 1).await;
    let old = ["1", "2", "3"].map(|id| Change::Present(row(&prices, &[id, "old", "1"])));
    house.db.stage(&prices.name, old.to_vec()).await.expect("staged");
    let land = |version| {
        let positions = vec![(prices.name.clone(), ChannelVersion(version))];
        house.db.land("prices", positions, EPOCH)
    };
    land(2).await.expect("a landing");
    house.db.begin_load(&prices.name, EPOCH, ChannelVersion(9)).await.expect("a begin");
    page(&house, &prices, &[&["1", "new", "1"]]).await.expect("a page");
    let refused = vec![key(&prices, &["2"]), key(&prices, &["7"])];
    house.db.keep_while_loading(&prices.name, refused).await.expect("kept");
    house.db.end_load(&prices.name).await.expect("an end");
    assert_eq!(land(9).await.expect("a landing"), Tally::default());
    let rows = house.everything(&prices).await;
    assert_eq!(rows, vec!["1|new|1.0000000000000000", "2|old|1.0000000000000000"]);
}

/// After the channel was restored each scope is loaded anew by itself: the others' old epoch must not hold it up.
#[tokio::test]
async fn a_scope_stands_under_its_own_epoch() {
    let house = House::new().await;
    let (prices, restored) = (prices(), [9; 16]);
    house.make_ready("customers", &[&customers()], 5).await;
    house.make_ready("prices", &[&prices], 5).await;
    assert_eq!(house.db.epochs_of("prices").await.expect("epochs"), [EPOCH]);
    house.db.begin_load(&prices.name, restored, V5).await.expect("a begin");
    assert_eq!(house.db.epochs_of("prices").await.expect("epochs"), [EPOCH]);
    house.db.end_load(&prices.name).await.expect("an end");
    assert_eq!(house.db.epochs_of("prices").await.expect("epochs"), [restored]);
    house.db.land("prices", vec![(prices.name.clone(), V5)], restored).await.expect("landed");
    assert_eq!(house.db.epochs_of("prices").await.expect("epochs"), [restored]);
    assert_eq!(house.db.epochs_of("customers").await.expect("epochs"), [EPOCH]);
    assert_eq!(house.db.epochs_of("sales").await.expect("epochs"), [[0; 16]; 0]);
}

/// A position without what the table was then says nothing; both commit together.
#[tokio::test]
async fn r8_a_position_and_its_mark_land_together() {
    let house = House::new().await;
    let prices = prices();
    let at = |version, history: &str| Position {
        version: ChannelVersion(version),
        mark: Some(TableMark {
            capture: Capture::ChangeTracking,
            history: history.to_string(),
            altered: "2026-11-22T01:02:03.123".to_string(),
        }),
    };
    let mark = async || house.db.state_of(&prices.name).await.expect("a state").mark;
    assert_eq!(mark().await, None);
    house.db.begin_load(&prices.name, EPOCH, at(5, "1/0")).await.expect("a begin");
    assert_eq!(mark().await, at(5, "1/0").mark, "of the load");
    house.db.end_load(&prices.name).await.expect("an end");
    assert_eq!(mark().await, at(5, "1/0").mark);
    let positions = vec![(prices.name.clone(), at(9, "1/3"))];
    house.db.land("prices", positions, EPOCH).await.expect("landed");
    assert_eq!(mark().await, at(9, "1/3").mark);
    // A load anew of another table under the same name does not go on where the first one stopped.
    house.db.begin_load(&prices.name, EPOCH, at(9, "2/9")).await.expect("a begin");
    assert_eq!(mark().await, at(9, "2/9").mark);
    house.db.close().await.expect("a close");
    let again = open(house.folder.path()).await;
    assert_eq!(again.state_of(&prices.name).await.expect("a state").mark, at(9, "2/9").mark);
}
