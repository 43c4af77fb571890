//! What the channel does not have, told in sales: how many, for how much, since when; and how much of it waits in which
//! table.
//!
//! * Unsent is everything that is not settled: what waits to be sent, and what waits for a person.
//! * The amount of a sale is that of its header as the register left it.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::image;
use crate::registry::{Entry, Registry};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::table::TableName;
use tillhold_core::value::Decimal;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsentSales {
    /// Including, as one, what other programs wrote since the log was last read.
    pub transactions: u64,
    pub rows: u64,
    /// When the oldest was received.
    pub oldest_ms: Option<i64>,
    /// By currency; empty when the register keeps no such table of sales.
    pub amounts: BTreeMap<String, Decimal>,
}

/// A table of sales, and its columns of amount and currency.
#[derive(Clone, Debug)]
pub struct SaleColumns {
    pub table: TableName,
    pub amount: String,
    pub currency: String,
}

impl LocalDatabase {
    pub async fn unsent_sales(&self, of: &SaleColumns) -> Result<UnsentSales, LocalError> {
        let place = place(&self.registry(), of);
        self.readers(Kind::Journal).run(move |conn| told(conn, place.as_ref())).await
    }

    /// Rows of each table that are not in the channel.
    pub async fn unsent_rows(&self) -> Result<BTreeMap<TableName, u64>, LocalError> {
        let registry = self.registry();
        self.readers(Kind::Journal).run(move |conn| by_table(conn, &registry)).await
    }
}

/// A table of sales, and where its rows have the columns.
pub(crate) struct SalePlace {
    entry: Arc<Entry>,
    amount: usize,
    currency: usize,
}

/// `None` when the register keeps no such table.
pub(crate) fn place(registry: &Registry, of: &SaleColumns) -> Option<SalePlace> {
    let entry = registry.get(&of.table).ok()?.clone();
    let position = |name: &str| entry.table.position(name);
    let (amount, currency) = (position(&of.amount)?, position(&of.currency)?);
    Some(SalePlace { entry, amount, currency })
}

pub(crate) fn told(conn: &Connection, place: Option<&SalePlace>) -> Result<UnsentSales, Trouble> {
    let mut unsent = counted(conn)?;
    if let Some(place) = place
        && unsent.rows > 0
    {
        unsent.amounts = amounts(conn, place)?;
    }
    Ok(unsent)
}

fn counted(conn: &Connection) -> Result<UnsentSales, Trouble> {
    let number = |sql: &str| -> Result<Option<i64>, Trouble> {
        Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
    };
    let unsettled = number("SELECT count(*) FROM tillhold_transaction WHERE state <> 'settled'")?;
    let unadopted =
        number("SELECT EXISTS (SELECT 1 FROM tillhold_log WHERE transaction_id IS NULL)")?;
    let oldest =
        number("SELECT min(received_at_ms) FROM tillhold_transaction WHERE state <> 'settled'")?;
    Ok(UnsentSales {
        transactions: (unsettled.unwrap_or(0) + unadopted.unwrap_or(0)) as u64,
        rows: number("SELECT count(*) FROM tillhold_log")?.unwrap_or(0) as u64,
        oldest_ms: oldest,
        amounts: BTreeMap::new(),
    })
}

/// Of several images of one header the last counts; one that is gone again counts nothing.
fn amounts(conn: &Connection, place: &SalePlace) -> Result<BTreeMap<String, Decimal>, Trouble> {
    let SalePlace { entry, amount, currency } = place;
    let cell = |at| image::cell_sql_of(&entry.table, "new_row", at);
    // Cells beside max() are those of its row.
    let sql = format!(
        "SELECT {}, {}, max(seq) FROM tillhold_log WHERE table_id = ?1 GROUP BY key",
        cell(*amount),
        cell(*currency)
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([entry.id])?;
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // What another program wrote may be no amount; its upload says so.
        let amount = row.get_ref(0)?.as_str().ok().and_then(Decimal::parse);
        let Some(amount) = amount else { continue };
        let currency = row.get_ref(1)?.as_str().unwrap_or_default().trim_end().to_uppercase();
        let sum = sums.entry(currency).or_insert(Decimal::ZERO);
        *sum = sum.checked_add(amount).unwrap_or(*sum);
    }
    Ok(sums)
}

fn by_table(conn: &Connection, registry: &Registry) -> Result<BTreeMap<TableName, u64>, Trouble> {
    let mut statement =
        conn.prepare_cached("SELECT table_id, count(*) FROM tillhold_log GROUP BY table_id")?;
    let mut rows = statement.query(())?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name = registry.in_journal(row.get(0)?)?.table.name.clone();
        found.insert(name, row.get::<_, i64>(1)? as u64);
    }
    Ok(found)
}
