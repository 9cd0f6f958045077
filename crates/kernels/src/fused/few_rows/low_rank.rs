//! Rows of eight or sixteen numbers, as the second matrix of a low-rank adapter has them: sixteen columns of the result are
//! summed together, in the order in which the lanes of a longer row are added.

use std::{arch::x86_64::*, ops::Range};

use super::{Columns, LANES};

/// The columns of `range` that are whole vectors; returns the first that is left over. `w` holds rows of `K` numbers.
///
/// # Safety
/// The processor has AVX-512; `x` holds `columns.m` rows of `K` numbers and `w` those in `range`, whose columns of the result
/// belong to the caller alone meanwhile. `K` is 8 or 16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
pub(super) unsafe fn columns_of<const K: usize>(
    x: *const f32,
    w: *const f32,
    range: &Range<usize>,
    columns: Columns,
) -> usize {
    let end = range.start + range.len() / LANES * LANES;
    for column in (range.start..end).step_by(LANES) {
        for row in 0..columns.m {
            // SAFETY: sixteen rows of `w` begin at `column`, and sixteen numbers of this row of the result.
            unsafe {
                let sums = sixteen::<K>(x.add(row * K), w.add(column * K));
                columns.put_sixteen(row, column, sums);
            }
        }
    }
    end
}

/// The inner products of `x` with sixteen rows.
///
/// # Safety
/// As [`columns_of`].
#[inline(always)]
unsafe fn sixteen<const K: usize>(x: *const f32, w: *const f32) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe {
        let zero = _mm512_setzero_ps();
        let mut two_each = [zero; 8];
        if K == 8 {
            let x = _mm512_broadcast_f32x8(_mm256_loadu_ps(x));
            for (i, two) in two_each.iter_mut().enumerate() {
                *two = _mm512_fmadd_ps(_mm512_loadu_ps(w.add(i * LANES)), x, zero);
            }
        } else {
            let x = _mm512_loadu_ps(x);
            for (i, two) in two_each.iter_mut().enumerate() {
                let [a, b] =
                    [2 * i, 2 * i + 1].map(|row| _mm512_fmadd_ps(_mm512_loadu_ps(w.add(row * LANES)), x, zero));
                *two = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
            }
        }
        let mut four_each = [zero; 4];
        for (four, [a, b]) in four_each.iter_mut().zip(two_each.as_chunks::<2>().0) {
            *four = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(*a, *b), _mm512_shuffle_f32x4::<0xdd>(*a, *b));
        }
        let mut eight_each = [zero; 2];
        for (eight, [a, b]) in eight_each.iter_mut().zip(four_each.as_chunks::<2>().0) {
            *eight = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(*a, *b), _mm512_shuffle_ps::<0xee>(*a, *b));
        }
        let [a, b] = eight_each;
        let sums = _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xdd>(a, b));
        let places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_ps(places, sums)
    }
}

impl Columns {
    /// # Safety
    /// The processor has AVX-512, and sixteen numbers of row `row` from `column` on belong to the caller alone meanwhile.
    #[inline(always)]
    unsafe fn put_sixteen(&self, row: usize, column: usize, values: __m512) {
        debug_assert!(row < self.m && column + LANES <= self.n);
        // SAFETY: promised by the caller.
        unsafe {
            let y = self.y.add(row * self.n + column);
            let before = if self.accumulate { _mm512_loadu_ps(y) } else { _mm512_setzero_ps() };
            _mm512_storeu_ps(y, _mm512_add_ps(before, _mm512_mul_ps(_mm512_set1_ps(self.alpha), values)));
        }
    }
}
