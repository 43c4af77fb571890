//! The few things that the generated bindings need beneath them: memory for what crosses the border.
//!
//! Unsafe by nature: the host writes into memory that the plugin allocates here, and takes what it answers from there
//! (Component Model, Canonical ABI). Nothing here is reached by an author's code.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

/// A block that the bindings fill for the host. Dropping it frees the block; `forget` leaves it to the host.
pub struct Cleanup {
    block: NonNull<u8>,
    layout: Layout,
}

impl Cleanup {
    /// Null and no owner for a block without a size.
    pub fn new(layout: Layout) -> (*mut u8, Option<Cleanup>) {
        if layout.size() == 0 {
            return (null_mut(), None);
        }
        // SAFETY: the size is not zero.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        (block.as_ptr(), Some(Cleanup { block, layout }))
    }

    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // SAFETY: `new` allocated the block with this layout, and `forget` did not give it away.
        unsafe { dealloc(self.block.as_ptr(), self.layout) }
    }
}

/// The bindings call it so that this module is linked in, and with it [`cabi_realloc`].
pub fn maybe_link_cabi_realloc() {}

/// Static constructors run once, by the first export, and not before each.
#[cfg(target_arch = "wasm32")]
pub fn run_ctors_once() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static HAVE_RUN: AtomicBool = AtomicBool::new(false);
    unsafe extern "C" {
        // The linker writes it, and calls it before every export unless the module does so itself.
        fn __wasm_call_ctors();
    }
    if !HAVE_RUN.swap(true, Ordering::Relaxed) {
        // SAFETY: called once, before any code that relies on constructors.
        unsafe { __wasm_call_ctors() }
    }
}

/// How the host asks for memory to put a call's arguments in (Canonical ABI, `realloc`).
///
/// # Safety
/// `old` is a block of `old_size` bytes from here, or `old_size` is 0.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        // An aligned address that nobody reads.
        return std::ptr::without_provenance_mut(align);
    }
    let Ok(layout) = Layout::from_size_align(new_size, align) else {
        core::arch::wasm32::unreachable()
    };
    // SAFETY: the new size is not zero; `old` has this alignment, as the caller promises.
    let block = unsafe {
        match old_size {
            0 => alloc(layout),
            _ => std::alloc::realloc(
                old,
                Layout::from_size_align_unchecked(old_size, align),
                new_size,
            ),
        }
    };
    if block.is_null() {
        core::arch::wasm32::unreachable()
    }
    block
}
