//! Loading and paging of many rows, and bulk inserts.

use super::statements::table;
use super::{bench, executed, parameter, shown};
use crate::answer::SqlSession;
use tillhold_core::table::TableName;
use tillhold_core::value::{Decimal, Value};

const ROWS: i64 = 50_000;

#[test]
fn fifty_thousand_rows_go_in_and_come_out_page_by_page() {
    let bench = bench();
    let prices = table(
        "ax.PRICES",
        "RECID bigint; ITEMID nvarchar(20); AMOUNT numeric(32,16); COUNTER int identity; AT datetime default:getutcdate(); STAMP rowversion",
        "ITEMID RECID",
    );
    bench.engine.create_tables(&[prices]).expect("a table");
    let mut session = bench.session();
    shown(
        &mut session,
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE ax.PRICES ENABLE CHANGE_TRACKING",
    );
    let mut rows = (0..ROWS).map(|at| {
        let amount = Decimal::new(i128::from(at), 2).expect("a price");
        vec![Value::Int(at), Value::Text(format!("I{:05}", at / 5)), Value::Decimal(amount)]
    });
    let name = TableName::new("ax", "PRICES");
    let loaded =
        bench.engine.load(&name, &["RECID", "ITEMID", "AMOUNT"], &mut rows).expect("all rows");
    assert_eq!(loaded, ROWS as u64);
    let totals = shown(
        &mut session,
        "SELECT COUNT(*), SUM(AMOUNT), MAX(COUNTER), COUNT(DISTINCT STAMP), COUNT(AT) FROM ax.PRICES",
    );
    assert!(
        totals.contains("50000 | 12499750.0000000000000000 | 50000 | 50000 | 50000"),
        "{totals}"
    );
    let changes = shown(
        &mut session,
        "SELECT COUNT(*), MAX(c.SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES ax.PRICES, 0) AS c",
    );
    assert!(changes.contains("50000 | 1"), "a load is one transaction: {changes}");

    let page = "SELECT TOP (@P1) t.[ITEMID], t.[RECID], t.[AMOUNT] FROM [ax].[PRICES] AS t WHERE t.[ITEMID] >= CAST(@P2 AS nvarchar(20)) AND \
                (t.[ITEMID] > CAST(@P2 AS nvarchar(20)) OR t.[RECID] > CAST(@P3 AS bigint)) ORDER BY t.[ITEMID], t.[RECID]";
    let (mut seen, mut last) = (0, ("".to_string(), "0".to_string()));
    loop {
        let parameters = [
            parameter("@P1", "bigint", Some("1000")),
            parameter("@P2", "nvarchar(4000)", Some(&last.0)),
            parameter("@P3", "nvarchar(4000)", Some(&last.1)),
        ];
        let answer = executed(&mut session, page, &parameters);
        let rows: Vec<&str> = answer.lines().filter(|line| line.starts_with('I')).collect();
        let Some(end) = rows.last() else { break };
        let mut cells = end.split(" | ").map(str::to_string);
        last = (cells.next().expect("an item"), cells.next().expect("a number"));
        seen += rows.len();
    }
    assert_eq!(seen, ROWS as usize);
}

#[test]
fn a_load_that_fails_leaves_nothing_and_says_where() {
    let bench = bench();
    bench
        .engine
        .create_tables(&[table("ax.T", "ID int; NAME nvarchar(3)", "ID")])
        .expect("a table");
    let name = TableName::new("ax", "T");
    let row = |id: i64, text: &str| vec![Value::Int(id), Value::Text(text.to_string())];
    for (second, wanted) in [
        (row(2, "long"), "row 2 for ax.T, column NAME: 4 characters do not fit nvarchar(3)"),
        (row(1, "b"), "Msg 2627"),
        (vec![Value::Int(2)], "row 2 for ax.T has 1 values instead of 2"),
        (vec![Value::Int(2), Value::Null], "Msg 515"),
    ] {
        let mut rows = vec![row(1, "a"), second].into_iter();
        let error = bench
            .engine
            .load(&name, &["ID", "NAME"], &mut rows)
            .expect_err("a bad row")
            .to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(shown(&mut bench.session(), "SELECT COUNT(*) FROM ax.T").contains("\n0\n"));
    }
}

#[test]
fn bulk_rows_reach_tables_and_temporary_tables() {
    let bench = bench();
    let mut session = bench.session();
    shown(
        &mut session,
        "CREATE TABLE T (ID int IDENTITY NOT NULL PRIMARY KEY, NAME nvarchar(5) NOT NULL DEFAULT (N'none'), P decimal(10,2) NULL); \
        CREATE TABLE #t (A int NOT NULL)",
    );
    let columns = session
        .bulk_target("INSERT BULK [dbo].[T] ([NAME] nvarchar(5), [P] decimal(10,2))")
        .expect("a target");
    assert_eq!(
        columns.iter().map(|column| column.of.to_string()).collect::<Vec<_>>(),
        ["nvarchar(5)", "decimal(10,2)"]
    );
    let price = Value::Decimal(Decimal::new(150, 2).expect("a price"));
    let rows = vec![vec![Value::Text("a".to_string()), price], vec![Value::Null, Value::Null]];
    assert_eq!(session.bulk_rows(rows), Ok(2));
    assert!(
        shown(&mut session, "SELECT * FROM T ORDER BY ID")
            .contains("1 | a | 1.50\n2 | none | NULL"),
        "a NULL gives way to the default"
    );
    session.bulk_target("INSERT BULK #t (A int) WITH (TABLOCK)").expect("a target");
    assert_eq!(session.bulk_rows(vec![vec![Value::Int(7)]]), Ok(1));
    assert!(shown(&mut session, "SELECT A FROM #t").contains("\n7\n"));
    // A failing row takes its batch with it, and a rollback what came before.
    shown(&mut session, "CREATE TABLE #u (A int NOT NULL PRIMARY KEY); BEGIN TRAN");
    session.bulk_target("INSERT BULK #u (A int)").expect("a target");
    assert_eq!(session.bulk_rows(vec![vec![Value::Int(1)]]), Ok(1));
    let twice = vec![vec![Value::Int(2)], vec![Value::Int(2)]];
    assert_eq!(session.bulk_rows(twice).map_err(|error| error.number), Err(2627));
    assert!(shown(&mut session, "SELECT COUNT(*) FROM #u").contains("\n1\n"));
    assert!(shown(&mut session, "ROLLBACK; SELECT COUNT(*) FROM #u").contains("\n0\n"));
    assert_eq!(
        session.bulk_target("INSERT BULK nowhere (A int)").map_err(|error| error.number),
        Err(208)
    );
}
