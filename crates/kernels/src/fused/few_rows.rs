//! Products of a few rows with a weight, straight from the weight as it lies: what decoding does. Each row of the weight is
//! read from memory once, widened in registers for up to four rows of `x` at a time, and never written anywhere.
//!
//! Every number of the result is the sum of sixteen lanes, each a chain of fused multiply-adds over the row in its order,
//! added in halves. Widening is exact in every format, or rounds once as the formats' definition does. So the bits depend
//! neither on the number of threads, nor on how many rows are computed together, nor on the processor's vectors, nor on
//! whether the numbers were widened before.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod formats;
#[cfg(target_arch = "x86_64")]
mod low_rank;
mod portable;

use std::ops::Range;

use rayon::prelude::*;

use super::{Simd, Tensor, tensor::Data};
use crate::{Precision, RowOrder};

/// Rows up to which a product reads the weight as it lies instead of packing it for a product of many rows: there the one
/// takes two thirds of the other's time with blocks, and nine tenths with floats (measured).
pub const FEW_ROWS: usize = 32;

/// Numbers of a weight that are worth a task.
const NUMBERS_PER_TASK: usize = 1 << 15;

/// Lanes of a sum.
const LANES: usize = 16;

/// A weight of `n` rows of `k` numbers, `k` above zero.
#[derive(Clone, Copy)]
pub struct Weight<'a> {
    n: usize,
    k: usize,
    stored: Stored<'a>,
}

#[derive(Clone, Copy)]
enum Stored<'a> {
    /// Rows that begin `stride` numbers apart.
    Numbers { numbers: &'a [f32], stride: usize },
    /// Rows of `width` bytes.
    Bytes { bytes: &'a [u8], width: usize, precision: Precision, order: RowOrder },
}

impl<'a> Weight<'a> {
    /// The weight of a tensor; none where there are fewer bytes than its shape says.
    pub fn of(w: &'a Tensor) -> Option<Self> {
        let (n, k) = w.shape();
        let stored = match (&w.data, w.as_f32()) {
            (_, Some(numbers)) if numbers.len() == n * k => Stored::Numbers { numbers, stride: k },
            (Data::Stored(matrix), None) => {
                let (bytes, precision) = (matrix.stored_bytes(), matrix.precision());
                let width = precision.row_bytes(k).filter(|width| bytes.len() == width * n)?;
                Stored::Bytes { bytes, width, precision, order: matrix.order() }
            }
            _ => return None,
        };
        (k > 0).then_some(Self { n, k, stored })
    }

    /// The first `k` numbers of each of `n` rows that begin `stride` numbers apart; none where there are fewer numbers.
    pub fn strided(numbers: &'a [f32], n: usize, k: usize, stride: usize) -> Option<Self> {
        let extent = n.checked_sub(1).map_or(0, |last| last * stride + k);
        (k > 0 && k <= stride && extent <= numbers.len()).then_some(Self {
            n,
            k,
            stored: Stored::Numbers { numbers, stride },
        })
    }

    /// The bytes of row `row` in their stored precision.
    fn bytes(bytes: &'a [u8], width: usize, order: RowOrder, row: usize) -> &'a [u8] {
        let at = order.stored(row) * width;
        &bytes[at..at + width]
    }
}

/// The result `y` (m, n), of which several tasks write columns of their own.
#[derive(Clone, Copy)]
struct Columns {
    y: *mut f32,
    m: usize,
    n: usize,
    alpha: f32,
    accumulate: bool,
}
// SAFETY: every task writes columns of its own only.
unsafe impl Send for Columns {}
// SAFETY: as above.
unsafe impl Sync for Columns {}

impl Columns {
    /// All columns of `y`; a product has a result and an `x` of its sizes.
    fn new(y: &mut [f32], alpha: f32, accumulate: bool, x: &[f32], w: Weight<'_>) -> Self {
        let m = x.len() / w.k;
        assert!(x.len() == m * w.k && y.len() == m * w.n, "operands of other sizes");
        Self { y: y.as_mut_ptr(), m, n: w.n, alpha, accumulate }
    }

    /// # Safety
    /// `column` belongs to the caller alone meanwhile.
    #[inline(always)]
    unsafe fn put(&self, row: usize, column: usize, value: f32) {
        debug_assert!(row < self.m && column < self.n);
        // SAFETY: rows and columns are below the sizes of `y`, which both kernels take from here.
        unsafe {
            let y = self.y.add(row * self.n + column);
            *y = if self.accumulate { *y } else { 0.0 } + self.alpha * value;
        }
    }
}

/// `y (m, n) = alpha x (m, k) wᵀ`, by the thread that asks.
pub fn few_rows_here(simd: Simd, y: &mut [f32], alpha: f32, x: &[f32], w: Weight<'_>) {
    columns_of(simd, x, w, 0..w.n, Columns::new(y, alpha, false, x, w));
}

/// `y (m, n) = [y +] alpha x (m, k) wᵀ`.
pub fn few_rows(simd: Simd, y: &mut [f32], alpha: f32, accumulate: bool, x: &[f32], w: Weight<'_>) {
    in_tasks(simd, x, &[(w, Columns::new(y, alpha, accumulate, x, w))]);
}

/// `y (m, n) = x (m, k) wᵀ` for each result with its weight, all of one `k`.
pub fn few_rows_each<'a>(simd: Simd, x: &[f32], parts: impl Iterator<Item = (&'a mut [f32], Weight<'a>)>) {
    in_tasks(simd, x, &parts.map(|(y, w)| (w, Columns::new(y, 1.0, false, x, w))).collect::<Vec<_>>());
}

/// All columns of several results, whose tasks follow each other: the work of several small products is shared like that of
/// a large one.
fn in_tasks(simd: Simd, x: &[f32], parts: &[(Weight<'_>, Columns)]) {
    let rows_per_task = |w: Weight<'_>| NUMBERS_PER_TASK.div_ceil(w.k).next_multiple_of(8);
    let tasks_of = |w: Weight<'_>| w.n.div_ceil(rows_per_task(w));
    let n_numbers: usize = parts.iter().map(|(w, _)| w.n * w.k).sum();
    if n_numbers <= NUMBERS_PER_TASK {
        return parts.iter().for_each(|(w, columns)| columns_of(simd, x, *w, 0..w.n, *columns));
    }
    (0..parts.iter().map(|(w, _)| tasks_of(*w)).sum()).into_par_iter().for_each(|mut task| {
        for (w, columns) in parts {
            if task < tasks_of(*w) {
                let from = task * rows_per_task(*w);
                return columns_of(simd, x, *w, from..(from + rows_per_task(*w)).min(w.n), *columns);
            }
            task -= tasks_of(*w);
        }
    });
}

/// The columns `range` of the result.
fn columns_of(simd: Simd, x: &[f32], w: Weight<'_>, range: Range<usize>, columns: Columns) {
    #[cfg(target_arch = "x86_64")]
    if simd >= Simd::Avx512 && avx512::is_there() {
        // SAFETY: the processor has the instructions; the sizes were compared in `few_rows` and in `Weight::of`, and the
        // columns in `range` belong to this task.
        return unsafe { avx512::columns_of(x, w, range, columns) };
    }
    // SAFETY: the columns in `range` belong to this task.
    unsafe { portable::columns_of(x, w, range, columns) }
}

#[cfg(test)]
mod tests;
