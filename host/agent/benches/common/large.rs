//! Dataset L: 500,000 products, 550,000 barcodes, 2,000,000 prices and 1,000,000 customers, or a share of it. As wide as
//! AX's own tables where a register reads them, which is narrower than they are.

use super::sales::{self, Tables};
use super::{Fallible, Shop, load, table};
use std::sync::Arc;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::table::Table;
use tillhold_core::value::{Decimal, Value};
use tillhold_embedded::Engine;

pub const PRICES: &str = "ax.PRICEDISCTABLE";

/// A table, how many rows it has, and how one is made.
pub struct Part {
    pub table: Table,
    pub rows: i64,
    row: fn(i64) -> Vec<Value>,
}

/// Products, barcodes, prices, customers.
pub fn parts(share: f64) -> Fallible<Vec<Part>> {
    let part = |name: &str, columns: &[(&str, &str)], rows: i64, row| {
        let rows = (rows as f64 * share).ceil() as i64;
        Ok(Part { table: table(name, columns, &[0])?, rows, row })
    };
    let parts: Fallible<Vec<Part>> = [
        part("ax.INVENTTABLE", &PRODUCT, 500_000, product),
        part("ax.INVENTITEMBARCODE", &BARCODE, 550_000, barcode),
        part(PRICES, &PRICE, 2_000_000, price),
        part("ax.CUSTTABLE", &CUSTOMER, 1_000_000, customer),
    ]
    .into_iter()
    .collect();
    parts
}

pub fn rows(parts: &[Part]) -> i64 {
    parts.iter().map(|part| part.rows).sum()
}

/// A channel with these and the tables of sales of so many registers. The profile begins with `conduct`, and pulls these
/// tables so often.
pub async fn shop(
    parts: &[Part],
    tables: &Tables,
    registers: usize,
    conduct: &str,
    frequency_s: u64,
) -> Fallible<Shop> {
    let mut all: Vec<Table> = parts.iter().map(|part| part.table.clone()).collect();
    all.extend(tables.all());
    let fill = |engine: &Arc<Engine>| {
        for part in parts {
            load(engine, &part.table, &mut (0..part.rows).map(part.row))?;
        }
        sales::seed(engine, tables, registers)
    };
    let shop = Shop::filled(&all, "download", fill).await?;
    let (catalogue, sales) = (scope(parts, frequency_s), sales::scopes(tables));
    shop.profile(|_| {
        format!("name = \"Bench\"\n{conduct}\n[size]\nreserve_mb = 0\n{catalogue}{sales}")
    })?;
    Ok(shop)
}

/// The scope of all of it.
fn scope(parts: &[Part], frequency_s: u64) -> String {
    let names: Vec<String> = parts.iter().map(|part| format!("\"{}\"", part.table.name)).collect();
    format!(
        "[[scope]]\nname = \"Catalogue\"\ndirection = \"download\"\nfrequency_s = {frequency_s}\ntables = [{}]\n",
        names.join(", ")
    )
}

const PRODUCT: [(&str, &str); 12] = [
    ("RECID", "bigint"),
    ("ITEMID", "nvarchar(20)"),
    ("NAMEALIAS", "nvarchar(60)"),
    ("DESCRIPTION", "nvarchar(1000)"),
    ("ITEMTYPE", "int"),
    ("PRODUCT", "bigint"),
    ("TAXITEMGROUPID", "nvarchar(10)"),
    ("UNITID", "nvarchar(10)"),
    ("NETWEIGHT", "numeric(32,12)"),
    ("DIMENSION", "nvarchar(30)"),
    ("MODIFIEDDATETIME", "datetime"),
    ("DATAAREAID", "nvarchar(4)"),
];
const BARCODE: [(&str, &str); 8] = [
    ("RECID", "bigint"),
    ("ITEMBARCODE", "nvarchar(80)"),
    ("ITEMID", "nvarchar(20)"),
    ("INVENTDIMID", "nvarchar(20)"),
    ("BARCODESETUPID", "nvarchar(10)"),
    ("UNITID", "nvarchar(10)"),
    ("QTY", "numeric(32,16)"),
    ("DATAAREAID", "nvarchar(4)"),
];
const PRICE: [(&str, &str); 12] = [
    ("RECID", "bigint"),
    ("ITEMRELATION", "nvarchar(20)"),
    ("ACCOUNTRELATION", "nvarchar(20)"),
    ("RELATION", "int"),
    ("CURRENCY", "nvarchar(3)"),
    ("UNITID", "nvarchar(10)"),
    ("AMOUNT", "numeric(32,16)"),
    ("QUANTITYAMOUNTFROM", "numeric(32,16)"),
    ("FROMDATE", "datetime"),
    ("TODATE", "datetime"),
    ("INVENTDIMID", "nvarchar(20)"),
    ("DATAAREAID", "nvarchar(4)"),
];
const CUSTOMER: [(&str, &str); 10] = [
    ("RECID", "bigint"),
    ("ACCOUNTNUM", "nvarchar(20)"),
    ("PARTY", "bigint"),
    ("CUSTGROUP", "nvarchar(10)"),
    ("CURRENCY", "nvarchar(3)"),
    ("TAXGROUP", "nvarchar(10)"),
    ("NAME", "nvarchar(100)"),
    ("CREDITMAX", "numeric(32,16)"),
    ("MODIFIEDDATETIME", "datetime"),
    ("DATAAREAID", "nvarchar(4)"),
];

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn decimal(unscaled: i64, scale: u8) -> Value {
    let exact = Decimal::new(i128::from(unscaled) * 10i128.pow(u32::from(scale) - 4), scale);
    Value::Decimal(exact.expect("an amount of the bench has few digits"))
}

fn day(day: i64) -> Value {
    Value::Timestamp(Timestamp::new(Date(day as i32), Time(0)))
}

fn record(number: i64) -> Value {
    Value::Int(5_637_000_000 + number)
}

fn product(number: i64) -> Vec<Value> {
    let words = "A coat for wet days with two inner pockets and a hood that can be taken off, washed at thirty degrees";
    vec![
        record(number),
        text(format!("{number:07}")),
        text(format!("Coat {}, size {}", number % 977, number % 11)),
        text(&words[..40 + (number % 60) as usize]),
        Value::Int(number % 3),
        record(number * 3),
        text(["FULL", "HALF", "NONE"][(number % 3) as usize]),
        text("ea"),
        decimal(number % 90_000 + 1, 12),
        text(format!("{}-{}", number % 41, number % 43)),
        day(19_000 + number % 700),
        text("usrt"),
    ]
}

fn barcode(number: i64) -> Vec<Value> {
    vec![
        record(number),
        text(format!("40{number:011}")),
        text(format!("{:07}", number * 10 / 11)),
        text(format!("DIM{:08}", number % 9_973)),
        text("EAN13"),
        text("ea"),
        decimal(10_000, 16),
        text("usrt"),
    ]
}

fn price(number: i64) -> Vec<Value> {
    vec![
        record(number),
        text(format!("{:07}", number / 4)),
        text(["", "WEB", "CLUB", "STAFF"][(number % 4) as usize]),
        Value::Int(4 + number % 3),
        text("EUR"),
        text("ea"),
        decimal(number * 7_919 % 99_999_999 + 1, 16),
        decimal(10_000, 16),
        day(19_000 + number % 700),
        day(21_000 + number % 700),
        text(format!("DIM{:08}", number % 9_973)),
        text("usrt"),
    ]
}

fn customer(number: i64) -> Vec<Value> {
    vec![
        record(number),
        text(format!("C{number:08}")),
        record(number * 7),
        text(["RETAIL", "TRADE"][(number % 2) as usize]),
        text("EUR"),
        text("FULL"),
        text(format!("Customer {} of street {}", number, number % 8_191)),
        decimal(number % 5_000 * 10_000, 16),
        day(18_000 + number % 2_000),
        text("usrt"),
    ]
}
