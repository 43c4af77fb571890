//! A register on a small disk that somebody fills: it sells on what it kept for that, then refuses whole sales by name, and goes
//! on by itself when there is room. The same once more with the agent killed on the full disk.
//!
//! The disk is a tmpfs in a mount namespace of its own, which this test may make as root and, where the kernel lets it, as
//! anybody. Where it may not, the proof says so loudly and proves nothing.

use super::{dice, rounds, tell, tills};
use crate::harness::{PROGRAM, proof};
use crate::judge::{judge, left_intact};
use crate::store::{Conduct, Register, Store};
use crate::till::Till;
use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DISK_MB: u64 = 12;
const RESERVE_MB: u64 = 2;
/// Sales with many lines fill the rest of the disk in less time.
const LINES_MAX: u64 = 120;
const FULL: &str = "local-disk-full";
const PAUSE: Duration = Duration::from_millis(30);
/// More refusals than this in a row are the end of what was kept.
const REFUSALS: usize = 5;

/// A file system of a few megabytes; it lives as long as whoever keeps its namespace.
struct SmallDisk {
    keeper: Child,
    /// As everybody reaches it.
    path: PathBuf,
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl SmallDisk {
    /// `None`, with the reason told, where no file system may be mounted.
    fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).expect("a folder");
        let script = format!(
            "mount -t tmpfs -o size={DISK_MB}m,mode=0700 tillhold '{}' && echo mounted && exec cat",
            at.display()
        );
        let started = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut keeper = match started {
            Ok(keeper) => keeper,
            Err(error) => {
                tell(&format!("NOT RUN: a full disk. unshare: {error}"));
                return None;
            }
        };
        let mut word = String::new();
        let mut out = BufReader::new(keeper.stdout.take().expect("its stdout"));
        out.read_line(&mut word).expect("its word");
        let path = format!("/proc/{}/root{}", keeper.id(), at.display()).into();
        let disk = SmallDisk { keeper, path };
        if word.trim() == "mounted" {
            return Some(disk);
        }
        tell("NOT RUN: a full disk. This account may not mount a tmpfs in a namespace of its own.");
        None
    }

    /// The agent in the keeper's namespaces, where its lock, its memory maps and its free space are those of the small disk.
    fn program(&self, folder: &Path) -> PathBuf {
        let program = folder.join("tillhold");
        let script = format!(
            "#!/bin/sh\nexec nsenter --target {} --user --mount --preserve-credentials '{PROGRAM}' \"$@\"\n",
            self.keeper.id()
        );
        std::fs::write(&program, script).expect("a script");
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("its rights");
        program
    }

    /// Takes what there is, to the last byte.
    fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.filler()).expect("a file");
        for size in [64 << 10, 4 << 10, 1] {
            let piece = vec![b'x'; size];
            let error = loop {
                if let Err(error) = file.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("the file that filled it");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

/// Sells until the register refuses again and again; how many sales it took.
async fn sell_out(register: &Register, till: &mut Till) -> usize {
    let before = till.promised.len();
    loop {
        let sale = till.ring(register).await;
        let mut refused = 0;
        while refused < REFUSALS && !till.ask(register, &sale).await {
            match till.met.last().map(String::as_str) {
                Some(FULL) => refused += 1,
                // An agent that is just being started.
                Some("no answer") => tokio::time::sleep(PAUSE).await,
                other => panic!("{other:?}\n{}", register.log()),
            }
        }
        if refused == REFUSALS {
            till.park(sale);
            return till.promised.len() - before;
        }
    }
}

async fn reserve(register: &Register) -> String {
    let size = register.get("/v1/size").await.expect("a size").body;
    size["reserve"].as_str().expect("a word").to_string()
}

/// Killed, and another one started on the full disk.
fn again(register: &Register) {
    register.kill();
    left_intact(&register.offline());
    register.start();
}

fn move_to_a_large_disk(register: &mut Register) {
    let (offline, large) = (register.offline(), register.folder.join("large"));
    std::fs::create_dir(&large).expect("a folder");
    for entry in std::fs::read_dir(&offline).expect("the small disk").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), large.join(entry.file_name())).expect("a copy");
        }
    }
    std::fs::remove_file(&offline).expect("the way to the small disk");
    std::fs::rename(&large, &offline).expect("the large disk in its place");
    register.program = PROGRAM.into();
}

#[test]
fn the_disk_is_full() {
    proof(async {
        let mut dice = dice("full");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let Some(disk) = SmallDisk::mount(&folder.path().join("small")) else { return };
        let conduct = Conduct { reserve_mb: RESERVE_MB, ..Conduct::default() };
        let mut store = Store::prepared(1, &conduct);
        store.registers[0].program = disk.program(folder.path());
        let offline = store.registers[0].offline();
        std::os::unix::fs::symlink(&disk.path, &offline).expect("the offline folder");
        store.start().await;
        let mut tills = tills(&store, &mut dice);
        let Store { registers, channel, .. } = &mut store;
        let (register, till) = (&registers[0], &mut tills[0]);
        till.lines_max = LINES_MAX;
        for round in 0..rounds(2) {
            if round > 0 {
                // An agent looks at its start; a running one looks once a minute.
                register.kill();
                register.start();
            }
            register.status("kept for bad days", |s| s["size"]["reserve"] == "kept").await;
            till.sell(register).await;
            // Without the channel nothing is settled, so that all has to stay.
            channel.order("cut");
            register.status("offline", |status| status["state"] == "offline").await;
            disk.fill();
            if round % 2 == 1 {
                again(register);
            }
            let sold = sell_out(register, till).await;
            assert!(sold > 0, "it sold on what it had kept");
            assert_eq!(reserve(register).await, "gone");
            let ready = register.get("/readyz").await.expect("an answer");
            assert_eq!((ready.status, &ready.body["reasons"][0]["code"]), (503, &FULL.into()));
            if round % 2 == 1 {
                again(register);
                tokio::time::sleep(Duration::from_millis(dice.below(2_000))).await;
            }
            assert_eq!(register.ended(), None, "{}", register.log());
            disk.make_room();
            // By itself, the refused one first.
            till.sell(register).await;
            till.sell(register).await;
            channel.order("restore");
            register.online().await;
            tell(&format!("full: {sold} sales on a full disk"));
        }
        let met = till.met.iter().filter(|code| *code == FULL).count();
        assert!(met >= REFUSALS, "the disk was full: {:?}", till.met);
        // SQLite follows the way to the small disk only from within.
        store.settle().await;
        store.registers[0].kill();
        move_to_a_large_disk(&mut store.registers[0]);
        store.start().await;
        judge(&store, &tills).await;
    });
}
