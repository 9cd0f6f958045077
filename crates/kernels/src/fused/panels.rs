//! The right operand of a product as the inner loops read it: panels of 32 columns, each with its words row by row. A panel
//! is made from the weight as it lies (any precision, either direction) just before it is used for every row of the left
//! operand, in scratch that stays in the cache: that costs about a fiftieth of a product of some hundred rows, and no copy
//! of the weight.
#![allow(unsafe_code)]

use std::ops::Range;

use multiversion::multiversion;

use super::micro::{COLS, Word};
#[cfg(target_arch = "x86_64")]
use super::simd::Simd;
use crate::HostMatrix;

/// Rows of numbers.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// 32-bit floats, so many apart from row to row.
    Floats(&'a [f32], usize),
    /// A weight that is widened first.
    Stored(&'a HostMatrix),
}

/// How numbers become words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// 32-bit floats.
    Whole,
    /// 32-bit floats with no more digits than 16-bit ones: pairs for a processor that cannot multiply them.
    Rounded,
    /// Pairs of 16-bit floats.
    Paired,
}

impl Kept {
    /// What the inner loop reads.
    pub fn word(self) -> Word {
        if self == Self::Paired { Word::Pair } else { Word::Float }
    }

    /// Words of `n` numbers along the inner dimension.
    pub fn words(self, n: usize) -> usize {
        if self == Self::Paired { n.div_ceil(2) } else { n }
    }
}

/// A right operand: (inner, columns) as it lies, or its transpose (columns, inner).
#[derive(Clone, Copy)]
pub struct Right<'a> {
    /// Where the numbers are.
    pub source: Source<'a>,
    /// The rows that lie in memory are columns of the operand, as a weight's are in `x wᵀ`.
    pub transposed: bool,
    /// The size of the inner dimension, in numbers.
    pub inner: usize,
    /// What words hold.
    pub kept: Kept,
    /// Multiplies the numbers.
    pub factor: f32,
}

/// Rows of a right operand as inner loops read them, in words.
#[derive(Clone, Copy)]
pub struct Rows {
    /// The first word of the first panel.
    pub first: *const u32,
    /// From a row to the next.
    pub step: usize,
    /// From a panel to the next.
    pub panel: usize,
}

impl Rows {
    /// The rows of panel `n`.
    pub fn panel(self, n: usize) -> Self {
        Self { first: self.first.wrapping_add(n * self.panel), ..self }
    }
}

/// Rows of a weight that are asked for before they are needed.
const ROWS_AHEAD: usize = 16;

/// Rows of a result up to which packing its right operand costs more than reading it in steps.
const NOT_WORTH_PACKING: usize = 16;

/// Space for numbers on their way into panels.
#[derive(Default)]
pub struct Lines {
    numbers: Vec<f32>,
    second: Vec<f32>,
    words: Vec<u32>,
}

/// Columns that are transposed together.
const GROUP: usize = 8;

impl Right<'_> {
    /// Numbers of `row` at `columns`, as they lie or in `scratch`.
    fn numbers<'s>(&'s self, row: usize, columns: Range<usize>, scratch: &'s mut Vec<f32>) -> &'s [f32] {
        match self.source {
            Source::Floats(numbers, stride) if self.factor == 1.0 => {
                numbers.get(row * stride + columns.start..row * stride + columns.end).unwrap_or_default()
            }
            Source::Floats(numbers, stride) => {
                let numbers = numbers.get(row * stride + columns.start..row * stride + columns.end);
                scratch.clear();
                scratch.extend(numbers.unwrap_or_default().iter().map(|v| v * self.factor));
                scratch
            }
            Source::Stored(matrix) => {
                scratch.resize(columns.len(), 0.0);
                matrix.widen_part(row, columns, scratch);
                if self.factor != 1.0 {
                    scratch.iter_mut().for_each(|v| *v *= self.factor);
                }
                scratch
            }
        }
    }

    /// The panels of `columns` without packing them, for a result of so few rows that this is faster: floats whose rows are
    /// rows of the panels, and are long enough to be read in whole panels.
    pub fn as_it_lies(&self, m: usize, columns: &Range<usize>, words: &Range<usize>) -> Option<Rows> {
        let Source::Floats(numbers, stride) = self.source else { return None };
        if m > NOT_WORTH_PACKING
            || self.transposed
            || self.kept != Kept::Whole
            || self.factor != 1.0
            || words.is_empty()
        {
            return None;
        }
        let end = columns.start + columns.len().next_multiple_of(COLS);
        let part = numbers.get(words.start * stride + columns.start..(words.end - 1) * stride + end)?;
        Some(Rows { first: part.as_ptr().cast(), step: stride, panel: COLS })
    }

    /// Has the numbers of `row` at `columns` brought into the cache: processors foresee a row only where it follows the last.
    fn fetch(&self, row: usize, columns: &Range<usize>) {
        fetch(match self.source {
            _ if row >= self.inner => &[],
            Source::Floats(numbers, stride) => {
                numbers.get(row * stride + columns.start..row * stride + columns.end).map(bytes_of).unwrap_or_default()
            }
            Source::Stored(matrix) => matrix.part_bytes(row, columns.clone()),
        });
    }

    /// Numbers that are widened together where stored rows are rows of the panel.
    pub fn block_len(&self) -> usize {
        match self.source {
            Source::Stored(matrix) if !self.transposed => matrix.precision().block_len(),
            _ => 1,
        }
    }

    /// Writes the panels of `columns` and the words `words` of the inner dimension: word `w` of column `c` of a panel lies at
    /// `32 w + c`. Columns beyond the last are zero.
    pub fn pack(&self, columns: Range<usize>, words: Range<usize>, lines: &mut Lines, out: &mut [u32]) {
        if !self.transposed {
            return self.pack_columns(columns, words, lines, out);
        }
        for (from, panel) in columns.clone().step_by(COLS).zip(out.chunks_exact_mut((words.len() * COLS).max(1))) {
            self.pack_rows(from..columns.end.min(from + COLS), words.clone(), lines, panel);
        }
    }

    /// Stored rows become columns.
    fn pack_rows(&self, columns: Range<usize>, words: Range<usize>, lines: &mut Lines, panel: &mut [u32]) {
        let n = words.len();
        let inner = match self.kept {
            Kept::Paired => 2 * words.start..self.inner.min(2 * words.end),
            _ => words,
        };
        let Lines { numbers, words, .. } = lines;
        words.resize(GROUP * n, 0);
        for first in (0..COLS).step_by(GROUP) {
            for (i, line) in words.chunks_exact_mut(n.max(1)).enumerate() {
                let column = columns.start + first + i;
                if column < columns.end {
                    to_words(self.kept, self.numbers(column, inner.clone(), numbers), line);
                } else {
                    line.fill(0);
                }
            }
            transpose(words, n, &mut panel[first..]);
        }
    }

    /// Stored rows are rows of the panels; two of them make a row of pairs.
    fn pack_columns(&self, columns: Range<usize>, words: Range<usize>, lines: &mut Lines, out: &mut [u32]) {
        let (n, Lines { numbers, second, .. }) = (words.len() * COLS, lines);
        for (w, word) in words.enumerate() {
            let row = if self.kept == Kept::Paired { 2 * word } else { word };
            self.fetch(row + ROWS_AHEAD, &columns);
            if self.kept == Kept::Paired {
                self.fetch(row + 1 + ROWS_AHEAD, &columns);
            }
            let even = self.numbers(row, columns.clone(), numbers);
            let is_last = row + 1 >= self.inner;
            let odd = if self.kept == Kept::Paired && !is_last {
                self.numbers(row + 1, columns.clone(), second)
            } else {
                &[]
            };
            for (i, even) in even.chunks(COLS).enumerate() {
                let Some(line) = out.get_mut(i * n + w * COLS..i * n + (w + 1) * COLS) else { return };
                let (filled, rest) = line.split_at_mut(even.len());
                match (self.kept, odd.get(i * COLS..i * COLS + even.len())) {
                    (Kept::Paired, Some(odd)) => interleave(even, odd, filled),
                    (Kept::Paired, None) => round_up(even, filled),
                    _ => to_words(self.kept, even, filled),
                }
                rest.fill(0);
            }
        }
    }
}

/// `numbers` as words of a row of an operand; words beyond the last number are zero.
pub fn to_words(kept: Kept, numbers: &[f32], words: &mut [u32]) {
    match kept {
        Kept::Whole => words.iter_mut().zip(numbers).for_each(|(w, v)| *w = v.to_bits()),
        Kept::Rounded => round(numbers, words),
        Kept::Paired => narrow(numbers, halves(words)),
    }
}

fn bytes_of(numbers: &[f32]) -> &[u8] {
    // SAFETY: floats are bytes, which need no alignment.
    unsafe { numbers.align_to().1 }
}

/// Asks for bytes before they are read.
fn fetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and the address lies inside the bytes.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// The 16-bit halves of words, the lower one first: pairs are made on x86 only.
fn halves(words: &mut [u32]) -> &mut [u16] {
    // SAFETY: every bit pattern is a u16, whose alignment is smaller.
    unsafe { words.align_to_mut().1 }
}

/// The nearest 16-bit float, to even where two are as near; not-a-number stays that.
#[inline(always)]
fn bf16(v: f32) -> u32 {
    let bits = v.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if bits & 0x7fff_ffff > 0x7f80_0000 { bits >> 16 | 0x40 } else { rounded }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn round(numbers: &[f32], words: &mut [u32]) {
    for (w, v) in words.iter_mut().zip(numbers) {
        *w = bf16(*v) << 16;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn narrow(numbers: &[f32], halves: &mut [u16]) {
    let (filled, rest) = halves.split_at_mut(numbers.len());
    for (h, v) in filled.iter_mut().zip(numbers) {
        *h = bf16(*v) as u16;
    }
    rest.fill(0);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn interleave(even: &[f32], odd: &[f32], words: &mut [u32]) {
    for ((w, e), o) in words.iter_mut().zip(even).zip(odd) {
        *w = bf16(*e) | bf16(*o) << 16;
    }
}

/// Numbers as the lower halves of pairs with zero.
fn round_up(numbers: &[f32], words: &mut [u32]) {
    words.iter_mut().zip(numbers).for_each(|(w, v)| *w = bf16(*v));
}

/// 8 lines of `n` words as 8 columns of rows of 32.
fn transpose(lines: &[u32], n: usize, panel: &mut [u32]) {
    let lines: [&[u32]; GROUP] = std::array::from_fn(|i| &lines[i * n..(i + 1) * n]);
    let done = transposed_in_blocks(&lines, n, panel);
    for (w, row) in panel.chunks_mut(COLS).enumerate().take(n).skip(done) {
        for (target, line) in row.iter_mut().zip(&lines) {
            *target = line[w];
        }
    }
}

/// Transposes as many of the `n` words of lines as vectors do whole, and says how many.
fn transposed_in_blocks(lines: &[&[u32]; GROUP], n: usize, panel: &mut [u32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Simd::best() >= Simd::Avx2 {
        let done = n / GROUP * GROUP;
        assert!(done == 0 || panel.len() >= (done - 1) * COLS + GROUP, "panel too short");
        assert!(lines.iter().all(|line| line.len() >= done), "line too short");
        // SAFETY: the processor has AVX2; the lengths of lines and panel were compared just above.
        unsafe { transpose_blocks(lines.map(<[u32]>::as_ptr), done, panel.as_mut_ptr()) };
        return done;
    }
    let _ = (lines, n, panel);
    0
}

/// Transposes blocks of 8 x 8 words, of which each line has `n` (a multiple of 8).
///
/// # Safety
/// Each line must hold `n` words, and 8 words must be writable at every 32nd of `n` places of the panel.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn transpose_blocks(lines: [*const u32; GROUP], n: usize, panel: *mut u32) {
    use std::arch::x86_64::*;
    for w in (0..n).step_by(GROUP) {
        // SAFETY: promised by the caller.
        let rows: [__m256; GROUP] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(lines[i].add(w).cast()) });
        let pairs = |i: usize| (_mm256_unpacklo_ps(rows[i], rows[i + 1]), _mm256_unpackhi_ps(rows[i], rows[i + 1]));
        let [(a0, a1), (b0, b1), (c0, c1), (d0, d1)] = [pairs(0), pairs(2), pairs(4), pairs(6)];
        let quads = |x, y| (_mm256_shuffle_ps::<0x44>(x, y), _mm256_shuffle_ps::<0xee>(x, y));
        let lows = [quads(a0, b0), quads(a1, b1)];
        let highs = [quads(c0, d0), quads(c1, d1)];
        let (lows, highs) =
            ([lows[0].0, lows[0].1, lows[1].0, lows[1].1], [highs[0].0, highs[0].1, highs[1].0, highs[1].1]);
        for i in 0..GROUP / 2 {
            let near = _mm256_permute2f128_ps::<0x20>(lows[i], highs[i]);
            let far = _mm256_permute2f128_ps::<0x31>(lows[i], highs[i]);
            // SAFETY: promised by the caller.
            unsafe {
                _mm256_storeu_ps(panel.add((w + i) * COLS).cast(), near);
                _mm256_storeu_ps(panel.add((w + i + GROUP / 2) * COLS).cast(), far);
            }
        }
    }
}
