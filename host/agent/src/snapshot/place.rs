//! Files that appear whole or not at all: written aside, brought to the disk, renamed.

use super::fault::SnapshotError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
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
    sync_folder_of(to);
    Ok(())
}

/// The same, but what is under the name `to` already stays as it is: then it is [`ErrorKind::AlreadyExists`].
pub fn rename_to_free_name(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(from, to) {
        // The file has its name now; that it keeps its first one too harms nobody.
        Ok(()) => drop(std::fs::remove_file(from)),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Err(cause),
        Err(_) => rename_to_taken_name(from, to)?,
    }
    sync_folder_of(to);
    Ok(())
}

/// For the file systems without links (a stick's). Who makes the empty file under the name has made sure that none was there.
fn rename_to_taken_name(from: &Path, to: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(to)?;
    let renamed = std::fs::rename(from, to);
    if renamed.is_err() {
        // It is the empty one.
        drop(std::fs::remove_file(to));
    }
    renamed
}

/// Directories cannot be opened everywhere; where they cannot, renaming is as durable as it gets.
fn sync_folder_of(file: &Path) {
    if let Some(folder) = file.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// That there is none is as good.
pub fn remove(file: &Path) -> Result<(), SnapshotError> {
    match std::fs::remove_file(file) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(SnapshotError::file(file, cause)),
        _ => Ok(()),
    }
}

pub fn make_folder(folder: &Path) -> Result<(), SnapshotError> {
    std::fs::create_dir_all(folder).map_err(|cause| SnapshotError::file(folder, cause))
}

#[cfg(test)]
mod tests {
    use super::{rename_to_free_name, rename_to_taken_name};
    use std::io::ErrorKind;
    use std::path::Path;

    /// By links and without them.
    #[test]
    fn a_name_that_is_taken_keeps_its_file() {
        type Rename = fn(&Path, &Path) -> std::io::Result<()>;
        let ways: [(&str, Rename); 2] =
            [("by a link", rename_to_free_name), ("by an empty file", rename_to_taken_name)];
        for (way, rename) in ways {
            let folder = tempfile::tempdir().expect("a folder");
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            std::fs::write(&from, "new").expect("a file");
            rename(&from, &to).expect(way);
            assert_eq!(std::fs::read_to_string(&to).expect("the file"), "new", "{way}");
            assert!(!from.exists(), "{way}");
            std::fs::write(&from, "newer").expect("a file");
            let refused = rename(&from, &to).map_err(|cause| cause.kind());
            assert_eq!(refused, Err(ErrorKind::AlreadyExists), "{way}");
            assert_eq!(std::fs::read_to_string(&to).expect("the file"), "new", "{way}");
            assert!(from.exists(), "{way}");
        }
    }
}
