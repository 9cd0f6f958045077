//! The CPU back end: pooled buffers, a thread pool of its own, products of its own, everything between them fused over
//! blocks of rows. Results do not depend on the number of threads: work is cut in blocks of a fixed size, and sums over
//! blocks are added in their order.
//!
//! Long because an `impl` cannot be divided: it holds the whole list of operations.

mod attention;
mod blocks;
mod checks;
mod few_rows;
mod math;
mod micro;
mod one_query;
mod panels;
pub mod pool;
mod product;
pub mod rows;
mod simd;
mod tensor;
mod weights;

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

pub use simd::Simd;
pub use tensor::Tensor;

use self::{
    checks::{check, check_attention, check_rows, same_shape},
    few_rows::FEW_ROWS,
    pool::{Buffer, Pool},
    product::Output,
    tensor::Data,
};
use crate::{
    Activation, AdamWStep, AttentionShape, Backend, HostMatrix, KernelError, Objective, Precision, Result, RowLoss,
    RowOrder, Spans, Term, backend::one_by_one, random::Stream,
};

/// Numbers of one block of element-wise work: fits the second-level cache and is worth a task.
const BLOCK: usize = 1 << 14;

/// Rows that are worth a task when columns are copied.
const ROWS_PER_COPY: usize = 64;

/// Stored `bytes` of some precision, whole blocks, as 32-bit floats.
pub(crate) fn widen(precision: Precision, bytes: &[u8], out: &mut [f32]) {
    if precision.is_blocks() {
        blocks::widen_blocks(precision, bytes, out);
    } else {
        rows::widen_floats(precision, bytes, out);
    }
}

/// The CPU, with a number of worker threads.
#[derive(Clone)]
pub struct Fused {
    pool: Pool,
    threads: usize,
    workers: Arc<rayon::ThreadPool>,
    simd: Simd,
    /// Products with frozen weights round both operands to 16 bits.
    narrow: bool,
}

impl Fused {
    /// A CPU back end with `threads` workers (at least one).
    ///
    /// # Errors
    /// [`KernelError::Threads`] where the system starts no threads.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("kernel-{i}"))
            .build()
            .map_err(|e| KernelError::Threads { threads, reason: e.to_string() })?;
        Ok(Self { pool: Pool::default(), threads, workers: Arc::new(workers), simd: Simd::best(), narrow: false })
    }

    /// The same with no more than the vector instructions `most` in products.
    pub fn with_simd(self, most: Simd) -> Self {
        Self { simd: most.min(Simd::best()), ..self }
    }

    /// The same with operands of products with frozen weights rounded to 16 bits (bfloat16), sums in 32: about twice as fast
    /// where the processor multiplies pairs of them, and the same rounding where it does not.
    pub fn with_bf16(self) -> Self {
        Self { narrow: true, ..self }
    }

    /// Most bytes of buffers that were ever in use at once; frozen weights are not counted.
    pub fn peak_buffer_bytes(&self) -> usize {
        self.pool.peak_bytes()
    }

    /// Most bytes of buffers that were ever in use or kept for use at once; frozen weights are not counted.
    pub fn held_buffer_bytes(&self) -> usize {
        self.pool.held_bytes()
    }

    fn take(&self, rows: usize, cols: usize) -> Buffer {
        self.pool.take(rows * cols)
    }

    /// A buffer of which attention writes the rows of every query; zeros where some row belongs to no sequence.
    fn take_for_queries(&self, spans: &Spans, rows: usize, cols: usize) -> Buffer {
        let written: usize = spans.queries.iter().map(ExactSizeIterator::len).sum();
        if written == rows { self.take(rows, cols) } else { self.pool.zeros(rows * cols) }
    }

    /// A new tensor of the shape of `x`, filled block by block from blocks of `x` whose length is a multiple of `unit`.
    fn map(&self, op: &'static str, x: &Tensor, unit: usize, f: impl Fn(&[f32], &mut [f32]) + Sync) -> Result<Tensor> {
        let mut y = self.take(x.rows, x.cols);
        let block = block_of(unit);
        y.par_chunks_mut(block).zip(x.read(op)?.par_chunks(block)).for_each(|(y, x)| f(x, y));
        Ok(Tensor::owned(y, x.rows, x.cols))
    }
}

/// The block size that is a multiple of `unit` numbers.
fn block_of(unit: usize) -> usize {
    (BLOCK / unit.max(1)).max(1) * unit.max(1)
}

impl Backend for Fused {
    type Tensor = Tensor;

    fn device_name(&self) -> String {
        "cpu".to_owned()
    }

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.workers.install(work)
    }

    fn upload(&self, data: Vec<f32>, rows: usize, cols: usize) -> Result<Tensor> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(KernelError::Length { rows, cols, found: data.len() });
        }
        Ok(Tensor::owned(self.pool.adopt(data), rows, cols))
    }

    fn weight(&self, matrix: &HostMatrix) -> Result<Tensor> {
        let is_plain = matrix.precision() == Precision::F32 && matrix.order() == RowOrder::Stored;
        if is_plain && matrix.as_f32().is_none() {
            let data = Data::Copied(self.pool.adopt(matrix.to_f32()));
            return Ok(Tensor { rows: matrix.rows(), cols: matrix.cols(), data });
        }
        Ok(Tensor { rows: matrix.rows(), cols: matrix.cols(), data: Data::Stored(matrix.clone()) })
    }

    fn zeros(&self, rows: usize, cols: usize) -> Result<Tensor> {
        Ok(Tensor::owned(self.pool.zeros(rows * cols), rows, cols))
    }

    fn duplicate(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = self.take(x.rows, x.cols);
        match (&x.data, x.as_f32()) {
            (Data::Stored(matrix), None) => matrix.widen_rows(0, &mut y),
            (_, numbers) => y.copy_from_slice(numbers.unwrap_or_default()),
        }
        Ok(Tensor::owned(y, x.rows, x.cols))
    }

    fn download(&self, x: &Tensor) -> Result<Vec<f32>> {
        Ok(match (&x.data, x.as_f32()) {
            (Data::Stored(matrix), None) => matrix.to_f32(),
            (_, numbers) => numbers.unwrap_or_default().to_vec(),
        })
    }

    fn overwrite(&self, x: &mut Tensor, data: &[f32]) -> Result<()> {
        let (rows, cols) = x.shape();
        let target = x.write("overwrite")?;
        if target.len() != data.len() {
            return Err(KernelError::Length { rows, cols, found: data.len() });
        }
        target.copy_from_slice(data);
        Ok(())
    }

    fn shape(&self, x: &Tensor) -> (usize, usize) {
        x.shape()
    }

    fn matmul_nt(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        check("matmul_nt", x, w, x.cols == w.cols)?;
        let mut y = self.take(x.rows, w.rows);
        self.nt(&mut y, 1.0, false, x, w)?;
        Ok(Tensor::owned(y, x.rows, w.rows))
    }

    fn matmul_nt_each(&self, x: &Tensor, weights: &[&Tensor]) -> Result<Vec<Tensor>> {
        for w in weights {
            check("matmul_nt_each", x, w, x.cols == w.cols)?;
        }
        self.nt_each(x, weights)
    }

    fn matmul_nn(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        check("matmul_nn", x, w, x.cols == w.rows)?;
        let mut y = self.take(x.rows, w.cols);
        self.nn(&mut y, 1.0, false, x, w)?;
        Ok(Tensor::owned(y, x.rows, w.cols))
    }

    fn add_matmul_nt(&self, y: &mut Tensor, alpha: f32, x: &Tensor, w: &Tensor) -> Result<()> {
        check("add_matmul_nt", x, w, x.cols == w.cols && y.shape() == (x.rows, w.rows))?;
        self.nt(y.write("add_matmul_nt")?, alpha, true, x, w)
    }

    fn add_matmul_nn(&self, y: &mut Tensor, alpha: f32, x: &Tensor, w: &Tensor) -> Result<()> {
        check("add_matmul_nn", x, w, x.cols == w.rows && y.shape() == (x.rows, w.cols))?;
        self.nn(y.write("add_matmul_nn")?, alpha, true, x, w)
    }

    fn joins_products(&self, rows: usize) -> bool {
        rows <= FEW_ROWS
    }

    fn sum_of_products(
        &self,
        onto: Option<Tensor>,
        first: Term<'_, Tensor>,
        more: &[Term<'_, Tensor>],
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let op = "sum_of_products";
        let (rows, cols) = (first.x.rows, if first.transposed { first.w.rows } else { first.w.cols });
        let terms: Vec<_> = std::iter::once(first).chain(more.iter().copied()).collect();
        if rows <= FEW_ROWS || terms.iter().any(|t| t.x.cols == 0) {
            return one_by_one(self, onto, first, more, bias);
        }
        for Term { x, w, transposed, .. } in &terms {
            let (inner, n) = if *transposed { (w.cols, w.rows) } else { (w.rows, w.cols) };
            check(op, x, w, x.cols == inner && x.rows == rows && n == cols)?;
        }
        let bias = bias.map(|b| check(op, first.w, b, b.shape() == (1, cols)).and_then(|()| b.read(op))).transpose()?;
        let accumulate = onto.is_some();
        let mut y = match onto {
            Some(y) => check(op, &y, first.w, y.shape() == (rows, cols)).map(|()| y)?,
            None => Tensor::owned(self.take(rows, cols), rows, cols),
        };
        self.sum(Output { bias, accumulate, ..Output::new(rows, cols) }, y.write(op)?, &terms)?;
        Ok(y)
    }

    fn add_matmul_tn(&self, g: &mut Tensor, alpha: f32, x: &Tensor, y: &Tensor) -> Result<()> {
        check("add_matmul_tn", x, y, x.rows == y.rows && g.shape() == (x.cols, y.cols))?;
        let (a, b) = (x.read("add_matmul_tn")?, y.read("add_matmul_tn")?);
        self.tn(g.write("add_matmul_tn")?, alpha, (a, x.cols), (b, y.cols));
        Ok(())
    }

    fn gather_rows(&self, table: &Tensor, rows: &[u32]) -> Result<Tensor> {
        check_rows("gather_rows", rows, table.rows)?;
        let cols = table.cols;
        let mut y = self.take(rows.len(), cols);
        for (out, row) in y.chunks_exact_mut(cols.max(1)).zip(rows) {
            let at = *row as usize;
            match (&table.data, table.as_f32()) {
                (Data::Stored(matrix), None) => matrix.widen_rows(at, out),
                (_, numbers) => out.copy_from_slice(&numbers.unwrap_or_default()[at * cols..(at + 1) * cols]),
            }
        }
        Ok(Tensor::owned(y, rows.len(), cols))
    }

    fn scatter_add_rows(&self, g: &mut Tensor, rows: &[u32], x: &Tensor) -> Result<()> {
        check_rows("scatter_add_rows", rows, g.rows)?;
        check("scatter_add_rows", g, x, g.cols == x.cols && rows.len() == x.rows)?;
        let cols = g.cols;
        let target = g.write("scatter_add_rows")?;
        for (x, row) in x.read("scatter_add_rows")?.chunks_exact(cols.max(1)).zip(rows) {
            let at = *row as usize * cols;
            rows::add(&mut target[at..at + cols], x);
        }
        Ok(())
    }

    fn write_rows(&self, target: &mut Tensor, rows: &[u32], x: &Tensor) -> Result<()> {
        check("write_rows", target, x, target.cols == x.cols && rows.len() == x.rows)?;
        check_rows("write_rows", rows, target.rows)?;
        let cols = target.cols;
        let target = target.write("write_rows")?;
        for (x, row) in x.read("write_rows")?.chunks_exact(cols.max(1)).zip(rows) {
            let at = *row as usize * cols;
            target[at..at + cols].copy_from_slice(x);
        }
        Ok(())
    }

    fn columns(&self, x: &Tensor, columns: Range<usize>) -> Result<Tensor> {
        let n = columns.len();
        if columns.start > columns.end || columns.end > x.cols {
            return Err(KernelError::Shape { op: "columns", left: x.shape(), right: (columns.start, columns.end) });
        }
        let mut y = self.take(x.rows, n);
        let rows = y.par_chunks_exact_mut(n.max(1)).zip(x.read("columns")?.par_chunks_exact(x.cols.max(1)));
        rows.with_min_len(ROWS_PER_COPY).for_each(|(y, x)| y.copy_from_slice(&x[columns.clone()]));
        Ok(Tensor::owned(y, x.rows, n))
    }

    fn join_columns(&self, parts: &[&Tensor]) -> Result<Tensor> {
        let (rows, cols) = (parts.first().map_or(0, |p| p.rows), parts.iter().map(|p| p.cols).sum());
        let mut y = self.take(rows, cols);
        let mut from = 0;
        for part in parts {
            check("join_columns", parts[0], part, part.rows == rows)?;
            let ends = from..from + part.cols;
            let x = part.read("join_columns")?.par_chunks_exact(part.cols.max(1));
            let rows = y.par_chunks_exact_mut(cols.max(1)).zip(x).with_min_len(ROWS_PER_COPY);
            rows.for_each(|(y, x)| y[ends.clone()].copy_from_slice(x));
            from = ends.end;
        }
        Ok(Tensor::owned(y, rows, cols))
    }

    fn add(&self, y: &mut Tensor, x: &Tensor) -> Result<()> {
        same_shape("add", y, x)?;
        let x = x.read("add")?;
        y.write("add")?.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| rows::add(y, x));
        Ok(())
    }

    fn scale(&self, y: &mut Tensor, alpha: f32) -> Result<()> {
        y.write("scale")?.par_chunks_mut(BLOCK).for_each(|y| rows::scale(y, alpha));
        Ok(())
    }

    fn add_bias(&self, y: &mut Tensor, bias: &Tensor) -> Result<()> {
        check("add_bias", y, bias, bias.shape() == (1, y.cols))?;
        let (b, block) = (bias.read("add_bias")?, block_of(y.cols));
        y.write("add_bias")?.par_chunks_mut(block).for_each(|y| rows::add_bias(y, b));
        Ok(())
    }

    fn add_bias_grad(&self, g: &mut Tensor, dy: &Tensor) -> Result<()> {
        check("add_bias_grad", g, dy, g.shape() == (1, dy.cols))?;
        rows::add_columns(g.write("add_bias_grad")?, dy.read("add_bias_grad")?);
        Ok(())
    }

    fn scale_columns(&self, y: &mut Tensor, factors: &Tensor) -> Result<()> {
        check("scale_columns", y, factors, factors.shape() == (1, y.cols))?;
        let (f, block) = (factors.read("scale_columns")?, block_of(y.cols));
        y.write("scale_columns")?.par_chunks_mut(block).for_each(|y| rows::scale_columns(y, f));
        Ok(())
    }

    fn add_column_products(&self, g: &mut Tensor, x: &Tensor, y: &Tensor) -> Result<()> {
        same_shape("add_column_products", x, y)?;
        check("add_column_products", g, x, g.shape() == (1, x.cols))?;
        let (x, y) = (x.read("add_column_products")?, y.read("add_column_products")?);
        rows::add_column_products(g.write("add_column_products")?, x, y);
        Ok(())
    }

    fn dropout(&self, x: &Tensor, rate: f32, stream: Stream) -> Result<Tensor> {
        let mut y = self.take(x.rows, x.cols);
        let blocks = y.par_chunks_mut(BLOCK).zip(x.read("dropout")?.par_chunks(BLOCK)).enumerate();
        blocks.for_each(|(i, (y, x))| {
            stream.fill_mask((i * BLOCK) as u64, rate, y);
            rows::multiply(y, x);
        });
        Ok(Tensor::owned(y, x.rows, x.cols))
    }

    fn activate(&self, f: Activation, x: &Tensor) -> Result<Tensor> {
        self.map("activate", x, 1, |x, y| rows::activate(f, x, y))
    }

    fn activate_backward(&self, f: Activation, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        same_shape("activate_backward", x, dy)?;
        let (mut dx, x_numbers) = (self.take(x.rows, x.cols), x.read("activate_backward")?);
        let inputs = x_numbers.par_chunks(BLOCK).zip(dy.read("activate_backward")?.par_chunks(BLOCK));
        let blocks = dx.par_chunks_mut(BLOCK).zip(inputs);
        blocks.for_each(|(dx, (x, dy))| rows::activate_backward(f, x, dy, dx));
        Ok(Tensor::owned(dx, x.rows, x.cols))
    }

    fn gated(&self, f: Activation, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        same_shape("gated", gate, up)?;
        let mut h = self.take(gate.rows, gate.cols);
        let (g, u) = (gate.read("gated")?, up.read("gated")?);
        let blocks = h.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK)).zip(u.par_chunks(BLOCK));
        blocks.for_each(|((h, g), u)| rows::gated(f, g, u, h));
        Ok(Tensor::owned(h, gate.rows, gate.cols))
    }

    fn gated_backward(&self, f: Activation, gate: &Tensor, up: &Tensor, dh: &Tensor) -> Result<(Tensor, Tensor)> {
        same_shape("gated_backward", gate, up)?;
        same_shape("gated_backward", gate, dh)?;
        let (mut dgate, mut dup) = (self.take(gate.rows, gate.cols), self.take(gate.rows, gate.cols));
        let (g, u, dh) = (gate.read("gated_backward")?, up.read("gated_backward")?, dh.read("gated_backward")?);
        let inputs = g.par_chunks(BLOCK).zip(u.par_chunks(BLOCK)).zip(dh.par_chunks(BLOCK));
        let outputs = dgate.par_chunks_mut(BLOCK).zip(dup.par_chunks_mut(BLOCK));
        inputs.zip(outputs).for_each(|(((g, u), dh), (dg, du))| rows::gated_backward(f, g, u, dh, dg, du));
        Ok((Tensor::owned(dgate, gate.rows, gate.cols), Tensor::owned(dup, gate.rows, gate.cols)))
    }

    fn softcap(&self, y: &mut Tensor, cap: f32) -> Result<()> {
        y.write("softcap")?.par_chunks_mut(BLOCK).for_each(|y| rows::softcap(y, cap));
        Ok(())
    }

    fn softcap_backward(&self, y: &Tensor, dy: &mut Tensor, cap: f32) -> Result<()> {
        same_shape("softcap_backward", y, dy)?;
        let y = y.read("softcap_backward")?.par_chunks(BLOCK);
        let blocks = dy.write("softcap_backward")?.par_chunks_mut(BLOCK).zip(y);
        blocks.for_each(|(dy, y)| rows::softcap_backward(y, dy, cap));
        Ok(())
    }

    fn rms_norm(&self, x: &Tensor, w: &Tensor, eps: f32) -> Result<Tensor> {
        check("rms_norm", x, w, w.rows == 1 && w.cols > 0 && x.cols.is_multiple_of(w.cols))?;
        let weight = w.read("rms_norm")?;
        self.map("rms_norm", x, x.cols, |x, y| rows::rms_norm(x, weight, eps, y))
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        eps: f32,
        dy: &Tensor,
        dw: Option<&mut Tensor>,
    ) -> Result<Tensor> {
        check("rms_norm_backward", x, w, w.rows == 1 && w.cols > 0 && x.cols.is_multiple_of(w.cols))?;
        same_shape("rms_norm_backward", x, dy)?;
        dw.as_deref().map_or(Ok(()), |dw| same_shape("rms_norm_backward", w, dw))?;
        let mut dx = self.take(x.rows, x.cols);
        let block = block_of(x.cols);
        let (weight, n) = (w.read("rms_norm_backward")?, if dw.is_some() { w.cols } else { 0 });
        let inputs =
            x.read("rms_norm_backward")?.par_chunks(block).zip(dy.read("rms_norm_backward")?.par_chunks(block));
        let sums: Vec<Vec<f32>> = inputs
            .zip(dx.par_chunks_mut(block))
            .map(|((x, dy), dx)| {
                let mut dw = vec![0.0; n];
                rows::rms_norm_backward(x, weight, eps, dy, dx, &mut dw);
                dw
            })
            .collect();
        if let Some(dw) = dw {
            let dw = dw.write("rms_norm_backward")?;
            sums.iter().for_each(|s| rows::add(dw, s));
        }
        Ok(Tensor::owned(dx, x.rows, x.cols))
    }

    fn layer_norm(&self, x: &Tensor, w: &Tensor, b: &Tensor, eps: f32) -> Result<Tensor> {
        check("layer_norm", x, w, w.shape() == (1, x.cols) && b.shape() == (1, x.cols))?;
        let (w, b) = (w.read("layer_norm")?, b.read("layer_norm")?);
        self.map("layer_norm", x, x.cols, |x, y| rows::layer_norm(x, w, b, eps, y))
    }

    fn layer_norm_backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        eps: f32,
        dy: &Tensor,
        grads: Option<(&mut Tensor, &mut Tensor)>,
    ) -> Result<Tensor> {
        check("layer_norm_backward", x, w, w.shape() == (1, x.cols))?;
        same_shape("layer_norm_backward", x, dy)?;
        if let Some((dw, db)) = &grads {
            same_shape("layer_norm_backward", w, dw)?;
            same_shape("layer_norm_backward", w, db)?;
        }
        let mut dx = self.take(x.rows, x.cols);
        let block = block_of(x.cols);
        let (weight, n) = (w.read("layer_norm_backward")?, if grads.is_some() { w.cols } else { 0 });
        let (x_numbers, dy) = (x.read("layer_norm_backward")?, dy.read("layer_norm_backward")?);
        let inputs = x_numbers.par_chunks(block).zip(dy.par_chunks(block)).zip(dx.par_chunks_mut(block));
        let sums: Vec<(Vec<f32>, Vec<f32>)> = inputs
            .map(|((x, dy), dx)| {
                let (mut dw, mut db) = (vec![0.0; n], vec![0.0; n]);
                rows::layer_norm_backward(x, weight, eps, dy, dx, &mut dw, &mut db);
                (dw, db)
            })
            .collect();
        if let Some((dw, db)) = grads {
            let (dw, db) = (dw.write("layer_norm_backward")?, db.write("layer_norm_backward")?);
            for (w, b) in &sums {
                rows::add(dw, w);
                rows::add(db, b);
            }
        }
        Ok(Tensor::owned(dx, x.rows, x.cols))
    }

    fn rotate(&self, x: &mut Tensor, cos: &Tensor, sin: &Tensor, head_dim: usize, backward: bool) -> Result<()> {
        let (half, cols) = (cos.cols, x.cols);
        let fits = half > 0 && 2 * half <= head_dim && cols > 0 && cols.is_multiple_of(head_dim);
        check("rotate", x, cos, fits && x.rows == cos.rows)?;
        same_shape("rotate", cos, sin)?;
        let sign = if backward { -1.0 } else { 1.0 };
        let per_block = block_of(cols) / cols;
        let angles =
            cos.read("rotate")?.par_chunks(per_block * half).zip(sin.read("rotate")?.par_chunks(per_block * half));
        let blocks = x.write("rotate")?.par_chunks_mut(per_block * cols).zip(angles);
        blocks.for_each(|(x, (cos, sin))| {
            let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
            for (row, (cos, sin)) in x.chunks_exact_mut(cols).zip(angles) {
                rows::rotate(row, head_dim, cos, sin, sign);
            }
        });
        Ok(())
    }

    fn attention(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        check_attention(shape, spans, q, k, v)?;
        let mut out = self.take_for_queries(spans, q.rows, q.cols);
        let mut lse = self.take_for_queries(spans, q.rows, shape.heads);
        let x = attention::Inputs { q: q.read("attention")?, k: k.read("attention")?, v: v.read("attention")? };
        if one_query::fits(spans) {
            one_query::forward(self.simd, shape, spans, x, &mut out, &mut lse);
        } else {
            attention::forward(self.simd, shape, spans, x, &mut out, &mut lse);
        }
        Ok((Tensor::owned(out, q.rows, q.cols), Tensor::owned(lse, q.rows, shape.heads)))
    }

    fn attention_backward(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        (out, lse): (&Tensor, &Tensor),
        dout: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let op = "attention_backward";
        check_attention(shape, spans, q, k, v)?;
        same_shape(op, q, dout)?;
        same_shape(op, q, out)?;
        check(op, q, lse, lse.shape() == (q.rows, shape.heads))?;
        let mut dq = self.take_for_queries(spans, q.rows, q.cols);
        let (mut dk, mut dv) = (self.zeros(k.rows, k.cols)?, self.zeros(v.rows, v.cols)?);
        let x = attention::Inputs { q: q.read(op)?, k: k.read(op)?, v: v.read(op)? };
        let saved = attention::Saved { out: out.read(op)?, lse: lse.read(op)?, dout: dout.read(op)? };
        attention::backward(self.simd, shape, spans, x, saved, (&mut dq, dk.write(op)?, dv.write(op)?));
        Ok((Tensor::owned(dq, q.rows, q.cols), dk, dv))
    }

    fn cross_entropy(&self, logits: &mut Tensor, targets: &[u32], objective: &Objective, factor: f32) -> Result<f64> {
        check_rows("cross_entropy", targets, logits.cols)?;
        let (rows, cols) = logits.shape();
        if targets.len() != rows {
            return Err(KernelError::Length { rows, cols, found: targets.len() });
        }
        let weights = objective.class_weights.as_slice();
        if !weights.is_empty() && weights.len() != cols {
            return Err(KernelError::Length { rows: 1, cols, found: weights.len() });
        }
        let row = |z: &mut [f32], t: usize| match objective.loss {
            RowLoss::CrossEntropy { smoothing: 0.0 } if weights.is_empty() => rows::cross_entropy(z, t, factor),
            RowLoss::CrossEntropy { smoothing } => rows::smoothed_cross_entropy(z, weights, smoothing, t, factor),
            RowLoss::Focal { alpha, gamma } => rows::focal(z, alpha * objective.weight_of(t), gamma, t, factor),
        };
        let blocks = logits.write("cross_entropy")?.par_chunks_mut(cols.max(1)).zip(targets);
        let losses: Vec<f64> = blocks.map(|(z, t)| row(z, *t as usize)).collect();
        Ok(losses.iter().sum())
    }

    fn row_cross_entropy(&self, logits: &mut Tensor, targets: &[u32], weights: &[f32]) -> Result<Vec<f64>> {
        let op = "row_cross_entropy";
        check_rows(op, targets, logits.cols)?;
        let (rows, cols) = logits.shape();
        for found in [targets.len(), weights.len()] {
            if found != rows {
                return Err(KernelError::Length { rows, cols: 1, found });
            }
        }
        let blocks = logits.write(op)?.par_chunks_mut(cols.max(1)).zip(targets).zip(weights);
        Ok(blocks.map(|((z, t), weight)| rows::cross_entropy(z, *t as usize, *weight)).collect())
    }

    fn sum_of_squares(&self, x: &Tensor) -> Result<f64> {
        Ok(rows::sum_of_squares(x.read("sum_of_squares")?))
    }

    fn adamw(&self, w: &mut Tensor, grad: &Tensor, (m, v): (&mut Tensor, &mut Tensor), step: &AdamWStep) -> Result<()> {
        same_shape("adamw", w, grad)?;
        same_shape("adamw", w, m)?;
        same_shape("adamw", w, v)?;
        let g = grad.read("adamw")?.par_chunks(BLOCK);
        let moments = m.write("adamw")?.par_chunks_mut(BLOCK).zip(v.write("adamw")?.par_chunks_mut(BLOCK));
        let blocks = w.write("adamw")?.par_chunks_mut(BLOCK).zip(g).zip(moments);
        blocks.for_each(|((w, g), (m, v))| rows::adamw(w, g, m, v, step));
        Ok(())
    }
}
