//! The plugin's memory: a block comes from the end of what is there, or is one of its size that was freed.
//!
//! An instance lives for one batch, so nothing is ever given back to the host. It begins in the heap that the component
//! brings with it (`tillhold plugin build` asks for one): growing memory costs a batch more than all its blocks.
//!
//! Unsafe by nature: it hands out addresses.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::{copy_nonoverlapping, null_mut};

/// Sizes are powers of two, from this one on.
const SMALLEST: usize = 16;
/// Asked for at once when memory must grow.
#[cfg(target_arch = "wasm32")]
const GROWTH_PAGES_MIN: usize = 8;

pub(crate) struct Heap {
    /// From here on nothing was handed out yet.
    next: usize,
    end: usize,
    /// By power of two: the last freed block, which holds the address of the one before it; 0 for none.
    freed: [usize; usize::BITS as usize],
}

/// Makes room for so many bytes more behind this end: the new one, or `None`, also where memory goes on behind it already.
type Grow = fn(usize, usize) -> Option<usize>;

impl Heap {
    pub(crate) const fn new() -> Heap {
        Heap { next: 0, end: 0, freed: [0; usize::BITS as usize] }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.end == 0
    }

    /// # Safety
    /// Nobody else uses the bytes from `start` to `end`, nor those that `grow` adds.
    pub(crate) unsafe fn begin(&mut self, start: usize, end: usize) {
        (self.next, self.end) = (start, end);
    }

    /// # Safety
    /// The heap has begun.
    pub(crate) unsafe fn take(&mut self, layout: Layout, grow: Grow) -> *mut u8 {
        let Some(size) = rounded(layout) else { return null_mut() };
        let freed = &mut self.freed[size.trailing_zeros() as usize];
        // Freed blocks stand as the smallest one needs to, no better.
        if *freed != 0 && layout.align() <= SMALLEST {
            let block = *freed as *mut usize;
            // SAFETY: a freed block is nobody's, and its first bytes hold the next one's address.
            *freed = unsafe { *block };
            return block.cast();
        }
        let start = self.next.checked_next_multiple_of(layout.align().max(SMALLEST));
        let Some(start) = start.filter(|start| self.reaches(*start, size, grow)) else {
            return null_mut();
        };
        self.next = start + size;
        start as *mut u8
    }

    /// # Safety
    /// `block` was taken here with this layout and is used no more.
    pub(crate) unsafe fn give(&mut self, block: *mut u8, layout: Layout) {
        let Some(size) = rounded(layout) else { return };
        let freed = &mut self.freed[size.trailing_zeros() as usize];
        // SAFETY: every block has room for an address and stands where one may.
        unsafe { *block.cast::<usize>() = *freed };
        *freed = block as usize;
    }

    /// # Safety
    /// As for `give`; the answer is the block from now on, unless it is null.
    pub(crate) unsafe fn resize(
        &mut self,
        block: *mut u8,
        layout: Layout,
        new_size: usize,
        grow: Grow,
    ) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else {
            return null_mut();
        };
        let (Some(size), Some(new)) = (rounded(layout), rounded(wanted)) else { return null_mut() };
        let is_last = block as usize + size == self.next;
        if new == size {
            return block;
        }
        if is_last && new > size && self.reaches(block as usize, new, grow) {
            self.next = block as usize + new;
            return block;
        }
        // SAFETY: both blocks are the caller's, and the smaller of the two sizes fits in either.
        unsafe {
            let other = self.take(wanted, grow);
            if !other.is_null() {
                copy_nonoverlapping(block, other, layout.size().min(new_size));
                self.give(block, layout);
            }
            other
        }
    }

    /// Whether there are so many bytes from `start` on, or can be made.
    fn reaches(&mut self, start: usize, size: usize, grow: Grow) -> bool {
        let Some(end) = start.checked_add(size) else { return false };
        if end > self.end {
            match grow(self.end, end - self.end) {
                Some(there) => self.end = there,
                None => return false,
            }
        }
        true
    }
}

fn rounded(layout: Layout) -> Option<usize> {
    layout.size().max(layout.align()).max(SMALLEST).checked_next_power_of_two()
}

#[cfg(target_arch = "wasm32")]
mod plugin {
    use super::{GROWTH_PAGES_MIN, Heap};
    use core::arch::wasm32::{memory_grow, memory_size};
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;

    const PAGE_BYTES: usize = 65_536;

    struct Memory(UnsafeCell<Heap>);

    // SAFETY: a plugin has one thread (the host offers no other), and nothing below is called while it runs.
    unsafe impl Sync for Memory {}

    #[global_allocator]
    static MEMORY: Memory = Memory(UnsafeCell::new(Heap::new()));

    unsafe extern "C" {
        /// The linker's: behind it lies nothing but the heap.
        static __heap_base: u8;
    }

    fn end() -> usize {
        memory_size(0).saturating_mul(PAGE_BYTES)
    }

    fn grow(from: usize, bytes: usize) -> Option<usize> {
        if end() != from {
            // Somebody else has made memory grow: what lies there is theirs.
            return None;
        }
        let pages = bytes.div_ceil(PAGE_BYTES).max(GROWTH_PAGES_MIN);
        let before = memory_grow(0, pages);
        (before != usize::MAX).then(end)
    }

    impl Memory {
        #[allow(clippy::mut_from_ref)]
        unsafe fn heap(&self) -> &mut Heap {
            // SAFETY: one thread, and no call of ours calls another.
            let heap = unsafe { &mut *self.0.get() };
            if heap.is_new() {
                let start = (&raw const __heap_base) as usize;
                // SAFETY: all memory behind the heap's base is its own.
                unsafe { heap.begin(start, end()) };
            }
            heap
        }
    }

    // SAFETY: blocks do not overlap, and are as large and as aligned as was asked.
    unsafe impl GlobalAlloc for Memory {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { self.heap().take(layout, grow) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            unsafe { self.heap().give(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            unsafe { self.heap().resize(block, layout, new_size, grow) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heap, SMALLEST};
    use std::alloc::Layout;

    const ROOM: usize = 1 << 16;

    #[repr(align(4096))]
    struct Room([u8; ROOM]);

    fn none(_: usize, _: usize) -> Option<usize> {
        None
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    fn with_heap(test: impl FnOnce(Heap)) {
        let mut room = Box::new(Room([0; ROOM]));
        let start = room.0.as_mut_ptr() as usize;
        let mut heap = Heap::new();
        assert!(heap.is_new());
        unsafe { heap.begin(start, start + ROOM) };
        test(heap);
    }

    #[test]
    fn blocks_stand_apart_and_as_aligned_as_was_asked() {
        with_heap(|mut heap| {
            let mut taken: Vec<(usize, usize)> = Vec::new();
            for (nth, align) in [1, 2, 8, 16, 64, 4096, 1, 1].into_iter().enumerate() {
                let asked = layout(1 + 37 * nth, align);
                let block = unsafe { heap.take(asked, none) } as usize;
                assert!(block != 0 && block.is_multiple_of(align));
                let clear = |(other, size): &(usize, usize)| {
                    block + asked.size() <= *other || other + size <= block
                };
                assert!(taken.iter().all(clear));
                taken.push((block, asked.size()));
            }
        });
    }

    #[test]
    fn a_freed_block_is_the_next_one_of_its_size() {
        with_heap(|mut heap| unsafe {
            let (first, second) = (heap.take(layout(20, 4), none), heap.take(layout(20, 4), none));
            heap.give(first, layout(20, 4));
            heap.give(second, layout(20, 4));
            assert_eq!(heap.take(layout(32, 8), none), second);
            assert_eq!(heap.take(layout(17, 1), none), first);
            let third = heap.take(layout(20, 4), none);
            assert!(third != first && third != second);
            heap.give(third, layout(20, 4));
            assert_ne!(heap.take(layout(32, 64), none), third, "it may not stand well enough");
        });
    }

    #[test]
    fn the_last_block_grows_where_it_is_and_others_move_with_what_they_hold() {
        with_heap(|mut heap| unsafe {
            let block = heap.take(layout(16, 1), none);
            block.write_bytes(7, 16);
            assert_eq!(heap.resize(block, layout(10, 1), 16, none), block, "there is room in it");
            let grown = heap.resize(block, layout(16, 1), 100, none);
            assert_eq!(grown, block);
            let last = heap.take(layout(1, 1), none);
            assert_eq!(last as usize, block as usize + 128);
            let moved = heap.resize(grown, layout(100, 1), 200, none);
            assert!(moved as usize >= last as usize + SMALLEST);
            assert_eq!(std::slice::from_raw_parts(moved, 16), [7; 16]);
            let shrunk = heap.resize(moved, layout(200, 1), 16, none);
            assert_eq!(std::slice::from_raw_parts(shrunk, 16), [7; 16]);
        });
    }

    #[test]
    fn what_grew_is_the_heaps_and_begins_where_it_ended() {
        let mut room = Box::new(Room([0; ROOM]));
        let start = room.0.as_mut_ptr() as usize;
        let mut heap = Heap::new();
        let half = |end, bytes| (bytes <= ROOM / 2).then_some(end + ROOM / 2);
        unsafe {
            heap.begin(start, start + ROOM / 2);
            assert_eq!(heap.take(layout(ROOM / 2, 1), half) as usize, start);
            assert_eq!(heap.take(layout(ROOM / 2, 1), half) as usize, start + ROOM / 2);
            assert!(heap.take(layout(ROOM, 1), half).is_null(), "more than it can grow by");
        }
    }

    #[test]
    fn without_room_there_is_no_block_and_the_old_one_stays() {
        with_heap(|mut heap| unsafe {
            let block = heap.take(layout(ROOM / 2, 1), none);
            block.write(9);
            assert!(heap.resize(block, layout(ROOM / 2, 1), ROOM + 1, none).is_null());
            assert!(heap.take(layout(ROOM, 1), none).is_null());
            assert!(heap.take(layout(isize::MAX as usize, 1), none).is_null());
            assert_eq!(block.read(), 9);
            assert!(!heap.take(layout(ROOM / 2, 1), none).is_null());
        });
    }
}
