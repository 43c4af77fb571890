//! A whole new offline database in the place of the old one, because a person asked for it.
//!
//! ```text
//! folder/next/            built there as a database of its own; until it is whole, the old one counts
//! folder/ready-STAMP/     the same folder under this name: from this renaming on, the new one counts
//! folder/replaced-STAMP/  the old files, moved there one by one; then the new ones take their names
//! ```
//!
//! * A sale that another program commits into the old journal is not left behind: the journal is shut ([`crate::shut`]) and
//!   looked through, and moved away before anybody else can write again.
//! * Killed at any step: before the renaming the next opening finds the old database and throws `next` away; from it on
//!   the next opening moves what is not moved yet, and finds the new one. Where the old journal still stands under its name
//!   the lock on it went with the kill: it is looked through once more, and with anything unsent in it, or open in another
//!   program, it counts again and the new database is thrown away.
//! * A file of the old database is never deleted here, and never stands beside a log that is not its own: the log goes
//!   before its file, both ways.
//! * The folder stays locked from the old database's last transaction to the end.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{CATALOGUE, JOURNAL, bring_to_disk};
use crate::registry::Registry;
use crate::shut::{OnlyHere, ShutJournal};
use crate::unsent_sales::SaleColumns;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_env::Env;

const NEXT: &str = "next";
const READY: &str = "ready-";
const REPLACED: &str = "replaced-";

/// Keeps a folder locked after its database has closed.
pub struct Hold {
    env: Env,
    folder: PathBuf,
    registry: Arc<Registry>,
    _lock: Arc<File>,
}

/// The old database as it is found before it may be replaced.
pub enum LastLook {
    Nothing(Box<Shut>),
    OnlyHere(OnlyHere),
}

/// A closed database with nothing unsent, into which nobody writes any more. Let go when it is dropped.
pub struct Shut {
    hold: Hold,
    journal: ShutJournal,
}

impl LocalDatabase {
    /// Where the next database of a folder is built.
    pub fn next_folder(folder: &Path) -> PathBuf {
        folder.join(NEXT)
    }

    /// Throws away what an earlier building left.
    pub fn forget_next(folder: &Path) -> Result<(), LocalError> {
        remove_folder(&folder.join(NEXT)).map_err(at(folder))
    }

    /// The folder's lock, beyond the closing of the database.
    pub fn hold(&self) -> Result<Hold, LocalError> {
        let (folder, lock) = self.lock().ok_or(LocalError::Closed)?;
        let (env, registry) = (self.env().clone(), self.registry());
        Ok(Hold { env, folder, registry, _lock: lock })
    }
}

impl Hold {
    /// Looks through the closed database, and shuts it to other programs when the channel has all of it; what only it has
    /// is told with the amounts in these columns.
    pub fn shut(self, amounts_of: &SaleColumns) -> Result<LastLook, LocalError> {
        let journal = ShutJournal::take(&self.env, &self.folder)?;
        let found = journal.only_here(Some((&self.registry, amounts_of)))?;
        Ok(match found.is_nothing() {
            true => LastLook::Nothing(Box::new(Shut { hold: self, journal })),
            false => LastLook::OnlyHere(found),
        })
    }
}

impl Shut {
    /// Puts the database in `next`, which is closed, in the place of the old one. `stamp` names the folder in which the
    /// old one is kept, which is the answer.
    pub fn replace(self, stamp: &str) -> Result<PathBuf, LocalError> {
        let folder = &self.hold.folder;
        announce(folder, stamp)?;
        finish_under(self.journal, folder).map_err(at(folder))?;
        Ok(folder.join(format!("{REPLACED}{stamp}")))
    }
}

/// The step that decides: before it the old database counts, after it the new one.
pub(crate) fn announce(folder: &Path, stamp: &str) -> Result<(), LocalError> {
    let next = folder.join(NEXT);
    for name in [JOURNAL, CATALOGUE] {
        let file = next.join(name);
        // A closed database has none; moved apart from its file it would be lost.
        let log = fs::metadata(next.join(format!("{name}-wal"))).map_or(0, |log| log.len());
        if log > 0 {
            let detail = "its write-ahead log was not folded in".to_string();
            return Err(LocalError::Damaged { file, detail });
        }
        bring_to_disk(&file).map_err(|trouble| trouble.at(&file))?;
    }
    sync(&next);
    fs::rename(&next, folder.join(format!("{READY}{stamp}"))).map_err(at(folder))?;
    sync(folder);
    Ok(())
}

/// Brings a replacement that was cut off to its end, before anything is opened.
pub(crate) fn recover(env: &Env, folder: &Path) -> Result<(), LocalError> {
    let ready = ready(folder).map_err(at(folder))?.map(|(ready, _)| ready);
    let done = match ready.filter(|ready| is_old_in_place(folder, ready)) {
        None => finish(folder),
        Some(ready) => match still_replaceable(env, folder)? {
            Some(journal) => finish_under(journal, folder),
            None => remove_folder(&ready),
        },
    };
    done.and_then(|()| remove_folder(&folder.join(NEXT))).map_err(at(folder))
}

/// Whether what stands under the journal's name is the old one.
fn is_old_in_place(folder: &Path, ready: &Path) -> bool {
    [folder, ready].iter().all(|place| place.join(JOURNAL).exists())
}

/// `None` when it is not: an opening does not wait for the other program, and the old database is as good as it was.
fn still_replaceable(env: &Env, folder: &Path) -> Result<Option<ShutJournal>, LocalError> {
    match ShutJournal::take(env, folder) {
        Ok(journal) => {
            let is_nothing = journal.only_here(None)?.is_nothing();
            Ok(is_nothing.then_some(journal))
        }
        Err(LocalError::Locked { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a new database waits for its place.
pub(crate) fn is_ready(folder: &Path) -> bool {
    ready(folder).is_ok_and(|ready| ready.is_some())
}

fn ready(folder: &Path) -> std::io::Result<Option<(PathBuf, String)>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stamp) = name.strip_prefix(READY) {
            return Ok(Some((entry.path(), stamp.to_string())));
        }
    }
    Ok(None)
}

/// With the old journal shut until another one has its name.
fn finish_under(journal: ShutJournal, folder: &Path) -> std::io::Result<()> {
    // Windows moves no open file, and there none that another program has opened since.
    let shut = (!cfg!(windows)).then_some(journal);
    let done = finish(folder);
    drop(shut);
    done
}

fn finish(folder: &Path) -> std::io::Result<()> {
    let Some((ready, stamp)) = ready(folder)? else { return Ok(()) };
    let replaced = folder.join(format!("{REPLACED}{stamp}"));
    fs::create_dir_all(&replaced)?;
    for (from, to) in moves(folder, &ready, &replaced) {
        fs::rename(&from, &to)?;
    }
    sync(&replaced);
    sync(folder);
    // What a building needs besides: its lock, its compiled plugins.
    remove_folder(&ready)
}

/// What is left to move. It may be cut off anywhere: as long as a new file waits, what stands under its name is the old
/// one.
pub(crate) fn moves(folder: &Path, ready: &Path, replaced: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut moves = Vec::new();
    for name in [JOURNAL, CATALOGUE].into_iter().filter(|name| ready.join(name).exists()) {
        for suffix in ["-shm", "-wal", ""] {
            let file = format!("{name}{suffix}");
            moves.push((folder.join(&file), replaced.join(&file)));
        }
        moves.push((ready.join(name), folder.join(name)));
    }
    moves.retain(|(from, _)| from.exists());
    moves
}

/// Directories cannot be opened everywhere; where they cannot, renaming is as durable as it gets.
fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn at(folder: &Path) -> impl Fn(std::io::Error) -> LocalError {
    let folder = folder.to_path_buf();
    move |source| LocalError::Folder { folder: folder.clone(), source }
}
