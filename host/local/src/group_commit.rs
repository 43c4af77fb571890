//! Sales that wait for the writer share one commit, and so the disk's time: twenty cashiers behind a disk that stalls
//! wait for it twice, not twenty times.
//!
//! * Each is told after the commit is on the disk.
//! * Whatever goes wrong undoes it for all of them, and each is done again alone: it hears of its own trouble only. But for
//!   another program's lock, which is everybody's.

use crate::error::LocalError;
use crate::file::Trouble;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

/// One sale's part in a commit.
pub(crate) trait Part: Send {
    /// In the caller's transaction; again, when that came to nothing or its outcome is unknown.
    fn write(&mut self, conn: &Connection) -> Result<(), Trouble>;
    fn tell(self: Box<Self>, committed: Result<(), LocalError>);
}

/// The work as a part, and its answer.
pub(crate) fn part<T: Send + 'static>(
    work: impl FnMut(&Connection) -> Result<T, Trouble> + Send + 'static,
) -> (Box<dyn Part>, oneshot::Receiver<Result<T, LocalError>>) {
    let (told, wait) = oneshot::channel();
    (Box::new(Asked { work, answer: None, told }), wait)
}

struct Asked<T, W> {
    work: W,
    answer: Option<T>,
    told: oneshot::Sender<Result<T, LocalError>>,
}

impl<T: Send, W: FnMut(&Connection) -> Result<T, Trouble> + Send> Part for Asked<T, W> {
    fn write(&mut self, conn: &Connection) -> Result<(), Trouble> {
        self.answer = Some((self.work)(conn)?);
        Ok(())
    }

    fn tell(self: Box<Self>, committed: Result<(), LocalError>) {
        let Asked { answer, told, .. } = *self;
        // The caller may have given up waiting; the work is done all the same.
        let _ = told.send(committed.and_then(|()| answer.ok_or(LocalError::Closed)));
    }
}

/// All of them or none.
pub(crate) fn commit(conn: &mut Connection, parts: &mut [Box<dyn Part>]) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    parts.iter_mut().try_for_each(|part| part.write(&transaction))?;
    Ok(transaction.commit()?)
}
