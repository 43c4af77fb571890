//! The channel as a process of its own, which takes orders.

use crate::harness::PROGRAM;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tiberius::{AuthMethod, Client as Tds, Config};
use tillhold_core::table::{Column, Table};
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

pub struct Channel {
    folder: PathBuf,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub port: u16,
    pub(super) certificate: PathBuf,
}

impl Channel {
    pub(super) fn serve(folder: &Path, port: u16) -> Channel {
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
