//! The decoder: an embedding, pre-norm blocks of causal attention and a feed-forward part, and a head. A family is a
//! [`DecoderSpec`]; the code is written once.

mod attention;
mod feed_forward;

use lorikeet_kernels::{Backend, Objective, Spans};

use self::{attention::Attention, feed_forward::FeedForward};
use crate::{
    DecoderSpec, KeyValueCache, Result,
    build::{Builder, FreshHead},
    head::CausalHead,
    leaf::{Context, Gradients, Leaf},
    names::DecoderNames,
    projection::Projection,
    rotary::Rotary,
    tokens::{Recompute, Tokens},
};

/// A decoder with its head.
pub(crate) struct Decoder<B: Backend> {
    pub spec: DecoderSpec,
    embedding: Leaf<B>,
    /// The embedding of positions, where positions are learned.
    positions: Option<Leaf<B>>,
    blocks: Vec<Block<B>>,
    pub head: CausalHead<B>,
    rotaries: Vec<Rotary>,
}

struct Block<B: Backend> {
    attention: Attention<B>,
    feed_forward: FeedForward<B>,
}

/// What a block's backward needs besides its input: what is cheap is computed again.
struct Saved<T> {
    attention: attention::Saved<T>,
    mid: T,
    feed_forward: feed_forward::Saved<T>,
}

/// What one block's forward reads besides its input.
struct Places<'a, T> {
    /// Cosines and sines (N, R / 2) of each rotary embedding.
    angles: Vec<(T, T)>,
    spans: &'a Spans,
}

/// The keys and values of one block, and the rows that those of the tokens at hand take.
struct LayerCache<'a, B: Backend> {
    keys: &'a mut B::Tensor,
    values: &'a mut B::Tensor,
    rows: &'a [u32],
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
        Ok(Self { attention: Attention::new(b, spec, i)?, feed_forward: FeedForward::new(b, spec, i)? })
    }

    /// `y` (N, C) from `x` (N, C).
    fn forward(
        &self,
        ctx: Context<'_, B>,
        at: &Places<'_, B::Tensor>,
        x: &B::Tensor,
        cache: Option<LayerCache<'_, B>>,
    ) -> Result<(B::Tensor, Saved<B::Tensor>)> {
        let (mid, attention) = self.attention.forward(ctx, at, x, cache)?;
        let (y, feed_forward) = self.feed_forward.forward(ctx, &mid)?;
        Ok((y, Saved { attention, mid, feed_forward }))
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
        let dmid = self.feed_forward.backward(ctx, grads, (&s.mid, &s.feed_forward), dy)?;
        self.attention.backward(ctx, grads, at, (x, &s.attention), &dmid, wanted)
    }

    fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.attention.projections().chain(self.feed_forward.projections())
    }

    fn is_trained(&self) -> bool {
        self.attention.is_trained() || self.feed_forward.is_trained()
    }
}

impl<B: Backend> Decoder<B> {
    /// With `classes` for labels instead of the vocabulary.
    pub fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, classes: Option<(usize, FreshHead)>) -> Result<Self> {
        let names = DecoderNames::of(spec.naming);
        let table = |module: &str| format!("{}.weight", names.path(module));
        let embedding = b.matrix(table(names.embedding), spec.vocabulary, spec.width)?;
        let positions = match spec.learned_positions {
            true => Some(b.matrix(table(names.positions), spec.max_positions, spec.width)?),
            false => None,
        };
        let blocks = (0..spec.layers.len()).map(|i| Block::new(b, spec, i)).collect::<Result<_>>()?;
        let head = CausalHead::new(b, spec, classes)?;
        let rotaries = spec.ropes.iter().cloned().map(Rotary::new).collect();
        Ok(Self { spec: spec.clone(), embedding, positions, blocks, head, rotaries })
    }

    fn places<'a>(&self, ctx: Context<'_, B>, tokens: &'a Tokens) -> Result<Places<'a, B::Tensor>> {
        let angles = self.rotaries.iter().map(|rotary| {
            let (cos, sin) = rotary.angles(&tokens.positions, &tokens.spans);
            let upload = |angles| ctx.backend.upload(angles, tokens.ids.len(), rotary.n_pairs());
            Ok((upload(cos)?, upload(sin)?))
        });
        Ok(Places { angles: angles.collect::<Result<_>>()?, spans: &tokens.spans })
    }

    fn embed(&self, ctx: Context<'_, B>, tokens: &Tokens) -> Result<B::Tensor> {
        let be = ctx.backend;
        let mut x = be.gather_rows(self.embedding.get(ctx), &tokens.ids)?;
        if let Some(scale) = self.spec.embedding_scale {
            be.scale(&mut x, scale)?;
        }
        ctx.disturb(&mut x, &tokens.spans)?;
        if let Some(positions) = &self.positions {
            be.add(&mut x, &be.gather_rows(positions.get(ctx), &tokens.positions)?)?;
        }
        Ok(x)
    }

    fn embed_backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        tokens: &Tokens,
        mut dx: B::Tensor,
    ) -> Result<()> {
        if let Some(g) = self.positions.as_ref().and_then(|p| p.gradient(grads)) {
            ctx.backend.scatter_add_rows(g, &tokens.positions, &dx)?;
        }
        if let Some(g) = self.embedding.gradient(grads) {
            if let Some(scale) = self.spec.embedding_scale {
                ctx.backend.scale(&mut dx, scale)?;
            }
            ctx.backend.scatter_add_rows(g, &tokens.ids, &dx)?;
        }
        Ok(())
    }

    /// The last block's output, keeping nothing; with a cache the tokens take these rows of it.
    pub fn hidden(
        &self,
        ctx: Context<'_, B>,
        tokens: &Tokens,
        mut cache: Option<(&mut KeyValueCache<B>, &[u32])>,
    ) -> Result<B::Tensor> {
        let mut x = self.embed(ctx, tokens)?;
        let places = self.places(ctx, tokens)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let layer = cache.as_mut().and_then(|(cache, rows)| {
                cache.layers.get_mut(i).map(|(keys, values)| LayerCache { keys, values, rows })
            });
            x = block.forward(ctx, &places, &x, layer)?.0;
        }
        Ok(x)
    }

    /// The last block's output with what a backward needs.
    pub fn trace(&self, ctx: Context<'_, B>, tokens: &Tokens, recompute: Recompute) -> Result<DecoderTrace<B::Tensor>> {
        let lowest = self.lowest_trained();
        let mut x = self.embed(ctx, tokens)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let places = self.places(ctx, tokens)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let (y, saved) = block.forward(ctx, &places, &x, None)?;
            if i >= lowest {
                blocks.push(Trace { x, saved: (!recompute.covers(i)).then_some(saved) });
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
        self.embed_backward(ctx, grads, tokens, dy)
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
        self.rotaries.iter().any(|rotary| rotary.turns_between(before, after))
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

    /// `-log p(target)` of every row, and with `grads` the gradient of the last block's output where each row has a weight.
    pub fn row_losses(
        &self,
        ctx: Context<'_, B>,
        hidden: &B::Tensor,
        targets: &[u32],
        weights: &[f32],
        grads: Option<&mut Gradients<B>>,
    ) -> Result<(Vec<f64>, Option<B::Tensor>)> {
        self.head.row_losses(ctx, &self.embedding, (hidden, targets), weights, grads)
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.blocks.iter_mut().flat_map(Block::projections)
    }
}
