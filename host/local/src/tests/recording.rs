//! POS transactions: whole, once, durable; and what is refused.

use super::{House, customers, hash, id, key, lines, name, open, prices, row, sales};
use crate::{CommittedWhere, LocalError, Recorded, RowWrite, TransactionState};
use tillhold_core::row::Row;
use tillhold_core::value::Value;

fn sale(number: &str) -> Vec<RowWrite> {
    let (sales, lines) = (sales(), lines());
    let insert = |table: &tillhold_core::table::Table, values: &[&str]| RowWrite::Insert {
        table: table.name.clone(),
        row: row(table, values),
    };
    vec![
        insert(&sales, &[number, "S0001", "12.5", "2026-11-21 10:00:00"]),
        insert(&lines, &[number, "1", "0001", "2"]),
        insert(&lines, &[number, "2", "0002", "1"]),
    ]
}

#[tokio::test]
async fn a_transaction_is_recorded_once_however_often_it_comes() {
    let house = House::new().await;
    let record = |number: u8, hashed: u8, sale: Vec<RowWrite>| {
        let db = house.db.clone();
        async move { db.record(id(number), hash(hashed), sale, 1_000).await }
    };
    assert_eq!(record(1, 1, sale("T1")).await.expect("first"), Recorded::Committed);
    assert_eq!(record(1, 1, sale("T1")).await.expect("again"), Recorded::AlreadyThere);
    assert_eq!(record(1, 2, sale("T9")).await.expect("other"), Recorded::Clash);
    assert_eq!(house.everything(&lines()).await.len(), 2, "nothing was written twice");

    let found = house.db.lookup(id(1)).await.expect("a lookup").expect("it is there");
    assert_eq!((found.hash, found.state), (hash(1), TransactionState::Pending));
    assert_eq!((found.received_at_ms, found.committed_where), (1_000, CommittedWhere::Offline));
    assert_eq!(house.db.lookup(id(2)).await.expect("a lookup"), None);

    house.db.settle(id(1), crate::Settlement::Accepted).await.expect("settled");
    assert_eq!(record(1, 1, sale("T1")).await.expect("late"), Recorded::AlreadyThere);
    assert_eq!(record(1, 2, sale("T1")).await.expect("late"), Recorded::Clash);
    let found = house.db.lookup(id(1)).await.expect("a lookup").expect("still remembered");
    assert_eq!(found.state, TransactionState::Settled);
    assert_eq!(found.committed_where, CommittedWhere::Channel);
}

#[tokio::test]
async fn a_refused_row_takes_the_whole_transaction_with_it() {
    let house = House::new().await;
    house.db.record(id(1), hash(1), sale("T1"), 1_000).await.expect("a sale");
    let (sales_name, lines_name) = (sales().name.clone(), lines().name.clone());
    let missing = RowWrite::Update {
        table: lines_name.clone(),
        row: row(&lines(), &["T1", "3", "0001", "1"]),
    };
    let null = Row(vec![Value::Null, Value::Int(1), Value::Text("x".into()), Value::Int(1)]);
    let long = Row(vec![
        Value::Text("T2".into()),
        Value::Int(9),
        Value::Text("a name of more than twenty characters".into()),
        Value::Int(1),
    ]);
    let cases: Vec<(RowWrite, &str)> = vec![
        (sale("t1 ").remove(0), "local-row-exists"),
        (missing, "local-row-missing"),
        (
            RowWrite::Delete { table: lines_name.clone(), key: key(&lines(), &["T7", "1"]) },
            "local-row-missing",
        ),
        (RowWrite::Insert { table: lines_name.clone(), row: null }, "local-misfit"),
        (RowWrite::Insert { table: lines_name.clone(), row: long }, "local-misfit"),
        (RowWrite::Insert { table: sales_name, row: Row(Vec::new()) }, "local-row-width"),
        (
            RowWrite::Insert { table: name("NOSUCHTABLE"), row: Row(Vec::new()) },
            "local-unknown-table",
        ),
        (
            RowWrite::Insert {
                table: prices().name.clone(),
                row: row(&prices(), &["1", "0001", "2"]),
            },
            "local-read-only",
        ),
    ];
    for (wrong, code) in cases {
        let mut writes = sale("T2");
        writes.push(wrong);
        let error: LocalError =
            house.db.record(id(2), hash(2), writes, 1_000).await.expect_err(code);
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(house.everything(&sales()).await.len(), 1, "{code}: a half was written");
        assert_eq!(house.db.lookup(id(2)).await.expect("a lookup"), None, "{code}");
    }
    assert_eq!(house.pending().await.len(), 1);
    let again = house.db.record(id(2), hash(2), sale("T2"), 1_000).await;
    assert_eq!(again.expect("the right one"), Recorded::Committed, "the writer goes on");
}

#[tokio::test]
async fn a_transaction_without_effect_is_settled_at_once() {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 1).await;
    house.insert(1, &customers(), &["C1", "usmf", "Ann", "1"]).await;
    house.update(2, &customers(), &["C1", "usmf", "Ann", "1.00"]).await;
    let found = house.db.lookup(id(2)).await.expect("a lookup").expect("it is there");
    assert_eq!(found.state, TransactionState::Settled);
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(1)]);
}

#[tokio::test]
async fn facts_and_numbers_outlive_a_restart() {
    let house = House::new().await;
    house.db.set_fact("state", "offline").await.expect("a fact");
    house.db.set_fact("state", "online").await.expect("a fact");
    house.db.record(id(1), hash(1), sale("T1"), 1_000).await.expect("a sale");
    house.db.settle(id(1), crate::Settlement::Accepted).await.expect("settled");
    house.db.close().await.expect("a close");
    let db = open(house.folder.path()).await;
    assert_eq!(db.fact("state").await.expect("a fact").as_deref(), Some("online"));
    assert_eq!(db.fact("other").await.expect("a fact"), None);
    let last = db.last_sequence().await.expect("a number");
    db.record(id(2), hash(2), sale("T2"), 1_000).await.expect("a sale");
    let next = db.pending(1, 100).await.expect("pending").remove(0).sequence;
    assert_eq!((last.0, next.0), (3, 4), "a number is never given twice");
}

#[tokio::test]
async fn only_the_newest_settled_transactions_are_remembered() {
    let house = House::new().await;
    for number in 1..=6 {
        house.insert(number, &lines(), &["T1", &number.to_string(), "x", "1"]).await;
    }
    for number in 1..=5 {
        let settle = move |conn: &mut rusqlite::Connection| {
            crate::settle::mark_settled(conn, id(number), CommittedWhere::Channel, 5, 3)
        };
        house.db.writer(crate::file::Kind::Journal).run(settle).await.expect("settled");
    }
    for (number, is_known) in [(1, false), (2, false), (3, true), (4, true), (5, true), (6, true)] {
        let found = house.db.lookup(id(number)).await.expect("a lookup");
        assert_eq!(found.is_some(), is_known, "transaction {number}");
    }
}

#[tokio::test]
async fn an_amendment_changes_its_cells_only() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 1).await;
    house.insert(1, &customers, &["C1", "usmf", "Ann", "1"]).await;
    let amend = |account: &str, cells: Vec<(usize, Value)>| {
        let key = key(&customers, &[account, "USMF"]);
        vec![RowWrite::Amend { table: customers.name.clone(), key, cells }]
    };
    let credit = amend("c1", vec![(3, Value::Int(7))]);
    house.db.record(id(2), hash(2), credit, 1).await.expect("an amendment");
    assert_eq!(house.everything(&customers).await, vec!["C1|usmf|Ann|7.0000000000000000"]);
    assert_eq!(house.pending().await[1].writes[0].changed(), vec![3]);
    for (cells, account, code) in [
        (vec![(9, Value::Null)], "c1", "local-row-width"),
        (vec![(2, Value::Null)], "c1", "local-misfit"),
        (vec![(3, Value::Int(1))], "c2", "local-row-missing"),
    ] {
        let refused = house.db.record(id(3), hash(3), amend(account, cells), 1).await;
        assert_eq!(refused.map_err(|e| e.code()), Err(code));
    }
}
