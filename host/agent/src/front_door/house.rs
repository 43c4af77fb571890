//! The connections of one way in: so many at once, and none that only sits there.
//!
//! ```text
//! accepted ─► a seat ─────────────────► waits (idle, or half a head) ◄─► in work (head read … answer written)
//!                │ none free                 │ too long, or the longest and its seat is wanted
//!                └─► 503, or closed          └─► closed
//! ```
//!
//! * Whoever opens connections and asks nothing keeps nobody out: his are the first to go. A connection in work is never
//!   closed for another one.
//! * Waiting is bounded for both sides: the head, the body (in `asked`), the answer's way, a newcomer's wait for a seat.
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tillhold_core::limits;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt as _;

pub struct House {
    seats: Arc<Semaphore>,
    doorstep: Arc<Semaphore>,
    /// By number, those that may be asked to leave.
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    /// Counts turns: a connection that began to wait earlier has a smaller one.
    turns: AtomicU64,
}

/// What the house knows of one connection.
struct Guest {
    /// The turn at which it began to wait; 0 while it is in work.
    waits_since: AtomicU64,
    /// Its caller has not taken all of an answer.
    is_owed: AtomicBool,
    leave: Notify,
}

impl Default for House {
    fn default() -> House {
        House {
            seats: Arc::new(Semaphore::new(limits::DOOR_CONNECTIONS_MAX)),
            doorstep: Arc::new(Semaphore::new(limits::DOOR_REFUSALS_MAX)),
            guests: Mutex::default(),
            turns: AtomicU64::new(1),
        }
    }
}

impl House {
    /// Until the agent stops and whoever is in work has left.
    pub async fn serve(
        self: &Arc<House>,
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
            match self.seat().await {
                Some(seat) => {
                    let stay = Stay::new(self.clone(), seat, agent.clone());
                    env.spawn(stay.serve(stream, router.clone()));
                }
                None => {
                    if let Ok(place) = self.doorstep.clone().try_acquire_owned() {
                        env.spawn(refuse(stream, place));
                    }
                }
            }
        }
        drop(listener);
        // The semaphore is never closed.
        let _ = self.seats.acquire_many(limits::DOOR_CONNECTIONS_MAX as u32).await;
    }

    pub fn open(&self) -> usize {
        limits::DOOR_CONNECTIONS_MAX - self.seats.available_permits()
    }

    /// A free seat, or the one of whoever has waited longest.
    async fn seat(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(free) = self.seats.clone().try_acquire_owned() {
            return Some(free);
        }
        self.longest_waiting()?.leave.notify_one();
        let freed = timeout(limits::DOOR_ADMISSION_TIME_MAX, self.seats.clone().acquire_owned());
        freed.await.ok()?.ok()
    }

    /// It is asked to leave, so nobody asks it again.
    fn longest_waiting(&self) -> Option<Arc<Guest>> {
        let mut guests = self.guests();
        let waiting = guests.iter().filter(|(_, guest)| guest.is_waiting());
        let (number, _) =
            waiting.min_by_key(|(_, guest)| guest.waits_since.load(Ordering::Acquire))?;
        let number = *number;
        guests.remove(&number)
    }

    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    fn guests(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    fn is_waiting(&self) -> bool {
        self.waits_since.load(Ordering::Acquire) > 0 && !self.is_owed.load(Ordering::Acquire)
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

/// One connection in its seat.
struct Stay {
    house: Arc<House>,
    guest: Arc<Guest>,
    number: u64,
    agent: Arc<Agent>,
    _seat: OwnedSemaphorePermit,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.house.guests().remove(&self.number);
    }
}

impl Stay {
    fn new(house: Arc<House>, seat: OwnedSemaphorePermit, agent: Arc<Agent>) -> Stay {
        let number = house.turn();
        let guest = Arc::new(Guest {
            waits_since: AtomicU64::new(number),
            is_owed: AtomicBool::new(false),
            leave: Notify::new(),
        });
        house.guests().insert(number, guest.clone());
        Stay { house, guest, number, agent, _seat: seat }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, router: Router) {
        let answer = service_fn(|request| self.answer(request, router.clone()));
        let stream = TokioIo::new(Patient::new(stream, self.guest.clone()));
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
                () = self.guest.leave.notified() => {
                    if self.guest.is_waiting() {
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
        request: Request<Incoming>,
        router: Router,
    ) -> Result<Response, Infallible> {
        let work = Work::begin(self.house.clone(), self.guest.clone());
        let response = router.oneshot(request.map(Body::new)).await?;
        Ok(response.map(|body| Body::new(Answer { body, _work: work })))
    }
}

/// From a request's head to its answer's last byte.
struct Work {
    house: Arc<House>,
    guest: Arc<Guest>,
}

impl Work {
    fn begin(house: Arc<House>, guest: Arc<Guest>) -> Work {
        guest.waits_since.store(0, Ordering::Release);
        Work { house, guest }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.guest.waits_since.store(self.house.turn(), Ordering::Release);
    }
}

/// An answer's body, which is work until it is gone.
struct Answer {
    body: Body,
    _work: Work,
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
struct Patient<S> {
    stream: S,
    guest: Arc<Guest>,
    /// Runs while a write waits.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, guest: Arc<Guest>) -> Patient<S> {
        Patient { stream, guest, patience: None }
    }

    fn patient<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.guest.is_owed.store(written.is_pending(), Ordering::Release);
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let patience =
            self.patience.get_or_insert_with(|| Box::pin(sleep(limits::DOOR_WRITE_TIME_MAX)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.patient(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.patient(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patient(cx, closed)
    }
}
