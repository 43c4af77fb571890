//! Runs, heads and incarnations outlive the agent; used numbers and unsent sales are told from what the files hold.

use super::{EPOCH, House, id, identity, name, open, row, table};
use crate::{Identity, InstalledTable, LocalDatabase, RowWrite, RulingOutcome, SaleColumns};
use std::sync::Arc;
use tillhold_core::claim::Head;
use tillhold_core::numbering::AX;
use tillhold_core::profile::Direction;
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Sequence};
use tillhold_env::Env;

#[tokio::test]
async fn a_journal_remembers_its_runs_and_the_head_over_a_restart() {
    let house = House::new().await;
    let first = house.db.begin_run().await.expect("a run");
    let head = |at| Head { sequence: Sequence(at), id: id(at as u8) };
    for at in [5, 9, 7] {
        house.db.remember_head(head(at)).await.expect("a head");
    }
    house.db.close().await.expect("a close");
    let again = open(house.folder.path()).await;
    let second = again.begin_run().await.expect("a run");
    let remembered = again.remembered().await.expect("what it remembers");
    assert_eq!((remembered.runs, remembered.head), (vec![first, second], Some(head(9))));
}

#[tokio::test]
async fn a_new_incarnation_keeps_what_is_unsent() {
    let house = House::new().await;
    house.insert(1, &super::lines(), &["T1", "1", "i", "1"]).await;
    let old = house.db.incarnation();
    house.db.remember_head(Head { sequence: Sequence(1), id: id(1) }).await.expect("a head");
    let new = house.db.renew_incarnation().await.expect("a new incarnation");
    assert_ne!(new, old);
    assert_eq!(house.db.incarnation(), new);
    house.db.close().await.expect("a close");
    let again = open(house.folder.path()).await;
    assert_eq!(again.incarnation(), new);
    assert_eq!(again.remembered().await.expect("what it remembers").head, None);
    assert_eq!(again.pending(10, 10).await.expect("pending").len(), 1);
}

#[tokio::test]
async fn a_new_incarnation_reads_its_tables_of_both_directions_once_more() {
    let house = House::new().await;
    let customers = super::customers();
    house.make_ready("customers", &[&customers], 7).await;
    assert_eq!(house.db.rereads("customers").await.expect("the rereads"), []);
    house.db.renew_incarnation().await.expect("a new incarnation");
    house.db.close().await.expect("a close");
    let again = open(house.folder.path()).await;
    let due = again.rereads("customers").await.expect("the rereads");
    let [due] = due.as_slice() else { panic!("one table, not {due:?}") };
    assert_eq!(*due, customers.name, "also for the process that comes after");
}

/// A version of the channel's former life says nothing of this one, be it the epoch that tells or a version that went back.
#[tokio::test]
async fn in_another_life_of_the_channel_unsent_changes_stand_on_nothing() {
    for (epoch, reached, tables) in [(EPOCH, 7, 0), (EPOCH, 6, 1), ([9; 16], 70, 1)] {
        let house = House::new().await;
        let customers = super::customers();
        house.make_ready("customers", &[&customers], 7).await;
        house.insert(1, &customers, &["C1", "usmf", "first", "1"]).await;
        let seen = house.db.newest_position().await.expect("a position");
        let forget =
            async || house.db.forget_former_life(epoch, ChannelVersion(reached), seen).await;
        assert_eq!(forget().await.expect("a look"), tables);
        assert_eq!(forget().await.expect("a second look"), 0, "it is known");
        house.insert(2, &customers, &["C2", "usmf", "second", "1"]).await;
        let stand = ChannelVersion(if tables == 0 { 7 } else { 0 });
        for transaction in house.pending().await {
            assert_eq!(transaction.writes[0].base_version, stand);
        }
        let due = house.db.rereads("customers").await.expect("the rereads");
        assert_eq!(due.len(), tables);
    }
}

/// The pull may be the first to find out; what is changed after its landing stands on what it brought.
#[tokio::test]
async fn a_landing_of_another_life_takes_the_ground_from_what_is_unsent() {
    for (epoch, version) in [([9; 16], 70), (EPOCH, 5)] {
        let house = House::new().await;
        let customers = super::customers();
        house.make_ready("customers", &[&customers], 70).await;
        house.insert(1, &customers, &["C1", "usmf", "before", "1"]).await;
        let at = ChannelVersion(version);
        house.db.begin_load(&customers.name, epoch, at).await.expect("a load");
        house.db.end_load(&customers.name).await.expect("its end");
        let landed = vec![(customers.name.clone(), at)];
        house.db.land("customers", landed, epoch).await.expect("a landing");
        house.insert(2, &customers, &["C2", "usmf", "after", "1"]).await;
        let pending = house.pending().await;
        let bases: Vec<u64> = pending.iter().map(|t| t.writes[0].base_version.0).collect();
        assert_eq!(bases, [0, version]);
    }
}

/// Refused in the former life and in this one, and read again at another version meanwhile.
#[tokio::test]
async fn a_row_that_was_refused_in_a_former_life_is_had_as_of_nothing() {
    let house = House::new().await;
    let customers = super::customers();
    house.make_ready("customers", &[&customers], 500).await;
    let key = super::key(&customers, &["C1", "usmf"]);
    let refuse = async || {
        let refused = vec![super::refusal(key.clone(), "no")];
        let outcome = RulingOutcome { refused, ..RulingOutcome::default() };
        house.db.set_rows_aside("customers", &customers.name, outcome).await.expect("a mark");
    };
    refuse().await;
    let seen = house.db.newest_position().await.expect("a position");
    let tables = house.db.forget_former_life([9; 16], ChannelVersion(200), seen).await;
    assert_eq!(tables.expect("a look"), 1);
    refuse().await;
    let at = ChannelVersion(300);
    house.db.begin_load(&customers.name, [9; 16], at).await.expect("a load");
    house.db.end_load(&customers.name).await.expect("its end");
    let landed = vec![(customers.name.clone(), at)];
    house.db.land("customers", landed, [9; 16]).await.expect("a landing");
    house.insert(1, &customers, &["C1", "usmf", "till", "1"]).await;
    assert_eq!(house.pending().await[0].writes[0].base_version, ChannelVersion(0));
}

#[tokio::test]
async fn a_place_of_the_log_has_the_transaction_that_began_there() {
    let house = House::new().await;
    let lines = super::lines();
    house.insert(1, &lines, &["T1", "1", "i", "1"]).await;
    // Changes nothing: it has no place of its own.
    house.db.record(id(2), super::hash(2), Vec::new(), 1).await.expect("a recorded nothing");
    house.insert(3, &lines, &["T3", "1", "i", "1"]).await;
    let at = async |at| house.db.transaction_at(Sequence(at)).await.expect("an answer");
    assert_eq!((at(1).await, at(2).await, at(3).await), (Some(id(1)), Some(id(3)), None));
    house.db.accept(vec![id(1)]).await.expect("a settlement");
    assert_eq!(at(1).await, Some(id(1)), "also when it has arrived");
}

fn headers() -> Arc<Table> {
    table(
        "RETAILTRANSACTIONTABLE",
        "STORE nvarchar(10) key, TERMINAL nvarchar(10) key, TRANSACTIONID nvarchar(44) key, \
         PAYMENTAMOUNT numeric(32;16), CURRENCY nvarchar(3)",
    )
}

/// A shop with AX's own columns.
async fn ax_house() -> (tempfile::TempDir, LocalDatabase) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = LocalDatabase::open(&Env::real(), folder.path(), &identity()).await.expect("files");
    let (scope, direction) = ("sales".to_string(), Direction::Upload);
    let installed = InstalledTable { scope, direction, table: headers() };
    db.install(vec![installed], Vec::new()).await.expect("an installation");
    (folder, db)
}

async fn sell(db: &LocalDatabase, number: u8, values: [&str; 5]) {
    let table = headers();
    let writes = vec![RowWrite::Insert { table: table.name.clone(), row: row(&table, &values) }];
    db.record(id(number), super::hash(number), writes, i64::from(number)).await.expect("a sale");
}

#[tokio::test]
async fn unsent_sales_are_told_by_currency_and_used_numbers_as_ranges() {
    let (_folder, db) = ax_house().await;
    let columns = SaleColumns {
        table: AX.header(),
        amount: AX.header_amount.to_string(),
        currency: AX.header_currency.to_string(),
    };
    let Identity { store, register } = identity();
    let number = |at: u32| format!("{store}-{register}-{at}");
    for (at, amount, currency) in [(7, "1.10", "USD"), (8, "2.20", "usd"), (10, "-3", "EUR")] {
        let number = number(at);
        sell(&db, at as u8, [&store, &register, &number, amount, currency]).await;
    }
    sell(&db, 11, [&store, "other", "S-other-99", "5", "USD"]).await;
    db.quarantine(id(8), "channel-refused", "words").await.expect("a quarantine");
    let used = db.used_numbers(&AX, &store, &register.to_lowercase()).await.expect("numbers");
    assert_eq!(used.text(), "7-8 10-10");
    let unsent = db.unsent_sales(&columns).await.expect("unsent sales");
    assert_eq!((unsent.transactions, unsent.rows, unsent.oldest_ms), (4, 4, Some(7)));
    let amounts: Vec<String> =
        unsent.amounts.iter().map(|(currency, sum)| format!("{currency} {sum}")).collect();
    assert_eq!(amounts, ["EUR -3.0000000000000000", "USD 8.3000000000000000"]);
    db.accept(vec![id(7), id(8), id(11)]).await.expect("a settlement");
    let unsent = db.unsent_sales(&columns).await.expect("unsent sales");
    assert_eq!((unsent.transactions, unsent.amounts.len()), (1, 1));
    let rows = db.unsent_rows().await.expect("rows");
    assert_eq!(rows.into_iter().collect::<Vec<_>>(), [(name("RETAILTRANSACTIONTABLE"), 1)]);
    let used = db.used_numbers(&AX, &store, &register).await.expect("numbers");
    assert_eq!(used.text(), "7-8 10-10", "what is sent is used all the same");
}
