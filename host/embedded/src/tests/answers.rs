//! Results, errors, cancelling.

use super::toy::TYPED;
use super::{House, count_rows, number, received};
use futures_util::StreamExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tiberius::{ColumnData, EncryptionLevel, IntoSql, Query, numeric::Numeric};
use tillhold_core::types::SqlType;

#[tokio::test]
async fn every_type_arrives_at_its_extremes_under_every_encryption() {
    let house = House::open().await;
    for encryption in
        [EncryptionLevel::NotSupported, EncryptionLevel::Off, EncryptionLevel::Required]
    {
        let mut client = house.connect(house.config(encryption)).await.expect("a login");
        for batch in ["typed", "typed null"] {
            let rows = client.simple_query(batch).await.expect("a result");
            let rows = rows.into_first_result().await.expect("a row");
            let row = rows.first().expect("one row");
            for ((column, cell), (declaration, given)) in row.cells().zip(TYPED) {
                let of = SqlType::parse(declaration).expect("a type of the table");
                let expected = (batch == "typed").then(|| padded(declaration, given));
                assert_eq!(received(cell, of), expected, "{declaration} under {encryption:?}");
                assert_eq!(column.name(), *declaration);
            }
        }
    }
}

fn padded(declaration: &str, given: &str) -> String {
    let width = match declaration {
        "char(6)" => 6,
        "nchar(4)" => 4,
        _ => 0,
    };
    format!("{given:width$}")
}

#[tokio::test]
async fn money_arrives_as_far_as_tiberius_can_read_it() {
    // tiberius reads money as a float; exactness is checked in the codec's own tests.
    let house = House::open().await;
    let mut client = house.client().await;
    let rows = client.simple_query("typed").await.expect("a result");
    let rows = rows.into_first_result().await.expect("a row");
    let at = TYPED.iter().position(|(of, _)| *of == "smallmoney").expect("in the table");
    let cell = rows[0].cells().nth(at).expect("the column").1;
    assert!(matches!(cell, ColumnData::F64(Some(n)) if *n == 214748.3647), "{cell:?}");
}

#[tokio::test]
async fn parameters_come_back_as_they_were_sent() {
    let house = House::open().await;
    let mut client = house.client().await;
    let long = "日本\u{1F600}".repeat(3_000);
    let bytes = vec![7u8; 20_000];
    let given: Vec<ColumnData<'_>> = vec![
        ColumnData::U8(Some(255)),
        ColumnData::I16(Some(-1)),
        ColumnData::I32(None),
        ColumnData::I64(Some(i64::MIN)),
        ColumnData::F32(Some(0.1)),
        ColumnData::F64(Some(-0.1)),
        ColumnData::Bit(Some(true)),
        "short".into_sql(),
        long.as_str().into_sql(),
        ColumnData::String(None),
        ColumnData::Binary(Some(bytes.as_slice().into())),
        ColumnData::Numeric(Some(Numeric::new_with_scale(-12_345, 2))),
        ColumnData::Guid(Some(tiberius::Uuid::from_u128(
            0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF,
        ))),
        ColumnData::Guid(None),
        ColumnData::Binary(Some(Vec::new().into())),
    ];
    let mut query = Query::new("echo");
    given.iter().cloned().for_each(|cell| query.bind(cell));
    let rows = query.query(&mut client).await.expect("an answer");
    let rows = rows.into_first_result().await.expect("a row");
    let back: Vec<_> = rows[0].cells().map(|(_, cell)| cell.clone()).collect();
    assert_eq!(back, given);
}

#[tokio::test]
async fn a_big_result_arrives_whole_in_packets_of_any_size() {
    let house = House::open().await;
    for packet_bytes in [512, 4_096, 32_767] {
        let mut config = house.config(EncryptionLevel::Required);
        config.packet_size(packet_bytes);
        let mut client = house.connect(config).await.expect("a login");
        let mut rows = client.simple_query("rows 50000").await.expect("a result").into_row_stream();
        let mut next = 0;
        while let Some(row) = rows.next().await {
            let row = row.expect("a row");
            assert_eq!(row.get::<i32, _>(0), Some(next));
            assert_eq!(row.get::<&str, _>(1), Some(format!("row number {next}").as_str()));
            next += 1;
        }
        assert_eq!(next, 50_000, "packets of {packet_bytes}");
    }
}

#[tokio::test]
async fn a_slow_reader_stalls_the_engine() {
    let house = House::open().await;
    let mut client = house.client().await;
    let total = 3_000_000;
    let sql = format!("rows {total}");
    let mut rows = client.simple_query(sql).await.expect("a result").into_row_stream();
    rows.next().await.expect("one").expect("a row");
    let given = || house.log.rows_given.load(Ordering::Relaxed);
    let mut before = 0;
    while given() != before {
        before = given();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(before < total / 2, "{before} rows were made for one that was read");
}

#[tokio::test]
async fn an_error_leaves_the_connection_usable() {
    let house = House::open().await;
    let mut client = house.client().await;
    for wanted in [2_627, 547, 1_205] {
        let refused = count_rows(&mut client, &format!("fail {wanted}")).await;
        assert_eq!(number(refused), Some(wanted));
        let refused = client.execute(format!("fail {wanted}"), &[]).await;
        assert_eq!(number(refused), Some(wanted));
        assert_eq!(count_rows(&mut client, "rows 3").await.ok(), Some(3));
    }
    assert_eq!(number(count_rows(&mut client, "stumble").await), Some(515));
    assert_eq!(number(count_rows(&mut client, "nonsense").await), Some(102));
    assert_eq!(number(count_rows(&mut client, "lie").await), Some(8_630));
    assert_eq!(count_rows(&mut client, "print hello").await.ok(), Some(0));
    assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn counts_are_those_of_the_statements() {
    let house = House::open().await;
    let mut client = house.client().await;
    let executed = client.execute("rows 7", &[]).await.expect("an answer");
    assert_eq!(executed.total(), 7);
}

#[tokio::test]
async fn cancelling_what_has_ended_is_acknowledged_once() {
    let house = House::open().await;
    let mut client = house.client().await;
    for _ in 0..3 {
        assert_eq!(count_rows(&mut client, "rows 2").await.ok(), Some(2));
        client.cancel_query().await.expect("an acknowledgement");
        assert_eq!(count_rows(&mut client, "rows 4").await.ok(), Some(4));
    }
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_engine() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    {
        let waiting = client.simple_query("wait");
        assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    }
    drop(client);
    // Ends only when the interrupted session has rolled back.
    while house.log.rollbacks.load(Ordering::Acquire) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_panic_of_the_engine_costs_one_connection() {
    let house = House::open().await;
    let mut client = house.client().await;
    let mut other = house.client().await;
    assert!(count_rows(&mut client, "panic").await.is_err());
    assert!(count_rows(&mut client, "rows 1").await.is_err());
    assert_eq!(count_rows(&mut other, "rows 1").await.ok(), Some(1));
    assert_eq!(count_rows(&mut house.client().await, "rows 1").await.ok(), Some(1));
}
