//! What training adds so that a model learns and does not learn by heart: dropout before adapters and noise on embeddings.
//! Every number is a function of the seed, the batch, the module and its place, so that an interrupted run goes on with
//! the same ones, on every device and with any number of threads. Nothing here acts in evaluation.

use lorikeet_kernels::{Backend, Spans, random::Stream};

use crate::{Result, leaf::Context};

/// The random part of one batch's forward and backward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the batch within the run.
    pub batch: u64,
    /// Share of an adapter's inputs that are dropped, below 1.
    pub dropout: f32,
    /// Strength of the noise on embeddings; 0 for none (Jain et al., "NEFTune", 2023).
    pub embedding: f32,
}

/// Bits of a stream's number that count batches; those above name the module.
const BATCH_BITS: u32 = 40;

impl Noise {
    /// The stream of a module; 0 is the embedding.
    fn stream(self, module: u64) -> Stream {
        Stream::new(self.seed, (module << BATCH_BITS) | (self.batch & ((1 << BATCH_BITS) - 1)))
    }
}

impl<B: Backend> Context<'_, B> {
    /// Whether the inputs of adapters are dropped from.
    pub fn drops(&self) -> bool {
        self.noise.is_some_and(|noise| noise.dropout > 0.0)
    }

    /// `x` after the dropout of the adapter whose A is parameter `a`; `None` where nothing is dropped.
    pub fn dropped(&self, a: usize, x: &B::Tensor) -> Result<Option<B::Tensor>> {
        match self.noise {
            Some(noise) if noise.dropout > 0.0 => {
                Ok(Some(self.backend.dropout(x, noise.dropout, noise.stream(a as u64 + 1))?))
            }
            _ => Ok(None),
        }
    }

    /// Adds uniform noise in ±alpha / sqrt(T C) to the embeddings `x` (N, C) of every sequence of T tokens.
    pub fn disturb(&self, x: &mut B::Tensor, spans: &Spans) -> Result<()> {
        let Some(noise) = self.noise.filter(|n| n.embedding > 0.0) else { return Ok(()) };
        let (rows, cols) = self.backend.shape(x);
        let mut numbers = vec![0.0; rows * cols];
        noise.stream(0).fill(0, &mut numbers, |u| 2.0 * u - 1.0);
        for span in &spans.queries {
            let bound = noise.embedding / ((span.len() * cols) as f32).sqrt();
            numbers[span.start * cols..span.end * cols].iter_mut().for_each(|v| *v *= bound);
        }
        Ok(self.backend.add(x, &self.backend.upload(numbers, rows, cols)?)?)
    }
}

#[cfg(test)]
mod tests {
    use lorikeet_kernels::Fused;

    use super::*;

    #[test]
    fn embeddings_are_disturbed_within_the_bound_of_their_sequence() {
        let backend = Fused::new(1).unwrap();
        let noise = Noise { seed: 3, batch: 9, dropout: 0.0, embedding: 5.0 };
        let ctx = Context { backend: &backend, parameters: &[], adapters: true, noise: Some(noise) };
        let (rows, cols) = (50, 32);
        let mut x = backend.zeros(rows, cols).unwrap();
        ctx.disturb(&mut x, &Spans::from_starts(&[0, 10, 50])).unwrap();
        let numbers = backend.download(&x).unwrap();
        let (short, long) = numbers.split_at(10 * cols);
        for (part, tokens) in [(short, 10.0), (long, 40.0)] {
            let bound = 5.0 / (tokens * cols as f32).sqrt();
            let largest = part.iter().fold(0f32, |m, v| m.max(v.abs()));
            assert!(largest <= bound && largest > 0.95 * bound, "{largest} of {bound}");
            let mean = part.iter().sum::<f32>() / part.len() as f32;
            assert!(mean.abs() < 0.1 * bound, "{mean}");
        }
        let other = Context { noise: Some(Noise { batch: 10, ..noise }), ..ctx };
        let mut y = backend.zeros(rows, cols).unwrap();
        other.disturb(&mut y, &Spans::from_starts(&[0, 10, 50])).unwrap();
        assert_ne!(backend.download(&y).unwrap(), numbers);
    }
}
