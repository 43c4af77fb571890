//! A long answer, read while it arrives, a portion at a time.
//!
//! * The client is back in its slot only when the whole answer was read; whatever ends it earlier
//!   (an error, a time-out, nobody who wants more, a dropped future) costs the connection.
//! * Each portion has the time of a whole statement. Waiting until a portion is taken has no bound
//!   here: whoever takes it has its own, and until then the server waits in TCP's window.

use super::{Ask, Line, Link, TdsClient, send};
use crate::cells::Cells;
use crate::error::{ChannelError, from_server};
use futures_util::TryStreamExt as _;
use std::time::Duration;
use tiberius::{QueryItem, QueryStream};

/// What takes the rows of an answer.
pub(crate) trait Portions {
    /// Takes one row; true when a portion is full.
    fn add(&mut self, cells: Cells) -> Result<bool, ChannelError>;
    /// Passes on what has gathered, whether full or the last; false when nobody wants more.
    async fn pass_on(&mut self) -> bool;
}

impl Link {
    /// True when the answer was read and passed on to its end.
    pub(crate) async fn stream(
        &mut self,
        ask: Ask<'_>,
        portions: &mut impl Portions,
    ) -> Result<bool, ChannelError> {
        let limit = self.config.statement_timeout;
        let mut session = self.session().await?;
        let is_whole = read_on(&mut session.client, &self.line, &ask, limit, portions).await?;
        if is_whole {
            self.line.note_answer();
            self.session = Some(session);
        }
        Ok(is_whole)
    }
}

async fn read_on(
    client: &mut TdsClient,
    line: &Line,
    ask: &Ask<'_>,
    limit: Duration,
    portions: &mut impl Portions,
) -> Result<bool, ChannelError> {
    let what = ask.what;
    let sent = line.within(limit, what, Box::pin(send(client, ask))).await?;
    let mut answer = sent.map_err(|error| broken(what, error))?;
    loop {
        let goes_on =
            line.within(limit, what, Box::pin(fill(what, &mut answer, portions))).await??;
        if !portions.pass_on().await {
            return Ok(false);
        }
        if !goes_on {
            return Ok(true);
        }
    }
}

/// False when the answer is at its end.
async fn fill(
    what: &'static str,
    answer: &mut QueryStream<'_>,
    portions: &mut impl Portions,
) -> Result<bool, ChannelError> {
    while let Some(item) = answer.try_next().await.map_err(|error| broken(what, error))? {
        if let QueryItem::Row(row) = item
            && portions.add(Cells::of(what, row))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn broken(what: &'static str, error: tiberius::error::Error) -> ChannelError {
    match error {
        tiberius::error::Error::Server(error) => from_server(what, error.code(), error.message()),
        error => ChannelError::lost(what, &error),
    }
}
