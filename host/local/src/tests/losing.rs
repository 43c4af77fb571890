//! What the channel has lost of the sales that it took goes up once more as it went up before, and first.

use super::{House, customers, id, lines, sell};
use crate::OldEnough;
use crate::{SentAgain, Settlement, TransactionState};
use tillhold_core::row::Row;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Transaction, TransactionId};

async fn settle_all(house: &House) {
    for transaction in house.pending().await {
        house.db.settle(transaction.id, Settlement::Accepted).await.expect("settled");
    }
}

/// By table and row: in which order they are told is nobody's.
fn rows(transaction: &Transaction) -> Vec<(TableName, Option<Row>, Option<Row>)> {
    let mut rows: Vec<_> = transaction
        .writes
        .iter()
        .map(|write| (write.table.name.clone(), write.base.clone(), write.offline.clone()))
        .collect();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

async fn send_again(house: &House, numbers: &[u8]) -> SentAgain {
    let ids = numbers.iter().map(|number| id(*number)).collect();
    let kept = house.db.kept_among(ids).await.expect("what is kept");
    house.db.send_again(kept).await.expect("sent again")
}

fn ids(pending: &[Transaction]) -> Vec<TransactionId> {
    pending.iter().map(|transaction| transaction.id).collect()
}

#[tokio::test]
async fn lost_sales_wait_again_as_they_were_before_all_later_ones() {
    let house = House::new().await;
    for number in 1..=3 {
        sell(&house, number).await;
    }
    let before = house.pending().await;
    settle_all(&house).await;
    sell(&house, 4).await;
    let arrived = house.db.arrived_before(None, 2).await.expect("the last two");
    assert_eq!(arrived.iter().map(|one| one.id).collect::<Vec<_>>(), [id(3), id(2)]);
    let first = house.db.arrived_before(arrived.last().copied(), 2).await.expect("the first");
    assert_eq!(first.iter().map(|one| one.id).collect::<Vec<_>>(), [id(1)]);

    assert_eq!(send_again(&house, &[2, 3]).await, SentAgain { sales: 2, rows: 6 });
    let pending = house.pending().await;
    assert_eq!(ids(&pending), [id(2), id(3), id(4)]);
    for (again, once) in pending.iter().zip(&before[1..]) {
        assert_eq!((again.hash, again.sequence), (once.hash, once.sequence));
        assert_eq!(rows(again), rows(once));
    }
    let record = house.db.lookup(id(2)).await.expect("a look").expect("its record");
    assert_eq!(record.state, TransactionState::Pending);
    assert_eq!(send_again(&house, &[2, 3]).await, SentAgain::default(), "they wait already");
    house.log_is_whole().await;

    settle_all(&house).await;
    assert!(house.pending().await.is_empty());
    let gone = house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge");
    assert_eq!((gone.transactions, gone.rows), (4, 12), "settled again, they age as any other");
}

#[tokio::test]
async fn a_lost_row_with_an_unsent_change_goes_up_as_it_was_before_that() {
    let house = House::new().await;
    sell(&house, 1).await;
    let before = house.pending().await;
    settle_all(&house).await;
    house.update(2, &lines(), &["T1", "1", "returned", "1"]).await;
    let change = house.pending().await;
    assert_eq!(send_again(&house, &[1]).await, SentAgain { sales: 1, rows: 3 });
    let pending = house.pending().await;
    assert_eq!(ids(&pending), [id(1), id(2)]);
    assert_eq!(rows(&pending[0]), rows(&before[0]));
    assert_eq!(rows(&pending[1]), rows(&change[0]));
}

/// A purged one, and one that made no row of a table that is only pushed.
#[tokio::test]
async fn what_is_not_there_any_more_is_not_sent() {
    let house = House::new().await;
    sell(&house, 1).await;
    settle_all(&house).await;
    house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge");
    house.insert(2, &customers(), &["C1", "usmf", "Ann", "NULL"]).await;
    settle_all(&house).await;
    assert_eq!(send_again(&house, &[1, 2]).await, SentAgain::default());
    assert!(house.pending().await.is_empty());
    let arrived = house.db.arrived_before(None, 9).await.expect("all");
    assert_eq!(arrived.len(), 2, "they stay settled");
}

/// Another program wrote what its column cannot have: neither a half of the sale goes up, nor does it hold up the others.
#[tokio::test]
async fn a_lost_sale_that_cannot_be_read_stays_where_it_is() {
    let house = House::new().await;
    for number in 1..=2 {
        sell(&house, number).await;
    }
    settle_all(&house).await;
    house.log_is_whole().await;
    let other = house.another_program();
    other.execute_batch("INSERT INTO tillhold_applying VALUES (1)").expect("silence");
    let spoilt = "UPDATE \"ax.RETAILTRANSACTIONSALESTRANS\" SET QTY = 'many' WHERE TRANSACTIONID = 'T1' AND LINE = 1";
    assert_eq!(other.execute(spoilt, ()).expect("a spoilt row"), 1);
    other.execute_batch("DELETE FROM tillhold_applying").expect("an end of it");
    assert_eq!(send_again(&house, &[1, 2]).await, SentAgain { sales: 1, rows: 3 });
    assert_eq!(ids(&house.pending().await), [id(2)]);
}

#[tokio::test]
async fn a_channel_that_comes_back_to_a_life_after_another_one_is_told_apart() {
    let house = House::new().await;
    let (ours, other, third) = ([1; 16], [2; 16], [3; 16]);
    let mut told = Vec::new();
    for life in [ours, ours, other, other, ours, ours, other, third, third] {
        told.push(house.db.is_latest_life(life).await.expect("an answer"));
    }
    assert_eq!(told, [true, true, true, true, false, false, false, true, true]);
    // What it sent to the others is to be looked for.
    assert!(house.db.awaits_resend().await.expect("an answer"));
    house.db.await_resend(false).await.expect("all found");
    assert!(!house.db.awaits_resend().await.expect("an answer"));
}
