//! Keys and values of what was already read, so that each new token is computed alone. The cache is an argument of a
//! forward pass, not a part of the model: several conversations can go on over one model, each with a cache of its own or
//! all in one, whose new tokens are then computed together.

use lorikeet_kernels::Backend;

use crate::{ModelError, Result, Tokens};

/// Keys and values of `S` sequences, per layer (S capacity, G D): the rows of each sequence lie together.
pub struct KeyValueCache<B: Backend> {
    pub(crate) layers: Vec<(B::Tensor, B::Tensor)>,
    sequences: Vec<Sequence>,
    capacity: usize,
}

/// What was read of one sequence.
#[derive(Clone, Default)]
struct Sequence {
    ids: Vec<u32>,
    /// Length of the text as part of which they were last read.
    text_len: usize,
}

/// New tokens of some sequences of a cache, and the rows of the cache that their keys and values take.
pub(crate) struct Reading {
    pub tokens: Tokens,
    pub rows: Vec<u32>,
}

impl<B: Backend> KeyValueCache<B> {
    pub(crate) fn new(backend: &B, layers: usize, width: usize, n_sequences: usize, capacity: usize) -> Result<Self> {
        let rows = n_sequences.saturating_mul(capacity);
        if u32::try_from(rows).is_err() {
            return Err(ModelError::TooLarge { what: "the cache's places", found: rows, limit: u32::MAX as usize });
        }
        let layer = |_| Ok((backend.zeros(rows, width)?, backend.zeros(rows, width)?));
        let sequences = vec![Sequence::default(); n_sequences];
        Ok(Self { layers: (0..layers).map(layer).collect::<Result<_>>()?, sequences, capacity })
    }

    /// Tokens read so far, of the longest sequence.
    pub fn len(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0)
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sequences.
    pub fn n_sequences(&self) -> usize {
        self.sequences.len()
    }

    /// Tokens there is room for in each sequence.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything after the first `len` tokens of each sequence.
    pub fn truncate(&mut self, len: usize) {
        self.sequences.iter_mut().for_each(|sequence| sequence.ids.truncate(len));
    }

    /// What must be read to continue each sequence with its ids: these, or everything from the start where `turns` says that
    /// keys of a text of one length do not fit one of another. Sequences ascend.
    pub(crate) fn reading(
        &mut self,
        reads: &[(usize, &[u32])],
        turns: impl Fn(usize, usize) -> bool,
    ) -> Result<Reading> {
        self.check(reads)?;
        let mut reading = Reading { tokens: Tokens::default(), rows: Vec::new() };
        let tokens = &mut reading.tokens;
        for (s, ids) in reads {
            let Some(sequence) = self.sequences.get_mut(*s) else { continue };
            let after = sequence.ids.len() + ids.len();
            if turns(sequence.text_len.min(after), sequence.text_len.max(after)) {
                tokens.ids.append(&mut sequence.ids);
            }
            tokens.ids.extend_from_slice(ids);
            let (known, first) = (sequence.ids.len(), (s * self.capacity) as u32);
            tokens.positions.extend(known as u32..after as u32);
            reading.rows.extend((known as u32..after as u32).map(|place| first + place));
            tokens.spans.queries.push(tokens.ids.len() - (after - known)..tokens.ids.len());
            tokens.spans.keys.push(s * self.capacity..s * self.capacity + after);
        }
        Ok(reading)
    }

    /// Fails unless the sequences ascend, are here, have something to read and room for it.
    fn check(&self, reads: &[(usize, &[u32])]) -> Result<()> {
        let mut next = 0;
        for (s, ids) in reads {
            let Some(sequence) = self.sequences.get(*s).filter(|_| *s >= next && !ids.is_empty()) else {
                return Err(ModelError::NoSequence { sequence: *s, n_sequences: self.sequences.len() });
            };
            let found = sequence.ids.len() + ids.len();
            if found > self.capacity {
                return Err(ModelError::TooLarge { what: "the conversation's length", found, limit: self.capacity });
            }
            next = s + 1;
        }
        Ok(())
    }

    /// Notes what was read.
    pub(crate) fn push(&mut self, reads: &[(usize, &[u32])], tokens: &Tokens) {
        for ((s, _), rows) in reads.iter().zip(&tokens.spans.queries) {
            if let Some(sequence) = self.sequences.get_mut(*s) {
                sequence.ids.extend_from_slice(tokens.ids.get(rows.clone()).unwrap_or_default());
                sequence.text_len = sequence.ids.len();
            }
        }
    }
}
