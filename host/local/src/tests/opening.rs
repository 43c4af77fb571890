//! Opening: settings, identity, refusal of files that are not ours, and that a refused file is left as it was.

use super::{House, hash, id, identity, lines, open, prices, row};
use crate::{Identity, LocalDatabase, LocalError, RowWrite, Settlement};
use rusqlite::Connection;
use std::hash::{Hash, Hasher};
use std::path::Path;
use tillhold_core::version::{ChannelVersion, Sequence};
use tillhold_env::Env;

async fn refusal(folder: &Path, identity: &Identity) -> LocalError {
    match LocalDatabase::open(&Env::real(), folder, identity).await {
        Ok(_) => panic!("the folder was accepted"),
        Err(error) => error,
    }
}

/// Name, length and a hash of every database file.
fn content_of(folder: &Path) -> Vec<(String, usize, u64)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("an entry"))
        .map(|file| (file.file_name().into_string().expect("a name"), file.path()))
        .filter(|(name, _)| name.ends_with(".db"))
        .map(|(name, path)| {
            let bytes = std::fs::read(path).expect("a file");
            let mut hasher = std::hash::DefaultHasher::new();
            bytes.hash(&mut hasher);
            (name, bytes.len(), hasher.finish())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_settings_are_those_that_lose_nothing() {
    let house = House::new().await;
    let pragma = |name: &'static str| {
        let read = move |conn: &mut Connection| {
            Ok(conn.query_row(&format!("PRAGMA {name}"), (), |row| {
                row.get::<_, rusqlite::types::Value>(0)
            })?)
        };
        let db = house.db.clone();
        async move {
            let mut answers = Vec::new();
            for kind in [crate::file::Kind::Journal, crate::file::Kind::Catalogue] {
                answers.push(db.writer(kind).run(read).await.expect("a pragma"));
            }
            assert_eq!(answers[0], answers[1]);
            format!("{:?}", answers[0])
        }
    };
    for (name, expected) in [
        ("journal_mode", "Text(\"wal\")"),
        ("synchronous", "Integer(2)"),
        ("foreign_keys", "Integer(1)"),
        ("trusted_schema", "Integer(0)"),
        ("cell_size_check", "Integer(1)"),
        ("busy_timeout", "Integer(5000)"),
        ("application_id", "Integer(1414089804)"),
        ("user_version", "Integer(14)"),
        ("auto_vacuum", "Integer(2)"),
        ("checkpoint_fullfsync", "Integer(1)"),
        ("mmap_size", "Integer(0)"),
    ] {
        assert_eq!(pragma(name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_free_again_once_closed() {
    let house = House::new().await;
    let error = refusal(house.folder.path(), &identity()).await;
    assert_eq!(error.code(), "local-in-use");
    let incarnation = house.db.incarnation();
    house.db.close().await.expect("a close");
    let again = open(house.folder.path()).await;
    assert_eq!(again.incarnation(), incarnation, "the same life goes on");
    assert_eq!(house.db.counts().await.map_err(|e| e.code()), Err("local-closed"));
    let elsewhere = House::new().await;
    assert_ne!(elsewhere.db.incarnation(), incarnation, "another file is another life");
}

/// Takes away what layouts 12 to 14 brought. The triggers of before are missed by nobody: opening makes them anew.
fn without_late(journal: &Connection) {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'tillhold_*'";
    let mut select = journal.prepare(sql).expect("a question");
    let names = select.query_map((), |row| row.get(0)).expect("an answer");
    let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
    assert!(!names.is_empty(), "a journal has triggers");
    for name in names {
        journal.execute_batch(&format!("DROP TRIGGER \"{name}\"")).expect("no trigger");
    }
    let older = "ALTER TABLE tillhold_row_aside DROP COLUMN as_of; \
                 ALTER TABLE tillhold_again DROP COLUMN as_of; DROP TABLE tillhold_late; \
                 CREATE TABLE tillhold_current (transaction_id BLOB NOT NULL) STRICT;";
    journal.execute_batch(older).expect("an older journal");
}

/// Takes away what the third layout brought, and leaves a conflict and a marked row of before.
const BEFORE_PEOPLE_DECIDED: &str = "
DROP TABLE tillhold_release; DROP TABLE tillhold_again; DROP TABLE tillhold_audit;
DROP INDEX tillhold_conflict_id; DROP INDEX tillhold_row_aside_id;
DROP INDEX tillhold_decision_id; DROP INDEX tillhold_decision_sent;
ALTER TABLE tillhold_transaction DROP COLUMN last_seq;
ALTER TABLE tillhold_transaction DROP COLUMN released_at_ms;
ALTER TABLE tillhold_decision DROP COLUMN table_name;
ALTER TABLE tillhold_transaction DROP COLUMN reason_since_ms;
ALTER TABLE tillhold_transaction DROP COLUMN reason_table;
ALTER TABLE tillhold_transaction DROP COLUMN reason_key;
ALTER TABLE tillhold_transaction DROP COLUMN reason_circumstances;
ALTER TABLE tillhold_conflict DROP COLUMN id;
ALTER TABLE tillhold_conflict DROP COLUMN channel_version;
ALTER TABLE tillhold_conflict DROP COLUMN rule;
ALTER TABLE tillhold_conflict DROP COLUMN plugin;
ALTER TABLE tillhold_conflict DROP COLUMN choice;
ALTER TABLE tillhold_conflict DROP COLUMN who;
ALTER TABLE tillhold_conflict DROP COLUMN why;
ALTER TABLE tillhold_conflict DROP COLUMN chosen_at_ms;
ALTER TABLE tillhold_row_aside DROP COLUMN id;
ALTER TABLE tillhold_row_aside DROP COLUMN code;
ALTER TABLE tillhold_row_aside DROP COLUMN circumstances;
ALTER TABLE tillhold_decision DROP COLUMN id;
ALTER TABLE tillhold_decision DROP COLUMN state;
ALTER TABLE tillhold_decision DROP COLUMN who;
ALTER TABLE tillhold_decision DROP COLUMN why;
ALTER TABLE tillhold_decision DROP COLUMN released;
INSERT INTO tillhold_row_aside VALUES ('ax.A', '1', '[1]', 's', 'r', 1), ('ax.A', '2', '[2]', 's', 'r', 1);
";

/// A register of the first layout goes on with what it has; its positions have no marks yet.
#[tokio::test]
async fn files_of_the_first_layout_are_brought_to_the_present_one() {
    let house = House::new().await;
    house.make_ready("prices", &[&prices()], 5).await;
    house.db.close().await.expect("a close");
    for file in ["journal.db", "catalogue.db"] {
        let conn = Connection::open(house.folder.path().join(file)).expect("a file");
        let older = "ALTER TABLE tillhold_table DROP COLUMN mark; \
                     ALTER TABLE tillhold_table DROP COLUMN load_mark; \
                     ALTER TABLE tillhold_table DROP COLUMN filter; \
                     ALTER TABLE tillhold_table DROP COLUMN load_filter; \
                     ALTER TABLE tillhold_table DROP COLUMN reread; \
                     DROP TABLE IF EXISTS tillhold_kept; DROP TABLE IF EXISTS tillhold_kept_row; \
                     DROP TABLE IF EXISTS tillhold_size; DROP TABLE tillhold_selection; \
                     DROP TABLE tillhold_member; PRAGMA user_version = 1; \
                     PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;";
        if file == "journal.db" {
            without_late(&conn);
        }
        conn.execute_batch(older).expect("an older layout");
        if file == "journal.db" {
            conn.execute_batch(BEFORE_PEOPLE_DECIDED).expect("an older journal");
        }
    }
    for _ in 0..2 {
        let again = open(house.folder.path()).await;
        let state = again.state_of(&prices().name).await.expect("a state");
        assert_eq!((state.version, state.mark), (Some(ChannelVersion(5)), None));
        let sizes = again.file_sizes().await.expect("sizes");
        assert!(sizes.iter().all(|file| file.can_shrink), "a small file is rewritten at once");
        assert_eq!(again.day_sizes().await.expect("days"), []);
        again.close().await.expect("a close");
    }
}

/// Leaves the journal as layout 10 had it.
const WITHOUT_LAST_SEQ: &str = "
ALTER TABLE tillhold_transaction DROP COLUMN last_seq;
DROP INDEX tillhold_log_unadopted;
CREATE INDEX tillhold_log_transaction ON tillhold_log (transaction_id);
PRAGMA user_version = 10;
";

/// Sales find their rows in the log by first and last number, also those that were made before the last one was kept.
#[tokio::test]
async fn sales_of_layout_ten_find_their_rows() {
    let house = House::new().await;
    let line = |sale: u8, line: u8| RowWrite::Insert {
        table: lines().name.clone(),
        row: row(&lines(), &["T1", &format!("{sale}{line}"), "i", "1"]),
    };
    for sale in 1..=3 {
        let writes = (1..=sale).map(|nth| line(sale, nth)).collect();
        house.db.record(id(sale), hash(sale), writes, 1).await.expect("a sale");
    }
    house.db.record(id(4), hash(4), Vec::new(), 1).await.expect("a sale of nothing");
    house.db.close().await.expect("a close");
    let conn = Connection::open(house.folder.path().join("journal.db")).expect("a file");
    without_late(&conn);
    conn.execute_batch(WITHOUT_LAST_SEQ).expect("an older journal");
    drop(conn);
    let again = open(house.folder.path()).await;
    let pending = again.pending(10, 100).await.expect("sales");
    let found: Vec<_> = pending.iter().map(|sale| (sale.id, sale.writes.len())).collect();
    assert_eq!(found, [(id(1), 1), (id(2), 2), (id(3), 3)]);
    again.settle(id(2), Settlement::Accepted).await.expect("an end");
    let left = again.pending(10, 100).await.expect("sales");
    assert_eq!(left.iter().map(|sale| sale.writes.len()).collect::<Vec<_>>(), [1, 3]);
    again.close().await.expect("a close");
}

/// The log is made anew: what waits stays, in its order, and no number is given twice.
#[tokio::test]
async fn the_log_of_layout_nine_goes_on_with_its_numbers() {
    let house = House::new().await;
    for sale in 1..=3 {
        house.insert(sale, &lines(), &["T1", &sale.to_string(), "i", "1"]).await;
    }
    house.db.close().await.expect("a close");
    let conn = Connection::open(house.folder.path().join("journal.db")).expect("a file");
    // The last sale was sent and is forgotten: its number is in no row any more.
    without_late(&conn);
    conn.execute_batch(WITHOUT_LAST_SEQ).expect("an older journal");
    conn.execute_batch("DELETE FROM tillhold_log WHERE seq = 3; PRAGMA user_version = 9;")
        .expect("an older journal");
    drop(conn);
    let again = open(house.folder.path()).await;
    assert_eq!(again.last_sequence().await.expect("a number"), Sequence(3));
    again.close().await.expect("a close");
    let conn = Connection::open(house.folder.path().join("journal.db")).expect("a file");
    let numbers = |sql: &str| -> Vec<i64> {
        let mut select = conn.prepare(sql).expect("a question");
        let rows = select.query_map((), |row| row.get(0)).expect("an answer");
        rows.map(|row| row.expect("a number")).collect()
    };
    assert_eq!(numbers("SELECT seq FROM tillhold_log ORDER BY seq"), [1, 2]);
    assert_eq!(numbers("PRAGMA user_version"), [14]);
    assert_eq!(
        numbers("SELECT count(*) FROM sqlite_schema WHERE tbl_name GLOB 'tillhold_log_*'"),
        [0]
    );
    let wrong =
        "INSERT INTO tillhold_log (table_id, key, operation, base_version) VALUES (1, '', 'x', 0)";
    assert!(conn.execute(wrong, ()).is_err(), "no other operation");
}

#[tokio::test]
async fn another_registers_file_is_refused() {
    let house = House::new().await;
    house.db.close().await.expect("a close");
    for (store, register) in [("S0001", "000003"), ("S0002", "000002")] {
        let other = Identity { store: store.to_string(), register: register.to_string() };
        let error = refusal(house.folder.path(), &other).await;
        assert_eq!(error.code(), "local-other-register");
        assert!(error.hint().is_some(), "a person can meet it");
    }
    open(house.folder.path()).await;
}

/// A refused file's write-ahead log stays beside it: closing must not move it into the file.
#[tokio::test]
async fn a_refused_file_keeps_its_log() {
    let house = House::new().await;
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    let copied = tempfile::tempdir().expect("a temporary folder");
    for file in ["journal.db", "journal.db-wal", "catalogue.db", "catalogue.db-wal"] {
        std::fs::copy(house.folder.path().join(file), copied.path().join(file)).expect("a copy");
    }
    let logged = || std::fs::metadata(copied.path().join("journal.db-wal")).map(|f| f.len()).ok();
    let before = (content_of(copied.path()), logged());
    assert!(before.1.is_some_and(|bytes| bytes > 0), "the sale is still in the log");
    let other = Identity { store: "S0001".to_string(), register: "000003".to_string() };
    assert_eq!(refusal(copied.path(), &other).await.code(), "local-other-register");
    assert_eq!((content_of(copied.path()), logged()), before);
    let db = open(copied.path()).await;
    assert_eq!(db.counts().await.expect("counts").pending_transactions, 1);
}

/// What is done to which file, and the code that must come of it.
async fn check_refused(file: &str, harm: impl FnOnce(&Path), code: &str) {
    let house = House::new().await;
    house.db.close().await.expect("a close");
    harm(&house.folder.path().join(file));
    let before = content_of(house.folder.path());
    let error = refusal(house.folder.path(), &identity()).await;
    assert_eq!(error.code(), code, "{file}: {error}");
    assert!(error.hint().is_some(), "{code} tells the next step");
    assert_eq!(content_of(house.folder.path()), before, "{file} was touched");
    let again = refusal(house.folder.path(), &identity()).await;
    assert_eq!(again.code(), code, "refused once, refused always");
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_and_left_alone() {
    for file in ["journal.db", "catalogue.db"] {
        let garbage =
            |bytes: &'static [u8]| move |path: &Path| std::fs::write(path, bytes).expect("a harm");
        check_refused(file, garbage(b"no database"), "local-damaged").await;
        check_refused(file, garbage(&[0x41; 8192]), "local-damaged").await;
        check_refused(file, overwrite_a_page, "local-damaged").await;
        check_refused(file, cut_in_half, "local-damaged").await;
        check_refused(file, another_database, "local-foreign-file").await;
        check_refused(file, newer_layout, "local-newer-file").await;
    }
    let empty = |path: &Path| std::fs::write(path, b"").expect("a harm");
    check_refused("journal.db", empty, "local-damaged").await;
    let gone = |path: &Path| std::fs::remove_file(path).expect("a harm");
    check_refused("journal.db", gone, "local-damaged").await;
    let swapped = |path: &Path| {
        std::fs::copy(path.with_file_name("catalogue.db"), path).expect("a harm");
    };
    check_refused("journal.db", swapped, "local-damaged").await;
}

fn overwrite_a_page(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(path, bytes).expect("a harm");
}

fn cut_in_half(path: &Path) {
    let bytes = std::fs::read(path).expect("a file");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("a harm");
}

fn another_database(path: &Path) {
    std::fs::remove_file(path).expect("a harm");
    let other = Connection::open(path).expect("another program's file");
    other.execute_batch("CREATE TABLE notes (text TEXT)").expect("a table");
}

fn newer_layout(path: &Path) {
    let conn = Connection::open(path).expect("the file");
    conn.pragma_update(None, "user_version", 99).expect("a harm");
}
