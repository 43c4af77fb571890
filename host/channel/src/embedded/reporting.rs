//! What registers say about themselves arrives, in AX's own tables too where they are, and is told for a whole store.

use super::{INCARNATION, Shop, cards_whole, prices_whole, run};
use crate::cells::Cells;
use crate::fleet::{FleetRegister, fleet};
use crate::known::{Known, known};
use crate::link::Ask;
use crate::report::{Moved, RegisterStanding, ScopeSync, Unsent, report};

const AX: &str = "
EXEC (N'CREATE SCHEMA [ax]');
CREATE TABLE [dbo].[RETAILOFFLINESYNCLOG] ([RECID] bigint NOT NULL, [LOGTIME] datetime NOT NULL DEFAULT ('1900-01-01'), [LOGTIMETZID] int NOT NULL DEFAULT (37001), [SCOPEID] bigint NOT NULL DEFAULT (0), [TOTALDOWNLOADED] int NOT NULL DEFAULT (0), [TOTALDOWNLOADEDOK] int NOT NULL DEFAULT (0), [TOTALDOWNLOADEDERR] int NOT NULL DEFAULT (0), [TOTALUPLOADED] int NOT NULL DEFAULT (0), [TOTALUPLOADEDOK] int NOT NULL DEFAULT (0), [TOTALUPLOADEDERR] int NOT NULL DEFAULT (0), [SYNCSTARTTIME] datetime NOT NULL DEFAULT ('1900-01-01'), [SYNCSTARTTIMETZID] int NOT NULL DEFAULT (37001), [SYNCSTOPTIME] datetime NOT NULL DEFAULT ('1900-01-01'), [SYNCSTOPTIMETZID] int NOT NULL DEFAULT (37001), [TERMINAL] nvarchar(10) NOT NULL DEFAULT (''), [REPLICATIONCOUNTER] int IDENTITY(1,1) NOT NULL PRIMARY KEY);
CREATE TABLE [dbo].[RETAILTERMINALSYNCSTATUS] ([TERMINALID] nchar(10) NOT NULL PRIMARY KEY, [ISOFFLINE] int NOT NULL);
CREATE TABLE [ax].[RETAILOFFLINESCOPE] ([RECID] bigint NOT NULL PRIMARY KEY, [DESCRIPTION] nvarchar(256) NOT NULL UNIQUE);
INSERT INTO [ax].[RETAILOFFLINESCOPE] VALUES (77, N'1040 Products');
CREATE TABLE [ax].[RETAILSTORETABLE] ([RECID] bigint NOT NULL PRIMARY KEY, [STORENUMBER] nvarchar(10) NOT NULL, [PASSWORD] nvarchar(10) NOT NULL DEFAULT (N'secret'));
INSERT INTO [ax].[RETAILSTORETABLE] ([RECID], [STORENUMBER]) VALUES (1, N'S1'), (2, N'S2');
CREATE TABLE [ax].[RETAILTERMINALTABLE] ([TERMINALID] nvarchar(10) NOT NULL PRIMARY KEY, [NAME] nvarchar(60) NOT NULL, [STORERECID] bigint NOT NULL);
INSERT INTO [ax].[RETAILTERMINALTABLE] VALUES (N'T1', N'Till one', 1), (N'T2', N'Till two', 1), (N'T9', N'Elsewhere', 2);
";

fn standing(terminal: &str) -> RegisterStanding {
    RegisterStanding {
        store: "S1".to_string(),
        terminal: terminal.to_string(),
        incarnation: INCARNATION,
        state: "returning".to_string(),
        state_age_s: 5,
        is_offline: true,
        unsent: Unsent {
            transactions: 3,
            rows: 60,
            oldest_age_s: Some(3_600),
            amounts: vec![("USD".to_string(), "12.50".to_string())],
        },
        quarantined: 1,
        conflicts: 0,
        rows_aside: 2,
        synchronised_age_s: None,
        fault: Some(("register-restored".to_string(), "words".to_string())),
        program: "0.1.0".to_string(),
        profile: "Default".to_string(),
    }
}

fn sync(scope: &str) -> ScopeSync {
    ScopeSync {
        scope: scope.to_string(),
        downloaded: Moved { total: 10, ok: 9, errors: 1 },
        uploaded: Moved { total: 4, ok: 4, errors: 0 },
        started_age_ms: 2_000,
        took_ms: 500,
        record: 1 << 62,
    }
}

async fn numbers(shop: &Shop, sql: &str, count: usize) -> Vec<i64> {
    let sets = shop.office().ask(Ask::of_a_test(sql)).await.expect(sql);
    let row = sets.into_iter().flatten().next().unwrap_or_default();
    let mut cells = Cells::new("test", row);
    (0..count).map(|_| cells.number("n").expect("a number")).collect()
}

#[tokio::test]
async fn reports_arrive_where_ax_has_no_tables_of_its_own() {
    let shop = Shop::open().await;
    let mut till = shop.till();
    report(&mut till, &standing("T1"), &[sync("1040 Products")]).await.expect("a report");
    let later = RegisterStanding { state: "online".to_string(), ..standing("T1") };
    report(&mut till, &later, &[]).await.expect("a report");
    let registers = fleet(&mut till, "S1").await.expect("a fleet");
    assert_eq!(registers.len(), 1);
    let FleetRegister { terminal, name, is_offline, said } = &registers[0];
    assert_eq!((terminal.as_str(), name, is_offline), ("T1", &None, &None));
    let said = said.as_ref().expect("a report");
    assert_eq!((said.state.as_str(), &said.fault), ("online", &later.fault));
    assert_eq!((said.unsent.transactions, said.unsent.rows), (3, 60));
    assert_eq!(said.unsent.amounts, later.unsent.amounts);
    let oldest = said.unsent.oldest_age_s.expect("an oldest");
    assert!((3_600..3_660).contains(&oldest), "{oldest}");
    assert!(said.silent_s < 60 && said.synchronised_age_s.is_none(), "{said:?}");
    // There is nothing of AX to see.
    assert_eq!(known(&mut till, "S1").await.expect("an answer"), None);
}

#[tokio::test]
async fn ax_s_own_tables_are_written_and_its_terminals_listed() {
    let shop = Shop::bare().await;
    run(&mut shop.office(), AX).await;
    let (prices, cards) = (prices_whole(), cards_whole());
    shop.prepare(&[&prices, &cards]).await;
    let mut till = shop.till();
    let syncs = [sync("1040 products"), sync("A scope of a file")];
    report(&mut till, &standing("T1"), &syncs).await.expect("a report");
    let log = "SELECT [SCOPEID], [TOTALDOWNLOADED], [TOTALDOWNLOADEDOK], [TOTALDOWNLOADEDERR], [TOTALUPLOADED], [TOTALUPLOADEDOK], [TOTALUPLOADEDERR], DATEDIFF(MILLISECOND, [SYNCSTARTTIME], [SYNCSTOPTIME]), CASE WHEN [LOGTIME] > '2000-01-01' THEN 1 ELSE 0 END FROM [dbo].[RETAILOFFLINESYNCLOG] WHERE [TERMINAL] = N'T1' ORDER BY [SCOPEID] DESC;";
    let found = numbers(&shop, log, 9).await;
    assert_eq!(found[..7], [77, 10, 9, 1, 4, 4, 0]);
    assert!((490..=510).contains(&found[7]), "datetime counts in 1/300 s: {found:?}");
    assert_eq!(found[8], 1);
    let counts = "SELECT COUNT(*) FROM [dbo].[RETAILOFFLINESYNCLOG] WHERE [SCOPEID] = 0;";
    assert_eq!(numbers(&shop, counts, 1).await, [1]);
    let offline =
        "SELECT [ISOFFLINE] FROM [dbo].[RETAILTERMINALSYNCSTATUS] WHERE [TERMINALID] = N'T1';";
    assert_eq!(numbers(&shop, offline, 1).await, [1]);
    let back = RegisterStanding { is_offline: false, ..standing("T1") };
    report(&mut till, &back, &[]).await.expect("a report");
    assert_eq!(numbers(&shop, offline, 1).await, [0]);

    let registers = fleet(&mut till, "s1").await.expect("a fleet");
    let told: Vec<(&str, Option<&str>, bool, Option<bool>)> = registers
        .iter()
        .map(|r| (r.terminal.as_str(), r.name.as_deref(), r.said.is_some(), r.is_offline))
        .collect();
    assert_eq!(
        told,
        [("T1", Some("Till one"), true, Some(false)), ("T2", Some("Till two"), false, None)]
    );
    let of_head_office = |stores: &[&str], registers: &[&str]| {
        let owned = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
        Some(Known { stores: owned(stores), registers: owned(registers) })
    };
    let found = known(&mut till, "s1").await.expect("an answer");
    assert_eq!(found, of_head_office(&["S1", "S2"], &["T1", "T2"]));
    let found = known(&mut till, "S3").await.expect("an answer");
    assert_eq!(found, of_head_office(&["S1", "S2"], &[]));
}
