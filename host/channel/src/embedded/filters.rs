//! Row filters, by each capture method: what passes comes, what does not is as if it were not there.

use super::{INCARNATION, Shop, card, card_key, cards, run, transaction, wrote};
use crate::capture::{Followed, own_context};
use crate::filtering::tests::bound;
use crate::keyed::{self, Found};
use crate::snapshot::filtered_page;
use std::sync::Arc;
use tillhold_core::condition::Bound;
use tillhold_core::row::{Change, Key};
use tillhold_core::transaction::Receipt;
use tillhold_core::version::ChannelVersion;

fn rich() -> Arc<Bound> {
    Arc::new(bound("POINTS >= 1", &cards()))
}

/// The changes of cards since `from`, each with whether it is this register's own.
async fn changes(shop: &Shop, from: ChannelVersion) -> Vec<(Change, bool)> {
    let mut till = shop.till();
    let followed = shop.followed(cards(), from).await;
    let tables = [Followed { filter: Some(rich()), ..followed }];
    let own = own_context(INCARNATION);
    let mut pass = shop.begin(&mut till, &[], own, &tables).await.expect("a pass");
    let mut changes = Vec::new();
    while let Some(page) = pass.page(0).await.expect("a page") {
        assert_eq!(page.refused, []);
        changes.extend(page.changes.into_iter().map(|one| (one.change, one.own)));
    }
    pass.finish().await.expect("the end");
    changes.sort_by_key(|(change, _)| change.key(&cards()).folded(&cards()));
    changes
}

#[tokio::test]
async fn a_first_load_brings_what_passes_and_goes_on_behind_a_key() {
    for shop in Shop::both().await {
        let insert = "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'a', 1), (N'b', 0), (N'c', 2), (N'd', 0), (N'e', 3);";
        run(&mut shop.office(), insert).await;
        let (mut till, filter) = (shop.till(), rich());
        let page =
            filtered_page(&mut till, &cards(), Some(&filter), None, 2).await.expect("a page");
        assert_eq!(page.rows, [card("a", 1, None), card("c", 2, None)]);
        let rest =
            filtered_page(&mut till, &cards(), Some(&filter), page.last_key.as_ref(), 2).await;
        assert_eq!(rest.expect("a page").rows, [card("e", 3, None)]);
    }
}

/// Whoever changed it: nothing of a row that does not pass leaves the channel but its key.
#[tokio::test]
async fn a_row_that_leaves_is_gone_and_one_that_enters_is_there() {
    for shop in Shop::both().await {
        let insert = "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'enters', 0), (N'leaves', 1), (N'mine', 1), (N'stays', 1);";
        run(&mut shop.office(), insert).await;
        let from = shop.version().await;
        let office = "UPDATE [dbo].[CARDS] SET [POINTS] = CASE [CARD] WHEN N'enters' THEN 7 ELSE 0 END WHERE [CARD] IN (N'enters', N'leaves'); UPDATE [dbo].[CARDS] SET [NOTE] = N'x' WHERE [CARD] = N'stays';";
        run(&mut shop.office(), office).await;
        let mine = wrote(Some(card("mine", 1, None)), Some(card("mine", 0, None)), from);
        assert_eq!(shop.upload(&[transaction(1, vec![mine])]).await, [Receipt::Applied]);
        let expected = [
            (Change::Present(card("enters", 7, None)), false),
            (Change::Gone(card_key("leaves")), false),
            (Change::Gone(card_key("mine")), true),
            (Change::Present(card("stays", 1, Some("x"))), false),
        ];
        assert_eq!(changes(&shop, from).await, expected);
    }
}

#[tokio::test]
async fn rows_are_found_by_their_keys_in_the_moment_of_a_pass() {
    for shop in Shop::both().await {
        let insert = "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS], [NOTE]) VALUES (N'Ab', 1, N'x'), (N'c', 0, NULL);";
        run(&mut shop.office(), insert).await;
        let mut till = shop.till();
        let keys = ["c", "nobody", "AB ", "Ab"].map(card_key);
        let passing = keyed::passing(&mut till, &cards(), Some(&rich()), &keys).await;
        assert_eq!(passing.expect("answers"), [false, false, true, true]);
        let whole = keyed::rows(&mut till, &cards(), None, &keys[..1]).await.expect("a row");
        assert_eq!(whole, [Found::Row(card("c", 0, None))]);
        let followed = shop.followed(cards(), ChannelVersion(0)).await;
        let tables = [Followed { filter: Some(rich()), ..followed }];
        let own = own_context(INCARNATION);
        let mut pass = shop.begin(&mut till, &[], own, &tables).await.expect("a pass");
        run(&mut shop.office(), "DELETE FROM [dbo].[CARDS];").await;
        let seen = pass.rows(0, &keys).await.expect("rows of the moment");
        let row = Found::Row(card("Ab", 1, Some("x")));
        assert_eq!(seen, [Found::Nothing, Found::Nothing, row.clone(), row]);
        pass.finish().await.expect("the end");
    }
}

#[tokio::test]
async fn more_keys_than_one_statement_takes_are_all_answered() {
    let shop = Shop::open().await;
    let count = 2 * tillhold_core::limits::PULL_PAGE_ROWS_MAX + 5;
    for portion in (0..count).collect::<Vec<_>>().chunks(500) {
        let values: Vec<String> = portion.iter().map(|n| format!("(N'{n}', {})", n % 2)).collect();
        let sql =
            format!("INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES {};", values.join(", "));
        run(&mut shop.office(), &sql).await;
    }
    let keys: Vec<Key> = (0..count).map(|n| card_key(&n.to_string())).collect();
    let passing = keyed::passing(&mut shop.till(), &cards(), Some(&rich()), &keys).await;
    let expected: Vec<bool> = (0..count).map(|n| n % 2 == 1).collect();
    assert_eq!(passing.expect("answers"), expected);
}
