//! The catalogue, the script, the rights, the profile, the probe.

use super::{Shop, cards_whole, options, prices_whole, run};
use crate::prepare::{Missing, Prepared, check, prepare};
use crate::probe::probe;
use crate::profile::{ChannelScope, ChannelScopeTable, read_profile};
use crate::schema::{all_table_names, described, tables};
use std::time::Duration;
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::table::{Assigned, TableName};
use tillhold_core::types::SqlType;

fn name(text: &str) -> TableName {
    TableName::parse(text).expect("a name")
}

#[tokio::test]
async fn the_catalogue_is_read_as_it_was_declared() {
    let shop = Shop::bare().await;
    let mut office = shop.office();
    let found = tables(&mut office, &[name("dbo.CARDS"), name("dbo.prices")]).await;
    let found = found.expect("two tables");
    let (cards, expected) = (&found[0], cards_whole());
    assert_eq!(cards.key, expected.key);
    for (column, expected) in cards.columns.iter().zip(&expected.columns) {
        let facts = (&column.name, column.of, column.nullable, column.assigned, &column.collation);
        let due = (
            &expected.name,
            expected.of,
            expected.nullable,
            expected.assigned,
            &expected.collation,
        );
        assert_eq!(facts, due);
    }
    assert_eq!(cards.columns[1].default.as_deref(), Some("((0))"));
    assert_eq!(cards.columns[3].assigned, Assigned::ByChannel);
    assert_eq!(found[1].key.len(), 2);
    assert_eq!(found[1].columns[2].of, SqlType::Decimal { precision: 32, scale: 16 });
    assert!(
        described(&mut office, &[name("dbo.CARDS")]).await.expect("one")[0].uncarried.is_empty()
    );
    let names = all_table_names(&mut office).await.expect("names");
    assert!(names.contains(&name("dbo.PRICES")), "{names:?}");
}

#[tokio::test]
async fn an_unknown_table_is_named_with_the_nearest_one() {
    let shop = Shop::bare().await;
    let error = tables(&mut shop.office(), &[name("dbo.CARD")]).await.expect_err("no such table");
    assert_eq!(error.code(), "channel-table");
    assert_eq!(error.hint().as_deref(), Some("did you mean dbo.CARDS?"));
}

#[tokio::test]
async fn what_is_missing_is_listed_until_the_script_has_run_and_running_it_twice_does_no_harm() {
    let shop = Shop::bare().await;
    let (prices, cards) = (prices_whole(), cards_whole());
    let (prices_fewer, cards_all) =
        (prices.travelling(&["AMOUNT".to_string()]), cards.travelling(&[]));
    let prepared = [
        Prepared { table: &prices, travelling: &prices_fewer, direction: Direction::Download },
        Prepared { table: &cards, travelling: &cards_all, direction: Direction::Upload },
    ];
    let before = check(&mut shop.till(), Capture::ChangeTracking, &prepared).await.expect("a list");
    assert!(before.contains(&Missing::SnapshotIsolation), "{before:?}");
    assert!(before.contains(&Missing::ChangeTracking { table: None }), "{before:?}");
    let right = Missing::Right { right: "INSERT", on: "dbo.CARDS".to_string() };
    assert!(before.contains(&right), "{before:?}");
    for _ in 0..2 {
        prepare(&mut shop.office(), &prepared, &options()).await.expect("a prepared channel");
        assert_eq!(
            check(&mut shop.till(), Capture::ChangeTracking, &prepared).await.expect("a list"),
            []
        );
    }
}

#[tokio::test]
async fn a_table_that_an_earlier_version_made_is_told_and_mended() {
    let shop = Shop::bare().await;
    let cards = cards_whole();
    let travelling = cards.travelling(&[]);
    let prepared =
        [Prepared { table: &cards, travelling: &travelling, direction: Direction::Upload }];
    prepare(&mut shop.office(), &prepared, &options()).await.expect("a prepared channel");
    for column in ["who", "why"] {
        let sql = format!("ALTER TABLE [tillhold].[decision] DROP COLUMN [{column}];");
        run(&mut shop.office(), &sql).await;
    }
    let missing = check(&mut shop.till(), Capture::ChangeTracking, &prepared).await;
    let column = Missing::Column { table: "tillhold.decision", column: "who" };
    assert_eq!(missing.expect("a list"), [column]);
    prepare(&mut shop.office(), &prepared, &options()).await.expect("prepared again");
    let missing = check(&mut shop.till(), Capture::ChangeTracking, &prepared).await;
    assert_eq!(missing.expect("a list"), []);
}

#[tokio::test]
async fn the_script_itself_runs_batch_by_batch() {
    let shop = Shop::bare().await;
    let cards = cards_whole();
    let travelling = cards.travelling(&[]);
    let prepared =
        [Prepared { table: &cards, travelling: &travelling, direction: Direction::Bidirectional }];
    let script = crate::prepare::script(&prepared, &options());
    let mut office = shop.office();
    for batch in script.split("GO\n").filter(|batch| !batch.trim().is_empty()) {
        run(&mut office, batch).await;
    }
    assert_eq!(
        check(&mut shop.till(), Capture::ChangeTracking, &prepared).await.expect("a list"),
        []
    );
}

#[tokio::test]
async fn a_store_has_the_profile_that_its_tables_hold() {
    let shop = Shop::bare().await;
    let mut office = shop.office();
    run(&mut office, PROFILE).await;
    let profile = read_profile(&mut office, "S001").await.expect("a profile");
    assert_eq!((profile.name.as_str(), profile.description.as_str()), ("Default pr", "All"));
    let scope = |description: &str, direction, frequency_s, tables| ChannelScope {
        description: description.to_string(),
        direction,
        frequency_s,
        tables,
    };
    let table = |name: &str, columns: &[&str]| ChannelScopeTable {
        name: name.to_string(),
        columns: columns.iter().map(|c| c.to_string()).collect(),
    };
    let expected = [
        scope("Prices", Direction::Download, 300, vec![table("PRICES", &["ITEM", "UNIT"])]),
        scope("Sales", Direction::Upload, 60, vec![table("SALES", &[]), table("LINES", &[])]),
    ];
    assert_eq!(profile.scopes, expected);
    for (store, code) in [("S002", "channel-profile"), ("S003", "channel-store")] {
        let error = read_profile(&mut office, store).await.expect_err("no profile");
        assert_eq!(error.code(), code);
    }
}

pub(super) const PROFILE: &str = "
EXEC (N'CREATE SCHEMA [ax]');
CREATE TABLE [ax].[RETAILSTORETABLE] ([RECID] bigint NOT NULL PRIMARY KEY, [STORENUMBER] nvarchar(10) NOT NULL, [OFFLINEPROFILE] bigint NULL);
CREATE TABLE [ax].[RETAILOFFLINEPROFILE] ([RECID] bigint NOT NULL PRIMARY KEY, [DESCRIPTION] nvarchar(256) NOT NULL, [NAME] nvarchar(10) NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINEPROFILESCOPES] ([RECID] bigint NOT NULL PRIMARY KEY, [PROFILEID] bigint NOT NULL, [SCOPEID] bigint NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINESCOPE] ([RECID] bigint NOT NULL PRIMARY KEY, [DESCRIPTION] nvarchar(256) NOT NULL, [SYNCDIRECTION] int NOT NULL, [SYNCFREQUENCY] int NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINESCOPETABLES] ([RECID] bigint NOT NULL PRIMARY KEY, [SCOPEID] bigint NOT NULL, [SYNCTABLEID] bigint NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINETABLE] ([RECID] bigint NOT NULL PRIMARY KEY, [TABLENAME] nvarchar(50) NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINETABLECOLUMNS] ([RECID] bigint NOT NULL PRIMARY KEY, [SYNCCOLUMNNAME] nvarchar(40) NOT NULL, [SYNCTABLE] bigint NOT NULL);
INSERT INTO [ax].[RETAILSTORETABLE] ([RECID], [STORENUMBER], [OFFLINEPROFILE]) VALUES (1, N'S001', 5), (2, N'S002', NULL);
INSERT INTO [ax].[RETAILOFFLINEPROFILE] ([RECID], [DESCRIPTION], [NAME]) VALUES (5, N'All', N'Default pr'), (6, N'Other', N'Other');
INSERT INTO [ax].[RETAILOFFLINEPROFILESCOPES] ([RECID], [PROFILEID], [SCOPEID]) VALUES (1, 5, 20), (2, 5, 10), (3, 6, 30);
INSERT INTO [ax].[RETAILOFFLINESCOPE] ([RECID], [DESCRIPTION], [SYNCDIRECTION], [SYNCFREQUENCY]) VALUES (10, N'Sales', 1, 60), (20, N'Prices', 0, 300), (30, N'Other', 2, 1);
INSERT INTO [ax].[RETAILOFFLINESCOPETABLES] ([RECID], [SCOPEID], [SYNCTABLEID]) VALUES (1, 10, 101), (2, 10, 102), (3, 20, 103);
INSERT INTO [ax].[RETAILOFFLINETABLE] ([RECID], [TABLENAME]) VALUES (101, N'SALES'), (102, N'LINES'), (103, N'PRICES');
INSERT INTO [ax].[RETAILOFFLINETABLECOLUMNS] ([RECID], [SYNCCOLUMNNAME], [SYNCTABLE]) VALUES (1, N'ITEM', 103), (2, N'UNIT', 103);
";

#[tokio::test]
async fn a_probe_is_answered_until_the_channel_is_cut() {
    let shop = Shop::bare().await;
    let mut till = shop.till();
    let limit = Duration::from_secs(20);
    probe(&mut till, limit).await.expect("an answer");
    shop.gate.cut().await.expect("a cut");
    probe(&mut till, limit).await.expect_err("a cut channel");
    assert_eq!(
        probe(&mut till, limit).await.expect_err("no channel").code(),
        "channel-unreachable"
    );
    shop.gate.restore().await.expect("the channel back");
    probe(&mut till, limit).await.expect("an answer again");
}
