//! The environment of a target: panics of its tasks are kept, its clock and dice are the same each time.

use crate::cable::Cable;
use futures_util::FutureExt as _;
use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tillhold_core::draw::Draw;
use tillhold_env::{BoxFuture, Clock, Env, Random, Tasks};
use tokio::runtime::{Builder, Runtime};

/// No input may keep the house busy for longer once its client is gone; it is what a hang is told by.
const END_TIME_MAX: Duration = Duration::from_secs(60);
/// 2026-01-01 00:00 UTC.
const NOW_MS: i64 = 1_767_225_600_000;

pub struct Outside {
    pub env: Env,
    pub cable: Cable,
    panics: Panics,
    runtime: Runtime,
}

type Panics = Arc<Mutex<Vec<Box<dyn Any + Send>>>>;

impl Outside {
    pub fn new() -> Outside {
        let real = Env::real();
        let (panics, cable) = (Panics::default(), Cable::default());
        let env = Env {
            clock: Arc::new(Still(AtomicU64::new(0))),
            random: Arc::new(Drawn(Mutex::new(Draw::of(0, "random", 0)))),
            network: Arc::new(cable.clone()),
            tasks: Arc::new(Watched { real: real.tasks.clone(), panics: panics.clone() }),
            talk: Arc::new(|_| {}),
            ..real
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Outside { env, cable, panics, runtime }
    }

    /// Runs `harm` to its end and everything that it began, too; then whatever panicked meanwhile does so here.
    pub fn run<T>(self, harm: impl Future<Output = T>) -> T {
        let ended = catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(harm)));
        self.runtime.shutdown_timeout(END_TIME_MAX);
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = panics.drain(..).next() {
            resume_unwind(first);
        }
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

struct Watched {
    real: Arc<dyn Tasks>,
    panics: Panics,
}

fn keep(panics: &Panics, ended: Result<(), Box<dyn Any + Send>>) {
    if let Err(panic) = ended {
        panics.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
    }
}

impl Tasks for Watched {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let panics = self.panics.clone();
        let watched = async move { keep(&panics, AssertUnwindSafe(task).catch_unwind().await) };
        self.real.spawn(Box::pin(watched));
    }

    fn blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        let panics = self.panics.clone();
        let watched = move || keep(&panics, catch_unwind(AssertUnwindSafe(work)));
        self.real.blocking(name, Box::new(watched));
    }

    fn worker(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let panics = self.panics.clone();
        let watched = move || keep(&panics, catch_unwind(AssertUnwindSafe(work)));
        self.real.worker(name, Box::new(watched))
    }

    fn thread(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let panics = self.panics.clone();
        let watched = move || keep(&panics, catch_unwind(AssertUnwindSafe(work)));
        self.real.thread(name, Box::new(watched))
    }

    fn wait(&self, until: BoxFuture<'_, ()>, most: Option<Duration>) -> bool {
        self.real.wait(until, most)
    }
}

/// A millisecond a look, so that whoever waits for it to pass does not wait for ever.
struct Still(AtomicU64);

impl Clock for Still {
    fn wall_ms(&self) -> i64 {
        NOW_MS + (self.monotonic_us() / 1_000) as i64
    }

    fn monotonic_us(&self) -> u64 {
        self.0.fetch_add(1_000, Ordering::Relaxed)
    }
}

/// The same in every run.
struct Drawn(Mutex<Draw>);

impl Random for Drawn {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

/// In memory where the platform has such a place: a target opens files by the thousand.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}
