//! What goes into a model and what comes out of its loss: ragged batches, sums of losses, and how much is remembered in
//! between.

use lorikeet_kernels::{Objective, Spans};

/// A ragged batch of token ids: `S` sequences one behind the other, `N` tokens in all, no padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, N.
    pub ids: Vec<u32>,
    /// Place of each token in its text, N.
    pub positions: Vec<u32>,
    /// Segment of each token, N; read by encoders that have segments.
    pub token_types: Vec<u32>,
    /// Which rows belong together.
    pub spans: Spans,
}

impl Tokens {
    /// Sequences with positions from 0 and segment 0.
    pub fn from_sequences<S: AsRef<[u32]>>(sequences: &[S]) -> Self {
        let (mut ids, mut positions, mut starts) = (Vec::new(), Vec::new(), vec![0]);
        for sequence in sequences.iter().map(AsRef::as_ref) {
            ids.extend_from_slice(sequence);
            positions.extend(0..sequence.len() as u32);
            starts.push(ids.len());
        }
        let token_types = vec![0; ids.len()];
        Self { ids, positions, token_types, spans: Spans::from_starts(&starts) }
    }

    /// The first `n` tokens; of a sequence that is cut its beginning stays.
    pub fn first(mut self, n: usize) -> Self {
        self.ids.truncate(n);
        self.positions.truncate(n);
        self.token_types.truncate(n);
        for spans in [&mut self.spans.queries, &mut self.spans.keys] {
            spans.iter_mut().for_each(|span| *span = span.start.min(n)..span.end.min(n));
            spans.retain(|span| !span.is_empty());
        }
        self
    }

    /// The row of each sequence's first token, S.
    pub(crate) fn firsts(&self) -> Vec<u32> {
        self.spans.queries.iter().map(|r| r.start as u32).collect()
    }

    /// The row of each sequence's last token, S.
    pub(crate) fn lasts(&self) -> Vec<u32> {
        self.spans.queries.iter().map(|r| r.end.saturating_sub(1) as u32).collect()
    }

    /// Tokens of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        self.positions.iter().max().map_or(0, |p| *p as usize + 1)
    }
}

/// A sum of losses and how much it sums: division comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Sum of losses, in nats.
    pub sum: f64,
    /// Supervised tokens, or labelled sequences.
    pub count: usize,
    /// The sum of their weights, by which the sum is divided; `count` where classes have no weights.
    pub weight: f64,
}

impl LossSum {
    /// A sum over `count` losses that all weigh one.
    pub fn of(sum: f64, count: usize) -> Self {
        Self { sum, count, weight: count as f64 }
    }

    /// What `targets` weigh under `objective`; unsupervised tokens (`u32::MAX`) nothing.
    pub fn weight_of(targets: &[u32], objective: &Objective) -> f64 {
        objective.weight(targets.iter().copied().filter(|t| *t != crate::head::IGNORED))
    }

    /// The mean; not a number for nothing.
    pub fn mean(self) -> f64 {
        self.sum / self.weight
    }

    /// Two sums together.
    pub fn plus(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, count: self.count + other.count, weight: self.weight + other.weight }
    }

    /// The sum with weights that add up to the count, for those who only know counts; the mean stays what it is.
    pub fn sum_of_count(self) -> f64 {
        if self.weight == self.count as f64 { self.sum } else { self.sum * self.count as f64 / self.weight }
    }
}

/// What a backward finds again in memory and what it computes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Keep what each block's backward needs.
    #[default]
    Never,
    /// Keep each block's input only and run its forward again (Chen et al., 2016): less memory, about a third more time.
    EveryBlock,
    /// The same for so many of the lowest blocks.
    Lowest(usize),
}

impl Recompute {
    /// Whether block `i`, counted from the lowest, is computed again.
    pub fn covers(self, i: usize) -> bool {
        match self {
            Recompute::Never => false,
            Recompute::EveryBlock => true,
            Recompute::Lowest(n) => i < n,
        }
    }
}
