//! A register: its folder, and its agent while one runs.

use super::{ASK_LIMIT, Channel, Conduct, LONG, STORE};
use crate::harness::{PROGRAM, Ran, write_password};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tillhold_client::{Answer, Client, Door};
use tillhold_core::table::Table;
use tillhold_env::{Env, Locked as _};

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
    pub(super) fn new(folder: PathBuf, terminal: String) -> Register {
        Register { terminal, folder, program: PROGRAM.into(), agent: Mutex::default() }
    }

    pub(super) fn write_settings(&self, conduct: &Conduct, channel: &Channel) {
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
        self.agent.locked()
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

    /// The agent's status, once it has ended by itself or by whatever was done to it.
    #[cfg(target_os = "linux")]
    pub fn ended(&self) -> Option<std::process::ExitStatus> {
        self.agent().as_mut()?.try_wait().expect("a child")
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
            *seen.locked() = answer.body;
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
    pub(super) async fn sent(&self) {
        let sent =
            |status: &Json| status["state"] == "online" && status["pending"]["transactions"] == 0;
        self.status("nothing unsent", sent).await;
    }

    /// Everything of the channel is here.
    pub(super) async fn synchronise(&self) {
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
