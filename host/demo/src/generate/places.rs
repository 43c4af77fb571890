//! Where things are: the company, stores, terminals, staff, tenders, units and the register's numbers.

use super::sheet::{COMPANY, Load, cents, load, opening, record, whole, words};
use super::{DemoStore, offline};
use crate::shop::{STORES_MAX, Shop};
use tillhold_core::draw::Draw;
use tillhold_core::value::Value;

/// A shop alone has no other stores' rows to keep out.
const BRANCHES_MIN: usize = 3;
const TERMINALS_EACH: usize = 4;
const STAFF_EACH: u64 = 8;
/// RETAILPOSSEEDDATA.DATATYPE of transaction numbers, and of batches (our reading of AX's enumeration).
pub const TRANSACTION_SEED: i64 = 8;
const BATCH_SEED: i64 = 7;

/// Coins and notes, in cents.
const NOTES: [u64; 11] = [1, 5, 10, 25, 50, 100, 500, 1_000, 2_000, 5_000, 10_000];

const CITIES: [&str; 8] = [
    "Riverton",
    "Lakeside",
    "Oak Hill",
    "Fairview",
    "Milford",
    "Cedar Grove",
    "Ashland",
    "Brookfield",
];
const FIRST_NAMES: [&str; 8] = ["Ann", "Ben", "Cora", "Dan", "Eve", "Finn", "Gail", "Hugo"];

/// One store of the company.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// RETAILSTORETABLE.STORENUMBER, also its warehouse and its price group.
    pub number: String,
    /// RETAILCHANNELTABLE.RECID: the CHANNEL of its transactions.
    pub channel: i64,
    /// RETAILTERMINALTABLE.TERMINALID: unique over all stores.
    pub terminals: Vec<String>,
}

pub(super) fn branches(shop: &Shop) -> Vec<Branch> {
    let mut numbers: Vec<String> = shop.stores.iter().take(STORES_MAX).cloned().collect();
    let spare = (1..).map(|n| format!("S9{n:03}"));
    let spare: Vec<String> = spare.filter(|n| !numbers.contains(n)).take(BRANCHES_MIN).collect();
    numbers.extend(spare.into_iter().take(BRANCHES_MIN.saturating_sub(shop.stores.len())));
    let terminal = |branch: usize, n: usize| format!("{:06}", branch * TERMINALS_EACH + n + 1);
    let branch = |(at, number): (usize, String)| Branch {
        number,
        channel: record_number(at as u64),
        terminals: (0..TERMINALS_EACH).map(|n| terminal(at, n)).collect(),
    };
    numbers.into_iter().enumerate().map(branch).collect()
}

fn record_number(index: u64) -> i64 {
    match record(index) {
        Value::Int(number) => number,
        _ => 0,
    }
}

pub(super) fn loads(store: &DemoStore) -> Vec<Load<'_>> {
    let mut loads = company(store);
    loads.extend(stores(store));
    loads.extend(tills(store));
    loads.extend(staff(store));
    loads.extend(cash(store));
    loads
}

fn company(store: &DemoStore) -> Vec<Load<'_>> {
    let schema = &store.schema;
    let units = ["EA", "LB", "GAL"];
    vec![
        load(schema, "COMPANYINFO", ["DATAAREA"], 1, |_| [words(COMPANY)]),
        // A table without a primary key: it cannot be tracked, and the register goes on without it.
        load(schema, "DBVERSION", ["VERSION"], 1, |_| [words("6.3.164.0")]),
        load(schema, "LANGUAGETABLE", ["LANGUAGEID"], 1, |_| [words("en-us")]),
        load(schema, "CURRENCY", ["CURRENCYCODE", "CURRENCYCODEISO", "SYMBOL", "TXT"], 1, |_| {
            [words("USD"), words("USD"), words("$"), words("US Dollar")]
        }),
        load(schema, "UNITOFMEASURE", ["SYMBOL", "DECIMALPRECISION"], 3, move |i| {
            [words(units[i as usize]), whole(if i == 0 { 0 } else { 3 })]
        }),
        load(schema, "RETAILHARDWAREPROFILE", ["PROFILEID", "NAME", "EFTPASSWORD"], 1, |_| {
            [words("HW01"), words("Scanner, drawer, printer"), words("not-a-password")]
        }),
    ]
}

fn stores(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, branches) = (&store.schema, &store.branches);
    let count = branches.len() as u64;
    let number = |i: u64| words(branches[i as usize].number.as_str());
    let mut loads = vec![
        load(schema, "OMINTERNALORGANIZATION", ["ORGANIZATIONTYPE"], count, |_| [whole(2)]),
        load(
            schema,
            "OMOPERATINGUNIT",
            ["OMOPERATINGUNITNUMBER", "OMOPERATINGUNITTYPE"],
            count,
            |i| [words(format!("{:08}", i + 1)), whole(4)],
        ),
        load(
            schema,
            "RETAILCHANNELTABLE",
            [
                "CHANNELTIMEZONEINFOID",
                "CURRENCY",
                "INVENTLOCATION",
                "INVENTLOCATIONDATAAREAID",
                "OMOPERATINGUNITID",
                "INSTANCERELATIONTYPE",
                "RELATIONTYPE",
            ],
            count,
            move |i| {
                let zone = words("Eastern Standard Time");
                [
                    zone,
                    words("USD"),
                    number(i),
                    words(COMPANY),
                    record(i),
                    whole(4_087),
                    whole(4_087),
                ]
            },
        ),
        load(
            schema,
            "RETAILSTORETABLE",
            [
                "STORENUMBER",
                "OFFLINEPROFILE",
                "TAXGROUP",
                "TAXGROUPDATAAREAID",
                "PHONE",
                "PASSWORD",
                "CULTURENAME",
            ],
            count,
            move |i| {
                let phone = words(format!("555-01{:02}", i % 100));
                let password = words("not-a-password");
                [
                    number(i),
                    offline::profile_record(),
                    number(i),
                    words(COMPANY),
                    phone,
                    password,
                    words("en-us"),
                ]
            },
        ),
    ];
    loads.extend(what_stores_have(store));
    loads
}

/// A warehouse and a group of prices each.
fn what_stores_have(store: &DemoStore) -> [Load<'_>; 3] {
    let (schema, branches) = (&store.schema, &store.branches);
    let count = branches.len() as u64;
    let number = |i: u64| words(branches[i as usize].number.as_str());
    let city = |i: u64| CITIES[i as usize % CITIES.len()];
    [
        load(
            schema,
            "INVENTLOCATION",
            ["INVENTLOCATIONID", "INVENTSITEID", "NAME"],
            count,
            move |i| [number(i), words("EAST"), words(format!("{} warehouse", city(i)))],
        ),
        load(schema, "PRICEDISCGROUP", ["GROUPID", "MODULE", "TYPE", "NAME"], count, move |i| {
            [number(i), whole(1), whole(0), words(format!("Prices of {}", city(i)))]
        }),
        load(schema, "RETAILCHANNELPRICEGROUP", ["RETAILCHANNEL", "PRICEGROUP"], count, |i| {
            [record(i), record(i)]
        }),
    ]
}

fn tills(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, branches) = (&store.schema, &store.branches);
    let tenders = [("1", "Cash"), ("2", "Card"), ("3", "Coupon")];
    let terminals = (branches.len() * TERMINALS_EACH) as u64;
    let at = |i: u64| (i / TERMINALS_EACH as u64, i as usize % TERMINALS_EACH);
    let terminal = move |i: u64| branches[at(i).0 as usize].terminals[at(i).1].as_str();
    let seed = store.seed;
    vec![
        load(
            schema,
            "RETAILTERMINALTABLE",
            ["TERMINALID", "NAME", "STORERECID", "HARDWAREPROFILE", "LOCATION"],
            terminals,
            move |i| {
                let name = words(format!("Register {}", at(i).1 + 1));
                [words(terminal(i)), name, record(at(i).0), words("HW01"), words("Front")]
            },
        ),
        load(
            schema,
            "RETAILPOSSEEDDATA",
            ["DATATYPE", "DATAVALUE", "STORENUMBER", "TERMINALID"],
            terminals * 2,
            move |i| {
                let kind = if i % 2 == 0 { TRANSACTION_SEED } else { BATCH_SEED };
                let used = 1_000 + Draw::of(seed, "seed number", i).below(9_000);
                let branch = &branches[at(i / 2).0 as usize];
                [
                    whole(kind),
                    whole(used as i64),
                    words(branch.number.as_str()),
                    words(terminal(i / 2)),
                ]
            },
        ),
        load(
            schema,
            "RETAILSTORETENDERTYPETABLE",
            ["CHANNEL", "TENDERTYPEID", "NAME", "FUNCTION"],
            (branches.len() * tenders.len()) as u64,
            move |i| {
                let (branch, tender) = (i / tenders.len() as u64, i as usize % tenders.len());
                let (id, name) = tenders[tender];
                [record(branch), words(id), words(name), whole(tender as i64)]
            },
        ),
    ]
}

/// What each store counts and books; no register needs another store's.
fn cash(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, branches) = (&store.schema, &store.branches);
    let accounts = ["Bottle deposits", "Petty cash", "Tips"];
    let number = |i: u64| words(branches[i as usize].number.as_str());
    let (notes, booked) = (NOTES.len() as u64, accounts.len() as u64);
    let stores = branches.len() as u64;
    vec![
        load(
            schema,
            "RETAILSTORECASHDECLARATIONTABLE",
            ["STOREID", "CURRENCY", "TYPE", "AMOUNT"],
            stores * notes,
            move |i| {
                let cents_each = NOTES[(i % notes) as usize];
                let is_note = i64::from(cents_each >= 100);
                [number(i / notes), words("USD"), whole(is_note), cents(cents_each)]
            },
        ),
        load(
            schema,
            "RETAILINCOMEEXPENSEACCOUNTTABLE",
            ["STOREID", "ACCOUNTNUM", "NAME", "ACCOUNTTYPE"],
            stores * booked,
            move |i| {
                let account = i % booked;
                let name = words(accounts[account as usize]);
                [
                    number(i / booked),
                    words(format!("{}", 100 + account)),
                    name,
                    whole(account as i64 % 2),
                ]
            },
        ),
    ]
}

fn staff(store: &DemoStore) -> Vec<Load<'_>> {
    let count = store.branches.len() as u64 * STAFF_EACH;
    let id = |i: u64| format!("{:06}", 101 + i);
    vec![
        load(
            &store.schema,
            "RETAILSTAFFTABLE",
            [
                "STAFFID",
                "NAMEONRECEIPT",
                "PASSWORD",
                "PASSWORDDATA",
                "CULTURENAME",
                "MODIFIEDDATETIME",
            ],
            count,
            move |i| {
                let name = words(FIRST_NAMES[i as usize % FIRST_NAMES.len()]);
                let hash = words(format!("not-a-hash-{}", id(i)));
                let data = words("not-a-hash-either");
                [words(id(i)), name, hash, data, words("en-us"), Value::Timestamp(opening())]
            },
        ),
        load(&store.schema, "HCMWORKER", ["PERSON", "PERSONNELNUMBER"], count, move |i| {
            [record(1_000_000_000 + i), words(id(i))]
        }),
    ]
}
