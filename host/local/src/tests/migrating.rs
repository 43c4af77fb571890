//! Migration in place: a changed profile or channel, unsent rows in every state, and a kill between any two files.

use super::{
    EPOCH, House, barcodes, customers, hash, id, key, lines, open, plan, prices, row, table,
};
use crate::install::Phase;
use crate::{Deferred, RowWrite, Settlement};
use std::path::Path;
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::filter::Filter;
use tillhold_core::migration::{Action, InstalledTable, Place, Reread, Waits};
use tillhold_core::profile::Direction;
use tillhold_core::row::Change;
use tillhold_core::table::Table;
use tillhold_core::transaction::Operation;
use tillhold_core::version::ChannelVersion;

/// The customers with one column more, one less and one that holds more.
fn customers_now() -> Arc<Table> {
    let mut now = table(
        "CUSTTABLE",
        "ACCOUNTNUM nvarchar(20) key, DATAAREAID nvarchar(4) key, NAME nvarchar(100), GROUPED nvarchar(10), POINTS int null",
    );
    Arc::make_mut(&mut now).columns[3].default = Some("('none')".to_string());
    now
}

fn wanted(scope: &str, direction: Direction, table: Arc<Table>) -> InstalledTable {
    InstalledTable { scope: scope.to_string(), direction, table }
}

/// The usual tables, with `changed` in the place of those of the same names.
fn plan_with(changed: Vec<InstalledTable>) -> Vec<InstalledTable> {
    let mut tables = plan();
    tables.retain(|table| !changed.iter().any(|other| other.table.name == table.table.name));
    [tables, changed].concat()
}

async fn install(house: &House, tables: Vec<InstalledTable>) -> crate::InstallReport {
    house.db.install(tables, Vec::new()).await.expect("an installation")
}

async fn reload(house: &House, scope: &str, table: &Table, rows: &[&[&str]], version: u64) {
    let version = ChannelVersion(version);
    house.db.begin_load(&table.name, EPOCH, version).await.expect("a begun load");
    let rows: Vec<_> = rows.iter().map(|values| row(table, values)).collect();
    if let Some(last) = rows.last() {
        let last = last.key(table);
        house.db.load_page(&table.name, rows, last).await.expect("a page");
    }
    house.db.end_load(&table.name).await.expect("an ended load");
    house.db.land(scope, vec![(table.name.clone(), version)], EPOCH).await.expect("a landing");
}

async fn is_reread(house: &House, scope: &str, table: &Table) -> bool {
    house.db.rereads(scope).await.expect("the rereads").contains(&table.name)
}

fn copied(house: &House) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["journal.db", "journal.db-wal", "catalogue.db", "catalogue.db-wal"] {
        if house.folder.path().join(file).exists() {
            std::fs::copy(house.folder.path().join(file), folder.path().join(file))
                .expect("a copy");
        }
    }
    folder
}

/// Whether the text stands anywhere in the folder's files, in whatever page.
fn holds(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("a folder");
    files.map(|file| file.expect("an entry").path()).any(|path| {
        let bytes = std::fs::read(path).expect("a file");
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

/// Sales of every state under the old shape go up in the new one, with their own hashes.
#[tokio::test]
async fn unsent_rows_of_every_state_are_kept_in_the_new_shape() {
    let house = House::new().await;
    let (old, now) = (customers(), customers_now());
    house.make_ready("customers", &[&old], 1).await;
    let base = Change::Present(row(&old, &["C1", "usmf", "Ann", "5"]));
    house.db.stage(&old.name, vec![base]).await.expect("staged");
    let landed = vec![(old.name.clone(), ChannelVersion(2))];
    house.db.land("customers", landed, EPOCH).await.expect("a landing");
    house.update(1, &old, &["C1", "usmf", "Anna", "5"]).await;
    house.insert(2, &old, &["C2", "usmf", "Bob", "7"]).await;
    house.insert(3, &old, &["C3", "usmf", "Cid", "8"]).await;
    house.insert(4, &old, &["C4", "usmf", "Dan", "9"]).await;
    house.db.quarantine(id(3), "channel-refused", "no").await.expect("quarantined");
    let conflict = Conflict {
        table: old.clone(),
        key: key(&old, &["C4", "usmf"]),
        base: None,
        channel: Some(row(&old, &["C4", "usmf", "Dora", "1"])),
        offline: Some(row(&old, &["C4", "usmf", "Dan", "9"])),
    };
    let deferred = Deferred {
        id: [4; 16],
        conflict,
        reason: "ask".to_string(),
        rule: "defer".to_string(),
        plugin: None,
        version: None,
    };
    house.db.defer(id(4), vec![deferred]).await.expect("deferred");

    let changed = wanted("customers", Direction::Bidirectional, now.clone());
    let report = install(&house, plan_with(vec![changed.clone()])).await;
    assert_eq!(report.tables(Action::Change), vec![now.name.clone()]);
    assert!(!house.db.plan(&plan_with(vec![changed])).await.expect("a plan").changes());

    let shown = |row: &tillhold_core::row::Row| super::shown(&now, row);
    let pending = house.pending().await;
    assert_eq!(pending.iter().map(|t| t.hash).collect::<Vec<_>>(), vec![hash(1), hash(2)]);
    let write = &pending[0].writes[0];
    assert_eq!((write.operation, write.base_version), (Operation::Update, ChannelVersion(2)));
    assert_eq!(write.base.as_ref().map(shown), Some("C1|usmf|Ann|none|NULL".to_string()));
    assert_eq!(write.offline.as_ref().map(shown), Some("C1|usmf|Anna|none|NULL".to_string()));
    assert_eq!(write.changed(), vec![2], "a cell that nobody gave is not sent");
    let inserted = pending[1].writes[0].offline.as_ref().map(shown);
    assert_eq!(inserted, Some("C2|usmf|Bob|none|NULL".to_string()));
    let conflicts = house.db.conflicts().await.expect("the conflicts");
    let channel = conflicts[0].deferred.conflict.channel.as_ref().map(shown);
    assert_eq!(channel, Some("C4|usmf|Dora|none|NULL".to_string()));
    house.db.settle(id(3), crate::Settlement::Accepted).await.expect("decided");
    assert_eq!(house.pending().await.len(), 2);
    house.insert(5, &now, &["C5", "usmf", "Eve", "gold", "3"]).await;
    assert_eq!(house.pending().await.len(), 3, "the new shape is captured");
}

/// What is new in rows that were unsent is asked for once they are sent: until then the load leaves them alone.
#[tokio::test]
async fn a_table_is_read_again_and_its_unsent_rows_once_they_are_sent() {
    let house = House::new().await;
    let (old, now) = (customers(), customers_now());
    house.make_ready("customers", &[&old], 1).await;
    reload(&house, "customers", &old, &[&["C1", "usmf", "Ann", "5"]], 2).await;
    house.update(1, &old, &["C1", "usmf", "Anna", "5"]).await;
    let changed = wanted("customers", Direction::Bidirectional, now.clone());
    let report = install(&house, plan_with(vec![changed])).await;
    let step = report.plan.steps.iter().find(|step| step.name == now.name).expect("a step");
    assert_eq!(step.rereads, vec![Reread::ColumnsAdded, Reread::ColumnsChanged]);
    assert!(is_reread(&house, "customers", &now).await);
    assert_eq!(house.everything(&now).await, vec!["C1|usmf|Anna|none|NULL"], "the till reads on");

    let channel: [&[&str]; 2] =
        [&["C1", "usmf", "Ann", "gold", "3"], &["C2", "usmf", "Bob", "gold", "4"]];
    reload(&house, "customers", &now, &channel, 3).await;
    let rows = house.everything(&now).await;
    assert_eq!(rows, vec!["C1|usmf|Anna|none|NULL", "C2|usmf|Bob|gold|4"]);
    assert!(!is_reread(&house, "customers", &now).await);
    let asked = async || house.db.keys_to_ask_again(&now.name).await.expect("keys");
    assert_eq!(asked().await, [], "not in vain while it is unsent");
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    assert_eq!(asked().await, [key(&now, &["C1", "usmf"])], "now that it is sent");
    house.db.discard_staged("customers").await.expect("a pass begins");
    let answer = Change::Present(row(&now, &["C1", "usmf", "Anna", "gold", "3"]));
    house.db.stage(&now.name, vec![answer]).await.expect("staged");
    let (landed, asked_for) = (vec![(now.name.clone(), ChannelVersion(4))], asked().await);
    let asked_for = vec![(now.name.clone(), asked_for)];
    house.db.land_asked("customers", landed, EPOCH, asked_for).await.expect("a landing");
    assert_eq!(house.everything(&now).await[0], "C1|usmf|Anna|gold|3");
    assert_eq!(asked().await, []);
}

/// A column that is left out now is gone from both files, also from sales, decisions and pages that nobody uses.
#[tokio::test]
async fn what_a_removed_column_held_is_gone_from_the_files() {
    let house = House::new().await;
    let secret_of = |nth: usize| format!("hush-{nth:04}");
    let columns = |extra: &str| format!("ID int key, NAME nvarchar(60){extra}");
    let both = [
        ("journal", Direction::Bidirectional, "STAFF"),
        ("catalogue", Direction::Download, "OLDSTAFF"),
    ];
    let tables = |extra: &str| {
        let one = |(scope, direction, name): &(&str, Direction, &str)| {
            wanted(scope, *direction, table(name, &columns(extra)))
        };
        plan_with(both.iter().map(one).collect())
    };
    install(&house, tables(", PASSWORD nvarchar(60) null")).await;
    for (scope, _, name) in both {
        let before = table(name, &columns(", PASSWORD nvarchar(60) null"));
        let rows: Vec<Vec<String>> =
            (0..400).map(|n| vec![n.to_string(), "x".repeat(50), secret_of(n)]).collect();
        let rows: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        reload(&house, scope, &before, &rows, 2).await;
    }
    let staff = table("STAFF", &columns(", PASSWORD nvarchar(60) null"));
    house.insert(1, &staff, &["900", "n", &secret_of(900)]).await;
    assert!(holds(house.folder.path(), "hush-0399") && holds(house.folder.path(), "hush-0900"));
    install(&house, tables("")).await;
    house.db.overwrite_removed(&[Place::Journal, Place::Catalogue]).await.expect("purged");
    assert!(!holds(house.folder.path(), "hush-"), "a secret is still in a file");
    let pending = house.pending().await;
    assert_eq!(
        pending[0].writes[0].offline,
        Some(row(&table("STAFF", &columns("")), &["900", "n"]))
    );
    assert_eq!(house.db.count(&table("OLDSTAFF", &columns("")).name).await.expect("a count"), 400);
    assert!(!is_reread(&house, "catalogue", &table("OLDSTAFF", &columns(""))).await);
}

/// A table that the profile no longer names leaves with its rows; one with unsent rows when they are sent.
#[tokio::test]
async fn a_table_leaves_when_nothing_of_it_is_unsent() {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 1).await;
    house.insert(1, &customers(), &["C1", "usmf", "Ann", "0"]).await;
    let only_sales: Vec<InstalledTable> =
        plan().into_iter().filter(|table| table.scope == "sales").collect();
    let report = install(&house, only_sales.clone()).await;
    assert_eq!(report.tables(Action::Remove), vec![barcodes().name.clone(), prices().name.clone()]);
    let waiting: Vec<_> = report.plan.waiting().map(|step| step.waits).collect();
    assert_eq!(waiting, vec![Some(Waits::ToLeave(1))]);
    assert_eq!(house.pending().await.len(), 1);
    let gone = house.db.state_of(&prices().name).await;
    assert_eq!(gone.map_err(|error| error.code()).map(drop), Err("local-unknown-table"));
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    let report = install(&house, only_sales).await;
    assert_eq!(report.tables(Action::Remove), vec![customers().name.clone()]);
    install(&house, plan()).await;
    house.make_ready("customers", &[&customers()], 9).await;
    assert_eq!(house.everything(&customers()).await, Vec::<String>::new(), "it comes back empty");
}

/// Narrower columns and another key wait: an unsent row may not fit them. A removed column never waits.
#[tokio::test]
async fn a_shape_that_unsent_rows_may_not_fit_waits_for_them() {
    let house = House::new().await;
    let old = customers();
    house.make_ready("customers", &[&old], 1).await;
    let rows: [&[&str]; 2] = [&["C1", "usmf", "Ann", "5"], &["C2", "usmf", "Bartholomew", "6"]];
    reload(&house, "customers", &old, &rows, 2).await;
    house.update(1, &old, &["C1", "usmf", "Anna", "5"]).await;
    let narrow = table(
        "CUSTTABLE",
        "ACCOUNTNUM nvarchar(20) key, DATAAREAID nvarchar(4) key, NAME nvarchar(5)",
    );
    let tables = plan_with(vec![wanted("customers", Direction::Bidirectional, narrow.clone())]);
    let report = install(&house, tables.clone()).await;
    let waiting: Vec<_> = report.plan.waiting().map(|step| step.waits).collect();
    assert_eq!(waiting, vec![Some(Waits::ToChange(1))]);
    let state = house.db.state_of(&old.name).await.expect("a state");
    let columns: Vec<String> =
        state.table.columns.iter().map(|c| format!("{} {}", c.name, c.of)).collect();
    assert_eq!(columns[2..], ["NAME nvarchar(60)"], "left out at once, narrowed later");
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    install(&house, tables).await;
    assert_eq!(
        house.everything(&narrow).await,
        vec!["C1|usmf|Anna"],
        "what does not fit is read again"
    );
    assert!(is_reread(&house, "customers", &narrow).await);
}

/// Each direction to each other, with the rows that a till reads on.
#[tokio::test]
async fn a_table_moves_between_the_files_with_its_rows_and_its_position() {
    let house = House::new().await;
    let prices = prices();
    house.make_ready("prices", &[&prices, &barcodes()], 1).await;
    reload(&house, "prices", &prices, &[&["1", "a", "1.5"]], 7).await;
    let moved = |direction| plan_with(vec![wanted("own prices", direction, prices.clone())]);
    let report = install(&house, moved(Direction::Bidirectional)).await;
    assert_eq!(report.tables(Action::Move), vec![prices.name.clone()]);
    let state = house.db.state_of(&prices.name).await.expect("a state");
    assert_eq!((state.version, state.ready), (Some(ChannelVersion(7)), true));
    assert_eq!(house.pending().await.len(), 0, "a move is not news");
    house.insert(1, &prices, &["2", "b", "2"]).await;
    assert_eq!(house.pending().await[0].writes[0].base_version, ChannelVersion(7));

    let report = install(&house, plan()).await;
    let waiting: Vec<_> = report.plan.waiting().map(|step| step.waits).collect();
    assert_eq!(waiting, vec![Some(Waits::ToMove(1))]);
    // It follows its new scope meanwhile, in its old file, and lands with the rest.
    let positions = [&prices, &barcodes()].map(|t| (t.name.clone(), ChannelVersion(9))).to_vec();
    house.db.land("prices", positions, EPOCH).await.expect("a landing of both files");
    house.db.settle(id(1), Settlement::Accepted).await.expect("settled");
    install(&house, plan()).await;
    assert_eq!(house.everything(&prices).await.len(), 2);
    let write =
        RowWrite::Insert { table: prices.name.clone(), row: row(&prices, &["3", "c", "3"]) };
    let refused = house.db.record(id(2), hash(2), vec![write], 1).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("local-read-only"));
    let state = house.db.state_of(&prices.name).await.expect("a state");
    assert_eq!((state.version, state.direction), (Some(ChannelVersion(9)), Direction::Download));
}

/// Killed after each file in turn, the next start goes on to the same end, and no sale is lost.
#[tokio::test]
async fn a_kill_between_any_two_files_changes_nothing_of_the_end() {
    for done in 0..=Phase::ALL.len() {
        let house = House::new().await;
        let (prices, customers, now) = (prices(), customers(), customers_now());
        house.make_ready("prices", &[&prices, &barcodes()], 1).await;
        house.make_ready("customers", &[&customers], 1).await;
        reload(&house, "prices", &prices, &[&["1", "a", "1.5"]], 7).await;
        reload(&house, "customers", &customers, &[&["C1", "usmf", "Ann", "5"]], 2).await;
        house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
        house.insert(2, &customers, &["C2", "usmf", "Bob", "7"]).await;
        // One table goes each way, one changes its shape, one is new, one leaves.
        let both_ways = table("TWO", "K int key, V nvarchar(5)");
        let first =
            [plan(), vec![wanted("two", Direction::Bidirectional, both_ways.clone())]].concat();
        install(&house, first).await;
        reload(&house, "two", &both_ways, &[&["1", "v"]], 3).await;
        let mut tables = plan_with(vec![
            wanted("own prices", Direction::Bidirectional, prices.clone()),
            wanted("customers", Direction::Bidirectional, now.clone()),
            wanted("two", Direction::Download, both_ways.clone()),
            wanted("new", Direction::Download, table("NEWTABLE", "K int key")),
        ]);
        tables.retain(|table| table.table.name != barcodes().name);
        let plan = house.db.plan(&tables).await.expect("a plan");
        house.db.carry_out(&plan, &Phase::ALL[..done]).await.expect("some of it");

        let folder = copied(&house);
        let after = House { db: open(folder.path()).await, folder };
        install(&after, tables.clone()).await;
        assert!(!after.db.plan(&tables).await.expect("a plan").changes(), "killed after {done}");
        assert_eq!(after.everything(&prices).await.len(), 1, "killed after {done}");
        assert_eq!(after.everything(&both_ways).await, vec!["1|v"], "killed after {done}");
        assert_eq!(after.everything(&now).await[1], "C2|usmf|Bob|none|NULL");
        let sent: Vec<_> = after.pending().await.iter().map(|t| (t.id, t.hash)).collect();
        assert_eq!(sent, vec![(id(1), hash(1)), (id(2), hash(2))], "killed after {done}");
        let held = after.db.tables().await.expect("the tables");
        let direction = |table: &Table| {
            held.iter().find(|state| state.table.name == table.name).map(|state| state.direction)
        };
        assert_eq!(direction(&prices), Some(Direction::Bidirectional));
        assert_eq!(Place::of(direction(&both_ways).expect("it is held")), Place::Catalogue);
        assert_eq!(direction(&barcodes()), None);
        let objects = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%ax.TWO%'";
        let left: i64 =
            after.another_program().query_row(objects, (), |row| row.get(0)).expect("a count");
        assert_eq!(left, 0, "nothing of a moved table is left in the journal");
    }
}

/// A load that a migration meets begins again in the new shape; the till reads the old rows meanwhile.
#[tokio::test]
async fn a_load_under_way_begins_again() {
    let house = House::new().await;
    let old = prices();
    let now = table(
        "PRICEDISCTABLE",
        "RECID bigint key, ITEMRELATION nvarchar(20), AMOUNT numeric(32;16), UNIT nvarchar(10) null",
    );
    house.db.begin_load(&old.name, EPOCH, ChannelVersion(5)).await.expect("a begun load");
    let page = row(&old, &["1", "a", "1"]);
    house.db.load_page(&old.name, vec![page.clone()], page.key(&old)).await.expect("a page");
    let tables = plan_with(vec![wanted("prices", Direction::Download, now.clone())]);
    install(&house, tables).await;
    let state = house.db.state_of(&now.name).await.expect("a state");
    assert_eq!((state.load, state.ready), (crate::Load::NotStarted, false));
    assert_eq!(house.db.count(&now.name).await.expect("a count"), 0);
    reload(&house, "prices", &now, &[&["1", "a", "1", "pcs"]], 6).await;
    assert_eq!(house.everything(&now).await, vec!["1|a|1.0000000000000000|pcs"]);
}

/// Who knows a table by its former columns, or reads between a change of the file and the news of it, gets no row whose
/// values stand under other names.
#[tokio::test]
async fn a_table_with_other_columns_is_not_read_by_the_former_ones() {
    let house = House::new().await;
    let (old, now) = (customers(), customers_now());
    house.make_ready("customers", &[&old], 1).await;
    let all = Filter { limit: 5, ..Filter::default() };
    house.db.read(&old, &all).await.expect("a read");
    let sql = "UPDATE tillhold_table SET fingerprint = 'another' WHERE name = 'ax.CUSTTABLE'";
    assert_eq!(house.another_program().execute(sql, ()).expect("a change of the file"), 1);
    let between = house.db.read(&old, &all).await.map_err(|error| error.code());
    assert_eq!(between, Err("local-reshaped"));
    install(&house, plan_with(vec![wanted("customers", Direction::Bidirectional, now.clone())]))
        .await;
    let former = house.db.page(&old, &all).await.map_err(|error| error.code());
    assert_eq!(former.map(|page| page.rows), Err("local-reshaped"));
    let former = house.db.unsent_of(&old, &all).await.map_err(|error| error.code());
    assert_eq!(former.map(|unsent| unsent.rows), Err("local-reshaped"));
    house.db.unsent_of(&now, &all).await.expect("by its own columns");
}
