//! The one thread that writes a file, and its bounded queue.
//!
//! * One connection writes and checkpoints: SQLite's write-ahead log then never sees two checkpointers at once.
//! * A full queue is told to the caller at once ([`LocalError::Busy`]); nothing waits unboundedly.
//! * After trouble with the disk the outcome of a commit is unknown, so the file is opened anew before more work.
//! * A piece of work that panics rolls back and takes nothing else with it.

use crate::error::LocalError;
use crate::file::{OfflineFile, Trouble};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use tillhold_core::limits;
use tillhold_env::Env;
use tokio::sync::oneshot;

/// Pieces of work after which an idle moment is used to checkpoint, so that no sale has to wait for one.
const WORK_BETWEEN_CHECKPOINTS: u32 = 64;

/// Answers whether the file must be opened anew.
type Work = Box<dyn FnOnce(Result<&mut Connection, LocalError>) -> bool + Send>;

enum Message {
    Work(Work),
    Close(oneshot::Sender<()>),
}

pub(crate) struct Writer {
    file: PathBuf,
    queue: SyncSender<Message>,
}

impl Writer {
    /// `lock` lives as long as the thread: the folder is free only when its last writer has closed its file.
    pub(crate) fn start(
        env: &Env,
        file: OfflineFile,
        conn: Connection,
        lock: Arc<File>,
    ) -> std::io::Result<Writer> {
        let (queue, messages) = sync_channel(limits::WRITER_QUEUE_MAX);
        let path = file.path.clone();
        let name = format!("writer of {}", file.kind.name());
        let thread = Thread { file, conn: Some(conn), since_checkpoint: 0 };
        env.tasks.thread(
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
        Ok(Writer { file: path, queue })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, LocalError> {
        let (answer, wait) = oneshot::channel();
        let file = self.file.clone();
        self.send(Message::Work(Box::new(move |conn| {
            let result = conn.and_then(|conn| work(conn).map_err(|trouble| trouble.at(&file)));
            let reopen = result.as_ref().is_err_and(LocalError::leaves_doubt);
            // The caller may have given up waiting; the work is done all the same.
            let _ = answer.send(result);
            reopen
        })))?;
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
            TrySendError::Disconnected(_) => LocalError::Closed,
        })
    }
}

struct Thread {
    file: OfflineFile,
    conn: Option<Connection>,
    since_checkpoint: u32,
}

impl Thread {
    /// Until every sender is gone or someone asks to close; the answer goes out after the connection is closed.
    fn work_off(mut self, messages: Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    self.use_idle_moment();
                    match messages.recv() {
                        Ok(message) => message,
                        Err(_) => return None,
                    }
                }
            };
            match message {
                Message::Work(work) => self.do_one(work),
                Message::Close(closed) => return Some(closed),
            }
        }
    }

    fn do_one(&mut self, work: Work) {
        self.since_checkpoint += 1;
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
