//! Limits of room: what stops first, what goes on, and that it goes on again.

use super::{EPOCH, House, hash, id, lines, open, prices, row};
use crate::file::Kind;
use crate::{LocalDatabase, LocalError, Reserve, Settlement};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use tillhold_core::limits;
use tillhold_core::row::{Change, Row};
use tillhold_core::size::DaySize;
use tillhold_core::version::ChannelVersion;
use tillhold_env::Env;

const WIDE: usize = 200;

fn price(number: usize) -> Row {
    row(&prices(), &[&number.to_string(), "an item of twenty le", "1"])
}

async fn load(db: &LocalDatabase, pages: std::ops::Range<usize>) -> Result<(), LocalError> {
    for page in pages {
        let rows: Vec<Row> = (page * WIDE..(page + 1) * WIDE).map(price).collect();
        let last = price((page + 1) * WIDE - 1).key(&prices());
        db.load_page(&prices().name, rows, last).await?;
    }
    Ok(())
}

fn sale(number: u8) -> Vec<crate::RowWrite> {
    let line = |nth: usize| crate::RowWrite::Insert {
        table: lines().name.clone(),
        row: row(&lines(), &[&format!("T{number}"), &nth.to_string(), "an item of twenty le", "1"]),
    };
    (0..WIDE).map(line).collect()
}

#[tokio::test]
async fn at_the_limit_loads_stop_and_sales_go_on() {
    let house = House::new().await;
    let prices = prices();
    house.db.begin_load(&prices.name, EPOCH, ChannelVersion(1)).await.expect("a begin");
    load(&house.db, 0..2).await.expect("room");
    house.db.limit_size(1);
    let refused = load(&house.db, 2..3).await.expect_err("no room");
    assert_eq!(refused.code(), "local-size-limit");
    house.db.record(id(1), hash(1), sale(1), 1).await.expect("a sale is never refused for it");
    house.db.limit_size(u64::MAX);
    load(&house.db, 2..3).await.expect("room again, and the load goes on where it stopped");
    house.db.end_load(&prices.name).await.expect("an end");
    house.db.limit_size(1);
    let change = vec![Change::Present(price(1))];
    let refused = house.db.stage(&prices.name, change.clone()).await.expect_err("no room");
    assert_eq!(refused.code(), "local-size-limit");
    let [journal, _] = house.db.file_sizes().await.expect("sizes");
    house.db.limit_size(journal.counted_bytes() * 2 + (64 << 20));
    house.db.stage(&prices.name, change).await.expect("room again");
}

#[tokio::test]
async fn sizes_are_told_by_file_and_by_table() {
    let house = House::new().await;
    house.db.begin_load(&prices().name, EPOCH, ChannelVersion(1)).await.expect("a begin");
    load(&house.db, 0..10).await.expect("loaded");
    house.db.record(id(1), hash(1), sale(1), 1).await.expect("a sale");
    let [journal, catalogue] = house.db.file_sizes().await.expect("sizes");
    assert_eq!((journal.name, catalogue.name), ("journal.db", "catalogue.db"));
    assert!(journal.log_bytes > 0 && catalogue.used_bytes > 0);
    let tables = house.db.table_sizes().await.expect("tables");
    let of = |name: &str| tables.iter().find(|table| table.table == name).expect("a table");
    assert_eq!(
        (of("ax.PRICEDISCTABLE").rows, of("ax.PRICEDISCTABLE").file),
        (2_000, "catalogue.db")
    );
    assert_eq!(of("ax.RETAILTRANSACTIONSALESTRANS").rows, WIDE as u64);
    assert_eq!((of("tillhold_log").rows, of("tillhold_log").file), (WIDE as u64, "journal.db"));
    assert!(tables.is_sorted_by(|a, b| a.bytes >= b.bytes), "the largest first");
    for (file, used) in [("journal.db", journal.used_bytes), ("catalogue.db", catalogue.used_bytes)]
    {
        let sum: u64 = tables.iter().filter(|t| t.file == file).map(|t| t.bytes).sum();
        // Beside the tables there are pages that say where the others' owners are.
        assert!(sum <= used && sum + 64 * 4_096 > used, "{file}: {sum} of {used}");
    }
}

/// Waits until what idle moments do is done: the writer is idle once it takes work again.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let held = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    // However busy the machine is, idle moments come in less.
    let limit = std::time::Duration::from_secs(120);
    assert!(tokio::time::timeout(limit, held).await.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_moments_give_free_pages_back() {
    let house = House::new().await;
    let fill = |conn: &mut Connection| {
        conn.execute_batch(
            "CREATE TABLE filler (x BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO filler SELECT zeroblob(3000) FROM n;
             DELETE FROM filler;",
        )?;
        Ok(())
    };
    house.db.writer(Kind::Catalogue).run(fill).await.expect("free pages");
    let kept = limits::FREE_PAGES_KEPT as u64 * 4_096;
    until("the file is smaller", async || {
        let [_, catalogue] = house.db.file_sizes().await.expect("sizes");
        catalogue.free_bytes <= kept
    })
    .await;
    let [_, catalogue] = house.db.file_sizes().await.expect("sizes");
    assert_eq!(catalogue.free_bytes, kept, "and no smaller than it will be again");
    house.db.check_catalogue().await.expect("a sound file");
}

/// A large file of an earlier layout is rewritten when a person says so.
#[tokio::test]
async fn compacting_makes_a_file_that_can_shrink() {
    let house = House::new().await;
    house.db.record(id(1), hash(1), sale(1), 1).await.expect("a sale");
    let earlier =
        |conn: &mut Connection| Ok(conn.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM;")?);
    house.db.writer(Kind::Journal).run(earlier).await.expect("an earlier file");
    assert!(!house.db.file_sizes().await.expect("sizes")[0].can_shrink);
    house.db.compact().await.expect("compacted");
    assert!(house.db.file_sizes().await.expect("sizes")[0].can_shrink);
    assert_eq!(house.everything(&lines()).await.len(), WIDE);
    assert_eq!(house.pending().await.len(), 1);
}

#[tokio::test]
async fn days_are_remembered_up_to_a_number() {
    let house = House::new().await;
    for (day, used_bytes) in [(5, 10), (7, 20), (5, 15)] {
        house.db.note_size(DaySize { day, used_bytes }).await.expect("noted");
    }
    let days = house.db.day_sizes().await.expect("days");
    let expected = [DaySize { day: 5, used_bytes: 15 }, DaySize { day: 7, used_bytes: 20 }];
    assert_eq!(days, expected);
    for day in 100..100 + limits::SIZE_DAYS_KEPT as i64 {
        house.db.note_size(DaySize { day, used_bytes: 1 }).await.expect("noted");
    }
    let days = house.db.day_sizes().await.expect("days");
    assert_eq!((days.len() as u64, days[0].day), (limits::SIZE_DAYS_KEPT, 100));
}

#[tokio::test]
async fn the_reserve_is_taken_changed_and_given_back() {
    let house = House::new().await;
    let file = house.folder.path().join("ballast");
    assert_eq!(house.db.keep_reserve(0).await.expect("given back"), Reserve::Unwanted);
    for wanted in [1 << 20, 2 << 20] {
        assert_eq!(house.db.keep_reserve(wanted).await.expect("room"), Reserve::Kept);
        assert_eq!(std::fs::metadata(&file).expect("a file").len(), wanted);
    }
    std::fs::remove_file(&file).expect("somebody needed the room");
    assert_eq!(house.db.reserve(), Reserve::Gone);
    house.db.begin_load(&prices().name, EPOCH, ChannelVersion(1)).await.expect("a begin");
    let refused = load(&house.db, 0..1).await.expect_err("kept for sales");
    assert_eq!(refused.code(), "local-kept-for-sales");
    house.db.record(id(1), hash(1), sale(1), 1).await.expect("a sale goes on");
    assert_eq!(house.db.keep_reserve(1 << 20).await.expect("room"), Reserve::Kept);
    load(&house.db, 0..1).await.expect("loads go on");
    assert_eq!(house.db.keep_reserve(0).await.expect("given back"), Reserve::Unwanted);
    assert!(!file.exists());
}

/// Where the small disk of the next proof is, in the process that has it.
const SMALL_DISK: &str = "TILLHOLD_PROOF_SMALL_DISK";
const SMALL_DISK_MB: u64 = 24;

/// A disk that is really full: a tmpfs in a mount namespace of its own, with this very proof run again in it. Where
/// the machine allows no such namespace it says so, and SQLite's own page limit (`troubles`) is the proof that is left.
#[test]
fn on_a_full_disk_a_shift_is_sold_to_its_end() {
    if let Some(folder) = std::env::var_os(SMALL_DISK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(sell_until_full(&PathBuf::from(folder)));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mount = format!("mount -t tmpfs -o size={SMALL_DISK_MB}m none \"$DISK\"");
    let namespace = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &format!("{mount} && {then}")]);
        command.env("DISK", folder.path());
        command
    };
    let allowed = namespace("true").output().is_ok_and(|done| done.status.success());
    if !allowed {
        eprintln!("no mount namespace here: a really full disk was not tried");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let again = namespace("exec \"$0\" --exact --nocapture \"$PROOF\"")
        .arg(program)
        .env("PROOF", "tests::sizing::on_a_full_disk_a_shift_is_sold_to_its_end")
        .env(SMALL_DISK, folder.path())
        .output()
        .expect("this proof again");
    let said = String::from_utf8_lossy(&again.stdout) + String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("sold on the reserve"), "{said}");
}

async fn sell_until_full(disk: &Path) {
    let folder = disk.join("offline");
    let db = open(&folder).await;
    db.install(super::plan(), Vec::new()).await.expect("an installation");
    assert_eq!(db.keep_reserve(8 << 20).await.expect("room"), Reserve::Kept);
    db.begin_load(&prices().name, EPOCH, ChannelVersion(1)).await.expect("a begin");
    // Somebody else fills the disk to its last megabyte.
    let free = Env::real().disk.free_bytes(disk).expect("a disk");
    std::fs::write(disk.join("other"), vec![1; (free - (1 << 20)) as usize]).expect("a file");

    let (mut number, mut sold_on_reserve) = (0, 0);
    let refused = loop {
        number += 1;
        match db.record(id(number), hash(number), sale(number), 1).await {
            Ok(_) if db.reserve() == Reserve::Gone => sold_on_reserve += 1,
            Ok(_) => {}
            Err(error) => break error,
        }
        assert!(number < 250, "the disk never fills");
    };
    assert!(sold_on_reserve > 10, "{sold_on_reserve} of {number} sales");
    assert_eq!(refused.code(), "local-disk-full");
    assert!(db.is_without_room());
    let loading = load(&db, 0..1).await.expect_err("no room for a catalogue");
    assert_eq!(loading.code(), "local-kept-for-sales");
    let pending = db.pending(1_000, usize::MAX).await.expect("reads go on");
    assert_eq!(pending.len(), usize::from(number) - 1, "all that was acknowledged, nothing else");
    println!("{sold_on_reserve} sold on the reserve, then refused whole");

    std::fs::remove_file(disk.join("other")).expect("room");
    assert!(!db.is_without_room());
    db.record(id(number), hash(number), sale(number), 1).await.expect("it sells again");
    assert_eq!(db.keep_reserve(2 << 20).await.expect("room"), Reserve::Kept);
    load(&db, 0..1).await.expect("it loads again");
    for sold in pending {
        db.settle(sold.id, Settlement::Accepted).await.expect("settled");
    }
}
