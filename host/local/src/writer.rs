//! The one thread that writes a file, and its bounded queue.
//!
//! * One connection writes and checkpoints: SQLite's write-ahead log then never sees two checkpointers at once.
//! * A full queue is told to the caller at once ([`LocalError::Busy`]); nothing waits unboundedly.
//! * Idle moments checkpoint, and give free pages back to the disk, a step at a time.
//! * After trouble with the disk the outcome of a commit is unknown, so the file is opened anew before more work.
//! * A piece of work that panics rolls back and takes nothing else with it.

use crate::ballast::Ballast;
use crate::error::LocalError;
use crate::exchange::{self, Step, Watch};
use crate::file::{OfflineFile, Trouble, can_shrink};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::limits;
use tillhold_env::Env;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Pieces of work after which an idle moment is used to checkpoint, so that no sale has to wait for one.
const WORK_BETWEEN_CHECKPOINTS: u32 = 64;

/// Answers whether the file must be opened anew.
type Work = Box<dyn FnOnce(Result<&mut Connection, LocalError>) -> bool + Send>;

enum Message {
    Work(Work),
    Exchange(PathBuf, Watch, oneshot::Sender<Result<(), LocalError>>),
    Close(oneshot::Sender<()>),
}

pub(crate) struct Writer {
    file: PathBuf,
    /// What goes when the disk is full.
    ballast: Option<Arc<Ballast>>,
    queue: Sender<Message>,
}

impl Writer {
    /// `lock` lives as long as the thread: the folder is free only when its last writer has closed its file.
    pub(crate) fn start(
        env: &Env,
        file: OfflineFile,
        conn: Connection,
        lock: Arc<File>,
        ballast: Option<Arc<Ballast>>,
    ) -> std::io::Result<Writer> {
        let (queue, messages) = channel(limits::WRITER_QUEUE_MAX);
        let path = file.path.clone();
        let name = format!("writer of {}", file.kind.name());
        let thread = Thread {
            env: env.clone(),
            file,
            conn: Some(conn),
            since_checkpoint: 0,
            may_shrink: true,
        };
        env.tasks.worker(
            name,
            Box::new(move || {
                let closed = thread.work_off(messages);
                drop(lock);
                if let Some(closed) = closed {
                    // Whoever asked may be gone; the file is closed either way.
                    let _ = closed.send(());
                }
            }),
        )?;
        Ok(Writer { file: path, ballast, queue })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        let (answer, wait) = oneshot::channel();
        let (file, ballast) = (self.file.clone(), self.ballast.clone());
        self.send(Message::Work(Box::new(move |conn| {
            let result = conn.and_then(|conn| work(conn).map_err(|trouble| trouble.at(&file)));
            if let (Err(error), Some(ballast)) = (&result, &ballast) {
                ballast.relieve(error);
            }
            let reopen = result.as_ref().is_err_and(LocalError::leaves_doubt);
            // The caller may have given up waiting; the work is done all the same.
            let _ = answer.send(result);
            reopen
        })))?;
        wait.await.map_err(|_| LocalError::Closed)?
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

struct Thread {
    env: Env,
    file: OfflineFile,
    conn: Option<Connection>,
    since_checkpoint: u32,
    /// Whether there may be pages to give back.
    may_shrink: bool,
}

impl Thread {
    /// Until every sender is gone or someone asks to close; the answer goes out after the connection is closed.
    fn work_off(mut self, mut messages: Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    self.use_idle_moment();
                    if self.shrink() {
                        continue;
                    }
                    self.env.wait(messages.recv(), None).flatten()?
                }
            };
            match message {
                Message::Work(work) => self.do_one(work),
                Message::Exchange(aside, watch, answer) => {
                    // The caller may have given up waiting; the file is exchanged all the same.
                    let _ = answer.send(self.exchange(&aside, &watch));
                }
                Message::Close(closed) => return Some(closed),
            }
        }
    }

    fn do_one(&mut self, work: Work) {
        self.since_checkpoint += 1;
        self.may_shrink = true;
        let conn = match &mut self.conn {
            Some(conn) => Ok(conn),
            empty => self.file.reopen().map(|conn| empty.insert(conn)),
        };
        // A panic has dropped the work's transaction, which rolls back, and its answer, which tells the caller.
        let reopen = catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or(true);
        if reopen {
            self.conn = None;
        }
    }

    /// One step towards a smaller file; whether there may be more to do. What fails is left for the next idle moment.
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

    fn use_idle_moment(&mut self) {
        if self.since_checkpoint < WORK_BETWEEN_CHECKPOINTS {
            return;
        }
        self.since_checkpoint = 0;
        if let Some(conn) = &self.conn {
            // A checkpoint that fails loses nothing: the log stays, and the next commit meets the same disk.
            let _ = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        }
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
