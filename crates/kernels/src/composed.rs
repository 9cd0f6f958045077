//! The composed back end: every operation written in operations of candle, so that it runs wherever candle does.
//! Nothing here records a graph (no variable ever enters) and nothing waits for the device, except for returned numbers.
//!
//! It is also the second opinion on the fused back end: tests hold the two equal.

mod attention;
mod norms;
mod objective;
mod operand;
mod pointwise;
mod products;
mod rows;

use std::{borrow::Cow, ops::Range};

use candle_core::{DType, Device, DeviceLocation, Tensor};

pub use self::operand::DeviceMatrix;
use self::operand::{StoredBlocks, expect_equal, expect_indices, expect_one_per_row, ordered};
use crate::{
    Activation, AdamWStep, AttentionShape, Backend, HostMatrix, KernelError, Objective, Precision, Result, Spans,
    random::Stream,
};

/// A candle device and its operations.
#[derive(Clone, Debug)]
pub struct Composed {
    device: Device,
    /// Frozen weights have 16 bits, and products with them round both operands.
    narrow: bool,
}

impl Composed {
    /// The operations on any candle device.
    pub fn new(device: Device) -> Self {
        Self { device, narrow: false }
    }

    /// The same with frozen weights, and what they are multiplied with, rounded to 16 bits (bfloat16).
    pub fn with_bf16(self) -> Self {
        Self { narrow: true, ..self }
    }

    /// The operations on the processor.
    pub fn cpu() -> Self {
        Self::new(Device::Cpu)
    }

    /// The operations on the CUDA device `ordinal`.
    ///
    /// # Errors
    /// [`KernelError::Device`] where there is no such device, or no support for it in this build.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        Ok(Self::new(Device::new_cuda(ordinal)?))
    }

    /// The operations on the Metal device `ordinal`.
    ///
    /// # Errors
    /// [`KernelError::Device`] where there is no such device, or no support for it in this build.
    pub fn metal(ordinal: usize) -> Result<Self> {
        Ok(Self::new(Device::new_metal(ordinal)?))
    }

    /// The candle device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Backend for Composed {
    type Tensor = DeviceMatrix;

    fn device_name(&self) -> String {
        match self.device.location() {
            DeviceLocation::Cpu => "cpu".into(),
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        }
    }

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    fn upload(&self, data: Vec<f32>, rows: usize, cols: usize) -> Result<DeviceMatrix> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(KernelError::Length { rows, cols, found: data.len() });
        }
        Ok(DeviceMatrix::new(Tensor::from_vec(data, (rows, cols), &self.device)?))
    }

    fn weight(&self, matrix: &HostMatrix) -> Result<DeviceMatrix> {
        let dtype = match matrix.precision() {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
            _ => return StoredBlocks::new(matrix, &self.device).map(DeviceMatrix::blocks),
        };
        let shape = [matrix.rows(), matrix.cols()];
        let stored = Tensor::from_raw_buffer(matrix.stored_bytes(), dtype, &shape, &self.device)?;
        let stored = if self.narrow && matrix.rows() > 1 { stored.to_dtype(DType::BF16)? } else { stored };
        Ok(DeviceMatrix::frozen(ordered(stored, matrix.order())?))
    }

    fn zeros(&self, rows: usize, cols: usize) -> Result<DeviceMatrix> {
        Ok(DeviceMatrix::new(Tensor::zeros((rows, cols), DType::F32, &self.device)?))
    }

    fn duplicate(&self, x: &DeviceMatrix) -> Result<DeviceMatrix> {
        // A true copy: `write_rows` changes numbers where they lie.
        Ok(DeviceMatrix::new(match x.widened()? {
            Cow::Borrowed(numbers) => numbers.copy()?,
            Cow::Owned(numbers) => numbers,
        }))
    }

    fn download(&self, x: &DeviceMatrix) -> Result<Vec<f32>> {
        Ok(x.widened()?.flatten_all()?.to_vec1()?)
    }

    fn overwrite(&self, x: &mut DeviceMatrix, data: &[f32]) -> Result<()> {
        let (rows, cols) = x.shape();
        if data.len() != rows * cols {
            return Err(KernelError::Length { rows, cols, found: data.len() });
        }
        *x.owned("overwrite")? = Tensor::from_slice(data, (rows, cols), &self.device)?;
        Ok(())
    }

    fn shape(&self, x: &DeviceMatrix) -> (usize, usize) {
        x.shape()
    }

    fn matmul_nt(&self, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<DeviceMatrix> {
        products::nt("matmul_nt", self.narrow, x, w).map(DeviceMatrix::new)
    }

    fn matmul_nn(&self, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<DeviceMatrix> {
        products::nn("matmul_nn", self.narrow, x, w).map(DeviceMatrix::new)
    }

    fn add_matmul_nt(&self, y: &mut DeviceMatrix, alpha: f32, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<()> {
        products::accumulate("add_matmul_nt", y, alpha, products::nt("add_matmul_nt", self.narrow, x, w)?)
    }

    fn add_matmul_nn(&self, y: &mut DeviceMatrix, alpha: f32, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<()> {
        products::accumulate("add_matmul_nn", y, alpha, products::nn("add_matmul_nn", self.narrow, x, w)?)
    }

    fn add_matmul_tn(&self, g: &mut DeviceMatrix, alpha: f32, x: &DeviceMatrix, y: &DeviceMatrix) -> Result<()> {
        products::accumulate("add_matmul_tn", g, alpha, products::tn("add_matmul_tn", x, y)?)
    }

    fn gather_rows(&self, table: &DeviceMatrix, rows: &[u32]) -> Result<DeviceMatrix> {
        rows::gather(table, rows).map(DeviceMatrix::new)
    }

    fn scatter_add_rows(&self, g: &mut DeviceMatrix, rows: &[u32], x: &DeviceMatrix) -> Result<()> {
        rows::scatter_add(g, rows, x)
    }

    fn write_rows(&self, target: &mut DeviceMatrix, rows: &[u32], x: &DeviceMatrix) -> Result<()> {
        rows::write(target, rows, x)
    }

    fn columns(&self, x: &DeviceMatrix, columns: Range<usize>) -> Result<DeviceMatrix> {
        rows::columns(x, columns).map(DeviceMatrix::new)
    }

    fn join_columns(&self, parts: &[&DeviceMatrix]) -> Result<DeviceMatrix> {
        rows::join_columns(parts).map(DeviceMatrix::new)
    }

    fn add(&self, y: &mut DeviceMatrix, x: &DeviceMatrix) -> Result<()> {
        pointwise::add(y, x)
    }

    fn scale(&self, y: &mut DeviceMatrix, alpha: f32) -> Result<()> {
        let y = y.owned("scale")?;
        *y = y.affine(f64::from(alpha), 0.0)?;
        Ok(())
    }

    fn add_bias(&self, y: &mut DeviceMatrix, bias: &DeviceMatrix) -> Result<()> {
        pointwise::add_bias(y, bias)
    }

    fn add_bias_grad(&self, g: &mut DeviceMatrix, dy: &DeviceMatrix) -> Result<()> {
        pointwise::add_bias_grad(g, dy)
    }

    fn scale_columns(&self, y: &mut DeviceMatrix, factors: &DeviceMatrix) -> Result<()> {
        pointwise::scale_columns(y, factors)
    }

    fn add_column_products(&self, g: &mut DeviceMatrix, x: &DeviceMatrix, y: &DeviceMatrix) -> Result<()> {
        pointwise::add_column_products(g, x, y)
    }

    fn dropout(&self, x: &DeviceMatrix, rate: f32, stream: Stream) -> Result<DeviceMatrix> {
        pointwise::dropout(x, rate, stream).map(DeviceMatrix::new)
    }

    fn activate(&self, f: Activation, x: &DeviceMatrix) -> Result<DeviceMatrix> {
        pointwise::value(f, x.floats("activate")?).map(DeviceMatrix::new)
    }

    fn activate_backward(&self, f: Activation, x: &DeviceMatrix, dy: &DeviceMatrix) -> Result<DeviceMatrix> {
        pointwise::activate_backward(f, x, dy).map(DeviceMatrix::new)
    }

    fn gated(&self, f: Activation, gate: &DeviceMatrix, up: &DeviceMatrix) -> Result<DeviceMatrix> {
        pointwise::gated(f, gate, up).map(DeviceMatrix::new)
    }

    fn gated_backward(
        &self,
        f: Activation,
        gate: &DeviceMatrix,
        up: &DeviceMatrix,
        dh: &DeviceMatrix,
    ) -> Result<(DeviceMatrix, DeviceMatrix)> {
        let (dgate, dup) = pointwise::gated_backward(f, gate, up, dh)?;
        Ok((DeviceMatrix::new(dgate), DeviceMatrix::new(dup)))
    }

    fn softcap(&self, y: &mut DeviceMatrix, cap: f32) -> Result<()> {
        let y = y.owned("softcap")?;
        *y = pointwise::capped(y, cap)?;
        Ok(())
    }

    fn softcap_backward(&self, y: &DeviceMatrix, dy: &mut DeviceMatrix, cap: f32) -> Result<()> {
        expect_equal("softcap_backward", y.shape(), dy.shape())?;
        let slope = pointwise::cap_slope(y.floats("softcap_backward")?, cap)?;
        let dy = dy.owned("softcap_backward")?;
        *dy = dy.mul(&slope)?;
        Ok(())
    }

    fn rms_norm(&self, x: &DeviceMatrix, w: &DeviceMatrix, eps: f32) -> Result<DeviceMatrix> {
        norms::rms(x, w, eps).map(DeviceMatrix::new)
    }

    fn rms_norm_backward(
        &self,
        x: &DeviceMatrix,
        w: &DeviceMatrix,
        eps: f32,
        dy: &DeviceMatrix,
        dw: Option<&mut DeviceMatrix>,
    ) -> Result<DeviceMatrix> {
        norms::rms_backward(x, w, eps, dy, dw).map(DeviceMatrix::new)
    }

    fn layer_norm(&self, x: &DeviceMatrix, w: &DeviceMatrix, b: &DeviceMatrix, eps: f32) -> Result<DeviceMatrix> {
        norms::layer(x, w, b, eps).map(DeviceMatrix::new)
    }

    fn layer_norm_backward(
        &self,
        x: &DeviceMatrix,
        w: &DeviceMatrix,
        eps: f32,
        dy: &DeviceMatrix,
        grads: Option<(&mut DeviceMatrix, &mut DeviceMatrix)>,
    ) -> Result<DeviceMatrix> {
        norms::layer_backward(x, w, eps, dy, grads).map(DeviceMatrix::new)
    }

    fn rotate(
        &self,
        x: &mut DeviceMatrix,
        cos: &DeviceMatrix,
        sin: &DeviceMatrix,
        head_dim: usize,
        backward: bool,
    ) -> Result<()> {
        rows::rotate(x, cos, sin, head_dim, backward)
    }

    fn attention(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        q: &DeviceMatrix,
        k: &DeviceMatrix,
        v: &DeviceMatrix,
    ) -> Result<(DeviceMatrix, DeviceMatrix)> {
        let (out, lse) = attention::forward(shape, spans, q, k, v)?;
        Ok((DeviceMatrix::new(out), DeviceMatrix::new(lse)))
    }

    fn attention_backward(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        qkv: (&DeviceMatrix, &DeviceMatrix, &DeviceMatrix),
        out: (&DeviceMatrix, &DeviceMatrix),
        dout: &DeviceMatrix,
    ) -> Result<(DeviceMatrix, DeviceMatrix, DeviceMatrix)> {
        let [dq, dk, dv] = attention::backward(shape, spans, qkv, out, dout)?;
        Ok((DeviceMatrix::new(dq), DeviceMatrix::new(dk), DeviceMatrix::new(dv)))
    }

    fn cross_entropy(
        &self,
        logits: &mut DeviceMatrix,
        targets: &[u32],
        objective: &Objective,
        scale: f32,
    ) -> Result<f64> {
        objective::cross_entropy(logits, targets, objective, scale)
    }

    fn row_cross_entropy(&self, logits: &mut DeviceMatrix, targets: &[u32], weights: &[f32]) -> Result<Vec<f64>> {
        objective::row_cross_entropy(logits, targets, weights)
    }

    fn sum_of_squares(&self, x: &DeviceMatrix) -> Result<f64> {
        objective::sum_of_squares(x.floats("sum_of_squares")?)
    }

    fn adamw(
        &self,
        w: &mut DeviceMatrix,
        grad: &DeviceMatrix,
        moments: (&mut DeviceMatrix, &mut DeviceMatrix),
        step: &AdamWStep,
    ) -> Result<()> {
        objective::adamw(w, grad, moments, step)
    }
}
