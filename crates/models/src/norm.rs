//! The norms of all families, each with its backward: of rows, or of the heads within a row.

use lorikeet_kernels::Backend;

use crate::{
    Result,
    build::Builder,
    leaf::{Context, Gradients, Leaf},
};

/// Which norm a family uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / rms(x) * w` (Zhang and Sennrich, 2019).
    Rms,
    /// `x / rms(x) * (1 + w)`, as Gemma stores it.
    RmsPlusOne,
    /// `(x - mean(x)) / deviation(x) * w + b` (Ba, Kiros and Hinton, 2016).
    Layer,
}

/// A norm with what it learned.
pub(crate) struct Norm<B: Backend> {
    weight: Leaf<B>,
    /// A layer norm has one.
    bias: Option<Leaf<B>>,
    /// What is added to a trained weight of [`NormKind::RmsPlusOne`]; a frozen one contains it.
    ones: Option<B::Tensor>,
    eps: f32,
}

impl<B: Backend> Norm<B> {
    /// The norm at the module `path`, over `width` channels.
    pub fn new(b: &mut Builder<'_, B>, kind: NormKind, path: &str, width: usize, eps: f32) -> Result<Self> {
        let name = format!("{path}.weight");
        let mut norm = Self { weight: b.norm_weight(name, width, kind)?, bias: None, ones: None, eps };
        if kind == NormKind::Layer {
            norm.bias = Some(b.vector(format!("{path}.bias"), width)?);
        }
        if kind == NormKind::RmsPlusOne {
            let ones = b.backend.upload(vec![1.0; width], 1, width)?;
            match &mut norm.weight {
                Leaf::Frozen(weight) => b.backend.add(weight, &ones)?,
                Leaf::Trained(_) => norm.ones = Some(ones),
            }
        }
        Ok(norm)
    }

    /// What the rows are multiplied with: the weight, or its sum with one in `sum`.
    fn factors<'a>(&'a self, ctx: Context<'a, B>, sum: &'a mut Option<B::Tensor>) -> Result<&'a B::Tensor> {
        let weight = self.weight.get(ctx);
        let Some(ones) = &self.ones else { return Ok(weight) };
        let sum = sum.insert(ctx.backend.duplicate(weight)?);
        ctx.backend.add(sum, ones)?;
        Ok(sum)
    }

    pub fn forward(&self, ctx: Context<'_, B>, x: &B::Tensor) -> Result<B::Tensor> {
        let mut sum = None;
        let weight = self.factors(ctx, &mut sum)?;
        Ok(match &self.bias {
            None => ctx.backend.rms_norm(x, weight, self.eps)?,
            Some(bias) => ctx.backend.layer_norm(x, weight, bias.get(ctx), self.eps)?,
        })
    }

    /// `dx` from `dy`; adds the gradients of what is trained here.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        x: &B::Tensor,
        dy: &B::Tensor,
    ) -> Result<B::Tensor> {
        let mut sum = None;
        let weight = self.factors(ctx, &mut sum)?;
        let Some(bias) = &self.bias else {
            let dw = self.weight.gradient(grads);
            return Ok(ctx.backend.rms_norm_backward(x, weight, self.eps, dy, dw)?);
        };
        let trained = match (&self.weight, bias) {
            (Leaf::Trained(w), Leaf::Trained(b)) => grads.0.get_disjoint_mut([*w, *b]).ok().map(|[w, b]| (w, b)),
            _ => None,
        };
        Ok(ctx.backend.layer_norm_backward(x, weight, self.eps, dy, trained)?)
    }

    pub fn is_trained(&self) -> bool {
        self.weight.is_trained()
    }
}
