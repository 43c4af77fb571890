//! The power goes while a register sells: what SQLite had not brought to the disk yet is lost, torn or out of order.
//!
//! ```text
//! agent, with record.c in front of the C library's file calls -> record -> disk -> what may be left after a cut
//! ```
//! 1. The agent is killed in the middle of its writes, after so many by the dice.
//! 2. At some hundred moments of its life the power could have gone as well: of each, files are made that may be left, and
//!    opened with SQLite. Every sale that was acknowledged by then is in them, and they are whole.
//! 3. One of those of the last moment becomes the register's own, and the next agent begins with it.
//!
//! The harness is shown to be able to fail: with every sync ignored the same cuts lose acknowledged sales.

mod disk;

use super::{dice, rounds, tell, tills};
use crate::dice::Dice;
use crate::harness::{PROGRAM, number, proof};
use crate::judge::{FILES, judge, whole};
use crate::store::{Conduct, LONG, Register, Store, rows, tables};
use crate::till::Till;
use disk::{Disk, Record, Syncs};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOURCE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/suite/ordeal/power/record.c");
const USUAL_CUTS: u64 = 5;
/// Moments of a life at which the power could have gone; `TILLHOLD_ORDEAL_MOMENTS`.
const USUAL_MOMENTS: u64 = 60;
/// A sale is some dozens of records, a register's first start some hundreds.
const RECORDS_MAX: u64 = 3_000;
const PAUSE: Duration = Duration::from_millis(10);

/// Between the agent and its files.
struct Power<'a> {
    register: &'a Register,
    folder: &'a Path,
    life: Cell<u64>,
}

impl<'a> Power<'a> {
    fn new(register: &'a mut Register, folder: &'a Path) -> Power<'a> {
        let mut built = Command::new("cc");
        built.args(["-O1", "-shared", "-fPIC", SOURCE, "-o"]).arg(folder.join("record.so"));
        assert!(built.status().expect("a C compiler").success(), "the record was not built");
        register.program = folder.join("tillhold");
        Power { register, folder, life: Cell::new(0) }
    }

    fn record(&self) -> PathBuf {
        self.folder.join(format!("record-{}", self.life.get()))
    }

    /// The next agent is killed after so many records; 0 is never.
    fn start(&self, records: u64) {
        self.life.set(self.life.get() + 1);
        let script = format!(
            "#!/bin/sh\nPOWER_FOLDER='{}' POWER_RECORD='{}' POWER_RECORDS={records} LD_PRELOAD='{}' exec '{PROGRAM}' \"$@\"\n",
            self.register.offline().display(),
            self.record().display(),
            self.folder.join("record.so").display(),
        );
        let program = &self.register.program;
        std::fs::write(program, script).expect("a script");
        std::fs::set_permissions(program, Permissions::from_mode(0o755)).expect("its rights");
        self.register.start();
    }
}

/// What the cuts came to.
#[derive(Debug, Default)]
struct Told {
    cuts: usize,
    /// Rows of acknowledged sales that were looked for, and those that were not there.
    rows: usize,
    lost: usize,
    damaged: Vec<String>,
}

/// Every moment of a life in which the power could have gone.
struct Life<'a> {
    base: &'a Path,
    records: &'a [Record],
    /// Acknowledged sales with the moment from which on they are promised.
    promised: &'a [(u64, String)],
}

impl Life<'_> {
    fn cuts(&self, moments: u64, syncs: Syncs, dice: &mut Dice, told: &mut Told) {
        if self.records.is_empty() {
            return;
        }
        let count = self.records.len() as u64;
        let moments: BTreeSet<u64> =
            (0..moments).map(|_| 1 + dice.below(count)).chain([count]).collect();
        let (mut disk, mut taken) = (Disk::of(self.base, syncs), 0);
        for moment in moments {
            let records = &self.records[taken..moment as usize];
            records.iter().for_each(|record| disk.take(record));
            taken = moment as usize;
            let at = self.records[taken - 1].end;
            told.cuts += 1;
            self.look(&disk.left(dice), at, told);
        }
    }

    /// Opens what is left, as the next agent does.
    fn look(&self, left: &BTreeMap<String, Vec<u8>>, at: u64, told: &mut Told) {
        let folder = tempfile::tempdir().expect("a folder");
        lay_down(left, folder.path());
        let promised: BTreeSet<&str> = self
            .promised
            .iter()
            .filter(|(from, _)| *from <= at)
            .map(|(_, sale)| sale.as_str())
            .collect();
        told.rows += promised.len();
        for name in FILES.iter().filter(|name| left.contains_key(**name)) {
            let found = Connection::open(folder.path().join(name)).and_then(|file| whole(&file));
            if found.as_deref() != Ok("ok") {
                told.damaged.push(format!("{name} at {at}: {found:?}"));
                // Nothing can be looked for in it.
                told.lost += if *name == FILES[0] { promised.len() } else { 0 };
                return;
            }
        }
        if promised.is_empty() {
            return;
        }
        let there = sold(&folder.path().join(FILES[0]));
        told.lost += promised.iter().filter(|sale| !there.contains(**sale)).count();
    }
}

fn lay_down(left: &BTreeMap<String, Vec<u8>>, folder: &Path) {
    for (name, bytes) in left {
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
}

/// Headers and lines that a journal has.
fn sold(journal: &Path) -> BTreeSet<String> {
    let [_, _, headers, lines] = tables();
    let file = Connection::open(journal).expect("a journal");
    let is_there = |name: &str| file.table_exists(None, name).expect("a question");
    let all = [headers, lines];
    let all = all.iter().filter(|table| is_there(&table.name.to_string()));
    all.flat_map(|table| rows(&file, table)).collect()
}

/// A promise as the disk must keep it: its rows, and in which life of the agent and with how much recorded it was given.
struct Kept {
    life: u64,
    recorded: u64,
    rows: Vec<String>,
}

/// Sells until it is over, whatever becomes of the agent.
async fn sell(power: &Power<'_>, till: &mut Till, kept: &RefCell<Vec<Kept>>, is_over: &Cell<bool>) {
    while !is_over.get() {
        till.sell(power.register).await;
        // Whoever was promised something in an earlier life is looked for in the whole of this one.
        let recorded = std::fs::metadata(power.record()).map_or(0, |file| file.len());
        let promise = till.promised.last().expect("a promise");
        let (headers, lines) = till.rows_of(promise);
        let rows = headers.into_iter().chain(lines).collect();
        kept.borrow_mut().push(Kept { life: power.life.get(), recorded, rows });
    }
}

/// One life: until the agent has died in the middle of its writes.
async fn live(power: &Power<'_>, records: u64) {
    power.start(records);
    let died = tokio::time::timeout(LONG, async {
        loop {
            match power.register.ended() {
                Some(status) => return status,
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    let status = died.await.expect("a life that ends");
    assert_eq!(status.signal(), Some(9), "{status}\n{}", power.register.log());
}

/// Everything that the cuts came to, with the disk as it should be and with one that lies.
#[derive(Debug, Default)]
struct Both {
    kept: Told,
    ignored: Told,
}

impl Both {
    /// The life that has just ended: all its cuts, and one of its last moment to go on with.
    fn end(&mut self, power: &Power<'_>, base: &Path, kept: &[Kept], dice: &mut Dice) {
        let records = disk::records(&power.record());
        let life = power.life.get();
        let of = |kept: &Kept| {
            let from = if kept.life < life { 0 } else { kept.recorded };
            kept.rows.iter().map(|row| (from, row.clone())).collect::<Vec<_>>()
        };
        let promised: Vec<(u64, String)> = kept.iter().flat_map(of).collect();
        let life = Life { base, records: &records, promised: &promised };
        let moments = number("TILLHOLD_ORDEAL_MOMENTS", USUAL_MOMENTS);
        life.cuts(moments, Syncs::Kept, dice, &mut self.kept);
        life.cuts(moments, Syncs::Ignored, dice, &mut self.ignored);
        let mut disk = Disk::of(base, Syncs::Kept);
        records.iter().for_each(|record| disk.take(record));
        empty(&power.register.offline());
        lay_down(&disk.left(dice), &power.register.offline());
        std::fs::remove_file(power.record()).expect("a record");
    }
}

/// The files of a folder; what is in folders of their own is nobody's row.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

fn empty(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    files(folder).iter().for_each(|file| std::fs::remove_file(file).expect("a file that goes"));
}

fn copy(from: &Path, to: &Path) {
    empty(to);
    for file in files(from) {
        let name = file.file_name().expect("a file's name");
        std::fs::copy(&file, to.join(name)).expect("a copy");
    }
}

#[test]
fn the_power_goes() {
    proof(async {
        let mut dice = dice("power");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let base = folder.path().join("base");
        let mut store = Store::prepared(1, &Conduct::default());
        let mut tills = tills(&store, &mut dice);
        let Store { registers, channel, .. } = &mut store;
        let power = Power::new(&mut registers[0], folder.path());
        let kept: RefCell<Vec<Kept>> = RefCell::default();
        let (is_over, mut told) = (Cell::new(false), Both::default());
        let story = async {
            for _ in 0..rounds(USUAL_CUTS) {
                copy(&power.register.offline(), &base);
                // With a channel and without: what was pushed must be here too. A register that is not filled yet needs it.
                let is_cut = dice.below(2) == 0 && !kept.borrow().is_empty();
                if is_cut {
                    channel.order("cut");
                }
                live(&power, 1 + dice.below(RECORDS_MAX)).await;
                if is_cut {
                    channel.order("restore");
                }
                told.end(&power, &base, &kept.borrow(), &mut dice);
            }
            is_over.set(true);
            power.start(0);
        };
        tokio::join!(sell(&power, &mut tills[0], &kept, &is_over), story);
        let Both { kept, ignored } = &told;
        tell(&format!(
            "power: {kept:?}; with every sync ignored: {} of {} lost, {} damaged",
            ignored.lost,
            ignored.rows,
            ignored.damaged.len()
        ));
        assert!(kept.damaged.is_empty() && kept.lost == 0, "{kept:#?}");
        assert!(kept.rows > 0 && ignored.lost > 0, "the harness cannot fail: {ignored:#?}");
        judge(&store, &tills).await;
    });
}
