//! A whole new database takes the old one's place: cut off at any step, the folder holds one of the two, whole.

use super::{House, lines, open};
use crate::replacement::{self, moves};
use crate::{InstalledTable, LocalDatabase, LocalError};
use std::path::Path;
use tillhold_core::profile::Direction;
use tillhold_core::version::Incarnation;
use tillhold_env::Env;

const STAMP: &str = "20261128";

/// A database with one unsent sale, and an empty next one beside it; both are closed.
async fn two() -> (House, Incarnation, Incarnation) {
    let house = House::new().await;
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    let old = house.db.incarnation();
    let next = open(&LocalDatabase::next_folder(house.folder.path())).await;
    let new = next.incarnation();
    let table =
        InstalledTable { scope: "s".to_string(), direction: Direction::Upload, table: lines() };
    next.install(vec![table], Vec::new()).await.expect("a table");
    next.close().await.expect("a close");
    (house, old, new)
}

async fn found(folder: &Path) -> (Incarnation, usize) {
    let db = open(folder).await;
    let pending = db.pending(10, 10).await.expect("pending").len();
    db.close().await.expect("a close");
    (db.incarnation(), pending)
}

#[tokio::test]
async fn the_new_one_counts_and_the_old_one_is_kept() {
    let (house, old, new) = two().await;
    let folder = house.folder.path();
    let hold = house.db.hold().expect("a lock");
    house.db.close().await.expect("a close");
    let taken = LocalDatabase::open(&Env::real(), folder, &super::identity()).await;
    assert!(matches!(taken, Err(LocalError::InUse { .. })), "locked between closing and replacing");
    let kept = hold.replace(STAMP).expect("a replacement");
    assert_eq!(found(folder).await, (new, 0));
    assert_eq!(found(&kept).await, (old, 1), "with its unsent sale");
    assert!(!LocalDatabase::next_folder(folder).exists());
}

/// A process that is killed leaves what its file operations had done so far.
#[tokio::test]
async fn cut_off_after_any_step_it_is_the_old_one_or_the_new_one() {
    let (house, old, _) = two().await;
    house.db.close().await.expect("a close");
    let folder = house.folder.path();
    assert_eq!(found(folder).await, (old, 1), "before the step that decides");
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
        assert_eq!(found(&replaced).await, (old, 1), "after {done} moves");
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
    let refused = hold.replace(STAMP);
    assert!(matches!(refused, Err(LocalError::Damaged { .. })), "{refused:?}");
    next.close().await.expect("a close");
}
