//! A counter-based generator: the n-th number of a stream depends on the seed, the stream and n alone, so that whatever
//! is random can be resumed, repeated and computed in any order.
//!
//! Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox 4x32 with ten rounds.

/// One stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    stream: u64,
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

impl Stream {
    /// The stream number `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], stream }
    }

    /// The four 32-bit words of block `n`.
    pub fn block(&self, n: u64) -> [u32; 4] {
        let mut c = [n as u32, (n >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32];
        let mut k = self.key;
        for _ in 0..10 {
            let [p0, p1] = [u64::from(MULTIPLIERS[0]) * u64::from(c[0]), u64::from(MULTIPLIERS[1]) * u64::from(c[2])];
            c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        c
    }

    /// The n-th number, uniform in `[0, 1)` with 24 bits.
    pub fn uniform(&self, n: u64) -> f32 {
        let word = self.block(n / 4)[(n % 4) as usize];
        (word >> 8) as f32 / (1u32 << 24) as f32
    }

    /// What dropout multiplies with: zero where the number at `first`, `first + 1`, … is below `rate`, and
    /// `1 / (1 - rate)` elsewhere. `first` is a multiple of four.
    pub fn fill_mask(&self, first: u64, rate: f32, mask: &mut [f32]) {
        let kept = 1.0 / (1.0 - rate);
        self.fill(first, mask, |u| if u < rate { 0.0 } else { kept });
    }

    /// The numbers at `first`, `first + 1`, …, uniform in `[0, 1)` and changed by `f`. `first` is a multiple of four.
    pub fn fill(&self, first: u64, out: &mut [f32], f: impl Fn(f32) -> f32) {
        for (block, out) in (first / 4..).zip(out.chunks_mut(4)) {
            for (out, word) in out.iter_mut().zip(self.block(block)) {
                *out = f((word >> 8) as f32 / (1u32 << 24) as f32);
            }
        }
    }

    /// The n-th number of the standard normal distribution (Box and Muller's transform).
    pub fn normal(&self, n: u64) -> f32 {
        let c = self.block(n / 2);
        let at = (n % 2) as usize * 2;
        let (u, v) = (unit(c[at]), unit(c[at + 1]));
        ((-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()) as f32
    }
}

fn unit(word: u32) -> f64 {
    f64::from(word) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the Random123 distribution for Philox 4x32-10.
    #[test]
    fn equals_the_published_vectors() {
        assert_eq!(Stream::new(0, 0).block(0), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(Stream::new(u64::MAX, u64::MAX).block(u64::MAX), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    }

    #[test]
    fn many_numbers_are_the_single_ones() {
        let s = Stream::new(7, 1);
        let (mut numbers, mut mask) = ([0.0; 11], [0.0; 11]);
        s.fill(8, &mut numbers, |u| u);
        s.fill_mask(8, 0.5, &mut mask);
        for (n, (found, mask)) in (8..).zip(numbers.iter().zip(mask)) {
            assert_eq!(*found, s.uniform(n));
            assert_eq!(mask, if *found < 0.5 { 0.0 } else { 2.0 });
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let s = Stream::new(7, 1);
        let x: Vec<f64> = (0..20_000).map(|n| f64::from(s.normal(n))).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }
}
