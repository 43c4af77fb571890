//! Rules R1, R9 and R10 of change tracking (tests/suite/tracking_rules.rs lists all ten): the position moves with the
//! rows, what pull writes is not news and what others write is, and what the register changed while a synchronisation
//! was on its way is never overwritten by what that synchronisation brings.

use super::{EPOCH, House, customers, id, row};
use crate::file::{Kind, Trouble};
use crate::{LocalError, Refused, RulingOutcome, Settlement};
use rusqlite::Connection;
use tillhold_core::row::{Change, Key};
use tillhold_core::stage::Tally;
use tillhold_core::table::{Table, TableName};
use tillhold_core::version::ChannelVersion;

fn values<'a>(account: &'a str, name: &'a str) -> [&'a str; 4] {
    [account, "usmf", name, "0"]
}

async fn land(house: &House, version: u64) -> Tally {
    let positions = vec![(customers().name.clone(), ChannelVersion(version))];
    house.db.land("customers", positions, EPOCH).await.expect("a landing")
}

async fn stage(house: &House, table: &Table, account: &str, name: &str) {
    let change = Change::Present(row(table, &values(account, name)));
    house.db.stage(&table.name, vec![change]).await.expect("staged");
}

/// Account and name of every customer.
async fn names(house: &House) -> Vec<String> {
    let rows = house.everything(&customers()).await;
    let name = |row: &String| row.split('|').step_by(2).take(2).collect::<Vec<_>>().join("=");
    rows.iter().map(name).collect()
}

/// The disk, or a program beside us, stops a landing between the rows and the position. Rows without their position
/// come again, which does no harm; a position without its rows would skip them for good. So neither is there.
#[tokio::test]
async fn r1_the_position_moves_with_the_rows_or_not_at_all() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    stage(&house, &customers, "C1", "head office").await;
    let stop = "CREATE TRIGGER stop BEFORE UPDATE OF version ON tillhold_table \
                BEGIN SELECT RAISE(ABORT, 'stopped'); END";
    house.another_program().execute_batch(stop).expect("a trigger");
    let positions = vec![(customers.name.clone(), ChannelVersion(9))];
    house.db.land("customers", positions, EPOCH).await.expect_err("it was stopped");
    assert_eq!(names(&house).await, [""; 0]);
    house.another_program().execute_batch("DROP TRIGGER stop").expect("no trigger");
    land(&house, 9).await;
    assert_eq!(names(&house).await, ["C1=head office"]);
    let states = house.db.tables().await.expect("the tables");
    let state =
        states.iter().find(|state| state.table.name == customers.name).expect("it is there");
    assert_eq!(state.version, Some(ChannelVersion(9)));
}

/// The mark that silences the triggers lives inside the applying transaction: no other program ever sees it, so what it
/// writes is logged; and after a landing nothing is silent.
#[tokio::test]
async fn r9_the_silence_of_a_landing_is_seen_by_nobody_else() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    let other = house.another_program();
    let look = move |conn: &mut Connection| -> Result<i64, Trouble> {
        let transaction = conn.transaction()?;
        let marks = |conn: &Connection| {
            conn.query_row("SELECT count(*) FROM tillhold_applying", (), |row| row.get(0))
        };
        let seen = crate::apply::quietly(&transaction, Kind::Journal, |own| {
            assert_eq!(marks(own)?, 1, "the landing itself is silent");
            Ok(marks(&other)?)
        })?;
        transaction.commit()?;
        Ok(seen)
    };
    let seen: Result<i64, LocalError> = house.db.writer(Kind::Journal).run(look).await;
    assert_eq!(seen.expect("a look"), 0);
    stage(&house, &customers, "C1", "head office").await;
    land(&house, 6).await;
    assert_eq!(house.pending().await.len(), 0, "what pull writes is not sent back");
    let write = "UPDATE \"ax.CUSTTABLE\" SET NAME = 'other program'";
    house.another_program().execute_batch(write).expect("another program's write");
    assert_eq!(house.pending().await.len(), 1);
}

/// The cashier changes a customer after push has chosen what it sends and before what pull has read is applied. The
/// change stays, is sent by the next push, and stands on the version that the cashier saw: the channel contests it.
#[tokio::test]
async fn r10_a_row_changed_between_selection_and_landing_stays_and_is_contested() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    stage(&house, &customers, "C1", "seen").await;
    land(&house, 6).await;

    house.update(1, &customers, &values("C1", "first")).await;
    let selected = house.pending().await;
    stage(&house, &customers, "C1", "head office").await;
    house.update(2, &customers, &values("C1", "second")).await;
    house.db.settle(selected[0].id, Settlement::Accepted).await.expect("the first was taken");
    let tally = land(&house, 9).await;
    assert_eq!(tally, Tally { rows_in: 1, dropped: 1, ..Tally::default() });
    assert_eq!(names(&house).await, ["C1=second"]);
    let pending = house.pending().await;
    assert_eq!(pending.iter().map(|t| t.id).collect::<Vec<_>>(), [id(2)]);
    let write = &pending[0].writes[0];
    assert_eq!(write.base_version, ChannelVersion(6), "head office's change must count as unseen");
    assert_eq!(write.base.as_ref(), Some(&row(&customers, &values("C1", "first"))));
}

/// A change that falls between the staging of a page and its landing is seen by the landing itself.
#[tokio::test]
async fn r10_a_row_changed_after_it_was_staged_is_left_alone() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    for account in ["C1", "C2", "C3"] {
        stage(&house, &customers, account, "seen").await;
    }
    land(&house, 6).await;
    stage(&house, &customers, "c1 ", "head office").await;
    let gone = Change::Gone(super::key(&customers, &["C2", "usmf"]));
    house.db.stage(&customers.name, vec![gone]).await.expect("staged");
    stage(&house, &customers, "C3", "head office").await;
    house.update(1, &customers, &values("C1", "till")).await;
    house.update(2, &customers, &values("C2", "till")).await;
    land(&house, 9).await;
    assert_eq!(names(&house).await, ["C1=till", "C2=till", "C3=head office"]);
}

/// A page of a load is read, then one of its rows is changed, sent, and taken by the channel, then the page is written.
/// Pull leaves this register's own changes out, so the old row would stay for good.
#[tokio::test]
async fn r10_a_page_read_before_an_upload_does_not_replace_what_was_uploaded() {
    for is_anew in [false, true] {
        let (house, customers) = (House::new().await, customers());
        if is_anew {
            house.make_ready("customers", &[&customers], 5).await;
            stage(&house, &customers, "kept", "seen").await;
            stage(&house, &customers, "deleted", "seen").await;
            land(&house, 6).await;
        }
        house.db.begin_load(&customers.name, EPOCH, ChannelVersion(9)).await.expect("a begin");
        if !is_anew {
            house.insert(1, &customers, &values("kept", "seen")).await;
            house.insert(2, &customers, &values("deleted", "seen")).await;
            house.db.accept(vec![id(1), id(2)]).await.expect("the channel took them");
        }
        let read_before = ["deleted", "kept", "other"];
        house.update(3, &customers, &values("kept", "till")).await;
        let key = super::key(&customers, &["deleted", "usmf"]);
        let delete = vec![crate::RowWrite::Delete { table: customers.name.clone(), key }];
        house.db.record(id(4), super::hash(4), delete, 1_000).await.expect("a recorded delete");
        house.db.accept(vec![id(3), id(4)]).await.expect("the channel took them");
        let page = read_before.map(|account| row(&customers, &values(account, "seen")));
        let last = page[2].key(&customers);
        let tally = house.db.load_page(&customers.name, page.to_vec(), last).await.expect("a page");
        assert_eq!(tally, Tally { rows_in: 3, applied: 1, dropped: 2, quarantined: 0 });
        house.db.end_load(&customers.name).await.expect("an end");
        house.db.discard_staged("customers").await.expect("the pass after the load begins");
        land(&house, 9).await;
        assert_eq!(names(&house).await, ["kept=till", "other=seen"], "anew: {is_anew}");
    }
}

/// A pass reads a row, then a change of this register's is sent and settled, then the pass lands: what it read is older,
/// and the channel would not send this register's own change again. Whether it was staged before or after is the same.
#[tokio::test]
async fn r10_a_pass_that_read_before_a_settlement_leaves_what_was_settled() {
    for staged_first in [false, true] {
        let (house, customers) = (House::new().await, customers());
        house.make_ready("customers", &[&customers], 5).await;
        let everyone = ["changed", "deleted", "other"];
        for account in everyone {
            stage(&house, &customers, account, "seen").await;
        }
        land(&house, 6).await;
        house.update(1, &customers, &values("changed", "till")).await;
        let deleted = super::key(&customers, &["deleted", "usmf"]);
        let delete =
            crate::RowWrite::Delete { table: customers.name.clone(), key: deleted.clone() };
        house.db.record(id(2), super::hash(2), vec![delete], 1_000).await.expect("a delete");

        house.db.discard_staged("customers").await.expect("a pass begins");
        let accept = || house.db.accept(vec![id(1), id(2)]);
        if !staged_first {
            accept().await.expect("the channel took them");
        }
        for account in everyone {
            stage(&house, &customers, account, "head office, before").await;
        }
        if staged_first {
            accept().await.expect("the channel took them");
        }
        let tally = land(&house, 8).await;
        assert_eq!(tally, Tally { rows_in: 3, applied: 1, dropped: 2, ..Tally::default() });
        assert_eq!(names(&house).await, ["changed=till", "other=head office, before"]);
        let changed = super::key(&customers, &["changed", "usmf"]);
        assert_eq!(
            asked(&house).await,
            [changed.clone(), deleted],
            "what was skipped may be newer"
        );

        house.db.discard_staged("customers").await.expect("the next pass begins");
        stage(&house, &customers, "changed", "head office, after").await;
        house.update(3, &customers, &values("changed", "till again")).await;
        let base = house.pending().await[0].writes[0].base_version;
        assert_eq!(base, ChannelVersion(6), "what the landing at 8 left out counts as unseen");
        assert_eq!(asked(&house).await.len(), 1, "not the one that is unsent now");
        land_asked(&house, 9, vec![(customers.name.clone(), vec![changed.clone()])]).await;
        assert_eq!(names(&house).await[0], "changed=till again", "staged first: {staged_first}");
        house.db.accept(vec![id(3)]).await.expect("the channel took it");
        assert!(asked(&house).await.contains(&changed), "its landing was skipped once more");
    }
}

/// The channel has a change of this register's, whose settlement its lost answer delays; head office changes the row
/// behind it, and a pass brings that: it is skipped, and must come when the change is settled.
#[tokio::test]
async fn r10_a_row_that_is_skipped_because_it_is_unsent_is_asked_for_once_it_is_sent() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    stage(&house, &customers, "C1", "seen").await;
    land(&house, 6).await;
    house.update(1, &customers, &values("C1", "till")).await;
    house.db.discard_staged("customers").await.expect("a pass begins");
    stage(&house, &customers, "C1", "head office, after").await;
    land(&house, 8).await;
    assert_eq!(names(&house).await, ["C1=till"]);
    assert_eq!(asked(&house).await, [], "its upload decides it");
    house.db.settle_as_sent(id(1), Vec::new()).await.expect("the channel had it");
    let keys = asked(&house).await;
    assert_eq!(keys, [super::key(&customers, &["C1", "usmf"])]);
    house.db.discard_staged("customers").await.expect("the next pass begins");
    stage(&house, &customers, "C1", "head office, after").await;
    land_asked(&house, 8, vec![(customers.name.clone(), keys)]).await;
    assert_eq!(names(&house).await, ["C1=head office, after"]);
    assert_eq!(asked(&house).await, []);
}

/// A rule refuses what head office made of a row, and pulls go on: what the cashier changes of it was not changed with that
/// in sight, neither while the row is refused nor when it has passed and not landed yet.
#[tokio::test]
async fn r10_an_edit_of_a_refused_row_counts_as_of_what_the_register_has() {
    let (house, customers) = (House::new().await, customers());
    house.make_ready("customers", &[&customers], 5).await;
    stage(&house, &customers, "C1", "seen").await;
    land(&house, 6).await;
    let key = super::key(&customers, &["C1", "usmf"]);
    let refused = |key: Key| Refused { key, code: "rule-refused", reason: "no".to_string() };
    let set = |refused: Vec<Refused>, passed: Vec<Key>| {
        let outcome = RulingOutcome { refused, passed, circumstances: None };
        house.db.set_rows_aside("customers", &customers.name, outcome)
    };
    set(vec![refused(key.clone())], vec![]).await.expect("head office's version 7 is refused");
    land(&house, 8).await;
    set(vec![refused(key.clone())], vec![]).await.expect("and its version 9");
    land(&house, 10).await;
    house.update(1, &customers, &values("C1", "till")).await;
    let base = async || house.pending().await[0].writes[0].base_version;
    assert_eq!(base().await, ChannelVersion(6), "the one that it has");
    set(vec![], vec![key.clone()]).await.expect("the rule was mended");
    assert_eq!(base().await, ChannelVersion(6), "passed is not landed");
    house.db.settle(id(1), Settlement::Accepted).await.expect("decided");
    assert_eq!(asked(&house).await, std::slice::from_ref(&key));
    house.db.discard_staged("customers").await.expect("the next pass begins");
    stage(&house, &customers, "C1", "decided").await;
    land_asked(&house, 12, vec![(customers.name.clone(), vec![key])]).await;
    house.update(2, &customers, &values("C1", "till again")).await;
    assert_eq!(base().await, ChannelVersion(12), "now it has seen everything");
}

async fn asked(house: &House) -> Vec<Key> {
    house.db.keys_to_ask_again(&customers().name).await.expect("keys")
}

async fn land_asked(house: &House, version: u64, asked: Vec<(TableName, Vec<Key>)>) {
    let landed = vec![(customers().name.clone(), ChannelVersion(version))];
    house.db.land_asked("customers", landed, EPOCH, asked).await.expect("a landing");
}
