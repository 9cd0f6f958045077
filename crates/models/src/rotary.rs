//! Tables of rotary angles. Source: Su et al., "RoFormer" (2021); the scaling is the one published with Llama 3.1.

use crate::config::{Rope, RopeScaling};

/// `cos` and `sin` of (P, D / 2) for positions `0..n_positions`, row by row, computed as transformers does: frequencies
/// in 32 bits, angles as 32-bit products.
pub(crate) fn tables(rope: &Rope, head_dim: usize, n_positions: usize) -> (Vec<f32>, Vec<f32>) {
    let frequencies = frequencies(rope, head_dim);
    let angles = (0..n_positions).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
    angles.map(|a| (a.cos(), a.sin())).unzip()
}

fn frequencies(rope: &Rope, head_dim: usize) -> Vec<f32> {
    let plain = (0..head_dim / 2).map(|i| 1.0 / rope.theta.powf((2 * i) as f64 / head_dim as f64));
    plain.map(|f| scaled(f, rope.scaling) as f32).collect()
}

fn scaled(frequency: f64, scaling: RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_positions } => {
            let wavelength = 2.0 * std::f64::consts::PI / frequency;
            if wavelength < original_positions / high_frequency {
                frequency
            } else if wavelength > original_positions / low_frequency {
                frequency / factor
            } else {
                let smooth = (original_positions / wavelength - low_frequency) / (high_frequency - low_frequency);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}
