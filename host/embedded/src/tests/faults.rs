//! Faults on command, transactions.

use super::{House, count_rows, number};
use crate::Fault;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn transactions_begin_and_end_by_request_and_by_statement() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    client.commit_transaction().await.expect("committed");
    assert_eq!(number(client.commit_transaction().await), Some(3_902));
    client.begin_transaction().await.expect("a transaction");
    client.save_transaction("here").await.expect("a savepoint");
    client.rollback_transaction().await.expect("rolled back");
    count_rows(&mut client, "begin").await.expect("a transaction");
    count_rows(&mut client, "commit").await.expect("committed");
    assert_eq!(house.log.commits.load(Ordering::Acquire), 2);
    assert_eq!(house.log.rollbacks.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn a_session_that_ends_rolls_back() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    drop(client);
    while house.log.rollbacks.load(Ordering::Acquire) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_answer_to_a_commit_can_be_lost() {
    let house = House::open().await;
    house.gate.inject(Fault::DropAfterCommit { commits: 2 });
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    client.commit_transaction().await.expect("the first commit is answered");
    client.begin_transaction().await.expect("a transaction");
    let lost = client.execute("commit", &[]).await;
    assert!(lost.is_err() && number(lost).is_none(), "the second was answered");
    assert_eq!(house.log.commits.load(Ordering::Acquire), 2, "and yet it was carried out");
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    client.commit_transaction().await.expect("the fault has struck and is gone");
}

#[tokio::test]
async fn a_result_can_break_off_within_a_row() {
    let house = House::open().await;
    house.gate.inject(Fault::HalfRow { rows: 3 });
    let mut client = house.client().await;
    assert_eq!(count_rows(&mut client, "rows 3").await.ok(), Some(3), "too short to break");
    assert!(count_rows(&mut client, "rows 9").await.is_err());
    assert!(count_rows(&mut client, "rows 9").await.is_err(), "a dropped connection answered");
    assert_eq!(count_rows(&mut house.client().await, "rows 9").await.ok(), Some(9));
}

#[tokio::test]
async fn a_stalled_gate_takes_and_answers_nothing_until_it_is_healed() {
    let house = House::open().await;
    let mut client = house.client().await;
    house.gate.inject(Fault::Stall);
    let answer = {
        let mut stalled = Box::pin(count_rows(&mut client, "rows 2"));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut stalled).await;
        assert!(early.is_err(), "a stalled gate answered");
        house.gate.heal();
        stalled.await
    };
    assert_eq!(answer.ok(), Some(2));

    house.gate.inject(Fault::Stall);
    let mut config = house.config(tiberius::EncryptionLevel::NotSupported);
    config.handshake_timeout(Some(Duration::from_millis(100)));
    assert!(house.connect(config).await.is_err(), "a stalled gate let someone in");
    house.gate.cut().await.expect("a stalled gate can be cut");
    house.gate.heal();
    house.gate.restore().await.expect("restored");
    assert_eq!(count_rows(&mut house.client().await, "rows 2").await.ok(), Some(2));
}

#[tokio::test]
async fn a_lock_is_waited_for_by_who_asks_for_it_and_by_nobody_else() {
    let house = House::open().await;
    let (mut waits, mut other) = (house.client().await, house.client().await);
    house.gate.inject(Fault::Lock { text: "rows 2".to_string() });
    {
        let mut waiting = Box::pin(count_rows(&mut waits, "rows 2"));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err(), "a lock was not waited for");
        assert_eq!(count_rows(&mut other, "rows 3").await.ok(), Some(3));
        house.gate.heal();
        assert_eq!(waiting.await.ok(), Some(2));
    }
    house.gate.inject(Fault::Lock { text: "rows 2".to_string() });
    let mut config = house.config(tiberius::EncryptionLevel::NotSupported);
    config.command_timeout(Some(Duration::from_millis(100)));
    let mut hasty = house.connect(config).await.expect("logging in needs no lock");
    assert!(count_rows(&mut hasty, "rows 2").await.is_err(), "it waits no longer");
    drop(hasty);
    while house.gate.connections() > 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_half_open_gate_is_silence_and_forgets_its_connections_when_it_is_healed() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    house.gate.inject(Fault::HalfOpen);
    {
        let mut silent = Box::pin(count_rows(&mut client, "commit"));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut silent).await;
        assert!(early.is_err(), "a half-open gate answered");
    }
    let mut config = house.config(tiberius::EncryptionLevel::NotSupported);
    config.handshake_timeout(Some(Duration::from_millis(100)));
    assert!(house.connect(config).await.is_err(), "a half-open gate let someone in");
    let mut raw = house.stream().await.expect("the kernel still takes connections");
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(100), raw.read(&mut byte)).await;
    assert!(read.is_err(), "a half-open gate answered or hung up: {read:?}");
    drop(client);
    assert_eq!(house.gate.connections(), 1, "it does not see that its client is gone");
    assert_eq!(house.log.rollbacks.load(Ordering::Acquire), 0, "its transaction stays open");
    assert_eq!(house.log.commits.load(Ordering::Acquire), 0, "what was said to it was heard");
    house.gate.heal();
    while house.log.rollbacks.load(Ordering::Acquire) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count_rows(&mut house.client().await, "rows 2").await.ok(), Some(2));
}

#[tokio::test]
async fn a_cut_is_done_when_the_sessions_have_ended() {
    let house = House::open().await;
    for cuts in 1..=50 {
        let mut client = house.client().await;
        client.begin_transaction().await.expect("a transaction");
        house.gate.cut().await.expect("a cut");
        assert_eq!(house.log.rollbacks.load(Ordering::Acquire), cuts);
        house.gate.restore().await.expect("restored");
    }
}

#[tokio::test]
async fn logins_are_refused_and_the_sessions_that_there_are_end() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.begin_transaction().await.expect("a transaction");
    house.gate.inject(Fault::RefuseLogins { number: 18_456, keeps_sessions: false });
    assert!(number(count_rows(&mut client, "rows 2").await).is_none(), "it has heard the end");
    while house.log.rollbacks.load(Ordering::Acquire) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for refused in [18_456, 4_060, 927, 40_613] {
        house.gate.inject(Fault::RefuseLogins { number: refused, keeps_sessions: false });
        let config = house.config(tiberius::EncryptionLevel::Required);
        let error = house.connect(config).await.err().expect("a refusal");
        assert_eq!(error.code(), Some(refused), "{error}");
    }
    house.gate.heal();
    let mut client = house.client().await;
    house.gate.inject(Fault::RefuseLogins { number: 18_470, keeps_sessions: true });
    assert_eq!(count_rows(&mut client, "rows 2").await.ok(), Some(2));
    let config = house.config(tiberius::EncryptionLevel::Required);
    assert!(house.connect(config).await.is_err(), "a disabled account came in");
}

/// From severity 20 on SQL Server ends the connection itself.
#[tokio::test]
async fn every_request_is_refused_until_it_is_healed() {
    let house = House::open().await;
    for (refused, stays) in [(1_222, true), (8_645, true), (40_501, false), (10_928, false)] {
        let mut client = house.client().await;
        house.gate.inject(Fault::RefuseRequests { number: refused });
        assert_eq!(number(count_rows(&mut client, "rows 2").await), Some(refused));
        house.gate.heal();
        assert_eq!(count_rows(&mut client, "rows 2").await.is_ok(), stays, "{refused}");
    }
}
