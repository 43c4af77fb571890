//! Order: nothing is sent on top of what nobody has decided, and nothing older over what was sent.

use super::{House, customers, hash, id, key, lines, row, sales};
use crate::{Deferred, RowWrite, Settlement, TransactionState};
use tillhold_core::conflict::Conflict;
use tillhold_core::table::Table;
use tillhold_core::transaction::{Operation, TransactionId};
use tillhold_core::value::Value;

fn insert(table: &Table, values: &[&str]) -> RowWrite {
    RowWrite::Insert { table: table.name.clone(), row: row(table, values) }
}

/// Cells of a customer by position: 2 is the name, 3 the credit.
fn amend(customer: &str, cells: &[(usize, &str)]) -> RowWrite {
    let table = customers();
    let cell = |(at, text): &(usize, &str)| {
        let mut values = ["X", "usmf", "", "0"];
        values[*at] = text;
        (*at, row(&table, &values).0[*at].clone())
    };
    RowWrite::Amend {
        table: table.name.clone(),
        key: key(&table, &[customer, "usmf"]),
        cells: cells.iter().map(cell).collect::<Vec<(usize, Value)>>(),
    }
}

/// With customers C1 and C2, which the channel has.
async fn house() -> House {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 5).await;
    house.insert(200, &customers(), &["C1", "usmf", "old", "1"]).await;
    house.insert(201, &customers(), &["C2", "usmf", "old", "1"]).await;
    house.db.accept(vec![id(200), id(201)]).await.expect("accepted");
    house
}

pub(super) async fn record(house: &House, number: u8, writes: Vec<RowWrite>) {
    house.db.record(id(number), hash(number), writes, 1_000).await.expect("a recorded sale");
}

async fn ready(house: &House) -> Vec<TransactionId> {
    house.pending().await.iter().map(|transaction| transaction.id).collect()
}

pub(super) async fn refuse(house: &House, number: u8) {
    house.db.quarantine(id(number), "channel-refused", "too long").await.expect("quarantined");
}

/// Of the only pending transaction: what it does to each row, and the columns it writes.
async fn sent(house: &House) -> Vec<(Operation, Vec<usize>)> {
    let pending = house.pending().await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    pending[0].writes.iter().map(|write| (write.operation, write.changed())).collect()
}

#[tokio::test]
async fn what_builds_on_a_refused_sale_waits_and_the_others_go_on() {
    let house = house().await;
    let header =
        |id: &str, gross: &str| row(&sales(), &[id, "S", gross, "2026-01-02 10:00:00.000"]);
    let sale = RowWrite::Insert { table: sales().name.clone(), row: header("T1", "1") };
    record(&house, 1, vec![sale, amend("C1", &[(3, "2")])]).await;
    let change = RowWrite::Update { table: sales().name.clone(), row: header("t1", "2") };
    record(&house, 2, vec![change, insert(&lines(), &["T1", "1", "i", "1"])]).await;
    // The line of a sale that waits itself.
    let line = RowWrite::Update {
        table: lines().name.clone(),
        row: row(&lines(), &["T1", "1", "i", "2"]),
    };
    record(&house, 3, vec![line]).await;
    // The counter that all of them share.
    record(&house, 4, vec![amend("C1", &[(3, "3")])]).await;
    record(&house, 5, vec![insert(&lines(), &["T5", "1", "i", "1"])]).await;
    refuse(&house, 1).await;
    assert_eq!(ready(&house).await, [id(4), id(5)]);
    house.db.retry(id(1)).await.expect("released");
    assert_eq!(ready(&house).await, [id(1), id(2), id(3), id(4), id(5)]);
}

#[tokio::test]
async fn a_conflict_that_waits_for_a_person_holds_its_own_row() {
    let house = house().await;
    record(&house, 1, vec![amend("C2", &[(2, "before")])]).await;
    record(&house, 2, vec![amend("C1", &[(3, "2")]), amend("C2", &[(2, "mine")])]).await;
    record(&house, 3, vec![amend("C2", &[(2, "again")])]).await;
    record(&house, 4, vec![amend("C1", &[(3, "3")])]).await;
    let side = |name| Some(row(&customers(), &["C2", "usmf", name, "1"]));
    let conflict = Conflict {
        table: customers(),
        key: key(&customers(), &["C2", "usmf"]),
        base: side("before"),
        channel: side("theirs"),
        offline: side("mine"),
    };
    let deferred = Deferred {
        id: [7; 16],
        conflict,
        reason: "both".to_string(),
        rule: "defer".to_string(),
        plugin: None,
        version: None,
    };
    house.db.defer(id(2), vec![deferred]).await.expect("deferred");
    // The first came before it.
    assert_eq!(ready(&house).await, [id(1), id(4)]);
    house.db.accept(vec![id(1)]).await.expect("accepted");
    let resolved = Settlement::Resolved { rows: Vec::new(), decisions: Vec::new() };
    house.db.settle(id(2), resolved).await.expect("settled");
    assert_eq!(ready(&house).await, [id(3), id(4)]);
}

#[tokio::test]
async fn an_overtaken_sale_does_not_take_back_what_was_sent() {
    let house = house().await;
    record(&house, 1, vec![amend("C1", &[(2, "one"), (3, "2")])]).await;
    record(&house, 2, vec![amend("C1", &[(3, "3")])]).await;
    record(&house, 3, vec![amend("C1", &[(3, "4")])]).await;
    refuse(&house, 1).await;
    house.db.accept(vec![id(2)]).await.expect("accepted");
    refuse(&house, 3).await;
    house.db.retry(id(1)).await.expect("released");
    // The credit was sent by the second; the third is still to come and takes nothing away.
    assert_eq!(sent(&house).await, [(Operation::Update, vec![2])]);
    house.db.retry(id(3)).await.expect("released");
    house.db.accept(vec![id(1)]).await.expect("accepted");
    assert_eq!(sent(&house).await, [(Operation::Update, vec![3])]);
}

/// Between the first and the one that was sent stands one that is unsent itself.
#[tokio::test]
async fn a_sale_is_overtaken_over_another_that_waits() {
    let house = house().await;
    record(&house, 1, vec![amend("C1", &[(3, "2")]), amend("C2", &[(3, "2")])]).await;
    record(&house, 2, vec![amend("C1", &[(3, "3")])]).await;
    record(&house, 3, vec![amend("C1", &[(3, "4")])]).await;
    record(&house, 4, vec![amend("C1", &[(2, "mine")])]).await;
    refuse(&house, 1).await;
    refuse(&house, 2).await;
    house.db.accept(vec![id(3)]).await.expect("accepted");
    refuse(&house, 4).await;
    house.db.retry(id(1)).await.expect("released");
    let pending = house.pending().await;
    let keys: Vec<_> = pending[0].writes.iter().map(|write| write.key.clone()).collect();
    assert_eq!(keys, [key(&customers(), &["C2", "usmf"])], "the channel's credit stays at 4");
    house.db.retry(id(2)).await.expect("released");
    assert_eq!(ready(&house).await, [id(1)]);
}

#[tokio::test]
async fn of_a_row_that_was_taken_away_since_nothing_is_left() {
    let house = house().await;
    record(&house, 1, vec![amend("C1", &[(3, "2")])]).await;
    let table = customers();
    let delete = RowWrite::Delete { table: table.name.clone(), key: key(&table, &["C1", "usmf"]) };
    record(&house, 2, vec![delete]).await;
    refuse(&house, 1).await;
    house.db.accept(vec![id(2)]).await.expect("accepted");
    house.db.retry(id(1)).await.expect("released");
    assert_eq!(ready(&house).await, []);
    let known = house.db.lookup(id(1)).await.expect("a look").expect("a transaction");
    assert_eq!(known.state, TransactionState::Settled);
}

/// While nothing is overtaken, each sale goes up with all that it did.
#[tokio::test]
async fn sales_in_their_order_keep_every_cell() {
    let house = house().await;
    for number in 1..=4 {
        record(&house, number, vec![amend("C1", &[(3, &format!("{}", number + 1))])]).await;
    }
    house.db.accept(vec![id(1)]).await.expect("accepted");
    let pending = house.pending().await;
    assert_eq!(pending.len(), 3);
    assert!(pending.iter().all(|t| t.writes[0].changed() == [3]), "{pending:?}");
}
