//! Uploads, the ledger and the record of decisions.

use super::{INCARNATION, Shop, card, cards, prices, run, transaction, wrote};
use crate::decision;
use crate::ledger::ledger;
use crate::link::Ask;
use crate::upload::{Outgoing, upload, upload_altered};
use tillhold_core::conflict::{Conflict, Decision, Resolution};
use tillhold_core::row::Row;
use tillhold_core::transaction::{
    ContentHash, Contest, Operation, Receipt, Transaction, TransactionId, Write,
};
use tillhold_core::value::{Decimal, Value};
use tillhold_core::version::ChannelVersion;
use tillhold_embedded::Fault;

fn insert(name: &str, note: Option<&str>) -> Write {
    wrote(None, Some(card(name, 1, note)), ChannelVersion(0))
}

fn price(item: i64) -> Write {
    let amount = Decimal::parse("1.5000000000000000").expect("a decimal");
    let row = Row(vec![Value::Int(item), Value::Text("pcs".to_string()), Value::Decimal(amount)]);
    Write {
        table: prices(),
        operation: Operation::Insert,
        key: row.key(&prices()),
        base: None,
        offline: Some(row),
        base_version: ChannelVersion(0),
    }
}

/// The ledger makes a repeated upload harmless and a reused id loud.
#[tokio::test]
async fn r7_a_transaction_has_its_effect_once() {
    let shop = Shop::open().await;
    let sale = transaction(1, vec![insert("a", None), price(1)]);
    assert_eq!(shop.upload(std::slice::from_ref(&sale)).await, [Receipt::Applied]);
    assert_eq!(shop.upload(std::slice::from_ref(&sale)).await, [Receipt::AlreadyThere]);
    let other =
        Transaction { hash: ContentHash([9; 32]), writes: vec![insert("b", None)], ..sale.clone() };
    assert_eq!(shop.upload(&[other]).await, [Receipt::Clash]);
    assert_eq!(shop.rows(&cards()).await, [card("a", 1, None)]);
    assert_eq!(shop.rows(&prices()).await.len(), 1);
    let known = ledger(&mut shop.till(), &[TransactionId([5; 16]), sale.id]).await.expect("hashes");
    assert_eq!(known, [None, Some(sale.hash)]);
}

/// The third of a shape is said by its name, and is judged as the first.
#[tokio::test]
async fn a_statement_that_is_kept_says_the_same() {
    for shop in Shop::both().await {
        let mut till = shop.till();
        let mut receipts = Vec::new();
        let sale = |id: u8, name: &str| transaction(id, vec![insert(name, None), price(id.into())]);
        let again = Transaction { hash: ContentHash([9; 32]), ..sale(3, "c") };
        let long = Transaction {
            writes: vec![insert("far too long a name", Some("and a longer note")), price(6)],
            ..sale(6, "d")
        };
        for sale in
            [sale(1, "a"), sale(2, "b"), sale(3, "c"), sale(3, "c"), again, sale(5, "a"), long]
        {
            let answer = upload(&mut till, "S1-1", INCARNATION, &[sale]).await;
            receipts.extend(answer.expect("a receipt"));
        }
        assert_eq!(till.kept(), 1, "statements that the channel keeps");
        let [first @ .., contested, refused] = &receipts[..] else { panic!("{receipts:?}") };
        let applied = [Receipt::Applied, Receipt::Applied, Receipt::Applied];
        assert_eq!(first, [&applied[..], &[Receipt::AlreadyThere, Receipt::Clash]].concat());
        assert!(matches!(contested, Receipt::Contested(contests) if contests.len() == 1));
        assert!(matches!(refused, Receipt::Refused { number: 2628, .. }), "{refused:?}");
        assert_eq!(shop.rows(&prices()).await.len(), 3);
        drop(till);
    }
}

/// The way up after a restore: the backup has the first sale and not the second. The register sends again all that it
/// did not see settled; the restored ledger decides which is a duplicate, so each is there once.
#[tokio::test]
async fn r6_the_ledger_of_a_restored_channel_decides_what_is_sent_twice() {
    let shop = Shop::open().await;
    let unsettled =
        [transaction(1, vec![insert("kept", None)]), transaction(2, vec![insert("lost", None)])];
    assert_eq!(shop.upload(&unsettled).await, [Receipt::Applied, Receipt::Applied]);
    let restored = format!(
        "DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'lost'; DELETE FROM [tillhold].[ledger] WHERE [transaction_id] = '{}'; UPDATE [tillhold].[epoch] SET [id] = NEWID();",
        unsettled[1].id
    );
    run(&mut shop.office(), &restored).await;
    assert_eq!(shop.upload(&unsettled).await, [Receipt::AlreadyThere, Receipt::Applied]);
    assert_eq!(shop.rows(&cards()).await, [card("kept", 1, None), card("lost", 1, None)]);
}

/// The commit happened, its answer did not arrive.
#[tokio::test]
async fn r7_a_lost_answer_is_found_in_the_ledger() {
    let shop = Shop::open().await;
    let sale = [transaction(1, vec![insert("a", None)])];
    let mut till = shop.till();
    till.connect().await.expect("a connection");
    shop.gate.inject(Fault::DropAfterCommit { commits: 1 });
    let sent = upload(&mut till, "S1-1", INCARNATION, &sale).await;
    assert!(sent.expect_err("a lost answer").is_in_doubt());
    let again = upload(&mut till, "S1-1", INCARNATION, &sale).await;
    assert_eq!(again.expect("receipts"), [Receipt::AlreadyThere]);
    assert_eq!(shop.rows(&cards()).await.len(), 1);
}

#[tokio::test]
async fn a_contested_transaction_writes_nothing_and_the_others_go_through() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(
        &mut office,
        "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1), (N'b', 1), (N'away', 1);",
    )
    .await;
    let seen = shop.version().await;
    run(&mut office, "BEGIN TRANSACTION; UPDATE [dbo].[CARDS] SET [POINTS] = 7 WHERE [CARD] = N'a'; DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'away'; COMMIT TRANSACTION;").await;
    let changed = shop.version().await;
    let update = |name: &str| wrote(Some(card(name, 1, None)), Some(card(name, 2, None)), seen);
    let batch = [
        transaction(1, vec![price(1), update("a")]),
        transaction(2, vec![update("b"), price(2)]),
        transaction(3, vec![price(3), update("away")]),
        transaction(4, vec![insert("A", None), price(4)]),
    ];
    let receipts = shop.upload(&batch[..3]).await;
    let contest = |write, channel: Option<Row>| Contest { write, channel, version: Some(changed) };
    assert_eq!(receipts[0], Receipt::Contested(vec![contest(1, Some(card("a", 7, None)))]));
    assert_eq!(receipts[1], Receipt::Applied);
    assert_eq!(receipts[2], Receipt::Contested(vec![contest(1, None)]));
    // An insert of a key that is there, in another spelling.
    let receipts = shop.upload(&batch[3..]).await;
    assert_eq!(receipts, [Receipt::Contested(vec![contest(0, Some(card("a", 7, None)))])]);
    assert_eq!(shop.rows(&cards()).await, [card("a", 7, None), card("b", 2, None)]);
    let items: Vec<Value> = shop.rows(&prices()).await.iter().map(|row| row.0[0].clone()).collect();
    assert_eq!(items, [Value::Int(2)], "rows of a contested transaction arrived");
    let known = ledger(&mut shop.till(), &[batch[0].id, batch[1].id]).await.expect("hashes");
    assert_eq!(known, [None, Some(batch[1].hash)]);
}

/// The register's own earlier write is no conflict, though it is newer than the register's last pull.
#[tokio::test]
async fn a_register_never_conflicts_with_itself() {
    let shop = Shop::open().await;
    let seen = shop.version().await;
    let first = wrote(None, Some(card("a", 1, None)), seen);
    let then = wrote(Some(card("a", 1, None)), Some(card("a", 2, None)), seen);
    let batch = [transaction(1, vec![first]), transaction(2, vec![then])];
    assert_eq!(shop.upload(&batch).await, [Receipt::Applied, Receipt::Applied]);
    assert_eq!(shop.rows(&cards()).await, [card("a", 2, None)]);
}

/// CoreSync's failure: a base older than the kept history must not pass for "unchanged since".
#[tokio::test]
async fn a_base_older_than_the_history_is_contested_once() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 7);").await;
    let seen = ChannelVersion(0);
    run(&mut office, "ALTER TABLE [dbo].[CARDS] DISABLE CHANGE_TRACKING;").await;
    run(
        &mut office,
        "ALTER TABLE [dbo].[CARDS] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF);",
    )
    .await;
    let write = wrote(Some(card("a", 1, None)), Some(card("a", 2, None)), seen);
    let receipts = shop.upload(&[transaction(1, vec![write.clone()])]).await;
    let [Receipt::Contested(contests)] = &receipts[..] else { panic!("{receipts:?}") };
    assert_eq!(contests[0].channel, Some(card("a", 7, None)));
    let decided = Write { base_version: contests[0].version.expect("a version"), ..write };
    let again = transaction(1, vec![decided]);
    assert_eq!(shop.upload_altered(&again, &[0]).await, Receipt::Applied);
}

#[tokio::test]
async fn an_update_leaves_columns_alone_that_the_register_did_not_change() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(
        &mut office,
        "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS], [NOTE]) VALUES (N'a', 1, N'theirs');",
    )
    .await;
    let seen = shop.version().await;
    // The register's own row has the note masked by a rule; it changed only the points.
    let masked = wrote(Some(card("a", 1, Some("***"))), Some(card("a", 2, Some("***"))), seen);
    assert_eq!(shop.upload(&[transaction(1, vec![masked])]).await, [Receipt::Applied]);
    assert_eq!(shop.rows(&cards()).await, [card("a", 2, Some("theirs"))]);
    let emptied = wrote(Some(card("a", 2, Some("theirs"))), Some(card("a", 2, None)), seen);
    assert_eq!(shop.upload(&[transaction(2, vec![emptied])]).await, [Receipt::Applied]);
    assert_eq!(shop.rows(&cards()).await, [card("a", 2, None)]);
}

#[tokio::test]
async fn deleting_what_is_gone_is_done_already() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1), (N'b', 1);")
        .await;
    let seen = shop.version().await;
    run(&mut office, "DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'b';").await;
    let delete = |name: &str| wrote(Some(card(name, 1, None)), None, seen);
    assert_eq!(
        shop.upload(&[transaction(1, vec![delete("a"), delete("b")])]).await,
        [Receipt::Applied]
    );
    assert_eq!(shop.rows(&cards()).await, []);
}

#[tokio::test]
async fn a_row_that_the_channel_refuses_costs_its_own_transaction_only() {
    let shop = Shop::open().await;
    let batch = [
        transaction(1, vec![insert("a", None)]),
        transaction(2, vec![price(1), insert("b", Some("much too long for it"))]),
        transaction(3, vec![insert("c", None)]),
    ];
    let receipts = shop.upload(&batch).await;
    assert_eq!((&receipts[0], &receipts[2]), (&Receipt::Applied, &Receipt::Applied));
    let Receipt::Refused { number, .. } = receipts[1] else { panic!("{receipts:?}") };
    assert!(matches!(number, 2628 | 8152), "{receipts:?}");
    assert_eq!(shop.rows(&cards()).await.len(), 2);
    assert_eq!(shop.rows(&prices()).await, []);
}

fn decision(id: u8, transaction: &Transaction) -> Decision {
    Decision {
        id: [id; 16],
        decided_at_ms: 1_700_000_000_123,
        register: "S1-1".to_string(),
        transaction: transaction.id,
        conflict: Conflict {
            table: cards(),
            key: card("a", 0, None).key(&cards()),
            base: None,
            channel: Some(card("a", 7, None)),
            offline: Some(card("a", 2, Some("it's"))),
        },
        rule: "person".to_string(),
        plugin_digest: None,
        who: Some("O'Hara".to_string()),
        why: None,
        resolution: Resolution::TakeOffline,
    }
}

/// Of each recorded decision: the register's row, who decided, and the outcome.
async fn decisions(shop: &Shop) -> Vec<[String; 3]> {
    let sql = "SELECT ISNULL(d.[offline_row], N'') AS [r], d.[who] AS [w], d.[outcome] AS [o] FROM [tillhold].[decision] AS d ORDER BY d.[id];";
    let sets = shop.office().ask(Ask::of_a_test(sql)).await.expect("a listing");
    let one = |row: &Vec<_>| {
        let mut cells = crate::cells::Cells::new("list", row.clone());
        ["r", "w", "o"].map(|name| cells.text(name).expect("a text"))
    };
    sets[0].iter().map(one).collect()
}

/// Not before, not without, and not twice.
#[tokio::test]
async fn decisions_are_recorded_with_the_rows_that_they_decided() {
    let shop = Shop::open().await;
    let mut till = shop.till();
    till.connect().await.expect("a connection");
    let sale = transaction(1, vec![insert("a", None)]);
    run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 7);").await;
    let [first, second] = [decision(3, &sale), decision(4, &sale)];
    let ids = [first.id, second.id];
    let altered = [0];
    let send = |sale, decisions| Outgoing { transaction: sale, altered: &altered, decisions };
    let outgoing = [send(&sale, std::slice::from_ref(&first))];
    let receipts = upload_altered(&mut till, "S1-1", INCARNATION, &outgoing).await;
    assert!(matches!(receipts.expect("receipts")[..], [Receipt::Contested(_)]));
    assert_eq!(decisions(&shop).await, Vec::<[String; 3]>::new(), "nothing was written");

    let seen = shop.version().await;
    let decided = wrote(Some(card("a", 7, None)), Some(card("a", 2, Some("it's"))), seen);
    let decided = transaction(1, vec![decided]);
    shop.gate.inject(Fault::DropAfterCommit { commits: 1 });
    let both = [first.clone(), second];
    let sent = upload_altered(&mut till, "S1-1", INCARNATION, &[send(&decided, &both[..1])]).await;
    assert!(sent.expect_err("a lost answer").is_in_doubt());
    let again = [send(&decided, &both[1..])];
    let receipts = upload_altered(&mut till, "S1-1", INCARNATION, &again).await;
    assert_eq!(receipts.expect("receipts"), [Receipt::AlreadyThere]);
    let row = r#"{"CARD":"a","POINTS":"2","NOTE":"it's"}"#;
    let expected = [row, "O'Hara", r#"{"take":"offline"}"#].map(str::to_string);
    assert_eq!(decisions(&shop).await, [expected]);
    let known = decision::recorded(&mut till, &ids).await.expect("ids");
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [[3; 16]]);
}

#[tokio::test]
async fn a_release_is_recorded_once() {
    let shop = Shop::open().await;
    let release = decision::Release {
        id: [3; 16],
        released_at_ms: 1_700_000_000_123,
        register: "S1-1".to_string(),
        of: [1; 16],
        table: cards().name.clone(),
        key: r#"{"CARD":"a"}"#.to_string(),
        who: "Ann".to_string(),
        why: "rung up twice".to_string(),
        document: r#"{"rows":[]}"#.to_string(),
    };
    let mut till = shop.till();
    for _ in 0..2 {
        decision::record_release(&mut till, &release).await.expect("a record");
    }
    assert_eq!(decisions(&shop).await, [["", "Ann", r#"{"rows":[]}"#].map(str::to_string)]);
}
