//! The store's small world: eight tables of the channel, the register's files, and what head office does all day.
//!
//! Columns are whole numbers and texts alone: types are the other tests' matter, order and loss are this one's.

use crate::entropy::Dice;
use crate::rule;
use anyhow::{Context as _, bail};
use std::path::Path;
use std::sync::Arc;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_embedded::Engine;
use tillhold_embedded::answer::{Answer, Flow, SqlSession};

pub const STORE: &str = "S1";
pub const DATABASE: &str = "channel";
pub const OFFICE: &str = "office";
pub const REGISTER: &str = "tillhold";
pub const PASSWORD: &str = "sim-Passw0rd";
/// Customers and products that there are from the first day on.
pub const CUSTOMERS: u64 = 24;
const PRODUCTS: u64 = 60;
/// The first customers, of whom each is one register's alone: nobody else edits it.
pub const OWN_CUSTOMERS: u64 = 4;
/// The next ones are on everybody's mind: a change of head office often meets a cashier's.
const REGULARS: u64 = 4;

/// The tables that a register and its channel must agree on in the end, with their columns, the key first.
pub const SHARED: [(&str, &[&str]); 4] = [
    ("CUSTTABLE", &["ACCOUNTNUM", "NAME", "PHONE", "POINTS", "EDITED"]),
    ("PRICEDISCTABLE", &["RECID", "ITEMRELATION", "AMOUNT"]),
    ("INVENTITEMBARCODE", &["ITEMBARCODE", "ITEMID"]),
    ("RETAILPOSSEEDDATA", &["DATATYPE", "STORENUMBER", "TERMINALID", "DATAVALUE", "DATAAREAID"]),
];

const TABLES: &str = "
CREATE SCHEMA [ax];
GO
CREATE TABLE [ax].[CUSTTABLE] (
    [ACCOUNTNUM] nvarchar(20) NOT NULL PRIMARY KEY, [NAME] nvarchar(60) NOT NULL DEFAULT (''),
    [PHONE] nvarchar(20) NOT NULL DEFAULT (''), [POINTS] bigint NOT NULL DEFAULT ((0)),
    [EDITED] bigint NOT NULL DEFAULT ((0)));
CREATE TABLE [ax].[PRICEDISCTABLE] (
    [RECID] bigint NOT NULL PRIMARY KEY, [ITEMRELATION] nvarchar(20) NOT NULL, [AMOUNT] bigint NOT NULL);
CREATE TABLE [ax].[INVENTITEMBARCODE] (
    [ITEMBARCODE] nvarchar(80) NOT NULL PRIMARY KEY, [ITEMID] nvarchar(20) NOT NULL);
CREATE TABLE [ax].[RETAILPOSSEEDDATA] (
    [DATATYPE] int NOT NULL, [STORENUMBER] nvarchar(10) NOT NULL, [TERMINALID] nvarchar(10) NOT NULL,
    [DATAVALUE] bigint NOT NULL, [DATAAREAID] nvarchar(4) NOT NULL,
    PRIMARY KEY ([DATATYPE], [STORENUMBER], [TERMINALID], [DATAAREAID]));
CREATE TABLE [ax].[RETAILTRANSACTIONTABLE] (
    [TRANSACTIONID] nvarchar(44) NOT NULL, [STORE] nvarchar(10) NOT NULL, [TERMINAL] nvarchar(10) NOT NULL,
    [PAYMENTAMOUNT] bigint NOT NULL, [CURRENCY] nvarchar(3) NOT NULL DEFAULT ('EUR'),
    [DATAAREAID] nvarchar(4) NOT NULL DEFAULT ('usmf'),
    PRIMARY KEY ([STORE], [TERMINAL], [TRANSACTIONID]));
CREATE TABLE [ax].[RETAILTRANSACTIONSALESTRANS] (
    [TRANSACTIONID] nvarchar(44) NOT NULL, [STORE] nvarchar(10) NOT NULL, [TERMINALID] nvarchar(10) NOT NULL,
    [LINENUM] bigint NOT NULL, [ITEMID] nvarchar(20) NOT NULL, [PRICE] bigint NOT NULL,
    PRIMARY KEY ([STORE], [TERMINALID], [TRANSACTIONID], [LINENUM]));
CREATE TABLE [ax].[RETAILTRANSACTIONPAYMENTTRANS] (
    [TRANSACTIONID] nvarchar(44) NOT NULL, [STORE] nvarchar(10) NOT NULL, [TERMINAL] nvarchar(10) NOT NULL,
    [LINENUM] bigint NOT NULL, [AMOUNTTENDERED] bigint NOT NULL,
    PRIMARY KEY ([STORE], [TERMINAL], [TRANSACTIONID], [LINENUM]));
";

/// A session of head office, past every register's network.
pub struct Office(Box<dyn SqlSession>);

impl Office {
    pub fn open(engine: &Arc<Engine>) -> anyhow::Result<Office> {
        let session = engine.login(OFFICE, PASSWORD, DATABASE, "head office");
        Ok(Office(Box::new(session.map_err(|error| anyhow::anyhow!("{error:?}"))?)))
    }

    pub fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        self.select(sql).map(drop)
    }

    pub fn set_read_only(&mut self, is: bool) -> anyhow::Result<()> {
        let word = if is { "READ_ONLY" } else { "READ_WRITE" };
        self.run(&format!("ALTER DATABASE CURRENT SET {word} WITH ROLLBACK IMMEDIATE"))
    }

    /// Rows as texts.
    pub fn select(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let (mut refused, mut rows) = (None, Vec::new());
        let ended = self.0.batch(sql, &mut |answer| {
            match answer {
                Answer::Error(error) => {
                    refused.get_or_insert(error);
                }
                Answer::Row(row) => rows.push(row.iter().map(shown).collect()),
                _ => {}
            }
            Flow::Continue
        });
        match ended.err().or(refused) {
            Some(error) => bail!("{}: {}", error.number, error.message),
            None => Ok(rows),
        }
    }
}

fn shown(value: &Value) -> String {
    let of = match value {
        Value::Int(_) => SqlType::BigInt,
        _ => SqlType::NVarChar { length: None },
    };
    text::canonical(value, of).unwrap_or_default()
}

/// Makes the channel's tables and its first rows in a new file, `barcodes` more than those of the products among them.
pub fn furnish(engine: &Arc<Engine>, registers: u64, barcodes: u64) -> anyhow::Result<()> {
    engine.create_login(OFFICE, PASSWORD, true)?;
    engine.create_login(REGISTER, PASSWORD, false)?;
    let mut office = Office::open(engine)?;
    for batch in TABLES.split("GO\n") {
        office.run(batch).context("the tables")?;
    }
    let mut rows = String::new();
    for at in 1..=CUSTOMERS {
        rows += &format!(
            "INSERT INTO [ax].[CUSTTABLE] ([ACCOUNTNUM], [NAME]) VALUES (N'C{at}', N'n{at}');"
        );
    }
    for at in 1..=PRODUCTS {
        rows += &format!(
            "INSERT INTO [ax].[PRICEDISCTABLE] VALUES ({at}, N'I{at}', {});\
             INSERT INTO [ax].[INVENTITEMBARCODE] VALUES (N'4000{at}', N'I{at}');",
            at * 10
        );
    }
    for at in 1..=registers {
        rows += &format!(
            "INSERT INTO [ax].[RETAILPOSSEEDDATA] VALUES (8, N'{STORE}', N'T{at}', 0, N'usmf');"
        );
    }
    office.run(&rows).context("the first rows")?;
    office.run(&assortment(barcodes)).context("the assortment")
}

/// So many barcodes more, of nothing that is sold here.
pub fn assortment(barcodes: u64) -> String {
    let row = |at: &u64| format!("(N'5000{at}', N'I{at}')");
    let insert = |chunk: &[u64]| {
        let rows = chunk.iter().map(row).collect::<Vec<_>>().join(", ");
        format!("INSERT INTO [ax].[INVENTITEMBARCODE] VALUES {rows}; ")
    };
    let numbers: Vec<u64> = (1..=barcodes).collect();
    // A statement takes at most a thousand rows of values.
    let inserts: String = numbers.chunks(500).map(insert).collect();
    format!("SET XACT_ABORT ON; BEGIN TRANSACTION; {inserts} COMMIT;")
}

/// A customer whom anybody may edit; `most` is the last one's number.
pub fn anyones_customer(dice: &mut Dice, most: u64) -> u64 {
    let last = if dice.one_in(2) { OWN_CUSTOMERS + REGULARS } else { most };
    dice.between(OWN_CUSTOMERS + 1, last)
}

/// One of head office's many small jobs; `job` numbers them.
pub fn job(dice: &mut Dice, job: u64) -> String {
    let one = |dice: &mut Dice| {
        let product = dice.between(1, PRODUCTS + 20);
        let customer = anyones_customer(dice, CUSTOMERS + 8);
        match dice.between(1, 10) {
            1..=3 => format!(
                "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = {job} WHERE [RECID] = {product};"
            ),
            4 => format!("DELETE FROM [ax].[PRICEDISCTABLE] WHERE [RECID] = {product};"),
            5 => format!(
                "IF NOT EXISTS (SELECT 1 FROM [ax].[PRICEDISCTABLE] WHERE [RECID] = {product}) \
                 INSERT INTO [ax].[PRICEDISCTABLE] VALUES ({product}, N'I{product}', {job});"
            ),
            6 => format!(
                "UPDATE [ax].[INVENTITEMBARCODE] SET [ITEMID] = N'J{job}' WHERE [ITEMBARCODE] = N'4000{product}';"
            ),
            7 => format!(
                "IF NOT EXISTS (SELECT 1 FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'C{customer}') \
                 INSERT INTO [ax].[CUSTTABLE] ([ACCOUNTNUM], [NAME], [EDITED]) VALUES (N'C{customer}', N'new{job}', {job});"
            ),
            8 => format!(
                "UPDATE [ax].[CUSTTABLE] SET [PHONE] = N'{job}', [EDITED] = {job} WHERE [ACCOUNTNUM] = N'C{customer}';"
            ),
            9 => format!(
                "UPDATE [ax].[CUSTTABLE] SET [NAME] = N'o{job}', [POINTS] = [POINTS] + 1, [EDITED] = {job} WHERE [ACCOUNTNUM] = N'C{customer}';"
            ),
            _ => "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = [AMOUNT] + 1;".to_string(),
        }
    };
    let many = dice.between(1, 3);
    let statements: String = (0..many).map(|_| one(dice)).collect();
    format!("SET XACT_ABORT ON; BEGIN TRANSACTION; {statements} COMMIT;")
}

/// How a register of this run conducts itself.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub write_path: &'static str,
    pub resolver: &'static str,
    pub capture: &'static str,
    pub batch: u64,
    /// What becomes of prices that the plugin fails on, where there is one.
    pub on_plugin_failure: &'static str,
}

impl Conduct {
    pub fn drawn(dice: &mut Dice) -> Conduct {
        Conduct {
            write_path: dice.word(&["channel-first", "local-first"]),
            // The policies that leave nothing to a person: there is one only where an event brings one.
            resolver: dice.word(&[
                "\"channel-wins\"",
                "\"offline-wins\"",
                "{ policy = \"newest\", column = \"EDITED\" }",
            ]),
            capture: dice.word(&["change-tracking", "change-tracking", "triggers"]),
            batch: *dice.of_list(&[1, 3, 20, 200]),
            on_plugin_failure: dice.word(&["halt", "quarantine", "pass"]),
        }
    }

    pub fn profile(&self, has_rule: bool) -> String {
        let Conduct { write_path, resolver, capture, batch, on_plugin_failure } = self;
        let (rule, bounds) = match has_rule {
            true => (rule::of_scope(on_plugin_failure), rule::BOUNDS),
            false => Default::default(),
        };
        format!(
            "name = \"Sim\"\noffline_timeout_s = 2\nreconnect_interval_min = 0.02\ndwell_s = 1\n\
             write_path = \"{write_path}\"\n\n[capture]\nmethod = \"{capture}\"\n\n\
             [synchronization]\nsessions_max_per_min = 600\nreport_interval_s = 20\n\n\
             [upload]\ntransactions_max = {batch}\n\n[size]\nreserve_mb = 1\n\n\
             [failover]\nsteady_s = 5\ndwell_max_s = 3\n\n\
             [[scope]]\nname = \"Customers\"\ndirection = \"bidirectional\"\nfrequency_s = 3\n\
             tables = [\"ax.CUSTTABLE\"]\nresolver = {resolver}\n\n\
             [[scope]]\nname = \"Prices\"\ndirection = \"download\"\nfrequency_s = 2\n\
             tables = [\"ax.PRICEDISCTABLE\", \"ax.INVENTITEMBARCODE\"]\n{rule}\n\
             [[scope]]\nname = \"Seeds\"\ndirection = \"bidirectional\"\nfrequency_s = 10\n\
             tables = [\"ax.RETAILPOSSEEDDATA\"]\nresolver = \"offline-wins\"\n\n\
             [[scope]]\nname = \"Sales\"\ndirection = \"upload\"\n\
             tables = [\"ax.RETAILTRANSACTIONTABLE\", \"ax.RETAILTRANSACTIONSALESTRANS\", \
             \"ax.RETAILTRANSACTIONPAYMENTTRANS\"]\n{bounds}"
        )
    }
}

/// The profile's text with another pace.
pub fn other_profile(text: &str, frequency_s: u64, batch: u64) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("frequency_s", _)) => format!("frequency_s = {frequency_s}"),
        Some(("transactions_max", _)) => format!("transactions_max = {batch}"),
        _ => line.to_string(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

/// The profile's text with conflicts over customers left to a person.
pub fn asking_a_person(text: &str) -> String {
    // The customers' resolver is the first one.
    let Some((before, rest)) = text.split_once("resolver = ") else { return text.to_string() };
    let (_, after) = rest.split_once('\n').unwrap_or((rest, ""));
    format!("{before}resolver = \"defer\"\n{after}")
}

/// Writes a register's files.
pub fn write_files(folder: &Path, terminal: &str, port: u16, profile: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder.join("offline"))?;
    let password = folder.join("channel.password");
    std::fs::write(&password, PASSWORD)?;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))?;
    std::fs::write(
        folder.join("register.toml"),
        format!(
            "store = \"{STORE}\"\nregister = \"{terminal}\"\nprofile = \"profile.toml\"\nfolder = \"offline\"\n\n\
             [channel]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"{DATABASE}\"\nuser = \"{REGISTER}\"\n\
             password_file = \"channel.password\"\nencryption = \"off\"\n\n[front_door]\nlisten = \"127.0.0.1:0\"\n"
        ),
    )?;
    Ok(std::fs::write(folder.join("profile.toml"), profile)?)
}
