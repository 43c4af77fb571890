//! Restricted tables: only members' rows are read, changed or not, and who joins brings rows that did not change.

use super::{INCARNATION, Shop, prices, run};
use crate::capture::{Captured, Followed, own_context};
use crate::error::ChannelError;
use crate::keyed::Found;
use crate::selection::{Choice, Chosen, choose};
use crate::snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;
use tillhold_core::limits::SELECTION_MEMBERS_MAX;
use tillhold_core::moment::Date;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::selection::{
    Domain, MemberKind, Members, OfStore, OfflineCustomers, OfflineProducts, RankedBy, Restricted,
    Restriction, Selections, SoldBy,
};
use tillhold_core::table::TableName;
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;
use tokio::sync::mpsc;

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// Prices by their item's number.
fn of(items: &[&str]) -> Restricted {
    let mut members = Members::default();
    members.insert(MemberKind::Product, set(items));
    let restriction = Restriction::parse("ITEM product").expect("a restriction");
    Restricted { restriction, members: Arc::new(members) }
}

fn item(row: &Row) -> i64 {
    match row.0[0] {
        Value::Int(item) => item,
        ref other => panic!("an item is a number: {other:?}"),
    }
}

fn item_of(key: &Key) -> i64 {
    item(&Row(key.0.clone()))
}

async fn loaded(shop: &Shop, restricted: Option<&Restricted>) -> Vec<i64> {
    let (out, mut pages) = mpsc::channel(4);
    let mut till = shop.till();
    let table = prices();
    let reading = snapshot::pages(&mut till, &table, None, restricted, None, out);
    let taking = async {
        let mut rows = Vec::new();
        while let Some(page) = pages.recv().await {
            rows.extend(page.rows.iter().map(item));
        }
        rows
    };
    let (read, rows) = tokio::join!(reading, taking);
    read.expect("a load");
    rows
}

/// Prices of items 0 (everyone's), 1, 2 … 9.
async fn priced(shop: &Shop) {
    let rows: Vec<String> = (0..10).map(|item| format!("({item}, N'pcs', {item}.5)")).collect();
    let sql = format!(
        "INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES {};",
        rows.join(", ")
    );
    run(&mut shop.office(), &sql).await;
}

#[tokio::test]
async fn a_load_reads_members_and_what_is_nobodys() {
    let shop = Shop::open().await;
    priced(&shop).await;
    assert_eq!(loaded(&shop, Some(&of(&["3", "7", "12"]))).await, [0, 3, 7]);
    assert_eq!(loaded(&shop, Some(&of(&[]))).await, [0]);
    assert_eq!(loaded(&shop, None).await.len(), 10);
    let withheld = Restricted { restriction: Restriction::Withheld, ..of(&["3"]) };
    assert_eq!(loaded(&shop, Some(&withheld)).await, [0_i64; 0]);
}

/// Several statements, each with its sets and behind the last one's key.
#[tokio::test]
async fn a_load_of_members_goes_on_from_statement_to_statement() {
    let shop = Shop::open().await;
    let rows: Vec<String> =
        (1..=900).map(|item| format!("({item}, N'a', 1), ({item}, N'b', 1)")).collect();
    for rows in rows.chunks(400) {
        let sql = format!(
            "INSERT INTO [dbo].[PRICES] ([ITEM], [UNIT], [AMOUNT]) VALUES {};",
            rows.join(", ")
        );
        run(&mut shop.office(), &sql).await;
    }
    let even: Vec<String> = (1..=450).map(|n| (2 * n).to_string()).collect();
    let even: Vec<&str> = even.iter().map(String::as_str).chain(["1", "3", "5", "7"]).collect();
    let mut all = of(&even);
    let members: BTreeSet<String> =
        (1..=900).filter(|n| n % 2 == 0 || *n < 400).map(|n: i64| n.to_string()).collect();
    let expected = members.len() * 2;
    let mut sets = Members::default();
    sets.insert(MemberKind::Product, members);
    all.members = Arc::new(sets);
    let read = loaded(&shop, Some(&all)).await;
    assert!(expected > tillhold_core::limits::PULL_PAGE_ROWS_MAX, "one statement would do");
    assert_eq!(read.len(), expected);
    assert!(read.windows(2).all(|two| two[0] <= two[1]));
}

async fn followed(shop: &Shop, from: ChannelVersion, restricted: Restricted) -> Followed {
    Followed { restricted: Some(restricted), ..shop.followed(prices(), from).await }
}

async fn changes(shop: &Shop, from: ChannelVersion, restricted: Restricted) -> Vec<Captured> {
    let tables = [followed(shop, from, restricted).await];
    let mut till = shop.till();
    let own = own_context(INCARNATION);
    let mut pass = shop.begin(&mut till, &[], own, &tables).await.expect("a pass");
    let page = pass.page(0).await.expect("a page").map(|page| page.changes).unwrap_or_default();
    pass.finish().await.expect("an end");
    assert!(till.is_connected());
    page
}

/// A change of a row that is no member's is gone for the register; nothing of the row is sent.
#[tokio::test]
async fn a_pass_brings_only_members() {
    for shop in Shop::both().await {
        priced(&shop).await;
        let from = shop.version().await;
        let mut office = shop.office();
        run(&mut office, "UPDATE [dbo].[PRICES] SET [AMOUNT] = 9 WHERE [ITEM] IN (0, 3, 4);").await;
        run(&mut office, "DELETE FROM [dbo].[PRICES] WHERE [ITEM] = 5;").await;
        let seen = changes(&shop, from, of(&["3", "5"])).await;
        let mut seen: Vec<(i64, bool, bool)> = seen
            .iter()
            .map(|one| match &one.change {
                Change::Present(row) => (item(row), true, one.is_elsewhere),
                Change::Gone(key) => (item_of(key), false, one.is_elsewhere),
            })
            .collect();
        seen.sort_unstable();
        let expected = [(0, true, false), (3, true, false), (4, false, true), (5, false, false)];
        assert_eq!(seen, expected);
        let withheld = Restricted { restriction: Restriction::Withheld, ..of(&[]) };
        let seen = changes(&shop, from, withheld).await;
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|one| matches!(one.change, Change::Gone(_))));
    }
}

/// A row that is asked for by its key comes only to whom it belongs, whether or not a page was read before.
#[tokio::test]
async fn who_asks_by_key_gets_only_members() {
    for shop in Shop::both().await {
        priced(&shop).await;
        let from = shop.version().await;
        let keys = [0, 3, 4, 77].map(|item| Key(vec![Value::Int(item), Value::Text("pcs".into())]));
        let withheld = Restricted { restriction: Restriction::Withheld, ..of(&["3"]) };
        for (restricted, expected) in [(of(&["3"]), vec![0, 3]), (withheld, vec![])] {
            let tables = [followed(&shop, from, restricted).await];
            let (mut till, own) = (shop.till(), own_context(INCARNATION));
            let mut pass = shop.begin(&mut till, &[], own, &tables).await.expect("a pass");
            let found = pass.rows(0, &keys).await.expect("an answer");
            pass.finish().await.expect("an end");
            let rows = found.iter().filter_map(|one| match one {
                Found::Row(row) => Some(item(row)),
                _ => None,
            });
            assert_eq!((found.len(), rows.collect::<Vec<_>>()), (4, expected));
        }
    }
}

/// Who joins brings rows that did not change, of the pass's own moment.
#[tokio::test]
async fn who_joins_brings_rows_of_the_same_moment() {
    for shop in Shop::both().await {
        priced(&shop).await;
        let from = shop.version().await;
        let tables = [followed(&shop, from, of(&[])).await];
        let (mut till, own) = (shop.till(), own_context(INCARNATION));
        let mut pass =
            crate::capture::Pass::begin_choosing(&mut till, shop.capture, &[], own, &tables)
                .await
                .expect("a pass");
        run(&mut shop.office(), "UPDATE [dbo].[PRICES] SET [AMOUNT] = 99 WHERE [ITEM] = 7;").await;
        let (new, old) = (of(&["3", "7"]).members, of(&["3", "4"]).members);
        pass.go_by(&new, new.beyond(&old));
        let page = pass.joined_page(0, None).await.expect("a page");
        let last = page.last_key.clone().expect("a place");
        assert_eq!(page.rows.iter().map(item).collect::<Vec<_>>(), [7], "0 and 3 were there");
        let amount = format!("{:?}", page.rows[0].0[2]);
        assert!(!amount.contains("99"), "a later moment: {amount}");
        let rest = pass.joined_page(0, Some(&last)).await.expect("a page");
        assert_eq!((rest.rows, rest.last_key), (Vec::new(), None));
        assert_eq!(pass.page(0).await.expect("a page"), None, "nothing changed before it");
        pass.finish().await.expect("an end");
        // The same connection again: the session keeps nothing of the pass.
        let pass = shop.begin(&mut till, &[], own_context(INCARNATION), &tables).await;
        pass.expect("a pass").finish().await.expect("an end");
    }
}

const AX: &str = "
CREATE TABLE [ax].[RETAILTRANSACTIONSALESTRANS] ([N] int NOT NULL PRIMARY KEY, [STORE] nvarchar(10) NOT NULL, [TRANSDATE] date NOT NULL, [TRANSACTIONSTATUS] int NOT NULL DEFAULT 0, [ITEMID] nvarchar(20) NOT NULL, [NETAMOUNT] numeric(32,16) NOT NULL, [QTY] numeric(32,16) NOT NULL);
CREATE TABLE [ax].[INVENTTABLE] ([ITEMID] nvarchar(20) NOT NULL PRIMARY KEY, [RECID] bigint NOT NULL, [PRODUCT] bigint NOT NULL);
CREATE TABLE [ax].[ECORESCATEGORY] ([RECID] bigint NOT NULL PRIMARY KEY, [NAME] nvarchar(254) NOT NULL, [CODE] nvarchar(20) NOT NULL, [PARENTCATEGORY] bigint NOT NULL);
CREATE TABLE [ax].[ECORESPRODUCTCATEGORY] ([RECID] bigint NOT NULL PRIMARY KEY, [PRODUCT] bigint NOT NULL, [CATEGORY] bigint NOT NULL);
CREATE TABLE [ax].[ECORESDISTINCTPRODUCTVARIANT] ([RECID] bigint NOT NULL PRIMARY KEY, [PRODUCTMASTER] bigint NOT NULL);
CREATE TABLE [ax].[RETAILINVENTLINKEDITEM] ([ITEMID] nvarchar(20) NOT NULL, [LINKEDITEMID] nvarchar(20) NOT NULL);
CREATE TABLE [ax].[RETAILPARAMETERS] ([GIFTCARDITEM] nvarchar(20) NOT NULL);
CREATE TABLE [ax].[RETAILTRANSACTIONTABLE] ([N] int NOT NULL PRIMARY KEY, [STORE] nvarchar(10) NOT NULL, [TRANSDATE] date NOT NULL, [TYPE] int NOT NULL DEFAULT 2, [ENTRYSTATUS] int NOT NULL DEFAULT 0, [CUSTACCOUNT] nvarchar(20) NOT NULL, [GROSSAMOUNT] numeric(32,16) NOT NULL);
CREATE TABLE [ax].[CUSTTABLE] ([ACCOUNTNUM] nvarchar(20) NOT NULL PRIMARY KEY, [PARTY] bigint NOT NULL, [INVENTLOCATION] nvarchar(10) NOT NULL DEFAULT N'elsewhere');
CREATE TABLE [ax].[DIRPARTYTABLE] ([RECID] bigint NOT NULL PRIMARY KEY);
CREATE TABLE [ax].[DIRPARTYLOCATION] ([RECID] bigint NOT NULL PRIMARY KEY, [PARTY] bigint NOT NULL, [LOCATION] bigint NOT NULL);
CREATE TABLE [ax].[LOGISTICSLOCATION] ([RECID] bigint NOT NULL PRIMARY KEY);
CREATE TABLE [ax].[RETAILLOYALTYCARD] ([RECID] bigint NOT NULL PRIMARY KEY, [PARTY] bigint NOT NULL);
CREATE TABLE [ax].[RETAILCHANNELTABLE] ([RECID] bigint NOT NULL PRIMARY KEY, [DEFAULTCUSTACCOUNT] nvarchar(20) NOT NULL, [INVENTLOCATION] nvarchar(10) NOT NULL);
CREATE TABLE [ax].[RETAILSTORETABLE] ([RECID] bigint NOT NULL PRIMARY KEY, [STORENUMBER] nvarchar(10) NOT NULL);
CREATE TABLE [ax].[RETAILSTOREADDRESSBOOK] ([RECID] bigint NOT NULL PRIMARY KEY, [STORERECID] bigint NOT NULL, [ADDRESSBOOK] bigint NOT NULL, [ADDRESSBOOKTYPE] int NOT NULL);
CREATE TABLE [ax].[DIRADDRESSBOOKPARTY] ([RECID] bigint NOT NULL PRIMARY KEY, [ADDRESSBOOK] bigint NOT NULL, [PARTY] bigint NOT NULL);
INSERT INTO [ax].[INVENTTABLE] VALUES (N'A1', 1, 101), (N'A2', 2, 102), (N'A3', 3, 103), (N'A4', 4, 104), (N'A5', 5, 105), (N'GIFT', 6, 106);
INSERT INTO [ax].[RETAILTRANSACTIONSALESTRANS] ([N], [STORE], [TRANSDATE], [TRANSACTIONSTATUS], [ITEMID], [NETAMOUNT], [QTY]) VALUES
 (1, N'S1', '2026-01-10', 0, N'A1', -100, -1), (2, N'S1', '2026-01-10', 0, N'a1', -1, -1), (3, N'S1', '2026-01-10', 0, N'A2', -50, -9),
 (4, N'S1', '2026-01-10', 1, N'A3', -900, -90), (5, N'S2', '2026-01-10', 0, N'A3', -900, -90), (6, N'S1', '2025-01-10', 0, N'A4', -900, -90),
 (7, N'S1', '2026-01-10', 0, N'A5', 30, 3);
INSERT INTO [ax].[ECORESCATEGORY] VALUES (11, N'Food', N'D1', 0), (12, N'Bread', N'D2', 11), (13, N'Rolls', N'D3', 12), (14, N'Other', N'D4', 14);
INSERT INTO [ax].[ECORESPRODUCTCATEGORY] VALUES (1, 103, 13), (2, 104, 11), (3, 105, 14);
INSERT INTO [ax].[ECORESDISTINCTPRODUCTVARIANT] VALUES (1011, 101), (1012, 101), (1021, 102);
INSERT INTO [ax].[RETAILINVENTLINKEDITEM] VALUES (N'A2', N'A4'), (N'A4', N'A2');
INSERT INTO [ax].[RETAILPARAMETERS] VALUES (N''), (N'GIFT');
INSERT INTO [ax].[CUSTTABLE] VALUES (N'C1', 201, N'W1'), (N'C2', 202, N''), (N'C3', 203, N'W2'), (N'WALKIN', 204, N'W9');
INSERT INTO [ax].[DIRPARTYTABLE] VALUES (201), (202), (203), (204), (299);
INSERT INTO [ax].[DIRPARTYLOCATION] VALUES (1, 201, 301), (2, 202, 302), (3, 203, 303), (4, 299, 399);
INSERT INTO [ax].[LOGISTICSLOCATION] VALUES (301), (302), (303), (399), (777);
INSERT INTO [ax].[RETAILLOYALTYCARD] VALUES (401, 201), (402, 202), (403, 203), (404, 0);
INSERT INTO [ax].[RETAILCHANNELTABLE] VALUES (501, N'WALKIN', N'W1'), (502, N'', N'W2');
INSERT INTO [ax].[RETAILSTORETABLE] VALUES (501, N'S1'), (502, N'S2');
INSERT INTO [ax].[RETAILSTOREADDRESSBOOK] VALUES (1, 501, 601, 0), (2, 501, 602, 1), (3, 502, 603, 0);
INSERT INTO [ax].[DIRADDRESSBOOKPARTY] VALUES (1, 601, 203), (2, 602, 201), (3, 603, 202);
INSERT INTO [ax].[RETAILTRANSACTIONTABLE] ([N], [STORE], [TRANSDATE], [TYPE], [ENTRYSTATUS], [CUSTACCOUNT], [GROSSAMOUNT]) VALUES
 (1, N'S1', '2026-01-10', 2, 0, N'C1', -10), (2, N'S1', '2026-01-10', 2, 0, N'C1', -10), (3, N'S1', '2026-01-10', 2, 2, N'C2', -90),
 (4, N'S1', '2026-01-10', 2, 1, N'C3', -900), (5, N'S1', '2026-01-10', 3, 0, N'C3', -900), (6, N'S1', '2026-01-10', 2, 0, N'', -5);
";

/// A shop with everything that a choice reads.
async fn ax() -> Shop {
    let shop = Shop::open().await;
    run(&mut shop.office(), "CREATE SCHEMA [ax];").await;
    run(&mut shop.office(), AX).await;
    shop
}

async fn chosen_by(
    shop: &Shop,
    domain: Domain,
    selections: &Selections,
    own: &[&str],
) -> Result<Chosen, ChannelError> {
    let tables: BTreeSet<TableName> = [
        "RETAILPARAMETERS",
        "RETAILINVENTLINKEDITEM",
        "ECORESDISTINCTPRODUCTVARIANT",
        "DIRPARTYTABLE",
        "LOGISTICSLOCATION",
        "RETAILCHANNELTABLE",
    ]
    .map(|name| TableName::new("ax", name))
    .into();
    let choice = Choice {
        selections,
        domain,
        store: "S1",
        today: Date::from_civil(2026, 1, 31).expect("a day"),
        own: &set(own),
        kinds: &MemberKind::ALL,
        tables: &tables,
    };
    choose(&mut shop.office(), &choice).await
}

fn products(rule: OfflineProducts) -> Selections {
    Selections { products: rule, ..Selections::default() }
}

fn customers(rule: OfflineCustomers) -> Selections {
    Selections { customers: rule, ..Selections::default() }
}

fn of_kind(chosen: &Chosen, kind: MemberKind) -> Vec<&str> {
    chosen.members.of(kind).into_iter().flatten().map(String::as_str).collect()
}

/// Beside what is chosen there is always the gift card, and what is linked to an item.
#[tokio::test]
async fn products_are_the_union_of_their_criteria() {
    let shop = ax().await;
    let case = async |rule: OfflineProducts, own: &[&str], expected: &[&str]| {
        let shown = format!("{rule:?}");
        let chosen = chosen_by(&shop, Domain::Products, &products(rule), own).await;
        let chosen = chosen.expect("a choice");
        assert_eq!(of_kind(&chosen, MemberKind::Item), expected, "{shown}");
        chosen
    };
    let rule = OfflineProducts::default;
    let amount = case(OfflineProducts { sold_top: 1, ..rule() }, &[], &["A1", "GIFT"]).await;
    assert_eq!(of_kind(&amount, MemberKind::Product), ["101", "1011", "1012", "106"]);
    assert_eq!(of_kind(&amount, MemberKind::ItemRecord), ["1", "6"]);
    let by = SoldBy::Quantity;
    let quantity = OfflineProducts { sold_top: 1, sold_by: by, ..rule() };
    case(quantity, &[], &["A2", "A4", "GIFT"]).await;
    // A5 only came back; A3 was voided, or is another store's; A4 is of long ago.
    let all = OfflineProducts { sold_top: 99, ..rule() };
    case(all, &[], &["A1", "A2", "A4", "GIFT"]).await;
    case(OfflineProducts { newest: 2, ..rule() }, &[], &["A5", "GIFT"]).await;
    let categories = vec!["food".to_string(), "D4".to_string(), "nothing".to_string()];
    let below = OfflineProducts { categories, ..rule() };
    let chosen = case(below, &[], &["A2", "A3", "A4", "A5", "GIFT"]).await;
    assert_eq!(chosen.unknown, ["category nothing"]);
    let items = vec!["a3 ".to_string(), "'); DROP".to_string()];
    let chosen = case(OfflineProducts { items, ..rule() }, &["A1"], &["A1", "A3", "GIFT"]).await;
    assert_eq!(chosen.unknown, ["item '); DROP"]);
}

#[tokio::test]
async fn customers_bring_their_parties_and_everyone_elses() {
    let shop = ax().await;
    let case = async |rule: OfflineCustomers, expected: &[&str]| {
        let shown = format!("{rule:?}");
        let chosen = chosen_by(&shop, Domain::Customers, &customers(rule), &[]).await;
        let chosen = chosen.expect("a choice");
        assert_eq!(of_kind(&chosen, MemberKind::Account), expected, "{shown}");
        chosen
    };
    let rule = OfflineCustomers::default;
    let sales = case(OfflineCustomers { top: 1, ..rule() }, &["C2", "WALKIN"]).await;
    assert_eq!(of_kind(&sales, MemberKind::Party), ["202", "204", "299"]);
    assert_eq!(of_kind(&sales, MemberKind::Location), ["302", "399", "777"]);
    assert_eq!(of_kind(&sales, MemberKind::PartyLocation), ["2", "4"]);
    assert_eq!(of_kind(&sales, MemberKind::Card), ["402", "404"]);
    let visits = OfflineCustomers { top: 1, top_by: RankedBy::Visits, ..rule() };
    case(visits, &["C1", "WALKIN"]).await;
    let book = OfflineCustomers { of_store: OfStore::AddressBook, ..rule() };
    case(book, &["C3", "WALKIN"]).await;
    let warehouse = OfflineCustomers { of_store: OfStore::Warehouse, ..rule() };
    case(warehouse, &["C1", "C2", "WALKIN"]).await;
    let accounts = vec!["c3".to_string(), "C9".to_string()];
    let listed = case(OfflineCustomers { accounts, ..rule() }, &["C3", "WALKIN"]).await;
    assert_eq!(listed.unknown, ["customer C9"]);
}

/// Not cut: a till must not lack every tenth price.
#[tokio::test]
async fn too_many_members_are_refused() {
    let shop = ax().await;
    let rows = SELECTION_MEMBERS_MAX + 1;
    let own: Vec<String> = (0..rows).map(|n| n.to_string()).collect();
    let fill = "
DECLARE @n int = 1, @most int = 131072;
INSERT INTO [ax].[INVENTTABLE] VALUES (N'0', 1000, 1000);
WHILE @n <= @most BEGIN
 INSERT INTO [ax].[INVENTTABLE] ([ITEMID], [RECID], [PRODUCT]) SELECT CONVERT(nvarchar(20), i.[RECID] - 1000 + @n), i.[RECID] + @n, i.[PRODUCT] + @n FROM [ax].[INVENTTABLE] AS i WHERE i.[RECID] >= 1000;
 SET @n = @n * 2;
END;";
    run(&mut shop.office(), fill).await;
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let rule = products(OfflineProducts { newest: 1, ..OfflineProducts::default() });
    let refused = chosen_by(&shop, Domain::Products, &rule, &own).await;
    assert_eq!(refused.expect_err("too many").code(), "channel-choice");
}
