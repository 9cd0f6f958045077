//! The head of an encoder's classifier: the first token of each sequence through a dense layer and a projection onto the
//! classes.

use lorikeet_kernels::{Activation, Backend};

use crate::{
    EncoderSpec, Result,
    build::{Builder, FreshHead},
    config::EncoderFamily,
    leaf::{Context, Gradients, Input, InputGradient},
    names::EncoderNames,
    projection::{LowRank, Projection},
};

/// Dense layer, activation, classes.
pub(crate) struct Classifier<B: Backend> {
    dense: Projection<B>,
    activation: Activation,
    classes: Projection<B>,
}

/// What the head's backward needs.
pub(crate) struct ClassifierTrace<T> {
    first: T,
    /// The dense layer's low-rank activation.
    low: Option<LowRank<T>>,
    before: T,
    pooled: T,
    /// Logits (S, K) of S sequences and K classes.
    pub logits: T,
}

impl<B: Backend> Classifier<B> {
    /// `start` says what a head that the base does not have begins with.
    pub fn new(b: &mut Builder<'_, B>, spec: &EncoderSpec, labels: usize, start: FreshHead) -> Result<Self> {
        let (names, c) = (EncoderNames::of(spec.family), spec.width);
        let (dense, activation) = match spec.family {
            EncoderFamily::Bert | EncoderFamily::Albert => (b.outer_projection(names.dense, c, c)?, Activation::Tanh),
            EncoderFamily::DistilBert => (b.head(names.dense, c, c, start)?, Activation::Relu),
            EncoderFamily::Roberta => (b.head(names.dense, c, c, start)?, Activation::Tanh),
        };
        let classes = b.head(names.classes, labels, c, start)?;
        Ok(Self { dense, activation, classes })
    }

    /// Logits of the sequences whose first tokens are the rows `firsts` of `hidden`.
    pub fn forward(
        &self,
        ctx: Context<'_, B>,
        hidden: &B::Tensor,
        firsts: &[u32],
    ) -> Result<ClassifierTrace<B::Tensor>> {
        let first = ctx.backend.gather_rows(hidden, firsts)?;
        let (before, low) = self.dense.forward(ctx, &first)?;
        let pooled = ctx.backend.activate(self.activation, &before)?;
        let (logits, _) = self.classes.forward(ctx, &pooled)?;
        Ok(ClassifierTrace { first, low, before, pooled, logits })
    }

    /// The gradient (N, C) of `hidden` from that of the logits, which `trace.logits` holds by now.
    pub fn backward(
        &self,
        ctx: Context<'_, B>,
        grads: &mut Gradients<B>,
        trace: &ClassifierTrace<B::Tensor>,
        (firsts, n_rows): (&[u32], usize),
    ) -> Result<B::Tensor> {
        let be = ctx.backend;
        let (mut dpooled, mut dfirst) = (InputGradient::Empty, InputGradient::Empty);
        self.classes.backward(ctx, grads, (Input::Kept(&trace.pooled), None), &trace.logits, &mut dpooled)?;
        let mut dhidden = be.zeros(n_rows, be.shape(&trace.first).1)?;
        let Some(dpooled) = dpooled.into_sum() else { return Ok(dhidden) };
        let dbefore = be.activate_backward(self.activation, &trace.before, &dpooled)?;
        self.dense.backward(ctx, grads, (Input::Kept(&trace.first), trace.low.as_ref()), &dbefore, &mut dfirst)?;
        if let Some(dfirst) = dfirst.into_sum() {
            be.scatter_add_rows(&mut dhidden, firsts, &dfirst)?;
        }
        Ok(dhidden)
    }

    pub fn projections(&mut self) -> [&mut Projection<B>; 2] {
        [&mut self.dense, &mut self.classes]
    }
}
