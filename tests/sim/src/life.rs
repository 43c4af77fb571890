//! One process from its start to its death: its tasks, its clock, and when it is to die.
//!
//! * A dead process's tasks are dropped wherever they wait; whatever it still tries meets a dead network and disk.
//! * It dies at a moment, at the so-manieth time that one of its tasks goes on, or at the so-manieth file operation.

use crate::entropy::Dice;
use crate::fiber;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tillhold_env::{BoxFuture, Clock, Locked as _, Random, Tasks};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// 2026-01-05 08:00:00 UTC, a Monday.
pub const OPENING_MS: i64 = 1_767_600_000_000;

#[derive(Default)]
pub struct Life {
    dead: AtomicBool,
    /// The machine went dark: nobody tells the other side.
    dark: AtomicBool,
    tasks: AtomicUsize,
    handles: Mutex<Vec<AbortHandle>>,
    /// Until a task's next step kills it; 0 is never.
    steps_left: AtomicU64,
    files_left: AtomicU64,
    goes_dark: AtomicBool,
    died: Notify,
}

impl Life {
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Relaxed)
    }

    /// At once; `dark` is a power cut.
    pub fn kill(&self, dark: bool) {
        if self.dead.swap(true, Ordering::Relaxed) {
            return;
        }
        self.dark.store(dark, Ordering::Relaxed);
        let handles = std::mem::take(&mut *locked(&self.handles));
        handles.iter().for_each(AbortHandle::abort);
        self.died.notify_waiters();
    }

    pub fn kill_at_step(&self, steps: u64, dark: bool) {
        self.goes_dark.store(dark, Ordering::Relaxed);
        self.steps_left.store(steps.max(1), Ordering::Relaxed);
    }

    pub fn kill_at_file_operation(&self, operations: u64, dark: bool) {
        self.goes_dark.store(dark, Ordering::Relaxed);
        self.files_left.store(operations.max(1), Ordering::Relaxed);
    }

    /// Takes back a death that has not come.
    pub fn spare(&self) {
        self.steps_left.store(0, Ordering::Relaxed);
        self.files_left.store(0, Ordering::Relaxed);
    }

    /// One more step of a task.
    fn step(&self) {
        self.count(&self.steps_left);
    }

    /// One more file operation that changes something; whether the process is dead.
    pub fn touch_file(&self) -> bool {
        self.count(&self.files_left);
        self.is_dead()
    }

    fn count(&self, left: &AtomicU64) {
        match left.load(Ordering::Relaxed) {
            0 => {}
            1 => {
                left.store(0, Ordering::Relaxed);
                self.kill(self.goes_dark.load(Ordering::Relaxed));
            }
            more => left.store(more - 1, Ordering::Relaxed),
        }
    }

    /// Waits until it is dead and nothing of it is left.
    pub async fn gone(&self) {
        let died = self.died.notified();
        if !self.is_dead() {
            died.await;
        }
        while self.tasks.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }

    fn keep(&self, handle: AbortHandle) {
        let mut handles = locked(&self.handles);
        if handles.len() >= 64 && handles.len().is_power_of_two() {
            handles.retain(|handle| !handle.is_finished());
        }
        handles.push(handle);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.locked()
}

/// A task of a process.
struct Mortal {
    life: Arc<Life>,
    task: Pin<Box<dyn Future<Output = ()>>>,
}

impl Future for Mortal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.life.step();
        if self.life.is_dead() {
            return Poll::Ready(());
        }
        self.task.as_mut().poll(context)
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.life.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tasks that live as long as their process.
pub struct LifeTasks {
    pub life: Arc<Life>,
    pub dice: Mutex<Dice>,
}

impl LifeTasks {
    fn begin(&self, task: impl Future<Output = ()> + 'static) {
        if self.life.is_dead() {
            return;
        }
        self.life.tasks.fetch_add(1, Ordering::Relaxed);
        let task = Mortal { life: self.life.clone(), task: Box::pin(task) };
        self.life.keep(tokio::task::spawn_local(task).abort_handle());
    }
}

impl Tasks for LifeTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.begin(task);
    }

    /// Begins now or a little later, as the operating system has it.
    fn blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
        let delay_us = {
            let mut dice = locked(&self.dice);
            if dice.one_in(4) { dice.between(1, 3_000) } else { 0 }
        };
        self.begin(async move {
            if delay_us > 0 {
                tokio::time::sleep(Duration::from_micros(delay_us)).await;
            }
            fiber::run(work).await;
        });
    }

    fn worker(&self, _name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.begin(fiber::run(work));
        Ok(())
    }

    /// The plugins' deadlines are real time's: see docs/reliability.md.
    fn thread(&self, name: String, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        std::thread::Builder::new().name(name).spawn(work).map(|_| ())
    }

    fn wait(&self, until: BoxFuture<'_, ()>, most: Option<Duration>) -> bool {
        fiber::wait(until, most)
    }
}

/// The wall clock may be set; the other one begins with the process.
pub struct LifeClock {
    pub opening: Instant,
    pub begun: Instant,
    /// By how much this machine's wall clock is wrong.
    pub skew_ms: Arc<AtomicI64>,
}

impl Clock for LifeClock {
    fn wall_ms(&self) -> i64 {
        OPENING_MS
            + self.opening.elapsed().as_millis() as i64
            + self.skew_ms.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }
}

pub struct LifeRandom(pub Mutex<Dice>);

impl Random for LifeRandom {
    fn fill(&self, bytes: &mut [u8]) {
        locked(&self.0).fill(bytes);
    }
}
