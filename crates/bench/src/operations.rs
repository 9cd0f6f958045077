//! How many floating-point operations a workload needs, counted from shapes: a product of (m, k) with (k, n) has 2 m k n.
//! Only what must be computed counts: nothing twice for recomputation, no gradient of a frozen weight, only places that
//! attention sees.

use crate::material::RANK;
use crate::shape::{Family, Shape};

/// Operations of one training step over `batch` examples of `tokens` tokens.
pub fn of_step(shape: &Shape, batch: usize, tokens: usize) -> f64 {
    let n = (batch * tokens) as f64;
    let (base, adapters) = (per_token(shape), per_token_of_adapters(shape));
    // The gradient of the lowest block's input is wanted by nobody: its queries, keys and values are the last products.
    let lowest = (shape.width * (shape.width + 2 * shape.kv_width())) as f64;
    let blocks = 2.0 * n * (2.0 * base - lowest) + 6.0 * n * adapters;
    // Forward: scores and their product with the values. Backward: four products of the same size.
    let attention = 3.0 * attention(shape, batch, tokens);
    blocks + attention + 2.0 * head(shape, batch, batch * (tokens - 1))
}

/// Operations of reading `tokens` tokens and scoring the next one.
pub fn of_reading(shape: &Shape, tokens: usize) -> f64 {
    2.0 * tokens as f64 * per_token(shape) + attention(shape, 1, tokens) + head(shape, 1, 1)
}

/// Multiplications of a token with the linear maps of all blocks.
fn per_token(shape: &Shape) -> f64 {
    let block: usize = shape.linears().iter().map(|(_, out, inside)| out * inside).sum();
    (block * shape.layers) as f64
}

fn per_token_of_adapters(shape: &Shape) -> f64 {
    let block: usize = shape.linears().iter().map(|(_, out, inside)| RANK * (out + inside)).sum();
    (block * shape.layers) as f64
}

/// The two products of a forward attention, over the places that are seen.
fn attention(shape: &Shape, batch: usize, tokens: usize) -> f64 {
    let seen = if shape.family == Family::Bert { tokens * tokens } else { tokens * (tokens + 1) / 2 };
    4.0 * (batch * seen * shape.width * shape.layers) as f64
}

/// The forward of the head; its backward is as much again.
fn head(shape: &Shape, batch: usize, supervised: usize) -> f64 {
    let width = shape.width as f64;
    match shape.family {
        Family::Bert => 2.0 * batch as f64 * width * (width + 2.0),
        Family::Llama | Family::Qwen2 => 2.0 * supervised as f64 * width * shape.vocabulary as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::SMOL;

    #[test]
    fn a_step_is_counted_as_by_hand() {
        let tiny = Shape { vocabulary: 10, width: 4, inner: 8, layers: 1, heads: 2, kv_heads: 1, ..SMOL };
        // q and o 4x4, k and v 2x4, gate, up and down 4x8.
        let base = 16 + 8 + 8 + 16 + 3 * 32;
        let adapters = 8 * (8 + 6 + 6 + 8 + 3 * 12);
        let (n, seen) = (2 * 3, 2 * 6);
        let expected = 2 * n * (2 * base - 32) + 6 * n * adapters + 12 * seen * 4 + 4 * 4 * 4 * 10;
        assert_eq!(of_step(&tiny, 2, 3), f64::from(expected));
    }

    #[test]
    fn most_of_a_step_is_four_operations_per_number_and_token() {
        let (n, numbers) = (512.0, 134.5e6);
        let share = of_step(&SMOL, 2, 256) / (4.0 * n * numbers);
        assert!((1.0..1.25).contains(&share), "{share}");
    }
}
