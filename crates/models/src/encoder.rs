//! The encoder: post-norm blocks of bidirectional attention with biases. A family is an [`EncoderSpec`] and a table of
//! names; the code is written once.
//!
//! One block, with `N` the layer norm and `f` the activation: `m = N₁(x + O attention(Q x, K x, V x))`,
//! `y = N₂(m + D f(U m))`.

use lorikeet_kernels::{Activation, AttentionShape, Backend, Spans};

use crate::{
    EncoderSpec, Result,
    build::Builder,
    leaf::{Context, Gradients, InputGradient, Leaf},
    names::EncoderNames,
    norm::{Norm, NormKind},
    projection::Projection,
    tokens::{Recompute, Tokens},
};

/// An encoder without its head.
pub(crate) struct Encoder<B: Backend> {
    word: Leaf<B>,
    position: Leaf<B>,
    token_type: Option<Leaf<B>>,
    norm: Norm<B>,
    blocks: Vec<Block<B>>,
}

struct Block<B: Backend> {
    attention: AttentionShape,
    activation: Activation,
    q: Projection<B>,
    k: Projection<B>,
    v: Projection<B>,
    o: Projection<B>,
    attention_norm: Norm<B>,
    up: Projection<B>,
    down: Projection<B>,
    output_norm: Norm<B>,
}

struct Saved<T> {
    q: T,
    k: T,
    v: T,
    out: T,
    lse: T,
    /// The sum before the attention's norm.
    before_mid: T,
    up: T,
    /// The sum before the output's norm.
    before_y: T,
    low: Low<T>,
}

/// The low-rank activations of the six projections.
struct Low<T> {
    q: Option<T>,
    k: Option<T>,
    v: Option<T>,
    o: Option<T>,
    up: Option<T>,
    down: Option<T>,
}

struct Trace<T> {
    x: T,
    saved: Option<Saved<T>>,
}

/// The forward pass of an encoder, ready for a backward.
pub(crate) struct EncoderTrace<T> {
    /// The embeddings before their norm, where they are trained.
    embedded: Option<T>,
    blocks: Vec<Trace<T>>,
    /// The last block's output (N, C).
    pub hidden: T,
}

impl<B: Backend> Block<B> {
    fn new(b: &mut Builder<'_, B>, spec: &EncoderSpec, names: &EncoderNames, i: usize) -> Result<Self> {
        let (c, at) = (spec.width, |module: &str| names.block(i, module));
        Ok(Self {
            attention: AttentionShape::full(spec.heads, c / spec.heads),
            activation: spec.activation,
            q: b.projection(at(names.query), c, c, true)?,
            k: b.projection(at(names.key), c, c, true)?,
            v: b.projection(at(names.value), c, c, true)?,
            o: b.projection(at(names.output), c, c, true)?,
            attention_norm: Norm::new(b, NormKind::Layer, &at(names.attention_norm), c, spec.norm_eps)?,
            up: b.projection(at(names.up), spec.inner, c, true)?,
            down: b.projection(at(names.down), c, spec.inner, true)?,
            output_norm: Norm::new(b, NormKind::Layer, &at(names.output_norm), c, spec.norm_eps)?,
        })
    }

    fn forward(&self, ctx: Context<'_, B>, spans: &Spans, x: &B::Tensor) -> Result<(B::Tensor, Saved<B::Tensor>)> {
        let be = ctx.backend;
        let ((q, low_q), (k, low_k)) = (self.q.forward(ctx, x)?, self.k.forward(ctx, x)?);
        let (v, low_v) = self.v.forward(ctx, x)?;
        let (out, lse) = be.attention(self.attention, spans, &q, &k, &v)?;
        let (mut before_mid, low_o) = self.o.forward(ctx, &out)?;
        be.add(&mut before_mid, x)?;
        let mid = self.attention_norm.forward(ctx, &before_mid)?;
        let (up, low_up) = self.up.forward(ctx, &mid)?;
        let (mut before_y, low_down) = self.down.forward(ctx, &be.activate(self.activation, &up)?)?;
        be.add(&mut before_y, &mid)?;
        let y = self.output_norm.forward(ctx, &before_y)?;
        let low = Low { q: low_q, k: low_k, v: low_v, o: low_o, up: low_up, down: low_down };
        Ok((y, Saved { q, k, v, out, lse, before_mid, up, before_y, low }))
    }

    fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        spans: &Spans,
        (x, s): (&B::Tensor, &Saved<B::Tensor>),
        dy: &B::Tensor,
        wanted: bool,
    ) -> Result<Option<B::Tensor>> {
        let be = ctx.backend;
        let dsum = self.feed_forward_backward(ctx, grads, s, dy)?;
        let mut dout = InputGradient::Empty;
        self.o.backward(ctx, grads, (&s.out, s.low.o.as_ref()), &dsum, &mut dout)?;
        let Some(dout) = dout.into_sum() else { return Ok(None) };
        let (dq, dk, dv) = be.attention_backward(self.attention, spans, (&s.q, &s.k, &s.v), (&s.out, &s.lse), &dout)?;
        let mut dx = if wanted { InputGradient::Sum(dsum) } else { InputGradient::Unwanted };
        self.q.backward(ctx, grads, (x, s.low.q.as_ref()), &dq, &mut dx)?;
        self.k.backward(ctx, grads, (x, s.low.k.as_ref()), &dk, &mut dx)?;
        self.v.backward(ctx, grads, (x, s.low.v.as_ref()), &dv, &mut dx)?;
        Ok(dx.into_sum())
    }

    /// The gradient of the sum before the attention's norm, from that of the block's output.
    fn feed_forward_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        s: &Saved<B::Tensor>,
        dy: &B::Tensor,
    ) -> Result<B::Tensor> {
        let be = ctx.backend;
        let dsum = self.output_norm.backward(ctx, grads, &s.before_y, dy)?;
        let mut dh = InputGradient::Empty;
        let h = be.activate(self.activation, &s.up)?;
        self.down.backward(ctx, grads, (&h, s.low.down.as_ref()), &dsum, &mut dh)?;
        drop(h);
        let Some(dh) = dh.into_sum() else { return Ok(dsum) };
        let dup = be.activate_backward(self.activation, &s.up, &dh)?;
        let mid = self.attention_norm.forward(ctx, &s.before_mid)?;
        let mut dmid = InputGradient::Sum(dsum);
        self.up.backward(ctx, grads, (&mid, s.low.up.as_ref()), &dup, &mut dmid)?;
        let Some(dmid) = dmid.into_sum() else { return Ok(dh) };
        self.attention_norm.backward(ctx, grads, &s.before_mid, &dmid)
    }

    fn projections(&mut self) -> [&mut Projection<B>; 6] {
        [&mut self.q, &mut self.k, &mut self.v, &mut self.o, &mut self.up, &mut self.down]
    }

    fn is_trained(&self) -> bool {
        [&self.q, &self.k, &self.v, &self.o, &self.up, &self.down].iter().any(|p| p.is_trained())
    }
}

impl<B: Backend> Encoder<B> {
    pub fn new(b: &mut Builder<'_, B>, spec: &EncoderSpec) -> Result<Self> {
        let names = EncoderNames::of(spec.pooling);
        let table = |path: &str| format!("{path}.weight");
        let word = b.matrix(table(names.word), spec.vocabulary, spec.width)?;
        let position = b.matrix(table(names.position), spec.max_positions, spec.width)?;
        let token_type = match names.token_type {
            Some(path) => Some(b.matrix(table(path), spec.token_types, spec.width)?),
            None => None,
        };
        let norm = Norm::new(b, NormKind::Layer, names.embedding_norm, spec.width, spec.norm_eps)?;
        let blocks = (0..spec.layers).map(|i| Block::new(b, spec, names, i)).collect::<Result<_>>()?;
        Ok(Self { word, position, token_type, norm, blocks })
    }

    fn embed(&self, ctx: Context<'_, B>, tokens: &Tokens) -> Result<B::Tensor> {
        let be = ctx.backend;
        let mut x = be.gather_rows(self.word.get(ctx), &tokens.ids)?;
        be.add(&mut x, &be.gather_rows(self.position.get(ctx), &tokens.positions)?)?;
        if let Some(table) = &self.token_type {
            be.add(&mut x, &be.gather_rows(table.get(ctx), &tokens.token_types)?)?;
        }
        Ok(x)
    }

    /// The last block's output (N, C), keeping nothing.
    pub fn hidden(&self, ctx: Context<'_, B>, tokens: &Tokens) -> Result<B::Tensor> {
        let mut x = self.norm.forward(ctx, &self.embed(ctx, tokens)?)?;
        for block in &self.blocks {
            x = block.forward(ctx, &tokens.spans, &x)?.0;
        }
        Ok(x)
    }

    /// The last block's output with what a backward needs.
    pub fn trace(&self, ctx: Context<'_, B>, tokens: &Tokens, recompute: Recompute) -> Result<EncoderTrace<B::Tensor>> {
        let lowest = self.lowest_trained();
        let embedded = self.embed(ctx, tokens)?;
        let mut x = self.norm.forward(ctx, &embedded)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (i, block) in self.blocks.iter().enumerate() {
            let (y, saved) = block.forward(ctx, &tokens.spans, &x)?;
            if i >= lowest {
                blocks.push(Trace { x, saved: (recompute == Recompute::Never).then_some(saved) });
            }
            x = y;
        }
        Ok(EncoderTrace { embedded: self.word.is_trained().then_some(embedded), blocks, hidden: x })
    }

    /// Walks down from the gradient of the last block's output to the lowest trained block.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        tokens: &Tokens,
        mut trace: EncoderTrace<B::Tensor>,
        mut dy: B::Tensor,
    ) -> Result<()> {
        let lowest = self.lowest_trained();
        for (i, block) in self.blocks.iter().enumerate().skip(lowest).rev() {
            let Some(Trace { x, saved }) = trace.blocks.pop() else { return Ok(()) };
            let saved = match saved {
                Some(saved) => saved,
                None => block.forward(ctx, &tokens.spans, &x)?.1,
            };
            let wanted = i > lowest || self.word.is_trained();
            match block.backward(ctx, grads, &tokens.spans, (&x, &saved), &dy, wanted)? {
                Some(dx) => dy = dx,
                None => return Ok(()),
            }
        }
        match trace.embedded {
            Some(embedded) => self.embed_backward(ctx, grads, tokens, &embedded, &dy),
            None => Ok(()),
        }
    }

    fn embed_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        tokens: &Tokens,
        embedded: &B::Tensor,
        dy: &B::Tensor,
    ) -> Result<()> {
        let dx = self.norm.backward(ctx, grads, embedded, dy)?;
        let tables = [
            (Some(&self.word), &tokens.ids),
            (Some(&self.position), &tokens.positions),
            (self.token_type.as_ref(), &tokens.token_types),
        ];
        for (table, rows) in tables {
            if let Some(g) = table.and_then(|t| t.gradient(grads)) {
                ctx.backend.scatter_add_rows(g, rows, &dx)?;
            }
        }
        Ok(())
    }

    fn lowest_trained(&self) -> usize {
        if self.word.is_trained() {
            return 0;
        }
        self.blocks.iter().position(Block::is_trained).unwrap_or(self.blocks.len())
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.blocks.iter_mut().flat_map(Block::projections)
    }
}
