//! The second half of a decoder's block: what the feed-forward part adds to the stream.
//!
//! With `n` the norm, `f` the activation and `a` the norm after, where there is one: `y = m + a(D (f(G n(m)) * U n(m)))`, or
//! without a gate `y = m + a(D f(U n(m)))`.

use lorikeet_kernels::{Activation, Backend};

use crate::{
    DecoderSpec, Result,
    build::{Builder, LinearShape},
    fan::{Fan, FanLow},
    leaf::{Context, Gradients, Input, InputGradient},
    names::DecoderNames,
    norm::Norm,
    projection::{LowRank, Projection},
};

pub(super) struct FeedForward<B: Backend> {
    activation: Activation,
    norm: Norm<B>,
    inputs: Inputs<B>,
    down: Projection<B>,
    after: Option<Norm<B>>,
}

enum Inputs<B: Backend> {
    /// Gate and up.
    Gated(Fan<B, 2>),
    Plain(Projection<B>),
}

pub(super) struct Saved<T> {
    inner: Inner<T>,
    /// What is added before the norm after, where there is one.
    added: Option<T>,
    low_down: Option<LowRank<T>>,
}

enum Inner<T> {
    Gated { gate: T, up: T, low: FanLow<T> },
    Plain { up: T, low: Option<LowRank<T>> },
}

impl<B: Backend> FeedForward<B> {
    pub fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, i: usize) -> Result<Self> {
        let names = DecoderNames::of(spec.naming);
        let at = |module: &str| names.block(i, module);
        let norm = |b: &mut _, module: &str| Norm::new(b, spec.norm, &at(module), spec.width, spec.norm_eps);
        let before = if spec.norm_after { DecoderNames::AROUND[1] } else { names.mlp_norm };
        let up = LinearShape { out: spec.inner, inside: spec.width, bias: spec.mlp_bias, transposed: spec.transposed };
        let down = LinearShape { out: spec.width, inside: spec.inner, ..up };
        Ok(Self {
            activation: spec.activation,
            norm: norm(b, before)?,
            inputs: match (spec.gated, spec.fused) {
                (false, _) => Inputs::Plain(b.linear(at(names.up), up)?),
                (true, true) => Inputs::Gated(Fan::new(b, &[at(names.fused_gate_up)], [spec.inner; 2], up)?),
                (true, false) => Inputs::Gated(Fan::new(b, &[at(names.gate), at(names.up)], [spec.inner; 2], up)?),
            },
            down: b.linear(at(names.down), down)?,
            after: match spec.norm_after {
                true => Some(norm(b, DecoderNames::AROUND[2])?),
                false => None,
            },
        })
    }

    /// `y` (N, C) from `m` (N, C).
    pub fn forward(&self, ctx: Context<'_, B>, mid: &B::Tensor) -> Result<(B::Tensor, Saved<B::Tensor>)> {
        let n = self.norm.forward(ctx, mid)?;
        let inner = match &self.inputs {
            Inputs::Gated(maps) => {
                let ([gate, up], low) = maps.forward(ctx, &n)?;
                Inner::Gated { gate, up, low }
            }
            Inputs::Plain(map) => {
                let (up, low) = map.forward(ctx, &n)?;
                Inner::Plain { up, low }
            }
        };
        let (added, low_down) = self.down.forward(ctx, &self.activated(ctx, &inner)?)?;
        let (mut y, added) = match &self.after {
            None => (added, None),
            Some(after) => (after.forward(ctx, &added)?, Some(added)),
        };
        ctx.backend.add(&mut y, mid)?;
        Ok((y, Saved { inner, added, low_down }))
    }

    fn activated(&self, ctx: Context<'_, B>, inner: &Inner<B::Tensor>) -> Result<B::Tensor> {
        Ok(match inner {
            Inner::Gated { gate, up, .. } => ctx.backend.gated(self.activation, gate, up)?,
            Inner::Plain { up, .. } => ctx.backend.activate(self.activation, up)?,
        })
    }

    /// `dm` from `dy`; adds the gradients of what is trained here.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        (mid, s): (&B::Tensor, &Saved<B::Tensor>),
        dy: B::Tensor,
    ) -> Result<B::Tensor> {
        let dadded = match (&self.after, &s.added) {
            (Some(after), Some(added)) => Some(after.backward(ctx, grads, added, &dy)?),
            _ => None,
        };
        let mut dh = InputGradient::Empty;
        let h = || self.activated(ctx, &s.inner);
        self.down.backward(
            ctx,
            grads,
            (Input::Again(&h), s.low_down.as_ref()),
            dadded.as_ref().unwrap_or(&dy),
            &mut dh,
        )?;
        drop(dadded);
        let Some(dh) = dh.into_sum() else { return Ok(dy) };
        let Some(dn) = self.inputs_backward(ctx, grads, mid, &s.inner, dh)? else { return Ok(dy) };
        let mut dmid = self.norm.backward(ctx, grads, mid, &dn)?;
        ctx.backend.add(&mut dmid, &dy)?;
        Ok(dmid)
    }

    /// The gradient of the normed input from that of the activation.
    fn inputs_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        mid: &B::Tensor,
        inner: &Inner<B::Tensor>,
        dh: B::Tensor,
    ) -> Result<Option<B::Tensor>> {
        let (be, mut dn) = (ctx.backend, InputGradient::Empty);
        let normed = || self.norm.forward(ctx, mid);
        match (&self.inputs, inner) {
            (Inputs::Gated(maps), Inner::Gated { gate, up, low }) => {
                let (dgate, dup) = be.gated_backward(self.activation, gate, up, &dh)?;
                drop(dh);
                maps.backward(ctx, grads, (Input::Again(&normed), low), [&dgate, &dup], &mut dn)?;
            }
            (Inputs::Plain(map), Inner::Plain { up, low }) => {
                let dup = be.activate_backward(self.activation, up, &dh)?;
                drop(dh);
                map.backward(ctx, grads, (Input::Again(&normed), low.as_ref()), &dup, &mut dn)?;
            }
            _ => {}
        }
        Ok(dn.into_sum())
    }

    pub fn is_trained(&self) -> bool {
        let inputs = match &self.inputs {
            Inputs::Gated(maps) => maps.is_trained(),
            Inputs::Plain(map) => map.is_trained(),
        };
        let norms = [Some(&self.norm), self.after.as_ref()].into_iter().flatten();
        inputs || self.down.is_trained() || norms.into_iter().any(Norm::is_trained)
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        let (gated, plain) = match &mut self.inputs {
            Inputs::Gated(maps) => (Some(maps), None),
            Inputs::Plain(map) => (None, Some(map)),
        };
        gated.into_iter().flat_map(Fan::projections).chain(plain).chain([&mut self.down])
    }
}
