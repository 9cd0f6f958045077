//! Element-wise operations: activations with their derivatives, gates, biases.

use candle_core::{DType, Tensor};
use candle_nn::ops::{sigmoid, silu};

use super::{DeviceMatrix, expect_equal};
use crate::{Activation, Result, random::Stream};

/// The factor of the hyperbolic-tangent approximation, `sqrt(2 / pi)`.
const TANH_FACTOR: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
/// Its cubic coefficient (Hendrycks and Gimpel, 2016).
const TANH_CUBIC: f64 = 0.044715;

pub(super) fn add(y: &mut DeviceMatrix, x: &DeviceMatrix) -> Result<()> {
    expect_equal("add", y.shape(), x.shape())?;
    let x = x.floats("add")?;
    let y = y.owned("add")?;
    *y = y.add(x)?;
    Ok(())
}

pub(super) fn add_bias(y: &mut DeviceMatrix, bias: &DeviceMatrix) -> Result<()> {
    expect_equal("add_bias", (1, y.shape().1), bias.shape())?;
    let bias = bias.floats("add_bias")?;
    let y = y.owned("add_bias")?;
    *y = y.broadcast_add(bias)?;
    Ok(())
}

pub(super) fn add_bias_grad(g: &mut DeviceMatrix, dy: &DeviceMatrix) -> Result<()> {
    expect_equal("add_bias_grad", g.shape(), (1, dy.shape().1))?;
    let sums = dy.floats("add_bias_grad")?.sum_keepdim(0)?;
    let g = g.owned("add_bias_grad")?;
    *g = g.add(&sums)?;
    Ok(())
}

pub(super) fn scale_columns(y: &mut DeviceMatrix, factors: &DeviceMatrix) -> Result<()> {
    expect_equal("scale_columns", (1, y.shape().1), factors.shape())?;
    let factors = factors.floats("scale_columns")?;
    let y = y.owned("scale_columns")?;
    *y = y.broadcast_mul(factors)?;
    Ok(())
}

pub(super) fn add_column_products(g: &mut DeviceMatrix, x: &DeviceMatrix, y: &DeviceMatrix) -> Result<()> {
    let op = "add_column_products";
    expect_equal(op, x.shape(), y.shape())?;
    expect_equal(op, g.shape(), (1, x.shape().1))?;
    let sums = x.floats(op)?.mul(y.floats(op)?)?.sum_keepdim(0)?;
    let g = g.owned(op)?;
    *g = g.add(&sums)?;
    Ok(())
}

/// The mask is made on the host: the same numbers are dropped on every device.
pub(super) fn dropout(x: &DeviceMatrix, rate: f32, stream: Stream) -> Result<Tensor> {
    let (rows, cols) = x.shape();
    let mut mask = vec![0.0; rows * cols];
    stream.fill_mask(0, rate, &mut mask);
    let x = x.floats("dropout")?;
    Ok(x.mul(&Tensor::from_vec(mask, (rows, cols), x.device())?)?)
}

pub(super) fn activate_backward(f: Activation, x: &DeviceMatrix, dy: &DeviceMatrix) -> Result<Tensor> {
    let op = "activate_backward";
    expect_equal(op, x.shape(), dy.shape())?;
    Ok(dy.floats(op)?.mul(&slope(f, x.floats(op)?)?)?)
}

pub(super) fn gated(f: Activation, gate: &DeviceMatrix, up: &DeviceMatrix) -> Result<Tensor> {
    expect_equal("gated", gate.shape(), up.shape())?;
    Ok(value(f, gate.floats("gated")?)?.mul(up.floats("gated")?)?)
}

pub(super) fn gated_backward(
    f: Activation,
    gate: &DeviceMatrix,
    up: &DeviceMatrix,
    dh: &DeviceMatrix,
) -> Result<(Tensor, Tensor)> {
    let op = "gated_backward";
    expect_equal(op, gate.shape(), up.shape())?;
    expect_equal(op, gate.shape(), dh.shape())?;
    let (gate, up, dh) = (gate.floats(op)?, up.floats(op)?, dh.floats(op)?);
    let dgate = dh.mul(up)?.mul(&slope(f, gate)?)?;
    Ok((dgate, dh.mul(&value(f, gate)?)?))
}

/// `cap tanh(x / cap)`.
pub(super) fn capped(x: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    Ok(x.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0)?)
}

/// The slope `1 - (y / cap)²` at which [`capped`] rose to `y`.
pub(super) fn cap_slope(y: &Tensor, cap: f32) -> Result<Tensor> {
    Ok(y.affine(1.0 / f64::from(cap), 0.0)?.sqr()?.affine(-1.0, 1.0)?)
}

/// `f(x)`.
pub(super) fn value(f: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match f {
        Activation::Silu => silu(x)?,
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::Relu => x.relu()?,
        Activation::Tanh => x.tanh()?,
    })
}

/// `f'(x)`.
fn slope(f: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match f {
        Activation::Silu => {
            let s = sigmoid(x)?;
            // s (1 + x (1 - s))
            s.mul(&x.mul(&s.affine(-1.0, 1.0)?)?.affine(1.0, 1.0)?)?
        }
        Activation::Gelu => {
            let density = (x.sqr()? * -0.5)?.exp()?.affine(1.0 / (2.0 * std::f64::consts::PI).sqrt(), 0.0)?;
            normal_distribution(x)?.add(&x.mul(&density)?)?
        }
        Activation::GeluTanh => {
            let t = tanh_argument(x)?.tanh()?;
            // 0.5 (1 + t) + 0.5 x (1 - t²) u'
            let du = x.sqr()?.affine(3.0 * TANH_CUBIC * TANH_FACTOR, TANH_FACTOR)?;
            let rise = x.mul(&t.sqr()?.affine(-0.5, 0.5)?)?.mul(&du)?;
            t.affine(0.5, 0.5)?.add(&rise)?
        }
        Activation::Relu => x.gt(0f32)?.to_dtype(DType::F32)?,
        Activation::Tanh => x.tanh()?.sqr()?.affine(-1.0, 1.0)?,
    })
}

fn normal_distribution(x: &Tensor) -> Result<Tensor> {
    Ok(x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?)
}

fn tanh_argument(x: &Tensor) -> Result<Tensor> {
    Ok(x.mul(&x.sqr()?.affine(TANH_CUBIC * TANH_FACTOR, TANH_FACTOR)?)?)
}
