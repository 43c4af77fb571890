//! The connections of one way in: so many at once, and none that only sits there.
//!
//! ```text
//! accepted ─► a permit ─────────────────► waits (idle, half a head, no token) ◄─► in work (token known … answer written)
//!                │ none free                 │ too long, or the longest and its permit is wanted
//!                └─► 503, or closed          └─► closed
//! ```
//!
//! * Whoever opens connections and asks nothing, or has no token, keeps nobody out: his are the first to go. A connection in
//!   work is never closed for another one.
//! * Waiting is bounded for both sides: the head, the body (in `extract`), the answer's way, a newcomer's wait for a permit.
//! * What a way has is its own: the socket is open when the loopback address is full, and the other way round.

use super::problem::Problem;
use crate::agent::Agent;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use tillhold_core::limits;
use tillhold_env::Locked as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt as _;

pub struct Connections {
    permits: Arc<Semaphore>,
    /// For those that get none: so many at once are told so.
    overflow: Arc<Semaphore>,
    /// By number, those that may be closed for another one.
    evictable: Mutex<BTreeMap<u64, Arc<ConnectionState>>>,
    /// Counts up: a connection that began to wait earlier has a smaller one.
    ticks: AtomicU64,
}

/// What is known of one connection.
struct ConnectionState {
    /// The tick at which it began to wait; 0 while it is in work.
    waits_since: AtomicU64,
    /// Its caller has not taken all of an answer.
    is_writing: AtomicBool,
    evict: Notify,
}

impl Default for Connections {
    fn default() -> Connections {
        Connections {
            permits: Arc::new(Semaphore::new(limits::DOOR_CONNECTIONS_MAX)),
            overflow: Arc::new(Semaphore::new(limits::DOOR_REFUSALS_MAX)),
            evictable: Mutex::default(),
            ticks: AtomicU64::new(1),
        }
    }
}

impl Connections {
    /// Until the agent stops and whoever is in work has left.
    pub async fn serve(
        self: &Arc<Connections>,
        mut listener: impl axum::serve::Listener,
        router: Router,
        agent: &Arc<Agent>,
    ) {
        let env = agent.register().env.clone();
        loop {
            let stream = tokio::select! {
                (stream, _peer) = listener.accept() => stream,
                () = agent.stopped() => break,
            };
            match self.permit().await {
                Some(permit) => {
                    let connection = Connection::new(self.clone(), permit, agent.clone());
                    env.spawn(connection.serve(stream, router.clone()));
                }
                None => {
                    if let Ok(place) = self.overflow.clone().try_acquire_owned() {
                        env.spawn(refuse(stream, place));
                    }
                }
            }
        }
        drop(listener);
        // The semaphore is never closed.
        let _ = self.permits.acquire_many(limits::DOOR_CONNECTIONS_MAX as u32).await;
    }

    pub fn open(&self) -> usize {
        limits::DOOR_CONNECTIONS_MAX - self.permits.available_permits()
    }

    /// A free permit, or the one of whoever has waited longest.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(free) = self.permits.clone().try_acquire_owned() {
            return Some(free);
        }
        self.longest_waiting()?.evict.notify_one();
        let freed = timeout(limits::DOOR_ADMISSION_TIME_MAX, self.permits.clone().acquire_owned());
        freed.await.ok()?.ok()
    }

    /// It is asked to end, so nobody asks it again.
    fn longest_waiting(&self) -> Option<Arc<ConnectionState>> {
        let mut evictable = self.evictable();
        let waiting = evictable.iter().filter(|(_, state)| state.is_waiting());
        let (number, _) =
            waiting.min_by_key(|(_, state)| state.waits_since.load(Ordering::Acquire))?;
        let number = *number;
        evictable.remove(&number)
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    fn evictable(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ConnectionState>>> {
        self.evictable.locked()
    }
}

impl ConnectionState {
    fn is_waiting(&self) -> bool {
        self.waits_since.load(Ordering::Acquire) > 0 && !self.is_writing.load(Ordering::Acquire)
    }
}

/// The answer, and then what the caller had sent already is read: a connection closed over unread bytes is reset, and
/// the answer with it.
async fn refuse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    _place: OwnedSemaphorePermit,
) {
    let tell = async {
        stream.write_all(Problem::full().farewell().as_bytes()).await?;
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Who does not listen is not told.
    let _ = timeout(limits::DOOR_ADMISSION_TIME_MAX, tell).await;
}

/// One connection, with its permit.
struct Connection {
    connections: Arc<Connections>,
    state: Arc<ConnectionState>,
    number: u64,
    agent: Arc<Agent>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.evictable().remove(&self.number);
    }
}

impl Connection {
    fn new(
        connections: Arc<Connections>,
        permit: OwnedSemaphorePermit,
        agent: Arc<Agent>,
    ) -> Connection {
        let number = connections.tick();
        let state = Arc::new(ConnectionState {
            waits_since: AtomicU64::new(number),
            is_writing: AtomicBool::new(false),
            evict: Notify::new(),
        });
        connections.evictable().insert(number, state.clone());
        Connection { connections, state, number, agent, _permit: permit }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, router: Router) {
        let answer = service_fn(|request| self.answer(request, router.clone()));
        let stream = TokioIo::new(TimedWrites::new(stream, self.state.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::DOOR_HEAD_TIME_MAX)
            .max_buf_size(limits::DOOR_HEAD_BYTES_MAX)
            .serve_connection(stream, answer);
        let mut connection = pin!(connection);
        let mut is_ending = false;
        loop {
            tokio::select! {
                // How a connection ends is the caller's matter: an answer that it missed it asks for again.
                _ = connection.as_mut() => return,
                () = self.state.evict.notified() => {
                    if self.state.is_waiting() {
                        return;
                    }
                }
                () = self.agent.stopped(), if !is_ending => {}
            }
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        router: Router,
    ) -> Result<Response, Infallible> {
        let (connections, state) = (self.connections.clone(), self.state.clone());
        let work = Arc::new(InWork { connections, state });
        request.extensions_mut().insert(work.clone());
        let response = router.oneshot(request.map(Body::new)).await?;
        Ok(response.map(|body| Body::new(Answer { body, _work: work })))
    }
}

/// One request's hold on its connection: from when its caller is known to its answer's last byte.
pub struct InWork {
    connections: Arc<Connections>,
    state: Arc<ConnectionState>,
}

impl InWork {
    /// Its caller is known: it is not closed for another one.
    pub fn begin(&self) {
        self.state.waits_since.store(0, Ordering::Release);
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.state.waits_since.store(self.connections.tick(), Ordering::Release);
    }
}

/// An answer's body, which is work until it is gone.
struct Answer {
    body: Body,
    _work: Arc<InWork>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose other side has to take what is written within its time.
struct TimedWrites<S> {
    stream: S,
    state: Arc<ConnectionState>,
    /// Runs while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedWrites<S> {
    fn new(stream: S, state: Arc<ConnectionState>) -> TimedWrites<S> {
        TimedWrites { stream, state, deadline: None }
    }

    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.state.is_writing.store(written.is_pending(), Ordering::Release);
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let deadline =
            self.deadline.get_or_insert_with(|| Box::pin(sleep(limits::DOOR_WRITE_TIME_MAX)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedWrites<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, closed)
    }
}
