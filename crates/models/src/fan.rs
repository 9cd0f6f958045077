//! Several linear maps of one input: stored apart, or as the rows of one weight (Phi-3's `qkv_proj` and `gate_up_proj`,
//! GPT-2's `c_attn`), which then are one module with one adapter, as in PEFT.

use lorikeet_kernels::{Backend, KernelError};

use crate::{
    Result,
    build::{Builder, LinearShape},
    leaf::{Context, Gradients, Input, InputGradient},
    projection::{LowRank, Projection},
};

/// `K` linear maps of one input.
pub(crate) struct Fan<B: Backend, const K: usize> {
    /// One for each output, or one for all of them.
    maps: Vec<Projection<B>>,
    widths: [usize; K],
}

/// What the projections' backward needs.
pub(crate) type FanLow<T> = Vec<Option<LowRank<T>>>;

/// The outputs, and what their backward needs.
type FanOutput<T, const K: usize> = ([T; K], FanLow<T>);

impl<B: Backend, const K: usize> Fan<B, K> {
    /// The maps at the module `paths`, as many as there are `widths`, or one for all. Each has the `shape` but for its own
    /// rows.
    pub fn new(b: &mut Builder<'_, B>, paths: &[String], widths: [usize; K], shape: LinearShape) -> Result<Self> {
        let fused = [widths.iter().sum()];
        let rows = if paths.len() == K { widths.as_slice() } else { &fused };
        let maps = paths.iter().zip(rows).map(|(path, out)| b.linear(path.clone(), LinearShape { out: *out, ..shape }));
        Ok(Self { maps: maps.collect::<Result<_>>()?, widths })
    }

    /// The outputs (N, width), each a tensor of its own.
    pub fn forward(&self, ctx: Context<'_, B>, x: &B::Tensor) -> Result<FanOutput<B::Tensor, K>> {
        let (mut outputs, lows): (Vec<_>, Vec<_>) = Projection::forward_each(ctx, &self.maps, x)?.into_iter().unzip();
        if let ([whole], true) = (outputs.as_slice(), K > 1) {
            outputs = self.columns().map(|c| ctx.backend.columns(whole, c)).collect::<lorikeet_kernels::Result<_>>()?;
        }
        let found = outputs.len();
        let outputs = outputs.try_into().map_err(|_| KernelError::Length { rows: K, cols: 1, found })?;
        Ok((outputs, lows))
    }

    /// Adds the gradients of what is trained to `grads`, and the input's gradient to `dx`.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        (x, lows): (Input<'_, B::Tensor>, &FanLow<B::Tensor>),
        dy: [&B::Tensor; K],
        dx: &mut InputGradient<B::Tensor>,
    ) -> Result<()> {
        if let ([whole], [low], true) = (self.maps.as_slice(), lows.as_slice(), K > 1) {
            return whole.backward(ctx, grads, (x, low.as_ref()), &ctx.backend.join_columns(&dy)?, dx);
        }
        // What is computed again is computed once for all maps.
        let mut made = None;
        let x = if self.is_trained() { Input::Kept(x.get(&mut made)?) } else { x };
        let mut maps = self.maps.iter().zip(lows).zip(dy);
        maps.try_for_each(|((map, low), dy)| map.backward(ctx, grads, (x, low.as_ref()), dy, dx))
    }

    /// Where each output stands in the fused one.
    fn columns(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.widths.iter().scan(0, |end, width| {
            *end += width;
            Some(*end - width..*end)
        })
    }

    pub fn is_trained(&self) -> bool {
        self.maps.iter().any(Projection::is_trained)
    }

    pub fn projections(&mut self) -> impl Iterator<Item = &mut Projection<B>> {
        self.maps.iter_mut()
    }
}
