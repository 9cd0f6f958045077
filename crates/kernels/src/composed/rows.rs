//! Operations that choose or place rows: embedding and its backward, key/value caches, rotary positions.

use candle_core::Tensor;

use super::{DeviceMatrix, expect_equal, expect_indices, expect_one_per_row};
use crate::{KernelError, Result};

pub(super) fn gather(table: &DeviceMatrix, rows: &[u32]) -> Result<Tensor> {
    expect_indices("gather_rows", rows, table.shape().0)?;
    table.chosen(rows)
}

pub(super) fn scatter_add(g: &mut DeviceMatrix, rows: &[u32], x: &DeviceMatrix) -> Result<()> {
    let op = "scatter_add_rows";
    let (n, c) = x.shape();
    expect_equal(op, (n, g.shape().1), (n, c))?;
    expect_one_per_row(rows, n)?;
    expect_indices(op, rows, g.shape().0)?;
    let x = x.floats(op)?;
    let g = g.owned(op)?;
    let indices = Tensor::from_slice(rows, n, g.device())?;
    *g = g.index_add(&indices, x, 0)?;
    Ok(())
}

pub(super) fn write(target: &mut DeviceMatrix, at: usize, x: &DeviceMatrix) -> Result<()> {
    let op = "write_rows";
    let (left, right) = (target.shape(), x.shape());
    if left.1 != right.1 || at.checked_add(right.0).is_none_or(|end| end > left.0) {
        return Err(KernelError::Shape { op, left, right });
    }
    let x = x.floats(op)?.contiguous()?;
    // In place: a cache is written once per generated token and must not be copied as often.
    Ok(target.owned(op)?.slice_set(&x, 0, at)?)
}

pub(super) fn rotate(
    x: &mut DeviceMatrix,
    cos: &DeviceMatrix,
    sin: &DeviceMatrix,
    positions: &[u32],
    inverse: bool,
) -> Result<()> {
    let op = "rotate";
    let ((n, c), (p, half)) = (x.shape(), cos.shape());
    expect_equal(op, cos.shape(), sin.shape())?;
    if half == 0 || c % (2 * half) != 0 {
        return Err(KernelError::Shape { op, left: (n, c), right: (p, half) });
    }
    expect_one_per_row(positions, n)?;
    expect_indices(op, positions, p)?;
    let (cos, sin) = (cos.floats(op)?, sin.floats(op)?);
    let indices = Tensor::from_slice(positions, n, cos.device())?;
    let at = |angles: &Tensor| angles.index_select(&indices, 0)?.reshape((n, 1, 1, half));
    let (cos, sin) = (at(cos)?, at(sin)?);
    let sin = if inverse { sin.neg()? } else { sin };
    let x = x.owned(op)?;
    *x = rotated(x, &cos, &sin)?.reshape((n, c))?;
    Ok(())
}

/// x (N, H D) at angles (N, 1, 1, D / 2) to (N, H, 2, D / 2).
fn rotated(x: &Tensor, cos: &Tensor, sin: &Tensor) -> candle_core::Result<Tensor> {
    let (n, _, _, half) = cos.dims4()?;
    let heads = x.dim(1)? / (2 * half);
    let halves = x.reshape((n, heads, 2, half))?;
    let (a, b) = (halves.narrow(2, 0, 1)?, halves.narrow(2, 1, 1)?);
    let first = a.broadcast_mul(cos)?.sub(&b.broadcast_mul(sin)?)?;
    let second = b.broadcast_mul(cos)?.add(&a.broadcast_mul(sin)?)?;
    Tensor::cat(&[&first, &second], 2)
}
