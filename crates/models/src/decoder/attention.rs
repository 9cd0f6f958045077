//! The first half of a decoder's block: what attention adds to the stream.
//!
//! With `n` the norm, `R` the rotation and `a` the norm after, where there is one:
//! `m = x + a(O attention(R Q n(x), R K n(x), V n(x)))`.

use lorikeet_kernels::{AttentionShape, Backend};

use super::{LayerCache, Places};
use crate::{
    DecoderSpec, Result,
    build::{Builder, LinearShape},
    fan::{Fan, FanLow},
    leaf::{Context, Gradients, Input, InputGradient},
    names::DecoderNames,
    norm::Norm,
    projection::{LowRank, Projection},
};

pub(super) struct Attention<B: Backend> {
    shape: AttentionShape,
    rope: Option<usize>,
    norm: Norm<B>,
    qkv: Fan<B, 3>,
    qk_norm: Option<(Norm<B>, Norm<B>)>,
    output: Projection<B>,
    after: Option<Norm<B>>,
}

pub(super) struct Saved<T> {
    /// Queries and keys before their own norm, where there is one.
    raw: Option<(T, T)>,
    q: T,
    k: T,
    v: T,
    out: T,
    lse: T,
    /// What is added before the norm after, where there is one.
    added: Option<T>,
    low_qkv: FanLow<T>,
    low_output: Option<LowRank<T>>,
}

impl<B: Backend> Attention<B> {
    pub fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, i: usize) -> Result<Self> {
        let names = DecoderNames::of(spec.naming);
        let at = |module: &str| names.block(i, module);
        let layer = spec.layers.get(i).copied().unwrap_or_default();
        let (q_width, kv_width) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let paths = if spec.fused { vec![at(names.fused_qkv)] } else { names.qkv.map(at).to_vec() };
        let (transposed, width) = (spec.transposed, spec.width);
        let qkv = LinearShape { out: q_width, inside: width, bias: spec.qkv_bias, transposed };
        let output = LinearShape { out: width, inside: q_width, bias: spec.output_bias, transposed };
        let norm = |b: &mut _, module: &str, width| Norm::new(b, spec.norm, &at(module), width, spec.norm_eps);
        Ok(Self {
            shape: AttentionShape {
                kv_heads: spec.kv_heads,
                causal: true,
                scale: spec.score_scale,
                window: layer.window,
                softcap: spec.score_cap,
                ..AttentionShape::full(spec.heads, spec.head_dim)
            },
            rope: layer.rope,
            norm: norm(b, names.attention_norm, spec.width)?,
            qkv: Fan::new(b, &paths, [q_width, kv_width, kv_width], qkv)?,
            qk_norm: match spec.qk_norm {
                true => Some((norm(b, names.query_norm, spec.head_dim)?, norm(b, names.key_norm, spec.head_dim)?)),
                false => None,
            },
            output: b.linear(at(names.attention_output), output)?,
            after: match spec.norm_after {
                true => Some(norm(b, DecoderNames::AROUND[0], spec.width)?),
                false => None,
            },
        })
    }

    /// `m` (N, C) from `x` (N, C); with a cache, keys and values are written there and read back from each sequence's start.
    pub fn forward(
        &self,
        ctx: Context<'_, B>,
        at: &Places<'_, B::Tensor>,
        x: &B::Tensor,
        cache: Option<LayerCache<'_, B>>,
    ) -> Result<(B::Tensor, Saved<B::Tensor>)> {
        let be = ctx.backend;
        let ([q, k, v], low_qkv) = self.qkv.forward(ctx, &self.norm.forward(ctx, x)?)?;
        let (raw, mut q, mut k) = self.norm_heads(ctx, q, k)?;
        self.rotate(ctx, at, (&mut q, &mut k), false)?;
        let (out, lse) = match cache {
            None => be.attention(self.shape, at.spans, &q, &k, &v)?,
            Some(LayerCache { keys, values, rows }) => {
                be.write_rows(keys, rows, &k)?;
                be.write_rows(values, rows, &v)?;
                be.attention(self.shape, at.spans, &q, keys, values)?
            }
        };
        let (added, low_output) = self.output.forward(ctx, &out)?;
        let (mut mid, added) = match &self.after {
            None => (added, None),
            Some(after) => (after.forward(ctx, &added)?, Some(added)),
        };
        be.add(&mut mid, x)?;
        Ok((mid, Saved { raw, q, k, v, out, lse, added, low_qkv, low_output }))
    }

    #[allow(clippy::type_complexity)]
    fn norm_heads(
        &self,
        ctx: Context<'_, B>,
        q: B::Tensor,
        k: B::Tensor,
    ) -> Result<(Option<(B::Tensor, B::Tensor)>, B::Tensor, B::Tensor)> {
        let Some((q_norm, k_norm)) = &self.qk_norm else { return Ok((None, q, k)) };
        let (normed_q, normed_k) = (q_norm.forward(ctx, &q)?, k_norm.forward(ctx, &k)?);
        Ok((Some((q, k)), normed_q, normed_k))
    }

    fn rotate(
        &self,
        ctx: Context<'_, B>,
        at: &Places<'_, B::Tensor>,
        (q, k): (&mut B::Tensor, &mut B::Tensor),
        backward: bool,
    ) -> Result<()> {
        let Some((cos, sin)) = self.rope.and_then(|rope| at.angles.get(rope)) else { return Ok(()) };
        ctx.backend.rotate(q, cos, sin, self.shape.head_dim, backward)?;
        Ok(ctx.backend.rotate(k, cos, sin, self.shape.head_dim, backward)?)
    }

    /// `dx` from `dm`, where it is wanted; adds the gradients of what is trained here.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        at: &Places<'_, B::Tensor>,
        (x, s): (&B::Tensor, &Saved<B::Tensor>),
        dmid: &B::Tensor,
        wanted: bool,
    ) -> Result<Option<B::Tensor>> {
        let be = ctx.backend;
        let mut dout = InputGradient::Empty;
        let dadded = match (&self.after, &s.added) {
            (Some(after), Some(added)) => Some(after.backward(ctx, grads, added, dmid)?),
            _ => None,
        };
        let (out, low_output) = (&s.out, s.low_output.as_ref());
        self.output.backward(ctx, grads, (Input::Kept(out), low_output), dadded.as_ref().unwrap_or(dmid), &mut dout)?;
        let Some(dout) = dout.into_sum() else { return Ok(None) };
        let (mut dq, mut dk, dv) =
            be.attention_backward(self.shape, at.spans, (&s.q, &s.k, &s.v), (&s.out, &s.lse), &dout)?;
        self.rotate(ctx, at, (&mut dq, &mut dk), true)?;
        if let (Some((q_norm, k_norm)), Some((q, k))) = (&self.qk_norm, &s.raw) {
            dq = q_norm.backward(ctx, grads, q, &dq)?;
            dk = k_norm.backward(ctx, grads, k, &dk)?;
        }
        let normed = || self.norm.forward(ctx, x);
        let mut dn = InputGradient::wanted(wanted || self.norm.is_trained());
        self.qkv.backward(ctx, grads, (Input::Again(&normed), &s.low_qkv), [&dq, &dk, &dv], &mut dn)?;
        let Some(dn) = dn.into_sum() else { return Ok(None) };
        let mut dx = self.norm.backward(ctx, grads, x, &dn)?;
        be.add(&mut dx, dmid)?;
        Ok(Some(dx))
    }

    pub fn is_trained(&self) -> bool {
        let norms = [Some(&self.norm), self.after.as_ref()].into_iter().flatten();
        self.qkv.is_trained() || self.output.is_trained() || norms.into_iter().any(Norm::is_trained)
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.qkv.projections().chain([&mut self.output])
    }
}
