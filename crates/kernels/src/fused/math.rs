//! Scalar functions and reductions that a compiler turns into vector code inside the multiversioned row kernels. The
//! order of every sum is fixed by the code, not by the processor, so results do not depend on the machine's vectors.

/// Lanes of the reductions: a whole number of vectors on every processor.
pub const LANES: usize = 16;

/// `exp(x)` to about one unit in the last place, without branches.
/// Source: the Cephes library's reduction and polynomial for single precision.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.0);
    let z = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = z.mul_add(2.121_944_4e-4, z.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 5e-1);
    let y = p.mul_add(r * r, r) + 1.0;
    y * f32::from_bits((((z as i32) + 127) << 23) as u32)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `tanh(x)`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let small = x * (1.0 - x * x * (1.0 / 3.0 - x * x * (2.0 / 15.0)));
    let e = exp(-2.0 * x.abs());
    let large = ((1.0 - e) / (1.0 + e)).copysign(x);
    if x.abs() < 0.04 { small } else { large }
}

/// The normal distribution function and its density at `x`.
/// Source: Abramowitz and Stegun 7.1.26 (absolute error below 1.5e-7).
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp(-z * z);
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4f32;
    p = p.mul_add(t, -1.453_152_1);
    p = p.mul_add(t, 1.421_413_8);
    p = p.mul_add(t, -0.284_496_74);
    p = p.mul_add(t, 0.254_829_6);
    let half = 0.5 * p * t * e;
    (if x < 0.0 { half } else { 1.0 - half }, 0.398_942_3 * e)
}

/// Sum of `x`.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for c in chunks {
        for i in 0..LANES {
            lanes[i] += c[i];
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Sum of `x * y`.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    let (xs, xr) = x.as_chunks::<LANES>();
    let (ys, yr) = y.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for (a, b) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    let mut s = lanes.iter().sum::<f32>();
    for (a, b) in xr.iter().zip(yr) {
        s += a * b;
    }
    s
}

/// Sum of `x * y * z`.
#[inline(always)]
pub fn dot3(x: &[f32], y: &[f32], z: &[f32]) -> f32 {
    let (xs, xr) = x.as_chunks::<LANES>();
    let (ys, yr) = y.as_chunks::<LANES>();
    let (zs, zr) = z.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for ((a, b), c) in xs.iter().zip(ys).zip(zs) {
        for i in 0..LANES {
            lanes[i] = (a[i] * b[i]).mul_add(c[i], lanes[i]);
        }
    }
    let mut s = lanes.iter().sum::<f32>();
    for ((a, b), c) in xr.iter().zip(yr).zip(zr) {
        s += a * b * c;
    }
    s
}

/// Largest value; minus infinity for nothing.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for c in chunks {
        for i in 0..LANES {
            lanes[i] = if c[i] > lanes[i] { c[i] } else { lanes[i] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, v| m.max(*v))
}
