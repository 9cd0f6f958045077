//! Blocks of a few bits per number as 32-bit floats, with the arithmetic of the formats' reference implementation (ggml)
//! in its order, so that every reader gets the same bits.

use half::f16;
use multiversion::multiversion;

use crate::Precision;

/// Whole blocks of `bytes` into `out`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma+f16c", "x86_64+avx2+fma+f16c"))]
pub fn widen_blocks(precision: Precision, bytes: &[u8], out: &mut [f32]) {
    match precision {
        Precision::Q4_0 => each(bytes, out, q4_0),
        Precision::Q4_1 => each(bytes, out, q4_1),
        Precision::Q5_0 => each(bytes, out, q5_0),
        Precision::Q5_1 => each(bytes, out, q5_1),
        Precision::Q8_0 => each(bytes, out, q8_0),
        Precision::Q4K => each(bytes, out, q4_k),
        Precision::Q5K => each(bytes, out, q5_k),
        Precision::Q6K => each(bytes, out, q6_k),
        Precision::F32 | Precision::F16 | Precision::Bf16 => {}
    }
}

#[inline(always)]
fn each<const N: usize, const M: usize>(bytes: &[u8], out: &mut [f32], f: impl Fn(&[u8; N], &mut [f32; M])) {
    for (block, out) in bytes.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<M>().0) {
        f(block, out);
    }
}

#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

#[inline(always)]
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    let (low, high) = out.split_at_mut(16);
    for ((q, low), high) in block[2..].iter().zip(low).zip(high) {
        *low = (i32::from(q & 15) - 8) as f32 * d;
        *high = (i32::from(q >> 4) - 8) as f32 * d;
    }
}

#[inline(always)]
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    let (low, high) = out.split_at_mut(16);
    for ((q, low), high) in block[4..].iter().zip(low).zip(high) {
        *low = f32::from(q & 15) * d + m;
        *high = f32::from(q >> 4) * d + m;
    }
}

/// The fifth bits of 32 numbers, in place of weight 16.
#[inline(always)]
fn fifth_bits(block: &[u8], at: usize) -> [u8; 32] {
    let bits = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    std::array::from_fn(|i| ((bits >> i & 1) << 4) as u8)
}

#[inline(always)]
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let (d, fifth) = (half_at(block, 0), fifth_bits(block, 2));
    for i in 0..16 {
        let q = block[6 + i];
        out[i] = (i32::from(q & 15 | fifth[i]) - 16) as f32 * d;
        out[i + 16] = (i32::from(q >> 4 | fifth[i + 16]) - 16) as f32 * d;
    }
}

#[inline(always)]
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m, fifth) = (half_at(block, 0), half_at(block, 2), fifth_bits(block, 4));
    for i in 0..16 {
        let q = block[8 + i];
        out[i] = f32::from(q & 15 | fifth[i]) * d + m;
        out[i + 16] = f32::from(q >> 4 | fifth[i + 16]) * d + m;
    }
}

#[inline(always)]
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for (q, out) in block[2..].iter().zip(out) {
        *out = f32::from(*q as i8) * d;
    }
}

/// Scale and minimum of group `j` among eight, from twelve bytes that hold sixteen numbers of 6 bits.
#[inline(always)]
fn scale_and_minimum(j: usize, packed: &[u8]) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

#[inline(always)]
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, e) = (half_at(block, 0), half_at(block, 2));
    let (scales, bits) = (&block[4..16], &block[16..]);
    for (n, (out, bits)) in out.as_chunks_mut::<64>().0.iter_mut().zip(bits.as_chunks::<32>().0).enumerate() {
        let ((s1, m1), (s2, m2)) = (scale_and_minimum(2 * n, scales), scale_and_minimum(2 * n + 1, scales));
        let ((d1, m1), (d2, m2)) = ((d * s1, e * m1), (d * s2, e * m2));
        let (low, high) = out.split_at_mut(32);
        for ((q, low), high) in bits.iter().zip(low).zip(high) {
            *low = d1 * f32::from(q & 15) - m1;
            *high = d2 * f32::from(q >> 4) - m2;
        }
    }
}

#[inline(always)]
fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (d, e) = (half_at(block, 0), half_at(block, 2));
    let (scales, fifth, bits) = (&block[4..16], &block[16..48], &block[48..]);
    for (n, (out, bits)) in out.as_chunks_mut::<64>().0.iter_mut().zip(bits.as_chunks::<32>().0).enumerate() {
        let ((s1, m1), (s2, m2)) = (scale_and_minimum(2 * n, scales), scale_and_minimum(2 * n + 1, scales));
        let ((d1, m1), (d2, m2)) = ((d * s1, e * m1), (d * s2, e * m2));
        let (low, high) = out.split_at_mut(32);
        for (((q, fifth), low), high) in bits.iter().zip(fifth).zip(low).zip(high) {
            *low = d1 * f32::from(q & 15 | (fifth >> (2 * n) & 1) << 4) - m1;
            *high = d2 * f32::from(q >> 4 | (fifth >> (2 * n + 1) & 1) << 4) - m2;
        }
    }
}

#[inline(always)]
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let (lows, highs, scales, d) = (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    let halves = lows.as_chunks::<64>().0.iter().zip(highs.as_chunks::<32>().0).zip(scales.as_chunks::<8>().0);
    for (out, ((low, high), scales)) in out.as_chunks_mut::<128>().0.iter_mut().zip(halves) {
        let scale = |i: usize| d * f32::from(scales[i] as i8);
        for i in 0..32 {
            let (s, h) = (i / 16, high[i]);
            let number = |low: u8, high: u8| (i32::from(low | high << 4) - 32) as f32;
            out[i] = scale(s) * number(low[i] & 15, h & 3);
            out[i + 32] = scale(s + 2) * number(low[i + 32] & 15, h >> 2 & 3);
            out[i + 64] = scale(s + 4) * number(low[i] >> 4, h >> 4 & 3);
            out[i + 96] = scale(s + 6) * number(low[i + 32] >> 4, h >> 6);
        }
    }
}
