//! A catalogue copied beside the selling, and taken by another register: whole or not at all, whatever is killed.

use super::{EPOCH, House, barcodes, identity, lines, plan, prices, row};
use crate::exchange::Step;
use crate::{CatalogueCopy, Identity, LocalDatabase, LocalError, RulingOutcome};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tillhold_core::row::Change;
use tillhold_core::table::TableName;
use tillhold_core::version::ChannelVersion;
use tillhold_env::Env;

fn tables() -> Vec<TableName> {
    vec![barcodes().name.clone(), prices().name.clone()]
}

/// Prices that all have the amount `amount`, landed as of `version`.
async fn land_prices(house: &House, count: u64, amount: &str, version: u64) {
    let (prices, barcodes) = (prices(), barcodes());
    let one = |number: u64| {
        Change::Present(row(&prices, &[&number.to_string(), &format!("i{number}"), amount]))
    };
    for page in (0..count).collect::<Vec<u64>>().chunks(500) {
        let changes = page.iter().map(|number| one(*number)).collect();
        house.db.stage(&prices.name, changes).await.expect("staged");
    }
    let at = ChannelVersion(version);
    let positions = vec![(prices.name.clone(), at), (barcodes.name.clone(), at)];
    house.db.land("prices", positions, EPOCH).await.expect("a landing");
}

async fn house_with_prices(count: u64, amount: &str, version: u64) -> House {
    let house = House::new().await;
    house.make_ready("prices", &[&prices(), &barcodes()], 1).await;
    land_prices(&house, count, amount, version).await;
    house
}

async fn copied(house: &House, to: &Path) -> Result<CatalogueCopy, LocalError> {
    let stop = Arc::new(AtomicBool::new(false));
    house.db.copy_catalogue(to.to_path_buf(), tables(), stop).await
}

/// How many prices the register has, by amount.
fn amounts_in(catalogue: &Path) -> Vec<(String, i64)> {
    let conn = Connection::open(catalogue).expect("a catalogue");
    let sql =
        "SELECT rtrim(rtrim(AMOUNT, '0'), '.'), count(*) FROM \"ax.PRICEDISCTABLE\" GROUP BY 1";
    let mut statement = conn.prepare(sql).expect("a question");
    let amounts = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    amounts.expect("an answer").map(|one| one.expect("an amount")).collect()
}

fn amount(text: &str, count: i64) -> Vec<(String, i64)> {
    vec![(text.to_string(), count)]
}

async fn register(folder: &Path, register: &str) -> LocalDatabase {
    let identity = Identity { store: "S0001".to_string(), register: register.to_string() };
    let db = LocalDatabase::open(&Env::real(), folder, &identity).await.expect("a database");
    db.install(plan(), Vec::new()).await.expect("an installation");
    db
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_one_moment_while_sales_and_pulls_go_on() {
    let house = Arc::new(house_with_prices(20_000, "1", 5).await);
    let to = house.folder.path().join("copy.db");
    let done = Arc::new(AtomicBool::new(false));
    let (busy, is_done) = (house.clone(), done.clone());
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    Env::real().spawn(async move {
        let mut rounds = 0;
        while !is_done.load(Ordering::Relaxed) && rounds < 200 {
            rounds += 1;
            busy.insert(rounds, &lines(), &[&format!("T{rounds}"), "1", "i", "1"]).await;
            land_prices(&busy, 20, &format!("{}", rounds + 1), 5 + u64::from(rounds)).await;
        }
        ended.send(rounds).expect("the test waits");
    });
    let copy = copied(&house, &to).await.expect("a copy");
    done.store(true, Ordering::Relaxed);
    has_ended.await.expect("sales and pulls that went on");
    let prices_at = &copy.content.tables[1];
    let rows: i64 = amounts_in(&to).iter().map(|(_, count)| count).sum();
    assert_eq!((rows, copy.rows[1].count), (20_000, 20_000));
    // Landings changed the first 20 rows together, so the copy has them of one landing, and its position says which.
    let changed: Vec<(String, i64)> =
        amounts_in(&to).into_iter().filter(|(amount, _)| amount != "1").collect();
    let version = prices_at.at.version.expect("a position").0;
    let expected = if version == 5 { Vec::new() } else { amount(&(version - 4).to_string(), 20) };
    assert_eq!(changed, expected, "as of version {version}");
    assert!(!to.with_file_name("copy.db-wal").exists(), "one file is all there is of it");
}

#[tokio::test]
async fn a_copy_has_nothing_of_the_journal_and_no_deleted_row() {
    let house = house_with_prices(300, "1", 5).await;
    house.insert(1, &lines(), &["SECRETSALE", "1", "i", "1"]).await;
    let named = |number: u64| row(&prices(), &[&number.to_string(), "GONEITEMNAME", "2"]);
    let present = (900..1_400).map(|number| Change::Present(named(number))).collect();
    house.db.stage(&prices().name, present).await.expect("staged");
    land_prices(&house, 0, "1", 6).await;
    let gone = (900..1_400).map(|number| Change::Gone(named(number).key(&prices()))).collect();
    house.db.stage(&prices().name, gone).await.expect("staged");
    land_prices(&house, 0, "1", 7).await;
    // Half-pulled rows are no catalogue yet.
    let half = row(&prices(), &["7777", "HALFPULLED", "1"]);
    house.db.stage(&prices().name, vec![Change::Present(half)]).await.expect("staged");
    let to = house.folder.path().join("copy.db");
    let copy = copied(&house, &to).await.expect("a copy");
    assert_eq!(copy.rows[1].count, 300);
    let bytes = std::fs::read(&to).expect("the copy");
    for word in ["SECRETSALE", "GONEITEMNAME", "HALFPULLED"] {
        let is_there = bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(!is_there, "{word} travels in the copy");
    }
    let inspected = house.db.inspect_catalogue(to).await.expect("a sound catalogue");
    assert_eq!(inspected, copy.content);
}

#[tokio::test]
async fn the_digest_changes_with_a_row_and_with_nothing_else() {
    let house = house_with_prices(50, "1", 5).await;
    let folder = house.folder.path().to_path_buf();
    let digest = async |name: &str| {
        let copy = copied(&house, &folder.join(name)).await.expect("a copy");
        copy.rows
    };
    let first = digest("a.db").await;
    land_prices(&house, 0, "1", 6).await;
    assert_eq!(digest("b.db").await, first, "a position alone is no change");
    land_prices(&house, 1, "2", 7).await;
    let second = digest("c.db").await;
    assert_eq!(second[0], first[0], "the other table did not change");
    assert_ne!(second[1].digest, first[1].digest);
    land_prices(&house, 1, "1", 8).await;
    assert_eq!(digest("d.db").await, first, "the row is as it was");
}

#[tokio::test]
async fn a_table_that_is_not_whole_refuses_the_copy() {
    let house = House::new().await;
    let to = house.folder.path().join("copy.db");
    house.make_ready("prices", &[&prices(), &barcodes()], 1).await;
    house.db.begin_load(&prices().name, EPOCH, ChannelVersion(9)).await.expect("begun");
    let refused = copied(&house, &to).await.map_err(|error| error.code());
    assert_eq!(refused.map(|_| ()), Err("local-not-ready"));
    let stop = Arc::new(AtomicBool::new(true));
    let other = vec![barcodes().name.clone()];
    let stopped = house.db.copy_catalogue(to, other, stop).await.map_err(|error| error.code());
    assert_eq!(stopped.map(|_| ()), Err("local-closed"));
}

/// A snapshot of register 2 serves register 3, whose tables have other numbers and whose sales stay.
#[tokio::test]
async fn another_register_of_the_store_takes_it() {
    let maker = house_with_prices(1_000, "1", 50).await;
    let folder = tempfile::tempdir().expect("a folder");
    let identity = Identity { store: "S0001".to_string(), register: "000003".to_string() };
    let db = LocalDatabase::open(&Env::real(), folder.path(), &identity).await.expect("opened");
    let mut turned = plan();
    turned.reverse();
    db.install(turned, Vec::new()).await.expect("an installation");
    let taker = House { folder, db };
    taker.make_ready("prices", &[&prices(), &barcodes()], 1).await;
    land_prices(&taker, 10, "7", 20).await;
    taker.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    let refused = vec![super::refusal(super::key(&prices(), &["3"]), "a rule")];
    let outcome = RulingOutcome { refused, ..RulingOutcome::default() };
    taker.db.set_rows_aside("prices", &prices().name, outcome).await.expect("marked");
    let (incarnation, unsent) = (taker.db.incarnation(), taker.pending().await);

    let aside = taker.folder.path().join("incoming.db");
    copied(&maker, &aside).await.expect("a copy");
    taker.db.exchange_catalogue(aside.clone(), tables()).await.expect("an exchange");
    assert!(!aside.exists());
    assert_eq!(amounts_in(&taker.folder.path().join("catalogue.db")), amount("1", 1_000));
    assert_eq!(taker.everything(&prices()).await.len(), 1_000);
    assert_eq!(taker.pending().await, unsent, "unsent sales are where they were");
    assert_eq!(taker.db.rows_aside(None, 10).await.expect("the marks"), []);
    let state = taker.db.state_of(&prices().name).await.expect("a state");
    assert_eq!((state.version, state.epoch), (Some(ChannelVersion(50)), Some(EPOCH)));
    // Pull goes on from there.
    land_prices(&taker, 5, "3", 51).await;
    assert_eq!(amounts_in(&taker.folder.path().join("catalogue.db"))[1], ("3".to_string(), 5));

    taker.db.close().await.expect("a close");
    let again = register(taker.folder.path(), "000003").await;
    assert_eq!(again.incarnation(), incarnation);
    let state = again.state_of(&prices().name).await.expect("a state");
    assert_eq!(state.version, Some(ChannelVersion(51)));
}

/// The folder as it is before each step is opened as if the machine had stopped there.
#[tokio::test]
async fn killed_at_any_step_a_whole_catalogue_is_there() {
    let maker = house_with_prices(2_000, "1", 50).await;
    let taker = house_with_prices(2_000, "7", 20).await;
    taker.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    let aside = taker.folder.path().join("incoming.db");
    copied(&maker, &aside).await.expect("a copy");
    let stops: Arc<Mutex<Vec<(Step, tempfile::TempDir)>>> = Arc::default();
    let (seen, from) = (stops.clone(), taker.folder.path().to_path_buf());
    let watch = move |step| {
        let stop = tempfile::tempdir().expect("a folder");
        copy_folder(&from, stop.path());
        seen.lock().expect("one thread").push((step, stop));
    };
    taker.db.exchange_watched(aside, tables(), Box::new(watch)).await.expect("an exchange");
    let stops = std::mem::take(&mut *stops.lock().expect("one thread"));
    let steps: Vec<Step> = stops.iter().map(|(step, _)| *step).collect();
    let all = [Step::Prepare, Step::FoldLogIn, Step::Rename, Step::Open, Step::Done];
    assert_eq!(steps, all, "each step was looked at");
    for (step, folder) in stops {
        let db = register(folder.path(), "000002").await;
        db.check_catalogue().await.expect("no damage");
        let is_new = matches!(step, Step::Open | Step::Done);
        let (version, text) = if is_new { (50, "1") } else { (20, "7") };
        let state = db.state_of(&prices().name).await.expect("a state");
        assert_eq!(state.version, Some(ChannelVersion(version)), "{step:?}");
        let unsent = db.counts().await.expect("counts").pending_transactions;
        assert_eq!(unsent, 1, "{step:?}");
        db.close().await.expect("a close");
        let found = amounts_in(&folder.path().join("catalogue.db"));
        assert_eq!(found, amount(text, 2_000), "{step:?}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "tillhold.lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_one_catalogue_or_the_other() {
    let maker = house_with_prices(400, "1", 50).await;
    let taker = Arc::new(house_with_prices(400, "7", 20).await);
    let (reading, stop) = (taker.clone(), Arc::new(AtomicBool::new(false)));
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    let is_over = stop.clone();
    Env::real().spawn(async move {
        let (mut old, mut new) = (0, 0);
        while !is_over.load(Ordering::Relaxed) || new == 0 {
            let rows = reading.everything(&prices()).await;
            match rows.iter().filter(|row| row.ends_with("|7.0000000000000000")).count() {
                400 => old += 1,
                0 => new += 1,
                some => panic!("{some} of 400 rows are the old ones"),
            }
            assert_eq!(rows.len(), 400);
        }
        ended.send((old, new)).expect("the test waits");
    });
    let aside = taker.folder.path().join("incoming.db");
    copied(&maker, &aside).await.expect("a copy");
    taker.db.exchange_catalogue(aside, tables()).await.expect("an exchange");
    stop.store(true, Ordering::Relaxed);
    let (old, new) = has_ended.await.expect("a reader");
    assert!(old > 0 && new > 0, "{old} reads before, {new} after");
}

/// Another program that reads the catalogue would go on reading a file that no one writes any more.
#[tokio::test]
async fn nothing_is_exchanged_under_another_program() {
    let maker = house_with_prices(10, "1", 50).await;
    let taker = house_with_prices(10, "7", 20).await;
    let aside = taker.folder.path().join("incoming.db");
    copied(&maker, &aside).await.expect("a copy");
    let catalogue = taker.folder.path().join("catalogue.db");
    let other = Connection::open(&catalogue).expect("another program");
    let count = || -> i64 {
        let sql = "SELECT count(*) FROM \"ax.PRICEDISCTABLE\" WHERE AMOUNT LIKE '7.%'";
        other.query_row(sql, (), |row| row.get(0)).expect("a count")
    };
    assert_eq!(count(), 10);
    let refused = taker.db.exchange_catalogue(aside.clone(), tables()).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("local-locked"));
    land_prices(&taker, 1, "8", 21).await;
    assert_eq!(count(), 9, "the other program reads on, and sees what is pulled");
    drop(other);
    taker.db.exchange_catalogue(aside, tables()).await.expect("an exchange");
    assert_eq!(amounts_in(&catalogue), amount("1", 10));
}

/// One that was copied here by hand has whatever rights its maker's account gives.
#[cfg(unix)]
#[tokio::test]
async fn a_catalogue_that_is_taken_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let maker = house_with_prices(10, "1", 50).await;
    let taker = house_with_prices(10, "7", 20).await;
    let aside = taker.folder.path().join("incoming.db");
    copied(&maker, &aside).await.expect("a copy");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&aside, open).expect("its rights");
    taker.db.exchange_catalogue(aside, tables()).await.expect("an exchange");
    land_prices(&taker, 1, "3", 51).await;
    for name in ["catalogue.db", "catalogue.db-wal"] {
        let about = std::fs::metadata(taker.folder.path().join(name)).expect("a file");
        let mode = about.permissions().mode();
        assert_eq!(mode & 0o007, 0, "{name}: {mode:o}");
    }
}

type Harm = (&'static str, Box<dyn Fn(&Path)>, &'static str);

/// What is done to the aside file, and the code that must come of it; the register's own stays as it was.
#[tokio::test]
async fn what_is_no_catalogue_of_this_store_is_refused() {
    let maker = house_with_prices(2_000, "1", 50).await;
    let taker = house_with_prices(10, "7", 20).await;
    let catalogue = taker.folder.path().join("catalogue.db");
    let sql = |text: &'static str| {
        move |path: &Path| {
            let conn = Connection::open(path).expect("the copy");
            conn.execute_batch(text).expect("a harm");
        }
    };
    let harms: Vec<Harm> = vec![
        ("flipped", Box::new(flip_in_the_middle), "local-damaged"),
        ("truncated", Box::new(cut_in_half), "local-damaged"),
        (
            "other store",
            Box::new(sql("UPDATE tillhold_meta SET value = 'S0002' WHERE name = 'store'")),
            "local-no-catalogue",
        ),
        (
            "journal",
            Box::new(sql("UPDATE tillhold_meta SET value = 'journal.db' WHERE name = 'kind'")),
            "local-no-catalogue",
        ),
        (
            "trigger",
            Box::new(sql("CREATE TRIGGER t AFTER INSERT ON tillhold_meta BEGIN SELECT 1; END")),
            "local-no-catalogue",
        ),
        ("view", Box::new(sql("CREATE VIEW v AS SELECT 1")), "local-no-catalogue"),
        (
            "shape",
            Box::new(sql("UPDATE tillhold_table SET fingerprint = 'other' WHERE table_id = 1")),
            "local-no-catalogue",
        ),
        (
            "table gone",
            Box::new(sql("DELETE FROM tillhold_table WHERE table_id = 1")),
            "local-no-catalogue",
        ),
        ("older layout", Box::new(sql("PRAGMA user_version = 1")), "local-no-catalogue"),
        ("newer layout", Box::new(sql("PRAGMA user_version = 99")), "local-newer-file"),
        ("other program", Box::new(sql("PRAGMA application_id = 7")), "local-foreign-file"),
    ];
    for (what, harm, code) in harms {
        let aside = taker.folder.path().join("incoming.db");
        copied(&maker, &aside).await.expect("a copy");
        harm(&aside);
        let answer = match taker.db.inspect_catalogue(aside.clone()).await {
            Ok(_) => taker.db.exchange_catalogue(aside.clone(), tables()).await,
            Err(error) => Err(error),
        };
        assert_eq!(answer.map_err(|error| error.code()), Err(code), "{what}");
        assert_eq!(taker.everything(&prices()).await.len(), 10, "{what}");
        remove(&aside);
    }
    assert_eq!(amounts_in(&catalogue), amount("7", 10));
    assert_eq!(identity().register, "000002");
}

fn remove(path: &Path) {
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    for file in [path, journal.as_path()] {
        // Some harms leave a journal behind, most do not.
        let _ = std::fs::remove_file(file);
    }
}

fn flip_in_the_middle(path: &Path) {
    let mut bytes = std::fs::read(path).expect("the copy");
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(path, bytes).expect("a harm");
}

fn cut_in_half(path: &Path) {
    let bytes = std::fs::read(path).expect("the copy");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("a harm");
}
