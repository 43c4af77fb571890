//! Tables that are altered, dropped, made again, truncated, or whose tracking is switched off and on,
//! between two passes.

use super::{INCARNATION, Shop, card, cards, cards_whole, prices, run};
use crate::capture::{Followed, Standing, own_context};
use crate::error::ChannelError;
use tillhold_core::fault::Class;
use tillhold_core::profile::ScopeTable;
use tillhold_core::row::Change;
use tillhold_core::version::Position;

/// One pass without its rows: each table's standing, and the positions to store.
pub(super) async fn stand(
    shop: &Shop,
    tables: &[Followed],
) -> Result<(Vec<Standing>, Vec<Position>), ChannelError> {
    let mut till = shop.till();
    let pass = shop.begin(&mut till, &[], own_context(INCARNATION), tables).await?;
    let standings = (0..tables.len()).map(|at| pass.standing(at)).collect();
    let position = |at| Position { version: pass.reached(), mark: Some(pass.mark(at).clone()) };
    let positions = (0..tables.len()).map(position).collect();
    pass.finish().await?;
    Ok((standings, positions))
}

/// The shop's two tables as a register that is up to date follows them.
pub(super) async fn up_to_date(shop: &Shop) -> Vec<Followed> {
    let rows = "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'a'); INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT]) VALUES (1, N'pcs');";
    run(&mut shop.office(), rows).await;
    let version = shop.version().await;
    let mut tables =
        vec![shop.followed(cards(), version).await, shop.followed(prices(), version).await];
    let (_, positions) = stand(shop, &tables).await.expect("a pass");
    for (table, position) in tables.iter_mut().zip(positions) {
        table.position = position;
    }
    tables
}

/// What a register cannot follow is told column by column, and the table is not read.
#[tokio::test]
async fn a_change_of_what_travels_stops_the_pass_and_names_the_column() {
    for (sql, expected) in [
        (
            "ALTER TABLE [dbo].[CARDS] ADD [COLOUR] nvarchar(5) COLLATE Latin1_General_CI_AS NULL;",
            "column COLOUR nvarchar(5) collate Latin1_General_CI_AS null is new",
        ),
        (
            "ALTER TABLE [dbo].[CARDS] DROP COLUMN [NOTE];",
            "column NOTE (nvarchar(10) collate SQL_Latin1_General_CP1_CI_AS null) no longer travels",
        ),
        (
            "ALTER TABLE [dbo].[CARDS] ALTER COLUMN [NOTE] nvarchar(12) COLLATE SQL_Latin1_General_CP1_CI_AS NULL;",
            "column NOTE was nvarchar(10) collate SQL_Latin1_General_CP1_CI_AS null and is nvarchar(12) collate SQL_Latin1_General_CP1_CI_AS null",
        ),
    ] {
        let shop = Shop::open().await;
        let tables = up_to_date(&shop).await;
        run(&mut shop.office(), sql).await;
        let error = stand(&shop, &tables).await.expect_err(sql);
        assert_eq!((error.code(), error.class()), ("channel-altered", Class::Reconfigure));
        let expected = format!("dbo.CARDS was altered at the channel: {expected}");
        assert_eq!(error.to_string(), expected);
        // The other table, in a scope of its own, goes on.
        let (standings, _) = stand(&shop, &tables[1..]).await.expect("a pass");
        assert_eq!(standings, [Standing::Current]);
    }
}

/// A server moves the date for reasons of its own: that costs one look.
#[tokio::test]
async fn a_change_of_what_does_not_travel_costs_a_look_and_no_row() {
    for sql in [
        "CREATE INDEX [IX_CARDS_POINTS] ON [dbo].[CARDS] ([POINTS]);",
        "ALTER TABLE [dbo].[CARDS] ADD [COLOUR] nvarchar(5) COLLATE Latin1_General_CI_AS NULL;",
    ] {
        let shop = Shop::open().await;
        let mut tables = up_to_date(&shop).await;
        tables[0].entry.excluded_columns.push("colour".to_string());
        run(&mut shop.office(), sql).await;
        run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'b');").await;
        let (standings, positions) = stand(&shop, &tables).await.expect(sql);
        assert_eq!(standings, [Standing::Current, Standing::Current]);
        let (old, new) = (&tables[0].position.mark, &positions[0].mark);
        assert_ne!(old, new, "the new moment is remembered: {sql}");
        let mut till = shop.till();
        let mut pass =
            shop.begin(&mut till, &[], own_context(INCARNATION), &tables).await.expect(sql);
        let page = pass.page(0).await.expect("a page").expect("a change").changes;
        assert_eq!(page[0].change, Change::Present(card("b", 0, None)));
        pass.finish().await.expect("the end");
    }
}

/// Nothing else is committed meanwhile: the oldest valid version is then the register's own, and
/// alone it would say that all is well.
#[tokio::test]
async fn r8_another_history_is_loaded_afresh_although_no_version_moved() {
    let dropped = format!(
        "DROP TABLE [dbo].[CARDS]; {} ALTER TABLE [dbo].[CARDS] ENABLE CHANGE_TRACKING; GRANT SELECT, VIEW CHANGE TRACKING ON OBJECT::[dbo].[CARDS] TO [tillhold_register];",
        super::TABLES.lines().find(|line| line.contains("[CARDS]")).expect("the table")
    );
    for sql in [
        dropped.as_str(),
        "TRUNCATE TABLE [dbo].[CARDS];",
        "ALTER TABLE [dbo].[CARDS] DISABLE CHANGE_TRACKING; DELETE FROM [dbo].[CARDS]; ALTER TABLE [dbo].[CARDS] ENABLE CHANGE_TRACKING;",
    ] {
        let shop = Shop::open().await;
        let mut tables = up_to_date(&shop).await;
        run(&mut shop.office(), sql).await;
        let (standings, positions) = stand(&shop, &tables).await.expect(sql);
        assert_eq!(standings, [Standing::Outdated, Standing::Current], "{sql}");
        // Loaded afresh under the new mark, it is current again.
        tables[0].position = positions[0].clone();
        let (standings, _) = stand(&shop, &tables).await.expect(sql);
        assert_eq!(standings, [Standing::Current, Standing::Current], "{sql}");
    }
}

#[tokio::test]
async fn a_table_that_is_gone_stops_its_scope_by_name() {
    let shop = Shop::open().await;
    let tables = up_to_date(&shop).await;
    run(&mut shop.office(), "DROP TABLE [dbo].[CARDS];").await;
    let error = stand(&shop, &tables).await.expect_err("no table");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("channel-table", "the channel has no table dbo.CARDS")
    );
}

/// A load's own shape is looked at before its first page, and counts as not looked at for the first pass.
#[tokio::test]
async fn a_load_of_an_altered_table_says_so() {
    let shop = Shop::open().await;
    let (table, entry) = (cards(), ScopeTable::whole(cards().name.clone()));
    let mut till = shop.till();
    crate::schema::verify(&mut till, &[(&table, &entry)]).await.expect("as it was");
    run(&mut shop.office(), "ALTER TABLE [dbo].[CARDS] DROP COLUMN [NOTE];").await;
    let error = crate::schema::verify(&mut till, &[(&table, &entry)]).await;
    assert_eq!(error.expect_err("an altered table").code(), "channel-altered");
    let (_, position) = shop.start(&cards()).await;
    assert_eq!(position.mark.expect("a mark").altered, "");
    assert_eq!(
        stand(&shop, &[shop.followed(table, position.version).await])
            .await
            .expect_err("altered")
            .code(),
        "channel-altered"
    );
    assert!(cards_whole().position("NOTE").is_some());
}

/// 3952: read committed would give the tables of different moments, so nothing is read instead.
#[tokio::test]
async fn without_snapshot_isolation_neither_a_pass_nor_a_load_reads_a_row() {
    let shop = Shop::open().await;
    let tables = up_to_date(&shop).await;
    run(&mut shop.office(), "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF;").await;
    let error = stand(&shop, &tables).await.expect_err("no snapshot");
    assert_eq!(error, ChannelError::SnapshotIsolationOff);
    assert_eq!(error.class(), Class::Reconfigure);
    assert!(error.hint().expect("a hint").contains("ALLOW_SNAPSHOT_ISOLATION ON"));
    let page = crate::snapshot::page(&mut shop.till(), &cards(), None, 10).await;
    assert_eq!(page.expect_err("no snapshot"), ChannelError::SnapshotIsolationOff);
}
