//! A lock, whatever became of who held it last.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The standard library marks a lock whose holder panicked. Here it is taken all the same: what our locks guard is changed in one
/// step, and a register does not stop selling because some task of it broke off.
pub trait Locked<T: ?Sized> {
    fn locked(&self) -> MutexGuard<'_, T>;
}

impl<T: ?Sized> Locked<T> for Mutex<T> {
    fn locked(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
