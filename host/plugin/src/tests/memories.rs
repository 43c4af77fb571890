//! An engine whose instances leave the whole of their linear memory behind: what a plugin was ever given lies there,
//! unless the plugin itself wrote over it.
//!
//! As the product's, but each memory is ours, and is kept when its instance ends. Bounds are checked by code instead of
//! guard pages, which a memory of the host's own has not.
#![allow(unsafe_code)]

use super::shop::Shop;
use crate::run::engine_config;
use crate::{PluginHost, PluginLimits};
use std::cell::UnsafeCell;
use std::sync::{Arc, Mutex, PoisonError};
use tillhold_env::Env;
use wasmtime::{Engine, LinearMemory, MemoryCreator, MemoryType};

/// The memories of ended instances.
#[derive(Clone, Default)]
pub(super) struct Memories(Arc<Mutex<Vec<Vec<u8>>>>);

impl Memories {
    /// A shop on such an engine.
    pub(super) fn shop(&self) -> Shop {
        let mut config = engine_config();
        config
            .with_host_memory(Arc::new(self.clone()))
            .memory_reservation(0)
            .memory_reservation_for_growth(0)
            .memory_guard_size(0)
            .memory_init_cow(false);
        let folder = tempfile::tempdir().expect("a folder");
        let compiled = folder.path().join("compiled");
        let limits = PluginLimits::default();
        let engine = Engine::new(&config);
        let host = PluginHost::with_engine(&Env::real(), &compiled, limits, engine);
        Shop { host: host.expect("a host"), folder }
    }

    /// Whether `text` stands in any of them.
    pub(super) fn hold(&self, text: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!all.is_empty(), "no instance has ended");
        all.iter().any(|bytes| bytes.windows(text.len()).any(|at| at == text.as_bytes()))
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

struct Watched {
    bytes: UnsafeCell<Vec<u8>>,
    ended: Memories,
}

// SAFETY: the bytes are touched through wasmtime only, which lets one thread at a time do it.
unsafe impl Sync for Watched {}

// SAFETY: the pointer is that of a zeroed allocation of `byte_size` bytes, which moves in `grow_to` only; the engine
// above neither reserves nor guards, so no code relies on what lies behind it.
unsafe impl LinearMemory for Watched {
    fn byte_size(&self) -> usize {
        // SAFETY: as for `Sync`.
        unsafe { (*self.bytes.get()).len() }
    }

    fn byte_capacity(&self) -> usize {
        self.byte_size()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        self.bytes.get_mut().resize(new_size, 0);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        // SAFETY: as for `Sync`.
        unsafe { (*self.bytes.get()).as_mut_ptr() }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let bytes = std::mem::take(self.bytes.get_mut());
        self.ended.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

// SAFETY: each memory is an allocation of its own, as `LinearMemory` above promises.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        assert_eq!(
            (reserved.unwrap_or(0), guard),
            (0, 0),
            "code would rely on pages that are not there"
        );
        let bytes = UnsafeCell::new(vec![0; minimum]);
        Ok(Box::new(Watched { bytes, ended: self.clone() }))
    }
}
