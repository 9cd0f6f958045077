//! Products on every level of vector instructions that this processor has, with operands of 32 and of 16 bits: the same
//! formula, and the same bits whatever the number of threads.

use half::bf16;
use lorikeet_kernels::{AttentionShape, Backend, Composed, Fused, HostMatrix, Precision, Simd, Spans};

use crate::{
    matrix::{Matrix, assert_close},
    reference,
};

/// Rows, inner size and columns: one, edges of tiles, and more than one pass along the inner dimension.
const SIZES: [(usize, usize, usize); 9] = [
    (1, 7, 3),
    (2, 1, 33),
    (5, 8, 16),
    (6, 16, 17),
    (11, 31, 32),
    (12, 33, 64),
    (25, 70, 129),
    (67, 129, 40),
    (5, 9001, 37),
];

fn levels() -> Vec<(Simd, Fused)> {
    let fused = |simd| (simd, Fused::new(2).unwrap().with_simd(simd));
    Simd::ALL.into_iter().filter(|simd| *simd <= Simd::best()).map(fused).collect()
}

fn rounded(x: &Matrix) -> Matrix {
    x.map(|v| bf16::from_f32(v as f32).to_f64())
}

fn frozen(x: &Matrix, precision: Precision) -> HostMatrix {
    HostMatrix::from_f32(&x.to_f32(), x.rows, x.cols).unwrap().quantise(precision).unwrap()
}

#[test]
fn products_equal_the_formula_on_every_level() {
    for (simd, b) in levels() {
        for (n, k, m) in SIZES {
            let tolerance = 1e-6 * (k.max(20) as f64);
            let (x, w, v) = (Matrix::random(1, n, k), Matrix::random(2, m, k), Matrix::random(3, k, m));
            let y = b.matmul_nt(&x.upload(&b), &w.upload(&b)).unwrap();
            assert_close(&b, &format!("nt {simd:?}"), &y, &reference::matmul_nt(&x, &w), tolerance);
            let y = b.matmul_nn(&x.upload(&b), &v.upload(&b)).unwrap();
            assert_close(&b, &format!("nn {simd:?}"), &y, &reference::matmul_nn(&x, &v), tolerance);
            for (x, dy) in [(&v, &v), (&v, &Matrix::random(4, k, 5)), (&Matrix::random(5, k, 8), &v)] {
                let mut g = b.zeros(x.cols, dy.cols).unwrap();
                b.add_matmul_tn(&mut g, 1.0, &x.upload(&b), &dy.upload(&b)).unwrap();
                assert_close(&b, &format!("tn {simd:?}"), &g, &reference::matmul_tn(x, dy), tolerance);
            }
        }
    }
}

#[test]
fn rounded_products_equal_the_formula_of_rounded_operands_on_every_level() {
    for (simd, b) in levels() {
        let b = b.with_bf16();
        for (n, k, m) in SIZES {
            let tolerance = 1e-6 * (k.max(20) as f64);
            let (x, w, v) = (Matrix::random(1, n, k), Matrix::random(2, m, k), Matrix::random(3, k, m));
            for precision in [Precision::F32, Precision::Bf16, Precision::Q8_0] {
                if w.cols.is_multiple_of(precision.block_len()) {
                    let stored = frozen(&w, precision);
                    let wide = Matrix::new(w.rows, w.cols, stored.to_f32().into_iter().map(f64::from).collect());
                    let y = b.matmul_nt(&x.upload(&b), &b.weight(&stored).unwrap()).unwrap();
                    let expected = reference::matmul_nt(&rounded(&x), &rounded(&wide));
                    assert_close(&b, &format!("nt {simd:?} {precision:?} {n} {k} {m}"), &y, &expected, tolerance);
                }
                if v.cols.is_multiple_of(precision.block_len()) {
                    let stored = frozen(&v, precision);
                    let wide = Matrix::new(v.rows, v.cols, stored.to_f32().into_iter().map(f64::from).collect());
                    let y = b.matmul_nn(&x.upload(&b), &b.weight(&stored).unwrap()).unwrap();
                    let expected = reference::matmul_nn(&rounded(&x), &rounded(&wide));
                    assert_close(&b, &format!("nn {simd:?} {precision:?} {n} {k} {m}"), &y, &expected, tolerance);
                }
            }
        }
    }
}

#[test]
fn only_products_with_frozen_weights_are_rounded() {
    let (x, w) = (Matrix::random(1, 30, 50), Matrix::random(2, 20, 50));
    let exact = reference::matmul_nt(&x, &w);
    let b = Fused::new(1).unwrap().with_bf16();
    assert_close(&b, "trained", &b.matmul_nt(&x.upload(&b), &w.upload(&b)).unwrap(), &exact, 2e-5);
    let y = b.matmul_nt(&x.upload(&b), &b.weight(&frozen(&w, Precision::F32)).unwrap()).unwrap();
    let away = Matrix::download(&b, &y).zip(&exact, |a, b| (a - b).abs()).data.into_iter().fold(0.0, f64::max);
    assert!(away > 1e-4, "{away}");
}

#[test]
fn both_back_ends_round_alike() {
    let (x, w) = (Matrix::random(1, 30, 51), Matrix::random(2, 20, 51));
    let expected = reference::matmul_nt(&rounded(&x), &rounded(&w));
    let c = Composed::cpu().with_bf16();
    let y = c.matmul_nt(&x.upload(&c), &c.weight(&frozen(&w, Precision::F32)).unwrap()).unwrap();
    assert_close(&c, "composed", &y, &expected, 2e-5);
    let trained = c.matmul_nt(&x.upload(&c), &w.upload(&c)).unwrap();
    assert_close(&c, "composed, trained", &trained, &reference::matmul_nt(&x, &w), 2e-5);
}

/// What is not a number, and what is as large as numbers get, survives rounding.
#[test]
fn numbers_without_an_end_stay_so() {
    for (simd, b) in levels() {
        let b = b.with_bf16();
        let w = b.weight(&HostMatrix::from_f32(&[1.0; 64], 32, 2).unwrap()).unwrap();
        for value in [f32::NAN, f32::from_bits(0x7fff_ffff), f32::INFINITY, f32::MAX] {
            let x = b.upload([value, 0.0].repeat(8), 8, 2).unwrap();
            let y = b.download(&b.matmul_nt(&x, &w).unwrap()).unwrap();
            assert!(y.iter().all(|y| y.is_nan() == value.is_nan() && !y.is_finite()), "{simd:?} {value}: {}", y[0]);
        }
    }
}

#[test]
fn attention_equals_the_formula_on_every_level() {
    let spans = Spans::from_starts(&[0, 70, 71, 200]);
    let s = AttentionShape { kv_heads: 2, causal: true, ..AttentionShape::full(4, 24) };
    let [q, k, v] = [(1, 96), (2, 48), (3, 48)].map(|(seed, cols)| Matrix::random(seed, 200, cols));
    let expected = reference::attention(s, &spans, &q, &k, &v);
    for (simd, b) in levels() {
        let (out, lse) = b.attention(s, &spans, &q.upload(&b), &k.upload(&b), &v.upload(&b)).unwrap();
        assert_close(&b, &format!("{simd:?}"), &out, &expected.0, 1e-5);
        assert_close(&b, &format!("{simd:?}"), &lse, &expected.1, 1e-5);
    }
}

#[test]
fn threads_change_no_bit_of_rounded_products() {
    let (x, w, dy) = (Matrix::random(1, 300, 333), Matrix::random(2, 517, 333), Matrix::random(3, 300, 517));
    let bits = |threads: usize| {
        let b = Fused::new(threads).unwrap().with_bf16();
        b.run(|| {
            let w = b.weight(&frozen(&w, Precision::F32)).unwrap();
            let (y, dx) = (b.matmul_nt(&x.upload(&b), &w).unwrap(), b.matmul_nn(&dy.upload(&b), &w).unwrap());
            [y, dx].iter().flat_map(|t| b.download(t).unwrap()).map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!([2, 3, 7].into_iter().all(|threads| bits(threads) == one));
}
