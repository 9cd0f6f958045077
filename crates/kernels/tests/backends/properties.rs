//! Shapes that nobody thought of.

use std::sync::LazyLock;

use lorikeet_kernels::{Activation, AttentionShape, Backend, Composed, Fused, Spans};
use proptest::prelude::*;

use crate::{
    matrix::{Matrix, assert_close},
    reference,
};

static FUSED: LazyLock<Fused> = LazyLock::new(|| Fused::new(2).unwrap());
static COMPOSED: LazyLock<Composed> = LazyLock::new(Composed::cpu);

fn products<B: Backend>(b: &B, (n, k, m): (usize, usize, usize), seed: u64, alpha: f32) {
    let (x, w, dy) = (Matrix::random(seed, n, k), Matrix::random(seed + 1, m, k), Matrix::random(seed + 2, n, m));
    let (tx, tw, tdy) = (x.upload(b), w.upload(b), dy.upload(b));
    assert_close(b, "nt", &b.matmul_nt(&tx, &tw).unwrap(), &reference::matmul_nt(&x, &w), 3e-5);
    assert_close(b, "nn", &b.matmul_nn(&tdy, &tw).unwrap(), &reference::matmul_nn(&dy, &w), 3e-5);
    let mut dw = tw;
    b.add_matmul_tn(&mut dw, alpha, &tdy, &tx).unwrap();
    let expected = w.zip(&reference::matmul_tn(&dy, &x), |w, g| w + f64::from(alpha) * g);
    assert_close(b, "tn", &dw, &expected, 3e-5);
}

fn point_wise<B: Backend>(b: &B, n: usize, groups: usize, d: usize, seed: u64) {
    let (x, up) = (Matrix::random(seed, n, groups * d), Matrix::random(seed + 1, n, groups * d));
    let eps = 0.0625f32;
    let (tx, w) = (x.upload(b), Matrix::random(seed + 2, 1, d));
    let normed = b.rms_norm(&tx, &w.upload(b), eps).unwrap();
    assert_close(b, "rms norm", &normed, &reference::rms_norm(&x, &w, f64::from(eps)), 1e-5);
    let (w, bias) = (Matrix::random(seed + 3, 1, groups * d), Matrix::random(seed + 4, 1, groups * d));
    let normed = b.layer_norm(&tx, &w.upload(b), &bias.upload(b), eps).unwrap();
    assert_close(b, "layer norm", &normed, &reference::layer_norm(&x, &w, &bias, f64::from(eps)), 1e-5);
    let gated = b.gated(Activation::Silu, &tx, &up.upload(b)).unwrap();
    assert_close(b, "gated", &gated, &reference::gated(Activation::Silu, &x, &up), 3e-6);
}

fn attention<B: Backend>(b: &B, s: AttentionShape, lengths: &[(usize, usize)], seed: u64) {
    let (mut spans, mut n, mut m) = (Spans::default(), 0, 0);
    for (queries, more_keys) in lengths {
        spans.queries.push(n..n + queries);
        spans.keys.push(m..m + queries + more_keys);
        (n, m) = (n + queries, m + queries + more_keys);
    }
    let q = Matrix::random(seed, n, s.heads * s.head_dim);
    let (k, v) =
        (Matrix::random(seed + 1, m, s.kv_heads * s.head_dim), Matrix::random(seed + 2, m, s.kv_heads * s.head_dim));
    let (out, lse) = b.attention(s, &spans, &q.upload(b), &k.upload(b), &v.upload(b)).unwrap();
    let expected = reference::attention(s, &spans, &q, &k, &v);
    assert_close(b, "output", &out, &expected.0, 1e-5);
    assert_close(b, "denominators", &lse, &expected.1, 1e-5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_of_any_size(size in (0usize..80, 1usize..80, 1usize..80), seed in 0u64..1000, alpha in -2f32..2.0) {
        products(&*FUSED, size, seed, alpha);
        products(&*COMPOSED, size, seed, alpha);
    }

    #[test]
    fn rows_of_any_size(n in 1usize..70, groups in 1usize..4, d in 1usize..50, seed in 0u64..1000) {
        point_wise(&*FUSED, n, groups, d, seed);
        point_wise(&*COMPOSED, n, groups, d, seed);
    }

    #[test]
    fn attention_over_any_batch(
        kv_heads in 1usize..4,
        group in 1usize..4,
        head_dim in 1usize..20,
        causal: bool,
        window in prop::option::of(1usize..90),
        softcap in prop::option::of(0.5f32..20.0),
        lengths in prop::collection::vec((0usize..70, 0usize..9), 1..4),
        seed in 0u64..1000,
    ) {
        let s = AttentionShape { heads: kv_heads * group, kv_heads, head_dim, causal, scale: 0.4, window, softcap };
        attention(&*FUSED, s, &lengths, seed);
        attention(&*COMPOSED, s, &lengths, seed);
    }
}
