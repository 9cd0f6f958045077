//! Matrix products: sums of terms `a b` that stay in registers until their last term, then meet a factor, a bias and what
//! they are added to, and are written once. The work is split over rows and columns of the result only, and each number is
//! summed in the order of the inner dimension, so that threads do not change the bits.
#![allow(unsafe_code)]

use std::{cell::RefCell, ops::Range};

use multiversion::multiversion;
use rayon::prelude::*;

use super::{
    micro::{COLS, Factors, ROWS, Tile, Word, add_products},
    panels::{Kept, Lines, Right, Rows, Source},
    simd::Simd,
};

/// A left operand as words: one row for each row of the result.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    words: &'a [u32],
    row_step: usize,
    k_step: usize,
}

impl<'a> Left<'a> {
    /// Rows of `stride` words.
    pub fn words(words: &'a [u32], stride: usize) -> Self {
        Self { words, row_step: stride, k_step: 1 }
    }

    /// Rows of `stride` floats.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self::words(as_words(data), stride)
    }

    /// The transpose of rows of `stride` floats.
    pub fn transposed(data: &'a [f32], stride: usize) -> Self {
        Self { words: as_words(data), row_step: 1, k_step: stride }
    }

    /// The last index that `m` rows of `k` words read, plus one.
    fn extent(&self, m: usize, k: usize) -> usize {
        if m == 0 || k == 0 { 0 } else { (m - 1) * self.row_step + (k - 1) * self.k_step + 1 }
    }
}

/// The bits of floats.
pub fn as_words(data: &[f32]) -> &[u32] {
    // SAFETY: floats and words have the same size and alignment, and every bit pattern is a word.
    unsafe { data.align_to().1 }
}

/// As [`as_words`], to write.
pub fn as_words_mut(data: &mut [f32]) -> &mut [u32] {
    // SAFETY: as above, and every word is the bit pattern of a float.
    unsafe { data.align_to_mut().1 }
}

/// One product of a sum.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    /// Left operand, in words as the right one keeps them.
    pub left: Left<'a>,
    /// Right operand.
    pub right: Right<'a>,
}

impl<'a> Term<'a> {
    /// `a b` of floats, where `b` (inner, n) has rows of `stride` numbers, or (n, inner) where it is transposed.
    pub fn floats(left: Left<'a>, b: &'a [f32], stride: usize, transposed: bool, inner: usize) -> Self {
        let source = Source::Floats(b, stride);
        Self { left, right: Right { source, transposed, inner, kept: Kept::Whole, factor: 1.0 } }
    }

    fn n_words(&self) -> usize {
        self.right.kept.words(self.right.inner)
    }
}

/// `c = alpha (sum of terms) + bias + (c or what it is added to)`.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// From one row of the result to the next, in numbers.
    pub stride: usize,
    /// Factor of the sum.
    pub alpha: f32,
    /// Added to every row, n.
    pub bias: Option<&'a [f32]>,
    /// Adds to what is there instead of replacing it.
    pub accumulate: bool,
}

impl Output<'_> {
    /// The sum itself, rows without gaps.
    pub fn new(m: usize, n: usize) -> Self {
        Self { m, n, stride: n, alpha: 1.0, bias: None, accumulate: false }
    }
}

/// Memory of which every task writes its own part.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);
// SAFETY: tasks write rows and columns of their own only.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(data: &mut [f32]) -> Self {
        Self(data.as_mut_ptr())
    }

    /// # Safety
    /// `offset` must lie inside the buffer this was made from.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: promised by the caller.
        unsafe { self.0.add(offset) }
    }
}

/// Words of panels that stay in the second-level cache, and most panels of one task.
const CACHED: usize = 1 << 17;
const PANELS_PER_TASK: usize = 8;
/// Words along the inner dimension that are summed before the result is written for the first time: few enough for several
/// panels side by side in the cache, so that more than a line of each row of a weight is read at a time.
const WORDS_PER_PASS: usize = 1024;
/// Products of numbers below which a second thread is not worth its start.
const SMALL: usize = 1 << 18;

/// Space of one thread.
#[derive(Default)]
struct Scratch {
    panels: Vec<Chunk>,
    lines: Lines,
}

/// A row of a panel, aligned as vectors are loaded best.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Chunk(#[allow(dead_code)] [u32; COLS]);

/// Panels that are used for several products of one thread.
#[derive(Default)]
pub struct Panels {
    chunks: Vec<Chunk>,
    lines: Lines,
    inner: usize,
    columns: usize,
}

impl Panels {
    /// Takes up all `columns` columns of a right operand of floats.
    pub fn fill(&mut self, right: &Right<'_>, columns: usize) {
        (self.inner, self.columns) = (right.inner, columns);
        let n = self.inner * columns.div_ceil(COLS);
        self.chunks.resize(self.chunks.len().max(n), Chunk([0; COLS]));
        right.pack(0..columns, 0..self.inner, &mut self.lines, words_of(&mut self.chunks[..n]));
    }

    /// `c = [c +] alpha a b` for `m` rows, over the words `inner` of the inner dimension and the panels that hold `columns`,
    /// which begin at a panel; `c` begins at the first of them. The left operand begins at the first of these rows and words.
    ///
    /// # Safety
    /// As for [`store`], and the left operand must cover what is read of it.
    pub unsafe fn multiply(
        &self,
        simd: Simd,
        (left, m): (Left<'_>, usize),
        inner: Range<usize>,
        columns: Range<usize>,
        (alpha, accumulate): (f32, bool),
        (c, stride): (*mut f32, usize),
    ) {
        assert!(inner.end <= self.inner && columns.end <= self.columns, "panels too short");
        debug_assert!(left.extent(m, inner.len()) <= left.words.len(), "left operand too short");
        let out = Output { m, n: columns.len(), stride, alpha, bias: None, accumulate };
        for block in blocks(0..m) {
            for from in columns.clone().step_by(COLS) {
                let n = COLS.min(columns.end - from);
                let mut tile = Tile([[0.0; COLS]; ROWS]);
                let panel = &self.chunks[from / COLS * self.inner + inner.start..];
                let rows = Rows { first: panel.as_ptr().cast(), step: COLS, panel: 0 };
                let f = factors(left, block.start, 0..inner.len(), rows);
                // SAFETY: the panel holds `inner`; the rest is promised by the caller.
                unsafe {
                    add_products(simd, Word::Float, f, (block.len(), n), &mut tile);
                    store(&tile, &out, 0, (block.len(), n), c.add(block.start * stride + from - columns.start));
                }
            }
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Computes `c`, whose rows are `out.stride` apart, with up to `threads` workers.
pub fn product(simd: Simd, threads: usize, out: Output<'_>, c: &mut [f32], terms: &[Term<'_>]) {
    assert!(out.m == 0 || out.n == 0 || (out.m - 1) * out.stride + out.n <= c.len(), "result too short");
    assert!(out.bias.is_none_or(|bias| bias.len() >= out.n), "bias too short");
    for term in terms {
        assert!(term.left.extent(out.m, term.n_words()) <= term.left.words.len(), "left operand too short");
        if let Source::Floats(numbers, stride) = term.right.source {
            let (rows, cols) =
                if term.right.transposed { (out.n, term.right.inner) } else { (term.right.inner, out.n) };
            let extent = if rows == 0 || cols == 0 { 0 } else { (rows - 1) * stride + cols };
            assert!(extent <= numbers.len(), "right operand too short");
        }
    }
    if out.m == 0 || out.n == 0 {
        return;
    }
    let c = Shared::new(c);
    let inner: usize = terms.iter().map(Term::n_words).sum();
    let threads = if out.m * out.n * inner <= SMALL { 1 } else { threads };
    let block = terms.iter().map(|t| t.right.block_len()).max().unwrap_or(1);
    let (columns, rows) = shares(out, inner, block, threads);
    let n_across = out.n.div_ceil(columns);
    let task = |i: usize| {
        let (across, down) = (i % n_across * columns, i / n_across * rows);
        let (columns, rows) = (across..out.n.min(across + columns), down..out.m.min(down + rows));
        SCRATCH.with_borrow_mut(|scratch| part(simd, out, (rows, columns), c, terms, scratch));
    };
    let n_tasks = n_across * out.m.div_ceil(rows);
    if threads == 1 {
        (0..n_tasks).for_each(task);
    } else {
        (0..n_tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Columns and rows of one task: as many columns as panels stay in the cache, but so that threads end together; fewer rows
/// only where there are more threads than columns.
fn shares(out: Output<'_>, inner: usize, block: usize, threads: usize) -> (usize, usize) {
    let unit = block.div_ceil(COLS);
    let units = out.n.div_ceil(COLS * unit);
    let most = (CACHED / (inner.clamp(1, WORDS_PER_PASS) * COLS * unit)).clamp(1, PANELS_PER_TASK.div_ceil(unit));
    let longest = |share: usize| units.div_ceil(share).div_ceil(threads) * share;
    let share = (1..=most).rev().min_by_key(|share| longest(*share)).unwrap_or(1);
    let n_across = units.div_ceil(share);
    let n_down = if n_across < threads { threads.div_ceil(n_across) } else { 1 };
    let rows = out.m.div_ceil(n_down).next_multiple_of(ROWS);
    (share * unit * COLS, rows)
}

/// The chunks of terms that are summed in one pass: the number of a term and its words.
fn passes(terms: &[Term<'_>]) -> Vec<Vec<(usize, Range<usize>)>> {
    let (mut passes, mut pass, mut room) = (Vec::new(), Vec::new(), WORDS_PER_PASS);
    for (i, term) in terms.iter().enumerate() {
        let (mut from, n) = (0, term.n_words());
        while from < n {
            if room == 0 {
                passes.push(std::mem::take(&mut pass));
                room = WORDS_PER_PASS;
            }
            let to = n.min(from + room);
            pass.push((i, from..to));
            room -= to - from;
            from = to;
        }
    }
    passes.push(pass);
    passes
}

/// The rows and columns of the result that are one task's.
fn part(
    simd: Simd,
    out: Output<'_>,
    (rows, columns): (Range<usize>, Range<usize>),
    c: Shared,
    terms: &[Term<'_>],
    scratch: &mut Scratch,
) {
    let n_panels = columns.len().div_ceil(COLS);
    for (i, pass) in passes(terms).into_iter().enumerate() {
        let n_words: usize = pass.iter().map(|(_, words)| words.len()).sum();
        if scratch.panels.len() < n_words * n_panels {
            scratch.panels.resize(n_words * n_panels, Chunk([0; COLS]));
        }
        let mut packed = scratch.panels.as_mut_slice();
        let mut chunks = Vec::with_capacity(pass.len());
        for (term, words) in pass {
            let (term, (own, rest)) = (&terms[term], packed.split_at_mut(words.len() * n_panels));
            packed = rest;
            if let Some(rows) = term.right.as_it_lies(out.m, &columns, &words) {
                chunks.push((term, words, rows));
                continue;
            }
            term.right.pack(columns.clone(), words.clone(), &mut scratch.lines, words_of(own));
            let panel = words.len() * COLS;
            chunks.push((term, words, Rows { first: own.as_ptr().cast(), step: COLS, panel }));
        }
        let out = Output {
            accumulate: out.accumulate || i > 0,
            bias: out.bias.filter(|_| i == 0).and_then(|bias| bias.get(columns.clone())),
            ..out
        };
        for block in blocks(rows.clone()) {
            for panel in 0..n_panels {
                let from = columns.start + panel * COLS;
                let n = COLS.min(columns.end - from);
                let mut tile = Tile([[0.0; COLS]; ROWS]);
                for (term, words, rows) in &chunks {
                    let f = factors(term.left, block.start, words.clone(), rows.panel(panel));
                    // SAFETY: extents were compared in `product`, and panels have 32 words for each of these.
                    unsafe { add_products(simd, term.right.kept.word(), f, (block.len(), n), &mut tile) };
                }
                // SAFETY: rows and columns of this task lie inside the result, as was compared in `product`.
                unsafe { store(&tile, &out, panel * COLS, (block.len(), n), c.at(block.start * out.stride + from)) };
            }
        }
    }
}

/// Blocks of up to 12 rows, of nearly the same size.
fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let step = rows.len().div_ceil(rows.len().div_ceil(ROWS).max(1)).max(1);
    rows.clone().step_by(step).map(move |from| from..rows.end.min(from + step))
}

fn words_of(chunks: &mut [Chunk]) -> &mut [u32] {
    // SAFETY: a chunk is 32 words without padding.
    unsafe { chunks.align_to_mut().1 }
}

fn factors(left: Left<'_>, row: usize, words: Range<usize>, right: Rows) -> Factors {
    let word = size_of::<u32>();
    Factors {
        k: words.len(),
        a: left.words.as_ptr().wrapping_add(row * left.row_step + words.start * left.k_step),
        row_step: (left.row_step * word) as isize,
        k_step: (left.k_step * word) as isize,
        b: right.first,
        b_step: (right.step * word) as isize,
    }
}

/// Writes `m` rows of `n` columns of a tile to `c`; the bias begins at column `from`.
///
/// # Safety
/// `c` must be valid for `m` rows of `n` numbers, `out.stride` apart, which nobody else touches.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
unsafe fn store(tile: &Tile, out: &Output<'_>, from: usize, (m, n): (usize, usize), c: *mut f32) {
    let bias = out.bias.and_then(|bias| bias.get(from..from + n));
    for (i, sums) in tile.0.iter().enumerate().take(m) {
        // SAFETY: promised by the caller.
        let c = unsafe { std::slice::from_raw_parts_mut(c.add(i * out.stride), n) };
        if let (Ok(sums), Ok(c)) = (<&[f32; COLS]>::try_from(&sums[..n]), <&mut [f32; COLS]>::try_from(&mut *c)) {
            // Whole rows have a length that is known beforehand.
            store_row(sums, out.alpha, bias, out.accumulate, c);
        } else {
            store_row(&sums[..n], out.alpha, bias, out.accumulate, c);
        }
    }
}

#[inline(always)]
fn store_row(sums: &[f32], alpha: f32, bias: Option<&[f32]>, accumulate: bool, c: &mut [f32]) {
    match (bias, accumulate) {
        (None, false) => c.iter_mut().zip(sums).for_each(|(c, s)| *c = alpha * s),
        (None, true) => c.iter_mut().zip(sums).for_each(|(c, s)| *c += alpha * s),
        (Some(bias), false) => c.iter_mut().zip(sums).zip(bias).for_each(|((c, s), b)| *c = alpha * s + b),
        (Some(bias), true) => c.iter_mut().zip(sums).zip(bias).for_each(|((c, s), b)| *c += alpha * s + b),
    }
}
