//! One builder at a time in a cache folder.
//!
//! The operating system drops the lock when its holder dies, so a killed build locks nobody out.

use crate::child::Naps;
use crate::error::ToolchainError;
use crate::progress::{Listener, Progress};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use tillhold_core::limits::BUILD_LOCK_TIMEOUT;

pub(crate) struct Lock {
    /// Held for its lifetime.
    _file: File,
}

impl Lock {
    /// Waits for another builder, and says so.
    pub fn take(path: PathBuf, what: &str, listener: Listener<'_>) -> Result<Self, ToolchainError> {
        let file = open(&path)?;
        let mut naps = Naps::new(BUILD_LOCK_TIMEOUT);
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => {
                    return Err(ToolchainError::io("lock", &path)(source));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !std::mem::replace(&mut told, true) {
                listener(Progress::Waiting { what: what.to_owned() });
            }
            if !naps.take() {
                let seconds = BUILD_LOCK_TIMEOUT.as_secs();
                return Err(ToolchainError::Locked { what: what.to_owned(), lock: path, seconds });
            }
        }
    }
}

fn open(path: &Path) -> Result<File, ToolchainError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(ToolchainError::io("make", folder))?;
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(ToolchainError::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second builder says that it waits; the first ends at that moment.
    #[test]
    fn the_second_builder_waits_for_the_first_and_says_so() {
        let folder = tempfile::tempdir().expect("a cache folder");
        let path = folder.path().join("deeper/build.lock");
        let mut said = Vec::new();
        let first = Lock::take(path.clone(), "the plugins", &mut |_| panic!("nobody else builds"));
        let mut first = Some(first.expect("free"));
        let second = Lock::take(path, "the plugins", &mut |progress| {
            said.push(progress);
            first = None;
        });
        assert!(second.is_ok());
        assert_eq!(said, [Progress::Waiting { what: "the plugins".to_owned() }]);
    }
}
