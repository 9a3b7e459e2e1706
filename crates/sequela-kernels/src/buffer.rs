//! Memory of kernels: aligned buffers, and matrices whose rows never alias in the cache.

use crate::memory::Lines;
use std::ops::{Deref, DerefMut};

/// f32 values of one block: hidden units that are computed together on every instruction set.
pub const LANES: usize = 16;

/// Row stride of a matrix of this width: an odd number of 64-byte lines.
///
/// An even number of lines (a width of 256, say) would put every fourth row into the same cache
/// sets; an odd one spreads them over all.
///
/// # Example
/// ```
/// assert_eq!(sequela_kernels::stride(37), 48);
/// assert_eq!(sequela_kernels::stride(256), 272);
/// ```
///
/// # Panics
/// If no memory could hold such a row (an overflow).
pub const fn stride(width: usize) -> usize {
    assert!(width < usize::MAX / 2, "a row is longer than any memory");
    (width.div_ceil(LANES) | 1) * LANES
}

/// `rows * width`, the length of a buffer or slice.
///
/// Kernels trust lengths, so one that has overflowed must not pass for a short one.
///
/// # Panics
/// If the product overflows.
pub(crate) fn values(rows: usize, width: usize) -> usize {
    let product = rows.checked_mul(width);
    assert!(product.is_some(), "{rows} rows of {width} values are more than any memory holds");
    product.unwrap_or(0)
}

/// A zeroed f32 buffer on 64-byte lines; its length is a multiple of 16.
///
/// From 1 MiB on it asks for huge pages and may take up to 1 MiB more than its length.
pub struct Buffer(Lines);

impl Buffer {
    /// A buffer of at least `length` zeros, rounded up to whole lines.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn new(length: usize) -> Self {
        Self(Lines::zeroed(length.div_ceil(LANES)))
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut lines = Lines::zeroed(self.0.as_slice().len());
        lines.as_mut_slice().copy_from_slice(self.0.as_slice());
        Self(lines)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({})", self.len())
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let lines = self.0.as_slice();
        // SAFETY: `Line` is `repr(C)` over 16 f32, so n lines are 16 n initialised values.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let lines = self.0.as_mut_slice();
        // SAFETY: as in `deref`; the borrow of `self` is unique.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LANES) }
    }
}

/// A matrix of `rows` rows of `width` values, `stride(width)` apart.
///
/// Lanes between the width and the stride are padding. Kernels never read them from a left
/// operand; they must be finite where values are read and 0 in gradients that arrive (`dy`): a
/// gradient there would reach the padding of the weights. A buffer that only kernels write, or
/// [`MatrixMut::row_mut`], keeps both.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    width: usize,
}

impl<'a> Matrix<'a> {
    /// The first `rows` rows of `data`.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * stride(width)`.
    ///
    /// # Example
    /// ```
    /// use sequela_kernels::{Buffer, Matrix, MatrixMut, stride};
    /// let mut buffer = Buffer::new(2 * stride(3));
    /// MatrixMut::new(&mut buffer, 2, 3).row_mut(1).copy_from_slice(&[1.0, 2.0, 3.0]);
    /// assert_eq!(Matrix::new(&buffer, 2, 3).row(1), [1.0, 2.0, 3.0]);
    /// ```
    pub fn new(data: &'a [f32], rows: usize, width: usize) -> Self {
        Self { data: &data[..values(rows, stride(width))], rows, width }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Distance between rows.
    pub fn stride(&self) -> usize {
        stride(self.width)
    }

    /// All values with their padding.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// The values of row `r`, without padding.
    ///
    /// # Panics
    /// If there is no row `r`.
    pub fn row(&self, r: usize) -> &'a [f32] {
        &self.data[r * self.stride()..][..self.width]
    }
}

/// A matrix that can be written; see [`Matrix`].
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    width: usize,
}

impl<'a> MatrixMut<'a> {
    /// The first `rows` rows of `data`.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * stride(width)`.
    pub fn new(data: &'a mut [f32], rows: usize, width: usize) -> Self {
        Self { data: &mut data[..values(rows, stride(width))], rows, width }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Distance between rows.
    pub fn stride(&self) -> usize {
        stride(self.width)
    }

    /// All values with their padding.
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.data
    }

    /// The values of row `r`, without padding.
    ///
    /// # Panics
    /// If there is no row `r`.
    pub fn row_mut(&mut self, r: usize) -> &mut [f32] {
        let start = r * self.stride();
        &mut self.data[start..][..self.width]
    }

    /// The same matrix, borrowed for reading.
    pub fn view(&self) -> Matrix<'_> {
        Matrix { data: self.data, rows: self.rows, width: self.width }
    }

    /// The same matrix, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut { data: self.data, rows: self.rows, width: self.width }
    }
}

/// Whether a kernel replaces what stands in its output or adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Replace.
    Overwrite,
    /// Add.
    Accumulate,
}
