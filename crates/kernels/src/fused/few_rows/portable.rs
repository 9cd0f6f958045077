//! The product for any processor: a row is widened into a scratch that the first-level cache holds.

use std::ops::Range;

use multiversion::multiversion;

use super::{Columns, LANES, Stored, Weight};

/// Rows of `x` that share a reading of a row of the weight.
const TILE: usize = 4;

/// # Safety
/// The columns in `range` belong to the caller alone meanwhile.
pub(super) unsafe fn columns_of(x: &[f32], w: Weight<'_>, range: Range<usize>, columns: Columns) {
    let mut scratch = Vec::new();
    let mut sums = vec![0.0; columns.m];
    for column in range {
        let row = match w.stored {
            Stored::Numbers { numbers, stride } => &numbers[column * stride..][..w.k],
            Stored::Bytes { bytes, width, precision, order } => {
                scratch.resize(w.k, 0.0);
                crate::fused::widen(precision, Weight::bytes(bytes, width, order, column), &mut scratch);
                scratch.as_slice()
            }
        };
        inner_products(x, row, &mut sums);
        for (r, sum) in sums.iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe { columns.put(r, column, *sum) };
        }
    }
}

/// The inner product of each row of `x` with `row`.
#[multiversion(targets("x86_64+avx2+fma"))]
fn inner_products(x: &[f32], row: &[f32], sums: &mut [f32]) {
    let k = row.len();
    let (tiles, rest) = sums.as_chunks_mut::<TILE>();
    for (sums, x) in tiles.iter_mut().zip(x.chunks_exact(TILE * k)) {
        *sums = tile(std::array::from_fn(|r| &x[r * k..(r + 1) * k]), row);
    }
    let x = &x[tiles.len() * TILE * k..];
    for (sum, x) in rest.iter_mut().zip(x.chunks_exact(k)) {
        [*sum] = tile([x], row);
    }
}

#[inline(always)]
fn tile<const M: usize>(x: [&[f32]; M], row: &[f32]) -> [f32; M] {
    let (whole, rest) = row.as_chunks::<LANES>();
    let x = x.map(|x| x.as_chunks::<LANES>());
    let mut lanes = [[0f32; LANES]; M];
    for (j, w) in whole.iter().enumerate() {
        for r in 0..M {
            for i in 0..LANES {
                lanes[r][i] = w[i].mul_add(x[r].0[j][i], lanes[r][i]);
            }
        }
    }
    for r in 0..M {
        for (i, w) in rest.iter().enumerate() {
            lanes[r][i] = w.mul_add(x[r].1[i], lanes[r][i]);
        }
    }
    lanes.map(halves)
}

/// The sum of all lanes: the upper half onto the lower one until one is left.
#[inline(always)]
fn halves(mut lanes: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}
