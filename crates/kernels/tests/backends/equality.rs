//! The two implementations against each other, on shapes like those of a model and on odd ones.

use lorikeet_kernels::{AttentionShape, Backend, Composed, Fused, Spans};

use crate::{
    harness::ACTIVATIONS,
    matrix::{Matrix, assert_matrices_close},
    objective::objectives,
};

/// Rows: one, few, odd, beyond a block of queries, a batch.
const ROWS: [usize; 5] = [1, 3, 65, 130, 300];
/// Columns: multiples of a vector and not, as multiples of six (the heads below).
const COLS: [usize; 4] = [24, 66, 150, 384];

/// Runs a piece of work on both back ends and compares what it returns.
macro_rules! assert_both_agree {
    ($what:expr, $tolerance:expr, $work:expr) => {{
        let (fused, composed) = (Fused::new(2).unwrap(), Composed::cpu());
        let (left, right): (Vec<Matrix>, Vec<Matrix>) = {
            fn on<B: Backend>(b: &B, work: impl FnOnce(&B) -> Vec<B::Tensor>) -> Vec<Matrix> {
                work(b).iter().map(|t| Matrix::download(b, t)).collect()
            }
            (on(&fused, $work), on(&composed, $work))
        };
        assert_eq!(left.len(), right.len());
        for (i, (left, right)) in left.iter().zip(&right).enumerate() {
            assert_matrices_close(&format!("{}, result {i}", $what), left, right, $tolerance);
        }
    }};
}

#[test]
fn products_agree() {
    for n in ROWS {
        for (k, m) in [(24, 66), (150, 384), (384, 24), (67, 131)] {
            let (x, w, dy) = (Matrix::random(1, n, k), Matrix::random(2, m, k), Matrix::random(3, n, m));
            assert_both_agree!(format!("products of {n} x {k} x {m}"), 3e-5, |b| {
                let (x, w, dy) = (x.upload(b), w.upload(b), dy.upload(b));
                let mut dw = b.duplicate(&w).unwrap();
                b.add_matmul_tn(&mut dw, 0.5, &dy, &x).unwrap();
                vec![b.matmul_nt(&x, &w).unwrap(), b.matmul_nn(&dy, &w).unwrap(), dw]
            });
        }
    }
}

#[test]
fn activations_and_gates_agree() {
    for n in ROWS {
        for c in COLS {
            let (x, up, dy) = (Matrix::random(1, n, c), Matrix::random(2, n, c), Matrix::random(3, n, c));
            for f in ACTIVATIONS {
                assert_both_agree!(format!("{f:?} of {n} x {c}"), 3e-6, |b| {
                    let (x, up, dy) = (x.upload(b), up.upload(b), dy.upload(b));
                    let (dgate, dup) = b.gated_backward(f, &x, &up, &dy).unwrap();
                    let dx = b.activate_backward(f, &x, &dy).unwrap();
                    vec![b.activate(f, &x).unwrap(), dx, b.gated(f, &x, &up).unwrap(), dgate, dup]
                });
            }
        }
    }
}

#[test]
fn norms_agree() {
    for n in ROWS {
        for c in COLS {
            let (x, dy) = (Matrix::random(1, n, c), Matrix::random(2, n, c));
            for d in [c, c / 6] {
                let w = Matrix::random(3, 1, d);
                assert_both_agree!(format!("rms norm of {n} x {c} by {d}"), 2e-5, |b| {
                    let (x, dy, w) = (x.upload(b), dy.upload(b), w.upload(b));
                    let mut dw = b.zeros(1, d).unwrap();
                    let dx = b.rms_norm_backward(&x, &w, 1e-6, &dy, Some(&mut dw)).unwrap();
                    vec![b.rms_norm(&x, &w, 1e-6).unwrap(), dx, dw]
                });
            }
            let (w, bias) = (Matrix::random(3, 1, c), Matrix::random(4, 1, c));
            assert_both_agree!(format!("layer norm of {n} x {c}"), 2e-5, |b| {
                let (x, dy, w) = (x.upload(b), dy.upload(b), w.upload(b));
                let (mut dw, mut db) = (b.zeros(1, c).unwrap(), b.zeros(1, c).unwrap());
                let dx = b.layer_norm_backward(&x, &w, 1e-12, &dy, Some((&mut dw, &mut db))).unwrap();
                vec![b.layer_norm(&x, &w, &bias.upload(b), 1e-12).unwrap(), dx, dw, db]
            });
        }
    }
}

#[test]
fn attentions_agree() {
    let heads = [(9, 3, 64), (6, 6, 24), (4, 2, 24), (4, 1, 16)];
    let starts: [&[usize]; 4] = [&[0, 1], &[0, 3, 68], &[0, 65, 66, 130], &[0, 256, 300]];
    for (heads, kv_heads, d) in heads {
        for starts in starts {
            for (causal, window, softcap) in
                [(true, None, None), (false, None, None), (true, Some(37), None), (true, Some(100), Some(2.0))]
            {
                let s = AttentionShape { kv_heads, causal, window, softcap, ..AttentionShape::full(heads, d) };
                let (n, spans) = (starts[starts.len() - 1], Spans::from_starts(starts));
                let [q, dout] = [1, 2].map(|seed| Matrix::random(seed, n, heads * d));
                let [k, v] = [3, 4].map(|seed| Matrix::random(seed, n, kv_heads * d));
                assert_both_agree!(format!("{s:?} over {starts:?}"), 1e-5, |b| {
                    let (q, k, v) = (q.upload(b), k.upload(b), v.upload(b));
                    let (out, lse) = b.attention(s, &spans, &q, &k, &v).unwrap();
                    let saved = (&out, &lse);
                    let grads = b.attention_backward(s, &spans, (&q, &k, &v), saved, &dout.upload(b)).unwrap();
                    vec![out, lse, grads.0, grads.1, grads.2]
                });
            }
        }
    }
}

#[test]
fn losses_agree() {
    for (n, vocabulary) in [(1, 8192), (65, 1001), (130, 300)] {
        let z = Matrix::random(1, n, vocabulary).map(|v| f64::from(4.0 * v as f32));
        let targets: Vec<u32> = (0..n).map(|i| ((i * 7919 + 3) % vocabulary) as u32).collect();
        for objective in objectives(vocabulary) {
            let (fused, composed) = (Fused::new(2).unwrap(), Composed::cpu());
            let (mut left, mut right) = (z.upload(&fused), z.upload(&composed));
            let losses = (
                fused.cross_entropy(&mut left, &targets, &objective, 0.25).unwrap(),
                composed.cross_entropy(&mut right, &targets, &objective, 0.25).unwrap(),
            );
            let what = format!("{:?} of {n} x {vocabulary}", objective.loss);
            assert!((losses.0 - losses.1).abs() < 3e-6 * losses.1, "{what}: {losses:?}");
            let (left, right) = (Matrix::download(&fused, &left), Matrix::download(&composed, &right));
            let largest = left.data.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            assert_matrices_close(&what, &left, &right, 1e-6 * largest);
        }
    }
}
