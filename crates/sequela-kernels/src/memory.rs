//! Zeroed memory on 64-byte lines; large pieces in huge pages where the system has them.
//!
//! In pages of 4 KiB the physical places of a few megabytes of weights are drawn by chance, and an
//! unlucky draw puts too many into the same sets of the second cache: the same inference took 26 ms
//! in one process and 29 in the next, with H = 512 340 and 415. In pages of 2 MiB it is 26 always.

use crate::buffer::LANES;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// One line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

/// A huge page of x86-64.
const HUGE: usize = 2 << 20;

/// Bytes that no memory holds.
const MOST: usize = usize::MAX >> 2;

/// Lines that one owner holds.
pub(crate) struct Lines {
    p: NonNull<Line>,
    count: usize,
}

// SAFETY: `Lines` owns its memory and hands it out by the rules of borrowing alone.
unsafe impl Send for Lines {}
// SAFETY: as above.
unsafe impl Sync for Lines {}

impl Lines {
    /// `count` lines of zeros.
    ///
    /// # Panics
    /// If no memory could hold them.
    pub(crate) fn zeroed(count: usize) -> Self {
        if count == 0 {
            return Self { p: NonNull::dangling(), count };
        }
        let layout = layout(count);
        // SAFETY: the layout has a size above zero.
        let p = unsafe { alloc(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout is aligned to lines at least")]
        let p = p.cast::<Line>();
        let Some(p) = NonNull::new(p) else { handle_alloc_error(layout) };
        ask_for_huge_pages(p, layout);
        // SAFETY: the allocation holds `count` lines, and zero bytes are f32 zeros.
        unsafe { p.write_bytes(0, count) };
        Self { p, count }
    }

    pub(crate) fn as_slice(&self) -> &[Line] {
        // SAFETY: `count` initialised lines lie at `p`, owned by `self`.
        unsafe { std::slice::from_raw_parts(self.p.as_ptr(), self.count) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Line] {
        // SAFETY: as above; the borrow of `self` is unique.
        unsafe { std::slice::from_raw_parts_mut(self.p.as_ptr(), self.count) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.count > 0 {
            // SAFETY: `zeroed` took it from the same allocator with the same layout.
            unsafe { dealloc(self.p.as_ptr().cast(), layout(self.count)) }
        }
    }
}

/// Whole huge pages for what fills at least half of one: the last page too is worth rounding up
/// to if it would be half full.
fn layout(count: usize) -> Layout {
    let bytes = count.saturating_mul(size_of::<Line>());
    assert!(bytes <= MOST, "{count} lines are more than any memory holds");
    let (size, align) = if bytes < HUGE / 2 {
        (bytes, align_of::<Line>())
    } else if bytes % HUGE >= HUGE / 2 {
        (bytes.next_multiple_of(HUGE), HUGE)
    } else {
        (bytes, HUGE)
    };
    // SAFETY: the alignment is a power of two, and the size, rounded up to it, is below
    // `MOST + HUGE`, far from an overflow.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_huge_pages(p: NonNull<Line>, layout: Layout) {
    let whole = layout.size() - layout.size() % HUGE;
    if layout.align() == HUGE && whole > 0 {
        // SAFETY: the range lies inside a fresh allocation; the advice changes no content. What
        // it answers is of no matter: without huge pages there are small ones.
        let _ = unsafe { libc::madvise(p.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn ask_for_huge_pages(_: NonNull<Line>, _: Layout) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_size_are_zero_aligned_and_writable() {
        for count in [0, 1, 3, 16_383, 16_384, 20_000, 32_768, 40_000, 50_001] {
            let mut lines = Lines::zeroed(count);
            assert_eq!(lines.as_slice().len(), count);
            assert!(lines.as_slice().iter().all(|line| line.0 == [0.0; LANES]));
            assert!(lines.as_slice().as_ptr().addr().is_multiple_of(64));
            if let Some(last) = lines.as_mut_slice().last_mut() {
                last.0[LANES - 1] = 1.0;
            }
            assert!(layout(count.max(1)).size() >= count * 64);
        }
    }

    #[test]
    fn rounding_up_adds_at_most_half_a_page_for_each_half_page_used() {
        for count in (1..200_000).step_by(997) {
            assert!(layout(count).size() - count * 64 <= HUGE / 2);
        }
    }

    #[test]
    #[should_panic(expected = "more than any memory")]
    fn a_size_that_overflows_is_refused() {
        let _ = layout(usize::MAX / 32);
    }
}
