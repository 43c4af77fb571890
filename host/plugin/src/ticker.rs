//! The clock behind deadlines: it moves the engine's epoch every tick while a plugin runs, and sleeps otherwise, so
//! that a quiet register is not woken a hundred times a second.
//!
//! It waits in the operating system's time, not the seam's: a deadline can only make a call fail, never answer
//! otherwise, and it must hold even when the runtime's own clock stands still.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tillhold_core::limits::PLUGIN_TICK;
use tillhold_env::Env;
use wasmtime::{Engine, EngineWeak};

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
    closed: bool,
}

impl Ticker {
    pub(crate) fn start(env: &Env, engine: &Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let (of_thread, engine) = (shared.clone(), engine.weak());
        env.tasks.thread("plugin-ticker".to_string(), Box::new(move || of_thread.tick(&engine)))?;
        Ok(Ticker { shared })
    }

    pub(crate) fn run(&self) -> Running<'_> {
        self.shared.lock().calls += 1;
        self.shared.changed.notify_one();
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

    fn tick(&self, engine: &EngineWeak) {
        let mut state = self.lock();
        while !state.closed {
            if state.calls == 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(state, PLUGIN_TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    }
}
