//! Numbers of a test in 64 bits, each of them exactly a 32-bit float where it is an input, and how they are compared.

use lorikeet_kernels::{Backend, random::Stream};

/// A row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Matrix {
    pub fn new(rows: usize, cols: usize, data: Vec<f64>) -> Self {
        assert_eq!(data.len(), rows * cols);
        Self { rows, cols, data }
    }

    /// Normal numbers that depend on `seed` alone.
    pub fn random(seed: u64, rows: usize, cols: usize) -> Self {
        let stream = Stream::new(seed, 17);
        Self::new(rows, cols, (0..(rows * cols) as u64).map(|n| f64::from(stream.normal(n))).collect())
    }

    pub fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        Self::new(rows, cols, (0..rows * cols).map(|i| f(i / cols, i % cols)).collect())
    }

    pub fn at(&self, row: usize, col: usize) -> f64 {
        self.data[row * self.cols + col]
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(self.rows, self.cols, self.data.iter().map(|v| f(*v)).collect())
    }

    pub fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!((self.rows, self.cols), (other.rows, other.cols));
        let data = self.data.iter().zip(&other.data).map(|(a, b)| f(*a, *b)).collect();
        Self::new(self.rows, self.cols, data)
    }

    /// Sum of the products of all pairs: a loss whose gradient with respect to `self` is `other`.
    pub fn dot(&self, other: &Self) -> f64 {
        self.zip(other, |a, b| a * b).data.iter().sum()
    }

    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|v| *v as f32).collect()
    }

    pub fn upload<B: Backend>(&self, b: &B) -> B::Tensor {
        b.upload(self.to_f32(), self.rows, self.cols).unwrap()
    }

    pub fn download<B: Backend>(b: &B, x: &B::Tensor) -> Self {
        let (rows, cols) = b.shape(x);
        Self::new(rows, cols, b.download(x).unwrap().into_iter().map(f64::from).collect())
    }
}

/// The gradient of `f` at `x` by central differences.
pub fn finite_differences(x: &Matrix, f: impl Fn(&Matrix) -> f64) -> Matrix {
    const STEP: f64 = 1e-5;
    let mut moved = x.clone();
    let slopes = (0..x.data.len()).map(|i| {
        moved.data[i] = x.data[i] + STEP;
        let above = f(&moved);
        moved.data[i] = x.data[i] - STEP;
        let below = f(&moved);
        moved.data[i] = x.data[i];
        (above - below) / (2.0 * STEP)
    });
    Matrix::new(x.rows, x.cols, slopes.collect())
}

/// Fails unless every number of a tensor is within `tolerance * (1 + |expected|)` of the expected one.
#[track_caller]
pub fn assert_close<B: Backend>(b: &B, what: &str, found: &B::Tensor, expected: &Matrix, tolerance: f64) {
    assert_matrices_close(what, &Matrix::download(b, found), expected, tolerance);
}

#[track_caller]
pub fn assert_matrices_close(what: &str, found: &Matrix, expected: &Matrix, tolerance: f64) {
    assert_eq!((found.rows, found.cols), (expected.rows, expected.cols), "{what}: shape");
    for (i, (f, e)) in found.data.iter().zip(&expected.data).enumerate() {
        let (row, col) = (i / expected.cols, i % expected.cols);
        let within = (f - e).abs() <= tolerance * (1.0 + e.abs());
        assert!(within, "{what}: row {row}, column {col}: found {f}, expected {e}");
    }
}
