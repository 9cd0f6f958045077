//! The decoder: pre-norm blocks of causal attention with rotary positions and a gated feed-forward part. A family is a
//! [`DecoderSpec`]; the code is written once.
//!
//! One block, with `n` the root-mean-square norm, `R` the rotation and `f` the activation:
//! `m = x + O attention(R Q n₁(x), R K n₁(x), V n₁(x))`, `y = m + D (f(G n₂(m)) * U n₂(m))`.

use lorikeet_kernels::{AttentionShape, Backend, Objective, Spans};

use crate::{
    DecoderSpec, KeyValueCache, Result,
    build::{Builder, FreshHead},
    head::CausalHead,
    leaf::{Context, Gradients, InputGradient, Leaf},
    names::DecoderNames,
    norm::Norm,
    projection::{LowRank, Projection},
    rotary::Rotary,
    tokens::{Recompute, Tokens},
};

/// A decoder with its head.
pub(crate) struct Decoder<B: Backend> {
    pub spec: DecoderSpec,
    embedding: Leaf<B>,
    blocks: Vec<Block<B>>,
    pub head: CausalHead<B>,
    rotary: Rotary,
}

struct Block<B: Backend> {
    attention: AttentionShape,
    activation: lorikeet_kernels::Activation,
    input_norm: Norm<B>,
    q: Projection<B>,
    k: Projection<B>,
    v: Projection<B>,
    o: Projection<B>,
    qk_norm: Option<(Norm<B>, Norm<B>)>,
    post_norm: Norm<B>,
    gate: Projection<B>,
    up: Projection<B>,
    down: Projection<B>,
}

/// What a block's backward needs besides its input: what is cheap is computed again.
struct Saved<T> {
    /// Queries and keys before their own norm, where there is one.
    raw: Option<(T, T)>,
    q: T,
    k: T,
    v: T,
    out: T,
    lse: T,
    mid: T,
    gate: T,
    up: T,
    low: Low<LowRank<T>>,
}

/// The low-rank activations of the seven projections.
struct Low<T> {
    q: Option<T>,
    k: Option<T>,
    v: Option<T>,
    o: Option<T>,
    gate: Option<T>,
    up: Option<T>,
    down: Option<T>,
}

/// What one block's forward reads besides its input.
struct Places<'a, T> {
    cos: T,
    sin: T,
    spans: &'a Spans,
}

/// A block's input and, unless it is computed again, what its forward saved.
struct Trace<T> {
    x: T,
    saved: Option<Saved<T>>,
}

/// The forward pass of all blocks, ready for a backward.
pub(crate) struct DecoderTrace<T> {
    blocks: Vec<Trace<T>>,
    /// The last block's output (N, C), before the final norm.
    pub hidden: T,
}

impl<B: Backend> Block<B> {
    fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, i: usize) -> Result<Self> {
        let at = |module: &str| DecoderNames::block(i, module);
        let (q_width, kv_width) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let qk_norm = if spec.qk_norm {
            let q = Norm::new(b, spec.norm, &at("self_attn.q_norm"), spec.head_dim, spec.norm_eps)?;
            Some((q, Norm::new(b, spec.norm, &at("self_attn.k_norm"), spec.head_dim, spec.norm_eps)?))
        } else {
            None
        };
        Ok(Self {
            attention: AttentionShape {
                kv_heads: spec.kv_heads,
                causal: true,
                ..AttentionShape::full(spec.heads, spec.head_dim)
            },
            activation: spec.activation,
            input_norm: Norm::new(b, spec.norm, &at("input_layernorm"), spec.width, spec.norm_eps)?,
            q: b.projection(at("self_attn.q_proj"), q_width, spec.width, spec.qkv_bias)?,
            k: b.projection(at("self_attn.k_proj"), kv_width, spec.width, spec.qkv_bias)?,
            v: b.projection(at("self_attn.v_proj"), kv_width, spec.width, spec.qkv_bias)?,
            o: b.projection(at("self_attn.o_proj"), spec.width, q_width, spec.output_bias)?,
            qk_norm,
            post_norm: Norm::new(b, spec.norm, &at("post_attention_layernorm"), spec.width, spec.norm_eps)?,
            gate: b.projection(at("mlp.gate_proj"), spec.inner, spec.width, spec.mlp_bias)?,
            up: b.projection(at("mlp.up_proj"), spec.inner, spec.width, spec.mlp_bias)?,
            down: b.projection(at("mlp.down_proj"), spec.width, spec.inner, spec.mlp_bias)?,
        })
    }

    /// `y` (N, C) from `x` (N, C); with a cache, keys and values are written there and read back from its start.
    fn forward(
        &self,
        ctx: Context<'_, B>,
        at: &Places<'_, B::Tensor>,
        x: &B::Tensor,
        cache: Option<(&mut B::Tensor, &mut B::Tensor, usize)>,
    ) -> Result<(B::Tensor, Saved<B::Tensor>)> {
        let be = ctx.backend;
        let n = self.input_norm.forward(ctx, x)?;
        let ((q, low_q), (k, low_k)) = (self.q.forward(ctx, &n)?, self.k.forward(ctx, &n)?);
        let (v, low_v) = self.v.forward(ctx, &n)?;
        let (raw, mut q, mut k) = self.norm_heads(ctx, q, k)?;
        be.rotate(&mut q, &at.cos, &at.sin, self.attention.head_dim, false)?;
        be.rotate(&mut k, &at.cos, &at.sin, self.attention.head_dim, false)?;
        let (out, lse) = match cache {
            None => be.attention(self.attention, at.spans, &q, &k, &v)?,
            Some((keys, values, len)) => {
                be.write_rows(keys, len, &k)?;
                be.write_rows(values, len, &v)?;
                be.attention(self.attention, at.spans, &q, keys, values)?
            }
        };
        let (mut mid, low_o) = self.o.forward(ctx, &out)?;
        be.add(&mut mid, x)?;
        let n = self.post_norm.forward(ctx, &mid)?;
        let ((gate, low_gate), (up, low_up)) = (self.gate.forward(ctx, &n)?, self.up.forward(ctx, &n)?);
        let (mut y, low_down) = self.down.forward(ctx, &be.gated(self.activation, &gate, &up)?)?;
        be.add(&mut y, &mid)?;
        let low = Low { q: low_q, k: low_k, v: low_v, o: low_o, gate: low_gate, up: low_up, down: low_down };
        Ok((y, Saved { raw, q, k, v, out, lse, mid, gate, up, low }))
    }

    #[allow(clippy::type_complexity)]
    fn norm_heads(
        &self,
        ctx: Context<'_, B>,
        q: B::Tensor,
        k: B::Tensor,
    ) -> Result<(Option<(B::Tensor, B::Tensor)>, B::Tensor, B::Tensor)> {
        let Some((q_norm, k_norm)) = &self.qk_norm else { return Ok((None, q, k)) };
        let normed_q = q_norm.forward(ctx, &q)?;
        let normed_k = k_norm.forward(ctx, &k)?;
        Ok((Some((q, k)), normed_q, normed_k))
    }

    /// `dx` from `dy`, where it is wanted; adds the gradients of what is trained here.
    fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        at: &Places<'_, B::Tensor>,
        (x, s): (&B::Tensor, &Saved<B::Tensor>),
        dy: B::Tensor,
        wanted: bool,
    ) -> Result<Option<B::Tensor>> {
        let be = ctx.backend;
        let dmid = self.feed_forward_backward(ctx, grads, s, dy)?;
        let mut dout = InputGradient::Empty;
        self.o.backward(ctx, grads, (&s.out, s.low.o.as_ref()), &dmid, &mut dout)?;
        let Some(dout) = dout.into_sum() else { return Ok(None) };
        let (mut dq, mut dk, dv) =
            be.attention_backward(self.attention, at.spans, (&s.q, &s.k, &s.v), (&s.out, &s.lse), &dout)?;
        be.rotate(&mut dq, &at.cos, &at.sin, self.attention.head_dim, true)?;
        be.rotate(&mut dk, &at.cos, &at.sin, self.attention.head_dim, true)?;
        if let (Some((q_norm, k_norm)), Some((q, k))) = (&self.qk_norm, &s.raw) {
            dq = q_norm.backward(ctx, grads, q, &dq)?;
            dk = k_norm.backward(ctx, grads, k, &dk)?;
        }
        let n = self.input_norm.forward(ctx, x)?;
        let mut dn = InputGradient::wanted(wanted || self.input_norm.is_trained());
        self.q.backward(ctx, grads, (&n, s.low.q.as_ref()), &dq, &mut dn)?;
        self.k.backward(ctx, grads, (&n, s.low.k.as_ref()), &dk, &mut dn)?;
        self.v.backward(ctx, grads, (&n, s.low.v.as_ref()), &dv, &mut dn)?;
        let Some(dn) = dn.into_sum() else { return Ok(None) };
        let mut dx = self.input_norm.backward(ctx, grads, x, &dn)?;
        be.add(&mut dx, &dmid)?;
        Ok(Some(dx))
    }

    /// The gradient of the block's middle from that of its output.
    fn feed_forward_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        s: &Saved<B::Tensor>,
        dy: B::Tensor,
    ) -> Result<B::Tensor> {
        let be = ctx.backend;
        let mut dh = InputGradient::Empty;
        let h = be.gated(self.activation, &s.gate, &s.up)?;
        self.down.backward(ctx, grads, (&h, s.low.down.as_ref()), &dy, &mut dh)?;
        drop(h);
        let Some(dh) = dh.into_sum() else { return Ok(dy) };
        let (dgate, dup) = be.gated_backward(self.activation, &s.gate, &s.up, &dh)?;
        drop(dh);
        let n = self.post_norm.forward(ctx, &s.mid)?;
        let mut dn = InputGradient::Empty;
        self.gate.backward(ctx, grads, (&n, s.low.gate.as_ref()), &dgate, &mut dn)?;
        self.up.backward(ctx, grads, (&n, s.low.up.as_ref()), &dup, &mut dn)?;
        let Some(dn) = dn.into_sum() else { return Ok(dy) };
        let mut dmid = self.post_norm.backward(ctx, grads, &s.mid, &dn)?;
        be.add(&mut dmid, &dy)?;
        Ok(dmid)
    }

    fn projections(&mut self) -> [&mut Projection<B>; 7] {
        [&mut self.q, &mut self.k, &mut self.v, &mut self.o, &mut self.gate, &mut self.up, &mut self.down]
    }

    fn is_trained(&self) -> bool {
        let maps = [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down];
        maps.iter().any(|p| p.is_trained()) || self.input_norm.is_trained() || self.post_norm.is_trained()
    }
}

impl<B: Backend> Decoder<B> {
    /// With `classes` for labels instead of the vocabulary.
    pub fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, classes: Option<(usize, FreshHead)>) -> Result<Self> {
        let embedding = b.matrix(format!("{}.weight", DecoderNames::EMBEDDING), spec.vocabulary, spec.width)?;
        let blocks = (0..spec.layers).map(|i| Block::new(b, spec, i)).collect::<Result<_>>()?;
        let head = CausalHead::new(b, spec, classes)?;
        Ok(Self { spec: spec.clone(), embedding, blocks, head, rotary: Rotary::new(spec.rope.clone()) })
    }

    fn places<'a>(&self, ctx: Context<'_, B>, tokens: &'a Tokens) -> Result<Places<'a, B::Tensor>> {
        let (cos, sin) = self.rotary.angles(&tokens.positions, &tokens.spans);
        let upload = |angles| ctx.backend.upload(angles, tokens.ids.len(), self.rotary.n_pairs());
        Ok(Places { cos: upload(cos)?, sin: upload(sin)?, spans: &tokens.spans })
    }

    /// The last block's output, keeping nothing; with a cache the tokens follow what it holds.
    pub fn hidden(
        &self,
        ctx: Context<'_, B>,
        tokens: &Tokens,
        mut cache: Option<&mut KeyValueCache<B>>,
    ) -> Result<B::Tensor> {
        let mut x = ctx.backend.gather_rows(self.embedding.get(ctx), &tokens.ids)?;
        let places = self.places(ctx, tokens)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_deref_mut().and_then(|c| {
                let len = c.len();
                c.layers.get_mut(i).map(|(k, v)| (k, v, len))
            });
            x = block.forward(ctx, &places, &x, layer)?.0;
        }
        Ok(x)
    }

    /// The last block's output with what a backward needs.
    pub fn trace(&self, ctx: Context<'_, B>, tokens: &Tokens, recompute: Recompute) -> Result<DecoderTrace<B::Tensor>> {
        let lowest = self.lowest_trained();
        let mut x = ctx.backend.gather_rows(self.embedding.get(ctx), &tokens.ids)?;
        ctx.disturb(&mut x, &tokens.spans)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let places = self.places(ctx, tokens)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let (y, saved) = block.forward(ctx, &places, &x, None)?;
            if i >= lowest {
                blocks.push(Trace { x, saved: (recompute == Recompute::Never).then_some(saved) });
            }
            x = y;
        }
        Ok(DecoderTrace { blocks, hidden: x })
    }

    /// Walks down from the gradient of the last block's output to the lowest trained block.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        tokens: &Tokens,
        trace: DecoderTrace<B::Tensor>,
        mut dy: B::Tensor,
    ) -> Result<()> {
        let lowest = self.lowest_trained();
        let DecoderTrace { mut blocks, hidden } = trace;
        drop(hidden);
        let places = self.places(ctx, tokens)?;
        for (i, block) in self.blocks.iter().enumerate().skip(lowest).rev() {
            let Some(Trace { x, saved }) = blocks.pop() else { return Ok(()) };
            let saved = match saved {
                Some(saved) => saved,
                None => block.forward(ctx, &places, &x, None)?.1,
            };
            let wanted = i > lowest || self.embedding.is_trained();
            match block.backward(ctx, grads, &places, (&x, &saved), dy, wanted)? {
                Some(dx) => dy = dx,
                None => return Ok(()),
            }
        }
        if let Some(g) = self.embedding.gradient(grads) {
            ctx.backend.scatter_add_rows(g, &tokens.ids, &dy)?;
        }
        Ok(())
    }

    /// The lowest block whose input gradient or parameters are needed.
    fn lowest_trained(&self) -> usize {
        if self.embedding.is_trained() {
            return 0;
        }
        self.blocks.iter().position(Block::is_trained).unwrap_or(self.blocks.len())
    }

    /// Whether keys of a text of `before` tokens must be computed anew when it has `after`.
    pub fn turns_between(&self, before: usize, after: usize) -> bool {
        self.rotary.turns_between(before, after)
    }

    /// Logits (N, V) of hidden rows.
    pub fn logits(&self, ctx: Context<'_, B>, hidden: &B::Tensor) -> Result<B::Tensor> {
        self.head.logits(ctx, &self.embedding, hidden)
    }

    /// Sum of the objective's losses at `targets`, and with `grads` the gradient of the last block's output.
    pub fn loss(
        &self,
        ctx: Context<'_, B>,
        hidden: &B::Tensor,
        targets: &[u32],
        objective: (&Objective, f32),
        grads: Option<&mut Gradients<B>>,
    ) -> Result<(f64, Option<B::Tensor>)> {
        self.head.loss(ctx, &self.embedding, (hidden, targets), objective, grads)
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.blocks.iter_mut().flat_map(Block::projections)
    }
}
