//! A back end that computes nothing and counts: what a model's code would hold on the CPU is found by letting that code run
//! over sizes alone. Buffers come from the same pool with the same rules as the fused back end's, only that there is no memory
//! behind them; so the count follows whatever a block saves, drops or computes again.

use std::ops::Range;

use crate::fused::{
    Simd,
    pool::{Buffer, Pool},
};
use crate::{
    Activation, AdamWStep, AttentionShape, Backend, HostMatrix, KernelError, Objective, Result, Spans, random::Stream,
};

/// Counts what would be held.
#[derive(Clone)]
pub struct Tally {
    pool: Pool,
    /// Whether products with weights have operands of 16 bits.
    narrow: bool,
}

/// The size of a tensor, and the buffer it would have; a frozen weight has none.
pub struct Size {
    rows: usize,
    cols: usize,
    buffer: Option<Buffer>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { pool: Pool::imagined(), narrow: false }
    }
}

impl Tally {
    /// Most bytes of buffers in use and kept for use at once; frozen weights are not counted.
    pub fn held_bytes(&self) -> usize {
        self.pool.held_bytes()
    }

    /// The same with products with weights in 16 bits, as [`Fused::with_bf16`](crate::Fused::with_bf16).
    pub fn with_bf16(self) -> Self {
        Self { narrow: true, ..self }
    }

    /// What a product with a frozen weight needs while it is computed: its left operand in 16 bits, or in 32 where the
    /// processor cannot multiply fewer.
    fn rounded(&self, x: &Size, w: &Size) -> Option<Size> {
        let cols = if Simd::best() == Simd::Avx512Bf16 { x.cols.div_ceil(2) } else { x.cols };
        (self.narrow && w.buffer.is_none()).then(|| self.sized((x.rows, cols)))
    }

    /// Forgets what was held before.
    pub fn forget(&self) {
        self.pool.forget();
    }

    /// Bytes of buffers in use now.
    pub fn used_bytes(&self) -> usize {
        self.pool.used_bytes()
    }

    fn sized(&self, (rows, cols): (usize, usize)) -> Size {
        Size { rows, cols, buffer: Some(self.pool.take(rows.saturating_mul(cols))) }
    }

    fn like(&self, x: &Size) -> Size {
        self.sized((x.rows, x.cols))
    }
}

impl Backend for Tally {
    type Tensor = Size;

    fn device_name(&self) -> String {
        "tally".to_owned()
    }

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    fn upload(&self, data: Vec<f32>, rows: usize, cols: usize) -> Result<Size> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(KernelError::Length { rows, cols, found: data.len() });
        }
        Ok(self.sized((rows, cols)))
    }

    fn weight(&self, matrix: &HostMatrix) -> Result<Size> {
        Ok(Size { rows: matrix.rows(), cols: matrix.cols(), buffer: None })
    }

    fn zeros(&self, rows: usize, cols: usize) -> Result<Size> {
        Ok(self.sized((rows, cols)))
    }

    fn duplicate(&self, x: &Size) -> Result<Size> {
        Ok(self.like(x))
    }

    fn download(&self, x: &Size) -> Result<Vec<f32>> {
        Ok(vec![1.0; x.rows * x.cols])
    }

    fn overwrite(&self, _: &mut Size, _: &[f32]) -> Result<()> {
        Ok(())
    }

    fn shape(&self, x: &Size) -> (usize, usize) {
        (x.rows, x.cols)
    }

    fn matmul_nt(&self, x: &Size, w: &Size) -> Result<Size> {
        let y = self.sized((x.rows, w.rows));
        drop(self.rounded(x, w));
        Ok(y)
    }

    fn matmul_nn(&self, x: &Size, w: &Size) -> Result<Size> {
        let y = self.sized((x.rows, w.cols));
        drop(self.rounded(x, w));
        Ok(y)
    }

    fn add_matmul_nt(&self, _: &mut Size, _: f32, x: &Size, w: &Size) -> Result<()> {
        drop(self.rounded(x, w));
        Ok(())
    }

    fn add_matmul_nn(&self, _: &mut Size, _: f32, x: &Size, w: &Size) -> Result<()> {
        drop(self.rounded(x, w));
        Ok(())
    }

    fn add_matmul_tn(&self, _: &mut Size, _: f32, _: &Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn gather_rows(&self, table: &Size, rows: &[u32]) -> Result<Size> {
        Ok(self.sized((rows.len(), table.cols)))
    }

    fn scatter_add_rows(&self, _: &mut Size, _: &[u32], _: &Size) -> Result<()> {
        Ok(())
    }

    fn write_rows(&self, _: &mut Size, _: &[u32], _: &Size) -> Result<()> {
        Ok(())
    }

    fn columns(&self, x: &Size, columns: Range<usize>) -> Result<Size> {
        Ok(self.sized((x.rows, columns.len())))
    }

    fn join_columns(&self, parts: &[&Size]) -> Result<Size> {
        let rows = parts.first().map_or(0, |part| part.rows);
        Ok(self.sized((rows, parts.iter().map(|part| part.cols).sum())))
    }

    fn add(&self, _: &mut Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn scale(&self, _: &mut Size, _: f32) -> Result<()> {
        Ok(())
    }

    fn add_bias(&self, _: &mut Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn add_bias_grad(&self, _: &mut Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn scale_columns(&self, _: &mut Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn add_column_products(&self, _: &mut Size, _: &Size, _: &Size) -> Result<()> {
        Ok(())
    }

    fn dropout(&self, x: &Size, _: f32, _: Stream) -> Result<Size> {
        Ok(self.like(x))
    }

    fn activate(&self, _: Activation, x: &Size) -> Result<Size> {
        Ok(self.like(x))
    }

    fn activate_backward(&self, _: Activation, x: &Size, _: &Size) -> Result<Size> {
        Ok(self.like(x))
    }

    fn gated(&self, _: Activation, gate: &Size, _: &Size) -> Result<Size> {
        Ok(self.like(gate))
    }

    fn gated_backward(&self, _: Activation, gate: &Size, up: &Size, _: &Size) -> Result<(Size, Size)> {
        Ok((self.like(gate), self.like(up)))
    }

    fn softcap(&self, _: &mut Size, _: f32) -> Result<()> {
        Ok(())
    }

    fn softcap_backward(&self, _: &Size, _: &mut Size, _: f32) -> Result<()> {
        Ok(())
    }

    fn rms_norm(&self, x: &Size, _: &Size, _: f32) -> Result<Size> {
        Ok(self.like(x))
    }

    fn rms_norm_backward(&self, x: &Size, _: &Size, _: f32, _: &Size, _: Option<&mut Size>) -> Result<Size> {
        Ok(self.like(x))
    }

    fn layer_norm(&self, x: &Size, _: &Size, _: &Size, _: f32) -> Result<Size> {
        Ok(self.like(x))
    }

    fn layer_norm_backward(
        &self,
        x: &Size,
        _: &Size,
        _: f32,
        _: &Size,
        _: Option<(&mut Size, &mut Size)>,
    ) -> Result<Size> {
        Ok(self.like(x))
    }

    fn rotate(&self, _: &mut Size, _: &Size, _: &Size, _: usize, _: bool) -> Result<()> {
        Ok(())
    }

    fn attention(&self, shape: AttentionShape, _: &Spans, q: &Size, _: &Size, _: &Size) -> Result<(Size, Size)> {
        Ok((self.like(q), self.sized((q.rows, shape.heads))))
    }

    fn attention_backward(
        &self,
        _: AttentionShape,
        _: &Spans,
        (q, k, v): (&Size, &Size, &Size),
        _: (&Size, &Size),
        _: &Size,
    ) -> Result<(Size, Size, Size)> {
        Ok((self.like(q), self.like(k), self.like(v)))
    }

    fn cross_entropy(&self, _: &mut Size, _: &[u32], _: &Objective, _: f32) -> Result<f64> {
        Ok(0.0)
    }

    fn row_cross_entropy(&self, _: &mut Size, targets: &[u32], _: &[f32]) -> Result<Vec<f64>> {
        Ok(vec![0.0; targets.len()])
    }

    fn sum_of_squares(&self, _: &Size) -> Result<f64> {
        Ok(1.0)
    }

    fn adamw(&self, _: &mut Size, _: &Size, _: (&mut Size, &mut Size), _: &AdamWStep) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fused;

    /// A few operations that a block is made of.
    fn work<B: Backend>(backend: &B) -> Result<()> {
        let matrix = HostMatrix::from_f32(&vec![0.5; 600 * 500], 600, 500)?;
        let (x, w) = (backend.zeros(700, 500)?, backend.weight(&matrix)?);
        for _ in 0..3 {
            let y = backend.matmul_nt(&x, &w)?;
            let h = backend.gated(Activation::Silu, &y, &y)?;
            let dx = backend.matmul_nn(&h, &w)?;
            drop((y, h));
            backend.duplicate(&dx)?;
        }
        Ok(())
    }

    #[test]
    fn what_is_counted_is_what_the_cpu_holds() {
        let (fused, tally) = (Fused::new(1).unwrap(), Tally::default());
        work(&fused).unwrap();
        work(&tally).unwrap();
        assert!(tally.held_bytes() > 4 * (700 * 500 + 2 * 700 * 600), "{}", tally.held_bytes());
        let ratio = fused.held_buffer_bytes() as f64 / tally.held_bytes() as f64;
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
        assert_eq!(tally.used_bytes(), 0);
    }
}
