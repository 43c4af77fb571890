//! Reads: folded comparison, key order, pages, prefixes; and that the indexes are used.

use super::{EPOCH, House, barcodes, customers, hash, id, insert, key, lines, prices, row, sell};
use crate::file::Kind;
use crate::{LocalError, RowWrite};
use rusqlite::Connection;
use std::sync::{Arc, Mutex};
use tillhold_core::filter::Filter;
use tillhold_core::row::Change;
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

async fn shop() -> House {
    let house = House::new().await;
    let (customers, barcodes) = (customers(), barcodes());
    house.make_ready("customers", &[&customers], 1).await;
    house.make_ready("prices", &[&prices(), &barcodes], 1).await;
    let people = ["C01", "c02 ", "C03", "D01", "d02", "c_x", "c%y"]
        .map(|c| Change::Present(row(&customers, &[c, "usmf", &format!("Name of {c}"), "NULL"])));
    house.db.stage(&customers.name, people.to_vec()).await.expect("staged");
    land(&house, "customers", &customers).await;
    let codes = (1..=500)
        .map(|n: u32| {
            row(&barcodes, &[&n.to_string(), &format!("40{n:04}"), &format!("i{}", n % 7)])
        })
        .map(Change::Present)
        .collect();
    house.db.stage(&barcodes.name, codes).await.expect("staged");
    land(&house, "prices", &barcodes).await;
    house
}

async fn land(house: &House, scope: &str, table: &Table) {
    let positions = vec![(table.name.clone(), ChannelVersion(2))];
    house.db.land(scope, positions, EPOCH).await.expect("a landing");
}

fn text(value: &str) -> Value {
    Value::Text(value.to_string())
}

/// The first column of the rows that a filter finds.
async fn check(house: &House, table: &Table, filter: Filter, expected: &[&str]) {
    let rows = house.db.read(table, &filter).await.expect("a read");
    let found: Vec<String> = rows
        .iter()
        .map(|row| super::shown(table, row).split('|').next().expect("a cell").to_string())
        .collect();
    assert_eq!(found, expected, "{filter:?}");
}

#[tokio::test]
async fn filters_compare_as_the_channel_does() {
    let house = shop().await;
    let (customers, barcodes) = (customers(), barcodes());
    let ask = |equals: Vec<(usize, Value)>, prefix: Option<&str>| Filter {
        equals,
        prefix: prefix.map(|prefix| (0, prefix.to_string())),
        after: None,
        limit: 10,
    };
    check(&house, &customers, ask(vec![(0, text("c01"))], None), &["C01"]).await;
    check(&house, &customers, ask(vec![(0, text("C02"))], None), &["c02 "]).await;
    check(&house, &customers, ask(vec![(0, text("C02   ")), (1, text("USMF"))], None), &["c02 "])
        .await;
    check(&house, &customers, ask(vec![(0, text("C01")), (1, text("other"))], None), &[]).await;
    check(&house, &customers, ask(vec![(3, Value::Null), (0, text("d01"))], None), &["D01"]).await;
    check(&house, &customers, ask(vec![], Some("d")), &["D01", "d02"]).await;
    check(&house, &customers, ask(vec![], Some("C0")), &["C01", "c02 ", "C03"]).await;
    check(&house, &customers, ask(vec![], Some("c_")), &["c_x"]).await;
    check(&house, &customers, ask(vec![], Some("c%")), &["c%y"]).await;
    check(
        &house,
        &customers,
        ask(vec![], Some("")),
        &["c%y", "C01", "c02 ", "C03", "c_x", "D01", "d02"],
    )
    .await;
    let code = Filter { equals: vec![(1, text("400123"))], limit: 5, ..Filter::default() };
    check(&house, &barcodes, code, &["123"]).await;
    let number = Filter { equals: vec![(0, Value::Int(7))], limit: 5, ..Filter::default() };
    check(&house, &barcodes, number, &["7"]).await;

    let wrong = Filter { equals: vec![(0, text("seven"))], limit: 5, ..Filter::default() };
    let refused = house.db.read(&barcodes, &wrong).await;
    assert_eq!(refused.map_err(|e| e.code()), Err("local-misfit"));
    let beyond = Filter { equals: vec![(9, Value::Null)], limit: 5, ..Filter::default() };
    let refused = house.db.read(&barcodes, &beyond).await;
    assert_eq!(refused.map_err(|e| e.code()), Err("local-row-width"));
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat() {
    let house = shop().await;
    for (table, equals) in
        [(customers(), vec![]), (customers(), vec![(1, text("usmf"))]), (barcodes(), vec![])]
    {
        let mut seen = Vec::new();
        let mut filter = Filter { equals, limit: 3, ..Filter::default() };
        loop {
            let rows = house.db.read(&table, &filter).await.expect("a page");
            let Some(last) = rows.last() else { break };
            filter.after = Some(last.key(&table));
            seen.extend(rows.iter().map(|row| super::shown(&table, row)));
        }
        assert_eq!(seen, house.everything(&table).await, "{}", table.name);
    }
    assert_eq!(house.db.count(&barcodes().name).await.expect("a count"), 500);
    let greedy = Filter { limit: usize::MAX, ..Filter::default() };
    let rows = house.db.read(&barcodes(), &greedy).await.expect("a read");
    assert_eq!(rows.len(), 500);
}

/// A lookup at the till must not walk through a table.
#[tokio::test]
async fn indexes_answer_the_till() {
    let house = shop().await;
    let account = Filter { equals: vec![(0, text("C01"))], limit: 5, ..Filter::default() };
    let prefix = Filter { prefix: Some((0, "C0".to_string())), limit: 5, ..Filter::default() };
    let after_customer = row(&customers(), &["C01", "usmf", "x", "NULL"]).key(&customers());
    let next = Filter { after: Some(after_customer), limit: 5, ..Filter::default() };
    let code = Filter { equals: vec![(1, text("400001"))], limit: 5, ..Filter::default() };
    let codes = Filter { prefix: Some((1, "4000".to_string())), limit: 5, ..Filter::default() };
    for (table, kind, filter, index) in [
        (customers(), Kind::Journal, account, "tillhold_key.ax.CUSTTABLE"),
        (customers(), Kind::Journal, prefix, "tillhold_key.ax.CUSTTABLE"),
        (customers(), Kind::Journal, next, "tillhold_key.ax.CUSTTABLE"),
        (barcodes(), Kind::Catalogue, code, "tillhold_lookup.ax.INVENTITEMBARCODE.ITEMBARCODE"),
        (barcodes(), Kind::Catalogue, codes, "tillhold_lookup.ax.INVENTITEMBARCODE.ITEMBARCODE"),
    ] {
        let plan = house.db.explain(&table.name, &filter, kind).await;
        assert!(
            plan.contains(&format!("SEARCH {} USING INDEX {index}", table.name)),
            "{filter:?}: {plan}"
        );
    }
}

/// A lookup is answered on the thread that asks; what takes long begins again on another, and its connection is used on.
#[tokio::test]
async fn only_short_reads_hold_up_the_thread_that_asks() {
    let house = shop().await;
    let readers = house.db.readers(Kind::Catalogue);
    let asking = std::thread::current().id();
    // Often enough that a short one meets SQLite's look at the time in each of its statements, once in a while.
    let short = std::iter::repeat_n((10, 1), 5_000);
    for (numbers, threads) in short.chain([(100_000, 2), (10, 1)]) {
        let tries = Arc::new(Mutex::new(Vec::new()));
        let noted = tries.clone();
        let count = move |conn: &Connection| {
            noted.lock().expect("no panic").push(std::thread::current().id());
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                       SELECT count(*) FROM n";
            Ok(conn.prepare_cached(sql)?.query_row([numbers], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(readers.run_at_once(count).await.expect("an answer"), numbers);
        let tries = tries.lock().expect("no panic");
        assert_eq!(tries.len(), threads, "of {numbers}");
        assert_eq!(tries[0], asking);
        assert!(threads == 1 || tries[1] != asking);
    }
}

/// The channel's collations fold every letter, SQLite those of ASCII: a cashier types in capitals all the same.
#[tokio::test]
async fn letters_outside_ascii_are_found_in_either_case() {
    let house = shop().await;
    let customers = customers();
    let people = ["Müller", "MÜNCH", "Mahler", "straße"]
        .map(|c| Change::Present(row(&customers, &[c, "usmf", "name", "NULL"])));
    house.db.stage(&customers.name, people.to_vec()).await.expect("staged");
    land(&house, "customers", &customers).await;
    let equal =
        |word: &str| Filter { equals: vec![(0, text(word))], limit: 10, ..Filter::default() };
    for (word, found) in [("MÜLLER", "Müller"), ("müller ", "Müller"), ("münch", "MÜNCH")] {
        check(&house, &customers, equal(word), &[found]).await;
    }
    check(&house, &customers, equal("STRAßE"), &["straße"]).await;
    check(&house, &customers, equal("mäller"), &[]).await;
    let begins =
        |word: &str| Filter { prefix: Some((0, word.into())), limit: 10, ..Filter::default() };
    check(&house, &customers, begins("mÜ"), &["MÜNCH", "Müller"]).await;
    check(&house, &customers, begins("mü "), &[]).await;
    let plan = house.db.explain(&customers.name, &equal("MÜLLER"), Kind::Journal).await;
    assert!(plan.contains("USING INDEX"), "{plan}");
}

#[tokio::test]
async fn a_key_that_the_channel_takes_for_another_one_is_that_one() {
    let house = House::new().await;
    let writes = |write: RowWrite| house.db.record(id(9), hash(9), vec![write], 1);
    let line = |sale: &str| insert(&lines(), &[sale, "1", "i", "1"]);
    house.db.record(id(1), hash(1), vec![line("bär")], 1).await.expect("a sale");
    let twice = writes(line("BÄR")).await.expect_err("it is there");
    assert!(matches!(twice, LocalError::RowExists { .. }), "{twice}");
    // As the front door gives them, with the key's.
    let cells = row(&lines(), &["BÄR", "1", "i", "7"]).0.into_iter().enumerate().collect();
    let (table, key) = (lines().name.clone(), key(&lines(), &["BÄR", "1"]));
    let amend = RowWrite::Amend { table: table.clone(), key: key.clone(), cells };
    house.db.record(id(2), hash(2), vec![amend], 1).await.expect("changed");
    let kept = house.db.read(&lines(), &Filter { limit: 5, ..Filter::default() }).await;
    assert_eq!(
        super::shown(&lines(), &kept.expect("rows")[0]).split('|').next_back(),
        Some("7.0000000000000000")
    );
    house.db.record(id(3), hash(3), vec![RowWrite::Delete { table, key }], 1).await.expect("gone");
    writes(line("BÄR")).await.expect("room for it");
}

/// What waits to be sent is told apart, with what it deletes and in pages.
#[tokio::test]
async fn rows_that_are_not_sent_are_found_by_the_filter() {
    let house = House::new().await;
    for number in 1..=3 {
        sell(&house, number).await;
    }
    house.db.settle(id(2), crate::Settlement::Accepted).await.expect("settled");
    let name = lines().name.clone();
    let gone = RowWrite::Delete { table: name.clone(), key: key(&lines(), &["T2", "2"]) };
    house.db.record(id(4), hash(4), vec![gone], 1).await.expect("a deletion");
    let all = Filter { limit: 10, ..Filter::default() };
    let unsent = house.db.unsent_of(&lines(), &all).await.expect("what is unsent");
    assert_eq!((unsent.rows.len(), unsent.keys.len()), (4, 5));
    let first = house.db.unsent_of(&lines(), &Filter { limit: 3, ..all.clone() }).await;
    let first = first.expect("a page").rows;
    let after = Some(first[2].key(&lines()));
    let rest =
        house.db.unsent_of(&lines(), &Filter { after, ..all.clone() }).await.expect("a page");
    assert_eq!([first, rest.rows].concat(), unsent.rows);
    let of = Filter { equals: vec![(0, text("t3"))], ..all };
    assert_eq!(house.db.unsent_of(&lines(), &of).await.expect("a sale's").rows.len(), 2);
}
