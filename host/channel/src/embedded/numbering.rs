//! Used numbers, as the channel's own tables have them.

use super::{Shop, run};
use crate::marks::{Marks, Seed, marks};
use tillhold_core::numbering::UsedNumbers;

const TABLES: &str = "
EXEC (N'CREATE SCHEMA [ax]');
CREATE TABLE [ax].[RETAILPOSSEEDDATA] ([DATATYPE] int NOT NULL, [DATAVALUE] bigint NOT NULL, [STORENUMBER] nvarchar(10) NOT NULL, [TERMINALID] nvarchar(10) NOT NULL, [DATAAREAID] nvarchar(4) NOT NULL, PRIMARY KEY ([DATATYPE], [STORENUMBER], [TERMINALID], [DATAAREAID]));
CREATE TABLE [ax].[RETAILTRANSACTIONTABLE] ([STORE] nvarchar(10) NOT NULL, [TERMINAL] nvarchar(10) NOT NULL, [TRANSACTIONID] nvarchar(44) NOT NULL, [CHANNEL] bigint NOT NULL, [DATAAREAID] nvarchar(4) NOT NULL, PRIMARY KEY ([STORE], [TERMINAL], [TRANSACTIONID], [CHANNEL], [DATAAREAID]));
";

#[tokio::test]
async fn used_numbers_come_as_ranges_of_this_register_alone() {
    let shop = Shop::open().await;
    let (mut office, mut till) = (shop.office(), shop.till());
    let asked = marks(&mut till, "S1", "T1", 8).await;
    assert_eq!(asked, Ok(Marks::default()), "no such tables");
    run(&mut office, TABLES).await;
    let asked = marks(&mut till, "S1", "T1", 8).await;
    assert_eq!(asked, Ok(Marks::default()), "no right to look at them");
    let grant = "GRANT SELECT ON OBJECT::[ax].[RETAILPOSSEEDDATA] TO [till]; GRANT SELECT ON OBJECT::[ax].[RETAILTRANSACTIONTABLE] ([STORE], [TERMINAL], [TRANSACTIONID], [DATAAREAID]) TO [till];";
    run(&mut office, grant).await;
    let asked = marks(&mut till, "S1", "T1", 8).await.expect("marks");
    assert_eq!(
        asked,
        Marks { seeds: Some(Seed(None)), used: Some(UsedNumbers::default()), company: None }
    );
    let rows = "INSERT INTO [ax].[RETAILPOSSEEDDATA] VALUES (8, 90, N'S1', N'T1', N'usrt'), (7, 95, N'S1', N'T1', N'usrt'), (8, 99, N'S1', N'T2', N'usrt');
INSERT INTO [ax].[RETAILTRANSACTIONTABLE] VALUES (N'S1', N'T1', N'S1-T1-1', 1, N'usrt'), (N'S1', N'T1', N'S1-T1-2', 1, N'usrt'), (N'S1', N'T1', N'S1-T1-2', 2, N'usrt'), (N'S1', N'T1', N's1-t1-0003', 1, N'usrt'), (N'S1', N'T1', N'S1-T1-100', 1, N'usrt'), (N'S1', N'T1', N'S1-T1-x', 1, N'usrt'), (N'S1', N'T1', N'another', 1, N'usrt'), (N'S1', N'T1', N'S1-T1-99999999999999999999', 1, N'usrt'), (N'S1', N'T2', N'S1-T2-500', 1, N'usrt');";
    run(&mut office, rows).await;
    let asked = marks(&mut till, "S1", "T1", 8).await.expect("marks");
    assert_eq!(asked.seeds, Some(Seed(Some(90))));
    assert_eq!(asked.used.as_ref().map(UsedNumbers::text).as_deref(), Some("1-3 100-100"));
    assert_eq!(asked.company.as_deref(), Some("usrt"));
}
