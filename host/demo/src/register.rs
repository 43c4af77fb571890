//! The register of the demonstration: its folder, and the agent as a process of its own.
//!
//! ```text
//! FOLDER/register.toml, profile.toml, *.password, plugins/   written here
//! FOLDER/offline/                                             the agent's: journal.db, catalogue.db
//! FOLDER/agent.log                                            what the agent says
//! ```
//!
//! * The agent is this very program started again (`channel prepare`, `provision`, `run`), so that it can be killed
//!   like any process, and so that nothing is shared but files and sockets.
//! * A started agent is killed when its [`Agent`] is dropped: the demonstration never leaves one behind.

use crate::DemoError;
use crate::generate::DemoStore;
use serde_json::Value as Json;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tillhold_client::Door;
use tillhold_env::Env;
use tokio::sync::mpsc;

/// The agent's own account at the channel, and the one that prepares it.
pub(crate) const REGISTER_USER: &str = "tillhold";
pub(crate) const OFFICE_USER: &str = "office";
/// Lines of a child that wait to be shown.
const LINES_KEPT: usize = 256;
/// The agent opens its files, logs in and reads the profile before its front door is up.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The last lines of the log that an error shows.
const LOG_LINES_SHOWN: usize = 15;

/// Where everything of the register is.
#[derive(Clone, Debug)]
pub(crate) struct RegisterFolder {
    pub(crate) path: PathBuf,
    program: PathBuf,
}

/// What the register's files must say about its channel.
pub(crate) struct ChannelFacts<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: &'a Path,
    pub(crate) register_password: &'a str,
    pub(crate) office_password: &'a str,
}

impl RegisterFolder {
    pub(crate) fn new(path: PathBuf, program: PathBuf) -> RegisterFolder {
        RegisterFolder { path, program }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("register.toml")
    }

    pub(crate) fn offline(&self) -> PathBuf {
        self.path.join("offline")
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.path.join("plugins")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("agent.log")
    }

    /// Writes everything that the agent reads.
    pub(crate) fn write(
        &self,
        store: &DemoStore,
        channel: &ChannelFacts<'_>,
    ) -> Result<(), DemoError> {
        make_folder(&self.offline())?;
        write(&self.path.join("register.password"), channel.register_password)?;
        write(&self.path.join("office.password"), channel.office_password)?;
        write(&self.config(), &register_toml(store, channel))?;
        write(&self.path.join("profile.toml"), PROFILE)
    }

    /// Runs a command of the agent to its end; each line of its stdout goes to `line`.
    pub(crate) async fn command(
        &self,
        env: &Env,
        arguments: &[&str],
        mut line: impl FnMut(&str),
    ) -> Result<(), DemoError> {
        let mut child = self.start(arguments, Stdio::piped())?;
        let mut lines = match child.stdout.take() {
            Some(stdout) => self.read_lines(env, stdout)?,
            None => mpsc::channel(1).1,
        };
        while let Some(text) = lines.recv().await {
            line(&text);
        }
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(cause) => return Err(self.failed(arguments, cause)),
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(DemoError::Agent {
                command: arguments.join(" "),
                status: status.to_string(),
                log: self.last_lines(),
            }),
        }
    }

    /// Runs a command and kills it with SIGKILL at the first line for which `reached` holds; whether it came to that.
    pub(crate) async fn command_killed_at(
        &self,
        env: &Env,
        arguments: &[&str],
        reached: impl Fn(&str) -> bool,
    ) -> Result<bool, DemoError> {
        // Dropped, the process is killed and waited for.
        let mut agent = Agent { child: self.start(arguments, Stdio::piped())? };
        let Some(stdout) = agent.child.stdout.take() else { return Ok(false) };
        let mut lines = self.read_lines(env, stdout)?;
        while let Some(line) = lines.recv().await {
            if reached(&line) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Starts the agent and waits for its front door.
    pub(crate) async fn run(&self, env: &Env) -> Result<(Agent, Door), DemoError> {
        let address = self.offline().join("front-door.address");
        // A file of an earlier run would name a door that is closed.
        let _ = fs::remove_file(&address);
        let arguments = ["run", "--config", &self.config().display().to_string()].map(String::from);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut agent = Agent { child: self.start(&arguments, Stdio::null())? };
        let started = env.clock.monotonic_us();
        loop {
            if let Some(door) = self.door(&address) {
                return Ok((agent, door));
            }
            let ended = agent.child.try_wait().map_err(|cause| self.failed(&arguments, cause))?;
            let late = u128::from(env.clock.monotonic_us() - started) > START_LIMIT.as_micros();
            if ended.is_some() || late {
                let status = ended.map_or("no front door in time".to_string(), |s| s.to_string());
                let log = self.last_lines();
                return Err(DemoError::Agent { command: "run".to_string(), status, log });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn door(&self, address: &Path) -> Option<Door> {
        let address = fs::read_to_string(address).ok()?;
        let token = fs::read_to_string(self.path.join("front-door.token")).ok()?;
        Door::parse(&address, &token)
    }

    fn start(&self, arguments: &[&str], stdout: Stdio) -> Result<Child, DemoError> {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|cause| DemoError::File { path: self.log(), cause })?;
        Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .map_err(|cause| self.failed(arguments, cause))
    }

    fn failed(&self, arguments: &[&str], cause: std::io::Error) -> DemoError {
        DemoError::Start { program: self.program.clone(), command: arguments.join(" "), cause }
    }

    fn read_lines(
        &self,
        env: &Env,
        stdout: std::process::ChildStdout,
    ) -> Result<mpsc::Receiver<String>, DemoError> {
        let (tell, lines) = mpsc::channel(LINES_KEPT);
        let read = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        };
        env.tasks
            .thread("demo-agent-lines".to_string(), Box::new(read))
            .map_err(|cause| self.failed(&["(its output)"], cause))?;
        Ok(lines)
    }

    fn last_lines(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

/// A running agent; dropped, it is killed, as a power cut would end it.
pub(crate) struct Agent {
    child: Child,
}

impl Agent {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `{"scope", "table", "rows"}` while a table comes in; `{"scope", "done": true, ...}` after a scope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Provisioned {
    Rows { scope: String, table: String, rows: u64 },
    Scope { scope: String, rows: u64 },
    All { rows: u64, seconds: f64 },
}

impl Provisioned {
    /// Reads a line of `provision --progress json`; `None` for anything else.
    pub(crate) fn read(line: &str) -> Option<Provisioned> {
        let json: Json = serde_json::from_str(line).ok()?;
        let rows = json["rows"].as_u64()?;
        let text = |name: &str| json[name].as_str().map(str::to_string);
        match (text("scope"), text("table"), json["seconds"].as_f64()) {
            (Some(scope), Some(table), _) => Some(Provisioned::Rows { scope, table, rows }),
            (Some(scope), None, _) => Some(Provisioned::Scope { scope, rows }),
            (None, _, Some(seconds)) => Some(Provisioned::All { rows, seconds }),
            _ => None,
        }
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(|cause| DemoError::File { path: path.to_path_buf(), cause })
}

/// Passwords and tokens are among these files, so none is for others' eyes.
fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let failed = |cause| DemoError::File { path: path.to_path_buf(), cause };
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = File::options();
    // From its first moment on.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create(true).truncate(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn register_toml(store: &DemoStore, channel: &ChannelFacts<'_>) -> String {
    let quoted = |text: &str| Json::String(text.to_string()).to_string();
    format!(
        "# Written by `tillhold demo`.\n\
         store = {}\nregister = {}\nprofile = \"profile.toml\"\nfolder = \"offline\"\n\n\
         [channel]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = {}\nuser = {}\n\
         password_file = \"register.password\"\nencryption = \"required\"\ncertificate = {}\n\n\
         [front_door]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"front-door.token\"\n\n\
         [plugins]\nfolder = \"plugins\"\n",
        quoted(&store.own().number),
        quoted(store.register()),
        channel.address.port(),
        quoted(crate::session::DATABASE),
        quoted(REGISTER_USER),
        quoted(&channel.certificate.display().to_string()),
    )
}

/// What AX's tables cannot say: plugins, and times that suit a demonstration of a minute.
const PROFILE: &str = r#"# Written by `tillhold demo`: scopes, directions and tables come from the channel's own ax.RETAILOFFLINE* tables.
source = "channel"
offline_timeout_s = 2
reconnect_interval_min = 0.02
dwell_s = 1
write_path = "channel-first"

[[scope]]
name = "1010 Customers"
transformer = { plugin = "store-customers" }
resolver = { plugin = "customer-merge" }
on_plugin_failure = "halt"

[[scope]]
name = "Seeds (offline-only scope)"
resolver = "offline-wins"
"#;

#[cfg(test)]
mod tests {
    use super::Provisioned;

    #[test]
    fn lines_of_a_provisioning_are_told_apart() {
        let rows =
            |rows| Some(Provisioned::Rows { scope: "1040".into(), table: "ax.A".into(), rows });
        for (line, expected) in [
            (r#"{"scope":"1040","table":"ax.A","rows":7}"#, rows(7)),
            (
                r#"{"scope":"1040","done":true,"rows":9,"tables":3,"dropped":1}"#,
                Some(Provisioned::Scope { scope: "1040".into(), rows: 9 }),
            ),
            (
                r#"{"rows":9,"applied":9,"seconds":0.5}"#,
                Some(Provisioned::All { rows: 9, seconds: 0.5 }),
            ),
            ("not JSON", None),
            (r#"{"scope":"1040"}"#, None),
        ] {
            assert_eq!(Provisioned::read(line), expected, "{line}");
        }
    }
}
