//! Bulk loads.

use super::toy::bulk_columns;
use super::{House, count_rows, number, received};
use std::sync::atomic::Ordering;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, Time};
use tiberius::{ColumnData, TokenRow};
use tillhold_core::text::canonical;

fn row(number: i32) -> TokenRow<'static> {
    let moment = DateTime2::new(Date::new(738_000), Time::new(number as u64 % 1_000, 7));
    let mut row = TokenRow::new();
    for cell in [
        ColumnData::I32(Some(number)),
        ColumnData::String(Some(format!("日本 {number}").into())),
        ColumnData::Numeric(Some(Numeric::new_with_scale(i128::from(number) - 7, 4))),
        ColumnData::DateTime2((number % 3 != 0).then_some(moment)),
        ColumnData::Binary(Some(vec![number as u8; number as usize % 50].into())),
        ColumnData::String((number % 2 == 0).then(|| "für €".into())),
        ColumnData::Guid(Some(tiberius::Uuid::from_u128(number as u128))),
        ColumnData::I64(None),
    ] {
        row.push(cell);
    }
    row
}

#[tokio::test]
async fn a_bulk_load_arrives_row_for_row() {
    let house = House::open().await;
    for count in [0, 1, 2_500] {
        house.log.bulk.lock().expect("not poisoned").clear();
        let mut client = house.client().await;
        let mut load = client.bulk_insert("toys").await.expect("a bulk load");
        for number in 0..count {
            load.send(row(number)).await.expect("sent");
        }
        assert_eq!(load.finalize().await.expect("loaded").total(), count as u64);
        let loaded = house.log.bulk.lock().expect("not poisoned").clone();
        assert_eq!(loaded.len(), count as usize);
        for (number, loaded) in loaded.iter().enumerate() {
            for ((value, column), sent) in
                loaded.iter().zip(bulk_columns()).zip(row(number as i32).iter())
            {
                let loaded = canonical(value, column.of);
                assert_eq!(loaded, received(sent, column.of), "{} of {number}", column.name);
            }
        }
        assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
    }
}

#[tokio::test]
async fn columns_tell_whether_they_may_be_null() {
    let house = House::open().await;
    let mut client = house.client().await;
    let told = client.column_metadata("toys", &["*"]).await.expect("columns");
    let told: Vec<_> =
        told.iter().map(|c| (c.col_name().to_string(), c.base().is_nullable())).collect();
    let expected: Vec<_> = bulk_columns().into_iter().map(|c| (c.name, c.nullable)).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_failed_bulk_load_loads_nothing() {
    let house = House::open().await;
    for in_transaction in [false, true] {
        let mut client = house.client().await;
        if in_transaction {
            client.begin_transaction().await.expect("a transaction");
        }
        let mut load = client.bulk_insert("toys").await.expect("a bulk load");
        for number in 0..3_000 {
            let number = if number == 2_000 { -13 } else { number };
            let mut row = TokenRow::new();
            row.push(ColumnData::I32(Some(number)));
            let nothing = super::bulk::row(0);
            nothing.iter().skip(1).for_each(|cell| row.push(cell.clone()));
            load.send(row).await.expect("sent");
        }
        assert_eq!(number(load.finalize().await), Some(2_627));
        if in_transaction {
            client.commit_transaction().await.expect("the transaction is still open");
        }
        assert!(house.log.bulk.lock().expect("not poisoned").is_empty());
        assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
    }
}

#[tokio::test]
async fn an_abandoned_bulk_load_loads_nothing() {
    let house = House::open().await;
    let mut client = house.client().await;
    let mut load = client.bulk_insert("toys").await.expect("a bulk load");
    for number in 0..5_000 {
        load.send(row(number)).await.expect("sent");
    }
    drop(load);
    drop(client);
    while house.log.rollbacks.load(Ordering::Acquire) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(house.log.bulk.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_load_into_nowhere_is_refused() {
    let house = House::open().await;
    let mut client = house.client().await;
    let refused = client.bulk_insert("nowhere").await.map(drop);
    assert_eq!(number(refused), Some(208));
    assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
}
