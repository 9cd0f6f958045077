//! Rotary angles of the tokens at hand, computed per batch: a model of 131,072 positions needs no table of them.
//!
//! Sources: Su et al., "RoFormer" (2021); Chen et al., "position interpolation" (2023); dynamic NTK as published by its
//! authors in 2023; Peng et al., "YaRN" (2023); Ding et al., "LongRoPE" (2024); the scaling published with Llama 3.1. Where
//! papers and published models differ, transformers' `modeling_rope_utils.py` decides.

use std::{borrow::Cow, f64::consts::PI};

use lorikeet_kernels::Spans;

use crate::config::{Rope, RopeScaling};

/// A rotary embedding, ready to be applied.
pub(crate) struct Rotary {
    rope: Rope,
    /// Radians per position of each pair of channels, for texts of the usual length.
    usual: Vec<f32>,
}

impl Rotary {
    pub fn new(rope: Rope) -> Self {
        let usual = frequencies(&rope, 0);
        Self { rope, usual }
    }

    /// `cos` and `sin` (N, R / 2) of tokens at `positions`, computed as transformers does: frequencies in 32 bits, angles
    /// as 32-bit products. What depends on a text's length depends on that of the token's own sequence.
    pub fn angles(&self, positions: &[u32], spans: &Spans) -> (Vec<f32>, Vec<f32>) {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        let factor = self.rope.scaling.attention_factor() as f32;
        for rows in &spans.queries {
            let positions = positions.get(rows.clone()).unwrap_or_default();
            let frequencies = self.frequencies(positions.iter().max().map_or(0, |last| *last as usize + 1));
            for angle in positions.iter().flat_map(|p| frequencies.iter().map(move |f| *p as f32 * f)) {
                cos.push(angle.cos() * factor);
                sin.push(angle.sin() * factor);
            }
        }
        (cos, sin)
    }

    /// Channels of a head that are rotated come in so many pairs.
    pub fn n_pairs(&self) -> usize {
        self.usual.len()
    }

    /// Whether keys that were rotated in a text of `before` tokens must be rotated anew when it has `after`.
    pub fn turns_between(&self, before: usize, after: usize) -> bool {
        match self.rope.scaling {
            RopeScaling::Long { original_positions, .. } => (before..after).contains(&(original_positions as usize)),
            _ => false,
        }
    }

    fn frequencies(&self, length: usize) -> Cow<'_, [f32]> {
        match self.rope.scaling {
            RopeScaling::Dynamic { max_positions: usual, .. } | RopeScaling::Long { original_positions: usual, .. }
                if length as f64 > usual =>
            {
                Cow::Owned(frequencies(&self.rope, length))
            }
            _ => Cow::Borrowed(&self.usual),
        }
    }
}

impl RopeScaling {
    /// Multiplies cosines and sines, and with them the scores twice.
    fn attention_factor(&self) -> f64 {
        match self {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::Long { attention_factor, .. } => {
                *attention_factor
            }
            _ => 1.0,
        }
    }
}

/// Radians per position of each pair of channels in a text of `length` tokens.
fn frequencies(rope: &Rope, length: usize) -> Vec<f32> {
    let dim = rope.dim as f64;
    let plain = |theta: f64, i: usize| theta.powf(-2.0 * i as f64 / dim);
    let frequency = |i: usize| {
        let f = plain(rope.theta, i);
        match &rope.scaling {
            RopeScaling::None => f,
            RopeScaling::Linear { factor } => f / factor,
            RopeScaling::Dynamic { factor, max_positions } => {
                let stretch = factor * (length as f64).max(*max_positions) / max_positions - (factor - 1.0);
                plain(rope.theta * stretch.powf(dim / (dim - 2.0)), i)
            }
            RopeScaling::Llama3 { .. } => llama3(f, &rope.scaling),
            RopeScaling::Yarn { factor, .. } => {
                let kept = yarn_kept(rope, i);
                f / factor * (1.0 - kept) + f * kept
            }
            RopeScaling::Long { short, long, original_positions, .. } => {
                let divisors = if length as f64 > *original_positions { long } else { short };
                f / divisors.get(i).copied().unwrap_or(1.0)
            }
        }
    };
    (0..rope.dim / 2).map(|i| frequency(i) as f32).collect()
}

fn llama3(frequency: f64, scaling: &RopeScaling) -> f64 {
    let RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_positions } = *scaling else {
        return frequency;
    };
    let wavelength = 2.0 * PI / frequency;
    if wavelength < original_positions / high_frequency {
        frequency
    } else if wavelength > original_positions / low_frequency {
        frequency / factor
    } else {
        let smooth = (original_positions / wavelength - low_frequency) / (high_frequency - low_frequency);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

/// How much of the frequency of pair `i` YaRN leaves unstretched: all where it turns often, nothing where it turns seldom.
fn yarn_kept(rope: &Rope, i: usize) -> f64 {
    let RopeScaling::Yarn { fast_turns, slow_turns, original_positions, whole_pairs, .. } = rope.scaling else {
        return 1.0;
    };
    let dim = rope.dim as f64;
    // The pair that turns so often within the original length.
    let pair = |turns: f64| dim * (original_positions / (turns * 2.0 * PI)).ln() / (2.0 * rope.theta.ln());
    let (mut low, mut high) = (pair(fast_turns), pair(slow_turns));
    if whole_pairs {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    if low == high {
        high += 0.001;
    }
    1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { theta: 10_000.0, dim: 8, scaling }
    }

    #[test]
    fn only_sequences_beyond_the_usual_length_are_stretched() {
        let scalings = [
            RopeScaling::Dynamic { factor: 2.0, max_positions: 4.0 },
            RopeScaling::Long {
                short: vec![1.0; 4],
                long: vec![1.0, 2.0, 4.0, 8.0],
                original_positions: 4.0,
                attention_factor: 1.0,
            },
        ];
        for scaling in scalings {
            let rotary = Rotary::new(rope(scaling));
            let positions = [0, 1, 2, 3, 0, 1, 2, 3, 4];
            let (cos, _) = rotary.angles(&positions, &Spans::from_starts(&[0, 4, 9]));
            let (alone, _) = rotary.angles(&positions[..4], &Spans::from_starts(&[0, 4]));
            assert_eq!(cos[..16], alone);
            assert_ne!(cos[16..32], alone, "{:?}", rotary.rope);
        }
    }

    #[test]
    fn a_text_turns_once_at_its_original_length() {
        let long = RopeScaling::Long {
            short: vec![1.0; 4],
            long: vec![2.0; 4],
            original_positions: 4.0,
            attention_factor: 1.0,
        };
        let rotary = Rotary::new(rope(long));
        let turns: Vec<bool> = (0..7).map(|n| rotary.turns_between(n, n + 1)).collect();
        assert_eq!(turns, [false, false, false, false, true, false, false]);
        assert!(rotary.turns_between(2, 6) && !rotary.turns_between(0, 4) && !rotary.turns_between(5, 9));
        assert!(!Rotary::new(rope(RopeScaling::Linear { factor: 2.0 })).turns_between(0, 100));
    }
}
