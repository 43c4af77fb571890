//! The network: byte streams with a delay, over links that fail as cables, switches and firewalls do.
//!
//! * A register has one [`Link`] to the channel; what is said on a machine itself (the till's requests) never fails.
//! * Bytes that are on their way when a link is held come when it is released, as TCP sends them again.
//! * A machine that went dark says nothing: its peers' streams stay open until their keepalive ends them.

use crate::entropy::Dice;
use crate::life::Life;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tillhold_env::{BoxFuture, BoxStream, Listener, Locked as _, Network};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Sleep};

/// What a stream holds that nobody has read, as a socket's two buffers do.
const STREAM_BYTES: usize = 128 << 10;
/// After it the system ends a stream whose peer is gone without a word.
const KEEPALIVE: Duration = Duration::from_secs(12);

/// Which way bytes go on a register's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug)]
struct Weather {
    least_us: u64,
    most_us: u64,
    bytes_per_ms: u64,
    refused: bool,
    held: [bool; 2],
    /// Bytes until everything is reset; `u64::MAX` is never.
    bytes_left: u64,
}

const FAIR: Weather = Weather {
    least_us: 100,
    most_us: 900,
    bytes_per_ms: u64::MAX,
    refused: false,
    held: [false; 2],
    bytes_left: u64::MAX,
};

/// The cable between a register and its channel.
pub struct Link {
    weather: Mutex<Weather>,
    dice: Mutex<Dice>,
    pipes: Mutex<Vec<Weak<Pipe>>>,
    changed: Notify,
}

impl Link {
    pub fn new(dice: Dice) -> Arc<Link> {
        Arc::new(Link {
            weather: Mutex::new(FAIR),
            dice: Mutex::new(dice),
            pipes: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn weather(&self) -> Weather {
        *locked(&self.weather)
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut locked(&self.weather));
        self.changed.notify_waiters();
        self.each(Pipe::wake);
    }

    fn each(&self, what: impl Fn(&Pipe)) {
        let mut pipes = locked(&self.pipes);
        pipes.retain(|pipe| pipe.upgrade().inspect(|pipe| what(pipe)).is_some());
    }

    /// Streams break at once, new ones are refused.
    pub fn cut(&self) {
        self.change(|weather| weather.refused = true);
        self.reset();
    }

    /// Streams break at once, new ones may come.
    pub fn reset(&self) {
        self.each(Pipe::reset);
    }

    /// Nothing arrives any more in these directions, and nobody says so.
    pub fn hold(&self, up: bool, down: bool) {
        self.change(|weather| weather.held = [up, down]);
    }

    pub fn slow(&self, least: Duration, most: Duration) {
        self.change(|weather| {
            weather.least_us = least.as_micros() as u64;
            weather.most_us = most.as_micros() as u64;
        });
    }

    pub fn trickle(&self, bytes_per_ms: u64) {
        self.change(|weather| weather.bytes_per_ms = bytes_per_ms.max(1));
    }

    /// Everything breaks in the middle of whatever is said after so many bytes.
    pub fn cut_after(&self, bytes: u64) {
        self.change(|weather| weather.bytes_left = bytes);
    }

    pub fn heal(&self) {
        self.change(|weather| *weather = FAIR);
    }

    /// When bytes that are written now arrive; whether the link breaks over them.
    fn carry(&self, bytes: usize, after: Instant) -> (Instant, bool) {
        let mut weather = locked(&self.weather);
        let delay = locked(&self.dice).between(weather.least_us, weather.most_us);
        let long = bytes as u64 * 1_000 / weather.bytes_per_ms.max(1);
        let due =
            after.max(Instant::now() + Duration::from_micros(delay)) + Duration::from_micros(long);
        let breaks = weather.bytes_left < bytes as u64;
        weather.bytes_left = match weather.bytes_left {
            u64::MAX => u64::MAX,
            _ if breaks => u64::MAX,
            left => left - bytes as u64,
        };
        (due, breaks)
    }
}

/// One direction of one stream.
struct Pipe {
    state: Mutex<PipeState>,
    link: Option<(Arc<Link>, Way)>,
}

#[derive(Default)]
struct PipeState {
    queue: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    last: Option<Instant>,
    closed: bool,
    reset: bool,
    /// The peer went dark: from then on it is as if it were reset.
    reset_at: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(link: Option<(Arc<Link>, Way)>) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe { state: Mutex::default(), link });
        if let Some((link, _)) = &pipe.link {
            locked(&link.pipes).push(Arc::downgrade(&pipe));
        }
        pipe
    }

    fn wake(&self) {
        let mut state = locked(&self.state);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn reset(&self) {
        locked(&self.state).reset = true;
        self.wake();
    }

    fn close(&self, dark: bool) {
        let mut state = locked(&self.state);
        match dark {
            true => state.reset_at = Some(Instant::now() + KEEPALIVE),
            false => state.closed = true,
        }
        drop(state);
        self.wake();
    }

    fn is_held(&self) -> bool {
        self.link.as_ref().is_some_and(|(link, way)| link.weather().held[*way as usize])
    }
}

/// One end of a stream.
struct End {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    life: Arc<Life>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl End {
    /// Asks to be polled again at that moment.
    fn wake_at(&mut self, at: Instant, context: &mut Context<'_>) {
        let mut alarm = Box::pin(tokio::time::sleep_until(at));
        if alarm.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        self.alarm = Some(alarm);
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (pipe, now) = (self.incoming.clone(), Instant::now());
        let held = pipe.is_held();
        let mut state = locked(&pipe.state);
        let silent = state.reset_at.is_some_and(|at| at <= now);
        if state.reset || silent || self.life.is_dead() {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let next = state.queue.front().map(|(due, _)| *due).filter(|_| !held);
        if next.is_some_and(|due| due <= now) {
            let (due, mut bytes) = state.queue.pop_front().expect("it was looked at");
            let taken = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..taken]);
            state.bytes -= taken;
            if taken < bytes.len() {
                state.queue.push_front((due, bytes.split_off(taken)));
            }
            state.writer.take().inspect(Waker::wake_by_ref);
            return Poll::Ready(Ok(()));
        }
        if state.closed && state.queue.is_empty() && !held {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(context.waker().clone());
        let alarm = next.or(state.reset_at);
        drop(state);
        if let Some(at) = alarm {
            self.wake_at(at, context);
        }
        Poll::Pending
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let mut state = locked(&self.outgoing.state);
        let silent = state.reset_at.is_some_and(|at| at <= now);
        if state.reset || silent || self.life.is_dead() || locked(&self.incoming.state).closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if state.bytes >= STREAM_BYTES {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(STREAM_BYTES - state.bytes);
        let after = state.last.unwrap_or(now);
        let (due, breaks) = match &self.outgoing.link {
            Some((link, _)) => link.carry(taken, after),
            None => (now, false),
        };
        state.last = Some(due);
        state.bytes += taken;
        state.queue.push_back((due, bytes[..taken].to_vec()));
        let reader = state.reader.take();
        drop(state);
        reader.inspect(Waker::wake_by_ref);
        if let (true, Some((link, _))) = (breaks, &self.outgoing.link) {
            link.reset();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close(false);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let dark = self.life.is_dark();
        self.outgoing.close(dark);
        if dark {
            // What the peer still writes goes nowhere, and is never acknowledged.
            locked(&self.incoming.state).reset_at = Some(Instant::now() + KEEPALIVE);
        } else {
            locked(&self.incoming.state).reset = true;
            self.incoming.wake();
        }
    }
}

/// Someone at the door; sent away when nobody lets them in.
struct Call {
    up: Arc<Pipe>,
    down: Arc<Pipe>,
    answered: bool,
}

impl Call {
    fn answer(mut self, life: &Arc<Life>) -> End {
        self.answered = true;
        End {
            incoming: self.up.clone(),
            outgoing: self.down.clone(),
            life: life.clone(),
            alarm: None,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.answered {
            self.down.reset();
            self.up.reset();
        }
    }
}

/// Who listens where.
#[derive(Default)]
pub struct Net(Mutex<Addresses>);

#[derive(Default)]
struct Addresses {
    listeners: BTreeMap<u16, mpsc::UnboundedSender<Call>>,
    taken: u16,
}

/// The network as one process sees it.
pub struct Port {
    pub net: Arc<Net>,
    pub life: Arc<Life>,
    /// Its way to another machine, and the port there.
    pub link: Option<(Arc<Link>, u16)>,
}

impl Network for Port {
    fn connect<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        let link = self.link.as_ref().filter(|(_, there)| *there == port).map(|(link, _)| link);
        Box::pin(async move {
            if let Some(link) = link {
                reach(link).await?;
            }
            let refused = || io::Error::from(ErrorKind::ConnectionRefused);
            let listener = locked(&self.net.0).listeners.get(&port).cloned();
            let way = |way| link.map(|link| (link.clone(), way));
            let (up, down) = (Pipe::new(way(Way::Up)), Pipe::new(way(Way::Down)));
            let call = Call { up: up.clone(), down: down.clone(), answered: false };
            listener.ok_or_else(refused)?.send(call).map_err(|_| refused())?;
            let life = self.life.clone();
            Ok(Box::new(End { incoming: down, outgoing: up, life, alarm: None }) as BoxStream)
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let mut addresses = locked(&self.net.0);
        let port = match at.port() {
            0 => {
                addresses.taken = addresses.taken % 20_000 + 1;
                20_000 + addresses.taken
            }
            port => port,
        };
        let (send, queue) = mpsc::unbounded_channel();
        let is_free = addresses.listeners.get(&port).is_none_or(mpsc::UnboundedSender::is_closed);
        let listening = is_free.then(|| {
            addresses.listeners.insert(port, send);
            let queue = tokio::sync::Mutex::new(queue);
            Box::new(Ear { port, queue, life: self.life.clone() }) as Box<dyn Listener>
        });
        let in_use = || io::Error::from(ErrorKind::AddrInUse);
        Box::pin(std::future::ready(listening.ok_or_else(in_use)))
    }
}

/// The first packet's way there, which may be refused or get no answer.
async fn reach(link: &Link) -> io::Result<()> {
    loop {
        let changed = link.changed.notified();
        let weather = link.weather();
        if weather.held == [false; 2] {
            let delay = locked(&link.dice).between(weather.least_us, weather.most_us);
            tokio::time::sleep(Duration::from_micros(delay)).await;
            return match link.weather().refused {
                true => Err(ErrorKind::ConnectionRefused.into()),
                false => Ok(()),
            };
        }
        changed.await;
    }
}

struct Ear {
    port: u16,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>,
    life: Arc<Life>,
}

impl Listener for Ear {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async {
            let call = self.queue.lock().await.recv().await;
            let call = call.ok_or_else(|| io::Error::from(ErrorKind::ConnectionAborted))?;
            let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
            Ok((Box::new(call.answer(&self.life)) as BoxStream, from))
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.locked()
}
