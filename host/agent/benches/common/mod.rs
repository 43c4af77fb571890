//! What the channel's benches share: a store of one table, the embedded channel as a child that
//! serves it, and the program under measurement as another.
//!
//! * Nothing that only prepares (generating rows, setting the channel up) runs in a measured
//!   process, so that its memory and its time are its own.
//! * Memory and time of a process are the kernel's own counts (`/proc`); elsewhere than on Linux
//!   they are missing, never guessed.

pub mod cashier;
pub mod ceiling;
pub mod customers;
pub mod cuts;
pub mod figures;
pub mod fleet;
pub mod large;
pub mod load;
pub mod outsider;
pub mod register;
pub mod sales;
pub mod spread;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_embedded::Engine;
use tillhold_env::{Env, Locked as _};

pub type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// The agent, as cargo built it for this bench.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tillhold");

pub const USER: &str = "owner";
pub const PASSWORD: &str = "of-a-bench-alone";
pub const DATABASE: &str = "Channel";

/// How often a measured process is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A folder with the channel's file and a register's settings, and the channel that serves it.
pub struct Shop {
    pub env: Env,
    folder: TempDir,
    channel: Child,
    /// What the channel answers to orders.
    answers: Mutex<BufReader<ChildStdout>>,
    pub address: SocketAddr,
}

impl Shop {
    /// A channel with these tables, prepared for a register that has them in one scope of that
    /// direction.
    pub async fn open(tables: &[Table], direction: &str) -> Fallible<Shop> {
        Shop::filled(tables, direction, |_| Ok(())).await
    }

    /// The same, after `fill` has put rows in.
    pub async fn filled(
        tables: &[Table],
        direction: &str,
        fill: impl FnOnce(&std::sync::Arc<Engine>) -> Fallible<()>,
    ) -> Fallible<Shop> {
        let env = Env::real();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("channel.db");
        let engine = Engine::open(&env, &file)?;
        engine.create_login(USER, PASSWORD, true)?;
        engine.create_tables(tables)?;
        fill(&engine)?;
        drop(engine);
        let (channel, answers, address) = serve(&file)?;
        let answers = Mutex::new(answers);
        let shop = Shop { env, folder, channel, answers, address };
        shop.write_settings(tables, direction)?;
        shop.run(&["channel", "prepare"]).await?;
        Ok(shop)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The embedded channel's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.path("channel-certificate.pem")
    }

    pub async fn outsider(&self) -> Fallible<outsider::Outsider> {
        let certificate = self.certificate().display().to_string();
        outsider::connect(&self.env, self.address.port(), &certificate).await
    }

    fn write_settings(&self, tables: &[Table], direction: &str) -> Fallible<()> {
        let port = self.address.port();
        fs::write(self.path("owner.password"), PASSWORD)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let owner_only = fs::Permissions::from_mode(0o600);
            fs::set_permissions(self.path("owner.password"), owner_only)?;
        }
        fs::write(
            self.path("register.toml"),
            format!(
                "store = \"S1\"\nregister = \"1\"\n[channel]\nhost = \"127.0.0.1\"\nport = {port}\n\
                 database = \"{DATABASE}\"\nuser = \"{USER}\"\npassword_file = \"owner.password\"\n\
                 certificate = \"channel-certificate.pem\"\n[front_door]\nlisten = \"127.0.0.1:0\"\n"
            ),
        )?;
        let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        fs::write(
            self.path("profile.toml"),
            format!(
                "name = \"Bench\"\n[[scope]]\nname = \"Bench\"\ndirection = \"{direction}\"\n\
                 tables = [{}]\n",
                names.join(", ")
            ),
        )?;
        Ok(())
    }

    /// Runs the agent's program with the shop's settings to its end.
    pub async fn run(&self, command: &[&str]) -> Fallible<Measured> {
        let mut program = Command::new(PROGRAM);
        program.args(command).arg("--config").arg(self.path("register.toml"));
        measure(&self.env, program).await
    }

    /// Changes the register's profile; an agent that is started later reads it.
    pub fn profile(&self, change: impl FnOnce(String) -> String) -> Fallible<()> {
        let path = self.path("profile.toml");
        Ok(fs::write(&path, change(fs::read_to_string(&path)?))?)
    }

    /// A fault ordered at the channel; comes back when it is in force.
    pub fn order(&self, order: &str) -> Fallible<()> {
        let mut answers = self.answers.locked();
        let mut stdin = self.channel.stdin.as_ref().ok_or("a channel without stdin")?;
        writeln!(stdin, "{order}")?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        match answer.starts_with("ok") {
            true => Ok(()),
            false => Err(format!("{order}: {answer}").into()),
        }
    }

    /// Processor time that the serving channel has used so far.
    pub fn channel_cpu(&self) -> Option<f64> {
        Account::of(&self.channel).map(|account| account.cpu_seconds)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Its folder goes with it; what it would still write serves nobody.
        let _ = self.channel.kill();
        let _ = self.channel.wait();
    }
}

fn serve(file: &Path) -> Fallible<(Child, BufReader<ChildStdout>, SocketAddr)> {
    let mut command = Command::new(PROGRAM);
    command.args(["channel", "serve", "--faults", "--port", "0", "--db"]).arg(file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("a channel without stdout")?);
    let mut line = String::new();
    answers.read_line(&mut line)?;
    Ok((child, answers, line.trim().parse()?))
}

/// What a process did and what it took.
#[derive(Debug)]
pub struct Measured {
    pub seconds: f64,
    pub account: Option<Account>,
    pub stdout: String,
}

/// The kernel's account of a process.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub cpu_seconds: f64,
    pub peak_bytes: u64,
    /// Resident now.
    pub bytes: u64,
}

impl Account {
    pub fn of(child: &Child) -> Option<Account> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).ok();
        let status = read("status")?;
        let kb = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let (peak_kb, now_kb) = (kb("VmHWM:")?, kb("VmRSS:")?);
        // The command's name, in brackets, may hold blanks; the fields behind it do not (proc(5)).
        let stat = read("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        // USER_HZ is 100 wherever Linux runs for us.
        let cpu_seconds = (ticks(11)? + ticks(12)?) / 100.0;
        Some(Account { cpu_seconds, peak_bytes: peak_kb * 1024, bytes: now_kb * 1024 })
    }
}

/// Runs a program to its end and keeps account of it; a failure shows what it said.
pub async fn measure(env: &Env, mut program: Command) -> Fallible<Measured> {
    // Files, not pipes: nobody reads while it runs, and a full pipe would stop it.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    program.stdout(Stdio::from(out.try_clone()?)).stderr(Stdio::from(err.try_clone()?));
    let started_us = env.clock.monotonic_us();
    let mut child = program.spawn()?;
    let mut account = None;
    let status = loop {
        // Both counts only grow, so that the last look is the nearest to the end.
        account = Account::of(&child).or(account);
        match child.try_wait()? {
            Some(status) => break status,
            None => tokio::time::sleep(LOOK_INTERVAL).await,
        }
    };
    let seconds = (env.clock.monotonic_us() - started_us) as f64 / 1e6;
    let (mut stdout, mut stderr) = (String::new(), String::new());
    out.rewind()?;
    out.read_to_string(&mut stdout)?;
    err.rewind()?;
    err.read_to_string(&mut stderr)?;
    if !status.success() {
        return Err(format!("{program:?} ended with {status}:\n{stdout}{stderr}").into());
    }
    Ok(Measured { seconds, account, stdout })
}

/// `--NAME VALUE` of the bench's own arguments; cargo adds `--bench`.
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()
}

pub fn is_asked(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// A table of the channel: `NAME type`, all written by the writer, none NULL.
pub fn table(name: &str, columns: &[(&str, &str)], key: &[usize]) -> Fallible<Table> {
    use tillhold_core::table::{Assigned, Column, TableName};
    use tillhold_core::types::SqlType;
    let column = |(name, of): &(&str, &str)| {
        let of = SqlType::parse(of).ok_or("a type of the bench")?;
        let collation = of.is_text().then(|| "SQL_Latin1_General_CP1_CI_AS".to_string());
        let (nullable, assigned, default) = (false, Assigned::ByWriter, None);
        Ok(Column { name: name.to_string(), of, nullable, assigned, default, collation })
    };
    let columns: Fallible<Vec<Column>> = columns.iter().map(column).collect();
    let name = TableName::parse(name).ok_or("a name of the bench")?;
    Ok(Table { name, columns: columns?, key: key.to_vec() })
}

/// Puts generated rows into a table of the channel, every column given.
pub fn load(
    engine: &std::sync::Arc<Engine>,
    table: &Table,
    rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
) -> Fallible<u64> {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    Ok(engine.load(&table.name, &columns, rows)?)
}
