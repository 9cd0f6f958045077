//! Norms of rows and of heads.

use lorikeet_kernels::Backend;

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close, finite_differences},
    reference,
};

const EPS: f32 = 1e-5;

on_every_backend!(
    rms_norm_equals_the_formula,
    rms_norm_gradients_are_slopes,
    layer_norm_equals_the_formula,
    layer_norm_gradients_are_slopes,
);

/// Rows, columns and columns of a group.
const GROUPS: [(usize, usize, usize); 5] = [(1, 8, 8), (3, 72, 24), (5, 33, 33), (65, 96, 16), (2, 6, 1)];

fn rms_norm_equals_the_formula<B: Backend>(b: &B) {
    for (rows, cols, d) in GROUPS {
        let (x, w) = (Matrix::random(1, rows, cols), Matrix::random(2, 1, d));
        let y = b.rms_norm(&x.upload(b), &w.upload(b), EPS).unwrap();
        assert_close(b, "rms norm", &y, &reference::rms_norm(&x, &w, f64::from(EPS)), 5e-6);
    }
}

fn rms_norm_gradients_are_slopes<B: Backend>(b: &B) {
    for (rows, cols, d) in [(1, 8, 8), (3, 24, 8), (5, 33, 33), (2, 6, 2)] {
        let (x, w, dy) = (Matrix::random(1, rows, cols), Matrix::random(2, 1, d), Matrix::random(3, rows, cols));
        let (tx, tw, tdy) = (x.upload(b), w.upload(b), dy.upload(b));
        let loss = |x: &Matrix, w: &Matrix| reference::rms_norm(x, w, f64::from(EPS)).dot(&dy);
        let slope = finite_differences(&x, |x| loss(x, &w));
        let dx = b.rms_norm_backward(&tx, &tw, EPS, &tdy, None).unwrap();
        assert_close(b, "dx alone", &dx, &slope, 2e-5);

        let dw0 = Matrix::random(4, 1, d);
        let mut dw = dw0.upload(b);
        let dx = b.rms_norm_backward(&tx, &tw, EPS, &tdy, Some(&mut dw)).unwrap();
        assert_close(b, "dx", &dx, &slope, 2e-5);
        let slope = finite_differences(&w, |w| loss(&x, w));
        assert_close(b, "dw", &dw, &dw0.zip(&slope, |a, b| a + b), 2e-5);
    }
}

fn layer_norm_equals_the_formula<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 8), (3, 37), (65, 384), (2, 2)] {
        // A mean far from zero, as residual streams have it.
        let x = Matrix::random(1, rows, cols).map(|v| f64::from(v as f32 + 3.0));
        let (w, bias) = (Matrix::random(2, 1, cols), Matrix::random(3, 1, cols));
        let y = b.layer_norm(&x.upload(b), &w.upload(b), &bias.upload(b), EPS).unwrap();
        assert_close(b, "layer norm", &y, &reference::layer_norm(&x, &w, &bias, f64::from(EPS)), 2e-5);
    }
}

fn layer_norm_gradients_are_slopes<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 8), (3, 37), (6, 16)] {
        let (x, w, bias) = (Matrix::random(1, rows, cols), Matrix::random(2, 1, cols), Matrix::random(3, 1, cols));
        let dy = Matrix::random(4, rows, cols);
        let (tx, tw, tdy) = (x.upload(b), w.upload(b), dy.upload(b));
        let loss = |x: &Matrix, w: &Matrix, bias: &Matrix| reference::layer_norm(x, w, bias, f64::from(EPS)).dot(&dy);
        let slope = finite_differences(&x, |x| loss(x, &w, &bias));
        let dx = b.layer_norm_backward(&tx, &tw, EPS, &tdy, None).unwrap();
        assert_close(b, "dx alone", &dx, &slope, 2e-5);

        let (dw0, db0) = (Matrix::random(5, 1, cols), Matrix::random(6, 1, cols));
        let (mut dw, mut db) = (dw0.upload(b), db0.upload(b));
        let dx = b.layer_norm_backward(&tx, &tw, EPS, &tdy, Some((&mut dw, &mut db))).unwrap();
        assert_close(b, "dx", &dx, &slope, 2e-5);
        let slope = finite_differences(&w, |w| loss(&x, w, &bias));
        assert_close(b, "dw", &dw, &dw0.zip(&slope, |a, b| a + b), 2e-5);
        let slope = finite_differences(&bias, |bias| loss(&x, &w, bias));
        assert_close(b, "db", &db, &db0.zip(&slope, |a, b| a + b), 2e-5);
    }
}
