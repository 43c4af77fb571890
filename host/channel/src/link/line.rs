//! What passes on a connection, and how a wait in vain is ended before its time is over.
//!
//! A channel that is lost without a word leaves whoever asked it waiting for the statement's whole time. When it answers
//! again, on another connection, nobody has to wait for that: who asked before and has neither said nor heard anything for a
//! while gives up. A slow line on which bytes do pass is waited for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tillhold_env::{BoxStream, Clock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::error::ChannelError;

/// A link's connections, one after the other, seen from outside.
pub struct Line {
    clock: Arc<dyn Clock>,
    /// By the monotonic clock, when who waits began to, and when something passed last since then.
    begun_us: AtomicU64,
    passed_us: AtomicU64,
    given_up: Notify,
    /// Nothing was answered since somebody gave up here: what is asked again may only take long, and has its whole time.
    is_spared: AtomicBool,
}

impl Line {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Arc<Line> {
        Arc::new(Line {
            clock: clock.clone(),
            begun_us: AtomicU64::default(),
            passed_us: AtomicU64::default(),
            given_up: Notify::new(),
            is_spared: AtomicBool::default(),
        })
    }

    /// Ends what waits for the channel since before that moment by the monotonic clock, if nothing has passed for so long.
    pub fn give_up(&self, before_ms: u64, silence: Duration) {
        let at = |moment: &AtomicU64| moment.load(Ordering::Relaxed);
        let silent_us = self.clock.monotonic_us().saturating_sub(at(&self.passed_us));
        let is_silent = u128::from(silent_us) >= silence.as_micros();
        let is_spared = self.is_spared.load(Ordering::Relaxed);
        if is_silent && !is_spared && at(&self.begun_us) / 1000 < before_ms {
            self.given_up.notify_waiters();
        }
    }

    /// Something was asked and answered to the end.
    pub(super) fn note_answer(&self) {
        self.is_spared.store(false, Ordering::Relaxed);
    }

    /// The work within its time, or the error that says why not: then the connection is in no known state. It comes in a
    /// box, because the client's state is large and whoever asks would have it in its own.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        what: &'static str,
        work: Pin<Box<impl Future<Output = T>>>,
    ) -> Result<T, ChannelError> {
        self.begun_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        self.note();
        tokio::select! {
            biased;
            done = tokio::time::timeout(limit, work) => done.map_err(|_| ChannelError::Timeout { what, limit }),
            () = self.given_up.notified() => {
                self.is_spared.store(true, Ordering::Relaxed);
                Err(ChannelError::Silent { what })
            }
        }
    }

    fn note(&self) {
        self.passed_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
    }
}

/// A stream that tells its line what passes.
pub(super) struct Watched {
    pub stream: BoxStream,
    pub line: Arc<Line>,
}

impl Watched {
    fn noted<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.line.note();
        }
        poll
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.noted(poll)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.noted(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
