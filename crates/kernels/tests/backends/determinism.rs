//! The fused back end gives the same bits whatever the number of threads, and whatever its buffers held before.

use lorikeet_kernels::{Activation, AdamWStep, AttentionShape, Backend, Fused, Spans};

use crate::matrix::Matrix;

/// Fills the pool with numbers that poison every result that reads them.
fn dirty_pool(b: &Fused) {
    let sizes = (6..19).flat_map(|power| [1usize << power, (1 << power) + (1 << (power - 1)), (1 << power) - 1]);
    let buffers: Vec<_> = sizes.flat_map(|n| [n; 4]).map(|n| b.upload(vec![f32::NAN; n], 1, n).unwrap()).collect();
    drop(buffers);
}

/// The bits of the results of every operation on `rows` tokens.
fn every_operation(b: &Fused, rows: usize) -> ([u64; 2], Vec<u32>) {
    let (heads, kv_heads, d, width, inner, vocabulary) = (6, 2, 24, 150, 333, 517);
    let up = |seed: u64, rows: usize, cols: usize| Matrix::random(seed, rows, cols).upload(b);
    let mut results = Vec::new();

    let (x, dy, w) = (up(1, rows, width), up(2, rows, inner), up(3, inner, width));
    results.push(b.matmul_nt(&x, &w).unwrap());
    results.push(b.matmul_nn(&dy, &w).unwrap());
    let mut dw = b.zeros(inner, width).unwrap();
    b.add_matmul_tn(&mut dw, 0.5, &dy, &x).unwrap();
    let mut sum = up(4, rows, inner);
    b.add_matmul_nt(&mut sum, 2.0, &x, &w).unwrap();
    let mut back = up(5, rows, width);
    b.add_matmul_nn(&mut back, 2.0, &dy, &w).unwrap();
    results.extend([dw, sum, back]);

    let (gate, up_half) = (up(6, rows, inner), up(7, rows, inner));
    results.push(b.gated(Activation::Silu, &gate, &up_half).unwrap());
    let (dgate, dup) = b.gated_backward(Activation::Gelu, &gate, &up_half, &dy).unwrap();
    results.extend([dgate, dup, b.activate(Activation::GeluTanh, &gate).unwrap()]);
    results.push(b.activate_backward(Activation::Silu, &gate, &dy).unwrap());

    let (norm, bias, dx) = (up(8, 1, width), up(9, 1, width), up(10, rows, width));
    let (mut dw, mut db, mut dr) = (up(11, 1, width), up(12, 1, width), up(13, 1, width / 5));
    results.push(b.layer_norm(&x, &norm, &bias, 1e-5).unwrap());
    results.push(b.layer_norm_backward(&x, &norm, 1e-5, &dx, Some((&mut dw, &mut db))).unwrap());
    let group = up(14, 1, width / 5);
    results.push(b.rms_norm(&x, &group, 1e-5).unwrap());
    results.push(b.rms_norm_backward(&x, &group, 1e-5, &dx, Some(&mut dr)).unwrap());
    b.add_bias_grad(&mut db, &dx).unwrap();
    results.extend([dw, db, dr]);

    let s = AttentionShape { heads, kv_heads, head_dim: d, causal: true, scale: 0.2 };
    let spans = Spans::from_starts(&[0, rows / 3, rows]);
    let (q, k, v) = (up(15, rows, heads * d), up(16, rows, kv_heads * d), up(17, rows, kv_heads * d));
    let (out, lse) = b.attention(s, &spans, &q, &k, &v).unwrap();
    let dout = up(18, rows, heads * d);
    let (dq, dk, dv) = b.attention_backward(s, &spans, (&q, &k, &v), (&out, &lse), &dout).unwrap();
    results.extend([out, lse, dq, dk, dv]);

    let ids: Vec<u32> = (0..rows as u32).map(|n| n * n % 11).collect();
    let mut table = up(19, 11, width);
    b.scatter_add_rows(&mut table, &ids, &x).unwrap();
    results.push(b.gather_rows(&table, &ids).unwrap());
    let mut turned = b.duplicate(&q).unwrap();
    b.rotate(&mut turned, &up(20, 11, d / 2), &up(21, 11, d / 2), &ids, false).unwrap();
    results.extend([table, turned]);

    let mut logits = up(22, rows, vocabulary);
    let loss = b.cross_entropy(&mut logits, &ids, 0.1).unwrap();
    let squares = b.sum_of_squares(&logits).unwrap();
    let (mut w, mut m, mut v) =
        (up(23, rows, vocabulary), b.zeros(rows, vocabulary).unwrap(), up(24, rows, vocabulary));
    b.overwrite(&mut v, &vec![0.5; rows * vocabulary]).unwrap();
    let step = AdamWStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        step: 3,
        gradient_scale: 0.7,
    };
    b.adamw(&mut w, &logits, (&mut m, &mut v), &step).unwrap();
    results.extend([logits, w, m, v]);

    let bits = results.iter().flat_map(|t| b.download(t).unwrap()).map(f32::to_bits).collect();
    ([loss.to_bits(), squares.to_bits()], bits)
}

#[test]
fn results_depend_on_neither_threads_nor_used_buffers() {
    for rows in [1, 3, 65, 300] {
        let b = Fused::new(1).unwrap();
        let expected = b.run(|| every_operation(&b, rows));
        assert!(expected.1.iter().all(|bits| f32::from_bits(*bits).is_finite()));
        for threads in [1, 2, 3] {
            let b = Fused::new(threads).unwrap();
            for round in 0..4 {
                let found = b.run(|| every_operation(&b, rows));
                let first = found.1.iter().zip(&expected.1).position(|(a, b)| a != b);
                assert_eq!(first, None, "{rows} rows, {threads} threads, round {round}");
                assert_eq!(found.0, expected.0, "{rows} rows, {threads} threads, round {round}");
                dirty_pool(&b);
            }
        }
    }
}
