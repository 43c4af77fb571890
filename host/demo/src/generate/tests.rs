//! Every row of a whole store: it fits its schema, its keys are unique, and it is the same every time.

use super::{DemoStore, SCALE_1, StoreSize, profile_scopes};
use crate::shop::{Shop, ShopFiles};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use tillhold_core::fit::fit;
use tillhold_core::row::Row;
use tillhold_core::table::{Assigned, Table};
use tillhold_core::text;
use tillhold_core::value::Value;

const SMALL: StoreSize = StoreSize { products: 400, barcodes: 500, prices: 2_000, customers: 300 };

fn shop() -> Shop {
    Shop::open(&ShopFiles::default()).expect("the shipped files read")
}

fn small(seed: u64) -> DemoStore {
    DemoStore::new(shop().reduced(20), SMALL, seed).expect("a store")
}

/// The table as its rows are: without the channel's own columns.
fn written(table: &Table) -> Table {
    table.travelling(&[])
}

fn fingerprint(store: &DemoStore) -> u64 {
    let mut hasher = DefaultHasher::new();
    for load in store.loads() {
        load.table.name.hash(&mut hasher);
        let table = written(&load.table);
        for row in load.rows {
            for (value, column) in row.iter().zip(&table.columns) {
                text::canonical(value, column.of).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

#[test]
fn every_row_fits_its_schema_and_every_key_is_unique() {
    let store = DemoStore::new(shop(), SCALE_1, 7).expect("a store");
    for load in store.loads() {
        let name = load.table.name.to_string();
        let table = written(&load.table);
        let names: Vec<String> = load.columns().iter().map(|c| c.to_string()).collect();
        assert_eq!(names, table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
        let (mut keys, mut rows) = (HashSet::new(), 0);
        for row in load.rows {
            rows += 1;
            assert_eq!(row.len(), table.columns.len(), "{name}");
            for (value, column) in row.iter().zip(&table.columns) {
                assert!(column.nullable || *value != Value::Null, "{name}.{} is NULL", column.name);
                let fitted = fit(value.clone(), column.of);
                assert_eq!(fitted.as_ref(), Ok(value), "{name}.{}", column.name);
            }
            let key = Row(row).key(&table).folded(&table);
            assert!(table.key.is_empty() || keys.insert(key.clone()), "{name} has {key:?} twice");
        }
        assert_eq!(rows, load.count, "{name}");
    }
}

#[test]
fn the_default_store_has_the_size_that_was_promised() {
    let store = DemoStore::new(shop(), SCALE_1, 7).expect("a store");
    let count =
        |name: &str| store.loads().iter().find(|l| l.table.name.name == name).map(|l| l.count);
    for (table, rows) in [
        ("ECORESPRODUCT", 10_000),
        ("INVENTTABLE", 10_000),
        ("INVENTITEMBARCODE", 12_000),
        ("PRICEDISCTABLE", 40_000),
        ("CUSTTABLE", 20_000),
    ] {
        assert_eq!(count(table), Some(rows), "{table}");
    }
    for table in [
        "RETAILSTORETABLE",
        "RETAILTERMINALTABLE",
        "RETAILSTAFFTABLE",
        "TAXTABLE",
        "TAXDATA",
        "TAXONITEM",
        "RETAILLOYALTYCARD",
        "RETAILPOSSEEDDATA",
        "RETAILOFFLINEPROFILE",
        "RETAILOFFLINEPROFILESCOPES",
        "RETAILOFFLINESCOPE",
        "RETAILOFFLINESCOPETABLES",
        "RETAILOFFLINETABLE",
        "RETAILOFFLINETABLECOLUMNS",
    ] {
        assert!(count(table).is_some_and(|rows| rows > 0), "{table} is empty");
    }
}

#[test]
fn the_seed_decides_every_row() {
    assert_eq!(fingerprint(&small(1)), fingerprint(&small(1)));
    assert_ne!(fingerprint(&small(1)), fingerprint(&small(2)));
}

#[test]
fn real_products_and_households_come_first_and_a_larger_store_begins_like_a_smaller_one() {
    let (small, large) =
        (small(5), DemoStore::new(shop().reduced(20), SCALE_1, 5).expect("a store"));
    assert_eq!(small.item_id(0), small.shop.products[0].id);
    let generated = small.shop.products.len() as u64;
    for index in [0, generated, generated + 9] {
        assert_eq!(small.item_id(index), large.item_id(index));
        assert_eq!(small.own_price(index), large.own_price(index));
        assert_eq!(small.customer(index), large.customer(index));
    }
    let household = &small.shop.households[0];
    assert_eq!(small.customer(0).account, format!("C{}", household.id));
    assert_eq!(small.customer(0).store, household.store);
}

#[test]
fn a_shop_with_one_store_still_has_neighbours() {
    let mut shop = shop().reduced(3);
    shop.stores.truncate(1);
    let store = DemoStore::new(shop, SMALL, 1).expect("a store");
    assert_eq!(store.branches.len(), 3);
    assert_eq!(store.register(), "000002");
    let terminals: HashSet<&String> = store.branches.iter().flat_map(|b| &b.terminals).collect();
    assert_eq!(terminals.len(), 12);
}

#[test]
fn no_password_is_listed_to_travel() {
    let store = small(1);
    let loads = store.loads();
    let listed = loads.into_iter().find(|l| l.table.name.name == "RETAILOFFLINETABLECOLUMNS");
    let rows: Vec<Vec<Value>> = listed.expect("columns are listed").rows.collect();
    let names = |row: &Vec<Value>| row.contains(&Value::Text("PASSWORD".to_string()));
    assert!(rows.len() > 40 && !rows.iter().any(names));
    let staff = store.schema.tables.iter().find(|t| t.name.name == "RETAILSTAFFTABLE");
    let open = |t: &&std::sync::Arc<Table>| {
        t.columns.iter().filter(|c| c.assigned == Assigned::ByWriter).count()
    };
    assert_eq!(staff.as_ref().map(open), Some(12));
    assert!(profile_scopes().iter().any(|s| s.name.starts_with("1060")));
}
