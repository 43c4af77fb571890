//! First load and reads.

use super::{Shop, card, card_key, cards, prices, run};
use crate::read::read;
use crate::snapshot::page;
use crate::upload::upload;
use std::sync::Arc;
use tillhold_core::filter::Filter;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::text::parse;
use tillhold_core::transaction::{Operation, Receipt, Write};
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

#[tokio::test]
async fn pages_meet_every_row_once_in_the_servers_order() {
    let shop = Shop::open().await;
    let mut sql = String::new();
    for item in 1..=7 {
        for unit in ["pcs", "Box", "kg"] {
            sql += &format!(
                "INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES ({item}, N'{unit}', {item}.5);\n"
            );
        }
    }
    run(&mut shop.office(), &sql).await;
    let (table, mut till) = (prices(), shop.till());
    let (mut rows, mut after): (Vec<Row>, Option<Key>) = (Vec::new(), None);
    loop {
        let page = page(&mut till, &table, after.as_ref(), 4).await.expect("a page");
        assert_eq!(page.refused, []);
        rows.extend(page.rows);
        match page.last_key {
            None => break,
            last => after = last,
        }
    }
    assert_eq!(rows.len(), 21);
    let units: Vec<&Value> = rows[..3].iter().map(|row| &row.0[1]).collect();
    // Blind to case, as the column's collation orders them.
    assert_eq!(
        units,
        ["Box", "kg", "pcs"].map(|u| Value::Text(u.to_string())).iter().collect::<Vec<_>>()
    );
    let mut keys: Vec<Vec<String>> =
        rows.iter().map(|row| row.key(&table).folded(&table)).collect();
    keys.dedup();
    assert_eq!(keys.len(), 21, "a row came twice");
}

/// What moves between two pages is in the changes since the version taken before the first.
#[tokio::test]
async fn r3_a_load_with_the_changes_since_its_beginning_is_the_table() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1), (N'b', 2), (N'c', 3), (N'd', 4);").await;
    let table = cards();
    let mut till = shop.till();
    let from = shop.version().await;
    let first = page(&mut till, &table, None, 2).await.expect("a page");
    let moved = "UPDATE [dbo].[CARDS] SET [POINTS] = 9 WHERE [CARD] = N'a'; DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'b'; INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'aa', 7);";
    run(&mut office, moved).await;
    let rest = page(&mut till, &table, Some(&card_key("b")), 10).await.expect("a page");
    let mut loaded: Vec<Row> = first.rows.into_iter().chain(rest.rows).collect();
    let (changes, _) = shop.changes(&table, from).await.expect("a pass");
    for change in changes {
        let key = change.change.key(&table);
        loaded.retain(|row| row.key(&table) != key);
        if let Change::Present(row) = change.change {
            loaded.push(row);
        }
    }
    loaded.sort_by_key(|row| row.key(&table).folded(&table));
    assert_eq!(loaded, shop.rows(&table).await);
}

#[tokio::test]
async fn a_filter_is_answered_with_the_channels_rows() {
    let shop = Shop::open().await;
    run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS], [NOTE]) VALUES (N'10%', 1, N'x'), (N'10a', 1, NULL), (N'20', 1, N'x'), (N'30', 2, N'x');").await;
    let (table, mut till) = (cards(), shop.till());
    let text = |text: &str| Value::Text(text.to_string());
    let filter = |equals: Vec<(usize, Value)>, prefix: Option<&str>, after: Option<&str>| Filter {
        equals,
        prefix: prefix.map(|start| (0, start.to_string())),
        after: after.map(card_key),
        limit: 10,
    };
    for (filter, expected) in [
        (filter(vec![(0, text("10A"))], None, None), vec!["10a"]),
        (filter(vec![(1, Value::Int(1)), (2, text("x"))], None, None), vec!["10%", "20"]),
        (filter(vec![(2, Value::Null)], None, None), vec!["10a"]),
        (filter(vec![], Some("10"), None), vec!["10%", "10a"]),
        (filter(vec![], Some("10%"), None), vec!["10%"]),
        (filter(vec![(1, Value::Int(1))], None, Some("10a")), vec!["20"]),
    ] {
        let rows = read(&mut till, &table, &filter, None).await.expect("rows");
        let cards: Vec<&Value> = rows.iter().map(|row| &row.0[0]).collect();
        let expected: Vec<Value> = expected.into_iter().map(text).collect();
        assert_eq!(cards, expected.iter().collect::<Vec<_>>(), "{filter:?}");
    }
}

/// Uploaded and read back: no type loses anything on either way.
#[tokio::test]
async fn every_type_survives_the_way_up_and_down() {
    let shop = Shop::open().await;
    let whole = crate::sample::every_type();
    let columns: Vec<String> = whole.columns.iter().map(declaration).collect();
    let create = format!(
        "CREATE TABLE [dbo].[EVERYTYPE] ({}, PRIMARY KEY ([ID], [CODE], [MOMENT]));",
        columns.join(", ")
    );
    run(&mut shop.office(), &create).await;
    shop.prepare(&[&whole]).await;
    let table = Arc::new(whole.travelling(&[]));
    let row = |texts: &[&str]| {
        let values = table.columns.iter().zip(texts);
        Row(values.map(|(c, text)| parse(text, c.of).expect("an extreme")).collect())
    };
    let full = row(&crate::snapshot::tests::EXTREMES);
    let mut empty = full.clone();
    empty.0[0] = Value::Int(1);
    for (at, column) in table.columns.iter().enumerate().filter(|(_, c)| c.nullable) {
        assert!(!table.is_key(at), "{}", column.name);
        empty.0[at] = Value::Null;
    }
    let insert = |row: &Row| Write {
        table: table.clone(),
        operation: Operation::Insert,
        key: row.key(&table),
        base: None,
        offline: Some(row.clone()),
        base_version: ChannelVersion(0),
    };
    let sale = super::transaction(1, vec![insert(&full), insert(&empty)]);
    let sent = upload(&mut shop.till(), "S1-1", super::INCARNATION, &[sale]).await;
    assert_eq!(sent.expect("receipts"), [Receipt::Applied]);
    let rows = shop.rows(&table).await;
    assert_eq!(rows.len(), 2);
    for (at, column) in table.columns.iter().enumerate() {
        assert_eq!(rows[0].0[at], full.0[at], "{} {}", column.name, column.of);
        assert_eq!(rows[1].0[at], empty.0[at], "{} {}", column.name, column.of);
    }
    // All of it in one key, which is compared at the channel.
    let after = page(&mut shop.till(), &table, Some(&full.key(&table)), 10).await.expect("a page");
    assert_eq!(after.rows, [empty]);
    assert!(card("x", 1, None) != full);
}

fn declaration(column: &tillhold_core::table::Column) -> String {
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    match &column.collation {
        Some(collation) if column.of != tillhold_core::types::SqlType::Xml => {
            format!("[{}] {} COLLATE {collation} {null}", column.name, column.of)
        }
        _ => format!("[{}] {} {null}", column.name, column.of),
    }
}
