//! Space that is taken in good days: a file beside the journal that goes when the disk is full, so that a shift can be
//! sold to its end and closed.
//!
//! * The journal's writer lets it go, or whoever could not open the register for sales otherwise. While it is gone
//!   nothing is loaded into the catalogue: what is left of the disk is for sales.
//! * It comes back by itself once the disk has room for it twice.

use crate::error::LocalError;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tillhold_env::Env;

const NAME: &str = "ballast";
const ASIDE: &str = "ballast.new";
/// A disk with less room than this counts as full.
const NO_ROOM_BYTES: u64 = 1 << 20;

/// Whether there is space that was kept for bad days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The profile asks for none.
    Unwanted,
    Kept,
    /// Let go because the disk was full, or never taken because it had no room: nothing is loaded meanwhile.
    Gone,
}

impl Reserve {
    pub const fn name(self) -> &'static str {
        match self {
            Reserve::Unwanted => "none",
            Reserve::Kept => "kept",
            Reserve::Gone => "gone",
        }
    }
}

fn has_no_room(env: &Env, folder: &Path) -> bool {
    env.disk.free_bytes(folder).is_ok_and(|free| free < NO_ROOM_BYTES)
}

/// SQLite tells some writes on a full disk as those of a broken one.
pub(crate) fn named(error: LocalError, env: &Env, folder: &Path) -> LocalError {
    match error {
        LocalError::Disk { file, .. } if has_no_room(env, folder) => LocalError::DiskFull { file },
        error => error,
    }
}

pub(crate) struct Ballast {
    env: Env,
    folder: PathBuf,
    wanted_bytes: AtomicU64,
}

impl Ballast {
    pub(crate) fn new(env: &Env, folder: &Path) -> Ballast {
        Ballast { env: env.clone(), folder: folder.to_path_buf(), wanted_bytes: AtomicU64::new(0) }
    }

    pub(crate) fn reserve(&self) -> Reserve {
        match self.wanted_bytes.load(Ordering::Acquire) {
            0 => Reserve::Unwanted,
            wanted if self.held_bytes() == wanted => Reserve::Kept,
            _ => Reserve::Gone,
        }
    }

    /// Whether less is free beside the files, as far as the system says.
    pub(crate) fn has_less_than(&self, bytes: u64) -> bool {
        self.env.disk.free_bytes(&self.folder).is_ok_and(|free| free < bytes)
    }

    fn held_bytes(&self) -> u64 {
        std::fs::metadata(self.folder.join(NAME)).map_or(0, |file| file.len())
    }

    /// After a failed write: gives the space to whoever writes next if it failed for want of some.
    pub(crate) fn relieve(&self, error: &LocalError) {
        let is_full = match error {
            LocalError::DiskFull { .. } => true,
            // Some writes of SQLite (to its shared index) fail as disk errors when the disk is full.
            LocalError::Disk { .. } => has_no_room(&self.env, &self.folder),
            _ => false,
        };
        if is_full {
            self.let_go();
        }
    }

    pub(crate) fn let_go(&self) {
        // There may be none: then there is nothing to give.
        let _ = std::fs::remove_file(self.folder.join(NAME));
    }

    /// Takes the space, of another size than before where that is asked for, if the disk has room for it twice.
    pub(crate) fn keep(&self, wanted: u64) -> Result<Reserve, LocalError> {
        self.wanted_bytes.store(wanted, Ordering::Release);
        let held = self.held_bytes();
        if held != wanted {
            self.change(held, wanted)
                .map_err(|source| LocalError::Folder { folder: self.folder.clone(), source })?;
        }
        Ok(self.reserve())
    }

    fn change(&self, held: u64, wanted: u64) -> io::Result<()> {
        let (file, aside) = (self.folder.join(NAME), self.folder.join(ASIDE));
        if held > 0 {
            std::fs::remove_file(&file)?;
        }
        if wanted == 0 || self.env.disk.free_bytes(&self.folder)? < wanted.saturating_mul(2) {
            return Ok(());
        }
        // Under its own name only when it is whole: a machine that stops in between has none.
        let taken = File::create(&aside).and_then(|new| self.env.disk.reserve(&new, wanted));
        match taken.and_then(|()| std::fs::rename(&aside, &file)) {
            Ok(()) => Ok(()),
            Err(error) => {
                let _ = std::fs::remove_file(&aside);
                // Somebody else was faster.
                if error.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(error) }
            }
        }
    }
}
