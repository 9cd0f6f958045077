//! Every format, on every path, gives the bits of the product with the widened weight.

use super::*;
use crate::{Backend, Fused, HostMatrix, random::Stream};

fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; n];
    Stream::new(seed, 1).fill(0, &mut numbers, |u| 2.0 * u - 1.0);
    numbers
}

/// A weight of small numbers in `precision`, its rows in another order where these are even.
fn weight(precision: Precision, n: usize, k: usize) -> HostMatrix {
    let dense = HostMatrix::from_f32(&numbers(7, n * k), n, k).unwrap().quantise(precision).unwrap();
    if n.is_multiple_of(6) { dense.in_order(RowOrder::HalvesFromPairs(6)).unwrap() } else { dense }
}

/// The product by one of the paths, added to ones.
fn by(path: unsafe fn(&[f32], Weight<'_>, Range<usize>, Columns), x: &[f32], m: usize, w: Weight<'_>) -> Vec<u32> {
    let mut y = vec![1.0; m * w.n];
    let columns = Columns { y: y.as_mut_ptr(), m, n: w.n, alpha: 0.5, accumulate: true };
    // SAFETY: the whole result is this call's, and the sizes are those of the operands.
    unsafe { path(x, w, 0..w.n, columns) };
    y.into_iter().map(f32::to_bits).collect()
}

const SIZES: [(usize, usize); 8] = [(37, 8), (64, 16), (1, 16), (3, 37), (6, 1), (5, 256), (12, 576), (13, 768)];

#[test]
fn every_path_gives_the_bits_of_the_product_with_the_widened_weight() {
    let backend = Fused::new(1).unwrap();
    let mut n_compared = 0;
    for precision in Precision::ALL {
        for (n, k) in SIZES.into_iter().filter(|(_, k)| k.is_multiple_of(precision.block_len())) {
            let stored = weight(precision, n, k);
            let (narrow, wide) = (backend.weight(&stored).unwrap(), backend.upload(stored.to_f32(), n, k).unwrap());
            for m in 1..=9 {
                let x = numbers(m as u64, m * k);
                let expected = by(portable::columns_of, &x, m, Weight::of(&wide).unwrap());
                for w in [&narrow, &wide] {
                    let (what, w) = (format!("{precision:?}, {m} x {n} x {k}"), Weight::of(w).unwrap());
                    assert_eq!(by(portable::columns_of, &x, m, w), expected, "portable, {what}");
                    #[cfg(target_arch = "x86_64")]
                    if avx512::is_there() {
                        assert_eq!(by(avx512::columns_of, &x, m, w), expected, "AVX-512, {what}");
                    }
                }
                n_compared += expected.len();
            }
        }
    }
    assert!(n_compared > 10_000, "{n_compared}");
}

/// A sum of `k` products of numbers up to one, each lane a chain of `k / 16` roundings and four more, errs by no more than
/// `(k / 16 + 4) / 2` units of its largest partial sum: `k 2^-24 (k / 16 + 4)`.
#[test]
fn products_are_sums_of_products() {
    let backend = Fused::new(2).unwrap();
    for (n, k) in SIZES {
        let (x, w) = (numbers(1, 3 * k), numbers(2, n * k));
        let mut y = vec![0.0; 3 * n];
        few_rows(Simd::best(), &mut y, 1.0, false, &x, Weight::of(&backend.upload(w.clone(), n, k).unwrap()).unwrap());
        let bound = k as f64 * (k as f64 / 16.0 + 4.0) / f64::from(1 << 24);
        for (i, found) in y.iter().enumerate() {
            let (x, w) = (&x[i / n * k..], &w[i % n * k..]);
            let sum: f64 = x.iter().zip(w).take(k).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            assert!((sum - f64::from(*found)).abs() <= bound, "{n} x {k}, number {i}: {sum} and {found}");
        }
    }
}

#[test]
fn neither_threads_nor_rows_computed_together_change_the_bits() {
    let (m, n, k) = (9, 700, 512);
    let x = numbers(1, m * k);
    for precision in Precision::ALL {
        let stored = weight(precision, n, k);
        let run = |threads, rows: &[f32]| {
            let backend = Fused::new(threads).unwrap();
            let mut y = vec![0.0; rows.len() / k * n];
            let w = backend.weight(&stored).unwrap();
            backend.run(|| few_rows(Simd::best(), &mut y, 1.0, false, rows, Weight::of(&w).unwrap()));
            y.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let together = run(1, &x);
        assert!([2, 3].into_iter().all(|threads| run(threads, &x) == together), "{precision:?}");
        let alone: Vec<u32> = x.chunks_exact(k).flat_map(|x| run(2, x)).collect();
        assert_eq!(alone, together, "{precision:?}");
    }
}
