//! The product with AVX-512: blocks become vectors of sixteen floats in registers, and each meets up to eight rows of `x`.

use std::{arch::x86_64::*, ops::Range};

use super::{Columns, LANES, Stored, Weight};
use crate::Precision;

/// Bytes that a weight is fetched before they are used: several rows at once are more streams than processors follow alone.
/// Twice as fast from memory, measured; less and more are slower.
const AHEAD: usize = 1 << 14;

/// Bytes of a line of the processor's caches.
const CACHE_LINE: usize = 64;

/// Whether this processor has what the kernels use.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// How sixteen numbers at a time are read from a format. Its functions are inlined into kernels with AVX-512.
trait Format {
    /// Numbers of a block.
    const LEN: usize;
    /// Bytes of a block.
    const BYTES: usize;

    /// Hands out the vectors of a block in their order.
    ///
    /// # Safety
    /// `block` points to [`Format::BYTES`] bytes, and the processor has AVX-512.
    unsafe fn each(block: *const u8, f: impl FnMut(usize, __m512));

    /// The first `mask` numbers behind the last whole block, zeros after them; of formats with blocks of [`LANES`].
    ///
    /// # Safety
    /// `rest` points to as many numbers as the mask has bits, and the processor has AVX-512.
    #[inline(always)]
    unsafe fn rest(_rest: *const u8, _mask: __mmask16) -> __m512 {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_setzero_ps() }
    }
}

/// # Safety
/// The processor has AVX-512; `x` holds whole rows of `w.k` numbers, as many as `columns.m`; `w` holds the rows in `range`,
/// and these columns of the result belong to the caller alone meanwhile.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
pub(super) unsafe fn columns_of(x: &[f32], w: Weight<'_>, range: Range<usize>, columns: Columns) {
    let job = Job { x: x.as_ptr(), w, range, columns };
    // SAFETY: passed on to the caller.
    unsafe {
        match w.stored {
            Stored::Numbers { .. } => job.run::<F32>(),
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
                    4..8 => self.tile::<F, 2, 4>(row),
                    _ => self.tile::<F, 1, 8>(row),
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

/// Sixteen 16-bit floats.
///
/// # Safety
/// As [`Format::each`], for 32 bytes.
#[inline(always)]
unsafe fn wide(halves: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(halves.cast())) }
}

/// A scale in 16 bits, in every lane.
///
/// # Safety
/// As [`Format::each`], for 2 bytes.
#[inline(always)]
unsafe fn scale(half: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_cvtph_ps(_mm256_set1_epi16(half.cast::<i16>().read_unaligned())) }
}

/// Sixteen bytes, each in a lane.
///
/// # Safety
/// As [`Format::each`], for 16 bytes.
#[inline(always)]
unsafe fn bytes(at: *const u8) -> __m512i {
    // SAFETY: promised by the caller.
    unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast())) }
}

/// `0, 1, .. 15`.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn counted() -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_setr_ps(0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.) }
}

/// The upper four bits of each lane's byte, as its lowest.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn upper(q: __m512i) -> __m512i {
    // SAFETY: promised by the caller.
    unsafe { _mm512_srli_epi32::<4>(q) }
}

struct F32;
impl Format for F32 {
    const LEN: usize = LANES;
    const BYTES: usize = 64;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        f(0, unsafe { _mm512_loadu_ps(block.cast()) });
    }

    #[inline(always)]
    unsafe fn rest(rest: *const u8, mask: __mmask16) -> __m512 {
        // SAFETY: promised by the caller; what is masked is not read.
        unsafe { _mm512_maskz_loadu_ps(mask, rest.cast()) }
    }
}

struct F16;
impl Format for F16 {
    const LEN: usize = LANES;
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        f(0, unsafe { wide(block) });
    }

    #[inline(always)]
    unsafe fn rest(rest: *const u8, mask: __mmask16) -> __m512 {
        // SAFETY: promised by the caller; what is masked is not read.
        unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, rest.cast())) }
    }
}

struct Bf16;
impl Format for Bf16 {
    const LEN: usize = LANES;
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        f(0, unsafe { upper_half(_mm256_loadu_si256(block.cast())) });
    }

    #[inline(always)]
    unsafe fn rest(rest: *const u8, mask: __mmask16) -> __m512 {
        // SAFETY: promised by the caller; what is masked is not read.
        unsafe { upper_half(_mm256_maskz_loadu_epi16(mask, rest.cast())) }
    }
}

/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn upper_half(halves: __m256i) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))) }
}

struct Q4_0;
impl Format for Q4_0 {
    const LEN: usize = 32;
    const BYTES: usize = 18;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let table = _mm512_mul_ps(_mm512_sub_ps(counted(), _mm512_set1_ps(8.0)), scale(block));
            let q = bytes(block.add(2));
            f(0, _mm512_permutexvar_ps(q, table));
            f(1, _mm512_permutexvar_ps(upper(q), table));
        }
    }
}

struct Q4_1;
impl Format for Q4_1 {
    const LEN: usize = 32;
    const BYTES: usize = 20;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let table = _mm512_fmadd_ps(counted(), scale(block), scale(block.add(2)));
            let q = bytes(block.add(4));
            f(0, _mm512_permutexvar_ps(q, table));
            f(1, _mm512_permutexvar_ps(upper(q), table));
        }
    }
}

struct Q5_0;
impl Format for Q5_0 {
    const LEN: usize = 32;
    const BYTES: usize = 22;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let d = scale(block);
            let tables = [16.0, 0.0].map(|less| _mm512_mul_ps(_mm512_sub_ps(counted(), _mm512_set1_ps(less)), d));
            let (fifth, q) = (block.add(2).cast::<u32>().read_unaligned(), bytes(block.add(6)));
            f(0, of_two_tables(q, fifth as u16, tables));
            f(1, of_two_tables(upper(q), (fifth >> 16) as u16, tables));
        }
    }
}

struct Q5_1;
impl Format for Q5_1 {
    const LEN: usize = 32;
    const BYTES: usize = 24;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let (d, m) = (scale(block), scale(block.add(2)));
            let tables = [0.0, 16.0].map(|more| _mm512_fmadd_ps(_mm512_add_ps(counted(), _mm512_set1_ps(more)), d, m));
            let (fifth, q) = (block.add(4).cast::<u32>().read_unaligned(), bytes(block.add(8)));
            f(0, of_two_tables(q, fifth as u16, tables));
            f(1, of_two_tables(upper(q), (fifth >> 16) as u16, tables));
        }
    }
}

/// The numbers at the lowest four bits of each lane, of the second table where `second` says so.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn of_two_tables(q: __m512i, second: __mmask16, tables: [__m512; 2]) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_mask_permutexvar_ps(_mm512_permutexvar_ps(q, tables[0]), second, q, tables[1]) }
}

struct Q8_0;
impl Format for Q8_0 {
    const LEN: usize = 32;
    const BYTES: usize = 34;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let d = scale(block);
            for j in 0..2 {
                let q = _mm512_cvtepi8_epi32(_mm_loadu_si128(block.add(2 + j * LANES).cast()));
                f(j, _mm512_mul_ps(_mm512_cvtepi32_ps(q), d));
            }
        }
    }
}

/// The scales and minima of the eight groups of a block, in lanes 0 to 7 and 8 to 15, times their factors: from twelve bytes
/// that hold sixteen numbers of 6 bits.
///
/// # Safety
/// As [`Format::each`], for the first 16 bytes of a block.
#[inline(always)]
unsafe fn scales_and_minima(block: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe {
        let word = |i: usize| block.add(4 + 4 * i).cast::<u32>().read_unaligned();
        let (a, b, c) = (word(0), word(1), word(2));
        let (low, pair) = (0x3f3f_3f3f, 0x0303_0303);
        let upper = |six: u32| (six >> 6 & pair) << 4;
        let (s0, s1) = (a & low, c & 0x0f0f_0f0f | upper(a));
        let (m0, m1) = (b & low, c >> 4 & 0x0f0f_0f0f | upper(b));
        let packed = _mm_setr_epi32(s0 as i32, s1 as i32, m0 as i32, m1 as i32);
        let factors = _mm512_mask_blend_ps(0xff00, scale(block), scale(block.add(2)));
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(packed)), factors)
    }
}

/// Lane `i` in every lane.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn lane(of: __m512, i: usize) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe { _mm512_permutexvar_ps(_mm512_set1_epi32(i as i32), of) }
}

struct Q4K;
impl Format for Q4K {
    const LEN: usize = 256;
    const BYTES: usize = 144;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let (factors, counted) = (scales_and_minima(block), counted());
            for n in 0..4 {
                let [low, high] =
                    [2 * n, 2 * n + 1].map(|g| _mm512_fmsub_ps(counted, lane(factors, g), lane(factors, 8 + g)));
                let q = [0, 1].map(|i| bytes(block.add(16 + 32 * n + 16 * i)));
                f(4 * n, _mm512_permutexvar_ps(q[0], low));
                f(4 * n + 1, _mm512_permutexvar_ps(q[1], low));
                f(4 * n + 2, _mm512_permutexvar_ps(upper(q[0]), high));
                f(4 * n + 3, _mm512_permutexvar_ps(upper(q[1]), high));
            }
        }
    }
}

struct Q5K;
impl Format for Q5K {
    const LEN: usize = 256;
    const BYTES: usize = 176;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let (factors, counted) = (scales_and_minima(block), counted());
            let more = _mm512_add_ps(counted, _mm512_set1_ps(16.0));
            let fifth = [0, 1].map(|i| _mm_loadu_si128(block.add(16 + 16 * i).cast()));
            for n in 0..4 {
                let [low, high] = [2 * n, 2 * n + 1].map(|g| {
                    let (d, m) = (lane(factors, g), lane(factors, 8 + g));
                    [counted, more].map(|q| _mm512_fmsub_ps(q, d, m))
                });
                let q = [0, 1].map(|i| bytes(block.add(48 + 32 * n + 16 * i)));
                let is_set = |i: usize, bit: usize| _mm_test_epi8_mask(fifth[i], _mm_set1_epi8((1u8 << bit) as i8));
                f(4 * n, of_two_tables(q[0], is_set(0, 2 * n), low));
                f(4 * n + 1, of_two_tables(q[1], is_set(1, 2 * n), low));
                f(4 * n + 2, of_two_tables(upper(q[0]), is_set(0, 2 * n + 1), high));
                f(4 * n + 3, of_two_tables(upper(q[1]), is_set(1, 2 * n + 1), high));
            }
        }
    }
}

struct Q6K;
impl Format for Q6K {
    const LEN: usize = 256;
    const BYTES: usize = 210;

    #[inline(always)]
    unsafe fn each(block: *const u8, mut f: impl FnMut(usize, __m512)) {
        // SAFETY: promised by the caller.
        unsafe {
            let scales = _mm512_cvtepi8_epi32(_mm_loadu_si128(block.add(192).cast()));
            let scales = _mm512_mul_ps(_mm512_cvtepi32_ps(scales), scale(block.add(208)));
            let (four, two) = (_mm512_set1_epi32(15), _mm512_set1_epi32(0x30));
            let number = |low: __m512i, high: __m512i, j: usize| {
                let q = _mm512_or_si512(_mm512_and_si512(low, four), _mm512_and_si512(high, two));
                let q = _mm512_sub_epi32(q, _mm512_set1_epi32(32));
                _mm512_mul_ps(lane(scales, j), _mm512_cvtepi32_ps(q))
            };
            for half in 0..2 {
                let low: [__m512i; 4] = std::array::from_fn(|i| bytes(block.add(64 * half + 16 * i)));
                let high: [__m512i; 2] = std::array::from_fn(|i| bytes(block.add(128 + 32 * half + 16 * i)));
                for i in 0..2 {
                    f(8 * half + i, number(low[i], _mm512_slli_epi32::<4>(high[i]), 8 * half + i));
                }
                for i in 0..2 {
                    f(8 * half + 2 + i, number(low[2 + i], _mm512_slli_epi32::<2>(high[i]), 8 * half + 2 + i));
                }
                for i in 0..2 {
                    f(8 * half + 4 + i, number(upper(low[i]), high[i], 8 * half + 4 + i));
                }
                for i in 0..2 {
                    f(8 * half + 6 + i, number(upper(low[2 + i]), _mm512_srli_epi32::<2>(high[i]), 8 * half + 6 + i));
                }
            }
        }
    }
}
