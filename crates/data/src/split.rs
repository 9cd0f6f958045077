//! Which rows train, which validate, which are kept for a last test: decided by a seed and the row number alone.

use crate::order::random_bits;

/// The stream of [`random_bits`] that splits draw from; epochs use small numbers.
const SPLIT_STREAM: u64 = u64::MAX;

/// Shares of the rows, each between 0 and 1; what is left trains.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitShares {
    /// Share of the rows for validation.
    pub validation: f64,
    /// Share of the rows for the test.
    pub test: f64,
}

/// Row numbers of each part, ascending; every row is in exactly one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on.
    pub train: Vec<u32>,
    /// Rows to validate on.
    pub validation: Vec<u32>,
    /// Rows for the last test.
    pub test: Vec<u32>,
}

/// Splits `n_rows` rows. Rows are ranked by 64 bits drawn from `(seed, row)`; the lowest ranks validate, the next ones
/// test, the rest train. Sizes are the shares rounded to whole rows, at least one row for a share above 0 while a
/// training row remains.
pub fn split(n_rows: usize, shares: SplitShares, seed: u64) -> Split {
    let mut ranked: Vec<u32> = (0..n_rows as u32).collect();
    ranked.sort_by_key(|row| (random_bits(seed, SPLIT_STREAM, u64::from(*row)), *row));
    let n_validation = part(n_rows, shares.validation, n_rows.saturating_sub(1));
    let n_test = part(n_rows, shares.test, n_rows.saturating_sub(1 + n_validation));
    let mut train = ranked.split_off(n_validation + n_test);
    let mut test = ranked.split_off(n_validation);
    let mut validation = ranked;
    train.sort_unstable();
    validation.sort_unstable();
    test.sort_unstable();
    Split { train, validation, test }
}

fn part(n_rows: usize, share: f64, most: usize) -> usize {
    if share.is_nan() || share <= 0.0 {
        return 0;
    }
    ((n_rows as f64 * share).round() as usize).max(1).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTHS: SplitShares = SplitShares { validation: 0.1, test: 0.2 };

    #[test]
    fn every_row_is_in_exactly_one_part() {
        let parts = split(1000, TENTHS, 7);
        assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (700, 100, 200));
        let mut all = [parts.train, parts.validation, parts.test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(split(500, TENTHS, 7), split(500, TENTHS, 7));
        assert_ne!(split(500, TENTHS, 7), split(500, TENTHS, 8));
    }

    #[test]
    fn small_sets_keep_a_training_row() {
        let none = SplitShares::default();
        assert_eq!(split(3, none, 1).train, [0, 1, 2]);
        assert_eq!(split(1, TENTHS, 1).train, [0]);
        let two = split(2, TENTHS, 1);
        assert_eq!((two.train.len(), two.validation.len(), two.test.len()), (1, 1, 0));
        let all = split(4, SplitShares { validation: 1.0, test: 1.0 }, 1);
        assert_eq!((all.train.len(), all.validation.len(), all.test.len()), (1, 3, 0));
        assert_eq!(split(0, TENTHS, 1), Split::default());
    }
}
