//! The cashier: carries real baskets through the front door, as a point of sale would.
//!
//! ```text
//! open:  GET seed number, GET tax tables
//! sell:  GET barcode -> item, GET its unit and tax group, GET its price (a line each) -> ring_up -> PUT
//! ```
//!
//! * A request that fails or gets a 5xx is asked again under the same transaction id until it is answered, at most
//!   for [`PATIENCE`]; what the cashier waited is measured over all tries.
//! * What was acknowledged is written to `sales.jsonl` and synced before the next basket: the check reads promises,
//!   not memories.

use crate::DemoError;
use crate::generate::{COMPANY, DemoStore, SALES_MODULE, SALES_PRICE, TRANSACTION_SEED, barcode};
use crate::sale::{Draft, Item, Sale, Till, WrittenRow, body, ring_up};
use crate::shop::{Basket, BasketLine};
use crate::verify::Acknowledged;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tillhold_client::{Answer, Client, Door, query};
use tillhold_core::fault::Class;
use tillhold_core::text::guid_text;
use tillhold_core::value::Decimal;
use tillhold_env::Env;

/// One request; longer than the agent itself may wait for the channel.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// After so long without an answer the till counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries, unless the front door names another time.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the cashier waited, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    /// A whole sale's PUT, one a sale.
    pub(crate) sales_us: Vec<u64>,
    /// The longest single wait of any kind, tries and pauses included.
    pub(crate) longest_us: u64,
    pub(crate) requests: u64,
    /// Tries beyond the first.
    pub(crate) repeats: u64,
}

impl Waits {
    /// The middle wait for a sale's answer.
    pub(crate) fn median_us(&self) -> u64 {
        let mut sorted = self.sales_us.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

pub(crate) struct Cashier<'a> {
    env: Env,
    client: Client,
    store: &'a DemoStore,
    till: Till,
    last_number: i64,
    taxes: TaxTables,
    slips: File,
    pub(crate) sold: Vec<Acknowledged>,
    pub(crate) waits: Waits,
}

/// Rates by code, codes by group of goods; only codes that the store's own group has.
#[derive(Default)]
struct TaxTables {
    rates: HashMap<String, Decimal>,
    of_goods: HashMap<String, Vec<String>>,
}

impl<'a> Cashier<'a> {
    /// Opens the till: reads the last used number and the taxes. `slips` is where promises are written.
    pub(crate) async fn open(
        env: &Env,
        door: Door,
        store: &'a DemoStore,
        slips: &Path,
    ) -> Result<Cashier<'a>, DemoError> {
        let failed = |cause| DemoError::File { path: slips.to_path_buf(), cause };
        let own = store.own();
        let till = Till {
            store: own.number.clone(),
            terminal: store.register().to_string(),
            channel: own.channel,
            staff: "000101".to_string(),
        };
        let mut cashier = Cashier {
            env: env.clone(),
            client: Client::new(env.clone(), door),
            store,
            till,
            last_number: 0,
            taxes: TaxTables::default(),
            slips: File::create(slips).map_err(failed)?,
            sold: Vec::new(),
            waits: Waits::default(),
        };
        cashier.last_number = cashier.read_last_number().await?;
        cashier.taxes = cashier.read_taxes().await?;
        Ok(cashier)
    }

    /// Sells one basket; comes back when the front door has acknowledged it.
    pub(crate) async fn sell(&mut self, basket: &Basket) -> Result<&Acknowledged, DemoError> {
        let sale = self.ring(basket).await?;
        let started = self.env.clock.monotonic_us();
        let answer = self.put(sale.id, &sale.rows).await?;
        self.waits.sales_us.push(self.env.clock.monotonic_us() - started);
        self.acknowledge(sale, &answer)
    }

    /// A sale with the next number, which nobody has sent yet.
    pub(crate) async fn ring(&mut self, basket: &Basket) -> Result<Sale, DemoError> {
        let mut items = Vec::with_capacity(basket.lines.len());
        for line in &basket.lines {
            items.push(self.scan(line).await?);
        }
        let draft = Draft {
            id: self.env.random.uuid(),
            sequence: self.last_number + 1,
            at: basket.sold_at,
            customer: self.store.account_of(&basket.household),
            card: self.store.card_of(&basket.household).unwrap_or_default(),
            items,
        };
        let sale = ring_up(&self.store.schema, &self.till, &draft)?;
        self.last_number = draft.sequence;
        Ok(sale)
    }

    /// Ends a sale whose PUT was begun elsewhere: asked for again under its id unless it was answered, and then once more,
    /// which must change nothing.
    pub(crate) async fn end(
        &mut self,
        sale: Sale,
        answer: Option<Answer>,
    ) -> Result<bool, DemoError> {
        let first = answer.filter(Answer::is_success);
        let was_answered = first.is_some();
        let answer = match first {
            Some(answer) => answer,
            None => self.put(sale.id, &sale.rows).await?,
        };
        let again = self.put(sale.id, &sale.rows).await?;
        if again.status != 200 || again.body["replayed"] != true {
            return Err(odd("answer to a repeated sale", &again.body.to_string()));
        }
        self.acknowledge(sale, &answer)?;
        Ok(was_answered)
    }

    fn acknowledge(&mut self, sale: Sale, answer: &Answer) -> Result<&Acknowledged, DemoError> {
        let committed = answer.body["committed"].as_str().unwrap_or("unknown").to_string();
        self.keep_slip(&sale.number, &guid_text(&sale.id), &committed)?;
        self.sold.push(Acknowledged { sale, committed });
        Ok(self.sold.last().expect("a sale was pushed just now"))
    }

    /// Writes rows that are no sale, such as a customer's new data, in one transaction.
    pub(crate) async fn write(&mut self, rows: &[WrittenRow]) -> Result<Answer, DemoError> {
        let id = self.env.random.uuid();
        self.put(id, rows).await
    }

    pub(crate) async fn status(&mut self) -> Result<Json, DemoError> {
        Ok(self.ask("/v1/status", None).await?.body)
    }

    async fn put(&mut self, id: [u8; 16], rows: &[WrittenRow]) -> Result<Answer, DemoError> {
        let path = format!("/v1/transactions/{}", guid_text(&id));
        self.ask(&path, Some(&body(rows))).await
    }

    async fn scan(&mut self, line: &BasketLine) -> Result<Item, DemoError> {
        let code = barcode(line.product as u64);
        let scanned = self.first("ax.INVENTITEMBARCODE", &[("ITEMBARCODE", &code)]).await?;
        let id = text_of(&scanned["ITEMID"]);
        let module = SALES_MODULE.to_string();
        let key = [("ITEMID", id.as_str()), ("MODULETYPE", &module), ("DATAAREAID", COMPANY)];
        let goods = self.first("ax.INVENTTABLEMODULE", &key).await?;
        let relation = SALES_PRICE.to_string();
        let group = self.till.store.clone();
        let agreed = [
            ("ITEMRELATION", id.as_str()),
            ("RELATION", relation.as_str()),
            ("ACCOUNTRELATION", group.as_str()),
        ];
        let price = self.first("ax.PRICEDISCTABLE", &agreed).await?;
        let tax_group = text_of(&goods["TAXITEMGROUPID"]);
        Ok(Item {
            barcode: code,
            quantity: line.quantity,
            unit: text_of(&goods["UNITID"]),
            price: decimal_of("PRICEDISCTABLE.AMOUNT", &price["AMOUNT"])?,
            discount: line.discount,
            coupon: line.coupon,
            taxes: self.taxes.of(&tax_group),
            tax_group,
            id,
        })
    }

    async fn read_last_number(&mut self) -> Result<i64, DemoError> {
        let (kind, store, terminal) =
            (TRANSACTION_SEED.to_string(), self.till.store.clone(), self.till.terminal.clone());
        let key = [
            ("DATATYPE", kind.as_str()),
            ("STORENUMBER", store.as_str()),
            ("TERMINALID", terminal.as_str()),
            ("DATAAREAID", COMPANY),
        ];
        let seed = self.first("ax.RETAILPOSSEEDDATA", &key).await?;
        let text = text_of(&seed["DATAVALUE"]);
        text.parse().map_err(|_| odd("RETAILPOSSEEDDATA.DATAVALUE", &text))
    }

    async fn read_taxes(&mut self) -> Result<TaxTables, DemoError> {
        let mut taxes = TaxTables::default();
        let store = self.till.store.clone();
        let own = self.rows("ax.TAXGROUPDATA", &[("TAXGROUP", &store)]).await?;
        let own: Vec<String> = own.iter().map(|row| text_of(&row["TAXCODE"])).collect();
        for row in self.rows("ax.TAXDATA", &[]).await? {
            let rate = decimal_of("TAXDATA.TAXVALUE", &row["TAXVALUE"])?;
            taxes.rates.insert(text_of(&row["TAXCODE"]), rate);
        }
        for row in self.rows("ax.TAXONITEM", &[]).await? {
            let code = text_of(&row["TAXCODE"]);
            if own.contains(&code) {
                taxes.of_goods.entry(text_of(&row["TAXITEMGROUP"])).or_default().push(code);
            }
        }
        Ok(taxes)
    }

    async fn first(&mut self, table: &str, filter: &[(&str, &str)]) -> Result<Json, DemoError> {
        let rows = self.rows(table, filter).await?;
        rows.into_iter().next().ok_or_else(|| {
            let asked: Vec<String> = filter.iter().map(|(c, v)| format!("{c}={v}")).collect();
            DemoError::NoRow { table: table.to_string(), filter: asked.join(", ") }
        })
    }

    async fn rows(&mut self, table: &str, filter: &[(&str, &str)]) -> Result<Vec<Json>, DemoError> {
        let path = query(&format!("/v1/tables/{table}/rows"), filter);
        let mut answer = self.ask(&path, None).await?;
        match answer.body["rows"].take() {
            Json::Array(rows) => Ok(rows),
            other => Err(odd(table, &other.to_string())),
        }
    }

    /// A GET, or a PUT when there is a body, until it is answered.
    async fn ask(&mut self, path: &str, body: Option<&Json>) -> Result<Answer, DemoError> {
        let started = self.env.clock.monotonic_us();
        self.waits.requests += 1;
        loop {
            let asked = match body {
                Some(body) => self.client.put(path, body, REQUEST_LIMIT).await,
                None => self.client.get(path, REQUEST_LIMIT).await,
            };
            let waited = self.env.clock.monotonic_us() - started;
            self.waits.longest_us = self.waits.longest_us.max(waited);
            let (pause, reason) = match asked {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) if answer.status >= 500 => {
                    (answer.retry_after.unwrap_or(PAUSE), answer.reason())
                }
                Ok(answer) => {
                    return Err(DemoError::Refused {
                        path: path.to_string(),
                        reason: answer.reason(),
                    });
                }
                Err(error) if error.class() == Class::Retry => (PAUSE, error.to_string()),
                Err(error) => return Err(error.into()),
            };
            if u128::from(waited) > PATIENCE.as_micros() {
                return Err(DemoError::GaveUp { path: path.to_string(), reason });
            }
            self.waits.repeats += 1;
            tokio::time::sleep(pause).await;
        }
    }

    fn keep_slip(&mut self, number: &str, id: &str, committed: &str) -> Result<(), DemoError> {
        let slip = json!({ "number": number, "id": id, "committed": committed });
        let kept = writeln!(self.slips, "{slip}").and_then(|()| self.slips.sync_data());
        kept.map_err(|cause| DemoError::File { path: "sales.jsonl".into(), cause })
    }
}

impl TaxTables {
    fn of(&self, goods: &str) -> Vec<(String, Decimal)> {
        let codes = self.of_goods.get(goods).into_iter().flatten();
        codes.filter_map(|code| Some((code.clone(), *self.rates.get(code)?))).collect()
    }
}

/// Values come as canonical texts, integers as numbers.
fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

fn decimal_of(what: &str, value: &Json) -> Result<Decimal, DemoError> {
    let text = text_of(value);
    let decimal = Decimal::parse(&text).map(plain).ok_or_else(|| odd(what, &text))?;
    Ok(decimal)
}

/// Without the column's trailing zeros, so that products of two stay within 38 digits.
fn plain(decimal: Decimal) -> Decimal {
    let mut scale = decimal.scale();
    while scale > 0 && decimal.rescale(scale - 1) == Some(decimal) {
        scale -= 1;
    }
    decimal.rescale(scale).unwrap_or(decimal)
}

fn odd(what: &str, value: &str) -> DemoError {
    DemoError::OddAnswer { what: what.to_string(), value: value.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::{plain, text_of};
    use serde_json::json;
    use tillhold_core::value::Decimal;

    #[test]
    fn prices_lose_their_trailing_zeros_and_nothing_else() {
        for (text, expected) in [
            ("1.9900000000000000", "1.99"),
            ("0.0020000000000000", "0.002"),
            ("100.0000", "100"),
            ("0.00", "0"),
        ] {
            let decimal = Decimal::parse(text).expect("a decimal of the test");
            assert_eq!(plain(decimal).to_string(), expected);
        }
        assert_eq!(
            (text_of(&json!("a")), text_of(&json!(7)), text_of(&json!(null))),
            ("a".into(), "7".into(), "".into())
        );
    }
}
