//! Products of few rows with a weight, as in decoding: the weight is read once, row by row, and never packed.

use rayon::prelude::*;

use super::{
    math::dot,
    product::Product,
    tensor::{Data, Tensor},
};

/// Rows up to which a product with a weight reads the weight once, row by row, instead of packing it: decoding.
pub const FEW_ROWS: usize = 4;

/// Columns of the result that one task computes.
const COLUMNS_PER_TASK: usize = 64;

/// `y (m, n) = [y +] alpha x (m, k) wᵀ` for few rows; `weight_row` hands out a row of the weight as 32-bit floats.
pub fn few_rows<'w, W>(p: Product, y: &mut [f32], x: &[f32], weight_row: W)
where
    W: Fn(usize, &mut Vec<f32>) -> Option<&'w [f32]> + Sync,
{
    if p.m == 0 {
        return;
    }
    let columns: Vec<Vec<f32>> = (0..p.n.div_ceil(COLUMNS_PER_TASK))
        .into_par_iter()
        .map(|task| {
            let from = task * COLUMNS_PER_TASK;
            let to = (from + COLUMNS_PER_TASK).min(p.n);
            let mut scratch = Vec::new();
            let mut out = Vec::with_capacity((to - from) * p.m);
            for column in from..to {
                let found = weight_row(column, &mut scratch);
                let row = found.unwrap_or(&scratch);
                products_with_row(x, row, p.k, &mut out);
            }
            out
        })
        .collect();
    for (task, out) in columns.iter().enumerate() {
        for (i, values) in out.chunks_exact(p.m).enumerate() {
            for (r, value) in values.iter().enumerate() {
                let y = &mut y[r * p.n + task * COLUMNS_PER_TASK + i];
                *y = if p.accumulate { *y } else { 0.0 } + p.alpha * value;
            }
        }
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn products_with_row(x: &[f32], row: &[f32], k: usize, out: &mut Vec<f32>) {
    out.extend(x.chunks_exact(k).map(|x| dot(x, row)));
}

/// The row of a weight: in place, or widened into `scratch` (then `None`).
pub(super) fn weight_row<'w>(w: &'w Tensor, row: usize, scratch: &mut Vec<f32>) -> Option<&'w [f32]> {
    if let Some(numbers) = w.as_f32() {
        return numbers.get(row * w.cols..(row + 1) * w.cols);
    }
    if let Data::Stored(matrix) = &w.data {
        scratch.resize(w.cols, 0.0);
        matrix.widen_rows(row, scratch);
    }
    None
}
