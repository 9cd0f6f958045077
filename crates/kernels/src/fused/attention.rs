//! Softmax attention in blocks of queries: the scores of one block of one head exist at a time, never T x T for all.
//! Source: Dao et al., "FlashAttention" (2022), for the backward from saved denominators.
#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use super::{
    micro::{COLS, ROWS},
    panels::{Kept, Right, Source},
    product::{Left, Panels, Shared},
    rows,
    simd::Simd,
};
use crate::{AttentionShape, Spans};

/// Queries of one block: enough rows for the gradients of keys and values, whose inner dimension they are.
const BLOCK: usize = 96;

/// Queries `first..first + count` of a sequence over its keys `from..from + n_keys`, where a panel begins.
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
            let (from, to) = (self.visible(first).start / COLS * COLS, self.visible(first + count - 1).end);
            Block { first, count, from, n_keys: to - from }
        })
    }

    /// The keys that query `n` sees, counted from the first that its block sees.
    fn seen(&self, block: &Block, n: usize) -> Range<usize> {
        let visible = self.visible(n);
        visible.start - block.from..visible.end - block.from
    }

    /// The rows of block `block` in parts of up to 12, each with the keys that some of its queries see, counted from the
    /// first that the block sees.
    fn parts<'a>(&'a self, block: &'a Block) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + 'a {
        (0..block.count.div_ceil(ROWS)).map(move |i| {
            let rows = i * ROWS..block.count.min((i + 1) * ROWS);
            let (first, last) =
                (self.seen(block, block.first + rows.start), self.seen(block, block.first + rows.end - 1));
            (rows, first.start..last.end)
        })
    }

    /// The queries of a block that see some of its keys `keys`: with a mask, those before them do not.
    fn seers(&self, block: &Block, keys: &Range<usize>) -> Range<usize> {
        let rows = 0..block.count;
        let sees = |i: &usize| {
            let seen = self.seen(block, block.first + i);
            seen.start < keys.end && keys.start < seen.end
        };
        let first = rows.clone().find(sees).unwrap_or(block.count);
        first..rows.rev().find(sees).map_or(first, |last| last + 1)
    }

    /// Rows of this key/value head, as a right operand.
    fn right<'a>(&self, rows: &'a [f32], transposed: bool) -> Right<'a> {
        let source = Source::Floats(&rows[self.kv_at(0)..], self.kv_width());
        let inner = if transposed { self.shape.head_dim } else { self.keys.len() };
        Right { source, transposed, inner, kept: Kept::Whole, factor: 1.0 }
    }
}

fn tasks(shape: AttentionShape, spans: &Spans) -> Vec<Task<'_>> {
    let pairs = spans.queries.iter().zip(&spans.keys);
    pairs
        .filter(|(queries, _)| !queries.is_empty())
        .flat_map(|(queries, keys)| (0..shape.kv_heads).map(move |kv_head| Task { shape, queries, keys, kv_head }))
        .collect()
}

/// Scores of one block, each row `stride` apart: over the longest sequence, or over what a window leaves of it.
struct Scores {
    stride: usize,
}

impl Scores {
    fn new(shape: AttentionShape, spans: &Spans) -> Self {
        let longest = spans.keys.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let sides = if shape.causal { 1 } else { 2 };
        let seen = shape.window.map_or(longest, |window| window.saturating_mul(sides).saturating_add(BLOCK));
        // A block begins at a panel of keys; an odd number of panels keeps rows apart in the cache.
        let panels = longest.min(seen.saturating_add(COLS)).div_ceil(COLS);
        Self { stride: (panels | 1) * COLS }
    }

    fn zeros(&self) -> Vec<f32> {
        vec![0.0; BLOCK * self.stride]
    }
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

/// What one thread needs for a forward.
struct Forward {
    p: Vec<f32>,
    keys: Panels,
    values: Panels,
}

/// Writes the output (N, H D) and the logarithms of the denominators (N, H).
pub fn forward(simd: Simd, shape: AttentionShape, spans: &Spans, x: Inputs<'_>, out: &mut [f32], lse: &mut [f32]) {
    let (out, lse) = (Shared::new(out), Shared::new(lse));
    let scores = Scores::new(shape, spans);
    tasks(shape, spans).into_par_iter().for_each_init(
        || Forward { p: scores.zeros(), keys: Panels::default(), values: Panels::default() },
        |own, task| {
            own.keys.fill(&task.right(x.k, true), task.keys.len());
            own.values.fill(&task.right(x.v, false), task.shape.head_dim);
            for h in task.heads() {
                for block in task.blocks() {
                    forward_block(simd, &task, h, &block, x.q, (own, scores.stride), out, lse);
                }
            }
        },
    );
}

#[allow(clippy::too_many_arguments)]
fn forward_block(
    simd: Simd,
    task: &Task<'_>,
    h: usize,
    block: &Block,
    q: &[f32],
    (own, stride): (&mut Forward, usize),
    out: Shared,
    lse: Shared,
) {
    let (d, q_width) = (task.shape.head_dim, task.q_width());
    for (rows, seen) in task.parts(block) {
        let at = task.q_at(block.first + rows.start, h);
        let p = &mut own.p[..rows.len() * stride];
        // SAFETY: `p` belongs to this task and holds a row of `stride` scores for each query.
        unsafe { scores(simd, task, block, &own.keys, (&q[at..], rows.len()), &seen, task.shape.scale, (p, stride)) };
        for (i, row) in p.chunks_exact_mut(stride).enumerate() {
            let n = block.first + rows.start + i;
            let seen_by_one = task.seen(block, n);
            if let Some(cap) = task.shape.softcap {
                rows::softcap(&mut row[seen_by_one.clone()], cap);
            }
            let log_total = rows::softmax(&mut row[..seen.end], seen_by_one);
            // SAFETY: row and head belong to this task alone.
            unsafe { *lse.at((task.queries.start + n) * task.shape.heads + h) = log_total };
        }
        let left = (Left::rows(&p[seen.start..], stride), rows.len());
        let inner = block.from + seen.start..block.from + seen.end;
        // SAFETY: the columns of this head in these rows belong to this task alone.
        unsafe { own.values.multiply(simd, left, inner, 0..d, (1.0, false), (out.at(at), q_width)) };
    }
}

/// Products of `m` rows of queries (or of gradients) with the keys (or values) `seen` of a block, in rows of `p`.
///
/// # Safety
/// `panels` must hold the task's rows.
#[allow(clippy::too_many_arguments)]
unsafe fn scores(
    simd: Simd,
    task: &Task<'_>,
    block: &Block,
    panels: &Panels,
    (rows, m): (&[f32], usize),
    seen: &Range<usize>,
    factor: f32,
    (p, stride): (&mut [f32], usize),
) {
    let (d, from) = (task.shape.head_dim, seen.start / COLS * COLS);
    assert!(p.len() >= m * stride && seen.end <= stride, "scores have no room");
    let columns = block.from + from..block.from + seen.end;
    let left = (Left::rows(rows, task.q_width()), m);
    // SAFETY: the length of `p` was compared just above; rows of queries belong to the sequence.
    unsafe { panels.multiply(simd, left, 0..d, columns, (factor, false), (p.as_mut_ptr().add(from), stride)) }
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

/// What one thread needs for a backward.
#[derive(Default)]
struct Backward {
    p: Vec<f32>,
    ds: Vec<f32>,
    keys: Panels,
    key_rows: Panels,
    values: Panels,
    queries: Panels,
    gradients: Panels,
}

/// Writes dq, and adds dk and dv to zeros.
pub fn backward(
    simd: Simd,
    shape: AttentionShape,
    spans: &Spans,
    x: Inputs<'_>,
    saved: Saved<'_>,
    grads: (&mut [f32], &mut [f32], &mut [f32]),
) {
    let grads = (Shared::new(grads.0), Shared::new(grads.1), Shared::new(grads.2));
    let scores = Scores::new(shape, spans);
    tasks(shape, spans).into_par_iter().for_each_init(
        || Backward { p: scores.zeros(), ds: scores.zeros(), ..Backward::default() },
        |own, task| {
            own.keys.fill(&task.right(x.k, true), task.keys.len());
            own.key_rows.fill(&task.right(x.k, false), task.shape.head_dim);
            own.values.fill(&task.right(x.v, true), task.keys.len());
            for h in task.heads() {
                for block in task.blocks() {
                    backward_block(simd, &task, h, &block, (x, saved), (own, scores.stride), grads);
                }
            }
        },
    );
}

fn backward_block(
    simd: Simd,
    task: &Task<'_>,
    h: usize,
    block: &Block,
    (x, saved): (Inputs<'_>, Saved<'_>),
    (own, stride): (&mut Backward, usize),
    (dq, dk, dv): (Shared, Shared, Shared),
) {
    let (d, q_width, kv_width, scale) = (task.shape.head_dim, task.q_width(), task.kv_width(), task.shape.scale);
    for (rows, seen) in task.parts(block) {
        let at = task.q_at(block.first + rows.start, h);
        let span = rows.start * stride..rows.end * stride;
        let (p, ds) = (&mut own.p[span.clone()], &mut own.ds[span]);
        // SAFETY: both belong to this task and hold a row of `stride` numbers for each query.
        unsafe {
            scores(simd, task, block, &own.keys, (&x.q[at..], rows.len()), &seen, scale, (&mut *p, stride));
            scores(simd, task, block, &own.values, (&saved.dout[at..], rows.len()), &seen, 1.0, (&mut *ds, stride));
        }
        probabilities_backward(task, h, (block, rows.start), saved, (p, ds), stride);
        let left = (Left::rows(&ds[seen.start..], stride), rows.len());
        let inner = block.from + seen.start..block.from + seen.end;
        // SAFETY: the columns of this head in these rows belong to this task alone.
        unsafe { own.key_rows.multiply(simd, left, inner, 0..d, (scale, false), (dq.at(at), q_width)) };
    }
    let at = task.q_at(block.first, h);
    for (panels, rows) in [(&mut own.queries, x.q), (&mut own.gradients, saved.dout)] {
        let source = Source::Floats(&rows[at..], q_width);
        let inner = block.count;
        panels.fill(&Right { source, transposed: false, inner, kept: Kept::Whole, factor: 1.0 }, d);
    }
    for from in (0..block.n_keys).step_by(ROWS) {
        let keys = from..block.n_keys.min(from + ROWS);
        let (queries, m) = (task.seers(block, &keys), keys.len());
        if queries.is_empty() {
            continue;
        }
        let first = queries.start * stride + from;
        let at = task.kv_at(block.from + from);
        let (p, ds) = (Left::transposed(&own.p[first..], stride), Left::transposed(&own.ds[first..], stride));
        // SAFETY: rows of this sequence and columns of this key/value head belong to this task alone.
        unsafe {
            own.gradients.multiply(simd, (p, m), queries.clone(), 0..d, (1.0, true), (dv.at(at), kv_width));
            own.queries.multiply(simd, (ds, m), queries, 0..d, (scale, true), (dk.at(at), kv_width));
        }
    }
}

fn probabilities_backward(
    task: &Task<'_>,
    h: usize,
    (block, first): (&Block, usize),
    saved: Saved<'_>,
    (p, ds): (&mut [f32], &mut [f32]),
    stride: usize,
) {
    let d = task.shape.head_dim;
    for (i, (p, ds)) in p.chunks_exact_mut(stride).zip(ds.chunks_exact_mut(stride)).enumerate() {
        let n = block.first + first + i;
        let at = task.q_at(n, h);
        let delta = rows::inner(&saved.out[at..at + d], &saved.dout[at..at + d]);
        let lse = saved.lse[(task.queries.start + n) * task.shape.heads + h];
        let (p, ds) = (&mut p[..block.n_keys], &mut ds[..block.n_keys]);
        rows::softmax_backward(p, ds, task.seen(block, n), lse, delta, task.shape.softcap);
    }
}
