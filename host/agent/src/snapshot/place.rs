//! Files that appear whole or not at all: written aside, brought to the disk, renamed.

use super::fault::SnapshotError;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Replaces `file` by `bytes`.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    write(file, bytes, OpenOptions::new())
}

/// The same, for its owner's eyes only.
pub fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    write(file, bytes, options)
}

fn write(file: &Path, bytes: &[u8], mut options: OpenOptions) -> Result<(), SnapshotError> {
    let aside = aside(file);
    let failed = |cause| SnapshotError::file(file, cause);
    make_folder(file.parent().unwrap_or(Path::new("")))?;
    // One of an interrupted write may have other rights.
    remove(&aside)?;
    let mut opened = options.write(true).create_new(true).open(&aside).map_err(failed)?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(failed)?;
    drop(opened);
    rename(&aside, file)
}

/// Where a file is written before it gets its name.
pub fn aside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.aside"))
}

pub fn rename(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    std::fs::rename(from, to).map_err(|cause| SnapshotError::file(to, cause))?;
    // Directories cannot be opened everywhere; where they cannot, renaming is as durable as it gets.
    if let Some(folder) = to.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// That there is none is as good.
pub fn remove(file: &Path) -> Result<(), SnapshotError> {
    match std::fs::remove_file(file) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(SnapshotError::file(file, cause))
        }
        _ => Ok(()),
    }
}

pub fn make_folder(folder: &Path) -> Result<(), SnapshotError> {
    std::fs::create_dir_all(folder).map_err(|cause| SnapshotError::file(folder, cause))
}
