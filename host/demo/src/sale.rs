//! A basket becomes a sale: the rows of one POS transaction, whose amounts add up exactly.
//!
//! Goods and tax are negative (they leave the store), payments positive, as AX stores them:
//!
//! * a line's NETAMOUNT = -(PRICE x QTY rounded to the cent - discount), its TAXAMOUNT = the sum of its tax rows
//! * the header's GROSSAMOUNT = the sum over lines of NETAMOUNT + TAXAMOUNT, PAYMENTAMOUNT = the sum of payments
//! * GROSSAMOUNT + PAYMENTAMOUNT = 0
//!
//! The sale also moves the register's last used number (RETAILPOSSEEDDATA), in the same transaction.

use crate::DemoError;
use crate::generate::{COMPANY, TRANSACTION_SEED};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use tillhold_core::fit::fit;
use tillhold_core::moment::{TICKS_PER_SECOND, Timestamp};
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::Operation;
use tillhold_core::value::{Decimal, Value};
use tillhold_kit::Schema;

pub(crate) const HEADER: &str = "RETAILTRANSACTIONTABLE";
pub(crate) const LINES: &str = "RETAILTRANSACTIONSALESTRANS";
pub(crate) const TAXES: &str = "RETAILTRANSACTIONTAXTRANS";
pub(crate) const PAYMENTS: &str = "RETAILTRANSACTIONPAYMENTTRANS";
pub(crate) const SEEDS: &str = "RETAILPOSSEEDDATA";
/// What a sale writes to.
pub(crate) const TABLES: [&str; 5] = [HEADER, LINES, TAXES, PAYMENTS, SEEDS];
/// RETAILTRANSACTIONTABLE.TYPE of a sale.
const SALES_TYPE: i64 = 2;
const CASH: &str = "1";
const CARD: &str = "2";
const COUPON: &str = "3";
/// Cash is given in notes of this many cents.
const NOTE: i128 = 500;

/// Where and by whom a sale is rung up.
#[derive(Clone, Debug)]
pub struct Till {
    pub store: String,
    pub terminal: String,
    /// RETAILCHANNELTABLE.RECID of the store.
    pub channel: i64,
    pub staff: String,
}

/// One item of a sale, with what the register's database says about it.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: String,
    pub barcode: String,
    pub quantity: u32,
    pub unit: String,
    pub price: Decimal,
    pub discount: Decimal,
    pub coupon: Decimal,
    pub tax_group: String,
    /// Codes with their percentage.
    pub taxes: Vec<(String, Decimal)>,
}

/// A sale before it is rung up.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: [u8; 16],
    /// The number after the last used one.
    pub sequence: i64,
    pub at: Timestamp,
    pub customer: String,
    pub card: String,
    pub items: Vec<Item>,
}

/// One row of a POS transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenRow {
    pub table: Arc<Table>,
    pub operation: Operation,
    /// Column positions and their values, each as its column holds it.
    pub cells: Vec<(usize, Value)>,
}

/// A sale as the register writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sale {
    pub id: [u8; 16],
    /// Store-Terminal-Sequence.
    pub number: String,
    pub rows: Vec<WrittenRow>,
    /// What the shopper paid.
    pub total: Decimal,
}

impl WrittenRow {
    pub(crate) fn new<const N: usize>(
        schema: &Schema,
        table: &TableName,
        operation: Operation,
        cells: [(&str, Value); N],
    ) -> Result<WrittenRow, DemoError> {
        let unfit = |column: &str, reason: String| DemoError::Unfit {
            table: table.clone(),
            column: column.to_string(),
            reason,
        };
        let missing = || unfit("", "the schema does not have this table".to_string());
        let found = schema.table(table).ok_or_else(missing)?.clone();
        let cell = |(column, value): (&str, Value)| {
            let at = found.position(column);
            let at = at.ok_or_else(|| unfit(column, "there is no such column".to_string()))?;
            let value = fit(value, found.columns[at].of);
            value.map(|value| (at, value)).map_err(|misfit| unfit(column, misfit.reason))
        };
        let cells = cells.into_iter().map(cell).collect::<Result<_, _>>()?;
        Ok(WrittenRow { table: found, operation, cells })
    }

    /// As the front door takes it: canonical texts.
    pub(crate) fn json(&self) -> Json {
        let operation = match self.operation {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
        };
        let cell = |(at, value): &(usize, Value)| {
            let column = &self.table.columns[*at];
            (
                column.name.clone(),
                text::canonical(value, column.of).map_or(Json::Null, Json::String),
            )
        };
        let values: Map<String, Json> = self.cells.iter().map(cell).collect();
        json!({ "table": self.table.name.to_string(), "operation": operation, "values": values })
    }

    /// A cell by its column's name; `None` when the row does not set it.
    pub fn value(&self, column: &str) -> Option<&Value> {
        let at = self.table.position(column)?;
        self.cells.iter().find(|(position, _)| *position == at).map(|(_, value)| value)
    }
}

/// The body of a PUT.
pub(crate) fn body(rows: &[WrittenRow]) -> Json {
    json!({ "rows": rows.iter().map(WrittenRow::json).collect::<Vec<_>>() })
}

/// Rings a draft up at a till.
pub fn ring_up(schema: &Schema, till: &Till, draft: &Draft) -> Result<Sale, DemoError> {
    let too_large = || DemoError::Unfit {
        table: ax(HEADER),
        column: "GROSSAMOUNT".to_string(),
        reason: "the sale's amounts are too large".to_string(),
    };
    let totals = Totals::of(draft).ok_or_else(too_large)?;
    let number = format!("{}-{}-{}", till.store, till.terminal, draft.sequence);
    let ringing = Ringing { schema, till, draft, totals: &totals, number: &number };
    let payments = ringing.payments()?;
    let mut rows = vec![ringing.header(payments.len())?];
    for at in 0..draft.items.len() {
        rows.push(ringing.line(at)?);
    }
    for at in 0..draft.items.len() {
        rows.extend(ringing.taxes(at)?);
    }
    rows.extend(payments);
    rows.push(ringing.seed()?);
    Ok(Sale { id: draft.id, number, rows, total: totals.gross })
}

fn ax(name: &str) -> TableName {
    TableName::new("ax", name)
}

/// Positive amounts, in cents' precision.
struct Totals {
    lines: Vec<LineTotals>,
    net: Decimal,
    discount: Decimal,
    gross: Decimal,
    coupons: Decimal,
}

struct LineTotals {
    net: Decimal,
    discount: Decimal,
    /// In the order of the item's codes.
    taxes: Vec<Decimal>,
    tax: Decimal,
}

impl Totals {
    fn of(draft: &Draft) -> Option<Totals> {
        let lines: Vec<LineTotals> =
            draft.items.iter().map(LineTotals::of).collect::<Option<_>>()?;
        let net = sum(lines.iter().map(|line| line.net))?;
        let gross = net.checked_add(sum(lines.iter().map(|line| line.tax))?)?.rescale(2)?;
        let discount = sum(lines.iter().map(|line| line.discount))?;
        let coupons = sum(draft.items.iter().map(|item| item.coupon))?.min(gross);
        Some(Totals { lines, net, discount, gross, coupons })
    }
}

impl LineTotals {
    fn of(item: &Item) -> Option<LineTotals> {
        let quantity = Decimal::new(i128::from(item.quantity), 0)?;
        let full = item.price.checked_mul(quantity)?.rescale(2)?;
        let discount = item.discount.min(full);
        let net = full.checked_sub(discount)?;
        let percent = |(_, rate): &(String, Decimal)| {
            let hundredth = rate.rescale(4)?.checked_mul(Decimal::new(1, 2)?)?;
            net.checked_mul(hundredth)?.rescale(2)
        };
        let taxes: Vec<Decimal> = item.taxes.iter().map(percent).collect::<Option<_>>()?;
        let tax = sum(taxes.iter().copied())?;
        Some(LineTotals { net, discount, taxes, tax })
    }
}

fn sum(mut amounts: impl Iterator<Item = Decimal>) -> Option<Decimal> {
    amounts.try_fold(Decimal::ZERO, Decimal::checked_add)
}

/// Everything that the rows of one sale share.
struct Ringing<'a> {
    schema: &'a Schema,
    till: &'a Till,
    draft: &'a Draft,
    totals: &'a Totals,
    number: &'a str,
}

impl Ringing<'_> {
    fn insert<const N: usize>(
        &self,
        table: &str,
        cells: [(&str, Value); N],
    ) -> Result<WrittenRow, DemoError> {
        WrittenRow::new(self.schema, &ax(table), Operation::Insert, cells)
    }

    fn header(&self, payments: usize) -> Result<WrittenRow, DemoError> {
        let (till, draft, totals) = (self.till, self.draft, self.totals);
        let items: u64 = draft.items.iter().map(|item| u64::from(item.quantity)).sum();
        self.insert(
            HEADER,
            [
                ("STORE", text(&till.store)),
                ("TERMINAL", text(&till.terminal)),
                ("TRANSACTIONID", text(self.number)),
                ("CHANNEL", Value::Int(till.channel)),
                ("DATAAREAID", text(COMPANY)),
                ("TYPE", Value::Int(SALES_TYPE)),
                ("CURRENCY", text("USD")),
                ("EXCHRATE", Value::Int(100)),
                ("CUSTACCOUNT", text(&draft.customer)),
                ("LOYALTYCARDID", text(&draft.card)),
                ("STAFF", text(&till.staff)),
                ("CREATEDONPOSTERMINAL", text(&till.terminal)),
                ("INVENTLOCATIONID", text(&till.store)),
                ("RECEIPTID", text(&self.receipt())),
                ("TRANSDATE", Value::Date(draft.at.date())),
                ("BUSINESSDATE", Value::Date(draft.at.date())),
                ("TRANSTIME", self.seconds()),
                ("NETAMOUNT", negative(totals.net)),
                ("GROSSAMOUNT", negative(totals.gross)),
                ("DISCAMOUNT", Value::Decimal(totals.discount)),
                ("PAYMENTAMOUNT", Value::Decimal(totals.gross)),
                ("NUMBEROFITEMS", Value::Int(items as i64)),
                ("NUMBEROFITEMLINES", Value::Int(draft.items.len() as i64)),
                ("NUMBEROFPAYMENTLINES", Value::Int(payments as i64)),
            ],
        )
    }

    fn line(&self, at: usize) -> Result<WrittenRow, DemoError> {
        let (till, draft) = (self.till, self.draft);
        let (item, totals) = (&draft.items[at], &self.totals.lines[at]);
        let with_tax = totals.net.checked_add(totals.tax).unwrap_or(totals.net);
        self.insert(
            LINES,
            [
                ("STORE", text(&till.store)),
                ("TERMINALID", text(&till.terminal)),
                ("TRANSACTIONID", text(self.number)),
                ("LINENUM", line_number(at)),
                ("CHANNEL", Value::Int(till.channel)),
                ("DATAAREAID", text(COMPANY)),
                ("ITEMID", text(&item.id)),
                ("BARCODE", text(&item.barcode)),
                ("UNIT", text(&item.unit)),
                ("QTY", Value::Int(-i64::from(item.quantity))),
                ("PRICE", Value::Decimal(item.price)),
                ("ORIGINALPRICE", Value::Decimal(item.price)),
                ("NETAMOUNT", negative(totals.net)),
                ("NETAMOUNTINCLTAX", negative(with_tax)),
                ("TAXAMOUNT", negative(totals.tax)),
                ("DISCAMOUNT", Value::Decimal(totals.discount)),
                ("TAXITEMGROUP", text(&item.tax_group)),
                ("TAXGROUP", text(&till.store)),
                ("CUSTACCOUNT", text(&draft.customer)),
                ("STAFFID", text(&till.staff)),
                ("RECEIPTID", text(&self.receipt())),
                ("TRANSDATE", Value::Date(draft.at.date())),
                ("TRANSTIME", self.seconds()),
            ],
        )
    }

    fn taxes(&self, at: usize) -> Result<Vec<WrittenRow>, DemoError> {
        let till = self.till;
        let codes = self.draft.items[at].taxes.iter().zip(&self.totals.lines[at].taxes);
        let row = |((code, _), amount): (&(String, Decimal), &Decimal)| {
            self.insert(
                TAXES,
                [
                    ("STOREID", text(&till.store)),
                    ("TERMINALID", text(&till.terminal)),
                    ("TRANSACTIONID", text(self.number)),
                    ("SALELINENUM", line_number(at)),
                    ("TAXCODE", text(code)),
                    ("CHANNEL", Value::Int(till.channel)),
                    ("DATAAREAID", text(COMPANY)),
                    ("AMOUNT", negative(*amount)),
                ],
            )
        };
        codes.map(row).collect()
    }

    /// Coupons first; the rest by card, or for every third sale in cash with change.
    fn payments(&self) -> Result<Vec<WrittenRow>, DemoError> {
        let mut parts = Vec::new();
        let (gross, coupons) = (self.totals.gross, self.totals.coupons);
        let rest = gross.checked_sub(coupons).unwrap_or(gross);
        if coupons > Decimal::ZERO {
            parts.push((COUPON, coupons, false));
        }
        if rest > Decimal::ZERO && self.draft.sequence % 3 != 0 {
            parts.push((CARD, rest, false));
        } else if rest > Decimal::ZERO {
            let given = in_notes(rest);
            parts.push((CASH, given, false));
            let change = rest.checked_sub(given).unwrap_or(Decimal::ZERO);
            if change != Decimal::ZERO {
                parts.push((CASH, change, true));
            }
        }
        parts.into_iter().enumerate().map(|(at, part)| self.payment(at, part)).collect()
    }

    fn payment(&self, at: usize, part: (&str, Decimal, bool)) -> Result<WrittenRow, DemoError> {
        let (till, (tender, amount, is_change)) = (self.till, part);
        let amount = Value::Decimal(amount);
        self.insert(
            PAYMENTS,
            [
                ("STORE", text(&till.store)),
                ("TERMINAL", text(&till.terminal)),
                ("TRANSACTIONID", text(self.number)),
                ("LINENUM", line_number(at)),
                ("CHANNEL", Value::Int(till.channel)),
                ("DATAAREAID", text(COMPANY)),
                ("TENDERTYPE", text(tender)),
                ("AMOUNTTENDERED", amount.clone()),
                ("AMOUNTCUR", amount.clone()),
                ("AMOUNTMST", amount),
                ("CHANGELINE", Value::Int(i64::from(is_change))),
                ("CURRENCY", text("USD")),
                ("EXCHRATE", Value::Int(100)),
                ("QTY", Value::Int(1)),
                ("STAFF", text(&till.staff)),
                ("RECEIPTID", text(&self.receipt())),
                ("TRANSDATE", Value::Date(self.draft.at.date())),
                ("TRANSTIME", self.seconds()),
            ],
        )
    }

    fn seed(&self) -> Result<WrittenRow, DemoError> {
        let cells = [
            ("DATATYPE", Value::Int(TRANSACTION_SEED)),
            ("STORENUMBER", text(&self.till.store)),
            ("TERMINALID", text(&self.till.terminal)),
            ("DATAAREAID", text(COMPANY)),
            ("DATAVALUE", Value::Int(self.draft.sequence)),
        ];
        WrittenRow::new(self.schema, &ax(SEEDS), Operation::Update, cells)
    }

    fn receipt(&self) -> String {
        format!("{}{:08}", self.till.terminal, self.draft.sequence)
    }

    fn seconds(&self) -> Value {
        Value::Int(self.draft.at.time().0 as i64 / TICKS_PER_SECOND)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

fn negative(amount: Decimal) -> Value {
    Value::Decimal(Decimal::ZERO.checked_sub(amount).unwrap_or(Decimal::ZERO))
}

fn line_number(at: usize) -> Value {
    Value::Int(at as i64 + 1)
}

/// The least sum of notes that covers an amount.
fn in_notes(amount: Decimal) -> Decimal {
    let cents = amount.rescale(2).unwrap_or(amount).unscaled();
    Decimal::new((cents + NOTE - 1) / NOTE * NOTE, 2).unwrap_or(amount)
}

#[cfg(test)]
mod tests;
