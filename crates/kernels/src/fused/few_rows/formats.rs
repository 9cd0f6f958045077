//! The formats of weights as vectors of sixteen floats, with AVX-512. A few bits per number are places in a table of a register:
//! the table holds what each place stands for, with the scale and the minimum of its group.

use std::arch::x86_64::*;

use super::LANES;

/// How sixteen numbers at a time are read from a format. Its functions are inlined into kernels with AVX-512.
pub(super) trait Format {
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

/// As [`crate::Precision`] says.
pub(super) struct F32;
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

/// As [`crate::Precision`] says.
pub(super) struct F16;
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

/// As [`crate::Precision`] says.
pub(super) struct Bf16;
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

/// As [`crate::Precision`] says.
pub(super) struct Q4_0;
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

/// As [`crate::Precision`] says.
pub(super) struct Q4_1;
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

/// As [`crate::Precision`] says.
pub(super) struct Q5_0;
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

/// As [`crate::Precision`] says.
pub(super) struct Q5_1;
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

/// As [`crate::Precision`] says.
pub(super) struct Q8_0;
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

/// As [`crate::Precision`] says.
pub(super) struct Q4K;
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

/// As [`crate::Precision`] says.
pub(super) struct Q5K;
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

/// As [`crate::Precision`] says.
pub(super) struct Q6K;
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
