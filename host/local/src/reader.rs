//! A small pool of read connections to one file.
//!
//! * Each read sees one snapshot and never waits for the writer, but for the log of a sale that was just made
//!   ([`crate::deferred_log`]).
//! * A short one is answered where it stands: two changes of threads cost a lookup twice what SQLite takes for it.
//!   Every other read runs on a blocking task.
//! * A read that lives too long is ended: an old snapshot keeps the write-ahead log from being reused.
//! * Reads that may take long leave one connection to the short ones: no lookup of a sale waits behind them.

use crate::deferred_log::Late;
use crate::error::LocalError;
use crate::file::{OfflineFile, Trouble};
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tillhold_core::limits;
use tillhold_env::{Env, Locked as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// SQLite's virtual machine steps between two looks: more than a page of a hundred rows behind an index takes. SQLite
/// counts on where a statement's last run ended, so a short one may meet a look too.
const STEPS_BETWEEN_LOOKS: i32 = 4_000;

#[derive(Clone)]
pub(crate) struct Readers {
    env: Env,
    file: OfflineFile,
    /// The journal's.
    late: Option<Late>,
    permits: Arc<Semaphore>,
    /// Taken before a permit by what may take long.
    long: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Reader>>>,
}

struct Reader {
    conn: Connection,
    patience: Arc<Patience>,
}

/// How long a read may go on.
#[derive(Clone, Copy)]
enum Limit {
    /// Over at the second look.
    Short,
    /// Over at this moment of the monotonic clock, in microseconds.
    Until(u64),
    None,
}

#[derive(Default)]
struct Patience {
    until_us: AtomicU64,
    looks: AtomicU64,
}

impl Patience {
    fn set(&self, limit: Limit) {
        let (until_us, looks) = match limit {
            Limit::Short => (u64::MAX, 1),
            Limit::Until(until_us) => (until_us, u64::MAX),
            Limit::None => (u64::MAX, u64::MAX),
        };
        self.until_us.store(until_us, Ordering::Relaxed);
        self.looks.store(looks, Ordering::Relaxed);
    }

    /// One look.
    fn is_over(&self, now_us: u64) -> bool {
        let looks = self.looks.load(Ordering::Relaxed);
        self.looks.store(looks.saturating_sub(1), Ordering::Relaxed);
        looks == 0 || now_us > self.until_us.load(Ordering::Relaxed)
    }
}

impl Readers {
    pub(crate) fn new(env: &Env, file: OfflineFile, late: Option<Late>) -> Readers {
        Readers {
            env: env.clone(),
            file,
            late,
            permits: Arc::new(Semaphore::new(limits::OFFLINE_READERS_MAX)),
            long: Arc::new(Semaphore::new(limits::OFFLINE_LONG_READS_MAX)),
            idle: Arc::default(),
        }
    }

    /// Runs `work` in one read transaction, here when it is short; what is not begins again on a blocking task.
    pub(crate) async fn run_at_once<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        self.log_is_whole().await;
        let permit = self.permits.acquire().await.map_err(|_| LocalError::Closed)?;
        let answer = self.read(Limit::Short, &work);
        drop(permit);
        match answer {
            Err(LocalError::ReadTooLong { .. }) => self.run(work).await,
            answer => answer,
        }
    }

    /// Runs `work` in one read transaction.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        let limit_us = limits::OFFLINE_READ_TIME_MAX.as_micros() as u64;
        self.run_elsewhere(Some(limit_us), work).await
    }

    /// Without an end: for the check of a whole file.
    pub(crate) async fn run_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        self.run_elsewhere(None, work).await
    }

    async fn run_elsewhere<T: Send + 'static>(
        &self,
        limit_us: Option<u64>,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        self.log_is_whole().await;
        let long = self.long.clone().acquire_owned().await.map_err(|_| LocalError::Closed)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| LocalError::Closed)?;
        let readers = self.clone();
        let read = move || {
            // From here on: the wait for a free connection is not the read's.
            let limit = match limit_us {
                Some(limit_us) => Limit::Until(readers.env.clock.monotonic_us() + limit_us),
                None => Limit::None,
            };
            let answer = readers.read(limit, work);
            drop((permit, long));
            answer
        };
        self.env.blocking("read of the offline database", read).await.ok_or(LocalError::Closed)?
    }

    async fn log_is_whole(&self) {
        if let Some(late) = &self.late {
            late.caught_up().await;
        }
    }

    /// Waits for the reads that are under way and lets none begin until the answer is dropped; no connection is left open.
    pub(crate) async fn stand_still(&self) -> Result<OwnedSemaphorePermit, LocalError> {
        let all = limits::OFFLINE_READERS_MAX as u32;
        let permits = self.permits.clone().acquire_many_owned(all).await;
        let permits = permits.map_err(|_| LocalError::Closed)?;
        self.idle.locked().clear();
        Ok(permits)
    }

    pub(crate) fn close(&self) {
        self.permits.close();
        self.long.close();
        self.idle.locked().clear();
    }

    fn read<T>(
        &self,
        limit: Limit,
        work: impl FnOnce(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, LocalError> {
        let at = |trouble: Trouble| trouble.at(&self.file.path);
        let reader = self.take().map_err(at)?;
        // The transaction's own statements are never cut short: what they left open would stay so.
        let patient = |conn: &Connection| {
            reader.patience.set(limit);
            let answer = work(conn);
            reader.patience.set(Limit::None);
            answer
        };
        let answer = in_snapshot(&reader.conn, patient).map_err(at);
        let is_sound = matches!(answer, Ok(_) | Err(LocalError::ReadTooLong { .. }));
        if !self.permits.is_closed() && is_sound {
            self.idle.locked().push(reader);
        }
        answer
    }

    fn take(&self) -> Result<Reader, Trouble> {
        if let Some(reader) = self.idle.locked().pop() {
            return Ok(reader);
        }
        let mut reader = Reader { conn: self.file.open_reader()?, patience: Arc::default() };
        reader.patience.set(Limit::None);
        let (clock, patience) = (self.env.clock.clone(), reader.patience.clone());
        let is_over = move || patience.is_over(clock.monotonic_us());
        reader.conn.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))?;
        Ok(reader)
    }
}

/// Statements that are kept: a transaction of rusqlite parses its BEGIN and COMMIT each time.
fn in_snapshot<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    conn.prepare_cached("BEGIN")?.execute(())?;
    let answer = work(conn);
    if !conn.is_autocommit() {
        conn.prepare_cached("COMMIT")?.execute(())?;
    }
    answer
}

#[cfg(test)]
mod tests {
    use crate::file::Kind;
    use crate::tests::House;
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;
    use tillhold_core::limits;

    /// What long reads stand before until the test opens it.
    #[derive(Default)]
    struct Barrier {
        is_open: Mutex<bool>,
        opened: Condvar,
    }

    impl Barrier {
        fn pass(&self) {
            let shut = self.is_open.lock().expect("no panic");
            let _open = self.opened.wait_while(shut, |is_open| !*is_open).expect("no panic");
        }

        fn open(&self) {
            *self.is_open.lock().expect("no panic") = true;
            self.opened.notify_all();
        }
    }

    /// Dashboards that count rows on and on, and a sale that looks up its id.
    #[tokio::test]
    async fn a_short_read_waits_for_no_long_ones_however_many_there_are() {
        let house = House::new().await;
        let barrier = Arc::new(Barrier::default());
        let mut long_reads = tokio::task::JoinSet::new();
        for _ in 0..2 * limits::OFFLINE_READERS_MAX {
            let (readers, barrier) = (house.db.readers(Kind::Journal).clone(), barrier.clone());
            let held = move |_: &rusqlite::Connection| {
                barrier.pass();
                Ok(())
            };
            long_reads.spawn(async move { readers.run(held).await });
        }
        let readers = house.db.readers(Kind::Journal);
        // Those that get a connection have it when one is left, and no more come.
        while readers.permits.available_permits() > 1 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let short = readers.run_at_once(|_| Ok(7));
        let short = tokio::time::timeout(Duration::from_secs(60), short).await;
        barrier.open();
        assert_eq!(short.expect("in time").expect("an answer"), 7);
        while let Some(read) = long_reads.join_next().await {
            read.expect("no panic").expect("an answer");
        }
    }
}
