//! The encoder: post-norm blocks of bidirectional attention with biases. A family is an [`EncoderSpec`] and a table of
//! names; the code is written once. Where layers share their weights, one block runs in several steps and its gradients
//! add up.
//!
//! One block, with `N` the layer norm and `f` the activation: `m = N₁(x + O attention(Q x, K x, V x))`,
//! `y = N₂(m + D f(U m))`.

use lorikeet_kernels::{Activation, AttentionShape, Backend, Spans};

use crate::{
    EncoderSpec, Result,
    build::Builder,
    leaf::{Context, Gradients, Input, InputGradient, Leaf},
    names::EncoderNames,
    norm::{Norm, NormKind},
    projection::{LowRank, Projection},
    tokens::{Recompute, Tokens},
};

/// An encoder without its head.
pub(crate) struct Encoder<B: Backend> {
    word: Leaf<B>,
    position: Leaf<B>,
    /// Row of `position` that belongs to a text's first token.
    first_position: u32,
    /// The table, and the last of its rows.
    token_type: Option<(Leaf<B>, u32)>,
    norm: Norm<B>,
    /// From a narrow embedding to the blocks' width.
    widen: Option<Projection<B>>,
    blocks: Vec<Block<B>>,
    /// Which block each step of the forward pass runs; a block may serve in several.
    order: Vec<usize>,
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
    low: Low<LowRank<T>>,
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

/// The embeddings of a batch on their way into the first block.
struct Embedded<T> {
    /// Before their norm.
    sum: T,
    /// After it, where a map widens them, with that map's low-rank activation.
    normed: Option<(T, Option<LowRank<T>>)>,
}

/// The forward pass of an encoder, ready for a backward.
pub(crate) struct EncoderTrace<T> {
    /// The embeddings, where something of them is trained.
    embedded: Option<Embedded<T>>,
    blocks: Vec<Trace<T>>,
    /// The last block's output (N, C).
    pub hidden: T,
}

impl<B: Backend> Block<B> {
    fn new(b: &mut Builder<'_, B>, spec: &EncoderSpec, names: &EncoderNames, i: usize) -> Result<Self> {
        let place = (i / spec.group_layers, i % spec.group_layers);
        let (c, at) = (spec.width, |module: &str| names.block(place, module));
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
        self.o.backward(ctx, grads, (Input::Kept(&s.out), s.low.o.as_ref()), &dsum, &mut dout)?;
        let Some(dout) = dout.into_sum() else { return Ok(None) };
        let (dq, dk, dv) = be.attention_backward(self.attention, spans, (&s.q, &s.k, &s.v), (&s.out, &s.lse), &dout)?;
        let mut dx = if wanted { InputGradient::Sum(dsum) } else { InputGradient::Unwanted };
        self.q.backward(ctx, grads, (Input::Kept(x), s.low.q.as_ref()), &dq, &mut dx)?;
        self.k.backward(ctx, grads, (Input::Kept(x), s.low.k.as_ref()), &dk, &mut dx)?;
        self.v.backward(ctx, grads, (Input::Kept(x), s.low.v.as_ref()), &dv, &mut dx)?;
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
        let h = || Ok(be.activate(self.activation, &s.up)?);
        self.down.backward(ctx, grads, (Input::Again(&h), s.low.down.as_ref()), &dsum, &mut dh)?;
        let Some(dh) = dh.into_sum() else { return Ok(dsum) };
        let dup = be.activate_backward(self.activation, &s.up, &dh)?;
        let mid = || self.attention_norm.forward(ctx, &s.before_mid);
        let mut dmid = InputGradient::Sum(dsum);
        self.up.backward(ctx, grads, (Input::Again(&mid), s.low.up.as_ref()), &dup, &mut dmid)?;
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
        let (names, e) = (EncoderNames::of(spec.family), spec.embedding_width);
        let table = |path: &str| format!("{path}.weight");
        let word = b.matrix(table(names.word), spec.vocabulary, e)?;
        let position = b.matrix(table(names.position), spec.first_position + spec.max_positions, e)?;
        let token_type = match names.token_type {
            Some(path) => Some((b.matrix(table(path), spec.token_types, e)?, spec.token_types as u32 - 1)),
            None => None,
        };
        let norm = Norm::new(b, NormKind::Layer, names.embedding_norm, e, spec.norm_eps)?;
        let widen = names.widen.map(|path| b.outer_projection(path, spec.width, e)).transpose()?;
        let n_blocks = spec.groups * spec.group_layers;
        let blocks = (0..n_blocks).map(|i| Block::new(b, spec, names, i)).collect::<Result<_>>()?;
        let (order, first_position) = (spec.order(), spec.first_position as u32);
        Ok(Self { word, position, first_position, token_type, norm, widen, blocks, order })
    }

    fn position_rows(&self, tokens: &Tokens) -> Vec<u32> {
        tokens.positions.iter().map(|p| p + self.first_position).collect()
    }

    /// A family with one segment gives every token that one, whatever its tokenizer says of a second text.
    fn segment_rows(tokens: &Tokens, last: u32) -> Vec<u32> {
        tokens.token_types.iter().map(|t| (*t).min(last)).collect()
    }

    /// What enters the first block (N, C), and what led there.
    fn embed(&self, ctx: Context<'_, B>, tokens: &Tokens) -> Result<(B::Tensor, Embedded<B::Tensor>)> {
        let be = ctx.backend;
        let mut sum = be.gather_rows(self.word.get(ctx), &tokens.ids)?;
        ctx.disturb(&mut sum, &tokens.spans)?;
        be.add(&mut sum, &be.gather_rows(self.position.get(ctx), &self.position_rows(tokens))?)?;
        if let Some((table, last)) = &self.token_type {
            be.add(&mut sum, &be.gather_rows(table.get(ctx), &Self::segment_rows(tokens, *last))?)?;
        }
        let normed = self.norm.forward(ctx, &sum)?;
        let Some(widen) = &self.widen else { return Ok((normed, Embedded { sum, normed: None })) };
        let (x, low) = widen.forward(ctx, &normed)?;
        Ok((x, Embedded { sum, normed: Some((normed, low)) }))
    }

    /// The last block's output (N, C), keeping nothing.
    pub fn hidden(&self, ctx: Context<'_, B>, tokens: &Tokens) -> Result<B::Tensor> {
        let mut x = self.embed(ctx, tokens)?.0;
        for block in &self.order {
            x = self.blocks[*block].forward(ctx, &tokens.spans, &x)?.0;
        }
        Ok(x)
    }

    /// The last block's output with what a backward needs.
    pub fn trace(&self, ctx: Context<'_, B>, tokens: &Tokens, recompute: Recompute) -> Result<EncoderTrace<B::Tensor>> {
        let lowest = self.lowest_trained();
        let (mut x, embedded) = self.embed(ctx, tokens)?;
        let mut blocks = Vec::with_capacity(self.order.len());
        for (i, block) in self.order.iter().enumerate() {
            let (y, saved) = self.blocks[*block].forward(ctx, &tokens.spans, &x)?;
            if i >= lowest {
                blocks.push(Trace { x, saved: (!recompute.covers(i)).then_some(saved) });
            }
            x = y;
        }
        Ok(EncoderTrace { embedded: self.embedding_is_trained().then_some(embedded), blocks, hidden: x })
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
        for (i, block) in self.order.iter().enumerate().skip(lowest).rev() {
            let block = &self.blocks[*block];
            let Some(Trace { x, saved }) = trace.blocks.pop() else { return Ok(()) };
            let saved = match saved {
                Some(saved) => saved,
                None => block.forward(ctx, &tokens.spans, &x)?.1,
            };
            let wanted = i > lowest || self.embedding_is_trained();
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
        embedded: &Embedded<B::Tensor>,
        dy: &B::Tensor,
    ) -> Result<()> {
        let mut dnormed = InputGradient::wanted(self.word.is_trained());
        let widened = self.widen.as_ref().zip(embedded.normed.as_ref());
        if let Some((widen, (normed, low))) = widened {
            widen.backward(ctx, grads, (Input::Kept(normed), low.as_ref()), dy, &mut dnormed)?;
        }
        let dnormed = dnormed.into_sum();
        let dnormed = if widened.is_some() { dnormed.as_ref() } else { Some(dy) };
        let Some(dnormed) = dnormed else { return Ok(()) };
        let dx = self.norm.backward(ctx, grads, &embedded.sum, dnormed)?;
        if let Some(g) = self.word.gradient(grads) {
            ctx.backend.scatter_add_rows(g, &tokens.ids, &dx)?;
        }
        if let Some(g) = self.position.gradient(grads) {
            ctx.backend.scatter_add_rows(g, &self.position_rows(tokens), &dx)?;
        }
        if let Some((table, last)) = &self.token_type
            && let Some(g) = table.gradient(grads)
        {
            ctx.backend.scatter_add_rows(g, &Self::segment_rows(tokens, *last), &dx)?;
        }
        Ok(())
    }

    /// Whether anything below the first block is trained.
    fn embedding_is_trained(&self) -> bool {
        self.word.is_trained() || self.widen.as_ref().is_some_and(Projection::is_trained)
    }

    /// The lowest step whose input gradient or parameters are needed.
    fn lowest_trained(&self) -> usize {
        if self.embedding_is_trained() {
            return 0;
        }
        self.order.iter().position(|block| self.blocks[*block].is_trained()).unwrap_or(self.order.len())
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.widen.iter_mut().chain(self.blocks.iter_mut().flat_map(Block::projections))
    }
}
