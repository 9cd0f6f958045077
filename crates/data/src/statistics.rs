//! What a set of prepared rows looks like in numbers: counts and lengths in tokens, sums first, division last.

/// Counts over prepared rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows given.
    pub n_rows: usize,
    /// Sequences made of them; a long plain text makes several.
    pub n_examples: usize,
    /// Tokens in all sequences.
    pub n_tokens: u64,
    /// Tokens that are learnt.
    pub n_trained_tokens: u64,
    /// Rows cut at the maximum length.
    pub n_truncated: usize,
    /// Plain texts longer than the maximum length, which became several sequences.
    pub n_split: usize,
    /// Rows left out because nothing of them is learnt within the maximum length.
    pub n_dropped: usize,
    /// Rows whose last learnt token ends the turn or the text: what teaches the model to stop.
    pub n_end_trained: usize,
    /// Lengths of the sequences.
    pub lengths: Lengths,
}

impl Statistics {
    /// Share of the rows used whose end of turn is trained, 0 to 1.
    pub fn share_end_trained(&self) -> f64 {
        let n_used = self.n_rows - self.n_dropped.min(self.n_rows);
        if n_used == 0 { 0.0 } else { self.n_end_trained as f64 / n_used as f64 }
    }
}

/// Lengths of sequences in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// Half of the sequences are at most this long.
    pub p50: usize,
    /// Nine of ten are at most this long.
    pub p90: usize,
    /// 95 of 100 are at most this long.
    pub p95: usize,
    /// 99 of 100 are at most this long.
    pub p99: usize,
    /// The longest.
    pub max: usize,
    /// Bars of equal width from 1 to the longest.
    pub histogram: Vec<LengthBar>,
}

/// One bar of the histogram of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthBar {
    /// Shortest length counted here.
    pub from: usize,
    /// Longest length counted here.
    pub to: usize,
    /// Sequences of these lengths.
    pub n: usize,
}

impl Lengths {
    /// Most bars a histogram has.
    const N_BARS: usize = 20;

    pub(crate) fn of(mut lengths: Vec<usize>) -> Lengths {
        lengths.sort_unstable();
        let (Some(min), Some(max)) = (lengths.first().copied(), lengths.last().copied()) else {
            return Lengths::default();
        };
        // Nearest rank: the smallest length that at least this share of the sequences does not exceed.
        let rank = |share: usize| {
            let place = (lengths.len() * share).div_ceil(100).saturating_sub(1);
            lengths.get(place).copied().unwrap_or(max)
        };
        let (p50, p90, p95, p99) = (rank(50), rank(90), rank(95), rank(99));
        Lengths { min, p50, p90, p95, p99, max, histogram: histogram(&lengths, max) }
    }
}

fn histogram(sorted: &[usize], max: usize) -> Vec<LengthBar> {
    let width = max.div_ceil(Lengths::N_BARS).max(1);
    let below = |length: usize| sorted.partition_point(|l| *l < length);
    (1..=max)
        .step_by(width)
        .map(|from| LengthBar { from, to: (from + width - 1).min(max), n: below(from + width) - below(from) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks_and_bars_count_everything() {
        let lengths = Lengths::of((1..=100).rev().collect());
        assert_eq!((lengths.min, lengths.p50, lengths.p90, lengths.p99, lengths.max), (1, 50, 90, 99, 100));
        assert_eq!(lengths.histogram.len(), 20);
        assert_eq!(lengths.histogram.first(), Some(&LengthBar { from: 1, to: 5, n: 5 }));
        assert_eq!(lengths.histogram.iter().map(|bar| bar.n).sum::<usize>(), 100);
        assert_eq!(Lengths::of(vec![7]).histogram.iter().map(|bar| bar.n).sum::<usize>(), 1);
        assert_eq!(Lengths::of(Vec::new()), Lengths::default());
    }
}
