//! The operations written as plainly as their formulas, in 64 bits.

use lorikeet_kernels::{Activation, AdamWStep, AttentionShape, Objective, RowLoss, Spans};

use crate::matrix::Matrix;

pub fn matmul_nt(x: &Matrix, w: &Matrix) -> Matrix {
    Matrix::from_fn(x.rows, w.rows, |n, o| (0..x.cols).map(|i| x.at(n, i) * w.at(o, i)).sum())
}

pub fn matmul_nn(x: &Matrix, w: &Matrix) -> Matrix {
    Matrix::from_fn(x.rows, w.cols, |n, i| (0..x.cols).map(|o| x.at(n, o) * w.at(o, i)).sum())
}

pub fn matmul_tn(x: &Matrix, y: &Matrix) -> Matrix {
    Matrix::from_fn(x.cols, y.cols, |a, b| (0..x.rows).map(|n| x.at(n, a) * y.at(n, b)).sum())
}

pub fn activate(f: Activation, x: f64) -> f64 {
    match f {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / 2f64.sqrt())),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
    }
}

/// The error function as `2 / sqrt(pi) exp(-x²) sum of 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!`, whose terms all have one sign.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

pub fn gated(f: Activation, gate: &Matrix, up: &Matrix) -> Matrix {
    gate.zip(up, |g, u| activate(f, g) * u)
}

pub fn rms_norm(x: &Matrix, w: &Matrix, eps: f64) -> Matrix {
    let d = w.cols;
    Matrix::from_fn(x.rows, x.cols, |n, c| {
        let group = &x.row(n)[c / d * d..][..d];
        let mean_square = group.iter().map(|v| v * v).sum::<f64>() / d as f64;
        x.at(n, c) / (mean_square + eps).sqrt() * w.at(0, c % d)
    })
}

pub fn layer_norm(x: &Matrix, w: &Matrix, b: &Matrix, eps: f64) -> Matrix {
    Matrix::from_fn(x.rows, x.cols, |n, c| {
        let count = x.cols as f64;
        let mean = x.row(n).iter().sum::<f64>() / count;
        let variance = x.row(n).iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (x.at(n, c) - mean) / (variance + eps).sqrt() * w.at(0, c) + b.at(0, c)
    })
}

pub fn rotate(x: &Matrix, cos: &Matrix, sin: &Matrix, head_dim: usize, backward: bool) -> Matrix {
    let half = cos.cols;
    Matrix::from_fn(x.rows, x.cols, |n, c| {
        let (head, channel) = (c / head_dim * head_dim, c % head_dim);
        if channel >= 2 * half {
            return x.at(n, c);
        }
        let i = channel % half;
        let (a, b) = (x.at(n, head + i), x.at(n, head + half + i));
        let (cos, sin) = (cos.at(n, i), if backward { -sin.at(n, i) } else { sin.at(n, i) });
        if channel < half { a * cos - b * sin } else { a * sin + b * cos }
    })
}

pub fn softcap(x: f64, cap: f64) -> f64 {
    cap * (x / cap).tanh()
}

/// The output and the logarithms of the denominators.
pub fn attention(shape: AttentionShape, spans: &Spans, q: &Matrix, k: &Matrix, v: &Matrix) -> (Matrix, Matrix) {
    let (d, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let mut out = Matrix::from_fn(q.rows, q.cols, |_, _| 0.0);
    let mut lse = Matrix::from_fn(q.rows, shape.heads, |_, _| 0.0);
    for (queries, keys) in spans.queries.iter().zip(&spans.keys) {
        for (place, n) in queries.clone().enumerate() {
            // How far a key lies behind the query: the last query stands at the last key.
            let behind = |m: usize| (keys.end - 1 - m) as i64 - (queries.len() - 1 - place) as i64;
            let near = |m: usize| shape.window.is_none_or(|window| behind(m).unsigned_abs() < window as u64);
            let visible: Vec<usize> = keys.clone().filter(|m| (!shape.causal || behind(*m) >= 0) && near(*m)).collect();
            for h in 0..shape.heads {
                let g = h / group * d;
                let score = |m: usize| (0..d).map(|i| q.at(n, h * d + i) * k.at(m, g + i)).sum::<f64>();
                let scaled = |m: usize| f64::from(shape.scale) * score(m);
                let capped = |s: f64| shape.softcap.map_or(s, |cap| softcap(s, f64::from(cap)));
                let scores: Vec<f64> = visible.iter().map(|m| capped(scaled(*m))).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
                let total: f64 = weights.iter().sum();
                lse.data[n * shape.heads + h] = top + total.ln();
                for i in 0..d {
                    let sum: f64 = visible.iter().zip(&weights).map(|(m, w)| w * v.at(*m, g + i)).sum();
                    out.data[n * q.cols + h * d + i] = sum / total;
                }
            }
        }
    }
    (out, lse)
}

pub fn cross_entropy(logits: &Matrix, targets: &[u32]) -> f64 {
    let row = |n: usize| {
        let total: f64 = logits.row(n).iter().map(|z| z.exp()).sum();
        total.ln() - logits.at(n, targets[n] as usize)
    };
    (0..logits.rows).map(row).sum()
}

/// The objective's loss, term by term.
pub fn objective(logits: &Matrix, targets: &[u32], objective: &Objective) -> f64 {
    let weight = |k: usize| objective.class_weights.get(k).map_or(1.0, |w| f64::from(*w));
    let row = |n: usize| {
        let total: f64 = logits.row(n).iter().map(|z| z.exp()).sum();
        let log_p = |k: usize| logits.at(n, k) - total.ln();
        let t = targets[n] as usize;
        match objective.loss {
            RowLoss::CrossEntropy { smoothing } => {
                let (e, classes) = (f64::from(smoothing), logits.cols as f64);
                let spread: f64 = (0..logits.cols).map(|k| -weight(k) * log_p(k)).sum();
                -(1.0 - e) * weight(t) * log_p(t) + e / classes * spread
            }
            RowLoss::Focal { alpha, gamma } => {
                -f64::from(alpha) * weight(t) * (1.0 - log_p(t).exp()).powf(f64::from(gamma)) * log_p(t)
            }
        }
    };
    (0..logits.rows).map(row).sum()
}

/// Weights and both moments after one step, as PyTorch's documentation of AdamW lists it.
pub fn adamw(state: &mut [Matrix; 3], gradient: &Matrix, s: &AdamWStep) {
    let [w, m, v] = state;
    for i in 0..w.data.len() {
        let g = gradient.data[i] * s.gradient_scale;
        w.data[i] -= s.learning_rate * s.weight_decay * w.data[i];
        m.data[i] = s.beta1 * m.data[i] + (1.0 - s.beta1) * g;
        v.data[i] = s.beta2 * v.data[i] + (1.0 - s.beta2) * g * g;
        let m_hat = m.data[i] / (1.0 - s.beta1.powi(s.step as i32));
        let v_hat = v.data[i] / (1.0 - s.beta2.powi(s.step as i32));
        w.data[i] -= s.learning_rate * m_hat / (v_hat.sqrt() + s.epsilon);
    }
}

#[test]
fn the_error_function_has_its_tabulated_values() {
    for (x, y) in [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (-2.0, -0.995_322_265_018_952_7)] {
        assert!((erf(x) - y).abs() < 1e-14, "erf({x}) = {}", erf(x));
    }
}
