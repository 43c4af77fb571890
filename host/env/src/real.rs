//! The operating system behind the seam. The one place that clippy's list of forbidden calls does not bind.
#![allow(clippy::disallowed_methods)]

use crate::{BoxFuture, BoxStream, Clock, Disk, Listener, Network, Random, Tasks};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// On stderr: stdout is data. A closed stderr is no reason to stop selling.
pub(crate) fn talk(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

pub(crate) struct RealClock {
    start: Instant,
}

impl RealClock {
    pub(crate) fn new() -> RealClock {
        RealClock { start: Instant::now() }
    }
}

impl Clock for RealClock {
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

pub(crate) struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes)
            .expect("the operating system gives random bytes on every platform we build for");
    }
}

pub(crate) struct RealNetwork;

impl Network for RealNetwork {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            let stream = first_of(addresses, TcpStream::connect).await?;
            stream.set_nodelay(true)?;
            notice_dead_peers(&stream)?;
            Ok(Box::new(stream) as BoxStream)
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(at).await?;
            Ok(Box::new(RealListener(listener)) as Box<dyn Listener>)
        })
    }
}

/// A head start that each address has on the next one (RFC 8305 calls it the connection attempt delay).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first address that answers. They are tried side by side: of a listener with an address in each subnet only one
/// answers, and waiting the others out one by one would take longer than a register waits at all.
async fn first_of<T: Send + 'static, F: Future<Output = io::Result<T>> + Send + 'static>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(connect(address))),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let head_start = tokio::time::sleep(HEAD_START);
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = head_start, if waiting.len() > 0 => continue,
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None => {}
        }
    }
}

/// An idle half-open link is seen after 6 s, an unacknowledged write after 5 s, where the platform can.
fn notice_dead_peers(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(3))
        .with_interval(Duration::from_secs(1));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(5)))?;
    Ok(())
}

/// Who was accepted and then vanished without a word is dropped after 40 s, as SQL Server does it.
fn outlive_no_peer(stream: &TcpStream) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(1));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(10);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

struct RealListener(TcpListener);

impl Listener for RealListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            outlive_no_peer(&stream)?;
            Ok((Box::new(stream) as BoxStream, peer))
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(crate) struct RealTasks;

impl Tasks for RealTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn in_place(&self, work: &mut dyn FnMut()) -> bool {
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        // A runtime of one thread would stand still meanwhile.
        let can = flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread);
        if can {
            tokio::task::block_in_place(work);
        }
        can
    }

    fn worker(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.thread(name, work)
    }

    fn thread(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        std::thread::Builder::new().name(name).spawn(work).map(|_| ())
    }

    fn wait(&self, mut until: BoxFuture<'_, ()>, most: Option<Duration>) -> bool {
        let waker = Waker::from(Arc::new(Sleeper(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let started = Instant::now();
        loop {
            if until.as_mut().poll(&mut context).is_ready() {
                return true;
            }
            // Woken for nothing, it looks again.
            match most.map(|most| most.saturating_sub(started.elapsed())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return false,
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }
}

/// A thread that waits for a future.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }

    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        match fs4::FileExt::allocate(file, bytes) {
            // A file system that reserves nothing is written to instead.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                io::copy(&mut io::repeat(0).take(bytes), &mut &*file)?;
            }
            reserved => reserved?,
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::first_of;
    use crate::Env;
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 1433))
    }

    /// What addresses do: 1 keeps silent, 2 refuses, any other one answers with its number.
    async fn reach(at: SocketAddr) -> io::Result<u8> {
        match at {
            at if at == address(1) => std::future::pending().await,
            at if at == address(2) => Err(io::ErrorKind::ConnectionRefused.into()),
            SocketAddr::V4(at) => Ok(at.ip().octets()[3]),
            SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_that_answers_is_taken_whatever_the_others_do() {
        for (addresses, expected) in [
            (vec![1, 2, 7], Some(7)),
            (vec![8, 7], Some(8)),
            (vec![1, 1, 9], Some(9)),
            (vec![2, 2], None),
        ] {
            let all = addresses.iter().copied().map(address).collect();
            let reached = tokio::time::timeout(Duration::from_secs(3), first_of(all, reach)).await;
            assert_eq!(reached.expect("no address is waited for").ok(), expected, "{addresses:?}");
        }
        assert!(first_of(Vec::new(), reach).await.is_err());
    }

    #[test]
    fn a_thread_waits_for_a_task_or_for_as_long_as_it_may() {
        let env = Env::real();
        let (tell, hear) = tokio::sync::oneshot::channel();
        let teller = std::thread::spawn(move || tell.send(7));
        assert_eq!(env.wait(hear, None).map(Result::ok), Some(Some(7)));
        teller.join().expect("a thread").expect("it was heard");
        let never = std::future::pending::<()>();
        assert_eq!(env.wait(never, Some(Duration::from_millis(5))), None);
    }

    /// A reader on a half-open link sends nothing, so only keepalive finds out; a writer's unanswered bytes
    /// have a bound of their own where the system knows one.
    #[tokio::test]
    async fn a_connections_socket_notices_a_dead_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let at = listener.local_addr().expect("its address");
        let stream = TcpStream::connect(at).await.expect("a stream");
        super::notice_dead_peers(&stream).expect("settings");
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().expect("a setting"));
        #[cfg(target_os = "linux")]
        {
            let seconds = |seconds| Duration::from_secs(seconds);
            assert_eq!(socket.tcp_keepalive_time().expect("a setting"), seconds(3));
            assert_eq!(socket.tcp_keepalive_interval().expect("a setting"), seconds(1));
            assert_eq!(socket.tcp_keepalive_retries().expect("a setting"), 3);
            assert_eq!(socket.tcp_user_timeout().expect("a setting"), Some(seconds(5)));
        }
        let name = at.ip().to_string();
        Env::real().network.connect(&name, at.port()).await.expect("a stream by the seam");
    }
}
