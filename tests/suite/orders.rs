//! The embedded channel as a process of its own, made to fail by orders on its stdin.

use crate::harness::{PROGRAM, proof};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tillhold_channel::probe::probe;
use tillhold_channel::{ChannelConfig, Link, Secret, Trust};
use tillhold_env::Env;

/// Long enough for any answer that comes at all.
const LONG: Duration = Duration::from_secs(30);
/// Long enough to call it silence.
const SHORT: Duration = Duration::from_millis(400);

struct Served {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
    folder: TempDir,
}

impl Served {
    fn start() -> Served {
        let folder = tempfile::tempdir().expect("a temporary folder");
        crate::harness::write_password(&folder.path().join("password"), "right\n");
        let mut child = Command::new(PROGRAM)
            .args(["channel", "serve", "--faults", "--port", "0", "--login", "owner"])
            .arg("--password-file")
            .arg(folder.path().join("password"))
            .arg("--db")
            .arg(folder.path().join("channel.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a run of the program");
        let orders = child.stdin.take().expect("its stdin");
        let answers = BufReader::new(child.stdout.take().expect("its stdout"));
        let mut served = Served { child, orders, answers, port: 0, folder };
        let address = served.answer();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        served.port = port.expect("an address with a port");
        served
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a line of its stdout");
        line.trim_end().to_string()
    }

    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("a listening server");
        self.answer()
    }

    fn obeys(&mut self, order: &str) {
        assert_eq!(self.order(order), format!("ok {order}"));
    }

    fn link(&self) -> Link {
        let password = Secret::new("right");
        let mut config = ChannelConfig::new("localhost", self.port, "Channel", "owner", password);
        let certificate = self.folder.path().join("channel-certificate.pem");
        config.trust = Trust::CertificateFile(certificate);
        Link::new(&Env::real(), Arc::new(config))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The code of what a probe meets, empty when it is answered.
async fn meets(link: &mut Link, limit: Duration) -> &'static str {
    probe(link, limit).await.map_or_else(|error| error.code(), |_| "")
}

/// Order, how long is waited, what a client that was connected meets, and what a new one does.
const FAULTS: [(&str, Duration, &str, &str); 8] = [
    ("stall", SHORT, "channel-timeout", "channel-timeout"),
    ("half-open", SHORT, "channel-timeout", "channel-timeout"),
    ("slow 60000", SHORT, "channel-timeout", "channel-timeout"),
    ("trickle 1", SHORT, "channel-timeout", "channel-timeout"),
    ("cut", LONG, "channel-lost", "channel-unreachable"),
    ("restart", LONG, "channel-lost", ""),
    ("deadlock @@VERSION", LONG, "channel-busy", ""),
    ("fail 229 @@VERSION", LONG, "channel-right", ""),
];

#[test]
fn a_served_channel_fails_as_it_is_ordered_and_heals() {
    proof(async {
        let mut served = Served::start();
        for (order, limit, connected, new) in FAULTS {
            let mut link = served.link();
            assert_eq!(meets(&mut link, LONG).await, "", "before {order}");
            served.obeys(order);
            assert_eq!(meets(&mut link, limit).await, connected, "a connected client, {order}");
            assert_eq!(meets(&mut served.link(), limit).await, new, "a new client, {order}");
            served.obeys("heal");
            served.obeys("restore");
            assert_eq!(meets(&mut served.link(), LONG).await, "", "after {order}");
        }
    });
}

#[test]
fn orders_are_answered_one_by_one_and_what_is_none_is_said() {
    let mut served = Served::start();
    assert_eq!(served.order("explode"), "error 'explode' is no order: say help");
    served.obeys("slow 1");
    served.obeys("cleanup");
    served.obeys("drop-after-commit 1");
    assert!(served.order("help").starts_with("help cut "));
    while served.answer() != "ok help" {}
    served.obeys("heal");
}

/// What a service manager sends, and the end of stdin, which ends nothing.
#[cfg(unix)]
#[test]
fn a_served_channel_stops_when_it_is_told_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut served = Served::start();
    served.obeys("cut");
    let file = served.folder.path().join("channel.db");
    let rights = std::fs::metadata(&file).expect("its file").permissions().mode();
    assert_eq!(rights & 0o777, 0o600, "customers' data are in it");
    let pid = served.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
    assert!(sent.success());
    assert_eq!(served.child.wait().expect("its end").code(), Some(0));
    // Whoever copies the file has everything.
    let log = std::fs::metadata(served.folder.path().join("channel.db-wal"));
    assert!(log.is_err() || log.is_ok_and(|log| log.len() == 0));
}
