//! The product with AVX-512: blocks become vectors of sixteen floats in registers, and each meets up to four rows of `x`.

use std::{arch::x86_64::*, ops::Range};

use super::{
    Columns, LANES, Stored, Weight,
    formats::{Bf16, F16, F32, Format, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0},
    low_rank,
};
use crate::Precision;

/// Bytes that a weight is fetched before they are used: several rows at once are more streams than processors follow alone.
/// Twice as fast from memory, measured; less and more are slower.
const AHEAD: usize = 1 << 14;

/// Bytes of a line of the processor's caches.
const CACHE_LINE: usize = 64;

/// Whether this processor has what the kernels use.
pub(super) fn is_there() -> bool {
    crate::Simd::best() >= crate::Simd::Avx512
}

/// # Safety
/// The processor has AVX-512; `x` holds whole rows of `w.k` numbers, as many as `columns.m`; `w` holds the rows in `range`,
/// and these columns of the result belong to the caller alone meanwhile.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
pub(super) unsafe fn columns_of(x: &[f32], w: Weight<'_>, range: Range<usize>, columns: Columns) {
    let mut job = Job { x: x.as_ptr(), w, range, columns };
    // SAFETY: passed on to the caller.
    unsafe {
        match w.stored {
            Stored::Numbers { numbers, stride } => {
                let short = if stride == w.k { w.k } else { 0 };
                job.range.start = match short {
                    8 => low_rank::columns_of::<8>(job.x, numbers.as_ptr(), &job.range, columns),
                    16 => low_rank::columns_of::<16>(job.x, numbers.as_ptr(), &job.range, columns),
                    _ => job.range.start,
                };
                job.run::<F32>();
            }
            Stored::Bytes { precision, .. } => match precision {
                Precision::F32 => job.run::<F32>(),
                Precision::F16 => job.run::<F16>(),
                Precision::Bf16 => job.run::<Bf16>(),
                Precision::Q4_0 => job.run::<Q4_0>(),
                Precision::Q4_1 => job.run::<Q4_1>(),
                Precision::Q5_0 => job.run::<Q5_0>(),
                Precision::Q5_1 => job.run::<Q5_1>(),
                Precision::Q8_0 => job.run::<Q8_0>(),
                Precision::Q4K => job.run::<Q4K>(),
                Precision::Q5K => job.run::<Q5K>(),
                Precision::Q6K => job.run::<Q6K>(),
            },
        }
    }
}

/// Some columns of one product.
struct Job<'a> {
    x: *const f32,
    w: Weight<'a>,
    range: Range<usize>,
    columns: Columns,
}

impl Job<'_> {
    /// # Safety
    /// As [`columns_of`]; `F` is the format of the weight.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
    unsafe fn run<F: Format>(&self) {
        let mut row = 0;
        while row < self.columns.m {
            // SAFETY: passed on to the caller; no tile reaches beyond the last row.
            row += unsafe {
                match self.columns.m - row {
                    1 => self.tile::<F, 4, 1>(row),
                    2..4 => self.tile::<F, 4, 2>(row),
                    // Four rows at a time: with eight, rows of a common length are more than the first-level cache holds.
                    _ => self.tile::<F, 4, 4>(row),
                }
            };
        }
    }

    /// `M` rows of the result from `first` on, `G` columns at a time; returns `M`.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
    unsafe fn tile<F: Format, const G: usize, const M: usize>(&self, first: usize) -> usize {
        let last = self.range.end.saturating_sub(1);
        for column in self.range.clone().step_by(G) {
            let mut rows = [std::ptr::null(); G];
            for (g, row) in rows.iter_mut().enumerate() {
                *row = self.row((column + g).min(last));
            }
            // SAFETY: every row holds `k` numbers of the format, and so does every row of `x` from `first` on.
            let sums = unsafe { sums::<F, G, M>(rows, self.x.add(first * self.w.k), self.w.k) };
            for (g, sums) in sums.iter().enumerate().take(last + 1 - column) {
                for (r, sum) in sums.iter().enumerate() {
                    // SAFETY: the columns of this range are this caller's.
                    unsafe { self.columns.put(first + r, column + g, *sum) };
                }
            }
        }
        M
    }

    fn row(&self, row: usize) -> *const u8 {
        match self.w.stored {
            Stored::Numbers { numbers, stride } => numbers[row * stride..][..self.w.k].as_ptr().cast(),
            Stored::Bytes { bytes, width, order, .. } => Weight::bytes(bytes, width, order, row).as_ptr(),
        }
    }
}

/// The inner products of `G` rows of a weight with `M` rows of `x`, `k` numbers each.
///
/// # Safety
/// All of them hold `k` numbers, and the processor has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
unsafe fn sums<F: Format, const G: usize, const M: usize>(
    rows: [*const u8; G],
    x: *const f32,
    k: usize,
) -> [[f32; M]; G] {
    let n_blocks = k / F::LEN;
    let mut lanes = [[_mm512_setzero_ps(); M]; G];
    for block in 0..n_blocks {
        for line in 0..(G * F::BYTES).div_ceil(CACHE_LINE) {
            let ahead = rows[0].wrapping_add(AHEAD + block * G * F::BYTES + line * CACHE_LINE);
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
        }
        for (row, lanes) in rows.iter().zip(&mut lanes) {
            // SAFETY: the row has so many blocks, and each row of `x` the numbers that belong to them.
            unsafe {
                let x = x.add(block * F::LEN);
                F::each(row.add(block * F::BYTES), |j, w| {
                    for (r, lanes) in lanes.iter_mut().enumerate() {
                        *lanes = _mm512_fmadd_ps(w, _mm512_loadu_ps(x.add(r * k + j * LANES)), *lanes);
                    }
                });
            }
        }
    }
    let n_rest = k % F::LEN;
    if n_rest > 0 {
        let mask = (1 << n_rest) - 1;
        for (row, lanes) in rows.iter().zip(&mut lanes) {
            // SAFETY: so many numbers are left in the row and in each row of `x`.
            unsafe {
                let w = F::rest(row.add(n_blocks * F::BYTES), mask);
                for (r, lanes) in lanes.iter_mut().enumerate() {
                    let x = _mm512_maskz_loadu_ps(mask, x.add(r * k + n_blocks * F::LEN));
                    *lanes = _mm512_fmadd_ps(w, x, *lanes);
                }
            }
        }
    }
    let mut sums = [[0.0; M]; G];
    for (sums, lanes) in sums.iter_mut().zip(&lanes) {
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = halves(*lanes);
        }
    }
    sums
}

/// The sum of all lanes: the upper half onto the lower one until one is left.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
fn halves(lanes: __m512) -> f32 {
    let eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
