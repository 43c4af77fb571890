//! A store's registers, thirty agent processes, on one channel process: all sell at once, the channel goes and comes
//! back, prices change meanwhile; in the end everyone has everything, once.
//!
//! `TILLHOLD_FLEET_REGISTERS` and `TILLHOLD_FLEET_SALES` make it larger.

use crate::harness::{PROGRAM, proof, write_password};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tiberius::{AuthMethod, Client as Tds, Config};
use tillhold_client::{Client, Door};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::{BoxStream, Env};
use tillhold_standin::Engine;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

const PRICES: i64 = 300;
/// For all that takes its time on a busy machine.
const LONG: Duration = Duration::from_secs(180);
const ASK_LIMIT: Duration = Duration::from_secs(30);

const PROFILE: &str = r#"name = "Fleet"
offline_timeout_s = 4
reconnect_interval_min = 0.02
dwell_s = 1
[size]
reserve_mb = 0
[numbers]
when_in_doubt = "sell"
[[scope]]
name = "Prices"
direction = "download"
frequency_s = 5
tables = ["ax.FLEETPRICE"]
[[scope]]
name = "Cards"
direction = "bidirectional"
frequency_s = 5
resolver = "offline-wins"
tables = ["ax.FLEETCARD"]
[[scope]]
name = "Sales"
direction = "upload"
tables = ["ax.FLEETSALE", "ax.FLEETLINE"]
"#;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
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

fn tables() -> [Table; 4] {
    let price = [("RECID", "bigint"), ("ITEMID", "nvarchar(20)"), ("AMOUNT", "int")];
    let card = [("CARD", "nvarchar(20)"), ("POINTS", "int")];
    let sale = [("TERMINAL", "nvarchar(10)"), ("NUMBER", "int"), ("AMOUNT", "int")];
    let line = [("TERMINAL", "nvarchar(10)"), ("NUMBER", "int"), ("LINE", "int"), ("QTY", "int")];
    [
        table("ax.FLEETPRICE", &price, &[0]),
        table("ax.FLEETCARD", &card, &[0]),
        table("ax.FLEETSALE", &sale, &[0, 1]),
        table("ax.FLEETLINE", &line, &[0, 1, 2]),
    ]
}

/// The channel as a process of its own, which takes orders.
struct Channel {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
    certificate: PathBuf,
}

impl Channel {
    fn serve(folder: &Path) -> Channel {
        let mut child = Command::new(PROGRAM)
            .args(["channel", "serve", "--faults", "--port", "0", "--db"])
            .arg(folder.join("channel.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a channel");
        let orders = child.stdin.take().expect("its stdin");
        let answers = BufReader::new(child.stdout.take().expect("its stdout"));
        let certificate = folder.join("channel-certificate.pem");
        let mut channel = Channel { child, orders, answers, port: 0, certificate };
        let address = channel.answer();
        channel.port = address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        channel
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a line of the channel");
        line.trim_end().to_string()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("a listening channel");
        assert_eq!(self.answer(), format!("ok {order}"));
    }

    async fn client(&self) -> Tds<Compat<BoxStream>> {
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

    async fn run(&self, sql: &str) {
        self.client().await.simple_query(sql).await.expect(sql).into_results().await.expect(sql);
    }

    /// Whole rows as texts; all columns are numbers or texts.
    async fn rows(&self, table: &Table) -> Vec<String> {
        let part = |column: &Column| format!("CAST([{}] AS nvarchar(60))", column.name);
        let parts: Vec<String> = table.columns.iter().map(part).collect();
        let sql = format!("SELECT {} FROM {};", parts.join(", "), table.name.bracketed());
        let mut client = self.client().await;
        let found = client.simple_query(sql).await.expect("a query").into_first_result().await;
        let one = |row: tiberius::Row| {
            let cell = |at: usize| row.get::<&str, usize>(at).unwrap_or("NULL").to_string();
            (0..parts.len()).map(cell).collect::<Vec<_>>().join("|")
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

struct Register {
    terminal: String,
    folder: PathBuf,
    child: Child,
    client: Client,
}

impl Drop for Register {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_settings(folder: &Path, terminal: &str, channel: &Channel) {
    std::fs::create_dir_all(folder).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    write("profile.toml", PROFILE);
    write_password(&folder.join("password"), "of-a-proof");
    write(
        "register.toml",
        &format!(
            "store = \"S1\"\nregister = \"{terminal}\"\n[channel]\nhost = \"127.0.0.1\"\nport = {}\n\
             database = \"Channel\"\nuser = \"owner\"\npassword_file = \"password\"\n\
             certificate = {}\n[front_door]\nlisten = \"127.0.0.1:0\"\n",
            channel.port,
            json!(channel.certificate.display().to_string()),
        ),
    );
}

impl Register {
    /// Starts the agent; its door is looked for when it is needed.
    fn start(folder: &Path, terminal: &str) -> Child {
        let said = std::fs::File::create(folder.join("agent.log")).expect("a log");
        Command::new(PROGRAM)
            .arg("run")
            .arg("--config")
            .arg(folder.join("register.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| panic!("register {terminal}: {error}"))
    }

    async fn open(folder: PathBuf, terminal: String, child: Child) -> Register {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let door = until(&terminal, async || {
            Door::parse(&read("offline/front-door.address"), &read("front-door.token"))
        })
        .await;
        let client = Client::new(Env::real(), door);
        let register = Register { terminal, folder, child, client };
        register.status("online", |status| status["state"] == "online").await;
        register
    }

    async fn status(&self, what: &str, holds: impl Fn(&Json) -> bool) {
        let what = format!("register {}: {what}\n{}", self.terminal, self.log());
        until(&what, async || {
            let answer = self.client.get("/v1/status", ASK_LIMIT).await.ok()?;
            holds(&answer.body).then_some(())
        })
        .await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    /// A sale of two lines, and a point on this register's own card; asked again until it is acknowledged. Whether it
    /// was taken offline.
    async fn sell(&self, number: usize) -> bool {
        let terminal = &self.terminal;
        let line = |line: usize| {
            json!({ "table": "ax.FLEETLINE", "values":
                { "TERMINAL": terminal, "NUMBER": number, "LINE": line, "QTY": line } })
        };
        let body = json!({ "rows": [
            { "table": "ax.FLEETSALE", "values":
                { "TERMINAL": terminal, "NUMBER": number, "AMOUNT": number * 100 } },
            line(1), line(2),
            { "table": "ax.FLEETCARD", "operation": "update", "values":
                { "CARD": terminal, "POINTS": number } },
        ]});
        let id = Env::real().random.uuid();
        let path = format!("/v1/transactions/{}", text::guid_text(&id));
        until(&format!("register {terminal}: sale {number}"), async || {
            let answer = self.client.put(&path, &body, ASK_LIMIT).await.ok()?;
            assert!(answer.is_success() || answer.status == 503, "{terminal}: {answer:?}");
            answer.is_success().then(|| answer.body["committed"] == "offline")
        })
        .await
    }

    fn rows(&self, table: &Table) -> Vec<String> {
        let file = if table.name.name == "FLEETPRICE" { "catalogue.db" } else { "journal.db" };
        let path = self.folder.join("offline").join(file);
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let names: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let sql = format!("SELECT {} FROM \"{}\"", names.join(" || '|' || "), table.name);
        let file = file.expect("an offline file");
        let mut statement = file.prepare(&sql).expect("a statement");
        let rows = statement.query_map((), |row| row.get(0)).expect("a query");
        let mut rows: Vec<String> = rows.collect::<Result<_, _>>().expect("rows");
        rows.sort();
        rows
    }
}

/// Looks again and again, for at most [`LONG`].
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let found = tokio::time::timeout(LONG, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn fill(folder: &Path, registers: usize) {
    let engine = Engine::open(&Env::real(), &folder.join("channel.db")).expect("a channel");
    engine.create_login("owner", "of-a-proof", true).expect("a login");
    let tables = tables();
    engine.create_tables(&tables).expect("tables");
    let price = |at: i64| vec![Value::Int(at), Value::Text(format!("I{at}")), Value::Int(at)];
    let mut prices = (0..PRICES).map(price);
    let columns = ["RECID", "ITEMID", "AMOUNT"];
    engine.load(&tables[0].name, &columns, &mut prices).expect("prices");
    let mut cards = (0..registers).map(|at| vec![Value::Text(terminal(at)), Value::Int(0)]);
    engine.load(&tables[1].name, &["CARD", "POINTS"], &mut cards).expect("cards");
}

fn terminal(at: usize) -> String {
    format!("{:06}", at + 1)
}

async fn open_store(folder: &TempDir, registers: usize) -> (Channel, Vec<Register>) {
    fill(folder.path(), registers);
    let channel = Channel::serve(folder.path());
    let place = |at: usize| folder.path().join(format!("register-{}", terminal(at)));
    (0..registers).for_each(|at| write_settings(&place(at), &terminal(at), &channel));
    let prepared = Command::new(PROGRAM)
        .args(["channel", "prepare", "--config"])
        .arg(place(0).join("register.toml"))
        .output()
        .expect("a run of the program");
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let started: Vec<Child> =
        (0..registers).map(|at| Register::start(&place(at), &terminal(at))).collect();
    let opening = started.into_iter().enumerate();
    let opening = opening.map(|(at, child)| Register::open(place(at), terminal(at), child));
    (channel, futures_util::future::join_all(opening).await)
}

/// How many of the sales were taken offline.
async fn sell_everywhere(registers: &[Register], sales: std::ops::Range<usize>) -> usize {
    let selling = registers.iter().map(|register| {
        let sales = sales.clone();
        async move {
            let mut offline = 0;
            for number in sales {
                offline += usize::from(register.sell(number).await);
            }
            offline
        }
    });
    futures_util::future::join_all(selling).await.into_iter().sum()
}

#[test]
fn a_stores_registers_converge_and_nothing_is_lost_or_doubled() {
    proof(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (count, sales) =
            (number("TILLHOLD_FLEET_REGISTERS", 30), number("TILLHOLD_FLEET_SALES", 9));
        let (mut channel, registers) = open_store(&folder, count).await;
        let third = sales.div_ceil(3);
        let dearer =
            "UPDATE [ax].[FLEETPRICE] SET [AMOUNT] = [AMOUNT] + 1000 WHERE [RECID] % 10 = 3;";
        tokio::join!(sell_everywhere(&registers, 1..third + 1), channel.run(dearer));
        channel.order("cut");
        let offline = sell_everywhere(&registers, third + 1..2 * third + 1).await;
        assert_eq!(offline, count * third, "there was no channel to take them");
        channel.order("restore");
        let fewer = "DELETE FROM [ax].[FLEETPRICE] WHERE [RECID] % 10 = 7;";
        tokio::join!(sell_everywhere(&registers, 2 * third + 1..3 * third + 1), channel.run(fewer));

        let sent =
            |status: &Json| status["state"] == "online" && status["pending"]["transactions"] == 0;
        for register in &registers {
            register.status("nothing unsent", sent).await;
        }
        for register in &registers {
            let synced = register.client.post("/v1/sync", &Json::Null, LONG).await;
            let synced = synced.expect("an answer");
            assert!(synced.is_success(), "{}: {synced:?}", register.terminal);
        }
        check(&channel, &registers, 3 * third).await;
    });
}

/// Everything from outside: the channel by T-SQL, the registers' files by SQLite.
async fn check(channel: &Channel, registers: &[Register], sales: usize) {
    let [prices, cards, headers, lines] = tables();
    let (dear, card) = (channel.rows(&prices).await, channel.rows(&cards).await);
    assert_eq!(dear.len() as i64, PRICES - PRICES / 10);
    assert!(dear.contains(&"13|I13|1013".to_string()), "the prices did change");
    let points: Vec<String> =
        registers.iter().map(|register| format!("{}|{sales}", register.terminal)).collect();
    assert_eq!(card, points, "the last sale's point of every register");
    let (sold, rows) = (channel.rows(&headers).await, channel.rows(&lines).await);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &sold {
        *seen.entry(row.split('|').next().unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(seen.len(), registers.len());
    assert!(seen.values().all(|count| *count == sales), "{seen:?}");
    assert_eq!(rows.len(), 2 * sold.len(), "whole sales");
    let mut client = channel.client().await;
    let sql = "SELECT COUNT(*) FROM [tillhold].[ledger];";
    let ledger = client.simple_query(sql).await.expect("a query").into_row().await;
    let ledger = ledger.expect("an answer").and_then(|row| row.get::<i32, usize>(0));
    assert_eq!(ledger, Some(sold.len() as i32), "each sale once");
    for register in registers {
        let terminal = &register.terminal;
        assert_eq!(register.rows(&prices), dear, "prices of {terminal}");
        assert_eq!(register.rows(&cards), card, "cards of {terminal}");
        let own = |all: &[String]| -> Vec<String> {
            let own = all.iter().filter(|row| row.starts_with(terminal.as_str()));
            own.cloned().collect()
        };
        assert_eq!(register.rows(&headers), own(&sold), "sales of {terminal}");
        assert_eq!(register.rows(&lines), own(&rows), "lines of {terminal}");
    }
}
