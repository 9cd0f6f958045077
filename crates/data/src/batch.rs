//! Several examples as one ragged batch: concatenated, without padding.
//!
//! The training code uploads these vectors as they are; attention is confined to a sequence by `starts`.

/// A target of this value means: nothing is learnt at this place.
pub const NOT_TRAINED: u32 = u32::MAX;

/// `B` sequences of together `T` tokens, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `T`.
    pub ids: Vec<u32>,
    /// Where each sequence begins in `ids`, with the end as the last entry, `B + 1`.
    pub starts: Vec<usize>,
    /// Place of each token inside its sequence, counted from 0, `T`.
    pub positions: Vec<u32>,
    /// The token to predict at each place (already shifted: the next token of the same sequence), or
    /// [`NOT_TRAINED`], `T`.
    pub targets: Vec<u32>,
    /// Label of each sequence; `B` when classifying, else empty.
    pub labels: Vec<u32>,
    /// Segment of each token (0 or 1), `T`.
    pub token_types: Vec<u32>,
    /// Whether each sequence is wanted; `B` for answers with a verdict, else empty.
    pub verdicts: Vec<bool>,
    /// What the loss is divided by: trained targets, or sequences when classifying.
    pub n_supervised: usize,
}

impl Batch {
    /// Number of sequences, `B`.
    pub fn n_sequences(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of tokens, `T`.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens in the longest sequence.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0)
    }

    /// Appends one sequence. `trained[i]` says whether token `i` is to be predicted from the ones before it.
    pub fn push(&mut self, ids: &[u32], trained: &[bool], token_types: Option<&[u8]>, label: Option<u32>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        match token_types {
            Some(types) => self.token_types.extend(types.iter().map(|kind| u32::from(*kind))),
            None => self.token_types.resize(self.ids.len(), 0),
        }
        match label {
            Some(label) => {
                self.labels.push(label);
                self.targets.resize(self.ids.len(), NOT_TRAINED);
                self.n_supervised += 1;
            }
            None => self.push_targets(ids, trained),
        }
        self.starts.push(self.ids.len());
    }

    fn push_targets(&mut self, ids: &[u32], trained: &[bool]) {
        for (next, learn) in ids.iter().zip(trained).skip(1) {
            self.targets.push(if *learn { *next } else { NOT_TRAINED });
            self.n_supervised += usize::from(*learn);
        }
        self.targets.resize(self.ids.len(), NOT_TRAINED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shifted_and_never_cross_a_sequence() {
        let mut batch = Batch::default();
        batch.push(&[5, 6, 7], &[true, false, true], None, None);
        batch.push(&[8, 9], &[false, true], None, None);
        assert_eq!(batch.ids, [5, 6, 7, 8, 9]);
        assert_eq!(batch.starts, [0, 3, 5]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.targets, [NOT_TRAINED, 7, NOT_TRAINED, 9, NOT_TRAINED]);
        assert_eq!(batch.token_types, [0; 5]);
        assert_eq!((batch.n_supervised, batch.n_sequences(), batch.longest()), (2, 2, 3));
    }

    #[test]
    fn a_labelled_sequence_counts_once_and_predicts_no_token() {
        let mut batch = Batch::default();
        batch.push(&[1, 2], &[false, false], Some(&[0, 1]), Some(3));
        assert_eq!(batch.labels, [3]);
        assert_eq!(batch.targets, [NOT_TRAINED, NOT_TRAINED]);
        assert_eq!(batch.token_types, [0, 1]);
        assert_eq!(batch.n_supervised, 1);
    }
}
