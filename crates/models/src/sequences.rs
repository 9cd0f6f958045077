//! Losses of single tokens and whole sequences: what learning from preferences compares, with gradients in which each
//! sequence has a weight of its own.

use lorikeet_kernels::Backend;

use crate::{
    Gradients, Model, Result,
    head::IGNORED,
    leaf::Context,
    tokens::{LossSum, Recompute, Tokens},
};

impl<B: Backend> Model<B> {
    /// `-log p(target)` of every token of a causal model, N; 0 where nothing is supervised. Without `adapters` the base
    /// alone is asked.
    ///
    /// # Errors
    /// As [`Model::logits`], and of a model that gives labels.
    pub fn token_losses(&self, tokens: &Tokens, targets: &[u32], adapters: bool) -> Result<Vec<f64>> {
        self.check(tokens)?;
        self.check_targets(targets)?;
        let (decoder, ctx) = (self.decoder()?, self.context());
        let ctx = Context { adapters: adapters && ctx.adapters, ..ctx };
        let hidden = decoder.hidden(ctx, tokens, None)?;
        Ok(decoder.row_losses(ctx, &hidden, targets, &vec![0.0; targets.len()], None)?.0)
    }

    /// The sums of [`Model::token_losses`] over each sequence, S.
    ///
    /// # Errors
    /// As [`Model::token_losses`].
    pub fn sequence_losses(&self, tokens: &Tokens, targets: &[u32], adapters: bool) -> Result<Vec<LossSum>> {
        Ok(by_sequence(tokens, targets, &self.token_losses(tokens, targets, adapters)?))
    }

    /// The losses of all sequences, from which `weigh` decides what each counts for: the gradients of their weighted sum
    /// are added to `grads`.
    ///
    /// # Errors
    /// As [`Model::token_losses`].
    pub fn weighted_gradients(
        &self,
        tokens: &Tokens,
        targets: &[u32],
        recompute: Recompute,
        grads: &mut Gradients<B>,
        weigh: &mut dyn FnMut(&[LossSum]) -> Vec<f32>,
    ) -> Result<()> {
        self.check(tokens)?;
        self.check_targets(targets)?;
        let (decoder, ctx) = (self.decoder()?, Context { noise: self.noise, ..self.context() });
        let trace = decoder.trace(ctx, tokens, recompute)?;
        let mut weights = vec![0.0; targets.len()];
        let (losses, _) = decoder.row_losses(ctx, &trace.hidden, targets, &weights, None)?;
        let of_sequences = weigh(&by_sequence(tokens, targets, &losses));
        for (span, weight) in tokens.spans.queries.iter().zip(of_sequences) {
            weights[span.clone()].fill(weight);
        }
        let (_, dy) = decoder.row_losses(ctx, &trace.hidden, targets, &weights, Some(grads))?;
        match dy {
            Some(dy) => decoder.backward(ctx, grads, tokens, trace, dy),
            None => Ok(()),
        }
    }
}

fn by_sequence(tokens: &Tokens, targets: &[u32], losses: &[f64]) -> Vec<LossSum> {
    let of = |span: &std::ops::Range<usize>| {
        let count = targets[span.clone()].iter().filter(|t| **t != IGNORED).count();
        LossSum::of(losses[span.clone()].iter().sum(), count)
    };
    tokens.spans.queries.iter().map(of).collect()
}
