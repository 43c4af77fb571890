//! The disk of a computer that loses its power: from what a program did to its files, what may be left of them.
//!
//! * What was brought to the disk is there. Of what came after, each sector of 512 bytes is there or not, by chance: lost, torn
//!   and out of order.
//! * A new name, a rename and a removal hold from the folder's own sync on; of those after it, a first part, as a file
//!   system with a journal keeps them.

use crate::dice::Dice;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const SECTOR: usize = 512;

/// Whether the disk keeps what it says that it has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    Kept,
    /// As `synchronous = OFF` would be, or a disk that lies.
    Ignored,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Naming {
    Made(String, usize),
    Renamed(String, String),
    Removed(String),
}

/// A record of record.c, in its order.
#[derive(Clone, Debug)]
pub struct Record {
    kind: u64,
    file: u64,
    offset: usize,
    bytes: Vec<u8>,
    /// Where it ends in the record's file.
    pub end: u64,
}

/// All whole records of a file.
pub fn records(file: &Path) -> Vec<Record> {
    let all = std::fs::read(file).unwrap_or_default();
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(head) = all.get(at..at + 32) {
        let number = |at: usize| {
            u64::from_ne_bytes(head[8 * at..8 * at + 8].try_into().expect("eight bytes"))
        };
        let end = at + 32 + number(3) as usize;
        let Some(bytes) = all.get(at + 32..end) else { break };
        records.push(Record {
            kind: number(0),
            file: number(1),
            offset: number(2) as usize,
            bytes: bytes.to_vec(),
            end: end as u64,
        });
        at = end;
    }
    records
}

#[derive(Clone, Debug)]
pub struct Disk {
    syncs: Syncs,
    files: Vec<File>,
    /// The names that hold whatever happens, those as the program sees them, and what leads from the first to the second.
    durable: BTreeMap<String, usize>,
    seen: BTreeMap<String, usize>,
    unsynced: Vec<Naming>,
    of_inode: HashMap<u64, usize>,
}

impl Disk {
    /// A folder whose files are all on the disk.
    pub fn of(folder: &Path, syncs: Syncs) -> Disk {
        let (mut files, mut names) = (Vec::new(), BTreeMap::new());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().expect("a name of ours");
            if entry.path().is_file() && !name.ends_with("-shm") {
                let durable = std::fs::read(entry.path()).expect("a file");
                names.insert(name, files.len());
                files.push(File { durable, unsynced: Vec::new() });
            }
        }
        let (durable, of_inode) = (names.clone(), HashMap::new());
        Disk { syncs, files, durable, seen: names, unsynced: Vec::new(), of_inode }
    }

    pub fn take(&mut self, record: &Record) {
        let name = || String::from_utf8(record.bytes.clone()).expect("a name of ours");
        match record.kind {
            1 => {
                self.of_inode.insert(record.file, self.files.len());
                self.name(Naming::Made(name(), self.files.len()));
                self.files.push(File::default());
            }
            2 => {
                let file = *self.seen.get(&name()).expect("a file that is there");
                self.of_inode.insert(record.file, file);
            }
            3 => {
                let (at, bytes) = (record.offset, record.bytes.clone());
                self.file(record).unsynced.push(Change::Write { at, bytes });
            }
            4 => self.file(record).unsynced.push(Change::Size(record.offset)),
            5 if self.syncs == Syncs::Kept => {
                let file = self.file(record);
                let changes = std::mem::take(&mut file.unsynced);
                changes.iter().for_each(|change| whole(&mut file.durable, change));
            }
            6 => {
                let names = name();
                let (from, to) = names.split_once('\n').expect("two names");
                self.name(Naming::Renamed(from.to_string(), to.to_string()));
            }
            7 => self.name(Naming::Removed(name())),
            8 if self.syncs == Syncs::Kept => {
                self.durable = self.seen.clone();
                self.unsynced.clear();
            }
            5 | 8 => {}
            kind => panic!("no record of kind {kind}"),
        }
    }

    fn file(&mut self, record: &Record) -> &mut File {
        let at = *self.of_inode.get(&record.file).expect("a file that was opened");
        &mut self.files[at]
    }

    fn name(&mut self, naming: Naming) {
        rename(&mut self.seen, &naming);
        self.unsynced.push(naming);
    }

    /// What may be left when the power goes now.
    pub fn left(&self, dice: &mut Dice) -> BTreeMap<String, Vec<u8>> {
        // All of what was not synced, nothing, or each part with a chance of so many in eight.
        let chance = dice.below(9);
        let mut names = self.durable.clone();
        let namings = self.unsynced.len() as u64;
        let kept = if chance == 8 { namings } else { dice.below(chance * namings / 8 + 1) };
        self.unsynced.iter().take(kept as usize).for_each(|naming| rename(&mut names, naming));
        let file = |at: usize, dice: &mut Dice| {
            let mut bytes = self.files[at].durable.clone();
            for change in &self.files[at].unsynced {
                part(&mut bytes, change, &mut || dice.below(8) < chance);
            }
            bytes
        };
        names.into_iter().map(|(name, at)| (name, file(at, dice))).collect()
    }
}

fn rename(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Made(name, file) => drop(names.insert(name.clone(), *file)),
        Naming::Renamed(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Naming::Removed(name) => drop(names.remove(name)),
    }
}

fn whole(bytes: &mut Vec<u8>, change: &Change) {
    part(bytes, change, &mut || true);
}

/// Those sectors of a change that reached the disk.
fn part(bytes: &mut Vec<u8>, change: &Change, reached: &mut dyn FnMut() -> bool) {
    match change {
        Change::Size(length) => {
            if reached() {
                bytes.resize(*length, 0);
            }
        }
        Change::Write { at, bytes: written } => {
            let mut from = 0;
            while from < written.len() {
                let to = (from + SECTOR - (at + from) % SECTOR).min(written.len());
                if reached() {
                    let end = bytes.len().max(at + to);
                    bytes.resize(end, 0);
                    bytes[at + from..at + to].copy_from_slice(&written[from..to]);
                }
                from = to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, Record, Syncs};
    use crate::dice::Dice;
    use std::collections::BTreeSet;

    fn record(kind: u64, offset: usize, bytes: &[u8]) -> Record {
        Record { kind, file: 7, offset, bytes: bytes.to_vec(), end: 0 }
    }

    /// Everything that a thousand cuts leave.
    fn left(syncs: Syncs, records: &[Record]) -> BTreeSet<Option<Vec<u8>>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "old").expect("a file");
        let mut disk = Disk::of(folder.path(), syncs);
        records.iter().for_each(|record| disk.take(record));
        let mut dice = Dice::new(1);
        (0..1_000).map(|_| disk.left(&mut dice).remove("a")).collect()
    }

    fn some(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }

    #[test]
    fn what_was_synced_is_left_and_the_rest_by_chance() {
        let open = record(2, 0, b"a");
        let (one, two) = (record(3, 0, b"new"), record(3, 0, b"two"));
        let (sync, folder_sync) = (record(5, 0, b""), record(8, 0, b""));
        let both: BTreeSet<_> = [some(b"new"), some(b"old")].into();
        let all: BTreeSet<_> = [some(b"new"), some(b"old"), some(b"two")].into();
        let last: BTreeSet<_> = [some(b"new"), some(b"two")].into();
        let story = |more: &[&Record]| -> Vec<Record> {
            std::iter::once(&open).chain(more.iter().copied()).cloned().collect()
        };
        assert_eq!(left(Syncs::Kept, &story(&[&one])), both);
        assert_eq!(left(Syncs::Kept, &story(&[&one, &sync])), [some(b"new")].into());
        assert_eq!(left(Syncs::Ignored, &story(&[&one, &sync])), both);
        assert_eq!(left(Syncs::Kept, &story(&[&one, &two])), all);
        assert_eq!(left(Syncs::Kept, &story(&[&one, &sync, &two])), last);
        let gone = record(7, 0, b"a");
        let maybe: BTreeSet<_> = [None, some(b"old")].into();
        assert_eq!(left(Syncs::Kept, &story(&[&gone])), maybe);
        assert_eq!(left(Syncs::Kept, &story(&[&gone, &folder_sync])), [None].into());
    }

    #[test]
    fn a_write_is_torn_at_its_sectors() {
        let torn = left(Syncs::Kept, &[record(2, 0, b"a"), record(3, 500, &[1; 524])]);
        let sizes: BTreeSet<usize> = torn.iter().flatten().map(Vec::len).collect();
        assert_eq!(sizes, [3, 512, 1_024].into(), "up to the sector's end, and the next one");
        assert_eq!(torn.len(), 4, "nothing, the first, the second, both");
    }
}
