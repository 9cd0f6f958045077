//! How many floating-point operations a second the engine's own matrix product reaches on this computer: what the share of
//! every other workload is measured against.

use std::time::{Duration, Instant};

use lorikeet_jobs::Failure;
use lorikeet_models::{Backend, Fused, HostMatrix};
use serde::{Deserialize, Serialize};

/// Rows, columns and inner dimensions of the products that are tried.
const SIZES: [(usize, usize, usize); 3] = [(1024, 1024, 1024), (2048, 2048, 1024), (512, 3072, 768)];

/// The fastest product of a precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// In which the numbers are multiplied.
    pub precision: String,
    /// Threads.
    pub threads: u64,
    /// 10⁹ operations a second, of all threads together.
    pub gflops: f64,
}

/// The peak in 32-bit floats with so many threads, sought for about `seconds`.
///
/// # Errors
/// Where the system starts no threads.
pub fn peak(threads: usize, seconds: f64) -> Result<Peak, Failure> {
    let backend = Fused::new(threads)?;
    let mut best = 0.0_f64;
    for size in SIZES {
        let time = Duration::from_secs_f64(seconds / SIZES.len() as f64);
        best = best.max(backend.run(|| fastest(&backend, size, time))?);
    }
    Ok(Peak { precision: "f32".to_owned(), threads: threads as u64, gflops: best / 1e9 })
}

/// Operations a second of `y (m, n) = x (m, k) wᵀ`, the fastest of all that fit into the time.
fn fastest(backend: &Fused, (m, n, k): (usize, usize, usize), time: Duration) -> Result<f64, Failure> {
    let numbers = |len: usize| (0..len).map(|i| (i % 13) as f32 - 6.0).collect::<Vec<f32>>();
    let x = backend.upload(numbers(m * k), m, k)?;
    let w = backend.weight(&HostMatrix::from_f32(&numbers(n * k), n, k)?)?;
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < time || best.is_infinite() {
        let one = Instant::now();
        drop(backend.matmul_nt(&x, &w)?);
        best = best.min(one.elapsed().as_secs_f64());
    }
    Ok(2.0 * (m * n * k) as f64 / best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_computer_multiplies() {
        let found = peak(1, 0.01).unwrap();
        assert!(found.gflops > 0.1 && found.gflops < 1e5, "{found:?}");
    }
}
