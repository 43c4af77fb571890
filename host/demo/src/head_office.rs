//! What head office does while the register is cut off: edits that must all be right on both sides afterwards.
//!
//! 1. Prices of the store change.
//! 2. One customer is edited here while a cashier edits the same customer at the register: a conflict.
//! 3. New customers come in, one of them another store's; one customer moves to another store; one barcode goes.

use crate::DemoError;
use crate::generate::{COMPANY, DemoStore, percent_of};
use crate::sale::WrittenRow;
use crate::session::{Session, literal};
use tillhold_core::table::TableName;
use tillhold_core::transaction::Operation;
use tillhold_core::value::{Decimal, Value};

/// Prices that change, as far as the store has that many.
const PRICES_MAX: u64 = 300;
const NEW_CUSTOMERS: u64 = 5;
/// Percent of the old price.
const NEW_PRICE: u64 = 107;
/// RECIDs of head office's new rows: far above every generated one.
const NEW_RECORDS: i64 = 5_700_000_000;

/// What was done, for the summary and the check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    pub(crate) prices: u64,
    pub(crate) customers: u64,
    /// Customers who belong to another store now: one new, one moved there.
    pub(crate) elsewhere: u64,
    pub(crate) deleted: u64,
}

/// The customer that both sides edit, and how it must end.
#[derive(Clone, Debug)]
pub(crate) struct Contested {
    pub(crate) account: String,
    /// Columns of CUSTTABLE with the value that each side gives them and the one that must remain.
    pub(crate) cells: Vec<ContestedCell>,
}

#[derive(Clone, Debug)]
pub(crate) struct ContestedCell {
    pub(crate) column: &'static str,
    pub(crate) office: Option<Value>,
    pub(crate) till: Option<Value>,
    pub(crate) remains: Value,
}

impl Contested {
    /// The first real household: the cashier enters its VAT number and a wish for credit; the office has just decided
    /// on the credit and the terms, and has a VAT number of its own.
    pub(crate) fn of(store: &DemoStore) -> Contested {
        let credit = |cents: i128| Value::Decimal(Decimal::new(cents, 2).unwrap_or(Decimal::ZERO));
        let text = |text: &str| Value::Text(text.to_string());
        let cell = |column, office: Option<Value>, till: Option<Value>, remains: Value| {
            ContestedCell { column, office, till, remains }
        };
        Contested {
            account: store.customer(0).account,
            cells: vec![
                cell("CREDITMAX", Some(credit(750_000)), Some(credit(990_000)), credit(750_000)),
                cell("PAYMTERMID", Some(text("NET60")), None, text("NET60")),
                cell(
                    "VATNUM",
                    Some(text("US-OFFICE-1")),
                    Some(text("US-TILL-2")),
                    text("US-TILL-2"),
                ),
            ],
        }
    }

    /// The cashier's side, as one update.
    pub(crate) fn at_the_till(&self, store: &DemoStore) -> Result<Vec<WrittenRow>, DemoError> {
        let till = |column| {
            let cell = self.cells.iter().find(|cell| cell.column == column);
            cell.and_then(|cell| cell.till.clone()).unwrap_or(Value::Null)
        };
        let cells = [
            ("ACCOUNTNUM", Value::Text(self.account.clone())),
            ("DATAAREAID", Value::Text(COMPANY.to_string())),
            ("CREDITMAX", till("CREDITMAX")),
            ("VATNUM", till("VATNUM")),
        ];
        let name = TableName::new("ax", "CUSTTABLE");
        Ok(vec![WrittenRow::new(&store.schema, &name, Operation::Update, cells)?])
    }

    fn at_the_office(&self) -> String {
        let set = |cell: &ContestedCell| {
            cell.office.as_ref().map(|value| format!("[{}] = {}", cell.column, sql(value)))
        };
        let set: Vec<String> = self.cells.iter().filter_map(set).collect();
        format!(
            "UPDATE [ax].[CUSTTABLE] SET {} WHERE [ACCOUNTNUM] = {} AND [DATAAREAID] = {};",
            set.join(", "),
            literal(&self.account),
            literal(COMPANY)
        )
    }

    /// How it had to end, for people: `CREDITMAX 7500.00 (head office), …`.
    pub(crate) fn outcome(&self) -> String {
        let part = |cell: &ContestedCell| {
            let who =
                if cell.till.as_ref() == Some(&cell.remains) { "register" } else { "head office" };
            let value = match &cell.remains {
                Value::Text(text) => text.clone(),
                Value::Decimal(decimal) => decimal.to_string(),
                other => format!("{other:?}"),
            };
            format!("{} {value} ({who}'s)", cell.column)
        };
        self.cells.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// How the channel's row differs from what must remain; `None` when it does not.
    pub(crate) fn differs(&self, channel: &mut Session) -> Result<Option<String>, DemoError> {
        let columns: Vec<String> = self.cells.iter().map(|c| format!("[{}]", c.column)).collect();
        let select = format!(
            "SELECT {} FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = {} AND [DATAAREAID] = {};",
            columns.join(", "),
            literal(&self.account),
            literal(COMPANY)
        );
        let mut rows = Vec::new();
        channel.select(&select, |row| rows.push(row))?;
        let [row] = rows.as_slice() else {
            return Ok(Some(format!("customer {} is there {} times", self.account, rows.len())));
        };
        let unlike = self.cells.iter().zip(row).find(|(cell, value)| cell.remains != **value);
        Ok(unlike.map(|(cell, value)| {
            format!(
                "customer {}: {} is {value:?}, not {:?}",
                self.account, cell.column, cell.remains
            )
        }))
    }
}

/// Carries the edits out, each in a transaction of its own.
pub(crate) fn edit(
    store: &DemoStore,
    contested: &Contested,
    channel: &mut Session,
) -> Result<Edits, DemoError> {
    let prices = store.size.products.min(PRICES_MAX);
    let mut edits = Edits { prices, customers: NEW_CUSTOMERS, elsewhere: 2, deleted: 1 };
    transaction(channel, (0..prices).filter_map(|i| new_price(store, i)))?;
    transaction(channel, [contested.at_the_office()].into_iter())?;
    let (own, other) = (&store.own().number, &store.branches[1].number);
    transaction(channel, (0..NEW_CUSTOMERS).flat_map(|i| new_customer(own, i)))?;
    transaction(channel, new_customer(other, NEW_CUSTOMERS).into_iter())?;
    transaction(channel, moved(store, contested, other).into_iter())?;
    edits.deleted = channel.run(&format!(
        "DELETE FROM [ax].[INVENTITEMBARCODE] WHERE [ITEMBARCODE] = {};",
        literal(&crate::generate::barcode(store.size.barcodes - 1))
    ))?;
    Ok(edits)
}

fn transaction(
    channel: &mut Session,
    statements: impl Iterator<Item = String>,
) -> Result<(), DemoError> {
    channel.run("BEGIN TRANSACTION;")?;
    for statement in statements {
        if let Err(error) = channel.run(&statement) {
            channel.run("ROLLBACK TRANSACTION;")?;
            return Err(error);
        }
    }
    channel.run("COMMIT TRANSACTION;").map(drop)
}

fn new_price(store: &DemoStore, product: u64) -> Option<String> {
    let (record, price) = store.own_price(product);
    let price = percent_of(price, NEW_PRICE)?;
    Some(format!(
        "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = {price}, [MODIFIEDDATETIME] = GETUTCDATE() WHERE [RECID] = CAST({record} AS bigint);"
    ))
}

fn new_customer(home: &str, index: u64) -> [String; 2] {
    let account = literal(&format!("N{:07}", index + 1));
    let record = NEW_RECORDS + index as i64;
    let company = literal(COMPANY);
    let home = literal(home);
    let email = literal(&format!("newcomer{index}@example.org"));
    [
        format!(
            "INSERT INTO [ax].[CUSTTABLE] ([RECID], [ACCOUNTNUM], [PARTY], [CURRENCY], [CUSTGROUP], [INVENTLOCATION], [DATAAREAID]) \
             VALUES ({record}, {account}, {record}, N'USD', N'RETAIL', {home}, {company});"
        ),
        format!(
            "INSERT INTO [ax].[RETAILCUSTTABLE] ([RECID], [ACCOUNTNUM], [RECEIPTEMAIL], [DATAAREAID]) \
             VALUES ({record}, {account}, {email}, {company});"
        ),
    ]
}

/// The first customer of this store that nobody else edits, moved to `other`: the register must let go of the row.
fn moved(store: &DemoStore, contested: &Contested, other: &str) -> Option<String> {
    let own = &store.own().number;
    let mut customers = (0..store.size.customers).map(|index| store.customer(index));
    let mover = customers.find(|c| c.store == *own && c.account != contested.account)?;
    Some(format!(
        "UPDATE [ax].[CUSTTABLE] SET [INVENTLOCATION] = {} WHERE [ACCOUNTNUM] = {};",
        literal(other),
        literal(&mover.account)
    ))
}

fn sql(value: &Value) -> String {
    match value {
        Value::Text(text) => literal(text),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Int(number) => number.to_string(),
        _ => "NULL".to_string(),
    }
}
