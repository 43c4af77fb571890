//! The crate's promises, each with a test that fails without it.

mod capturing;
mod comparing;
mod crashing;
mod exchanging;
mod filtering;
mod landing;
mod late;
mod lineage;
mod loading;
mod losing;
mod migrating;
mod opening;
mod purging;
mod reading;
mod recording;
mod releasing;
mod replacing;
mod selecting;
mod settling;
mod sizing;
mod taking_back;
mod together;
mod tracking;
mod troubles;
mod waiting;
mod whole_schema;

use crate::{Identity, LocalDatabase, Refused, RowWrite};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::filter::Filter;
use tillhold_core::migration::InstalledTable;
use tillhold_core::profile::Direction;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::{ContentHash, Transaction, TransactionId};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_core::version::ChannelVersion;
use tillhold_env::Env;

pub(crate) const EPOCH: [u8; 16] = [7; 16];

pub(crate) fn name(table: &str) -> TableName {
    TableName::parse(table).expect("a table name of the test")
}

/// `"ID nvarchar(20) key, NAME nvarchar(60), SUM numeric(32;16) null"`: a table of ax; `;` stands for a type's comma.
pub(crate) fn table(table_name: &str, columns: &str) -> Arc<Table> {
    let mut key = Vec::new();
    let column = |(at, text): (usize, &str)| {
        let mut words = text.split_whitespace();
        let (name, of) = (words.next().expect("a name"), words.next().expect("a type"));
        let rest: Vec<&str> = words.collect();
        if rest.contains(&"key") {
            key.push(at);
        }
        Column {
            name: name.to_string(),
            of: SqlType::parse(&of.replace(';', ",")).expect("a type of the test"),
            nullable: rest.contains(&"null"),
            assigned: Assigned::ByWriter,
            default: None,
            collation: rest.contains(&"bin").then(|| "Latin1_General_BIN2".to_string()),
        }
    };
    let columns = columns.split(',').enumerate().map(column).collect();
    Arc::new(Table { name: name(table_name), columns, key })
}

pub(crate) fn customers() -> Arc<Table> {
    table(
        "CUSTTABLE",
        "ACCOUNTNUM nvarchar(20) key, DATAAREAID nvarchar(4) key, NAME nvarchar(60), CREDIT numeric(32;16) null",
    )
}

pub(crate) fn sales() -> Arc<Table> {
    table(
        "RETAILTRANSACTIONTABLE",
        "TRANSACTIONID nvarchar(44) key, STORE nvarchar(10) key, GROSS numeric(32;16), AT datetime",
    )
}

pub(crate) fn lines() -> Arc<Table> {
    table(
        "RETAILTRANSACTIONSALESTRANS",
        "TRANSACTIONID nvarchar(44) key, LINE int key, ITEMID nvarchar(20), QTY numeric(32;16)",
    )
}

pub(crate) fn prices() -> Arc<Table> {
    table("PRICEDISCTABLE", "RECID bigint key, ITEMRELATION nvarchar(20), AMOUNT numeric(32;16)")
}

pub(crate) fn barcodes() -> Arc<Table> {
    table("INVENTITEMBARCODE", "RECID bigint key, ITEMBARCODE nvarchar(80), ITEMID nvarchar(20)")
}

/// Values in the table's order; `NULL` is NULL.
pub(crate) fn row(table: &Table, values: &[&str]) -> Row {
    assert_eq!(values.len(), table.columns.len(), "a row of the test");
    Row(values.iter().zip(&table.columns).map(|(text, column)| value(text, column.of)).collect())
}

pub(crate) fn key(table: &Table, values: &[&str]) -> Key {
    assert_eq!(values.len(), table.key.len(), "a key of the test");
    let columns = table.key_columns();
    Key(values.iter().zip(columns).map(|(text, column)| value(text, column.of)).collect())
}

fn value(text: &str, of: SqlType) -> Value {
    if text == "NULL" {
        return Value::Null;
    }
    text::parse(text, of).expect("a value of the test")
}

/// A row as its canonical texts, for comparing.
pub(crate) fn shown(table: &Table, row: &Row) -> String {
    let one = |(value, column): (&Value, &Column)| {
        text::canonical(value, column.of).unwrap_or_else(|| "NULL".to_string())
    };
    row.0.iter().zip(&table.columns).map(one).collect::<Vec<_>>().join("|")
}

pub(crate) fn identity() -> Identity {
    Identity { store: "S0001".to_string(), register: "000002".to_string() }
}

pub(crate) fn refusal(key: Key, reason: &str) -> Refused {
    Refused { key, code: "rule-refused", reason: reason.to_string() }
}

pub(crate) fn id(number: u8) -> TransactionId {
    TransactionId([number; 16])
}

pub(crate) fn hash(number: u8) -> ContentHash {
    ContentHash([number; 32])
}

/// An offline database in a folder of its own, with the tables above installed.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) db: LocalDatabase,
}

impl House {
    /// With space kept for a full disk, as registers have it: sales are logged after their answer.
    pub(crate) async fn new() -> House {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db = open(folder.path()).await;
        db.keep_reserve(1 << 16).await.expect("room");
        let lookups = vec![(name("INVENTITEMBARCODE"), vec!["ITEMBARCODE".to_string()])];
        db.install(plan(), lookups).await.expect("an installation");
        House { folder, db }
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// For who looks into the files by himself: what readers here wait for.
    pub(crate) async fn log_is_whole(&self) {
        self.db.late().caught_up().await;
    }

    /// Another program's connection, with nothing of ours in it.
    pub(crate) fn another_program(&self) -> Connection {
        Connection::open(self.journal()).expect("the journal opens for anyone")
    }

    /// Loads and lands tables without any row, so that they can be read.
    pub(crate) async fn make_ready(&self, scope: &str, tables: &[&Arc<Table>], version: u64) {
        let version = ChannelVersion(version);
        for table in tables {
            self.db.begin_load(&table.name, EPOCH, version).await.expect("a begun load");
            self.db.end_load(&table.name).await.expect("an ended load");
        }
        let positions = tables.iter().map(|table| (table.name.clone(), version)).collect();
        self.db.land(scope, positions, EPOCH).await.expect("a landing");
    }

    pub(crate) async fn everything(&self, table: &Table) -> Vec<String> {
        let filter = Filter { limit: 1_000, ..Filter::default() };
        let rows = self.db.read(table, &filter).await.expect("a read");
        rows.iter().map(|row| shown(table, row)).collect()
    }

    pub(crate) async fn pending(&self) -> Vec<Transaction> {
        self.db.pending(100, 10_000).await.expect("the pending transactions")
    }

    pub(crate) async fn insert(&self, number: u8, table: &Table, values: &[&str]) {
        let writes = vec![RowWrite::Insert { table: table.name.clone(), row: row(table, values) }];
        self.db.record(id(number), hash(number), writes, 1_000).await.expect("a recorded insert");
    }

    pub(crate) async fn update(&self, number: u8, table: &Table, values: &[&str]) {
        let writes = vec![RowWrite::Update { table: table.name.clone(), row: row(table, values) }];
        self.db.record(id(number), hash(number), writes, 1_000).await.expect("a recorded update");
    }
}

pub(crate) async fn open(folder: &Path) -> LocalDatabase {
    LocalDatabase::open(&Env::real(), folder, &identity()).await.expect("an offline database")
}

pub(crate) fn plan() -> Vec<InstalledTable> {
    let installed = |scope: &str, direction, table: Arc<Table>| InstalledTable {
        scope: scope.to_string(),
        direction,
        table,
    };
    vec![
        installed("sales", Direction::Upload, sales()),
        installed("sales", Direction::Upload, lines()),
        installed("customers", Direction::Bidirectional, customers()),
        installed("prices", Direction::Download, prices()),
        installed("prices", Direction::Download, barcodes()),
    ]
}

/// The journal's log, a line each.
pub(crate) fn log_of(journal: &Connection) -> Vec<String> {
    let sql = "SELECT json_array(seq, hex(transaction_id), table_id, key, operation, old_row, new_row, base_version) \
               FROM tillhold_log ORDER BY seq";
    let mut select = journal.prepare(sql).expect("a question");
    let rows = select.query_map((), |row| row.get(0)).expect("an answer");
    rows.map(|row| row.expect("a row of the log")).collect()
}

/// Looks at a future once.
pub(crate) async fn look_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        use std::task::Poll;
        Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        })
    })
    .await
}

pub(crate) fn insert(table: &Table, values: &[&str]) -> RowWrite {
    RowWrite::Insert { table: table.name.clone(), row: row(table, values) }
}

/// A header and two lines.
pub(crate) async fn sell(house: &House, number: u8) {
    let sale = format!("T{number}");
    let writes = vec![
        insert(&sales(), &[&sale, "S1", "3", "2026-01-01 10:00:00.000"]),
        insert(&lines(), &[&sale, "1", "i", "1"]),
        insert(&lines(), &[&sale, "2", "i", "1"]),
    ];
    house.db.record(id(number), hash(number), writes, 1).await.expect("a sale");
}
