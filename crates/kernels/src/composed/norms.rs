//! Normalisation of rows, or of groups within a row, and the gradients.
//!
//! candle-nn's norms are not used: its layer norm takes the variance as `mean(x²) - mean(x)²`, which is lost in rows far from
//! zero, its RMS norm is slower on the processor, and the backward needs what neither returns.

use candle_core::{D, Tensor};

use super::{DeviceMatrix, expect_equal};
use crate::{KernelError, Result};

pub(super) fn rms(x: &DeviceMatrix, w: &DeviceMatrix, eps: f32) -> Result<Tensor> {
    let op = "rms_norm";
    let x2 = grouped(op, x, w)?;
    let (normed, _) = rms_normed(&x2, eps)?;
    Ok(normed.broadcast_mul(w.floats(op)?)?.reshape(x.shape())?)
}

pub(super) fn rms_backward(
    x: &DeviceMatrix,
    w: &DeviceMatrix,
    eps: f32,
    dy: &DeviceMatrix,
    dw: Option<&mut DeviceMatrix>,
) -> Result<Tensor> {
    let op = "rms_norm_backward";
    expect_equal(op, x.shape(), dy.shape())?;
    let (x2, dy2) = (grouped(op, x, w)?, grouped(op, dy, w)?);
    let (normed, inverse) = rms_normed(&x2, eps)?;
    if let Some(dw) = dw {
        accumulate_rows(op, dw, w.shape(), &dy2.mul(&normed)?)?;
    }
    let dnormed = dy2.broadcast_mul(w.floats(op)?)?;
    Ok(without_component(&dnormed, &normed)?.broadcast_mul(&inverse)?.reshape(x.shape())?)
}

pub(super) fn layer(x: &DeviceMatrix, w: &DeviceMatrix, b: &DeviceMatrix, eps: f32) -> Result<Tensor> {
    let op = "layer_norm";
    expect_equal(op, (1, x.shape().1), w.shape())?;
    expect_equal(op, w.shape(), b.shape())?;
    let (normed, _) = layer_normed(x.floats(op)?, eps)?;
    Ok(normed.broadcast_mul(w.floats(op)?)?.broadcast_add(b.floats(op)?)?)
}

pub(super) fn layer_backward(
    x: &DeviceMatrix,
    w: &DeviceMatrix,
    eps: f32,
    dy: &DeviceMatrix,
    grads: Option<(&mut DeviceMatrix, &mut DeviceMatrix)>,
) -> Result<Tensor> {
    let op = "layer_norm_backward";
    expect_equal(op, x.shape(), dy.shape())?;
    expect_equal(op, (1, x.shape().1), w.shape())?;
    let dy = dy.floats(op)?;
    let (normed, inverse) = layer_normed(x.floats(op)?, eps)?;
    if let Some((dw, db)) = grads {
        accumulate_rows(op, dw, w.shape(), &dy.mul(&normed)?)?;
        accumulate_rows(op, db, w.shape(), dy)?;
    }
    let dnormed = dy.broadcast_mul(w.floats(op)?)?;
    let centred = dnormed.broadcast_sub(&dnormed.mean_keepdim(D::Minus1)?)?;
    Ok(without_component(&centred, &normed)?.broadcast_mul(&inverse)?)
}

/// x (N, C) as (N C / D, D), where w is (1, D).
fn grouped(op: &'static str, x: &DeviceMatrix, w: &DeviceMatrix) -> Result<Tensor> {
    let ((n, c), (one, d)) = (x.shape(), w.shape());
    if one != 1 || d == 0 || c % d != 0 {
        return Err(KernelError::Shape { op, left: (n, c), right: (one, d) });
    }
    Ok(x.floats(op)?.reshape((n * (c / d), d))?)
}

/// `x / sqrt(mean(x²) + eps)` and the reciprocal of the root, which is (rows, 1).
fn rms_normed(x: &Tensor, eps: f32) -> Result<(Tensor, Tensor)> {
    let inverse = x.sqr()?.mean_keepdim(D::Minus1)?.affine(1.0, f64::from(eps))?.sqrt()?.recip()?;
    Ok((x.broadcast_mul(&inverse)?, inverse))
}

fn layer_normed(x: &Tensor, eps: f32) -> Result<(Tensor, Tensor)> {
    rms_normed(&x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?, eps)
}

/// `g - normed mean(g normed)`: what remains of a gradient when the direction that the norm removes is taken out.
fn without_component(g: &Tensor, normed: &Tensor) -> Result<Tensor> {
    let along = g.mul(normed)?.mean_keepdim(D::Minus1)?;
    Ok(g.sub(&normed.broadcast_mul(&along)?)?)
}

fn accumulate_rows(op: &'static str, g: &mut DeviceMatrix, expected: (usize, usize), rows: &Tensor) -> Result<()> {
    expect_equal(op, g.shape(), expected)?;
    let g = g.owned(op)?;
    *g = g.add(&rows.sum_keepdim(0)?)?;
    Ok(())
}
