//! How many floating-point operations a second the engine's own matrix product reaches on this computer: what the share of
//! every other workload is measured against.

use std::time::{Duration, Instant};

use lorikeet_jobs::{Failure, cpu_seconds};
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

/// The peaks in 32-bit floats and in 16-bit ones with so many threads, each sought for about `seconds`.
///
/// # Errors
/// Where the system starts no threads.
pub fn peaks(threads: usize, seconds: f64) -> Result<Vec<Peak>, Failure> {
    let backend = Fused::new(threads)?;
    let mut found = Vec::new();
    for (precision, backend) in [("f32", backend.clone()), ("bf16", backend.with_bf16())] {
        let mut best = 0.0_f64;
        for size in SIZES {
            let time = Duration::from_secs_f64(seconds / SIZES.len() as f64);
            best = best.max(backend.run(|| fastest((&backend, threads), size, time))?);
        }
        found.push(Peak { precision: precision.to_owned(), threads: threads as u64, gflops: best / 1e9 });
    }
    Ok(found)
}

/// Operations a second of `y (m, n) = x (m, k) wᵀ`, the fastest of all that fit into the time.
fn fastest(
    (backend, threads): (&Fused, usize),
    (m, n, k): (usize, usize, usize),
    time: Duration,
) -> Result<f64, Failure> {
    let numbers = |len: usize| (0..len).map(|i| (i % 13) as f32 - 6.0).collect::<Vec<f32>>();
    let x = backend.upload(numbers(m * k), m, k)?;
    let w = backend.weight(&HostMatrix::from_f32(&numbers(n * k), n, k)?)?;
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < time || best.is_infinite() {
        let (one, cpu) = (Instant::now(), cpu_seconds());
        drop(backend.matmul_nt(&x, &w)?);
        // Of one thread the processor's time is known, which a busy machine does not lengthen.
        let taken = if threads == 1 { cpu_seconds() - cpu } else { one.elapsed().as_secs_f64() };
        best = best.min(taken);
    }
    Ok(2.0 * (m * n * k) as f64 / best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_computer_multiplies() {
        let found = peaks(1, 0.01).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|peak| peak.gflops > 0.1 && peak.gflops < 1e5), "{found:?}");
    }
}
