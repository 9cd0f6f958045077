//! Work on blocks of rows, compiled once for AVX-512, once for AVX2 and once for any processor, and chosen at run time.

use std::ops::Range;

use half::{bf16, f16};

use super::{
    math::{dot, dot3, exp, max, normal, sigmoid, sum, tanh},
    simd::vectorised,
};
use crate::{Activation, AdamWStep, Precision};

vectorised! {
    /// Little-endian floats of some precision as 32-bit ones; `widen` beside this takes blocks too.
    pub fn widen_floats(precision: Precision, bytes: &[u8], out: &mut [f32]) {
        match precision {
            Precision::F32 => {
                for (o, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *o = f32::from_le_bytes(*b);
                }
            }
            Precision::Bf16 => {
                for (o, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *o = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                }
            }
            Precision::F16 => {
                for (o, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *o = f16::from_le_bytes(*b).to_f32();
                }
            }
            _ => {}
        }
    }

    /// `y += x`.
    pub fn add(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }

    /// `y *= alpha`.
    pub fn scale(y: &mut [f32], alpha: f32) {
        for y in y {
            *y *= alpha;
        }
    }

    /// `y[n] += bias`.
    pub fn add_bias(y: &mut [f32], bias: &[f32]) {
        for row in y.chunks_exact_mut(bias.len()) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y += b;
            }
        }
    }

    /// `sums += sum over rows`.
    pub fn add_columns(sums: &mut [f32], x: &[f32]) {
        for row in x.chunks_exact(sums.len()) {
            for (s, x) in sums.iter_mut().zip(row) {
                *s += x;
            }
        }
    }

    /// `y *= x`.
    pub fn multiply(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y *= x;
        }
    }

    /// `y[n] *= factors`.
    pub fn scale_columns(y: &mut [f32], factors: &[f32]) {
        for row in y.chunks_exact_mut(factors.len()) {
            for (y, f) in row.iter_mut().zip(factors) {
                *y *= f;
            }
        }
    }

    /// `sums += sum over rows of x * y`.
    pub fn add_column_products(sums: &mut [f32], x: &[f32], y: &[f32]) {
        let n = sums.len().max(1);
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact(n)) {
            for ((s, x), y) in sums.iter_mut().zip(x).zip(y) {
                *s += x * y;
            }
        }
    }

    /// `y = f(x)`.
    pub fn activate(f: Activation, x: &[f32], y: &mut [f32]) {
        match f {
            Activation::Silu => each(x, y, |x| x * sigmoid(x)),
            Activation::Gelu => each(x, y, |x| x * normal(x).0),
            Activation::GeluTanh => each(x, y, |x| gelu_tanh(x).0),
            Activation::Relu => each(x, y, |x| x.max(0.0)),
            Activation::Tanh => each(x, y, tanh),
        }
    }

    /// `dx = dy f'(x)`.
    pub fn activate_backward(f: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        match f {
            Activation::Silu => each_product(x, dy, dx, |x| silu(x).1),
            Activation::Gelu => each_product(x, dy, dx, |x| gelu(x).1),
            Activation::GeluTanh => each_product(x, dy, dx, |x| gelu_tanh(x).1),
            Activation::Relu => each_product(x, dy, dx, |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Activation::Tanh => each_product(x, dy, dx, |x| { let t = tanh(x); 1.0 - t * t }),
        }
    }

    /// `h = f(gate) up`.
    pub fn gated(f: Activation, gate: &[f32], up: &[f32], h: &mut [f32]) {
        activate(f, gate, h);
        for (h, u) in h.iter_mut().zip(up) {
            *h *= u;
        }
    }

    /// Gradients of [`gated`].
    pub fn gated_backward(f: Activation, gate: &[f32], up: &[f32], dh: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
        match f {
            Activation::Silu => each_pair(gate, up, dh, dgate, dup, silu),
            Activation::Gelu => each_pair(gate, up, dh, dgate, dup, gelu),
            Activation::GeluTanh => each_pair(gate, up, dh, dgate, dup, gelu_tanh),
            Activation::Relu => each_pair(gate, up, dh, dgate, dup, |x| (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 })),
            Activation::Tanh => each_pair(gate, up, dh, dgate, dup, |x| { let t = tanh(x); (t, 1.0 - t * t) }),
        }
    }

    /// Root-mean-square norm of each group of `w.len()` numbers.
    pub fn rms_norm(x: &[f32], w: &[f32], eps: f32, y: &mut [f32]) {
        let d = w.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let r = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = x * r * w;
            }
        }
    }

    /// `dx = r (dy w) - x r³ / D sum(dy w x)` for each group; adds `dy x r` to `dw` where that is not empty.
    pub fn rms_norm_backward(x: &[f32], w: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dw: &mut [f32]) {
        let d = w.len();
        for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let r = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
            let c = dot3(x, dy, w) * r * r * r / d as f32;
            for (((dx, x), dy), w) in dx.iter_mut().zip(x).zip(dy).zip(w) {
                *dx = dy * w * r - x * c;
            }
            for ((dw, x), dy) in dw.iter_mut().zip(x).zip(dy) {
                *dw += dy * x * r;
            }
        }
    }

    /// Layer norm of each row of `w.len()` numbers.
    pub fn layer_norm(x: &[f32], w: &[f32], b: &[f32], eps: f32, y: &mut [f32]) {
        let c = w.len();
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            let mean = sum(x) / c as f32;
            for (y, x) in y.iter_mut().zip(x) {
                *y = x - mean;
            }
            let r = 1.0 / (dot(y, y) / c as f32 + eps).sqrt();
            for ((y, w), b) in y.iter_mut().zip(w).zip(b) {
                *y = *y * r * w + b;
            }
        }
    }

    /// `dx = r (g - mean(g) - x̂ mean(g x̂))` with `g = dy w`; adds to `dw` and `db` where they are not empty.
    pub fn layer_norm_backward(x: &[f32], w: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dw: &mut [f32], db: &mut [f32]) {
        let c = w.len();
        let mut hat = vec![0f32; c];
        for ((x, dy), dx) in x.chunks_exact(c).zip(dy.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
            let mean = sum(x) / c as f32;
            for (h, x) in hat.iter_mut().zip(x) {
                *h = x - mean;
            }
            let r = 1.0 / (dot(&hat, &hat) / c as f32 + eps).sqrt();
            for h in hat.iter_mut() {
                *h *= r;
            }
            let (mean_g, mean_gh) = (dot(dy, w) / c as f32, dot3(dy, w, &hat) / c as f32);
            for (((dx, dy), w), h) in dx.iter_mut().zip(dy).zip(w).zip(&hat) {
                *dx = r * (dy * w - mean_g - h * mean_gh);
            }
            for ((dw, dy), h) in dw.iter_mut().zip(dy).zip(&hat) {
                *dw += dy * h;
            }
            add(db, dy);
        }
    }

    /// `y = cap tanh(y / cap)`.
    pub fn softcap(y: &mut [f32], cap: f32) {
        for y in y {
            *y = cap * tanh(*y / cap);
        }
    }

    /// `dy *= 1 - (y / cap)²`.
    pub fn softcap_backward(y: &[f32], dy: &mut [f32], cap: f32) {
        each_times(y, dy, |y| 1.0 - (y / cap) * (y / cap));
    }

    /// Rotates the first channels of each head of one row; `sign` is -1 for the transposed map.
    pub fn rotate(row: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], sign: f32) {
        let half = cos.len();
        for head in row.chunks_exact_mut(head_dim) {
            let (a, b) = head.split_at_mut(half);
            for (((a, b), c), s) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                let (u, v, s) = (*a, *b, sign * s);
                *a = u * c - v * s;
                *b = v * c + u * s;
            }
        }
    }

    /// Softmax over the scores of a row that are seen, zeros around them; returns the logarithm of the denominator.
    pub fn softmax(row: &mut [f32], seen: Range<usize>) -> f32 {
        row[..seen.start].fill(0.0);
        row[seen.end..].fill(0.0);
        let seen = &mut row[seen];
        let top = max(seen);
        for x in seen.iter_mut() {
            *x = exp(*x - top);
        }
        let total = sum(seen);
        scale(seen, 1.0 / total);
        top + total.ln()
    }

    /// From scores `p` and `ds = do vᵀ` of one query: `p = exp(p - lse)`, `ds = p (ds - delta)`, zeros around what is seen.
    /// Capped scores come uncapped, and `ds` is then that of the uncapped ones.
    pub fn softmax_backward(p: &mut [f32], ds: &mut [f32], seen: Range<usize>, lse: f32, delta: f32, cap: Option<f32>) {
        for row in [&mut *p, &mut *ds] {
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
        }
        let pairs = p[seen.clone()].iter_mut().zip(&mut ds[seen]);
        match cap {
            None => pairs.for_each(|(p, ds)| {
                *p = exp(*p - lse);
                *ds = *p * (*ds - delta);
            }),
            Some(cap) => pairs.for_each(|(p, ds)| {
                let t = tanh(*p / cap);
                *p = exp(cap * t - lse);
                *ds = *p * (*ds - delta) * (1.0 - t * t);
            }),
        }
    }

    /// Inner product of two rows.
    pub fn inner(x: &[f32], y: &[f32]) -> f32 {
        dot(x, y)
    }

    /// `-log softmax(logits)[target]`; turns the logits into `scale (softmax - one-hot)`.
    pub fn cross_entropy(logits: &mut [f32], target: usize, factor: f32) -> f64 {
        let at_target = logits[target];
        let top = max(logits);
        for z in logits.iter_mut() {
            *z = exp(*z - top);
        }
        let total = sum(logits);
        scale(logits, factor / total);
        logits[target] -= factor;
        f64::from(top) + f64::from(total).ln() - f64::from(at_target)
    }

    /// Cross-entropy with the share `smoothing` spread over all classes and a weight for each (none: ones). With
    /// `h = (1 - smoothing) w(t)`, `s = smoothing / K` and `W` the sum of weights, the logits become
    /// `factor (p (h + s W) - h one-hot - s w)`.
    pub fn smoothed_cross_entropy(logits: &mut [f32], weights: &[f32], smoothing: f32, target: usize, factor: f32) -> f64 {
        let n_classes = logits.len() as f32;
        let (spread, hard) = (smoothing / n_classes, (1.0 - smoothing) * weights.get(target).copied().unwrap_or(1.0));
        let top = max(logits);
        for z in logits.iter_mut() {
            *z -= top;
        }
        let (weight_sum, spread_sum) =
            if weights.is_empty() { (n_classes, sum(logits)) } else { (sum(weights), dot(logits, weights)) };
        let at_target = logits[target];
        for z in logits.iter_mut() {
            *z = exp(*z);
        }
        let total = sum(logits);
        scale(logits, factor * (hard + spread * weight_sum) / total);
        logits[target] -= factor * hard;
        if weights.is_empty() {
            for z in logits.iter_mut() {
                *z -= factor * spread;
            }
        } else {
            for (z, w) in logits.iter_mut().zip(weights) {
                *z -= factor * spread * w;
            }
        }
        let denominator = f64::from(total).ln();
        f64::from(hard) * (denominator - f64::from(at_target))
            + f64::from(spread) * (f64::from(weight_sum) * denominator - f64::from(spread_sum))
    }

    /// `-a q^gamma log(1 - q)` with `q = 1 - p(t)`; turns the logits into `factor a (q^gamma - gamma (1 - q) q^(gamma - 1)
    /// log(1 - q)) (p - one-hot)`.
    pub fn focal(logits: &mut [f32], a: f32, gamma: f32, target: usize, factor: f32) -> f64 {
        let at_target = logits[target];
        let top = max(logits);
        for z in logits.iter_mut() {
            *z = exp(*z - top);
        }
        // What is not the target is summed by itself: one minus a probability near one has no digits left.
        let power_of_target = std::mem::take(&mut logits[target]);
        let others = sum(logits);
        logits[target] = power_of_target;
        let total = others + power_of_target;
        let (q, gamma) = (f64::from(others) / f64::from(total), f64::from(gamma));
        let surprise = if q < 0.5 { -(-q).ln_1p() } else { f64::from(top) + f64::from(total).ln() - f64::from(at_target) };
        let slope = if gamma > 0.0 && q > 0.0 { gamma * (1.0 - q) * q.powf(gamma - 1.0) * surprise } else { 0.0 };
        let c = factor * (f64::from(a) * (q.powf(gamma) + slope)) as f32;
        scale(logits, c / total);
        logits[target] -= c;
        f64::from(a) * q.powf(gamma) * surprise
    }

    /// One AdamW step on a block of numbers.
    pub fn adamw(w: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], s: &AdamWStep) {
        let (b1, b2) = (s.beta1 as f32, s.beta2 as f32);
        let (c1, c2) = ((1.0 - s.beta1) as f32, (1.0 - s.beta2) as f32);
        let keep = (1.0 - s.learning_rate * s.weight_decay) as f32;
        let correction = (1.0 - s.beta2.powf(s.step as f64)).sqrt() as f32;
        let rate = (s.learning_rate / (1.0 - s.beta1.powf(s.step as f64))) as f32;
        let (eps, factor) = (s.epsilon as f32, s.gradient_scale as f32);
        for (((w, g), m), v) in w.iter_mut().zip(grad).zip(m).zip(v) {
            let g = g * factor;
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * g * g;
            *w = *w * keep - rate * *m / (v.sqrt() / correction + eps);
        }
    }
}

/// Sum of squares in 64 bits.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let (chunks, rest) = x.as_chunks::<16>();
    let mut lanes = [0f64; 16];
    for c in chunks {
        for (lane, v) in lanes.iter_mut().zip(c) {
            *lane += f64::from(*v) * f64::from(*v);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>()
}

/// Numbers narrowed to 16 bits, for writing weights.
pub fn narrow_bf16(x: &[f32]) -> Vec<u8> {
    x.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()
}

#[inline(always)]
fn each(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = f(*x);
    }
}

#[inline(always)]
fn each_times(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    for (y, x) in y.iter_mut().zip(x) {
        *y *= f(*x);
    }
}

#[inline(always)]
fn each_product(x: &[f32], dy: &[f32], dx: &mut [f32], f: impl Fn(f32) -> f32) {
    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
        *dx = dy * f(*x);
    }
}

#[inline(always)]
fn each_pair(gate: &[f32], up: &[f32], dh: &[f32], dgate: &mut [f32], dup: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
    for ((((g, u), dh), dg), du) in gate.iter().zip(up).zip(dh).zip(dgate).zip(dup) {
        let (y, slope) = f(*g);
        *du = dh * y;
        *dg = dh * u * slope;
    }
}

#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, s + x * s * (1.0 - s))
}

#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    let (cdf, density) = normal(x);
    (x * cdf, cdf + x * density)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const K: f32 = 0.797_884_6;
    let t = tanh(K * (x + 0.044_715 * x * x * x));
    (0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * K * (1.0 + 3.0 * 0.044_715 * x * x))
}
