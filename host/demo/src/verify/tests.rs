//! The check must be able to fail: a faithful register passes, each tampering is found and named.

use super::{Acknowledged, Findings, RegisterFiles, cells, rules, verify};
use crate::DemoError;
use crate::generate::{DemoStore, StoreSize, TRANSACTION_SEED, is_secret};
use crate::sale::{Draft, Item, SEEDS, Sale, Till, ring_up};
use crate::session::ChannelRows;
use crate::shop::{Shop, ShopFiles};
use crate::verify::register::quoted;
use rusqlite::{Connection, params_from_iter};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::Direction;
use tillhold_core::table::{Table, TableName};
use tillhold_core::value::{Decimal, Value};

/// A channel in memory: whole rows by table.
#[derive(Default)]
struct Memory {
    tables: HashMap<TableName, (Arc<Table>, Vec<Vec<Value>>)>,
    ledger: Vec<[u8; 16]>,
}

impl ChannelRows for Memory {
    fn rows(
        &mut self,
        name: &TableName,
        columns: &[&str],
        _filter: Option<&str>,
        take: &mut dyn FnMut(Vec<Value>),
    ) -> Result<(), DemoError> {
        if name.schema == "tillhold" {
            self.ledger.iter().for_each(|id| take(vec![Value::Guid(*id)]));
        }
        let Some((table, rows)) = self.tables.get(name) else { return Ok(()) };
        let places: Vec<usize> = columns.iter().filter_map(|c| table.position(c)).collect();
        rows.iter().for_each(|row| take(places.iter().map(|at| row[*at].clone()).collect()));
        Ok(())
    }
}

fn store() -> DemoStore {
    let shop = Shop::open(&ShopFiles::default()).expect("the shipped files read").reduced(2);
    let size = StoreSize { products: 1, barcodes: 1, prices: 1, customers: 40 };
    DemoStore::new(shop, size, 1).expect("a store")
}

fn sold(store: &DemoStore) -> Acknowledged {
    let till = Till {
        store: store.own().number.clone(),
        terminal: store.register().to_string(),
        channel: store.own().channel,
        staff: "000101".to_string(),
    };
    let price = Decimal::new(199, 2).expect("a price");
    let item = Item {
        id: store.item_id(0),
        barcode: String::new(),
        quantity: 2,
        unit: "EA".to_string(),
        price,
        discount: Decimal::ZERO,
        coupon: Decimal::ZERO,
        tax_group: "FOOD".to_string(),
        taxes: vec![("CO".to_string(), price)],
    };
    let at = Timestamp::from_unix_ms(1_488_208_955_000);
    let (customer, card) = (String::new(), String::new());
    let draft = Draft { id: [9; 16], sequence: 1, at, customer, card, items: vec![item] };
    let sale = ring_up(&store.schema, &till, &draft).expect("a sale");
    Acknowledged { sale, committed: "offline".to_string() }
}

fn channel(store: &DemoStore, sold: &[Acknowledged]) -> Memory {
    let mut memory = Memory::default();
    for load in store.loads() {
        let travelling = Arc::new(load.table.travelling(&[]));
        memory.tables.insert(load.table.name.clone(), (travelling, load.rows.collect()));
    }
    for acknowledged in sold {
        memory.ledger.push(acknowledged.sale.id);
        count_up(store, &mut memory, &acknowledged.sale);
        for written in acknowledged.sale.rows.iter().filter(|r| r.table.name.name.contains("TRANS"))
        {
            let travelling = Arc::new(written.table.travelling(&[]));
            let mut row: Vec<Value> =
                travelling.columns.iter().map(crate::generate::default_value).collect();
            for (at, value) in &written.cells {
                let at = travelling.position(&written.table.columns[*at].name).expect("written");
                row[at] = value.clone();
            }
            let place = memory.tables.entry(written.table.name.clone());
            place.or_insert((travelling, Vec::new())).1.push(row);
        }
    }
    memory
}

/// The sale's update of the register's last number.
fn count_up(store: &DemoStore, memory: &mut Memory, sale: &Sale) {
    let last = sale.rows.last().and_then(|row| row.value("DATAVALUE").cloned()).expect("a number");
    let (table, rows) = rows(memory, SEEDS);
    let own = [
        Value::Int(TRANSACTION_SEED),
        Value::Text(store.own().number.clone()),
        Value::Text(store.register().to_string()),
    ];
    let places =
        ["DATATYPE", "STORENUMBER", "TERMINALID"].map(|c| table.position(c).expect("a column"));
    let number = table.position("DATAVALUE").expect("a column");
    let is_own =
        |row: &&mut Vec<Value>| places.iter().zip(&own).all(|(at, value)| row[*at] == *value);
    rows.iter_mut().find(is_own).expect("the register's number")[number] = last;
}

/// The register's files as a faithful agent leaves them.
fn register(store: &DemoStore, channel: &Memory, folder: &Path) {
    let open = |name: &str| Connection::open(folder.join(name)).expect("a file");
    let (journal, catalogue) = (open("journal.db"), open("catalogue.db"));
    journal
        .execute_batch("CREATE TABLE tillhold_transaction (state TEXT); BEGIN")
        .expect("the journal's own table");
    catalogue.execute_batch("BEGIN").expect("a transaction");
    for scope in store.scopes.iter().filter(|s| s.direction != Direction::Upload) {
        let file = if scope.direction == Direction::Download { &catalogue } else { &journal };
        for name in &scope.tables {
            let table = store.schema.table(name).expect("a table of the schema");
            let secret = table.columns.iter().filter(|c| is_secret(name, &c.name));
            let table = table.travelling(&secret.map(|c| c.name.clone()).collect::<Vec<_>>());
            copy(store, channel, &table, file);
        }
    }
    journal.execute_batch("COMMIT").expect("kept");
    catalogue.execute_batch("COMMIT").expect("kept");
}

fn copy(store: &DemoStore, channel: &Memory, table: &Table, file: &Connection) {
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let name = quoted(&table.name.to_string());
    let create = format!("CREATE TABLE {name} ({})", columns.join(", "));
    file.execute_batch(&create).expect("a table");
    let marks = vec!["?"; columns.len()].join(", ");
    let mut insert = file.prepare(&format!("INSERT INTO {name} VALUES ({marks})")).expect("SQL");
    let Some((whole, rows)) = channel.tables.get(&table.name) else { return };
    for row in rows {
        let part = |c: &tillhold_core::table::Column| {
            row[whole.position(&c.name).expect("it is whole")].clone()
        };
        let row: Vec<Value> = table.columns.iter().map(part).collect();
        if let Some(row) = rules::expected(table, &store.own().number, cells(&row, table)) {
            insert.execute(params_from_iter(row)).expect("a row");
        }
    }
}

/// Sets up a faithful pair, lets `tamper` spoil it, and checks.
fn check(tamper: impl FnOnce(&mut Memory, &Connection, &Connection)) -> Findings {
    let store = store();
    let sold = [sold(&store)];
    let folder = tempfile::tempdir().expect("a folder");
    let mut memory = channel(&store, &sold);
    register(&store, &memory, folder.path());
    let open = |name: &str| Connection::open(folder.path().join(name)).expect("a file");
    tamper(&mut memory, &open("journal.db"), &open("catalogue.db"));
    let files = RegisterFiles::open(folder.path()).expect("both files");
    verify(&store, &sold, &mut memory, &files).expect("a check")
}

fn rows<'a>(memory: &'a mut Memory, name: &str) -> (&'a Table, &'a mut Vec<Vec<Value>>) {
    let (table, rows) =
        memory.tables.get_mut(&TableName::new("ax", name)).expect("a table with rows");
    (table, rows)
}

#[test]
fn a_faithful_register_holds() {
    let findings = check(|_, _, _| {});
    assert!(findings.hold(), "{findings:#?}");
    assert!(findings.tables > 200 && findings.rows > 1_000 && findings.kept_away > 0);
    assert!(findings.transformed >= 40 && findings.sale_rows == 4, "{findings:#?}");
}

type Tamper = fn(&mut Memory, &Connection, &Connection);

#[test]
fn every_tampering_is_found_and_named() {
    let cases: [(&str, Tamper); 13] = [
        ("is not in the channel", |m, _, _| rows(m, "RETAILTRANSACTIONSALESTRANS").1.clear()),
        ("is not in the ledger", |m, _, _| m.ledger.clear()),
        ("in the ledger 2 times", |m, _, _| m.ledger.push([9; 16])),
        ("PAYMENTAMOUNT is '0", |m, _, _| {
            let (table, rows) = rows(m, "RETAILTRANSACTIONTABLE");
            let at = table.position("PAYMENTAMOUNT").expect("a column");
            rows[0][at] = Value::Decimal(Decimal::new(0, 16).expect("zero"));
        }),
        ("which nobody rang up", |m, _, _| {
            let (table, rows) = rows(m, "RETAILTRANSACTIONTABLE");
            let mut twin = rows[0].clone();
            let at = table.position("TRANSACTIONID").expect("a column");
            twin[at] = Value::Text("S0343-000002-9".to_string());
            rows.push(twin);
        }),
        ("lacks", |_, _, c| {
            drop(c.execute("DELETE FROM \"ax.PRICEDISCTABLE\" WHERE RECID = (SELECT max(RECID) FROM \"ax.PRICEDISCTABLE\")", ()))
        }),
        ("AMOUNT is '7'", |_, _, c| {
            drop(c.execute("UPDATE \"ax.PRICEDISCTABLE\" SET AMOUNT = '7' WHERE RECID = (SELECT min(RECID) FROM \"ax.PRICEDISCTABLE\")", ()))
        }),
        ("and must not", |_, _, c| {
            drop(c.execute("INSERT INTO \"ax.CURRENCY\" (CURRENCYCODE) VALUES ('EUR')", ()))
        }),
        ("under", |_, _, c| {
            drop(c.execute("INSERT INTO \"ax.CURRENCY\" SELECT * FROM \"ax.CURRENCY\"", ()))
        }),
        ("RECEIPTEMAIL is '", |_, j, _| {
            drop(j.execute("UPDATE \"ax.RETAILCUSTTABLE\" SET RECEIPTEMAIL = 'whole.name@example.org' WHERE rowid = 1", ()))
        }),
        ("PASSWORD reached the register", |_, _, c| {
            drop(c.execute("ALTER TABLE \"ax.RETAILSTAFFTABLE\" ADD COLUMN PASSWORD", ()))
        }),
        ("the channel's last number", |m, _, _| {
            let (table, rows) = rows(m, SEEDS);
            let at = table.position("DATAVALUE").expect("a column");
            rows.iter_mut().for_each(|row| row[at] = Value::Int(0));
        }),
        ("not settled", |_, j, _| {
            drop(j.execute("INSERT INTO tillhold_transaction VALUES ('quarantined')", ()))
        }),
    ];
    for (said, tamper) in cases {
        let findings = check(tamper);
        assert!(!findings.hold(), "not found: {said}");
        assert!(
            findings.told.iter().any(|told| told.contains(said)),
            "{said}: {:#?}",
            findings.told
        );
    }
}

#[test]
fn looking_at_nothing_is_not_passing() {
    assert!(!Findings::default().hold());
}
