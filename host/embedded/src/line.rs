//! An accepted connection as it was ordered to be: silent, slow, or trickling.
//!
//! * Below TLS: what is held back are the bytes on the wire.
//! * A silent line moves nothing either way and wakes no one; whoever heals the gate drops its connections.
//! * A delayed answer does not keep requests from being read: a client may cancel while it waits.

use crate::trouble::Faults;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tillhold_env::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A trickling line breathes so often in a second.
const BREATHS_A_SECOND: u64 = 10;

pub struct Line {
    stream: BoxStream,
    faults: Arc<Faults>,
    /// Something came in since the last bytes went out: the next ones begin an answer.
    asked: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub fn new(stream: BoxStream, faults: Arc<Faults>) -> Line {
        Line { stream, faults, asked: false, pause: None }
    }

    fn pause_for(&mut self, time: Duration) {
        self.pause = Some(Box::pin(sleep(time)));
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.faults.is_silent() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.asked |= buffer.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.faults.is_silent() {
            return Poll::Pending;
        }
        if std::mem::take(&mut self.asked)
            && let Some(delay) = self.faults.delay()
        {
            self.pause_for(delay);
        }
        ready!(self.poll_pause(cx));
        let Some(rate) = self.faults.bytes_per_second() else {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        };
        let most = usize::try_from(rate.div_ceil(BREATHS_A_SECOND)).unwrap_or(usize::MAX);
        let some = &bytes[..bytes.len().min(most)];
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        self.pause_for(Duration::from_micros(written as u64 * 1_000_000 / rate));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.faults.is_silent() {
            true => Poll::Pending,
            false => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.faults.is_silent() {
            true => Poll::Pending,
            false => Pin::new(&mut self.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    use crate::trouble::{Fault, Faults};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    /// Answers every byte with an `a` and three more.
    async fn answer(mut line: Line) {
        let mut asked = [0];
        while line.read_exact(&mut asked).await.is_ok() {
            line.write_all(b"abcd").await.expect("a client that listens");
        }
    }

    fn line(fault: Fault) -> DuplexStream {
        let faults = Arc::new(Faults::new());
        faults.inject(fault);
        let (client, server) = duplex(64);
        tokio::task::spawn_local(answer(Line::new(Box::new(server), faults)));
        client
    }

    /// Asks, and sees that so many bytes are there `late` after the asking and not a moment earlier.
    async fn check(client: &mut DuplexStream, bytes: usize, late: Duration) {
        client.write_all(b"?").await.expect("a line");
        let moment = Duration::from_millis(2);
        let mut answer = vec![0; bytes];
        let mut read = Box::pin(client.read_exact(&mut answer));
        assert!(timeout(late - moment, &mut read).await.is_err(), "too early");
        assert!(timeout(moment * 2, &mut read).await.is_ok(), "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_held_back_and_let_go_as_ordered() {
        let local = tokio::task::LocalSet::new();
        let tried = local.run_until(async {
            let mut slow = line(Fault::Slow { delay: Duration::from_millis(500) });
            for _ in 0..2 {
                check(&mut slow, 4, Duration::from_millis(500)).await;
            }
            // The first byte goes at once, each other half a second after the one before it.
            let mut trickle = line(Fault::Trickle { bytes_per_second: 2 });
            check(&mut trickle, 4, Duration::from_millis(1_500)).await;
        });
        tried.await;
    }
}
