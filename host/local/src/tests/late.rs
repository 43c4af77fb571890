//! The log's rows of a sale that could not be written right after it: nobody takes the sale for one without rows, and
//! whoever comes next finds the log as if it had been written at once.

use super::{House, customers, hash, id, lines, log_of, look_once, open, row};
use crate::file::Kind;
use crate::{Recorded, Reserve, RowWrite, Settlement};
use rusqlite::Connection;
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Sequence};

/// One row is there already. (A trigger would not fire on the connection that writes the log.)
const STOP: &str = "CREATE UNIQUE INDEX stop ON tillhold_log (seq IS NULL)";

fn insert(table: &Table, values: &[&str]) -> RowWrite {
    RowWrite::Insert { table: table.name.clone(), row: row(table, values) }
}

/// Two lines, a customer, a third line.
fn sale() -> Vec<RowWrite> {
    vec![
        insert(&lines(), &["T1", "1", "i1", "1"]),
        insert(&lines(), &["T1", "2", "i2", "2"]),
        insert(&customers(), &["C1", "usmf", "Ann", "5"]),
        insert(&lines(), &["T1", "3", "i3", "3"]),
    ]
}

/// A sale before, then this one; its log is kept from being written until the end, where `is_late`.
async fn house_with_a_sale(is_late: bool) -> House {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 7).await;
    house.insert(9, &lines(), &["T0", "1", "i", "1"]).await;
    house.log_is_whole().await;
    if is_late {
        house.another_program().execute_batch(STOP).expect("an index");
    }
    let recorded = house.db.record(id(1), hash(1), sale(), 1).await;
    assert_eq!(recorded.expect("a sale"), Recorded::Committed);
    assert_eq!(house.db.whole(id(1)).await.is_err(), is_late);
    house
}

/// Ends the agent, as a crash would; the file is another program's from then on.
async fn ended(house: &House) -> Connection {
    house.db.close().await.expect("a close");
    let journal = house.another_program();
    journal.execute_batch("DROP INDEX IF EXISTS stop").expect("no index");
    journal
}

/// What waits after the next start, and the log that it is read from; others' rows get their ids then.
async fn log_after_a_start(house: &House) -> Vec<String> {
    let again = open(house.folder.path()).await;
    again.late().caught_up().await;
    let log = log_of(&house.another_program());
    again.close().await.expect("a close");
    log
}

#[tokio::test]
async fn a_sale_that_the_log_lacks_is_neither_sent_nor_forgotten() {
    let house = house_with_a_sale(true).await;
    let before: Vec<_> = house.pending().await.iter().map(|sale| sale.id).collect();
    assert_eq!(before, [id(9)], "a sale without its rows would be settled as nothing");
    let refused = house.db.whole(id(1)).await.expect_err("its rows are not there");
    assert_eq!(refused.code(), "local-log-behind");
    assert!(refused.hint().is_some(), "a person can meet it");
    let refused = house.db.unsent(None, 10).await.expect_err("half a sale is none");
    assert_eq!(refused.code(), "local-log-behind");
    assert_eq!(house.everything(&lines()).await.len(), 4, "its rows are in their tables");
    house.db.record(id(2), hash(2), Vec::new(), 1).await.expect_err("the log comes first");

    house.another_program().execute_batch("DROP INDEX stop").expect("no index");
    house.insert(3, &lines(), &["T3", "1", "i", "1"]).await;
    let pending = house.pending().await;
    let found = pending.iter().map(|sale| (sale.id, sale.sequence, sale.writes.len()));
    let numbers = [Sequence(1), Sequence(2), Sequence(6)];
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(id(9), numbers[0], 1), (id(1), numbers[1], 4), (id(3), numbers[2], 1)]
    );
    let unsent = house.db.unsent(None, 10).await.expect("all of them");
    assert_eq!(unsent.iter().map(|one| one.writes.len()).collect::<Vec<_>>(), [1, 4, 1]);
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    assert_eq!(house.pending().await.len(), 2);
}

/// The sale has filled the disk before its log was written: nobody has to come with more work for the reserve to be given.
#[tokio::test]
async fn the_log_of_the_last_sale_gets_the_reserve_at_once() {
    let house = House::new().await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let journal = house.db.writer(Kind::Journal);
    let until_told = move |_: &mut Connection| {
        wait.recv().expect("the proof lets go");
        Ok(())
    };
    let mut busy = Box::pin(journal.run(until_told));
    assert!(look_once(&mut busy).await.is_none(), "the writer waits");
    let line = |nth: u32| insert(&lines(), &["T1", &nth.to_string(), "an item of the sale", "1"]);
    let lines_of_it: Vec<RowWrite> = (0..200).map(line).collect();
    let mut sale = Box::pin(house.db.record(id(1), hash(1), lines_of_it, 1));
    assert!(look_once(&mut sale).await.is_none(), "it waits");
    // In the same commit, behind the sale's rows.
    let no_room = |conn: &Connection| {
        let used: i64 = conn.query_row("PRAGMA page_count", (), |row| row.get(0))?;
        Ok(conn.query_row(&format!("PRAGMA max_page_count = {used}"), (), |_| Ok(()))?)
    };
    let mut small = Box::pin(journal.run_sale(no_room));
    assert!(look_once(&mut small).await.is_none(), "it waits");
    go_on.send(()).expect("the writer waits");
    assert_eq!(sale.await.expect("a sale"), Recorded::Committed);
    small.await.expect("a small disk");
    drop(busy);
    house.log_is_whole().await;
    // What the writer was at then has come to its end.
    house.db.close().await.expect("a close");
    assert_eq!(house.db.reserve(), Reserve::Gone);
    assert_eq!(log_of(&house.another_program()).len(), 200);
}

#[tokio::test]
async fn the_next_start_writes_what_the_log_lacks() {
    let (late, whole) = (house_with_a_sale(true).await, house_with_a_sale(false).await);
    let journal = ended(&late).await;
    assert_eq!(log_of(&journal).len(), 1, "the proof needs a log that lacks rows");
    // Rows before it are gone: their numbers must not be closed up.
    journal
        .execute_batch(
            "DELETE FROM \"ax.RETAILTRANSACTIONSALESTRANS\" WHERE TRANSACTIONID = 'T0'; VACUUM;",
        )
        .expect("another program's work");
    drop(journal);
    let expected = log_of(&ended(&whole).await);
    assert_eq!(expected.len(), 5);
    let mut found = log_after_a_start(&late).await;
    assert!(found.pop().is_some_and(|row| row.contains("delete")), "the other program's");
    assert_eq!(found, expected);
}

/// Each act finds, with its first row, the log as if it had been written with the sale.
#[tokio::test]
async fn another_program_logs_what_is_late_before_it_changes_it() {
    let acts = [
        "UPDATE \"ax.CUSTTABLE\" SET NAME = 'Anna' WHERE ACCOUNTNUM = 'C1'",
        "UPDATE \"ax.CUSTTABLE\" SET ACCOUNTNUM = 'C2' WHERE ACCOUNTNUM = 'C1'",
        "DELETE FROM \"ax.RETAILTRANSACTIONSALESTRANS\" WHERE LINE = 2",
        "INSERT OR REPLACE INTO \"ax.CUSTTABLE\" VALUES ('c1', 'usmf', 'Ann', '9')",
        "UPDATE OR REPLACE \"ax.RETAILTRANSACTIONSALESTRANS\" SET LINE = 2 WHERE LINE = 3",
        "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('T2', 1, 'i', '1')",
    ];
    let act_of = |nth: usize| acts[nth % acts.len()];
    for nth in 0..acts.len() {
        // Also one after the other, of the other table.
        let both = format!("{}; {};", act_of(nth), act_of(nth + 2));
        let (late, whole) = (house_with_a_sale(true).await, house_with_a_sale(false).await);
        for house in [&late, &whole] {
            ended(house).await.execute_batch(&both).expect("another program's act");
        }
        let expected = log_after_a_start(&whole).await;
        assert!(expected.len() > 5, "{both} is logged");
        assert_eq!(log_after_a_start(&late).await, expected, "{both}");
    }
}

/// A sale that inserts and then changes a row of another table has its numbers in the order of its rows, and one row that
/// it changes itself is logged before it does.
#[tokio::test]
async fn a_sale_that_also_changes_rows_is_logged_in_its_order() {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 7).await;
    house.insert(9, &customers(), &["C1", "usmf", "Ann", "5"]).await;
    let update = |name: &str, account: &str| RowWrite::Update {
        table: customers().name.clone(),
        row: row(&customers(), &[account, "usmf", name, "5"]),
    };
    let other = [sale()[..2].to_vec(), vec![update("Anna", "C1")], sale()[3..].to_vec()].concat();
    house.db.record(id(1), hash(1), other, 1).await.expect("a sale");
    let own = vec![insert(&customers(), &["C2", "usmf", "Bob", "1"]), update("Bert", "C2")];
    house.db.record(id(2), hash(2), own, 1).await.expect("a sale");
    house.log_is_whole().await;
    let journal = house.another_program();
    let sql = "SELECT json_array(seq, operation, old_row, new_row) FROM tillhold_log WHERE seq > 1 ORDER BY seq";
    let mut select = journal.prepare(sql).expect("a question");
    let rows = select.query_map((), |row| row.get::<_, String>(0)).expect("an answer");
    let rows: Vec<String> = rows.map(|row| row.expect("a row").replace('\\', "")).collect();
    assert_eq!(
        rows,
        [
            r#"[2,"insert",null,"["T1",1,"i1","1.0000000000000000"]"]"#,
            r#"[3,"insert",null,"["T1",2,"i2","2.0000000000000000"]"]"#,
            r#"[4,"update","["C1","usmf","Ann","5.0000000000000000"]","["C1","usmf","Anna","5.0000000000000000"]"]"#,
            r#"[5,"insert",null,"["T1",3,"i3","3.0000000000000000"]"]"#,
            r#"[6,"insert",null,"["C2","usmf","Bob","1.0000000000000000"]"]"#,
            r#"[7,"update","["C2","usmf","Bob","1.0000000000000000"]","["C2","usmf","Bert","5.0000000000000000"]"]"#,
        ]
    );
    drop(select);
    let pending = house.pending().await;
    assert_eq!(pending.iter().map(|sale| sale.writes.len()).collect::<Vec<_>>(), [1, 4, 1]);
    assert_eq!(
        house.db.state_of(&customers().name).await.expect("a state").version,
        Some(ChannelVersion(7))
    );
}

/// Tills sell at once, each on whatever thread it comes by; who asks for a sale right after its answer finds it whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sales_of_many_threads_are_each_logged_whole() {
    const TILLS: u8 = 8;
    const SALES: u8 = 25;
    let house = House::new().await;
    let mut tills = tokio::task::JoinSet::new();
    for till in 0..TILLS {
        let db = house.db.clone();
        tills.spawn(async move {
            for nth in 0..SALES {
                let number = till * SALES + nth;
                let line = |line: &str| insert(&lines(), &[&format!("T{number}"), line, "i", "1"]);
                let sale = ["1", "2", "3"].map(line).to_vec();
                db.record(id(number), hash(number), sale, 1).await.expect("a sale");
                let whole = db.whole(id(number)).await.expect("an answer").expect("it is there");
                assert_eq!(whole.rows.len(), 3, "sale {number}");
            }
        });
    }
    while let Some(till) = tills.join_next().await {
        till.expect("a till");
    }
    let sales = usize::from(TILLS * SALES);
    let pending = house.db.pending(sales, usize::MAX).await.expect("the sales");
    let numbers: Vec<u64> = pending.iter().map(|sale| sale.sequence.0).collect();
    assert_eq!(numbers, (0..sales as u64).map(|nth| 3 * nth + 1).collect::<Vec<_>>());
    house.db.close().await.expect("a close");
    let refused = house.db.record(id(201), hash(1), Vec::new(), 1).await.expect_err("closed");
    assert_eq!(refused.code(), "local-closed");
}
