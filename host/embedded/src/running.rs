//! A request in work, seen from its connection: how it is stopped.
//!
//! * Stopping is asked for again and again until the engine's call has returned: an engine forgets interruptions
//!   when a call begins, and the first may come just before that.
//! * No interruption comes after the call has returned: it would hit the next request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tillhold_env::{Env, Locked as _};

/// Between two interruptions of the same call.
const PAUSE: Duration = Duration::from_millis(10);

/// Dropped before the call has returned, it stops the call.
pub struct Running {
    env: Env,
    cancelled: Arc<AtomicBool>,
    call: Arc<Call>,
}

struct Call {
    interrupt: Arc<dyn Fn() + Send + Sync>,
    returned: Mutex<bool>,
}

impl Call {
    fn returned(&self) -> MutexGuard<'_, bool> {
        self.returned.locked()
    }

    /// Interrupts the call unless it has returned; answers whether it was still there.
    fn interrupt(&self) -> bool {
        let returned = self.returned();
        if !*returned {
            (self.interrupt)();
        }
        !*returned
    }
}

/// Held by the call on the engine's thread; its end is the call's, be it by a panic.
pub struct Ending(Arc<Call>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.returned() = true;
    }
}

impl Running {
    pub fn new(env: Env, interrupt: Arc<dyn Fn() + Send + Sync>) -> Running {
        let call = Arc::new(Call { interrupt, returned: Mutex::new(false) });
        Running { env, cancelled: Arc::default(), call }
    }

    /// Set once the request is cancelled.
    pub fn cancelled(&self) -> Arc<AtomicBool> {
        self.cancelled.clone()
    }

    pub fn ending(&self) -> Ending {
        Ending(self.call.clone())
    }

    pub fn cancel(&self) {
        let before = self.cancelled.swap(true, Ordering::AcqRel);
        if before || !self.call.interrupt() {
            return;
        }
        let call = self.call.clone();
        self.env.spawn(async move {
            while call.interrupt() {
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel();
    }
}
