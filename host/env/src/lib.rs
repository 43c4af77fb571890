//! The seam: everything that comes from outside the program comes through [`Env`].
//!
//! * Production uses [`Env::real`]; the simulation hands in its own clock, network and spawning and a SQLite VFS,
//!   and runs the very code that ships. `clippy.toml` forbids the clock and friends everywhere but here.
//! * Sleeping and time-outs are `tokio::time`'s, whose clock a simulation pauses; the wall clock is [`Clock`]'s.

mod locked;
mod real;
pub mod speech;

pub use locked::Locked;

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream: TCP in production, a simulated one in tests.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}
pub type BoxStream = Box<dyn Stream>;

/// Everything outside, shared by all parts of one process.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub network: Arc<dyn Network>,
    pub tasks: Arc<dyn Tasks>,
    pub disk: Arc<dyn Disk>,
    /// The SQLite VFS by name; `None` is ours over SQLite's default for the platform (`tillhold-vfs`).
    pub vfs: Option<String>,
    /// Takes each line that is meant for the operator.
    pub talk: Arc<dyn Fn(&str) + Send + Sync>,
}

pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 00:00 UTC. May jump; decisions use [`Clock::monotonic_us`].
    fn wall_ms(&self) -> i64;
    /// Microseconds since some fixed moment; never goes back.
    fn monotonic_us(&self) -> u64;
}

pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);

    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A version 4 UUID (RFC 9562, section 5.4).
    fn uuid(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0F | 0x40;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        bytes
    }
}

pub trait Network: Send + Sync {
    /// Connects with no time-out of its own: the caller bounds it.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>>;
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
}

pub trait Listener: Send + Sync {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>>;
    fn address(&self) -> io::Result<SocketAddr>;
}

/// The room that the files live in.
pub trait Disk: Send + Sync {
    /// What this account may still write where `folder` is.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
    /// Gives a file that is just made so many bytes of the disk, so that nobody else gets them.
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()>;
}

pub trait Tasks: Send + Sync {
    /// A task of the runtime; detached, so it must end by itself or by a signal it watches.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Work that blocks for long (a plugin's batch, a compile), away from the runtime's own threads.
    fn blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>);
    /// Runs work that may block on this very thread, while the runtime's other tasks go on. Where that cannot be it is
    /// not run, and the answer is `false`.
    fn in_place(&self, _work: &mut dyn FnMut()) -> bool {
        false
    }
    /// A thread for the life of the program whose work waits by [`Env::wait`] alone (a database file's writer): a
    /// simulation runs it in its own time.
    fn worker(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
    /// A thread for the life of the program that waits in the operating system's time, also in a simulation.
    fn thread(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
    /// See [`Env::wait`].
    fn wait(&self, until: BoxFuture<'_, ()>, most: Option<Duration>) -> bool;
}

impl Env {
    /// The operating system's clock, randomness, TCP, threads and disk.
    pub fn real() -> Env {
        Env {
            clock: Arc::new(real::RealClock::new()),
            random: Arc::new(real::RealRandom),
            network: Arc::new(real::RealNetwork),
            tasks: Arc::new(real::RealTasks),
            disk: Arc::new(real::RealDisk),
            vfs: None,
            talk: Arc::new(real::talk),
        }
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(Box::pin(task));
    }

    /// Runs blocking work elsewhere and waits for its answer; `None` when the work panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, wait) = tokio::sync::oneshot::channel();
        self.tasks.blocking(
            name,
            Box::new(move || {
                // The waiter may have given up; then the answer has no one to go to.
                let _ = answer.send(work());
            }),
        );
        wait.await.ok()
    }

    /// Stands still on the thread of a [`Tasks::blocking`] or [`Tasks::worker`] until a task has brought something
    /// about, or for as long as `most`; then it is `None`.
    pub fn wait<T: Send>(
        &self,
        until: impl Future<Output = T> + Send,
        most: Option<Duration>,
    ) -> Option<T> {
        let mut answer = None;
        let ended = async { answer = Some(until.await) };
        self.tasks.wait(Box::pin(ended), most);
        answer
    }
}
