//! Sales as a register makes them, for the benches: their tables, rows and JSON, and the look at what arrived.

use super::{Fallible, Shop, load, table};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::moment::{Date, Time, Timestamp};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text as canon;
use tillhold_core::value::{Decimal, Value};
use tillhold_embedded::Engine;

/// Shortened from the channel's own, with their keys.
pub struct Tables {
    pub header: Table,
    pub line: Table,
    pub payment: Table,
    pub seed: Table,
}

impl Tables {
    pub fn new() -> Fallible<Tables> {
        let sale = [
            ("CHANNEL", "bigint"),
            ("STORE", "nvarchar(10)"),
            ("TERMINAL", "nvarchar(10)"),
            ("TRANSACTIONID", "nvarchar(44)"),
            ("DATAAREAID", "nvarchar(4)"),
        ];
        let with = |more: &[(&'static str, &'static str)]| [&sale[..], more].concat();
        let header = [
            ("STAFF", "nvarchar(25)"),
            ("CUSTACCOUNT", "nvarchar(20)"),
            ("CURRENCY", "nvarchar(3)"),
            ("GROSSAMOUNT", "numeric(32,16)"),
            ("NETAMOUNT", "numeric(32,16)"),
            ("PAYMENTAMOUNT", "numeric(32,16)"),
            ("NUMBEROFITEMS", "numeric(32,16)"),
            ("ENTRYSTATUS", "int"),
            ("TYPE", "int"),
            ("RECEIPTID", "nvarchar(18)"),
            ("TRANSDATE", "datetime"),
            ("CREATEDDATETIME", "datetime"),
        ];
        let line = [
            ("LINENUM", "numeric(32,16)"),
            ("ITEMID", "nvarchar(20)"),
            ("BARCODE", "nvarchar(80)"),
            ("DESCRIPTION", "nvarchar(60)"),
            ("UNIT", "nvarchar(10)"),
            ("QTY", "numeric(32,16)"),
            ("PRICE", "numeric(32,16)"),
            ("NETAMOUNT", "numeric(32,16)"),
            ("TAXAMOUNT", "numeric(32,16)"),
            ("DISCAMOUNT", "numeric(32,16)"),
            ("TAXGROUP", "nvarchar(10)"),
            ("TRANSDATE", "datetime"),
        ];
        let payment = [
            ("LINENUM", "numeric(32,16)"),
            ("TENDERTYPE", "nvarchar(10)"),
            ("CURRENCY", "nvarchar(3)"),
            ("AMOUNTCUR", "numeric(32,16)"),
            ("AMOUNTTENDERED", "numeric(32,16)"),
            ("TRANSDATE", "datetime"),
        ];
        let seed = [
            ("DATATYPE", "int"),
            ("DATAVALUE", "bigint"),
            ("STORENUMBER", "nvarchar(10)"),
            ("TERMINALID", "nvarchar(10)"),
            ("DATAAREAID", "nvarchar(4)"),
        ];
        let whole = [0, 1, 2, 3, 4];
        let with_line = [0, 1, 2, 3, 5, 4];
        Ok(Tables {
            header: table("ax.RETAILTRANSACTIONTABLE", &with(&header), &whole)?,
            line: table("ax.RETAILTRANSACTIONSALESTRANS", &with(&line), &with_line)?,
            payment: table("ax.RETAILTRANSACTIONPAYMENTTRANS", &with(&payment), &with_line)?,
            seed: table("ax.RETAILPOSSEEDDATA", &seed, &[0, 2, 3, 4])?,
        })
    }

    pub fn all(&self) -> [Table; 4] {
        [self.header.clone(), self.line.clone(), self.payment.clone(), self.seed.clone()]
    }
}

pub fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub fn amount(unscaled: i64) -> Value {
    let exact = Decimal::new(i128::from(unscaled) * 10i128.pow(14), 16);
    Value::Decimal(exact.expect("an amount of the bench has few digits"))
}

pub fn moment(sale: i64) -> Value {
    let ms = (sale as u64 * 7_907) % 86_400_000 / 1_000 * 1_000;
    Value::Timestamp(Timestamp::new(Date(20_400), Time(ms * 10_000)))
}

pub fn seed_row(number: i64) -> Vec<Value> {
    vec![Value::Int(7), Value::Int(number), text("S1"), text("1"), text("usrt")]
}

pub fn key(sale: i64) -> Vec<Value> {
    let id = id_of(1, sale);
    vec![Value::Int(5_637_144_592), text("S1"), text("1"), text(id), text("usrt")]
}

pub fn header(sale: i64, lines: i64) -> Row {
    let mut row = key(sale);
    row.extend([text("000160"), text(format!("C{:06}", sale % 999)), text("EUR")]);
    row.extend([amount(lines * 1_999), amount(lines * 1_680), amount(lines * 1_999)]);
    row.extend([amount(lines * 100), Value::Int(0), Value::Int(2)]);
    row.extend([text(format!("R{sale:08}")), moment(sale), moment(sale)]);
    Row(row)
}

pub fn line(sale: i64, number: i64) -> Row {
    let item = (sale * 31 + number * 7) % 40_000;
    let mut row = key(sale);
    row.extend([amount(number * 100), text(format!("{item:07}")), text(format!("40{item:011}"))]);
    row.extend([text(format!("Gloves, leather, size {}", item % 11)), text("ea")]);
    row.extend([amount(100), amount(1_999), amount(1_680), amount(319), amount(0)]);
    row.extend([text("AVATAX"), moment(sale)]);
    Row(row)
}

pub fn payment(sale: i64, lines: i64, number: i64) -> Row {
    let mut row = key(sale);
    row.extend([amount(number * 100), text("1"), text("EUR"), amount(lines * 1_999)]);
    row.extend([amount(lines * 1_999), moment(sale)]);
    Row(row)
}

/// Everything arrived, once: asked by a client that is not the agent's.
pub async fn check(shop: &Shop, sales: i64, lines: i64, payments: i64) -> Fallible<()> {
    let mut client = shop.outsider().await?;
    for (table, what, expected) in [
        ("[ax].[RETAILTRANSACTIONTABLE]", "COUNT_BIG(*)", sales),
        ("[ax].[RETAILTRANSACTIONSALESTRANS]", "COUNT_BIG(*)", sales * lines),
        ("[ax].[RETAILTRANSACTIONPAYMENTTRANS]", "COUNT_BIG(*)", sales * payments),
        // What a register raises its number by, after a return, is an entry of one row.
        (
            "[tillhold].[ledger]",
            "SUM(CASE WHEN t.[rows] > 1 THEN CAST(1 AS bigint) ELSE 0 END)",
            sales,
        ),
    ] {
        let sql = format!("SELECT {what} AS [n] FROM {table} AS t;");
        let row = client.simple_query(sql).await?.into_row().await?.ok_or("no row")?;
        let found: Option<i64> = row.try_get(0)?;
        if found != Some(expected) {
            return Err(format!("{what} of {table}: {found:?}, not {expected}").into());
        }
    }
    Ok(())
}

/// How often each sale's number came, its header and its lines, and how many sales the ledger has.
pub struct Arrived {
    pub headers: BTreeMap<String, usize>,
    pub lines: BTreeMap<String, usize>,
    pub ledger: usize,
}

impl Arrived {
    /// Asked by a client that is not the agent's.
    pub async fn at(shop: &Shop) -> Fallible<Arrived> {
        let mut client = shop.outsider().await?;
        let (mut headers, mut lines) = (BTreeMap::new(), BTreeMap::new());
        for (table, found) in [
            ("[ax].[RETAILTRANSACTIONTABLE]", &mut headers),
            ("[ax].[RETAILTRANSACTIONSALESTRANS]", &mut lines),
        ] {
            let sql = format!("SELECT t.[TRANSACTIONID] FROM {table} AS t;");
            for row in client.simple_query(sql).await?.into_first_result().await? {
                let id: &str = row.try_get(0)?.ok_or("a sale without a number")?;
                *found.entry(id.to_string()).or_default() += 1;
            }
        }
        // What a register raises its number by, after a return, is an entry of one row.
        let sql = "SELECT COUNT_BIG(*) AS [n] FROM [tillhold].[ledger] AS t WHERE t.[rows] > 1;";
        let row = client.simple_query(sql).await?.into_row().await?.ok_or("no ledger")?;
        let ledger: i64 = row.try_get(0)?.unwrap_or_default();
        Ok(Arrived { headers, lines, ledger: ledger as usize })
    }

    /// Of a promised sale of so many lines: whether it is lost, whether it came more than once.
    pub fn judge(&self, id: &str, lines: i64) -> (bool, bool) {
        let (header, found) = (self.headers.get(id).copied(), self.lines.get(id).copied());
        let is_lost = header.is_none() || found.unwrap_or(0) < lines as usize;
        (is_lost, header > Some(1) || found > Some(lines as usize))
    }

    /// One ledger entry a sale; a second one would be a second upload.
    pub fn uploaded_twice(&self) -> usize {
        self.ledger.saturating_sub(self.headers.len())
    }

    /// Lost and doubled ones of these.
    pub fn wrong(&self, promised: &[String], lines: i64) -> usize {
        let judged = promised.iter().map(|id| self.judge(id, lines));
        let wrong = judged.filter(|(is_lost, is_doubled)| *is_lost || *is_doubled).count();
        wrong + self.uploaded_twice()
    }
}

/// The tables' seed rows, of so many registers.
pub fn seed(engine: &Arc<Engine>, tables: &Tables, registers: usize) -> Fallible<()> {
    let row = |register: usize| {
        let mut row = seed_row(0);
        row[3] = text(register.to_string());
        row
    };
    load(engine, &tables.seed, &mut (1..=registers).map(row)).map(drop)
}

/// A channel with the tables of a sale, and a register whose profile begins with `conduct`.
pub async fn shop(tables: &Tables, conduct: &str) -> Fallible<Shop> {
    let fill = |engine: &Arc<Engine>| seed(engine, tables, 1);
    let shop = Shop::filled(&tables.all(), "bidirectional", fill).await?;
    shop.profile(|text| format!("{conduct}\n{text}"))?;
    Ok(shop)
}

/// Header, lines, payments.
pub fn rows(tables: &Tables, sale: i64, lines: i64, payments: i64) -> Vec<(&Table, Row)> {
    let mut rows = vec![(&tables.header, header(sale, lines))];
    rows.extend((1..=lines).map(|number| (&tables.line, line(sale, number))));
    rows.extend((1..=payments).map(|number| (&tables.payment, payment(sale, lines, number))));
    rows
}

/// The same of another register, whose number is in each row.
pub fn rows_of(tables: &Tables, register: usize, sale: i64, lines: i64) -> Vec<(&Table, Row)> {
    let mut rows = rows(tables, sale, lines, 1);
    for (_, Row(cells)) in &mut rows {
        cells[2] = text(register.to_string());
        cells[3] = text(id_of(register, sale));
    }
    rows
}

pub fn id_of(register: usize, sale: i64) -> String {
    format!("S1-{register}-{sale}")
}

/// The scopes of sales and of their numbers, beside others in a profile. Nobody pulls another register's sales.
pub fn scopes(tables: &Tables) -> String {
    let names =
        [&tables.header, &tables.line, &tables.payment].map(|table| format!("\"{}\"", table.name));
    format!(
        "[[scope]]\nname = \"Numbers\"\ndirection = \"bidirectional\"\nresolver = \"offline-wins\"\ntables = [\"{}\"]\n\
         [[scope]]\nname = \"Sales\"\ndirection = \"upload\"\ntables = [{}]\n",
        tables.seed.name,
        names.join(", ")
    )
}

/// The same for the front door.
pub fn body(rows: &[(&Table, Row)]) -> Json {
    let row = |(table, row): &(&Table, Row)| {
        let cells = row.0.iter().zip(&table.columns).map(|(value, column)| {
            let text = canon::canonical(value, column.of).unwrap_or_default();
            (column.name.clone(), Json::String(text))
        });
        let values: serde_json::Map<String, Json> = cells.collect();
        json!({ "table": table.name.to_string(), "operation": "insert", "values": values })
    };
    json!({ "rows": rows.iter().map(row).collect::<Vec<_>>() })
}
