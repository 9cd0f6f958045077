//! Softmax attention in blocks of queries: the scores of one block of one head exist at a time, never T x T for all.
//! Source: Dao et al., "FlashAttention" (2022), for the backward from saved denominators.
#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use super::{
    product::{Operand, Product, product_at},
    rows,
};
use crate::{AttentionShape, Spans};

/// Queries of one block.
const BLOCK: usize = 64;

/// Memory that several tasks write, each its own part.
#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: every task writes rows and columns of its own sequence and head only.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// `offset` must lie inside the buffer this was made from.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: promised by the caller.
        unsafe { self.0.add(offset) }
    }
}

/// Queries `first..first + count` of a sequence over its keys `from..from + n_keys`.
struct Block {
    first: usize,
    count: usize,
    from: usize,
    n_keys: usize,
}

/// One sequence and one key/value head.
struct Task<'a> {
    shape: AttentionShape,
    queries: &'a Range<usize>,
    keys: &'a Range<usize>,
    kv_head: usize,
}

impl Task<'_> {
    fn q_width(&self) -> usize {
        self.shape.heads * self.shape.head_dim
    }

    fn kv_width(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }

    /// First number of query row `n`, head `h`.
    fn q_at(&self, n: usize, h: usize) -> usize {
        (self.queries.start + n) * self.q_width() + h * self.shape.head_dim
    }

    /// First number of this head's key (or value) `m`.
    fn kv_at(&self, m: usize) -> usize {
        (self.keys.start + m) * self.kv_width() + self.kv_head * self.shape.head_dim
    }

    /// The query heads that share this key/value head.
    fn heads(&self) -> Range<usize> {
        let group = self.shape.heads / self.shape.kv_heads;
        self.kv_head * group..(self.kv_head + 1) * group
    }

    /// Keys that query `n` sees.
    fn visible(&self, n: usize) -> Range<usize> {
        self.shape.visible(n, self.queries.len(), self.keys.len())
    }

    /// Blocks of queries, with the keys that some of them see.
    fn blocks(&self) -> impl DoubleEndedIterator<Item = Block> + '_ {
        let n_queries = self.queries.len();
        (0..n_queries.div_ceil(BLOCK)).map(move |b| {
            let first = b * BLOCK;
            let count = BLOCK.min(n_queries - first);
            let (from, to) = (self.visible(first).start, self.visible(first + count - 1).end);
            Block { first, count, from, n_keys: to - from }
        })
    }

    /// The keys that query `n` sees, counted from the first that its block sees.
    fn seen(&self, block: &Block, n: usize) -> Range<usize> {
        let visible = self.visible(n);
        visible.start - block.from..visible.end - block.from
    }

    fn product(&self, m: usize, n: usize, k: usize, alpha: f32) -> Product {
        Product { m, n, k, alpha, accumulate: false, threads: 1 }
    }
}

fn tasks(shape: AttentionShape, spans: &Spans) -> Vec<Task<'_>> {
    let pairs = spans.queries.iter().zip(&spans.keys);
    pairs
        .filter(|(queries, _)| !queries.is_empty())
        .flat_map(|(queries, keys)| (0..shape.kv_heads).map(move |kv_head| Task { shape, queries, keys, kv_head }))
        .collect()
}

/// Numbers of the scores of one block: over the longest sequence, or over what a window leaves of it.
fn scratch(shape: AttentionShape, spans: &Spans) -> usize {
    let longest = spans.keys.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    let sides = if shape.causal { 1 } else { 2 };
    let seen = shape.window.map_or(longest, |window| window.saturating_mul(sides).saturating_add(BLOCK));
    BLOCK * longest.min(seen)
}

/// Inputs of attention: q (N, H D), k and v (M, G D).
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// Writes the output (N, H D) and the logarithms of the denominators (N, H).
pub fn forward(shape: AttentionShape, spans: &Spans, x: Inputs<'_>, out: &mut [f32], lse: &mut [f32]) {
    let (out, lse) = (Shared(out.as_mut_ptr()), Shared(lse.as_mut_ptr()));
    let scratch = scratch(shape, spans);
    tasks(shape, spans).into_par_iter().for_each_init(
        || vec![0f32; scratch],
        |p, task| task.heads().for_each(|h| forward_head(&task, h, x, p, out, lse)),
    );
}

fn forward_head(task: &Task<'_>, h: usize, x: Inputs<'_>, p: &mut [f32], out: Shared, lse: Shared) {
    let (d, q_width, kv_width) = (task.shape.head_dim, task.q_width(), task.kv_width());
    for block in task.blocks() {
        let Block { first, count, from, n_keys } = block;
        let (k, v) = (&x.k[task.kv_at(from)..], &x.v[task.kv_at(from)..]);
        let p = &mut p[..count * n_keys];
        let q = Operand::rows(&x.q[task.q_at(first, h)..], q_width);
        // SAFETY: `p` holds count x n_keys numbers and belongs to this task.
        unsafe {
            let scores = task.product(count, n_keys, d, task.shape.scale);
            product_at(scores, p.as_mut_ptr(), n_keys, q, Operand::transposed(k, kv_width));
        }
        for (i, row) in p.chunks_exact_mut(n_keys).enumerate() {
            let seen = task.seen(&block, first + i);
            if let Some(cap) = task.shape.softcap {
                rows::softcap(&mut row[seen.clone()], cap);
            }
            let log_total = rows::softmax(row, seen);
            // SAFETY: row and head belong to this task alone.
            unsafe { *lse.at((task.queries.start + first + i) * task.shape.heads + h) = log_total };
        }
        // SAFETY: the columns of this head in these rows belong to this task alone.
        unsafe {
            let at = out.at(task.q_at(first, h));
            product_at(
                task.product(count, d, n_keys, 1.0),
                at,
                q_width,
                Operand::rows(p, n_keys),
                Operand::rows(v, kv_width),
            );
        }
    }
}

/// What the backward reads besides the inputs: the output, the denominators and the gradient of the output.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Output (N, H D).
    pub out: &'a [f32],
    /// Logarithms of the denominators (N, H).
    pub lse: &'a [f32],
    /// Gradient of the output (N, H D).
    pub dout: &'a [f32],
}

/// Writes dq, and adds dk and dv to zeros.
pub fn backward(
    shape: AttentionShape,
    spans: &Spans,
    x: Inputs<'_>,
    saved: Saved<'_>,
    grads: (&mut [f32], &mut [f32], &mut [f32]),
) {
    let grads = (Shared(grads.0.as_mut_ptr()), Shared(grads.1.as_mut_ptr()), Shared(grads.2.as_mut_ptr()));
    let scratch = scratch(shape, spans);
    tasks(shape, spans).into_par_iter().for_each_init(
        || (vec![0f32; scratch], vec![0f32; scratch]),
        |(p, ds), task| {
            for (g, h) in task.heads().enumerate() {
                backward_head(&task, h, g == 0, (x, saved), (p, ds), grads);
            }
        },
    );
}

/// Without a window from the last block down, so that the first one computed covers every key and may overwrite dk and
/// dv; with one every block adds to the zeros that are there.
fn backward_head(
    task: &Task<'_>,
    h: usize,
    first_of_group: bool,
    (x, saved): (Inputs<'_>, Saved<'_>),
    (p, ds): (&mut [f32], &mut [f32]),
    (dq, dk, dv): (Shared, Shared, Shared),
) {
    let (d, q_width, kv_width, scale) = (task.shape.head_dim, task.q_width(), task.kv_width(), task.shape.scale);
    for (i, block) in task.blocks().rev().enumerate() {
        let Block { first, count, from, n_keys } = block;
        let (k, v) = (&x.k[task.kv_at(from)..], &x.v[task.kv_at(from)..]);
        let (p, ds) = (&mut p[..count * n_keys], &mut ds[..count * n_keys]);
        let at = task.q_at(first, h);
        let (q, dout) = (Operand::rows(&x.q[at..], q_width), Operand::rows(&saved.dout[at..], q_width));
        // SAFETY: both scratch blocks hold count x n_keys numbers and belong to this task.
        unsafe {
            let scores = task.product(count, n_keys, d, scale);
            product_at(scores, p.as_mut_ptr(), n_keys, q, Operand::transposed(k, kv_width));
            let raw = task.product(count, n_keys, d, 1.0);
            product_at(raw, ds.as_mut_ptr(), n_keys, dout, Operand::transposed(v, kv_width));
        }
        probabilities_backward(task, h, &block, saved, (p, ds));
        let accumulate = task.shape.window.is_some() || !(first_of_group && i == 0);
        let onto_keys = |alpha| Product { accumulate, ..task.product(n_keys, d, count, alpha) };
        // SAFETY: rows of this sequence and columns of this head (of dk and dv: of this key/value head) belong to this
        // task alone.
        unsafe {
            let (dk, dv) = (dk.at(task.kv_at(from)), dv.at(task.kv_at(from)));
            product_at(onto_keys(1.0), dv, kv_width, Operand::transposed(p, n_keys), dout);
            product_at(onto_keys(scale), dk, kv_width, Operand::transposed(ds, n_keys), q);
            let onto_queries = task.product(count, d, n_keys, scale);
            product_at(onto_queries, dq.at(at), q_width, Operand::rows(ds, n_keys), Operand::rows(k, kv_width));
        }
    }
}

fn probabilities_backward(
    task: &Task<'_>,
    h: usize,
    block: &Block,
    saved: Saved<'_>,
    (p, ds): (&mut [f32], &mut [f32]),
) {
    let d = task.shape.head_dim;
    let lines = p.chunks_exact_mut(block.n_keys).zip(ds.chunks_exact_mut(block.n_keys));
    for (i, (p, ds)) in lines.enumerate() {
        let n = block.first + i;
        let at = task.q_at(n, h);
        let delta = rows::inner(&saved.out[at..at + d], &saved.dout[at..at + d]);
        let lse = saved.lse[(task.queries.start + n) * task.shape.heads + h];
        rows::softmax_backward(p, ds, task.seen(block, n), (lse, delta), task.shape.softcap);
    }
}
