//! Incremental changes: a scope lands whole, keys fold, unsent rows are left alone, a reader never sees half.

use super::{EPOCH, House, barcodes, customers, id, key, prices, row};
use crate::LocalDatabase;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_core::filter::Filter;
use tillhold_core::row::Change;
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

fn present(table: &Table, values: &[&str]) -> Change {
    Change::Present(row(table, values))
}

async fn land(house: &House, scope: &str, tables: &[&Arc<Table>], version: u64) -> Tally {
    let positions =
        tables.iter().map(|table| (table.name.clone(), ChannelVersion(version))).collect();
    house.db.land(scope, positions, EPOCH).await.expect("a landing")
}

/// Keys that SQL Server's usual collations call equal are one row; where a column's collation is exact, they are not.
#[tokio::test]
async fn keys_fold_as_the_channel_compares_them() {
    let house = House::new().await;
    let exact = super::table("EXACT", "CODE nvarchar(20) key bin, NAME nvarchar(20)");
    let install = tillhold_core::migration::InstalledTable {
        scope: "customers".into(),
        direction: tillhold_core::profile::Direction::Bidirectional,
        table: exact.clone(),
    };
    house
        .db
        .install([super::plan(), vec![install]].concat(), Vec::new())
        .await
        .expect("an installation");
    let customers = customers();
    house.make_ready("customers", &[&customers, &exact], 1).await;
    for (nth, account) in ["ABC", "abc", "abc  ", "Abc"].iter().enumerate() {
        let version = nth as u64 + 2;
        let change = present(&customers, &[account, "USMF", account, "0"]);
        house.db.stage(&customers.name, vec![change]).await.expect("staged");
        house.db.stage(&exact.name, vec![present(&exact, &[account, "x"])]).await.expect("staged");
        land(&house, "customers", &[&customers, &exact], version).await;
        let rows = house.everything(&customers).await;
        assert_eq!(rows, vec![format!("{account}|USMF|{account}|0.0000000000000000")]);
    }
    assert_eq!(house.everything(&exact).await, vec!["ABC|x", "Abc|x", "abc|x", "abc  |x"]);
    let gone = Change::Gone(key(&customers, &["aBC", "usmf"]));
    house.db.stage(&customers.name, vec![gone]).await.expect("staged");
    land(&house, "customers", &[&customers], 9).await;
    assert_eq!(house.everything(&customers).await, Vec::<String>::new());
}

#[tokio::test]
async fn rows_with_unsent_changes_are_left_alone_and_counted() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 1).await;
    let initial = ["C1", "C2", "C3", "C4"].map(|c| present(&customers, &[c, "usmf", "old", "0"]));
    house.db.stage(&customers.name, initial.to_vec()).await.expect("staged");
    land(&house, "customers", &[&customers], 2).await;
    house.update(1, &customers, &["C1", "usmf", "mine", "0"]).await;
    house.update(2, &customers, &["C2", "usmf", "mine", "0"]).await;
    house.db.quarantine(id(2), "test", "set aside").await.expect("quarantined");
    let changes = vec![
        present(&customers, &["c1", "USMF", "theirs", "0"]),
        Change::Gone(key(&customers, &["C2", "usmf"])),
        present(&customers, &["C3", "usmf", "theirs", "0"]),
        Change::Gone(key(&customers, &["c4", "usmf"])),
        present(&customers, &["C5", "usmf", "theirs", "0"]),
    ];
    house.db.stage(&customers.name, changes).await.expect("staged");
    let tally = land(&house, "customers", &[&customers], 3).await;
    assert_eq!(tally, Tally { rows_in: 5, applied: 3, dropped: 2, quarantined: 0 });
    let rows = house.everything(&customers).await;
    let expected = ["C1|usmf|mine", "C2|usmf|mine", "C3|usmf|theirs", "C5|usmf|theirs"];
    assert_eq!(rows, expected.map(|row| format!("{row}|0.0000000000000000")).to_vec());
    assert_eq!(house.pending().await.len(), 1, "landing logs nothing");
}

#[tokio::test]
async fn of_several_changes_of_one_row_the_last_counts() {
    let house = House::new().await;
    let prices = prices();
    house.make_ready("prices", &[&prices, &barcodes()], 1).await;
    let changes = vec![
        present(&prices, &["1", "a", "1"]),
        present(&prices, &["1", "a", "2"]),
        Change::Gone(key(&prices, &["2"])),
        present(&prices, &["2", "b", "3"]),
        present(&prices, &["3", "c", "3"]),
        Change::Gone(key(&prices, &["3"])),
    ];
    house.db.stage(&prices.name, changes).await.expect("staged");
    let tally = land(&house, "prices", &[&prices], 2).await;
    assert_eq!((tally.rows_in, tally.applied), (6, 6), "no change is unaccounted for");
    let rows = house.everything(&prices).await;
    assert_eq!(rows, vec!["1|a|2.0000000000000000", "2|b|3.0000000000000000"]);
}

#[tokio::test]
async fn a_discarded_stage_leaves_nothing() {
    let house = House::new().await;
    let prices = prices();
    house.make_ready("prices", &[&prices], 1).await;
    house.db.stage(&prices.name, vec![present(&prices, &["1", "a", "1"])]).await.expect("staged");
    house.db.discard_staged("prices").await.expect("discarded");
    assert_eq!(land(&house, "prices", &[&prices], 2).await, Tally::default());
    assert_eq!(house.db.count(&prices.name).await.expect("a count"), 0);
}

/// Readers ask on and on while price lists of two tables change; each must see lists of one version only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_half_a_price_list() {
    let house = House::new().await;
    let (prices, barcodes) = (prices(), barcodes());
    house.make_ready("prices", &[&prices, &barcodes], 1).await;
    let done = Arc::new(AtomicBool::new(false));
    let watcher = watch(house.db.clone(), prices.clone(), done.clone());
    let watching = tokio_task(watcher);
    for version in 2..40u64 {
        let amount = version.to_string();
        let list = |n: u64| present(&prices, &[&n.to_string(), "item", &amount]);
        for part in 0..5 {
            let changes = (part * 40..part * 40 + 40).map(list).collect();
            house.db.stage(&prices.name, changes).await.expect("staged");
        }
        land(&house, "prices", &[&prices, &barcodes], version).await;
    }
    done.store(true, Ordering::Relaxed);
    let looks = watching.await.expect("the reader ends");
    assert!(looks > 0, "the reader looked");
}

fn tokio_task(
    work: impl Future<Output = u64> + Send + 'static,
) -> tokio::sync::oneshot::Receiver<u64> {
    let (answer, wait) = tokio::sync::oneshot::channel();
    tillhold_env::Env::real().spawn(async move {
        let _ = answer.send(work.await);
    });
    wait
}

async fn watch(db: LocalDatabase, prices: Arc<Table>, done: Arc<AtomicBool>) -> u64 {
    let everything = Filter { limit: 1_000, ..Filter::default() };
    let mut looks = 0;
    while !done.load(Ordering::Relaxed) {
        let rows = db.read(&prices, &everything).await.expect("a read");
        let amounts: Vec<&Value> = rows.iter().map(|row| &row.0[2]).collect();
        assert!(rows.is_empty() || rows.len() == 200, "{} rows", rows.len());
        assert!(amounts.windows(2).all(|pair| pair[0] == pair[1]), "two versions at once");
        looks += 1;
    }
    looks
}
