//! The clock behind deadlines: it moves the engine's epoch every tick while a plugin runs, and sleeps otherwise, so
//! that a quiet register is not woken a hundred times a second.
//!
//! It waits in the operating system's time, not the seam's: a deadline can only make a call fail, never answer
//! otherwise, and it must hold even when the runtime's own clock stands still.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tillhold_core::limits::PLUGIN_TICK;
use tillhold_env::Env;
use wasmtime::Engine;

/// Owned by the host and its plugins together; the thread ends with the last of them.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

/// While one exists, ticks pass.
pub(crate) struct Running<'a> {
    shared: &'a Shared,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: usize,
    /// The thread waits for a call, not for a tick's end: only then it is woken.
    resting: bool,
    closed: bool,
}

impl Ticker {
    pub(crate) fn start(env: &Env, engine: &Engine) -> std::io::Result<Ticker> {
        let engine = engine.weak();
        Ticker::ticking(env, move || engine.upgrade().map(|engine| engine.increment_epoch()))
    }

    /// Calls `tick` every tick while something runs; `None` from it ends the thread.
    fn ticking(
        env: &Env,
        tick: impl FnMut() -> Option<()> + Send + 'static,
    ) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        env.tasks.thread("plugin-ticker".to_string(), Box::new(move || of_thread.tick(tick)))?;
        Ok(Ticker { shared })
    }

    pub(crate) fn run(&self) -> Running<'_> {
        let mut state = self.shared.lock();
        state.calls += 1;
        if state.resting {
            self.shared.changed.notify_one();
        }
        Running { shared: &self.shared }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.lock().calls -= 1;
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A count and a flag are never half changed, so a panic elsewhere does not spoil them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, mut tick: impl FnMut() -> Option<()>) {
        let mut state = self.lock();
        while !state.closed {
            if state.calls == 0 {
                state.resting = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.resting = false;
                continue;
            }
            let waited = self.changed.wait_timeout(state, PLUGIN_TICK);
            let timeout;
            (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            // A tick is a whole one: if short calls could hurry the epoch, they would stop a long one before its time.
            if timeout.timed_out() && tick().is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ticker;
    use std::sync::mpsc;
    use tillhold_core::limits::PLUGIN_TICK;
    use tillhold_env::Env;

    #[test]
    fn ticks_pass_while_a_call_runs_and_no_faster_than_time() {
        let env = Env::real();
        let (ticked, ticks) = mpsc::channel();
        let ticker = Ticker::ticking(&env, move || ticked.send(()).ok()).expect("a thread");
        let start = env.clock.monotonic_us();
        // Short calls beside a long one, as many as fit into three ticks.
        let long = ticker.run();
        let mut counted: u32 = 0;
        while counted < 3 {
            drop(ticker.run());
            counted += ticks.try_iter().count() as u32;
        }
        drop(long);
        let elapsed = u128::from(env.clock.monotonic_us() - start);
        assert!(
            u128::from(counted) * PLUGIN_TICK.as_micros() <= elapsed,
            "{counted} in {elapsed} us"
        );
        drop(ticker);
        assert!(ticks.iter().count() <= 1, "the thread ended, with at most the tick it was in");
    }
}
