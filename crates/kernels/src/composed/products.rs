//! Matrix products; a narrow weight is widened for the time of its product.

use candle_core::Tensor;

use super::{DeviceMatrix, expect_equal};
use crate::{KernelError, Result};

/// `x wᵀ`: (N, in) with (out, in) to (N, out).
pub(super) fn nt(op: &'static str, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<Tensor> {
    expect_inner(op, x, w, x.shape().1, w.shape().1)?;
    Ok(x.floats(op)?.matmul(&w.widened()?.t()?)?)
}

/// `x w`: (N, out) with (out, in) to (N, in).
pub(super) fn nn(op: &'static str, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<Tensor> {
    expect_inner(op, x, w, x.shape().1, w.shape().0)?;
    Ok(x.floats(op)?.matmul(w.widened()?.as_ref())?)
}

/// `xᵀ y`: (N, a) with (N, b) to (a, b).
pub(super) fn tn(op: &'static str, x: &DeviceMatrix, y: &DeviceMatrix) -> Result<Tensor> {
    expect_inner(op, x, y, x.shape().0, y.shape().0)?;
    Ok(x.floats(op)?.t()?.matmul(y.floats(op)?)?)
}

/// `y += alpha product`.
pub(super) fn accumulate(op: &'static str, y: &mut DeviceMatrix, alpha: f32, product: Tensor) -> Result<()> {
    expect_equal(op, y.shape(), product.dims2()?)?;
    let scaled = if alpha == 1.0 { product } else { product.affine(f64::from(alpha), 0.0)? };
    let y = y.owned(op)?;
    *y = y.add(&scaled)?;
    Ok(())
}

fn expect_inner(op: &'static str, x: &DeviceMatrix, w: &DeviceMatrix, left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(KernelError::Shape { op, left: x.shape(), right: w.shape() }) }
}
