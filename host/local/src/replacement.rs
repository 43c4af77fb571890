//! A whole new offline database in the place of the old one, because a person asked for it.
//!
//! ```text
//! folder/next/            built there as a database of its own; until it is whole, the old one counts
//! folder/ready-STAMP/     the same folder under this name: from this renaming on, the new one counts
//! folder/replaced-STAMP/  the old files, moved there one by one; then the new ones take their names
//! ```
//!
//! * Killed at any step: before the renaming the next opening finds the old database and throws `next` away; from it on
//!   the next opening moves what is not moved yet, and finds the new one.
//! * A file of the old database is never deleted here, and never stands beside a log that is not its own: the log goes
//!   before its file, both ways.
//! * The folder stays locked from the old database's last transaction to the end.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{CATALOGUE, JOURNAL, bring_to_disk};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NEXT: &str = "next";
const READY: &str = "ready-";
const REPLACED: &str = "replaced-";

/// Keeps a folder locked after its database has closed.
pub struct Hold {
    folder: PathBuf,
    _lock: Arc<File>,
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
        Ok(Hold { folder, _lock: lock })
    }
}

impl Hold {
    /// Puts the database in `next` in the place of the old one; both are closed. `stamp` names the folder in which the old
    /// one is kept, which is the answer.
    pub fn replace(self, stamp: &str) -> Result<PathBuf, LocalError> {
        announce(&self.folder, stamp)?;
        finish(&self.folder).map_err(at(&self.folder))?;
        Ok(self.folder.join(format!("{REPLACED}{stamp}")))
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
pub(crate) fn recover(folder: &Path) -> Result<(), LocalError> {
    finish(folder).and_then(|()| remove_folder(&folder.join(NEXT))).map_err(at(folder))
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
