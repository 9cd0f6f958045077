//! The loss, the norm of gradients and the optimiser.

use lorikeet_kernels::{AdamWStep, Backend, Objective, RowLoss};

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close, finite_differences},
    reference,
};

on_every_backend!(
    cross_entropy_equals_the_formula,
    cross_entropy_gradients_are_slopes,
    cross_entropy_survives_large_logits,
    cross_entropy_of_nothing_is_zero,
    every_objective_equals_its_formula_and_its_gradient_is_the_slope,
    focal_loss_of_certain_rows_is_finite,
    squares_are_summed_in_64_bits,
    five_steps_of_adamw_equal_the_formula,
);

fn targets(rows: usize, vocabulary: usize) -> Vec<u32> {
    (0..rows).map(|n| ((n * 31 + 5) % vocabulary) as u32).collect()
}

fn cross_entropy_equals_the_formula<B: Backend>(b: &B) {
    for (rows, vocabulary) in [(1, 2), (3, 37), (65, 1000)] {
        let (z, targets) = (Matrix::random(1, rows, vocabulary), targets(rows, vocabulary));
        let found = b.cross_entropy(&mut z.upload(b), &targets, &Objective::default(), 1.0).unwrap();
        let expected = reference::cross_entropy(&z, &targets);
        assert!((found - expected).abs() < 2e-6 * expected, "found {found}, expected {expected}");
    }
}

fn cross_entropy_gradients_are_slopes<B: Backend>(b: &B) {
    for scale in [1.0, 0.125f32] {
        let (z, targets) = (Matrix::random(2, 4, 21), targets(4, 21));
        let mut gradient = z.upload(b);
        b.cross_entropy(&mut gradient, &targets, &Objective::default(), scale).unwrap();
        let slope = finite_differences(&z, |z| f64::from(scale) * reference::cross_entropy(z, &targets));
        assert_close(b, "gradient", &gradient, &slope, 2e-6);
    }
}

fn cross_entropy_survives_large_logits<B: Backend>(b: &B) {
    let mut z = Matrix::new(2, 3, vec![900.0, 0.0, -900.0, -900.0, -901.0, -902.0]).upload(b);
    let loss = b.cross_entropy(&mut z, &[2, 0], &Objective::default(), 1.0).unwrap();
    let second = (1.0 + (-1f64).exp() + (-2f64).exp()).ln();
    assert!((loss - 1800.0 - second).abs() < 1e-3, "{loss}");
    let p: Vec<f64> = [0.0, -1.0, -2f64].iter().map(|z| (z - second).exp()).collect();
    let expected = Matrix::new(2, 3, vec![1.0, 0.0, -1.0, p[0] - 1.0, p[1], p[2]]);
    assert_close(b, "gradient", &z, &expected, 1e-6);
}

fn cross_entropy_of_nothing_is_zero<B: Backend>(b: &B) {
    assert_eq!(b.cross_entropy(&mut b.zeros(0, 7).unwrap(), &[], &Objective::default(), 1.0).unwrap(), 0.0);
}

/// Losses with every switch, over four classes with weights and over twenty-one without.
pub fn objectives(classes: usize) -> Vec<Objective> {
    let weights: Vec<f32> = (0..classes).map(|k| 0.25 + 0.5 * k as f32).collect();
    let losses = [
        RowLoss::CrossEntropy { smoothing: 0.0 },
        RowLoss::CrossEntropy { smoothing: 0.1 },
        RowLoss::CrossEntropy { smoothing: 1.0 },
        RowLoss::Focal { alpha: 0.25, gamma: 2.0 },
        RowLoss::Focal { alpha: 1.0, gamma: 0.0 },
        RowLoss::Focal { alpha: 0.75, gamma: 0.5 },
    ];
    let with = |class_weights: Vec<f32>| losses.map(|loss| Objective { loss, class_weights: class_weights.clone() });
    with(Vec::new()).into_iter().chain(with(weights)).collect()
}

fn every_objective_equals_its_formula_and_its_gradient_is_the_slope<B: Backend>(b: &B) {
    for (rows, classes) in [(5, 4), (4, 21)] {
        for objective in objectives(classes) {
            let (z, targets) = (Matrix::random(2, rows, classes), targets(rows, classes));
            let mut gradient = z.upload(b);
            let found = b.cross_entropy(&mut gradient, &targets, &objective, 0.5).unwrap();
            let expected = reference::objective(&z, &targets, &objective);
            assert!((found - expected).abs() < 3e-6 * expected, "{objective:?}: found {found}, expected {expected}");
            let slope = finite_differences(&z, |z| 0.5 * reference::objective(z, &targets, &objective));
            assert_close(b, &format!("{objective:?}"), &gradient, &slope, 3e-6);
        }
    }
}

fn focal_loss_of_certain_rows_is_finite<B: Backend>(b: &B) {
    for gamma in [0.0, 0.5, 1.0, 2.0] {
        let objective = Objective { loss: RowLoss::Focal { alpha: 1.0, gamma }, ..Objective::default() };
        let mut z = Matrix::new(2, 2, vec![500.0, -500.0, 500.0, -500.0]).upload(b);
        let loss = b.cross_entropy(&mut z, &[0, 1], &objective, 1.0).unwrap();
        assert!((loss - 1000.0).abs() < 1e-3, "gamma {gamma}: {loss}");
        assert_close(b, "gradient", &z, &Matrix::new(2, 2, vec![0.0, 0.0, 1.0, -1.0]), 1e-6);
    }
}

fn squares_are_summed_in_64_bits<B: Backend>(b: &B) {
    for (rows, cols) in [(1, 1), (3, 37), (200, 501)] {
        let x = Matrix::random(1, rows, cols);
        let (found, expected) = (b.sum_of_squares(&x.upload(b)).unwrap(), x.dot(&x));
        let tolerance = if b.device_name().starts_with("metal") { 1e-6 } else { 1e-12 };
        assert!((found - expected).abs() < tolerance * expected, "found {found}, expected {expected}");
    }
}

fn five_steps_of_adamw_equal_the_formula<B: Backend>(b: &B) {
    let (rows, cols) = (3, 12_345);
    let mut state = [Matrix::random(1, rows, cols), Matrix::random(2, rows, cols), Matrix::random(3, rows, cols)];
    state[1] = state[1].map(|_| 0.0);
    state[2] = state[2].map(|_| 0.0);
    let [mut w, mut m, mut v] = [&state[0], &state[1], &state[2]].map(|x| x.upload(b));
    for step in 1..=5 {
        let gradient = Matrix::random(10 + step, rows, cols);
        let settings = AdamWStep {
            learning_rate: 1e-2 / step as f64,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.1,
            step,
            gradient_scale: if step == 2 { 0.37 } else { 1.0 },
        };
        b.adamw(&mut w, &gradient.upload(b), (&mut m, &mut v), &settings).unwrap();
        reference::adamw(&mut state, &gradient, &settings);
        for (found, expected, what) in [(&w, &state[0], "weights"), (&m, &state[1], "first"), (&v, &state[2], "second")]
        {
            assert_close(b, &format!("{what} after step {step}"), found, expected, 2e-6);
        }
    }
}
