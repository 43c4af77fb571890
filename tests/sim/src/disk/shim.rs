//! SQLite's file interface in terms of [`Disk`]: each call is counted, may fail, and goes on to SQLite's own layer.

use super::{Disk, JULIAN_MS, Operation, Real};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// What SQLite allocates for a file of ours; its own layer's file lies behind it.
#[repr(C)]
struct Shim {
    base: sqlite3_file,
    real: *mut Real,
}

/// The disk under its name; dropped, SQLite knows it no more. Nobody may have a file of it open then.
pub struct Mount {
    vfs: *mut sqlite3_vfs,
}

impl Mount {
    pub(super) fn new(disk: &Arc<Disk>) -> Mount {
        let kept: *mut Arc<Disk> = Box::into_raw(Box::new(disk.clone()));
        // SAFETY: SQLite copies nothing of the structure; structure and disk are freed when it has forgotten both.
        unsafe {
            let below = below();
            let vfs = Box::into_raw(Box::new(sqlite3_vfs {
                iVersion: 2,
                szOsFile: (*below).szOsFile + size_of::<Shim>() as c_int,
                pNext: null_mut(),
                zName: disk.name.as_ptr(),
                pAppData: kept.cast(),
                xOpen: Some(open),
                xDelete: Some(delete),
                xRandomness: Some(randomness),
                xSleep: Some(sleep),
                xCurrentTime: None,
                xCurrentTimeInt64: Some(now),
                ..*below
            }));
            let code = ffi::sqlite3_vfs_register(vfs, 0);
            assert_eq!(code, ffi::SQLITE_OK, "SQLite takes the disk");
            Mount { vfs }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: both were boxed by `new`, and after this nobody finds them.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.vfs);
            let vfs = Box::from_raw(self.vfs);
            drop(Box::from_raw(vfs.pAppData.cast::<Arc<Disk>>()));
        }
    }
}

/// SQLite's own layer.
unsafe fn below() -> *mut sqlite3_vfs {
    // SAFETY: the default layer is there from the first call on and stays.
    let found = unsafe { ffi::sqlite3_vfs_find(null()) };
    assert!(!found.is_null(), "SQLite has a file layer");
    found
}

unsafe fn disk_of<'a>(vfs: *mut sqlite3_vfs) -> &'a Arc<Disk> {
    // SAFETY: `Mount::new` put it there, and it lives as long as the mount.
    unsafe { &*(*vfs).pAppData.cast::<Arc<Disk>>() }
}

unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` asked for room for both, one behind the other.
    unsafe { file.cast::<Shim>().add(1).cast() }
}

unsafe fn real<'a>(file: *mut sqlite3_file) -> Option<&'a Real> {
    // SAFETY: null for temporary files, otherwise a box that `close` takes back.
    unsafe { (*file.cast::<Shim>()).real.as_ref() }
}

/// Calls the same method of SQLite's own layer.
macro_rules! pass {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite gives what its own layer expects, and that layer's file is open.
        unsafe {
            let inner = inner($file);
            match (*(*inner).pMethods).$method {
                Some(method) => method(inner $(, $argument)*),
                None => ffi::SQLITE_IOERR,
            }
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gave room of `szOsFile` bytes; nothing of it is set yet.
    unsafe {
        (*file.cast::<Shim>()).real = null_mut();
        (*file).pMethods = null();
        let below = below();
        let Some(open) = (*below).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = open(below, name, inner(file), flags, given);
        if code != ffi::SQLITE_OK {
            return code;
        }
        if !name.is_null() {
            match Real::open(CStr::from_ptr(name), disk_of(vfs)) {
                Ok(real) => (*file.cast::<Shim>()).real = Box::into_raw(Box::new(real)),
                Err(_) => {
                    if let Some(close) = (*(*inner(file)).pMethods).xClose {
                        close(inner(file));
                    }
                    return ffi::SQLITE_CANTOPEN;
                }
            }
        }
        (*file).pMethods = &METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = pass!(file, xClose);
    // SAFETY: the box of `open`, taken back once.
    unsafe {
        let real = std::mem::replace(&mut (*file.cast::<Shim>()).real, null_mut());
        if !real.is_null() {
            drop(Box::from_raw(real));
        }
    }
    code
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: an open file.
    if unsafe { real(file) }.is_some_and(|real| real.disk.is_gone()) {
        return ffi::SQLITE_IOERR_READ;
    }
    pass!(file, xRead, buffer, length, at)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: an open file.
    if let Some(real) = unsafe { real(file) } {
        let (from, to) = (at as u64, (at + i64::from(length)) as u64);
        let grows = real.handle.metadata().is_ok_and(|now| to > now.len());
        if let Some(code) = real.disk.strike(Operation::Write { grows }) {
            return code;
        }
        if real.disk.note(real, from, to).is_err() {
            return ffi::SQLITE_IOERR_WRITE;
        }
    }
    pass!(file, xWrite, buffer, length, at)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    if let Some(real) = unsafe { real(file) } {
        if let Some(code) = real.disk.strike(Operation::Truncate) {
            return code;
        }
        let now = real.handle.metadata().map_or(0, |now| now.len());
        if real.disk.note(real, size as u64, now.max(size as u64)).is_err() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
    }
    pass!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: an open file.
    if let Some(real) = unsafe { real(file) } {
        if let Some(code) = real.disk.strike(Operation::Sync) {
            return code;
        }
        // Memory needs no sync; what counts is that the disk has it from here on.
        real.synced();
        return ffi::SQLITE_OK;
    }
    pass!(file, xSync, flags)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    pass!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, kind: c_int) -> c_int {
    pass!(file, xLock, kind)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, kind: c_int) -> c_int {
    pass!(file, xUnlock, kind)
}

unsafe extern "C" fn check_lock(file: *mut sqlite3_file, is: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, is)
}

unsafe extern "C" fn control(file: *mut sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    pass!(file, xFileControl, what, with)
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    super::SECTOR as c_int
}

/// None: a disk may tear and reorder whatever it was not asked to sync.
unsafe extern "C" fn characteristics(_: *mut sqlite3_file) -> c_int {
    0
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extends: c_int,
    place: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap, page, size, extends, place)
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    at: c_int,
    many: c_int,
    how: c_int,
) -> c_int {
    pass!(file, xShmLock, at, many, how)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `pass!`, for a method without an answer.
    unsafe {
        let inner = inner(file);
        if let Some(barrier) = (*(*inner).pMethods).xShmBarrier {
            barrier(inner);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, deletes: c_int) -> c_int {
    pass!(file, xShmUnmap, deletes)
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, syncs: c_int) -> c_int {
    // SAFETY: the mount's own vfs.
    if let Some(code) = unsafe { disk_of(vfs) }.strike(Operation::Delete) {
        return code;
    }
    // SAFETY: SQLite's own layer, with what SQLite gave.
    unsafe {
        let below = below();
        (*below).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |delete| delete(below, name, syncs))
    }
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for so many bytes.
    unsafe {
        let bytes = std::slice::from_raw_parts_mut(out.cast::<u8>(), length as usize);
        disk_of(vfs).state().dice.fill(bytes);
    }
    length
}

/// Nobody else moves meanwhile.
unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn now(vfs: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: the mount's own vfs, and a place for the answer.
    unsafe { *out = JULIAN_MS + disk_of(vfs).now_ms() };
    ffi::SQLITE_OK
}
