//! The fused back end gives the same bits whatever the number of threads, and whatever its buffers held before.

use lorikeet_kernels::{Activation, AdamWStep, AttentionShape, Backend, Fused, Objective, Spans, fused::Tensor};

use crate::matrix::Matrix;

/// Fills the pool with numbers that poison every result that reads them.
fn dirty_pool(b: &Fused) {
    let sizes = (6..19).flat_map(|power| [1usize << power, (1 << power) + (1 << (power - 1)), (1 << power) - 1]);
    let buffers: Vec<_> = sizes.flat_map(|n| [n; 4]).map(|n| b.upload(vec![f32::NAN; n], 1, n).unwrap()).collect();
    drop(buffers);
}

const WIDTH: usize = 150;
const INNER: usize = 333;

fn random(b: &Fused, seed: u64, rows: usize, cols: usize) -> Tensor {
    Matrix::random(seed, rows, cols).upload(b)
}

fn products(b: &Fused, rows: usize) -> Vec<Tensor> {
    let (x, dy, w) = (random(b, 1, rows, WIDTH), random(b, 2, rows, INNER), random(b, 3, INNER, WIDTH));
    let mut dw = b.zeros(INNER, WIDTH).unwrap();
    b.add_matmul_tn(&mut dw, 0.5, &dy, &x).unwrap();
    let mut sum = random(b, 4, rows, INNER);
    b.add_matmul_nt(&mut sum, 2.0, &x, &w).unwrap();
    let mut back = random(b, 5, rows, WIDTH);
    b.add_matmul_nn(&mut back, 2.0, &dy, &w).unwrap();
    vec![b.matmul_nt(&x, &w).unwrap(), b.matmul_nn(&dy, &w).unwrap(), dw, sum, back]
}

fn activations(b: &Fused, rows: usize) -> Vec<Tensor> {
    let (gate, up, dy) = (random(b, 6, rows, INNER), random(b, 7, rows, INNER), random(b, 8, rows, INNER));
    let (dgate, dup) = b.gated_backward(Activation::Gelu, &gate, &up, &dy).unwrap();
    let h = b.gated(Activation::Silu, &gate, &up).unwrap();
    let y = b.activate(Activation::GeluTanh, &gate).unwrap();
    vec![h, dgate, dup, y, b.activate_backward(Activation::Silu, &gate, &dy).unwrap()]
}

fn norms(b: &Fused, rows: usize) -> Vec<Tensor> {
    let (x, dy) = (random(b, 9, rows, WIDTH), random(b, 10, rows, WIDTH));
    let (w, bias, group) = (random(b, 11, 1, WIDTH), random(b, 12, 1, WIDTH), random(b, 13, 1, WIDTH / 5));
    let (mut dw, mut db, mut dg) =
        (b.duplicate(&w).unwrap(), b.duplicate(&bias).unwrap(), b.duplicate(&group).unwrap());
    let y = b.layer_norm(&x, &w, &bias, 1e-5).unwrap();
    let dx = b.layer_norm_backward(&x, &w, 1e-5, &dy, Some((&mut dw, &mut db))).unwrap();
    let z = b.rms_norm(&x, &group, 1e-5).unwrap();
    let dz = b.rms_norm_backward(&x, &group, 1e-5, &dy, Some(&mut dg)).unwrap();
    b.add_bias_grad(&mut db, &dy).unwrap();
    vec![y, dx, z, dz, dw, db, dg]
}

fn attention(b: &Fused, rows: usize) -> Vec<Tensor> {
    let window = Some(rows / 4 + 1);
    let s = AttentionShape { kv_heads: 2, causal: true, window, softcap: Some(3.0), ..AttentionShape::full(6, 24) };
    let spans = Spans::from_starts(&[0, rows / 3, rows]);
    let (mut q, k, v) = (random(b, 14, rows, 144), random(b, 15, rows, 48), random(b, 16, rows, 48));
    b.rotate(&mut q, &random(b, 17, rows, 12), &random(b, 18, rows, 12), 24, false).unwrap();
    let (out, lse) = b.attention(s, &spans, &q, &k, &v).unwrap();
    let dout = random(b, 19, rows, 144);
    let (dq, dk, dv) = b.attention_backward(s, &spans, (&q, &k, &v), (&out, &lse), &dout).unwrap();
    let parts = [b.columns(&q, 5..48).unwrap(), b.columns(&q, 48..144).unwrap()];
    let joined = b.join_columns(&[&parts[0], &parts[1]]).unwrap();
    vec![q, out, lse, dq, dk, dv, joined]
}

fn rows_of_a_table(b: &Fused, rows: usize) -> Vec<Tensor> {
    let ids: Vec<u32> = (0..rows as u32).map(|n| n * n % 11).collect();
    let mut table = random(b, 20, 11, WIDTH);
    b.scatter_add_rows(&mut table, &ids, &random(b, 21, rows, WIDTH)).unwrap();
    vec![b.gather_rows(&table, &ids).unwrap(), table]
}

/// The optimiser's tensors, and the scalars as bits.
fn objective(b: &Fused, rows: usize) -> (Vec<Tensor>, [u64; 2]) {
    let mut logits = random(b, 22, rows, 517);
    let targets: Vec<u32> = (0..rows as u32).map(|n| n * 31 % 517).collect();
    let loss = b.cross_entropy(&mut logits, &targets, &Objective::default(), 0.1).unwrap();
    let squares = b.sum_of_squares(&logits).unwrap();
    let (mut w, mut m, mut v) = (random(b, 23, rows, 517), random(b, 24, rows, 517), b.zeros(rows, 517).unwrap());
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
    (vec![logits, w, m, v], [loss.to_bits(), squares.to_bits()])
}

/// The bits of the results of every operation on `rows` tokens.
fn every_operation(b: &Fused, rows: usize) -> ([u64; 2], Vec<u32>) {
    let (mut results, scalars) = objective(b, rows);
    for operations in [products, activations, norms, attention, rows_of_a_table] {
        results.extend(operations(b, rows));
    }
    (scalars, results.iter().flat_map(|t| b.download(t).unwrap()).map(f32::to_bits).collect())
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
