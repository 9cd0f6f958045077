//! The loss and the optimiser.

use candle_core::{D, DType, Tensor};

use super::{DeviceMatrix, expect_equal, expect_indices, expect_one_per_row};
use crate::{AdamWStep, KernelError, Objective, Result, RowLoss};

/// Keeps a power below one of nothing finite.
const SMALLEST: f32 = 1e-30;

pub(super) fn cross_entropy(
    logits: &mut DeviceMatrix,
    targets: &[u32],
    objective: &Objective,
    scale: f32,
) -> Result<f64> {
    let op = "cross_entropy";
    let (n, classes) = logits.shape();
    expect_one_per_row(targets, n)?;
    expect_indices(op, targets, classes)?;
    let weights = objective.class_weights.as_slice();
    if !weights.is_empty() && weights.len() != classes {
        return Err(KernelError::Length { rows: 1, cols: classes, found: weights.len() });
    }
    let logits = logits.owned(op)?;
    if n == 0 {
        return Ok(0.0);
    }
    let row_weights: Vec<f32> = targets.iter().map(|t| objective.weight_of(*t as usize)).collect();
    let rows = Rows::new(logits, targets, &row_weights)?;
    let (losses, gradient) = match objective.loss {
        RowLoss::CrossEntropy { smoothing: 0.0 } => rows.plain()?,
        RowLoss::CrossEntropy { smoothing } => rows.smoothed(weights, f64::from(smoothing))?,
        RowLoss::Focal { alpha, gamma } => rows.focal(f64::from(alpha), f64::from(gamma))?,
    };
    *logits = gradient.affine(f64::from(scale), 0.0)?;
    Ok(losses.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).sum())
}

pub(super) fn row_cross_entropy(logits: &mut DeviceMatrix, targets: &[u32], weights: &[f32]) -> Result<Vec<f64>> {
    let op = "row_cross_entropy";
    let (n, classes) = logits.shape();
    expect_one_per_row(targets, n)?;
    expect_indices(op, targets, classes)?;
    if weights.len() != n {
        return Err(KernelError::Length { rows: n, cols: 1, found: weights.len() });
    }
    let logits = logits.owned(op)?;
    if n == 0 {
        return Ok(Vec::new());
    }
    let rows = Rows::new(logits, targets, weights)?;
    let losses = rows.surprise()?.flatten_all()?.to_vec1::<f32>()?;
    *logits = rows.against_target(&rows.row_weights, &rows.row_weights)?;
    Ok(losses.into_iter().map(f64::from).collect())
}

/// A batch on its way to a loss: N rows of K classes.
struct Rows {
    /// (N, 1)
    targets: Tensor,
    /// (N, 1)
    row_weights: Tensor,
    /// Logits with the largest of each row at zero (N, K).
    shifted: Tensor,
    /// Logarithms of the denominators (N, 1).
    denominators: Tensor,
    /// (N, K)
    probabilities: Tensor,
}

impl Rows {
    fn new(logits: &Tensor, targets: &[u32], row_weights: &[f32]) -> Result<Self> {
        let (n, device) = (targets.len(), logits.device());
        let row_weights = Tensor::from_slice(row_weights, (n, 1), device)?;
        let targets = Tensor::from_slice(targets, (n, 1), device)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        let powers = shifted.exp()?;
        let sums = powers.sum_keepdim(D::Minus1)?;
        let probabilities = powers.broadcast_div(&sums)?;
        Ok(Self { targets, row_weights, denominators: sums.log()?, probabilities, shifted })
    }

    /// `-log p(t)` (N, 1).
    fn surprise(&self) -> Result<Tensor> {
        Ok(self.denominators.sub(&self.shifted.gather(&self.targets, 1)?)?)
    }

    /// `a p - b one-hot` with `a` and `b` (N, 1).
    fn against_target(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Ok(self.probabilities.broadcast_mul(a)?.scatter_add(&self.targets, &b.neg()?, 1)?)
    }

    fn plain(&self) -> Result<(Tensor, Tensor)> {
        let w = &self.row_weights;
        Ok((self.surprise()?.mul(w)?, self.against_target(w, w)?))
    }

    /// As the fused back end's `smoothed_cross_entropy`.
    fn smoothed(&self, weights: &[f32], smoothing: f64) -> Result<(Tensor, Tensor)> {
        let n_classes = self.shifted.dim(1)?;
        let device = self.shifted.device();
        let weights = match weights {
            [] => Tensor::ones((1, n_classes), DType::F32, device)?,
            weights => Tensor::from_slice(weights, (1, n_classes), device)?,
        };
        let spread = smoothing / n_classes as f64;
        let hard = self.row_weights.affine(1.0 - smoothing, 0.0)?;
        let weight_sum = weights.sum_keepdim(1)?;
        let spread_sum = self
            .denominators
            .broadcast_mul(&weight_sum)?
            .sub(&self.shifted.broadcast_mul(&weights)?.sum_keepdim(1)?)?;
        let losses = self.surprise()?.mul(&hard)?.add(&spread_sum.affine(spread, 0.0)?)?;
        let all = hard.broadcast_add(&weight_sum.affine(spread, 0.0)?)?;
        let gradient = self.against_target(&all, &hard)?.broadcast_sub(&weights.affine(spread, 0.0)?)?;
        Ok((losses, gradient))
    }

    /// As the fused back end's `focal`.
    fn focal(&self, alpha: f64, gamma: f64) -> Result<(Tensor, Tensor)> {
        let at_target = self.probabilities.gather(&self.targets, 1)?;
        // What is not the target is summed by itself: one minus a probability near one has no digits left.
        let others = self.probabilities.scatter_add(&self.targets, &at_target.neg()?, 1)?.sum_keepdim(1)?;
        let q = others.maximum(SMALLEST)?;
        let (a, surprise) = (self.row_weights.affine(alpha, 0.0)?, self.surprise()?);
        let power = q.powf(gamma)?.mul(&a)?;
        let slope = q.powf(gamma - 1.0)?.mul(&at_target)?.mul(&surprise)?.mul(&a)?.affine(gamma, 0.0)?;
        let c = power.add(&slope)?;
        Ok((power.mul(&surprise)?, self.against_target(&c, &c)?))
    }
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
