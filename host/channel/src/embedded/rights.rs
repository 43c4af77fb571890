//! Least rights: with the script's role a register does all its work; without any one of the rights
//! the check names that one, and nothing else.

use super::preparing::PROFILE;
use super::{INCARNATION, Shop, card, cards, cards_whole, prices, prices_whole, run, wrote};
use crate::capture::own_context;
use crate::prepare::{
    PrepareOptions, Prepared, check, check_published, prepare, script, script_of_published,
};
use crate::profile::read_profile;
use crate::schema;
use crate::snapshot::page;
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::table::Table;
use tillhold_core::transaction::Receipt;

/// Prices come down without a column, cards go both ways.
struct Tables([Table; 4]);

impl Tables {
    fn new() -> Tables {
        let (prices, cards) = (prices_whole(), cards_whole());
        let (fewer, all) = (prices.travelling(&["AMOUNT".to_string()]), cards.travelling(&[]));
        Tables([prices, fewer, cards, all])
    }

    fn prepared(&self) -> [Prepared<'_>; 2] {
        let [prices, fewer, cards, all] = &self.0;
        [
            Prepared { table: prices, travelling: fewer, direction: Direction::Download },
            Prepared { table: cards, travelling: all, direction: Direction::Bidirectional },
        ]
    }
}

async fn shop(capture: Capture, tables: &Tables) -> Shop {
    let shop = Shop { capture, ..Shop::bare().await };
    let options = PrepareOptions { capture, ..super::options() };
    prepare(&mut shop.office(), &tables.prepared(), &options).await.expect("a prepared channel");
    shop
}

/// What provisioning, pull and push ask, as the role's member.
#[tokio::test]
async fn a_member_of_the_role_does_all_of_a_registers_work() {
    for capture in [Capture::ChangeTracking, Capture::Triggers] {
        let tables = Tables::new();
        let shop = shop(capture, &tables).await;
        let fewer = std::sync::Arc::new(tables.0[1].clone());
        let names = [fewer.name.clone(), cards().name.clone()];
        schema::tables(&mut shop.till(), &names).await.expect("the catalogue");
        page(&mut shop.till(), &fewer, None, 10).await.expect("a page");
        page(&mut shop.till(), &prices(), None, 10).await.expect_err("a column that is left out");
        let from = shop.version().await;
        run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'a');").await;
        let mut followed = [shop.followed(fewer, from).await, shop.followed(cards(), from).await];
        followed[0].entry.excluded_columns.push("AMOUNT".to_string());
        let mut till = shop.till();
        let mut pass =
            shop.begin(&mut till, &[], own_context(INCARNATION), &followed).await.expect("a pass");
        assert_eq!(pass.page(1).await.expect("a page").expect("a change").changes.len(), 1);
        pass.finish().await.expect("the end");
        let sold = wrote(None, Some(card("b", 1, None)), from);
        let sale = super::transaction(1, vec![sold]);
        assert_eq!(shop.upload(&[sale]).await, [Receipt::Applied]);
    }
}

const ROLE: &str = "[tillhold_register]";

#[tokio::test]
async fn each_right_that_is_revoked_is_named_alone() {
    let of_both = [
        "SELECT on tillhold.ledger",
        "INSERT on tillhold.ledger",
        "SELECT on tillhold.epoch",
        "SELECT on tillhold.decision",
        "INSERT on tillhold.decision",
        "SELECT on dbo.PRICES.ITEM",
        "SELECT on dbo.PRICES.UNIT",
        "VIEW DEFINITION on dbo.PRICES",
        "SELECT on dbo.CARDS",
        "VIEW DEFINITION on dbo.CARDS",
        "INSERT on dbo.CARDS",
        "UPDATE on dbo.CARDS",
        "DELETE on dbo.CARDS",
    ];
    let of_tracking = ["VIEW CHANGE TRACKING on dbo.PRICES", "VIEW CHANGE TRACKING on dbo.CARDS"];
    let of_triggers = [
        "SELECT on tillhold.horizon",
        "SELECT on tillhold.t_dbo.CARDS",
        "VIEW DEFINITION on tillhold.g_dbo.CARDS",
    ];
    for (capture, more) in
        [(Capture::ChangeTracking, &of_tracking[..]), (Capture::Triggers, &of_triggers)]
    {
        let tables = Tables::new();
        let shop = shop(capture, &tables).await;
        for right in of_both.iter().chain(more) {
            let (revoke, grant) = taken_and_given(right);
            run(&mut shop.office(), &revoke).await;
            let missing = check(&mut shop.till(), capture, &tables.prepared()).await;
            let missing: Vec<String> =
                missing.expect("a list").iter().map(ToString::to_string).collect();
            assert_eq!(missing, [format!("{right} is not granted")], "{revoke}");
            run(&mut shop.office(), &grant).await;
        }
        let missing = check(&mut shop.till(), capture, &tables.prepared()).await;
        assert_eq!(missing.expect("a list"), []);
    }
}

/// A register that follows the channel's own profile could not read it with the role's rights: nothing told which were
/// missing, and the script that grants them asked for the profile first.
#[tokio::test]
async fn the_channels_own_profile_is_read_with_the_roles_rights_and_each_missing_one_is_named() {
    let (first, whole) = (script_of_published(&super::options()), script(&[], &super::options()));
    for script in [first, whole] {
        let shop = Shop::bare().await;
        run(&mut shop.office(), PROFILE).await;
        let error = read_profile(&mut shop.till(), "S001").await.expect_err("no right yet");
        assert_eq!(error.code(), "channel-right");
        assert_eq!(check_published(&mut shop.till()).await.expect("a list").len(), 9);
        let mut office = shop.office();
        for batch in script.split("GO\n").filter(|batch| !batch.trim().is_empty()) {
            run(&mut office, batch).await;
        }
        read_profile(&mut shop.till(), "S001").await.expect("the profile");
        assert_eq!(check_published(&mut shop.till()).await.expect("a list"), []);
        for (on, column, named) in [
            ("RETAILSTORETABLE", " ([OFFLINEPROFILE])", ".OFFLINEPROFILE"),
            ("RETAILOFFLINEPROFILE", "", ""),
            ("RETAILOFFLINEPROFILESCOPES", "", ""),
            ("RETAILOFFLINESCOPE", "", ""),
            ("RETAILOFFLINESCOPETABLES", "", ""),
            ("RETAILOFFLINETABLE", "", ""),
            ("RETAILOFFLINETABLECOLUMNS", "", ""),
        ] {
            let right = format!("SELECT ON OBJECT::[ax].[{on}]{column}");
            run(&mut office, &format!("REVOKE {right} FROM {ROLE};")).await;
            let refused = read_profile(&mut shop.till(), "S001").await.expect_err(on);
            assert_eq!(refused.code(), "channel-right", "{on}");
            let missing = check_published(&mut shop.till()).await.expect("a list");
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            assert_eq!(missing, [format!("SELECT on ax.{on}{named} is not granted")]);
            run(&mut office, &format!("GRANT {right} TO {ROLE};")).await;
        }
    }
}

/// `SELECT on dbo.PRICES.ITEM` names a column, `SELECT on tillhold.t_dbo.CARDS` a table.
fn taken_and_given(right: &str) -> (String, String) {
    let (right, on) = right.split_once(" on ").expect("a right on an object");
    let (schema, name) = on.split_once('.').expect("a schema");
    let (object, column) = match name.split_once('.') {
        Some((table, column)) if schema == "dbo" => (table, format!(" ([{column}])")),
        _ => (name, String::new()),
    };
    let on = format!("{right} ON OBJECT::[{schema}].[{object}]{column}");
    (format!("REVOKE {on} FROM {ROLE};"), format!("GRANT {on} TO {ROLE};"))
}

/// What is no right but still missing, and what is only advice.
#[tokio::test]
async fn settings_of_the_database_are_named_too() {
    let tables = Tables::new();
    let shop = shop(Capture::ChangeTracking, &tables).await;
    for (sql, expected) in [
        (
            "ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 120;",
            "the database's compatibility level is 120, 130 is needed",
        ),
        (
            "ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 130; ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF;",
            "snapshot isolation is not allowed",
        ),
        (
            "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; ALTER TABLE [dbo].[PRICES] DISABLE CHANGE_TRACKING;",
            "change tracking is off for dbo.PRICES, or may not be seen",
        ),
        (
            "ALTER TABLE [dbo].[PRICES] ENABLE CHANGE_TRACKING; ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 2 DAYS);",
            "changes are kept for 48 hours; 4 days let a register be away over a long weekend",
        ),
    ] {
        run(&mut shop.office(), sql).await;
        let missing = check(&mut shop.till(), Capture::ChangeTracking, &tables.prepared()).await;
        let missing = missing.expect("a list");
        let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(told, [expected], "{sql}");
        assert_eq!(missing[0].is_advice(), expected.starts_with("changes are kept"));
    }
}
