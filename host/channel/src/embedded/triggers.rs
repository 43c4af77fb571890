//! Capture by triggers, where it differs from change tracking; what both promise is proven beside it.

use super::altered::{stand, up_to_date};
use super::{INCARNATION, Shop, card, cards, prices_whole, run};
use crate::capture::{Standing, current, own_context};
use crate::error::{ChannelError, TriggerTrouble};
use crate::link::Ask;
use crate::prepare::{PrepareOptions, Prepared, check, prepare, triggers::trigger_sql};
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::row::Change;
use tillhold_core::transaction::Receipt;

async fn shop() -> Shop {
    Shop::by(Capture::Triggers).await
}

/// Change tracking is not even on.
#[tokio::test]
async fn nothing_of_change_tracking_is_needed() {
    let shop = shop().await;
    let error = current(&mut shop.till(), Capture::ChangeTracking).await.expect_err("no tracking");
    assert_eq!(error, ChannelError::TrackingOff { table: None });
    let (prices, travelling) = (prices_whole(), prices_whole().travelling(&[]));
    let direction = Direction::Bidirectional;
    let prepared = [Prepared { table: &prices, travelling: &travelling, direction }];
    assert_eq!(check(&mut shop.till(), Capture::Triggers, &prepared).await.expect("a list"), []);
}

/// A row's number is given when it is written; the pass must stay below those of open transactions.
#[tokio::test]
async fn the_bound_stays_below_an_open_transaction() {
    let shop = shop().await;
    let (_, before) = current(&mut shop.till(), Capture::Triggers).await.expect("a bound");
    let mut slow = shop.office();
    run(&mut slow, "BEGIN TRANSACTION; INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'slow');").await;
    let (_, during) = current(&mut shop.till(), Capture::Triggers).await.expect("a bound");
    assert_eq!(during, before);
    run(&mut slow, "COMMIT TRANSACTION;").await;
    let (_, after) = current(&mut shop.till(), Capture::Triggers).await.expect("a bound");
    assert!(after > during, "{after} {during}");
}

/// As an upload marks them, and another's change takes the mark away.
#[tokio::test]
async fn who_wrote_a_row_last_is_told_by_its_origin() {
    let shop = shop().await;
    let (_, from) = shop.start(&cards()).await;
    let own: String = own_context(INCARNATION).iter().map(|byte| format!("{byte:02X}")).collect();
    let mut link = shop.office();
    let set = |value: &str| {
        format!("EXEC sp_set_session_context @key = N'tillhold_origin', @value = {value};")
    };
    run(&mut link, &set(&format!("0x{own}"))).await;
    run(&mut link, "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'mine'), (N'touched');").await;
    run(&mut link, &set("NULL")).await;
    run(&mut link, "UPDATE [dbo].[CARDS] SET [POINTS] = 1 WHERE [CARD] = N'touched';").await;
    let (changes, _) = shop.changes(&cards(), from.version).await.expect("a pass");
    let own: Vec<bool> = changes.iter().map(|change| change.own).collect();
    assert_eq!(own, [true, false]);
    assert_eq!(changes[1].change, Change::Present(card("touched", 1, None)));
}

/// The judge of uploads looks where the trigger wrote.
#[tokio::test]
async fn a_row_that_another_changed_since_is_contested() {
    let shop = shop().await;
    let rows = "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1), (N'b', 1);";
    run(&mut shop.office(), rows).await;
    let (base, changed) =
        (shop.version().await, "UPDATE [dbo].[CARDS] SET [POINTS] = 5 WHERE [CARD] = N'a';");
    run(&mut shop.office(), changed).await;
    let write = |name, from, to| {
        super::wrote(Some(card(name, from, None)), Some(card(name, to, None)), base)
    };
    let contested = super::transaction(1, vec![write("a", 1, 2)]);
    let free = super::transaction(2, vec![write("b", 1, 2)]);
    let receipts = shop.upload(&[contested, free]).await;
    assert_eq!(receipts[1], Receipt::Applied);
    let Receipt::Contested(contests) = &receipts[0] else { panic!("{receipts:?}") };
    assert_eq!(contests[0].channel, Some(card("a", 5, None)));
    // Its own row of a moment ago contests nothing.
    let again = super::transaction(3, vec![write("b", 2, 3)]);
    assert_eq!(shop.upload(&[again]).await, [Receipt::Applied]);
    let (changes, _) = shop.changes(&cards(), base).await.expect("a pass");
    let own: Vec<bool> = changes.iter().map(|change| change.own).collect();
    assert_eq!(own, [false, true]);
}

/// A key's change is the old one's end and the new one's beginning.
#[tokio::test]
async fn a_changed_key_is_two_changes() {
    let shop = shop().await;
    run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'old'), (N'stays');")
        .await;
    let from = shop.version().await;
    run(&mut shop.office(), "UPDATE [dbo].[CARDS] SET [CARD] = N'new' WHERE [CARD] = N'old';")
        .await;
    let (changes, _) = shop.changes(&cards(), from).await.expect("a pass");
    let mut changes: Vec<Change> = changes.into_iter().map(|change| change.change).collect();
    changes.sort_by_key(|change| matches!(change, Change::Present(_)));
    let expected = [Change::Gone(super::card_key("old")), Change::Present(card("new", 0, None))];
    assert_eq!(changes, expected);
}

/// Switched off, changed, switched on: what happened meanwhile nobody noted, so the table is loaded anew.
#[tokio::test]
async fn a_trigger_that_was_off_stops_its_scope_and_then_asks_for_a_load() {
    let away = "DELETE FROM [dbo].[CARDS];";
    let made = format!("EXEC ({});", crate::statement::quoted(&trigger_sql(&cards())));
    for (off, on, trouble) in [
        (
            "DISABLE TRIGGER [dbo].[tillhold_CARDS] ON [dbo].[CARDS];",
            "ENABLE TRIGGER [dbo].[tillhold_CARDS] ON [dbo].[CARDS];",
            TriggerTrouble::Disabled,
        ),
        ("DROP TRIGGER [dbo].[tillhold_CARDS];", made.as_str(), TriggerTrouble::Missing),
    ] {
        let shop = shop().await;
        let mut tables = up_to_date(&shop).await;
        run(&mut shop.office(), off).await;
        let error = stand(&shop, &tables).await.expect_err(off);
        let table = cards().name.clone();
        assert_eq!(error, ChannelError::TriggersOff { table, trouble });
        run(&mut shop.office(), away).await;
        run(&mut shop.office(), on).await;
        let (standings, positions) = stand(&shop, &tables).await.expect(on);
        assert_eq!(standings, [Standing::Outdated, Standing::Current], "{on}");
        tables[0].position = positions[0].clone();
        let (standings, _) = stand(&shop, &tables).await.expect(on);
        assert_eq!(standings, [Standing::Current, Standing::Current], "{on}");
    }
}

/// No trigger sees TRUNCATE: it is refused, and where the guard was taken away for it, that is noticed.
#[tokio::test]
async fn a_truncate_is_refused_or_noticed() {
    let shop = shop().await;
    let tables = up_to_date(&shop).await;
    let truncate = "TRUNCATE TABLE [dbo].[CARDS];";
    let refused = shop.office().ask(Ask::of_a_test(truncate)).await.expect_err("guarded");
    assert!(matches!(refused, ChannelError::Sql { number: 4712, .. }), "{refused}");
    run(&mut shop.office(), "DROP TABLE [tillhold].[g_dbo.CARDS];").await;
    run(&mut shop.office(), truncate).await;
    let table = cards().name.clone();
    let unguarded = ChannelError::TriggersOff { table, trouble: TriggerTrouble::Unguarded };
    assert_eq!(stand(&shop, &tables).await.expect_err("unguarded"), unguarded);
    let (prices, cards) = (prices_whole(), super::cards_whole());
    shop.prepare(&[&prices, &cards]).await;
    let (standings, _) = stand(&shop, &tables).await.expect("a pass");
    assert_eq!(standings, [Standing::Outdated, Standing::Current]);
}

/// A position of one method says nothing to the other.
#[tokio::test]
async fn another_method_loads_every_table_afresh() {
    let mut shop = Shop::open().await;
    let tables = up_to_date(&shop).await;
    let (prices, cards) = (prices_whole(), super::cards_whole());
    shop.capture = Capture::Triggers;
    shop.prepare(&[&prices, &cards]).await;
    let (standings, _) = stand(&shop, &tables).await.expect("a pass");
    assert_eq!(standings, [Standing::Outdated, Standing::Outdated]);
}

/// Rows taken out of a tracking table are written down as the horizon.
#[tokio::test]
async fn a_purged_history_is_outdated_by_its_own_table() {
    let shop = shop().await;
    let tables = up_to_date(&shop).await;
    let purge = "INSERT INTO [tillhold].[horizon] ([table_name], [oldest]) VALUES (N'dbo.cards', CONVERT(bigint, @@DBTS) + 1000);";
    run(&mut shop.office(), purge).await;
    let (standings, _) = stand(&shop, &tables).await.expect("a pass");
    assert_eq!(standings, [Standing::Outdated, Standing::Current]);
}

/// Again changes nothing, and a trigger that somebody disabled is told.
#[tokio::test]
async fn the_script_is_read_before_it_is_run_and_runs_twice() {
    let shop = Shop::bare().await;
    let (prices, travelling) = (prices_whole(), prices_whole().travelling(&[]));
    let direction = Direction::Download;
    let prepared = [Prepared { table: &prices, travelling: &travelling, direction }];
    let options = PrepareOptions { capture: Capture::Triggers, ..super::options() };
    for _ in 0..2 {
        prepare(&mut shop.office(), &prepared, &options).await.expect("a prepared channel");
        let missing = check(&mut shop.till(), Capture::Triggers, &prepared).await;
        assert_eq!(missing.expect("a list"), []);
    }
    run(&mut shop.office(), "DISABLE TRIGGER [dbo].[tillhold_PRICES] ON [dbo].[PRICES];").await;
    let missing = check(&mut shop.till(), Capture::Triggers, &prepared).await.expect("a list");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].to_string().starts_with("dbo.PRICES has no enabled trigger"));
}
