//! Settled sales go together and quietly once they are old; nothing unsent goes, nor what it builds on.

use super::{EPOCH, House, customers, hash, id, identity, insert, lines, open, sales, sell};
use crate::OldEnough;
use crate::{InstalledTable, LocalDatabase, PurgeFrom, Purged, RowWrite, Settlement};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tillhold_core::limits;
use tillhold_core::profile::Direction;
use tillhold_core::row::Change;
use tillhold_core::table::Table;
use tillhold_core::version::ChannelVersion;
use tillhold_env::{Clock, Env};

/// The days are counted by the wall clock; here they pass on command.
#[derive(Default)]
struct Calendar(AtomicI64);

impl Clock for Calendar {
    fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> u64 {
        Env::real().clock.monotonic_us()
    }
}

impl Calendar {
    fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

async fn dated_house() -> (House, Arc<Calendar>) {
    let calendar = Arc::new(Calendar::default());
    let env = Env { clock: calendar.clone(), ..Env::real() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = LocalDatabase::open(&env, folder.path(), &identity()).await.expect("a database");
    db.install(super::plan(), Vec::new()).await.expect("an installation");
    (House { folder, db }, calendar)
}

async fn settle(house: &House, number: u8) {
    house.db.settle(id(number), Settlement::Accepted).await.expect("settled");
}

/// All steps of one purge.
async fn purge(house: &House, before_ms: i64) -> Purged {
    let (mut all, mut from): (Purged, Option<PurgeFrom>) = (Purged::default(), None);
    loop {
        let step = house.db.purge(OldEnough::by_clock(before_ms), from).await.expect("a purge");
        all.transactions += step.transactions;
        all.rows += step.rows;
        all.held += step.held;
        match step.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

async fn left(house: &House) -> (usize, usize) {
    (house.everything(&sales()).await.len(), house.everything(&lines()).await.len())
}

#[tokio::test]
async fn old_settled_sales_go_whole_and_quietly() {
    let (house, calendar) = dated_house().await;
    for (number, at) in [(1, 100), (2, 200), (3, 300)] {
        calendar.set(at);
        sell(&house, number).await;
        settle(&house, number).await;
    }
    sell(&house, 4).await;
    assert_eq!(purge(&house, 100).await, Purged::default(), "as old as that is not older");
    let gone = purge(&house, 250).await;
    assert_eq!((gone.transactions, gone.rows, gone.held), (2, 6, 0));
    assert_eq!(left(&house).await, (2, 4));
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(4)], "a purge is nothing to push");
    assert_eq!(purge(&house, i64::MAX).await.transactions, 1, "never the unsent one");
    assert_eq!(left(&house).await, (1, 2));
    let again = house.db.record(id(1), hash(1), vec![], 1).await.expect("asked again");
    assert_eq!(again, crate::Recorded::AlreadyThere, "its id is remembered all the same");
}

#[tokio::test]
async fn what_an_undecided_transaction_builds_on_stays_whole() {
    let (house, _calendar) = dated_house().await;
    for number in 1..=3 {
        sell(&house, number).await;
        settle(&house, number).await;
    }
    house.update(11, &lines(), &["T1", "2", "returned", "1"]).await;
    house.update(12, &lines(), &["T2", "1", "returned", "1"]).await;
    house.update(13, &lines(), &["T3", "1", "returned", "1"]).await;
    house.db.quarantine(id(12), "x", "y").await.expect("quarantined");
    house.db.defer(id(13), Vec::new()).await.expect("deferred");
    let gone = purge(&house, i64::MAX).await;
    assert_eq!((gone.transactions, gone.rows, gone.held), (0, 0, 3));
    assert_eq!(left(&house).await, (3, 6));
    settle(&house, 11).await;
    let gone = purge(&house, i64::MAX).await;
    assert_eq!((gone.transactions, gone.rows, gone.held), (1, 3, 2));
}

#[tokio::test]
async fn a_sale_ages_from_its_last_settled_change() {
    let (house, calendar) = dated_house().await;
    calendar.set(100);
    sell(&house, 1).await;
    settle(&house, 1).await;
    calendar.set(900);
    house.update(2, &lines(), &["T1", "2", "returned", "1"]).await;
    settle(&house, 2).await;
    assert_eq!(purge(&house, 900).await.transactions, 0);
    let gone = purge(&house, 901).await;
    assert_eq!((gone.transactions, gone.rows), (1, 3), "with the row that another one changed");
    assert_eq!(left(&house).await, (0, 0));
}

/// A row is its last maker's: what was taken away and made again must not go with the first.
#[tokio::test]
async fn a_row_that_was_made_again_is_the_later_ones() {
    let (house, calendar) = dated_house().await;
    let header = sales();
    for (number, at) in [(1, 100), (3, 900)] {
        calendar.set(at);
        house.insert(number, &header, &["T1", "S1", "3", "2026-01-01 10:00:00.000"]).await;
        settle(&house, number).await;
        if number == 1 {
            let key = super::key(&header, &["t1", "S1"]);
            let gone = vec![RowWrite::Delete { table: header.name.clone(), key }];
            house.db.record(id(2), hash(2), gone, 1).await.expect("a deletion");
            settle(&house, 2).await;
        }
    }
    let gone = purge(&house, 500).await;
    assert_eq!((gone.rows, left(&house).await), (0, (1, 0)));
    assert_eq!(purge(&house, 901).await.rows, 1);
}

/// A pulled row is the channel's to take away, also in a table that was only pushed before.
#[tokio::test]
async fn rows_of_pulled_tables_stay() {
    let (house, _calendar) = dated_house().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    house.insert(1, &customers, &["C1", "usmf", "Ann", "0"]).await;
    settle(&house, 1).await;
    sell(&house, 2).await;
    settle(&house, 2).await;
    let both = |table: Arc<Table>| InstalledTable {
        scope: "sales".to_string(),
        direction: Direction::Bidirectional,
        table,
    };
    let mut tables = super::plan();
    tables.retain(|table| table.table.name != lines().name);
    tables.push(both(lines()));
    house.db.install(tables, Vec::new()).await.expect("another direction");
    let gone = purge(&house, i64::MAX).await;
    assert_eq!((gone.transactions, gone.rows), (1, 1), "the header alone");
    assert_eq!(left(&house).await, (0, 2));
    assert_eq!(house.everything(&customers).await.len(), 1);
    let landed = house.db.begin_load(&lines().name, EPOCH, ChannelVersion(1)).await;
    landed.expect("a load goes on as ever");
}

/// What other programs write is purged like everything else; keys are found by any spelling.
#[tokio::test]
async fn another_programs_sale_goes_too() {
    let (house, _calendar) = dated_house().await;
    let sql = "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('Straße ', 1, 'i', '1'), ('b\"c', 2, 'i', '1')";
    house.another_program().execute_batch(sql).expect("a write");
    let sent = house.pending().await;
    house.db.settle(sent[0].id, Settlement::Accepted).await.expect("settled");
    let gone = purge(&house, i64::MAX).await;
    assert_eq!((gone.transactions, gone.rows), (1, 2));
    assert_eq!(left(&house).await, (0, 0));
}

/// Steps are bounded, and a kill between two of them leaves whole transactions and a purge that goes on.
#[tokio::test]
async fn a_purge_goes_in_steps_and_survives_a_kill() {
    let (house, _calendar) = dated_house().await;
    let most = limits::PURGE_ROWS_MAX as usize;
    for number in 1..=4 {
        let line =
            |nth: usize| insert(&lines(), &[&format!("T{number}"), &nth.to_string(), "i", "1"]);
        let writes = (0..most - 100).map(line).collect();
        house.db.record(id(number), hash(number), writes, 1).await.expect("a sale");
        settle(&house, number).await;
    }
    let step = house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a step");
    assert_eq!((step.transactions, step.rows as usize), (2, 2 * (most - 100)));
    assert!(step.next.is_some());
    house.db.close().await.expect("an end");
    let House { folder, .. } = house;
    let house = House { db: open(folder.path()).await, folder };
    assert_eq!(purge(&house, i64::MAX).await.transactions, 2);
    assert_eq!(left(&house).await, (0, 0));
    let bookkeeping =
        "SELECT (SELECT count(*) FROM tillhold_kept) + (SELECT count(*) FROM tillhold_kept_row)";
    let kept: i64 =
        house.another_program().query_row(bookkeeping, (), |row| row.get(0)).expect("a count");
    assert_eq!(kept, 0, "nothing is remembered of what is gone");
}

/// A decided row that the channel took away is gone already; its transaction goes all the same.
#[tokio::test]
async fn a_decided_transaction_is_purged_as_it_was_decided() {
    let (house, _calendar) = dated_house().await;
    sell(&house, 1).await;
    let line = lines();
    let gone = Change::Gone(super::key(&line, &["T1", "2"]));
    let resolved =
        Settlement::Resolved { rows: vec![(line.name.clone(), gone)], decisions: Vec::new() };
    house.db.settle(id(1), resolved).await.expect("settled");
    let gone = purge(&house, i64::MAX).await;
    assert_eq!((gone.transactions, gone.rows), (1, 2));
    assert_eq!(left(&house).await, (0, 0));
}

/// A till whose clock began in 1970 for a morning: what was settled then is as old as what came after it.
#[tokio::test]
async fn a_wrong_clock_makes_no_sale_old() {
    const DAY_MS: i64 = 86_400_000;
    let (house, calendar) = dated_house().await;
    let mut number = 0;
    let mut left_after = Vec::new();
    for day in [100, 0, 101, 102, 103] {
        let (now_ms, kept_days) = (day * DAY_MS + 1, 2);
        calendar.set(now_ms);
        number += 1;
        sell(&house, number).await;
        settle(&house, number).await;
        // In 1970 it runs for minutes only.
        let noted = (day > 0).then_some(day);
        let kept_no_max = house.db.note_day(noted, kept_days as usize).await.expect("a day");
        let old = OldEnough { before_ms: now_ms - kept_days * DAY_MS, kept_no_max };
        house.db.purge(old, None).await.expect("a purge");
        left_after.push(house.everything(&sales()).await.len());
    }
    // The first and that of 1970 go when two days have passed since either was settled.
    assert_eq!(left_after, [1, 2, 3, 3, 3]);
    // Numbers are not given twice, or a later sale would be as old as one that is gone.
    house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge");
    sell(&house, 9).await;
    settle(&house, 9).await;
    let marked = house.db.note_day(None, 1).await.expect("a day");
    let old = OldEnough { before_ms: i64::MAX, kept_no_max: marked };
    assert_eq!(house.db.purge(old, None).await.expect("a purge").transactions, 0);
}
