//! A till at one register: sells, asks again until it is answered, and keeps what was promised to it.

use crate::entropy::Dice;
use crate::machine::Machine;
use crate::store::{CUSTOMERS, STORE, anyones_customer};
use crate::trace::Trace;
use serde_json::{Value as Json, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::{Answer, Client, query};
use tillhold_core::text::guid_text;
use tillhold_env::Env;
use tokio::time::Instant;

/// One request: longer than the agent may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// A register that runs, on a disk that works, answers a sale within its offline timeout of 2 s: what it computes takes no
/// simulated time.
const SALE_LIMIT: Duration = Duration::from_millis(2_250);

/// A sale as the till rang it up.
#[derive(Clone, Debug)]
pub struct Sale {
    pub id: [u8; 16],
    pub terminal: String,
    pub number: u64,
    pub amount: u64,
    pub lines: u64,
    /// Where it was committed, once that was promised.
    pub promised: Option<&'static str>,
}

/// What a register's own customer may be called, after the edits so far: a column that nobody else changes.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The last edit that was promised.
    promised: Option<String>,
    /// Those that were never answered, or that a conflict may have overruled: each may have happened.
    unsure: Vec<String>,
}

impl Written {
    pub fn may_be(&self, value: &str) -> bool {
        self.unsure.iter().any(|edit| edit == value)
            || self.promised.as_ref().is_none_or(|edit| edit == value)
    }
}

/// How often a till looks after an edit that is not sent yet.
const LOOKS: u32 = 6;

/// What all tills know together.
#[derive(Default)]
pub struct Books {
    /// By register, in the order of their numbers.
    pub sales: RefCell<Vec<Vec<Sale>>>,
    /// By account and column.
    pub own_customers: RefCell<BTreeMap<(String, &'static str), Written>>,
    pub acknowledged: Cell<u64>,
    pub longest_ms: Cell<u64>,
    pub broken: RefCell<Vec<String>>,
}

impl Books {
    pub fn break_promise(&self, what: String) {
        self.broken.borrow_mut().push(what);
    }

    /// The last number that was promised to a sale of this register.
    pub fn last_promised(&self, register: u64) -> u64 {
        let (sales, terminal) = (self.sales.borrow(), format!("T{register}"));
        let own = sales[register as usize - 1].iter().filter(|sale| sale.terminal == terminal);
        own.filter(|sale| sale.promised.is_some()).map(|sale| sale.number).max().unwrap_or(0)
    }
}

/// An edit of a customer that was promised.
#[derive(Clone)]
pub struct Edit {
    /// Of its transaction at the front door.
    path: String,
    account: String,
    column: &'static str,
    value: String,
}

#[derive(Clone)]
pub struct Till {
    pub machine: Rc<Machine>,
    pub books: Rc<Books>,
    pub trace: Arc<Trace>,
    /// The till's own process, which never dies.
    pub env: Env,
    pub dice: Dice,
    /// As its sales say.
    pub terminal: String,
    /// Whether the register keeps its last number.
    pub is_numbered: bool,
    pub pause_ms: u64,
    pub closing: Rc<Cell<bool>>,
    pub last_edit: Option<Edit>,
}

/// How asking went.
enum Asked {
    Yes(Answer),
    /// The number was used before: the next one is asked for.
    NumberUsed,
}

impl Till {
    /// Sells until the store closes; comes back when the last sale is promised.
    pub async fn sell(mut self, seed: u64) {
        let (mut second, mut second_number) = (self.second(seed), 0);
        let mut number = 0;
        let mut job = 0;
        while !self.closing.get() {
            let pause = self.dice.between(1, 2 * self.pause_ms);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.machine.closed.get() {
                continue;
            }
            self.machine.asked.set(true);
            if self.dice.one_in(12) {
                job += 1;
                self.edit_customer(job).await;
                self.look_until_sent().await;
            } else if self.dice.one_in(8) {
                self.look_at_customer().await;
            } else {
                // A till that was switched off knows no number but the one that it is told.
                if number == 0 || self.dice.one_in(10) {
                    number = self.last_number().await;
                }
                if self.machine.has_second_till.get() && second.dice.one_in(2) {
                    (number, second_number) =
                        tokio::join!(self.sell_one(number + 1), second.sell_one(second_number + 1));
                } else {
                    number = self.sell_one(number + 1).await;
                }
            }
            self.machine.asked.set(false);
        }
    }

    /// Another cashier at the same register, who knows his own numbers; drawn apart from the first.
    fn second(&self, seed: u64) -> Till {
        let terminal = format!("{}-2", self.terminal);
        let dice = Dice::of(seed, &terminal);
        Till { dice, terminal, is_numbered: false, ..self.clone() }
    }

    /// The number under which it was sold.
    async fn sell_one(&mut self, mut number: u64) -> u64 {
        loop {
            let id = self.env.random.uuid();
            let (amount, lines) = (self.dice.between(1, 99_999), self.dice.between(1, 4));
            let terminal = self.terminal.clone();
            let sale = Sale { id, terminal, number, amount, lines, promised: None };
            let at = {
                let mut sales = self.books.sales.borrow_mut();
                let own = &mut sales[self.machine.number as usize - 1];
                own.push(sale.clone());
                own.len() - 1
            };
            let body = json!({ "rows": self.rows(&sale) });
            match self.put(&guid_text(&id), &body).await {
                Asked::Yes(answer) => {
                    let place = match answer.body["committed"].as_str() {
                        Some("channel") => "channel",
                        Some("offline") => "offline",
                        other => {
                            let what =
                                format!("sale {number} was committed {other:?}: {}", answer.body);
                            self.books.break_promise(what);
                            "unknown"
                        }
                    };
                    self.trace
                        .line(&self.who(), format_args!("sale {number} is promised, {place}"));
                    self.books.acknowledged.set(self.books.acknowledged.get() + 1);
                    let mut sales = self.books.sales.borrow_mut();
                    sales[self.machine.number as usize - 1][at].promised = Some(place);
                    return number;
                }
                Asked::NumberUsed => {
                    self.trace.line(&self.who(), format_args!("number {number} was used before"));
                    number = number.max(self.last_number().await) + 1;
                }
            }
        }
    }

    fn who(&self) -> String {
        format!("till {}", self.terminal.trim_start_matches('T'))
    }

    fn rows(&self, sale: &Sale) -> Vec<Json> {
        let Sale { terminal, number, amount, .. } = sale;
        let name = format!("{STORE}-{terminal}-{number}");
        let mut rows = vec![json!({ "table": "ax.RETAILTRANSACTIONTABLE", "values": {
            "TRANSACTIONID": name, "STORE": STORE, "TERMINAL": terminal, "PAYMENTAMOUNT": amount,
        }})];
        for line in 1..=sale.lines {
            rows.push(json!({ "table": "ax.RETAILTRANSACTIONSALESTRANS", "values": {
                "TRANSACTIONID": name, "STORE": STORE, "TERMINALID": terminal, "LINENUM": line,
                "ITEMID": format!("I{line}"), "PRICE": amount + line,
            }}));
        }
        rows.push(json!({ "table": "ax.RETAILTRANSACTIONPAYMENTTRANS", "values": {
            "TRANSACTIONID": name, "STORE": STORE, "TERMINAL": terminal, "LINENUM": 1,
            "AMOUNTTENDERED": amount,
        }}));
        if self.is_numbered {
            rows.push(json!({ "table": "ax.RETAILPOSSEEDDATA", "operation": "update", "values": {
                "DATATYPE": 8, "STORENUMBER": STORE, "TERMINALID": terminal, "DATAAREAID": "usmf",
                "DATAVALUE": number,
            }}));
        }
        rows
    }

    /// A customer's data as the cashier writes them down. Nobody waits for it: a customer that is not there is no sale lost.
    async fn edit_customer(&mut self, job: u64) {
        let is_own = self.dice.one_in(2);
        let account = match is_own {
            true => self.machine.number,
            false => anyones_customer(&mut self.dice, CUSTOMERS),
        };
        let account = format!("C{account}");
        let (terminal, column) = (self.terminal.clone(), *self.dice.of_list(&["NAME", "PHONE"]));
        let value = format!("{terminal}-{job}");
        let mut values = json!({ "ACCOUNTNUM": account, "EDITED": job });
        values[column] = json!(value);
        let body = json!({ "rows": [
            { "table": "ax.CUSTTABLE", "operation": "update", "values": values },
        ]});
        let path = format!("/v1/transactions/{}", guid_text(&self.env.random.uuid()));
        let Some(door) = self.machine.door() else { return };
        let client = Client::new(self.env.clone(), door);
        let answer = client.put(&path, &body, REQUEST_LIMIT).await;
        if is_own {
            let mut own = self.books.own_customers.borrow_mut();
            let written = own.entry((account.clone(), column)).or_default();
            match &answer {
                Ok(answer) if answer.is_success() && !self.machine.was_restored.get() => {
                    written.promised = Some(value.clone());
                }
                Ok(answer) if !answer.is_success() && answer.status < 500 => {}
                _ => written.unsure.push(value.clone()),
            }
        }
        // One that was not answered may have happened: what the register shows then is anybody's guess.
        self.last_edit = answer.as_ref().is_ok_and(Answer::is_success).then(|| Edit {
            path,
            account: account.clone(),
            column,
            value,
        });
        let told =
            answer.map_or_else(|error| error.to_string(), |answer| answer.status.to_string());
        self.trace.line(&self.who(), format_args!("customer {account}: {told}"));
    }

    /// A pull that runs beside the edit may bring the same customer: the moments until it is sent are few.
    async fn look_until_sent(&mut self) {
        let mut looks = 0;
        while looks < LOOKS && self.look_at_customer().await {
            looks += 1;
            self.wait(60).await;
        }
    }

    /// What the cashier wrote last is what the register shows, as long as it has not been sent; whether that is still to
    /// come.
    async fn look_at_customer(&mut self) -> bool {
        let Some(Edit { path, account, column, value }) = self.last_edit.clone() else {
            return false;
        };
        if !self.is_pending(&path).await {
            return false;
        }
        let filter = [("ACCOUNTNUM", account.as_str())];
        let Some(answer) = self.get(&query("/v1/tables/ax.CUSTTABLE/rows", &filter)).await else {
            return false;
        };
        let shown = &answer.body["rows"][0][column];
        let is_here = answer.body["source"] == "offline";
        let is_other = is_here && *shown != json!(value);
        if is_other && self.is_pending(&path).await {
            self.books.break_promise(format!(
                "FORGOTTEN: {} shows {shown} as {column} of {account}, and {value} is unsent",
                self.terminal
            ));
        }
        true
    }

    async fn is_pending(&self, path: &str) -> bool {
        self.get(path).await.is_some_and(|answer| answer.body["state"] == "pending")
    }

    async fn get(&self, path: &str) -> Option<Answer> {
        let client = Client::new(self.env.clone(), self.machine.door()?);
        client.get(path, REQUEST_LIMIT).await.ok().filter(Answer::is_success)
    }

    /// Until it is answered.
    async fn last_number(&mut self) -> u64 {
        let filter =
            [("DATATYPE", "8"), ("STORENUMBER", STORE), ("TERMINALID", self.terminal.as_str())];
        let path = query("/v1/tables/ax.RETAILPOSSEEDDATA/rows", &filter);
        loop {
            if let Some(door) = self.machine.door() {
                let client = Client::new(self.env.clone(), door);
                if let Ok(answer) = client.get(&path, REQUEST_LIMIT).await
                    && answer.is_success()
                    && let Some(row) = answer.body["rows"].get(0)
                {
                    let number = row["DATAVALUE"].as_u64().unwrap_or(0);
                    let promised = self.books.last_promised(self.machine.number);
                    if number < promised {
                        self.books.break_promise(format!(
                            "FORGOTTEN: {} says its last number is {number}, {promised} was promised: {}",
                            self.terminal,
                            answer.body
                        ));
                    }
                    return number;
                }
            }
            self.wait(100).await;
        }
    }

    async fn wait(&mut self, most_ms: u64) {
        let ms = self.dice.between(1, most_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Asks until it is answered.
    async fn put(&mut self, id: &str, body: &Json) -> Asked {
        let path = format!("/v1/transactions/{id}");
        loop {
            let Some(door) = self.machine.door() else {
                self.wait(60).await;
                continue;
            };
            let (life, started) = (self.machine.life(), Instant::now());
            let client = Client::new(self.env.clone(), door);
            let answer = client.put(&path, body, REQUEST_LIMIT).await;
            self.look_at_the_clock(started, life.is_some_and(|life| !life.is_dead()));
            match answer {
                Ok(answer) if answer.is_success() => return Asked::Yes(answer),
                Ok(answer) if answer.status == 409 && answer.body["code"] == "number-used" => {
                    return Asked::NumberUsed;
                }
                Ok(answer) if answer.status >= 500 || answer.status == 429 => {
                    self.trace
                        .line(&self.who(), format_args!("a sale is refused: {}", answer.reason()));
                    self.wait(200).await;
                }
                Ok(answer) => {
                    self.books
                        .break_promise(format!("a sale is refused for good: {}", answer.body));
                    self.wait(1_000).await;
                }
                Err(error) => {
                    self.trace.line(&self.who(), format_args!("a sale is not answered: {error}"));
                    self.wait(100).await;
                }
            }
        }
    }

    /// A cashier never waits for the channel longer than the profile says.
    fn look_at_the_clock(&self, started: Instant, lives: bool) {
        let took = started.elapsed();
        if !lives || !self.machine.disk.is_well() {
            return;
        }
        let ms = took.as_millis() as u64;
        self.books.longest_ms.set(self.books.longest_ms.get().max(ms));
        if took > SALE_LIMIT {
            self.books.break_promise(format!("a sale took {ms} ms on a register that runs"));
        }
    }
}
