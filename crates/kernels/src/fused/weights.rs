//! Products with a weight of any precision, in either direction, and the gradient of a weight.

use rayon::prelude::*;

use super::{
    Fused,
    few_rows::{FEW_ROWS, Weight, few_rows, few_rows_each},
    micro::COLS,
    panels::{Kept, Right, Source, to_words},
    pool::Buffer,
    product::{Left, Output, Term, as_words, as_words_mut, product},
    simd::Simd,
    tensor::{Data, Tensor},
};
use crate::Result;

/// Rows of a left operand that are worth a task when they are rounded.
const ROWS_PER_TASK: usize = 16;

impl Fused {
    /// `y = [y +] alpha x wᵀ`.
    pub(super) fn nt(&self, y: &mut [f32], alpha: f32, accumulate: bool, x: &Tensor, w: &Tensor) -> Result<()> {
        let numbers = x.read("matmul_nt")?;
        if let Some(weight) = self.few(x, w) {
            few_rows(self.simd, y, alpha, accumulate, numbers, weight);
            return Ok(());
        }
        let out = Output { alpha, accumulate, ..Output::new(x.rows, w.rows) };
        self.with_weight(out, y, (numbers, x.cols), (w, true));
        Ok(())
    }

    /// The weight for a product with few rows, where `x` has few and nothing is rounded.
    fn few<'w>(&self, x: &Tensor, w: &'w Tensor) -> Option<Weight<'w>> {
        Weight::of(w).filter(|_| x.rows <= FEW_ROWS && self.kept(w) == Kept::Whole)
    }

    /// `x wᵀ` for each weight, few rows of `x` in one go.
    pub(super) fn nt_each(&self, x: &Tensor, weights: &[&Tensor]) -> Result<Vec<Tensor>> {
        let numbers = x.read("matmul_nt_each")?;
        let mut results: Vec<Buffer> = weights.iter().map(|w| self.take(x.rows, w.rows)).collect();
        let few: Option<Vec<Weight<'_>>> = weights.iter().map(|w| self.few(x, w)).collect();
        match few {
            Some(few) => few_rows_each(self.simd, numbers, results.iter_mut().map(|y| &mut **y).zip(few)),
            None => results.iter_mut().zip(weights).try_for_each(|(y, w)| self.nt(y, 1.0, false, x, w))?,
        }
        Ok(results.into_iter().zip(weights).map(|(y, w)| Tensor::owned(y, x.rows, w.rows)).collect())
    }

    /// `y = [y +] alpha x w`.
    pub(super) fn nn(&self, y: &mut [f32], alpha: f32, accumulate: bool, x: &Tensor, w: &Tensor) -> Result<()> {
        let out = Output { alpha, accumulate, ..Output::new(x.rows, w.cols) };
        self.with_weight(out, y, (x.read("matmul_nn")?, x.cols), (w, false));
        Ok(())
    }

    fn with_weight(
        &self,
        out: Output<'_>,
        y: &mut [f32],
        (x, inner): (&[f32], usize),
        (w, transposed): (&Tensor, bool),
    ) {
        let kept = self.kept(w);
        let rounded = (kept != Kept::Whole).then(|| self.rounded(kept, x, inner));
        let term = Term { left: left(kept, rounded.as_ref(), x, inner), right: right(w, transposed, inner, kept) };
        product(self.simd, self.threads, out, y, &[term]);
    }

    /// `y = [y +] sum of terms [+ bias]`, whose shapes were compared.
    pub(super) fn sum(&self, out: Output<'_>, y: &mut [f32], terms: &[crate::Term<'_, Tensor>]) -> Result<()> {
        let op = "sum_of_products";
        let rounded = terms.iter().map(|t| {
            let kept = self.kept(t.w);
            let x = t.x.read(op)?;
            Ok((kept, x, (kept != Kept::Whole).then(|| self.rounded(kept, x, t.x.cols))))
        });
        let rounded: Vec<(Kept, &[f32], Option<Buffer>)> = rounded.collect::<Result<_>>()?;
        let products: Vec<Term<'_>> = terms
            .iter()
            .zip(&rounded)
            .map(|(t, (kept, x, rounded))| Term {
                left: left(*kept, rounded.as_ref(), x, t.x.cols),
                right: Right { factor: t.factor, ..right(t.w, t.transposed, t.x.cols, *kept) },
            })
            .collect();
        product(self.simd, self.threads, out, y, &products);
        Ok(())
    }

    /// In what words a product with `w` computes.
    fn kept(&self, w: &Tensor) -> Kept {
        match (self.narrow && matches!(w.data, Data::Stored(_) | Data::Copied(_)), self.simd) {
            (false, _) => Kept::Whole,
            (true, Simd::Avx512Bf16) => Kept::Paired,
            (true, _) => Kept::Rounded,
        }
    }

    /// Rows of `inner` numbers as words.
    fn rounded(&self, kept: Kept, x: &[f32], inner: usize) -> Buffer {
        let (rows, n) = (x.len().checked_div(inner).unwrap_or_default(), kept.words(inner));
        let mut words = self.take(rows, n);
        let lines = as_words_mut(&mut words).par_chunks_exact_mut(n.max(1)).zip(x.par_chunks_exact(inner.max(1)));
        lines.with_min_len(ROWS_PER_TASK).for_each(|(words, x)| to_words(kept, x, words));
        words
    }

    /// `g += alpha xᵀ y` for x (N, a), y (N, b) and g (a, b).
    pub(super) fn tn(&self, g: &mut [f32], alpha: f32, (x, a): (&[f32], usize), (y, b): (&[f32], usize)) {
        let inner = x.len().checked_div(a).unwrap_or_default();
        if b < COLS && b < a {
            // Few columns fill no vectors: the transpose is computed.
            let mut transposed = self.take(b, a);
            let term = Term::floats(Left::transposed(y, b), x, a, false, inner);
            product(self.simd, self.threads, Output { alpha, ..Output::new(b, a) }, &mut transposed, &[term]);
            for (i, row) in g.chunks_exact_mut(b.max(1)).enumerate() {
                row.iter_mut().zip(transposed.iter().skip(i).step_by(a)).for_each(|(g, t)| *g += t);
            }
            return;
        }
        let term = Term::floats(Left::transposed(x, a), y, b, false, inner);
        let out = Output { alpha, accumulate: true, ..Output::new(a, b) };
        product(self.simd, self.threads, out, g, &[term]);
    }
}

/// The left operand of a product with a weight.
fn left<'a>(kept: Kept, rounded: Option<&'a Buffer>, x: &'a [f32], inner: usize) -> Left<'a> {
    match rounded {
        Some(words) => Left::words(as_words(words), kept.words(inner)),
        None => Left::rows(x, inner),
    }
}

/// A weight as a right operand.
fn right(w: &Tensor, transposed: bool, inner: usize, kept: Kept) -> Right<'_> {
    let source = match (&w.data, w.as_f32()) {
        (Data::Stored(matrix), None) => Source::Stored(matrix),
        (_, numbers) => Source::Floats(numbers.unwrap_or_default(), w.cols),
    };
    Right { source, transposed, inner, kept, factor: 1.0 }
}
