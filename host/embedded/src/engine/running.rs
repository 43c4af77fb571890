//! What is going on in one session at this moment, shared with the functions on its connection; and the counters
//! that all sessions share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use tillhold_core::text::guid_text;
use tillhold_env::{Locked as _, Random};

/// A lock whose holder panicked guards plain values only: they are as usable as before.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.locked()
}

/// Counters of the whole database. They run ahead of the file: a rolled back transaction leaves a gap, as it does
/// in SQL Server.
#[derive(Debug, Default)]
pub struct Counters {
    row_versions: Mutex<RowVersions>,
    /// Table -> last value given and step.
    identities: Mutex<HashMap<i32, (i64, i64)>>,
}

/// The database's one counter of row versions, and what of it is not yet committed.
#[derive(Debug, Default)]
struct RowVersions {
    last: i64,
    /// Session -> the first that its open transaction has given.
    active: BTreeMap<u32, i64>,
}

impl Counters {
    /// Where the file says that the counter stands.
    pub fn start_row_versions(&self, last: i64) {
        locked(&self.row_versions).last = last;
    }

    /// `@@DBTS`: the last that was given, committed or not.
    pub fn last_row_version(&self) -> i64 {
        locked(&self.row_versions).last
    }

    /// `MIN_ACTIVE_ROWVERSION()`: every smaller one is committed or will never be seen.
    pub fn min_active_row_version(&self) -> i64 {
        let versions = locked(&self.row_versions);
        versions.active.values().min().copied().unwrap_or(versions.last + 1)
    }

    fn next_row_version(&self, session: u32) -> i64 {
        let mut versions = locked(&self.row_versions);
        versions.last += 1;
        let given = versions.last;
        versions.active.entry(session).or_insert(given);
        given
    }

    fn settle_row_versions(&self, session: u32) {
        locked(&self.row_versions).active.remove(&session);
    }

    pub fn set_identity(&self, table: i32, last: i64, step: i64) {
        locked(&self.identities).insert(table, (last, step));
    }

    pub fn identity(&self, table: i32) -> Option<i64> {
        locked(&self.identities).get(&table).map(|(last, _)| *last)
    }

    fn next_identity(&self, table: i32) -> i64 {
        let mut identities = locked(&self.identities);
        let entry = identities.entry(table).or_insert((0, 1));
        entry.0 += entry.1;
        entry.0
    }

    /// An explicit value under IDENTITY_INSERT moves the counter when it is further on.
    fn pass_identity(&self, table: i32, value: i64) {
        let mut identities = locked(&self.identities);
        if let Some((last, step)) = identities.get_mut(&table)
            && (value - *last) * step.signum() > 0
        {
            *last = value;
        }
    }
}

pub struct Running {
    session: u32,
    counters: Arc<Counters>,
    random: Arc<dyn Random>,
    /// The change version of the last commit that this transaction saw when it took the write lock.
    base_version: AtomicI64,
    sequence: AtomicI64,
    tracked: AtomicBool,
    rowversion_used: AtomicBool,
    /// Row versions of temporary tables: tempdb has a counter of its own.
    own_rowversion: AtomicI64,
    /// The level of triggers for which changed rows are laid aside; 0: they are not.
    capture: AtomicI64,
    context: Mutex<Option<Vec<u8>>>,
    mask: Mutex<Option<Vec<u8>>>,
    /// Temporary tables' counters by their (negative) number.
    temporary: Mutex<HashMap<i32, (i64, i64)>>,
    /// Identities given in this transaction, to be written at commit.
    identities: Mutex<BTreeMap<i32, i64>>,
    last_identity: Mutex<Option<i64>>,
    /// SCOPE_IDENTITY(): what a trigger gave is not in it.
    scope_identity: Mutex<Option<i64>>,
}

impl Running {
    pub fn new(session: u32, counters: Arc<Counters>, random: Arc<dyn Random>) -> Running {
        Running {
            session,
            counters,
            random,
            base_version: AtomicI64::new(0),
            sequence: AtomicI64::new(0),
            tracked: AtomicBool::new(false),
            rowversion_used: AtomicBool::new(false),
            own_rowversion: AtomicI64::new(2000),
            capture: AtomicI64::new(0),
            context: Mutex::default(),
            mask: Mutex::default(),
            temporary: Mutex::default(),
            identities: Mutex::default(),
            last_identity: Mutex::default(),
            scope_identity: Mutex::default(),
        }
    }

    /// A write transaction begins on top of `base_version`.
    pub fn begin(&self, base_version: i64) {
        self.base_version.store(base_version, Relaxed);
        self.sequence.store(0, Relaxed);
        self.tracked.store(false, Relaxed);
        self.rowversion_used.store(false, Relaxed);
        locked(&self.identities).clear();
    }

    /// The version that this transaction's changes carry: the next after the last commit. All of a transaction's
    /// changes have the same, and writers come one after the other, so versions are in commit order.
    pub fn tracked_version(&self) -> i64 {
        self.tracked.store(true, Relaxed);
        self.base_version.load(Relaxed) + 1
    }

    /// The version to write at commit, if anything was tracked.
    pub fn version_to_commit(&self) -> Option<i64> {
        self.tracked.load(Relaxed).then(|| self.base_version.load(Relaxed) + 1)
    }

    pub fn tracked_sequence(&self) -> i64 {
        self.sequence.fetch_add(1, Relaxed)
    }

    pub fn context(&self) -> Option<Vec<u8>> {
        locked(&self.context).clone()
    }

    pub fn mask(&self) -> Option<Vec<u8>> {
        locked(&self.mask).clone()
    }

    /// The context and the columns of the change that runs next.
    pub fn set_change(&self, context: Option<Vec<u8>>, mask: Option<Vec<u8>>) {
        *locked(&self.context) = context;
        *locked(&self.mask) = mask;
    }

    pub fn next_identity(&self, table: i32) -> i64 {
        let value = if table < 0 {
            let mut temporary = locked(&self.temporary);
            let entry = temporary.entry(table).or_insert((0, 1));
            entry.0 += entry.1;
            entry.0
        } else {
            let value = self.counters.next_identity(table);
            locked(&self.identities).insert(table, value);
            value
        };
        self.identity_given(value);
        value
    }

    pub fn start_temporary_identity(&self, table: i32, seed: i64, step: i64) {
        locked(&self.temporary).insert(table, (seed - step, step));
    }

    /// A value that a statement gave itself under IDENTITY_INSERT.
    pub fn given_identity(&self, table: i32, value: i64) {
        self.counters.pass_identity(table, value);
        if let Some(last) = self.counters.identity(table) {
            locked(&self.identities).insert(table, last);
        }
        self.identity_given(value);
    }

    fn identity_given(&self, value: i64) {
        *locked(&self.last_identity) = Some(value);
        *locked(&self.scope_identity) = Some(value);
    }

    pub fn identities_to_commit(&self) -> Vec<(i32, i64)> {
        locked(&self.identities).iter().map(|(table, last)| (*table, *last)).collect()
    }

    pub fn last_identity(&self) -> Option<i64> {
        *locked(&self.last_identity)
    }

    pub fn scope_identity(&self) -> Option<i64> {
        *locked(&self.scope_identity)
    }

    pub fn set_scope_identity(&self, value: Option<i64>) {
        *locked(&self.scope_identity) = value;
    }

    pub fn next_rowversion(&self) -> Vec<u8> {
        self.rowversion_used.store(true, Relaxed);
        self.counters.next_row_version(self.session).to_be_bytes().to_vec()
    }

    pub fn next_own_rowversion(&self) -> Vec<u8> {
        (self.own_rowversion.fetch_add(1, Relaxed) + 1).to_be_bytes().to_vec()
    }

    /// Where the counter stands, when this transaction has moved it.
    pub fn rowversion_to_keep(&self) -> Option<i64> {
        self.rowversion_used.load(Relaxed).then(|| self.counters.last_row_version())
    }

    /// The transaction that gave row versions has ended, and the file knows how far the counter went.
    pub fn settle_rowversions(&self) {
        if self.rowversion_used.swap(false, Relaxed) {
            self.counters.settle_row_versions(self.session);
        }
    }

    pub fn capture(&self) -> i64 {
        self.capture.load(Relaxed)
    }

    pub fn set_capture(&self, level: i64) {
        self.capture.store(level, Relaxed);
    }

    pub fn new_guid(&self) -> String {
        guid_text(&self.random.uuid())
    }
}
