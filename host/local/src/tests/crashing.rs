//! Crashes: the files as they are at a moment are opened as if the machine had stopped there.

use super::{EPOCH, House, barcodes, customers, hash, id, lines, look_once, open, prices, row};
use crate::{RowWrite, Settlement};
use rusqlite::Connection;
use std::path::Path;
use tillhold_core::row::Change;
use tillhold_core::version::ChannelVersion;

/// What a process leaves behind when it is killed now: the files and their logs, not what it holds in memory.
async fn killed_now(house: &House) -> House {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(house.folder.path(), folder.path());
    House { db: open(folder.path()).await, folder }
}

fn copy(from: &Path, to: &Path) {
    for file in ["journal.db", "journal.db-wal", "catalogue.db", "catalogue.db-wal"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).expect("a copy");
        }
    }
}

#[tokio::test]
async fn an_acknowledged_sale_survives() {
    let house = House::new().await;
    for number in 1..=20 {
        house.insert(number, &lines(), &[&format!("T{number}"), "1", "i", "1"]).await;
        let after = killed_now(&house).await;
        let pending = after.pending().await;
        assert_eq!(pending.len(), usize::from(number));
        assert_eq!(pending.last().map(|t| t.id), Some(id(number)));
        let write = RowWrite::Insert {
            table: lines().name.clone(),
            row: row(&lines(), &[&format!("T{number}"), "1", "i", "1"]),
        };
        let again = after.db.record(id(number), hash(number), vec![write], 1).await;
        assert_eq!(again.expect("the POS asks again"), crate::Recorded::AlreadyThere);
    }
}

#[tokio::test]
async fn a_pass_that_did_not_land_leaves_the_old_state() {
    let house = House::new().await;
    let (prices, barcodes) = (prices(), barcodes());
    house.make_ready("prices", &[&prices, &barcodes], 1).await;
    let change = Change::Present(row(&prices, &["1", "a", "1"]));
    house.db.stage(&prices.name, vec![change.clone()]).await.expect("staged");
    let before = killed_now(&house).await;
    assert_eq!(before.everything(&prices).await, Vec::<String>::new());
    let positions = |version| {
        vec![
            (prices.name.clone(), ChannelVersion(version)),
            (barcodes.name.clone(), ChannelVersion(version)),
        ]
    };
    before.db.discard_staged("prices").await.expect("a new pass");
    let tally = before.db.land("prices", positions(3), EPOCH).await.expect("a landing");
    assert_eq!(tally.rows_in, 0, "what was staged before the crash is not landed twice");

    house.db.land("prices", positions(2), EPOCH).await.expect("a landing");
    let after = killed_now(&house).await;
    assert_eq!(after.everything(&prices).await.len(), 1);
    let states = after.db.tables().await.expect("the tables");
    let pulled = states.iter().filter(|state| state.scope == "prices");
    assert!(pulled.clone().all(|state| state.version == Some(ChannelVersion(2))), "whole");
    assert_eq!(pulled.count(), 2);
}

#[tokio::test]
async fn a_settlement_is_kept_and_an_unsettled_one_comes_again() {
    let house = House::new().await;
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    house
        .another_program()
        .execute_batch("INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('F', 1, 'i', '1')")
        .expect("another program's row");
    let sent = house.pending().await;
    let after = killed_now(&house).await;
    assert_eq!(after.pending().await, sent, "the same ids and hashes: the ledger can know them");
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    let after = killed_now(&house).await;
    assert_eq!(after.pending().await, sent[1..]);
}

/// A program dies in its own transaction: its rows and its log rows go together.
#[tokio::test]
async fn another_programs_unfinished_work_is_not_seen() {
    let house = House::new().await;
    let other = house.another_program();
    other
        .execute_batch(
            "BEGIN IMMEDIATE; INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('F', 1, 'i', '1')",
        )
        .expect("an open transaction");
    assert_eq!(house.pending().await.len(), 0);
    drop(other);
    assert_eq!(house.pending().await.len(), 0);
    assert_eq!(house.everything(&lines()).await.len(), 0);
}

/// The mark that silences the triggers lives inside a transaction; a crash in between must not leave it behind.
#[tokio::test]
async fn no_mark_outlives_a_crash() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 1).await;
    let stop = |conn: &mut Connection| -> Result<(), crate::file::Trouble> {
        let transaction = conn.transaction()?;
        transaction.execute("INSERT INTO tillhold_applying VALUES (1)", ())?;
        panic!("the work dies here");
    };
    let died = house.db.writer(crate::file::Kind::Journal).run(stop).await;
    assert_eq!(died.map_err(|e| e.code()), Err("local-closed"));
    house.insert(1, &customers, &["C1", "usmf", "Ann", "0"]).await;
    assert_eq!(house.pending().await.len(), 1, "the writer goes on, and writes are captured");
}

/// What waits in a writer's queue is bounded, and the caller is told at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_so() {
    let house = House::new().await;
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let db = house.db.clone();
    tillhold_env::Env::real().spawn(async move {
        let block = move |_: &mut Connection| {
            begun.send(()).expect("the test waits");
            wait.recv().expect("the test lets go");
            Ok(())
        };
        db.writer(crate::file::Kind::Journal).run(block).await.expect("it ends");
    });
    has_begun.await.expect("the writer is at work");
    let mut asked = Vec::new();
    let refused = loop {
        let mut fact = Box::pin(house.db.set_fact("a", "b"));
        match look_once(&mut fact).await {
            Some(Err(error)) => break error,
            _ => asked.push(fact),
        }
        assert!(asked.len() <= tillhold_core::limits::WRITER_QUEUE_MAX + 1, "no bound");
    };
    assert_eq!(refused.code(), "local-busy");
    release.send(()).expect("the writer waits");
    for fact in asked {
        fact.await.expect("all that was taken is done");
    }
}
