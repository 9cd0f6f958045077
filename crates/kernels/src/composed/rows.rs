//! Operations that choose or place rows: embedding and its backward, key/value caches, rotary positions.

use std::ops::Range;

use candle_core::Tensor;
use candle_nn::rotary_emb::rope_thd;

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

pub(super) fn write(target: &mut DeviceMatrix, rows: &[u32], x: &DeviceMatrix) -> Result<()> {
    let op = "write_rows";
    let (left, right) = (target.shape(), x.shape());
    if left.1 != right.1 || rows.len() != right.0 {
        return Err(KernelError::Shape { op, left, right });
    }
    expect_indices(op, rows, left.0)?;
    let (x, target) = (x.floats(op)?.contiguous()?, target.owned(op)?);
    // In place, rows that follow each other at once: a cache is written once per generated token and must not be copied as
    // often.
    let mut from = 0;
    for run in rows.chunk_by(|a, b| a.wrapping_add(1) == *b) {
        target.slice_set(&x.narrow(0, from, run.len())?.contiguous()?, 0, run[0] as usize)?;
        from += run.len();
    }
    Ok(())
}

pub(super) fn columns(x: &DeviceMatrix, columns: Range<usize>) -> Result<Tensor> {
    if columns.start > columns.end || columns.end > x.shape().1 {
        return Err(KernelError::Shape { op: "columns", left: x.shape(), right: (columns.start, columns.end) });
    }
    Ok(x.floats("columns")?.narrow(1, columns.start, columns.len())?.contiguous()?)
}

pub(super) fn join_columns(parts: &[&DeviceMatrix]) -> Result<Tensor> {
    let op = "join_columns";
    for pair in parts.windows(2) {
        expect_equal(op, pair[0].shape(), (pair[1].shape().0, pair[0].shape().1))?;
    }
    let parts = parts.iter().map(|p| p.floats(op)).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&parts, 1)?)
}

pub(super) fn rotate(
    x: &mut DeviceMatrix,
    cos: &DeviceMatrix,
    sin: &DeviceMatrix,
    head_dim: usize,
    backward: bool,
) -> Result<()> {
    let op = "rotate";
    let ((n, c), (rows, half)) = (x.shape(), cos.shape());
    expect_equal(op, cos.shape(), sin.shape())?;
    if half == 0 || 2 * half > head_dim || c % head_dim != 0 || n != rows {
        return Err(KernelError::Shape { op, left: (n, c), right: (rows, half) });
    }
    let sin = sin.floats(op)?;
    let sin = if backward { sin.neg()? } else { sin.clone() };
    let (cos, sin) = (cos.floats(op)?.reshape((n, 1, half))?, sin.reshape((n, 1, half))?);
    let x = x.owned(op)?;
    *x = rotated(&x.reshape((n, 1, c / head_dim, head_dim))?, &cos, &sin)?.reshape((n, c))?;
    Ok(())
}

/// x (N, 1, H, D), each row a batch with an angle of its own, with the first channels of each head at angles (N, 1, R / 2).
fn rotated(x: &Tensor, cos: &Tensor, sin: &Tensor) -> candle_core::Result<Tensor> {
    let (turning, head_dim) = (2 * cos.dim(2)?, x.dim(3)?);
    let turned = rope_thd(&x.narrow(3, 0, turning)?.contiguous()?, cos, sin)?;
    if turning == head_dim {
        return Ok(turned);
    }
    Tensor::cat(&[&turned, &x.narrow(3, turning, head_dim - turning)?], 3)
}
