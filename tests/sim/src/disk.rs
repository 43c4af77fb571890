//! A register's disk under SQLite: what was not synced is lost when the power goes, sector by sector, and writes fail
//! when they are to.
//!
//! A shim over SQLite's own file layer ([`rusqlite::ffi::sqlite3_vfs`]), over real files in memory: whoever looks past
//! SQLite, at a file's length or name, sees what production sees. Of each sector that was written and not yet synced it
//! keeps what the disk holds; a power cut puts some, all or none of it back. Names of files are not part of it: a
//! rename holds at once.
#![allow(unsafe_code)]

mod shim;

pub use shim::Mount;

use crate::entropy::Dice;
use crate::life::Life;
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tillhold_env::Locked as _;
use tokio::time::Instant;

const SECTOR: u64 = 512;
/// SQLite's epoch, in milliseconds before 1970: its days are Julian.
const JULIAN_MS: i64 = 210_866_760_000_000;

/// How the next operations fail.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    full: bool,
    /// Until a write fails; 0 is never.
    writes_left: u64,
    syncs_left: u64,
}

/// One machine's disk.
pub struct Disk {
    name: CString,
    state: Mutex<State>,
    /// Operations that changed something, for whoever chooses where to strike.
    pub operations: AtomicU64,
    pub skew_ms: Arc<AtomicI64>,
    opening: Instant,
}

struct State {
    life: Arc<Life>,
    weather: Weather,
    /// By inode: a rename changes nothing about what is on the disk.
    files: BTreeMap<u64, Unsynced>,
    dice: Dice,
}

/// What the disk holds where it is not what the file shows.
struct Unsynced {
    length: u64,
    sectors: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    /// Gives SQLite the disk under a name of its own.
    pub fn mounted(
        name: &str,
        life: &Arc<Life>,
        dice: Dice,
        skew_ms: &Arc<AtomicI64>,
    ) -> (Arc<Disk>, Mount) {
        let disk = Arc::new(Disk {
            name: CString::new(name).expect("a plain name"),
            state: Mutex::new(State {
                life: life.clone(),
                weather: Weather::default(),
                files: BTreeMap::new(),
                dice,
            }),
            operations: AtomicU64::new(0),
            skew_ms: skew_ms.clone(),
            opening: Instant::now(),
        });
        let mount = Mount::new(&disk);
        (disk, mount)
    }

    fn is_gone(&self) -> bool {
        self.state().life.is_dead()
    }

    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.locked()
    }

    /// The next process on this machine.
    pub fn serve(&self, life: &Arc<Life>) {
        self.state().life = life.clone();
    }

    pub fn fill(&self, full: bool) {
        self.state().weather.full = full;
    }

    /// Nothing fails, and nothing is about to.
    pub fn is_well(&self) -> bool {
        let weather = self.state().weather;
        !weather.full && weather.writes_left == 0 && weather.syncs_left == 0
    }

    pub fn is_full(&self) -> bool {
        self.state().weather.full
    }

    /// The so-manieth write from now on fails, as a bad block does.
    pub fn fail_write(&self, number: u64) {
        self.state().weather.writes_left = number;
    }

    pub fn fail_sync(&self, number: u64) {
        self.state().weather.syncs_left = number;
    }

    pub fn heal(&self) {
        self.state().weather = Weather::default();
    }

    /// All of it is on the disk: nobody has a file open, and the machine was shut down in peace.
    pub fn settle(&self) {
        self.state().files.clear();
    }

    /// The power went: of what was not synced, all of it, none of it or any sectors of it are on the disk. Nobody may
    /// have a file of it open.
    pub fn lose_power(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let files = std::mem::take(&mut state.files);
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // SQLite makes it anew when nobody has it open.
            if entry.file_name().to_string_lossy().ends_with("-shm") {
                std::fs::remove_file(entry.path())?;
                continue;
            }
            if let Some(unsynced) = files.get(&entry.metadata()?.ino()) {
                unsynced.put_back(&entry.path(), &mut state.dice)?;
            }
        }
        Ok(())
    }

    /// Before bytes change: what the disk holds there.
    fn note(&self, file: &Real, from: u64, to: u64) -> io::Result<()> {
        let mut state = self.state();
        let length = file.handle.metadata()?.len();
        let fresh = || Unsynced { length, sectors: BTreeMap::new() };
        let unsynced = state.files.entry(file.inode).or_insert_with(fresh);
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let at = sector * SECTOR;
            if at >= unsynced.length || unsynced.sectors.contains_key(&sector) {
                continue;
            }
            let mut bytes = vec![0; SECTOR.min(unsynced.length - at) as usize];
            file.handle.read_exact_at(&mut bytes, at)?;
            unsynced.sectors.insert(sector, bytes);
        }
        Ok(())
    }

    /// Whether the operation may go on; otherwise SQLite's code for how it fails.
    fn strike(&self, of: Operation) -> Option<c_int> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let life = self.state().life.clone();
        if life.touch_file() {
            return Some(of.error());
        }
        let mut state = self.state();
        let weather = &mut state.weather;
        match of {
            Operation::Write { grows } if grows && weather.full => Some(ffi::SQLITE_FULL),
            Operation::Write { .. } => counted(&mut weather.writes_left).then(|| of.error()),
            Operation::Sync => counted(&mut weather.syncs_left).then(|| of.error()),
            Operation::Truncate | Operation::Delete => None,
        }
    }

    fn now_ms(&self) -> i64 {
        let elapsed = self.opening.elapsed().as_millis() as i64;
        crate::life::OPENING_MS + elapsed + self.skew_ms.load(Ordering::Relaxed)
    }
}

/// Counts one; whether it was the one that was meant.
fn counted(left: &mut u64) -> bool {
    let is_last = *left == 1;
    *left = left.saturating_sub(1);
    is_last
}

#[derive(Clone, Copy)]
enum Operation {
    Write { grows: bool },
    Sync,
    Truncate,
    Delete,
}

impl Operation {
    fn error(self) -> c_int {
        match self {
            Operation::Write { .. } => ffi::SQLITE_IOERR_WRITE,
            Operation::Sync => ffi::SQLITE_IOERR_FSYNC,
            Operation::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Operation::Delete => ffi::SQLITE_IOERR_DELETE,
        }
    }
}

impl Unsynced {
    fn put_back(&self, path: &Path, dice: &mut Dice) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // All is on the disk, nothing is, or whatever the controller had come to.
        let lost_of_four = *dice.of_list(&[0, 4, 4, 1, 2, 3]);
        let now = file.metadata()?.len();
        let mut kept_to = self.length;
        for sector in self.length.div_ceil(SECTOR)..now.div_ceil(SECTOR) {
            let at = sector * SECTOR;
            if dice.between(1, 4) > lost_of_four {
                kept_to = (at + SECTOR).min(now);
            } else {
                let lost = vec![0; SECTOR.min(now - at) as usize];
                file.write_all_at(&lost, at)?;
            }
        }
        for (sector, bytes) in &self.sectors {
            if dice.between(1, 4) <= lost_of_four {
                file.write_all_at(bytes, sector * SECTOR)?;
            }
        }
        // A file that was made shorter may have its old length again; one that grew has what came of it.
        let shorter = now < self.length && dice.between(1, 4) > lost_of_four;
        file.set_len(if shorter { now } else { kept_to })
    }
}

/// A file that SQLite has open, as the shim sees it.
struct Real {
    handle: File,
    inode: u64,
    disk: Arc<Disk>,
}

impl Real {
    fn open(path: &CStr, disk: &Arc<Disk>) -> io::Result<Real> {
        let path = PathBuf::from(path.to_string_lossy().into_owned());
        let handle = File::open(path)?;
        let inode = handle.metadata()?.ino();
        Ok(Real { handle, inode, disk: disk.clone() })
    }

    fn synced(&self) {
        self.disk.state().files.remove(&self.inode);
    }
}
