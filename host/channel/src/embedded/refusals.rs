//! Uploads that are not a sale's fault, and columns that no sale writes.

use super::{Shop, card, cards, run, transaction, wrote};
use crate::error::ChannelError;
use crate::ledger::ledger;
use crate::link::Ask;
use crate::schema;
use crate::upload::upload;
use std::sync::Arc;
use tillhold_core::fault::Class;
use tillhold_core::row::Row;
use tillhold_core::table::{Table, TableName};
use tillhold_core::transaction::{Operation, Receipt, Transaction, Write};
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;

async fn refused(shop: &Shop, sales: &[Transaction]) -> ChannelError {
    let sent = upload(&mut shop.till(), "S1-1", super::INCARNATION, sales).await;
    sent.expect_err("a refusal of the whole upload")
}

/// A right that is missing is the administrator's matter: the sale waits and is blamed for nothing.
#[tokio::test]
async fn a_missing_right_refuses_no_sale_and_what_waited_goes_up_once_it_is_there() {
    let shop = Shop::open().await;
    let sale = |number, name| {
        transaction(number, vec![wrote(None, Some(card(name, 1, None)), ChannelVersion(0))])
    };
    let sales = [sale(1, "a"), sale(2, "b")];
    let mut office = shop.office();
    for (taken, given) in [
        ("INSERT ON OBJECT::[dbo].[CARDS]", "channel-right"),
        ("INSERT ON OBJECT::[tillhold].[ledger]", "channel-right"),
    ] {
        run(&mut office, &format!("REVOKE {taken} FROM [tillhold_register];")).await;
        let error = refused(&shop, &sales).await;
        assert_eq!((error.code(), error.class()), (given, Class::Reconfigure), "{error}");
        assert_eq!(shop.rows(&cards()).await, []);
        run(&mut office, &format!("GRANT {taken} TO [tillhold_register];")).await;
    }
    assert_eq!(shop.upload(&sales).await, [Receipt::Applied, Receipt::Applied]);
    let known = ledger(&mut shop.till(), &[sales[0].id, sales[1].id]).await.expect("hashes");
    assert!(known.iter().all(Option::is_some), "{known:?}");
}

/// A column that is gone is no sale's fault either.
#[tokio::test]
async fn a_table_that_is_gone_refuses_no_sale() {
    let shop = Shop::open().await;
    run(&mut shop.office(), "DROP TABLE [dbo].[CARDS];").await;
    let sale = transaction(1, vec![wrote(None, Some(card("a", 1, None)), ChannelVersion(0))]);
    let error = refused(&shop, &[sale]).await;
    assert_eq!((error.code(), error.class()), ("channel-schema", Class::Reconfigure), "{error}");
}

const ASSIGNED: &str = "CREATE TABLE [dbo].[VISITS] ([CARD] nvarchar(20) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [REPLICATIONCOUNTERFROMORIGIN] int IDENTITY(41,1) NOT NULL, [POINTS] int NOT NULL, [NOTE] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NULL, [ROWVERSION] timestamp NOT NULL, CONSTRAINT [PK_VISITS] PRIMARY KEY CLUSTERED ([CARD]));
CREATE TABLE [dbo].[NUMBERED] ([ID] int IDENTITY(1,1) NOT NULL, [NOTE] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NULL, CONSTRAINT [PK_NUMBERED] PRIMARY KEY CLUSTERED ([ID]));";

async fn described(shop: &Shop, name: &str) -> Table {
    let name = TableName::parse(name).expect("a table name");
    schema::tables(&mut shop.office(), &[name]).await.expect("a table").remove(0)
}

fn visit(table: &Arc<Table>, base: Option<i64>, offline: i64) -> Write {
    // Values for every column of the shape that is given, the channel's own among them.
    let row = |points: i64| {
        let cell = |column: &tillhold_core::table::Column| match column.name.as_str() {
            "CARD" | "NOTE" => Value::Text("a".to_string()),
            "POINTS" => Value::Int(points),
            "ROWVERSION" => Value::Bytes(vec![9; 8]),
            _ => Value::Int(points + 900),
        };
        Row(table.columns.iter().map(cell).collect())
    };
    let operation = if base.is_some() { Operation::Update } else { Operation::Insert };
    let (base, offline) = (base.map(row), row(offline));
    let key = offline.key(table);
    let base_version = ChannelVersion(0);
    Write { table: table.clone(), operation, key, base, offline: Some(offline), base_version }
}

/// Whether the shape travels or is the catalogue's own.
#[tokio::test]
async fn what_the_channel_assigns_is_never_written() {
    let shop = Shop::open().await;
    run(&mut shop.office(), ASSIGNED).await;
    let whole = described(&shop, "dbo.VISITS").await;
    shop.prepare(&[&whole]).await;
    let travelling = Arc::new(whole.travelling(&[]));
    let names: Vec<&str> = travelling.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["CARD", "POINTS", "NOTE"]);
    let whole = Arc::new(whole);
    let sales = [
        transaction(1, vec![visit(&travelling, None, 1)]),
        transaction(2, vec![visit(&travelling, Some(1), 2)]),
    ];
    assert_eq!(shop.upload(&sales).await, [Receipt::Applied, Receipt::Applied]);
    let sale = transaction(3, vec![visit(&whole, Some(2), 3)]);
    assert_eq!(shop.upload(&[sale]).await, [Receipt::Applied]);
    let sql = "SELECT t.[REPLICATIONCOUNTERFROMORIGIN] AS [c], t.[POINTS] AS [p] FROM [dbo].[VISITS] AS t;";
    let sets = shop.office().ask(Ask::of_a_test(sql)).await.expect("a row");
    let mut cells = crate::cells::Cells::new("look", sets[0][0].clone());
    let found = (cells.number("c").expect("a counter"), cells.number("p").expect("points"));
    assert_eq!(found, (41, 3));
}

/// SET IDENTITY_INSERT would take a right to alter the table, and two registers would take the same
/// numbers.
#[tokio::test]
async fn a_key_that_the_channel_numbers_is_refused() {
    let shop = Shop::open().await;
    run(&mut shop.office(), ASSIGNED).await;
    let whole = described(&shop, "dbo.NUMBERED").await;
    for table in [whole.travelling(&[]), whole] {
        let table = Arc::new(table);
        let sale = transaction(1, vec![visit(&table, None, 1)]);
        let error = refused(&shop, &[sale]).await;
        assert_eq!((error.code(), error.class()), ("channel-key", Class::Reconfigure));
    }
}
