//! Products of matrices.

use lorikeet_kernels::{Backend, Term};

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close, finite_differences},
    reference,
};

/// Rows, inner size and columns: none, one, few, odd and beyond a block.
const SIZES: [(usize, usize, usize); 8] =
    [(0, 8, 8), (1, 5, 3), (1, 130, 100), (3, 17, 33), (4, 16, 64), (5, 40, 7), (65, 24, 50), (130, 70, 129)];

on_every_backend!(
    nt_equals_the_formula,
    products_of_one_input_equal_single_ones,
    nn_equals_the_formula,
    sums_keep_what_was_there,
    gradients_are_slopes,
    sums_of_products_equal_their_parts,
    sums_of_products_refuse_what_does_not_fit,
);

fn nt_equals_the_formula<B: Backend>(b: &B) {
    for (n, k, m) in SIZES {
        let (x, w) = (Matrix::random(1, n, k), Matrix::random(2, m, k));
        let y = b.matmul_nt(&x.upload(b), &w.upload(b)).unwrap();
        assert_close(b, "nt", &y, &reference::matmul_nt(&x, &w), 2e-5);
    }
}

fn products_of_one_input_equal_single_ones<B: Backend>(b: &B) {
    for n in [0, 1, 3, 9, 40] {
        let x = Matrix::random(1, n, 48).upload(b);
        let weights = [1, 700, 8, 33].map(|m| Matrix::random(m, m as usize, 48).upload(b));
        let together = b.matmul_nt_each(&x, &weights.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(together.len(), weights.len());
        for (found, w) in together.iter().zip(&weights) {
            let expected = Matrix::download(b, &b.matmul_nt(&x, w).unwrap());
            assert_close(b, "each", found, &expected, 0.0);
        }
    }
    assert!(b.matmul_nt_each(&b.zeros(2, 48).unwrap(), &[]).unwrap().is_empty());
}

fn nn_equals_the_formula<B: Backend>(b: &B) {
    for (n, k, m) in SIZES {
        let (x, w) = (Matrix::random(1, n, k), Matrix::random(2, k, m));
        let y = b.matmul_nn(&x.upload(b), &w.upload(b)).unwrap();
        assert_close(b, "nn", &y, &reference::matmul_nn(&x, &w), 2e-5);
    }
}

fn sums_keep_what_was_there<B: Backend>(b: &B) {
    for (n, k, m) in SIZES {
        for alpha in [1.0, -0.75f32] {
            let scaled = |y0: &Matrix, product: &Matrix| y0.zip(product, |y, p| y + f64::from(alpha) * p);
            let (x, y0) = (Matrix::random(1, n, k), Matrix::random(2, n, m));

            let w = Matrix::random(3, m, k);
            let mut y = y0.upload(b);
            b.add_matmul_nt(&mut y, alpha, &x.upload(b), &w.upload(b)).unwrap();
            assert_close(b, "y += nt", &y, &scaled(&y0, &reference::matmul_nt(&x, &w)), 2e-5);

            let w = Matrix::random(3, k, m);
            let mut y = y0.upload(b);
            b.add_matmul_nn(&mut y, alpha, &x.upload(b), &w.upload(b)).unwrap();
            assert_close(b, "y += nn", &y, &scaled(&y0, &reference::matmul_nn(&x, &w)), 2e-5);

            let (g0, dy) = (Matrix::random(4, k, m), Matrix::random(5, n, m));
            let mut g = g0.upload(b);
            b.add_matmul_tn(&mut g, alpha, &x.upload(b), &dy.upload(b)).unwrap();
            assert_close(b, "g += tn", &g, &scaled(&g0, &reference::matmul_tn(&x, &dy)), 2e-5);
        }
    }
}

/// nn is the backward of nt for its input, tn for its weight.
fn gradients_are_slopes<B: Backend>(b: &B) {
    let (x, w, dy) = (Matrix::random(1, 3, 7), Matrix::random(2, 5, 7), Matrix::random(3, 3, 5));
    let dx = b.matmul_nn(&dy.upload(b), &w.upload(b)).unwrap();
    let expected = finite_differences(&x, |x| reference::matmul_nt(x, &w).dot(&dy));
    assert_close(b, "dx", &dx, &expected, 1e-5);

    let mut dw = b.zeros(5, 7).unwrap();
    b.add_matmul_tn(&mut dw, 1.0, &dy.upload(b), &x.upload(b)).unwrap();
    let expected = finite_differences(&w, |w| reference::matmul_nt(&x, w).dot(&dy));
    assert_close(b, "dw", &dw, &expected, 1e-5);
}

/// A map with its low-rank update: the two terms differ in direction, inner size and factor.
fn sums_of_products_equal_their_parts<B: Backend>(b: &B) {
    for (n, k, m) in [(1, 5, 3), (16, 70, 33), (17, 8, 40), (65, 130, 96)] {
        let (x, low, y0) = (Matrix::random(1, n, k), Matrix::random(2, n, 8), Matrix::random(3, n, m));
        let (w, up, bias) = (Matrix::random(4, m, k), Matrix::random(5, 8, m), Matrix::random(6, 1, m));
        let parts = reference::matmul_nt(&x, &w).zip(&reference::matmul_nn(&low, &up), |a, b| a - 0.5 * b);
        let (x, low, w, up) = (x.upload(b), low.upload(b), w.upload(b), up.upload(b));
        let first = Term { factor: 1.0, x: &x, w: &w, transposed: true };
        let more = [Term { factor: -0.5, x: &low, w: &up, transposed: false }];

        let sum = b.sum_of_products(None, first, &more, None).unwrap();
        assert_close(b, "sum", &sum, &parts, 2e-5);
        let with_bias = Matrix::from_fn(n, m, |i, j| parts.at(i, j) + bias.at(0, j));
        let sum = b.sum_of_products(None, first, &more, Some(&bias.upload(b))).unwrap();
        assert_close(b, "sum and bias", &sum, &with_bias, 2e-5);
        let sum = b.sum_of_products(Some(y0.upload(b)), first, &more, Some(&bias.upload(b))).unwrap();
        assert_close(b, "onto", &sum, &with_bias.zip(&y0, |a, b| a + b), 2e-5);
        let turned = b.sum_of_products(None, more[0], &[first], None).unwrap();
        assert_close(b, "the other way round", &turned, &parts, 2e-5);
    }
}

fn sums_of_products_refuse_what_does_not_fit<B: Backend>(b: &B) {
    for n in [3, 40] {
        let [x, w, short] = [(n, 6), (7, 6), (n, 5)].map(|(rows, cols)| b.zeros(rows, cols).unwrap());
        let first = Term { factor: 1.0, x: &x, w: &w, transposed: true };
        let wrong = [Term { x: &short, ..first }, Term { transposed: false, ..first }];
        assert!(wrong.iter().all(|term| b.sum_of_products(None, *term, &[], None).is_err()));
        assert!(b.sum_of_products(None, first, &wrong[..1], None).is_err());
        assert!(b.sum_of_products(None, first, &[], Some(&short)).is_err());
        assert!(b.sum_of_products(Some(b.zeros(n, 6).unwrap()), first, &[], None).is_err());
    }
}
