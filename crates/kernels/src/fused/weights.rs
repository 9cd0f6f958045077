//! Products with a weight of any precision, in either direction.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    BLOCK, Fused,
    few_rows::{FEW_ROWS, Weight, few_rows},
    product::{Operand, Product, product},
    tensor::{Data, Tensor},
};
use crate::Result;

/// Numbers of a narrow weight that exist as 32-bit floats at a time: whole rows, enough for a product to be worth its
/// start, few enough for the cache.
const TILE: usize = 1 << 20;

impl Fused {
    /// Hands out the rows of a weight as 32-bit floats: all at once where they lie so, else tile by tile through one
    /// scratch buffer, always in the same tiles.
    fn in_tiles(&self, w: &Tensor, mut use_tile: impl FnMut(Range<usize>, &[f32])) {
        let (Data::Stored(matrix), None) = (&w.data, w.as_f32()) else {
            return use_tile(0..w.rows, w.as_f32().unwrap_or_default());
        };
        let cols = w.cols.max(1);
        let (rows_per_tile, rows_per_block) = ((TILE / cols).max(1), (BLOCK / cols).max(1));
        let mut scratch = self.take(rows_per_tile.min(w.rows), w.cols);
        let mut from = 0;
        loop {
            let to = (from + rows_per_tile).min(w.rows);
            let tile = &mut scratch[..(to - from) * w.cols];
            let blocks = tile.par_chunks_mut(rows_per_block * cols).enumerate();
            blocks.for_each(|(i, out)| matrix.widen_rows(from + i * rows_per_block, out));
            use_tile(from..to, tile);
            from = to;
            if from >= w.rows {
                return;
            }
        }
    }

    pub(super) fn nt(&self, y: &mut [f32], alpha: f32, accumulate: bool, x: &Tensor, w: &Tensor) -> Result<()> {
        let numbers = x.read("matmul_nt")?;
        let p = Product { m: x.rows, n: w.rows, k: x.cols, alpha, accumulate, threads: self.threads };
        if let Some(weight) = Weight::of(w).filter(|_| x.rows <= FEW_ROWS && x.cols > 0) {
            few_rows(y, alpha, accumulate, numbers, weight);
            return Ok(());
        }
        self.in_tiles(w, |rows, tile| {
            let (p, y) = (Product { n: rows.len(), ..p }, y.get_mut(rows.start..).unwrap_or_default());
            product(p, y, w.rows, Operand::rows(numbers, x.cols), Operand::transposed(tile, w.cols));
        });
        Ok(())
    }

    pub(super) fn nn(&self, y: &mut [f32], alpha: f32, accumulate: bool, x: &Tensor, w: &Tensor) -> Result<()> {
        let numbers = x.read("matmul_nn")?;
        let p = Product { m: x.rows, n: w.cols, k: x.cols, alpha, accumulate, threads: self.threads };
        self.in_tiles(w, |rows, tile| {
            let p = Product { k: rows.len(), accumulate: accumulate || rows.start > 0, ..p };
            let x = Operand::rows(numbers.get(rows.start..).unwrap_or_default(), x.cols);
            product(p, y, w.cols, x, Operand::rows(tile, w.cols));
        });
        Ok(())
    }
}
