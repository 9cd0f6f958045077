//! Matrix products; a narrow weight is widened for the time of its product.

use candle_core::{DType, Tensor};

use super::{DeviceMatrix, expect_equal};
use crate::{KernelError, Result};

/// `x wᵀ`: (N, in) with (out, in) to (N, out).
pub(super) fn nt(op: &'static str, narrow: bool, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<Tensor> {
    expect_inner(op, x, w, x.shape().1, w.shape().1)?;
    product(x.floats(op)?, &w.widened()?.t()?, narrow && w.is_frozen())
}

/// `x w`: (N, out) with (out, in) to (N, in).
pub(super) fn nn(op: &'static str, narrow: bool, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<Tensor> {
    expect_inner(op, x, w, x.shape().1, w.shape().0)?;
    product(x.floats(op)?, w.widened()?.as_ref(), narrow && w.is_frozen())
}

/// Operands of 16 bits are multiplied as such where a device does that fast; the processor has sums of 32 bits.
fn product(x: &Tensor, w: &Tensor, narrow: bool) -> Result<Tensor> {
    if !narrow {
        return Ok(x.matmul(w)?);
    }
    let (x, w) = (x.to_dtype(DType::BF16)?, w.to_dtype(DType::BF16)?);
    if x.device().is_cpu() {
        return Ok(x.to_dtype(DType::F32)?.matmul(&w.to_dtype(DType::F32)?)?);
    }
    Ok(x.matmul(&w)?.to_dtype(DType::F32)?)
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
