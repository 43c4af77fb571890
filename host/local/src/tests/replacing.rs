//! A whole new database takes the old one's place: cut off at any step, the folder holds one of the two, whole; and whoever
//! writes into the old one until then keeps it there.

use super::{House, id, lines, open, sales};
use crate::replacement::{self, moves};
use crate::{
    Hold, InstalledTable, LastLook, LocalDatabase, LocalError, OnlyHere, SaleColumns, Shut,
};
use rusqlite::Connection;
use std::path::Path;
use tillhold_core::profile::Direction;
use tillhold_core::version::Incarnation;
use tillhold_env::Env;

const STAMP: &str = "20261128";

/// What another program rings up.
const FOREIGN: &str = "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('T9', 1, 'i', '1')";

fn sale_columns() -> SaleColumns {
    let [amount, currency] = ["GROSS", "STORE"].map(str::to_string);
    SaleColumns { table: sales().name.clone(), amount, currency }
}

fn shut(hold: Hold) -> Shut {
    match hold.shut(&sale_columns()).expect("a look") {
        LastLook::Nothing(shut) => *shut,
        LastLook::OnlyHere(found) => panic!("only here: {found:?}"),
    }
}

fn only_here(hold: Hold) -> OnlyHere {
    match hold.shut(&sale_columns()).expect("a look") {
        LastLook::Nothing(_) => panic!("nothing was found"),
        LastLook::OnlyHere(found) => found,
    }
}

/// A database with one sale that the channel has, and an empty next one beside it, which is closed.
async fn two() -> (House, Incarnation, Incarnation) {
    let house = House::new().await;
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    house.db.accept(vec![id(1)]).await.expect("sent");
    let old = house.db.incarnation();
    let next = open(&LocalDatabase::next_folder(house.folder.path())).await;
    let new = next.incarnation();
    let table =
        InstalledTable { scope: "s".to_string(), direction: Direction::Upload, table: lines() };
    next.install(vec![table], Vec::new()).await.expect("a table");
    next.close().await.expect("a close");
    (house, old, new)
}

/// Which database it is, and how many transactions wait in it.
async fn found(folder: &Path) -> (Incarnation, usize) {
    let db = open(folder).await;
    let pending = db.pending(10, 10).await.expect("pending").len();
    db.close().await.expect("a close");
    (db.incarnation(), pending)
}

fn another_program(folder: &Path) -> Connection {
    let conn = Connection::open(folder.join("journal.db")).expect("the journal opens for anyone");
    conn.busy_timeout(std::time::Duration::ZERO).expect("no patience");
    conn
}

#[tokio::test]
async fn the_new_one_counts_and_the_old_one_is_kept() {
    let (house, old, new) = two().await;
    let folder = house.folder.path();
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    let taken = LocalDatabase::open(&Env::real(), folder, &super::identity()).await;
    assert!(matches!(taken, Err(LocalError::InUse { .. })), "locked between closing and replacing");
    let kept = shut(hold).replace(STAMP).expect("a replacement");
    assert_eq!(found(folder).await, (new, 0));
    assert_eq!(found(&kept).await, (old, 0));
    assert!(!LocalDatabase::next_folder(folder).exists());
}

/// A process that is killed leaves what its file operations had done so far.
#[tokio::test]
async fn cut_off_after_any_step_it_is_the_old_one_or_the_new_one() {
    let (house, old, _) = two().await;
    house.db.close().await.expect("a close");
    let folder = house.folder.path();
    assert_eq!(found(folder).await, (old, 0), "before the step that decides");
    assert!(!LocalDatabase::next_folder(folder).exists(), "what was built is thrown away");

    let mut done = 0;
    loop {
        let (house, old, new) = two().await;
        house.db.close().await.expect("a close");
        let folder = house.folder.path();
        // As if its log had been left by a kill.
        std::fs::write(folder.join("journal.db-wal"), b"").expect("a log");
        replacement::announce(folder, STAMP).expect("the step that decides");
        let ready = folder.join(format!("ready-{STAMP}"));
        let replaced = folder.join(format!("replaced-{STAMP}"));
        std::fs::create_dir_all(&replaced).expect("a folder");
        let all = moves(folder, &ready, &replaced);
        assert!(all.len() >= 5, "{all:?}");
        for (from, to) in all.iter().take(done) {
            std::fs::rename(from, to).expect("a move");
        }
        assert!(LocalDatabase::is_there(folder), "after {done} moves");
        assert_eq!(found(folder).await, (new, 0), "after {done} moves");
        assert_eq!(found(&replaced).await, (old, 0), "after {done} moves");
        if done == all.len() {
            return;
        }
        done += 1;
    }
}

#[tokio::test]
async fn a_database_that_is_still_open_takes_nobodys_place() {
    let house = House::new().await;
    let folder = house.folder.path();
    let next = open(&LocalDatabase::next_folder(folder)).await;
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    let refused = shut(hold).replace(STAMP);
    assert!(matches!(refused, Err(LocalError::Damaged { .. })), "{refused:?}");
    next.close().await.expect("a close");
}

/// It commits while the next database is filled, which may take an hour.
#[tokio::test]
async fn what_another_program_wrote_meanwhile_keeps_the_old_database() {
    let (house, old, _) = two().await;
    let folder = house.folder.path();
    let hold = house.db.hold().expect("a lock");
    assert!(house.db.only_here(&sale_columns()).await.expect("a look").is_nothing());
    another_program(folder).execute_batch(FOREIGN).expect("a sale");
    house.db.close().await.expect("a close");
    let header = "INSERT INTO \"ax.RETAILTRANSACTIONTABLE\" VALUES \
                  ('T9', 'usd', '27.8900000000000000', '2026-01-01 10:00:00.000')";
    another_program(folder).execute_batch(header).expect("a sale after the closing");
    let held = only_here(hold);
    assert_eq!((held.sales.transactions, held.sales.rows), (1, 2));
    let amounts: Vec<String> =
        held.sales.amounts.iter().map(|(currency, sum)| format!("{currency} {sum}")).collect();
    assert_eq!(amounts, ["USD 27.8900000000000000"]);
    assert_eq!(found(folder).await, (old, 1), "one transaction of both");
}

#[tokio::test]
async fn from_the_look_to_the_replacement_nobody_else_writes() {
    let (house, old, new) = two().await;
    let folder = house.folder.path();
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    // Open, and not yet at work: SQLite takes its locks with the first statement.
    let waiting = another_program(folder);
    let shut = shut(hold);
    let refused = waiting.execute_batch(FOREIGN).map_err(|error| error.sqlite_error_code());
    assert_eq!(refused, Err(Some(rusqlite::ErrorCode::DatabaseBusy)));
    let kept = shut.replace(STAMP).expect("a replacement");
    let refused = waiting.execute_batch(FOREIGN).map_err(|error| error.sqlite_error_code());
    assert_eq!(refused, Err(Some(rusqlite::ErrorCode::ReadOnly)), "the file was moved away");
    drop(waiting);
    assert_eq!(found(&kept).await, (old, 0));
    assert_eq!(found(folder).await, (new, 0));
}

#[tokio::test]
async fn nothing_is_replaced_under_a_program_that_has_the_journal_open() {
    let (house, old, new) = two().await;
    let folder = house.folder.path();
    let other = another_program(folder);
    let count = || {
        let sql = "SELECT count(*) FROM \"ax.RETAILTRANSACTIONSALESTRANS\"";
        other.query_row(sql, (), |row| row.get::<_, i64>(0)).expect("a count")
    };
    assert_eq!(count(), 1);
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    let refused = hold.shut(&sale_columns()).map(|_| ()).map_err(|error| error.code());
    assert_eq!(refused, Err("local-locked"));
    other.execute_batch(FOREIGN).expect("it sells on");
    assert_eq!(count(), 2);
    // Killed behind the step that decides, with the other program still at it: an opening waits for nobody.
    replacement::announce(folder, STAMP).expect("the step that decides");
    assert_eq!(found(folder).await, (old, 1));
    assert!(!folder.join(format!("ready-{STAMP}")).exists(), "{new} is thrown away");
}

/// The lock goes with the process, and the register may be switched on tomorrow.
#[tokio::test]
async fn a_sale_between_a_kill_and_the_next_opening_keeps_the_old_database() {
    let (house, old, _) = two().await;
    let folder = house.folder.path();
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    drop(shut(hold));
    replacement::announce(folder, STAMP).expect("the step that decides");
    another_program(folder).execute_batch(FOREIGN).expect("a sale");
    assert_eq!(found(folder).await, (old, 1));
    let left = [format!("ready-{STAMP}"), format!("replaced-{STAMP}"), "next".to_string()];
    assert!(left.iter().all(|name| !folder.join(name).exists()), "the new one is thrown away");
}
