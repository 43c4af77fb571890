//! SQLite's own file layer (VFS), under which a large file reaches the disk while it is written, [`BYTES_PER_SYNC`] at a
//! time.
//!
//! A change of 2,000,000 prices puts some 460 MB into the system's cache, first into the write-ahead log and then, at the
//! checkpoint, into the database, and one sync at each one's end sends them to the disk. Whoever else syncs meanwhile waits
//! behind them: a sale in the other file, for 0.2 to 0.3 s. Synced on the way, it waits for at most one such piece, and the
//! whole takes no longer, for the bytes are the same. RocksDB has the same under the same name, `bytes_per_sync`.
//!
//! Only `xWrite` and `xSync` of databases and write-ahead logs are other than SQLite's: files, locks and shared memory are
//! its own, and other programs may have the same files open by its default layer.
#![allow(unsafe_code)]

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use rusqlite::{Connection, OpenFlags};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

/// What may be written and not yet synced: 40 ms of a disk that takes 100 MB a second, 3 ms of one that takes 1.5 GB. Of 32 MiB
/// a sale still waits for 17 ms there; and every sync has a price of its own, up to 10 ms on a disk that turns.
const BYTES_PER_SYNC: u64 = 4 * 1024 * 1024;

const NAME: &CStr = c"tillhold";

/// A connection by the layer of that name, or by ours where none is named. SQLite's default takes its place should SQLite
/// not have it.
pub fn connect(file: &Path, flags: OpenFlags, vfs: Option<&str>) -> rusqlite::Result<Connection> {
    static IS_KNOWN: OnceLock<bool> = OnceLock::new();
    match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(file, flags, vfs),
        None if *IS_KNOWN.get_or_init(register) => {
            Connection::open_with_flags_and_vfs(file, flags, NAME)
        }
        None => Connection::open_with_flags(file, flags),
    }
}

/// What lies behind SQLite's own structure of a file, in the room that SQLite allocates for both.
#[repr(C)]
struct Tail {
    /// Of SQLite's own layer.
    below: *const sqlite3_io_methods,
    /// The same but for those of ours.
    methods: sqlite3_io_methods,
    unsynced: u64,
}

fn register() -> bool {
    let Some(below) = below() else { return false };
    // SAFETY: the default layer is static, and a copy of it is a layer too: SQLite registers several of one kind that way.
    // SQLite keeps the pointer for ever, so the copy is leaked.
    unsafe {
        let vfs = Box::leak(Box::new(sqlite3_vfs {
            szOsFile: tail_at(below) + size_of::<Tail>() as c_int,
            pNext: null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            ..*below
        }));
        ffi::sqlite3_vfs_register(vfs, 0) == ffi::SQLITE_OK
    }
}

fn below() -> Option<*mut sqlite3_vfs> {
    // SAFETY: the default layer is there from the first call on, and stays.
    let found = unsafe { ffi::sqlite3_vfs_find(null()) };
    (!found.is_null()).then_some(found)
}

/// Where a [`Tail`] begins: SQLite aligns files to 8 bytes.
unsafe fn tail_at(below: *const sqlite3_vfs) -> c_int {
    // SAFETY: the caller's layer is there.
    unsafe { ((*below).szOsFile + 7) & !7 }
}

unsafe fn tail_of<'a>(file: *mut sqlite3_file) -> &'a mut Tail {
    // SAFETY: the methods of an open file are those in its tail (see `open`), so the tail lies around them.
    unsafe {
        let methods = (*file).pMethods.cast::<u8>();
        &mut *methods.sub(std::mem::offset_of!(Tail, methods)).cast_mut().cast::<Tail>()
    }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives what its own layer expects, and room of `szOsFile` bytes of ours.
    unsafe {
        (*file).pMethods = null();
        let Some(below) = below() else { return ffi::SQLITE_CANTOPEN };
        let Some(open) = (*below).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = open(below, name, file, flags, given);
        if code != ffi::SQLITE_OK || flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) == 0
        {
            return code;
        }
        let methods = (*file).pMethods;
        let tail: *mut Tail = file.cast::<u8>().add(tail_at(below) as usize).cast();
        let ours = sqlite3_io_methods { xWrite: Some(write), xSync: Some(sync), ..*methods };
        tail.write(Tail { below: methods, methods: ours, unsynced: 0 });
        (*file).pMethods = &raw const (*tail).methods;
        code
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives what its own layer expects, of a file that `open` made.
    unsafe {
        let tail = tail_of(file);
        let Some(write) = (*tail.below).xWrite else { return ffi::SQLITE_IOERR_WRITE };
        let code = write(file, bytes, length, at);
        tail.unsynced += u64::try_from(length).unwrap_or(0);
        if code != ffi::SQLITE_OK || tail.unsynced < BYTES_PER_SYNC {
            return code;
        }
        // A sync that fails is told at once: the system tells it once only, and the one at the end would find all well.
        #[cfg(test)]
        tests::EARLY.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        sync(file, ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as in `write`.
    unsafe {
        let tail = tail_of(file);
        let Some(sync) = (*tail.below).xSync else { return ffi::SQLITE_IOERR_FSYNC };
        tail.unsynced = 0;
        sync(file, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_PER_SYNC, Connection, OpenFlags, connect};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Syncs that SQLite did not ask for.
    pub(super) static EARLY: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn a_large_transaction_is_synced_on_its_way_and_a_small_one_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("large.db");
        let large = connect(&file, OpenFlags::default(), None).expect("a file");
        large
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a PRIMARY KEY, b)")
            .expect("a table");
        large.execute("INSERT INTO t VALUES (-1, 'small')", ()).expect("a row");
        large.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        assert_eq!(EARLY.load(Ordering::Relaxed), 0);

        // Four pieces into the log, and four into the database.
        let rows = i64::try_from(4 * BYTES_PER_SYNC / 4096).expect("few");
        let fill =
            "WITH RECURSIVE n (a) AS (SELECT 0 UNION ALL SELECT a + 1 FROM n WHERE a + 1 < ?1)
            INSERT INTO t SELECT a, randomblob(4096) FROM n";
        large.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("no checkpoint");
        large.execute(fill, [rows]).expect("rows");
        let into_log = EARLY.load(Ordering::Relaxed);
        assert!((4..=12).contains(&into_log), "{into_log}");
        large.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        let into_database = EARLY.load(Ordering::Relaxed) - into_log;
        assert!((4..=12).contains(&into_database), "{into_database}");

        // By SQLite's own layer beside it: the same file, the same locks.
        let beside = Connection::open(&file).expect("a second connection");
        let counted: i64 =
            beside.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).expect("a count");
        assert_eq!(counted, rows + 1);
        let found: String =
            beside.query_row("PRAGMA integrity_check", (), |row| row.get(0)).expect("a check");
        assert_eq!(found, "ok");
        large.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        beside.busy_timeout(std::time::Duration::ZERO).expect("no wait");
        assert!(beside.execute("DELETE FROM t", ()).is_err(), "the lock holds");
    }
}
