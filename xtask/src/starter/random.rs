//! A seeded generator of choices (SplitMix64), so that one seed always writes the same corpus on every machine.

/// Steps of SplitMix64 (Steele, Lea, Flood 2014); small, fast, and good enough to pick words and shuffle rows.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts the sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for one named part, so that a change in one part leaves the others' rows as they were.
    #[must_use]
    pub fn for_part(seed: u64, part: &str) -> Self {
        let digest = blake3::hash(part.as_bytes());
        let offset = digest.as_bytes().iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        Self::new(seed ^ offset)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An index below `n_choices`, which must not be 0.
    pub fn below(&mut self, n_choices: usize) -> usize {
        let wide = u128::from(self.bits()) * (n_choices as u128);
        (wide >> 64) as usize
    }

    /// True in `percent` of 100 draws.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
