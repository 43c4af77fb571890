//! Passes over changes.

use super::{INCARNATION, Shop, card, card_key, cards, prices, run, transaction, wrote};
use crate::capture::{Standing, own_context};
use crate::prepare::{PrepareOptions, prepare};
use tillhold_core::row::Change;
use tillhold_core::transaction::Receipt;
use tillhold_core::version::ChannelVersion;

/// A transaction that stays open across a pass is in the next one.
#[tokio::test]
async fn r1_a_transaction_open_during_a_pass_is_not_skipped() {
    for shop in Shop::both().await {
        let table = cards();
        let mut slow = shop.office();
        run(&mut slow, "BEGIN TRANSACTION; INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'slow');")
            .await;
        let (changes, reached) = shop.changes(&table, ChannelVersion(0)).await.expect("a pass");
        assert_eq!(changes, []);
        run(&mut slow, "COMMIT TRANSACTION;").await;
        let (changes, _) = shop.changes(&table, reached).await.expect("a pass");
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].change, Change::Present(card("slow", 0, None)));
    }
}

/// One snapshot over all tables; what commits later belongs to the next pass.
#[tokio::test]
async fn r2_all_tables_of_a_pass_are_of_one_moment() {
    for shop in Shop::both().await {
        let mut office = shop.office();
        run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1);").await;
        let mut till = shop.till();
        let tables = [
            shop.followed(cards(), ChannelVersion(0)).await,
            shop.followed(prices(), ChannelVersion(0)).await,
        ];
        let own = own_context(INCARNATION);
        let mut pass = shop.begin(&mut till, &[], own.clone(), &tables).await.expect("a pass");
        let both = "BEGIN TRANSACTION; UPDATE [dbo].[CARDS] SET [POINTS] = 2; INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES (1, N'pcs', 1); COMMIT TRANSACTION;";
        run(&mut office, both).await;
        let seen = pass.page(0).await.expect("a page").expect("a change").changes;
        assert_eq!(seen[0].change, Change::Present(card("a", 1, None)));
        assert_eq!(pass.page(1).await.expect("a page"), None);
        let reached = pass.reached();
        pass.finish().await.expect("the end");
        let tables =
            [shop.followed(cards(), reached).await, shop.followed(prices(), reached).await];
        let mut pass = shop.begin(&mut till, &[], own, &tables).await.expect("a pass");
        let seen = pass.page(0).await.expect("a page").expect("a change").changes;
        assert_eq!(seen[0].change, Change::Present(card("a", 2, None)));
        assert_eq!(pass.page(1).await.expect("a page").expect("a change").changes.len(), 1);
        pass.finish().await.expect("the end");
    }
}

/// What the row is now, not what was done to it.
#[tokio::test]
async fn r4_a_row_is_there_or_gone_whatever_was_done_to_it() {
    for shop in Shop::both().await {
        let table = cards();
        let mut office = shop.office();
        run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'again'), (N'away');").await;
        let from = shop.version().await;
        run(&mut office, "DELETE FROM [dbo].[CARDS];").await;
        run(
            &mut office,
            "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'again', 5), (N'brief', 1);",
        )
        .await;
        run(&mut office, "DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'brief';").await;
        let (changes, _) = shop.changes(&table, from).await.expect("a pass");
        let of = |name: &str| {
            let key = card_key(name);
            changes.iter().find(|c| c.change.key(&table) == key).map(|c| c.change.clone())
        };
        assert_eq!(of("again"), Some(Change::Present(card("again", 5, None))));
        assert_eq!(of("away"), Some(Change::Gone(card_key("away"))));
        assert!(matches!(of("brief"), None | Some(Change::Gone(_))), "{:?}", of("brief"));
    }
}

/// Own rows are known as own, resolved ones come back, and another's change takes the mark away.
#[tokio::test]
async fn r5_only_what_stands_as_the_register_wrote_it_is_its_own() {
    for shop in Shop::both().await {
        let table = cards();
        let from = shop.version().await;
        let insert = |name: &str| wrote(None, Some(card(name, 1, None)), from);
        let sent = [transaction(1, vec![insert("mine"), insert("touched")])];
        assert_eq!(shop.upload(&sent).await, [Receipt::Applied]);
        // Of one sale, the row that a resolution decided and the one beside it.
        let resolved = transaction(2, vec![insert("beside"), insert("resolved")]);
        assert_eq!(shop.upload_altered(&resolved, &[1]).await, Receipt::Applied);
        run(&mut shop.office(), "UPDATE [dbo].[CARDS] SET [POINTS] = 8 WHERE [CARD] = N'touched';")
            .await;
        let (changes, _) = shop.changes(&table, from).await.expect("a pass");
        let own: Vec<(String, bool)> = changes
            .iter()
            .map(|c| (c.change.key(&table).named(&table).to_string(), c.own))
            .collect();
        let expected = [
            ("CARD=beside", true),
            ("CARD=mine", true),
            ("CARD=resolved", false),
            ("CARD=touched", false),
        ];
        let mut own: Vec<(&str, bool)> =
            own.iter().map(|(key, own)| (key.as_str(), *own)).collect();
        own.sort_unstable();
        assert_eq!(own, expected);
        let mut other = shop.till();
        let tables = [shop.followed(table, from).await];
        let context = own_context(tillhold_core::version::Incarnation([8; 16]));
        let mut pass = shop.begin(&mut other, &[], context, &tables).await.expect("a pass");
        let page = pass.page(0).await.expect("a page").expect("changes").changes;
        assert!(page.iter().all(|captured| !captured.own), "another register's rows are news");
    }
}

/// Versions mean nothing across a restore: the epoch tells. One table that still stands under the old one is enough.
#[tokio::test]
async fn r6_a_replaced_epoch_is_a_restored_channel() {
    for shop in Shop::both().await {
        let mut till = shop.till();
        let (epoch, at) = shop.start(&cards()).await;
        let version = at.version;
        let own = own_context(INCARNATION);
        let tables = [shop.followed(cards(), version).await];
        let pass = shop.begin(&mut till, &[epoch], own.clone(), &tables).await.expect("a pass");
        pass.finish().await.expect("the end");
        let capture = shop.capture;
        let restored = PrepareOptions { capture, is_restored: true, ..super::options() };
        prepare(&mut shop.office(), &[], &restored).await.expect("another life");
        let (now, _) = shop.start(&cards()).await;
        for known in [&[epoch][..], &[now, epoch], &[epoch, now]] {
            let begun = shop.begin(&mut till, known, own.clone(), &tables).await;
            assert_eq!(begun.err().expect("a refusal").code(), "channel-restored");
        }
        let pass = shop.begin(&mut till, &[now], own.clone(), &tables).await.expect("a pass");
        pass.finish().await.expect("the end");
        let ahead = [shop.followed(cards(), ChannelVersion(version.0 + 1_000)).await];
        let begun = shop.begin(&mut till, &[], own, &ahead).await;
        assert_eq!(begun.err().expect("a refusal").code(), "channel-restored");
    }
}

/// TRUNCATE is not tracked; it ends the history of its own table, and of no other.
#[tokio::test]
async fn r8_a_truncated_table_is_loaded_afresh_and_no_other() {
    let shop = Shop::open().await;
    let mut office = shop.office();
    run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'a'); INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES (1, N'pcs', 1);").await;
    let from = shop.version().await;
    run(&mut office, "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'b');").await;
    run(&mut office, "TRUNCATE TABLE [dbo].[CARDS];").await;
    let mut till = shop.till();
    let tables = [shop.followed(cards(), from).await, shop.followed(prices(), from).await];
    let mut pass =
        shop.begin(&mut till, &[], own_context(INCARNATION), &tables).await.expect("a pass");
    assert_eq!([pass.standing(0), pass.standing(1)], [Standing::Outdated, Standing::Current]);
    assert_eq!(pass.page(1).await.expect("no changes"), None);
    pass.finish().await.expect("the end");
}

#[tokio::test]
async fn many_changes_come_in_pages_and_all_of_them() {
    for shop in Shop::both().await {
        let count = 2 * tillhold_core::limits::PULL_PAGE_ROWS_MAX + 5;
        let mut office = shop.office();
        for portion in (0..count).collect::<Vec<_>>().chunks(500) {
            let values: Vec<String> = portion.iter().map(|n| format!("({n}, N'pcs', 1)")).collect();
            let sql = format!(
                "INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES {};",
                values.join(", ")
            );
            run(&mut office, &sql).await;
        }
        let (changes, reached) = shop.changes(&prices(), ChannelVersion(0)).await.expect("a pass");
        assert_eq!(changes.len(), count);
        assert!(changes.is_sorted_by_key(|change| change.version), "oldest first");
        assert!(changes.iter().all(|change| change.version <= reached));
        assert_eq!(shop.changes(&prices(), reached).await.expect("a pass").0, []);
    }
}

#[tokio::test]
async fn a_table_that_is_not_tracked_is_named() {
    let shop = Shop::open().await;
    let tables = super::altered::up_to_date(&shop).await;
    run(&mut shop.office(), "ALTER TABLE [dbo].[CARDS] DISABLE CHANGE_TRACKING;").await;
    let error = super::altered::stand(&shop, &tables).await.expect_err("no tracking");
    assert_eq!(error.to_string(), "change tracking is off for dbo.CARDS");
}

/// The snapshot's connection is cut in the middle; the next pass begins anew and misses nothing.
#[tokio::test]
async fn a_pass_that_is_cut_delivers_nothing_half() {
    for shop in Shop::both().await {
        run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'a');").await;
        let mut till = shop.till();
        let tables = [shop.followed(cards(), ChannelVersion(0)).await];
        let mut pass =
            shop.begin(&mut till, &[], own_context(INCARNATION), &tables).await.expect("a pass");
        assert!(pass.page(0).await.expect("a page").is_some());
        shop.gate.cut().await.expect("a cut");
        shop.gate.restore().await.expect("the channel back");
        assert!(pass.finish().await.expect_err("the cut").is_in_doubt());
        assert_eq!(shop.changes(&cards(), ChannelVersion(0)).await.expect("a pass").0.len(), 1);
    }
}
