//! The door through which all tests get their store: real parts only.

use crate::way::Way;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tillhold_demo::{ProfileSize, Rehearsal};
use tillhold_env::Env;

/// The agent, as cargo built it for this run.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tillhold");

/// A store on a folder of its own, which lasts as long as the store.
pub struct Stage {
    pub rehearsal: Rehearsal,
    /// Removed when the stage goes.
    _folder: TempDir,
}

impl Stage {
    /// A prepared channel with `customers` invented customers, and a register that was never synchronised and takes the
    /// tables in which a shop's day leaves rows.
    pub async fn prepared(customers: u64) -> Stage {
        Stage::prepared_with(customers, |profile| profile).await
    }

    /// The same, with a profile of its own from the first step on.
    pub async fn prepared_with(customers: u64, profile: impl FnOnce(String) -> String) -> Stage {
        Stage::prepared_by(Path::new(PROGRAM), customers, profile).await
    }

    /// The same, of an agent that is started by a program of the proof's own.
    pub async fn prepared_by(
        program: &Path,
        customers: u64,
        profile: impl FnOnce(String) -> String,
    ) -> Stage {
        Stage::prepared_of(program, (customers, ProfileSize::InUse), profile).await
    }

    /// A prepared channel with all the tables of AX's default profile, for whoever counts them.
    pub async fn prepared_whole(customers: u64, profile: impl FnOnce(String) -> String) -> Stage {
        let size = (customers, ProfileSize::Whole);
        Stage::prepared_of(Path::new(PROGRAM), size, profile).await
    }

    async fn prepared_of(
        program: &Path,
        size: (u64, ProfileSize),
        profile: impl FnOnce(String) -> String,
    ) -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rehearsal = Rehearsal::open(&Env::real(), program, folder.path(), size)
            .await
            .expect("a channel of the proof");
        let path = rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        std::fs::write(&path, profile(text)).expect("a profile");
        rehearsal.prepare().await.expect("a prepared channel");
        Stage { rehearsal, _folder: folder }
    }

    /// From here on the register, which does not run yet, gets to its channel by a way that fails on command.
    pub async fn on_a_way(&self) -> Way {
        let file = self.rehearsal.config();
        let text = std::fs::read_to_string(&file).expect("the register's settings");
        let line = text.lines().find(|line| line.starts_with("port = ")).expect("a port");
        let port: u16 = line["port = ".len()..].parse().expect("a number");
        let way = Way::open(([127, 0, 0, 1], port).into()).await;
        let text = text.replace(line, &format!("port = {}", way.address.port()));
        std::fs::write(&file, text).expect("changed settings");
        way
    }

    /// Runs a command of the program on this register.
    pub fn tillhold(&self, words: &[&str]) -> Ran {
        Ran::of(Command::new(PROGRAM).args(words).arg("--config").arg(self.rehearsal.config()))
    }

    /// The columns that an offline file has of a table; none of one that it does not have.
    pub fn columns(&self, file: &str, table: &str) -> Vec<String> {
        let path = self.rehearsal.folder().join("offline").join(file);
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let conn = conn.expect("a file");
        let mut names = conn.prepare("SELECT name FROM pragma_table_info(?1)").expect("a question");
        let names = names.query_map([table], |row| row.get(0)).expect("columns");
        names.collect::<Result<_, _>>().expect("names")
    }

    /// A register that is online.
    pub async fn online(customers: u64) -> Stage {
        let mut stage = Stage::prepared(customers).await;
        stage.start().await;
        stage
    }

    /// Starts the agent and waits until it is online.
    pub async fn start(&mut self) {
        self.rehearsal.start().await.expect("a running agent");
        self.state("online").await;
    }

    pub async fn state(&self, state: &'static str) {
        let limit = std::time::Duration::from_secs(120);
        let reached = self.rehearsal.until(state, limit, |status| status["state"] == state).await;
        if let Err(error) = reached {
            panic!("{error}\nthe agent said:\n{}", self.rehearsal.log());
        }
    }

    /// Settles everything and holds the check from outside to its word.
    pub async fn holds(&self) {
        if let Err(error) = self.rehearsal.settle().await {
            panic!("{error}\nthe agent said:\n{}", self.rehearsal.log());
        }
        let findings = self.rehearsal.verify().await.expect("a check");
        assert!(findings.hold(), "{findings:#?}");
        assert_eq!(findings.sales, self.rehearsal.sold.len() as u64, "every sale was looked at");
    }
}

/// A file with a password, for its owner's eyes only.
pub fn write_password(file: &Path, password: &str) {
    std::fs::write(file, password).expect("a password file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(file, owner_only).expect("its rights");
    }
}

/// What a run of the program gave.
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(program: &mut Command) -> Ran {
        let run = program.stdin(Stdio::null()).output().expect("a run of the program");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { status: run.status.code(), stdout: text(&run.stdout), stderr: text(&run.stderr) }
    }

    /// Of a run with `--json`; `None` when it failed.
    pub fn answer(&self) -> Option<Json> {
        serde_json::from_str(&self.stdout).ok()
    }

    pub fn json(&self) -> Json {
        self.answer().unwrap_or_else(|| panic!("{}{}", self.stdout, self.stderr))
    }
}

/// A number that the environment may make another one.
pub fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => usual,
    }
}

/// Runs a proof on a runtime like the agent's own.
pub fn proof(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(story);
}
