//! A store for tests with several registers: agents as processes of their own on one channel process. Its tables are few
//! and small, so that thirty agents fit on a small machine, and they have the names by which sales are numbered.

mod channel;
mod register;

pub use channel::Channel;
pub use register::{Register, rows};

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_embedded::Engine;
use tillhold_env::Env;

pub const STORE: &str = "S1";
pub const PRICES: i64 = 300;
/// RETAILPOSSEEDDATA.DATATYPE of the numbers of sales.
const SEED_KIND: i64 = 8;
/// For all that takes its time on a busy machine.
pub const LONG: Duration = Duration::from_secs(180);
pub const ASK_LIMIT: Duration = Duration::from_secs(30);

const SCOPES: &str = r#"
[[scope]]
name = "Prices"
direction = "download"
frequency_s = 5
tables = ["ax.FLEETPRICE"]
[[scope]]
name = "Seeds"
direction = "bidirectional"
frequency_s = 5
resolver = "offline-wins"
tables = ["ax.RETAILPOSSEEDDATA"]
[[scope]]
name = "Sales"
direction = "upload"
tables = ["ax.RETAILTRANSACTIONTABLE", "ax.RETAILTRANSACTIONSALESTRANS"]
"#;

/// What a profile of the store says beside its scopes. A register that was offline often waits for nothing longer.
pub struct Conduct {
    pub offline_timeout_s: u64,
    pub write_path: &'static str,
    pub reserve_mb: u64,
}

impl Default for Conduct {
    fn default() -> Conduct {
        Conduct { offline_timeout_s: 2, write_path: "channel-first", reserve_mb: 0 }
    }
}

impl Conduct {
    fn profile(&self) -> String {
        format!(
            "name = \"Fleet\"\noffline_timeout_s = {}\nreconnect_interval_min = 0.01\ndwell_s = 0\nfailover.dwell_max_s = 0\nwrite_path = \"{}\"\n\
             [size]\nreserve_mb = {}\n{SCOPES}",
            self.offline_timeout_s, self.write_path, self.reserve_mb
        )
    }
}

fn table(name: &str, columns: &[(&str, &str)], key: &[usize]) -> Table {
    let column = |(name, of): &(&str, &str)| {
        let of = SqlType::parse(of).expect("a type of the proof");
        Column {
            name: name.to_string(),
            of,
            nullable: false,
            assigned: Assigned::ByWriter,
            default: None,
            collation: of.is_text().then(|| "SQL_Latin1_General_CP1_CI_AS".to_string()),
        }
    };
    let name = TableName::parse(name).expect("a name of the proof");
    Table { name, columns: columns.iter().map(column).collect(), key: key.to_vec() }
}

/// Prices, seeds, sales and their lines. A sale's rows begin with the register.
pub fn tables() -> [Table; 4] {
    let price = [("RECID", "bigint"), ("ITEMID", "nvarchar(20)"), ("AMOUNT", "int")];
    let seed = [
        ("TERMINALID", "nvarchar(10)"),
        ("STORENUMBER", "nvarchar(10)"),
        ("DATATYPE", "int"),
        ("DATAAREAID", "nvarchar(4)"),
        ("DATAVALUE", "bigint"),
    ];
    let sale = [
        ("TERMINAL", "nvarchar(10)"),
        ("STORE", "nvarchar(10)"),
        ("TRANSACTIONID", "nvarchar(44)"),
        ("DATAAREAID", "nvarchar(4)"),
        ("RECEIPTID", "nvarchar(18)"),
        ("CURRENCY", "nvarchar(3)"),
        ("PAYMENTAMOUNT", "numeric(32,16)"),
    ];
    let line = [
        ("TERMINALID", "nvarchar(10)"),
        ("STORE", "nvarchar(10)"),
        ("TRANSACTIONID", "nvarchar(44)"),
        ("LINENUM", "int"),
        ("QTY", "int"),
    ];
    [
        table("ax.FLEETPRICE", &price, &[0]),
        table("ax.RETAILPOSSEEDDATA", &seed, &[0, 1, 2, 3]),
        table("ax.RETAILTRANSACTIONTABLE", &sale, &[0, 1, 2]),
        table("ax.RETAILTRANSACTIONSALESTRANS", &line, &[0, 1, 2, 3]),
    ]
}

/// The seed row of a register, as its last number goes into a sale or comes out of the channel.
pub fn seed(terminal: &str, number: i64) -> Json {
    json!({ "TERMINALID": terminal, "STORENUMBER": STORE, "DATATYPE": SEED_KIND, "DATAAREAID": "usrt",
            "DATAVALUE": number })
}

pub fn terminal(at: usize) -> String {
    format!("{:06}", at + 1)
}

fn fill(folder: &Path, registers: usize) {
    let engine = Engine::open(&Env::real(), &folder.join("channel.db")).expect("a channel");
    engine.create_login("owner", "of-a-proof", true).expect("a login");
    let tables = tables();
    engine.create_tables(&tables).expect("tables");
    let text = |text: &str| Value::Text(text.to_string());
    let price = |at: i64| vec![Value::Int(at), Value::Text(format!("I{at}")), Value::Int(at)];
    let mut prices = (0..PRICES).map(price);
    let seed = |at| {
        let (kind, none) = (Value::Int(SEED_KIND), Value::Int(0));
        vec![Value::Text(terminal(at)), text(STORE), kind, text("usrt"), none]
    };
    let mut seeds = (0..registers).map(seed);
    for (table, rows) in [
        (&tables[0], &mut prices as &mut (dyn Iterator<Item = Vec<Value>> + Send)),
        (&tables[1], &mut seeds),
    ] {
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        engine.load(&table.name, &columns, rows).expect("rows");
    }
}

/// Everything, with the folder that goes last.
pub struct Store {
    pub channel: Channel,
    pub registers: Vec<Register>,
    /// Removed when the store goes.
    _folder: TempDir,
}

impl Store {
    /// A prepared channel and registers that were never started.
    pub fn prepared(registers: usize, conduct: &Conduct) -> Store {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fill(folder.path(), registers);
        let channel = Channel::serve(folder.path(), 0);
        let place = |at| folder.path().join(format!("register-{}", terminal(at)));
        let registers: Vec<Register> =
            (0..registers).map(|at| Register::new(place(at), terminal(at))).collect();
        registers.iter().for_each(|register| register.write_settings(conduct, &channel));
        let prepared = registers[0].tillhold(&["channel", "prepare"]);
        assert_eq!(prepared.status, Some(0), "{}", prepared.stderr);
        Store { channel, registers, _folder: folder }
    }

    pub async fn online(registers: usize, conduct: &Conduct) -> Store {
        let store = Store::prepared(registers, conduct);
        store.start().await;
        store
    }

    /// Starts every register and waits until all are online.
    pub async fn start(&self) {
        self.registers.iter().for_each(Register::start);
        join_all(self.registers.iter().map(Register::online)).await;
    }

    /// Waits until everything has come to rest: first up from everybody, then down to everybody.
    pub async fn settle(&self) {
        join_all(self.registers.iter().map(Register::sent)).await;
        join_all(self.registers.iter().map(Register::synchronise)).await;
    }
}
