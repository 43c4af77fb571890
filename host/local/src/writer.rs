//! Who writes a file: its connection, the thread that keeps it, and its bounded queue.
//!
//! * One piece of work at a time writes or checkpoints: SQLite's write-ahead log never sees two checkpointers at once.
//! * Sales go by a second connection, on which no triggers fire: that they look whether they should costs a sale of 20 lines
//!   a fifth of its time. It is opened for the first one.
//! * A sale that finds the thread at rest does its work itself: a change of threads and back would come to each. Those that
//!   wait share a commit ([`crate::group_commit`]).
//! * A full queue is told to the caller at once ([`LocalError::Busy`]); nothing waits unboundedly.
//! * Between two pieces of work the log gets what the last sale left for later ([`crate::deferred_log`]).
//! * A rest of some milliseconds is used to checkpoint, and to give free pages back to the disk, a step at a time.
//! * After trouble with the disk the outcome of a commit is unknown, so the file is opened anew before more work.
//! * A piece of work that panics rolls back and takes nothing else with it.

use crate::deferred_log::{Late, Waits};
use crate::disk_reserve::{Ballast, Reserve};
use crate::error::LocalError;
use crate::exchange::{self, Step, Watch};
use crate::file::{OfflineFile, Trouble, can_shrink};
use crate::group_commit::{self, Part};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tillhold_core::limits;
use tillhold_env::{Env, Locked as _};
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Pieces of work after which a rest is used to checkpoint, so that no sale has to wait for one: one of 20 lines and its
/// log are 40 pages, and a commit itself checkpoints after 1,000.
const WORK_BETWEEN_CHECKPOINTS: u32 = 16;
/// After these it is done in the first moment without work.
const WORK_WITHOUT_CHECKPOINT_MAX: u32 = 24;
/// Without work for so long, the cashiers of a burst have all been served: what comes now costs nobody a wait, most likely.
const REST: Duration = Duration::from_millis(25);

/// Answers whether the file must be opened anew.
type Work = Box<dyn FnOnce(Result<&mut Connection, LocalError>) -> bool + Send>;

enum Message {
    Work(Work),
    Sale(Box<dyn Part>),
    Exchange(PathBuf, Watch, oneshot::Sender<Result<(), LocalError>>),
    Close(oneshot::Sender<()>),
    /// Somebody else has used the connection.
    Used,
}

pub(crate) struct Writer {
    env: Env,
    file: PathBuf,
    /// What goes when the disk is full.
    ballast: Option<Arc<Ballast>>,
    queue: Sender<Message>,
    desk: Arc<Mutex<Desk>>,
}

impl Writer {
    /// `lock` lives as long as the thread: the folder is free only when its last writer has closed its file.
    pub(crate) fn start(
        env: &Env,
        file: OfflineFile,
        conn: Connection,
        lock: Arc<File>,
        ballast: Option<Arc<Ballast>>,
        late: Option<Late>,
    ) -> std::io::Result<Writer> {
        let (queue, messages) = channel(limits::WRITER_QUEUE_MAX);
        let path = file.path.clone();
        let name = format!("writer of {}", file.kind.name());
        let desk = Arc::new(Mutex::new(Desk {
            file,
            conn: Some(conn),
            silent: None,
            ballast: ballast.clone(),
            late,
            since_checkpoint: 0,
            may_shrink: true,
            is_closed: false,
        }));
        let (own, outside) = (desk.clone(), env.clone());
        let work = move || {
            let closed = work_off(&outside, &own, messages);
            at(&own).close();
            drop(lock);
            if let Some(closed) = closed {
                // Whoever asked may be gone; the file is closed either way.
                let _ = closed.send(());
            }
        };
        env.tasks.worker(name, Box::new(work))?;
        Ok(Writer { env: env.clone(), file: path, ballast, queue, desk })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        let (work, wait) = self.told(work);
        self.send(Message::Work(work))?;
        wait.await.map_err(|_| LocalError::Closed)?
    }

    /// A sale in a transaction, with triggers silent: it logs what it writes. Here when nothing else is under way or waits,
    /// with others when some wait; `work` is done again when its transaction came to nothing.
    pub(crate) async fn run_sale<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        let (part, wait) = group_commit::part(work);
        if let Some(part) = self.done_here(part) {
            self.send(Message::Sale(part))?;
        }
        wait.await.map_err(|_| LocalError::Closed)?
    }

    /// The work, which tells its answer.
    fn told<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> (Work, oneshot::Receiver<Result<T, LocalError>>) {
        let (answer, wait) = oneshot::channel();
        let (file, ballast) = (self.file.clone(), self.ballast.clone());
        let work = Box::new(move |conn: Result<&mut Connection, LocalError>| {
            let result = conn.and_then(|conn| work(conn).map_err(|trouble| trouble.at(&file)));
            if let (Err(error), Some(ballast)) = (&result, &ballast) {
                ballast.relieve(error);
            }
            let reopen = result.as_ref().is_err_and(LocalError::leaves_doubt);
            // The caller may have given up waiting; the work is done all the same.
            let _ = answer.send(result);
            reopen
        });
        (work, wait)
    }

    /// The sale again when it was not made.
    fn done_here(&self, sale: Box<dyn Part>) -> Option<Box<dyn Part>> {
        if self.queue.capacity() < limits::WRITER_QUEUE_MAX {
            return Some(sale);
        }
        let mut left = Some(sale);
        self.env.tasks.in_place(&mut || {
            if let Ok(mut desk) = self.desk.try_lock()
                && !desk.is_closed
                && let Some(sale) = left.take()
            {
                desk.sell(vec![sale]);
            }
        });
        if left.is_none() {
            // A full queue wakes the thread as well, and a closed one has nothing left to do.
            let _ = self.queue.try_send(Message::Used);
        }
        left
    }

    /// Another file in the place of this one ([`crate::exchange`]); `aside` is renamed. Refused, all stays as it was.
    pub(crate) async fn exchange(&self, aside: PathBuf, watch: Watch) -> Result<(), LocalError> {
        let (answer, wait) = oneshot::channel();
        self.send(Message::Exchange(aside, watch, answer))?;
        wait.await.map_err(|_| LocalError::Closed)?
    }

    /// Waits until the file is closed; work queued behind this is refused.
    pub(crate) async fn close(&self) -> Result<(), LocalError> {
        let (closed, wait) = oneshot::channel();
        self.send(Message::Close(closed))?;
        wait.await.map_err(|_| LocalError::Closed)
    }

    fn send(&self, message: Message) -> Result<(), LocalError> {
        self.queue.try_send(message).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                LocalError::Busy { file: self.file.clone(), queued: limits::WRITER_QUEUE_MAX }
            }
            TrySendError::Closed(_) => LocalError::Closed,
        })
    }
}

/// Whoever uses it leaves it as it should be: a panic under the lock is caught before ([`Desk::do_one`]).
fn at(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.locked()
}

/// Until every sender is gone or someone asks to close: they are to be told once the file is closed.
fn work_off(
    env: &Env,
    desk: &Mutex<Desk>,
    mut messages: Receiver<Message>,
) -> Option<oneshot::Sender<()>> {
    let mut next = None;
    loop {
        let message = match next.take() {
            Some(message) => message,
            None => take_one(env, desk, &mut messages)?,
        };
        match message {
            Message::Work(work) => at(desk).do_one(work),
            Message::Sale(sale) => {
                let mut desk = at(desk);
                let mut sales = vec![sale];
                next = take_others(&mut sales, &mut messages);
                desk.sell(sales);
            }
            Message::Exchange(aside, watch, answer) => {
                let done = at(desk).exchange(&aside, &watch);
                // The caller may have given up waiting; the file is exchanged all the same.
                let _ = answer.send(done);
            }
            Message::Close(closed) => return Some(closed),
            Message::Used => {}
        }
    }
}

/// What is to be done next, waited for; `None` when nobody is left who could ask. Meanwhile the log and the file are put in
/// order.
fn take_one(env: &Env, desk: &Mutex<Desk>, messages: &mut Receiver<Message>) -> Option<Message> {
    loop {
        match messages.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        let rest = at(desk).use_idle_moment();
        match env.wait(messages.recv(), rest) {
            Some(message) => return message,
            None => while at(desk).tidy_up() && messages.is_empty() {},
        }
    }
}

/// The sales that wait already, up to [`limits::SALES_AT_ONCE`] with those that are there; what waits behind them.
fn take_others(
    sales: &mut Vec<Box<dyn Part>>,
    messages: &mut Receiver<Message>,
) -> Option<Message> {
    while sales.len() < limits::SALES_AT_ONCE {
        match messages.try_recv() {
            Ok(Message::Sale(sale)) => sales.push(sale),
            Ok(Message::Used) => {}
            Ok(other) => return Some(other),
            // Nobody else asks, or nobody is left: then the next look says so.
            Err(_) => return None,
        }
    }
    None
}

/// The connections, and what is known of their file.
struct Desk {
    file: OfflineFile,
    conn: Option<Connection>,
    /// Its triggers do not fire.
    silent: Option<Connection>,
    /// The journal's.
    ballast: Option<Arc<Ballast>>,
    late: Option<Late>,
    since_checkpoint: u32,
    /// Whether there may be pages to give back.
    may_shrink: bool,
    is_closed: bool,
}

impl Desk {
    fn do_one(&mut self, work: Work) {
        self.since_checkpoint += 1;
        self.may_shrink = true;
        let ready = self.make_ready();
        let conn = ready.and_then(|()| self.conn.as_mut().ok_or(LocalError::Closed));
        // A panic has dropped the work's transaction, which rolls back, and its answer, which tells the caller.
        let reopen = catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or(true);
        if reopen {
            self.disconnect();
        }
    }

    /// In one commit; where that comes to nothing, in one each. Another program's lock is waited for once: who waits behind
    /// thirty would else wait thirty times as long.
    fn sell(&mut self, mut sales: Vec<Box<dyn Part>>) {
        match self.commit(&mut sales) {
            Ok(()) => sales.into_iter().for_each(|sale| sale.tell(Ok(()))),
            Err(LocalError::Locked { file }) => {
                let locked = || Err(LocalError::Locked { file: file.clone() });
                sales.into_iter().for_each(|sale| sale.tell(locked()));
            }
            Err(_) if sales.len() > 1 => sales.into_iter().for_each(|sale| self.sell(vec![sale])),
            Err(error) => {
                if let Some(ballast) = &self.ballast {
                    ballast.relieve(&error);
                }
                if let Some(sale) = sales.pop() {
                    sale.tell(Err(error));
                }
            }
        }
    }

    fn commit(&mut self, sales: &mut [Box<dyn Part>]) -> Result<(), LocalError> {
        self.since_checkpoint += sales.len() as u32;
        self.may_shrink = true;
        self.make_ready()?;
        let conn = match &mut self.silent {
            Some(conn) => conn,
            empty => empty.insert(self.file.open_silent()?),
        };
        // A panic has dropped the transaction, which rolls back.
        let done = catch_unwind(AssertUnwindSafe(|| group_commit::commit(conn, sales)));
        let error = match done {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(trouble)) => trouble.at(&self.file.path),
            Err(_) => LocalError::Closed,
        };
        if error.leaves_doubt() || matches!(error, LocalError::Closed) {
            self.disconnect();
        }
        Err(error)
    }

    fn disconnect(&mut self) {
        (self.conn, self.silent) = (None, None);
        if let Some(late) = &self.late {
            late.is_put_off();
        }
    }

    /// The file is opened again where trouble has closed it, and its log is whole.
    fn make_ready(&mut self) -> Result<(), LocalError> {
        if self.conn.is_none() {
            self.conn = Some(self.file.reopen()?);
        }
        match self.write_log(Waits::Somebody) {
            Err(error) if self.makes_room(&error) => self.make_ready(),
            done => done,
        }
    }

    /// What the last sale left for later.
    fn write_log(&mut self, waits: Waits) -> Result<(), LocalError> {
        // Who made the sale has its pages in memory.
        let conn = self.silent.as_mut().or(self.conn.as_mut());
        let (Some(conn), Some(late)) = (conn, &self.late) else { return Ok(()) };
        let done = late.write(conn, waits).map_err(|trouble| trouble.at(&self.file.path));
        if done.as_ref().is_err_and(LocalError::leaves_doubt) {
            self.disconnect();
        }
        done
    }

    /// Whether there was some to give.
    fn makes_room(&self, error: &LocalError) -> bool {
        let Some(ballast) = &self.ballast else { return false };
        let had_some = ballast.reserve() == Reserve::Kept;
        ballast.relieve(error);
        had_some && ballast.reserve() == Reserve::Gone
    }

    /// One step towards a smaller file; whether there may be more to do. What fails is left until there was more work.
    fn shrink(&mut self) -> bool {
        // Closed after trouble, it is opened again by the next piece of work, and until then there is nothing to do.
        let Some(conn) = &self.conn else { return false };
        self.may_shrink = self.may_shrink && shrink_a_step(conn).unwrap_or(false);
        self.may_shrink
    }

    fn exchange(&mut self, aside: &Path, watch: &Watch) -> Result<(), LocalError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.file.reopen()?,
        };
        watch(Step::FoldLogIn);
        let folded = exchange::fold_log_in(&conn, &self.file);
        drop(conn);
        if let Err(trouble) = folded {
            // The log is still in use, so the next piece of work opens the same file again.
            return Err(trouble.at(&self.file.path));
        }
        watch(Step::Rename);
        exchange::rename(aside, &self.file.path)?;
        watch(Step::Open);
        self.conn = Some(self.file.open_again()?);
        watch(Step::Done);
        Ok(())
    }

    /// What somebody may soon ask for; then after how long without work the file is to be tidied up, if it is.
    fn use_idle_moment(&mut self) -> Option<Duration> {
        // What finds no room is tried again at once, what else fails before the next piece of work, which is told.
        if let Err(error) = self.write_log(Waits::Nobody)
            && self.makes_room(&error)
        {
            let _ = self.make_ready();
        }
        // Closed after trouble: see [`Self::shrink`].
        self.conn.as_ref()?;
        match self.since_checkpoint {
            WORK_WITHOUT_CHECKPOINT_MAX.. => Some(Duration::ZERO),
            WORK_BETWEEN_CHECKPOINTS.. => Some(REST),
            _ => self.may_shrink.then_some(REST),
        }
    }

    /// One step; whether there may be more to do.
    fn tidy_up(&mut self) -> bool {
        self.checkpoint();
        self.shrink()
    }

    fn checkpoint(&mut self) {
        if self.since_checkpoint < WORK_BETWEEN_CHECKPOINTS {
            return;
        }
        if let Some(conn) = &self.conn {
            self.since_checkpoint = 0;
            // A checkpoint that fails loses nothing: the log stays, and the next commit meets the same disk.
            let _ = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        }
    }

    fn close(&mut self) {
        // What fails is done when the file is opened again.
        let _ = self.write_log(Waits::Nobody);
        self.disconnect();
        self.is_closed = true;
    }
}

/// Gives at most [`limits::SHRINK_PAGES_MAX`] pages back; whether there are more than the file is to keep.
fn shrink_a_step(conn: &Connection) -> Result<bool, Trouble> {
    let number = |pragma: &str| -> Result<i64, Trouble> {
        Ok(conn.prepare_cached(pragma)?.query_row((), |row| row.get(0))?)
    };
    let free = number("PRAGMA freelist_count")?;
    let kept = limits::FREE_PAGES_KEPT.max(number("PRAGMA page_count")? / 10);
    if free <= kept || !can_shrink(conn)? {
        return Ok(false);
    }
    let pages = limits::SHRINK_PAGES_MAX.min(free - kept);
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    // Each step of the statement frees one page.
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    drop(rows);
    drop(statement);
    Ok(number("PRAGMA freelist_count")? < free)
}
