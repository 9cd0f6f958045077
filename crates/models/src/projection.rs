//! A linear map with an optional low-rank adapter: `y = x Wᵀ + b + s (x Aᵀ) Bᵀ` (Hu et al., "LoRA", 2021).
//!
//! The backward computes the input gradient and the gradients of what is trained. Nothing is ever computed for a frozen
//! weight. Families are written over projections and never hear of adapters.

use lorikeet_kernels::Backend;

use crate::{
    Result,
    leaf::{Context, Gradients, InputGradient, Leaf},
};

/// A linear map from `in` to `out` channels.
pub struct Projection<B: Backend> {
    pub(crate) weight: Leaf<B>,
    pub(crate) bias: Option<Leaf<B>>,
    pub(crate) adapter: Option<Adapter>,
}

/// The low-rank update: indices of A (R, in) and B (out, R) among the parameters, and the factor `s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapter {
    pub a: usize,
    pub b: usize,
    pub scale: f32,
}

impl<B: Backend> Projection<B> {
    fn active(&self, ctx: Context<'_, B>) -> Option<Adapter> {
        self.adapter.filter(|_| ctx.adapters)
    }

    /// `y` (N, out) and, with an adapter, the low-rank activation `x Aᵀ` (N, R) that the backward needs.
    pub(crate) fn forward(&self, ctx: Context<'_, B>, x: &B::Tensor) -> Result<(B::Tensor, Option<B::Tensor>)> {
        let be = ctx.backend;
        let mut y = be.matmul_nt(x, self.weight.get(ctx))?;
        if let Some(bias) = &self.bias {
            be.add_bias(&mut y, bias.get(ctx))?;
        }
        let Some(Adapter { a, b, scale }) = self.active(ctx) else { return Ok((y, None)) };
        let low = be.matmul_nt(x, &ctx.parameters[a].value)?;
        be.add_matmul_nt(&mut y, scale, &low, &ctx.parameters[b].value)?;
        Ok((y, Some(low)))
    }

    /// Adds the gradients of what is trained to `grads`, and the input's gradient to `dx`.
    pub(crate) fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        (x, low): (&B::Tensor, Option<&B::Tensor>),
        dy: &B::Tensor,
        dx: &mut InputGradient<B::Tensor>,
    ) -> Result<()> {
        let be = ctx.backend;
        if let Some(dw) = self.weight.gradient(grads) {
            be.add_matmul_tn(dw, 1.0, dy, x)?;
        }
        if let Some(db) = self.bias.as_ref().and_then(|b| b.gradient(grads)) {
            be.add_bias_grad(db, dy)?;
        }
        self.add_product(ctx, dy, dx)?;
        let (Some(Adapter { a, b, scale }), Some(low)) = (self.active(ctx), low) else { return Ok(()) };
        be.add_matmul_tn(&mut grads.0[b], scale, dy, low)?;
        let dlow = be.matmul_nn(dy, &ctx.parameters[b].value)?;
        be.add_matmul_tn(&mut grads.0[a], scale, &dlow, x)?;
        if let InputGradient::Sum(dx) = dx {
            be.add_matmul_nn(dx, scale, &dlow, &ctx.parameters[a].value)?;
        }
        Ok(())
    }

    fn add_product(&self, ctx: Context<'_, B>, dy: &B::Tensor, dx: &mut InputGradient<B::Tensor>) -> Result<()> {
        let w = self.weight.get(ctx);
        match dx {
            InputGradient::Unwanted => {}
            InputGradient::Empty => *dx = InputGradient::Sum(ctx.backend.matmul_nn(dy, w)?),
            InputGradient::Sum(sum) => ctx.backend.add_matmul_nn(sum, 1.0, dy, w)?,
        }
        Ok(())
    }

    /// Adds `s B A` to the weight, which becomes 32-bit, and lets go of the adapter.
    pub(crate) fn merge(&mut self, ctx: Context<'_, B>) -> Result<()> {
        let Some(Adapter { a, b, scale }) = self.adapter else { return Ok(()) };
        let mut merged = ctx.backend.duplicate(self.weight.get(ctx))?;
        ctx.backend.add_matmul_nn(&mut merged, scale, &ctx.parameters[b].value, &ctx.parameters[a].value)?;
        self.weight = Leaf::Frozen(merged);
        self.adapter = None;
        Ok(())
    }

    /// Whether anything in this projection is trained.
    pub(crate) fn is_trained(&self) -> bool {
        self.adapter.is_some() || self.weight.is_trained() || self.bias.as_ref().is_some_and(Leaf::is_trained)
    }
}
