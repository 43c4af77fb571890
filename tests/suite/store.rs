//! A store for proofs with several registers: agents as processes of their own on one channel process. Its tables are few
//! and small, so that thirty agents fit on a small machine, and they have the names by which sales are numbered.

use crate::harness::{PROGRAM, Ran, write_password};
use futures_util::future::join_all;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tiberius::{AuthMethod, Client as Tds, Config};
use tillhold_client::{Answer, Client, Door};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::{BoxStream, Env};
use tillhold_standin::Engine;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

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

/// The channel as a process of its own, which takes orders.
pub struct Channel {
    folder: PathBuf,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub port: u16,
    certificate: PathBuf,
}

impl Channel {
    fn serve(folder: &Path, port: u16) -> Channel {
        let mut child = Command::new(PROGRAM)
            .args(["channel", "serve", "--faults", "--port", &port.to_string(), "--db"])
            .arg(folder.join("channel.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a channel");
        let orders = child.stdin.take().expect("its stdin");
        let answers = BufReader::new(child.stdout.take().expect("its stdout"));
        let certificate = folder.join("channel-certificate.pem");
        let folder = folder.to_path_buf();
        let mut channel = Channel { folder, child, orders, answers, port, certificate };
        let address = channel.answer();
        channel.port = address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        channel
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a line of the channel");
        line.trim_end().to_string()
    }

    pub fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("a listening channel");
        assert_eq!(self.answer(), format!("ok {order}"));
    }

    /// SIGKILL, and another one on the same file and port.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = Channel::serve(&self.folder.clone(), self.port);
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub async fn client(&self) -> Tds<Compat<BoxStream>> {
        let stream = Env::real().network.connect("127.0.0.1", self.port).await;
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(self.port);
        config.database("Channel");
        config.authentication(AuthMethod::sql_server("owner", "of-a-proof"));
        config.trust_cert_ca(self.certificate.display());
        let stream = stream.expect("a way to the channel").compat_write();
        Tds::connect(config, stream).await.expect("a login")
    }

    pub async fn run(&self, sql: &str) {
        self.client().await.simple_query(sql).await.expect(sql).into_results().await.expect(sql);
    }

    /// Whole rows as texts; all columns are numbers or texts.
    pub async fn rows(&self, table: &Table) -> Vec<String> {
        let part = |column: &Column| format!("CAST([{}] AS nvarchar(60))", column.name);
        let parts: Vec<String> = table.columns.iter().map(part).collect();
        self.lines(&parts.join(", "), &table.name.bracketed()).await
    }

    /// What a list of texts is in each row, in order.
    pub async fn lines(&self, list: &str, from: &str) -> Vec<String> {
        let sql = format!("SELECT {list} FROM {from};");
        let mut client = self.client().await;
        let found = client.simple_query(sql).await.expect("a query").into_first_result().await;
        let one = |row: tiberius::Row| {
            let cell = |at: usize| row.get::<&str, usize>(at).unwrap_or("NULL").to_string();
            (0..row.len()).map(cell).collect::<Vec<_>>().join("|")
        };
        let mut rows: Vec<String> = found.expect("rows").into_iter().map(one).collect();
        rows.sort();
        rows
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A register: its folder, and its agent while one runs.
pub struct Register {
    pub terminal: String,
    pub folder: PathBuf,
    /// What is started as its agent.
    pub program: PathBuf,
    agent: Mutex<Option<Child>>,
}

impl Drop for Register {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Register {
    fn new(folder: PathBuf, terminal: String) -> Register {
        Register { terminal, folder, program: PROGRAM.into(), agent: Mutex::default() }
    }

    fn write_settings(&self, conduct: &Conduct, channel: &Channel) {
        std::fs::create_dir_all(&self.folder).expect("a folder");
        let write =
            |name: &str, text: &str| std::fs::write(self.folder.join(name), text).expect("a file");
        write("profile.toml", &conduct.profile());
        write_password(&self.folder.join("password"), "of-a-proof");
        write(
            "register.toml",
            &format!(
                "store = \"{STORE}\"\nregister = \"{}\"\n[channel]\nhost = \"127.0.0.1\"\nport = {}\n\
                 database = \"Channel\"\nuser = \"owner\"\npassword_file = \"password\"\n\
                 certificate = {}\n[front_door]\nlisten = \"127.0.0.1:0\"\n",
                self.terminal,
                channel.port,
                json!(channel.certificate.display().to_string()),
            ),
        );
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("register.toml")
    }

    pub fn offline(&self) -> PathBuf {
        self.folder.join("offline")
    }

    /// Another way to the channel.
    pub fn reach_by(&self, port: u16) {
        let text = std::fs::read_to_string(self.config()).expect("the register's settings");
        let line = text.lines().find(|line| line.starts_with("port = ")).expect("a port");
        let text = text.replace(line, &format!("port = {port}"));
        std::fs::write(self.config(), text).expect("changed settings");
    }

    fn agent(&self) -> MutexGuard<'_, Option<Child>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the agent; its door is looked for when it is needed.
    pub fn start(&self) {
        // A file of an earlier run would name a door that is closed, or another register's by now.
        let _ = std::fs::remove_file(self.offline().join("front-door.address"));
        let log = self.folder.join("agent.log");
        let said = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let started = Command::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn();
        let agent = started.unwrap_or_else(|error| panic!("register {}: {error}", self.terminal));
        *self.agent() = Some(agent);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        if let Some(mut agent) = self.agent().take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    pub fn id(&self) -> u32 {
        self.agent().as_ref().expect("a running agent").id()
    }

    /// The running agent's front door; `None` while it is not open.
    pub fn client(&self) -> Option<Client> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let door = Door::parse(&read("offline/front-door.address"), &read("front-door.token"))?;
        Some(Client::new(Env::real(), door))
    }

    pub async fn get(&self, path: &str) -> Option<Answer> {
        self.client()?.get(path, ASK_LIMIT).await.ok()
    }

    pub async fn status(&self, what: &str, holds: impl Fn(&Json) -> bool) {
        let what = format!("register {}: {what}", self.terminal);
        let seen = Mutex::new(Json::Null);
        let look = async || {
            let answer = self.get("/v1/status").await?;
            let is = holds(&answer.body);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = answer.body;
            is.then_some(())
        };
        if tokio::time::timeout(LONG, until(look)).await.is_err() {
            panic!("never: {what}\n{:#}\n{}", seen.into_inner().expect("a status"), self.log());
        }
    }

    pub async fn online(&self) {
        self.status("online", |status| status["state"] == "online").await;
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    /// Everything of this register is in the channel.
    async fn sent(&self) {
        let sent =
            |status: &Json| status["state"] == "online" && status["pending"]["transactions"] == 0;
        self.status("nothing unsent", sent).await;
    }

    /// Everything of the channel is here.
    async fn synchronise(&self) {
        let mut said = None;
        for _ in 0..5 {
            self.sent().await;
            let client = self.client().expect("an open door");
            match client.post("/v1/sync", &Json::Null, LONG).await {
                Ok(answer) if answer.is_success() => return,
                // A connection that breaks just then takes the register offline for a moment.
                other => said = Some(format!("{other:?}")),
            }
        }
        panic!("register {}: {said:?}\n{}", self.terminal, self.log());
    }

    /// Runs a command of the program on this register.
    pub fn tillhold(&self, words: &[&str]) -> Ran {
        Ran::of(Command::new(&self.program).args(words).arg("--config").arg(self.config()))
    }

    pub fn rows(&self, table: &Table) -> Vec<String> {
        let file = if table.name.name == "FLEETPRICE" { "catalogue.db" } else { "journal.db" };
        let path = self.offline().join(file);
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        rows(&file.expect("an offline file"), table)
    }
}

/// Whole rows as texts.
pub fn rows(file: &Connection, table: &Table) -> Vec<String> {
    let names: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    let sql = format!("SELECT {} FROM \"{}\"", names.join(" || '|' || "), table.name);
    let mut statement = file.prepare(&sql).expect("a statement");
    let rows = statement.query_map((), |row| row.get(0)).expect("a query");
    let mut rows: Vec<String> = rows.collect::<Result<_, _>>().expect("rows");
    rows.sort();
    rows
}

/// Looks again and again.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
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
