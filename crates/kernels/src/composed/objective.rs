//! The loss and the optimiser.

use candle_core::{D, DType, Tensor};

use super::{DeviceMatrix, expect_equal, expect_indices, expect_one_per_row};
use crate::{AdamWStep, Result};

pub(super) fn cross_entropy(logits: &mut DeviceMatrix, targets: &[u32], scale: f32) -> Result<f64> {
    let op = "cross_entropy";
    let (n, vocabulary) = logits.shape();
    expect_one_per_row(targets, n)?;
    expect_indices(op, targets, vocabulary)?;
    let logits = logits.owned(op)?;
    if n == 0 {
        return Ok(0.0);
    }
    let targets = Tensor::from_slice(targets, (n, 1), logits.device())?;
    // (N, V), with the largest logit of each row at zero
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let exponentials = shifted.exp()?;
    let sums = exponentials.sum_keepdim(D::Minus1)?;
    let losses = sums.log()?.sub(&shifted.gather(&targets, 1)?)?;
    let ones = Tensor::ones((n, 1), DType::F32, logits.device())?;
    let gradient = exponentials.broadcast_div(&sums)?.scatter_add(&targets, &ones.neg()?, 1)?;
    *logits = gradient.affine(f64::from(scale), 0.0)?;
    Ok(losses.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).sum())
}

pub(super) fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if x.device().is_metal() {
        // Metal has no 64-bit floats: rows are summed in 32 bits there, and the sums of rows here.
        let rows = x.sqr()?.sum(D::Minus1)?.to_vec1::<f32>()?;
        return Ok(rows.into_iter().map(f64::from).sum());
    }
    Ok(x.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?)
}

pub(super) fn adamw(
    w: &mut DeviceMatrix,
    grad: &DeviceMatrix,
    (first, second): (&mut DeviceMatrix, &mut DeviceMatrix),
    step: &AdamWStep,
) -> Result<()> {
    let op = "adamw";
    for other in [grad.shape(), first.shape(), second.shape()] {
        expect_equal(op, w.shape(), other)?;
    }
    let gradient = grad.floats(op)?.affine(step.gradient_scale, 0.0)?;
    let (w, first, second) = (w.owned(op)?, first.owned(op)?, second.owned(op)?);
    *first = first.affine(step.beta1, 0.0)?.add(&gradient.affine(1.0 - step.beta1, 0.0)?)?;
    *second = second.affine(step.beta2, 0.0)?.add(&gradient.sqr()?.affine(1.0 - step.beta2, 0.0)?)?;
    let corrections = [step.beta1, step.beta2].map(|beta| 1.0 - beta.powf(step.step as f64));
    let root = second.sqrt()?.affine(1.0 / corrections[1].sqrt(), step.epsilon)?;
    let change = first.div(&root)?.affine(step.learning_rate / corrections[0], 0.0)?;
    *w = w.affine(1.0 - step.learning_rate * step.weight_decay, 0.0)?.sub(&change)?;
    Ok(())
}
