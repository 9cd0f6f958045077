//! Matrix products over the `gemm` crate. Rows of a product never depend on how many threads share the work: only rows
//! and columns of the result are split, never the sum over the inner dimension.
#![allow(unsafe_code)]

use gemm::{Parallelism, gemm};

/// A matrix in memory: first number, step to the next row, step to the next column.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    data: &'a [f32],
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Operand<'a> {
    /// Rows of `stride` numbers.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_stride: stride, col_stride: 1 }
    }

    /// The transpose of rows of `stride` numbers.
    pub fn transposed(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_stride: 1, col_stride: stride }
    }

    /// The last index that an `m` x `n` matrix of this layout reads, plus one.
    fn extent(&self, m: usize, n: usize) -> usize {
        if m == 0 || n == 0 { 0 } else { (m - 1) * self.row_stride + (n - 1) * self.col_stride + 1 }
    }
}

/// Sizes and factors of `c = beta c + alpha a b`, with `c` of `m` x `n` and `k` the inner dimension.
#[derive(Clone, Copy)]
pub struct Product {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Inner dimension.
    pub k: usize,
    /// Factor of the product.
    pub alpha: f32,
    /// Adds to what is there instead of replacing it.
    pub accumulate: bool,
    /// Threads that may share the work.
    pub threads: usize,
}

/// `c = [c +] alpha a b`, where `c` has rows of `stride` numbers.
pub fn product(p: Product, c: &mut [f32], stride: usize, a: Operand<'_>, b: Operand<'_>) {
    assert!(a.extent(p.m, p.k) <= a.data.len() && b.extent(p.k, p.n) <= b.data.len(), "operand too short");
    assert!(p.m == 0 || p.n == 0 || (p.m - 1) * stride + p.n <= c.len(), "result too short");
    // SAFETY: the extents of all three matrices were compared with their slices just above.
    unsafe { product_at(p, c.as_mut_ptr(), stride, a, b) }
}

/// [`product`] into memory of which other threads write other columns.
///
/// # Safety
/// `c` must be valid for writes of `m` rows of `n` numbers, `stride` apart, which nobody else touches meanwhile, and the
/// operands must cover their extents.
pub unsafe fn product_at(p: Product, c: *mut f32, stride: usize, a: Operand<'_>, b: Operand<'_>) {
    if p.m == 0 || p.n == 0 {
        return;
    }
    let parallelism =
        if p.threads > 1 && p.m * p.n * p.k > 64 * 64 * 64 { Parallelism::Rayon(p.threads) } else { Parallelism::None };
    // SAFETY: passed on to the caller; strides are those of the operands.
    unsafe {
        gemm(
            p.m,
            p.n,
            p.k,
            c,
            1,
            stride as isize,
            p.accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            p.alpha,
            false,
            false,
            false,
            parallelism,
        );
    }
}
