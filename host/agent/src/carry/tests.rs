//! Files of unsent sales as they are read back, and what is found when they were changed on their way.

use super::{line, read};
use crate::settings::register_file::RegisterFile;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::profile::Direction;
use tillhold_core::row::Row;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::{ContentHash, TransactionId};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;
use tillhold_local::{Identity, InstalledTable, LocalDatabase, RowWrite};

fn lines() -> Arc<Table> {
    let column = |name: &str, of: &str, nullable| Column {
        name: name.to_string(),
        of: SqlType::parse(of).expect("a type"),
        nullable,
        assigned: Assigned::ByWriter,
        default: None,
        collation: None,
    };
    let columns = vec![
        column("ID", "nvarchar(20)", false),
        column("QTY", "numeric(32,16)", true),
        column("PICTURE", "varbinary(max)", true),
        column("AT", "datetime", true),
        column("BIG", "bigint", true),
    ];
    Arc::new(Table { name: TableName::new("ax", "LINES"), columns, key: vec![0] })
}

fn row(table: &Table, cells: [Option<&str>; 5]) -> Row {
    let value = |(cell, column): (Option<&str>, &Column)| match cell {
        Some(cell) => text::parse(cell, column.of).expect("a value"),
        None => Value::Null,
    };
    Row(cells.into_iter().zip(&table.columns).map(value).collect())
}

const RARE: [Option<&str>; 5] = [
    Some("Ä\"\n{1"),
    Some("-12345678901234.1234567890123456"),
    Some("00ff"),
    Some("2026-02-28 23:59:59.997"),
    Some("-9223372036854775808"),
];

/// An export of two sales, the second on top of the first.
async fn exported(folder: &Path) -> (LocalDatabase, std::path::PathBuf, String) {
    let settings = "store = 'S1'\nregister = '2'\n[channel]\nhost = 'db'\ndatabase = 'c'\nuser = 'u'\npassword_file = 'p'\n";
    std::fs::write(folder.join("register.toml"), settings).expect("settings");
    let file = RegisterFile::read(&folder.join("register.toml")).expect("settings");
    let identity = Identity { store: "S1".to_string(), register: "2".to_string() };
    let env = Env::real();
    let local = LocalDatabase::open(&env, &file.folder, &identity).await.expect("a database");
    let table = lines();
    let direction = Direction::Upload;
    let installed = InstalledTable { scope: "s".to_string(), direction, table: table.clone() };
    local.install(vec![installed], Vec::new()).await.expect("installed");
    let insert = RowWrite::Insert { table: table.name.clone(), row: row(&table, RARE) };
    let changed = [RARE[0], None, None, None, Some("1")];
    let update = RowWrite::Update { table: table.name.clone(), row: row(&table, changed) };
    for (number, write) in [(1, insert), (2, update)] {
        let (id, hash) = (TransactionId([number; 16]), ContentHash([number; 32]));
        local.record(id, hash, vec![write], 5).await.expect("recorded");
    }
    local.quarantine(TransactionId([2; 16]), "channel-refused", "no").await.expect("set aside");
    let carried = super::write::write(&env, &local, &file, None).await.expect("an export");
    assert_eq!((carried.transactions, carried.rows), (2, 2));
    (local, carried.path, carried.key)
}

#[tokio::test]
async fn what_is_read_is_what_was_unsent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (local, path, key) = exported(folder.path()).await;
    let origin = read::check(&path, Some(&key)).expect("a sound file");
    assert_eq!(
        (origin.store.as_str(), origin.register.as_str(), origin.transactions),
        ("S1", "2", 2)
    );
    assert_eq!(origin.incarnation, local.incarnation());
    let unsent = local.unsent(None, 10).await.expect("unsent sales");
    let mut file = read::Lines::open(&path).expect("the file");
    file.next().expect("the first line");
    for one in unsent {
        let line = file.next().expect("a line").expect("one more");
        let table = |name: &TableName| (*name == lines().name).then(lines);
        let transaction = line::transaction(&line.json, table).expect("a transaction");
        assert_eq!(transaction.writes, one.writes);
        assert_eq!((transaction.id, transaction.hash), (one.record.id, one.record.hash));
        assert!(line::transaction(&line.json, |_| None).is_err(), "a table that is not here");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Whoever may ask for an export by the front door would else write wherever the agent may.
#[tokio::test]
async fn an_export_takes_no_others_name_and_no_place_in_the_offline_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (local, first, _) = exported(folder.path()).await;
    let file = RegisterFile::read(&folder.path().join("register.toml")).expect("settings");
    let env = Env::real();
    let code = async |to: &Path| {
        let written = super::write::write(&env, &local, &file, Some(to.to_path_buf())).await;
        written.map(|carried| carried.transactions).map_err(|error| error.code())
    };
    let before = std::fs::read(&first).expect("the first one");
    assert_eq!(code(&first).await, Err("unsent-file-exists"));
    assert_eq!(code(folder.path()).await, Err("unsent-file-exists"), "a folder");
    let journal = file.folder.join("journal.db");
    let way_round = folder.path().join("new/../offline/next/a.jsonl");
    for inside in [&journal, &file.folder.join("ready-1/a.jsonl"), &way_round] {
        assert_eq!(code(inside).await, Err("unsent-file-inside"), "{}", inside.display());
    }
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file.folder, &link).expect("a link");
        assert_eq!(code(&link.join("a.jsonl")).await, Err("unsent-file-inside"));
        let nowhere = folder.path().join("nowhere.jsonl");
        std::os::unix::fs::symlink(folder.path().join("gone"), &nowhere).expect("a link");
        assert_eq!(code(&nowhere).await, Err("unsent-file-exists"), "a link to nothing");
    }
    assert!(!file.folder.join("ready-1").exists() && !folder.path().join("new").exists());
    assert_eq!(std::fs::read(&first).expect("the first one"), before);
    assert_eq!(local.unsent(None, 10).await.expect("unsent sales").len(), 2);

    let second = folder.path().join("new/b.jsonl");
    assert_eq!(code(&second).await, Ok(2), "its folder is made");
    read::check(&second, None).expect("a sound file");
    assert_eq!(std::fs::read_dir(folder.path().join("new")).expect("a folder").count(), 1);
}

#[tokio::test]
async fn what_was_changed_on_its_way_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, path, key) = exported(folder.path()).await;
    let whole = std::fs::read_to_string(&path).expect("the file");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
    let dropped = [lines[0], lines[2], lines[3]].concat();
    let other_end = whole.replace("\"transactions\":2", "\"transactions\":3");
    for (text, code) in [
        (whole.replacen("\"insert\"", "\"update\"", 1), "unsent-changed"),
        (swapped, "unsent-signature"),
        (dropped, "unsent-signature"),
        (other_end, "unsent-signature"),
        (whole.replacen("\"store\":\"S1\"", "\"store\":\"S2\"", 1), "unsent-signature"),
        (format!("{whole}{}", lines[1]), "unsent-signature"),
        (lines[..3].concat(), "unsent-cut"),
        (whole.trim_end().to_string(), "unsent-cut"),
        (String::new(), "unsent-cut"),
        ("no JSON\n".to_string(), "unsent-line"),
        ("{}\n".to_string(), "unsent-line"),
    ] {
        std::fs::write(&path, text).expect("a harm");
        let refused = read::check(&path, None).map_err(|error| error.code());
        assert_eq!(refused.err(), Some(code));
    }
    std::fs::write(&path, &whole).expect("the file");
    let other = read::check(&path, Some(&"ab".repeat(32))).map_err(|error| error.code());
    assert_eq!(other.err(), Some("unsent-other-key"));
    assert!(read::check(&path, Some(&key.to_uppercase())).is_ok());
}
