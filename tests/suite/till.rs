//! A till: sells as a point of sale does, and remembers what it was promised.
//!
//! * A sale without an answer is asked for again under its UUID until there is one, whatever happened to the agent.
//! * After such a sale the next number is what the register says it is, as for a till that was started anew.

use crate::dice::Dice;
use crate::store::{ASK_LIMIT, LONG, Register, STORE, seed};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_client::query;
use tillhold_core::text::guid_text;

const PAUSE: Duration = Duration::from_millis(30);

/// A sale that the front door has answered with 2xx.
#[derive(Clone, Debug)]
pub struct Promise {
    pub id: [u8; 16],
    pub number: i64,
    quantities: Vec<u64>,
    pub is_offline: bool,
}

pub struct Till {
    terminal: String,
    dice: Dice,
    /// The last number that was used; `None` until the register has said it.
    last: Option<i64>,
    /// Lines of a sale, at most.
    pub lines_max: u64,
    /// Rung up and refused until now; the next one to be sold.
    parked: Option<Sale>,
    pub promised: Vec<Promise>,
    /// Refusals that were met on the way, by code; those without an answer are `no answer`.
    pub met: Vec<String>,
}

impl Till {
    pub fn new(register: &Register, dice: Dice) -> Till {
        Till {
            terminal: register.terminal.clone(),
            dice,
            last: None,
            lines_max: 4,
            parked: None,
            promised: Vec::new(),
            met: Vec::new(),
        }
    }

    /// Comes back when the front door has acknowledged one more sale.
    pub async fn sell(&mut self, register: &Register) {
        let sale = match self.parked.take() {
            Some(sale) => sale,
            None => self.ring(register).await,
        };
        let tries = tokio::time::timeout(LONG, async {
            let mut tries = 1;
            while !self.ask(register, &sale).await {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            tries
        });
        let Ok(tries) = tries.await else {
            panic!("{} never had its answer: {:?}\n{}", sale.number, self.met, register.log());
        };
        if tries > 1 {
            let last = self.last_number(register).await;
            assert_eq!(last, sale.number, "the register's last number\n{}", register.log());
        }
        self.last = Some(sale.number);
    }

    /// The next sale, not sent yet.
    pub async fn ring(&mut self, register: &Register) -> Sale {
        let last = match self.last {
            Some(last) => last,
            None => self.last_number(register).await,
        };
        let lines = 1 + self.dice.below(self.lines_max);
        let quantities = (0..lines).map(|_| 1 + self.dice.below(9)).collect();
        Sale { id: self.dice.uuid(), number: last + 1, quantities }
    }

    /// For later: nothing else has its number.
    pub fn park(&mut self, sale: Sale) {
        self.parked = Some(sale);
    }

    /// One try; whether the sale was acknowledged.
    pub async fn ask(&mut self, register: &Register, sale: &Sale) -> bool {
        let path = format!("/v1/transactions/{}", guid_text(&sale.id));
        let body = sale.body(&self.terminal);
        let answer = match register.client() {
            Some(client) => client.put(&path, &body, ASK_LIMIT).await.ok(),
            None => None,
        };
        match answer {
            Some(answer) if answer.is_success() => {
                assert_eq!(answer.body["quarantined"], Json::Null, "{}", answer.body);
                let is_offline = answer.body["committed"] == "offline";
                let (id, number, quantities) = (sale.id, sale.number, sale.quantities.clone());
                self.promised.push(Promise { id, number, quantities, is_offline });
                self.last = Some(number);
                true
            }
            Some(answer) if answer.status >= 500 => {
                self.met.push(answer.body["code"].as_str().unwrap_or("no code").to_string());
                false
            }
            // Another register's door may stand where this one's was.
            None => {
                self.met.push("no answer".to_string());
                false
            }
            Some(answer) => {
                panic!("{} {}: {answer:?}\n{}", self.terminal, sale.number, register.log())
            }
        }
    }

    async fn last_number(&mut self, register: &Register) -> i64 {
        let path = query("/v1/tables/ax.RETAILPOSSEEDDATA/rows", &[("TERMINALID", &self.terminal)]);
        let asked = tokio::time::timeout(LONG, async {
            loop {
                if let Some(answer) = register.get(&path).await
                    && let Some(number) = number(&answer.body["rows"][0]["DATAVALUE"])
                {
                    return number;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        asked.await.unwrap_or_else(|_| panic!("no last number\n{}", register.log()))
    }

    /// The channel's rows of a promise: header, lines.
    pub fn rows_of(&self, promise: &Promise) -> (Vec<String>, Vec<String>) {
        let (terminal, Promise { number, quantities, .. }) = (&self.terminal, promise);
        let sale = format!("{terminal}|{STORE}|{STORE}-{terminal}-{number}");
        let receipt = receipt(terminal, *number);
        let header = format!("{sale}|usrt|{receipt}|USD|{}", amount(quantities));
        let line = |(at, quantity): (usize, &u64)| format!("{sale}|{}|{quantity}", at + 1);
        (vec![header], quantities.iter().enumerate().map(line).collect())
    }

    /// Of all that was promised.
    pub fn rows(&self) -> (Vec<String>, Vec<String>) {
        let all: Vec<_> = self.promised.iter().map(|promise| self.rows_of(promise)).collect();
        let (headers, lines): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        (headers.concat(), lines.concat())
    }
}

/// A sale that is rung up.
pub struct Sale {
    id: [u8; 16],
    pub number: i64,
    quantities: Vec<u64>,
}

impl Sale {
    fn body(&self, terminal: &str) -> Json {
        let id = format!("{STORE}-{terminal}-{}", self.number);
        let header = json!({ "TERMINAL": terminal, "STORE": STORE, "TRANSACTIONID": id, "DATAAREAID": "usrt",
            "RECEIPTID": receipt(terminal, self.number), "CURRENCY": "USD",
            "PAYMENTAMOUNT": amount(&self.quantities) });
        let line = |(at, quantity): (usize, &u64)| {
            json!({ "table": "ax.RETAILTRANSACTIONSALESTRANS", "values": { "TERMINALID": terminal,
                "STORE": STORE, "TRANSACTIONID": id, "LINENUM": at + 1, "QTY": quantity } })
        };
        let mut rows =
            vec![json!({ "table": "ax.RETAILTRANSACTIONTABLE", "values": header.clone() })];
        rows.extend(self.quantities.iter().enumerate().map(line));
        rows.push(json!({ "table": "ax.RETAILPOSSEEDDATA", "operation": "update",
            "values": seed(terminal, self.number) }));
        json!({ "rows": rows })
    }
}

fn receipt(terminal: &str, number: i64) -> String {
    format!("{terminal}{number:08}")
}

/// As numeric(32,16) writes it.
fn amount(quantities: &[u64]) -> String {
    format!("{}.0000000000000000", quantities.iter().sum::<u64>())
}

fn number(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
