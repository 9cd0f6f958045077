//! Softmax attention where every sequence has one query: decoding. Keys are the rows of a product with few rows, values are
//! summed as they lie, and nothing is packed. A short cache is not worth a second thread.
#![allow(unsafe_code)]

use std::ops::Range;

use multiversion::multiversion;
use rayon::prelude::*;

use super::{
    Simd,
    attention::Inputs,
    few_rows::{Weight, few_rows_here},
    rows,
};
use crate::{AttentionShape, Spans};

/// Numbers of keys and values that are worth a task.
const NUMBERS_PER_TASK: usize = 1 << 15;

/// Channels that are summed in registers.
const CHANNELS: usize = 16;

/// Whether every sequence has one query.
pub fn fits(spans: &Spans) -> bool {
    !spans.queries.is_empty() && spans.queries.iter().all(|queries| queries.len() == 1)
}

/// The query heads that share a key/value head of one sequence, with what they write.
struct Task<'a> {
    /// Query (`group` D).
    q: &'a [f32],
    keys: Range<usize>,
    kv_head: usize,
    out: &'a mut [f32],
    lse: &'a mut [f32],
}

/// Writes the output (N, H D) and the logarithms of the denominators (N, H) of the rows that are queries.
pub fn forward(simd: Simd, shape: AttentionShape, spans: &Spans, x: Inputs<'_>, out: &mut [f32], lse: &mut [f32]) {
    let group = shape.heads / shape.kv_heads;
    let (width, mut tasks) = (group * shape.head_dim, Vec::with_capacity(spans.queries.len() * shape.kv_heads));
    let parts = x.q.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(lse.chunks_exact_mut(group));
    let mut sequences = spans.queries.iter().zip(&spans.keys).peekable();
    for (i, ((q, out), lse)) in parts.enumerate() {
        let (row, kv_head) = (i / shape.kv_heads, i % shape.kv_heads);
        let Some((_, keys)) = sequences.peek().filter(|(queries, _)| queries.contains(&row)) else { continue };
        let seen = shape.visible(0, 1, keys.len());
        tasks.push(Task { q, keys: keys.start + seen.start..keys.start + seen.end, kv_head, out, lse });
        if kv_head + 1 == shape.kv_heads {
            sequences.next();
        }
    }
    let n_numbers = tasks.iter().map(|task| 2 * task.keys.len() * shape.head_dim).sum::<usize>();
    let per_task = tasks.len().div_ceil((n_numbers / NUMBERS_PER_TASK).max(1));
    if per_task >= tasks.len() {
        tasks.iter_mut().for_each(|task| one(simd, shape, task, x));
    } else {
        tasks.par_chunks_mut(per_task).for_each(|tasks| tasks.iter_mut().for_each(|task| one(simd, shape, task, x)));
    }
}

fn one(simd: Simd, shape: AttentionShape, task: &mut Task<'_>, x: Inputs<'_>) {
    let (d, stride, n_keys) = (shape.head_dim, shape.kv_heads * shape.head_dim, task.keys.len());
    let at = task.keys.start * stride + task.kv_head * d;
    let (keys, values) = (x.k.get(at..).unwrap_or_default(), x.v.get(at..).unwrap_or_default());
    let mut p = vec![0.0; task.lse.len() * n_keys];
    let Some(keys) = Weight::strided(keys, n_keys, d, stride) else { return };
    few_rows_here(simd, &mut p, shape.scale, task.q, keys);
    for ((p, out), lse) in p.chunks_exact_mut(n_keys).zip(task.out.chunks_exact_mut(d)).zip(task.lse.iter_mut()) {
        if let Some(cap) = shape.softcap {
            rows::softcap(p, cap);
        }
        *lse = rows::softmax(p, 0..n_keys);
        weighted_sum(p, values, stride, out);
    }
}

/// `out = sum over m of p[m] values[m]`, whose rows begin `stride` numbers apart.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn weighted_sum(p: &[f32], values: &[f32], stride: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_mut(4 * CHANNELS).enumerate() {
        let values = &values[i * 4 * CHANNELS..];
        match <&mut [f32; 4 * CHANNELS]>::try_from(&mut *out) {
            Ok(out) => {
                let mut sums = [0f32; 4 * CHANNELS];
                for (p, values) in p.iter().zip(values.chunks(stride)) {
                    for (sum, v) in sums.iter_mut().zip(&values[..4 * CHANNELS]) {
                        *sum = p.mul_add(*v, *sum);
                    }
                }
                *out = sums;
            }
            Err(_) => {
                out.fill(0.0);
                for (p, values) in p.iter().zip(values.chunks(stride)) {
                    for (sum, v) in out.iter_mut().zip(values) {
                        *sum = p.mul_add(*v, *sum);
                    }
                }
            }
        }
    }
}
