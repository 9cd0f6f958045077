//! A linear map with an optional low-rank adapter: `y = x Wᵀ + b + s (x Aᵀ) Bᵀ` (Hu et al., "LoRA", 2021).
//!
//! With a magnitude vector `m` the rows of the adapted weight keep their direction and get a learned length:
//! `y = (m / ‖W + s B A‖) (x Wᵀ + s (x Aᵀ) Bᵀ) + b` (Liu et al., "DoRA", 2024). As in PEFT and in the paper's section 4.3,
//! the length is a constant in the backward. Dropout acts on the input of A
//! (PEFT's DoRA also drops from the input of the frozen weight in training; what an adapter computes in use is the same).
//!
//! The backward computes the input gradient and the gradients of what is trained. Nothing is ever computed for a frozen
//! weight. Families are written over projections and never hear of adapters.

use std::sync::OnceLock;

use lorikeet_kernels::{Backend, KernelError, Term};

use crate::{
    Result,
    leaf::{Context, Gradients, Input, InputGradient, Leaf},
};

/// A linear map from `in` to `out` channels.
pub struct Projection<B: Backend> {
    pub(crate) weight: Leaf<B>,
    /// The weight lies as (in, out), as GPT-2's does, instead of (out, in).
    pub(crate) transposed: bool,
    pub(crate) bias: Option<Leaf<B>>,
    pub(crate) adapter: Option<Adapter<B>>,
    /// The weight with its update, while the adapter is merged.
    pub(crate) merged: Option<B::Tensor>,
}

/// The low-rank update: indices of A (R, in) and B (out, R) among the parameters, and the factor `s`.
pub(crate) struct Adapter<B: Backend> {
    pub a: usize,
    pub b: usize,
    pub scale: f32,
    pub magnitude: Option<Magnitude<B>>,
}

/// DoRA's magnitude vector and what its factors are computed from.
pub(crate) struct Magnitude<B: Backend> {
    /// Index of `m` (1, out) among the parameters.
    m: usize,
    /// `‖W‖²` of each row of the frozen weight, out.
    squares: Vec<f64>,
    /// Computed when first needed after the parameters changed.
    factors: OnceLock<Factors<B::Tensor>>,
}

/// `m / ‖W + s B A‖` and `1 / ‖W + s B A‖`, (1, out) each.
struct Factors<T> {
    of_output: T,
    of_gradient: T,
}

/// What a backward needs of the adapter's forward.
pub(crate) struct LowRank<T> {
    /// `x Aᵀ` (N, R), after dropout of `x`.
    low: T,
    /// The output (N, out) before the magnitude, where there is one.
    before: Option<T>,
}

impl<B: Backend> Magnitude<B> {
    /// The magnitude whose vector is the parameter `m` of a frozen weight whose rows have these squares.
    pub fn new(m: usize, squares: Vec<f64>) -> Self {
        Self { m, squares, factors: OnceLock::new() }
    }

    /// The factors for the present parameters. The norm needs no dense sum: with `w` a row of W and `b` of B,
    /// `‖w + s b A‖² = ‖w‖² + 2 s b·(A w) + s² b·(A Aᵀ b)`.
    fn factors(&self, ctx: Context<'_, B>, of: &Projection<B>, adapter: &Adapter<B>) -> Result<&Factors<B::Tensor>> {
        if let Some(known) = self.factors.get() {
            return Ok(known);
        }
        let (be, s) = (ctx.backend, f64::from(adapter.scale));
        let (a, b) = (&ctx.parameters[adapter.a].value, &ctx.parameters[adapter.b].value);
        let (out, rank) = be.shape(b);
        let weight = of.weight.get(ctx);
        let aw = if of.transposed { be.matmul_nn(a, weight)? } else { be.matmul_nt(a, weight)? };
        let aw = be.download(&aw)?; // (R, out)
        let baa = be.download(&be.matmul_nn(b, &be.matmul_nt(a, a)?)?)?; // (out, R)
        let (b, m) = (be.download(b)?, be.download(&ctx.parameters[self.m].value)?);
        let inverse = |o: usize| {
            let term = |r: usize| {
                let crossed = 2.0 * s * f64::from(aw[r * out + o]) + s * s * f64::from(baa[o * rank + r]);
                f64::from(b[o * rank + r]) * crossed
            };
            let square = self.squares[o] + (0..rank).map(term).sum::<f64>();
            1.0 / square.sqrt().max(f64::from(f32::MIN_POSITIVE))
        };
        let inverses: Vec<f64> = (0..out).map(inverse).collect();
        let products = inverses.iter().zip(&m).map(|(i, m)| (i * f64::from(*m)) as f32).collect();
        let factors = Factors {
            of_output: be.upload(products, 1, out)?,
            of_gradient: be.upload(inverses.iter().map(|i| *i as f32).collect(), 1, out)?,
        };
        Ok(self.factors.get_or_init(|| factors))
    }
}

impl<B: Backend> Projection<B> {
    fn active(&self, ctx: Context<'_, B>) -> Option<&Adapter<B>> {
        self.adapter.as_ref().filter(|_| ctx.adapters && self.merged.is_none())
    }

    /// What is computed with.
    fn weight<'a>(&'a self, ctx: Context<'a, B>) -> &'a B::Tensor {
        self.merged.as_ref().unwrap_or_else(|| self.weight.get(ctx))
    }

    /// `y` (N, out) and, with an adapter, what the backward needs of it.
    #[allow(clippy::type_complexity)]
    pub(crate) fn forward(
        &self,
        ctx: Context<'_, B>,
        x: &B::Tensor,
    ) -> Result<(B::Tensor, Option<LowRank<B::Tensor>>)> {
        let mut outputs = Self::forward_each(ctx, std::slice::from_ref(self), x)?;
        outputs.pop().ok_or_else(|| KernelError::Length { rows: 1, cols: 1, found: 0 }.into())
    }

    /// [`Projection::forward`] of several maps of one input, whose products with it are computed together.
    #[allow(clippy::type_complexity)]
    pub(crate) fn forward_each(
        ctx: Context<'_, B>,
        maps: &[Self],
        x: &B::Tensor,
    ) -> Result<Vec<(B::Tensor, Option<LowRank<B::Tensor>>)>> {
        let be = ctx.backend;
        if !be.joins_products(be.shape(x).0) {
            return maps.iter().map(|map| map.forward_alone(ctx, x)).collect();
        }
        // Each weight, and each A that reads the same input.
        let mut weights = Vec::with_capacity(2 * maps.len());
        weights.extend(maps.iter().filter(|map| !map.transposed).map(|map| map.weight(ctx)));
        let adapters = maps.iter().filter_map(|map| map.active(ctx)).filter(|_| !ctx.drops());
        weights.extend(adapters.map(|adapter| &ctx.parameters[adapter.a].value));
        let n_maps = maps.iter().filter(|map| !map.transposed).count();
        let mut products = be.matmul_nt_each(x, &weights)?;
        let mut lows = products.split_off(n_maps).into_iter();
        let mut products = products.into_iter();
        let one = |map: &Self| {
            let product = if map.transposed { None } else { products.next() };
            let mut y = match product {
                Some(y) => y,
                None => be.matmul_nn(x, map.weight(ctx))?,
            };
            let low = match map.active(ctx) {
                Some(adapter) => Some(map.adapt(ctx, adapter, (x, lows.next()), &mut y)?),
                None => None,
            };
            if let Some(bias) = &map.bias {
                be.add_bias(&mut y, bias.get(ctx))?;
            }
            Ok((y, low))
        };
        maps.iter().map(one).collect()
    }

    /// [`Projection::forward`] of many rows: the map and its update as one sum.
    #[allow(clippy::type_complexity)]
    fn forward_alone(&self, ctx: Context<'_, B>, x: &B::Tensor) -> Result<(B::Tensor, Option<LowRank<B::Tensor>>)> {
        let (be, bias) = (ctx.backend, self.bias.as_ref().map(|bias| bias.get(ctx)));
        let product = Term { factor: 1.0, x, w: self.weight(ctx), transposed: !self.transposed };
        let Some(adapter) = self.active(ctx) else { return Ok((be.sum_of_products(None, product, &[], bias)?, None)) };
        let dropped = ctx.dropped(adapter.a, x)?;
        let low = be.matmul_nt(dropped.as_ref().unwrap_or(x), &ctx.parameters[adapter.a].value)?;
        let update = Term { factor: adapter.scale, x: &low, w: &ctx.parameters[adapter.b].value, transposed: true };
        let Some(magnitude) = &adapter.magnitude else {
            let y = be.sum_of_products(None, product, &[update], bias)?;
            return Ok((y, Some(LowRank { low, before: None })));
        };
        let before = be.sum_of_products(None, product, &[update], None)?;
        let mut y = be.duplicate(&before)?;
        be.scale_columns(&mut y, &magnitude.factors(ctx, self, adapter)?.of_output)?;
        bias.map_or(Ok(()), |bias| be.add_bias(&mut y, bias))?;
        Ok((y, Some(LowRank { low, before: Some(before) })))
    }

    fn adapt(
        &self,
        ctx: Context<'_, B>,
        adapter: &Adapter<B>,
        (x, low): (&B::Tensor, Option<B::Tensor>),
        y: &mut B::Tensor,
    ) -> Result<LowRank<B::Tensor>> {
        let be = ctx.backend;
        let low = match low {
            Some(low) => low,
            None => {
                let dropped = ctx.dropped(adapter.a, x)?;
                be.matmul_nt(dropped.as_ref().unwrap_or(x), &ctx.parameters[adapter.a].value)?
            }
        };
        be.add_matmul_nt(y, adapter.scale, &low, &ctx.parameters[adapter.b].value)?;
        let Some(magnitude) = &adapter.magnitude else { return Ok(LowRank { low, before: None }) };
        let before = be.duplicate(y)?;
        be.scale_columns(y, &magnitude.factors(ctx, self, adapter)?.of_output)?;
        Ok(LowRank { low, before: Some(before) })
    }

    /// Adds the gradients of what is trained to `grads`, and the input's gradient to `dx`.
    pub(crate) fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        (x, low): (Input<'_, B::Tensor>, Option<&LowRank<B::Tensor>>),
        dy: &B::Tensor,
        dx: &mut InputGradient<B::Tensor>,
    ) -> Result<()> {
        let (be, mut made) = (ctx.backend, None);
        if let Some(db) = self.bias.as_ref().and_then(|b| b.gradient(grads)) {
            be.add_bias_grad(db, dy)?;
        }
        let (Some(adapter), Some(low)) = (self.active(ctx), low) else {
            if let Some(dw) = self.weight.gradient(grads) {
                let x = x.get(&mut made)?;
                let (left, right) = if self.transposed { (x, dy) } else { (dy, x) };
                be.add_matmul_tn(dw, 1.0, left, right)?;
            }
            return self.add_product(ctx, dy, None, dx);
        };
        let scaled = self.magnitude_backward(ctx, grads, (adapter, low), dy)?;
        let dy = scaled.as_ref().unwrap_or(dy);
        let (a, b) = (&ctx.parameters[adapter.a].value, &ctx.parameters[adapter.b].value);
        let dlow = be.matmul_nn(dy, b)?;
        be.add_matmul_tn(&mut grads.0[adapter.b], adapter.scale, dy, &low.low)?;
        let x = x.get(&mut made)?;
        let Some(dropped) = ctx.dropped(adapter.a, x)? else {
            be.add_matmul_tn(&mut grads.0[adapter.a], adapter.scale, &dlow, x)?;
            return self.add_product(ctx, dy, Some((adapter.scale, &dlow, a)), dx);
        };
        be.add_matmul_tn(&mut grads.0[adapter.a], adapter.scale, &dlow, &dropped)?;
        self.add_product(ctx, dy, None, dx)?;
        let InputGradient::Sum(dx) = dx else { return Ok(()) };
        let mut through = be.matmul_nn(&dlow, a)?;
        be.scale(&mut through, adapter.scale)?;
        if let Some(through) = ctx.dropped(adapter.a, &through)? {
            be.add(dx, &through)?;
        }
        Ok(())
    }

    /// Adds the gradient of the magnitude and returns that of the output before it, where there is one.
    fn magnitude_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        (adapter, low): (&Adapter<B>, &LowRank<B::Tensor>),
        dy: &B::Tensor,
    ) -> Result<Option<B::Tensor>> {
        let (Some(magnitude), Some(before)) = (&adapter.magnitude, &low.before) else { return Ok(None) };
        let be = ctx.backend;
        let factors = magnitude.factors(ctx, self, adapter)?;
        let mut dm = be.zeros(1, be.shape(dy).1)?;
        be.add_column_products(&mut dm, dy, before)?;
        be.scale_columns(&mut dm, &factors.of_gradient)?;
        be.add(&mut grads.0[magnitude.m], &dm)?;
        let mut scaled = be.duplicate(dy)?;
        be.scale_columns(&mut scaled, &factors.of_output)?;
        Ok(Some(scaled))
    }

    /// Adds `dy W`, and `factor dlow A` where the update's part goes the same way, to the input's gradient.
    fn add_product(
        &self,
        ctx: Context<'_, B>,
        dy: &B::Tensor,
        update: Option<(f32, &B::Tensor, &B::Tensor)>,
        dx: &mut InputGradient<B::Tensor>,
    ) -> Result<()> {
        let onto = match std::mem::replace(dx, InputGradient::Unwanted) {
            InputGradient::Unwanted => return Ok(()),
            InputGradient::Empty => None,
            InputGradient::Sum(sum) => Some(sum),
        };
        let product = Term { factor: 1.0, x: dy, w: self.weight(ctx), transposed: self.transposed };
        let update = update.map(|(factor, x, w)| Term { factor, x, w, transposed: false });
        *dx = InputGradient::Sum(ctx.backend.sum_of_products(onto, product, update.as_slice(), None)?);
        Ok(())
    }

    /// Computes with the adapted weight in 32 bits from now on, without the adapter: `W + s B A`, its rows with their learned
    /// length where they have one.
    pub(crate) fn merge(&mut self, ctx: Context<'_, B>) -> Result<()> {
        let Some(adapter) = self.active(Context { adapters: true, ..ctx }) else { return Ok(()) };
        let be = ctx.backend;
        let mut merged = be.duplicate(self.weight.get(ctx))?;
        let (a, b) = (&ctx.parameters[adapter.a].value, &ctx.parameters[adapter.b].value);
        if self.transposed {
            // (B A)ᵀ = Aᵀ Bᵀ, and the product with a matrix of ones on its diagonal transposes B.
            let rank = be.shape(a).0;
            let unit = (0..rank * rank).map(|i| if i % (rank + 1) == 0 { 1.0 } else { 0.0 }).collect();
            let b = be.matmul_nt(&be.upload(unit, rank, rank)?, b)?;
            be.add_matmul_tn(&mut merged, adapter.scale, a, &b)?;
        } else {
            be.add_matmul_nn(&mut merged, adapter.scale, b, a)?;
        }
        if let Some(magnitude) = &adapter.magnitude {
            let factors = &magnitude.factors(ctx, self, adapter)?.of_output;
            if self.transposed {
                be.scale_columns(&mut merged, factors)?;
            } else {
                let factors = be.download(factors)?;
                let ((rows, cols), mut numbers) = (be.shape(&merged), be.download(&merged)?);
                for (row, factor) in numbers.chunks_exact_mut(cols.max(1)).zip(factors) {
                    row.iter_mut().for_each(|w| *w *= factor);
                }
                merged = be.upload(numbers, rows, cols)?;
            }
        }
        self.merged = Some(merged);
        Ok(())
    }

    /// Computes with the weight as it was and the adapter beside it again.
    pub(crate) fn unmerge(&mut self) {
        self.merged = None;
    }

    /// Forgets what was computed from the parameters, which are about to change.
    pub(crate) fn forget(&mut self) {
        if let Some(magnitude) = self.adapter.as_mut().and_then(|a| a.magnitude.as_mut()) {
            magnitude.factors.take();
        }
    }

    /// Whether anything in this projection is trained.
    pub(crate) fn is_trained(&self) -> bool {
        self.adapter.is_some() || self.weight.is_trained() || self.bias.as_ref().is_some_and(Leaf::is_trained)
    }
}

/// The sum of squares of the numbers that make each output of a weight of any precision, a few rows at a time: of each row,
/// or of each column of a `transposed` one.
pub(crate) fn output_squares<B: Backend>(backend: &B, weight: &B::Tensor, transposed: bool) -> Result<Vec<f64>> {
    const ROWS: usize = 256;
    let (rows, cols) = backend.shape(weight);
    let mut squares = vec![0.0; if transposed { cols } else { rows }];
    for first in (0..rows).step_by(ROWS) {
        let chosen: Vec<u32> = (first..rows.min(first + ROWS)).map(|row| row as u32).collect();
        let numbers = backend.download(&backend.gather_rows(weight, &chosen)?)?;
        for (row, numbers) in numbers.chunks_exact(cols.max(1)).enumerate() {
            for (col, v) in numbers.iter().enumerate() {
                squares[if transposed { col } else { first + row }] += f64::from(*v).powi(2);
            }
        }
    }
    Ok(squares)
}
