//! A full disk, another program's lock, a read that does not end: told as what they are, and over when they are over.

use super::{EPOCH, House, hash, id, identity, lines, name, prices, row};
use crate::file::Kind;
use crate::{LocalDatabase, Recorded, RowWrite};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tillhold_core::fault::Class;
use tillhold_core::version::ChannelVersion;
use tillhold_env::{Clock, Env};

fn sale(number: u32) -> Vec<RowWrite> {
    let line = |nth: u32| RowWrite::Insert {
        table: lines().name.clone(),
        row: row(&lines(), &[&format!("T{number}"), &nth.to_string(), "an item of the sale", "1"]),
    };
    (0..200).map(line).collect()
}

/// SQLite's own page limit stands in for the disk's. A sale that finds no room is refused whole; the others stay.
#[tokio::test]
async fn a_full_disk_refuses_a_sale_whole_and_sells_again_when_there_is_room() {
    let house = House::new().await;
    house.db.keep_reserve(0).await.expect("no reserve");
    let pages = |conn: &Connection| {
        let used: i64 = conn.query_row("PRAGMA page_count", (), |row| row.get(0))?;
        conn.query_row(&format!("PRAGMA max_page_count = {}", used + 4), (), |_| Ok(()))?;
        Ok(())
    };
    let journal = house.db.writer(Kind::Journal);
    journal.run_sale(pages).await.expect("a small disk");
    let refused = house.db.record(id(1), hash(1), sale(1), 1).await.expect_err("no room");
    assert_eq!(refused.code(), "local-disk-full");
    assert_eq!(refused.class(), Class::Reconfigure);
    assert_eq!(house.db.lookup(id(1)).await.expect("a lookup"), None);
    // The writer has opened the file anew, and with it the limit is gone: the disk has room again.
    let again = house.db.record(id(1), hash(1), sale(1), 1).await;
    assert_eq!(again.expect("room"), Recorded::Committed);
    assert_eq!(house.everything(&lines()).await.len(), 200);
}

#[tokio::test]
async fn another_programs_lock_is_waited_for_and_then_told() {
    let house = House::new().await;
    let impatient =
        |conn: &mut Connection| Ok(conn.busy_timeout(std::time::Duration::from_millis(20))?);
    house.db.writer(Kind::Journal).run(impatient).await.expect("a shorter patience");
    let other = house.another_program();
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let refused = house.db.record(id(1), hash(1), sale(1), 1).await.expect_err("locked");
    assert_eq!((refused.code(), refused.class()), ("local-locked", Class::Retry));
    assert_eq!(house.everything(&lines()).await.len(), 0, "reads go on");
    other.execute_batch("ROLLBACK").expect("an end");
    house.db.record(id(1), hash(1), sale(1), 1).await.expect("free again");
}

/// A clock on which every look is a second later.
struct Hasty(AtomicU64);

impl Clock for Hasty {
    fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed) as i64 / 1_000
    }

    fn monotonic_us(&self) -> u64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_read_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let env = Env { clock: Arc::new(Hasty(AtomicU64::new(0))), ..Env::real() };
    let db = LocalDatabase::open(&env, folder.path(), &identity()).await.expect("a database");
    let endless = |conn: &Connection| {
        let sql =
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
        Ok(conn.query_row(sql, (), |row| row.get::<_, i64>(0))?)
    };
    let ended = db.readers(Kind::Journal).run(endless).await.expect_err("it has no end");
    assert_eq!((ended.code(), ended.class()), ("local-read-too-long", Class::Retry));
    db.counts().await.expect("short reads go on");
}

/// Load pages may commit without waiting for the disk; what comes after them must wait again.
#[tokio::test]
async fn waiting_for_the_disk_is_back_after_a_load() {
    let house = House::new().await;
    let prices = prices();
    let synchronous = |conn: &mut Connection| {
        Ok(conn.query_row("PRAGMA synchronous", (), |row| row.get::<_, i64>(0))?)
    };
    house.db.begin_load(&prices.name, EPOCH, ChannelVersion(1)).await.expect("a begin");
    for values in [["1", "a", "1"], ["1", "a", "1"]] {
        let one = row(&prices, &values);
        let key = one.key(&prices);
        // The second one is refused: after a failure it must be back as well.
        let _ = house.db.load_page(&prices.name, vec![one], key).await;
        let setting = house.db.writer(Kind::Catalogue).run(synchronous).await;
        assert_eq!(setting.expect("a pragma"), 2);
    }
    let unknown = house.db.begin_load(&name("NOPE"), EPOCH, ChannelVersion(1)).await;
    assert_eq!(unknown.map_err(|e| e.code()), Err("local-unknown-table"));
}

#[test]
fn errors_that_a_person_meets_say_what_to_do_next() {
    use crate::LocalError::*;
    let file = std::path::PathBuf::from("journal.db");
    let folder = std::path::PathBuf::from("here");
    let table = name("CUSTTABLE");
    for error in [
        InUse { folder },
        Damaged { file: file.clone(), detail: "x".into() },
        Foreign { file: file.clone(), application_id: 1 },
        Newer { file: file.clone(), found: 2, known: 1 },
        OtherRegister { file: file.clone(), found: "a".into(), expected: "b".into() },
        UnknownTable { table: table.clone() },
        NotReady { table: table.clone() },
        Reshaped { table: table.clone() },
        ReadOnly { table },
        DiskFull { file: file.clone() },
        KeptForSales { file },
        SizeLimit { used_bytes: 2, limit_bytes: 1 },
    ] {
        assert!(error.code().starts_with("local-"), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}
