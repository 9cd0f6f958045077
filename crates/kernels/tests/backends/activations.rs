//! Activations, gates, biases and sums.

use lorikeet_kernels::{Activation, Backend, random::Stream};

use crate::{
    harness::{ACTIVATIONS, on_every_backend},
    matrix::{Matrix, assert_close, finite_differences},
    reference,
};

on_every_backend!(
    activations_equal_their_formulas,
    activations_survive_large_inputs,
    activation_gradients_are_slopes,
    gates_equal_their_formulas,
    gate_gradients_are_slopes,
    a_bias_is_added_to_every_row,
    a_bias_gradient_is_the_slope,
    columns_are_scaled_and_their_gradient_is_the_slope,
    dropout_drops_the_same_everywhere,
    sums_and_factors,
    a_soft_cap_equals_its_formula_and_has_its_slope,
);

fn activations_equal_their_formulas<B: Backend>(b: &B) {
    for f in ACTIVATIONS {
        for (rows, cols) in [(1, 1), (3, 37), (65, 300)] {
            let x = Matrix::random(1, rows, cols).map(|v| f64::from(2.5 * v as f32));
            let y = b.activate(f, &x.upload(b)).unwrap();
            assert_close(b, &format!("{f:?}"), &y, &x.map(|x| reference::activate(f, x)), 2e-6);
        }
    }
}

fn activations_survive_large_inputs<B: Backend>(b: &B) {
    let x = Matrix::new(1, 6, vec![-1000.0, -60.0, -12.0, 12.0, 60.0, 1000.0]);
    let ones = x.map(|_| 1.0);
    for f in ACTIVATIONS {
        let y = b.activate(f, &x.upload(b)).unwrap();
        let tanh = f == Activation::Tanh;
        let expected = x.map(|x| if tanh { x.signum() } else { x.max(0.0) });
        assert_close(b, &format!("{f:?}"), &y, &expected, 1e-4);
        let dx = b.activate_backward(f, &x.upload(b), &ones.upload(b)).unwrap();
        let expected = x.map(|x| if tanh || x < 0.0 { 0.0 } else { 1.0 });
        assert_close(b, &format!("slope of {f:?}"), &dx, &expected, 1e-4);
    }
}

fn activation_gradients_are_slopes<B: Backend>(b: &B) {
    for f in ACTIVATIONS {
        let (x, dy) = (Matrix::random(3, 5, 19).map(|v| f64::from(2.0 * v as f32)), Matrix::random(4, 5, 19));
        let dx = b.activate_backward(f, &x.upload(b), &dy.upload(b)).unwrap();
        let expected = finite_differences(&x, |x| x.map(|x| reference::activate(f, x)).dot(&dy));
        assert_close(b, &format!("{f:?}"), &dx, &expected, 1e-5);
    }
}

fn gates_equal_their_formulas<B: Backend>(b: &B) {
    for f in ACTIVATIONS {
        for (rows, cols) in [(1, 3), (3, 33), (65, 300)] {
            let (gate, up) = (Matrix::random(1, rows, cols), Matrix::random(2, rows, cols));
            let h = b.gated(f, &gate.upload(b), &up.upload(b)).unwrap();
            assert_close(b, &format!("{f:?}"), &h, &reference::gated(f, &gate, &up), 2e-6);
        }
    }
}

fn gate_gradients_are_slopes<B: Backend>(b: &B) {
    for f in ACTIVATIONS {
        let (gate, up, dh) = (Matrix::random(5, 4, 21), Matrix::random(6, 4, 21), Matrix::random(7, 4, 21));
        let (dgate, dup) = b.gated_backward(f, &gate.upload(b), &up.upload(b), &dh.upload(b)).unwrap();
        let expected = finite_differences(&gate, |gate| reference::gated(f, gate, &up).dot(&dh));
        assert_close(b, &format!("dgate of {f:?}"), &dgate, &expected, 1e-5);
        let expected = finite_differences(&up, |up| reference::gated(f, &gate, up).dot(&dh));
        assert_close(b, &format!("dup of {f:?}"), &dup, &expected, 1e-5);
    }
}

fn with_bias(y: &Matrix, bias: &Matrix) -> Matrix {
    Matrix::from_fn(y.rows, y.cols, |n, c| y.at(n, c) + bias.at(0, c))
}

fn a_bias_is_added_to_every_row<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 5), (3, 33), (65, 300)] {
        let (y0, bias) = (Matrix::random(1, rows, cols), Matrix::random(2, 1, cols));
        let mut y = y0.upload(b);
        b.add_bias(&mut y, &bias.upload(b)).unwrap();
        assert_close(b, "bias", &y, &with_bias(&y0, &bias), 1e-6);
    }
}

fn a_bias_gradient_is_the_slope<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 5), (65, 7)] {
        let (y, bias, dy) = (Matrix::random(1, rows, cols), Matrix::random(2, 1, cols), Matrix::random(3, rows, cols));
        let g0 = Matrix::random(4, 1, cols);
        let mut g = g0.upload(b);
        b.add_bias_grad(&mut g, &dy.upload(b)).unwrap();
        let slope = finite_differences(&bias, |bias| with_bias(&y, bias).dot(&dy));
        assert_close(b, "bias gradient", &g, &g0.zip(&slope, |a, b| a + b), 1e-5);
    }
}

fn sums_and_factors<B: Backend>(b: &B) {
    let (y0, x) = (Matrix::random(1, 65, 300), Matrix::random(2, 65, 300));
    let mut y = y0.upload(b);
    b.add(&mut y, &x.upload(b)).unwrap();
    assert_close(b, "sum", &y, &y0.zip(&x, |y, x| y + x), 1e-6);
    b.scale(&mut y, -0.3).unwrap();
    assert_close(b, "scaled sum", &y, &y0.zip(&x, |y, x| f64::from(-0.3f32) * (y + x)), 1e-6);
}

fn a_soft_cap_equals_its_formula_and_has_its_slope<B: Backend>(b: &B) {
    for (cap, rows, cols) in [(0.5f32, 3, 7), (30.0, 65, 300)] {
        let x = Matrix::random(1, rows, cols).map(|v| f64::from(2.5 * v as f32));
        let capped = |x: f64| reference::softcap(x, f64::from(cap));
        let mut y = x.upload(b);
        b.softcap(&mut y, cap).unwrap();
        assert_close(b, "soft cap", &y, &x.map(capped), 2e-6);
        let dy = Matrix::random(2, rows, cols);
        let mut dx = dy.upload(b);
        b.softcap_backward(&y, &mut dx, cap).unwrap();
        let step = 1e-5;
        let slope = x.map(|x| (capped(x + step) - capped(x - step)) / (2.0 * step));
        assert_close(b, "slope of the soft cap", &dx, &slope.zip(&dy, |s, dy| s * dy), 1e-5);
    }
}
fn columns_are_scaled_and_their_gradient_is_the_slope<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 1), (3, 37), (65, 300)] {
        let (x, factors, dy) =
            (Matrix::random(1, rows, cols), Matrix::random(2, 1, cols), Matrix::random(3, rows, cols));
        let scaled = |f: &Matrix| Matrix::from_fn(rows, cols, |n, c| x.at(n, c) * f.at(0, c));
        let mut y = x.upload(b);
        b.scale_columns(&mut y, &factors.upload(b)).unwrap();
        assert_close(b, "scaled columns", &y, &scaled(&factors), 1e-6);
        let start = Matrix::random(4, 1, cols);
        let mut g = start.upload(b);
        b.add_column_products(&mut g, &x.upload(b), &dy.upload(b)).unwrap();
        let slope = finite_differences(&factors, |f| scaled(f).dot(&dy));
        assert_close(b, "gradient of the factors", &g, &start.zip(&slope, |a, b| a + b), 1e-4);
    }
}

fn dropout_drops_the_same_everywhere<B: Backend>(b: &B) {
    let (rows, cols, rate, stream) = (70, 501, 0.3f32, Stream::new(11, 5));
    let x = Matrix::random(1, rows, cols);
    let kept = |n: usize, c: usize| stream.uniform((n * cols + c) as u64) >= rate;
    let y = b.dropout(&x.upload(b), rate, stream).unwrap();
    let expected = Matrix::from_fn(rows, cols, |n, c| if kept(n, c) { x.at(n, c) / 0.7 } else { 0.0 });
    assert_close(b, "dropout", &y, &expected, 1e-6);
    let n_zeros = b.download(&y).unwrap().iter().filter(|v| **v == 0.0).count();
    let share = n_zeros as f64 / (rows * cols) as f64;
    assert!((share - 0.3).abs() < 0.01, "{share}");
    assert_close(b, "no dropout", &b.dropout(&x.upload(b), 0.0, stream).unwrap(), &x, 0.0);
}
