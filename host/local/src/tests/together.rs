//! Sales that wait for the writer share a commit, and nobody can tell: neither by the answers nor by the log.

use super::{House, customers, hash, id, key, lines, log_of, look_once, row};
use crate::file::Kind;
use crate::{LocalError, Recorded, RowWrite};
use rusqlite::Connection;
use std::time::Duration;
use tillhold_core::limits;
use tillhold_core::table::Table;

type Answer = Result<Recorded, &'static str>;

fn insert(table: &Table, values: &[&str]) -> RowWrite {
    RowWrite::Insert { table: table.name.clone(), row: row(table, values) }
}

fn update(table: &Table, values: &[&str]) -> RowWrite {
    RowWrite::Update { table: table.name.clone(), row: row(table, values) }
}

fn line(number: &str, quantity: &str) -> RowWrite {
    insert(&lines(), &[number, "1", "i", quantity])
}

/// All of them handed in while the writer is busy. `trouble` is one more part of their commit, after the first.
async fn at_once(
    house: &House,
    sales: Vec<(u8, u8, Vec<RowWrite>)>,
    trouble: impl FnMut(&Connection) -> Result<(), LocalError> + Send + 'static,
) -> Vec<Answer> {
    heard_at_once(house, sales, trouble, |_| {}).await
}

/// The same; `heard` is called with each answer.
async fn heard_at_once(
    house: &House,
    sales: Vec<(u8, u8, Vec<RowWrite>)>,
    trouble: impl FnMut(&Connection) -> Result<(), LocalError> + Send + 'static,
    mut heard: impl FnMut(&Answer),
) -> Vec<Answer> {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let busy = move |_: &mut Connection| {
        wait.recv().expect("the proof lets go");
        Ok(())
    };
    let journal = house.db.writer(Kind::Journal);
    let mut busy = Box::pin(journal.run(busy));
    assert!(look_once(&mut busy).await.is_none(), "the writer waits");
    let (mut asked, mut trouble) = (Vec::new(), Some(trouble));
    let mut troubled = None;
    for (number, hashed, writes) in sales {
        let mut sale = Box::pin(house.db.record(id(number), hash(hashed), writes, 1_000));
        assert!(look_once(&mut sale).await.is_none(), "it waits");
        asked.push(sale);
        if let Some(mut trouble) = trouble.take() {
            let mut part = Box::pin(journal.run_sale(move |conn| Ok(trouble(conn)?)));
            assert!(look_once(&mut part).await.is_none(), "it waits");
            troubled = Some(part);
        }
    }
    go_on.send(()).expect("the writer waits");
    busy.await.expect("an end");
    let mut answers = Vec::new();
    for sale in asked {
        let answer = sale.await.map_err(|error| error.code());
        heard(&answer);
        answers.push(answer);
    }
    if let Some(part) = troubled
        && let Err(error) = part.await
    {
        assert_eq!(error.code(), "local-locked", "any other is over in the end");
    }
    answers
}

fn no_trouble(_: &Connection) -> Result<(), LocalError> {
    Ok(())
}

/// Commits in the write-ahead log: frames that tell the size of the file after them.
fn commits(house: &House) -> usize {
    let mut path = house.journal().into_os_string();
    path.push("-wal");
    let log = std::fs::read(path).expect("a write-ahead log");
    log[32..].chunks(24 + 4_096).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn they_are_one_commit() {
    let house = House::new().await;
    let (count, before) = (limits::SALES_AT_ONCE as u8 + 4, commits(&house));
    let sales = (1..=count).map(|n| (n, n, vec![line(&format!("T{n}"), "1")])).collect();
    let answers = at_once(&house, sales, no_trouble).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Recorded::Committed)), "{answers:?}");
    house.log_is_whole().await;
    // Two, and the log's rows after each.
    assert!(commits(&house) - before <= 4, "{} commits", commits(&house) - before);
    assert_eq!(house.everything(&lines()).await.len(), usize::from(count));
    assert_eq!(house.pending().await.len(), usize::from(count));
}

#[tokio::test]
async fn each_hears_of_its_own_trouble_only() {
    let house = House::new().await;
    let missing = update(&lines(), &["T9", "1", "i", "1"]);
    let sales = vec![
        (1, 1, vec![line("T1", "1")]),
        (2, 2, vec![line("T2", "1"), missing]),
        (3, 3, vec![line("T1", "3")]),
        (1, 1, vec![line("T1", "1")]),
        (1, 4, vec![line("T4", "1")]),
        (5, 5, vec![line("T5", "1")]),
        (2, 6, vec![line("T6", "1")]),
    ];
    let answers = at_once(&house, sales, no_trouble).await;
    let expected = [
        Ok(Recorded::Committed),
        Err("local-row-missing"),
        Err("local-row-exists"),
        Ok(Recorded::AlreadyThere),
        Ok(Recorded::Clash),
        Ok(Recorded::Committed),
        Ok(Recorded::Committed),
    ];
    assert_eq!(answers, expected);
    let rows = house.everything(&lines()).await;
    let numbers: Vec<&str> = rows.iter().filter_map(|row| row.split('|').next()).collect();
    assert_eq!(numbers, ["T1", "T5", "T6"]);
}

/// What the next one changes and takes away, the one before has put in.
#[tokio::test]
async fn the_log_is_that_of_one_after_the_other() {
    let sales = || {
        let taken =
            RowWrite::Delete { table: lines().name.clone(), key: key(&lines(), &["T1", "1"]) };
        vec![
            (1, 1, vec![line("T1", "1"), insert(&customers(), &["C1", "usmf", "Ann", "5"])]),
            (2, 2, vec![line("T2", "1"), update(&lines(), &["T1", "1", "i", "2"])]),
            (3, 3, vec![line("T3", "1"), taken]),
            (4, 4, vec![line("T1", "4"), update(&customers(), &["C1", "usmf", "Bea", "5"])]),
            (5, 5, vec![update(&customers(), &["C1", "usmf", "Bea", "5"])]),
            (6, 6, vec![line("T6", "1")]),
        ]
    };
    let (together, apart) = (House::new().await, House::new().await);
    for house in [&together, &apart] {
        house.make_ready("customers", &[&customers()], 7).await;
    }
    let at_once = at_once(&together, sales(), no_trouble).await;
    assert!(at_once.iter().all(|answer| *answer == Ok(Recorded::Committed)), "{at_once:?}");
    for (number, hashed, writes) in sales() {
        apart.db.record(id(number), hash(hashed), writes, 1_000).await.expect("a sale");
    }
    let mut logs = Vec::new();
    for house in [&together, &apart] {
        house.log_is_whole().await;
        logs.push(log_of(&house.another_program()));
    }
    assert_eq!(logs[0], logs[1]);
    assert_eq!(together.everything(&lines()).await, apart.everything(&lines()).await);
}

#[tokio::test]
async fn a_commit_that_came_to_nothing_is_made_again() {
    let house = House::new().await;
    let mut is_first = true;
    let full = move |_: &Connection| {
        let file = "journal.db".into();
        if std::mem::take(&mut is_first) { Err(LocalError::DiskFull { file }) } else { Ok(()) }
    };
    let sales = vec![(1, 1, vec![line("T1", "1")]), (2, 2, vec![line("T2", "1")])];
    let answers = at_once(&house, sales, full).await;
    assert_eq!(answers, [Ok(Recorded::Committed), Ok(Recorded::Committed)]);
    assert_eq!(house.everything(&lines()).await.len(), 2);
}

/// The disk said no, and the commit was on it: whoever was in it is told of a commit, the others are made.
#[tokio::test]
async fn a_commit_in_doubt_that_happened_is_told_as_one() {
    let house = House::new().await;
    let mut is_first = true;
    let doubtful = move |conn: &Connection| {
        if !std::mem::take(&mut is_first) {
            return Ok(());
        }
        conn.execute_batch("COMMIT; BEGIN").expect("a commit of what is there so far");
        Err(LocalError::DiskFull { file: "journal.db".into() })
    };
    let sales = vec![(1, 1, vec![line("T1", "1")]), (2, 2, vec![line("T2", "1")])];
    let answers = at_once(&house, sales, doubtful).await;
    assert_eq!(answers, [Ok(Recorded::Committed), Ok(Recorded::Committed)]);
    assert_eq!(house.everything(&lines()).await.len(), 2);
    assert_eq!(house.pending().await.len(), 2);
}

#[tokio::test]
async fn another_programs_lock_is_waited_for_once_by_all() {
    let house = House::new().await;
    let impatient = |conn: &Connection| Ok(conn.busy_timeout(Duration::from_millis(20))?);
    house.db.writer(Kind::Journal).run_sale(impatient).await.expect("a shorter patience");
    let other = house.another_program();
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let sales = || (1..=5).map(|n| (n, n, vec![line(&format!("T{n}"), "1")])).collect();
    // Free as soon as the first one hears of it: whoever was still to wait would be served.
    let mut lock = Some(other);
    let heard = |_: &Answer| drop(lock.take());
    let nothing = |_: &Connection| unreachable!("nothing begins");
    let answers = heard_at_once(&house, sales(), nothing, heard).await;
    assert_eq!(answers, [Err("local-locked"); 5]);
    let answers = at_once(&house, sales(), no_trouble).await;
    assert_eq!(answers, [Ok(Recorded::Committed); 5]);
}

#[tokio::test]
async fn a_part_that_panics_takes_nobody_with_it() {
    let house = House::new().await;
    let mut is_first = true;
    let panics = move |_: &Connection| {
        assert!(!std::mem::take(&mut is_first), "as the proof wants it");
        Ok(())
    };
    let sales = vec![(1, 1, vec![line("T1", "1")]), (2, 2, vec![line("T2", "1")])];
    let answers = at_once(&house, sales, panics).await;
    assert_eq!(answers, [Ok(Recorded::Committed), Ok(Recorded::Committed)]);
}
